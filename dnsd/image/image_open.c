/* Maps images, and their overlays. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dnsd/image/image_int.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/serial.h"

enum { TRIES = 10 /* to find an image and its overlay while they are exchanged */ };

bool image_overlay_name(char *out, size_t cap, const char *path, const char *suffix)
{
	static const char image[] = ".image";
	size_t len = strlen(path), cut = sizeof(image) - 1;
	if (len > cut && strcmp(path + len - cut, image) == 0)
		len -= cut;
	return str_fmt(out, cap, "%.*s.overlay%s", (int)len, path, suffix);
}

static void file_close(struct image_file **f)
{
	struct image_file *it = *f;
	*f = NULL;
	if (!it || atomic_fetch_sub(&it->held, 1) > 0)
		return;
	munmap((void *)(uintptr_t)it->p, it->size);
	free(it);
}

/* NULL with *why. have: a file that it may be, mapped already; may be NULL. */
static struct image_file *file_open(int folder, const char *path, struct image_file *have,
				    const char **why)
{
	struct image_file *f = NULL;
	struct stat st;
	int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) != 0) {
		*why = errno == ENOENT ? "there is no image" : "the image cannot be read";
	} else if ((size_t)st.st_size < sizeof(struct image_head)) {
		*why = "no image of a zone";
	} else if (have && have->device == st.st_dev && have->inode == st.st_ino &&
		   have->size == (size_t)st.st_size) {
		atomic_fetch_add(&have->held, 1);
		f = have;
	} else {
		size_t size = (size_t)st.st_size;
		void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
		*why = "the image cannot be mapped";
		if (p != MAP_FAILED) {
			f = mem_alloc(sizeof(*f));
			*f = (struct image_file){
			    .p = p, .size = size, .device = st.st_dev, .inode = st.st_ino};
		}
	}
	if (fd >= 0)
		close(fd);
	return f;
}

/* An overlay that is damaged, or of another image, is as none: the image is an old one, and who
 * compares versions sees that. */
static void cover(struct image *i, int folder, const char *path)
{
	char name[NAME_MAX + 1];
	const char *why;
	if (!image_overlay_name(name, sizeof(name), path, ""))
		return;
	i->over_file = file_open(folder, name, NULL, &why);
	if (i->over_file && !image_cover(i, i->over_file->p, i->over_file->size, &why))
		file_close(&i->over_file);
}

static struct image *open_both(int folder, const char *path, struct image_file *have,
			       const char **why)
{
	struct image_file *f = file_open(folder, path, have, why);
	struct image *i = f ? image_from(f->p, f->size, why) : NULL;
	if (!i) {
		file_close(&f);
		return NULL;
	}
	i->file = f;
	cover(i, folder, path);
	return i;
}

/* Still the file of that name. */
static bool is_there(const struct image *i, int folder, const char *path)
{
	struct stat st;
	return fstatat(folder, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == i->file->device && st.st_ino == i->file->inode;
}

/* A new image comes before the old one's overlay goes: one without overlay that is still there had
 * none. */
struct image *image_open_next(int folder, const char *path, const struct image *before,
			      const char **why)
{
	struct image_file *have = before ? before->file : NULL;
	struct image *i = open_both(folder, path, have, why);
	for (int n = 0; i && !i->over.p && !is_there(i, folder, path) && n < TRIES; n++) {
		image_close(&i);
		i = open_both(folder, path, have, why);
	}
	return i;
}

_Static_assert(offsetof(struct image_head, serial) == 40, "all versions have it there");

static uint32_t serial_left(int folder, const char *path)
{
	struct image_head h;
	struct stat st;
	uint32_t serial = 0;
	size_t front = offsetof(struct image_head, names);
	int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && fstat(fd, &st) == 0 && read(fd, &h, front) == (ssize_t)front &&
	    memcmp(h.magic, IMAGE_MAGIC, sizeof(h.magic)) == 0 && h.version != IMAGE_VERSION &&
	    h.order == IMAGE_ORDER && h.size == (uint64_t)st.st_size)
		serial = h.serial;
	if (fd >= 0)
		close(fd);
	return serial;
}

uint32_t image_serial_left(int folder, const char *path)
{
	char name[NAME_MAX + 1];
	uint32_t serial = serial_left(folder, path), over = 0;
	if (serial && image_overlay_name(name, sizeof(name), path, ""))
		over = serial_left(folder, name);
	return over && zone_serial_above(over, serial) ? over : serial;
}

struct image *image_open(int folder, const char *path, const char **why)
{
	return image_open_next(folder, path, NULL, why);
}

void image_close(struct image **i)
{
	struct image *it = *i;
	*i = NULL;
	if (!it || atomic_fetch_sub(&it->held, 1) > 0)
		return;
	file_close(&it->file);
	file_close(&it->over_file);
	free(it);
}

struct image *image_hold(const struct image *i)
{
	struct image *it = (struct image *)(uintptr_t)i;
	atomic_fetch_add(&it->held, 1);
	return it;
}
