/* What a verdict is to the queue: states, times and limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "smtpd/relay.h"

#define MIN  UINT64_C(60000)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)
#define NOW  (100 * DAY)
enum { LEAST = 0, MIDDLE = 0x7fff, MOST = 0xffff };

static struct pool *pool;
static struct route route = {.retry_first = MIN, .retry_longest = 4 * HOUR, .give_up = 5 * DAY};

static int setup(void **state)
{
	(void)state;
	pool = pool_new(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pool_free(&pool);
	return 0;
}

struct trial {
	struct out_verdict v;
	uint32_t attempts, flags;
	uint64_t age, by, wait; /* by: from now on; 0: none */
};

static struct row_rcpt_done result_of(const struct trial *t, uint32_t random)
{
	static uint64_t rcpt[2] = {3, 4};
	static uint32_t attempts[2];
	static struct out_verdict v[2];
	struct letter l = {.pool = pool,
			   .rcpt = rcpt,
			   .attempts = attempts,
			   .verdict = v,
			   .created_ms = NOW - t->age,
			   .deliver_by_ms = t->by ? NOW + t->by : 0,
			   .wait_ms = t->wait};
	struct row_rcpt_done d;
	l.mail.flags = t->flags;
	attempts[1] = t->attempts;
	v[1] = t->v;
	retry_result(&l, 1, &route, NOW, random, &d);
	assert_int_equal(d.rcpt, 4);
	return d;
}

#define TEMP                                                                                       \
	{                                                                                          \
		.state = OUT_TEMP, .code = 451, .status = "4.3.0", .text = "later", .host = "mx.b" \
	}

static void delivered(void **state)
{
	(void)state;
	static const struct {
		int protocol;
		bool dsn;
		enum queue_state want;
	} ROW[] = {{ROUTE_SMTP, false, QUEUE_RELAYED},
		   {ROUTE_SMTP, true, QUEUE_PASSED},
		   {ROUTE_SUBMISSIONS, false, QUEUE_RELAYED},
		   {ROUTE_LMTP, false, QUEUE_DONE},
		   {ROUTE_LMTP, true, QUEUE_PASSED}};
	for (size_t i = 0; i < sizeof(ROW) / sizeof(ROW[0]); i++) {
		struct trial t = {.v = {.state = OUT_DELIVERED,
					.code = 250,
					.status = "2.0.0",
					.dsn = ROW[i].dsn,
					.text = "ok",
					.host = "mx.b"}};
		route.protocol = ROW[i].protocol;
		struct row_rcpt_done d = result_of(&t, MIDDLE);
		assert_int_equal(d.state, ROW[i].want);
		assert_int_equal(d.code, 250);
		assert_true(slice_eqs(d.host, "mx.b") && slice_eqs(d.text, "ok"));
	}
	route.protocol = ROUTE_SMTP;
}

static void refused(void **state)
{
	(void)state;
	struct trial t = {.v = {.state = OUT_PERM, .code = 550, .status = "5.1.1", .text = "who?"}};
	struct row_rcpt_done d = result_of(&t, MIDDLE);
	assert_int_equal(d.state, QUEUE_FAILED);
	assert_true(slice_eqs(d.status, "5.1.1") && slice_eqs(d.text, "who?"));
	assert_int_equal(d.host.len, 0);
}

static void the_back_off_doubles(void **state)
{
	(void)state;
	static const struct {
		uint32_t attempts;
		uint64_t want;
	} ROW[] = {{0, MIN},       {1, 2 * MIN},  {2, 4 * MIN},  {5, 32 * MIN},
		   {7, 128 * MIN}, {8, 4 * HOUR}, {9, 4 * HOUR}, {UINT32_MAX, 4 * HOUR}};
	for (size_t i = 0; i < sizeof(ROW) / sizeof(ROW[0]); i++) {
		struct trial t = {.v = TEMP, .attempts = ROW[i].attempts};
		assert_int_equal(result_of(&t, LEAST).state, QUEUE_DUE);
		assert_int_equal(result_of(&t, LEAST).next_ms, NOW + ROW[i].want / 10 * 9);
		assert_int_equal(result_of(&t, MOST).next_ms, NOW + ROW[i].want / 10 * 11);
		t.v.state = OUT_LOST;
		assert_int_equal(result_of(&t, LEAST).state, QUEUE_DUE);
	}
}

static void limits(void **state)
{
	(void)state;
	static const struct {
		struct trial t;
		uint64_t next; /* 0: failed */
	} ROW[] = {
	    /* the destination rests longer than the back-off */
	    {{.v = TEMP, .wait = 10 * MIN}, 10 * MIN},
	    {{.v = TEMP, .wait = MIN / 2}, MIN / 10 * 9},
	    {{.v = TEMP, .wait = LETTER_UNTRIED, .age = 9 * DAY}, LETTER_UNTRIED - 1},
	    /* give_up */
	    {{.v = TEMP, .attempts = 9, .age = 5 * DAY - 4 * HOUR}, 4 * HOUR / 10 * 9},
	    {{.v = TEMP, .attempts = 9, .age = 5 * DAY - HOUR}, HOUR / 10 * 9},
	    {{.v = TEMP, .attempts = 9, .age = 5 * DAY - MIN}, 0},
	    {{.v = TEMP, .attempts = 9, .age = 5 * DAY - HOUR, .wait = 2 * HOUR}, 0},
	    {{.v = TEMP, .attempts = 9, .age = 5 * DAY}, 0},
	    {{.v = TEMP, .age = 50 * DAY}, 0},
	    /* by-mode R, by-mode N */
	    {{.v = TEMP, .attempts = 4, .by = 10 * MIN}, 9 * MIN},
	    {{.v = TEMP, .attempts = 4, .by = MIN}, 0},
	    {{.v = TEMP, .by = 1, .flags = DELIVER_BY_NOTIFY}, MIN / 10 * 9},
	    {{.v = TEMP, .by = 1, .flags = DELIVER_BY_NOTIFY, .age = 5 * DAY}, 0},
	    {{.v = TEMP, .attempts = 9, .by = 9 * DAY, .age = 5 * DAY}, 0},
	};
	for (size_t i = 0; i < sizeof(ROW) / sizeof(ROW[0]); i++) {
		struct row_rcpt_done d = result_of(&ROW[i].t, LEAST);
		bool due = ROW[i].next || ROW[i].t.wait == LETTER_UNTRIED;
		assert_int_equal(d.state, due ? QUEUE_DUE : QUEUE_FAILED);
		if (due)
			assert_int_equal(d.next_ms, NOW + ROW[i].next);
		else
			assert_true(slice_eqs(d.status, "5.3.0"));
		assert_int_equal(d.code, 451);
		assert_true(slice_eqs(d.text, "later"));
	}
}

static void the_status_of_what_is_given_up(void **state)
{
	(void)state;
	static const struct {
		const char *had, *want;
	} ROW[] = {{"4.4.1", "5.4.1"}, {"4.4.7", "5.4.7"}, {"4.0.0", "5.4.7"},
		   {"", "5.4.7"},      {"4.2.2", "5.2.2"}, {"4.7.123", "5.7.123"}};
	for (size_t i = 0; i < sizeof(ROW) / sizeof(ROW[0]); i++) {
		struct trial t = {.v = TEMP, .age = 6 * DAY};
		snprintf(t.v.status, sizeof(t.v.status), "%s", ROW[i].had);
		assert_true(slice_eqs(result_of(&t, MIDDLE).status, ROW[i].want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(delivered),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(the_back_off_doubles),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(the_status_of_what_is_given_up),
	};
	return cmocka_run_group_tests_name("smtpd_retry", tests, setup, teardown);
}
