/* Signed zones: the chain, the signatures (checked by ldns), what is kept of the image before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ldns/ldns.h>
#include "dnsd/sign/sign_int.h"
#include "t/unit/dnsd_signer.h"
#include "t/unit/dnsd_verify.h"
#include "t/unit/dnsd_zone.h"

#define SOA "@ 3600 SOA ns1.b.test. Root.b.test. 7 1 2 3 300\n"
#define NS1               \
	"@ 3600 NS ns1\n" \
	"ns1 3600 A 192.0.2.1\n"
#define HEAD SOA NS1
#define REST                                                                               \
	NS1 "*.wild 60 TXT hello\nx.y.ent 60 MX 5 Mail.b.test.\nx.y.ent 60 MX 5 a.test.\n" \
	    "sub 60 NS ns.sub\nsub 60 NS ns.a.test.\nsub 60 A 192.0.2.9\n"                 \
	    "ns.sub 60 A 192.0.2.10\nsafe 60 NS ns.a.test.\n"                              \
	    "safe 60 DS 1 13 2 "                                                           \
	    "0000000000000000000000000000000000000000000000000000000000000000\n"           \
	    "old 60 DNAME a.test.\nalias 60 CNAME Ns1\nodd 60 TYPE65400 \\# 1 00\n"
#define ZONE SOA REST

enum { DAY = 86400, LIFE = 14 * DAY, REFRESH = 5 * DAY };

static struct zone_said said;

static int end(void **state)
{
	signer_end();
	buf_free(&said.errors);
	buf_free(&said.warnings);
	return zone_tear_down(state);
}

static struct sign options(unsigned keys)
{
	struct sign s = {.now = (uint64_t)time(NULL),
			 .lifetime = LIFE,
			 .refresh = REFRESH,
			 .batch = signer_batch};
	for (unsigned k = 0; k < keys; k++)
		signer_make(k, &s.key[s.keys++]);
	s.key[0].cds = true;
	return s;
}

static struct image *sign(const char *text, struct sign *s)
{
	struct image_options o = {.sign = sign_zone, .sign_arg = s};
	const char *why;
	if (!image_finish(zone_maker("b.test", text, &o), NULL, zone_hear, &said))
		return NULL;
	return image_open(zone_folder, "image", &why);
}

/* The lines of the image as text that have the words in them. */
static void lines(const struct image *i, const char *has, struct buf *out)
{
	struct buf all = {0};
	print_image(&all, i);
	struct slice rest = buf_slice(&all);
	while (rest.len) {
		struct slice line = slice_cut(&rest, '\n');
		if (memmem(line.p, line.len, has, strlen(has)))
			buf_printf(out, "%.*s\n", SLICE_FMT(line));
	}
	buf_free(&all);
}

/* --- */

static void nsec_tells_what_is_there(void **state)
{
	(void)state;
	struct sign s = options(1);
	struct buf out = {0};
	struct image *i = sign(ZONE, &s);
	assert_non_null(i);
	lines(i, " IN NSEC ", &out);
	assert_string_equal(
	    buf_cstr(&out),
	    "b.test. 300 IN NSEC alias.b.test. NS SOA RRSIG NSEC DNSKEY CDS CDNSKEY\n"
	    "alias.b.test. 300 IN NSEC x.y.ent.b.test. CNAME RRSIG NSEC\n"
	    "x.y.ent.b.test. 300 IN NSEC ns1.b.test. MX RRSIG NSEC\n"
	    "ns1.b.test. 300 IN NSEC odd.b.test. A RRSIG NSEC\n"
	    "odd.b.test. 300 IN NSEC old.b.test. RRSIG NSEC TYPE65400\n"
	    "old.b.test. 300 IN NSEC safe.b.test. DNAME RRSIG NSEC\n"
	    "safe.b.test. 300 IN NSEC sub.b.test. NS DS RRSIG NSEC\n"
	    "sub.b.test. 300 IN NSEC *.wild.b.test. NS RRSIG NSEC\n"
	    "*.wild.b.test. 300 IN NSEC b.test. TXT RRSIG NSEC\n");
	/* 9 of NSEC, 5 of the apex, 7 of the other names. */
	assert_int_equal(verify(i), 21);
	assert_int_equal(s.made, 21);
	assert_int_equal(image_denial_type(i), DNS_NSEC);
	buf_clear(&out);
	lines(i, "*.wild.b.test. 60 IN RRSIG TXT 13 3 60 ", &out); /* labels of a wildcard */
	assert_int_not_equal(out.len, 0);
	buf_free(&out);
	image_close(&i);
}

static void nsec3_tells_what_is_there(void **state)
{
	(void)state;
	struct sign s = options(1);
	struct buf out = {0};
	struct image_match m;
	bool matches;
	s.nsec3 = true;
	struct image *i = sign(ZONE, &s);
	assert_non_null(i);
	lines(i, " IN NSEC3 ", &out);
	unsigned n = 0;
	for (size_t k = 0; k < out.len; k++)
		n += out.p[k] == '\n';
	assert_int_equal(n, 12); /* the nine names and three empty ones */
	static const struct {
		const char *name;
		bool there;
		const char *types;
	} row[] = {
	    {"b.test", true, "NS SOA RRSIG DNSKEY NSEC3PARAM CDS CDNSKEY"},
	    {"y.ent.b.test", true, ""},
	    {"ent.b.test", true, ""},
	    {"wild.b.test", true, ""},
	    {"*.wild.b.test", true, "TXT RRSIG"},
	    {"sub.b.test", true, "NS"},
	    {"safe.b.test", true, "NS DS RRSIG"},
	    {"ns.sub.b.test", false, NULL},
	    {"none.b.test", false, NULL},
	};
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		const uint8_t *name = wire_name(row[k].name);
		struct piece p;
		assert_true(image_denial(i, name, dns_name_len(name), &matches, &m));
		assert_int_equal(matches, row[k].there);
		assert_true(image_piece(i, m.node, PART_ANSWER, DNS_NSEC3, &p));
		if (!row[k].there)
			continue;
		buf_clear(&out);
		print_piece(&out, &m, &p);
		struct slice line = buf_slice(&out);
		line = slice_cut(&line, '\n');
		for (int words = 0; words < 9; words++)
			slice_word(&line);
		line = slice_trim(line);
		assert_int_equal(line.len, strlen(row[k].types));
		assert_memory_equal(line.p, row[k].types, line.len);
	}
	assert_int_equal(verify(i), 12 + 6 + 7);
	assert_int_equal(image_denial_type(i), DNS_NSEC3);
	buf_free(&out);
	image_close(&i);
}

static void the_parent_is_told_what_to_do(void **state)
{
	(void)state;
	struct sign s = options(2);
	struct buf out = {0}, want = {0};
	uint8_t ds[SIGN_DS];
	struct image *i = sign(HEAD, &s);
	assert_non_null(i);
	sign_ds(wire_name("b.test"), s.key[0].dnskey, ds);
	buf_adds(&want, "b.test. 3600 IN CDS ");
	dns_rdata_text(DNS_CDS, ds, SIGN_DS, &want);
	buf_adds(&want, "\n");
	lines(i, " IN CDS ", &out);
	assert_string_equal(buf_cstr(&out), buf_cstr(&want));
	assert_int_equal(verify(i), 2 * 8); /* by both keys */
	image_close(&i);
	s.cds_delete = true;
	i = sign(HEAD, &s);
	assert_non_null(i);
	buf_clear(&out);
	lines(i, " IN CD", &out);
	assert_string_equal(buf_cstr(&out), "b.test. 3600 IN CDS 0 0 0 00\n"
					    "b.test. 3600 IN CDNSKEY 0 3 0 AA==\n");
	image_close(&i);
	buf_free(&out);
	buf_free(&want);
}

/* Signs again over the image that was made before. */
static struct image *again(const char *text, struct sign *s, const struct image *before)
{
	unlinkat(zone_folder, "image", 0);
	s->before = before;
	return sign(text, s);
}

static void good_signatures_are_kept(void **state)
{
	(void)state;
	static const bool nsec3[] = {false, true};
	for (unsigned k = 0; k < 2; k++) {
		struct sign s = options(1);
		struct buf a = {0}, b = {0};
		s.nsec3 = nsec3[k];
		s.zonemd = true;
		struct image *first = sign(ZONE, &s);
		assert_int_equal(s.serial, 7);
		struct image *i = again(ZONE, &s, first);
		assert_int_equal(s.made, 0);
		assert_int_equal(s.serial, 7);
		print_image(&a, first);
		print_image(&b, i);
		assert_string_equal(buf_cstr(&a), buf_cstr(&b));
		image_close(&i);
		/* Another address, and a name with its neighbour; the SOA, the digest. */
		i = again(ZONE "alias2 60 CNAME x\nns1 60 A 192.0.2.3\n", &s, first);
		assert_int_equal(s.serial, 8);
		assert_int_equal(s.made, 6);
		verify(i);
		image_close(&i);
		/* Records that nobody signs. */
		i = again("@ 3600 SOA ns1.b.test. Root.b.test. 8 1 2 3 300\n" REST
			  "ns.sub 60 A 192.0.2.3\n",
			  &s, first);
		assert_int_equal(s.serial, 8);
		assert_int_equal(s.made, 2);
		image_close(&i);
		image_close(&first);
		buf_free(&a);
		buf_free(&b);
	}
}

static void signatures_are_renewed_in_time(void **state)
{
	(void)state;
	struct sign s = options(1);
	uint64_t now = s.now;
	struct image *first = sign(ZONE, &s);
	uint64_t due = s.due;
	assert_in_range(due, now + LIFE - LIFE / 4 - REFRESH, now + LIFE - REFRESH);
	s.now = due - LIFE / 200 - 1;
	struct image *i = again(ZONE, &s, first);
	assert_int_equal(s.made, 0);
	assert_int_equal(s.due, due);
	image_close(&i);
	/* Some of them, and then it is another zone. */
	s.now = due;
	i = again(ZONE, &s, first);
	assert_in_range(s.made, 1, 20);
	assert_int_equal(s.made + s.kept, 21);
	assert_int_equal(s.serial, 8);
	assert_true(s.due > due);
	image_close(&i);
	/* A few at a time as long as it is not urgent. */
	s.now = now + LIFE - LIFE / 4 - REFRESH / 2 - 1;
	s.most = 3;
	i = again(ZONE, &s, first);
	assert_int_equal(s.made, 4); /* and the SOA */
	assert_int_equal(s.due, s.now + 60);
	image_close(&i);
	s.now = now + LIFE - 1;
	i = again(ZONE, &s, first);
	assert_int_equal(s.made, 21);
	image_close(&i);
	/* The clock was wrong: they begin in the future. */
	s.now = now - 3 * DAY;
	i = again(ZONE, &s, first);
	assert_int_equal(s.made, 21);
	image_close(&i);
	image_close(&first);
}

/* A signature of the SOA or the digest alone changes the zone, too. */
static void no_signature_changes_without_the_serial(void **state)
{
	(void)state;
	for (unsigned turn = 0; turn < 40; turn++) {
		struct sign s = options(1);
		struct buf a = {0}, b = {0};
		s.zonemd = turn & 1;
		struct image *first = sign(HEAD, &s);
		s.now = s.due;
		struct image *i = again(HEAD, &s, first);
		print_image(&a, first);
		print_image(&b, i);
		assert_string_not_equal(buf_cstr(&a), buf_cstr(&b));
		assert_int_equal(s.serial, 8);
		assert_int_equal(image_serial(i), 8);
		image_close(&i);
		image_close(&first);
		buf_free(&a);
		buf_free(&b);
	}
}

static void another_key_signs_anew(void **state)
{
	(void)state;
	struct sign s = options(1), both = options(2);
	struct image *first = sign(HEAD, &s);
	struct image *i = again(HEAD, &both, first);
	assert_int_equal(both.made, 8 + 2); /* the second's; DNSKEY and SOA of the first */
	verify(i);
	both.keys = 1;
	both.key[0] = both.key[1];
	both.key[0].cds = true;
	struct image *last = again(HEAD, &both, i);
	verify(last);
	assert_int_equal(both.made, 4); /* DNSKEY, CDS, CDNSKEY, SOA */
	image_close(&last);
	image_close(&i);
	/* TTLs are signed. */
	i = again("@ 3600 SOA ns1.b.test. Root.b.test. 7 1 2 3 300\n@ 60 NS ns1\n"
		  "ns1 3600 A 192.0.2.1\n",
		  &s, first);
	assert_int_equal(s.made, 2);
	image_close(&i);
	image_close(&first);
}

static bool refuse(void *arg, uint64_t key, const struct slice *data, size_t n,
		   uint8_t (*signature)[SIGN_OCTETS], const char **why)
{
	(void)arg;
	(void)key;
	(void)data;
	(void)n;
	(void)signature;
	*why = "keyd is not there";
	return false;
}

static void without_signatures_there_is_no_image(void **state)
{
	(void)state;
	struct sign s = options(1);
	s.batch = refuse;
	unlinkat(zone_folder, "image", 0);
	buf_clear(&said.errors);
	assert_null(sign(ZONE, &s));
	assert_string_equal(buf_cstr(&said.errors), "b.test: cannot be signed: keyd is not there");
	assert_int_equal(faccessat(zone_folder, "image", F_OK, 0), -1);
	assert_int_equal(faccessat(zone_folder, "image.new", F_OK, 0), -1);
}

static void digest_is_that_of_rfc_8976(void **state)
{
	(void)state;
	static const char zone[] = "@ 86400 SOA ns1 admin 2018031900 1800 900 604800 86400\n"
				   "@ 86400 NS ns1\n@ 86400 NS ns2\n"
				   "ns1 3600 A 203.0.113.63\nns2 3600 AAAA 2001:db8::63\n";
	static const uint8_t want[] = {0xc6, 0x80, 0x90, 0xd9, 0x0a, 0x7a, 0xed, 0x71, 0x6b, 0xc4,
				       0x59, 0xf9, 0x34, 0x0e, 0x3d, 0x7c, 0x13, 0x70, 0xd4, 0xd2,
				       0x4b, 0x7e, 0x2f, 0xc3, 0xa1, 0xdd, 0xc0, 0xb9, 0xa8, 0x71,
				       0x53, 0xb9, 0xa9, 0x71, 0x3b, 0x3c, 0x9a, 0xe5, 0xcc, 0x27,
				       0x77, 0x7f, 0x98, 0xb8, 0xe7, 0x30, 0x04, 0x4c};
	uint8_t have[SIGN_DIGEST];
	struct image_maker *m = zone_maker("example", zone, NULL);
	maker_sort(m);
	sign_digest(m, have);
	assert_memory_equal(have, want, SIGN_DIGEST);
	image_abort(m);
}

/* RFC 6605 6.1 has an ECDSA P-256 key, its tag, its DS. */
static void keys_are_told_as_in_rfc_6605(void **state)
{
	(void)state;
	static const char base64[] = "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edb"
				     "krSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==";
	static const char want[] = "55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6"
				   "d6e37df61d17";
	struct dns_word word[ZONE_WORDS];
	static uint8_t rdata[DNS_RDATA_MAX];
	uint8_t ds[SIGN_DS];
	struct buf out = {0};
	size_t len, bad, n = zone_words(slice_of(base64), word);
	const char *why;
	assert_true(
	    dns_rdata_from_text(DNS_DNSKEY, word, n, wire_name("."), rdata, &len, &why, &bad));
	assert_int_equal(len, SIGN_DNSKEY);
	sign_ds(wire_name("example.net"), rdata, ds);
	dns_rdata_text(DNS_DS, ds, SIGN_DS, &out);
	assert_string_equal(buf_cstr(&out), want);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nsec_tells_what_is_there),
	    cmocka_unit_test(nsec3_tells_what_is_there),
	    cmocka_unit_test(the_parent_is_told_what_to_do),
	    cmocka_unit_test(good_signatures_are_kept),
	    cmocka_unit_test(signatures_are_renewed_in_time),
	    cmocka_unit_test(no_signature_changes_without_the_serial),
	    cmocka_unit_test(another_key_signs_anew),
	    cmocka_unit_test(without_signatures_there_is_no_image),
	    cmocka_unit_test(digest_is_that_of_rfc_8976),
	    cmocka_unit_test(keys_are_told_as_in_rfc_6605),
	};
	return cmocka_run_group_tests_name("sign", tests, zone_set_up, end);
}
