/* Everything that goes on the wire. */
#include "smtpd/smtpd.h"
#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 900, LINE_ROOM = 1024 };

static void put_line(struct session *s, unsigned code, char sep, const char *status,
		     const char *fmt, va_list ap)
{
	char line[LINE_ROOM];
	int head = snprintf(line, sizeof(line), "%03u%c%s%s", code, sep, status ? status : "",
			    status ? " " : "");
	int n = vsnprintf(line + head, TEXT_MAX, fmt, ap);
	if (n < 0)
		n = 0;
	size_t len = (size_t)head + (size_t)(n < TEXT_MAX ? n : TEXT_MAX - 1);
	line[len] = '\r';
	line[len + 1] = '\n';
	if (!s->stream || s->closing)
		return;
	if (!stream_write(s->stream, line, len + 2))
		s->choked = true;
}

void reply(struct session *s, unsigned code, const char *status, const char *fmt, ...)
{
	va_list ap;
	if (code >= 500)
		s->errors++;
	va_start(ap, fmt);
	put_line(s, code, ' ', status, fmt, ap);
	va_end(ap);
}

void reply_line(struct session *s, unsigned code, bool last, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	put_line(s, code, last ? ' ' : '-', NULL, fmt, ap);
	va_end(ap);
}

void reply_send(struct session *s, const struct reply *r)
{
	reply(s, r->code, r->status, "%s", r->text);
}

/* What each error of the store means after MAIL, RCPT and the end of the message. An entry
 * without a code falls back to the first one. */
static const struct reply ERROR_REPLY[ERR_COUNT][ASK_COUNT] = {
    [ERR_LOST] = {{451, "4.3.0", "the mail store does not answer, try again later"}},
    [ERR_TEMP] = {{451, "4.3.0", "temporary failure, try again later"}},
    [ERR_BAD] = {{553, "5.1.7", "the sender's address cannot be used"},
		 {553, "5.1.3", "the address cannot be used"},
		 {554, "5.6.0", "the message cannot be stored"}},
    [ERR_DENIED] = {{550, "5.7.1", "you may not send from this address"},
		    {550, "5.7.1", "not allowed"},
		    {550, "5.7.1", "not allowed"}},
    [ERR_AUTH] = {{530, "5.7.0", "authentication required"}},
    [ERR_GRANT] = {{421, "4.7.0", "your login has ended, connect and log in again"}},
    [ERR_NOTFOUND] = {{550, "5.1.1", "no such user here"}},
    [ERR_NOTLOCAL] = {{550, "5.7.1", "relaying denied: log in to send to other domains"}},
    [ERR_EXISTS] = {{554, "5.6.0", "the message exists already"}},
    [ERR_INUSE] = {{450, "4.2.1", "the mailbox is in use, try again later"}},
    [ERR_DELAY] = {{451, "4.7.0", "too early, try again later"}},
    [ERR_QUOTA] = {{452, "4.2.2", "the mailbox is full"}},
    [ERR_FULL] = {{452, "4.3.1", "insufficient storage, try again later"}},
    [ERR_LIMIT] = {{451, "4.7.1", "too many messages, try again later"}},
    [ERR_SIZE] = {{552, "5.3.4", "the message is too large"}},
    [ERR_DISABLED] = {{550, "5.2.1", "the mailbox is disabled"}},
};

struct reply reply_of(struct pool *pool, enum question q, enum ipc_err e, struct slice text)
{
	if (e >= ERR_COUNT || !ERROR_REPLY[e][0].code)
		e = ERR_TEMP;
	struct reply r = ERROR_REPLY[e][q].code ? ERROR_REPLY[e][q] : ERROR_REPLY[e][0];
	if (text.len && text.len < 200 && str_print(text) && str_ascii(text))
		r.text = pool_strndup(pool, text.p, text.len);
	return r;
}
