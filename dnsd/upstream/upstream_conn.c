/* Connections to servers, by TCP and TLS: one a server, on which several questions are asked
 * (RFC 7766), kept a while when there is none. */
#include <errno.h>
#include <stdlib.h>
#include "dnsd/upstream/upstream_int.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"
#include "libcommon/net/stream.h"

enum {
	ASKS_MOST = 64,  /* questions at a time on one */
	KEPT_MOST = 256, /* connections without questions */
	IDLE_MS = 5000,
	KEY_MOST = SERVER_KEY + DNS_NAME_TEXT,
};

struct conn {
	struct list link; /* of all */
	struct stream *stream;
	struct list asks; /* struct upstream */
	unsigned n, owed; /* owed: answers that nobody waits for any longer */
	uint64_t answered;
	struct timer idle;
	bool up, listed, over; /* up: questions may be written; listed: more may be asked */
	size_t key_len;
	uint8_t key[];
};

static struct list conns;
static unsigned conns_n;
static struct map *by_key;
static struct tls_ctx *tls;

static size_t make_key(const struct upstream *x, uint8_t key[KEY_MOST])
{
	size_t n = server_key((const struct sockaddr *)&x->to, key);
	size_t len = x->tls ? strnlen(x->tls, DNS_NAME_TEXT - 1) + 1 : 0;
	if (len)
		memcpy(key + n, x->tls, len);
	return n + len;
}

/* Nobody else is to ask by it. */
static void unlist(struct conn *c)
{
	if (c->listed)
		map_del(by_key, c->key, c->key_len);
	c->listed = false;
}

static void conn_close(struct conn *c)
{
	if (c->over)
		return;
	c->over = true;
	unlist(c);
	timer_clear(&c->idle);
	list_del(&c->link);
	conns_n--;
	stream_close(c->stream);
}

static void on_close(void *arg)
{
	free(arg);
}

static void on_idle(struct timer *t)
{
	conn_close(list_entry(t, struct conn, idle));
}

static void write_query(struct conn *c, const struct upstream *x)
{
	uint8_t q[2 + QUERY_MOST];
	size_t n = upstream_query(q + 2, &x->asked);
	q[0] = (uint8_t)(n >> 8);
	q[1] = (uint8_t)n;
	stream_write(c->stream, q, n + 2);
}

static struct upstream *with_id(const struct conn *c, uint16_t id)
{
	list_each(it, &c->asks)
	{
		struct upstream *x = list_entry(it, struct upstream, ask);
		if (x->asked.id == id)
			return x;
	}
	return NULL;
}

static void leave(struct upstream *x)
{
	struct conn *c = x->conn;
	x->conn = NULL;
	list_del(&x->ask);
	c->n--;
	if (!c->n && !c->over)
		timer_set(&c->idle, c->listed && conns_n <= KEPT_MOST ? IDLE_MS : 0, on_idle);
}

void conns_leave(struct upstream *x, bool slow)
{
	struct conn *c = x->conn;
	c->owed++;
	if (slow)
		unlist(c);
	leave(x);
}

/* All that wait for it are told, or ask by another one: a server may close a connection that has
 * been idle at the moment when a question comes. */
static void conn_lost(struct conn *c, enum upstream_outcome outcome, const char *why)
{
	struct list asks, *e;
	list_init(&asks);
	while ((e = list_pop(&c->asks))) {
		list_entry(e, struct upstream, ask)->conn = NULL;
		list_add_tail(&asks, e);
	}
	bool again = c->answered > 0;
	c->n = 0;
	conn_close(c);
	while ((e = list_pop(&asks))) { /* what is cancelled meanwhile takes itself off */
		struct upstream *x = list_entry(e, struct upstream, ask);
		if (again && !x->reconnected && outcome == UPSTREAM_UNREACHABLE) {
			x->reconnected = true;
			if (conns_ask(x))
				continue;
		}
		upstream_fail(x, outcome, why);
	}
}

static void take(struct conn *c, const uint8_t *msg, size_t len)
{
	struct upstream *x = len >= 2 ? with_id(c, dns_u16(msg)) : NULL;
	if (x) {
		c->answered++;
		leave(x);
		upstream_take(x, msg, len);
	} else if (c->owed) {
		c->owed--;
	} else {
		conn_lost(c, UPSTREAM_BAD, "its messages answer no question");
	}
}

static void on_data(struct stream *s, void *arg)
{
	static uint8_t msg[DNS_MSG_MAX];
	struct conn *c = arg;
	for (;;) {
		struct slice d = stream_data(s);
		size_t len = d.len < 2 ? 0 : dns_u16((const uint8_t *)d.p);
		if (d.len < 2 || d.len - 2 < len)
			return;
		/* What is done with it may write to the stream, or close it. */
		memcpy(msg, d.p + 2, len);
		stream_consume(s, len + 2);
		take(c, msg, len);
		if (c->over)
			return;
	}
}

static void on_end(struct stream *s, void *arg, enum stream_end why)
{
	struct conn *c = arg;
	/* It is ~0 until a certificate has been looked at. */
	unsigned cert = why == STREAM_TLS_FAIL && stream_tls(s)
			    ? gnutls_session_get_verify_cert_status(stream_tls(s))
			    : 0;
	bool untrusted = cert != 0 && cert != ~0u;
	conn_lost(c, untrusted ? UPSTREAM_UNTRUSTED : UPSTREAM_UNREACHABLE, stream_why(s));
}

static void on_tls(struct stream *s, void *arg)
{
	(void)s;
	struct conn *c = arg;
	c->up = true;
	list_each(it, &c->asks) write_query(c, list_entry(it, struct upstream, ask));
}

static struct conn *conn_new(const struct upstream *x, const uint8_t *key, size_t key_len)
{
	static const struct stream_ops ops = {
	    .on_data = on_data, .on_end = on_end, .on_tls = on_tls, .on_close = on_close};
	static const struct stream_conf conf = {.read_max = 2 + DNS_MSG_MAX};
	const struct sockaddr *to = (const struct sockaddr *)&x->to;
	const struct sockaddr *from =
	    to->sa_family == AF_INET6 ? upstream_conf.source6 : upstream_conf.source4;
	if (x->tls && !tls) {
		errno = ENOTSUP; /* nobody said whom to trust */
		return NULL;
	}
	struct conn *c = mem_alloc(sizeof(*c) + key_len);
	c->stream = stream_connect(to, upstream_addr_len(to), from,
				   from ? upstream_addr_len(from) : 0, &conf, &ops, c);
	if (!c->stream) {
		free(c);
		return NULL;
	}
	list_init(&c->asks);
	list_add_tail(&conns, &c->link);
	conns_n++;
	memcpy(c->key, key, key_len);
	c->key_len = key_len;
	c->up = !x->tls;
	if (x->tls)
		stream_starttls(c->stream, tls, x->tls, true);
	return c;
}

bool conns_ask(struct upstream *x)
{
	uint8_t key[KEY_MOST];
	size_t n = make_key(x, key);
	struct conn *c = map_get(by_key, key, n);
	if (c && c->n >= ASKS_MOST) {
		unlist(c);
		c = NULL;
	}
	if (!c) {
		c = conn_new(x, key, n);
		if (!c)
			return false;
		c->listed = true;
		map_set(by_key, key, n, c);
	}
	timer_clear(&c->idle);
	do
		upstream_random(&x->asked.id, sizeof(x->asked.id));
	while (with_id(c, x->asked.id));
	list_add_tail(&c->asks, &x->ask);
	c->n++;
	x->conn = c;
	x->warm = c->answered > 0;
	if (c->up)
		write_query(c, x);
	return true;
}

void conns_start(void)
{
	list_init(&conns);
	by_key = map_new();
}

void conns_stop(void)
{
	while (!list_empty(&conns))
		conn_close(list_entry(conns.next, struct conn, link));
	map_free(&by_key);
}

void upstream_trust(const char *ca_file)
{
	static const char *const alpn[] = {"dot", NULL};
	tls_ctx_free(&tls);
	tls = tls_client_ctx(ca_file, alpn);
}
