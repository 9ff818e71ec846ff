/* What smtpd asks, through the socket: recipients, senders, delivery to shards and by the queue,
 * and what is left over a restart. */
#include "t/unit/stored_running.h"

static enum ipc_err rcpt(const char *addr, struct slice grant, uint64_t size, uint32_t *kind)
{
	struct msg_rcpt_check m = {
	    .grant = grant, .sender = SLICE("x@y.example"), .rcpt = slice_of(addr), .size = size};
	struct answer a = {0};
	assert_true(peer_call(smtpd, MSG_rcpt_check, &m, on_answer, &a) != 0);
	turn(&a.here);
	if (a.type == MSG_error)
		return (enum ipc_err)((const struct msg_error *)a.msg)->code;
	assert_int_equal(a.type, MSG_rcpt_ok);
	if (kind)
		*kind = ((const struct msg_rcpt_ok *)a.msg)->kind;
	return ERR_OK;
}

static void recipients_are_ours_or_refused(void **state)
{
	(void)state;
	uint32_t kind = 99;
	for (int i = 0; i < 2; i++) { /* from the directory, then from its cache */
		assert_int_equal(rcpt("alice@a.test", SLICE(""), 0, &kind), ERR_OK);
		assert_int_equal(kind, RCPT_LOCAL);
		assert_int_equal(rcpt("Alice+tag@A.test", SLICE(""), 0, &kind), ERR_OK);
		assert_int_equal(rcpt("team@a.test", SLICE(""), 0, &kind), ERR_OK);
		assert_int_equal(kind, RCPT_ALIAS);
		assert_int_equal(rcpt("away@a.test", SLICE(""), 0, &kind), ERR_OK);
		assert_int_equal(rcpt("nobody@a.test", SLICE(""), 0, NULL), ERR_NOTFOUND);
		assert_int_equal(rcpt("x@elsewhere.example", SLICE(""), 0, NULL), ERR_NOTLOCAL);
	}
}

static void only_a_grant_relays(void **state)
{
	(void)state;
	uint32_t kind = 99;
	struct slice g = grant_for(ROLE_SMTPD, 1);
	assert_int_equal(rcpt("x@elsewhere.example", g, 0, &kind), ERR_OK);
	assert_int_equal(kind, RCPT_RELAY);
	assert_int_equal(rcpt("x@elsewhere.example", grant_for(ROLE_POP3D, 1), 0, NULL), ERR_GRANT);
	grant_epoch(1, 2);
	assert_int_equal(rcpt("x@elsewhere.example", g, 0, NULL), ERR_GRANT);
}

static void a_full_mailbox_is_said_at_rcpt(void **state)
{
	(void)state;
	change_sql(0, "UPDATE account SET quota = 10 WHERE id = 1");
	assert_int_equal(rcpt("alice@a.test", SLICE(""), 10, NULL), ERR_OK);
	assert_int_equal(rcpt("alice@a.test", SLICE(""), 11, NULL), ERR_QUOTA);
	struct row_rcpt to[] = {TO("alice@a.test")};
	struct msg_deliver m = message("m1", to, 1, "0123456789");
	assert_int_equal(send_it(&m), ERR_OK);
	assert_int_equal(rcpt("alice@a.test", SLICE(""), 0, NULL), ERR_QUOTA);
	assert_int_equal(rcpt("team@a.test", SLICE(""), 0, NULL), ERR_QUOTA);
	m.id = SLICE("m2");
	assert_int_equal(send_it(&m), ERR_QUOTA);
}

static void a_disabled_account_gets_no_mail(void **state)
{
	(void)state;
	struct row_rcpt to[] = {TO("alice@a.test")};
	struct msg_deliver m = message("m1", to, 1, "hello");
	assert_int_equal(rcpt("alice@a.test", SLICE(""), 0, NULL), ERR_OK);
	change_sql(0, "UPDATE account SET enabled = 0 WHERE id = 1");
	dir_changed();
	for (int i = 0; i < 2; i++) { /* from the directory, then from its cache */
		assert_int_equal(rcpt("alice@a.test", SLICE(""), 0, NULL), ERR_DISABLED);
		assert_int_equal(rcpt("alice+x@a.test", SLICE(""), 0, NULL), ERR_DISABLED);
		assert_int_equal(rcpt("team@a.test", SLICE(""), 0, NULL),
				 ERR_OK); /* carol is not */
	}
	assert_int_equal(send_it(&m), ERR_DISABLED);
	to[0].addr = SLICE("team@a.test");
	m.id = SLICE("m2");
	assert_int_equal(send_it(&m), ERR_OK);
	change_sql(0, "UPDATE account SET enabled = 0");
	dir_changed();
	assert_int_equal(rcpt("team@a.test", SLICE(""), 0, NULL), ERR_DISABLED);
	assert_int_equal(rcpt("nobody@a.test", SLICE(""), 0, NULL), ERR_NOTFOUND);
	change_sql(0, "UPDATE account SET enabled = 1");
	dir_changed();
	assert_int_equal(rcpt("alice@a.test", SLICE(""), 0, NULL), ERR_OK);
}

static void senders_are_the_accounts_own(void **state)
{
	(void)state;
	struct msg_sender_check m = {.grant = grant_for(ROLE_SMTPD, 1)};
	const char *good[] = {"alice@a.test", "alice+x@a.test", "team@a.test", ""};
	const char *bad[] = {"bob@a.test", "x@elsewhere.example", "nobody@a.test"};
	for (size_t i = 0; i < 4; i++) {
		m.sender = slice_of(good[i]);
		ask(smtpd, MSG_sender_check, &m, MSG_ok);
	}
	for (size_t i = 0; i < 3; i++) {
		m.sender = slice_of(bad[i]);
		assert_int_equal(ask_error(smtpd, MSG_sender_check, &m), ERR_DENIED);
	}
	m.grant = SLICE("");
	assert_int_equal(ask_error(smtpd, MSG_sender_check, &m), ERR_DENIED);
}

static void one_shard_takes_it_at_once(void **state)
{
	(void)state;
	/* alice twice, as herself and by the alias */
	struct row_rcpt to[] = {TO("alice@a.test"), TO("team@a.test"), TO("alice+x@a.test")};
	struct msg_deliver m = message("m1", to, 3, "hello");
	assert_int_equal(send_it(&m), ERR_OK);
	assert_int_equal(read_sql(1, "SELECT COUNT(*) FROM messages"), 2);
	assert_int_equal(read_sql(1, "SELECT refs FROM bodies"), 2);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM queue_items"), 0);
}

static void again_is_answered_as_before(void **state)
{
	(void)state;
	struct row_rcpt to[] = {TO("alice@a.test"), TO("carol@a.test")};
	struct msg_deliver m = message("m1", to, 2, "hello");
	assert_int_equal(send_it(&m), ERR_OK);
	assert_int_equal(send_it(&m), ERR_OK);
	assert_int_equal(read_sql(1, "SELECT COUNT(*) FROM messages"), 2);
	struct row_rcpt wide[] = {TO("alice@a.test"), TO("bob@a.test")};
	struct msg_deliver w = message("m2", wide, 2, "hello");
	assert_int_equal(send_it(&w), ERR_OK);
	assert_int_equal(send_it(&w), ERR_OK);
	fanout_start();
	assert_true(becomes(0, "SELECT COUNT(*) FROM queue_items WHERE finished_ms > 0", 1));
	assert_int_equal(send_it(&w), ERR_OK);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM queue_items"), 1);
	assert_int_equal(read_sql(1, "SELECT COUNT(*) FROM messages"), 3);
	assert_int_equal(read_sql(2, "SELECT COUNT(*) FROM messages"), 1);
}

static void several_shards_go_by_the_queue(void **state)
{
	(void)state;
	fanout_start();
	struct row_rcpt to[] = {TO("alice@a.test"), TO("bob@a.test"), TO("team@a.test"),
				TO("dave@a.test")};
	struct msg_deliver m = message("m1", to, 4, "hello");
	assert_int_equal(send_it(&m), ERR_OK);
	assert_true(becomes(1, "SELECT COUNT(*) FROM messages", 2));
	assert_true(becomes(2, "SELECT COUNT(*) FROM messages", 2));
	assert_true(becomes(0, "SELECT COUNT(*) FROM queue_items WHERE finished_ms > 0", 1));
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM bodies"), 0);
}

static void the_outside_stays_due(void **state)
{
	(void)state;
	fanout_start();
	struct row_rcpt to[] = {TO("away@a.test"), TO("alice@a.test")};
	struct msg_deliver m = message("m1", to, 2, "hello");
	assert_int_equal(send_it(&m), ERR_OK);
	assert_true(becomes(1, "SELECT COUNT(*) FROM messages", 1));
	assert_true(becomes(0, "SELECT open FROM queue_items", 1));
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM queue_rcpts WHERE state = 0"
				     " AND outside = 1"),
			 1);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM bodies"), 1);
}

static void an_alias_of_several_is_told_of_once(void **state)
{
	(void)state;
	struct row_rcpt to[] = {TO("team@a.test"), TO("away@a.test"), TO("bob@a.test")};
	to[0].notify = to[1].notify = to[2].notify = NOTIFY_SUCCESS | NOTIFY_FAILURE;
	to[0].orcpt = SLICE("rfc822;+2Bteam@b.test");
	struct msg_deliver m = message("m1", to, 3, "hello");
	fanout_start();
	assert_int_equal(send_it(&m), ERR_OK);
	assert_true(becomes(1, "SELECT COUNT(*) FROM messages", 2));
	assert_true(becomes(2, "SELECT COUNT(*) FROM messages", 1));
	assert_true(becomes(0, "SELECT open FROM queue_items", 1)); /* away's */
	assert_int_equal(read_sql(0, "SELECT owed FROM queue_rcpts WHERE addr ="
				     " CAST('team@a.test' AS BLOB) AND orcpt ="
				     " CAST('rfc822;+2Bteam@b.test' AS BLOB)"),
			 NOTICE_EXPANDED);
	assert_int_equal(
	    read_sql(0, "SELECT COUNT(*) FROM queue_rcpts WHERE shard = 1 AND owed = 0 AND"
			" notify = 4 AND orcpt = CAST('rfc822;+2Bteam@b.test' AS BLOB)"),
	    2);
	/* One that leads to a single place passes all on, and the address that was written to. */
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM queue_rcpts WHERE outside = 1 AND"
				     " notify = 6 AND orcpt ="
				     " CAST('rfc822;away@a.test' AS BLOB)"),
			 1);
	assert_int_equal(read_sql(0, "SELECT owed FROM queue_rcpts WHERE account = 2"),
			 NOTICE_DELIVERED);
	assert_int_equal(read_sql(0, "SELECT owed FROM queue_items"), 2);
	/* Nobody to tell. */
	m.id = SLICE("m2");
	m.sender = SLICE("");
	m.rcpts_n = 1;
	assert_int_equal(send_it(&m), ERR_OK);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM queue_items"), 1);
}

/* --- the sender of forwarded mail --- */

static void forwards_from_us(void)
{
	conf.srs_domain = "a.test";
	conf.srs_lifetime = UINT64_C(21) * 86400000;
}

/* What the next host is told of the one message that waits. */
static struct slice sender_outside(void)
{
	struct msg_queue_claim m = {.worker = SLICE("w"), .max = 10, .lease_ms = 60000};
	const struct msg_queue_items *q = ask(smtpd, MSG_queue_claim, &m, MSG_queue_items);
	assert_int_equal(q->items_n, 1);
	return q->items[0].sender;
}

static enum ipc_err returned(struct slice addr, const char *sender)
{
	struct msg_rcpt_check m = {
	    .grant = SLICE(""), .sender = slice_of(sender), .rcpt = addr, .size = 5};
	struct answer a = {0};
	assert_true(peer_call(smtpd, MSG_rcpt_check, &m, on_answer, &a) != 0);
	turn(&a.here);
	if (a.type == MSG_error)
		return (enum ipc_err)((const struct msg_error *)a.msg)->code;
	assert_int_equal(((const struct msg_rcpt_ok *)a.msg)->kind, RCPT_RELAY);
	return ERR_OK;
}

static void forwarded_mail_leaves_from_us_and_returns(void **state)
{
	(void)state;
	forwards_from_us();
	struct row_rcpt to[] = {TO("away@a.test"), TO("alice@a.test")};
	struct msg_deliver m = message("m1", to, 2, "hello");
	assert_int_equal(send_it(&m), ERR_OK);
	assert_int_equal(send_it(&m), ERR_OK); /* again: the same one */
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM queue_items WHERE sender ="
				     " CAST('who@elsewhere.example' AS BLOB)"),
			 1);
	struct slice srs = sender_outside();
	assert_true(slice_starts(srs, "SRS0="));
	assert_non_null(memmem(srs.p, srs.len, "=elsewhere.example=who@a.test", 29));

	for (int i = 0; i < 2; i++) { /* from the directory, then from its cache */
		assert_int_equal(returned(srs, ""), ERR_OK);
		assert_int_equal(returned(srs, "x@elsewhere.example"), ERR_DENIED);
	}
	char *forged = pool_strndup(run_pool, srs.p, srs.len);
	forged[srs.len - 8] ^= 2;
	assert_int_equal(returned(slice_of(forged), ""), ERR_NOTFOUND);
	assert_int_equal(returned(SLICE("someone@elsewhere.example"), ""), ERR_NOTLOCAL);

	to[0].addr = srs;
	struct msg_deliver back = message("m2", to, 1, "undeliverable");
	assert_int_equal(send_it(&back), ERR_DENIED);
	back.sender = SLICE("");
	assert_int_equal(send_it(&back), ERR_OK);
	assert_int_equal(
	    read_sql(0, "SELECT COUNT(*) FROM queue_rcpts JOIN queue_items ON id = item"
			" WHERE outside = 1 AND addr = CAST('who@elsewhere.example' AS BLOB)"
			" AND relay_sender IS NULL AND LENGTH(sender) = 0"),
	    1);
	move_clock(INT64_C(22) * 86400000);
	assert_int_equal(returned(srs, ""), ERR_DENIED);
	move_clock(-INT64_C(22) * 86400000);
}

static void other_senders_stay(void **state)
{
	(void)state;
	static const char *const senders[] = {"carol@a.test", "", "who@elsewhere.example"};
	char id[] = "m0";
	for (size_t i = 0; i < 3; i++) {
		struct row_rcpt to[] = {TO("away@a.test")};
		if (i < 2)
			forwards_from_us();
		else
			conf.srs_domain = NULL;
		id[1]++;
		struct msg_deliver m = message(id, to, 1, "hello");
		m.sender = slice_of(senders[i]);
		assert_int_equal(send_it(&m), ERR_OK);
		assert_true(slice_eqs(sender_outside(), senders[i]));
	}
	/* Without srs-domain such an address is one like any other. */
	assert_int_equal(returned(SLICE("SRS0=AAAAAA=AA=y.example=x@a.test"), ""), ERR_NOTFOUND);
}

static int running_teardown_srs(void **state)
{
	conf.srs_domain = NULL;
	return running_teardown(state);
}

static void without_a_grant_nothing_is_relayed(void **state)
{
	(void)state;
	struct row_rcpt to[] = {TO("x@elsewhere.example")};
	struct msg_deliver m = message("m1", to, 1, "hello");
	assert_int_equal(send_it(&m), ERR_NOTLOCAL);
	m.flags = DELIVER_SUBMITTED;
	assert_int_equal(ask_error(smtpd, MSG_deliver, &m), ERR_BAD);
	m.grant = grant_for(ROLE_SMTPD, 1);
	assert_int_equal(send_it(&m), ERR_DENIED); /* somebody else's address */
	m.sender = SLICE("alice@a.test");
	assert_int_equal(send_it(&m), ERR_OK);
	assert_int_equal(read_sql(0, "SELECT account FROM queue_items"), 1);
}

static void lmtp_answers_for_each(void **state)
{
	(void)state;
	change_sql(0, "UPDATE account SET quota = 3 WHERE id = 3");
	struct row_rcpt to[] = {TO("alice@a.test"), TO("carol@a.test"), TO("nobody@a.test"),
				TO("team@a.test")};
	struct msg_deliver m = message("m1", to, 4, "hello");
	m.each = 1;
	const struct msg_delivered *d = ask(smtpd, MSG_deliver, &m, MSG_delivered);
	assert_int_equal(d->results[0].code, ERR_OK);
	assert_int_equal(d->results[1].code, ERR_QUOTA);
	assert_int_equal(d->results[2].code, ERR_NOTFOUND);
	assert_int_equal(d->results[3].code, ERR_QUOTA);
	m.each = 0;
	m.id = SLICE("m2");
	assert_int_equal(send_it(&m), ERR_NOTFOUND);
	assert_int_equal(read_sql(1, "SELECT COUNT(*) FROM messages"), 1);
}

static void a_large_body_comes_as_a_descriptor(void **state)
{
	(void)state;
	enum { SIZE = 700000 };
	int fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *text = pool_alloc(run_pool, SIZE);
	for (size_t i = 0; i < SIZE; i++)
		text[i] = (char)('a' + i % 23);
	assert_int_equal(write(fd, text, SIZE), SIZE);
	struct row_rcpt to[] = {TO("alice@a.test"), TO("bob@a.test")};
	struct msg_deliver m = message("m1", to, 2, "");
	m.body = (struct body){.fd = fd, .size = SIZE};
	fanout_start();
	assert_int_equal(send_it(&m), ERR_OK);
	close(fd);
	assert_true(becomes(2, "SELECT COUNT(*) FROM messages", 1));
	struct msg_message_read rd = {
	    .grant = grant_for(ROLE_POP3D, 2), .mailbox = mailbox_global(2, 1), .uid = 1};
	const struct msg_message_data *data = ask(pop3d, MSG_message_read, &rd, MSG_message_data);
	assert_int_equal(data->size, SIZE);
	assert_true(data->body.fd > 0);
	char *back = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, data->body.fd, 0);
	assert_memory_equal(back, text, SIZE);
	munmap(back, SIZE);
	close(data->body.fd);
	rd.offset = 100000;
	rd.length = 50;
	data = ask(pop3d, MSG_message_read, &rd, MSG_message_data);
	assert_int_equal(data->body.bytes.len, 50);
	assert_memory_equal(data->body.bytes.p, text + 100000, 50);
}

static void what_was_queued_survives_a_restart(void **state)
{
	(void)state;
	struct row_rcpt to[] = {TO("alice@a.test"), TO("bob@a.test")};
	struct msg_deliver m = message("m1", to, 2, "hello");
	assert_int_equal(send_it(&m), ERR_OK); /* answered; the fan-out never began */
	assert_int_equal(read_sql(1, "SELECT COUNT(*) FROM messages"), 0);
	stop_threads();
	start_threads();
	fanout_start();
	assert_true(becomes(1, "SELECT COUNT(*) FROM messages", 1));
	assert_true(becomes(2, "SELECT COUNT(*) FROM messages", 1));
}

/* What a fan-out had committed in bob's shard before it was cut short. */
static enum ipc_err half_of_it(struct base *b, struct op *op)
{
	(void)op;
	struct drop drop = {.account = 2};
	struct delivery d = {.id = SLICE("m1"),
			     .body = {.bytes = SLICE("hello"), .fd = -1},
			     .size = 5,
			     .drop = &drop,
			     .n = 1};
	return deliver_run(b, &d);
}

static void a_fanout_cut_short_delivers_once(void **state)
{
	(void)state;
	struct row_rcpt to[] = {TO("alice@a.test"), TO("bob@a.test"), TO("dave@a.test")};
	struct msg_deliver m = message("m1", to, 3, "hello");
	assert_int_equal(send_it(&m), ERR_OK);
	on_base(2, true, NULL, NULL, half_of_it);
	stop_threads();
	start_threads();
	fanout_start();
	assert_true(becomes(0, "SELECT COUNT(*) FROM queue_items WHERE finished_ms > 0", 1));
	assert_int_equal(read_sql(1, "SELECT COUNT(*) FROM messages"), 1);
	assert_int_equal(read_sql(2, "SELECT COUNT(*) FROM messages"), 2);
	assert_int_equal(read_sql(2, "SELECT messages FROM owners WHERE account = 2"), 1);
}

static void a_full_mailbox_is_tried_again(void **state)
{
	(void)state;
	struct row_rcpt to[] = {TO("alice@a.test"), TO("bob@a.test")};
	struct msg_deliver m = message("m1", to, 2, "hello");
	change_sql(0, "UPDATE account SET quota = 3 WHERE id = 2");
	fanout_start();
	assert_int_equal(send_it(&m), ERR_OK);
	assert_true(becomes(0, "SELECT attempts FROM queue_rcpts WHERE account = 2", 1));
	assert_int_equal(read_sql(0, "SELECT state FROM queue_rcpts WHERE account = 2"), QUEUE_DUE);
	change_sql(0, "UPDATE account SET quota = 0 WHERE id = 2");
	move_clock(60000);
	fanout_kick();
	assert_true(becomes(2, "SELECT COUNT(*) FROM messages", 1));
	assert_true(becomes(0, "SELECT COUNT(*) FROM queue_items WHERE finished_ms > 0", 1));
}

static void an_account_that_has_gone_fails(void **state)
{
	(void)state;
	struct row_rcpt to[] = {TO("alice@a.test"), TO("dave@a.test")};
	struct msg_deliver m = message("m1", to, 2, "hello");
	assert_int_equal(send_it(&m), ERR_OK);
	change_sql(0, "DELETE FROM account WHERE id = 4");
	fanout_start();
	assert_true(becomes(0, "SELECT COUNT(*) FROM queue_items WHERE owed > 0", 1));
	assert_int_equal(read_sql(0, "SELECT failed FROM queue_items"), 1);
	assert_int_equal(read_sql(1, "SELECT COUNT(*) FROM messages"), 1);
}

static void held_messages_wait(void **state)
{
	(void)state;
	struct row_rcpt to[] = {TO("alice@a.test")};
	struct msg_deliver m = message("m1", to, 1, "hello");
	m.hold_until_ms = clock_ms() + 3600000;
	fanout_start();
	assert_int_equal(send_it(&m), ERR_OK);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM queue_rcpts WHERE state = 0"), 1);
	move_clock(3600001);
	fanout_kick();
	assert_true(becomes(1, "SELECT COUNT(*) FROM messages", 1));
}

static void an_account_sends_so_much_and_no_more(void **state)
{
	(void)state;
	struct row_rcpt to[] = {TO("a@elsewhere.example"), TO("b@elsewhere.example")};
	struct msg_deliver m = message("m1", to, 2, "hello");
	m.sender = SLICE("alice@a.test");
	m.grant = grant_for(ROLE_SMTPD, 1);
	conf.send_limit = 3;
	conf.send_window = 3600000;
	assert_int_equal(send_it(&m), ERR_OK);
	m.id = SLICE("m2");
	assert_int_equal(send_it(&m), ERR_LIMIT);
	m.rcpts_n = 1;
	assert_int_equal(send_it(&m), ERR_OK);
	m.id = SLICE("m3");
	assert_int_equal(send_it(&m), ERR_LIMIT);
	m.grant = SLICE(""); /* who writes to us is not limited here */
	m.rcpts[0].addr = SLICE("bob@a.test");
	assert_int_equal(send_it(&m), ERR_OK);
	move_clock(2 * 3600000);
	m.id = SLICE("m4");
	m.grant = grant_for(ROLE_SMTPD, 1);
	assert_int_equal(send_it(&m), ERR_OK);
	conf.send_limit = 0;
}

static void many_at_once_are_all_there(void **state)
{
	(void)state;
	enum { N = 300 };
	struct answer a[N] = {0};
	struct row_rcpt to[] = {TO("alice@a.test")};
	for (int i = 0; i < N; i++) {
		char id[20];
		snprintf(id, sizeof(id), "m%d", i);
		struct msg_deliver m = message(id, to, 1, "hello");
		assert_true(peer_call(smtpd, MSG_deliver, &m, on_answer, &a[i]) != 0);
	}
	for (int i = 0; i < N; i++)
		turn(&a[i].here);
	assert_int_equal(read_sql(1, "SELECT COUNT(*) FROM messages"), N);
	assert_int_equal(read_sql(1, "SELECT uidnext FROM mailboxes"), N + 1);
}

static void leases_are_the_workers(void **state)
{
	(void)state;
	struct row_rcpt to[] = {TO("away@a.test")};
	struct msg_deliver m = message("m1", to, 1, "hello");
	struct msg_queue_claim c = {.worker = SLICE("w1"), .max = 10, .lease_ms = 60000};
	assert_int_equal(send_it(&m), ERR_OK);
	const struct msg_queue_items *q = ask(smtpd, MSG_queue_claim, &c, MSG_queue_items);
	assert_int_equal(q->items_n, 1);
	assert_true(slice_eqs(q->items[0].domain, "elsewhere.example"));
	assert_int_equal(q->items[0].rcpts_n, 1);
	uint64_t item = q->items[0].item;
	c.worker = SLICE("w2");
	q = ask(smtpd, MSG_queue_claim, &c, MSG_queue_items);
	assert_int_equal(q->items_n, 0);
	assert_true(q->next_due_ms != UINT64_MAX);
	struct msg_queue_read rd = {.worker = SLICE("w2"), .item = item};
	assert_int_equal(ask_error(smtpd, MSG_queue_read, &rd), ERR_INUSE);
	rd.worker = SLICE("w1");
	const struct msg_message_data *data = ask(smtpd, MSG_queue_read, &rd, MSG_message_data);
	assert_true(slice_eqs(data->body.bytes, "hello"));
	struct row_leased first = {0};
	struct msg_queue_renew rn = {
	    .worker = SLICE("w1"), .item = item, .lease_ms = 120000, .rcpts = &first, .rcpts_n = 1};
	ask(smtpd, MSG_queue_renew, &rn, MSG_ok);
	move_clock(60001);
	q = ask(smtpd, MSG_queue_claim, &c, MSG_queue_items);
	assert_int_equal(q->items_n, 0);
	move_clock(60001);
	q = ask(smtpd, MSG_queue_claim, &c, MSG_queue_items);
	assert_int_equal(q->items_n, 1);
	struct row_leased leased = {.rcpt = q->items[0].rcpts[0].rcpt};
	struct msg_queue_return back = {
	    .worker = SLICE("w2"), .item = item, .rcpts = &leased, .rcpts_n = 1};
	const struct msg_ok *ok = ask(smtpd, MSG_queue_return, &back, MSG_ok);
	assert_int_equal(ok->value, 1);
	q = ask(smtpd, MSG_queue_claim, &c, MSG_queue_items);
	assert_int_equal(q->items_n, 1);
	struct row_rcpt_done done = {
	    .rcpt = q->items[0].rcpts[0].rcpt, .state = QUEUE_DONE, .text = SLICE("250 ok")};
	struct msg_queue_result r = {
	    .worker = SLICE("w1"), .item = item, .rcpts = &done, .rcpts_n = 1};
	assert_int_equal(ask_error(smtpd, MSG_queue_result, &r), ERR_INUSE);
	r.worker = SLICE("w2");
	ask(smtpd, MSG_queue_result, &r, MSG_ok);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM bodies"), 0);
}

static void users_of_the_machine_may_send_and_no_more(void **state)
{
	(void)state;
	struct msg_local_login m = {
	    .sid = SLICE("s1"), .uid = 1000, .address = SLICE("joe@host.example")};
	conf.local_submission = true;
	conf.grant_life = 3600000;
	const struct msg_auth_ok *ok = ask(smtpd, MSG_local_login, &m, MSG_auth_ok);
	struct slice g = slice_copy(run_pool, ok->grant);
	assert_true(slice_eqs(ok->address, "joe@host.example"));
	assert_int_equal(rcpt("x@elsewhere.example", g, 0, NULL), ERR_OK);
	struct msg_sender_check sc = {.grant = g, .sender = SLICE("joe@host.example")};
	ask(smtpd, MSG_sender_check, &sc, MSG_ok);
	struct row_rcpt to[] = {TO("alice@a.test"), TO("x@elsewhere.example")};
	struct msg_deliver d = message("l1", to, 2, "hello");
	d.grant = g;
	d.flags = DELIVER_SUBMITTED;
	d.sender = SLICE("joe@host.example");
	conf.send_window = 3600000;
	conf.send_limit = 3;
	assert_int_equal(send_it(&d), ERR_OK);
	d.id = SLICE("l2");
	assert_int_equal(send_it(&d), ERR_LIMIT);
	/* Another user has a limit of their own. */
	m.uid = 0;
	ok = ask(smtpd, MSG_local_login, &m, MSG_auth_ok);
	d.grant = slice_copy(run_pool, ok->grant);
	assert_int_equal(send_it(&d), ERR_OK);
	conf.send_limit = 0;
	conf.local_submission = false;
	assert_int_equal(ask_error(smtpd, MSG_local_login, &m), ERR_DENIED);
	assert_int_equal(rcpt("x@elsewhere.example", g, 0, NULL), ERR_GRANT);
}

static void malformed_requests_are_refused(void **state)
{
	(void)state;
	struct row_rcpt to[] = {TO("alice@a.test")};
	struct msg_deliver m = message("", to, 1, "hello");
	assert_int_equal(ask_error(smtpd, MSG_deliver, &m), ERR_BAD);
	m = message("m1", to, 0, "hello");
	assert_int_equal(ask_error(smtpd, MSG_deliver, &m), ERR_BAD);
	m = message("a very long message id, longer than any message id that there ever was", to, 1,
		    "hello");
	assert_int_equal(ask_error(smtpd, MSG_deliver, &m), ERR_BAD);
}

#define T(f)   cmocka_unit_test_setup_teardown(f, running_setup, running_teardown)
#define SRS(f) cmocka_unit_test_setup_teardown(f, running_setup, running_teardown_srs)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(recipients_are_ours_or_refused),
	    T(only_a_grant_relays),
	    T(a_full_mailbox_is_said_at_rcpt),
	    T(a_disabled_account_gets_no_mail),
	    T(senders_are_the_accounts_own),
	    T(one_shard_takes_it_at_once),
	    T(again_is_answered_as_before),
	    T(several_shards_go_by_the_queue),
	    T(the_outside_stays_due),
	    T(an_alias_of_several_is_told_of_once),
	    SRS(forwarded_mail_leaves_from_us_and_returns),
	    SRS(other_senders_stay),
	    T(without_a_grant_nothing_is_relayed),
	    T(lmtp_answers_for_each),
	    T(a_large_body_comes_as_a_descriptor),
	    T(what_was_queued_survives_a_restart),
	    T(a_fanout_cut_short_delivers_once),
	    T(a_full_mailbox_is_tried_again),
	    T(an_account_that_has_gone_fails),
	    T(held_messages_wait),
	    T(an_account_sends_so_much_and_no_more),
	    T(many_at_once_are_all_there),
	    T(leases_are_the_workers),
	    T(users_of_the_machine_may_send_and_no_more),
	    T(malformed_requests_are_refused),
	};
	return cmocka_run_group_tests_name("stored_smtp", tests, NULL, NULL);
}
