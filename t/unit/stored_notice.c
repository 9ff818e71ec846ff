/* Notices: who is owed one, who writes it, and that it is stored once, with the mark. */
#include "t/unit/stored_running.h"

static int setup(void **state)
{
	running_setup(state);
	conf.delay_notice = 0;
	return 0;
}

static void queue(const char *id, const char *sender, const char *to_addr, uint32_t notify)
{
	struct row_rcpt to[] = {
	    {.addr = slice_of(to_addr), .notify = notify, .orcpt = SLICE("rfc822;x")}};
	struct msg_deliver m = message(id, to, 1, "hello");
	m.sender = slice_of(sender);
	m.envid = SLICE("e1");
	m.grant = grant_for(ROLE_SMTPD, 1);
	assert_int_equal(send_it(&m), ERR_OK);
}

static void report(const char *worker, uint64_t item, enum queue_state state)
{
	struct row_rcpt_done done = {.rcpt = 0,
				     .state = state,
				     .next_ms = clock_ms() + 1000,
				     .code = 550,
				     .status = SLICE("5.1.1"),
				     .host = SLICE("mx.elsewhere.example"),
				     .text = SLICE("no such user")};
	struct msg_queue_result r = {
	    .worker = slice_of(worker), .item = item, .rcpts = &done, .rcpts_n = 1};
	ask(smtpd, MSG_queue_result, &r, MSG_ok);
}

static void claim(const char *worker)
{
	struct msg_queue_claim c = {.worker = slice_of(worker), .max = 10, .lease_ms = 60000};
	const struct msg_queue_items *q = ask(smtpd, MSG_queue_claim, &c, MSG_queue_items);
	assert_int_equal(q->items_n, 1);
}

static const struct msg_notices_owed *owed(const char *worker)
{
	struct msg_notice_claim c = {.worker = slice_of(worker), .max = 10, .lease_ms = 60000};
	return ask(smtpd, MSG_notice_claim, &c, MSG_notices_owed);
}

static struct row_told one;
static struct msg_queue_notice notice(const char *worker, uint64_t item, enum notice kind)
{
	one = (struct row_told){.rcpt = 0, .owed = kind};
	return (struct msg_queue_notice){.worker = slice_of(worker),
					 .item = item,
					 .rcpts = &one,
					 .rcpts_n = 1,
					 .id = SLICE("n1"),
					 .sid = SLICE(""),
					 .meta = SLICE(""),
					 .body = {.bytes = SLICE("notice"), .fd = -1}};
}

static uint64_t owed_at;

static void on_watch(void *arg, enum msg_type type, const void *msg)
{
	const struct msg_watch_event *e = msg;
	(void)arg;
	if (type == MSG_watch_event)
		owed_at = e->value;
}

static void watch(void)
{
	struct msg_watch m = {.kind = WATCH_QUEUE, .object = QUEUE_WATCH_NOTICE};
	owed_at = 0;
	assert_true(peer_call(smtpd, MSG_watch, &m, on_watch, NULL) != 0);
}

static void watch_tells(void)
{
	for (int i = 0; !owed_at && i < 20000; i++)
		uv_run(loop_get(), UV_RUN_ONCE);
	assert_true(owed_at > clock_ms());
}

static void a_failure_is_told_once(void **state)
{
	(void)state;
	fanout_start();
	watch();
	queue("m1", "alice@a.test", "x@elsewhere.example", 0);
	claim("w");
	report("w", 1, QUEUE_FAILED);
	const struct msg_notices_owed *o = owed("w");
	assert_int_equal(o->items_n, 0); /* others may fail, too: a moment */
	watch_tells();
	assert_int_equal(o->next_due_ms, owed_at);
	move_clock(3000);
	o = owed("w");
	assert_int_equal(o->items_n, 1);
	assert_true(slice_eqs(o->items[0].sender, "alice@a.test"));
	assert_true(slice_eqs(o->items[0].envid, "e1"));
	const struct row_owed_rcpt *r = &o->items[0].rcpts[0];
	assert_int_equal(r->owed, NOTICE_FAILED);
	assert_int_equal(r->code, 550);
	assert_true(slice_eqs(r->host, "mx.elsewhere.example"));
	assert_true(slice_eqs(r->status, "5.1.1") && slice_eqs(r->orcpt, "rfc822;x"));
	assert_int_equal(owed("other")->items_n, 0);
	struct msg_queue_read rd = {.worker = SLICE("other"), .item = 1};
	assert_int_equal(ask_error(smtpd, MSG_queue_read, &rd), ERR_INUSE);
	rd.worker = SLICE("w");
	const struct msg_message_data *data = ask(smtpd, MSG_queue_read, &rd, MSG_message_data);
	assert_true(slice_eqs(data->body.bytes, "hello"));
	struct msg_queue_notice n = notice("other", 1, NOTICE_FAILED);
	assert_int_equal(ask_error(smtpd, MSG_queue_notice, &n), ERR_INUSE);
	n = notice("w", 1, NOTICE_DELAYED);
	assert_int_equal(ask_error(smtpd, MSG_queue_notice, &n), ERR_NOTFOUND);
	n = notice("w", 1, NOTICE_FAILED);
	ask(smtpd, MSG_queue_notice, &n, MSG_ok);
	assert_int_equal(ask_error(smtpd, MSG_queue_notice, &n), ERR_INUSE);
	assert_true(becomes(1, "SELECT COUNT(*) FROM messages", 1));
	assert_true(becomes(0, "SELECT COUNT(*) FROM queue_items WHERE finished_ms > 0", 2));
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM bodies"), 0);
	assert_int_equal(read_sql(0, "SELECT told FROM queue_rcpts WHERE item = 1"),
			 1 << NOTICE_FAILED);
}

static void a_worker_that_dies_is_followed(void **state)
{
	(void)state;
	queue("m1", "alice@a.test", "x@elsewhere.example", 0);
	claim("w");
	report("w", 1, QUEUE_FAILED);
	move_clock(3000);
	assert_int_equal(owed("w")->items_n, 1);
	move_clock(61000);
	assert_int_equal(owed("w2")->items_n, 1);
	struct msg_queue_notice n = notice("w", 1, NOTICE_FAILED);
	assert_int_equal(ask_error(smtpd, MSG_queue_notice, &n), ERR_INUSE);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM queue_items"), 1);
}

static void nobody_is_told_of_a_notice(void **state)
{
	(void)state;
	queue("m1", "", "x@elsewhere.example", 0);
	claim("w");
	report("w", 1, QUEUE_FAILED);
	assert_int_equal(read_sql(0, "SELECT owed FROM queue_items"), 0);
	assert_int_equal(read_sql(0, "SELECT told FROM queue_rcpts"), 1 << NOTICE_FAILED);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM queue_items WHERE finished_ms > 0"), 1);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM bodies"), 0);
}

static void what_was_not_asked_for_is_not_told(void **state)
{
	(void)state;
	queue("m1", "alice@a.test", "x@elsewhere.example", NOTIFY_NEVER);
	claim("w");
	report("w", 1, QUEUE_FAILED);
	queue("m2", "alice@a.test", "x@elsewhere.example", NOTIFY_SUCCESS);
	claim("w");
	report("w", 2, QUEUE_FAILED);
	queue("m3", "alice@a.test", "x@elsewhere.example", NOTIFY_SUCCESS);
	claim("w");
	report("w", 3, QUEUE_PASSED);
	queue("m4", "alice@a.test", "x@elsewhere.example", NOTIFY_FAILURE);
	claim("w");
	report("w", 4, QUEUE_RELAYED);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM queue_items WHERE finished_ms > 0"), 4);
	queue("m5", "alice@a.test", "x@elsewhere.example", NOTIFY_SUCCESS);
	claim("w");
	report("w", 5, QUEUE_RELAYED);
	assert_int_equal(read_sql(0, "SELECT owed FROM queue_rcpts WHERE item = 5"),
			 NOTICE_RELAYED);
}

static void local_recipients_owe_as_well(void **state)
{
	(void)state;
	fanout_start();
	watch();
	queue("m1", "alice@a.test", "bob@a.test", NOTIFY_SUCCESS);
	watch_tells();
	assert_true(becomes(2, "SELECT COUNT(*) FROM messages", 1));
	assert_true(becomes(0, "SELECT owed FROM queue_rcpts", NOTICE_DELIVERED));
	move_clock(3000);
	assert_int_equal(owed("w")->items_n, 1);
	struct msg_queue_notice n = notice("w", 1, NOTICE_DELIVERED);
	ask(smtpd, MSG_queue_notice, &n, MSG_ok);
	assert_true(becomes(1, "SELECT COUNT(*) FROM messages", 1));
}

static void a_delay_is_told_once(void **state)
{
	(void)state;
	conf.delay_notice = 3600000;
	queue("m1", "alice@a.test", "x@elsewhere.example", 0);
	for (int i = 0; i < 4; i++) {
		claim("w");
		report("w", 1, QUEUE_DUE);
		move_clock(1800000);
		const struct msg_notices_owed *o = owed("w");
		assert_int_equal(o->items_n, i == 2);
		if (i != 2)
			continue;
		assert_int_equal(o->items[0].rcpts[0].owed, NOTICE_DELAYED);
		struct msg_queue_notice n = notice("w", 1, NOTICE_DELAYED);
		ask(smtpd, MSG_queue_notice, &n, MSG_ok);
	}
	assert_int_equal(read_sql(0, "SELECT open FROM queue_items WHERE id = 1"), 1);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM bodies"), 2);
}

static void a_sender_that_has_gone_is_not_told(void **state)
{
	(void)state;
	queue("m1", "alice@a.test", "x@elsewhere.example", 0);
	claim("w");
	report("w", 1, QUEUE_FAILED);
	change_sql(0, "DELETE FROM alias_target WHERE target = 'alice@a.test';"
		      "DELETE FROM account WHERE id = 1");
	move_clock(3000);
	assert_int_equal(owed("w")->items_n, 1);
	struct msg_queue_notice n = notice("w", 1, NOTICE_FAILED);
	const struct msg_ok *ok = ask(smtpd, MSG_queue_notice, &n, MSG_ok);
	assert_int_equal(ok->value, 0);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM queue_items WHERE finished_ms > 0"), 1);
	n.rcpts_n = 0;
	assert_int_equal(ask_error(smtpd, MSG_queue_notice, &n), ERR_BAD);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, running_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_failure_is_told_once),
	    T(a_worker_that_dies_is_followed),
	    T(nobody_is_told_of_a_notice),
	    T(what_was_not_asked_for_is_not_told),
	    T(local_recipients_owe_as_well),
	    T(a_delay_is_told_once),
	    T(a_sender_that_has_gone_is_not_told),
	};
	return cmocka_run_group_tests_name("stored_notice", tests, NULL, NULL);
}
