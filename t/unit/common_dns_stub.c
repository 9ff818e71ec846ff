/* The stub: questions, answers, and servers that misbehave. */
#include "t/unit/common_dns_scene.h"

static void with_second(void (*first)(struct seen *q, unsigned nth),
			void (*second)(struct seen *q, unsigned nth))
{
	conf_server(&conf, two.port);
	two.script = second;
	start(first);
}

/* --- what is asked and answered --- */

static void says_each_type(struct seen *q, unsigned nth)
{
	struct dns_out o;
	(void)nth;
	assert_int_equal(q->flags, DNS_RD | DNS_AD);
	assert_true(q->edns);
	answer_begin(&o, q, 0);
	if (q->type == DNS_MX) {
		size_t rr = dns_out_rr(&o, DNS_ANSWER, q->wire, DNS_MX, 300);
		dns_out_u16(&o, 10);
		dns_out_name(&o, wire_of("mx.b.test"), true);
		dns_out_rr_end(&o, rr);
		put_raw(&o, q->name, DNS_MX, "\0\x14\3mx2\1c\4test\0", 14);
	} else if (q->type == DNS_AAAA)
		put_raw(&o, q->name, DNS_AAAA, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	else if (q->type == DNS_TXT)
		put_raw(&o, q->name, DNS_TXT, "\6v=spf1\0\5 -all", 14);
	else if (q->type == DNS_TLSA)
		put_raw(&o, q->name, DNS_TLSA, "\3\1\1hash", 7);
	else if (q->type == DNS_SRV)
		put_raw(&o, q->name, DNS_SRV, "\0\1\0\2\0\x19\1s\0", 9);
	else if (q->type == DNS_PTR || q->type == DNS_CNAME)
		put_name(&o, q->name, q->type, 60, "host.b.test");
	else
		put_raw(&o, q->name, q->type, "raw", 3);
	put_a(&o, "other.test", 1, "192.0.2.66"); /* not of the name: not looked at */
	answer_end(q, &o);
}

static void records_of_each_type_are_read(void **state)
{
	(void)state;
	start(says_each_type);
	assert_string_equal(ask(stub, "B.test.", DNS_MX),
			    "ok 60 b.test: 10 mx.b.test; 20 mx2.c.test");
	assert_string_equal(ask(stub, "b.test", DNS_AAAA), "ok 60 b.test: 2001:db8::1");
	assert_string_equal(ask(stub, "b.test", DNS_TXT), "ok 60 b.test: \"v=spf1 -all\"");
	assert_string_equal(ask(stub, "_25._tcp.mx.b.test", DNS_TLSA),
			    "ok 60 _25._tcp.mx.b.test: 3 1 1 hash");
	assert_string_equal(ask(stub, "_x._tcp.b.test", DNS_SRV), "ok 60 _x._tcp.b.test: 1 2 25 s");
	assert_string_equal(ask(stub, "b.test", DNS_CNAME), "ok 60 b.test: host.b.test");
	assert_string_equal(ask(stub, "b.test", DNS_CAA), "ok 60 b.test: \"raw\"");
}

static void addresses_have_names(void **state)
{
	(void)state;
	start(says_each_type);
	struct got g = {0};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	v6.sin6_addr.s6_addr[0] = 0x20;
	v6.sin6_addr.s6_addr[15] = 0x1f;
	stub_ask_ptr(stub, (struct sockaddr *)&v4, got_answer, &g);
	wait_for(&g, 1);
	assert_string_equal(g.line, "ok 60 1.2.0.192.in-addr.arpa: host.b.test");
	stub_ask_ptr(stub, (struct sockaddr *)&v6, got_answer, &g);
	wait_for(&g, 2);
	assert_string_equal(g.line,
			    "ok 60 f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
			    "0.2.ip6.arpa: host.b.test");
	inet_pton(AF_INET6, "::ffff:192.0.2.7", &v6.sin6_addr);
	stub_ask_ptr(stub, (struct sockaddr *)&v6, got_answer, &g);
	wait_for(&g, 3);
	assert_string_equal(g.line, "ok 60 7.2.0.192.in-addr.arpa: host.b.test");
	stub_ask_ptr(stub, &(struct sockaddr){.sa_family = AF_UNIX}, got_answer, &g);
	wait_for(&g, 4);
	assert_string_equal(g.line, "not a host name");
}

static void bad_names_are_not_asked(void **state)
{
	(void)state;
	static const char *const bad[] = {"",          ".b.test",        "a..b", "a b",
					  "a\\.b",     "b\xc3\xbc.test", "a@b",  "[::1]",
					  "a\nb.test", "*.test"};
	start(says_a);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_string_equal(ask(stub, bad[i], DNS_A), "not a host name");
	assert_int_equal(one.asked, 0);
}

static void says_nothing_there(struct seen *q, unsigned nth)
{
	struct dns_out o;
	(void)nth;
	answer_begin(&o, q, q->type == DNS_A ? DNS_NXDOMAIN : 0);
	if (q->type != DNS_TXT)
		put_soa(&o, 50, q->type == DNS_A ? 40 : 7200);
	answer_end(q, &o);
}

static void what_is_not_there_is_said(void **state)
{
	(void)state;
	start(says_nothing_there);
	assert_string_equal(ask(stub, "b.test", DNS_A), "no such name 40");
	assert_string_equal(ask(stub, "b.test", DNS_A), "no such name 40 cached");
	stub_forget(stub);
	assert_string_equal(ask(stub, "b.test", DNS_A), "no such name 40");
	assert_string_equal(ask(stub, "b.test", DNS_MX), "no such record 50");
	assert_string_equal(ask(stub, "b.test", DNS_TXT), "no such record 0");
	assert_string_equal(ask(stub, "b.test", DNS_TXT),
			    "no such record 0"); /* without SOA: not kept */
}

static void says_ad(struct seen *q, unsigned nth)
{
	struct dns_out o;
	(void)nth;
	answer_begin(&o, q, DNS_AD);
	put_a(&o, q->name, 0x80000001, "192.0.2.1");
	answer_end(q, &o);
	assert_true(q->dnssec_ok);
}

static void authenticated_data_is_told(void **state)
{
	(void)state;
	conf.dnssec_ok = true;
	start(says_ad);
	/* The server is on loopback, and so is believed. A TTL with the high bit is none. */
	assert_string_equal(ask(stub, "b.test", DNS_A), "ok 0 ad b.test: 192.0.2.1");
}

/* --- CNAMEs --- */

static void says_chain(struct seen *q, unsigned nth)
{
	struct dns_out o;
	(void)nth;
	answer_begin(&o, q, 0);
	if (!strcmp(q->name, "www.b.test")) { /* in any order */
		put_a(&o, "c.test", 90, "192.0.2.1");
		put_name(&o, "b.test", DNS_CNAME, 80, "c.test");
		put_name(&o, "www.b.test", DNS_CNAME, 100, "b.test");
	} else if (!strcmp(q->name, "out.b.test"))
		put_name(&o, "out.b.test", DNS_CNAME, 70, "www.b.test");
	else if (!strcmp(q->name, "empty.b.test")) {
		put_name(&o, "empty.b.test", DNS_CNAME, 70, "c.test");
		put_soa(&o, 30, 60);
	} else if (!strcmp(q->name, "round.b.test")) {
		put_name(&o, "round.b.test", DNS_CNAME, 70, "r.b.test");
		put_name(&o, "r.b.test", DNS_CNAME, 70, "round.b.test");
	} else { /* n.x.test -> n+1.x.test, each to be asked */
		char to[40];
		snprintf(to, sizeof(to), "%d.x.test", atoi(q->name) + 1);
		if (atoi(q->name) == 9)
			put_a(&o, q->name, 60, "192.0.2.9");
		else
			put_name(&o, q->name, DNS_CNAME, 60, to);
	}
	answer_end(q, &o);
}

static void cnames_are_followed(void **state)
{
	(void)state;
	start(says_chain);
	assert_string_equal(ask(stub, "www.b.test", DNS_A), "ok 80 c.test: 192.0.2.1");
	assert_int_equal(one.asked, 1);
	assert_string_equal(ask(stub, "out.b.test", DNS_A), "ok 70 c.test: 192.0.2.1");
	assert_int_equal(one.asked, 3);
	assert_string_equal(ask(stub, "empty.b.test", DNS_A), "no such record 30");
	assert_string_equal(ask(stub, "1.x.test", DNS_A), "ok 60 9.x.test: 192.0.2.9");
	assert_int_equal(one.asked, 13);
	assert_string_equal(ask(stub, "0.x.test", DNS_A), "too many CNAME records");
	assert_string_equal(ask(stub, "round.b.test", DNS_A), "too many CNAME records");
}

/* --- wrong answers --- */

static void says_wrong_then_right(struct seen *q, unsigned nth)
{
	struct dns_out o;
	struct seen wrong = *q;
	(void)nth;
	send_bytes(q, "garbage that is longer than a header", 36);
	send_bytes(q, "", 0);
	send_bytes(q, q->pkt, q->len); /* the query itself */
	wrong.id ^= 1;
	says_a(&wrong, 1);
	wrong = *q;
	wrong.type = DNS_AAAA;
	answer_rcode(&wrong, DNS_NXDOMAIN);
	wrong = *q;
	memcpy(wrong.wire, wire_of("c.test"), 8);
	answer_rcode(&wrong, DNS_NXDOMAIN);
	dns_out_init(&o, wrong.pkt, sizeof(wrong.pkt), q->id, DNS_QR | DNS_NXDOMAIN);
	answer_end(q, &o); /* no question */
	says_a(q, 1);
}

static void wrong_answers_are_passed_over(void **state)
{
	(void)state;
	struct stub_stats st;
	start(says_wrong_then_right);
	assert_string_equal(ask(stub, "b.test", DNS_A), "ok 300 b.test: 192.0.2.1");
	stub_stats(stub, &st);
	assert_int_equal(st.ignored, 7);
	assert_int_equal(st.sent, 1);
}

static void says_malformed(struct seen *q, unsigned nth)
{
	struct dns_out o;
	answer_begin(&o, q, 0);
	if (nth == 1)
		put_raw(&o, q->name, DNS_A, "abc", 3);
	else
		o.p[7] = 1; /* a record that is not there */
	answer_end(q, &o);
}

static void after_a_malformed_answer_another_server_is_asked(void **state)
{
	(void)state;
	with_second(says_malformed, says_a);
	assert_string_equal(ask(stub, "b.test", DNS_A), "ok 300 b.test: 192.0.2.1");
	assert_int_equal(one.asked, 1);
	assert_int_equal(two.asked, 1);
	stub_free(&stub);
	two.script = says_malformed;
	stub = stub_new(&conf);
	assert_string_equal(ask(stub, "b.test", DNS_A), "the DNS servers failed");
}

static void from_another(struct seen *q, unsigned nth)
{
	(void)nth;
	q->fd = two.udp;
	answer_rcode(q, DNS_NXDOMAIN);
}

static void answers_of_others_are_not_taken(void **state)
{
	(void)state;
	conf.attempts = 1;
	start(from_another);
	assert_string_equal(ask(stub, "b.test", DNS_A), "no DNS server answered");
	assert_int_equal(one.asked, 1);
}

/* --- servers --- */

static void a_silent_server_is_left_for_the_next(void **state)
{
	(void)state;
	with_second(NULL, says_a);
	assert_string_equal(ask(stub, "b.test", DNS_A), "ok 300 b.test: 192.0.2.1");
	assert_string_equal(ask(stub, "c.test", DNS_A), "ok 300 c.test: 192.0.2.1");
	assert_int_equal(one.asked, 1); /* remembered */
	assert_int_equal(two.asked, 2);
}

static void a_closed_port_is_known_at_once(void **state)
{
	(void)state;
	struct stub_stats st;
	conf.timeout_ms = 20000;
	struct sockaddr_in *closed = (struct sockaddr_in *)&conf.server[0];
	socklen_t n = sizeof(*closed);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	closed->sin_port = 0;
	assert_int_equal(bind(fd, (struct sockaddr *)closed, n), 0);
	getsockname(fd, (struct sockaddr *)closed, &n);
	close(fd);
	with_second(NULL, says_a);
	assert_string_equal(ask(stub, "b.test", DNS_A), "ok 300 b.test: 192.0.2.1");
	stub_stats(stub, &st);
	assert_int_equal(st.timeouts, 0);
}

static void says_servfail(struct seen *q, unsigned nth)
{
	(void)nth;
	answer_rcode(q, DNS_SERVFAIL);
}

static void after_servfail_another_server_is_asked(void **state)
{
	(void)state;
	with_second(says_servfail, says_a);
	assert_string_equal(ask(stub, "b.test", DNS_A), "ok 300 b.test: 192.0.2.1");
	assert_int_equal(one.asked, 1);
	stub_free(&stub);
	two.script = says_servfail;
	stub = stub_new(&conf);
	assert_string_equal(ask(stub, "b.test", DNS_A), "the DNS servers failed");
	assert_int_equal(one.asked, 3); /* two rounds */
}

static void says_bogus(struct seen *q, unsigned nth)
{
	struct dns_out o;
	(void)nth;
	answer_begin(&o, q, DNS_SERVFAIL);
	size_t rr = dns_out_rr(&o, DNS_ADDITIONAL, wire_of("."), DNS_OPT, 0);
	dns_out_bytes(&o, "\0\x0f\0\2\0\6", 6);
	dns_out_rr_end(&o, rr);
	answer_end(q, &o);
}

static void a_bogus_answer_is_final(void **state)
{
	(void)state;
	with_second(says_bogus, says_a);
	assert_string_equal(ask(stub, "b.test", DNS_A), "the DNSSEC signatures are wrong");
	assert_int_equal(two.asked, 0);
}

static void refuses_edns(struct seen *q, unsigned nth)
{
	struct dns_out o;
	if (!q->edns) {
		says_a(q, nth);
		return;
	}
	dns_out_init(&o, q->pkt, sizeof(q->pkt), q->id, DNS_QR | DNS_FORMERR);
	if (nth > 1)
		answer_rcode(q, DNS_NOTIMP);
	else
		answer_end(q, &o); /* not even the question */
}

static void a_server_without_edns_is_asked_without(void **state)
{
	(void)state;
	start(refuses_edns);
	assert_string_equal(ask(stub, "b.test", DNS_A), "ok 300 b.test: 192.0.2.1");
	assert_int_equal(one.asked, 2);
	assert_string_equal(ask(stub, "c.test", DNS_A), "ok 300 c.test: 192.0.2.1");
	assert_int_equal(one.asked, 3); /* remembered */
	stub_free(&stub);
	stub = stub_new(&conf);
	assert_string_equal(ask(stub, "b.test", DNS_A), "ok 300 b.test: 192.0.2.1");
	assert_int_equal(one.asked, 5);
}

static void the_deadline_ends_it(void **state)
{
	(void)state;
	uint64_t began = clock_mono();
	conf.deadline_ms = 300;
	conf.attempts = 10;
	start(NULL);
	assert_string_equal(ask(stub, "b.test", DNS_A), "no DNS server answered");
	assert_in_range(clock_mono() - began, 300, 10 * 1000 - 1); /* not ten times its second */
}

/* --- TCP --- */

static void says_long(struct seen *q, unsigned nth)
{
	struct dns_out o;
	(void)nth;
	answer_begin(&o, q, q->tcp ? 0 : DNS_TC);
	for (int i = 0; q->tcp && i < 250; i++)
		put_raw(&o, q->name, DNS_TXT, "\x0fsixteen octets!", 16);
	answer_end(q, &o);
}

static void truncated_answers_come_by_tcp(void **state)
{
	(void)state;
	struct stub_stats st;
	start(says_long);
	assert_non_null(strstr(ask(stub, "b.test", DNS_TXT), "sixteen octets!\"; \"sixteen"));
	stub_stats(stub, &st);
	assert_int_equal(st.tcp, 1);
	assert_int_equal(st.sent, 1);
}

static void drips(struct seen *q, unsigned nth)
{
	(void)nth;
	if (q->tcp)
		send_bytes(q,
			   "\xff\xff"
			   "abc",
			   5); /* and no more */
	else
		says_long(q, 1);
}

static void hangs_up(struct seen *q, unsigned nth)
{
	(void)nth;
	if (q->tcp)
		shutdown(q->fd, SHUT_RDWR);
	else
		says_long(q, 1);
}

static void lies_by_tcp(struct seen *q, unsigned nth)
{
	(void)nth;
	q->id = (uint16_t)(q->id + q->tcp);
	says_long(q, 1);
}

static void broken_tcp_is_left_for_the_next_server(void **state)
{
	(void)state;
	static void (*const script[])(struct seen * q, unsigned nth) = {drips, hangs_up,
									lies_by_tcp};
	with_second(NULL, says_a);
	for (size_t i = 0; i < sizeof(script) / sizeof(script[0]); i++) {
		stub_free(&stub);
		one.script = script[i];
		stub = stub_new(&conf);
		assert_string_equal(ask(stub, "b.test", DNS_A), "ok 300 b.test: 192.0.2.1");
		assert_int_equal(two.asked, i + 1);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(records_of_each_type_are_read),
	    T(addresses_have_names),
	    T(bad_names_are_not_asked),
	    T(what_is_not_there_is_said),
	    T(authenticated_data_is_told),
	    T(cnames_are_followed),
	    T(wrong_answers_are_passed_over),
	    T(after_a_malformed_answer_another_server_is_asked),
	    T(answers_of_others_are_not_taken),
	    T(a_silent_server_is_left_for_the_next),
	    T(a_closed_port_is_known_at_once),
	    T(after_servfail_another_server_is_asked),
	    T(a_bogus_answer_is_final),
	    T(a_server_without_edns_is_asked_without),
	    T(the_deadline_ends_it),
	    T(truncated_answers_come_by_tcp),
	    T(broken_tcp_is_left_for_the_next_server),
	};
	return cmocka_run_group_tests_name("common_dns_stub", tests, NULL, NULL);
}
