/* One question and the servers: which is asked, how long, by what, and what its reply means. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/stub_int.h"
#include "libcommon/net/stream.h"

enum {
	PORT_MIN = 1024,
	PORT_TRIES = 8,      /* random ports that may be taken */
	DATAGRAM_MAX = 4096, /* more than we say that we take */
	WRONG_AT_ONCE = 32,  /* datagrams looked at before others have their turn */
	PLAIN_MS = 600000,   /* a server that refused EDNS is asked without it for so long */
};

struct udp {
	uv_poll_t poll;
	int fd;
	struct question *q; /* NULL: closing */
};

struct tcp {
	struct stream *stream;
	struct question *q; /* NULL: closing */
	struct buf in;
};

static void udp_closed(uv_handle_t *h)
{
	free(h->data);
}

static void tcp_closed(void *arg)
{
	struct tcp *t = arg;
	buf_free(&t->in);
	free(t);
}

void stub_try_stop(struct question *q)
{
	struct udp *u = q->udp;
	struct tcp *t = q->tcp;
	timer_clear(&q->try);
	q->udp = NULL;
	q->tcp = NULL;
	if (u) {
		u->q = NULL;
		uv_close((uv_handle_t *)&u->poll, udp_closed);
		close(u->fd);
	}
	if (t) {
		t->q = NULL;
		stream_close(t->stream);
	}
}

/* A port that nobody guesses; without one the kernel chooses. */
static void bind_random(int fd, sa_family_t family)
{
	struct sockaddr_storage any = {.ss_family = family};
	for (int i = 0; i < PORT_TRIES; i++) {
		uint32_t r;
		id_random(&r, sizeof(r));
		in_port_t port = htons((uint16_t)(PORT_MIN + r % (65536 - PORT_MIN)));
		if (family == AF_INET6)
			((struct sockaddr_in6 *)&any)->sin6_port = port;
		else
			((struct sockaddr_in *)&any)->sin_port = port;
		if (bind(fd, (struct sockaddr *)&any, stub_addr_len(&any)) == 0)
			return;
	}
}

/* -1: this server cannot be reached. */
static int udp_socket(const struct server *v)
{
	int fd = socket(v->addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	bind_random(fd, v->addr.ss_family);
	/* Connected: the kernel drops what comes from elsewhere and tells of a closed port. */
	if (connect(fd, (const struct sockaddr *)&v->addr, stub_addr_len(&v->addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

static size_t make_query(struct question *q, uint8_t out[DNS_QUERY_MAX])
{
	id_random(&q->id, sizeof(q->id));
	struct dns_query d = {
	    .id = q->id,
	    .type = q->type,
	    .flags = DNS_RD | DNS_AD, /* tell us whether it is authenticated: RFC 6840 5.7 */
	    .edns_size = q->edns ? DNS_EDNS_SIZE : 0,
	    .dnssec_ok = q->stub->conf.dnssec_ok,
	};
	q->sent_at = clock_mono();
	return dns_query(out, q->at.name, &d);
}

static void timed_out(struct timer *t)
{
	struct question *q = list_entry(t, struct question, try);
	uint32_t ms = q->stub->conf.timeout_ms * (q->round + 1);
	q->stub->stats.timeouts++;
	stub_server_bad(q->server, ms);
	stub_try_next(q);
}

static void wait_for_reply(struct question *q)
{
	timer_set(&q->try, (uint64_t)q->stub->conf.timeout_ms * (q->round + 1), timed_out);
}

/* The server is of no use for this question. */
static void unusable(struct question *q)
{
	stub_server_bad(q->server, q->stub->conf.timeout_ms);
	stub_try_next(q);
}

static void on_udp(uv_poll_t *h, int status, int events);

static bool send_udp(struct question *q)
{
	uint8_t query[DNS_QUERY_MAX];
	size_t n = make_query(q, query);
	int fd = udp_socket(q->server);
	if (fd < 0)
		return false;
	struct udp *u = mem_alloc(sizeof(*u));
	if (send(fd, query, n, MSG_NOSIGNAL) != (ssize_t)n ||
	    uv_poll_init(loop_get(), &u->poll, fd) != 0) {
		close(fd);
		free(u);
		return false;
	}
	u->fd = fd;
	u->q = q;
	u->poll.data = u;
	q->udp = u;
	q->stub->stats.sent++;
	uv_poll_start(&u->poll, UV_READABLE, on_udp);
	wait_for_reply(q);
	return true;
}

static void start_tcp(struct question *q);

/* The same server once more, without what it does not know. */
static void without_edns(struct question *q)
{
	q->server->plain_until = clock_ms() + PLAIN_MS;
	q->edns = false;
	stub_try_stop(q);
	if (!send_udp(q))
		unusable(q);
}

static void finish(struct question *q, enum stub_kind kind)
{
	stub_finish(q, stub_answer_error(q, kind));
}

/* What NOERROR and NXDOMAIN say. */
static void take_answer(struct question *q, const struct reply *r)
{
	struct answer *a = NULL;
	switch (stub_reply_answer(q, r, &a)) {
	case VERDICT_DONE:
		stub_finish(q, a);
		return;
	case VERDICT_MORE:
		q->tried = q->round = 0;
		stub_try_next(q);
		return;
	case VERDICT_LOOP:
		finish(q, STUB_LOOP);
		return;
	case VERDICT_BAD:
		q->kind = STUB_SERVFAIL;
		q->rcode = DNS_SERVFAIL;
		unusable(q);
		return;
	}
}

static void take_reply(struct question *q, const uint8_t *pkt, size_t len, bool tcp)
{
	struct reply r;
	/* What stands in a truncated answer is not looked at (RFC 2181 9). */
	if (!tcp && (dns_u16(pkt + 2) & DNS_TC)) {
		start_tcp(q);
		return;
	}
	if (!stub_reply_read(&r, pkt, len)) {
		q->kind = STUB_SERVFAIL;
		q->rcode = DNS_SERVFAIL;
		unusable(q);
		return;
	}
	bool refuses = r.rcode == DNS_FORMERR || r.rcode == DNS_NOTIMP || r.rcode == DNS_BADVERS;
	if (refuses && q->edns) {
		without_edns(q);
		return;
	}
	q->rcode = r.rcode;
	if (r.rcode == DNS_NOERROR || r.rcode == DNS_NXDOMAIN) {
		stub_server_good(q->server, clock_mono() - q->sent_at);
		take_answer(q, &r);
	} else if (r.rcode == DNS_SERVFAIL && r.bogus) {
		/* A server that does not look at signatures would say otherwise: not asked. */
		finish(q, STUB_BOGUS);
	} else {
		/* SERVFAIL is the name's fault as often as the server's: no penalty. */
		if (r.rcode != DNS_SERVFAIL)
			stub_server_bad(q->server, q->stub->conf.timeout_ms);
		q->kind = STUB_SERVFAIL;
		stub_try_next(q);
	}
}

static void on_udp(uv_poll_t *h, int status, int events)
{
	(void)events;
	struct udp *u = h->data;
	uint8_t pkt[DATAGRAM_MAX];
	for (int i = 0; u->q && i < WRONG_AT_ONCE; i++) {
		ssize_t n = recv(u->fd, pkt, sizeof(pkt), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR) && status == 0)
			return;
		if (n < 0) { /* nobody listens there, or no way leads there */
			unusable(u->q);
			return;
		}
		if (stub_reply_is_for(u->q, pkt, (size_t)n)) {
			take_reply(u->q, pkt, (size_t)n, false);
			return;
		}
		u->q->stub->stats.ignored++;
	}
}

static void tcp_data(struct stream *s, void *arg)
{
	struct tcp *t = arg;
	struct slice d = stream_data(s);
	if (!t->q)
		return;
	bool fits = buf_add_slice(&t->in, d);
	stream_consume(s, d.len);
	const uint8_t *p = (const uint8_t *)t->in.p;
	size_t need = t->in.len < 2 ? 2 : 2u + dns_u16(p);
	if (t->in.len < need && fits)
		return;
	/* The one answer to the one question of this connection. */
	if (t->in.len < need || !stub_reply_is_for(t->q, p + 2, need - 2)) {
		unusable(t->q);
		return;
	}
	take_reply(t->q, p + 2, need - 2, true);
}

static void tcp_end(struct stream *s, void *arg, enum stream_end why)
{
	(void)s;
	(void)why;
	struct tcp *t = arg;
	if (t->q)
		unusable(t->q);
}

static void start_tcp(struct question *q)
{
	static const struct stream_ops ops = {
	    .on_data = tcp_data, .on_end = tcp_end, .on_close = tcp_closed};
	static const struct stream_conf conf = {.read_max = 4096};
	const struct sockaddr *to = (const struct sockaddr *)&q->server->addr;
	uint8_t query[2 + DNS_QUERY_MAX];
	stub_try_stop(q);
	size_t n = make_query(q, query + 2);
	query[0] = (uint8_t)(n >> 8);
	query[1] = (uint8_t)n;
	struct tcp *t = mem_alloc(sizeof(*t));
	buf_init(&t->in, 2 + DNS_MSG_MAX + (size_t)conf.read_max);
	t->stream = stream_connect(to, stub_addr_len(&q->server->addr), NULL, 0, &conf, &ops, t);
	if (!t->stream) {
		free(t);
		unusable(q);
		return;
	}
	t->q = q;
	q->tcp = t;
	q->stub->stats.tcp++;
	/* Bounds the whole exchange, however slowly it drips. */
	wait_for_reply(q);
	stream_write(t->stream, query, n + 2);
}

void stub_try_next(struct question *q)
{
	struct stub *s = q->stub;
	stub_try_stop(q);
	for (;;) {
		q->server = stub_server_pick(s, q->tried);
		if (!q->server && ++q->round < s->conf.attempts) {
			q->tried = 0;
			continue;
		}
		if (!q->server) {
			finish(q, q->kind);
			return;
		}
		q->tried |= 1u << (q->server - s->server);
		q->edns = clock_ms() >= q->server->plain_until;
		if (send_udp(q))
			return;
		stub_server_bad(q->server, s->conf.timeout_ms);
	}
}
