#include "hamletctl/hamletctl.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

enum { PASSWORD_MAX = 1024 };

bool secret_file(struct pool *pool, const char *path, size_t max, struct slice *out)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		complain(EX_NOINPUT, "%s: %s", path, strerror(errno));
		return false;
	}
	struct buf b = {.max = max + 1};
	ssize_t n = 1;
	while (n > 0 && b.len <= max) {
		size_t want = max + 1 - b.len < 65536 ? max + 1 - b.len : 65536;
		n = read(fd, buf_reserve(&b, want), want);
		if (n > 0)
			b.len += (size_t)n;
	}
	if (!is_stdin)
		close(fd);
	bool ok = n >= 0 && b.len <= max;
	if (n < 0)
		complain(EX_NOINPUT, "%s: %s", path, strerror(errno));
	else if (!ok)
		complain(EX_DATAERR, "%s: larger than %zu bytes", path, max);
	*out = (struct slice){pool_strndup(pool, b.p ? b.p : "", b.len), b.len};
	if (b.p)
		explicit_bzero(b.p, b.len);
	buf_free(&b);
	return ok;
}

static bool from_stdin(struct pool *pool, struct slice *out)
{
	struct slice all;
	if (!secret_file(pool, "-", PASSWORD_MAX, &all))
		return false;
	*out = slice_cut(&all, '\n');
	if (out->len && out->p[out->len - 1] == '\r')
		out->len--;
	if (out->len == 0)
		complain(EX_USAGE, "the password on standard input is empty");
	return out->len > 0;
}

/* One line from the terminal without echo; -1 when there is none. */
static long ask(int tty, const char *prompt, char *line, size_t cap)
{
	struct termios old, quiet;
	if (tcgetattr(tty, &old) != 0)
		return -1;
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	dprintf(tty, "%s: ", prompt);
	tcsetattr(tty, TCSAFLUSH, &quiet);
	ssize_t n = read(tty, line, cap);
	tcsetattr(tty, TCSAFLUSH, &old);
	dprintf(tty, "\n");
	return n > 0 && line[n - 1] == '\n' ? n - 1 : n;
}

bool secret_password(struct pool *pool, bool fresh, struct slice *out)
{
	if (options.password_stdin)
		return from_stdin(pool, out);
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	if (tty < 0) {
		complain(EX_USAGE, "no terminal to ask for the password: use --password-stdin");
		return false;
	}
	char first[PASSWORD_MAX] = "", again[PASSWORD_MAX] = "";
	long n = ask(tty, "Password", first, sizeof(first));
	bool ok = n > 0;
	if (!ok)
		complain(EX_USAGE, "no password was typed");
	if (ok && fresh) {
		long m = ask(tty, "Again", again, sizeof(again));
		ok = m == n && memcmp(first, again, (size_t)n) == 0;
		if (!ok)
			complain(EX_USAGE, "the passwords differ");
	}
	close(tty);
	if (ok)
		*out = (struct slice){pool_strndup(pool, first, (size_t)n), (size_t)n};
	explicit_bzero(first, sizeof(first));
	explicit_bzero(again, sizeof(again));
	return ok;
}
