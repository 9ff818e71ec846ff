/* Grants: good for one account, role and epoch, for their time, and not to be forged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "libcommon/base/clock.h"
#include "stored/grant.h"

static const unsigned char KEY[GRANT_KEY_LEN] = {1, 2, 3};
static unsigned char text[GRANT_LEN];

static struct slice made(uint64_t account, uint64_t epoch, int64_t life_ms)
{
	struct grant g = {.account = account,
			  .epoch = epoch,
			  .expires_ms = clock_ms() + (uint64_t)life_ms,
			  .role = ROLE_POP3D,
			  .shard = 300};
	return (struct slice){(const char *)text, grant_make(&g, text)};
}

static int setup(void **state)
{
	(void)state;
	grant_reset();
	grant_key(KEY);
	grant_epoch(7, 3);
	return 0;
}

static void a_grant_comes_back(void **state)
{
	(void)state;
	struct grant g;
	struct slice s = made(7, 3, 1000);
	assert_int_equal(s.len, GRANT_LEN);
	assert_true(grant_check(s, ROLE_POP3D, &g));
	assert_true(g.account == 7 && g.epoch == 3 && g.shard == 300 && g.role == ROLE_POP3D);
}

static void another_role_cannot_use_it(void **state)
{
	(void)state;
	struct grant g;
	assert_false(grant_check(made(7, 3, 1000), ROLE_IMAPD, &g));
}

static void it_ends_with_its_time(void **state)
{
	(void)state;
	struct grant g;
	assert_false(grant_check(made(7, 3, 0), ROLE_POP3D, &g));
}

static void it_ends_with_the_epoch(void **state)
{
	(void)state;
	struct grant g;
	struct slice s = made(7, 3, 1000);
	grant_epoch(7, 4);
	assert_false(grant_check(s, ROLE_POP3D, &g));
}

static void it_ends_with_the_account(void **state)
{
	(void)state;
	struct grant g;
	struct slice s = made(7, 3, 1000);
	grant_end(7);
	assert_false(grant_check(s, ROLE_POP3D, &g));
	assert_false(grant_check(made(8, 0, 1000), ROLE_POP3D, &g));
}

static void every_byte_counts(void **state)
{
	(void)state;
	struct grant g;
	struct slice s = made(7, 3, 1000);
	for (size_t i = 0; i < GRANT_LEN; i++) {
		text[i] ^= 1;
		assert_false(grant_check(s, ROLE_POP3D, &g));
		text[i] ^= 1;
	}
	assert_true(grant_check(s, ROLE_POP3D, &g));
}

static void other_lengths_are_refused(void **state)
{
	(void)state;
	struct grant g;
	struct slice s = made(7, 3, 1000);
	s.len--;
	assert_false(grant_check(s, ROLE_POP3D, &g));
	assert_false(grant_check(SLICE(""), ROLE_POP3D, &g));
}

static void another_key_makes_another_mac(void **state)
{
	(void)state;
	struct grant g;
	static const unsigned char other[GRANT_KEY_LEN] = {9};
	struct slice s = made(7, 3, 1000);
	grant_key(other);
	assert_false(grant_check(s, ROLE_POP3D, &g));
}

static void two_grants_differ(void **state)
{
	(void)state;
	unsigned char first[GRANT_LEN];
	made(7, 3, 1000);
	memcpy(first, text, sizeof(first));
	made(7, 3, 1000);
	assert_memory_not_equal(first, text, sizeof(first));
}

#define T(f) cmocka_unit_test_setup(f, setup)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_grant_comes_back),        T(another_role_cannot_use_it),
	    T(it_ends_with_its_time),     T(it_ends_with_the_epoch),
	    T(it_ends_with_the_account),  T(every_byte_counts),
	    T(other_lengths_are_refused), T(another_key_makes_another_mac),
	    T(two_grants_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
