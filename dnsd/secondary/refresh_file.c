/* The files of a secondary in the state folder, by which all processes, and those after a restart,
 * know of it: the time of NAME.refresh says when the zone was last found good, the lock of NAME.xfr
 * lets one process ask at a time. What stands in that one are marks: somebody has told us that
 * there is something to fetch, and it was not fetched yet. They are there before a NOTIFY is
 * answered, since the primary does not say it again to who is killed then. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dnsd/image/beside.h"
#include "dnsd/secondary/refresh_int.h"
#include "libcommon/base/log.h"

enum { IMAGE_SUFFIX = 6, MARKS = 4096 /* octets, one each; more say nothing new */ };

static int state = -1;

void refresh_files(int folder)
{
	state = folder;
}

static const char *file_name(struct pool *pool, const uint8_t *wire, const char *suffix)
{
	const char *image = compile_image_name(pool, wire);
	return pool_printf(pool, "%.*s%s", (int)(strlen(image) - IMAGE_SUFFIX), image, suffix);
}

void refresh_file_names(struct secondary *s)
{
	s->refresh_file = file_name(s->pool, s->wire, ".refresh");
	s->lock_file = file_name(s->pool, s->wire, ".xfr");
}

/* --- when it was last good -------------------------------------------------------------------- */

uint64_t refresh_file_time(const struct secondary *s)
{
	struct stat st;
	if (fstatat(state, s->refresh_file, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
}

void refresh_file_note(struct secondary *s, uint64_t now)
{
	const struct timespec t = {(time_t)(now / 1000), (long)(now % 1000) * 1000000};
	const struct timespec times[2] = {t, t};
	int fd = openat(state, s->refresh_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || futimens(fd, times) != 0)
		log_event(LOG_LV_ERROR, NULL, "refresh-file", LS("zone", s->name),
			  LS("reason", strerror(errno)));
	if (fd >= 0)
		close(fd);
	s->fresh_ms = now;
}

/* --- who asks, and for what ------------------------------------------------------------------- */

bool refresh_file_lock(struct secondary *s)
{
	struct stat st;
	s->lock = beside_lock(state, s->lock_file, false);
	s->marks = s->lock >= 0 && fstat(s->lock, &st) == 0 ? st.st_size : 0;
	return s->lock >= 0;
}

void refresh_file_unlock(struct secondary *s, bool fetched)
{
	struct stat st;
	/* Those that came meanwhile are for the next time. */
	if (fetched && s->marks && fstat(s->lock, &st) == 0 && st.st_size == s->marks)
		(void)!ftruncate(s->lock, 0);
	close(s->lock);
	s->lock = -1;
}

void refresh_file_mark(const struct secondary *s)
{
	struct stat st;
	int fd = openat(state, s->lock_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size < MARKS)
		(void)!pwrite(fd, "\n", 1, st.st_size);
	close(fd);
}

bool refresh_file_marked(const struct secondary *s)
{
	struct stat st;
	return fstatat(state, s->lock_file, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0;
}

int refresh_lock(const uint8_t *wire)
{
	struct pool *pool = pool_new(0);
	int fd = beside_lock(state, file_name(pool, wire, ".xfr"), false);
	pool_free(&pool);
	return fd;
}
