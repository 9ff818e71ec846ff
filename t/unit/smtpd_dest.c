/* Destinations: letters find their connections. */
#include "t/unit/smtpd_dest_kit.h"

static void connections_are_reused(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		add("0.test", 1, 0);
		WAIT(done_n == letters);
		assert_letter(i, 0, OUT_DELIVERED, "2.0.0");
	}
	assert_string_equal(letter[0]->verdict[0].host, "mx0");
	assert_int_equal(server[0].connections, 1);
	assert_int_equal(server[0].mails, 10);
	assert_int_equal(counts().reused, 9);
	assert_int_equal(counts().delivered, 10);
	assert_int_equal(dns.asked, 1);
}

static void no_more_messages_than_the_route_allows(void **state)
{
	(void)state;
	routes[0].messages = 3;
	for (int i = 0; i < 7; i++) {
		add("0.test", 1, 0);
		WAIT(done_n == letters);
	}
	assert_int_equal(server[0].connections, 3);
	assert_int_equal(server[0].mails, 7);
}

/* The server's own limit (RFC 9422), in the middle of a letter, too. */
static void no_more_than_the_server_allows(void **state)
{
	(void)state;
	server[0].caps = "250-PIPELINING\r\n250-LIMITS MAILMAX=2 RCPTMAX=3\r\n";
	add("0.test", 14, 0); /* 5 transactions */
	WAIT(done_n == 1);
	for (size_t i = 0; i < 14; i++)
		assert_letter(0, i, OUT_DELIVERED, "2.0.0");
	assert_int_equal(server[0].mails, 5);
	assert_int_equal(server[0].connections, 3);
}

static void a_closed_idle_connection_is_no_failure(void **state)
{
	(void)state;
	add("0.test", 1, 0);
	WAIT(done_n == 1);
	stream_close(server[0].hold->s);
	WAIT(server[0].now == 0 && counts().connections == 0);
	add("0.test", 1, 0);
	WAIT(done_n == 2);
	/* It is not known yet that it is closed; or it says so to MAIL. */
	server[0].rule[0] = (struct rule){"MAIL", NULL, 1, 0};
	add("0.test", 1, 0);
	WAIT(done_n == 3);
	server[0].rule[0] = (struct rule){"MAIL", "421 4.3.2 timeout\r\n", 1, 0};
	add("0.test", 1, 0);
	WAIT(done_n == 4);
	for (int i = 0; i < 4; i++)
		assert_letter(i, 0, OUT_DELIVERED, "2.0.0");
	assert_int_equal(server[0].connections, 4);
}

/* The server ends each connection behind its first transaction, and says nothing before. */
static void a_letter_goes_on_over_closed_connections(void **state)
{
	(void)state;
	routes[0].recipients = 2;
	server[0].rule[0] = (struct rule){"MAIL", NULL, 1, 1};
	add("01.test", 5, 0);
	WAIT(done_n == 1);
	for (size_t i = 0; i < 5; i++)
		assert_letter(0, i, OUT_DELIVERED, "2.0.0");
	assert_int_equal(server[0].mails, 3);
	assert_int_equal(server[1].connections, 0);
}

static void idle_connections_are_closed(void **state)
{
	(void)state;
	routes[0].idle_timeout = 200;
	add("0.test", 1, 0);
	WAIT(done_n == 1 && counts().connections == 0 && server[0].quits == 1);
}

static void the_limit_grows_with_success(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++)
		add("0.test", 1, 0);
	WAIT(done_n == letters);
	assert_int_equal(server[0].mails, 300);
	assert_true(most_connections > 5);
	assert_true(most_connections <= 20);
}

static void the_limit_learns_from_refusals(void **state)
{
	(void)state;
	/* No more than one at a time: the first is taken, then all others are refused. */
	server[0].rule[0] = (struct rule){"", "421 4.7.0 too many connections\r\n", 0, 1};
	for (int i = 0; i < 40; i++)
		add("0.test", 1, 0);
	WAIT(done_n == letters);
	for (int i = 0; i < 40; i++)
		assert_letter(i, 0, OUT_DELIVERED, "2.0.0");
	assert_true(server[0].connections < 20);
}

static void recipients_are_split(void **state)
{
	(void)state;
	routes[0].recipients = 3;
	add("0.test", 10, 0);
	WAIT(done_n == 1);
	for (size_t i = 0; i < 10; i++)
		assert_letter(0, i, OUT_DELIVERED, "2.0.0");
	assert_int_equal(server[0].mails, 4);
	assert_int_equal(server[0].connections, 1);
}

static void too_many_recipients_go_at_once(void **state)
{
	(void)state;
	server[0].rule[0] = (struct rule){"RCPT", "452 4.5.3 too many\r\n", 3, 2};
	add("0.test", 5, 0);
	WAIT(done_n == 1);
	for (size_t i = 0; i < 5; i++)
		assert_letter(0, i, OUT_DELIVERED, "2.0.0");
	assert_int_equal(server[0].mails, 2);
	/* When not one is taken there is no end to it. */
	server[0].rule[0] = (struct rule){"RCPT", "452 4.5.3 too many\r\n", 0, 0};
	add("0.test", 2, 0);
	WAIT(done_n == 2);
	assert_letter(1, 0, OUT_TEMP, "4.5.3");
	assert_letter(1, 1, OUT_TEMP, "4.5.3");
}

static void lmtp_tells_of_each(void **state)
{
	(void)state;
	routes[0].protocol = ROUTE_LMTP;
	server[0].lmtp = true;
	rule(0, ".", "250 2.0.0 one\r\n452 4.2.2 full\r\n550 5.2.1 gone\r\n", 1);
	add("0.test", 3, 0);
	WAIT(done_n == 1);
	assert_letter(0, 0, OUT_DELIVERED, "2.0.0");
	assert_letter(0, 1, OUT_TEMP, "4.2.2");
	assert_letter(0, 2, OUT_PERM, "5.2.1");
}

static void domains_of_a_route_share_it(void **state)
{
	(void)state;
	add("0a.r.test", 1, 0);
	add("0b.r.test", 1, 0);
	WAIT(done_n == 2);
	add("0c.r.test", 1, 0);
	WAIT(done_n == 3);
	assert_int_equal(counts().destinations, 1);
	assert_int_equal(dns.asked, 1);
}

static int rooms, room_a;
static void on_each(struct slice domain, unsigned room, void *arg)
{
	assert_ptr_equal(arg, &rooms);
	rooms++;
	if (slice_eqs(domain, "0a.r.test"))
		room_a = (int)room;
}

static void room_is_told(void **state)
{
	(void)state;
	assert_true(dest_room(SLICE("0a.r.test")) > 0);
	for (int i = 0; i < 3; i++) /* few, before a host took one */
		add(i ? "0b.r.test" : "0a.r.test", 1, 0);
	rooms = 0;
	dest_each(on_each, &rooms);
	assert_int_equal(rooms, 2);
	assert_int_equal(room_a, 4 - 3);
	assert_int_equal(dest_room(SLICE("0b.r.test")), 1);
	WAIT(done_n == letters);
	assert_true(dest_room(SLICE("0a.r.test")) >= 20);
	/* The connections wait for more. */
	rooms = room_a = 0;
	dest_each(on_each, &rooms);
	assert_int_equal(rooms, 2);
	assert_true(room_a >= 20);
}

/* Ten connections in all, a flood to one, and then a few letters to others. */
static void a_flood_starves_nobody(void **state)
{
	(void)state;
	relay_conf.connections = 10;
	for (int i = 0; i < 300; i++)
		add("0.test", 1, 0);
	WAIT(done_n >= 100);
	int at = done_n, first = letters;
	for (int i = 0; i < 5; i++) {
		add("1.test", 1, 0);
		add("2.test", 1, 0);
	}
	WAIT(done_n == letters);
	int last = 0;
	for (int i = 0; i < done_n; i++)
		if (done_order[i] >= first)
			last = i;
	assert_true(last < 300);
	assert_true(at < last);
	assert_true(most_connections <= 10);
	for (int i = 0; i < letters; i++)
		assert_letter(i, 0, OUT_DELIVERED, "2.0.0");
}

/* One connection for three destinations that all have much. */
/* More destinations than connections keep us waiting: those that answer have theirs. */
static void silent_ones_starve_nobody(void **state)
{
	char domain[16];
	(void)state;
	relay_conf.connections = 8;
	add("1.test", 1, 0);
	WAIT(done_n == 1);
	server[0].rule[0] = (struct rule){"", "", 0, 0};
	for (int i = 0; i < 20; i++) {
		str_fmt(domain, sizeof(domain), "0.%d.test", i);
		add(domain, 1, 0);
	}
	WAIT(server[0].connections == 6);
	spin();
	for (int i = 0; i < 50; i++)
		add("1.test", 1, 0);
	WAIT(done_n == 51);
	for (int i = 21; i < letters; i++)
		assert_letter(i, 0, OUT_DELIVERED, "2.0.0");
	assert_int_equal(server[0].connections, 6);
	dest_drain();
	WAIT(done_n == letters);
}
static void turns_are_taken(void **state)
{
	int seen[3] = {0};
	(void)state;
	relay_conf.connections = 1;
	for (int i = 0; i < 60; i++) {
		add("0.test", 1, 0);
		add("1.test", 1, 0);
		add("2.test", 1, 0);
	}
	WAIT(done_n == letters);
	for (int i = 0; i < 90; i++)
		seen[done_order[i] % 3]++;
	for (int i = 0; i < 3; i++)
		assert_true(seen[i] >= 10);
	assert_int_equal(most_connections, 1);
	assert_true(server[0].connections < 10);
}

static void memory_is_bounded(void **state)
{
	(void)state;
	relay_conf.memory = 2500; /* two letters of 1000 */
	for (int i = 0; i < 30; i++) {
		add("0.test", 1, 0);
		add("1.test", 1, 0);
	}
	letter[10]->size = 1000000;
	WAIT(done_n == letters);
	for (int i = 0; i < letters; i++)
		assert_letter(i, 0, OUT_DELIVERED, "2.0.0");
	assert_true(most_fetched <= 2);
	assert_int_equal(fetches, letters);
}

/* Servers that stand still keep the letters that they have begun with. */
static void nobody_has_all_of_the_memory(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		add("0.test", 1, 0);
	WAIT(done_n == letters);
	relay_conf.memory = 6500;
	rule(0, "MAIL", "", 0);
	for (int i = 0; i < 10; i++)
		add("0.test", 1, 0);
	WAIT(fetches == done_n + 3);
	int begun = done_n;
	for (int i = 0; i < 10; i++)
		add("1.test", 1, 0);
	WAIT(done_n == begun + 10);
	assert_int_equal(server[1].mails, 10);
	assert_int_equal(fetches, done_n + 3);
	server[0].rule[0].verb = NULL;
	for (struct sess *x = server[0].hold; x; x = x->next)
		stream_close(x->s);
	WAIT(done_n == letters);
}

static void a_letter_that_cannot_be_read_waits(void **state)
{
	(void)state;
	fetch_fails = true;
	add("0.test", 2, 0);
	WAIT(done_n == 1);
	assert_letter(0, 0, OUT_TEMP, "4.3.0");
	assert_letter(0, 1, OUT_TEMP, "4.3.0");
	assert_int_equal(letter[0]->wait_ms, 0);
	fetch_fails = false;
	add("0.test", 1, 0);
	WAIT(done_n == 2);
	assert_letter(1, 0, OUT_DELIVERED, "2.0.0");
}

static void draining_gives_back(void **state)
{
	(void)state;
	rule(0, ".", "", 1); /* silence: one letter is under way */
	routes[0].connections = 1;
	for (int i = 0; i < 5; i++)
		add("0.test", 1, 0);
	add("1.test", 1, 0);
	WAIT(done_n == 1 && server[0].hold && counts().transactions == 2);
	spin();
	dest_drain();
	assert_int_equal(done_n, 1);
	WAIT(done_n == 5);
	for (int i = 0; i < 4; i++) {
		const struct letter *l = letter[done_order[1 + i]];
		assert_letter((int)l->item, 0, OUT_TEMP, "4.3.2");
		assert_int_equal(l->wait_ms, LETTER_UNTRIED);
	}
	assert_int_equal(dest_room(SLICE("0.test")), 0);
	stream_writes(server[0].hold->s, "250 2.0.0 late\r\n");
	WAIT(done_n == 6 && counts().connections == 0);
	assert_letter(done_order[5], 0, OUT_DELIVERED, "2.0.0");
	int late = add("0.test", 1, 0);
	WAIT(done_n == 7);
	assert_letter(late, 0, OUT_TEMP, "4.3.2");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
	    T(connections_are_reused),
	    T(no_more_messages_than_the_route_allows),
	    T(no_more_than_the_server_allows),
	    T(a_closed_idle_connection_is_no_failure),
	    T(a_letter_goes_on_over_closed_connections),
	    T(idle_connections_are_closed),
	    T(the_limit_grows_with_success),
	    T(the_limit_learns_from_refusals),
	    T(recipients_are_split),
	    T(too_many_recipients_go_at_once),
	    T(lmtp_tells_of_each),
	    T(domains_of_a_route_share_it),
	    T(room_is_told),
	    T(a_flood_starves_nobody),
	    T(silent_ones_starve_nobody),
	    T(turns_are_taken),
	    T(memory_is_bounded),
	    T(nobody_has_all_of_the_memory),
	    T(a_letter_that_cannot_be_read_waits),
	    T(draining_gives_back),
	};
	log_init("dest", LOG_TO_STDERR, LOG_LV_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
