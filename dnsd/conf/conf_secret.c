/* Files of secrets. Nothing of them but what is wrong with them is ever said. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dnsd/dnsd.h"

static const char *look(int fd)
{
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "is not a file";
	if (st.st_mode & (S_IRWXO | S_IWGRP))
		return "others than its owner and group have rights to it (chmod 640)";
	return NULL;
}

const char *conf_secret(const char *path, char *text, size_t cap, struct slice *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *why = look(fd);
	ssize_t n = why ? 0 : read(fd, text, cap);
	if (n < 0)
		why = strerror(errno);
	*out = (struct slice){text, why ? 0 : (size_t)n};
	if (fd >= 0)
		close(fd);
	return why;
}

struct slice conf_secret_line(struct slice *text)
{
	struct slice line = slice_cut(text, '\n');
	if (line.len && line.p[line.len - 1] == '\r')
		line.len--;
	return slice_trim(line);
}
