/* Notices as they are written: whole ones, byte by byte, and what our parser reads in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "libcommon/mail/mime.h"
#include "smtpd/notice.h"

#define T0   UINT64_C(1795521600000) /* Tue, 24 Nov 2026 12:00:00 +0000 */
#define HOUR UINT64_C(3600000)

static struct row_owed_rcpt rcpt[4];
static struct row_owed item;
static uint64_t until[4];
static struct notice_item n;
static struct buf out;
static uint32_t flags;

static int scene(void **state)
{
	(void)state;
	rcpt[0] = (struct row_owed_rcpt){.owed = NOTICE_FAILED,
					 .addr = SLICE("bob@b.test"),
					 .attempts = 1,
					 .code = 550,
					 .status = SLICE("5.1.1"),
					 .host = SLICE("mx.b.test"),
					 .text = SLICE("no such user"),
					 .changed_ms = T0 + HOUR};
	for (int i = 1; i < 4; i++)
		rcpt[i] = rcpt[0];
	item = (struct row_owed){.item = 1,
				 .id = SLICE("m1"),
				 .sender = SLICE("alice@a.test"),
				 .created_ms = T0,
				 .rcpts = rcpt,
				 .rcpts_n = 1};
	memset(until, 0, sizeof(until));
	n = (struct notice_item){.item = &item,
				 .until_ms = until,
				 .hostname = "mx.a.test",
				 .from = "mailer-daemon@mx.a.test",
				 .id = "0123456789abcdef",
				 .now_ms = T0 + 2 * HOUR,
				 .full_size = 50000,
				 .original = SLICE("From: Alice <alice@a.test>\r\n"
						   "To: bob@b.test\r\n"
						   "Subject: Hello\r\n"
						   "Message-ID: <1@a.test>\r\n"
						   "\r\n"
						   "Are you there?\r\n")};
	return 0;
}

static const char *compose(void)
{
	buf_free(&out);
	flags = notice_compose(&n, &out);
	return buf_cstr(&out);
}

static void has(const char *text)
{
	if (!strstr(buf_cstr(&out), text))
		fail_msg("\"%s\" is not in:\n%s", text, buf_cstr(&out));
}

static void has_not(const char *text)
{
	if (strstr(buf_cstr(&out), text))
		fail_msg("\"%s\" is in:\n%s", text, buf_cstr(&out));
}

/* The three parts as our parser sees them; the text is of this type. */
static struct slice part(int i, const char *type, const char *subtype)
{
	static struct pool *pool;
	struct mime m;
	pool_free(&pool);
	pool = pool_new(0);
	mime_parse(pool, buf_slice(&out), &m);
	assert_true(mime_is(m.root, "multipart", "report"));
	const struct mime_part *p = m.root->child;
	assert_true(p && p->next && p->next->next && !p->next->next->next);
	while (i--)
		p = p->next;
	if (!mime_is(p, type, subtype))
		fail_msg("part is not %s/%s:\n%s", type, subtype, buf_cstr(&out));
	struct slice text = {out.p + p->body, p->end - p->body};
	pool_free(&pool);
	return text;
}

#define HEAD(subject)                                                                     \
	"Received: by mx.a.test id 0123456789abcdef; Tue, 24 Nov 2026 14:00:00 +0000\r\n" \
	"Date: Tue, 24 Nov 2026 14:00:00 +0000\r\n"                                       \
	"From: Mail Delivery System <mailer-daemon@mx.a.test>\r\n"                        \
	"To: <alice@a.test>\r\n"                                                          \
	"Subject: " subject ": Hello\r\n"                                                 \
	"Message-ID: <0123456789abcdef@mx.a.test>\r\n"                                    \
	"In-Reply-To: <1@a.test>\r\n"                                                     \
	"References: <1@a.test>\r\n"                                                      \
	"Auto-Submitted: auto-replied\r\n"                                                \
	"MIME-Version: 1.0\r\n"                                                           \
	"Content-Type: multipart/report; report-type=delivery-status;\r\n"                \
	" boundary=\"=_0123456789abcdef\"\r\n"                                            \
	"\r\n--=_0123456789abcdef\r\n"                                                    \
	"Content-Type: text/plain; charset=us-ascii\r\n"                                  \
	"Content-Description: Notice\r\n"                                                 \
	"\r\n"                                                                            \
	"This is the mail system at mx.a.test, about the message that you sent:\r\n"      \
	"\r\n"                                                                            \
	"  Subject:  Hello\r\n"                                                           \
	"  Accepted: Tue, 24 Nov 2026 12:00:00 +0000\r\n"                                 \
	"\r\n"
#define REPORT                                              \
	"\r\nThe header of the message is attached.\r\n"    \
	"\r\n--=_0123456789abcdef\r\n"                      \
	"Content-Type: message/delivery-status\r\n"         \
	"Content-Description: Delivery report\r\n"          \
	"\r\n"                                              \
	"Reporting-MTA: dns; mx.a.test\r\n"                 \
	"Arrival-Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n" \
	"\r\n"
#define HEADERS                                          \
	"\r\n--=_0123456789abcdef\r\n"                   \
	"Content-Type: text/rfc822-headers\r\n"          \
	"Content-Description: Header of the message\r\n" \
	"\r\n"                                           \
	"From: Alice <alice@a.test>\r\n"                 \
	"To: bob@b.test\r\n"                             \
	"Subject: Hello\r\n"                             \
	"Message-ID: <1@a.test>\r\n"                     \
	"\r\n--=_0123456789abcdef--\r\n"

static void a_failure(void **state)
{
	(void)state;
	assert_string_equal(
	    compose(),
	    HEAD("Not delivered") "It could not be delivered to the following recipients, and will "
				  "not be tried\r\n"
				  "again for them.\r\n"
				  "\r\n"
				  "  bob@b.test\r\n"
				  "      The server mx.b.test answered:\r\n"
				  "        550 5.1.1 no such user\r\n" REPORT
				  "Final-Recipient: rfc822; bob@b.test\r\n"
				  "Action: failed\r\n"
				  "Status: 5.1.1\r\n"
				  "Remote-MTA: dns; mx.b.test\r\n"
				  "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
				  "Last-Attempt-Date: Tue, 24 Nov 2026 13:00:00 +0000\r\n" HEADERS);
	assert_int_equal(flags, 0);
}

static void a_delay(void **state)
{
	(void)state;
	rcpt[0].owed = NOTICE_DELAYED;
	rcpt[0].code = 0;
	rcpt[0].status = SLICE("4.4.1");
	rcpt[0].text = SLICE("192.0.2.1: Connection refused");
	rcpt[0].due_ms = T0 + 3 * HOUR;
	until[0] = T0 + 120 * HOUR;
	assert_string_equal(
	    compose(),
	    HEAD("Delayed") "It could not be delivered yet to the following recipients. It will be "
			    "tried\r\n"
			    "again; you need not do anything.\r\n"
			    "\r\n"
			    "  bob@b.test\r\n"
			    "      The server mx.b.test could not be used:\r\n"
			    "        192.0.2.1: Connection refused\r\n"
			    "      The next attempt is at Tue, 24 Nov 2026 15:00:00 +0000.\r\n"
			    "      It will be tried until Sun, 29 Nov 2026 12:00:00 "
			    "+0000.\r\n" REPORT "Final-Recipient: rfc822; bob@b.test\r\n"
			    "Action: delayed\r\n"
			    "Status: 4.4.1\r\n"
			    "Remote-MTA: dns; mx.b.test\r\n"
			    "Diagnostic-Code: x-hamlet; 192.0.2.1: Connection refused\r\n"
			    "Last-Attempt-Date: Tue, 24 Nov 2026 13:00:00 +0000\r\n"
			    "Will-Retry-Until: Sun, 29 Nov 2026 12:00:00 +0000\r\n" HEADERS);
}

static void a_success(void **state)
{
	(void)state;
	rcpt[0] = (struct row_owed_rcpt){.owed = NOTICE_DELIVERED,
					 .addr = SLICE("bob@b.test"),
					 .orcpt = SLICE("rfc822;info+2B1@b.test"),
					 .changed_ms = T0 + HOUR};
	item.envid = SLICE("QQ+3D1+20x");
	assert_string_equal(
	    compose(),
	    HEAD("Delivered") "It was delivered to the following recipients.\r\n"
			      "\r\n"
			      "  bob@b.test\r\n"
			      "      You wrote to info+1@b.test.\r\n"
			      "\r\nThe header of the message is attached.\r\n"
			      "\r\n--=_0123456789abcdef\r\n"
			      "Content-Type: message/delivery-status\r\n"
			      "Content-Description: Delivery report\r\n"
			      "\r\n"
			      "Original-Envelope-Id: QQ=1 x\r\n"
			      "Reporting-MTA: dns; mx.a.test\r\n"
			      "Arrival-Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n"
			      "\r\n"
			      "Original-Recipient: rfc822;info+1@b.test\r\n"
			      "Final-Recipient: rfc822; bob@b.test\r\n"
			      "Action: delivered\r\n"
			      "Status: 2.0.0\r\n"
			      "Last-Attempt-Date: Tue, 24 Nov 2026 13:00:00 +0000\r\n" HEADERS);
}

static void all_kinds_in_one(void **state)
{
	static const enum notice KIND[] = {NOTICE_DELIVERED, NOTICE_RELAYED, NOTICE_DELAYED,
					   NOTICE_FAILED};
	(void)state;
	for (int i = 0; i < 4; i++) {
		rcpt[i].owed = KIND[i];
		rcpt[i].status = SLICE("");
	}
	rcpt[1].host = SLICE("192.0.2.7");
	rcpt[2].host = SLICE("2001:db8::1");
	item.rcpts_n = 4;
	compose();
	has("Subject: Not delivered: Hello\r\n");
	has("Action: delivered\r\nStatus: 2.0.0\r\n");
	has("Action: relayed\r\nStatus: 2.0.0\r\nRemote-MTA: dns; [192.0.2.7]\r\n");
	has("Action: delayed\r\nStatus: 4.0.0\r\nRemote-MTA: dns; [IPv6:2001:db8::1]\r\n");
	has("Action: failed\r\nStatus: 5.0.0\r\nRemote-MTA: dns; mx.b.test\r\n");
	has("      It was handed to 192.0.2.7.\r\n");
	item.rcpts_n = 3;
	compose();
	has("Subject: Delayed: Hello\r\n");
	item.rcpts_n = 2;
	compose();
	has("Subject: Relayed: Hello\r\n");
	rcpt[0].owed = NOTICE_EXPANDED;
	item.rcpts_n = 1;
	compose();
	has("Subject: Delivered: Hello\r\n");
	has("Action: expanded\r\nStatus: 2.0.0\r\n");
	has("It was accepted for the following addresses, each of which is");
}

static void a_status_fits_its_action(void **state)
{
	static const struct {
		const char *status;
		enum notice kind;
		const char *is;
	} CASE[] = {
	    {"4.4.7", NOTICE_FAILED, "4.4.7"},    {"2.0.0", NOTICE_FAILED, "5.0.0"},
	    {"5.1.1", NOTICE_DELAYED, "4.0.0"},   {"4.2.2", NOTICE_DELAYED, "4.2.2"},
	    {"5.1", NOTICE_FAILED, "5.0.0"},      {"5..1", NOTICE_FAILED, "5.0.0"},
	    {"5.1.", NOTICE_FAILED, "5.0.0"},     {"5.1.1.1", NOTICE_FAILED, "5.0.0"},
	    {"5.x.1", NOTICE_FAILED, "5.0.0"},    {"55.1.1", NOTICE_FAILED, "5.0.0"},
	    {"2.1.5", NOTICE_RELAYED, "2.1.5"},   {"5.123.456", NOTICE_FAILED, "5.123.456"},
	    {"5.0.0", NOTICE_DELIVERED, "2.0.0"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(CASE) / sizeof(CASE[0]); i++) {
		char want[40];
		rcpt[0].status = slice_of(CASE[i].status);
		rcpt[0].owed = CASE[i].kind;
		compose();
		str_fmt(want, sizeof(want), "\r\nStatus: %s\r\n", CASE[i].is);
		has(want);
	}
}

static void after_many_delays(void **state)
{
	(void)state;
	rcpt[0].code = 450;
	rcpt[0].status = SLICE("5.2.1");
	rcpt[0].text = SLICE("later");
	rcpt[0].attempts = 12;
	compose();
	has("\r\nStatus: 5.2.1\r\n");
	has("\r\nDiagnostic-Code: smtp; 450 4.2.1 later\r\n");
	has("      It was tried 12 times, the last time at Tue, 24 ");
	rcpt[0].status = SLICE("5.4.7"); /* the server had none */
	compose();
	has("\r\nStatus: 5.4.7\r\n");
	has("\r\nDiagnostic-Code: smtp; 450 later\r\n");
	has("        450 later\r\n");
}

static void the_whole_message(void **state)
{
	(void)state;
	item.flags = DELIVER_RET_FULL;
	compose();
	assert_true(slice_eq(part(2, "message", "rfc822"), n.original));
	has("\r\nThe message is attached.\r\n");
	n.full_size = n.original.len - 1;
	compose();
	has_not("Are you there");
	part(2, "text", "rfc822-headers");
	n.full_size = 50000;
	rcpt[0].owed = NOTICE_DELIVERED; /* RFC 3461 6.2 */
	compose();
	part(2, "text", "rfc822-headers");
	rcpt[0].owed = NOTICE_FAILED;
	item.flags |= DELIVER_REQUIRETLS; /* RFC 8689 5 */
	compose();
	part(2, "text", "rfc822-headers");
	assert_int_equal(flags, DELIVER_REQUIRETLS);
}

static void a_message_that_cannot_go_along(void **state)
{
	static char big[5000];
	static const char HEAD[] = "Subject: Hello\r\n\r\n";
	(void)state;
	item.flags = DELIVER_RET_FULL;
	memset(big, 'x', sizeof(big));
	memcpy(big, HEAD, sizeof(HEAD) - 1);
	n.original = (struct slice){big, sizeof(HEAD) - 1 + 998};
	compose();
	assert_int_equal(part(2, "message", "rfc822").len, n.original.len + 2);
	n.original.len++;
	compose();
	part(2, "text", "rfc822-headers");
	n.original = (struct slice){"Subject: Hello\r\n\r\nx\0y", 20};
	compose();
	part(2, "text", "rfc822-headers");
	n.original = SLICE("Subject: Hello\n\nbare\rones\n");
	compose();
	assert_true(
	    slice_eqs(part(2, "message", "rfc822"), "Subject: Hello\r\n\r\nbare\r\nones\r\n"));
	n.original = SLICE("");
	compose();
	assert_int_equal(part(2, "text", "rfc822-headers").len, 0);
	has("Subject: Not delivered: your message\r\n");
	has_not("attached");
}

static void eight_bit(void **state)
{
	(void)state;
	item.flags = DELIVER_RET_FULL | DELIVER_8BIT;
	n.original = SLICE("Subject: Hello\r\n\r\nGr\xc3\xbc\xc3\x9f\x65\r\n");
	compose();
	part(2, "message", "rfc822");
	has("MIME-Version: 1.0\r\n");
	has(" boundary=\"=_0123456789abcdef\"\r\nContent-Transfer-Encoding: 8bit\r\n");
	has("Content-Description: Message\r\nContent-Transfer-Encoding: 8bit\r\n");
	assert_int_equal(flags, DELIVER_8BIT);
	/* A header in something that is no UTF-8. */
	n.original = SLICE("Subject: Gr\xfc\xdf\x65\r\n\r\nx\r\n");
	compose();
	part(2, "message", "rfc822");
	item.flags = 0;
	compose();
	assert_true(slice_eqs(part(2, "text", "rfc822-headers"), "Subject: Gr??e\r\n"));
	assert_int_equal(flags, DELIVER_8BIT); /* the text for people has it right */
	has("  Subject:  Gr\xc3\xbc\xc3\x9f\x65\r\n");
}

static void international(void **state)
{
	(void)state;
	item.flags = DELIVER_SMTPUTF8 | DELIVER_RET_FULL;
	item.sender = SLICE("\xc3\xa4@a.test");
	rcpt[0].addr = SLICE("\xc3\xb6@b.test");
	rcpt[0].orcpt = SLICE("utf-8;\\x{FC}\\x{2B}\\x{1F600}@b.test");
	rcpt[0].text = SLICE("n\xc3\xb6");
	n.original = SLICE("Subject: \xc3\xa4\xc3\xb6\r\n\r\nx\r\n");
	compose();
	assert_int_equal(flags, DELIVER_8BIT | DELIVER_SMTPUTF8);
	has("\r\nTo: <\xc3\xa4@a.test>\r\n");
	has("\r\nSubject: Not delivered: your message\r\n");
	part(1, "message", "global-delivery-status");
	has("\r\nFinal-Recipient: utf-8; \xc3\xb6@b.test\r\n");
	has("\r\nOriginal-Recipient: utf-8;\xc3\xbc+\xf0\x9f\x98\x80@b.test\r\n");
	has("\r\nDiagnostic-Code: smtp; 550 5.1.1 n\xc3\xb6\r\n");
	part(2, "message", "global");
	item.flags = 0;
	compose();
	part(2, "message", "global-headers");
	/* Without such addresses part 2 stays ASCII. */
	rcpt[0].addr = SLICE("o@b.test");
	rcpt[0].orcpt = SLICE("utf-8;o@b.test");
	compose();
	assert_true(str_ascii(part(1, "message", "delivery-status")));
	has("\r\nOriginal-Recipient: utf-8;o@b.test\r\n");
	has("\r\nDiagnostic-Code: smtp; 550 5.1.1 n?\r\n");
	has("        550 5.1.1 n\xc3\xb6\r\n");
}

static void odd_original_recipients(void **state)
{
	static const struct {
		const char *orcpt, *is;
	} CASE[] = {
	    {"rfc822;a+zz@b", "rfc822;a+zz@b"},      {"utf-8;a\\x{110000}b", "utf-8;a\\x{110000}b"},
	    {"utf-8;a\\x{}b", "utf-8;a\\x{}b"},      {"utf-8;a\\x{41", "utf-8;a\\x{41"},
	    {"utf-8;a\\x{0D}\\x{0A}b", "utf-8;a b"}, {"rfc822;a+0D+0ABcc:+20x", "rfc822;a Bcc: x"},
	    {"x400;c=us+3Ba=x", "x400;c=us+3Ba=x"},  {"x400;c+3Dus", "x400;c=us"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(CASE) / sizeof(CASE[0]); i++) {
		char want[100];
		rcpt[0].orcpt = slice_of(CASE[i].orcpt);
		compose();
		str_fmt(want, sizeof(want), "\r\nOriginal-Recipient: %s\r\n", CASE[i].is);
		has(want);
	}
	rcpt[0].orcpt = SLICE("rfc822;");
	compose();
	has_not("Original-Recipient");
}

static void words_of_strangers(void **state)
{
	(void)state;
	rcpt[0].text =
	    SLICE("first\r\nBcc: evil@b.test\n\n--=_0123456789abcdef\n\x1b[2J\x07 \xc2\x85\xff");
	rcpt[0].host = SLICE("mx\r\nSubject: x");
	compose();
	has("        550 5.1.1 first\r\n        550 5.1.1 Bcc: evil@b.test\r\n");
	has("550 5.1.1 ?[2J? ???\r\n");
	has(" boundary=\"=_0123456789abcdef_1\"\r\n");
	has("\r\nRemote-MTA: dns; mx Subject: x\r\n");
	has_not("\r\nBcc:");
	part(0, "text", "plain");
	/* Of a mailing that goes on and on, and of one word. */
	static char big[100000];
	memset(big, 'x', sizeof(big));
	rcpt[0].text = (struct slice){big, sizeof(big)};
	rcpt[0].addr = rcpt[0].host = rcpt[0].status = rcpt[0].orcpt = rcpt[0].text;
	item.sender = item.envid = rcpt[0].text;
	n.original = rcpt[0].text;
	compose();
	assert_true(out.len < 30000);
	struct slice text = buf_slice(&out);
	while (text.len)
		assert_true(slice_cut(&text, '\n').len <= NOTICE_LINE + 1);
	part(1, "message", "delivery-status");
}

static void the_header_is_bounded_and_clean(void **state)
{
	static char big[70000];
	(void)state;
	n.original = SLICE(
	    "From x y\r\nTo: a\r\n\tb\r\n \r\n c\x07\r\ngarbage\r\nX: \xc3\xa4\rY: z\r\n\r\nbody");
	compose();
	assert_true(slice_eqs(part(2, "message", "global-headers"),
			      "To: a\r\n b\r\n c?\r\nX: \xc3\xa4 Y: z\r\n"));
	memset(big, 'x', sizeof(big));
	static const char FRONT[] = {'A', ':', '1', '\n', 'B', ':'};
	static const char END[] = {'\n', 'C', ':', '3', '\n', '\n'};
	memcpy(big, FRONT, sizeof(FRONT));
	memcpy(big + 60000, END, sizeof(END));
	n.original = (struct slice){big, sizeof(big)};
	compose();
	assert_true(slice_eqs(part(2, "text", "rfc822-headers"), "A:1\r\n"));
	n.full_size = 65000;
	compose();
	struct slice text = part(2, "text", "rfc822-headers");
	assert_true(text.len > 60000 && text.len < 61000);
	while (text.len)
		assert_true(slice_cut(&text, '\n').len <= NOTICE_LINE + 1);
}

static void its_place_in_the_thread(void **state)
{
	(void)state;
	n.original =
	    SLICE("Message-ID: <1@a.test>\r\nReferences: <0@a.test> junk\r\n <00@a.test>\r\n\r\n");
	compose();
	has("\r\nIn-Reply-To: <1@a.test>\r\nReferences: <0@a.test> <00@a.test> <1@a.test>\r\n");
	assert_true(slice_starts(buf_slice(&out), "Received: by mx.a.test id "));
	n.local = true;
	compose();
	assert_true(slice_starts(buf_slice(&out), "Return-Path: <>\r\nReceived: by "));
	n.original = SLICE("Message-ID: <1@a.test> <2@a.test>\r\n\r\n");
	compose();
	has_not("\r\nIn-Reply-To:");
	n.original = SLICE("Subject: =?utf-8?q?=C3=A4?=\r\n =?utf-8?q?=C3=B6?=\r\n\r\n");
	compose();
	has("\r\nSubject: Not delivered: =?utf-8?q?=C3=A4?= =?utf-8?q?=C3=B6?=\r\n");
	has("\r\n  Subject:  \xc3\xa4\xc3\xb6\r\n");
}

static void in_the_time_asked_for(void **state)
{
	(void)state;
	item.deliver_by_ms = T0 + HOUR;
	compose();
	has("\r\nArrival-Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n"
	    "Deliver-By-Date: Tue, 24 Nov 2026 13:00:00 +0000\r\n");
	has("      You asked for it to be delivered by Tue, 24 Nov 2026 13:00:00 +0000,\r\n"
	    "      or not at all.\r\n");
	rcpt[0].owed = NOTICE_DELAYED;
	compose();
	has_not("You asked");
	item.flags = DELIVER_BY_NOTIFY;
	compose();
	has("      You asked to be told when it was not delivered by Tue, 24 Nov 2026\r\n"
	    "      13:00:00 +0000.\r\n");
	item.deliver_by_ms = T0 + 3 * HOUR;
	compose();
	has_not("You asked");
}

#define T(f) cmocka_unit_test_setup(f, scene)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_failure),
	    T(a_delay),
	    T(a_success),
	    T(all_kinds_in_one),
	    T(a_status_fits_its_action),
	    T(after_many_delays),
	    T(the_whole_message),
	    T(a_message_that_cannot_go_along),
	    T(eight_bit),
	    T(international),
	    T(odd_original_recipients),
	    T(words_of_strangers),
	    T(the_header_is_bounded_and_clean),
	    T(its_place_in_the_thread),
	    T(in_the_time_asked_for),
	};
	setenv("TZ", "UTC", 1);
	tzset();
	int failed = cmocka_run_group_tests_name("smtpd_notice", tests, NULL, NULL);
	buf_free(&out);
	return failed;
}
