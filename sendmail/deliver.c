/* A message from standard input to smtpd. It is taken for all of its recipients or for none, and
 * what is wrong is said on standard error and by the exit code: whoever called can try again. */
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/mail/addr.h"
#include "sendmail/sendmail.h"

struct job {
	struct pool *pool;
	const struct opts *o;
	struct text text;
	struct head head;
	struct rcpts rcpts;
	struct buf header;
	const char *sender;      /* canonical; "": null, or none given */
	const char *sender_name; /* of -f; NULL: none */
	struct client *c;
};

/* The exit code of a refusal, by its enhanced status. */
static int code_of(unsigned code, const char *text)
{
	if (code < 500)
		return EX_TEMPFAIL;
	if (strncmp(text, "5.1.", 4) == 0)
		return EX_NOUSER;
	if (strncmp(text, "5.6.", 4) == 0)
		return EX_DATAERR;
	return strncmp(text, "5.7.", 4) == 0 ? EX_NOPERM : EX_UNAVAILABLE;
}

static int refused(struct job *j, const char *what, unsigned code)
{
	return complain(code_of(code, client_text(j->c)), "%s: %s", what, client_text(j->c));
}

static int connect_to(struct job *j, const char *socket)
{
	j->c = client_open(socket, j->o->verbose);
	if (!j->c)
		return complain(EX_TEMPFAIL, "%s: %s: hamlet is not there, try again later", socket,
				strerror(errno));
	return client_hello(j->c);
}

/* --- what is to be sent ----------------------------------------------------------------------- */

/* The arguments. */
static int read_names(struct job *j)
{
	const struct opts *o = j->o;
	j->sender = "";
	if (o->has_sender && !sender_parse(j->pool, o->sender, &j->sender, &j->sender_name))
		return complain(EX_USAGE, "%s: not an address", o->sender);
	for (size_t i = 0; o->to[i]; i++)
		rcpts_add(&j->rcpts, slice_of(o->to[i]));
	if (j->rcpts.bad)
		return complain(EX_DATAERR, "%s", j->rcpts.bad);
	if (!j->rcpts.n && !o->extract)
		return complain(EX_USAGE, "no recipients: give their addresses, or -t");
	return EX_OK;
}

static int read_message(struct job *j)
{
	text_init(&j->text, j->o->ignore_dots);
	if (!text_read(&j->text, STDIN_FILENO))
		return errno ? complain(EX_IOERR, "standard input: %s", strerror(errno))
			     : complain(EX_UNAVAILABLE, "the message is too large");
	struct head_ask ask = {
	    .text = buf_slice(&j->text.out), .extract = j->o->extract, .rcpts = &j->rcpts};
	head_read(&ask, &j->head);
	if (j->rcpts.bad)
		return complain(EX_DATAERR, "%s", j->rcpts.bad);
	if (!j->rcpts.n)
		return complain(EX_USAGE, "no recipients in the header");
	return EX_OK;
}

/* The user's full name, as passwd(5) has it; "&" stands for the login name. NULL: none. */
static const char *full_name(struct pool *pool)
{
	const struct passwd *pw = getpwuid(getuid());
	struct buf out = {0};
	if (!pw || !pw->pw_gecos)
		return NULL;
	for (const char *p = pw->pw_gecos; *p && *p != ','; p++)
		if (*p == '&')
			buf_adds(&out, pw->pw_name);
		else
			buf_addc(&out, *p);
	const char *name = out.len ? pool_strndup(pool, out.p, out.len) : NULL;
	buf_free(&out);
	return name;
}

static void write_header(struct job *j)
{
	char date[40];
	const char *self = client_self(j->c);
	struct slice local, domain;
	addr_split((struct slice){self, strlen(self)}, &local, &domain);
	clock_rfc5322(date, sizeof(date), clock_ms());
	struct head_write w = {.text = buf_slice(&j->text.out),
			       .domain = domain.p,
			       .from = *j->sender ? qualified(j->pool, j->sender, domain.p) : self,
			       .name = j->o->name ? j->o->name : j->sender_name,
			       .date = date};
	if (!w.name && strcmp(w.from, self) == 0)
		w.name = full_name(j->pool);
	head_write(j->pool, &j->head, &w, &j->header);
}

/* --- the transaction ---------------------------------------------------------------------------
 */

static bool needs_utf8(const struct job *j)
{
	bool ascii = str_ascii(slice_of(j->sender));
	for (size_t i = 0; i < j->rcpts.n; i++)
		ascii = ascii && str_ascii(slice_of(j->rcpts.addr[i]));
	return !ascii;
}

static int send_sender(struct job *j)
{
	const struct opts *o = j->o;
	const char *from = o->has_sender ? j->sender : client_self(j->c);
	size_t body = j->text.out.len - j->head.body;
	struct buf args = {0};
	buf_printf(&args, "SIZE=%zu", j->header.len + body);
	if (o->eight || j->text.eight)
		buf_adds(&args, " BODY=8BITMIME");
	if (needs_utf8(j))
		buf_adds(&args, " SMTPUTF8");
	if (o->ret)
		buf_printf(&args, " RET=%s", o->ret);
	if (o->envid)
		buf_printf(&args, " ENVID=%s", o->envid);
	unsigned code = client_ask(j->c, "MAIL FROM:<%s> %s", from, buf_cstr(&args));
	buf_free(&args);
	return code == 250 ? EX_OK : refused(j, from, code);
}

/* Asks about all of them, so that all mistakes are told. A final refusal outweighs one for now. */
static int send_rcpts(struct job *j)
{
	int bad = EX_OK;
	for (size_t i = 0; i < j->rcpts.n; i++) {
		const char *to = j->rcpts.addr[i], *notify = j->o->notify;
		unsigned code = client_ask(j->c, "RCPT TO:<%s>%s%s", to, notify ? " NOTIFY=" : "",
					   notify ? notify : "");
		if (code == 250)
			continue;
		int e = refused(j, to, code);
		bad = bad == EX_OK || bad == EX_TEMPFAIL ? e : bad;
		if (code == 0 || code == 421)
			break;
	}
	return bad;
}

/* BDAT (RFC 3030): the octets as they are. */
static int send_message(struct job *j)
{
	struct slice text = buf_slice(&j->text.out);
	struct slice body = {text.p + j->head.body, text.len - j->head.body};
	struct buf command = {0};
	if (j->o->verbose)
		printf(">>> BDAT %zu LAST\n", j->header.len + body.len);
	buf_printf(&command, "BDAT %zu LAST\r\n", j->header.len + body.len);
	if (client_send(j->c, buf_slice(&command)) && client_send(j->c, buf_slice(&j->header)))
		client_send(j->c, body);
	buf_free(&command);
	unsigned code = client_reply(j->c);
	return code == 250 ? EX_OK : refused(j, "the message", code);
}

static int transact(struct job *j)
{
	write_header(j);
	int e = send_sender(j);
	if (e == EX_OK)
		e = send_rcpts(j);
	if (e == EX_OK)
		e = send_message(j);
	client_ask(j->c, "QUIT");
	return e;
}

static void job_end(struct job *j)
{
	client_close(&j->c);
	buf_free(&j->text.out);
	buf_free(&j->header);
	rcpts_free(&j->rcpts);
}

int deliver(struct pool *pool, const struct opts *o, const char *socket)
{
	struct job j = {.pool = pool, .o = o};
	rcpts_init(&j.rcpts, pool);
	int e = read_names(&j);
	if (e == EX_OK)
		e = read_message(&j);
	if (e == EX_OK)
		e = connect_to(&j, socket);
	if (e == EX_OK)
		e = transact(&j);
	job_end(&j);
	return e;
}

int verify(struct pool *pool, const struct opts *o, const char *socket)
{
	struct job j = {.pool = pool, .o = o};
	rcpts_init(&j.rcpts, pool);
	int e = read_names(&j);
	if (e == EX_OK)
		e = connect_to(&j, socket);
	const char *from = e == EX_OK && !o->has_sender ? client_self(j.c) : j.sender;
	unsigned code = e == EX_OK ? client_ask(j.c, "MAIL FROM:<%s>%s", from,
						needs_utf8(&j) ? " SMTPUTF8" : "")
				   : 0;
	if (e == EX_OK && code != 250)
		e = refused(&j, from, code);
	for (size_t i = 0; e == EX_OK && i < j.rcpts.n; i++) {
		const char *to = j.rcpts.addr[i];
		code = client_ask(j.c, "RCPT TO:<%s>", to);
		printf("%s ... %s\n", to, code == 250 ? "deliverable" : client_text(j.c));
		if (code != 250)
			e = code_of(code, client_text(j.c));
	}
	job_end(&j);
	return e;
}

/* --- -bs -----------------------------------------------------------------------------------------
 */

static bool copy(int from, int to)
{
	char piece[65536];
	ssize_t n = read(from, piece, sizeof(piece));
	for (ssize_t at = 0; at < n;) {
		ssize_t w = write(to, piece + at, (size_t)(n - at));
		if (w < 0 && errno != EINTR)
			return false;
		at += w > 0 ? w : 0;
	}
	return n > 0 || (n < 0 && errno == EINTR);
}

int relay_smtp(const char *path)
{
	struct client *c = client_open(path, false);
	if (!c) {
		printf("421 4.3.0 hamlet is not there, try again later\r\n");
		return complain(EX_TEMPFAIL, "%s: %s", path, strerror(errno));
	}
	struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
			      {.fd = client_fd(c), .events = POLLIN}};
	bool up = true;
	while (up && (poll(p, 2, -1) >= 0 || errno == EINTR)) {
		if (p[0].revents && !copy(STDIN_FILENO, p[1].fd)) {
			shutdown(p[1].fd, SHUT_WR);
			p[0] = (struct pollfd){.fd = -1};
		}
		if (p[1].revents)
			up = copy(p[1].fd, STDOUT_FILENO);
	}
	client_close(&c);
	return EX_OK;
}
