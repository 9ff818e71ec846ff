/* The resolver's pure parts: what of a response counts, which name a server is told, which server
 * is asked, where an answer leads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "dnsd/resolve/chase.h"
#include "dnsd/resolve/hints.h"
#include "dnsd/resolve/minimise.h"
#include "dnsd/resolve/pick.h"
#include "dnsd/resolve/put.h"
#include "t/unit/dnsd_zone.h"

static struct pool *pool;

static int begin(void **state)
{
	(void)state;
	pool = pool_new(0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	pool_free(&pool);
	return 0;
}

/* --- responses from lines "an NAME TTL TYPE DATA" ----------------------------------------------
 */
static void line(struct dns_out *o, struct slice text)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	struct dns_word word[ZONE_WORDS] = {0};
	struct slice section = slice_word(&text);
	uint8_t owner[DNS_NAME_MAX];
	const char *why;
	const uint8_t *root = (const uint8_t *)"";
	uint32_t ttl;
	size_t n = zone_words(text, word), len, bad;
	assert_true(dns_name_from_zone(word[0].text, root, owner, &why));
	assert_true(str_u32(word[1].text, &ttl));
	uint16_t type = dns_type_from_text(word[2].text);
	assert_true(dns_rdata_from_text(type, word + 3, n - 3, root, rdata, &len, &why, &bad));
	size_t rr = dns_out_rr(o,
			       slice_eqs(section, "an")   ? DNS_ANSWER
			       : slice_eqs(section, "ns") ? DNS_AUTHORITY
							  : DNS_ADDITIONAL,
			       owner, type, ttl);
	dns_out_bytes(o, rdata, len);
	dns_out_rr_end(o, rr);
}

static struct scrubbed read_as(const char *zone, const char *name, uint16_t type, uint16_t flags,
			       const char *text)
{
	static uint8_t pkt[DNS_MSG_MAX];
	struct scrub_question q = {.zone = wire_name(zone), .name = wire_name(name), .type = type};
	struct scrubbed out;
	struct dns_out o;
	struct slice rest = slice_of(text);
	dns_out_init(&o, pkt, sizeof(pkt), 1, DNS_QR | flags);
	dns_out_question(&o, q.name, type);
	while (rest.len)
		line(&o, slice_cut(&rest, '\n'));
	scrub(pool, &q, pkt, o.len, &out);
	return out;
}

#define SOA "ns test. 300 SOA ns.test. h.test. 1 2 3 4 60\n"

static void classified(void **state)
{
	(void)state;
	static const struct {
		uint16_t type, flags;
		const char *text;
		enum scrub_kind kind;
		unsigned records; /* of main */
	} row[] = {
	    {DNS_A, DNS_AA, "an www.a.test. 60 A 10.0.0.1\nan www.a.test. 50 A 10.0.0.2\n",
	     SCRUB_ANSWER, 2},
	    /* The same twice. */
	    {DNS_A, DNS_AA, "an www.a.test. 60 A 10.0.0.1\nan www.a.test. 50 A 10.0.0.1\n",
	     SCRUB_ANSWER, 1},
	    {DNS_A, 0, "an www.a.test. 60 A 10.0.0.1\n", SCRUB_ANSWER, 1},
	    {DNS_A, DNS_RA, "an www.a.test. 60 A 10.0.0.1\n", SCRUB_LAME, 0},
	    {DNS_A, DNS_AA, "an www.a.test. 60 CNAME x.test.\nan x.test. 60 A 10.0.0.1\n",
	     SCRUB_CNAME, 1},
	    {DNS_CNAME, DNS_AA, "an www.a.test. 60 CNAME x.test.\n", SCRUB_ANSWER, 1},
	    {DNS_A, DNS_AA, "an www.a.test. 60 CNAME x.test.\nan www.a.test. 60 CNAME y.test.\n",
	     SCRUB_MALFORMED, 0},
	    {DNS_A, DNS_AA, "an a.test. 60 DNAME b.test.\nan www.a.test. 60 CNAME www.b.test.\n",
	     SCRUB_DNAME, 1},
	    {DNS_A, DNS_AA, "an a.test. 60 DNAME b.test.\n", SCRUB_DNAME, 1},
	    {DNS_A, DNS_AA, "an a.test. 60 DNAME b.test.\nan www.a.test. 60 CNAME www.c.test.\n",
	     SCRUB_MALFORMED, 0},
	    {DNS_A, DNS_AA, "an other.test. 60 A 10.0.0.1\n", SCRUB_NODATA, 0},
	    {DNS_A, DNS_AA, SOA, SCRUB_NODATA, 1},
	    {DNS_A, DNS_AA | DNS_NXDOMAIN, SOA, SCRUB_NXDOMAIN, 1},
	    {DNS_A, DNS_NXDOMAIN, "", SCRUB_LAME, 0},
	    {DNS_A, 0, "", SCRUB_LAME, 0},
	    {DNS_A, 0, "ns a.test. 60 NS ns.a.test.\n", SCRUB_REFERRAL, 1},
	    {DNS_A, 0, "ns test. 60 NS ns.a.test.\n", SCRUB_LAME, 0},
	    {DNS_A, 0, "ns . 60 NS ns.a.test.\n", SCRUB_LAME, 0},
	    {DNS_A, 0, "ns b.test. 60 NS ns.a.test.\n", SCRUB_LAME, 0},
	    {DNS_DS, 0, "ns www.a.test. 60 NS ns.a.test.\n", SCRUB_LAME, 0},
	    {DNS_A, DNS_REFUSED, "", SCRUB_LAME, 0},
	    {DNS_A, DNS_SERVFAIL, "", SCRUB_FAILED, 0},
	    {DNS_A, DNS_AA | DNS_TC, "an www.a.test. 60 A 10.0.0.1\n", SCRUB_MALFORMED, 0},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct scrubbed s =
		    read_as("test", "www.a.test", row[i].type, row[i].flags, row[i].text);
		if (s.kind != row[i].kind || (s.main ? s.main->n : 0) != row[i].records)
			fail_msg("row %zu: %d %u %s", i, (int)s.kind, s.main ? s.main->n : 0,
				 s.why ? s.why : "");
	}
}

static void glue_is_of_the_servers(void **state)
{
	(void)state;
	struct scrubbed s = read_as("test", "www.a.test", DNS_A, 0,
				    "ns a.test. 60 NS ns.a.test.\n"
				    "ns a.test. 60 NS ns.b.test.\n"
				    "ns a.test. 60 NS ns.other.\n"
				    "ar ns.a.test. 60 A 10.0.0.1\n"
				    "ar ns.a.test. 60 AAAA 2001:db8::1\n"
				    "ar ns.b.test. 60 A 10.0.0.2\n"
				    "ar ns.c.test. 60 A 10.0.0.3\n"
				    "ar ns.other. 60 A 10.0.0.4\n");
	assert_int_equal(s.kind, SCRUB_REFERRAL);
	assert_int_equal(s.addresses, 3);
	assert_int_equal(s.dropped, 1); /* of another zone */
	struct cached c;
	const struct rrset *set[8];
	put_cached(pool, &s, wire_name("www.a.test"), DNS_A, 0, &c);
	assert_int_equal(c.kind, CACHE_DELEGATION);
	assert_int_equal(c.extras, 3);
	assert_int_equal(scrub_records(pool, c.extra, set, 8), 3);
	assert_int_equal(set[1]->type, DNS_AAAA);
}

static void negative_ttl(void **state)
{
	(void)state;
	struct cached c;
	struct scrubbed s = read_as("test", "www.a.test", DNS_A, DNS_AA, SOA);
	put_cached(pool, &s, wire_name("www.a.test"), DNS_A, 0, &c);
	assert_int_equal(c.kind, CACHE_NODATA);
	assert_int_equal(c.set.ttl, 60);
	assert_int_equal(c.extras, 1);
	s = read_as("test", "www.a.test", DNS_A, DNS_AA, "");
	put_cached(pool, &s, wire_name("www.a.test"), DNS_A, 0, &c);
	assert_int_equal(c.set.ttl, 0);
}

static void limits(void **state)
{
	(void)state;
	struct buf text = {0};
	for (unsigned i = 0; i < SCRUB_RECORDS + 1; i++)
		buf_printf(&text, "an www.a.test. 60 A 10.0.%u.%u\n", i >> 8, i & 255);
	struct scrubbed s = read_as("test", "www.a.test", DNS_A, DNS_AA, buf_cstr(&text));
	assert_int_equal(s.kind, SCRUB_MALFORMED);
	assert_string_equal(s.why, "too many records");
	buf_clear(&text);
	for (unsigned i = 0; i < SCRUB_SETS + 1; i++)
		buf_printf(&text, "an a%u.test. 60 A 10.0.0.1\n", i);
	s = read_as("test", "www.a.test", DNS_A, DNS_AA, buf_cstr(&text));
	assert_string_equal(s.why, "too many rrsets");
	buf_free(&text);
}

/* The names that are told, with a server that knows of each. */
static void minimised(void **state)
{
	(void)state;
	static const char *const step[] = {"d.test", "c.d.test", "b.c.d.test", "a.b.c.d.test"};
	const uint8_t *name = wire_name("a.b.c.d.test"), *zone = wire_name("test"), *part;
	struct minimise m = {0};
	for (unsigned i = 0; i < 4; i++) {
		uint16_t type = minimise_next(&m, zone, name, DNS_TXT, &part);
		assert_int_equal(type, i < 3 ? DNS_A : DNS_TXT);
		assert_true(dns_name_eq(part, wire_name(step[i])));
		minimise_exists(&m, part);
		m.asked++;
	}
	m = (struct minimise){.off = true};
	assert_int_equal(minimise_next(&m, zone, name, DNS_TXT, &part), DNS_TXT);
	assert_ptr_equal(part, name);
	assert_int_equal(minimise_next(&m, name, name, DNS_NS, &part), DNS_NS);
	assert_ptr_equal(part, name);
}

static void minimised_at_most(void **state)
{
	(void)state;
	const uint8_t *name = wire_name("1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9."
					"0.1.2.ip6.arpa"),
		      *part;
	struct minimise m = {0};
	unsigned asked = 0;
	do {
		minimise_next(&m, (const uint8_t *)"", name, DNS_PTR, &part);
		minimise_exists(&m, part);
		m.asked++;
		asked++;
	} while (part != name);
	assert_in_range(asked, MINIMISE_SINGLE, MINIMISE_MOST + 1);
}

static void picked(void **state)
{
	(void)state;
	struct pick p[4] = {{.expect = 100}, {.expect = 20}, {.expect = 40}, {.expect = 300}};
	bool seen[4] = {false};
	for (uint32_t lot = 0; lot < 8; lot++)
		seen[pick_server(p, 4, lot)] = true;
	assert_true(!seen[0] && seen[1] && seen[2] && !seen[3]); /* within the band */
	p[1].busy = p[2].bad = true;
	assert_int_equal(pick_server(p, 4, 7), 0);
	p[0].tries = PICK_TRIES;
	p[3].lame = true;
	assert_int_equal(pick_server(p, 4, 7), 3);
	p[0].tries = 1; /* tried, but not lame */
	assert_int_equal(pick_server(p, 4, 7), 0);
	assert_int_equal(pick_server(p, 0, 7), -1);
}

static void chased(void **state)
{
	(void)state;
	uint8_t target[DNS_NAME_MAX], room[2 + DNS_NAME_MAX];
	struct scrubbed s =
	    read_as("test", "www.a.test", DNS_A, DNS_AA, "an a.test. 60 DNAME B.x.\n");
	struct cached c, cname;
	const uint8_t *name = wire_name("www.a.test");
	put_cached(pool, &s, name, DNS_A, 0, &c);
	assert_int_equal(chase_next(name, DNS_A, &c, target), CHASE_ON);
	assert_true(dns_name_eq(target, wire_name("www.b.x")));
	chase_cname(&c, name, target, room, &cname);
	assert_int_equal(cname.set.type, DNS_CNAME);
	assert_int_equal(chase_next(name, DNS_CNAME, &cname, target), CHASE_END);
	assert_int_equal(chase_next(name, DNS_A, &cname, target), CHASE_ON);
	assert_true(dns_name_eq(target, wire_name("www.b.x")));
}

static void hinted(void **state)
{
	(void)state;
	const char *why = NULL;
	assert_int_equal(hints()->set.n, 13);
	assert_int_equal(hints()->extras, 26);
	assert_false(hints_set("x", &why));
	assert_non_null(why);
	assert_false(hints_set(". 60 NS a.\n", &why));
	assert_non_null(strstr(why, "addresses are wanted"));
	assert_int_equal(hints()->set.n, 13);
	assert_true(hints_set(". 60 NS A.root.\na.ROOT. 60 A 10.0.0.1\n", &why));
	assert_int_equal(hints()->set.n, 1);
	hints_forget();
	assert_int_equal(hints()->set.n, 13);
	hints_forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(classified, begin, end),
	    cmocka_unit_test_setup_teardown(glue_is_of_the_servers, begin, end),
	    cmocka_unit_test_setup_teardown(negative_ttl, begin, end),
	    cmocka_unit_test_setup_teardown(limits, begin, end),
	    cmocka_unit_test(minimised),
	    cmocka_unit_test(minimised_at_most),
	    cmocka_unit_test(picked),
	    cmocka_unit_test_setup_teardown(chased, begin, end),
	    cmocka_unit_test(hinted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
