/* Watches, through the socket: events come under the watch's own number until it is given up. */
#include "t/unit/stored_running.h"
#include "stored/mail.h"

enum { MANY = 3000 };
static unsigned oks, events, errors;
static uint64_t sum;

static void on_watch(void *arg, enum msg_type type, const void *msg)
{
	const struct msg_watch_event *e = msg;
	(void)arg;
	oks += type == MSG_ok;
	errors += type == MSG_error;
	if (type == MSG_watch_event) {
		events++;
		sum += e->object;
	}
}

static void some_turns(void)
{
	for (int i = 0; i < 200; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
}

static void watch_all(uint32_t id[MANY])
{
	oks = events = errors = 0;
	sum = 0;
	for (uint64_t i = 0; i < MANY; i++) {
		struct msg_watch m = {.kind = WATCH_QUEUE, .object = i};
		id[i] = peer_call(smtpd, MSG_watch, &m, on_watch, NULL);
		assert_true(id[i] != 0);
	}
	some_turns();
	assert_int_equal(oks, MANY);
}

static void each_watch_hears_of_its_object(void **state)
{
	(void)state;
	static uint32_t id[MANY];
	watch_all(id);
	watch_notify(WATCH_QUEUE, 7, 1);
	watch_notify(WATCH_QUEUE, MANY - 1, 1);
	watch_notify(WATCH_QUEUE, MANY, 1);
	watch_notify(WATCH_ZONE, 8, 1);
	some_turns();
	assert_int_equal(events, 2);
	assert_int_equal(sum, 7 + MANY - 1);
}

static void given_up_ones_hear_nothing(void **state)
{
	(void)state;
	static uint32_t id[MANY];
	watch_all(id);
	for (int i = 0; i < MANY; i += 2)
		peer_cancel(smtpd, id[i]);
	some_turns();
	for (uint64_t i = 0; i < 10; i++)
		watch_notify(WATCH_QUEUE, i, 1);
	some_turns();
	assert_int_equal(events, 5);
	assert_int_equal(sum, 1 + 3 + 5 + 7 + 9);
}

static void a_closed_connection_takes_its_watches_along(void **state)
{
	(void)state;
	static uint32_t id[MANY];
	watch_all(id);
	peer_free(&smtpd);
	some_turns();
	watch_notify(WATCH_QUEUE, 7, 1);
	some_turns();
	assert_int_equal(events, 0);
}

static void a_role_watches_what_is_its_own(void **state)
{
	(void)state;
	oks = errors = 0;
	struct msg_watch m = {.kind = WATCH_QUEUE};
	assert_true(peer_call(pop3d, MSG_watch, &m, on_watch, NULL) != 0);
	m.kind = WATCH_ZONE;
	assert_true(peer_call(smtpd, MSG_watch, &m, on_watch, NULL) != 0);
	some_turns();
	assert_int_equal(errors, 2);
	assert_int_equal(oks, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, running_setup, running_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(each_watch_hears_of_its_object),
	    T(given_up_ones_hear_nothing),
	    T(a_closed_connection_takes_its_watches_along),
	    T(a_role_watches_what_is_its_own),
	};
	return cmocka_run_group_tests_name("stored_watch", tests, NULL, NULL);
}
