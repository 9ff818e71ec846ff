/* The administrator's commands about mailboxes and the queue, through the socket. */
#include "t/unit/stored_running.h"

static struct peer *admin;

static int setup(void **state)
{
	running_setup(state);
	listen_as("ctl");
	admin = peer_connect(socket_path("ctl"), ROLE_CTL, NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	peer_free(&admin);
	return running_teardown(state);
}

static struct msg_ctl command(const char *line)
{
	struct msg_ctl m = {.words = pool_alloc(run_pool, 16 * sizeof(struct row_word)),
			    .secret = SLICE(""),
			    .cursor = SLICE(""),
			    .body = BODY_NONE};
	struct slice rest = slice_of(line), word;
	while ((word = slice_word(&rest)).len)
		m.words[m.words_n++].text = word;
	return m;
}

static const struct msg_ctl_reply *say(const char *line)
{
	struct msg_ctl m = command(line);
	return ask(admin, MSG_ctl, &m, MSG_ctl_reply);
}

static enum ipc_err say_error(const char *line)
{
	struct msg_ctl m = command(line);
	return ask_error(admin, MSG_ctl, &m);
}

/* The value of a cell; NULL: there is none. */
static const char *cell(const struct msg_ctl_reply *r, uint32_t record, const char *name)
{
	for (uint32_t i = 0; i < r->cells_n; i++)
		if (r->cells[i].record == record && slice_eqs(r->cells[i].name, name))
			return pool_strndup(run_pool, r->cells[i].text.p, r->cells[i].text.len);
	return NULL;
}

static void cell_is(const struct msg_ctl_reply *r, uint32_t record, const char *name,
		    const char *want)
{
	const char *have = cell(r, record, name);
	assert_non_null(have);
	assert_string_equal(have, want);
}

static void deliver(const char *id, const char *to_addr, const char *text)
{
	struct row_rcpt to[] = {{.addr = slice_of(to_addr), .orcpt = SLICE("")}};
	struct msg_deliver m = message(id, to, 1, text);
	assert_int_equal(send_it(&m), ERR_OK);
}

static void expunge_first(void)
{
	struct row_uid gone[] = {{1}};
	struct msg_pop_quit m = {.grant = grant_for(ROLE_POP3D, 1),
				 .lock = SLICE("some word"),
				 .mailbox = mailbox_global(1, 1),
				 .deleted = gone,
				 .deleted_n = 1};
	ask(pop3d, MSG_pop_quit, &m, MSG_ok);
}

static void mailboxes_are_listed(void **state)
{
	(void)state;
	deliver("m1", "alice@a.test", "hello");
	deliver("m2", "bob@a.test", "hello");
	const struct msg_ctl_reply *r = say("mailbox list alice@a.test");
	cell_is(r, 0, "mailbox", "INBOX");
	cell_is(r, 0, "messages", "1");
	cell_is(r, 0, "size", "5");
	struct msg_ctl m = command("mailbox list");
	r = ask(admin, MSG_ctl, &m, MSG_ctl_reply);
	cell_is(r, 0, "account", "alice@a.test");
	cell_is(r, 0, "messages", "1");
	cell_is(r, 0, "size", "5");
	m.cursor = r->cursor;
	r = ask(admin, MSG_ctl, &m, MSG_ctl_reply);
	cell_is(r, 0, "account", "bob@a.test");
	assert_int_equal(r->cursor.len, 0);
	assert_int_equal(say("mailbox list carol@a.test")->cells_n, 0);
	assert_int_equal(say_error("mailbox list nobody@a.test"), ERR_NOTFOUND);
}

static void messages_are_shown(void **state)
{
	(void)state;
	deliver("m1", "alice@a.test", "hello");
	const struct msg_ctl_reply *r = say("mailbox show alice@a.test inbox");
	cell_is(r, 0, "uid", "1");
	cell_is(r, 0, "retrieved", "");
	assert_int_equal(say("mailbox show carol@a.test")->cells_n, 0);
	assert_int_equal(say_error("mailbox show alice@a.test Nowhere"), ERR_NOTFOUND);
}

static void expunged_messages_come_back(void **state)
{
	(void)state;
	deliver("m1", "alice@a.test", "hello");
	deliver("m2", "alice@a.test", "hello");
	expunge_first();
	const struct msg_ctl_reply *r = say("mailbox expunged alice@a.test");
	cell_is(r, 0, "uid", "1");
	assert_null(cell(r, 1, "uid"));
	cell_is(say("mailbox restore alice@a.test 1"), 0, "restored", "1");
	assert_int_equal(say("mailbox expunged alice@a.test")->cells_n, 0);
	assert_int_equal(say_error("mailbox restore alice@a.test 1"), ERR_NOTFOUND);
	assert_int_equal(say_error("mailbox restore alice@a.test one"), ERR_BAD);
	cell_is(say("mailbox restore alice@a.test"), 0, "restored", "0");
	assert_int_equal(read_sql(1, "SELECT MAX(uid) FROM messages WHERE expunged = 0"), 3);
}

static void all_that_was_expunged_is_restored(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		char id[20];
		snprintf(id, sizeof(id), "m%d", i);
		deliver(id, "alice@a.test", "hello");
	}
	change_sql(1, "UPDATE messages SET expunged = 1, expunged_ms = 5;"
		      "UPDATE mailboxes SET messages = 0, unseen = 0, bytes = 0;"
		      "UPDATE owners SET messages = 0, bytes = 0");
	cell_is(say("mailbox restore alice@a.test"), 0, "restored", "300");
	assert_int_equal(read_sql(1, "SELECT messages FROM owners"), 300);
}

static void a_message_goes_out_and_in(void **state)
{
	(void)state;
	deliver("m1", "alice@a.test", "Subject: x\r\n\r\nhello\r\n");
	const struct msg_ctl_reply *r = say("mailbox export alice@a.test 1");
	assert_true(slice_eqs(r->body.bytes, "Subject: x\r\n\r\nhello\r\n"));
	assert_int_equal(say_error("mailbox export alice@a.test 2"), ERR_NOTFOUND);
	struct msg_ctl m = command("mailbox import bob@a.test");
	assert_int_equal(ask_error(admin, MSG_ctl, &m), ERR_BAD);
	m.body = r->body;
	cell_is(ask(admin, MSG_ctl, &m, MSG_ctl_reply), 0, "uid", "1");
	r = say("mailbox export bob@a.test 1");
	assert_true(slice_eqs(r->body.bytes, "Subject: x\r\n\r\nhello\r\n"));
}

static void the_queue_is_shown(void **state)
{
	(void)state;
	deliver("m1", "away@a.test", "hello");
	const struct msg_ctl_reply *r = say("queue list");
	cell_is(r, 0, "id", "m1");
	cell_is(r, 0, "open", "1");
	cell_is(r, 0, "recipient", "someone@elsewhere.example");
	cell_is(r, 0, "state", "due");
	r = say("queue show m1");
	cell_is(r, 0, "recipient", "someone@elsewhere.example");
	cell_is(r, 0, "state", "due");
	cell_is(say("queue show 1"), 0, "to", "outside");
	assert_int_equal(say_error("queue show m2"), ERR_NOTFOUND);
	assert_int_equal(say_error("queue show 77"), ERR_NOTFOUND);
	r = say("queue stats");
	cell_is(r, 0, "messages", "1");
	cell_is(r, 0, "outside-due", "1");
}

static const struct msg_ctl_reply *all_pages(const char *line, int *pages)
{
	struct msg_ctl m = command(line);
	const struct msg_ctl_reply *r;
	*pages = 0;
	do {
		r = ask(admin, MSG_ctl, &m, MSG_ctl_reply);
		m.cursor = r->cursor;
		++*pages;
	} while (r->cursor.len);
	return r;
}

static void queue_from(const char *id, const char *sender, const char *to_addr)
{
	struct row_rcpt to[] = {{.addr = slice_of(to_addr), .orcpt = SLICE("")}};
	struct msg_deliver m = message(id, to, 1, "hello");
	m.sender = slice_of(sender);
	m.grant = grant_for(ROLE_SMTPD, 1);
	assert_int_equal(send_it(&m), ERR_OK);
}

static void lease_all(const char *worker)
{
	struct msg_queue_claim c = {.worker = slice_of(worker), .max = 10, .lease_ms = 60000};
	ask(smtpd, MSG_queue_claim, &c, MSG_queue_items);
}

#define STATE_IS(s) "SELECT COUNT(*) FROM queue_rcpts WHERE state = " #s

static void the_queue_is_held_and_released(void **state)
{
	(void)state;
	queue_from("m1", "alice@a.test", "x@One.example");
	queue_from("m2", "alice@a.test", "y@two.example");
	queue_from("m3", "", "z@two.example");
	cell_is(say("queue hold --to ONE.example"), 0, "held", "1");
	cell_is(say("queue hold --to ONE.example"), 0, "held", "0");
	cell_is(say("queue hold --from <>"), 0, "held", "1");
	cell_is(say("queue list --from ALICE@a.test"), 1, "id", "m2");
	cell_is(say("queue list --to one.example"), 0, "id", "m1");
	assert_null(cell(say("queue list --to one.example"), 1, "id"));
	cell_is(say("queue show m3"), 0, "state", "held");
	stop_threads();
	start_threads();
	assert_int_equal(read_sql(0, STATE_IS(3)), 2);
	lease_all("w");
	const struct msg_ctl_reply *r = say("queue hold --all");
	cell_is(r, 0, "held", "0");
	cell_is(r, 0, "under-way", "1");
	cell_is(say("queue release m1"), 0, "released", "1");
	cell_is(say("queue release --all"), 0, "released", "1");
	assert_int_equal(read_sql(0, STATE_IS(0)), 3);
	assert_int_equal(say_error("queue hold"), ERR_BAD);
	assert_int_equal(say_error("queue hold --to"), ERR_BAD);
	assert_int_equal(say_error("queue hold --to a b"), ERR_BAD);
	assert_int_equal(say_error("queue hold --every x"), ERR_BAD);
	assert_int_equal(say_error("queue hold m77"), ERR_NOTFOUND);
}

static void the_queue_is_flushed(void **state)
{
	(void)state;
	queue_from("m1", "alice@a.test", "x@one.example");
	queue_from("m2", "alice@a.test", "y@two.example");
	change_sql(0, "UPDATE queue_rcpts SET due_ms = due_ms + 3600000;"
		      "UPDATE queue_items SET hold_until_ms = created_ms + 1800000 WHERE id = 2");
	cell_is(say("queue flush --all"), 0, "flushed", "2");
	cell_is(say("queue flush --all"), 0, "flushed", "0");
	lease_all("w");
	assert_int_equal(read_sql(0, "SELECT item FROM queue_rcpts WHERE worker IS NOT NULL"), 1);
	assert_int_equal(read_sql(0, "SELECT r.due_ms - i.hold_until_ms FROM queue_rcpts r JOIN"
				     " queue_items i ON i.id = r.item WHERE i.id = 2"),
			 0);
}

/* Of the item's first n recipients; another worker's lease is refused. */
static void renew(const char *worker, uint32_t n, bool ok)
{
	static struct row_leased r[] = {{0}, {1}};
	struct msg_queue_renew m = {
	    .worker = slice_of(worker), .item = 1, .lease_ms = 900000, .rcpts = r, .rcpts_n = n};
	if (ok)
		ask(smtpd, MSG_queue_renew, &m, MSG_ok);
	else
		assert_int_equal(ask_error(smtpd, MSG_queue_renew, &m), ERR_INUSE);
}

#define DUE_IN_MORE_THAN(s)                                \
	"SELECT COUNT(*) FROM queue_rcpts WHERE due_ms > " \
	"(SELECT created_ms FROM queue_items) + " #s "000"

static void a_lease_is_prolonged_as_a_whole(void **state)
{
	(void)state;
	struct row_rcpt to[] = {{.addr = SLICE("x@one.example"), .orcpt = SLICE("")},
				{.addr = SLICE("y@one.example"), .orcpt = SLICE("")}};
	struct msg_deliver m = message("m1", to, 2, "hello");
	m.sender = SLICE("alice@a.test");
	m.grant = grant_for(ROLE_SMTPD, 1);
	assert_int_equal(send_it(&m), ERR_OK);
	lease_all("w");
	renew("w", 2, true);
	assert_int_equal(read_sql(0, DUE_IN_MORE_THAN(600)), 2);
	renew("other", 1, false);
	change_sql(0, "UPDATE queue_rcpts SET due_ms = 1; UPDATE queue_rcpts SET worker = 'other'"
		      " WHERE n = 1");
	renew("w", 2, false);
	assert_int_equal(read_sql(0, DUE_IN_MORE_THAN(600)), 0);
	renew("w", 1, true);
	assert_int_equal(read_sql(0, DUE_IN_MORE_THAN(600)), 1);
}

static void what_is_under_way_is_not_deleted(void **state)
{
	(void)state;
	queue_from("m1", "alice@a.test", "x@one.example");
	lease_all("w");
	const struct msg_ctl_reply *r = say("queue delete m1");
	cell_is(r, 0, "deleted", "0");
	cell_is(r, 0, "under-way", "1");
	move_clock(60001); /* the worker is late: what it says then is ignored */
	cell_is(say("queue delete m1"), 0, "deleted", "1");
	struct row_rcpt_done done = {.rcpt = 0, .state = QUEUE_DONE, .text = SLICE("250 ok")};
	struct msg_queue_result late = {
	    .worker = SLICE("w"), .item = 1, .rcpts = &done, .rcpts_n = 1};
	assert_int_equal(ask_error(smtpd, MSG_queue_result, &late), ERR_INUSE);
	cell_is(say("queue show m1"), 0, "state", "deleted");
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM bodies"), 0);
	assert_int_equal(say("queue list")->cells_n, 0);
}

static void many_are_changed_in_slices(void **state)
{
	(void)state;
	enum { N = 1200, MANY = 5000 };
	struct row_rcpt *to = pool_alloc(run_pool, MANY * sizeof(*to));
	for (int i = 0; i < MANY; i++)
		to[i] = (struct row_rcpt){
		    .addr = slice_of(pool_printf(run_pool, "r%d@one.example", i))};
	struct msg_deliver m = message("large", to, MANY, "hello");
	m.sender = SLICE("alice@a.test");
	m.grant = grant_for(ROLE_SMTPD, 1);
	assert_int_equal(send_it(&m), ERR_OK);
	for (int i = 0; i < N; i++)
		queue_from(pool_printf(run_pool, "m%d", i), "alice@a.test", "y@two.example");
	int pages;
	cell_is(all_pages("queue hold --all", &pages), 0, "held", "6200");
	assert_true(pages >= 4);
	cell_is(all_pages("queue release large", &pages), 0, "released", "5000");
	assert_true(pages >= 3);
	cell_is(all_pages("queue flush --to two.example", &pages), 0, "flushed", "0");
	cell_is(all_pages("queue delete --to two.example", &pages), 0, "deleted", "1200");
	cell_is(all_pages("queue delete large", &pages), 0, "deleted", "5000");
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM queue_items WHERE finished_ms = 0"), 0);
	assert_int_equal(read_sql(0, "SELECT COUNT(*) FROM bodies"), 0);
}

static void a_message_is_traced(void **state)
{
	(void)state;
	fanout_start();
	struct row_rcpt to[] = {TO("alice@a.test"), TO("bob@a.test")};
	struct msg_deliver m = message("m1", to, 2, "hello");
	assert_int_equal(send_it(&m), ERR_OK);
	deliver("m11", "alice@a.test", "another");
	assert_true(becomes(0, "SELECT COUNT(*) FROM queue_items WHERE finished_ms > 0", 1));
	const struct msg_ctl_reply *r = say("trace m1");
	cell_is(r, 0, "event", "queued");
	cell_is(r, 1, "event", "done");
	cell_is(r, 2, "address", "bob@a.test");
	cell_is(r, 3, "event", "finished");
	cell_is(r, 4, "event", "delivered");
	cell_is(r, 4, "address", "alice@a.test");
	cell_is(r, 5, "address", "bob@a.test");
	assert_null(cell(r, 6, "event"));
	assert_int_equal(say_error("trace m2"), ERR_NOTFOUND);
}

static void delete_for_good(const char *uid)
{
	char sql[600];
	snprintf(sql, sizeof(sql),
		 "UPDATE bodies SET refs = refs - 1 WHERE id = (SELECT body FROM messages WHERE uid"
		 " = %s); DELETE FROM messages WHERE uid = %s; DELETE FROM bodies WHERE refs = 0;"
		 "UPDATE mailboxes SET messages = messages - 1, unseen = unseen - 1,"
		 " bytes = bytes - 5; UPDATE owners SET messages = messages - 1,"
		 " bytes = bytes - 5",
		 uid, uid);
	change_sql(1, sql);
}

static void a_mailbox_comes_back_from_a_backup(void **state)
{
	(void)state;
	deliver("m1", "alice@a.test", "first");
	deliver("m2", "alice@a.test", "secnd");
	deliver("m3", "alice@a.test", "third");
	say("backup create monday");
	expunge_first();
	delete_for_good("2");
	deliver("m4", "alice@a.test", "later");
	const struct msg_ctl_reply *r = say("backup restore-mailbox monday alice@a.test");
	cell_is(r, 0, "restored", "2");
	cell_is(r, 0, "present", "1");
	r = say("backup restore-mailbox monday alice@a.test");
	cell_is(r, 0, "restored", "0");
	assert_int_equal(read_sql(1, "SELECT COUNT(*) FROM messages WHERE expunged = 0"), 4);
	r = say("mailbox export alice@a.test 6");
	assert_true(slice_eqs(r->body.bytes, "secnd"));
	assert_int_equal(say_error("backup restore-mailbox tuesday alice@a.test"), ERR_NOTFOUND);
	assert_int_equal(say_error("backup restore-mailbox monday nobody@a.test"), ERR_NOTFOUND);
}

static void a_message_comes_back_from_a_backup(void **state)
{
	(void)state;
	deliver("m1", "alice@a.test", "first");
	deliver("m2", "alice@a.test", "secnd");
	say("backup create monday");
	delete_for_good("2");
	assert_int_equal(say_error("backup restore-message monday alice@a.test 3"), ERR_NOTFOUND);
	cell_is(say("backup restore-message monday alice@a.test 2"), 0, "restored", "1");
	cell_is(say("backup restore-message monday alice@a.test 1"), 0, "present", "1");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(mailboxes_are_listed),
	    T(messages_are_shown),
	    T(expunged_messages_come_back),
	    T(all_that_was_expunged_is_restored),
	    T(a_message_goes_out_and_in),
	    T(the_queue_is_shown),
	    T(the_queue_is_held_and_released),
	    T(the_queue_is_flushed),
	    T(a_lease_is_prolonged_as_a_whole),
	    T(what_is_under_way_is_not_deleted),
	    T(many_are_changed_in_slices),
	    T(a_message_is_traced),
	    T(a_mailbox_comes_back_from_a_backup),
	    T(a_message_comes_back_from_a_backup),
	};
	return cmocka_run_group_tests_name("stored_ctl_mail", tests, NULL, NULL);
}
