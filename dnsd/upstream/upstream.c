/* Exchanges: what is sent, how long it is waited for, and what replies mean. */
#include "dnsd/upstream/upstream.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "dnsd/upstream/upstream_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"

enum {
	RANDOM = 1024, /* octets that are asked of the kernel at a time */
	TIMEOUT_LEAST_MS = 600,
	TURNS_TCP = 3, /* round trips that an answer by TCP takes */
	TURNS_TLS = 4,
	UNUSED_MOST = 1024,
};

const struct upstream_conf upstream_defaults = {
    .parallel = 4096,
    .per_server = 512,
    .udp_size = DNS_EDNS_SIZE,
    .timeout_ms = 2000,
    .tcp_timeout_ms = 5000,
    .near_misses = 3,
    .case_random = true,
    .cookies = true,
};
struct upstream_stats upstream_stats;
struct upstream_conf upstream_conf;

static struct list used, unused;
static unsigned under_way, unused_n;

const char *upstream_outcome_text(enum upstream_outcome o)
{
	static const char *const text[] = {"answer",          "late",        "no answer in time",
					   "unreachable",     "not trusted", "speaks no DNS",
					   "too many at once"};
	return text[o];
}

void upstream_random(void *out, size_t n)
{
	static uint8_t pool[RANDOM];
	static size_t left;
	if (left < n) {
		id_random(pool, sizeof(pool));
		left = sizeof(pool);
	}
	left -= n;
	memcpy(out, pool + left, n);
	memset(pool + left, 0, n); /* what was used is not to be found in memory */
}

socklen_t upstream_addr_len(const struct sockaddr *sa)
{
	return sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

void upstream_start(const struct upstream_conf *conf)
{
	upstream_conf = *conf;
	list_init(&used);
	list_init(&unused);
	udp_pool_start();
	conns_start();
}

static void on_timer(uv_timer_t *t);

static struct upstream *exchange_new(void)
{
	struct list *e = list_pop(&unused);
	struct upstream *x;
	if (e) {
		x = list_entry(e, struct upstream, link);
		unused_n--;
	} else {
		x = mem_alloc(sizeof(*x));
		uv_timer_init(loop_get(), &x->timer);
		x->timer.data = x;
	}
	list_add_tail(&used, &x->link);
	return x;
}

static void timer_closed(uv_handle_t *h)
{
	free(h->data);
}

/* It lets go of its socket or connection. slow: the server took too long. */
static void detach(struct upstream *x, bool slow)
{
	if (x->sock)
		udp_pool_release(x);
	if (x->conn)
		conns_leave(x, slow);
}

static void exchange_free(struct upstream *x)
{
	detach(x, false);
	list_del(&x->ask); /* of those whose connection was lost */
	uv_timer_stop(&x->timer);
	if (x->server) {
		x->server->under_way--;
		under_way--;
	}
	x->server = NULL;
	list_del(&x->link);
	if (unused_n >= UNUSED_MOST) {
		uv_close((uv_handle_t *)&x->timer, timer_closed);
		return;
	}
	unused_n++;
	list_add_head(&unused, &x->link);
}

void upstream_stop(void)
{
	struct list *e;
	while ((e = list_pop(&used)))
		exchange_free(list_entry(e, struct upstream, link));
	while ((e = list_pop(&unused)))
		uv_close((uv_handle_t *)&list_entry(e, struct upstream, link)->timer, timer_closed);
	unused_n = under_way = 0;
	conns_stop();
	udp_pool_stop();
}

/* The last that is done with it: pkt lives on, x does not. */
static void finish(struct upstream *x, enum upstream_outcome outcome, const char *why,
		   const uint8_t *pkt, size_t len)
{
	upstream_fn *fn = x->fn;
	void *arg = x->arg;
	struct upstream_answer a = {
	    .outcome = outcome,
	    .pkt = pkt,
	    .len = len,
	    .tcp = x->asked.stream,
	    .ms = (uint32_t)((clock_ns() - x->began) / 1000000),
	    .why = why,
	};
	exchange_free(x);
	fn(arg, &a);
}

/* --- time ------------------------------------------------------------------------------------ */

static void set_timer(struct upstream *x, uint64_t ms)
{
	uv_update_time(loop_get()); /* what the loop believes may be a while ago */
	uv_timer_start(&x->timer, on_timer, ms, 0);
}

/* Waits until it is late, and then to the end of the time that the way has. */
static void wait_for(struct upstream *x, uint64_t patience)
{
	uint64_t now = clock_mono(), left = x->by > now ? x->by - now : 0;
	set_timer(x, !x->late_told && patience < left ? patience : left);
}

static void on_timer(uv_timer_t *t)
{
	struct upstream *x = t->data;
	uint64_t now = clock_mono();
	if (!x->sock && !x->conn) {
		finish(x, x->outcome, x->why, NULL, 0);
		return;
	}
	if (now + 1 >= x->by) { /* the loop counts from a while ago: 1 ms */
		upstream_stats.timeouts++;
		server_failed(x->server, now);
		upstream_fail(x, UPSTREAM_TIMEOUT, "no answer in time");
		return;
	}
	bool first = !x->late_told;
	x->late_told = true;
	wait_for(x, 0);
	if (first) {
		struct upstream_answer a = {.outcome = UPSTREAM_LATE,
					    .ms = (uint32_t)((clock_ns() - x->began) / 1000000),
					    .why = "late"};
		x->fn(x->arg, &a); /* may cancel it */
	}
}

/* --- sending --------------------------------------------------------------------------------- */

/* The case of letters, drawn by lot: whoever has not seen the query must guess it (0x20). */
static void draw_case(struct asked *a)
{
	uint8_t bits[DNS_NAME_MAX / 8 + 1] = {0};
	upstream_random(bits, a->name_len / 8u + 1);
	for (unsigned i = 0; i < a->name_len; i++) {
		uint8_t c = a->name[i] | 0x20;
		/* A length octet is under 64: no letter. */
		if (a->name[i] >= 'A' && c >= 'a' && c <= 'z')
			a->name[i] = bits[i / 8] >> i % 8 & 1 ? c : c & 0xdf;
	}
}

static void prepare(struct upstream *x)
{
	struct asked *a = &x->asked;
	const struct server *v = x->server;
	const struct sockaddr *to = (const struct sockaddr *)&x->to;
	bool plain = x->plain || v->no_edns;
	a->edns_size = plain ? 0 : upstream_conf.udp_size;
	a->padded = x->tls != NULL;
	a->cookie_len = 0;
	/* By TLS the server is known without. */
	if (upstream_conf.cookies && !plain && !x->tls && !x->no_cookie && !v->no_cookie) {
		server_client_cookie(to, a->cookie);
		memcpy(a->cookie + COOKIE_CLIENT, v->cookie, v->cookie_len);
		a->cookie_len = (uint8_t)(COOKIE_CLIENT + v->cookie_len);
	}
	a->any_case = v->plain_case;
	dns_name_lower(a->name);
	if (upstream_conf.case_random && !x->lower && !v->plain_case)
		draw_case(a);
	upstream_stats.sent++;
	x->sent = clock_ns();
}

/* Tells it later: upstream_ask() must have returned. */
static void fail_later(struct upstream *x, enum upstream_outcome outcome, const char *why)
{
	x->outcome = outcome;
	x->why = why;
	set_timer(x, 0);
}

static void ask_tcp(struct upstream *x)
{
	detach(x, false);
	x->asked.stream = true;
	x->by = clock_mono() + upstream_conf.tcp_timeout_ms;
	prepare(x);
	upstream_stats.tcp += !x->tls;
	upstream_stats.tls += x->tls != NULL;
	if (!conns_ask(x)) {
		fail_later(x, UPSTREAM_UNREACHABLE, strerror(errno));
		return;
	}
	uint64_t turns = x->warm ? 1 : x->tls ? TURNS_TLS : TURNS_TCP;
	wait_for(x, turns * server_patience(x->server, clock_mono()));
}

static void ask_udp(struct upstream *x)
{
	uint8_t query[QUERY_MOST];
	detach(x, false);
	x->asked.stream = false;
	upstream_random(&x->asked.id, sizeof(x->asked.id));
	prepare(x);
	if (!udp_pool_send(x, query, upstream_query(query, &x->asked))) {
		server_failed(x->server, clock_mono());
		fail_later(x, UPSTREAM_UNREACHABLE, strerror(errno));
		return;
	}
	wait_for(x, server_patience(x->server, clock_mono()));
}

/* By the way that it is on. */
static void ask_again(struct upstream *x)
{
	if (x->asked.stream)
		ask_tcp(x);
	else
		ask_udp(x);
}

static uint32_t udp_time(const struct upstream *x, uint64_t now)
{
	uint32_t ms = 4 * server_patience(x->server, now);
	if (ms < TIMEOUT_LEAST_MS)
		ms = TIMEOUT_LEAST_MS;
	return ms < upstream_conf.timeout_ms ? ms : upstream_conf.timeout_ms;
}

struct upstream *upstream_ask(const struct upstream_question *q, upstream_fn *fn, void *arg)
{
	struct upstream *x = exchange_new();
	uint64_t now = clock_mono();
	memset(&x->ask, 0, sizeof(*x) - offsetof(struct upstream, ask));
	list_init(&x->ask);
	x->fn = fn;
	x->arg = arg;
	memcpy(&x->to, q->to, upstream_addr_len(q->to));
	x->tls = q->tls;
	x->asked.type = q->type;
	x->asked.flags = (q->recursive ? DNS_RD : 0) | (q->checking_disabled ? DNS_CD : 0);
	x->asked.name_len = (uint8_t)dns_name_len(q->name);
	memcpy(x->asked.name, q->name, x->asked.name_len);
	x->began = clock_ns();
	struct server *v = server_get(q->to, now);
	if (under_way >= upstream_conf.parallel ||
	    (v && v->under_way >= upstream_conf.per_server)) {
		upstream_stats.full++;
		fail_later(x, UPSTREAM_FULL, "too many questions at once");
		return x;
	}
	x->server = v ? v : &x->unknown;
	x->server->under_way++;
	under_way++;
	x->by = now + udp_time(x, now);
	if (q->tcp || q->tls)
		ask_tcp(x);
	else
		ask_udp(x);
	return x;
}

void upstream_cancel(struct upstream **p)
{
	struct upstream *x = *p;
	*p = NULL;
	if (!x)
		return;
	/* Another one was faster: next time it is the one to be asked. */
	if (x->late_told && x->server)
		server_failed(x->server, clock_mono());
	exchange_free(x);
}

/* --- what came of it --------------------------------------------------------------------------
 */

void upstream_fail(struct upstream *x, enum upstream_outcome outcome, const char *why)
{
	uint64_t now = clock_mono();
	bool stream = x->asked.stream;
	detach(x, outcome == UPSTREAM_TIMEOUT);
	/* It may be a server that knows neither TCP nor how to keep the case of letters. */
	if (stream && x->case_lost && !x->lower) {
		server_note(x->server, &x->server->plain_case, now);
		x->lower = true;
		x->by = now + udp_time(x, now);
		ask_udp(x);
		return;
	}
	if (outcome == UPSTREAM_UNREACHABLE)
		server_failed(x->server, now);
	finish(x, outcome, why, NULL, 0);
}

/* What the answer tells of the server. */
static void learn(struct upstream *x, const struct reply *r)
{
	struct server *v = x->server;
	uint64_t now = clock_mono();
	if (!x->asked.stream || x->warm)
		server_answered(v, (uint32_t)((clock_ns() - x->sent) / 1000));
	else
		v->fails = 0;
	if (x->asked.cookie_len)
		server_cookie(v, r->cookie);
	if (x->case_lost && r->case_lost)
		server_note(v, &v->plain_case, now);
	if (x->no_cookie && !v->no_cookie)
		server_note(v, &v->no_cookie, now);
	/* What a reply without question says could have been said by anybody who guessed an id. */
	if (x->plain && !x->bare && !v->no_edns)
		server_note(v, &v->no_edns, now);
}

static void near_miss(struct upstream *x)
{
	upstream_stats.near_misses++;
	if (++x->near >= upstream_conf.near_misses)
		ask_tcp(x); /* somebody is guessing */
}

/* A stream that carries another message than it should, or a malformed one. */
static void malformed(struct upstream *x)
{
	if (x->asked.stream)
		upstream_fail(x, UPSTREAM_BAD, "its answer is malformed");
	else
		ask_tcp(x);
}

void upstream_take(struct upstream *x, const uint8_t *pkt, size_t len)
{
	struct reply r;
	switch (upstream_verdict(&x->asked, pkt, len, &r)) {
	case VERDICT_ANSWER:
		upstream_stats.answers++;
		learn(x, &r);
		finish(x, UPSTREAM_ANSWER, NULL, pkt, len);
		return;
	case VERDICT_NEAR:
		if (x->asked.stream)
			malformed(x);
		else
			near_miss(x);
		return;
	case VERDICT_CASE:
		upstream_stats.case_wrong++;
		x->case_lost = true;
		ask_tcp(x);
		return;
	case VERDICT_TCP:
		upstream_stats.truncated += r.truncated;
		ask_tcp(x);
		return;
	case VERDICT_BAD:
		malformed(x);
		return;
	case VERDICT_COOKIE:
		server_cookie(x->server, r.cookie);
		x->asked.again = true;
		ask_again(x);
		return;
	case VERDICT_NO_COOKIE:
		x->no_cookie = true;
		ask_again(x);
		return;
	case VERDICT_NO_EDNS:
		upstream_stats.no_edns++;
		x->plain = true;
		x->bare = r.bare;
		ask_again(x);
		return;
	}
}
