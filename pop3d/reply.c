/* What goes on the wire. Whatever is over the stream's high-water mark chokes the session: it
 * reads and sends nothing more until the client has taken its replies. */
#include "pop3d/pop3d.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "libcommon/base/mem.h"

enum { LINE_MAX_OUT = 512 }; /* octets of a reply's line (RFC 1939) */

void reply_raw(struct session *s, const char *p, size_t n)
{
	if (!s->stream || s->closing)
		return;
	s->bytes += n;
	if (!stream_write(s->stream, p, n))
		s->choked = true;
}

static void send_line(struct session *s, const char *status, const char *fmt, va_list ap)
{
	char line[LINE_MAX_OUT];
	size_t n = strlen(status), room = sizeof(line) - 2;
	str_fmt(line, sizeof(line), "%s", status);
	int more = vsnprintf(line + n, room - n, fmt, ap);
	if (more > 0) {
		n += (size_t)more < room - n ? (size_t)more : room - n - 1;
		for (size_t i = 0; i < n; i++) /* words of others may be in it */
			if ((unsigned char)line[i] < 32 || line[i] == 127)
				line[i] = ' ';
	} else {
		n--; /* the blank before the text */
	}
	line[n++] = '\r';
	line[n++] = '\n';
	reply_raw(s, line, n);
}

void reply_ok(struct session *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	send_line(s, "+OK ", fmt, ap);
	va_end(ap);
}

void reply_err(struct session *s, const char *code, const char *fmt, ...)
{
	char status[40] = "-ERR ";
	va_list ap;
	if (code)
		str_fmt(status, sizeof(status), "-ERR [%s] ", code);
	va_start(ap, fmt);
	send_line(s, status, fmt, ap);
	va_end(ap);
}

void reply_line(struct session *s, const char *fmt, ...)
{
	char line[LINE_MAX_OUT];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line) - 2, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	size_t len = (size_t)n < sizeof(line) - 2 ? (size_t)n : sizeof(line) - 3;
	line[len] = '\r';
	line[len + 1] = '\n';
	reply_raw(s, line, len + 2);
}

void reply_end(struct session *s)
{
	reply_raw(s, ".\r\n", 3);
}

void reply_challenge(struct session *s, const char *base64)
{
	reply_raw(s, "+ ", 2); /* may be longer than a line of ours */
	reply_raw(s, base64, strlen(base64));
	reply_raw(s, "\r\n", 2);
}

void reply_refused(struct session *s, enum ipc_err e, struct slice text)
{
	static const struct {
		const char *code, *text;
	} by[ERR_COUNT] = {
	    [ERR_LOST] = {"SYS/TEMP", "the mail store is not available, try again later"},
	    [ERR_TEMP] = {"SYS/TEMP", "the mail store is not available, try again later"},
	    [ERR_BAD] = {"SYS/PERM", "the request was refused"},
	    [ERR_DENIED] = {"AUTH", "this account may not use POP3"},
	    [ERR_AUTH] = {"AUTH", "wrong user or password"},
	    [ERR_GRANT] = {"AUTH", "your login is no longer valid, log in again"},
	    [ERR_NOTFOUND] = {NULL, "no such message"},
	    [ERR_INUSE] = {"IN-USE", "another session has this mailbox open"},
	    [ERR_DELAY] = {"LOGIN-DELAY",
			   "you have been here a moment ago, wait before you log in again"},
	    [ERR_QUOTA] = {"SYS/PERM", "the mailbox is over its quota"},
	    [ERR_FULL] = {"SYS/TEMP", "the mail store has no space, nothing was changed"},
	    [ERR_LIMIT] = {"SYS/TEMP", "too many logins, try again later"},
	};
	bool known = (unsigned)e < ERR_COUNT && by[e].text;
	const char *code = known ? by[e].code : "SYS/TEMP";
	/* The store's own words say more where waiting is the matter. */
	if (text.len && (e == ERR_DELAY || e == ERR_LIMIT || e == ERR_DENIED))
		reply_err(s, code, "%.*s", SLICE_FMT(text));
	else
		reply_err(s, code, "%s", known ? by[e].text : by[ERR_TEMP].text);
}

/* --- messages -------------------------------------------------------------------------------- */

enum { BLOCK = 64 };

/* True when nothing has to be added before any octet of the block; p[-1] is there as well. The
 * loop is what the compiler makes vectors of: most mail has nothing to add for long stretches. */
static bool block_as_is(const char *p)
{
	unsigned char add = 0;
	for (int i = 0; i < BLOCK; i++)
		add |= (unsigned char)(((p[i] == '\n') ^ (p[i - 1] == '\r')) |
				       ((p[i] == '.') & (p[i - 1] == '\n')));
	return !add;
}

/* What stands before an octet on the wire, given the octet before it in the message. */
static const char *added(char last, char c)
{
	if (last == '\r' && c != '\n')
		return c == '.' ? "\n." : "\n";
	if (c == '\n' && last != '\r')
		return "\r";
	return c == '.' && last == '\n' ? "." : "";
}

void reply_body(struct session *s, struct dots *d, struct slice piece)
{
	const char *p = piece.p, *end = p + piece.len, *from = p;
	char last = d->mid ? d->last : '\n';
	while (p < end) {
		/* What stands before the first octet is not here; and the rest is less than a
		 * block. */
		const char *stop = p == piece.p ? p + 1 : end;
		while (p > piece.p && end - p >= BLOCK && block_as_is(p))
			p += BLOCK;
		if (p > piece.p)
			last = p[-1];
		if (stop - p > BLOCK)
			stop = p + BLOCK;
		for (; p < stop; last = *p++) {
			const char *extra = added(last, *p);
			if (!*extra)
				continue;
			if (p > from)
				reply_raw(s, from, (size_t)(p - from));
			reply_raw(s, extra, strlen(extra));
			from = p;
		}
	}
	if (p > from)
		reply_raw(s, from, (size_t)(p - from));
	if (piece.len)
		*d = (struct dots){.mid = last != '\n', .last = last};
}

void reply_body_end(struct session *s, struct dots *d)
{
	if (d->mid && d->last == '\r')
		reply_raw(s, "\n", 1);
	else if (d->mid)
		reply_raw(s, "\r\n", 2);
	reply_end(s);
}
