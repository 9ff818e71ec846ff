/* Small files beside an image, as text; locks; the folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dnsd/image/beside.h"
#include "libcommon/base/io.h"

bool beside_read(int folder, const char *image, const char *what, size_t max, struct buf *text)
{
	char name[NAME_MAX + 1], piece[4096];
	ssize_t n = -1;
	buf_init(text, max);
	if (!str_fmt(name, sizeof(name), "%s.%s", image, what))
		return false;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	while ((n = read(fd, piece, sizeof(piece))) > 0 && !text->failed)
		buf_add(text, piece, (size_t)n);
	close(fd);
	return n == 0 && !text->failed;
}

bool beside_write(int folder, const char *image, const char *what, struct slice text)
{
	char name[NAME_MAX + 1], temporary[NAME_MAX + 1];
	struct buf old;
	bool same =
	    beside_read(folder, image, what, text.len + 1, &old) && slice_eq(buf_slice(&old), text);
	buf_free(&old);
	if (same)
		return true;
	if (!str_fmt(name, sizeof(name), "%s.%s", image, what) ||
	    !str_fmt(temporary, sizeof(temporary), "%s.%s.new", image, what)) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (!text.len)
		return unlinkat(folder, name, 0) == 0 || errno == ENOENT;
	int fd =
	    openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return false;
	/* A machine that ends now has the old file or the new one. */
	bool ok = io_write(fd, text) && fdatasync(fd) == 0;
	close(fd);
	if (ok && renameat(folder, temporary, folder, name) == 0)
		return true;
	int err = errno;
	unlinkat(folder, temporary, 0);
	errno = err;
	return false;
}

int beside_lock(int folder, const char *file, bool wait)
{
	struct stat st;
	for (;;) {
		int fd = openat(folder, file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return -1;
		bool had = flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) == 0;
		int err = errno;
		if (had && fstat(fd, &st) == 0 && st.st_nlink > 0)
			return fd;
		close(fd);
		errno = err;
		if (!had)
			return -1;
	}
}

void beside_each(int folder, void (*fn)(void *arg, const char *file), void *arg)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;
	while (d && (e = readdir(d)))
		fn(arg, e->d_name);
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}
