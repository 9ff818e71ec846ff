/* The cache across restarts: the file cache.saved in the state folder. It says what is secure, so
 * it is read only when nobody but us could have written it. Of several processes the last to end
 * leaves its own; each begins with that. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dnsd/cache/cache_file.h"
#include "dnsd/recurse/recurse_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/io.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

static const char file[] = "cache.saved";

static bool write_piece(void *arg, struct slice piece)
{
	const int *fd = arg;
	return io_write(*fd, piece);
}

void recurse_save(void)
{
	char temporary[64];
	if (!conf.recursion.save)
		return;
	str_fmt(temporary, sizeof(temporary), "%s.%d", file, (int)getpid());
	int fd = openat(recurse_self.state, temporary,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0 && cache_save(recurse_self.cache, clock_sec(), write_piece, &fd);
	if (fd >= 0)
		close(fd);
	if (ok)
		ok = renameat(recurse_self.state, temporary, recurse_self.state, file) == 0;
	if (!ok) {
		log_event(LOG_LV_ERROR, NULL, "cache-not-saved", LS("file", file),
			  LS("reason", strerror(errno)));
		unlinkat(recurse_self.state, temporary, 0);
	}
}

/* The whole file; NULL: there is none, or not one of ours. */
static char *read_whole(size_t *len)
{
	struct stat st;
	int fd = openat(recurse_self.state, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char *p = NULL;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    st.st_mode & (S_IRWXG | S_IRWXO)) {
		log_event(LOG_LV_WARN, NULL, "cache-not-read", LS("file", file),
			  LS("reason", "others could have written it"));
	} else if ((uint64_t)st.st_size <= 2 * conf.recursion.size) {
		size_t size = (size_t)st.st_size;
		p = mem_alloc(size + 1);
		for (*len = 0; *len < size;) {
			ssize_t n = read(fd, p + *len, size - *len);
			if (n <= 0)
				break;
			*len += (size_t)n;
		}
	}
	close(fd);
	return p;
}

void recurse_load(void)
{
	size_t len = 0, n;
	char *p = conf.recursion.save ? read_whole(&len) : NULL;
	if (!p)
		return;
	bool ok = cache_load(recurse_self.cache, (struct slice){p, len}, clock_sec(), &n);
	log_event(ok ? LOG_LV_INFO : LOG_LV_WARN, NULL, "cache-read", LS("file", file),
		  LU("entries", n), LS("damaged", ok ? NULL : "yes"));
	free(p);
}
