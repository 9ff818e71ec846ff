/* A DNS server on loopback in the test's own loop: a script answers, by UDP and TCP. And a client:
 * ask() runs the loop until the answer is there and writes it as one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/stub.h"
#include "libcommon/net/loop.h"

struct fake;

/* A query as it came. */
struct seen {
	struct fake *fake;
	uint8_t pkt[512];
	size_t len;
	char name[DNS_NAME_TEXT];
	uint8_t wire[DNS_NAME_MAX];
	uint16_t id, flags, type;
	bool edns, dnssec_ok, tcp;
	int fd;
	struct sockaddr_in from;
};

struct fake {
	int udp, tcp;
	uv_poll_t upoll, tpoll;
	uint16_t port;
	void (*script)(struct seen *q, unsigned nth); /* NULL: says nothing. nth from 1 */
	unsigned asked;
	in_port_t last_port;
};

struct fake_conn {
	uv_poll_t poll;
	int fd;
	struct fake *fake;
};

static inline const uint8_t *wire_of(const char *text)
{
	static uint8_t wire[8][DNS_NAME_MAX];
	static unsigned at;
	uint8_t *out = wire[at++ % 8];
	assert_true(dns_name_from_text(slice_of(text), out) > 0);
	return out;
}

/* --- what a script writes --- */

static inline void answer_begin(struct dns_out *o, const struct seen *q, uint16_t flags)
{
	static uint8_t out[DNS_MSG_MAX];
	dns_out_init(o, out, sizeof(out), q->id, DNS_QR | DNS_RD | DNS_RA | flags);
	dns_out_question(o, q->wire, q->type);
}

static inline void put_a(struct dns_out *o, const char *owner, uint32_t ttl, const char *addr)
{
	struct in_addr a;
	inet_pton(AF_INET, addr, &a);
	size_t rr = dns_out_rr(o, DNS_ANSWER, wire_of(owner), DNS_A, ttl);
	dns_out_bytes(o, &a, 4);
	dns_out_rr_end(o, rr);
}

static inline void put_name(struct dns_out *o, const char *owner, uint16_t type, uint32_t ttl,
			    const char *to)
{
	size_t rr = dns_out_rr(o, DNS_ANSWER, wire_of(owner), type, ttl);
	dns_out_name(o, wire_of(to), true);
	dns_out_rr_end(o, rr);
}

static inline void put_raw(struct dns_out *o, const char *owner, uint16_t type, const char *data,
			   size_t n)
{
	size_t rr = dns_out_rr(o, DNS_ANSWER, wire_of(owner), type, 60);
	dns_out_bytes(o, data, n);
	dns_out_rr_end(o, rr);
}

static inline void put_soa(struct dns_out *o, uint32_t ttl, uint32_t minimum)
{
	size_t rr = dns_out_rr(o, DNS_AUTHORITY, wire_of("test"), DNS_SOA, ttl);
	dns_out_name(o, wire_of("ns.test"), true);
	dns_out_name(o, wire_of("root.test"), true);
	for (uint32_t i = 1; i <= 4; i++)
		dns_out_u32(o, i);
	dns_out_u32(o, minimum);
	dns_out_rr_end(o, rr);
}

static inline void send_bytes(const struct seen *q, const void *p, size_t n)
{
	if (q->tcp)
		assert_int_equal(send(q->fd, p, n, MSG_NOSIGNAL), n);
	else
		sendto(q->fd, p, n, 0, (const struct sockaddr *)&q->from, sizeof(q->from));
}

static inline void answer_end(const struct seen *q, const struct dns_out *o)
{
	uint8_t len[2] = {(uint8_t)(o->len >> 8), (uint8_t)o->len};
	assert_false(o->full);
	if (q->tcp)
		send_bytes(q, len, 2);
	send_bytes(q, o->p, o->len);
}

static inline void answer_rcode(const struct seen *q, uint16_t rcode)
{
	struct dns_out o;
	answer_begin(&o, q, rcode);
	answer_end(q, &o);
}

/* --- the server --- */

static inline void fake_query(struct fake *f, struct seen *q)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_question qu;
	struct dns_rr rr;
	struct dns_edns e;
	assert_true(dns_iter_init(&it, q->pkt, q->len, &h));
	assert_true(dns_iter_question(&it, &qu));
	size_t at = qu.name;
	assert_true(dns_name_read(q->pkt, q->len, &at, q->wire) > 0);
	dns_name_text(q->name, q->wire);
	q->id = h.id;
	q->flags = h.flags;
	q->type = qu.type;
	while (dns_iter_rr(&it, &rr))
		if (dns_edns_read(q->pkt, &rr, &e)) {
			q->edns = true;
			q->dnssec_ok = e.dnssec_ok;
		}
	assert_false(it.bad);
	q->fake = f;
	f->asked++;
	if (f->script)
		f->script(q, f->asked);
}

static inline void fake_udp(uv_poll_t *h, int status, int events)
{
	(void)status;
	(void)events;
	struct fake *f = h->data;
	struct seen q = {.fd = f->udp};
	socklen_t n = sizeof(q.from);
	ssize_t len = recvfrom(f->udp, q.pkt, sizeof(q.pkt), 0, (struct sockaddr *)&q.from, &n);
	if (len <= 0)
		return;
	f->last_port = ntohs(q.from.sin_port);
	q.len = (size_t)len;
	fake_query(f, &q);
}

static inline void fake_conn_closed(uv_handle_t *h)
{
	free(h->data);
}

static inline void fake_conn_read(uv_poll_t *h, int status, int events)
{
	(void)status;
	(void)events;
	struct fake_conn *c = h->data;
	struct seen q = {.fd = c->fd, .tcp = true};
	uint8_t in[514];
	ssize_t len = recv(c->fd, in, sizeof(in), 0);
	if (len > 2) {
		assert_int_equal(dns_u16(in), len - 2);
		q.len = (size_t)len - 2;
		memcpy(q.pkt, in + 2, q.len);
		fake_query(c->fake, &q);
		return;
	}
	close(c->fd);
	uv_close((uv_handle_t *)h, fake_conn_closed);
}

static inline void fake_accept(uv_poll_t *h, int status, int events)
{
	(void)status;
	(void)events;
	struct fake *f = h->data;
	struct fake_conn *c = mem_alloc(sizeof(*c));
	c->fd = accept4(f->tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(c->fd >= 0);
	c->fake = f;
	uv_poll_init(loop_get(), &c->poll, c->fd);
	c->poll.data = c;
	uv_poll_start(&c->poll, UV_READABLE, fake_conn_read);
}

static inline void fake_start(struct fake *f, void (*script)(struct seen *q, unsigned nth))
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	*f = (struct fake){.script = script};
	for (int i = 0; i < 20; i++) { /* until one port is free for both */
		a.sin_port = 0;
		f->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		f->tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_int_equal(bind(f->udp, (struct sockaddr *)&a, n), 0);
		getsockname(f->udp, (struct sockaddr *)&a, &n);
		if (bind(f->tcp, (struct sockaddr *)&a, n) == 0)
			break;
		close(f->udp);
		close(f->tcp);
	}
	assert_int_equal(listen(f->tcp, 16), 0);
	f->port = ntohs(a.sin_port);
	uv_poll_init(loop_get(), &f->upoll, f->udp);
	uv_poll_init(loop_get(), &f->tpoll, f->tcp);
	f->upoll.data = f->tpoll.data = f;
	uv_poll_start(&f->upoll, UV_READABLE, fake_udp);
	uv_poll_start(&f->tpoll, UV_READABLE, fake_accept);
}

static inline void fake_stop(struct fake *f)
{
	uv_close((uv_handle_t *)&f->upoll, NULL);
	uv_close((uv_handle_t *)&f->tpoll, NULL);
	close(f->udp);
	close(f->tcp);
	for (int i = 0; i < 5; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
}

/* --- the client --- */

struct got {
	unsigned calls;
	enum stub_kind kind;
	char line[2048];
};

static inline void conf_server(struct stub_conf *c, uint16_t port)
{
	struct sockaddr_in *a = (struct sockaddr_in *)&c->server[c->servers++];
	*a = (struct sockaddr_in){.sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* "KIND TTL[ ad][ cached] OWNER: RECORD; RECORD". */
static inline void got_answer(const struct stub_answer *a, void *arg)
{
	struct got *g = arg;
	struct buf b;
	char ip[INET6_ADDRSTRLEN];
	buf_init(&b, sizeof(g->line));
	g->calls++;
	g->kind = a->kind;
	buf_printf(&b, "%s", stub_kind_text(a->kind));
	if (a->kind <= STUB_NXDOMAIN)
		buf_printf(&b, " %u", a->ttl);
	buf_printf(&b, "%s%s", a->ad ? " ad" : "", a->cached ? " cached" : "");
	for (size_t i = 0; i < a->n; i++) {
		const struct stub_rr *r = &a->rr[i];
		if (i)
			buf_adds(&b, ";");
		else
			buf_printf(&b, " %s:", a->owner);
		if (a->type == DNS_A)
			buf_printf(&b, " %s", inet_ntop(AF_INET, &r->a, ip, sizeof(ip)));
		else if (a->type == DNS_AAAA)
			buf_printf(&b, " %s", inet_ntop(AF_INET6, &r->aaaa, ip, sizeof(ip)));
		else if (a->type == DNS_MX)
			buf_printf(&b, " %u %s", r->preference, r->name);
		else if (a->type == DNS_SRV)
			buf_printf(&b, " %u %u %u %s", r->preference, r->weight, r->port, r->name);
		else if (a->type == DNS_TLSA)
			buf_printf(&b, " %u %u %u %.*s", r->usage, r->selector, r->matching,
				   SLICE_FMT(r->data));
		else if (r->name)
			buf_printf(&b, " %s", r->name);
		else
			buf_printf(&b, " \"%.*s\"", SLICE_FMT(r->data));
	}
	str_fmt(g->line, sizeof(g->line), "%s", buf_cstr(&b));
	buf_free(&b);
}

/* Runs the loop until n answers came. */
static inline void wait_for(const struct got *g, unsigned n)
{
	uint64_t end = clock_mono() + 30000;
	while (g->calls < n && clock_mono() < end)
		uv_run(loop_get(), UV_RUN_ONCE);
	assert_int_equal(g->calls, n);
}

/* Runs the loop until *count, which a script or an answer counts up, is n. */
static inline void wait_count(const unsigned *count, unsigned n)
{
	uint64_t end = clock_mono() + 30000;
	while (*count < n && clock_mono() < end) {
		uv_run(loop_get(), UV_RUN_NOWAIT);
		usleep(1000);
	}
	assert_int_equal(*count, n);
}

/* For what must not come. */
static inline void run_for(uint64_t ms)
{
	uint64_t end = clock_mono() + ms;
	while (clock_mono() < end) {
		uv_run(loop_get(), UV_RUN_NOWAIT);
		usleep(5000);
	}
}

/* The line; it lives until the next call. */
static inline const char *ask(struct stub *s, const char *name, uint16_t type)
{
	static struct got g;
	g = (struct got){0};
	stub_ask(s, slice_of(name), type, got_answer, &g);
	assert_int_equal(g.calls, 0);
	wait_for(&g, 1);
	return g.line;
}
