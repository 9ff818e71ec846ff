/* Servers that answer every wrong and slow thing: the right verdicts, an end, and never a hang. */
#include "t/unit/smtpd_out_peer.h"

static const struct out_options PLAIN = {.host = "mx.b.test", .helo = "a.test"};
static const struct out_options LMTP = {.host = "mx.b.test", .helo = "a.test", .lmtp = true};
/* Short only where time is to run out: a busy machine is slow, too. */
#define QUICK(step)                                                      \
	&(struct out_options)                                            \
	{                                                                \
		.host = "mx.b.test", .helo = "a.test", .times.step = 400 \
	}

#define HELLO(caps)                                        \
	{S, "220 mx.b.test\r\n"}, {C, "EHLO a.test\r\n"},  \
	{                                                  \
		S, "250-mx.b.test\r\n" caps "250 HELP\r\n" \
	}
#define OK                            \
	{                             \
		S, "250 2.0.0 ok\r\n" \
	}
#define TO_MAIL                               \
	HELLO(""),                            \
	{                                     \
		C, "MAIL FROM:<a@a.test>\r\n" \
	}
#define TO_RCPT                             \
	TO_MAIL, OK,                        \
	{                                   \
		C, "RCPT TO:<b@b.test>\r\n" \
	}
#define TO_DATA               \
	TO_RCPT, OK,          \
	{                     \
		C, "DATA\r\n" \
	}
#define TO_DOT                      \
	TO_DATA, {S, "354 go\r\n"}, \
	{                           \
		C, "x\r\n.\r\n"     \
	}

static const struct body BODY_X = {.bytes = {"x\r\n", 3}, .fd = -1, .size = 3};
static const struct out_rcpt RCPT_B = {.addr = {"b@b.test", 8}};
static const struct out_mail ONE[] = {
    {.sender = {"a@a.test", 8}, .body = &BODY_X, .rcpt = &RCPT_B, .rcpt_n = 1}};

static void assert_setup_fails(enum out_why why, enum out_state state, const char *status)
{
	assert_end(why);
	assert_int_equal(seen.ready, 0);
	assert_int_equal(seen.done, 0);
	assert_int_equal(seen.end.verdict.state, state);
	assert_string_equal(seen.end.verdict.status, status);
}

static void assert_lost(enum out_why why, const char *status, bool maybe)
{
	assert_end(why);
	assert_int_equal(seen.done, 1);
	assert_verdict(0, OUT_LOST, 0, status);
	assert_int_equal(seen.v[0].maybe, maybe);
}

static void refused_at_the_door(void **state)
{
	(void)state;
	PLAY(&PLAIN, ONE, {S, "554 5.7.1 go away\r\n"}, {C, "QUIT\r\n"}, {CLOSE, NULL});
	assert_setup_fails(OUT_REFUSED, OUT_PERM, "5.7.1");
	assert_string_equal(seen.end.verdict.at, "connect");
	PLAY(&PLAIN, ONE, {S, "421 4.3.2 busy\r\n"});
	assert_setup_fails(OUT_CLOSED, OUT_TEMP, "4.3.2");
	PLAY(&PLAIN, ONE, {S, "220 mx\r\n"}, {C, "EHLO a.test\r\n"}, {S, "451 later\r\n"});
	assert_setup_fails(OUT_REFUSED, OUT_TEMP, "4.0.0");
	PLAY(&PLAIN, ONE, {S, "220 mx\r\n"}, {C, "EHLO a.test\r\n"}, {S, "500 what\r\n"},
	     {C, "HELO a.test\r\n"}, {S, "550 no\r\n"});
	assert_setup_fails(OUT_REFUSED, OUT_PERM, "5.0.0");
	PLAY(&LMTP, ONE, {S, "220 mx\r\n"}, {C, "LHLO a.test\r\n"}, {S, "500 what\r\n"});
	assert_setup_fails(OUT_REFUSED, OUT_PERM, "5.0.0");
}

static void silence_ends_each_step(void **state)
{
	(void)state;
	PLAY(QUICK(greeting), ONE, {END, NULL});
	assert_setup_fails(OUT_GONE, OUT_LOST, "4.4.2");
	PLAY(QUICK(hello), ONE, {S, "220 mx\r\n"});
	assert_setup_fails(OUT_GONE, OUT_LOST, "4.4.2");
	PLAY(QUICK(mail), ONE, TO_MAIL);
	assert_lost(OUT_GONE, "4.4.2", false);
	assert_string_equal(seen.v[0].at, "MAIL FROM");
	PLAY(QUICK(rcpt), ONE, TO_RCPT);
	assert_lost(OUT_GONE, "4.4.2", false);
	PLAY(QUICK(data), ONE, TO_DATA);
	assert_lost(OUT_GONE, "4.4.2", false);
	PLAY(QUICK(dot), ONE, TO_DOT);
	assert_lost(OUT_GONE, "4.4.2", true);
	assert_string_equal(seen.v[0].text, "no answer in time");
}

static void one_octet_a_moment_ends(void **state)
{
	(void)state;
	PLAY(QUICK(greeting), ONE, {DRIP, "220-a very slow server\r\n"});
	assert_setup_fails(OUT_GONE, OUT_LOST, "4.4.2");
	PLAY(QUICK(mail), ONE, TO_MAIL, {DRIP, "250 a very slow server\r\n"});
	assert_lost(OUT_GONE, "4.4.2", false);
}

/* Each reply comes in time, all together they take too long. */
static void the_total_is_bounded(void **state)
{
	(void)state;
	struct out_options o = PLAIN;
	const struct out_mail m[] = {
	    MAIL_TO("x\r\n", RCPT("b@b.test"), RCPT("c@b.test"), RCPT("d@b.test"))};
	o.times.mail_all = 600;
	PLAY(&o, m, TO_MAIL, {DRIP, "250\n"}, {C, "RCPT TO:<b@b.test>\r\n"}, {DRIP, "250\n"},
	     {C, "RCPT TO:<c@b.test>\r\n"}, {DRIP, "250\n"});
	assert_end(OUT_GONE);
	assert_verdict(0, OUT_LOST, 0, "4.4.2");
	assert_verdict(2, OUT_LOST, 0, "4.4.2");
	assert_string_equal(seen.v[2].text, "the server is too slow");
	o.times.setup = 300;
	PLAY(&o, ONE, {DRIP, "220\n"});
	assert_setup_fails(OUT_GONE, OUT_LOST, "4.4.2");
}

static void endless_replies_end(void **state)
{
	(void)state;
	PLAY(&PLAIN, ONE, {FLOOD, "220-more\r\n"});
	assert_setup_fails(OUT_GARBAGE, OUT_LOST, "4.5.0");
	PLAY(&PLAIN, ONE, TO_MAIL, {FLOOD, "250 and no end of a line "});
	assert_lost(OUT_GARBAGE, "4.5.0", false);
	/* Replies that nobody asked for. */
	PLAY(&PLAIN, ONE, TO_RCPT, {FLOOD, "250 ok\r\n"});
	assert_lost(OUT_GARBAGE, "4.5.0", false);
}

static void garbage_is_no_reply(void **state)
{
	(void)state;
	PLAY(&PLAIN, ONE, {S, "SSH-2.0-OpenSSH_9.2\r\n"});
	assert_setup_fails(OUT_GARBAGE, OUT_LOST, "4.5.0");
	PLAY(&PLAIN, ONE, {S, "220-a\r\n550 b\r\n"});
	assert_setup_fails(OUT_GARBAGE, OUT_LOST, "4.5.0");
	PLAY(&PLAIN, ONE, TO_RCPT, {S, "\001\002\003\r\n"});
	assert_lost(OUT_GARBAGE, "4.5.0", false);
	PLAY(&PLAIN, ONE, TO_RCPT, {S, "354 go\r\n"});
	assert_lost(OUT_GARBAGE, "4.5.0", false);
	PLAY(&PLAIN, ONE, TO_DATA, {S, "250 ok\r\n"});
	assert_lost(OUT_GARBAGE, "4.5.0", false);
	PLAY(&PLAIN, ONE, TO_DOT, {S, "<html>\r\n"});
	assert_lost(OUT_GARBAGE, "4.5.0", true);
}

static void drops_at_each_step(void **state)
{
	(void)state;
	PLAY(&PLAIN, ONE, {CLOSE, NULL});
	assert_setup_fails(OUT_GONE, OUT_LOST, "4.4.2");
	PLAY(&PLAIN, ONE, HELLO(""), {CLOSE, NULL});
	assert_end(seen.done ? OUT_GONE : OUT_CLOSED);
	PLAY(&PLAIN, ONE, TO_MAIL, {CLOSE, NULL});
	assert_lost(OUT_GONE, "4.4.2", false);
	PLAY(&PLAIN, ONE, TO_RCPT, {S, "250 half a rep"}, {CLOSE, NULL});
	assert_lost(OUT_GONE, "4.4.2", false);
	PLAY(&PLAIN, ONE, TO_DATA, {CLOSE, NULL});
	assert_lost(OUT_GONE, "4.4.2", false);
	PLAY(&PLAIN, ONE, TO_DATA, {S, "354 go\r\n"}, {CLOSE, NULL});
	assert_end(OUT_GONE);
	assert_verdict(0, OUT_LOST, 0, "4.4.2");
	PLAY(&PLAIN, ONE, TO_DOT, {CLOSE, NULL});
	assert_lost(OUT_GONE, "4.4.2", true);
	/* Behind the reply it is delivered, whatever comes. */
	PLAY(&PLAIN, ONE, TO_DOT, OK, {CLOSE, NULL});
	assert_verdict(0, OUT_DELIVERED, 250, "2.0.0");
	assert_int_equal(seen.done, 1);
}

static void refused_recipients_stay_refused(void **state)
{
	(void)state;
	const struct out_mail m[] = {
	    MAIL_TO("x\r\n", RCPT("b@b.test"), RCPT("c@b.test"), RCPT("d@b.test"))};
	PLAY(&PLAIN, m, TO_RCPT, {S, "550 5.1.1 no\r\n"}, {C, "RCPT TO:<c@b.test>\r\n"}, OK,
	     {C, "RCPT TO:<d@b.test>\r\n"}, {CLOSE, NULL});
	assert_verdict(0, OUT_PERM, 550, "5.1.1");
	assert_verdict(1, OUT_LOST, 0, "4.4.2");
	assert_verdict(2, OUT_LOST, 0, "4.4.2");
	PLAY(&PLAIN, m, TO_RCPT, {S, "550 5.1.1 no\r\n"}, {C, "RCPT TO:<c@b.test>\r\n"},
	     {S, "421 4.3.2 shutting down\r\n"});
	assert_verdict(0, OUT_PERM, 550, "5.1.1");
	assert_verdict(1, OUT_TEMP, 421, "4.3.2");
	assert_verdict(2, OUT_TEMP, 421, "4.3.2");
	assert_end(OUT_CLOSED);
}

static void lmtp_is_dropped_between_its_replies(void **state)
{
	(void)state;
	const struct out_mail m[] = {
	    MAIL_TO("x\r\n", RCPT("b@b.test"), RCPT("c@b.test"), RCPT("d@b.test"))};
	PLAY(&LMTP, m, {S, "220 mx\r\n"}, {C, "LHLO a.test\r\n"}, {S, "250 PIPELINING\r\n"},
	     {C, "MAIL FROM:<a@a.test>\r\n"}, OK, {C, "RCPT TO:<b@b.test>\r\n"}, OK,
	     {C, "RCPT TO:<c@b.test>\r\n"}, OK, {C, "RCPT TO:<d@b.test>\r\n"}, OK, {C, "DATA\r\n"},
	     {S, "354 go\r\n"}, {C, "x\r\n.\r\n"}, {S, "250 b\r\n452 4.2.2 c\r\n"}, {CLOSE, NULL});
	assert_verdict(0, OUT_DELIVERED, 250, "2.0.0");
	assert_verdict(1, OUT_TEMP, 452, "4.2.2");
	assert_verdict(2, OUT_LOST, 0, "4.4.2");
	assert_true(seen.v[2].maybe);
	PLAY(&LMTP, m, {S, "220 mx\r\n"}, {C, "LHLO a.test\r\n"},
	     {S, "250-mx\r\n250 PIPELINING\r\n"},
	     {C, "MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nRCPT TO:<c@b.test>\r\n"
		 "RCPT TO:<d@b.test>\r\nDATA\r\n"},
	     {S, "250 ok\r\n550 b\r\n550 c\r\n550 d\r\n354 go\r\n"});
	assert_verdict(0, OUT_PERM, 550, "5.0.0");
	assert_end(OUT_GARBAGE);
}

static struct body *large(void)
{
	enum { SIZE = 4 << 20 };
	static char text[SIZE];
	static struct body b = {.bytes = {text, SIZE}, .fd = -1, .size = SIZE};
	memset(text, 'x', SIZE);
	return &b;
}

static void content_that_is_not_taken(void **state)
{
	(void)state;
	struct out_mail m[] = {MAIL_TO("", RCPT("b@b.test"))};
	m[0].body = large();
	/* nothing more is read */
	PLAY(QUICK(block), m, TO_DATA, {S, "354 go\r\n"}, {DEAF, NULL});
	assert_lost(OUT_GONE, "4.4.2", false);
	assert_string_equal(seen.v[0].text, "the server does not take the message");
	/* refused before it has come */
	PLAY(&PLAIN, m, TO_DATA, {S, "354 go\r\n552 5.3.4 too large\r\n"}, {DEAF, NULL});
	assert_verdict(0, OUT_PERM, 552, "5.3.4");
	assert_end(OUT_CLOSED);
	/* taken before it has come: a lie */
	PLAY(&PLAIN, m, TO_DATA, {S, "354 go\r\n250 fine\r\n"}, {DEAF, NULL});
	assert_lost(OUT_GARBAGE, "4.5.0", false);
}

static void an_idle_connection_may_end(void **state)
{
	(void)state;
	const struct out_mail m[] = {MAIL_TO("x\r\n", RCPT("b@b.test")),
				     MAIL_TO("x\r\n", RCPT("b@b.test"))};
	/* 421 and the next MAIL cross each other */
	PLAY(&PLAIN, m, TO_DOT, {S, "250 ok\r\n421 4.4.2 idle\r\n"});
	assert_verdict(0, OUT_DELIVERED, 250, "2.0.0");
	assert_verdict(1, OUT_TEMP, 421, "4.4.2");
	assert_end(OUT_CLOSED);
	PLAY(&PLAIN, m, TO_DOT, OK, {C, "MAIL FROM:<a@a.test>\r\n"}, {S, "550 no\r\n"},
	     {CLOSE, NULL});
	assert_verdict(1, OUT_PERM, 550, "5.0.0");
}

/* A reply that nobody has asked for yet is not that to what comes next. */
static void out_of_step(void **state)
{
	(void)state;
	const struct out_mail m[] = {MAIL_TO("x\r\n", RCPT("b@b.test")),
				     MAIL_TO("x\r\n", RCPT("b@b.test"))};
	PLAY(&PLAIN, ONE, {S, "220 mx\r\n250 mx\r\n250 ok\r\n"});
	assert_setup_fails(OUT_GARBAGE, OUT_LOST, "4.5.0");
	assert_string_equal(seen.end.verdict.text, "a reply that came before its command");
	PLAY(&PLAIN, ONE, TO_MAIL, {S, "250 ok\r\n250 ok\r\n"});
	assert_lost(OUT_GARBAGE, "4.5.0", false);
	PLAY(&PLAIN, ONE, HELLO("250-PIPELINING\r\n"), {LINE, NULL}, {LINE, NULL}, {LINE, NULL},
	     {S, "250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"});
	assert_end(OUT_GARBAGE);
	assert_verdict(0, OUT_LOST, 0, "4.5.0");
	/* Behind a good one: what was taken stays taken. */
	PLAY(&PLAIN, m, TO_DOT, {S, "250 ok\r\n250 ok\r\n"});
	assert_verdict(0, OUT_DELIVERED, 250, "2.0.0");
	assert_verdict(1, OUT_LOST, 0, "4.5.0");
}

static void rset_that_is_refused(void **state)
{
	(void)state;
	const struct out_mail m[] = {MAIL_TO("x\r\n", RCPT("b@b.test")),
				     MAIL_TO("x\r\n", RCPT("b@b.test"))};
	PLAY(&PLAIN, m, TO_MAIL, {S, "550 no\r\n"}, {C, "RSET\r\n"}, {S, "500 what\r\n"});
	assert_verdict(0, OUT_PERM, 550, "5.0.0");
	assert_verdict(1, OUT_LOST, 0, "4.5.0");
	assert_end(OUT_GARBAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refused_at_the_door),
	    cmocka_unit_test(silence_ends_each_step),
	    cmocka_unit_test(one_octet_a_moment_ends),
	    cmocka_unit_test(the_total_is_bounded),
	    cmocka_unit_test(endless_replies_end),
	    cmocka_unit_test(garbage_is_no_reply),
	    cmocka_unit_test(drops_at_each_step),
	    cmocka_unit_test(refused_recipients_stay_refused),
	    cmocka_unit_test(lmtp_is_dropped_between_its_replies),
	    cmocka_unit_test(content_that_is_not_taken),
	    cmocka_unit_test(an_idle_connection_may_end),
	    cmocka_unit_test(out_of_step),
	    cmocka_unit_test(rset_that_is_refused),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, seen_free);
}
