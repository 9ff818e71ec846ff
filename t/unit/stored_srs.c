/* The sender rewriting scheme: forth and back, over several forwarders, in any case of letters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "stored/srs.h"

#define DAY      UINT64_C(86400000)
#define NOW      (20000 * DAY + 12345)
#define LIFE     (21 * DAY)
#define DOMAIN   SLICE("a.test")
#define NO_SLICE ((struct slice){0})

static struct pool *pool;

static int setup(void **state)
{
	static const unsigned char key[SRS_KEY_LEN] = "a key of the tests";
	(void)state;
	srs_key(key);
	pool = pool_new(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pool_free(&pool);
	return 0;
}

static struct slice forward(const char *sender)
{
	struct slice out = NO_SLICE;
	assert_true(srs_forward(pool, slice_of(sender), DOMAIN, NOW, &out));
	return out;
}

static const char *back(struct slice addr)
{
	struct slice out = NO_SLICE;
	assert_int_equal(srs_back(pool, addr, DOMAIN, NOW, LIFE, &out), SRS_GOOD);
	return pool_strndup(pool, out.p, out.len);
}

static void there_and_back(void **state)
{
	(void)state;
	static const char *const senders[] = {"x@y.example", "A.b+c=d-e@Mixed.Example",
					      "ma\xc3\xb1"
					      "o@y.example",
					      "srs1=x=y@y.example", "srs0@y.example"};
	for (size_t i = 0; i < 5; i++) {
		struct slice out = forward(senders[i]);
		assert_true(slice_starts(out, "SRS0="));
		assert_string_equal(back(out), senders[i]);
	}
}

static void the_form_is_known_to_others(void **state)
{
	(void)state;
	struct slice out = forward("x@y.example");
	struct slice local = slice_cut(&out, '@');
	assert_true(slice_eq(out, DOMAIN));
	assert_true(slice_eqs(slice_cut(&local, '='), "SRS0"));
	assert_int_equal(slice_cut(&local, '=').len, 6);
	assert_true(slice_eqs(local, "RA=y.example=x")); /* 20000 mod 1024 = 544: 17, 0 */
}

static void letters_may_lose_their_case(void **state)
{
	(void)state;
	struct slice out = forward("Xavier@y.example");
	char *low = pool_strndup(pool, out.p, out.len);
	str_lowern(low, out.len);
	assert_string_equal(back(slice_of(low)), "xavier@y.example");
	for (size_t i = 0; i < out.len; i++)
		if (low[i] >= 'a' && low[i] <= 'z')
			low[i] = (char)(low[i] - 'a' + 'A');
	assert_string_equal(back(slice_of(low)), "XAVIER@Y.EXAMPLE");
}

static void a_chain_of_forwarders(void **state)
{
	(void)state;
	/* Made by a first forwarder, then seen by us. */
	struct slice one = forward("SRS0=abcd=XY=y.example=x@first.example");
	assert_true(slice_starts(one, "SRS1="));
	assert_string_equal(back(one), "SRS0=abcd=XY=y.example=x@first.example");
	/* Made by a second one: what is in it stays, and does not grow. */
	struct slice two = forward("SRS1=efgh=first.example==abcd=XY=y.example=x@second.example");
	assert_true(slice_starts(two, "SRS1="));
	assert_true(slice_eq(one, two));
	/* Other separators of the first one come back as they were. */
	assert_string_equal(back(forward("SRS0+abcd=XY=y.example=x@first.example")),
			    "SRS0+abcd=XY=y.example=x@first.example");
}

static void what_we_did_not_make_is_refused(void **state)
{
	(void)state;
	struct slice good = forward("x@y.example"), out = NO_SLICE;
	for (size_t i = 5; i + DOMAIN.len + 1 < good.len; i++) {
		char *bad = pool_strndup(pool, good.p, good.len);
		bad[i] = bad[i] == 'q' ? 'r' : 'q';
		assert_int_equal(srs_back(pool, slice_of(bad), DOMAIN, NOW, LIFE, &out),
				 SRS_FORGED);
	}
	static const char *const forged[] = {"SRS0=@a.test",
					     "SRS0==@a.test",
					     "SRS0=AAAAAA=@a.test",
					     "SRS0=AAAAAA=RA@a.test",
					     "SRS0=AAAAAA=RA=y.example=x@a.test",
					     "srs1=AAAAAA=y.example==x@A.TEST",
					     "SRS1=AAAAAA@a.test"};
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(srs_back(pool, slice_of(forged[i]), DOMAIN, NOW, LIFE, &out),
				 SRS_FORGED);
	static const char *const others[] = {
	    "x@a.test", "SRS0@a.test", "SRS0x=y@a.test", "SRS0=x=y@b.test", "SRS2=x=y@a.test",
	    "",         "@",           "SRS0="};
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(srs_back(pool, slice_of(others[i]), DOMAIN, NOW, LIFE, &out),
				 SRS_NONE);
	assert_null(out.p);
	/* Another key's. */
	static const unsigned char key[SRS_KEY_LEN] = "another one";
	srs_key(key);
	assert_int_equal(srs_back(pool, good, DOMAIN, NOW, LIFE, &out), SRS_FORGED);
}

/* The hash of a SRS0 address is no SRS1 hash. */
static void a_hash_is_for_its_form(void **state)
{
	(void)state;
	struct slice good = forward("x@y.example"), out = NO_SLICE;
	char *other = pool_strndup(pool, good.p, good.len);
	other[3] = '1';
	assert_int_equal(srs_back(pool, slice_of(other), DOMAIN, NOW, LIFE, &out), SRS_FORGED);
}

static void it_lives_so_long(void **state)
{
	(void)state;
	struct slice good = forward("x@y.example"), out = NO_SLICE;
	assert_int_equal(srs_back(pool, good, DOMAIN, NOW + LIFE, LIFE, &out), SRS_GOOD);
	assert_int_equal(srs_back(pool, good, DOMAIN, NOW + LIFE + DAY, LIFE, &out), SRS_OLD);
	assert_int_equal(srs_back(pool, good, DOMAIN, NOW - DAY, LIFE, &out), SRS_OLD);
	/* Over the turn of the days. */
	struct slice late = NO_SLICE;
	assert_true(srs_forward(pool, SLICE("x@y.example"), DOMAIN, 1023 * DAY, &late));
	assert_int_equal(srs_back(pool, late, DOMAIN, 1025 * DAY, LIFE, &out), SRS_GOOD);
}

static void some_senders_stay_as_they_are(void **state)
{
	(void)state;
	struct slice out = NO_SLICE;
	static const char *const no[] = {
	    "",
	    "x",
	    "@y.example",
	    "x@",
	    "x@[192.0.2.1]",
	    "\"a b\"@y.example",
	    "an-address-that-has-a-long-name-before-it@and-a-long-one-behind-it.example"};
	for (size_t i = 0; i < 7; i++)
		assert_false(srs_forward(pool, slice_of(no[i]), DOMAIN, NOW, &out));
	assert_null(out.p);
	/* The longest that goes. */
	out = forward("012345678901234567890123456789012345678@y.example");
	assert_int_equal(out.len - DOMAIN.len - 1, SRS_LOCAL_MAX);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(there_and_back),
	    T(the_form_is_known_to_others),
	    T(letters_may_lose_their_case),
	    T(a_chain_of_forwarders),
	    T(what_we_did_not_make_is_refused),
	    T(a_hash_is_for_its_form),
	    T(it_lives_so_long),
	    T(some_senders_stay_as_they_are),
	};
	return cmocka_run_group_tests_name("stored_srs", tests, NULL, NULL);
}
