#include "hamletctl/hamletctl.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { REPLY_MAX = 16 << 20, WAIT_SECONDS = 3700 /* a restart drains up to an hour */ };

const char *line_hamletd(struct pool *pool)
{
	return pool_printf(pool, "%s/hamletd.sock", options.run_dir);
}

static int connect_to(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = WAIT_SECONDS};
	if (!str_fmt(un.sun_path, sizeof(un.sun_path), "%s", path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) != 0) {
		int err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

/* Words in the quoting of config files. */
static void add_word(struct buf *b, const char *w)
{
	buf_addc(b, '"');
	for (; *w; w++) {
		if (*w == '"' || *w == '\\')
			buf_addc(b, '\\');
		buf_addc(b, *w == '\n' ? ' ' : *w);
	}
	buf_addc(b, '"');
}

static bool read_all(int fd, struct buf *all)
{
	for (;;) {
		char *at = buf_reserve(all, 4096);
		ssize_t n = at ? read(fd, at, 4096) : -1;
		if (n <= 0)
			return n == 0;
		all->len += (size_t)n;
	}
}

bool line_call(struct pool *pool, const char *path, const char *const *words, size_t n,
	       struct buf *out, const char **why)
{
	struct buf all = {.max = REPLY_MAX};
	int fd = connect_to(path);
	if (fd < 0) {
		*why = pool_printf(pool, "%s: %s (is hamlet running?)", path, strerror(errno));
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_addc(&all, ' ');
		add_word(&all, words[i]);
	}
	buf_addc(&all, '\n');
	bool ok = send(fd, all.p, all.len, MSG_NOSIGNAL) == (ssize_t)all.len;
	buf_clear(&all);
	ok = ok && read_all(fd, &all);
	close(fd);
	struct slice rest = buf_slice(&all), last = {0};
	*why = ok ? NULL : pool_printf(pool, "%s: %s", path, strerror(errno));
	while (ok && rest.len) {
		last = slice_cut(&rest, '\n');
		if (slice_eqs(last, ".") || slice_starts(last, "! "))
			break;
		buf_add_slice(out, last);
		buf_addc(out, '\n');
	}
	if (ok && slice_starts(last, "! "))
		*why = pool_strndup(pool, last.p + 2, last.len - 2);
	else if (ok && !slice_eqs(last, "."))
		*why = pool_printf(pool, "%s: the answer was cut short", path);
	buf_free(&all);
	return *why == NULL;
}
