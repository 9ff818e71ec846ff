/* The index of spans: what it answers, what it must not, and that it stays in its bounds. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include "dnsd/validate/aggressive.h"
#include "t/unit/dnsd_validate_kit.h"

static struct aggressive *a;
static struct aggressive_found found;

static int begin(void **state)
{
	(void)state;
	a = aggressive_new(1 << 20);
	return 0;
}

static int end(void **state)
{
	aggressive_free(&a);
	return kit_end(state);
}

/* A line of a zone file, learned as if it had been validated. */
static void learn_in(unsigned space, const char *zone, const char *line, uint32_t ttl)
{
	struct rrset keys = {.owner = kit_name(zone), .type = DNS_DNSKEY};
	struct validate v = {.security = RRSET_SECURE,
			     .set = kit_text(line),
			     .keys = &keys,
			     .ttl = ttl,
			     .now = KIT_NOW};
	aggressive_add(a, space, &v);
}

static void learn(const char *zone, const char *line)
{
	learn_in(0, zone, line, 3600);
}

static bool find_at(unsigned space, const char *name, uint16_t type, uint64_t now)
{
	struct validate_work w;
	validate_work_init(&w);
	return aggressive_find(a, space, kit_name(name), type, now, &w, &found);
}

enum { NOTHING = 9 };
static unsigned find(const char *name, uint16_t type)
{
	return find_at(0, name, type, KIT_NOW) ? (unsigned)found.kind : NOTHING;
}

#define SOA "example. SOA ns.example. a.example. 1 2 3 4 900\n"

static void zone(void)
{
	learn("example", SOA);
	learn("example", "example. NSEC b.example. NS SOA RRSIG NSEC\n");
	learn("example", "b.example. NSEC ns1.example. NS RRSIG NSEC\n");
	learn("example", "ns1.example. NSEC *.w.example. A RRSIG NSEC\n");
	learn("example", "*.w.example. NSEC x.w.example. MX RRSIG NSEC\n");
	learn("example", "x.y.w.example. NSEC xx.example. CNAME RRSIG NSEC\n");
	learn("example", "xx.example. NSEC example. A RRSIG NSEC\n");
}

static void test_nsec(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint16_t type;
		unsigned want, sets;
		const char *encloser;
	} row[] = {
	    {"a.example", DNS_A, AGGRESSIVE_NXDOMAIN, 2, "example"},
	    {"c.example", DNS_A, AGGRESSIVE_NXDOMAIN, 3, "example"},
	    {"c.c.example", DNS_A, AGGRESSIVE_NXDOMAIN, 3, "example"},
	    {"zz.example", DNS_ANY, AGGRESSIVE_NXDOMAIN, 3, "example"},
	    {"a.ns1.example", DNS_A, AGGRESSIVE_NXDOMAIN, 2, "ns1.example"},
	    {"example", DNS_MX, AGGRESSIVE_NODATA, 2, NULL},
	    {"example", DNS_DS, NOTHING, 0, NULL},
	    {"example", DNS_NS, NOTHING, 0, NULL},
	    {"ns1.example", DNS_AAAA, AGGRESSIVE_NODATA, 2, NULL},
	    {"ns1.example", DNS_A, NOTHING, 0, NULL},
	    {"ns1.example", DNS_ANY, NOTHING, 0, NULL},
	    {"w.example", DNS_A, AGGRESSIVE_NODATA, 2, NULL},
	    /* A cut, and below it; its DS. */
	    {"b.example", DNS_A, NOTHING, 0, NULL},
	    {"b.example", DNS_DS, AGGRESSIVE_NODATA, 2, NULL},
	    {"a.b.example", DNS_A, NOTHING, 0, NULL},
	    /* The wildcard has MX only. */
	    {"z.w.example", DNS_A, AGGRESSIVE_NODATA, 3, "w.example"},
	    {"z.w.example", DNS_MX, AGGRESSIVE_WILDCARD, 2, "w.example"},
	    {"x.y.w.example", DNS_A, NOTHING, 0, NULL},
	    /* The span from x.w. is not known. */
	    {"x.w.example", DNS_A, NOTHING, 0, NULL},
	    {"y.w.example", DNS_A, NOTHING, 0, NULL},
	    {"test", DNS_A, NOTHING, 0, NULL},
	};
	zone();
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		unsigned got = find(row[i].name, row[i].type);
		if (got != row[i].want)
			fail_msg("%s %u: %u, not %u", row[i].name, row[i].type, got, row[i].want);
		if (got == NOTHING)
			continue;
		assert_int_equal(found.n, row[i].sets);
		assert_true(!!found.encloser == !!row[i].encloser);
		if (found.encloser)
			assert_true(dns_name_eq(found.encloser, kit_name(row[i].encloser)));
		assert_true(dns_name_eq(found.zone, kit_name("example")));
		assert_int_equal(found.set[0].type,
				 got == AGGRESSIVE_WILDCARD ? DNS_NSEC : DNS_SOA);
		assert_int_equal(found.ttl, got == AGGRESSIVE_WILDCARD ? 3600 : 900);
	}
	struct aggressive_stats s;
	aggressive_stats(a, &s);
	assert_int_equal(s.nxdomain, 5);
	assert_int_equal(s.nodata, 5);
	assert_int_equal(s.wildcard, 1);
}

#define N3(opt_out, from, to, types) \
	from ".example. NSEC3 1 " opt_out " 12 aabbccdd " to " " types "\n"
#define APEX(o) N3(o, "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "2t7b4g4vsa5smi47k61mv5bv1a22bojr", "SOA")
#define A(o)    N3(o, "35mthgpgcu1qg68fab165klnsnk3dpvl", "b4um86eghhds6nea196smvmlo4ors995", "NS DS")
#define XW(o)   N3(o, "b4um86eghhds6nea196smvmlo4ors995", "gjeqe526plbf1g8mklp59enfd789njgi", "MX")
#define NS2(o)  N3(o, "q04jkcevqvmu85r014c7dkba38o0ji5r", "r53bq7cc2uvmubfu5ocmm6pers9tk9en", "A")
#define WILD(o) N3(o, "r53bq7cc2uvmubfu5ocmm6pers9tk9en", "t644ebqk9bibcna874givr6joj62mlhv", "MX")
#define W(o)    N3(o, "k8udemvp1j2f7eg6jebps17vp3n8i58h", "kohar7mbb8dc2ce8a9qvl8hon4k53uhi", "")

/* The zone of RFC 5155 appendix A. */
static void test_nsec3(void **state)
{
	(void)state;
	static const char *const closed[] = {SOA,      APEX("0"), A("0"), XW("0"),
					     NS2("0"), WILD("0"), W("0")};
	static const char *const open[] = {APEX("1"), A("1"), XW("1"), NS2("1")};
	for (unsigned i = 0; i < sizeof(closed) / sizeof(*closed); i++)
		learn("example", closed[i]);
	assert_int_equal(find("a.c.x.w.example", DNS_A), AGGRESSIVE_NXDOMAIN);
	assert_int_equal(found.n, 4);
	assert_true(dns_name_eq(found.encloser, kit_name("x.w.example")));
	assert_int_equal(find("x.w.example", DNS_A), AGGRESSIVE_NODATA);
	assert_int_equal(find("x.w.example", DNS_MX), NOTHING);
	assert_int_equal(find("a.z.w.example", DNS_A), AGGRESSIVE_NODATA);
	assert_int_equal(find("a.z.w.example", DNS_MX), AGGRESSIVE_WILDCARD);
	assert_true(dns_name_eq(found.encloser, kit_name("w.example")));
	assert_int_equal(find("b.a.example", DNS_A), NOTHING);
	/* Opt-out: names are open, types are not. */
	for (unsigned i = 0; i < sizeof(open) / sizeof(*open); i++)
		learn("example", open[i]);
	assert_int_equal(find("a.c.x.w.example", DNS_A), NOTHING);
	assert_int_equal(find("a.z.w.example", DNS_MX), NOTHING);
	assert_int_equal(find("x.w.example", DNS_A), AGGRESSIVE_NODATA);
	/* Too many hashes. */
	struct validate_work w = {0};
	assert_false(aggressive_find(a, 0, kit_name("x.w.example"), DNS_A, KIT_NOW, &w, &found));
}

/* Another chain takes the place of the one before. */
static void test_chains(void **state)
{
	(void)state;
	struct aggressive_stats s;
	zone();
	learn("example", APEX("0"));
	aggressive_stats(a, &s);
	assert_int_equal(s.spans, 2);
	assert_int_equal(find("a.example", DNS_A), NOTHING);
	learn("example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. NSEC3 1 0 0 - "
			 "2t7b4g4vsa5smi47k61mv5bv1a22bojr SOA\n");
	aggressive_stats(a, &s);
	assert_int_equal(s.spans, 2);
	/* Without an SOA the zone goes and comes. */
	learn("test", "test. NSEC b.test. SOA\n");
	learn("test", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.test. NSEC3 1 0 0 - "
		      "2t7b4g4vsa5smi47k61mv5bv1a22bojr SOA\n");
	aggressive_stats(a, &s);
	assert_int_equal(s.spans, 3);
	assert_int_equal(s.zones, 2);
}

static void test_contradiction(void **state)
{
	(void)state;
	zone();
	assert_int_equal(find("c.example", DNS_A), AGGRESSIVE_NXDOMAIN);
	/* c.example has come, and ns1.example is gone. */
	learn("example", "c.example. NSEC o.example. A RRSIG NSEC\n");
	assert_int_equal(find("c.example", DNS_AAAA), AGGRESSIVE_NODATA);
	assert_int_equal(find("ns1.example", DNS_A), AGGRESSIVE_NXDOMAIN);
	assert_int_equal(find("bb.example", DNS_A), NOTHING);
	/* The same span again. */
	learn("example", "c.example. NSEC o.example. A AAAA RRSIG NSEC\n");
	assert_int_equal(find("c.example", DNS_AAAA), NOTHING);
	/* The zone ends there now. */
	learn("example", "c.example. NSEC example. A RRSIG NSEC\n");
	assert_int_equal(find("xx.example", DNS_A), AGGRESSIVE_NXDOMAIN);
}

static void test_times(void **state)
{
	(void)state;
	learn_in(0, "example", SOA, 2000);
	learn_in(0, "example", "example. NSEC b.example. NS SOA\n", 100);
	assert_true(find_at(0, "a.example", DNS_A, KIT_NOW + 40));
	assert_int_equal(found.ttl, 60);
	assert_false(find_at(0, "a.example", DNS_A, KIT_NOW + 100));
	learn_in(0, "example", "example. NSEC b.example. NS SOA\n", 5000);
	assert_true(find_at(0, "a.example", DNS_A, KIT_NOW + 1000));
	assert_int_equal(found.ttl, 900);
	assert_true(find_at(0, "a.example", DNS_A, KIT_NOW + 1990));
	assert_int_equal(found.ttl, 10);
	/* Without an SOA there is no such answer; but the wildcard may stand in. */
	assert_true(find_at(0, "a.example", DNS_A, KIT_NOW + 2000));
	assert_int_equal(found.kind, AGGRESSIVE_WILDCARD);
	assert_false(find_at(1, "a.example", DNS_A, KIT_NOW));
}

/* What was not proven is not learned, nor what is of no use. */
static void test_not_learned(void **state)
{
	(void)state;
	struct rrset keys = {.owner = kit_name("example"), .type = DNS_DNSKEY};
	struct validate v = {.security = RRSET_INSECURE,
			     .set = kit_text("example. NSEC b.example. SOA\n"),
			     .keys = &keys,
			     .ttl = 3600,
			     .now = KIT_NOW};
	aggressive_add(a, 0, &v);
	v.security = RRSET_SECURE;
	v.expanded = true;
	aggressive_add(a, 0, &v);
	learn("example", "z.example. NSEC \\000.z.example. RRSIG NSEC TYPE128\n");
	learn("example", "example. NSEC b.test. SOA\n");
	learn("example", "www.example. A 192.0.2.1\n");
	learn("b.example", SOA);
	learn("example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. NSEC3 1 0 51 - "
			 "2t7b4g4vsa5smi47k61mv5bv1a22bojr SOA\n");
	struct aggressive_stats s;
	aggressive_stats(a, &s);
	assert_int_equal(s.spans, 0);
	assert_int_equal(s.zones, 0);
	assert_int_equal(s.octets, 0);
}

/* Canonical order, with labels that have octets 0, 1 and 255, and upper case. */
static void test_order(void **state)
{
	(void)state;
	static const char *const name[] = {
	    "example",         "a.example",   "yljkjljk.a.example", "Z.a.example",
	    "zABC.a.EXAMPLE",  "z.example",   "\\000.z.example",    "\\000\\000.z.example",
	    "\\001.z.example", "*.z.example", "\\200.z.example",    "\\255.z.example"};
	enum { N = sizeof(name) / sizeof(*name) };
	learn("example", SOA);
	for (unsigned i = N; i-- > 0;) {
		char line[200];
		snprintf(line, sizeof(line), "%s. NSEC %s. TXT%s\n", name[i], name[(i + 1) % N],
			 i ? "" : " SOA");
		learn("example", line);
	}
	for (unsigned i = 0; i < N; i++)
		if (strcmp(name[i], "z.example")) /* its span is one that is not learned */
			assert_int_equal(find(name[i], DNS_A), AGGRESSIVE_NODATA);
	assert_int_equal(find("\\000\\001.z.example", DNS_A), AGGRESSIVE_NODATA); /* by "*.z" */
	assert_int_equal(find("b.example", DNS_A), AGGRESSIVE_NXDOMAIN);
}

static void test_bounds(void **state)
{
	(void)state;
	struct aggressive_stats s;
	aggressive_free(&a);
	a = aggressive_new(100000);
	struct rrset keys = {.owner = kit_name("example"), .type = DNS_DNSKEY};
	learn("example", SOA);
	learn("example", "example. NSEC b.example. SOA\n");
	for (unsigned i = 0; i < 5000; i++) {
		char line[100];
		snprintf(line, sizeof(line), "n%05u.example. NSEC n%05uz.example. A\n", i, i);
		struct validate v = {.security = RRSET_SECURE,
				     .set = kit_text(line),
				     .keys = &keys,
				     .ttl = 3600,
				     .now = KIT_NOW};
		aggressive_add(a, 0, &v);
		/* What is of use stays. */
		assert_int_equal(find("a.example", DNS_A), AGGRESSIVE_NXDOMAIN);
		aggressive_stats(a, &s);
		assert_true(s.octets <= 100000);
		kit_end(NULL);
		keys.owner = kit_name("example");
	}
	assert_true(s.evicted > 1000);
	assert_true(s.spans > 200);
	/* Many zones, of which nothing but an SOA is known. */
	for (unsigned i = 0; i < 2000; i++) {
		char soa[100], name[32];
		snprintf(name, sizeof(name), "z%u", i);
		snprintf(soa, sizeof(soa), "%s. SOA a. b. 1 2 3 4 5\n", name);
		learn(name, soa);
		aggressive_stats(a, &s);
		assert_true(s.octets <= 100000);
		kit_end(NULL);
	}
}

static void test_extra(void **state)
{
	(void)state;
	struct kit_key k;
	struct validate v;
	struct validate_work w;
	struct buf out = {0};
	const char *const line[] = {SOA, "example. NSEC b.example. NS SOA RRSIG NSEC\n"};
	kit_key(&k, 13, 0);
	const struct rrset *keys = kit_dnskey("example", &k, 1);
	for (unsigned i = 0; i < 2; i++) {
		struct rrset *set = kit_text(line[i]);
		kit_sign(set, &k, &(struct kit_sig){.signer = "example."});
		validate_work_init(&w);
		validate_begin(&v, set, keys, KIT_NOW, 0);
		assert_int_equal(validate_step(&v, &w), RRSET_SECURE);
		aggressive_add(a, 7, &v);
	}
	assert_true(find_at(7, "a.example", DNS_A, KIT_NOW));
	assert_int_equal(aggressive_extra(&found, &out), 4);
	/* The records stand one behind the other. */
	static const uint16_t type[] = {DNS_SOA, DNS_RRSIG, DNS_NSEC, DNS_RRSIG};
	const uint8_t *p = (const uint8_t *)out.p;
	size_t left = out.len;
	for (unsigned i = 0; i < 4; i++) {
		size_t n = dns_name_check(p, left);
		assert_int_equal(n, 9);
		assert_int_equal(dns_u16(p + n), type[i]);
		assert_int_equal(dns_u32(p + n + 4), 900);
		n += 10u + dns_u16(p + n + 8);
		assert_true(n <= left);
		p += n;
		left -= n;
	}
	assert_int_equal(left, 0);
	buf_free(&out);
	kit_key_free(&k);
}

static void test_flush(void **state)
{
	(void)state;
	struct aggressive_stats s;
	zone();
	learn("test", "test. NSEC b.test. SOA\n");
	learn("a.b.test", "a.b.test. NSEC b.a.b.test. SOA\n");
	learn_in(3, "a.b.test", "a.b.test. NSEC b.a.b.test. SOA\n", 60);
	learn(".", ". NSEC example. SOA\n");
	aggressive_flush(a, kit_name("www.example"));
	assert_int_equal(find("a.example", DNS_A), NOTHING);
	aggressive_stats(a, &s);
	assert_int_equal(s.zones, 4);
	aggressive_flush(a, kit_name("b.test"));
	aggressive_stats(a, &s);
	assert_int_equal(s.zones, 1);
	aggressive_flush(a, kit_name("."));
	aggressive_stats(a, &s);
	assert_int_equal(s.zones, 0);
	assert_int_equal(s.octets, 0);
	aggressive_flush(a, kit_name("."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_nsec, begin, end),
	    cmocka_unit_test_setup_teardown(test_nsec3, begin, end),
	    cmocka_unit_test_setup_teardown(test_chains, begin, end),
	    cmocka_unit_test_setup_teardown(test_contradiction, begin, end),
	    cmocka_unit_test_setup_teardown(test_times, begin, end),
	    cmocka_unit_test_setup_teardown(test_not_learned, begin, end),
	    cmocka_unit_test_setup_teardown(test_order, begin, end),
	    cmocka_unit_test_setup_teardown(test_bounds, begin, end),
	    cmocka_unit_test_setup_teardown(test_extra, begin, end),
	    cmocka_unit_test_setup_teardown(test_flush, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
