/* The cache: what it finds, what stays, and that it never says what was not put, however full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "dnsd/cache/cache_file.h"

enum { NOW = 1790000000, NONE = 0xffff, MANY = 4000, STEPS = 60000 };

static const struct cache_conf usual = {.octets = 1 << 20,
					.ttl_most = 86400,
					.negative_most = 3600,
					.failure_ttl = 30,
					.stale = 3600,
					.prefetch = 10};

static const uint8_t *wire(const char *text)
{
	static uint8_t name[8][DNS_NAME_MAX];
	static unsigned next;
	uint8_t *p = name[next++ % 8];
	assert_true(dns_name_from_text(slice_of(text), p) > 0);
	return p;
}

/* One record of four octets, of which the last two are `v`. */
static struct cached entry(const char *name, uint16_t type, uint32_t ttl, uint16_t v)
{
	static char data[6];
	memcpy(data, (char[]){0, 4, 10, 0, (char)(v >> 8), (char)v}, sizeof(data));
	return (struct cached){
	    .kind = CACHE_RRSET,
	    .trust = CACHE_ANSWER,
	    .security = RRSET_INSECURE,
	    .set = {.owner = wire(name), .type = type, .ttl = ttl, .n = 1, .data = {data, 6}},
	    .ede = NONE};
}

static struct cached negative(const char *name, enum cache_kind kind, uint16_t type, uint32_t ttl)
{
	struct cached e = entry(name, type, ttl, 0);
	e.kind = kind;
	e.set.n = 0;
	e.set.data = (struct slice){0};
	e.extra = SLICE("an SOA record");
	e.extras = 1;
	return e;
}

static uint16_t value(const struct cached *e)
{
	assert_int_equal(e->set.n, 1);
	assert_int_equal(e->set.data.len, 6);
	return dns_u16((const uint8_t *)e->set.data.p + 4);
}

static bool find(struct cache *c, const char *name, uint16_t type, uint64_t now, struct cached *out)
{
	return cache_find(c, 0, wire(name), type, now, false, out);
}

static void put(struct cache *c, struct cached e, uint64_t now)
{
	assert_true(cache_put(c, 0, &e, now));
}

static void finds_what_was_put(void **state)
{
	struct cache *c = cache_new(&usual);
	struct cached e = entry("www.example", DNS_A, 300, 7), out;
	(void)state;
	e.security = RRSET_SECURE;
	e.labels = 1;
	e.extra = SLICE("the proof");
	e.extras = 2;
	put(c, e, NOW);
	assert_true(find(c, "www.example", DNS_A, NOW + 100, &out));
	assert_int_equal(out.kind, CACHE_RRSET);
	assert_int_equal(out.trust, CACHE_ANSWER);
	assert_int_equal(out.security, RRSET_SECURE);
	assert_int_equal(out.set.ttl, 200);
	assert_int_equal(out.set.type, DNS_A);
	assert_true(dns_name_eq(out.set.owner, wire("www.example")));
	assert_int_equal(value(&out), 7);
	assert_int_equal(out.labels, 1);
	assert_int_equal(out.extras, 2);
	assert_true(slice_eqs(out.extra, "the proof"));
	assert_int_equal(out.ede, NONE);
	assert_false(out.stale || out.prefetch);
	assert_false(find(c, "www.example", DNS_AAAA, NOW, &out));
	assert_false(find(c, "example", DNS_A, NOW, &out));
	assert_false(cache_find(c, 1, wire("www.example"), DNS_A, NOW, false, &out));
	assert_false(find(c, "www.example", DNS_A, NOW + 300, &out));
	cache_free(&c);
	assert_null(c);
}

static void ttls_are_clamped(void **state)
{
	struct cache_conf conf = usual;
	struct cached out;
	(void)state;
	conf.ttl_least = 5;
	struct cache *c = cache_new(&conf);
	put(c, entry("a", DNS_A, 1000000, 1), NOW);
	put(c, entry("b", DNS_A, 1, 1), NOW);
	put(c, negative("c", CACHE_NODATA, DNS_A, 90000), NOW);
	put(c, negative("d", CACHE_FAILURE, DNS_A, 0), NOW);
	put(c, negative("e", CACHE_FAILURE, DNS_A, 100), NOW);
	put(c, negative("f", CACHE_FAILURE, DNS_A, 3), NOW);
	static const uint32_t want[] = {86400, 5, 3600, 30, 30, 3};
	for (char name[] = "a"; *name <= 'f'; ++*name) {
		assert_true(find(c, name, DNS_A, NOW, &out));
		assert_int_equal(out.set.ttl, want[*name - 'a']);
	}
	cache_free(&c);
	c = cache_new(&usual);
	put(c, entry("a", DNS_A, 0, 1), NOW);
	assert_true(find(c, "a", DNS_A, NOW, &out));
	assert_int_equal(out.set.ttl, 0);
	assert_false(find(c, "a", DNS_A, NOW + 1, &out));
	cache_free(&c);
}

static void an_alias_stands_for_most_types(void **state)
{
	struct cache *c = cache_new(&usual);
	struct cached out;
	(void)state;
	put(c, entry("a", DNS_CNAME, 300, 1), NOW);
	assert_true(find(c, "a", DNS_MX, NOW, &out));
	assert_int_equal(out.set.type, DNS_CNAME);
	assert_true(find(c, "a", DNS_CNAME, NOW, &out));
	assert_false(find(c, "a", DNS_DS, NOW, &out));
	assert_false(find(c, "a", DNS_NSEC, NOW, &out));
	put(c, entry("a", DNS_MX, 300, 2), NOW);
	assert_true(find(c, "a", DNS_MX, NOW, &out));
	assert_int_equal(out.set.type, DNS_MX);
	/* That there is no CNAME says nothing of other types. */
	put(c, negative("b", CACHE_NODATA, DNS_CNAME, 300), NOW);
	assert_false(find(c, "b", DNS_A, NOW, &out));
	cache_free(&c);
}

static void a_name_that_is_not_there(void **state)
{
	struct cache *c = cache_new(&usual);
	struct cached e = negative("no.example", CACHE_NXDOMAIN, DNS_A, 300), out;
	(void)state;
	put(c, e, NOW);
	assert_true(find(c, "no.example", DNS_MX, NOW, &out));
	assert_int_equal(out.kind, CACHE_NXDOMAIN);
	assert_int_equal(out.extras, 1);
	assert_false(find(c, "below.no.example", DNS_A, NOW, &out));
	e.security = RRSET_SECURE;
	put(c, e, NOW);
	assert_true(find(c, "far.below.no.example", DNS_A, NOW, &out));
	assert_true(dns_name_eq(out.set.owner, wire("no.example")));
	assert_false(find(c, "yes.example", DNS_A, NOW, &out));
	put(c, entry("is.no.example", DNS_A, 300, 1), NOW); /* newer than the proof */
	assert_true(find(c, "is.no.example", DNS_A, NOW, &out));
	assert_int_equal(out.kind, CACHE_RRSET);
	/* An address that came along with something else changes nothing; an answer does. */
	struct cached glue = entry("no.example", DNS_AAAA, 300, 1);
	glue.trust = CACHE_ADDITIONAL;
	put(c, glue, NOW);
	assert_true(find(c, "no.example", DNS_MX, NOW, &out));
	put(c, entry("no.example", DNS_A, 300, 1), NOW);
	assert_false(find(c, "no.example", DNS_MX, NOW, &out));
	assert_false(find(c, "below.no.example", DNS_A, NOW, &out));
	cache_free(&c);
}

static void less_trusted_gives_way(void **state)
{
	struct cache *c = cache_new(&usual);
	struct cached e = entry("a", DNS_A, 300, 1), less = entry("a", DNS_A, 300, 1), out;
	(void)state;
	less.trust = CACHE_AUTHORITY;
	put(c, less, NOW);
	put(c, e, NOW);
	assert_false(cache_put(c, 0, &less, NOW));
	less.kind = CACHE_NODATA;
	assert_false(cache_put(c, 0, &less, NOW));
	assert_true(find(c, "a", DNS_A, NOW, &out));
	assert_int_equal(out.trust, CACHE_ANSWER);
	put(c, less, NOW + 300);
	/* Nor what was not validated that which was. */
	e.security = RRSET_SECURE;
	put(c, e, NOW);
	e.security = RRSET_UNCHECKED;
	assert_false(cache_put(c, 0, &e, NOW));
	e.security = RRSET_INSECURE; /* the zone was signed, and is not any more */
	put(c, e, NOW);
	cache_free(&c);
}

static void a_failure_costs_no_data(void **state)
{
	struct cache *c = cache_new(&usual);
	struct cached e = negative("a", CACHE_FAILURE, DNS_A, 0), out;
	(void)state;
	e.ede = 22;
	put(c, entry("a", DNS_A, 300, 1), NOW);
	put(c, e, NOW + 299);
	assert_true(find(c, "a", DNS_A, NOW + 299, &out));
	assert_int_equal(out.kind, CACHE_RRSET);
	assert_true(find(c, "a", DNS_A, NOW + 300, &out));
	assert_int_equal(out.kind, CACHE_FAILURE);
	assert_int_equal(out.ede, 22);
	assert_true(cache_find(c, 0, wire("a"), DNS_A, NOW + 300, true, &out));
	assert_int_equal(out.kind, CACHE_RRSET);
	assert_true(out.stale);
	assert_int_equal(out.set.ttl, 30);
	assert_int_equal(out.ede, 3);
	assert_false(find(c, "a", DNS_A, NOW + 330, &out));
	assert_true(cache_find(c, 0, wire("a"), DNS_A, NOW + 300 + 3599, true, &out));
	assert_false(cache_find(c, 0, wire("a"), DNS_A, NOW + 300 + 3600, true, &out));
	cache_free(&c);
}

static void popular_names_are_renewed_once(void **state)
{
	struct cache *c = cache_new(&usual);
	struct cached out;
	(void)state;
	put(c, entry("a", DNS_A, 100, 1), NOW);
	assert_true(find(c, "a", DNS_A, NOW + 95, &out));
	assert_false(out.prefetch); /* asked for once */
	assert_true(find(c, "a", DNS_A, NOW + 95, &out));
	assert_true(out.prefetch);
	assert_true(find(c, "a", DNS_A, NOW + 95, &out));
	assert_false(out.prefetch);
	put(c, entry("a", DNS_A, 100, 2), NOW + 95);
	assert_true(find(c, "a", DNS_A, NOW + 95 + 90, &out));
	assert_false(out.prefetch);
	assert_true(find(c, "a", DNS_A, NOW + 95 + 91, &out));
	assert_true(out.prefetch);
	assert_int_equal(value(&out), 2);
	cache_free(&c);
}

static void the_closest_delegation(void **state)
{
	struct cache *c = cache_new(&usual);
	struct cached e = entry("example", DNS_NS, 300, 1), out;
	(void)state;
	e.kind = CACHE_DELEGATION;
	put(c, e, NOW);
	e.set.owner = wire("deep.sub.example");
	put(c, e, NOW);
	put(c, entry("sub.example", DNS_NS, 300, 1), NOW); /* the child's own */
	assert_true(cache_delegation(c, 0, wire("www.sub.example"), false, NOW, &out));
	assert_true(dns_name_eq(out.set.owner, wire("example")));
	assert_true(cache_delegation(c, 0, wire("deep.sub.example"), false, NOW, &out));
	assert_true(dns_name_eq(out.set.owner, wire("deep.sub.example")));
	assert_true(cache_delegation(c, 0, wire("deep.sub.example"), true, NOW, &out));
	assert_true(dns_name_eq(out.set.owner, wire("example")));
	assert_false(cache_delegation(c, 0, wire("other"), false, NOW, &out));
	assert_false(cache_delegation(c, 0, wire("."), true, NOW, &out));
	assert_false(cache_delegation(c, 0, wire("example"), false, NOW + 300, &out));
	assert_false(cache_find_kind(c, 0, wire("sub.example"), CACHE_NODATA, DNS_NS, NOW, &out));
	assert_true(cache_find_kind(c, 0, wire("sub.example"), CACHE_RRSET, DNS_NS, NOW, &out));
	cache_free(&c);
}

static void forgets(void **state)
{
	struct cache *c = cache_new(&usual);
	struct cached e = entry("example", DNS_A, 300, 1), out;
	(void)state;
	put(c, e, NOW);
	assert_true(cache_put(c, 3, &e, NOW));
	put(c, entry("example", DNS_MX, 300, 1), NOW);
	put(c, entry("www.example", DNS_A, 300, 1), NOW);
	put(c, negative("no.example", CACHE_NXDOMAIN, DNS_MX, 300), NOW);
	put(c, entry("notexample", DNS_A, 300, 1), NOW);
	assert_int_equal(cache_flush(c, wire("example"), DNS_A, false), 2);
	assert_false(find(c, "example", DNS_A, NOW, &out));
	assert_true(find(c, "example", DNS_MX, NOW, &out));
	assert_int_equal(cache_flush(c, wire("example"), DNS_A, true), 2);
	assert_int_equal(cache_flush(c, wire("example"), 0, true), 1);
	assert_int_equal(cache_flush(c, wire("."), 0, true), 1);
	cache_free(&c);
}

static void too_large(void **state)
{
	struct cache *c = cache_new(&usual);
	struct cached e = entry("a", DNS_TXT, 300, 1);
	static char big[200000];
	(void)state;
	e.set.data = (struct slice){big, sizeof(big)};
	assert_false(cache_put(c, 0, &e, NOW));
	e.set.data.len = 90000;
	put(c, e, NOW);
	assert_false(cache_put(c, 70000, &e, NOW));
	cache_free(&c);
}

/* --- saved -------------------------------------------------------------------------------------
 */

static bool add(void *arg, struct slice piece)
{
	return buf_add_slice(arg, piece);
}

static void is_saved_and_read(void **state)
{
	static const char mx[] = "\0\10\0\12\4mail\0";
	static const char soa[] = "\0\0\6\0\1\0\0\1,\0\26\0\0\0\0\0\1\0\0\0\2\0\0\0\3"
				  "\0\0\0\4\0\0\1,";
	struct cache *c = cache_new(&usual), *again = cache_new(&usual);
	struct cached e = entry("a", DNS_A, 300, 7), out;
	struct buf saved = {0};
	size_t n;
	(void)state;
	e.security = RRSET_SECURE;
	assert_true(cache_put(c, 5, &e, NOW));
	e = entry("a", DNS_MX, 600, 0);
	e.set.data = (struct slice){mx, sizeof(mx) - 1};
	put(c, e, NOW);
	e = negative("no", CACHE_NXDOMAIN, DNS_A, 300);
	e.extra = (struct slice){soa, sizeof(soa) - 1};
	put(c, e, NOW);
	put(c, entry("gone", DNS_A, 10, 7), NOW);
	e = negative("bad", CACHE_FAILURE, DNS_A, 0);
	e.extras = 0;
	put(c, e, NOW);
	assert_true(cache_save(c, NOW + 20, add, &saved));
	assert_true(cache_load(again, buf_slice(&saved), NOW + 100, &n));
	assert_int_equal(n, 3);
	assert_true(cache_find(again, 5, wire("a"), DNS_A, NOW + 100, false, &out));
	assert_int_equal(out.security, RRSET_SECURE);
	assert_int_equal(out.set.ttl, 200);
	assert_int_equal(value(&out), 7);
	assert_true(find(again, "a", DNS_MX, NOW + 100, &out));
	assert_true(find(again, "no", DNS_A, NOW + 100, &out));
	assert_int_equal(out.kind, CACHE_NXDOMAIN);
	assert_int_equal(out.extra.len, sizeof(soa) - 1);
	cache_free(&again);
	/* Of what is damaged what stood before is taken, and nothing that is not well formed. */
	for (size_t len = 0; len < saved.len; len++) {
		again = cache_new(&usual);
		bool whole = cache_load(again, (struct slice){saved.p, len}, NOW + 100, &n);
		assert_true(n < 3 && (!whole || n > 0 || len == 15));
		cache_free(&again);
	}
	buf_free(&saved);
	cache_free(&c);
}

/* --- against a model: everything that was put and has not been replaced --------------------------
 */

struct model {
	uint64_t expires;
	uint16_t value;
	uint8_t trust;
	bool there;
};
static struct model model[MANY];

static uint32_t draw(uint32_t n)
{
	static uint64_t s = 88172645463325252u;
	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return (uint32_t)((s >> 33) % n);
}

/* Of different lengths; filler says how much data comes behind the record. */
static struct cached numbered(unsigned i, uint16_t v)
{
	static char name[200], data[600];
	static const char pad[] = "and-some-more";
	snprintf(name, sizeof(name), "n%u.%.*s.example", i, (int)(1 + i % (sizeof(pad) - 1)), pad);
	struct cached e = entry(name, (uint16_t)(1 + i % 3), 1 + draw(500), v);
	memcpy(data, e.set.data.p, 6);
	e.set.data.p = data;
	e.set.data.len = 6 + (v % 7 ? 0 : draw(500));
	return e;
}

static void check_found(struct cache *c, unsigned i, uint64_t now, bool must)
{
	struct cached like = numbered(i, 1), out;
	const struct model *m = &model[i];
	cache_ahead(c, 0, &(struct cache_ahead){like.set.owner, like.set.type}, 1);
	bool found = cache_find(c, 0, like.set.owner, like.set.type, now, true, &out);
	if (!found) {
		assert_false(must && m->there && now < m->expires);
		return;
	}
	assert_true(m->there);
	assert_int_equal(out.stale, now >= m->expires);
	assert_int_equal(out.set.ttl, out.stale ? 30 : m->expires - now);
	assert_int_equal(out.trust, m->trust);
	assert_true(dns_name_eq(out.set.owner, like.set.owner));
	assert_int_equal(dns_u16((const uint8_t *)out.set.data.p + 4), m->value);
}

static void put_one(struct cache *c, unsigned i, uint64_t now)
{
	struct model *m = &model[i];
	struct cached e = numbered(i, (uint16_t)draw(65536)), was;
	e.trust = draw(4) ? CACHE_ANSWER : CACHE_AUTHORITY;
	bool there = cache_find(c, 0, e.set.owner, e.set.type, now, false, &was);
	bool ok = cache_put(c, 0, &e, now);
	assert_int_equal(ok, !(there && was.trust > e.trust));
	if (ok)
		*m = (struct model){now + e.set.ttl, dns_u16((const uint8_t *)e.set.data.p + 4),
				    (uint8_t)e.trust, true};
}

/* What was shown goes in again, under its own name: it may stand where the next one will. */
static void put_again(struct cache *c, unsigned i, uint64_t now)
{
	struct cached like = numbered(i, 1), e;
	if (!cache_find(c, 0, like.set.owner, like.set.type, now, false, &e))
		return;
	char more[64] = {0};
	e.extra = (struct slice){more, draw(sizeof(more))};
	e.extras = 1;
	assert_true(cache_put(c, 0, &e, now));
}

struct census {
	uint64_t n;
	struct cache *c;
};

static bool census(void *arg, unsigned space, const struct cached *e)
{
	struct census *s = arg;
	struct cached out;
	s->n++;
	assert_true(cache_find_kind(s->c, space, e->set.owner, e->kind, e->set.type, NOW, &out));
	assert_ptr_equal(out.set.owner, e->set.owner);
	return true;
}

static void play(size_t octets, unsigned names, bool forgets_nothing)
{
	struct cache_conf conf = usual;
	struct cache_stats st;
	conf.octets = octets;
	struct cache *c = cache_new(&conf);
	memset(model, 0, sizeof(model));
	uint64_t now = NOW;
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned k = draw(4) ? draw(names / 8) : draw(names); /* some are popular */
		switch (draw(16)) {
		case 0:
			now += draw(3);
			break;
		case 1:
			put_again(c, k, now);
			break;
		case 2:
			if (draw(50) == 0) {
				struct cached e = numbered(k, 1);
				assert_true(cache_flush(c, e.set.owner, e.set.type, false) <= 1);
				model[k].there = false;
			}
			break;
		case 3:
		case 4:
		case 5:
		case 6:
			put_one(c, k, now);
			break;
		default:
			check_found(c, k, now, forgets_nothing);
		}
		cache_stats(c, &st);
		assert_true(st.octets <= octets);
	}
	assert_int_equal(st.evicted == 0, forgets_nothing);
	struct census s = {0, c};
	cache_each(c, NOW, census, &s); /* seen from the past nothing has expired */
	assert_int_equal(s.n, st.entries);
	cache_free(&c);
}

static void remembers_all_that_there_is_room_for(void **state)
{
	(void)state;
	play(4 << 20, 800, true);
}

static void never_lies_when_it_is_full(void **state)
{
	(void)state;
	for (size_t octets = 1 << 16; octets <= 1 << 18; octets += 12345)
		play(octets, MANY, false);
}

/* Names that are asked for outlive any number of those that nobody asks for. */
static void keeps_what_is_asked_for(void **state)
{
	struct cache *c = cache_new(&usual);
	struct cached out;
	unsigned lost = 0;
	char name[64];
	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		snprintf(name, sizeof(name), "flood%u.example", i);
		put(c, entry(name, DNS_A, 3600, 1), NOW);
		snprintf(name, sizeof(name), "good%u.example", i % 100);
		if (!find(c, name, DNS_A, NOW, &out)) {
			put(c, entry(name, DNS_A, 3600, 1), NOW);
			lost++;
		}
	}
	assert_true(lost < 300); /* all of them are the first time */
	cache_free(&c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_what_was_put),
	    cmocka_unit_test(ttls_are_clamped),
	    cmocka_unit_test(an_alias_stands_for_most_types),
	    cmocka_unit_test(a_name_that_is_not_there),
	    cmocka_unit_test(less_trusted_gives_way),
	    cmocka_unit_test(a_failure_costs_no_data),
	    cmocka_unit_test(popular_names_are_renewed_once),
	    cmocka_unit_test(the_closest_delegation),
	    cmocka_unit_test(forgets),
	    cmocka_unit_test(too_large),
	    cmocka_unit_test(is_saved_and_read),
	    cmocka_unit_test(remembers_all_that_there_is_room_for),
	    cmocka_unit_test(never_lies_when_it_is_full),
	    cmocka_unit_test(keeps_what_is_asked_for),
	};
	return cmocka_run_group_tests_name("dnsd cache", tests, NULL, NULL);
}
