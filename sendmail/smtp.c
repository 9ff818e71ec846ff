/* The client of smtpd's local socket: one connection, a command and its reply at a time. It waits
 * as long as RFC 5321 4.5.3.2 has a client wait. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/mail/addr.h"
#include "sendmail/sendmail.h"

enum { OPEN_MS = 10000, RETRY_MS = 200, REPLY_SECONDS = 600, REPLY_MAX = 65536, READ = 4096 };

struct client {
	int fd;
	bool verbose;
	struct buf in;   /* read and not looked at */
	struct buf text; /* of the last reply, lines without their codes */
	char *self;
};

/* Worth another try: hamlet is being started. */
static bool passes(int err)
{
	return err == ENOENT || err == ECONNREFUSED || err == EAGAIN || err == EINTR;
}

static int dial(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	if (!str_fmt(un.sun_path, sizeof(un.sun_path), "%s", path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
		return fd;
	int err = errno;
	close(fd);
	errno = err;
	return -1;
}

struct client *client_open(const char *path, bool verbose)
{
	const struct timespec pause = {0, RETRY_MS * 1000000};
	const struct timeval wait = {.tv_sec = REPLY_SECONDS};
	uint64_t until = clock_mono() + OPEN_MS;
	int fd = dial(path);
	while (fd < 0 && passes(errno) && clock_mono() < until) {
		nanosleep(&pause, NULL);
		fd = dial(path);
	}
	if (fd < 0)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	struct client *c = mem_alloc(sizeof(*c));
	*c = (struct client){.fd = fd, .verbose = verbose};
	buf_init(&c->in, REPLY_MAX);
	buf_init(&c->text, REPLY_MAX);
	return c;
}

int client_fd(const struct client *c)
{
	return c->fd;
}

void client_close(struct client **pc)
{
	struct client *c = *pc;
	*pc = NULL;
	if (!c)
		return;
	close(c->fd);
	buf_free(&c->in);
	buf_free(&c->text);
	free(c->self);
	free(c);
}

const char *client_text(const struct client *c)
{
	return c->text.len ? c->text.p : "the connection was lost";
}

const char *client_self(const struct client *c)
{
	return c->self ? c->self : "";
}

/* The next line, without its end, valid until the next call; false: there is none. */
static bool next_line(struct client *c, struct slice *line, size_t *used)
{
	buf_drop(&c->in, *used);
	for (;;) {
		const char *nl = c->in.len ? memchr(c->in.p, '\n', c->in.len) : NULL;
		if (nl) {
			*used = (size_t)(nl + 1 - c->in.p);
			*line = (struct slice){c->in.p, *used - 1};
			while (line->len && line->p[line->len - 1] == '\r')
				line->len--;
			return true;
		}
		char *to = buf_reserve(&c->in, READ);
		ssize_t n = to ? read(c->fd, to, READ) : -1;
		if (n < 0 && to && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		c->in.len += (size_t)n;
	}
}

unsigned client_reply(struct client *c)
{
	struct slice line;
	size_t used = 0;
	uint32_t code = 0;
	bool more = true, good = true;
	buf_clear(&c->text);
	while (more && good && next_line(c, &line, &used)) {
		if (c->verbose)
			printf("<<< %.*s\n", SLICE_FMT(line));
		good = line.len >= 3 && str_u32((struct slice){line.p, 3}, &code);
		more = line.len > 3 && line.p[3] == '-';
		if (c->text.len)
			buf_addc(&c->text, '\n');
		if (line.len > 4)
			buf_add(&c->text, line.p + 4, line.len - 4);
		if (!more)
			break;
		code = 0;
	}
	buf_drop(&c->in, used);
	buf_cstr(&c->text);
	return good && !c->text.failed ? code : 0;
}

bool client_send(struct client *c, struct slice s)
{
	while (s.len) {
		ssize_t n = send(c->fd, s.p, s.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = (struct slice){s.p + n, s.len - (size_t)n};
	}
	return true;
}

unsigned client_ask(struct client *c, const char *fmt, ...)
{
	struct buf line = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	if (c->verbose)
		printf(">>> %.*s\n", (int)line.len, line.p);
	buf_adds(&line, "\r\n");
	/* What cannot be sent has perhaps been answered: 421. */
	client_send(c, buf_slice(&line));
	buf_free(&line);
	return client_reply(c);
}

/* The address behind XLOCAL among the lines of EHLO's answer. */
static void keep_self(struct client *c)
{
	struct slice rest = buf_slice(&c->text);
	struct addr a;
	while (rest.len) {
		struct slice line = slice_cut(&rest, '\n');
		if (slice_eqs(slice_word(&line), "XLOCAL") &&
		    addr_mailbox(slice_trim(line), 0, &a) == ADDR_OK && !c->self)
			c->self = mem_strndup(a.text, a.len);
	}
}

int client_hello(struct client *c)
{
	unsigned code = client_reply(c);
	if (code == 220)
		code = client_ask(c, "EHLO localhost");
	if (code != 250)
		return complain(code >= 500 ? EX_UNAVAILABLE : EX_TEMPFAIL, "smtpd: %s",
				client_text(c));
	keep_self(c);
	return c->self ? EX_OK
		       : complain(EX_PROTOCOL, "this is not smtpd's local socket: no XLOCAL");
}
