/* Who writes notices, against a store that the test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/store.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/mail/meta.h"
#include "smtpd/notice.h"
#include "smtpd/smtpd.h"

#define HOUR UINT64_C(3600000)

/* --- the store: keeps the question ------------------------------------------------------------ */

static struct {
	bool full;
	unsigned asked;
	enum msg_type type;
	peer_reply_fn *fn, *watch;
	void *arg;
	char worker[40], id[40];
	uint64_t item;
	uint32_t flags, told[4], told_n;
	struct buf text, meta;
} store;

static void keep_notice(const struct msg_queue_notice *m)
{
	struct slice text;
	assert_true(body_map(&m->body, &text) || m->body.fd > 0);
	if (m->body.fd > 0) { /* not sealed here: the frame layer does that */
		char *p = buf_reserve(&store.text, m->body.size);
		assert_int_equal(pread(m->body.fd, p, m->body.size, 0), m->body.size);
		store.text.len = m->body.size;
	} else {
		buf_add_slice(&store.text, text);
	}
	buf_add_slice(&store.meta, m->meta);
	store.flags = m->flags;
	store.told_n = m->rcpts_n;
	for (uint32_t i = 0; i < m->rcpts_n; i++)
		store.told[i] = (uint32_t)m->rcpts[i].rcpt * 10 + m->rcpts[i].owed;
	str_fmt(store.id, sizeof(store.id), "%.*s", SLICE_FMT(m->id));
	assert_int_equal(m->id.len, ID_LEN);
}

static uint32_t stub(struct peer *p, enum msg_type t, const void *msg, peer_reply_fn *fn, void *arg)
{
	const struct msg_notice_claim *claim = msg;
	const struct msg_queue_read *rd = msg;
	const struct msg_queue_notice *notice = msg;
	(void)p;
	if (t == MSG_watch) {
		assert_int_equal(((const struct msg_watch *)msg)->object, QUEUE_WATCH_NOTICE);
		store.watch = fn;
		return 1;
	}
	store.asked++;
	if (store.full)
		return 0;
	assert_null(store.fn);
	store.type = t;
	store.fn = fn;
	store.arg = arg;
	buf_clear(&store.text);
	buf_clear(&store.meta);
	struct slice worker = t == MSG_notice_claim   ? claim->worker
			      : t == MSG_queue_read   ? rd->worker
			      : t == MSG_queue_notice ? notice->worker
						      : slice_of(store.worker);
	if (store.worker[0]) /* the same one always */
		assert_true(slice_eqs(worker, store.worker));
	str_fmt(store.worker, sizeof(store.worker), "%.*s", SLICE_FMT(worker));
	store.item = t == MSG_queue_read ? rd->item : t == MSG_queue_notice ? notice->item : 0;
	if (t == MSG_queue_notice)
		keep_notice(notice);
	return 1;
}

static void answer(enum msg_type t, const void *msg)
{
	peer_reply_fn *fn = store.fn;
	assert_non_null(fn);
	store.fn = NULL;
	fn(store.arg, t, msg);
}

static void answer_error(enum ipc_err e)
{
	struct msg_error m = {.code = e, .text = SLICE("why")};
	answer(MSG_error, &m);
}

static void answer_ok(uint64_t value)
{
	struct msg_ok m = {.value = value};
	answer(MSG_ok, &m);
}

static void answer_sender(uint32_t kind)
{
	struct msg_rcpt_ok m = {.kind = kind, .canonical = SLICE("alice@a.test")};
	answer(MSG_rcpt_ok, &m);
}

static void answer_read(const char *text)
{
	struct msg_message_data m = {.size = strlen(text), .body = {slice_of(text), -1, 0}};
	answer(MSG_message_data, &m);
}

static struct row_owed_rcpt rcpt[2];
static struct row_owed item[3];
static void answer_owed(uint32_t items, uint64_t next_ms)
{
	struct msg_notices_owed m = {.items = item, .items_n = items, .next_due_ms = next_ms};
	answer(MSG_notices_owed, &m);
	/* What was in the frame is gone. */
	memset(item, 0xee, sizeof(item));
	memset(rcpt, 0xee, sizeof(rcpt));
}

/* Turns the loop until the store is asked this. */
static void asked(enum msg_type t)
{
	while (!store.fn)
		uv_run(loop_get(), UV_RUN_ONCE);
	assert_int_equal(store.type, t);
}

/* The item's turn comes: its sender is looked up, then it is read. */
static void read_asked(uint64_t n)
{
	asked(MSG_rcpt_check);
	answer_sender(RCPT_LOCAL);
	asked(MSG_queue_read);
	assert_int_equal(store.item, n);
}

static void has(const char *text)
{
	if (!strstr(buf_cstr(&store.text), text))
		fail_msg("\"%s\" is not in:\n%s", text, buf_cstr(&store.text));
}

/* --- the scene -------------------------------------------------------------------------------- */

static unsigned drained;
static void on_drained(void)
{
	drained++;
}

static void owe(void)
{
	rcpt[0] = (struct row_owed_rcpt){.rcpt = 4,
					 .owed = NOTICE_FAILED,
					 .addr = SLICE("bob@b.test"),
					 .code = 550,
					 .status = SLICE("5.1.1"),
					 .host = SLICE("mx.b.test"),
					 .text = SLICE("no such user"),
					 .changed_ms = clock_ms()};
	rcpt[1] = rcpt[0];
	rcpt[1].rcpt = 5;
	rcpt[1].owed = NOTICE_DELAYED;
	for (uint64_t i = 0; i < 3; i++)
		item[i] = (struct row_owed){.item = i + 1,
					    .id = SLICE("m1"),
					    .sender = SLICE("alice@a.test"),
					    .envid = SLICE("e1"),
					    .created_ms = HOUR,
					    .rcpts = rcpt,
					    .rcpts_n = 2};
}

static int setup(void **state)
{
	(void)state;
	memset(&store, 0, sizeof(store));
	drained = 0;
	conf.notices.full_size = 50000;
	stats.notices = 0;
	owe();
	uplink_use(stub);
	notice_start();
	asked(MSG_notice_claim);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store.full = false;
	notice_drain(on_drained);
	while (!drained) {
		asked(store.type);
		answer_error(ERR_LOST);
	}
	buf_free(&store.text);
	buf_free(&store.meta);
	return 0;
}

/* --- the cases -------------------------------------------------------------------------------- */

static void what_is_owed_is_written(void **state)
{
	char first[40];
	(void)state;
	answer_owed(2, 0);
	read_asked(1);
	answer_read("Subject: Hello\r\n\r\nbody\r\n");
	asked(MSG_queue_notice);
	assert_int_equal(store.item, 1);
	assert_true(store.told_n == 2 && store.told[0] == 40 + NOTICE_FAILED &&
		    store.told[1] == 50 + NOTICE_DELAYED);
	assert_int_equal(store.flags, 0);
	assert_true(slice_starts(buf_slice(&store.text), "Return-Path: <>\r\n"));
	has("From: Mail Delivery System <postmaster@a.test>\r\nTo: <alice@a.test>\r\n");
	has("Subject: Not delivered: Hello\r\n");
	has("Original-Envelope-Id: e1\r\nReporting-MTA: dns; mx.a.test\r\n");
	has("Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n");
	has("Will-Retry-Until: Thu, 1 Jan 1970 06:00:00 +0000\r\n");
	struct pool *pool = pool_new(0);
	struct meta meta;
	assert_true(meta_decode(pool, buf_slice(&store.meta), &meta));
	assert_true(meta.size == store.text.len && mime_is(meta.root, "multipart", "report"));
	pool_free(&pool);
	str_fmt(first, sizeof(first), "%s", store.id);
	answer_ok(1);
	asked(MSG_rcpt_check);
	answer_error(ERR_NOTLOCAL);
	asked(MSG_queue_read);
	assert_int_equal(store.item, 2);
	answer_read("");
	asked(MSG_queue_notice);
	assert_string_not_equal(store.id, first);
	assert_true(slice_starts(buf_slice(&store.text), "Received: by mx.a.test id "));
	answer_ok(0); /* no such sender */
	assert_int_equal(stats.notices, 1);
	asked(MSG_notice_claim); /* at once: there is more */
	answer_owed(0, UINT64_MAX);
	assert_null(store.fn);
}

static void event(uint64_t when_ms)
{
	struct msg_watch_event m = {
	    .kind = WATCH_QUEUE, .object = QUEUE_WATCH_NOTICE, .value = when_ms};
	store.watch(NULL, MSG_watch_event, &m);
}

static void an_event_says_when_something_is_owed(void **state)
{
	(void)state;
	answer_owed(0, UINT64_MAX);
	notice_store_up();
	asked(MSG_notice_claim); /* what there is without an event */
	answer_owed(0, clock_ms() + HOUR);
	event(clock_ms() + 2 * HOUR);
	assert_null(store.fn);
	uint64_t when = clock_ms() + 50;
	event(when);
	assert_null(store.fn);
	asked(MSG_notice_claim);
	assert_true(clock_ms() >= when);
	event(clock_ms()); /* behind the question: it has to be asked again */
	answer_owed(0, UINT64_MAX);
	asked(MSG_notice_claim);
	owe();
	answer_owed(1, UINT64_MAX);
	event(clock_ms());
	read_asked(1);
}

static void a_lost_answer_does_no_harm(void **state)
{
	(void)state;
	answer_error(ERR_LOST);
	asked(MSG_notice_claim);
	answer_owed(2, UINT64_MAX);
	asked(MSG_rcpt_check);
	answer_error(ERR_LOST);
	read_asked(1);
	answer_error(ERR_LOST);
	read_asked(1);
	answer_read("x");
	asked(MSG_queue_notice);
	answer_error(ERR_LOST); /* but it was stored */
	read_asked(1);
	answer_error(ERR_INUSE);
	read_asked(2);
	assert_int_equal(stats.notices, 0);
}

static void what_cannot_be_told_is_left_to_its_lease(void **state)
{
	(void)state;
	answer_owed(3, UINT64_MAX);
	read_asked(1);
	answer_error(ERR_TEMP);
	read_asked(2);
	answer_error(ERR_NOTFOUND); /* without its text, then */
	asked(MSG_queue_notice);
	has("\r\nSubject: Not delivered: your message\r\n");
	answer_error(ERR_FULL);
	read_asked(3);
}

static void a_store_that_is_busy(void **state)
{
	(void)state;
	store.full = true;
	unsigned before = store.asked;
	answer_owed(1, UINT64_MAX);
	assert_int_equal(store.asked, before + 1);
	store.full = false;
	read_asked(1);
	store.full = true;
	answer_read("x");
	store.full = false;
	read_asked(1);
}

static void nothing_is_owed_yet(void **state)
{
	(void)state;
	answer_owed(0, 0); /* the store means now, and gives nothing */
	assert_null(store.fn);
	asked(MSG_notice_claim);
	answer_owed(0, clock_ms() + 200);
	assert_null(store.fn);
	asked(MSG_notice_claim);
	item[0].rcpts_n = 0;
	answer_owed(1, UINT64_MAX);
	assert_null(store.fn);
	notice_drain(on_drained);
	assert_int_equal(drained, 1);
	drained = 0;
	notice_drain(on_drained); /* not started */
	assert_int_equal(drained, 1);
}

static void a_drain_ends_what_was_begun(void **state)
{
	(void)state;
	answer_owed(2, 0);
	read_asked(1);
	notice_drain(on_drained);
	answer_read("x");
	asked(MSG_queue_notice);
	answer_ok(1);
	read_asked(2);
	answer_read("x");
	asked(MSG_queue_notice);
	assert_int_equal(drained, 0);
	answer_ok(1);
	assert_int_equal(drained, 1);
	assert_null(store.fn);
}

static void a_drain_does_not_wait_for_the_store(void **state)
{
	(void)state;
	answer_owed(2, 0);
	read_asked(1);
	answer_error(ERR_LOST); /* again in a moment */
	store.full = true;
	notice_drain(on_drained);
	assert_int_equal(drained, 1);
}

static void a_large_one(void **state)
{
	(void)state;
	struct buf big = {0};
	while (big.len < IPC_INLINE_BODY)
		buf_adds(&big, "Subject: a line of some length, of which there are many here\r\n");
	conf.notices.full_size = 2 * IPC_INLINE_BODY;
	item[0].flags = DELIVER_RET_FULL;
	answer_owed(1, 0);
	read_asked(1);
	int fd = body_memfd("test");
	assert_int_equal(write(fd, big.p, big.len), big.len);
	struct msg_message_data m = {.size = big.len, .body = {.fd = fd, .size = big.len}};
	answer(MSG_message_data, &m); /* nobody sealed it: it is not touched */
	asked(MSG_notice_claim);
	owe();
	item[0].flags = DELIVER_RET_FULL;
	answer_owed(1, 0);
	read_asked(1);
	answer_read(buf_cstr(&big));
	asked(MSG_queue_notice);
	assert_true(store.text.len > big.len);
	has("\r\nContent-Type: message/rfc822\r\n");
	close(fd);
	buf_free(&big);
}

static void by_the_time_asked_for(void **state)
{
	(void)state;
	item[0].deliver_by_ms = 3 * HOUR;
	rcpt[0].owed = NOTICE_DELAYED;
	rcpt[0].addr = SLICE("x@c.test");
	answer_owed(1, 0);
	read_asked(1);
	answer_read("x");
	has("Will-Retry-Until: Thu, 1 Jan 1970 02:00:00 +0000\r\n"); /* given up by the route */
	has("Will-Retry-Until: Thu, 1 Jan 1970 03:00:00 +0000\r\n"); /* ... by the sender */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_is_owed_is_written),
	    T(an_event_says_when_something_is_owed),
	    T(a_lost_answer_does_no_harm),
	    T(what_cannot_be_told_is_left_to_its_lease),
	    T(a_store_that_is_busy),
	    T(nothing_is_owed_yet),
	    T(a_drain_ends_what_was_begun),
	    T(a_drain_does_not_wait_for_the_store),
	    T(a_large_one),
	    T(by_the_time_asked_for),
	};
	static const char text[] =
	    "version 1\nhostname mx.a.test\nsmtp 127.0.0.1:25\n"
	    "notices {\n from postmaster@a.test\n}\n"
	    "route b.test {\n give-up 5h\n}\nroute * {\n retry-longest 30m\n give-up 1h\n}\n";
	setenv("TZ", "UTC", 1);
	clock_init();
	struct pool *pool = pool_new(0);
	if (conf_parse(pool, "test", text, sizeof(text) - 1, conf_table, &conf, conf_verify,
		       stderr) != 0)
		return 1;
	int failed = cmocka_run_group_tests_name("smtpd_notice_work", tests, NULL, NULL);
	pool_free(&pool);
	return failed;
}
