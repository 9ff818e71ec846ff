/* Transactions with servers that behave: what is said, when, and what comes of it. */
#include "t/unit/smtpd_out_peer.h"
#include <fcntl.h>
#include <sys/mman.h>

static const struct out_options PLAIN = {.host = "mx.b.test", .helo = "a.test"};
static const struct out_options LMTP = {.host = "mx.b.test", .helo = "a.test", .lmtp = true};

#define HELLO(caps)                                        \
	{S, "220 mx.b.test\r\n"}, {C, "EHLO a.test\r\n"},  \
	{                                                  \
		S, "250-mx.b.test\r\n" caps "250 HELP\r\n" \
	}
#define BYE                                  \
	{C, "QUIT\r\n"}, {S, "221 bye\r\n"}, \
	{                                    \
		CLOSE, NULL                  \
	}
#define OK                            \
	{                             \
		S, "250 2.0.0 ok\r\n" \
	}

static void one_step_at_a_time(void **state)
{
	(void)state;
	const struct out_mail m[] = {
	    MAIL_TO("Subject: x\n\n.dot\n.\nend", RCPT("b@b.test"), RCPT("c@b.test"))};
	PLAY(&PLAIN, m, HELLO(""), {C, "MAIL FROM:<a@a.test>\r\n"}, OK,
	     {C, "RCPT TO:<b@b.test>\r\n"}, OK, {C, "RCPT TO:<c@b.test>\r\n"},
	     {S, "550 5.1.1 no c here\r\n"}, {C, "DATA\r\n"}, {S, "354 go\r\n"},
	     {C, "Subject: x\r\n\r\n..dot\r\n..\r\nend\r\n.\r\n"},
	     {S, "250-2.6.0 taken\r\n250 2.6.0 as 17\r\n"}, BYE);
	assert_verdict(0, OUT_DELIVERED, 250, "2.6.0");
	assert_string_equal(seen.v[0].text, "taken\nas 17");
	assert_string_equal(seen.v[0].at, "end of content");
	assert_verdict(1, OUT_PERM, 550, "5.1.1");
	assert_string_equal(seen.v[1].text, "no c here");
	assert_string_equal(seen.v[1].at, "RCPT TO");
	assert_int_equal(seen.ends, 0);
}

static void all_commands_leave_at_once(void **state)
{
	(void)state;
	const struct out_mail m[] = {MAIL_TO("x\r\n", RCPT("b@b.test"), RCPT("c@b.test"))};
	PLAY(&PLAIN, m, HELLO("250-PIPELINING\r\n250-SIZE 1000\r\n"),
	     {C, "MAIL FROM:<a@a.test> SIZE=3\r\nRCPT TO:<b@b.test>\r\nRCPT TO:<c@b.test>\r\n"
		 "DATA\r\n"},
	     {S, "250 ok\r\n450 4.2.1 later\r\n250 ok\r\n354 go\r\n"}, {C, "x\r\n.\r\n"}, OK, BYE);
	assert_verdict(0, OUT_TEMP, 450, "4.2.1");
	assert_verdict(1, OUT_DELIVERED, 250, "2.0.0");
}

static void pipelined_refusals(void **state)
{
	(void)state;
	const struct out_mail m[] = {MAIL_TO("x\r\n", RCPT("b@b.test"), RCPT("c@b.test")),
				     MAIL_TO("y\r\n", RCPT("d@b.test")),
				     MAIL_TO("z\r\n", RCPT("e@b.test"))};
	PLAY(&PLAIN, m, HELLO("250-PIPELINING\r\n"),
	     {C, "MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nRCPT TO:<c@b.test>\r\nDATA\r\n"},
	     /* nobody is taken, and DATA all the same: it is ended without the message */
	     {S, "250 ok\r\n550 no\r\n450 no\r\n354 go\r\n"}, {C, ".\r\n"},
	     {S, "554 no recipients\r\n"},
	     {C, "RSET\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<d@b.test>\r\nDATA\r\n"},
	     /* the sender is refused, the rest with it */
	     {S, "250 ok\r\n451 4.7.1 grey\r\n503 no\r\n503 no\r\n"},
	     {C, "RSET\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<e@b.test>\r\nDATA\r\n"},
	     {S, "250 ok\r\n250 ok\r\n552 too many\r\n554 no recipients\r\n"}, BYE);
	assert_verdict(0, OUT_PERM, 550, "5.0.0");
	assert_verdict(1, OUT_TEMP, 450, "4.0.0");
	assert_verdict(2, OUT_TEMP, 451, "4.7.1");
	assert_string_equal(seen.v[2].at, "MAIL FROM");
	assert_verdict(3, OUT_TEMP, 552, "5.0.0");
	assert_int_equal(seen.done, 3);
}

static void every_step_may_be_refused(void **state)
{
	(void)state;
	const struct out_mail m[] = {
	    MAIL_TO("x\r\n", RCPT("b@b.test")), MAIL_TO("x\r\n", RCPT("b@b.test")),
	    MAIL_TO("x\r\n", RCPT("b@b.test")), MAIL_TO("x\r\n", RCPT("b@b.test")),
	    MAIL_TO("x\r\n", RCPT("b@b.test"))};
	PLAY(
	    &PLAIN, m, HELLO(""), {C, "MAIL FROM:<a@a.test>\r\n"}, {S, "452 4.3.1 full\r\n"},
	    {C, "RSET\r\n"}, OK, {C, "MAIL FROM:<a@a.test>\r\n"}, OK, {C, "RCPT TO:<b@b.test>\r\n"},
	    {S, "451 4.3.2 later\r\n"}, {C, "RSET\r\n"}, OK, {C, "MAIL FROM:<a@a.test>\r\n"}, OK,
	    {C, "RCPT TO:<b@b.test>\r\n"}, OK, {C, "DATA\r\n"}, {S, "451 4.3.3 later\r\n"},
	    {C, "RSET\r\n"}, OK, {C, "MAIL FROM:<a@a.test>\r\n"}, OK, {C, "RCPT TO:<b@b.test>\r\n"},
	    OK, {C, "DATA\r\n"}, {S, "354 go\r\n"}, {C, "x\r\n.\r\n"}, {S, "554 5.7.1 spam\r\n"},
	    {C, "RSET\r\n"}, OK, {C, "MAIL FROM:<a@a.test>\r\n"}, OK, {C, "RCPT TO:<b@b.test>\r\n"},
	    OK, {C, "DATA\r\n"}, {S, "354 go\r\n"}, {C, "x\r\n.\r\n"}, OK, BYE);
	assert_verdict(0, OUT_TEMP, 452, "4.3.1");
	assert_verdict(1, OUT_TEMP, 451, "4.3.2");
	assert_verdict(2, OUT_TEMP, 451, "4.3.3");
	assert_string_equal(seen.v[2].at, "DATA");
	assert_verdict(3, OUT_PERM, 554, "5.7.1");
	assert_verdict(4, OUT_DELIVERED, 250, "2.0.0");
}

static void extensions_are_used(void **state)
{
	(void)state;
	struct out_mail m[] = {MAIL_TO("\303\244\n", {.addr = SLICE("\303\244@b.test"),
						      .orcpt = SLICE("rfc822;x+2B"),
						      .notify = NOTIFY_SUCCESS | NOTIFY_DELAY}),
			       MAIL_TO("x", {.addr = SLICE("b@b.test"),
					     .notify = NOTIFY_NEVER,
					     .orcpt = SLICE("rfc822;x\r\nDATA")})};
	m[0].envid = SLICE("id");
	m[0].flags = DELIVER_RET_HDRS | DELIVER_SMTPUTF8;
	m[1].sender = SLICE("");
	m[1].flags = DELIVER_RET_FULL;
	PLAY(&PLAIN, m,
	     HELLO("250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n"
		   "250-CHUNKING\r\n"),
	     {C, "MAIL FROM:<a@a.test> SIZE=4 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id\r\n"
		 "RCPT TO:<\303\244@b.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2B\r\n"},
	     {S, "250 ok\r\n250 ok\r\n"}, {C, "BDAT 4 LAST\r\n\303\244\r\n"}, OK,
	     {C, "MAIL FROM:<> SIZE=3 RET=FULL\r\nRCPT TO:<b@b.test> NOTIFY=NEVER\r\n"},
	     {S, "250 ok\r\n250 ok\r\n"}, {C, "BDAT 3 LAST\r\nx\r\n"}, OK, BYE);
	assert_verdict(0, OUT_DELIVERED, 250, "2.0.0");
	assert_verdict(1, OUT_DELIVERED, 250, "2.0.0");
}

/* RFC 6531 3.4: what needs it nowhere goes to those, too, who do not have it. */
static void utf8_is_said_where_it_is_needed(void **state)
{
	(void)state;
	struct out_mail m[] = {MAIL_TO("x", RCPT("b@b.test")),
			       MAIL_TO("\303\244", RCPT("b@b.test")),
			       MAIL_TO("x", RCPT("\303\244@b.test"))};
	m[0].flags = m[1].flags = DELIVER_SMTPUTF8;
	PLAY(&PLAIN, m, HELLO("250-8BITMIME\r\n"), {C, "MAIL FROM:<a@a.test>\r\n"},
	     {S, "550 5.7.1 no\r\n"}, BYE);
	assert_verdict(0, OUT_PERM, 550, "5.7.1");
	assert_verdict(1, OUT_PERM, 0, "5.6.7");
	assert_verdict(2, OUT_PERM, 0, "5.6.7");
}

static void the_time_to_deliver_in_goes_along(void **state)
{
	(void)state;
	struct out_mail m[] = {MAIL_TO("x", RCPT("b@b.test")), MAIL_TO("x", RCPT("b@b.test")),
			       MAIL_TO("x", RCPT("b@b.test")), MAIL_TO("x", RCPT("b@b.test"))};
	m[0].deliver_by_ms = m[1].deliver_by_ms = UINT64_MAX;
	m[1].flags = DELIVER_BY_NOTIFY | DELIVER_BY_TRACE;
	m[2].deliver_by_ms = 1; /* over, and to be returned */
	m[3].deliver_by_ms = 1;
	m[3].flags = DELIVER_BY_NOTIFY;
	PLAY(&PLAIN, m, HELLO("250-DELIVERBY 60\r\n"),
	     {C, "MAIL FROM:<a@a.test> BY=999999999;R\r\n"}, {S, "550 5.7.1 no\r\n"},
	     {C, "RSET\r\n"}, OK, {C, "MAIL FROM:<a@a.test> BY=999999999;NT\r\n"},
	     {S, "550 5.7.1 no\r\n"}, {C, "RSET\r\n"}, OK,
	     {C, "MAIL FROM:<a@a.test> BY=-999999999;N\r\n"}, {S, "550 5.7.1 no\r\n"}, BYE);
	assert_verdict(0, OUT_PERM, 550, "5.7.1");
	assert_verdict(2, OUT_PERM, 0, "5.3.3");
}

static void a_server_that_returns_nothing_late(void **state)
{
	(void)state;
	struct out_mail m[] = {MAIL_TO("x", RCPT("b@b.test")), MAIL_TO("x", RCPT("b@b.test"))};
	m[0].deliver_by_ms = m[1].deliver_by_ms = UINT64_MAX;
	m[1].flags = DELIVER_BY_NOTIFY;
	PLAY(&PLAIN, m, HELLO(""), {C, "MAIL FROM:<a@a.test>\r\n"}, {S, "550 5.7.1 no\r\n"}, BYE);
	assert_verdict(0, OUT_PERM, 0, "5.3.3");
	assert_verdict(1, OUT_PERM, 550, "5.7.1");
}

static void what_a_server_cannot_take_is_not_sent(void **state)
{
	(void)state;
	struct out_mail m[] = {MAIL_TO("\303\244\n", RCPT("b@b.test")),
			       MAIL_TO("x", RCPT("\303\244@b.test")),
			       MAIL_TO("a\0b", RCPT("b@b.test")),
			       MAIL_TO("x", RCPT("b@b.test")),
			       MAIL_TO("much too long", RCPT("b@b.test")),
			       MAIL_TO("x", RCPT("b\r\nQUIT@b.test")),
			       MAIL_TO("x", RCPT("b@b.test")),
			       MAIL_TO("x", RCPT("b@b.test"), RCPT("c@b.test"), RCPT("d@b.test"))};
	m[2].flags = DELIVER_BINARY;
	m[3].flags = DELIVER_REQUIRETLS;
	m[6].body = &(struct body){.fd = STDERR_FILENO, .size = 1}; /* no sealed memory */
	PLAY(&PLAIN, m,
	     HELLO("250-PIPELINING\r\n250-SIZE 10\r\n250-REQUIRETLS\r\n250-LIMITS RCPTMAX=2 "
		   "MAILMAX=1\r\n"),
	     {C, "MAIL FROM:<a@a.test> SIZE=3\r\nRCPT TO:<b@b.test>\r\nRCPT TO:<c@b.test>\r\n"
		 "DATA\r\n"},
	     {S, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"}, {C, "x\r\n.\r\n"}, OK, BYE);
	static const char *const STATUS[] = {"5.6.3", "5.6.7", "5.6.3", "5.7.30", "5.3.4", "5.1.3"};
	for (size_t i = 0; i < 6; i++)
		assert_verdict(i, OUT_PERM, 0, STATUS[i]);
	assert_verdict(6, OUT_TEMP, 0, "4.3.0");
	assert_verdict(7, OUT_DELIVERED, 250, "2.0.0");
	assert_verdict(9, OUT_TEMP, 0, "4.5.3");
	assert_end(OUT_FULL);
}

static void binary_goes_in_a_chunk(void **state)
{
	(void)state;
	struct out_mail m[] = {MAIL_TO("a\nb\rc\n", RCPT("b@b.test")),
			       MAIL_TO("x\r\n", RCPT("b@b.test"))};
	m[0].flags = DELIVER_BINARY;
	PLAY(&PLAIN, m, HELLO("250-CHUNKING\r\n250-BINARYMIME\r\n"),
	     {C, "MAIL FROM:<a@a.test> BODY=BINARYMIME\r\n"}, OK, {C, "RCPT TO:<b@b.test>\r\n"}, OK,
	     {C, "BDAT 6 LAST\r\na\nb\rc\n"}, {S, "554 5.6.0 no\r\n"}, {C, "RSET\r\n"}, OK,
	     {C, "MAIL FROM:<a@a.test>\r\n"}, OK, {C, "RCPT TO:<b@b.test>\r\n"}, {S, "550 no\r\n"},
	     BYE);
	assert_verdict(0, OUT_PERM, 554, "5.6.0");
	assert_verdict(1, OUT_PERM, 550, "5.0.0");
}

/* RFC 3030 3: to a server without BINARYMIME, or without CHUNKING. */
static void binary_that_is_text_goes_as_text(void **state)
{
	(void)state;
	struct out_mail m[] = {MAIL_TO(".x\r\n", RCPT("b@b.test")),
			       MAIL_TO("\xc3\xa4\r\n", RCPT("b@b.test")),
			       MAIL_TO("a\nb\r\n", RCPT("b@b.test"))};
	for (int i = 0; i < 3; i++)
		m[i].flags = DELIVER_BINARY;
	PLAY(&PLAIN, m, HELLO("250-BINARYMIME\r\n250-8BITMIME\r\n"),
	     {C, "MAIL FROM:<a@a.test>\r\n"}, OK, {C, "RCPT TO:<b@b.test>\r\n"}, OK,
	     {C, "DATA\r\n"}, {S, "354 go\r\n"}, {C, "..x\r\n.\r\n"}, OK,
	     {C, "MAIL FROM:<a@a.test> BODY=8BITMIME\r\n"}, OK, {C, "RCPT TO:<b@b.test>\r\n"}, OK,
	     {C, "DATA\r\n"}, {S, "354 go\r\n"}, {C, "\xc3\xa4\r\n.\r\n"}, OK, BYE);
	assert_verdict(0, OUT_DELIVERED, 250, "2.0.0");
	assert_verdict(1, OUT_DELIVERED, 250, "2.0.0");
	assert_verdict(2, OUT_PERM, 0, "5.6.3");
}

static void helo_when_ehlo_is_not_known(void **state)
{
	(void)state;
	const struct out_mail m[] = {MAIL_TO("x\r\n", RCPT("b@b.test"))};
	PLAY(&PLAIN, m, {S, "220 old\r\n"}, {C, "EHLO a.test\r\n"}, {S, "502 what?\r\n"},
	     {C, "HELO a.test\r\n"}, {S, "250 old\r\n"}, {C, "MAIL FROM:<a@a.test>\r\n"}, OK,
	     {C, "RCPT TO:<b@b.test>\r\n"}, {S, "251 moved\r\n"}, {C, "DATA\r\n"},
	     {S, "354 go\r\n"}, {C, "x\r\n.\r\n"}, OK, BYE);
	assert_verdict(0, OUT_DELIVERED, 250, "2.0.0");
}

static void lmtp_answers_for_each(void **state)
{
	(void)state;
	const struct out_mail m[] = {MAIL_TO("x\r\n", RCPT("b@b.test"), RCPT("c@b.test"),
					     RCPT("d@b.test"), RCPT("e@b.test"))};
	PLAY(&LMTP, m, {S, "220 mx\r\n"}, {C, "LHLO a.test\r\n"},
	     {S, "250-mx\r\n250 PIPELINING\r\n"},
	     {C, "MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nRCPT TO:<c@b.test>\r\n"
		 "RCPT TO:<d@b.test>\r\nRCPT TO:<e@b.test>\r\nDATA\r\n"},
	     {S, "250 ok\r\n250 ok\r\n550 5.1.1 no d\r\n250 ok\r\n250 ok\r\n354 go\r\n"},
	     {C, "x\r\n.\r\n"}, {S, "250 2.1.5 b\r\n452 4.2.2 e is full\r\n"},
	     {S, "550 5.7.1 d\r\n"}, BYE);
	assert_verdict(0, OUT_DELIVERED, 250, "2.1.5");
	assert_verdict(1, OUT_PERM, 550, "5.1.1");
	assert_verdict(2, OUT_TEMP, 452, "4.2.2");
	assert_verdict(3, OUT_PERM, 550, "5.7.1");
}

/* A message of some megabytes, out of a sealed memory file, whose dots stand at all places of a
 * block, to a server that takes it slowly enough for the client to wait. */
static void a_large_message_arrives_whole(void **state)
{
	(void)state;
	enum { LINES = 150000 };
	struct buf text = {0}, want = {0};
	for (int i = 0; i < LINES; i++) {
		const char *line = i % 3 ? ".x234567890\n" : "no dot\r\n";
		buf_adds(&text, line);
		if (*line == '.')
			buf_addc(&want, '.');
		buf_add(&want, line, strcspn(line, "\r\n"));
		buf_adds(&want, "\r\n");
	}
	buf_adds(&want, ".\r\n");
	int fd = memfd_create("mail", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, text.p, text.len), text.len);
	fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	struct body body = {.fd = fd, .size = text.len};
	struct out_mail m[] = {MAIL_TO("", RCPT("b@b.test"))};
	m[0].body = &body;
	PLAY(&PLAIN, m, HELLO(""), {C, "MAIL FROM:<a@a.test>\r\n"}, OK,
	     {C, "RCPT TO:<b@b.test>\r\n"}, OK, {C, "DATA\r\n"}, {S, "354 go\r\n"},
	     {C, buf_cstr(&want)}, OK, BYE);
	assert_verdict(0, OUT_DELIVERED, 250, "2.0.0");
	close(fd);
	buf_free(&text);
	buf_free(&want);
}

static void an_empty_message_is_one(void **state)
{
	(void)state;
	const struct out_mail m[] = {MAIL_TO("", RCPT("b@b.test"))};
	PLAY(&PLAIN, m, HELLO(""), {C, "MAIL FROM:<a@a.test>\r\n"}, OK,
	     {C, "RCPT TO:<b@b.test>\r\n"}, OK, {C, "DATA\r\n"}, {S, "354 go\r\n"}, {C, ".\r\n"},
	     OK, BYE);
	assert_verdict(0, OUT_DELIVERED, 250, "2.0.0");
}

static void closing_in_a_transaction_is_silent(void **state)
{
	(void)state;
	const struct out_mail m[] = {MAIL_TO("x", RCPT("b@b.test"))};
	const struct act script[] = {HELLO("250-PIPELINING\r\n"), {END, NULL}};
	play(&PLAIN, m, 1, script, true);
	assert_int_equal(seen.done, 0);
	assert_int_equal(seen.ends, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_step_at_a_time),
	    cmocka_unit_test(all_commands_leave_at_once),
	    cmocka_unit_test(pipelined_refusals),
	    cmocka_unit_test(every_step_may_be_refused),
	    cmocka_unit_test(extensions_are_used),
	    cmocka_unit_test(utf8_is_said_where_it_is_needed),
	    cmocka_unit_test(the_time_to_deliver_in_goes_along),
	    cmocka_unit_test(a_server_that_returns_nothing_late),
	    cmocka_unit_test(what_a_server_cannot_take_is_not_sent),
	    cmocka_unit_test(binary_goes_in_a_chunk),
	    cmocka_unit_test(binary_that_is_text_goes_as_text),
	    cmocka_unit_test(helo_when_ehlo_is_not_known),
	    cmocka_unit_test(lmtp_answers_for_each),
	    cmocka_unit_test(a_large_message_arrives_whole),
	    cmocka_unit_test(an_empty_message_is_one),
	    cmocka_unit_test(closing_in_a_transaction_is_silent),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, seen_free);
}
