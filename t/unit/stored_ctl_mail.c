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
	    T(a_message_is_traced),
	    T(a_mailbox_comes_back_from_a_backup),
	    T(a_message_comes_back_from_a_backup),
	};
	return cmocka_run_group_tests_name("stored_ctl_mail", tests, NULL, NULL);
}
