/* smtpd_out_peer: a server that follows a script, at the other end of a socket pair in the same
 * loop, and a client that sends the mails of a test one after the other and notes what it is told.
 */
#ifndef T_SMTPD_OUT_PEER_H
#define T_SMTPD_OUT_PEER_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"
#include "smtpd/out.h"

enum act_kind {
	END,   /* silence from here on */
	C,     /* the client says just this; what differs fails the test */
	S,     /* the server says this */
	DRIP,  /* ... an octet each 100 ms */
	FLOOD, /* ... again and again for ever */
	TLS,   /* server_ctx from here on */
	DEAF,  /* reads nothing more */
	LINE,  /* the client says any line */
	HOOK,  /* peer_hook(), until it returns true */
	CLOSE,
};
struct act {
	enum act_kind kind;
	const char *text;
};

struct peer_end {
	struct stream *s;
	const struct act *act;
	size_t at; /* of a DRIP */
	struct buf in;
	struct timer timer;
	bool closed, moving;
};

enum { SEEN_MAX = 16 };
struct seen { /* by the client */
	struct out *o;
	const struct out_mail *mail;
	size_t mails, sent;
	int ready, done, ends;
	struct out_verdict v[SEEN_MAX]; /* of all transactions, their texts in pool */
	size_t n;
	struct out_end end;
	bool close_in_mail; /* out_close() 300 ms after a transaction began */
	struct timer closer;
	struct pool *pool;
};

static struct peer_end peer;
static struct seen seen;
static struct tls_ctx *server_ctx;
static struct timer guard;
static bool guard_hit;
static bool (*peer_hook)(void);

static void peer_move(void);

static void peer_tick(struct timer *t)
{
	(void)t;
	peer_move();
}

/* False: the act is not done yet. */
static bool peer_act(const struct act *a)
{
	const char *text = a->text ? a->text : "";
	size_t len = strlen(text);
	switch (a->kind) {
	case C:
		if (peer.in.len && memcmp(peer.in.p, text, peer.in.len < len ? peer.in.len : len))
			fail_msg("client said \"%s\", not \"%s\"", buf_cstr(&peer.in), text);
		if (peer.in.len < len)
			return false;
		buf_drop(&peer.in, len);
		return true;
	case S:
		stream_writes(peer.s, text);
		return true;
	case DRIP:
		if (len == 0)
			return true;
		stream_write(peer.s, text + peer.at, 1);
		peer.at = (peer.at + 1) % len;
		if (peer.at)
			timer_set(&peer.timer, 100, peer_tick);
		return peer.at == 0;
	case FLOOD:
		for (int i = 0; i < 100000 && stream_writes(peer.s, text); i++)
			;
		return false;
	case TLS:
		stream_starttls(peer.s, server_ctx, NULL, false);
		return true;
	case DEAF:
		stream_pause(peer.s);
		return true;
	case LINE: {
		const char *lf = peer.in.len ? memchr(peer.in.p, '\n', peer.in.len) : NULL;
		if (lf)
			buf_drop(&peer.in, (size_t)(lf - peer.in.p) + 1);
		return lf != NULL;
	}
	case HOOK:
		return peer_hook && peer_hook();
	case CLOSE:
		stream_close(peer.s);
		return true;
	default:
		return false;
	}
}

static void peer_move(void)
{
	if (peer.moving)
		return;
	peer.moving = true;
	while (!timer_is_set(&peer.timer) && peer.act->kind != END && peer_act(peer.act))
		peer.act++;
	peer.moving = false;
}

static void peer_data(struct stream *s, void *arg)
{
	struct slice in = stream_data(s);
	(void)arg;
	buf_add(&peer.in, in.p, in.len);
	stream_consume(s, in.len);
	peer_move();
}
static void peer_over(struct stream *s, void *arg, enum stream_end why)
{
	(void)arg;
	(void)why;
	stream_close(s);
}
static void peer_ready(struct stream *s, void *arg)
{
	(void)s;
	(void)arg;
	peer_move();
}
static void peer_closed(void *arg)
{
	(void)arg;
	peer.closed = true;
	timer_clear(&peer.timer);
}
static const struct stream_ops PEER_OPS = {peer_data, peer_over, peer_ready, peer_ready,
					   peer_closed};

static void client_closer(struct timer *t)
{
	(void)t;
	out_close(seen.o);
	seen.o = NULL;
}

static void client_next(struct out *o)
{
	if (seen.sent < seen.mails && out_usable(o)) {
		assert_true(out_send(o, &seen.mail[seen.sent++]));
		assert_false(out_usable(o));
		if (seen.close_in_mail)
			timer_set(&seen.closer, 300, client_closer);
	} else if (out_usable(o)) {
		seen.o = NULL;
		out_close(o);
	}
}

static void client_ready(struct out *o, void *arg)
{
	(void)arg;
	seen.ready++;
	client_next(o);
}

static struct out_verdict kept(const struct out_verdict *v)
{
	struct out_verdict copy = *v;
	copy.text = pool_strdup(seen.pool, v->text);
	copy.host = pool_strdup(seen.pool, v->host);
	return copy;
}

static void client_done(struct out *o, void *arg, const struct out_verdict *v, size_t n)
{
	(void)arg;
	seen.done++;
	for (size_t i = 0; i < n && seen.n < SEEN_MAX; i++)
		seen.v[seen.n++] = kept(&v[i]);
	client_next(o);
}

static void client_end(struct out *o, void *arg, const struct out_end *end)
{
	(void)o;
	(void)arg;
	seen.ends++;
	seen.end = *end;
	seen.end.verdict = kept(&end->verdict);
	seen.o = NULL;
}
static const struct out_ops CLIENT_OPS = {client_ready, client_done, client_end};

static void on_guard(struct timer *t)
{
	(void)t;
	guard_hit = true;
}

/* Plays the mails against the script until both ends are closed. */
static void play(const struct out_options *opt, const struct out_mail *mail, size_t mails,
		 const struct act *script, bool close_in_mail)
{
	int fd[2];
	pool_free(&seen.pool);
	memset(&seen, 0, sizeof(seen));
	seen.pool = pool_new(0);
	seen.mail = mail;
	seen.mails = mails;
	seen.close_in_mail = close_in_mail;
	memset(&peer, 0, sizeof(peer));
	peer.act = script;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	peer.s = stream_new(fd[1], NULL, &PEER_OPS, NULL);
	seen.o = out_open(fd[0], opt, &CLIENT_OPS, NULL);
	assert_non_null(seen.o);
	guard_hit = false;
	timer_set(&guard, 30000, on_guard);
	peer_move();
	while (!guard_hit && (seen.o || !peer.closed)) {
		uv_run(loop_get(), UV_RUN_ONCE);
		if (!seen.o && !peer.closed)
			stream_resume(peer.s); /* a deaf one is to see the end */
	}
	timer_clear(&guard);
	for (int i = 0; i < 20; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	assert_false(guard_hit);
	buf_free(&peer.in);
}

#define PLAY(opt, mails, ...)                                    \
	play((opt), (mails), sizeof(mails) / sizeof((mails)[0]), \
	     (const struct act[]){__VA_ARGS__, {END, NULL}}, false)

static inline int seen_free(void **state)
{
	(void)state;
	pool_free(&seen.pool);
	return 0;
}

static inline void assert_verdict(size_t i, enum out_state st, unsigned code, const char *status)
{
	assert_true(i < seen.n);
	assert_int_equal(seen.v[i].state, st);
	assert_int_equal(seen.v[i].code, code);
	assert_string_equal(seen.v[i].status, status);
	assert_string_equal(seen.v[i].host, "mx.b.test");
	assert_non_null(seen.v[i].at);
	assert_true(str_utf8(slice_of(seen.v[i].text)));
}

/* The client was told that the connection is over, once and last. */
static inline void assert_end(enum out_why why)
{
	assert_int_equal(seen.ends, 1);
	assert_int_equal(seen.end.why, why);
}

#define MAIL_TO(content, ...)                                                                      \
	{                                                                                          \
		.sender = SLICE("a@a.test"),                                                       \
		.body = &(                                                                         \
		    struct body){.bytes = SLICE(content), .fd = -1, .size = sizeof(content) - 1},  \
		.rcpt = (const struct out_rcpt[]){__VA_ARGS__},                                    \
		.rcpt_n = sizeof((const struct out_rcpt[]){__VA_ARGS__}) / sizeof(struct out_rcpt) \
	}
#define RCPT(text)                  \
	{                           \
		.addr = SLICE(text) \
	}
#endif
