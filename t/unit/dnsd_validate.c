/* Signatures: which are believed, which are not and why, and what an answer may cost. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <ldns/ldns.h>
#include "t/unit/dnsd_validate_kit.h"

enum { ALGORITHMS = 8 };
static const uint8_t algorithm[ALGORITHMS] = {5, 7, 8, 10, 13, 14, 15, 16};
static struct kit_key key[ALGORITHMS], ec[3]; /* ec: P-256 */

static int begin(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ALGORITHMS; i++)
		kit_keys(&key[i], 1, algorithm[i], 1024);
	kit_keys(ec, 3, 13, 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ALGORITHMS; i++)
		kit_key_free(&key[i]);
	for (unsigned i = 0; i < 3; i++)
		kit_key_free(&ec[i]);
	validate_forget();
	return 0;
}

static struct validate_work work;
static struct validate v;
static unsigned steps;

static enum rrset_security run(void)
{
	enum rrset_security r;
	steps = 1;
	while ((r = validate_step(&v, &work)) == RRSET_UNCHECKED)
		steps++;
	assert_int_equal(v.security, r);
	assert_int_equal(validate_step(&v, &work), r);
	return r;
}

static enum rrset_security check_at(const struct rrset *set, const struct rrset *keys, uint64_t now,
				    uint32_t skew)
{
	validate_work_init(&work);
	validate_begin(&v, set, keys, now, skew);
	return run();
}

static enum rrset_security check(const struct rrset *set, const struct rrset *keys)
{
	return check_at(set, keys, KIT_NOW, 0);
}

static enum rrset_security check_keys(const struct rrset *dnskey, const struct rrset *ds,
				      const struct rrset *trusted)
{
	validate_work_init(&work);
	validate_begin_keys(&v, dnskey, ds, trusted, KIT_NOW, 0);
	return run();
}

static void bogus(uint16_t ede, const char *why)
{
	assert_int_equal(v.security, RRSET_BOGUS);
	assert_int_equal(v.ede, ede);
	if (!strstr(v.why, why))
		fail_msg("\"%s\" is not in \"%s\"", why, v.why);
}

static struct rrset *www(void)
{
	return kit_text("www.example. 3600 A 192.0.2.2\nwww.example. 3600 A 192.0.2.1\n");
}

static const struct kit_sig by_example = {.signer = "example."};

/* --- good ones ---------------------------------------------------------------------------------
 */

static void test_algorithms(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ALGORITHMS; i++) {
		const struct rrset *keys = kit_dnskey("example.", &key[i], 1);
		struct rrset *good = www(), *bad = www();
		assert_true(validate_algorithm(algorithm[i]));
		kit_sign(good, &key[i], &by_example);
		assert_int_equal(check(good, keys), RRSET_SECURE);
		assert_int_equal(v.ede, EDE_NONE);
		assert_int_equal(v.ttl, 3600);
		assert_int_equal(v.labels, 2);
		assert_false(v.expanded);
		assert_int_equal(work.signatures, VALIDATE_SIGNATURES - 1);
		kit_sign(bad, &key[i], &(struct kit_sig){.signer = "example.", .spoil = true});
		check(bad, keys);
		bogus(EDE_BOGUS, "it is wrong");
		assert_int_equal(work.failures, VALIDATE_FAILURES - 1);
	}
	for (unsigned i = 0; i < 256; i++)
		if (!memchr(algorithm, (int)i, ALGORITHMS))
			assert_false(validate_algorithm((uint8_t)i));
}

/* RFC 6605 6 and 8080 6. */
static void test_examples(void **state)
{
	(void)state;
	static const struct {
		const char *keys, *ds, *set;
		uint64_t now;
	} row[] = {
	    {"example.com. 3600 DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n",
	     "example.com. 3600 DS 3613 15 2 "
	     "3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b\n",
	     "example.com. 3600 MX 10 mail.example.com.\n"
	     "example.com. 3600 RRSIG MX 15 2 3600 1440021600 1438207200 3613 example.com. "
	     "oL9krJun7xfBOIWcGHi7mag5/"
	     "hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg="
	     "=\n",
	     1439000000},
	    {"example.net. 3600 DNSKEY 257 3 13 "
	     "GojIhhXUN/"
	     "u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA="
	     "=\n",
	     "example.net. 3600 DS 55648 13 2 "
	     "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17\n",
	     "www.example.net. 3600 A 192.0.2.1\n"
	     "www.example.net. 3600 RRSIG A 13 3 3600 20100909100439 20100812100439 55648 "
	     "example.net. "
	     "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+"
	     "3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw="
	     "=\n",
	     1282000000},
	};
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		const struct rrset *keys = kit_text(row[i].keys), *ds = kit_text(row[i].ds);
		struct slice d = ds->data, k = keys->data, one = {0}, other = {0};
		assert_true(rrset_next(&d, &one) && rrset_next(&k, &other));
		assert_true(validate_ds_is_of(one, keys->owner, other));
		assert_int_equal(check_at(kit_text(row[i].set), keys, row[i].now, 0), RRSET_SECURE);
	}
}

/* Order, case and records that are the same in canonical form do not matter; names in rdata. */
static void test_canonical(void **state)
{
	(void)state;
	const struct rrset *keys = kit_dnskey("example.", ec, 1);
	struct rrset *signed_as =
	    kit_text("example. 60 NS b.example.\nexample. 60 NS a.example.\n");
	struct rrset *got = kit_text(
	    "EXAMPLE. 60 NS A.Example.\nexample. 60 NS B.example.\nexample. 60 NS a.EXAMPLE.\n");
	kit_sign(signed_as, ec, &by_example);
	struct slice data = signed_as->data, sig = {0};
	for (unsigned i = 0; i < 3; i++)
		assert_true(rrset_next(&data, &sig));
	kit_add(kit_of(got), sig.p, sig.len);
	got->sigs = 1;
	assert_int_equal(check(got, keys), RRSET_SECURE);
	struct rrset *many = kit_text("$GENERATE 1-60 example. 60 TXT \"$\"\n");
	kit_sign(many, ec, &by_example);
	assert_int_equal(check(many, keys), RRSET_SECURE);
}

static ldns_rr *ldns_record(const uint8_t *owner, uint16_t type, struct slice rdata)
{
	struct buf b = {0};
	ldns_rr *rr = NULL;
	size_t at = 0;
	buf_add(&b, owner, dns_name_len(owner));
	kit_u16(&b, type);
	kit_u16(&b, DNS_IN);
	kit_u16(&b, 0);
	kit_u16(&b, 3600);
	kit_u16(&b, (unsigned)rdata.len);
	buf_add_slice(&b, rdata);
	assert_int_equal(ldns_wire2rr(&rr, (uint8_t *)b.p, b.len, &at, LDNS_SECTION_ANSWER),
			 LDNS_STATUS_OK);
	buf_free(&b);
	return rr;
}

/* What ldns, with canonical forms of its own, says of it. */
static bool ldns_agrees(const struct rrset *set, const struct rrset *keys)
{
	struct slice data = set->data, rdata = {0};
	ldns_rr_list *list = ldns_rr_list_new();
	for (unsigned i = 0; i < set->n && rrset_next(&data, &rdata); i++)
		ldns_rr_list_push_rr(list, ldns_record(set->owner, set->type, rdata));
	rrset_next(&data, &rdata);
	ldns_rr *sig = ldns_record(set->owner, DNS_RRSIG, rdata);
	data = keys->data;
	rrset_next(&data, &rdata);
	ldns_rr *dnskey = ldns_record(keys->owner, DNS_DNSKEY, rdata);
	bool ok = ldns_verify_rrsig_time(list, sig, dnskey, KIT_NOW) == LDNS_STATUS_OK;
	ldns_rr_list_deep_free(list);
	ldns_rr_free(sig);
	ldns_rr_free(dnskey);
	return ok;
}

/* Which names in rdata are in lower case in canonical form (RFC 4034 6.2, RFC 6840 5.1). */
static void test_canonical_types(void **state)
{
	(void)state;
	static const char *const text[] = {
	    "A 192.0.2.1",
	    "NS NS.Example.",
	    "CNAME Target.Example.",
	    "SOA NS.Example. Admin.Example. 1 2 3 4 5",
	    "PTR Host.Example.",
	    "MX 10 Mail.Example.",
	    "MINFO A.Example. B.Example.",
	    "HINFO CPU OS",
	    "TXT \"Upper\" \"CASE\"",
	    "RP Admin.Example. Text.Example.",
	    "AFSDB 1 Host.Example.",
	    "RT 1 Host.Example.",
	    "PX 1 A.Example. B.Example.",
	    "SRV 1 2 3 Host.Example.",
	    "NAPTR 1 2 \"S\" \"SIP\" \"\" Host.Example.",
	    "KX 1 Host.Example.",
	    "DNAME Other.Example.",
	    "NSEC Next.Example. A NS",
	    "AAAA 2001:DB8::1",
	    "CAA 0 issue \"CA.Example\"",
	    "TLSA 3 1 1 00",
	    "SSHFP 1 1 0000000000000000000000000000000000000000",
	    "TYPE65400 \\# 4 41424344",
	};
	const struct rrset *keys = kit_dnskey("example.", ec, 1);
	for (unsigned i = 0; i < sizeof(text) / sizeof(*text); i++) {
		char line[200];
		snprintf(line, sizeof(line), "WWW.Example. 3600 %s\n", text[i]);
		struct rrset *set = kit_text(line);
		kit_sign(set, ec, &by_example);
		if (check(set, keys) != RRSET_SECURE || !ldns_agrees(set, keys))
			fail_msg("%s", text[i]);
	}
}

static void test_wildcard(void **state)
{
	(void)state;
	const struct rrset *keys = kit_dnskey("example.", ec, 1);
	struct rrset *set = kit_text("a.b.w.example. 60 A 192.0.2.1\n");
	kit_sign(set, ec, &(struct kit_sig){.signer = "example.", .labels = 2});
	assert_int_equal(check(set, keys), RRSET_SECURE);
	assert_true(v.expanded);
	assert_int_equal(v.labels, 2);
	/* The wildcard itself. */
	set = kit_text("*.w.example. 60 A 192.0.2.1\n");
	kit_sign(set, ec, &by_example);
	assert_int_equal(check(set, keys), RRSET_SECURE);
	assert_false(v.expanded);
	/* ... and a name below the wildcard, of which it is the expansion no less. */
	set = kit_text("*.*.w.example. 60 A 192.0.2.1\n");
	kit_sign(set, ec, &(struct kit_sig){.signer = "example.", .labels = 2});
	assert_int_equal(check(set, keys), RRSET_SECURE);
	assert_true(v.expanded);
	/* Of a zone at the root. */
	keys = kit_dnskey(".", ec, 1);
	set = kit_text("example. 60 A 192.0.2.1\n");
	kit_sign(set, ec, &(struct kit_sig){.signer = ".", .labels = -1});
	assert_int_equal(check(set, keys), RRSET_SECURE);
	assert_true(v.expanded);
	assert_int_equal(v.labels, 0);
}

static void test_ttl(void **state)
{
	(void)state;
	const struct rrset *keys = kit_dnskey("example.", ec, 1);
	static const struct {
		uint32_t set, sig, ends, want;
	} row[] = {{60, 300, KIT_DAY, 60},
		   {600, 300, KIT_DAY, 300},
		   {600, 300, 20, 20},
		   {600, 300, (uint32_t)-5, 1}};
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct rrset *set = www();
		set->ttl = row[i].set;
		kit_sign(set, ec,
			 &(struct kit_sig){.signer = "example.",
					   .ttl = row[i].sig,
					   .ends = KIT_NOW + row[i].ends});
		assert_int_equal(check_at(set, keys, KIT_NOW, 10), RRSET_SECURE);
		assert_int_equal(v.ttl, row[i].want);
	}
}

/* --- bad ones ----------------------------------------------------------------------------------
 */

static void test_times(void **state)
{
	(void)state;
	const struct rrset *keys = kit_dnskey("example.", ec, 1);
	static const struct {
		uint32_t begins, ends;
		uint64_t now;
		uint32_t skew;
		uint16_t ede;
	} row[] = {
	    {1000, 2000, 1000, 0, EDE_NONE},
	    {1000, 2000, 2000, 0, EDE_NONE},
	    {1000, 2000, 999, 0, EDE_NOT_YET_VALID},
	    {1000, 2000, 2001, 0, EDE_EXPIRED},
	    {1000, 2000, 990, 10, EDE_NONE},
	    {1000, 2000, 989, 10, EDE_NOT_YET_VALID},
	    {1000, 2000, 2010, 10, EDE_NONE},
	    {1000, 2000, 2011, 10, EDE_EXPIRED},
	    {2000, 1000, 1500, 0, EDE_ENDS_FIRST},
	    /* RFC 1982: over the end of the circle, in the year 2106 and in later ones. */
	    {0xfffffff0, 16, 0xfffffff8, 0, EDE_NONE},
	    {0xfffffff0, 16, 0x100000008, 0, EDE_NONE},
	    {0xfffffff0, 16, 0x100000011, 0, EDE_EXPIRED},
	    {0xfffffff0, 16, 0xffffffe0, 0, EDE_NOT_YET_VALID},
	    {1000, 2000, 0x200000000 + 1500, 0, EDE_NONE},
	};
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct rrset *set = www();
		kit_sign(set, ec,
			 &(struct kit_sig){
			     .signer = "example.", .begins = row[i].begins, .ends = row[i].ends});
		check_at(set, keys, row[i].now, row[i].skew);
		assert_int_equal(v.ede, row[i].ede);
		assert_int_equal(v.security, v.ede == EDE_NONE ? RRSET_SECURE : RRSET_BOGUS);
		/* What is out of time costs nothing. */
		assert_int_equal(work.signatures, VALIDATE_SIGNATURES - (v.ede == EDE_NONE));
	}
}

static void test_unfit(void **state)
{
	(void)state;
	static const struct {
		const char *set, *zone;
		struct kit_sig sig;
		uint16_t ede;
		const char *why;
	} row[] = {
	    {"www.example. 9 A 192.0.2.1\n",
	     "example.",
	     {.signer = "com."},
	     EDE_BOGUS,
	     "another zone"},
	    {"www.example. 9 A 192.0.2.1\n",
	     "www.example.",
	     {.signer = "example."},
	     EDE_BOGUS,
	     "another zone"},
	    {"www.example. 9 A 192.0.2.1\n",
	     "a.www.example.",
	     {.signer = "a.www.example."},
	     EDE_BOGUS,
	     "may not sign"},
	    {"www.example. 9 A 192.0.2.1\n", "com.", {.signer = "com."}, EDE_BOGUS, "may not sign"},
	    {"www.example. 9 A 192.0.2.1\n",
	     "ample.",
	     {.signer = "ample."},
	     EDE_BOGUS,
	     "may not sign"},
	    /* A DS is the parent's, DNSKEY the zone's. */
	    {"b.example. 9 DS 1 8 2 00\n",
	     "b.example.",
	     {.signer = "b.example."},
	     EDE_BOGUS,
	     "may not sign"},
	    {"b.example. 9 DNSKEY 256 3 8 AAAA\n",
	     "example.",
	     {.signer = "example."},
	     EDE_BOGUS,
	     "may not sign"},
	    /* Labels: more than there are, fewer than the zone's. */
	    {"www.example. 9 A 192.0.2.1\n",
	     "example.",
	     {.signer = "example.", .labels = 3},
	     EDE_BOGUS,
	     "labels"},
	    {"www.example. 9 A 192.0.2.1\n",
	     "example.",
	     {.signer = "example.", .labels = -1},
	     EDE_BOGUS,
	     "labels"},
	    {"www.example. 9 A 192.0.2.1\n",
	     "example.",
	     {.signer = "example.", .tag = 77},
	     EDE_NO_KEY,
	     "no such key"},
	    {"www.example. 9 A 192.0.2.1\n",
	     "example.",
	     {.signer = "example.", .algorithm = 8},
	     EDE_NO_KEY,
	     "no such key"},
	    {"www.example. 9 A 192.0.2.1\n",
	     "example.",
	     {.signer = "example.", .algorithm = 12},
	     EDE_UNSUPPORTED_KEY,
	     "not supported"},
	    {"www.example. 9 A 192.0.2.1\n",
	     "example.",
	     {.signer = "example.", .covers = 28},
	     EDE_NO_SIGNATURE,
	     "not signed"},
	};
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct rrset *set = kit_text(row[i].set);
		kit_sign(set, ec, &row[i].sig);
		check(set, kit_dnskey(row[i].zone, ec, 1));
		bogus(row[i].ede, row[i].why);
		assert_int_equal(work.signatures, VALIDATE_SIGNATURES);
	}
	check(www(), kit_dnskey("example.", ec, 1));
	bogus(EDE_NO_SIGNATURE, "www.example A: it is not signed");
}

/* What was signed is not what came: another record, another owner, a record more or fewer. */
static void test_changed(void **state)
{
	(void)state;
	static const char *const other[] = {
	    "www.example. 3600 A 192.0.2.2\nwww.example. 3600 A 192.0.2.3\n",
	    "www.example. 3600 A 192.0.2.2\n",
	    "www.example. 3600 A 192.0.2.2\nwww.example. 3600 A 192.0.2.1\n"
	    "www.example. 3600 A 192.0.2.3\n",
	    "ww.example. 3600 A 192.0.2.2\nww.example. 3600 A 192.0.2.1\n",
	};
	for (unsigned i = 0; i < sizeof(other) / sizeof(*other); i++) {
		struct rrset *set = www(), *got = kit_text(other[i]);
		struct slice data, sig = {0};
		kit_sign(set, ec, &by_example);
		data = set->data;
		for (unsigned k = 0; k < 3; k++)
			assert_true(rrset_next(&data, &sig));
		kit_add(kit_of(got), sig.p, sig.len);
		got->sigs = 1;
		check(got, kit_dnskey("example.", ec, 1));
		bogus(EDE_BOGUS, "it is wrong");
	}
}

/* --- keys --------------------------------------------------------------------------------------
 */

static void test_key_flags(void **state)
{
	(void)state;
	static const struct {
		uint8_t flags0, flags1, protocol;
		uint16_t ede;
		const char *why;
	} row[] = {{0, 1, 3, EDE_NO_ZONE_KEY_BIT, "not one of a zone"},
		   {1, 1, 2, EDE_NO_ZONE_KEY_BIT, "not one of a zone"},
		   {1, 0x81, 3, EDE_NO_KEY, "revoked"}};
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct kit_key k = ec[0];
		struct rrset *set = www();
		k.dnskey[0] = row[i].flags0;
		k.dnskey[1] = row[i].flags1;
		k.dnskey[2] = row[i].protocol;
		kit_retag(&k);
		kit_sign(set, &k, &by_example);
		check(set, kit_dnskey("example.", &k, 1));
		bogus(row[i].ede, row[i].why);
		struct rrset *dnskey = kit_dnskey("example.", &k, 1);
		kit_sign(dnskey, &k, &by_example);
		check_keys(dnskey, kit_ds("example.", &k, 2), NULL);
		bogus(row[i].ede, row[i].why);
	}
}

/* Keys and signatures that have no such form never get to the library. */
static void test_key_form(void **state)
{
	(void)state;
	static const struct {
		uint8_t octets[16];
		size_t n, fill; /* the octets, then as many of 0xff */
		const char *why;
	} row[] = {
	    {{1, 0, 3, 8, 0}, 5, 0, "malformed"},
	    {{1, 0, 3, 8, 3, 1, 0, 1}, 8, 0, "malformed"},
	    {{1, 0, 3, 8, 0, 0xff, 0xff, 1}, 8, 200, "malformed"},
	    {{1, 0, 3, 8, 1, 3}, 6, 60, "too short"},
	    {{1, 0, 3, 8, 1, 3}, 6, 513, "larger"},
	    {{1, 0, 3, 8, 6, 1, 1, 1, 1, 1, 1}, 11, 128, "larger"},
	    {{1, 0, 3, 8, 1, 3, 0}, 7, 128, "malformed"},
	    {{1, 0, 3, 8, 1, 0}, 6, 128, "malformed"},
	    {{1, 0, 3, 8, 1, 3}, 6, 130, "another length"},
	    {{1, 0, 3, 10, 1, 3}, 6, 64, "too short"},
	    {{1, 0, 3, 13}, 4, 63, "malformed"},
	    {{1, 0, 3, 13}, 4, 64, "malformed"},
	    {{1, 0, 3, 14}, 4, 64, "malformed"},
	    {{1, 0, 3, 15}, 4, 31, "malformed"},
	    {{1, 0, 3, 16}, 4, 58, "malformed"},
	};
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct kit_key k = key[2]; /* its signature has 128 octets */
		struct rrset *set = www();
		memset(k.dnskey, 0xff, sizeof(k.dnskey));
		memcpy(k.dnskey, row[i].octets, row[i].n);
		k.len = row[i].n + row[i].fill;
		kit_retag(&k);
		kit_sign(set, &k,
			 &(struct kit_sig){.signer = "example.", .algorithm = k.dnskey[3]});
		check(set, kit_dnskey("example.", &k, 1));
		bogus(EDE_BOGUS, row[i].why);
		assert_int_equal(work.signatures, VALIDATE_SIGNATURES);
	}
	/* A point that is not on the curve. */
	struct kit_key k = ec[0];
	struct rrset *set = www();
	k.dnskey[10] ^= 1;
	kit_retag(&k);
	kit_sign(set, &k, &by_example);
	check(set, kit_dnskey("example.", &k, 1));
	bogus(EDE_BOGUS, "it is wrong");
}

static void test_ds(void **state)
{
	(void)state;
	static const uint8_t digest[] = {1, 2, 4};
	struct rrset *dnskey = kit_dnskey("example.", ec, 2);
	kit_sign(dnskey, &ec[0], &by_example);
	for (unsigned i = 0; i < sizeof(digest); i++) {
		assert_int_equal(check_keys(dnskey, kit_ds("example.", &ec[0], digest[i]), NULL),
				 RRSET_SECURE);
		/* Signed, but not by the key that the parent names; a key that is not there. */
		check_keys(dnskey, kit_ds("example.", &ec[1], digest[i]), NULL);
		bogus(EDE_NO_KEY, "no such key");
		check_keys(dnskey, kit_ds("example.", &ec[2], digest[i]), NULL);
		bogus(EDE_NO_KEY, "no key is one that");
		/* The digest of another name's. */
		struct rrset *ds = kit_ds("example.", &ec[0], digest[i]);
		struct rrset *other = kit_ds("exampl.", &ec[0], digest[i]);
		ds->data = other->data;
		check_keys(dnskey, ds, NULL);
		bogus(EDE_NO_KEY, "no key is one that");
	}
	/* SHA-1 is not looked at beside another (RFC 4509 3), others are. */
	struct rrset *ds = kit_ds("example.", &ec[0], 1);
	kit_add_ds(ds, &ec[2], 2);
	check_keys(dnskey, ds, NULL);
	bogus(EDE_NO_KEY, "no key is one that");
	kit_add_ds(ds, &ec[0], 4);
	assert_int_equal(check_keys(dnskey, ds, NULL), RRSET_SECURE);
	/* Too short and too long digests are none. */
	ds = kit_text(
	    "example. DS 1 13 2 00\nexample. DS 1 13 1 00\nexample. DS 1 13 4 "
	    "00000000000000000000000000000000000000000000000000000000000000000000000000\n");
	check_keys(dnskey, ds, NULL);
	bogus(EDE_NO_KEY, "no key is one that");
}

static void test_ds_unsupported(void **state)
{
	(void)state;
	struct rrset *dnskey = kit_dnskey("example.", ec, 1);
	static const struct {
		const char *ds;
		enum rrset_security want;
		uint16_t ede;
	} row[] = {
	    {"example. DS 1 3 2 00\nexample. DS 1 12 2 00\n", RRSET_INSECURE, EDE_UNSUPPORTED_KEY},
	    {"example. DS 1 13 3 00\n", RRSET_INSECURE, EDE_UNSUPPORTED_DIGEST},
	    {"example. DS 1 13 3 00\nexample. DS 1 1 2 00\n", RRSET_INSECURE,
	     EDE_UNSUPPORTED_DIGEST},
	    {"example. DS 1 13 3 00\nexample. DS 1 8 2 00\n", RRSET_SECURE, EDE_NONE},
	};
	kit_sign(dnskey, ec, &by_example);
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		uint16_t ede;
		struct rrset *ds = kit_text(row[i].ds);
		assert_int_equal(validate_ds(ds, &ede), row[i].want);
		assert_int_equal(ede, row[i].ede);
		check_keys(dnskey, ds, NULL);
		assert_int_equal(v.security,
				 row[i].want == RRSET_INSECURE ? RRSET_INSECURE : RRSET_BOGUS);
		if (row[i].want == RRSET_INSECURE)
			assert_int_equal(v.ede, row[i].ede);
	}
}

static void test_trusted(void **state)
{
	(void)state;
	struct rrset *dnskey = kit_dnskey(".", ec, 2);
	kit_sign(dnskey, &ec[1], &(struct kit_sig){.signer = "."});
	assert_int_equal(check_keys(dnskey, NULL, kit_dnskey(".", &ec[1], 1)), RRSET_SECURE);
	assert_int_equal(check_keys(dnskey, NULL, kit_dnskey(".", &ec[1], 2)), RRSET_SECURE);
	check_keys(dnskey, NULL, kit_dnskey(".", &ec[0], 1));
	bogus(EDE_NO_KEY, "no such key");
	check_keys(dnskey, NULL, kit_dnskey(".", &ec[2], 1));
	bogus(EDE_NO_KEY, "no key is one that");
	/* Beside DS records of which none can be used. */
	const struct rrset *ds = kit_text(". DS 1 3 2 00\n");
	assert_int_equal(check_keys(dnskey, ds, kit_dnskey(".", &ec[1], 1)), RRSET_SECURE);
	assert_int_equal(check_keys(dnskey, kit_ds(".", &ec[1], 2), kit_dnskey(".", &ec[2], 1)),
			 RRSET_SECURE);
	/* Neither. */
	check_keys(dnskey, NULL, NULL);
	bogus(EDE_NO_KEY, "no key is one that");
}

/* --- budgets -----------------------------------------------------------------------------------
 */

static void test_failures(void **state)
{
	(void)state;
	const struct rrset *keys = kit_dnskey("example.", ec, 3);
	struct kit_sig bad = {.signer = "example.", .spoil = true};
	struct rrset *set = www();
	kit_sign(set, &ec[0], &bad);
	kit_sign(set, &ec[1], &by_example);
	assert_int_equal(check(set, keys), RRSET_SECURE);
	assert_int_equal(steps, 2);
	assert_int_equal(work.failures, 0);
	/* The next set of that answer has none left. */
	validate_begin(&v, set, keys, KIT_NOW, 0);
	assert_int_equal(run(), RRSET_BOGUS);
	/* The second one fails: the third is not looked at. */
	set = www();
	kit_sign(set, &ec[0], &bad);
	kit_sign(set, &ec[1], &bad);
	kit_sign(set, &ec[2], &by_example);
	check(set, keys);
	bogus(EDE_BOGUS, "it is wrong");
	assert_int_equal(work.signatures, VALIDATE_SIGNATURES - 2);
}

/* KeyTrap (CVE-2023-50387): many keys of one tag, many signatures. */
static void test_collisions(void **state)
{
	(void)state;
	static struct kit_key many[8];
	struct kit_sig bad = {.signer = "example.", .spoil = true};
	struct rrset *set = www();
	for (unsigned i = 0; i < 8; i++) {
		many[i] = ec[0];
		many[i].dnskey[4] = (uint8_t)(many[i].dnskey[4] + i); /* the sum stays the same */
		many[i].dnskey[6] = (uint8_t)(many[i].dnskey[6] - i);
	}
	for (unsigned i = 0; i < 8; i++)
		kit_sign(set, &ec[0], &bad);
	validate_work_init(&work);
	work.failures = 1000;
	work.signatures = 1000;
	validate_begin(&v, set, kit_dnskey("example.", many, 8), KIT_NOW, 0);
	assert_int_equal(run(), RRSET_BOGUS);
	assert_true(work.signatures >= 1000 - 8 * VALIDATE_KEYS_A_TAG);
	validate_work_init(&work);
	work.failures = 1000;
	validate_begin(&v, set, kit_dnskey("example.", ec, 1), KIT_NOW, 0);
	work.signatures = 3;
	assert_int_equal(run(), RRSET_BOGUS);
	bogus(EDE_BOGUS, "too many signatures");
	assert_int_equal(work.signatures, 0);
	/* DS records of keys with one tag: the digests are bounded, too. */
	struct rrset *ds = kit_ds("example.", &ec[2], 2);
	for (unsigned i = 0; i < 60; i++)
		kit_add_ds(ds, &many[0], 3);
	assert_int_equal(check_keys(kit_dnskey("example.", many, 8), ds, NULL), RRSET_BOGUS);
}

/* --- helpers -----------------------------------------------------------------------------------
 */

static void test_signer(void **state)
{
	(void)state;
	static const struct {
		const char *set, *above, *sig[3], *want;
	} row[] = {
	    {"a.b.example. A 192.0.2.1\n", ".", {"example."}, "example."},
	    {"a.b.example. A 192.0.2.1\n", ".", {"example.", "b.example.", "."}, "b.example."},
	    {"a.b.example. A 192.0.2.1\n",
	     ".",
	     {"b.example.", "c.a.b.example.", "com."},
	     "b.example."},
	    {"a.b.example. A 192.0.2.1\n", "b.example.", {"example."}, NULL},
	    {"a.b.example. A 192.0.2.1\n", ".", {NULL}, NULL},
	    {"b.example. DS 1 8 2 00\n", ".", {"b.example.", "example."}, "example."},
	    {"b.example. DNSKEY 256 3 8 AAAA\n", ".", {"example.", "b.example."}, "b.example."},
	    {". DS 1 8 2 00\n", ".", {"."}, "."},
	};
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct rrset *set = kit_text(row[i].set);
		for (unsigned s = 0; s < 3 && row[i].sig[s]; s++)
			kit_sign(set, ec, &(struct kit_sig){.signer = row[i].sig[s]});
		const uint8_t *got = validate_signer(set, kit_name(row[i].above));
		assert_int_equal(got != NULL, row[i].want != NULL);
		if (got)
			assert_true(dns_name_eq(got, kit_name(row[i].want)));
	}
}

static void test_dname(void **state)
{
	(void)state;
	uint8_t out[DNS_NAME_MAX], long_name[DNS_NAME_MAX];
	const struct rrset *dname = kit_text("d.example. DNAME target.test.\n");
	assert_true(validate_dname_target(dname, kit_name("a.b.d.example."), out));
	assert_true(dns_name_eq(out, kit_name("a.b.target.test.")));
	assert_false(validate_dname_target(dname, kit_name("d.example."), out));
	assert_false(validate_dname_target(dname, kit_name("a.e.example."), out));
	/* 3 * 64 octets, 50 and the owner's 11 fit, with the target's 13 they do not. */
	size_t at = 0;
	for (; at < 192; at += 64) {
		long_name[at] = 63;
		memset(long_name + at + 1, 'x', 63);
	}
	long_name[at] = 50;
	memset(long_name + at + 1, 'x', 50);
	memcpy(long_name + at + 51, dname->owner, 11);
	assert_int_equal(dns_name_check(long_name, sizeof(long_name)), at + 51 + 11);
	assert_false(validate_dname_target(dname, long_name, out));
	assert_false(validate_dname_target(kit_text("d.example. CNAME t.test.\n"),
					   kit_name("a.d.example."), out));
}

/* More keys than are kept ready, and one that changes its algorithm. */
static void test_many_keys(void **state)
{
	(void)state;
	struct rrset *good = www();
	const struct rrset *keys = kit_dnskey("example.", ec, 1);
	kit_sign(good, ec, &by_example);
	unsigned used = kit_used;
	for (unsigned i = 0; i < 600; i++) {
		struct kit_key k = key[6]; /* Ed25519: any octets are a key */
		struct rrset *set = www();
		k.dnskey[20] = (uint8_t)i;
		k.dnskey[21] = (uint8_t)(k.dnskey[21] + (i >> 8));
		kit_retag(&k);
		bool same = !memcmp(k.dnskey, key[6].dnskey, k.len);
		kit_sign(set, &key[6], &(struct kit_sig){.signer = "example.", .tag = k.tag});
		assert_int_equal(check(set, kit_dnskey("example.", &k, 1)),
				 same ? RRSET_SECURE : RRSET_BOGUS);
		assert_int_equal(check(good, keys), RRSET_SECURE);
		kit_back(used);
	}
	struct kit_key k = key[2];
	k.algorithm = k.dnskey[3] = 10;
	kit_retag(&k);
	for (unsigned i = 0; i < 2; i++) {
		struct rrset *one = www(), *other = www();
		kit_sign(one, &key[2], &by_example);
		kit_sign(other, &k, &by_example);
		assert_int_equal(check(one, kit_dnskey("example.", &key[2], 1)), RRSET_SECURE);
		assert_int_equal(check(other, kit_dnskey("example.", &k, 1)), RRSET_SECURE);
	}
}

static void test_tell(void **state)
{
	(void)state;
	struct rrset *set = www();
	char want[200];
	kit_sign(set, ec, &by_example);
	validate_work_init(&work);
	validate_begin(&v, set, kit_dnskey("example.", ec, 1), KIT_NOW, 0);
	v.tell = true;
	assert_int_equal(run(), RRSET_SECURE);
	snprintf(want, sizeof(want),
		 "www.example A: signature by example, key %u, algorithm 13: good", ec[0].tag);
	assert_string_equal(v.why, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_algorithms, kit_end),
	    cmocka_unit_test_teardown(test_examples, kit_end),
	    cmocka_unit_test_teardown(test_canonical, kit_end),
	    cmocka_unit_test_teardown(test_canonical_types, kit_end),
	    cmocka_unit_test_teardown(test_wildcard, kit_end),
	    cmocka_unit_test_teardown(test_ttl, kit_end),
	    cmocka_unit_test_teardown(test_times, kit_end),
	    cmocka_unit_test_teardown(test_unfit, kit_end),
	    cmocka_unit_test_teardown(test_changed, kit_end),
	    cmocka_unit_test_teardown(test_key_flags, kit_end),
	    cmocka_unit_test_teardown(test_key_form, kit_end),
	    cmocka_unit_test_teardown(test_ds, kit_end),
	    cmocka_unit_test_teardown(test_ds_unsupported, kit_end),
	    cmocka_unit_test_teardown(test_trusted, kit_end),
	    cmocka_unit_test_teardown(test_failures, kit_end),
	    cmocka_unit_test_teardown(test_collisions, kit_end),
	    cmocka_unit_test_teardown(test_signer, kit_end),
	    cmocka_unit_test_teardown(test_dname, kit_end),
	    cmocka_unit_test_teardown(test_many_keys, kit_end),
	    cmocka_unit_test_teardown(test_tell, kit_end),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
