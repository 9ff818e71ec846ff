/* Destinations: hosts that fail, refuse, drop and lie, and what becomes of the letters. */
#include "t/unit/smtpd_dest_tls.h"

static void the_next_host_takes_over(void **state)
{
	(void)state;
	spin();
	uv_poll_stop(&server[0].poll);
	shutdown(server[0].fd, SHUT_RDWR); /* listens no more: connections are refused */
	for (int i = 0; i < 20; i++)
		add("01.test", 1, 0);
	WAIT(done_n == letters);
	for (int i = 0; i < 20; i++)
		assert_letter(i, 0, OUT_DELIVERED, "2.0.0");
	assert_int_equal(server[1].mails, 20);
	assert_int_equal(counts().connect_failures, 1); /* and is not asked again at once */
}

static void who_refuses_at_the_door_is_passed_over(void **state)
{
	static const char *const SAYS[] = {"554 5.7.1 go away\r\n", "421 4.3.2 busy\r\n",
					   "450 4.3.2 busy\r\n", "SSH-2.0-x\r\n", NULL};
	(void)state;
	for (size_t i = 0; i < sizeof(SAYS) / sizeof(SAYS[0]); i++) {
		char domain[16];
		server[0].rule[0] = (struct rule){"", SAYS[i], 0, 0};
		server[0].connections = 0;
		str_fmt(domain, sizeof(domain), "01.%zu.test", i);
		add(domain, 1, 0);
		WAIT(done_n == letters);
		assert_letter((int)i, 0, OUT_DELIVERED, "2.0.0");
		assert_string_equal(letter[i]->verdict[0].host, "mx1");
		assert_int_equal(server[0].connections, 1);
	}
	server[0].rule[0] = (struct rule){"EHLO", "451 4.3.0 later\r\n", 0, 0};
	add("01.ehlo.test", 1, 0);
	WAIT(done_n == letters);
	assert_string_equal(letter[letters - 1]->verdict[0].host, "mx1");
}

static void all_refuse_for_good(void **state)
{
	(void)state;
	rule(0, "", "554 5.7.1 go away\r\n", 0);
	rule(1, "", "521 5.3.2 no mail here\r\n", 0);
	add("01.test", 2, 0);
	WAIT(done_n == 1);
	assert_letter(0, 0, OUT_PERM, "5.3.2");
	assert_letter(0, 1, OUT_PERM, "5.3.2");
	/* One of them only just now. */
	server[1].rule[0].reply = "421 4.3.2 busy\r\n";
	add("01.b.test", 1, 0);
	WAIT(done_n == 2);
	assert_letter(1, 0, OUT_TEMP, "4.3.2");
	assert_int_equal(letter[1]->wait_ms, 60000);
	/* Not all have been asked. */
	server[1].rule[0].reply = "521 5.3.2 no mail here\r\n";
	routes[0].hosts_tried = 1;
	add("01.c.test", 1, 0);
	WAIT(done_n == 3);
	assert_letter(2, 0, OUT_TEMP, "4.7.1");
}

/* The store is slow to give the content: refused is refused. */
static void refused_while_the_content_comes(void **state)
{
	(void)state;
	rule(0, "", "554 5.7.1 go away\r\n", 0);
	fetch_holds = true;
	for (int i = 0; i < 3; i++)
		add("0.test", 1, 0);
	WAIT(server[0].connections == 1);
	WAIT(dest_room(SLICE("0.test")) == 0);
	fetch_go_on();
	WAIT(done_n == letters);
	for (int i = 0; i < 3; i++)
		assert_letter(i, 0, OUT_PERM, "5.7.1");
	assert_int_equal(server[0].connections, 1);
}

static void a_dead_destination_costs_one_attempt(void **state)
{
	(void)state;
	routes[0].retry_first = 300;
	rule(0, "", "421 4.3.2 down\r\n", 0);
	for (int i = 0; i < 50; i++)
		add("0.test", 1, 0);
	add("1.test", 1, 0);
	WAIT(done_n == letters);
	assert_int_equal(server[0].connections, 1);
	assert_true(fetches <= 5);
	for (int i = 0; i < 50; i++) {
		assert_letter(i, 0, OUT_TEMP, "4.3.2");
		assert_int_equal(letter[i]->wait_ms, 300);
	}
	assert_letter(50, 0, OUT_DELIVERED, "2.0.0");
	assert_int_equal(dest_room(SLICE("0.test")), 0);
	/* It is closed now: what comes is sent back. */
	int late = add("0.test", 1, 0);
	WAIT(done_n == letters);
	assert_letter(late, 0, OUT_TEMP, "4.3.2");
	assert_int_equal(server[0].connections, 1);
	assert_true(letter[late]->wait_ms <= 300);
	/* One attempt after the pause; it doubles. */
	WAIT(dest_room(SLICE("0.test")) > 0);
	late = add("0.test", 1, 0);
	WAIT(done_n == letters);
	assert_int_equal(server[0].connections, 2);
	assert_int_equal(letter[late]->wait_ms, 600);
	/* It is back. */
	server[0].rule[0].verb = NULL;
	WAIT(dest_room(SLICE("0.test")) > 0);
	late = add("0.test", 1, 0);
	WAIT(done_n == letters);
	assert_letter(late, 0, OUT_DELIVERED, "2.0.0");
}

static void an_administrator_ends_a_pause(void **state)
{
	(void)state;
	routes[0].retry_first = 3600000;
	rule(0, "", "421 4.3.2 down\r\n", 0);
	add("0.test", 1, 0);
	WAIT(done_n == letters);
	dns.none = NULL_MX;
	add("1.test", 1, 0);
	WAIT(done_n == letters);
	dns.none = (struct out_verdict){0};
	server[0].rule[0].verb = NULL;
	assert_int_equal(dest_room(SLICE("0.test")), 0);
	assert_true(dest_opens() > clock_mono() && dest_opens() < UINT64_MAX);
	int asked = dns.asked;
	dest_reopen();
	assert_true(dest_opens() == UINT64_MAX);
	assert_true(dest_room(SLICE("0.test")) > 0);
	int late = add("0.test", 1, 0), other = add("1.test", 1, 0);
	WAIT(done_n == letters);
	assert_letter(late, 0, OUT_DELIVERED, "2.0.0");
	assert_letter(other, 0, OUT_DELIVERED, "2.0.0");
	assert_int_equal(dns.asked, asked + 2);
}

/* It was well, with many connections; now none is left, and it is down. */
static void a_pause_counts_once(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		add("0.test", 1, 0);
	WAIT(done_n == letters);
	rule(0, "MAIL", "421 4.3.2 down\r\n", 0);
	rule(0, "", NULL, 0);
	for (int i = 0; i < 50; i++)
		add("0.test", 1, 0);
	WAIT(done_n == letters);
	for (int i = 100; i < 150; i++) {
		assert_int_equal(letter[i]->verdict[0].state, OUT_TEMP);
		assert_true(letter[i]->wait_ms <= 60000);
	}
	assert_int_equal(dest_room(SLICE("0.test")), 0);
}

static int each_n, each_room;
static void on_each(struct slice domain, unsigned room, void *arg)
{
	(void)domain;
	(void)arg;
	each_n++;
	each_room += (int)room;
}

/* The store is to know which domains go nowhere now. */
static void a_closed_route_names_its_domains(void **state)
{
	(void)state;
	routes[1].retry_first = 300;
	rule(0, "", "421 4.3.2 down\r\n", 0);
	add("0a.r.test", 1, 0);
	add("0b.r.test", 1, 0);
	WAIT(done_n == 2);
	dest_each(on_each, NULL);
	assert_int_equal(each_n, 2);
	assert_int_equal(each_room, 0);
	server[0].rule[0].verb = NULL;
	WAIT(dest_room(SLICE("0a.r.test")) > 0);
	add("0c.r.test", 1, 0);
	WAIT(done_n == 3);
	each_n = each_room = 0;
	dest_each(on_each, NULL);
	assert_int_equal(each_n, 1); /* the last one: it has a connection */
	assert_true(each_room > 0);
}

static void no_host_takes_it(void **state)
{
	(void)state;
	dns.none = NULL_MX;
	add("0.test", 1, 0);
	add("0.test", 1, 0);
	WAIT(done_n == 2);
	assert_letter(0, 0, OUT_PERM, "5.1.10");
	assert_letter(1, 0, OUT_PERM, "5.1.10");
	add("0.test", 1, 0);
	WAIT(done_n == 3);
	assert_int_equal(dns.asked, 1);
	dns.none = (struct out_verdict){
	    .state = OUT_TEMP, .status = "4.4.3", .at = "DNS", .text = "no answer"};
	add("0.b.test", 1, 0);
	WAIT(done_n == 4);
	assert_letter(3, 0, OUT_TEMP, "4.4.3");
	assert_int_equal(letter[3]->wait_ms, 60000);
	assert_int_equal(server[0].connections, 0);
}

/* The DNS fails while connections are there: mail goes on. */
static void old_answers_are_better_than_none(void **state)
{
	(void)state;
	dns.keep = 0; /* a second, at least */
	add("0.test", 1, 0);
	WAIT(done_n == 1);
	dns.none = (struct out_verdict){
	    .state = OUT_TEMP, .status = "4.4.3", .at = "DNS", .text = "no answer"};
	uint64_t then = clock_mono() + 1100;
	WAIT(clock_mono() > then);
	for (int i = 0; i < 20; i++)
		add("0.test", 1, 0);
	WAIT(done_n == letters);
	assert_int_equal(dns.asked, 2);
	for (int i = 0; i < letters; i++)
		assert_letter(i, 0, OUT_DELIVERED, "2.0.0");
}

static void four_hundreds_are_tried_elsewhere_once(void **state)
{
	(void)state;
	rule(0, "RCPT TO:<u1", "451 4.7.1 greylisted\r\n", 0);
	rule(0, "RCPT TO:<u2", "550 5.1.1 unknown\r\n", 0);
	rule(2, "RCPT", "250 2.1.5 ok\r\n", 0);
	add("012.test", 3, 0);
	WAIT(done_n == 1);
	assert_letter(0, 0, OUT_DELIVERED, "2.0.0");
	assert_letter(0, 1, OUT_DELIVERED, "2.0.0");
	assert_letter(0, 2, OUT_PERM, "5.1.1");
	assert_string_equal(letter[0]->verdict[0].host, "mx0");
	assert_string_equal(letter[0]->verdict[1].host, "mx1");
	assert_int_equal(server[1].mails, 1);
	/* Hosts of one preference are one: they know the same. */
	add("0=3.test", 2, 0);
	WAIT(done_n == 2);
	server[3].rule[0] = server[0].rule[0];
	add("0=3.test", 2, 0);
	add("3=0.test", 2, 0);
	WAIT(done_n == 4);
	assert_letter(3, 1, OUT_TEMP, "4.7.1");
	/* The other one does not know better, and a third is not asked. */
	server[1].rule[0] = server[0].rule[0];
	add("012.b.test", 2, 0);
	WAIT(done_n == 5);
	assert_letter(4, 0, OUT_DELIVERED, "2.0.0");
	assert_letter(4, 1, OUT_TEMP, "4.7.1");
	assert_int_equal(server[2].connections, 0);
}

static void the_other_host_may_be_dead(void **state)
{
	(void)state;
	rule(0, "MAIL", "451 4.3.0 not now\r\n", 0);
	rule(1, "", NULL, 0);
	add("01.test", 1, 0);
	WAIT(done_n == 1);
	assert_letter(0, 0, OUT_TEMP, "4.3.0"); /* the word of the first */
	assert_int_equal(letter[0]->wait_ms, 0);
	assert_true(dest_room(SLICE("01.test")) > 0);
}

static void dropped_before_the_end_goes_on(void **state)
{
	static const char *const VERB[] = {"MAIL", "RCPT", "DATA"};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char domain[16];
		server[0].rule[0] = (struct rule){VERB[i], NULL, 0, 0};
		str_fmt(domain, sizeof(domain), "01.%zu.test", i);
		add(domain, 1, 0);
		WAIT(done_n == letters);
		assert_letter((int)i, 0, OUT_DELIVERED, "2.0.0");
		assert_string_equal(letter[i]->verdict[0].host, "mx1");
	}
	add("0.test", 1, 0); /* no other host: it waits */
	WAIT(done_n == letters);
	assert_letter(3, 0, OUT_LOST, "4.4.2");
	assert_false(letter[3]->verdict[0].maybe);
}

static void dropped_behind_the_end_stops(void **state)
{
	(void)state;
	rule(0, ".", NULL, 0);
	add("01.test", 1, 0);
	WAIT(done_n == 1);
	assert_letter(0, 0, OUT_LOST, "4.4.2");
	assert_true(letter[0]->verdict[0].maybe);
	assert_int_equal(letter[0]->wait_ms, 0);
	assert_int_equal(server[1].connections, 0);
	server[0].rule[0] = (struct rule){".", "421 4.3.2 shutting down\r\n", 0, 0};
	add("01.b.test", 1, 0); /* refused, so it was not taken */
	WAIT(done_n == 2);
	assert_letter(1, 0, OUT_DELIVERED, "2.0.0");
}

static void who_breaks_every_letter_is_dead(void **state)
{
	(void)state;
	rule(0, "DATA", NULL, 0);
	for (int i = 0; i < 100; i++)
		add("0.test", 1, 0);
	WAIT(done_n == letters);
	assert_true(server[0].connections <= 12);
	assert_int_equal(dest_room(SLICE("0.test")), 0);
}

static void silence_halves_the_limit(void **state)
{
	(void)state;
	routes[0].times.dot = 300;
	for (int i = 0; i < 40; i++)
		add("0.test", 1, 0);
	WAIT(done_n == letters);
	unsigned before = dest_room(SLICE("0.test"));
	rule(0, ".", "", 1);
	add("0.test", 1, 0);
	WAIT(done_n == letters);
	assert_true(letter[40]->verdict[0].maybe);
	assert_true(dest_room(SLICE("0.test")) <= before / 2 + 2);
}

/* --- TLS ----------------------------------------------------------------------------------- */

static void broken_tls_goes_without(void **state)
{
	(void)state;
	routes[0].tls = OUT_TLS_MAY;
	routes[0].tls_ctx = trusting;
	server[0].caps = "250-STARTTLS\r\n";
	rule(0, "STARTTLS", "454 4.7.0 no\r\n", 0);
	add("0.test", 1, 0);
	WAIT(done_n == 1);
	assert_letter(0, 0, OUT_DELIVERED, "2.0.0");
	assert_int_equal(server[0].connections, 2);
	routes[0].tls = OUT_TLS_MUST;
	add("0.b.test", 1, 0);
	WAIT(done_n == 2);
	assert_letter(1, 0, OUT_TEMP, "4.7.0");
	server[0].rule[0].verb = NULL;
	add("0.c.test", 1, 0);
	WAIT(done_n == 3);
	assert_letter(2, 0, OUT_DELIVERED, "2.0.0");
	assert_int_equal(counts().tls, 1);
}

static void requiretls_takes_what_it_needs(void **state)
{
	(void)state;
	routes[0].tls = OUT_TLS_MAY;
	routes[0].tls_ctx = trusting;
	routes[0].tls_name = "localhost";
	server[0].caps = "250-STARTTLS\r\n";
	server[1].caps = "250-STARTTLS\r\n250-REQUIRETLS\r\n";
	dns.secure = true;
	add("01.test", 1, DELIVER_REQUIRETLS);
	WAIT(done_n == 1);
	assert_letter(0, 0, OUT_DELIVERED, "2.0.0");
	assert_string_equal(letter[0]->verdict[0].host, "mx1");
	assert_int_equal(server[0].mails, 0);
	/* Others go where they go. */
	add("01.test", 1, 0);
	WAIT(done_n == 2);
	assert_string_equal(letter[1]->verdict[0].host, "mx0");
	/* Nobody supports it, or the certificate is for another name. */
	add("0.b.test", 1, DELIVER_REQUIRETLS);
	WAIT(done_n == 3);
	assert_letter(2, 0, OUT_PERM, "5.7.30");
	routes[0].tls_name = NULL;
	add("1.c.test", 1, DELIVER_REQUIRETLS);
	WAIT(done_n == 4);
	assert_letter(3, 0, OUT_PERM, "5.7.30");
	routes[0].tls_name = "localhost";
	/* It cannot be reached now, and may be later. */
	rule(2, "", "421 4.3.2 busy\r\n", 0);
	add("02.d.test", 1, DELIVER_REQUIRETLS);
	WAIT(done_n == 5);
	assert_letter(4, 0, OUT_TEMP, "4.3.2");
	/* The name came by plain DNS. */
	dns.secure = false;
	server[1].connections = 0;
	add("1.e.test", 1, DELIVER_REQUIRETLS);
	WAIT(done_n == 6);
	assert_letter(5, 0, OUT_PERM, "5.7.30");
	assert_int_equal(server[1].connections, 0);
	/* The administrator has named the host. */
	routes[1].tls_ctx = trusting;
	routes[1].tls_name = "localhost";
	add("1.f.r.test", 1, DELIVER_REQUIRETLS);
	WAIT(done_n == 7);
	assert_letter(6, 0, OUT_DELIVERED, "2.0.0");
}

static void auth_that_fails_is_our_fault(void **state)
{
	(void)state;
	routes[0].tls = OUT_TLS_MUST;
	routes[0].tls_ctx = trusting;
	routes[0].user = "u";
	routes[0].password = "p";
	server[0].caps = "250-STARTTLS\r\n250-AUTH PLAIN\r\n";
	rule(0, "AUTH", "535 5.7.8 wrong\r\n", 0);
	add("0.test", 1, 0);
	WAIT(done_n == 1);
	assert_letter(0, 0, OUT_TEMP, "4.7.8");
	assert_int_equal(letter[0]->wait_ms, 60000);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
	    T(the_next_host_takes_over),
	    T(who_refuses_at_the_door_is_passed_over),
	    T(all_refuse_for_good),
	    T(refused_while_the_content_comes),
	    T(a_dead_destination_costs_one_attempt),
	    T(an_administrator_ends_a_pause),
	    T(a_pause_counts_once),
	    T(a_closed_route_names_its_domains),
	    T(no_host_takes_it),
	    T(old_answers_are_better_than_none),
	    T(four_hundreds_are_tried_elsewhere_once),
	    T(the_other_host_may_be_dead),
	    T(dropped_before_the_end_goes_on),
	    T(dropped_behind_the_end_stops),
	    T(who_breaks_every_letter_is_dead),
	    T(silence_halves_the_limit),
	    T(broken_tls_goes_without),
	    T(requiretls_takes_what_it_needs),
	    T(auth_that_fails_is_our_fault),
	};
	log_init("dest", LOG_TO_STDERR, LOG_LV_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_tls, drop_tls);
}
