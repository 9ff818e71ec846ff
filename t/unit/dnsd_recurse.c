/* The client side of the cache server, with a resolver that is told what it finds: responses, who
 * may ask, who waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include "dnsd/policy/policy_int.h"
#include "dnsd/recurse/recurse_int.h"
#include "dnsd/wire/later.h"
#include "dnsd/wire/shared.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"

enum { NONE = RESOLVE_NO_EDE, SIZE = 4096 };

/* --- the resolver ------------------------------------------------------------------------------
 */

struct resolution {
	resolve_fn *fn;
	void *arg;
	bool renew;
};
static struct {
	struct resolved known, old;
	bool has_known, has_old, full;
	struct resolution *running[8];
	unsigned n, cancelled;
	struct resolve_ask last;
} world;

void resolve_start(struct cache *cache)
{
	(void)cache;
}

void resolve_stop(void)
{
}

bool resolve_hints(const char *text, const char **why)
{
	(void)text;
	*why = NULL;
	return true;
}

void resolve_anchors(const struct anchors *a)
{
	(void)a;
}

void resolve_own(const struct resolve_own *own)
{
	(void)own;
}

void resolve_aggressive(size_t octets)
{
	(void)octets;
}

void resolve_flush(const uint8_t *name)
{
	(void)name;
}

void resolve_families(bool v4, bool v6)
{
	(void)v4;
	(void)v6;
}

bool resolve_cached(const struct resolve_ask *q, uint64_t now, bool stale, struct resolved *out)
{
	(void)now;
	world.last = *q;
	if (world.has_known) {
		*out = world.known;
		if (!stale || !world.has_old)
			return true;
	}
	if (stale && world.has_old)
		*out = world.old;
	return stale && world.has_old;
}

struct resolution *resolve(const struct resolve_ask *q, resolve_fn *fn, void *arg)
{
	if (world.full)
		return NULL;
	struct resolution *r = mem_alloc(sizeof(*r));
	*r = (struct resolution){fn, arg, q->renew};
	world.running[world.n++] = r;
	return r;
}

static void forget(const struct resolution *r)
{
	for (unsigned i = 0; i < world.n; i++)
		if (world.running[i] == r)
			world.running[i] = world.running[--world.n];
}

void resolve_cancel(struct resolution **r)
{
	world.cancelled++;
	forget(*r);
	free(*r);
	*r = NULL;
}

static void found(struct resolution *r, const struct resolved *what)
{
	forget(r);
	r->fn(r->arg, what);
	free(r);
}

/* --- what is found ------------------------------------------------------------------------------
 */

static const uint8_t WWW[] = "\3www\7example", ALIAS[] = "\5alias\7example", ZONE[] = "\7example";
static const char ADDRESSES[] = "\0\4\xc0\0\2\1\0\4\xc0\0\2\2";
static const char SIGNED[] = "\0\4\xc0\0\2\1\0\23\0\1\10\2\0\0\1,\0\0\0\0\0\0\0\0\0\1\0";
static const char TARGET[] = "\0\15\3www\7example";
/* example. SOA ns host 1 2 3 4 300; example. NSEC. */
#define SOA_RECORD \
	"\7example\0\0\6\0\1\0\0\16\20\0\36\2ns\0\4host\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\1,"
#define NSEC_RECORD "\7example\0\0\57\0\1\0\0\16\20\0\14\7example\0\0\1@"

static struct cached part(const uint8_t *owner, uint16_t type, uint16_t n, struct slice data)
{
	return (struct cached){
	    .kind = CACHE_RRSET,
	    .security = RRSET_INSECURE,
	    .ede = NONE,
	    .set = {.owner = owner, .type = type, .ttl = 77, .n = n, .data = data}};
}

static struct resolved one(struct cached c)
{
	struct resolved r = {.security = c.security, .ede = NONE, .n = 1};
	r.part[0] = c;
	return r;
}

static struct resolved address(void)
{
	return one(part(WWW, DNS_A, 2, (struct slice){ADDRESSES, 12}));
}

static struct resolved failure(uint16_t ede, const char *why)
{
	struct resolved r = {.rcode = DNS_SERVFAIL, .ede = ede, .security = RRSET_INDETERMINATE};
	snprintf(r.why, sizeof(r.why), "%s", why);
	return r;
}

/* --- a question and its response ----------------------------------------------------------------
 */

static const struct answer_conf about = {.udp_size = 1232};
static struct sockaddr_in client = {.sin_family = AF_INET};
static uint8_t pkt[DNS_QUERY_MAX], out[SIZE];
static struct query q;
static struct answer_info info;
static struct dns_header head;

static void ask(const uint8_t *name, uint16_t type, uint16_t flags, bool dnssec_ok)
{
	const struct dns_query d = {
	    .id = 7, .type = type, .flags = flags, .edns_size = 1232, .dnssec_ok = dnssec_ok};
	size_t len = dns_query(pkt, name, &d);
	query_read(&q, pkt, len);
	assert_int_equal(q.kind, QUERY_ASK);
}

/* Records of a section, without OPT; of them those of `type` (0: all). */
static unsigned records(size_t len, enum dns_section s, uint16_t type)
{
	struct dns_iter it;
	struct dns_rr rr;
	unsigned n = 0;
	assert_true(dns_iter_init(&it, out, len, &head));
	while (dns_iter_rr(&it, &rr))
		n += rr.section == s && rr.type != DNS_OPT && (!type || rr.type == type);
	assert_false(it.bad);
	assert_int_equal(it.at, len);
	return n;
}

static size_t reply(const struct resolved *r)
{
	const struct answer_way way = {.client = (struct sockaddr *)&client, .now = 1000};
	return recurse_reply(&about, &q, &way, r, out, sizeof(out), &info);
}

static int ede_of(size_t len, struct slice *text)
{
	struct dns_iter it;
	struct dns_rr rr;
	struct dns_edns e;
	uint16_t code;
	struct slice data;
	assert_true(dns_iter_init(&it, out, len, &head));
	while (dns_iter_rr(&it, &rr)) {
		if (rr.type != DNS_OPT || !dns_edns_read(out, &rr, &e))
			continue;
		while (dns_edns_option(&e.options, &code, &data))
			if (code == DNS_OPT_EDE) {
				*text = (struct slice){data.p + 2, data.len - 2};
				return dns_u16((const uint8_t *)data.p);
			}
	}
	return -1;
}

static void an_answer(void **state)
{
	(void)state;
	struct resolved r = address();
	ask(WWW, DNS_A, DNS_RD | DNS_CD, false);
	size_t n = reply(&r);
	assert_int_equal(records(n, DNS_ANSWER, DNS_A), 2);
	assert_int_equal(head.flags, DNS_QR | DNS_RD | DNS_RA | DNS_CD);
	assert_int_equal(n, DNS_HEADER + sizeof(WWW) + 4 + 2 * 16 + 11);
	struct dns_iter it;
	struct dns_rr rr;
	dns_iter_init(&it, out, n, &head);
	assert_true(dns_iter_rr(&it, &rr));
	assert_int_equal(rr.ttl, 77);
	assert_true(dns_name_at_is(out, n, rr.owner, WWW));
	assert_memory_equal(out + rr.rdata, "\xc0\0\2\1", 4);
}

static void security_is_told_who_asks(void **state)
{
	(void)state;
	struct resolved r = address();
	r.part[0].set.n = 1;
	r.part[0].set.sigs = 1;
	r.part[0].set.data = (struct slice){SIGNED, sizeof(SIGNED) - 1};
	r.security = RRSET_SECURE;
	ask(WWW, DNS_A, DNS_RD, false);
	size_t n = reply(&r);
	assert_int_equal(records(n, DNS_ANSWER, 0), 1);
	assert_false(head.flags & DNS_AD);
	ask(WWW, DNS_A, DNS_RD | DNS_AD, false);
	n = reply(&r);
	assert_int_equal(records(n, DNS_ANSWER, 0), 1);
	assert_true(head.flags & DNS_AD);
	ask(WWW, DNS_A, DNS_RD, true);
	n = reply(&r);
	assert_int_equal(records(n, DNS_ANSWER, 0), 2);
	assert_int_equal(records(n, DNS_ANSWER, DNS_RRSIG), 1);
	assert_true(head.flags & DNS_AD);
	r.security = RRSET_INSECURE;
	n = reply(&r);
	assert_int_equal(records(n, DNS_ANSWER, 0), 2);
	assert_false(head.flags & DNS_AD);
}

static void an_alias_leads_on(void **state)
{
	(void)state;
	struct resolved r = one(part(ALIAS, DNS_CNAME, 1, (struct slice){TARGET, 15}));
	r.part[r.n++] = address().part[0];
	ask(ALIAS, DNS_A, DNS_RD, false);
	size_t n = reply(&r);
	assert_int_equal(records(n, DNS_ANSWER, DNS_CNAME), 1);
	assert_int_equal(records(n, DNS_ANSWER, DNS_A), 2);
	/* The target is "www" and a pointer, the owners behind it point to that. */
	assert_int_equal(n, DNS_HEADER + sizeof(ALIAS) + 4 + 12 + 6 + 2 * 16 + 11);
	struct dns_iter it;
	struct dns_rr rr;
	dns_iter_init(&it, out, n, &head);
	while (dns_iter_rr(&it, &rr) && rr.section == DNS_ANSWER)
		assert_true(dns_name_at_is(out, n, rr.owner, rr.type == DNS_A ? WWW : ALIAS));
}

static void a_negative_answer_has_its_proof(void **state)
{
	(void)state;
	struct cached c = part(WWW, DNS_MX, 0, (struct slice){0});
	c.kind = CACHE_NXDOMAIN;
	c.extra = SLICE(SOA_RECORD NSEC_RECORD);
	c.extras = 2;
	struct resolved r = one(c);
	r.rcode = DNS_NXDOMAIN;
	ask(WWW, DNS_MX, DNS_RD, false);
	size_t n = reply(&r);
	assert_int_equal(records(n, DNS_AUTHORITY, 0), 1);
	assert_int_equal(records(n, DNS_AUTHORITY, DNS_SOA), 1);
	assert_int_equal(head.flags & DNS_RCODE, DNS_NXDOMAIN);
	assert_true(info.nxdomain);
	struct dns_iter it;
	struct dns_rr rr;
	dns_iter_init(&it, out, n, &head);
	assert_true(dns_iter_rr(&it, &rr));
	assert_int_equal(rr.ttl, 77); /* no more than what is left of the entry */
	assert_true(dns_name_at_is(out, n, rr.owner, ZONE));
	ask(WWW, DNS_MX, DNS_RD, true);
	n = reply(&r);
	assert_int_equal(records(n, DNS_AUTHORITY, 0), 2);
	/* What proves a wildcard's expansion likewise, without an SOA. */
	r = address();
	r.part[0].labels = 1;
	r.part[0].extra = SLICE(NSEC_RECORD);
	r.part[0].extras = 1;
	ask(WWW, DNS_A, DNS_RD, true);
	n = reply(&r);
	assert_int_equal(records(n, DNS_AUTHORITY, DNS_NSEC), 1);
	ask(WWW, DNS_A, DNS_RD, false);
	n = reply(&r);
	assert_int_equal(records(n, DNS_AUTHORITY, 0), 0);
}

static void what_does_not_fit_is_truncated(void **state)
{
	(void)state;
	static char big[2 + 1300];
	big[0] = 1300 >> 8;
	big[1] = (char)(1300 & 0xff);
	struct resolved r = one(part(WWW, 99, 1, (struct slice){big, sizeof(big)}));
	ask(WWW, 99, DNS_RD, false);
	size_t n = reply(&r);
	assert_int_equal(records(n, DNS_ANSWER, 0), 0);
	assert_true(head.flags & DNS_TC);
	assert_true(info.truncated);
	const struct answer_way way = {.client = (struct sockaddr *)&client, .stream = true};
	n = recurse_reply(&about, &q, &way, &r, out, sizeof(out), &info);
	assert_int_equal(records(n, DNS_ANSWER, 0), 1);
	assert_false(head.flags & DNS_TC);
}

static void a_failure_tells_why(void **state)
{
	(void)state;
	struct slice text = {0};
	const struct resolved r = failure(22, "ns.example (192.0.2.1): timeout");
	ask(WWW, DNS_A, DNS_RD, false);
	size_t n = reply(&r);
	assert_int_equal(records(n, DNS_ANSWER, 0), 0);
	assert_int_equal(head.flags & DNS_RCODE, DNS_SERVFAIL);
	assert_int_equal(ede_of(n, &text), 22);
	assert_true(slice_eqs(text, "ns.example (192.0.2.1): timeout"));
}

/* --- clients ------------------------------------------------------------------------------------
 */

static struct {
	unsigned kept, replied;
	uint8_t last[SIZE];
	size_t len;
} peer;

static void on_reply(struct later *l, const uint8_t *p, size_t len)
{
	(void)l;
	peer.replied++;
	peer.len = len;
	if (len)
		memcpy(peer.last, p, len < SIZE ? len : SIZE);
}

static struct later *keep(void *origin)
{
	static struct list list = {&list, &list};
	struct later *l = later_new(&list, sizeof(*l));
	(void)origin;
	l->reply = on_reply;
	peer.kept++;
	return l;
}

static size_t come(bool allowed)
{
	const struct query_from from = {(struct sockaddr *)&client, BY_UDP, keep, NULL,
					SERVES_CACHE};
	const struct answer_way way = {.client = (struct sockaddr *)&client, .now = 1000};
	const struct recurse_question r = {&from, &q, &way, NULL, allowed};
	return recurse(&r, out, sizeof(out), &info);
}

static int start(void **state)
{
	(void)state;
	static struct shared *shared;
	clock_init();
	memset(&conf, 0, sizeof(conf));
	memset(&world, 0, sizeof(world));
	memset(&peer, 0, sizeof(peer));
	memset(&recurse_stats, 0, sizeof(recurse_stats));
	static struct conf_addr addr;
	static void *item[] = {&addr};
	conf.cache = (struct conf_list){item, 1};
	conf.recursion = (struct recursion_conf){.size = 1 << 20,
						 .waiting = 3,
						 .waiting_per_client = 2,
						 .serve_stale = 1000,
						 .outgoing = 10,
						 .ipv4 = true};
	if (!shared)
		shared = shared_open(NULL);
	inet_pton(AF_INET, "192.0.2.1", &client.sin_addr);
	recurse_start(&about, shared, -1);
	ask(WWW, DNS_A, DNS_RD, false);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	recurse_stop();
	while (world.n) {
		struct resolution *r = world.running[0];
		forget(r);
		free(r);
	}
	return 0;
}

static unsigned rcode(const uint8_t *p)
{
	return p[3] & DNS_RCODE;
}

static void strangers_are_refused(void **state)
{
	(void)state;
	struct slice text;
	world.known = address();
	world.has_known = true;
	size_t n = come(false);
	assert_int_equal(rcode(out), DNS_REFUSED);
	assert_int_equal(ede_of(n, &text), 18);
	assert_false(head.flags & DNS_RA);
	n = come(true);
	assert_int_equal(records(n, DNS_ANSWER, DNS_A), 2);
	assert_int_equal(recurse_stats.how[HOW_CACHE], 1);
	assert_int_equal(recurse_stats.how[HOW_REFUSED], 1);
}

static void without_rd_from_the_cache_alone(void **state)
{
	(void)state;
	struct slice text;
	ask(WWW, DNS_A, 0, false);
	size_t n = come(true);
	assert_int_equal(rcode(out), DNS_REFUSED);
	assert_int_equal(ede_of(n, &text), 20);
	assert_int_equal(world.n, 0);
	world.known = address();
	world.has_known = true;
	n = come(true);
	assert_int_equal(records(n, DNS_ANSWER, DNS_A), 2);
}

static void clients_wait(void **state)
{
	(void)state;
	struct resolved r = address();
	assert_int_equal(come(true), 0);
	assert_int_equal(peer.kept, 1);
	assert_int_equal(recurse_stats.waiting, 1);
	memset(pkt, 0xff, sizeof(pkt)); /* the packet is gone */
	found(world.running[0], &r);
	assert_int_equal(peer.replied, 1);
	assert_int_equal(recurse_stats.waiting, 0);
	memcpy(out, peer.last, peer.len);
	assert_int_equal(records(peer.len, DNS_ANSWER, DNS_A), 2);
	assert_int_equal(head.id, 7);
	assert_true(dns_name_at_is(out, peer.len, DNS_HEADER, WWW));
}

static void no_more_than_so_many(void **state)
{
	(void)state;
	assert_int_equal(come(true), 0);
	assert_int_equal(come(true), 0);
	assert_true(come(true) > 0); /* of one client */
	assert_int_equal(rcode(out), DNS_SERVFAIL);
	inet_pton(AF_INET, "192.0.2.99", &client.sin_addr);
	assert_int_equal(come(true), 0);
	inet_pton(AF_INET, "192.0.2.98", &client.sin_addr);
	assert_true(come(true) > 0); /* in all */
	assert_int_equal(recurse_stats.too_many, 2);
	world.full = true;
	struct resolved r = address();
	found(world.running[0], &r);
	assert_true(come(true) > 0);
	assert_int_equal(recurse_stats.waiting, 2);
}

static void old_answers_in_place_of_failures(void **state)
{
	(void)state;
	struct slice text;
	struct resolved failed = failure(22, "no");
	world.old = address();
	world.old.stale = true;
	world.old.ede = 3;
	world.has_old = true;
	assert_int_equal(come(true), 0);
	found(world.running[0], &failed);
	memcpy(out, peer.last, peer.len);
	assert_int_equal(records(peer.len, DNS_ANSWER, DNS_A), 2);
	assert_int_equal(ede_of(peer.len, &text), 3);
	assert_int_equal(recurse_stats.how[HOW_STALE], 1);
	/* Nor while the failure is remembered; but never of what is bogus. */
	world.known = failed;
	world.has_known = true;
	size_t n = come(true);
	assert_int_equal(records(n, DNS_ANSWER, DNS_A), 2);
	failed.security = world.known.security = RRSET_BOGUS;
	come(true);
	assert_int_equal(rcode(out), DNS_SERVFAIL);
}

static void patience_ends(void **state)
{
	(void)state;
	assert_int_equal(come(true), 0);
	world.old = address();
	world.old.stale = true;
	world.has_old = true;
	while (!peer.replied)
		uv_run(loop_get(), UV_RUN_ONCE);
	memcpy(out, peer.last, peer.len);
	assert_int_equal(records(peer.len, DNS_ANSWER, DNS_A), 2);
	assert_int_equal(world.cancelled, 1);
	assert_int_equal(recurse_stats.waiting, 0);
}

static void what_is_asked_for_is_renewed(void **state)
{
	(void)state;
	struct resolved r = address();
	world.known = r;
	world.known.prefetch = true;
	world.has_known = true;
	assert_true(come(true) > 0);
	assert_int_equal(world.n, 1);
	assert_true(world.running[0]->renew);
	assert_int_equal(recurse_stats.prefetched, 1);
	found(world.running[0], &r);
	assert_int_equal(peer.replied, 0);
}

static void too_many_questions(void **state)
{
	(void)state;
	struct shared *shared = shared_open(NULL);
	unsigned answered = 0;
	recurse_stop();
	conf.recursion.queries_per_second = 10;
	recurse_start(&about, shared, -1);
	world.known = address();
	world.has_known = true;
	for (unsigned i = 0; i < 100; i++) {
		size_t n = come(true);
		answered += n && records(n, DNS_ANSWER, DNS_A) == 2;
	}
	assert_true(answered >= 10 && answered < 60);
	assert_true(recurse_stats.how[HOW_LIMITED] > 40);
	inet_pton(AF_INET, "127.0.0.1", &client.sin_addr);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(records(come(true), DNS_ANSWER, DNS_A), 2);
	recurse_stop();
	free(shared);
}

/* Lists and local data, for who is answered at once and for who waits. */
static void policy_is_heard(void **state)
{
	(void)state;
	struct list *l = list_new("list");
	struct local *own = policy_local(0);
	const struct zone_rr rr = {
	    .owner = ALIAS, .type = DNS_CNAME, .ttl = 5, .rdata = WWW, .rdlen = sizeof(WWW)};
	const char *why;
	assert_true(list_line(l, SLICE("drop.example"), LIST_DROP));
	assert_true(list_line(l, SLICE("tcp.example"), LIST_TCP));
	assert_true(list_line(l, SLICE("block.example"), LIST_NXDOMAIN));
	policy_add_list(l);
	assert_true(local_add(own, &rr, &why));
	local_finish(own, true);
	ask((const uint8_t *)"\4drop\7example", DNS_A, DNS_RD, false);
	assert_int_equal(come(true), 0);
	ask((const uint8_t *)"\3tcp\7example", DNS_A, DNS_RD, false);
	size_t n = come(true);
	assert_int_equal(records(n, DNS_ANSWER, 0), 0);
	assert_true(head.flags & DNS_TC);
	ask((const uint8_t *)"\5block\7example", DNS_A, DNS_RD, false);
	come(true);
	assert_int_equal(rcode(out), DNS_NXDOMAIN);
	assert_int_equal(peer.kept, 0);
	/* An alias of ours leads to a name that has to be found out. */
	struct resolved r = address();
	ask(ALIAS, DNS_A, DNS_RD, false);
	assert_int_equal(come(true), 0);
	assert_int_equal(peer.kept, 1);
	memset(&q, 0xff, sizeof(q));
	found(world.running[0], &r);
	assert_int_equal(peer.replied, 1);
	memcpy(out, peer.last, peer.len);
	assert_int_equal(records(peer.len, DNS_ANSWER, DNS_CNAME), 1);
	assert_int_equal(records(peer.len, DNS_ANSWER, DNS_A), 2);
	/* And to one that is known. */
	world.known = r;
	world.has_known = true;
	ask(ALIAS, DNS_A, DNS_RD, false);
	n = come(true);
	assert_int_equal(records(n, DNS_ANSWER, 0), 3);
	assert_true(dns_name_eq(world.last.name, WWW));
	policy_forget();
}

/* IPv6 addresses are made of what a second question brings. */
static void dns64_asks_twice(void **state)
{
	(void)state;
	struct dns64 d = {.prefix = {{0, 0x64, 0xff, 0x9b}, 96}};
	struct cached none = part(WWW, DNS_AAAA, 0, (struct slice){0});
	none.kind = CACHE_NODATA;
	struct resolved r = one(none), a = address();
	policy_set_dns64(&d);
	ask(WWW, DNS_AAAA, DNS_RD, false);
	assert_int_equal(come(true), 0);
	found(world.running[0], &r);
	assert_int_equal(peer.replied, 0);
	assert_int_equal(world.n, 1);
	found(world.running[0], &a);
	assert_int_equal(peer.replied, 1);
	memcpy(out, peer.last, peer.len);
	assert_int_equal(records(peer.len, DNS_ANSWER, DNS_AAAA), 2);
	policy_forget();
}

int main(void)
{
#define CLIENT(fn) cmocka_unit_test_setup_teardown(fn, start, stop)
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer),
	    cmocka_unit_test(security_is_told_who_asks),
	    cmocka_unit_test(an_alias_leads_on),
	    cmocka_unit_test(a_negative_answer_has_its_proof),
	    cmocka_unit_test(what_does_not_fit_is_truncated),
	    cmocka_unit_test(a_failure_tells_why),
	    CLIENT(strangers_are_refused),
	    CLIENT(without_rd_from_the_cache_alone),
	    CLIENT(clients_wait),
	    CLIENT(no_more_than_so_many),
	    CLIENT(old_answers_in_place_of_failures),
	    CLIENT(patience_ends),
	    CLIENT(what_is_asked_for_is_renewed),
	    CLIENT(policy_is_heard),
	    CLIENT(dns64_asks_twice),
	    CLIENT(too_many_questions),
	};
	return cmocka_run_group_tests_name("dnsd recurse", tests, NULL, NULL);
}
