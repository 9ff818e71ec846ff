/* A resolver whose servers all are hostile: the input says of each exchange how it ends, and of
 * which records an answer is made, out of names that have to do with each other. Every question has
 * an end, after a bounded number of exchanges, and nothing is left. */
#include <stdlib.h>
#include "dnsd/resolve/resolve.h"
#include "dnsd/upstream/upstream.h"
#include "dnsd/validate/anchor.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/rdata.h"
#include "libcommon/net/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { NAMES = 12, EXCHANGES = 700, TURNS = 200000 };
static const uint8_t *const name[NAMES] = {
    (const uint8_t *)"",
    (const uint8_t *)"\4test",
    (const uint8_t *)"\1a\4test",
    (const uint8_t *)"\1b\4test",
    (const uint8_t *)"\3www\1a\4test",
    (const uint8_t *)"\2ns\1a\4test",
    (const uint8_t *)"\2ns\1b\4test",
    (const uint8_t *)"\1x\3www\1a\4test",
    (const uint8_t *)"\1*\1a\4test",
    (const uint8_t *)"\5other",
    (const uint8_t *)"\2ns\5other",
    (const uint8_t *)"\4root",
};
static const uint16_t type[] = {DNS_A,  DNS_NS,    DNS_CNAME, DNS_SOA,    DNS_AAAA,  DNS_DNAME,
				DNS_DS, DNS_RRSIG, DNS_NSEC,  DNS_DNSKEY, DNS_NSEC3, DNS_TXT};
static struct {
	const uint8_t *p;
	size_t len;
	unsigned exchanges, answers;
} in;

static uint8_t octet(void)
{
	if (!in.len)
		return 0;
	in.len--;
	return *in.p++;
}

static const uint8_t *any_name(void)
{
	return name[octet() % NAMES];
}

/* Data of the type, more or less. */
static void put_data(struct dns_out *o, uint16_t t)
{
	static const uint8_t octets[32];
	const uint8_t *n = any_name();
	switch (t) {
	case DNS_A:
		dns_out_u16(o, 10 << 8);
		dns_out_u16(o, octet());
		break;
	case DNS_AAAA:
		dns_out_u32(o, 0x20010db8);
		dns_out_bytes(o, octets, 11);
		dns_out_bytes(o, (uint8_t[]){octet()}, 1);
		break;
	case DNS_SOA:
		dns_out_name(o, n, false);
		dns_out_name(o, n, false);
		for (int i = 0; i < 5; i++)
			dns_out_u32(o, 300);
		break;
	case DNS_DS:
	case DNS_DNSKEY:
		dns_out_u16(o, 257);
		dns_out_bytes(o, t == DNS_DS ? "\15\2" : "\3\15", 2);
		dns_out_bytes(o, octets, 32);
		if (t == DNS_DNSKEY)
			dns_out_bytes(o, octets, 32);
		break;
	case DNS_RRSIG:
		dns_out_u16(o, type[octet() % (sizeof(type) / sizeof(type[0]))]);
		dns_out_u16(o, 13 << 8 | (octet() & 7));
		dns_out_u32(o, 300);
		dns_out_u32(o, 0x7fffffff);
		dns_out_u32(o, 0);
		dns_out_u16(o, 257);
		dns_out_name(o, n, false);
		dns_out_bytes(o, octets, 32);
		dns_out_bytes(o, octets, 32);
		break;
	case DNS_NSEC:
		dns_out_name(o, n, false);
		dns_out_bytes(o, (uint8_t[]){0, 1, octet()}, 3);
		break;
	case DNS_NSEC3:
		dns_out_bytes(o, (uint8_t[]){1, octet() & 1, 0, octet() & 63, 0, 20}, 6);
		dns_out_bytes(o, octets, 20);
		break;
	case DNS_TXT:
		dns_out_bytes(o, "\1x", 2);
		break;
	default:
		dns_out_name(o, n, false);
	}
}

static size_t answer(uint8_t *pkt, const struct upstream_question *q)
{
	struct dns_out o;
	uint8_t flags = octet();
	dns_out_init(&o, pkt, DNS_MSG_MAX, 1,
		     (uint16_t)(DNS_QR | (flags & 1 ? DNS_AA : 0) | (flags & 2 ? DNS_RA : 0) |
				(flags & 0x1c ? 0 : flags >> 5)));
	dns_out_question(&o, q->name, q->type);
	for (unsigned n = octet() % 12; n && in.len; n--) {
		uint8_t what = octet();
		uint16_t t =
		    what & 0x40 ? q->type : type[octet() % (sizeof(type) / sizeof(type[0]))];
		size_t rr =
		    dns_out_rr(&o, (enum dns_section)(1 + what % 3),
			       what & 0x80 ? q->name : any_name(), t, what & 0x20 ? 0 : 600);
		put_data(&o, t);
		dns_out_rr_end(&o, rr);
	}
	return o.len;
}

struct upstream {
	struct upstream_question q;
	upstream_fn *fn;
	void *arg;
	bool cancelled;
};
struct upstream_stats upstream_stats;

static void fire(void *arg)
{
	static uint8_t pkt[DNS_MSG_MAX];
	struct upstream *u = arg;
	struct upstream_answer a = {.pkt = pkt, .ms = 1};
	uint8_t how = octet();
	if (u->cancelled) {
		free(u);
		return;
	}
	a.outcome =
	    how < 200 ? UPSTREAM_ANSWER : (enum upstream_outcome)(how % (UPSTREAM_FULL + 1));
	if (a.outcome == UPSTREAM_LATE) {
		loop_defer(fire, u);
		u->fn(u->arg, &a);
		return;
	}
	if (a.outcome == UPSTREAM_ANSWER)
		a.len = answer(pkt, &u->q);
	u->fn(u->arg, &a);
	free(u);
}

struct upstream *upstream_ask(const struct upstream_question *q, upstream_fn *fn, void *arg)
{
	struct upstream *u = mem_alloc(sizeof(*u));
	*u = (struct upstream){.q = *q, .fn = fn, .arg = arg};
	if (++in.exchanges > EXCHANGES)
		abort();
	loop_defer(fire, u);
	return u;
}

void upstream_cancel(struct upstream **u)
{
	if (*u)
		(*u)->cancelled = true;
	*u = NULL;
}

const char *upstream_outcome_text(enum upstream_outcome o)
{
	(void)o;
	return "no answer";
}

uint32_t upstream_expect(const struct sockaddr *server)
{
	(void)server;
	return 50;
}

void upstream_lame(const struct sockaddr *server, const uint8_t *zone, uint32_t ms)
{
	(void)server;
	(void)zone;
	(void)ms;
}

bool upstream_is_lame(const struct sockaddr *server, const uint8_t *zone)
{
	(void)server;
	(void)zone;
	return false;
}

void upstream_forget(void)
{
}

static void answered(void *arg, const struct resolved *r)
{
	unsigned *asked = arg;
	(*asked)--;
	for (unsigned i = 0; i < r->n; i++)
		if (r->security > r->part[i].security)
			abort();
	/* Nothing here is signed by anybody's key. */
	if (r->security == RRSET_SECURE && r->n)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char anchor[] =
	    ". 3600 IN DS 257 13 2 "
	    "0000000000000000000000000000000000000000000000000000000000000000\n";
	const struct cache_conf conf = {
	    .octets = 1 << 20, .ttl_most = 3600, .negative_most = 60, .failure_ttl = 5};
	const char *why;
	struct cache *cache = cache_new(&conf);
	struct anchors *anchors = anchors_new();
	unsigned asked = 0;
	if (!cache)
		return 0;
	in.p = data;
	in.len = len;
	in.exchanges = 0;
	resolve_start(cache);
	resolve_hints(". 600 NS root.\nroot. 600 A 10.0.0.1\nroot. 600 A 10.0.0.2\n", &why);
	uint8_t with = octet();
	if (with & 1 && anchors_add_text(anchors, (struct slice){anchor, sizeof(anchor) - 1}, &why))
		resolve_anchors(anchors);
	resolve_aggressive(with & 2 ? 1 << 16 : 0);
	for (unsigned i = 0; i < 3; i++) {
		struct resolve_ask q = {.name = any_name(),
					.type = type[octet() % (sizeof(type) / sizeof(type[0]))],
					.checking_disabled = with & 4 && i == 1,
					.apart = with & 8 && i == 2};
		if (resolve(&q, answered, &asked))
			asked++;
	}
	for (unsigned i = 0; asked && i < TURNS; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	if (asked)
		abort();
	resolve_stop();
	for (unsigned i = 0; i < 3; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	cache_free(&cache);
	anchors_free(&anchors);
	return 0;
}
