/* Destinations: a letter whose lease was lost leaves them, wherever it is. */
#include "t/unit/smtpd_dest_kit.h"

static void given_back(int n)
{
	WAIT(done_n == letters);
	assert_letter(n, 0, OUT_TEMP, "4.3.0");
	assert_int_equal(letter[n]->wait_ms, LETTER_UNTRIED);
}

/* Another letter goes its way behind it. */
static void others_go_on(void)
{
	int n = add("0.test", 1, 0);
	WAIT(done_n == letters);
	assert_letter(n, 0, OUT_DELIVERED, "2.0.0");
	assert_int_equal(counts().letters, 0);
}

static void one_that_waits(void **state)
{
	(void)state;
	int n = add("0.test", 1, 0);
	assert_true(dest_withdraw(letter[n]));
	assert_int_equal(done_n, 0); /* not from inside */
	given_back(n);
	assert_int_equal(fetches, 0);
	others_go_on();
	assert_int_equal(server[0].mails, 1);
}

static void one_whose_content_is_under_way(void **state)
{
	(void)state;
	fetch_holds = true;
	int n = add("0.test", 1, 0);
	WAIT(fetches == 1);
	assert_true(dest_withdraw(letter[n]));
	given_back(n);
	fetch_held_n = 0;
	fetch_holds = false;
	others_go_on();
	assert_int_equal(server[0].mails, 1);
}

/* Fetched, and the server keeps us waiting. */
static void one_that_waits_for_a_connection(void **state)
{
	(void)state;
	rule(0, "", "", 1);
	int n = add("0.test", 1, 0);
	WAIT(server[0].connections == 1 && fetches == 1);
	spin();
	assert_true(dest_withdraw(letter[n]));
	given_back(n);
	stream_writes(server[0].hold->s, "220 late\r\n");
	others_go_on();
	assert_int_equal(server[0].mails, 1);
}

static void one_that_has_a_connection_of_its_own(void **state)
{
	(void)state;
	rule(0, "MAIL", "421 4.3.2 not here\r\n", 1);
	rule(1, "", "", 1);
	int n = add("01.test", 1, 0);
	WAIT(server[1].connections == 1);
	spin();
	assert_true(dest_withdraw(letter[n]));
	WAIT(done_n == 1);
	/* It was tried: the first host said something. */
	assert_letter(n, 0, OUT_TEMP, "4.3.2");
	assert_int_equal(letter[n]->wait_ms, 0);
	WAIT(counts().connections == 0);
}

/* In its transaction, before and behind the server's leave to send the content. */
static void one_in_a_transaction(void **state)
{
	static const char *const SILENT[] = {"MAIL", "RCPT", "DATA"};
	(void)state;
	for (int i = 0; i < 3; i++) {
		server[0].rule[0] = (struct rule){SILENT[i], "", 1, 0};
		int before = server[0].mails, n = add("0.test", 1, 0);
		uint64_t txns = counts().transactions;
		WAIT(counts().transactions == txns + 1);
		WAIT(server[0].rule[0].times < 0);
		spin();
		assert_true(dest_withdraw(letter[n]));
		given_back(n);
		WAIT(server[0].now == 0);
		assert_int_equal(server[0].mails, before);
		others_go_on();
	}
}

static void not_one_that_the_server_may_have(void **state)
{
	(void)state;
	rule(0, ".", "", 1);
	int n = add("0.test", 1, 0);
	WAIT(server[0].rule[0].times < 0);
	assert_false(dest_withdraw(letter[n]));
	spin();
	assert_int_equal(done_n, 0);
	stream_writes(server[0].hold->s, "250 2.0.0 taken\r\n");
	WAIT(done_n == 1);
	assert_letter(n, 0, OUT_DELIVERED, "2.0.0");
}

/* Some of its recipients have their mail already, which the store is to hear of. */
static void what_was_delivered_stays_so(void **state)
{
	(void)state;
	routes[0].recipients = 1;
	server[0].rule[0] = (struct rule){"MAIL", "", 1, 1};
	int n = add("0.test", 2, 0);
	WAIT(server[0].rule[0].times < 0);
	spin();
	assert_true(dest_withdraw(letter[n]));
	WAIT(done_n == 1);
	assert_letter(n, 0, OUT_DELIVERED, "2.0.0");
	assert_letter(n, 1, OUT_TEMP, "4.3.0");
	assert_int_equal(letter[n]->wait_ms, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
	    T(one_that_waits),
	    T(one_whose_content_is_under_way),
	    T(one_that_waits_for_a_connection),
	    T(one_that_has_a_connection_of_its_own),
	    T(one_in_a_transaction),
	    T(not_one_that_the_server_may_have),
	    T(what_was_delivered_stays_so),
	};
	log_init("dest", LOG_TO_STDERR, LOG_LV_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
