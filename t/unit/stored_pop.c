/* POP3's operations, through the socket: the lock, the list, QUIT, polling and expiry. */
#include "t/unit/stored_running.h"

static struct slice word_a = {"the word of session A", 21};
static struct slice word_b = {"the word of session B", 21};

static void fill(const char *addr, unsigned from, unsigned to_n)
{
	struct answer a[64] = {0};
	struct row_rcpt to[] = {{.addr = slice_of(addr), .orcpt = SLICE("")}};
	for (unsigned i = from; i <= to_n; i++) {
		char id[40];
		snprintf(id, sizeof(id), "m%u-%s", i, addr);
		struct msg_deliver m = message(id, to, 1, "0123456789");
		struct answer *at = &a[(i - from) % 64];
		if (i - from >= 64)
			turn(&at->here);
		*at = (struct answer){0};
		assert_true(peer_call(smtpd, MSG_deliver, &m, on_answer, at) != 0);
	}
	for (unsigned i = 0; i < 64 && i <= to_n - from; i++)
		turn(&a[i].here);
}

static struct msg_pop_open opening(uint64_t account, struct slice word)
{
	return (struct msg_pop_open){
	    .grant = grant_for(ROLE_POP3D, account), .sid = SLICE("sid"), .lock = word};
}

static const struct msg_pop_list *open_as(struct peer *p, struct slice word, bool again)
{
	struct msg_pop_open m = opening(1, word);
	m.again = again;
	return ask(p, MSG_pop_open, &m, MSG_pop_list);
}

static enum ipc_err open_error(struct peer *p, struct slice word)
{
	struct msg_pop_open m = opening(1, word);
	return ask_error(p, MSG_pop_open, &m);
}

static struct msg_pop_quit quitting(struct slice word)
{
	return (struct msg_pop_quit){
	    .grant = grant_for(ROLE_POP3D, 1), .lock = word, .mailbox = mailbox_global(1, 1)};
}

static void quit(struct slice word, struct row_uid *deleted, uint32_t n, struct row_uid *retrieved,
		 uint32_t r)
{
	struct msg_pop_quit m = quitting(word);
	m.deleted = deleted;
	m.deleted_n = n;
	m.retrieved = retrieved;
	m.retrieved_n = r;
	ask(pop3d, MSG_pop_quit, &m, MSG_ok);
}

static void an_empty_maildrop_is_made(void **state)
{
	(void)state;
	const struct msg_pop_list *l = open_as(pop3d, word_a, false);
	assert_int_equal(l->messages_n, 0);
	assert_true(l->uidvalidity > 0);
	uint64_t validity = l->uidvalidity;
	quit(word_a, NULL, 0, NULL, 0);
	fill("alice@a.test", 1, 1);
	l = open_as(pop3d, word_a, false);
	assert_int_equal(l->messages_n, 1);
	assert_true(l->uidvalidity == validity);
	assert_int_equal(l->messages[0].uid, 1);
	assert_int_equal(l->messages[0].size, 10);
}

static void two_sessions_do_not_share_a_maildrop(void **state)
{
	(void)state;
	open_as(pop3d, word_a, false);
	assert_int_equal(open_error(pop3d, word_b), ERR_INUSE);
	assert_int_equal(open_error(pop3d_2, word_b), ERR_INUSE);
	struct msg_pop_quit m = quitting(word_b);
	assert_int_equal(ask_error(pop3d, MSG_pop_quit, &m), ERR_INUSE);
	quit(word_a, NULL, 0, NULL, 0);
	open_as(pop3d_2, word_b, false);
}

static void the_same_word_comes_back(void **state)
{
	(void)state;
	open_as(pop3d, word_a, false);
	open_as(pop3d_2, word_a, true);
	/* The first connection's end does not take the lock that has moved on. */
	peer_free(&pop3d);
	for (int i = 0; i < 5; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	assert_int_equal(open_error(pop3d_2, word_b), ERR_INUSE);
}

static void a_closed_connection_frees_its_locks(void **state)
{
	(void)state;
	open_as(pop3d, word_a, false);
	peer_free(&pop3d);
	for (int i = 0; i < 50; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	open_as(pop3d_2, word_b, false);
}

static void pop_close_deletes_nothing(void **state)
{
	(void)state;
	fill("alice@a.test", 1, 2);
	open_as(pop3d, word_a, false);
	struct msg_pop_close m = {
	    .grant = grant_for(ROLE_POP3D, 1), .lock = word_a, .mailbox = mailbox_global(1, 1)};
	ask(pop3d, MSG_pop_close, &m, MSG_ok);
	assert_int_equal(open_as(pop3d, word_b, false)->messages_n, 2);
}

static void quit_deletes_what_was_marked(void **state)
{
	(void)state;
	fill("alice@a.test", 1, 5);
	open_as(pop3d, word_a, false);
	struct row_uid gone[] = {{2}, {4}};
	quit(word_a, gone, 2, NULL, 0);
	const struct msg_pop_list *l = open_as(pop3d, word_a, false);
	assert_int_equal(l->messages_n, 3);
	assert_int_equal(l->messages[0].uid, 1);
	assert_int_equal(l->messages[1].uid, 3);
	assert_int_equal(l->messages[2].uid, 5);
}

static void quit_is_all_or_none(void **state)
{
	(void)state;
	fill("alice@a.test", 1, 4);
	open_as(pop3d, word_a, false);
	change_sql(1, "CREATE TRIGGER refuse BEFORE UPDATE ON messages WHEN old.uid = 4"
		      " BEGIN SELECT RAISE(ABORT, 'no'); END");
	struct row_uid gone[] = {{1}, {4}};
	struct msg_pop_quit m = quitting(word_a);
	m.deleted = gone;
	m.deleted_n = 2;
	(void)ask_error(pop3d, MSG_pop_quit, &m);
	change_sql(1, "DROP TRIGGER refuse");
	assert_int_equal(open_as(pop3d, word_b, false)->messages_n, 4);
}

static void quit_may_be_repeated(void **state)
{
	(void)state;
	fill("alice@a.test", 1, 3);
	open_as(pop3d, word_a, false);
	struct row_uid gone[] = {{2}};
	quit(word_a, gone, 1, NULL, 0);
	quit(word_a, gone, 1, NULL, 0); /* its answer was lost */
	assert_int_equal(open_as(pop3d, word_a, false)->messages_n, 2);
}

static void after_a_restart_the_session_goes_on(void **state)
{
	(void)state;
	fill("alice@a.test", 1, 3);
	open_as(pop3d, word_a, false);
	peer_free(&pop3d);
	for (int i = 0; i < 50; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	pop3d = peer_connect(socket_path("pop3d"), ROLE_POP3D, NULL, NULL);
	struct row_uid gone[] = {{1}};
	quit(word_a, gone, 1, NULL, 0);
	assert_int_equal(open_as(pop3d, word_a, false)->messages_n, 2);
}

static void anothers_mailbox_is_not_touched(void **state)
{
	(void)state;
	fill("alice@a.test", 1, 1);
	fill("carol@a.test", 1, 1);
	struct row_uid gone[] = {{1}};
	struct msg_pop_quit m = quitting(word_a);
	m.mailbox = mailbox_global(1, 2);
	m.deleted = gone;
	m.deleted_n = 1;
	assert_int_equal(ask_error(pop3d, MSG_pop_quit, &m), ERR_NOTFOUND);
	m.mailbox = mailbox_global(2, 1);
	assert_int_equal(ask_error(pop3d, MSG_pop_quit, &m), ERR_NOTFOUND);
	struct msg_message_read rd = {
	    .grant = grant_for(ROLE_POP3D, 1), .mailbox = mailbox_global(1, 2), .uid = 1};
	assert_int_equal(ask_error(pop3d, MSG_message_read, &rd), ERR_NOTFOUND);
	rd.mailbox = mailbox_global(1, 1);
	const struct msg_message_data *d = ask(pop3d, MSG_message_read, &rd, MSG_message_data);
	assert_true(slice_eqs(d->body.bytes, "0123456789"));
}

static void ranges_are_cut_at_the_end(void **state)
{
	(void)state;
	fill("alice@a.test", 1, 1);
	struct msg_message_read rd = {.grant = grant_for(ROLE_POP3D, 1),
				      .mailbox = mailbox_global(1, 1),
				      .uid = 1,
				      .offset = 7,
				      .length = 100};
	const struct msg_message_data *d = ask(pop3d, MSG_message_read, &rd, MSG_message_data);
	assert_true(slice_eqs(d->body.bytes, "789"));
	assert_int_equal(d->size, 10);
	rd.offset = 10;
	d = ask(pop3d, MSG_message_read, &rd, MSG_message_data);
	assert_int_equal(d->body.bytes.len, 0);
}

static void several_messages_come_in_one_answer(void **state)
{
	(void)state;
	fill("alice@a.test", 1, 3);
	fill("carol@a.test", 1, 1);
	struct row_uid uids[] = {{1}, {9}, {3}, {UINT64_MAX}};
	struct msg_messages_read rd = {.grant = grant_for(ROLE_POP3D, 1),
				       .mailbox = mailbox_global(1, 1),
				       .uids = uids,
				       .uids_n = 4};
	const struct msg_messages_data *d = ask(pop3d, MSG_messages_read, &rd, MSG_messages_data);
	assert_int_equal(d->messages_n, 2);
	assert_int_equal(d->messages[0].uid, 1);
	assert_int_equal(d->messages[1].uid, 3);
	assert_true(slice_eqs(d->messages[1].bytes, "0123456789"));
	struct row_uid run[] = {{2}, {3}, {4}, {1}};
	rd.uids = run;
	d = ask(pop3d, MSG_messages_read, &rd, MSG_messages_data);
	assert_int_equal(d->messages_n, 3);
	assert_int_equal(d->messages[0].uid, 2);
	assert_int_equal(d->messages[1].uid, 3);
	assert_int_equal(d->messages[2].uid, 1);
	assert_true(slice_eqs(d->messages[2].bytes, "0123456789"));
	rd.mailbox = mailbox_global(1, 2); /* another's */
	d = ask(pop3d, MSG_messages_read, &rd, MSG_messages_data);
	assert_int_equal(d->messages_n, 0);
	rd.uids_n = 0;
	assert_int_equal(ask_error(pop3d, MSG_messages_read, &rd), ERR_BAD);
}

static void polling_too_soon_is_told(void **state)
{
	(void)state;
	change_sql(0, "UPDATE account SET login_delay_ms = 60000 WHERE id = 1");
	open_as(pop3d, word_a, false);
	quit(word_a, NULL, 0, NULL, 0);
	move_clock(30000);
	assert_int_equal(open_error(pop3d, word_b), ERR_DELAY);
	/* A refused poll neither keeps the lock nor moves the time. */
	assert_int_equal(open_error(pop3d, word_a), ERR_DELAY);
	move_clock(30001);
	open_as(pop3d, word_b, false);
	open_as(pop3d, word_b, true); /* a reconnect is no poll */
}

/* The shard's word of an earlier run counts too. */
static void a_restart_remembers_the_last_login(void **state)
{
	(void)state;
	change_sql(0, "UPDATE account SET login_delay_ms = 60000 WHERE id = 1");
	move_clock(60001); /* past what other tests did */
	open_as(pop3d, word_a, false);
	quit(word_a, NULL, 0, NULL, 0);
	assert_true(becomes(1, "SELECT COUNT(*) FROM owners WHERE polled_ms > 0", 1));
	char sql[100];
	move_clock(60001);
	snprintf(sql, sizeof(sql), "UPDATE owners SET polled_ms = %llu",
		 (unsigned long long)clock_ms());
	change_sql(1, sql);
	assert_int_equal(open_error(pop3d, word_b), ERR_DELAY);
	assert_int_equal(open_error(pop3d, word_a), ERR_DELAY); /* the lock was not kept */
	move_clock(60001);
	open_as(pop3d, word_b, false);
}

static void by_default_nothing_expires(void **state)
{
	(void)state;
	fill("alice@a.test", 1, 2);
	open_as(pop3d, word_a, false);
	struct row_uid seen[] = {{1}, {2}};
	quit(word_a, NULL, 0, seen, 2);
	expire_start();
	move_clock(INT64_C(400) * 86400000);
	assert_false(becomes_in(3000, 1, "SELECT COUNT(*) FROM messages WHERE expunged = 1", 2));
	assert_int_equal(read_sql(1, "SELECT COUNT(*) FROM messages WHERE expunged = 0"), 2);
}

static void at_once_deletes_what_was_retrieved(void **state)
{
	(void)state;
	change_sql(0, "UPDATE account SET expire_ms = 0 WHERE id = 1");
	fill("alice@a.test", 1, 3);
	open_as(pop3d, word_a, false);
	struct row_uid seen[] = {{1}, {3}};
	quit(word_a, NULL, 0, seen, 2);
	const struct msg_pop_list *l = open_as(pop3d, word_a, false);
	assert_int_equal(l->messages_n, 1);
	assert_int_equal(l->messages[0].uid, 2);
}

static void retrieved_messages_expire_when_due(void **state)
{
	(void)state;
	change_sql(0, "UPDATE account SET expire_ms = 86400000 WHERE id = 1");
	fill("alice@a.test", 1, 3);
	open_as(pop3d, word_a, false);
	struct row_uid seen[] = {{1}, {3}};
	quit(word_a, NULL, 0, seen, 2);
	expire_start();
	move_clock(86400000 - 5000);
	assert_true(becomes(1, "SELECT COUNT(*) FROM messages WHERE expunged = 0", 3));
	move_clock(3700000);
	assert_true(becomes(1, "SELECT COUNT(*) FROM messages WHERE expunged = 0", 1));
	assert_int_equal(read_sql(1, "SELECT uid FROM messages WHERE expunged = 0"), 2);
	move_clock(INT64_C(15) * 86400000); /* expunged-keep is 14 days */
	assert_true(becomes(1, "SELECT COUNT(*) FROM messages", 1));
	assert_true(becomes(1, "SELECT COUNT(*) FROM bodies", 1));
}

static void retrieve_first(uint64_t account, struct slice word)
{
	struct msg_pop_open o = opening(account, word);
	const struct msg_pop_list *l = ask(pop3d, MSG_pop_open, &o, MSG_pop_list);
	struct row_uid seen[] = {{1}};
	struct msg_pop_quit q = {.grant = grant_for(ROLE_POP3D, account),
				 .lock = word,
				 .mailbox = l->mailbox,
				 .retrieved = seen,
				 .retrieved_n = 1};
	ask(pop3d, MSG_pop_quit, &q, MSG_ok);
}

static void what_cannot_expire_stops_nothing_else(void **state)
{
	(void)state;
	change_sql(0, "UPDATE account SET expire_ms = 86400000");
	fill("alice@a.test", 1, 1);
	fill("carol@a.test", 1, 1);
	fill("bob@a.test", 1, 1);
	for (uint64_t account = 1; account <= 3; account++)
		retrieve_first(account, word_a);
	change_sql(1, "CREATE TRIGGER refuse BEFORE UPDATE ON messages WHEN old.mailbox ="
		      " (SELECT inbox FROM owners WHERE account = 1)"
		      " BEGIN SELECT RAISE(ABORT, 'no'); END");
	move_clock(86400001);
	expire_start();
	assert_true(becomes(1, "SELECT COUNT(*) FROM messages WHERE expunged = 1", 1)); /* carol */
	assert_true(becomes(2, "SELECT COUNT(*) FROM messages WHERE expunged = 1", 1)); /* bob */
	change_sql(1, "DROP TRIGGER refuse");
	move_clock(31000); /* not an hour */
	assert_true(becomes(1, "SELECT COUNT(*) FROM messages WHERE expunged = 1", 2));
}

static void a_deleted_accounts_mail_goes_later(void **state)
{
	(void)state;
	fill("alice@a.test", 1, 3);
	change_sql(0, "DELETE FROM account WHERE id = 1;"
		      "INSERT INTO account_gone (account_id, shard, address, gone_ms)"
		      " VALUES (1, 1, 'alice@a.test', 1)");
	expire_start();
	assert_true(becomes(1, "SELECT COUNT(*) FROM owners", 0));
	assert_int_equal(read_sql(1, "SELECT COUNT(*) FROM bodies"), 0);
	assert_true(becomes(0, "SELECT COUNT(*) FROM account_gone", 0));
}

static void a_hundred_thousand_messages_are_listed(void **state)
{
	(void)state;
	enum { MANY = 100000 };
	fill("alice@a.test", 1, 1);
	change_sql(1, "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n"
		      " WHERE i < 100000) INSERT INTO messages (mailbox, expunged, uid, modseq,"
		      " flags, size, internal_ms, saved_ms, retrieved_ms, expunged_ms, body)"
		      " SELECT 1, 0, i, i, 0, 10, 1, 1, 0, 0, 1 FROM n;"
		      "UPDATE mailboxes SET uidnext = 100001, modseq = 100001, messages = 100000,"
		      " unseen = 100000, bytes = 1000000;"
		      "UPDATE owners SET messages = 100000, bytes = 1000000;"
		      "UPDATE bodies SET refs = 100000");
	const struct msg_pop_list *l = open_as(pop3d, word_a, false);
	assert_int_equal(l->messages_n, MANY);
	assert_int_equal(l->messages[MANY - 1].uid, MANY);
	struct row_uid *all = pool_alloc(run_pool, MANY * sizeof(*all));
	for (uint32_t i = 0; i < MANY; i++)
		all[i].uid = MANY - i;
	quit(word_a, all, MANY, NULL, 0);
	assert_int_equal(open_as(pop3d, word_a, false)->messages_n, 0);
}

/* --- watches ------------------------------------------------------------- */

static unsigned events;
static uint64_t last_value;
static bool acknowledged;

static void on_event(void *arg, enum msg_type type, const void *msg)
{
	(void)arg;
	if (type == MSG_ok) {
		acknowledged = true;
		return;
	}
	assert_int_equal(type, MSG_watch_event);
	last_value = ((const struct msg_watch_event *)msg)->value;
	events++;
}

static void watchers_hear_of_new_mail(void **state)
{
	(void)state;
	fill("alice@a.test", 1, 1);
	fill("carol@a.test", 1, 1);
	struct msg_watch w = {.kind = WATCH_MAILBOX,
			      .grant = grant_for(ROLE_POP3D, 1),
			      .object = mailbox_global(1, 1)};
	events = 0;
	acknowledged = false;
	uint32_t id = peer_call(pop3d, MSG_watch, &w, on_event, NULL);
	turn(&acknowledged);
	fill("carol@a.test", 2, 2);
	fill("alice@a.test", 2, 2);
	for (int i = 0; i < 200 && !events; i++)
		uv_run(loop_get(), UV_RUN_ONCE);
	assert_int_equal(events, 1);
	assert_true(last_value == read_sql(1, "SELECT modseq FROM mailboxes WHERE id = 1"));
	struct msg_unwatch u = {.request = id};
	ask(pop3d, MSG_unwatch, &u, MSG_ok);
	fill("alice@a.test", 3, 3);
	assert_int_equal(events, 1);
	w.object = mailbox_global(1, 2); /* carol's */
	assert_int_equal(ask_error(pop3d, MSG_watch, &w), ERR_NOTFOUND);
}

#define T(f) cmocka_unit_test_setup_teardown(f, running_setup, running_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(an_empty_maildrop_is_made),
	    T(two_sessions_do_not_share_a_maildrop),
	    T(the_same_word_comes_back),
	    T(a_closed_connection_frees_its_locks),
	    T(pop_close_deletes_nothing),
	    T(quit_deletes_what_was_marked),
	    T(quit_is_all_or_none),
	    T(quit_may_be_repeated),
	    T(after_a_restart_the_session_goes_on),
	    T(anothers_mailbox_is_not_touched),
	    T(ranges_are_cut_at_the_end),
	    T(several_messages_come_in_one_answer),
	    T(polling_too_soon_is_told),
	    T(a_restart_remembers_the_last_login),
	    T(by_default_nothing_expires),
	    T(at_once_deletes_what_was_retrieved),
	    T(retrieved_messages_expire_when_due),
	    T(what_cannot_expire_stops_nothing_else),
	    T(a_deleted_accounts_mail_goes_later),
	    T(a_hundred_thousand_messages_are_listed),
	    T(watchers_hear_of_new_mail),
	};
	return cmocka_run_group_tests_name("stored_pop", tests, NULL, NULL);
}
