/* Trust anchors: what is configured, and how they are followed when zones replace their keys. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include "dnsd/validate/anchor_roll.h"
#include "t/unit/dnsd_validate_kit.h"

enum { KEYS = 4, DAY = KIT_DAY };
static struct kit_key key[KEYS];
static struct anchors *a;
static struct anchor_roll *roll;

static int make_keys(void **state)
{
	(void)state;
	kit_keys(key, KEYS, 13, 0);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KEYS; i++)
		kit_key_free(&key[i]);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	a = anchors_new();
	return 0;
}

static int end(void **state)
{
	anchor_roll_free(&roll);
	anchors_free(&a);
	return kit_end(state);
}

static bool add(const char *text)
{
	const char *why;
	bool ok = anchors_add_text(a, slice_of(text), &why);
	assert_int_equal(ok, !*why);
	return ok;
}

/* --- what is configured ------------------------------------------------------------------------
 */

#define DS_A  "example. DS 1 13 2 " HEX32
#define HEX32 "0000000000000000000000000000000000000000000000000000000000000000"

static void test_text(void **state)
{
	(void)state;
	struct anchor got;
	assert_true(add(DS_A));
	assert_true(add("EXAMPLE. 3600 IN DS 2 13 2 " HEX32 " ; a comment\n\n"));
	assert_true(add(DS_A));
	assert_true(add("com. IN DNSKEY 257 3 13 "
			"GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+"
			"MAnLr+Wi9xMWyQLc8NAA==\n"));
	assert_true(anchors_find(a, kit_name("a.b.example"), &got));
	assert_true(dns_name_eq(got.zone, kit_name("example")));
	assert_int_equal(got.ds.n, 2);
	assert_int_equal(got.dnskey.n, 0);
	assert_true(anchors_find(a, kit_name("com"), &got));
	assert_int_equal(got.dnskey.n, 1);
	assert_false(anchors_find(a, kit_name("test"), &got));
	assert_false(anchors_find(a, kit_name("."), &got));
}

static void test_text_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} row[] = {
	    {"example. A 192.0.2.1", "a DS or a DNSKEY"},
	    {"example. DS 1 13", "DS"},
	    {"example. DS 1 3 2 " HEX32, "not supported"},
	    {"example. DS 1 13 9 " HEX32, "not supported"},
	    {"example. DNSKEY 257 3 1 AAAA", "not supported"},
	    {"example. DNSKEY 257 2 13 AAAA", "not a key of a zone"},
	    {"example. DNSKEY 1 3 13 AAAA", "not a key of a zone"},
	    {"example. DNSKEY 385 3 13 AAAA", "revoked"},
	    {"$INCLUDE /etc/passwd", "INCLUDE"},
	    {"nonsense", ""},
	};
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		const char *why;
		struct anchor got;
		assert_false(anchors_add_text(a, slice_of(row[i].text), &why));
		if (!strstr(why, row[i].why))
			fail_msg("\"%s\" is not in \"%s\"", row[i].why, why);
		assert_false(anchors_find(a, kit_name("example"), &got));
	}
	for (unsigned i = 0; i < ANCHOR_RECORDS; i++) {
		char line[128];
		snprintf(line, sizeof(line), "many. DS %u 13 2 " HEX32, i);
		assert_true(add(line));
	}
	assert_false(add("many. DS 999 13 2 " HEX32));
}

/* The keys that the root publishes are those of its built-in DS records. */
static void test_root(void **state)
{
	(void)state;
	const struct rrset *keys = kit_text(
	    ". DNSKEY 257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/"
	    "4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WG"
	    "e2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/"
	    "b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/"
	    "ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU=\n"
	    ". DNSKEY 257 3 8 AwEAAa96jeuknZlaeSrvyAJj6ZHv28hhOKkx3rLGXVaC6rXTsDc449/"
	    "cidltpkyGwCJNnOAlFNKF2jBosZBU5eeHspaQWOmOElZsjICMQMC3aeHbGiShvZsx4wMYSjH8e7Vrhbu6irwCz"
	    "VBApESjbUdpWWmEnhathWu1jo+siFUiRAAxm9qyJNg/wOZqqzL/"
	    "dL/q8PkcRU5oUKEpUge71M3ej2/7CPqpdVwuMoTvoB+ZOT4YeGyxMvHmbrxlFzGOHOijtzN+"
	    "u1TQNatX2XBuzZNQ1K+s2CXkPIZo7s6JgZyvaBevYtxPvYLw4z9mR7K2vaF18UYH9Z9GNUUeayffKC73PYc="
	    "\n");
	static const uint16_t tag[] = {20326, 38696};
	struct slice data = keys->data, k = {0}, of, ds = {0};
	struct anchor got;
	anchors_add_root(a);
	assert_true(anchors_find(a, kit_name("www.example"), &got));
	assert_int_equal(got.ds.n, 2);
	assert_int_equal(*got.zone, 0);
	of = got.ds.data;
	for (unsigned i = 0; i < 2; i++) {
		assert_true(rrset_next(&data, &k) && rrset_next(&of, &ds));
		assert_int_equal(validate_key_tag(k), tag[i]);
		assert_true(validate_ds_is_of(ds, keys->owner, k));
	}
}

static void test_negative(void **state)
{
	(void)state;
	struct anchor got;
	anchors_add_root(a);
	assert_true(anchors_add_negative(a, kit_name("broken.example")));
	assert_true(add("good.broken.example. DS 1 13 2 " HEX32));
	assert_true(anchors_find(a, kit_name("www.broken.example"), &got));
	assert_true(got.negative);
	assert_true(anchors_find(a, kit_name("a.good.broken.example"), &got));
	assert_false(got.negative);
	assert_true(anchors_find(a, kit_name("example"), &got));
	assert_false(got.negative);
	assert_true(anchors_add_negative(a, kit_name("good.broken.example")));
	assert_true(anchors_find(a, kit_name("good.broken.example"), &got));
	assert_true(got.negative);
}

/* --- RFC 5011 ----------------------------------------------------------------------------------
 */

static struct kit_key revoked(const struct kit_key *k)
{
	struct kit_key r = *k;
	r.dnskey[1] |= 0x80;
	kit_retag(&r);
	return r;
}

static struct kit_key letter(char c)
{
	const struct kit_key *k = &key[(c - 'A') % 32 % KEYS];
	return c < 'a' ? revoked(k) : *k;
}

/* A DNSKEY rrset of the keys in `have`, signed by those in `by`, as letters: "a" the first key, "A"
 * it, revoked. It is seen when it is good by the anchors that there are. */
static bool see(const char *have, const char *by, uint64_t now)
{
	struct rrset *set = kit_dnskey("example", NULL, 0);
	struct validate_work w;
	struct validate v;
	struct anchor at;
	set->ttl = 2 * DAY;
	for (const char *c = have; *c; c++) {
		struct kit_key k = letter(*c);
		kit_add(kit_of(set), k.dnskey, k.len);
		set->n++;
	}
	for (const char *c = by; *c; c++) {
		struct kit_key k = letter(*c);
		kit_sign(set, &k,
			 &(struct kit_sig){.signer = "example.",
					   .begins = (uint32_t)(now - DAY),
					   .ends = (uint32_t)(now + 10 * DAY)});
	}
	assert_true(anchors_find(a, set->owner, &at));
	validate_work_init(&w);
	validate_begin_keys(&v, set, &at.ds, &at.dnskey, now, 0);
	while (validate_step(&v, &w) == RRSET_UNCHECKED)
		continue;
	if (v.security != RRSET_SECURE) {
		anchor_roll_failed(roll, set->owner, now);
		return false;
	}
	anchor_roll_seen(roll, set, now);
	return true;
}

/* The states of the keys as letters, in the order of the keys: "v" valid ... "-": not there. */
static const char *states(void)
{
	static char out[KEYS + 1];
	struct buf text = {0};
	anchor_roll_tell(roll, &text);
	for (unsigned i = 0; i < KEYS; i++) {
		char line[64];
		snprintf(line, sizeof(line), "example key %u ", key[i].tag);
		const char *at = strstr(buf_cstr(&text), line);
		out[i] = at ? at[strlen(line)] : '-';
		if (at && !strncmp(at + strlen(line), "removed", 7))
			out[i] = 'x';
	}
	buf_free(&text);
	return out;
}

static void follow(void)
{
	struct rrset *ds = kit_ds("example", &key[0], 2);
	anchors_set(a, ds->owner, DNS_DS, ds);
	roll = anchor_roll_new(a);
}

/* What would be left after the process ended. */
static void again(void)
{
	struct buf text = {0}, after = {0};
	const char *why;
	anchor_roll_save(roll, &text);
	anchor_roll_free(&roll);
	anchors_free(&a);
	a = anchors_new();
	follow();
	assert_true(anchor_roll_load(roll, buf_slice(&text), &why));
	anchor_roll_save(roll, &after);
	assert_string_equal(buf_cstr(&after), buf_cstr(&text));
	buf_free(&text);
	buf_free(&after);
}

static void test_rollover(void **state)
{
	(void)state;
	uint64_t t = KIT_NOW, when;
	follow();
	assert_true(dns_name_eq(anchor_roll_next(roll, &when), kit_name("example")));
	assert_int_equal(when, 0);
	assert_string_equal(states(), "c---");
	assert_true(see("a", "a", t));
	assert_string_equal(states(), "v---");
	anchor_roll_next(roll, &when);
	assert_int_equal(when, t + DAY);
	/* A second key is there for 30 days before it is trusted. */
	assert_true(see("ab", "a", t += DAY));
	assert_string_equal(states(), "vp--");
	again();
	assert_true(see("ab", "ab", t += 29 * DAY));
	assert_string_equal(states(), "vp--");
	assert_false(see("ab", "b", t));
	assert_true(see("ab", "ab", t += DAY));
	assert_string_equal(states(), "vv--");
	again();
	assert_true(see("ab", "b", t));
	/* The first one is gone for a while: it stays trusted. */
	assert_true(see("b", "b", t += DAY));
	assert_string_equal(states(), "mv--");
	again();
	assert_true(see("ab", "a", t));
	assert_string_equal(states(), "vv--");
	/* It is revoked, at first by somebody who has not got it. */
	assert_true(see("Ab", "b", t += DAY));
	assert_string_equal(states(), "mv--");
	assert_true(see("Ab", "Ab", t += DAY));
	assert_string_equal(states(), "rv--");
	again();
	assert_string_equal(states(), "rv--");
	assert_false(see("ab", "a", t));
	assert_true(see("ab", "b", t += 29 * DAY));
	assert_string_equal(states(), "rv--");
	assert_true(see("b", "b", t += DAY));
	assert_string_equal(states(), "xv--");
	again();
	assert_false(see("ab", "a", t));
	assert_true(see("ab", "ab", t));
	assert_string_equal(states(), "xv--");
}

static void test_pending(void **state)
{
	(void)state;
	uint64_t t = KIT_NOW;
	follow();
	assert_true(see("ab", "a", t));
	assert_string_equal(states(), "vp--");
	/* It was away: from the beginning. */
	assert_true(see("a", "a", t += 20 * DAY));
	assert_string_equal(states(), "v---");
	assert_true(see("ab", "a", t += DAY));
	assert_true(see("ab", "a", t += 20 * DAY));
	assert_string_equal(states(), "vp--");
	/* One that is revoked while it is pending is gone. */
	assert_true(see("aB", "aB", t));
	assert_string_equal(states(), "v---");
}

static void test_last_one(void **state)
{
	(void)state;
	struct anchor got;
	follow();
	assert_true(see("a", "a", KIT_NOW));
	/* Both forms are there, so that the old one still proves the set. */
	assert_true(see("aA", "aA", KIT_NOW + DAY));
	assert_string_equal(states(), "r---");
	assert_false(anchors_find(a, kit_name("example"), &got));
}

/* A key that is configured by its DS need not wait, even where the state says that it is pending.
 */
static void test_configured(void **state)
{
	(void)state;
	struct buf text = {0};
	const char *why;
	follow();
	assert_true(see("ab", "a", KIT_NOW));
	anchor_roll_save(roll, &text);
	anchor_roll_free(&roll);
	anchors_free(&a);
	a = anchors_new();
	struct rrset *ds = kit_ds("example", &key[1], 2);
	anchors_set(a, ds->owner, DNS_DS, ds);
	roll = anchor_roll_new(a);
	assert_true(anchor_roll_load(roll, buf_slice(&text), &why));
	assert_string_equal(states(), "vv--");
	buf_free(&text);
}

static void test_many_keys(void **state)
{
	(void)state;
	struct rrset *set = kit_dnskey("example", NULL, 0);
	follow();
	assert_true(see("a", "a", KIT_NOW));
	kit_add(kit_of(set), key[0].dnskey, key[0].len);
	for (unsigned i = 0; i < 100; i++) {
		struct kit_key k = key[1];
		k.dnskey[10] = (uint8_t)i;
		kit_add(kit_of(set), k.dnskey, k.len);
	}
	set->n = 101;
	anchor_roll_seen(roll, set, KIT_NOW);
	anchor_roll_seen(roll, set, KIT_NOW + 31 * DAY);
	assert_true(*states() == 'v');
	/* Keys of other zones, or without the flag that they are meant for this, are nothing. */
	struct kit_key zsk = key[2];
	zsk.dnskey[1] = 0;
	assert_false(anchor_roll_seen(roll, kit_dnskey("test", &key[2], 1), KIT_NOW));
	anchor_roll_seen(roll, kit_dnskey("example", &zsk, 1), KIT_NOW);
	assert_true(states()[2] == '-');
}

static void test_load_wrong(void **state)
{
	(void)state;
	static const char *const text[] = {
	    "nonsense",
	    "zone",
	    "zone example. seen x next 1",
	    "zone example. seen 1",
	    "valid",
	    "valid x example. DNSKEY 257 3 13 AAAA",
	    "valid 1 example. DNSKEY 257 3 13",
	    "valid 1 example. DNSKEY 385 3 13 AAAA",
	    "valid 1 example. DNSKEY 1 3 13 AAAA",
	    "valid 1 example. A 192.0.2.1",
	    "valid 99999999999999999999 example. DNSKEY 257 3 13 AAAA",
	    "trusted 1 example. DNSKEY 257 3 13 AAAA",
	};
	const char *why;
	follow();
	for (unsigned i = 0; i < sizeof(text) / sizeof(*text); i++)
		if (anchor_roll_load(roll, slice_of(text[i]), &why))
			fail_msg("%s", text[i]);
	assert_string_equal(states(), "c---");
	assert_true(anchor_roll_load(
	    roll, SLICE("# a comment\n\nzone test. seen 1 next 2\nzone example. seen 1 next 2\n"),
	    &why));
	assert_true(anchor_roll_load(roll, SLICE(""), &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_text, begin, end),
	    cmocka_unit_test_setup_teardown(test_text_wrong, begin, end),
	    cmocka_unit_test_setup_teardown(test_root, begin, end),
	    cmocka_unit_test_setup_teardown(test_negative, begin, end),
	    cmocka_unit_test_setup_teardown(test_rollover, begin, end),
	    cmocka_unit_test_setup_teardown(test_pending, begin, end),
	    cmocka_unit_test_setup_teardown(test_last_one, begin, end),
	    cmocka_unit_test_setup_teardown(test_configured, begin, end),
	    cmocka_unit_test_setup_teardown(test_many_keys, begin, end),
	    cmocka_unit_test_setup_teardown(test_load_wrong, begin, end),
	};
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
