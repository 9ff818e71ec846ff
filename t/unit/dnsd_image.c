/* Images of zones: what is refused, how names stand to them, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "dnsd/image/image_maker.h"
#include "t/unit/dnsd_zone.h"

#define HEAD                                                \
	"@ 3600 SOA ns1.b.test. root.b.test. 7 1 2 3 300\n" \
	"@ 3600 NS ns1\n"                                   \
	"ns1 3600 A 192.0.2.1\n"

static void mistakes_are_told(void **state)
{
	(void)state;
	static const struct {
		const char *zone, *errors, *warnings;
	} row[] = {
	    {HEAD, "", ""},
	    {"@ 1 NS ns1.a.test.\n", "b.test: no SOA record", ""},
	    {"@ 1 SOA a. b. 1 2 3 4 5\n", "b.test: no NS records", ""},
	    {HEAD "@ 3600 SOA ns1.b.test. root.b.test. 8 1 2 3 300\n",
	     "b.test: more than one SOA record", ""},
	    {HEAD "x 1 CNAME y\nx 1 A 192.0.2.1\n", "x.b.test: CNAME and other data", ""},
	    {HEAD "x 1 CNAME y\nx 1 CNAME z\n", "x.b.test: more than one CNAME", ""},
	    {HEAD "x 1 CNAME y\nx 1 CNAME Y\n", "", ""}, /* the same one */
	    {HEAD "x 1 CNAME y\nx 1 NSEC y.b.test. CNAME NSEC\n", "", ""},
	    {HEAD "x 1 DNAME y\nx 1 DNAME z\n", "x.b.test: more than one DNAME", ""},
	    {HEAD "x 1 DNAME y\na.x 1 A 192.0.2.1\n", "a.x.b.test: A below a DNAME", ""},
	    {HEAD "x 1 NS a.\nx 1 TXT no\n", "x.b.test: TXT beside the NS of a delegation", ""},
	    {HEAD "x 1 NS a.\ny.x 1 TXT no\n", "y.x.b.test: TXT below a delegation", ""},
	    {HEAD "x 1 NS a.\ny.x 1 A 192.0.2.1\nx 1 A 192.0.2.1\n", "", ""},
	    {HEAD "* 1 NS a.\n", "*.b.test: NS at a wildcard has no meaning", ""},
	    {HEAD "x 1 SOA a. b. 1 2 3 4 5\n", "x.b.test: SOA below the zone's own name", ""},
	    {HEAD "x 1 NS y.x\n", "", "x.b.test: NS y.x.b.test has no address"},
	    {HEAD "x 1 CNAME ns1\n@ 1 MX 1 x\n", "", "b.test: MX x.b.test is a CNAME"},
	    {HEAD "x 1 TXT a\n@ 1 MX 1 x\n", "", "b.test: MX x.b.test has no address"},
	    {HEAD "@ 1 ALIAS a.\n", "", ""},
	    {HEAD "x 1 ALIAS a.\nx 1 A 192.0.2.1\n", "x.b.test: ALIAS and addresses", ""},
	    {HEAD "x 1 ALIAS a.\nx 1 ALIAS b.\n", "x.b.test: more than one ALIAS", ""},
	    {HEAD "x 1 ALIAS a.\nx 1 CNAME b.\n", "x.b.test: CNAME and other data", ""},
	    {HEAD "x 1 NS a.\ny.x 1 ALIAS a.\n",
	     "y.x.b.test: ALIAS at or below a delegation or a DNAME", ""},
	    {HEAD "@ 1 NSEC3PARAM 1 0 151 -\n", "b.test: NSEC3 with 151 iterations: 150 at most",
	     ""},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct zone_said s = {0};
		struct image_stats stats;
		bool ok =
		    image_finish(zone_maker("b.test", row[i].zone, NULL), &stats, zone_hear, &s);
		assert_string_equal(buf_cstr(&s.errors), row[i].errors);
		assert_string_equal(buf_cstr(&s.warnings), row[i].warnings);
		assert_int_equal(ok, row[i].errors[0] == 0);
		/* Whole or not at all. */
		assert_int_equal(unlinkat(zone_folder, "image", 0), ok ? 0 : -1);
		assert_int_equal(faccessat(zone_folder, "image.new", F_OK, 0), -1);
		buf_free(&s.errors);
		buf_free(&s.warnings);
	}
}

static void others_zones_may_have_mistakes(void **state)
{
	(void)state;
	struct zone_said s = {0};
	struct image_options o = {.lenient = true};
	struct image_match m;
	const char *why;
	bool ok = image_finish(zone_maker("b.test",
					  HEAD "x 1 NS a.\ny.x 1 TXT no\nd 1 DNAME y\n"
					       "a.d 1 A 192.0.2.1\n* 1 NS a.\n",
					  &o),
			       NULL, zone_hear, &s);
	assert_true(ok);
	assert_int_equal(s.errors.len, 0);
	assert_string_equal(buf_cstr(&s.warnings),
			    "*.b.test: NS at a wildcard has no meaning; "
			    "a.d.b.test: A below a DNAME; y.x.b.test: TXT below a delegation");
	struct image *i = image_open(zone_folder, "image", &why);
	const uint8_t *n = wire_name("a.d.b.test");
	image_find(i, n, dns_name_len(n), &m);
	assert_int_equal(m.found, IMAGE_DNAME);
	image_close(&i);
	buf_free(&s.errors);
	buf_free(&s.warnings);
}

static void addresses_of(void *arg, const uint8_t *owner, const uint8_t *target,
			 struct image_addresses *out)
{
	unsigned *asked = arg;
	(*asked)++;
	assert_true(dns_name_eq(owner, wire_name("b.test")));
	if (!dns_name_eq(target, wire_name("there.test")))
		return;
	memcpy(out->a[0], "\xc0\x00\x02\x07", 4);
	memcpy(out->aaaa[0], "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 16);
	out->a_n = out->aaaa_n = 1;
	out->ttl = 60;
}

static void addresses_stand_for_an_alias(void **state)
{
	(void)state;
	unsigned asked = 0;
	const struct image_options o = {.alias = addresses_of, .alias_arg = &asked};
	struct image_match m;
	struct piece p;
	const char *why;
	assert_true(image_finish(zone_maker("b.test", HEAD "@ 300 ALIAS There.test.\n", &o), NULL,
				 zone_print, NULL));
	assert_int_equal(asked, 1);
	struct image *i = image_open(zone_folder, "image", &why);
	assert_true(image_apex(i, &m));
	assert_true(image_piece(i, m.node, PART_ANSWER, DNS_A, &p));
	assert_int_equal(p.records, 1);
	assert_memory_equal(p.bytes + 6, "\0\0\0\x3c\0\4\xc0\0\2\7", 10);
	assert_true(image_piece(i, m.node, PART_ANSWER, DNS_AAAA, &p));
	assert_false(image_piece(i, m.node, PART_ANSWER, DNS_ALIAS, &p));
	image_close(&i);
	unlinkat(zone_folder, "image", 0);
}

/* Not asked for, so that no addresses of before go round in it. */
static void an_alias_in_a_circle(void **state)
{
	(void)state;
	unsigned asked = 0;
	const struct image_options o = {.alias = addresses_of, .alias_arg = &asked};
	struct zone_said s = {0};
	bool ok = image_finish(zone_maker("b.test",
					  HEAD "@ 300 ALIAS there.test.\n"
					       "self 300 ALIAS Self.b.test.\n"
					       "x 300 ALIAS y.b.test.\ny 300 CNAME X.b.test.\n"
					       "z 300 ALIAS x.b.test.\n"
					       "*.w 300 ALIAS any.w.b.test.\n",
					  &o),
			       NULL, zone_hear, &s);
	assert_true(ok);
	assert_int_equal(asked, 1);
	assert_int_equal(s.errors.len, 0);
	for (const char *const *n = (const char *const[]){"self", "x", "z", "*.w", NULL}; *n; n++) {
		char line[80];
		snprintf(line, sizeof(line), "%s.b.test: ALIAS leads back to itself", *n);
		assert_non_null(strstr(buf_cstr(&s.warnings), line));
	}
	unlinkat(zone_folder, "image", 0);
	buf_free(&s.errors);
	buf_free(&s.warnings);
}

/* Stands in for the signer: a record at a new name and one at the apex. */
static bool add_two(void *arg, struct image_maker *m)
{
	static const uint8_t text[] = {1, 'x'};
	const uint8_t *below = wire_name("a.sign.b.test");
	uint32_t name = maker_name(m, below, dns_name_len(below));
	++*(unsigned *)arg;
	maker_record(m, name, DNS_TXT, 5, maker_keep(m, text, 2), 2);
	maker_record(m, 0, DNS_TXT, 5, maker_keep(m, text, 2), 2);
	return true;
}

static void records_are_added_at_the_end(void **state)
{
	(void)state;
	unsigned called = 0;
	struct zone_said s = {0};
	struct image_stats n;
	struct image_options o = {.sign = add_two, .sign_arg = &called};
	struct image_match m;
	struct piece p;
	const char *why;
	assert_true(image_finish(zone_maker("b.test",
					    HEAD "zz 1 NSEC b.test. A\nzz 1 A 192.0.2.1\n"
						 "@ 1 NSEC3PARAM 1 0 0 -\n",
					    &o),
				 &n, zone_hear, &s));
	assert_string_equal(buf_cstr(&s.warnings),
			    "b.test: 2 records of DNSSEC are left out: it is signed here");
	assert_int_equal(called, 1);
	assert_int_equal(n.records, 6);
	assert_int_equal(n.rrsets, 6);
	assert_int_equal(n.names, 5);
	assert_int_equal(n.serial, 7);
	struct image *i = image_open(zone_folder, "image", &why);
	static const char *const names[] = {"b.test", "ns1.b.test", "sign.b.test", "a.sign.b.test",
					    "zz.b.test"};
	uint64_t at = 0;
	size_t k = 0;
	for (; image_next(i, &at, &m); k++)
		assert_true(dns_name_eq(m.name, wire_name(names[k])));
	assert_int_equal(k, 5);
	assert_true(image_apex(i, &m));
	assert_true(image_piece(i, m.node, PART_ANSWER, DNS_TXT, &p));
	assert_true(image_piece(i, m.node, PART_ANSWER, DNS_SOA, &p));
	assert_int_equal(image_denial_type(i), 0);
	image_close(&i);
	buf_free(&s.errors);
	buf_free(&s.warnings);
	/* Not for a zone that is not in order. */
	assert_false(image_finish(zone_maker("b.test", "@ 1 NS a.\n", &o), NULL, zone_hear, &s));
	assert_int_equal(called, 1);
	buf_free(&s.errors);
}

/* A disk that is full, for one, is no mistake in the zone. */
static void what_cannot_be_written(void **state)
{
	(void)state;
	struct image_stats stats;
	struct zone_said s = {0};
	assert_int_equal(mkdirat(zone_folder, "image.new", 0700), 0);
	assert_false(image_finish(zone_maker("b.test", HEAD, NULL), &stats, zone_hear, &s));
	assert_true(stats.unwritten);
	assert_string_equal(buf_cstr(&s.errors), "b.test: cannot write image: Is a directory");
	assert_int_equal(unlinkat(zone_folder, "image.new", AT_REMOVEDIR), 0);
	buf_free(&s.errors);
	assert_false(
	    image_finish(zone_maker("b.test", "@ 1 NS a.\n", NULL), &stats, zone_hear, &s));
	assert_false(stats.unwritten);
	buf_free(&s.errors);
}

static void records_are_checked(void **state)
{
	(void)state;
	const char *why;
	struct image_maker *m = image_make(zone_folder, "image", wire_name("b.test"), NULL);
	static const uint8_t a[] = {192, 0, 2, 1};
	assert_true(image_add(m, wire_name("x.B.tEst"), DNS_A, 1, a, 4, &why));
	assert_false(image_add(m, wire_name("x.a.test"), DNS_A, 1, a, 4, &why));
	assert_string_equal(why, "the name is not in the zone");
	assert_false(image_add(m, wire_name("b.test"), DNS_A, 1, a, 3, &why));
	assert_string_equal(why, "the data is malformed");
	assert_false(image_add(m, wire_name("b.test"), DNS_ANY, 1, a, 4, &why));
	image_abort(m);
}

#define TREE                          \
	HEAD "a.b.c 1 A 192.0.2.1\n"  \
	     "*.w 1 A 192.0.2.2\n"    \
	     "x.w 1 A 192.0.2.3\n"    \
	     "*.v 1 A 192.0.2.2\n"    \
	     "a.*.e 1 A 192.0.2.4\n"  \
	     "cut 1 NS ns.cut\n"      \
	     "ns.cut 1 A 192.0.2.5\n" \
	     "*.cut 1 A 192.0.2.5\n"  \
	     "d 1 DNAME else.test.\n" \
	     "d 1 TXT here\n"         \
	     "zz 1 CNAME a.b.c\n"

static void names_stand_to_the_zone(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum image_found found;
		const char *node;
	} row[] = {
	    {"b.test", IMAGE_NAME, "b.test"},
	    {"ns1.b.test", IMAGE_NAME, "ns1.b.test"},
	    {"ns2.b.test", IMAGE_NONE, "b.test"},
	    {"x.ns1.b.test", IMAGE_NONE, "ns1.b.test"},
	    {"c.b.test", IMAGE_EMPTY, "c.b.test"},
	    {"b.c.b.test", IMAGE_EMPTY, "b.c.b.test"},
	    {"a.b.c.b.test", IMAGE_NAME, "a.b.c.b.test"},
	    {"x.b.c.b.test", IMAGE_NONE, "b.c.b.test"},
	    {"1.2.3.4.5.6.a.b.c.b.test", IMAGE_NONE, "a.b.c.b.test"},
	    {"1.2.3.4.5.6.c.b.test", IMAGE_NONE, "c.b.test"},
	    {"w.b.test", IMAGE_EMPTY, "w.b.test"},
	    {"*.w.b.test", IMAGE_NAME, "*.w.b.test"},
	    {"y.w.b.test", IMAGE_WILDCARD, "*.w.b.test"},
	    {"z.y.w.b.test", IMAGE_WILDCARD, "*.w.b.test"},
	    {"x.w.b.test", IMAGE_NAME, "x.w.b.test"},
	    {"y.x.w.b.test", IMAGE_NONE, "x.w.b.test"},
	    {"y.*.w.b.test", IMAGE_NONE, "*.w.b.test"}, /* RFC 4592 2.2.1 */
	    {"y.e.b.test", IMAGE_WILDCARD, "*.e.b.test"},
	    {"cut.b.test", IMAGE_CUT, "cut.b.test"},
	    {"ns.cut.b.test", IMAGE_CUT, "cut.b.test"},
	    {"x.ns.cut.b.test", IMAGE_CUT, "cut.b.test"},
	    {"x.cut.b.test", IMAGE_CUT, "cut.b.test"},
	    {"d.b.test", IMAGE_NAME, "d.b.test"},
	    {"x.d.b.test", IMAGE_DNAME, "d.b.test"},
	    {"y.x.d.b.test", IMAGE_DNAME, "d.b.test"},
	};
	struct image *i = zone_image("b.test", TREE);
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct image_match m;
		const uint8_t *name = wire_name(row[k].name), *node = wire_name(row[k].node);
		image_find(i, name, dns_name_len(name), &m);
		assert_int_equal(m.found, row[k].found);
		assert_true(dns_name_eq(m.name, node));
		assert_int_equal(m.name_len, dns_name_len(node));
		assert_int_equal(m.at_cut, m.found == IMAGE_CUT && dns_name_eq(name, node));
	}
	assert_int_equal(image_serial(i), 7);
	image_close(&i);
}

static void nodes_are_in_canonical_order_with_all_their_records(void **state)
{
	(void)state;
	/* RFC 4034 6.1, all below b.test here. */
	static const char *names[] = {"b.test",         "a.b.test",      "yljkjljk.a.b.test",
				      "z.a.b.test",     "zabc.a.b.test", "z.b.test",
				      "\\001.z.b.test", "*.z.b.test",    "\\200.z.b.test"};
	struct image *i = zone_image(
	    "b.test",
	    "\\200.z 1 A 192.0.2.1\n*.z 1 A 192.0.2.1\nZABC.a 1 A 192.0.2.1\n"
	    "\\001.z 1 A 192.0.2.1\nyljkjljk.a 1 A 192.0.2.1\nZ.a 9 A 192.0.2.3\n"
	    "z.a 8 A 192.0.2.1\nz.a 7 A 192.0.2.2\nz.a 6 A 192.0.2.2\nz.a 1 MX 1 MaIl.B.test.\n"
	    "@ 1 SOA a. b. 1 2 3 4 5\n@ 1 NS n.\n");
	struct image_match m;
	uint64_t at = 0;
	size_t n = 0;
	while (image_next(i, &at, &m)) {
		assert_true(dns_name_eq(m.name, wire_name(names[n++])));
		if (n != 4)
			continue;
		uint16_t type;
		struct piece p;
		struct image_rr rr;
		static uint8_t data[DNS_RDATA_MAX];
		bool ok;
		size_t t = 0, r = 0;
		assert_true(image_next_type(i, m.node, &t, &type));
		assert_int_equal(type, DNS_A);
		assert_true(image_piece(i, m.node, PART_ANSWER, type, &p));
		assert_int_equal(p.records, 3);
		for (uint8_t last = 1; image_rr(&m, &p, &p, &r, &rr); last++) {
			assert_int_equal(rr.ttl, 6);
			assert_true(dns_name_eq(rr.owner, m.name));
			assert_int_equal(image_rdata(&m, &p, &p, &rr, data, &ok), 4);
			assert_true(ok && data[3] == last);
		}
		assert_true(image_next_type(i, m.node, &t, &type));
		assert_int_equal(type, DNS_MX);
		assert_true(image_piece(i, m.node, PART_ANSWER, type, &p));
		r = 0;
		assert_true(image_rr(&m, &p, &p, &r, &rr));
		/* As it was written but for what the zone's name has taken over. */
		assert_int_equal(image_rdata(&m, &p, &p, &rr, data, &ok), 2 + 13);
		assert_memory_equal(data, "\0\1\4MaIl\1b\4test", 15);
		assert_false(image_next_type(i, m.node, &t, &type));
	}
	assert_int_equal(m.found, IMAGE_NONE);
	assert_int_equal(n, sizeof(names) / sizeof(names[0]));
	image_close(&i);
}

/* Every name of many is found, in whichever order they came. */
static void many_names(void **state)
{
	(void)state;
	enum { MANY = 20000 };
	static const uint8_t zone[] = "\1b\4test";
	for (int keep = 0; keep < 2; keep++) {
		struct image_options o = {.keep_order = keep};
		struct image_maker *m = image_make(zone_folder, "image", zone, &o);
		static const uint8_t ns[] = "\2ns\1b\4test";
		static const uint8_t soa[1 + 1 + 20] = {0};
		const char *why;
		char text[64];
		struct image_match found;
		struct image_stats stats;
		assert_true(image_add(m, zone, DNS_NS, 1, ns, sizeof(ns), &why));
		assert_true(image_add(m, zone, DNS_SOA, 1, soa, sizeof(soa), &why));
		for (uint32_t i = 0; i < MANY; i++) {
			uint32_t k = i * 7919 % MANY;
			uint8_t a[] = {10, (uint8_t)(k >> 16), (uint8_t)(k >> 8), (uint8_t)k};
			snprintf(text, sizeof(text), "h%u.s%u.b.test", k, k % 10);
			assert_true(image_add(m, wire_name(text), DNS_A, 1, a, 4, &why));
		}
		assert_true(image_finish(m, &stats, zone_print, NULL));
		assert_int_equal(stats.names, MANY + 11);
		assert_int_equal(stats.records, MANY + 2);
		struct image *i = image_open(zone_folder, "image", &why);
		for (uint32_t k = 0; k < MANY; k++) {
			struct piece p;
			snprintf(text, sizeof(text), "h%u.s%u.b.test", k, k % 10);
			const uint8_t *n = wire_name(text);
			image_find(i, n, dns_name_len(n), &found);
			assert_int_equal(found.found, IMAGE_NAME);
			assert_true(image_piece(i, found.node, PART_ANSWER, DNS_A, &p));
			assert_int_equal(dns_u32(p.bytes + 12), 10u << 24 | k);
		}
		uint64_t at = 0;
		size_t n = 0;
		uint8_t last[DNS_NAME_MAX] = {0};
		for (; image_next(i, &at, &found); n++) {
			assert_true(dns_name_cmp(last, found.name) < 0);
			memcpy(last, found.name, found.name_len);
		}
		assert_int_equal(n, stats.names);
		image_close(&i);
	}
}

static void damage_is_found(void **state)
{
	(void)state;
	const char *why;
	struct image *i = zone_image("b.test", TREE);
	size_t size = i->base.size;
	uint8_t *copy = malloc(size);
	memcpy(copy, i->base.p, size);
	struct image_head *h = (void *)copy;
	image_close(&i);
	assert_null(image_from(copy, size - 1, &why));
	assert_string_equal(why, "a damaged image");
	assert_null(image_from(copy, 100, &why));
	h->serial++;
	assert_null(image_from(copy, size, &why));
	h->version++;
	assert_null(image_from(copy, size, &why));
	assert_string_equal(why, "an image of another version");
	h->version--;
	h->serial--;
	/* All of it but the head, octet by octet: answers may be wrong, nothing else happens. */
	const uint8_t *name = wire_name("y.w.b.test");
	for (size_t at = sizeof(*h); at < size; at++) {
		struct image_match m;
		copy[at] ^= 0xff;
		i = image_from(copy, size, &why);
		assert_non_null(i);
		image_find(i, name, dns_name_len(name), &m);
		for (uint64_t k = 0; image_next(i, &k, &m);)
			;
		image_close(&i);
		copy[at] ^= 0xff;
	}
	free(copy);
	assert_null(image_open(zone_folder, "nothing", &why));
	assert_string_equal(why, "there is no image");
}

static void hashes_are_those_of_rfc_5155(void **state)
{
	(void)state;
	/* Appendix A */
	static const struct {
		const char *name, *hash;
	} row[] = {{"example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"},
		   {"a.example", "35mthgpgcu1qg68fab165klnsnk3dpvl"},
		   {"*.w.example", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"}};
	static const uint8_t salt[] = {0xaa, 0xbb, 0xcc, 0xdd};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		const uint8_t *n = wire_name(row[i].name);
		uint8_t have[NSEC3_HASH], want[NSEC3_HASH];
		nsec3_hash(n, dns_name_len(n), salt, sizeof(salt), 12, have);
		assert_true(nsec3_label(wire_name(row[i].hash), want));
		assert_memory_equal(have, want, NSEC3_HASH);
	}
	uint8_t out[NSEC3_HASH];
	assert_false(nsec3_label(wire_name("0p9mhaveqvm6t7vbl5lop2u3t2rp3to"), out));
	assert_false(nsec3_label(wire_name("0p9mhaveqvm6t7vbl5lop2u3t2rp3tow"), out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mistakes_are_told),
	    cmocka_unit_test(others_zones_may_have_mistakes),
	    cmocka_unit_test(addresses_stand_for_an_alias),
	    cmocka_unit_test(an_alias_in_a_circle),
	    cmocka_unit_test(records_are_added_at_the_end),
	    cmocka_unit_test(what_cannot_be_written),
	    cmocka_unit_test(records_are_checked),
	    cmocka_unit_test(names_stand_to_the_zone),
	    cmocka_unit_test(nodes_are_in_canonical_order_with_all_their_records),
	    cmocka_unit_test(many_names),
	    cmocka_unit_test(damage_is_found),
	    cmocka_unit_test(hashes_are_those_of_rfc_5155),
	};
	return cmocka_run_group_tests_name("dnsd image", tests, zone_set_up, zone_tear_down);
}
