#include "keyd/keyd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"

bool why_set(struct why *w, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(w->text, sizeof(w->text), fmt, ap);
	va_end(ap);
	return false;
}

/* Everything but the rename, under the name ".NAME.new". */
static bool write_new(int dir, const char *temp, struct slice content, unsigned mode)
{
	unlinkat(dir, temp, 0); /* of a start that was cut short */
	int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return false;
	bool ok = fchmod(fd, mode) == 0 && io_write(fd, content) && fsync(fd) == 0;
	int saved = errno;
	close(fd);
	errno = saved;
	return ok;
}

bool file_write(const char *dir, const char *name, struct slice content, unsigned mode,
		struct why *w)
{
	char temp[300];
	int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d < 0 || !str_fmt(temp, sizeof(temp), ".%s.new", name))
		return why_set(w, "%s: %s", dir, strerror(errno));
	bool ok =
	    write_new(d, temp, content, mode) && renameat(d, temp, d, name) == 0 && fsync(d) == 0;
	int saved = errno;
	if (!ok)
		unlinkat(d, temp, 0);
	close(d);
	return ok || why_set(w, "%s/%s: %s", dir, name, strerror(saved));
}

char *file_read(const char *dir, const char *name, size_t *len, struct why *w)
{
	char path[1024];
	struct stat st;
	w->text[0] = 0;
	if (!str_fmt(path, sizeof(path), "%s/%s", dir, name)) {
		why_set(w, "%s: the path is too long", dir);
		return NULL;
	}
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		if (errno != ENOENT)
			why_set(w, "%s: %s", path, strerror(errno));
		return NULL;
	}
	char *p = NULL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > PEM_MAX) {
		why_set(w, "%s: not a file of a certificate", path);
	} else {
		p = mem_alloc((size_t)st.st_size + 1);
		ssize_t n = read(fd, p, (size_t)st.st_size);
		*len = n > 0 ? (size_t)n : 0;
		if (n != st.st_size) {
			why_set(w, "%s: cannot be read", path);
			mem_wipe(p, (size_t)st.st_size);
			p = NULL;
		}
	}
	close(fd);
	return p;
}

bool file_remove(const char *dir, const char *name, struct why *w)
{
	int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = d >= 0 && (unlinkat(d, name, 0) == 0 || errno == ENOENT) && fsync(d) == 0;
	if (!ok)
		why_set(w, "%s/%s: %s", dir, name, strerror(errno));
	if (d >= 0)
		close(d);
	return ok;
}
