/* A connection to a server: its life, and its setup: greeting, EHLO, STARTTLS, EHLO again, AUTH.
 * `step` says which reply is awaited; each has its time from the moment when the one before it was
 * complete, so that neither silence nor a trickle lasts. The struct lives until the stream is
 * closed and no deferred call or job is under way; `gone` means that the caller is to hear nothing
 * more. */
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/mem.h"
#include "smtpd/out_int.h"

enum { BYE_MS = 5000 };

void out_hold(struct out *o)
{
	o->refs++;
}

void out_drop(struct out *o)
{
	if (--o->refs)
		return;
	out_reply_free(&o->reply);
	pool_free(&o->pool);
	free(o);
}

/* --- the end ------------------------------------------------------------------------------- */

struct out_verdict out_verdict_own(struct out *o, enum out_state state, const char *status,
				   const char *text)
{
	struct out_verdict v = {
	    .state = state, .at = out_step_name(o->step), .text = text, .host = o->opt.host};
	str_fmt(v.status, sizeof(v.status), "%s", status);
	return v;
}

struct out_verdict out_verdict_of(struct out *o, struct pool *pool)
{
	enum { KEEP = 1000 }; /* octets of text, for each recipient of perhaps many */
	struct slice text = buf_slice(&o->reply.text);
	unsigned class = o->reply.code / 100;
	struct out_verdict v = {.state = class == 2   ? OUT_DELIVERED
					 : class == 5 ? OUT_PERM
						      : OUT_TEMP,
				.code = o->reply.code,
				.dsn = (o->caps.flags & OUT_CAP_DSN) != 0,
				.at = out_step_name(o->step),
				.host = o->opt.host};
	if (text.len > KEEP)
		for (text.len = KEEP; text.len && (text.p[text.len] & 0xc0) == 0x80;)
			text.len--; /* not inside a character */
	v.text = pool_strndup(pool, text.len ? text.p : "", text.len);
	out_reply_status(&o->reply, v.status);
	return v;
}

/* Nothing is awaited any more. QUIT is said where the server can still hear it. */
static void hang_up(struct out *o, bool quit)
{
	o->over = true;
	timer_clear(&o->timer);
	timer_clear(&o->total);
	out_auth_free(o);
	if (quit) {
		stream_writes(o->stream, "QUIT\r\n");
		stream_finish(o->stream, BYE_MS);
	} else {
		stream_close(o->stream);
	}
}

void out_over(struct out *o, enum out_why why, const struct out_verdict *v)
{
	struct out_end end = {.why = why,
			      .try_plain = why == OUT_BAD_TLS && o->opt.tls == OUT_TLS_MAY,
			      .verdict = *v};
	bool quit = why == OUT_FULL || why == OUT_REFUSED || why == OUT_NO_TLS ||
		    why == OUT_NO_AUTH || (why == OUT_BAD_TLS && v->code);
	if (o->over)
		return;
	if (o->txn && o->txn->end_sent && stream_queued(o->stream) == 0)
		end.verdict.maybe = v->state == OUT_LOST;
	out_hold(o);
	hang_up(o, quit);
	out_mail_lost(o, &end.verdict);
	if (!o->gone) {
		o->gone = true;
		o->ops->on_end(o, o->arg, &end);
	}
	out_drop(o);
}

void out_over_reply(struct out *o, enum out_why why)
{
	struct out_verdict v = out_verdict_of(o, o->pool);
	if (v.state ==
	    OUT_DELIVERED) /* a good reply where it cannot be: not what we can go on with */
		v.state = OUT_TEMP;
	out_over(o, v.code == 421 ? OUT_CLOSED : why, &v);
}

void out_over_text(struct out *o, enum out_why why, const char *status, const char *text)
{
	struct out_verdict v = out_verdict_own(o, OUT_LOST, status, text);
	out_over(o, why, &v);
}

void out_close(struct out *o)
{
	if (o->gone)
		return;
	o->gone = true;
	if (!o->over)
		hang_up(o, o->step == OUT_READY);
	out_mail_free(o);
}

/* --- time ---------------------------------------------------------------------------------- */

static void on_late(struct out *o, const char *what)
{
	if (o->step == OUT_HANDSHAKE)
		out_over_text(o, OUT_BAD_TLS, "4.7.5", "the TLS handshake took too long");
	else
		out_over_text(o, OUT_GONE, "4.4.2", what);
}

static void on_timer(struct timer *t)
{
	struct out *o = list_entry(t, struct out, timer);
	on_late(o,
		o->step == OUT_BODY ? "the server does not take the message" : "no answer in time");
}

static void on_total(struct timer *t)
{
	on_late(list_entry(t, struct out, total), "the server is too slow");
}

void out_wait(struct out *o, enum out_step step, uint64_t ms)
{
	o->step = step;
	timer_set(&o->timer, ms, on_timer);
}

void out_total(struct out *o, uint64_t ms)
{
	timer_set(&o->total, ms, on_total);
}

void out_command(struct out *o, const char *fmt, ...)
{
	struct buf b = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	buf_adds(&b, "\r\n");
	o->said = true;
	stream_write(o->stream, b.p, b.len);
	if (b.p)
		explicit_bzero(b.p, b.cap); /* AUTH comes this way */
	buf_free(&b);
}

/* --- setup --------------------------------------------------------------------------------- */

static void say_hello(struct out *o)
{
	out_command(o, "%s %s", o->opt.lmtp ? "LHLO" : "EHLO", o->opt.helo);
	out_wait(o, OUT_EHLO, o->opt.times.hello);
}

void out_ready(struct out *o)
{
	timer_clear(&o->timer);
	timer_clear(&o->total);
	o->step = OUT_READY;
	o->ops->on_ready(o, o->arg);
}

static void handshake(struct out *o)
{
	/* The stream has a time of its own for handshakes; ours bounds the flush before it, too. */
	out_wait(o, OUT_HANDSHAKE, o->opt.times.hello);
	stream_starttls(o->stream, o->opt.ctx, o->opt.name, o->opt.tls == OUT_TLS_VERIFY);
}

/* EHLO or HELO succeeded. */
static void hello_done(struct out *o)
{
	bool tls = stream_tls(o->stream) != NULL;
	if (!tls && o->opt.tls != OUT_TLS_NONE && (o->caps.flags & OUT_CAP_STARTTLS)) {
		out_command(o, "STARTTLS");
		out_wait(o, OUT_STARTTLS, o->opt.times.hello);
	} else if (!tls && o->opt.tls > OUT_TLS_MAY) {
		struct out_verdict v =
		    out_verdict_own(o, OUT_TEMP, "4.7.4", "TLS is required, but not offered");
		out_over(o, OUT_NO_TLS, &v);
	} else if (o->opt.user) {
		out_auth_start(o);
	} else {
		out_ready(o);
	}
}

static void hello_reply(struct out *o, unsigned class)
{
	bool ehlo = o->step == OUT_EHLO;
	if (class == 2) {
		o->caps = (struct out_caps){0};
		if (ehlo)
			out_caps_read(buf_slice(&o->reply.text), &o->caps);
		hello_done(o);
	} else if (class == 5 && ehlo && !o->opt.lmtp) {
		out_command(o, "HELO %s", o->opt.helo);
		out_wait(o, OUT_HELO, o->opt.times.hello);
	} else {
		out_over_reply(o, OUT_REFUSED);
	}
}

static void setup_reply(struct out *o)
{
	unsigned class = o->reply.code / 100;
	switch (o->step) {
	case OUT_GREETING:
		o->greeted = true;
		if (class == 2)
			say_hello(o);
		else
			out_over_reply(o, OUT_REFUSED);
		break;
	case OUT_EHLO:
	case OUT_HELO:
		hello_reply(o, class);
		break;
	case OUT_STARTTLS:
		if (class == 2)
			handshake(o);
		else
			out_over_reply(o, OUT_BAD_TLS);
		break;
	case OUT_AUTH:
		out_auth_reply(o);
		break;
	default: /* OUT_READY: nobody has asked; it closes, or is not to be trusted */
		out_over_reply(o, o->reply.code == 421 ? OUT_CLOSED : OUT_GARBAGE);
	}
}

/* --- the stream ---------------------------------------------------------------------------- */

/* A server that is out of step, by a reply too many perhaps: what it says next would be taken for
 * the answer to another command, in the end for that to the content. 421 may come at any time. */
static void check_step(struct out *o)
{
	struct slice rest = stream_data(o->stream);
	if (o->over || !o->said || o->step == OUT_HANDSHAKE || rest.len == 0 ||
	    slice_starts(rest, "421"))
		return;
	if (o->step >= OUT_BODY && (rest.p[0] == '4' || rest.p[0] == '5'))
		return; /* it does not want to read the content */
	out_over_text(o, OUT_GARBAGE, "4.5.0", "a reply that came before its command");
}

static void on_data(struct stream *s, void *arg)
{
	struct out *o = arg;
	out_hold(o);
	while (!o->over && o->step != OUT_HANDSHAKE) {
		struct slice in = stream_data(s);
		size_t used;
		if (in.len == 0)
			break;
		enum out_reply_result r = out_reply_feed(&o->reply, in, &used);
		stream_consume(s, used);
		if (r == OUT_REPLY_MORE)
			continue;
		o->said = false;
		if (r == OUT_REPLY_BAD)
			out_over_text(o, OUT_GARBAGE, "4.5.0", o->reply.why);
		else if (o->step < OUT_RSET)
			setup_reply(o);
		else
			out_mail_reply(o);
		out_reply_clear(&o->reply);
		check_step(o);
	}
	out_drop(o);
}

static void on_end(struct stream *s, void *arg, enum stream_end why)
{
	struct out *o = arg;
	const char *text = stream_why(s);
	if (o->step == OUT_HANDSHAKE)
		out_over_text(o, OUT_BAD_TLS, "4.7.5", text);
	else if (o->step == OUT_READY)
		out_over_text(o, OUT_CLOSED, "4.4.2", text);
	else
		out_over_text(o, OUT_GONE, "4.4.2", text);
	(void)why;
}

static void on_drain(struct stream *s, void *arg)
{
	struct out *o = arg;
	(void)s;
	if (!o->over && o->step == OUT_BODY)
		out_mail_drain(o);
}

static void on_tls(struct stream *s, void *arg)
{
	struct out *o = arg;
	(void)s;
	if (o->over)
		return;
	if (o->greeted)
		say_hello(o);
	else
		out_wait(o, OUT_GREETING, o->opt.times.greeting);
}

static void on_close(void *arg)
{
	out_drop(arg);
}

static const struct stream_ops STREAM_OPS = {on_data, on_end, on_drain, on_tls, on_close};

struct out *out_open(int fd, const struct out_options *opt, const struct out_ops *ops, void *arg)
{
	struct out *o = mem_alloc(sizeof(*o));
	*o = (struct out){.ops = ops, .arg = arg, .refs = 1, .opt = *opt, .pool = pool_new(0)};
	struct out_options *c = &o->opt;
	c->host = pool_strdup(o->pool, opt->host);
	c->name = pool_strdup(o->pool, opt->name ? opt->name : opt->host);
	c->helo = pool_strdup(o->pool, opt->helo);
	c->user = opt->user ? pool_strdup(o->pool, opt->user) : NULL;
	c->password = pool_strdup(o->pool, opt->password ? opt->password : "");
	out_times_default(&c->times);
	o->stream = stream_new(fd, NULL, &STREAM_OPS, o);
	if (!o->stream) {
		close(fd);
		out_drop(o);
		return NULL;
	}
	out_total(o, c->times.setup);
	if (c->tls_now)
		handshake(o);
	else
		out_wait(o, OUT_GREETING, c->times.greeting);
	return o;
}

bool out_usable(const struct out *o)
{
	return !o->over && !o->gone && o->step == OUT_READY && !o->txn &&
	       (!o->caps.mail_max || o->mails < o->caps.mail_max);
}

const struct out_caps *out_caps(const struct out *o)
{
	return &o->caps;
}

const char *out_address(const struct out *o)
{
	return stream_peer_ip(o->stream);
}

gnutls_session_t out_session(const struct out *o)
{
	return stream_tls(o->stream);
}
