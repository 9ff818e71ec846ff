/* Parameters of MAIL and RCPT, and the fields that are added to a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "smtpd/smtpd.h"

static unsigned code(const char *args, unsigned which, struct mail_params *p)
{
	const struct reply *r = params_parse(slice_of(args), which, p);
	return r ? r->code : 0;
}

static void mail_parameters(void **state)
{
	struct mail_params p;
	(void)state;
	assert_int_equal(code("", PARAM_MAIL, &p), 0);
	assert_int_equal(p.seen, 0);
	assert_int_equal(
	    code("SIZE=123 body=8bitmime SMTPUTF8 RET=HDRS ENVID=a+2Bb AUTH=<>", PARAM_MAIL, &p),
	    0);
	assert_int_equal(p.size, 123);
	assert_true(p.utf8);
	assert_int_equal(p.flags, DELIVER_8BIT | DELIVER_SMTPUTF8 | DELIVER_RET_HDRS);
	assert_true(slice_eqs(p.envid, "a+2Bb"));
	assert_int_equal(code("BODY=BINARYMIME RET=FULL", PARAM_MAIL, &p), 0);
	assert_true(p.binary);
	assert_int_equal(p.flags, DELIVER_8BIT | DELIVER_BINARY | DELIVER_RET_FULL);
}

static void times(void **state)
{
	struct mail_params p;
	(void)state;
	assert_int_equal(code("HOLDFOR=3600 by=+7200;rt", PARAM_MAIL, &p), 0);
	assert_int_equal(p.hold_for_ms, 3600000);
	assert_int_equal(p.hold_until_ms, 0);
	assert_true(p.has_by);
	assert_int_equal(p.by_ms, 7200000);
	assert_int_equal(p.flags, DELIVER_BY_TRACE);
	assert_int_equal(code("HOLDUNTIL=2026-11-24T13:00:00+01:00 BY=-5;N", PARAM_MAIL, &p), 0);
	assert_int_equal(p.hold_until_ms, 1795521600000);
	assert_int_equal(p.by_ms, -5000);
	assert_int_equal(p.flags, DELIVER_BY_NOTIFY);
	assert_int_equal(code("REQUIRETLS", PARAM_MAIL, &p), 0);
	assert_int_equal(p.flags, DELIVER_REQUIRETLS);
}

static void bad_mail_parameters(void **state)
{
	struct mail_params p;
	(void)state;
	static const char *const BAD[] = {
	    "SIZE=",
	    "SIZE",
	    "SIZE=1x",
	    "SIZE=-1",
	    "SIZE=99999999999999999999",
	    "BODY=9BIT",
	    "SMTPUTF8=",
	    "SMTPUTF8=yes",
	    "RET=ALL",
	    "ENVID=",
	    "ENVID=a+zz",
	    "AUTH=",
	    "SIZE=1 SIZE=1",
	    "RET=FULL RET=FULL",
	    "ENVID=a+0D+0Ab",
	    "ENVID=a+C3+A4",
	    "HOLDFOR=",
	    "HOLDFOR=0",
	    "HOLDFOR=-1",
	    "HOLDFOR=1000000000",
	    "HOLDFOR=60 HOLDFOR=60",
	    "HOLDFOR=60 HOLDUNTIL=2026-11-24T12:00:00Z",
	    "HOLDUNTIL=2026-11-24T12:00:00Z HOLDFOR=60",
	    "HOLDUNTIL=tomorrow",
	    "HOLDUNTIL=2026-11-24",
	    "HOLDUNTIL=1960-11-24T12:00:00Z",
	    "BY=60",
	    "BY=;R",
	    "BY=60;",
	    "BY=60;X",
	    "BY=60;T",
	    "BY=60;RX",
	    "BY=60;RTT",
	    "BY=0;R",
	    "BY=-1;R",
	    "BY=+-1;N",
	    "BY=1000000000;N",
	    "REQUIRETLS=",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_int_equal(code(BAD[i], PARAM_MAIL, &p), 501);
	assert_int_equal(code("NOTIFY=NEVER", PARAM_MAIL, &p), 555);
	assert_int_equal(code("XYZ=1", PARAM_MAIL, &p), 555);
}

static void rcpt_parameters(void **state)
{
	struct mail_params p;
	(void)state;
	assert_int_equal(code("NOTIFY=SUCCESS,delay ORCPT=rfc822;a@b+2Ec", PARAM_RCPT, &p), 0);
	assert_int_equal(p.notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	assert_true(slice_eqs(p.orcpt, "rfc822;a@b+2Ec"));
	assert_int_equal(code("NOTIFY=NEVER", PARAM_RCPT, &p), 0);
	assert_int_equal(p.notify, NOTIFY_NEVER);
	assert_int_equal(code("ORCPT=utf-8;\xc3\xa4@b", PARAM_RCPT, &p), 0);
}

static void bad_rcpt_parameters(void **state)
{
	struct mail_params p;
	(void)state;
	static const char *const BAD[] = {
	    "NOTIFY=",       "NOTIFY=NEVER,SUCCESS", "NOTIFY=,",         "NOTIFY=SUCCESS,",
	    "NOTIFY=SOME",   "ORCPT=rfc822",         "ORCPT=;a@b",       "ORCPT=rfc822;",
	    "ORCPT=r_c;a@b", "ORCPT=rfc822;a+",      "ORCPT=utf-8;\xff", "ORCPT=rfc822;a+0D+0Ab",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_int_equal(code(BAD[i], PARAM_RCPT, &p), 501);
	assert_int_equal(code("SIZE=1", PARAM_RCPT, &p), 555);
}

/* --- added fields ---------------------------------------------------------------------------- */

static const struct service SERVICE = {.name = "smtp"};
static const struct service LMTP = {.name = "lmtp", .lmtp = true};
static struct rcpt rcpts[2];
static struct txn txn;
static char address[] = "alice@a.test";
static struct login_user user = {.address = address};
static struct session session;

static const char *prefix(const char *head)
{
	static struct buf out;
	buf_free(&out);
	received_prefix(&session, slice_of(head), &out);
	return buf_cstr(&out);
}

static int scene(void **state)
{
	(void)state;
	conf.hostname = "mx.a.test";
	rcpts[0] = (struct rcpt){.given = SLICE("bob@b.test"), .kind = RCPT_LOCAL};
	rcpts[1] = (struct rcpt){.given = SLICE("eve@b.test"), .kind = RCPT_LOCAL};
	pool_free(&txn.pool);
	txn = (struct txn){.id = "abcd",
			   .pool = pool_new(0),
			   .sender = SLICE("x@y.test"),
			   .rcpt = rcpts,
			   .rcpt_n = 1};
	session =
	    (struct session){.service = &SERVICE, .txn = &txn, .esmtp = true, .ip = "192.0.2.1"};
	static char helo[] = "client.test";
	session.helo = helo;
	return 0;
}

static void received_as_esmtp(void **state)
{
	(void)state;
	const char *t = prefix("From: x\r\n\r\nReceived: not a field\r\n");
	assert_non_null(strstr(t, "Return-Path: <x@y.test>\r\nReceived: from client.test\r\n"));
	assert_non_null(strstr(t, "\tby mx.a.test with ESMTP id abcd\r\n\tfor <bob@b.test>; "));
	assert_null(strstr(t, "Date:"));
	assert_null(strstr(t, "Message-ID:"));
	assert_int_equal(txn.hops, 0);
}

static void protocol_names(void **state)
{
	(void)state;
	session.tls = true;
	session.user = &user;
	assert_non_null(strstr(prefix(""), "with ESMTPSA id"));
	txn.utf8 = true;
	assert_non_null(strstr(prefix(""), "with UTF8SMTPSA id"));
	txn.utf8 = session.tls = session.esmtp = false;
	session.user = NULL;
	assert_non_null(strstr(prefix(""), "with SMTP id"));
	session.service = &LMTP;
	assert_non_null(strstr(prefix(""), "with LMTP id"));
}

static void several_recipients_are_not_told(void **state)
{
	(void)state;
	txn.rcpt_n = 2;
	assert_null(strstr(prefix(""), "for <"));
}

static void return_path_only_at_the_end_of_the_way(void **state)
{
	(void)state;
	rcpts[1].kind = RCPT_RELAY;
	txn.rcpt_n = 2;
	assert_null(strstr(prefix(""), "Return-Path"));
}

static void submitted_mail_is_completed(void **state)
{
	(void)state;
	session.user = &user;
	const char *t = prefix("From: x\r\n\r\nDate: in the body\r\n");
	assert_non_null(strstr(t, "\r\nDate: "));
	assert_non_null(strstr(t, "\r\nMessage-ID: <abcd@mx.a.test>\r\n"));
	t = prefix("date: x\r\nMESSAGE-ID: <a@b>\r\n\r\n");
	assert_null(strstr(t, "Date: "));
	assert_null(strstr(t, "Message-ID"));
}

static void authors_are_remembered(void **state)
{
	(void)state;
	session.user = &user;
	prefix("From: Eve <eve@B.test>,\r\n (x) bob\r\n\r\n");
	assert_non_null(txn.authors);
	assert_int_equal(txn.authors->addr.len, 0);
	assert_true(slice_eqs(txn.authors->next->addr, "eve@b.test"));
	assert_null(txn.authors->next->next);
}

static void authors_behind_an_endless_header_are_not_believed(void **state)
{
	(void)state;
	const size_t n = IPC_INLINE_BODY - DATA_HEADROOM; /* as much as is here before the end */
	char *head = mem_alloc(n + 1);
	str_fmt(head, n, "X: ");
	memset(head + 3, 'a', n - 5);
	memcpy(head + n - 2, "\r\n", 2);
	session.user = &user;
	prefix(head);
	assert_non_null(txn.authors);
	assert_int_equal(txn.authors->addr.len, 0);
	txn.authors = NULL;
	memcpy(head + n - 8, "\r\n\r\n", 4);
	prefix(head);
	assert_null(txn.authors);
	free(head);
}

static void hops_are_counted(void **state)
{
	(void)state;
	prefix("Received: a\r\n\tb\r\nX: y\r\nreceived: c\r\n\r\n");
	assert_int_equal(txn.hops, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mail_parameters),
	    cmocka_unit_test(times),
	    cmocka_unit_test(bad_mail_parameters),
	    cmocka_unit_test(rcpt_parameters),
	    cmocka_unit_test(bad_rcpt_parameters),
	    cmocka_unit_test_setup(received_as_esmtp, scene),
	    cmocka_unit_test_setup(protocol_names, scene),
	    cmocka_unit_test_setup(several_recipients_are_not_told, scene),
	    cmocka_unit_test_setup(return_path_only_at_the_end_of_the_way, scene),
	    cmocka_unit_test_setup(submitted_mail_is_completed, scene),
	    cmocka_unit_test_setup(authors_are_remembered, scene),
	    cmocka_unit_test_setup(authors_behind_an_endless_header_are_not_believed, scene),
	    cmocka_unit_test_setup(hops_are_counted, scene),
	};
	int failed = cmocka_run_group_tests_name("smtpd_mail", tests, NULL, NULL);
	pool_free(&txn.pool);
	return failed;
}
