/* Expunged messages: counted out at once, restorable, forgotten later with their bodies. */
#include "t/unit/stored_bases.h"

static struct base *shard;
static uint64_t inbox;

static void deliver(unsigned n, uint64_t account)
{
	char id[20];
	struct drop drop = {.account = account};
	struct delivery d = {.body = {.bytes = SLICE("0123456789"), .fd = -1},
			     .meta = SLICE("meta"),
			     .size = 10,
			     .now_ms = 1000,
			     .drop = &drop,
			     .n = 1};
	snprintf(id, sizeof(id), "m%u-%u", n, (unsigned)account);
	d.id = slice_of(id);
	tx_begin(shard);
	assert_int_equal(tx_end(shard, deliver_run(shard, &d)), ERR_OK);
}

static int setup(void **state)
{
	(void)state;
	bases_folder();
	shard = base_new(1);
	for (unsigned i = 1; i <= 10; i++)
		deliver(i, 7);
	inbox = number(shard, "SELECT inbox FROM owners");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	is_sound(shard);
	base_close(&shard);
	bases_remove();
	return 0;
}

static struct change expunge(uint64_t *uid, size_t n, uint64_t at)
{
	struct change c;
	tx_begin(shard);
	assert_int_equal(tx_end(shard, mailbox_expunge(shard, 7, inbox, uid, n, at, &c)), ERR_OK);
	return c;
}

static enum ipc_err restore(uint64_t uid, uint64_t *new_uid)
{
	struct change c;
	tx_begin(shard);
	return tx_end(shard, mailbox_restore(shard, 7, inbox, uid, new_uid, &c));
}

static unsigned purge(uint64_t until, unsigned max)
{
	unsigned n;
	tx_begin(shard);
	assert_int_equal(tx_end(shard, mailbox_purge(shard, until, max, &n)), ERR_OK);
	return n;
}

static uint64_t live(void)
{
	return number(shard, "SELECT COUNT(*) FROM messages WHERE expunged = 0");
}

static void any_order_and_repeats_are_taken(void **state)
{
	(void)state;
	uint64_t uid[] = {9, 3, 4, 3, 5, 10, 200};
	struct change c = expunge(uid, 7, 2000);
	assert_true(c.mailbox == mailbox_global(1, inbox));
	assert_int_equal(live(), 5);
	assert_int_equal(number(shard, "SELECT messages FROM mailboxes"), 5);
	assert_int_equal(number(shard, "SELECT bytes FROM owners"), 50);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM messages WHERE expunged = 0"
				       " AND uid IN (3, 4, 5, 9, 10)"),
			 0);
}

static void what_is_gone_does_no_harm(void **state)
{
	(void)state;
	uint64_t uid[] = {1, 2};
	expunge(uid, 2, 2000);
	expunge(uid, 2, 3000);
	assert_int_equal(live(), 8);
	assert_int_equal(number(shard, "SELECT expunged_ms FROM messages WHERE uid = 1"), 2000);
}

static void anothers_mailbox_is_refused(void **state)
{
	(void)state;
	uint64_t uid = 1;
	struct change c;
	tx_begin(shard);
	assert_int_equal(tx_end(shard, mailbox_expunge(shard, 8, inbox, &uid, 1, 2000, &c)),
			 ERR_NOTFOUND);
	assert_int_equal(live(), 10);
}

static void a_restored_message_has_a_new_uid(void **state)
{
	(void)state;
	uint64_t uid = 4, again;
	expunge(&uid, 1, 2000);
	uint64_t gone = number(shard, "SELECT modseq FROM messages WHERE uid = 4");
	assert_int_equal(restore(4, &again), ERR_OK);
	assert_int_equal(again, 11);
	assert_int_equal(live(), 10);
	assert_int_equal(number(shard, "SELECT messages FROM owners"), 10);
	assert_true(number(shard, "SELECT gone_modseq FROM mailboxes") == gone);
	assert_int_equal(restore(4, &again), ERR_NOTFOUND);
}

static void a_restored_message_is_not_retrieved(void **state)
{
	(void)state;
	uint64_t uid = 4, again;
	tx_begin(shard);
	assert_int_equal(tx_end(shard, mailbox_retrieved(shard, inbox, &uid, 1, 1500)), ERR_OK);
	assert_int_equal(number(shard, "SELECT retrieved_ms FROM messages WHERE uid = 4"), 1500);
	expunge(&uid, 1, 2000);
	assert_int_equal(restore(4, &again), ERR_OK);
	assert_int_equal(number(shard, "SELECT retrieved_ms FROM messages WHERE uid = 11"), 0);
}

static void the_first_retrieval_counts(void **state)
{
	(void)state;
	uint64_t uid[] = {2, 4};
	tx_begin(shard);
	assert_int_equal(tx_end(shard, mailbox_retrieved(shard, inbox, uid, 2, 1500)), ERR_OK);
	tx_begin(shard);
	assert_int_equal(tx_end(shard, mailbox_retrieved(shard, inbox, uid, 2, 2500)), ERR_OK);
	assert_int_equal(number(shard, "SELECT retrieved_ms FROM messages WHERE uid = 2"), 1500);
	assert_int_equal(number(shard, "SELECT retrieved_ms FROM messages WHERE uid = 3"), 0);
}

static void purged_messages_take_their_bodies_along(void **state)
{
	(void)state;
	uint64_t uid[] = {1, 2, 3}, later = 4, again;
	expunge(uid, 3, 2000);
	expunge(&later, 1, 3000);
	assert_int_equal(purge(2000, 100), 3);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM bodies"), 7);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM metas"), 7);
	assert_int_equal(restore(1, &again), ERR_NOTFOUND);
	assert_int_equal(restore(4, &again), ERR_OK);
}

static void purging_goes_by_slices(void **state)
{
	(void)state;
	uint64_t uid[] = {1, 2, 3, 4, 5};
	expunge(uid, 5, 2000);
	assert_int_equal(purge(9000, 2), 2);
	assert_int_equal(purge(9000, 2), 2);
	assert_int_equal(purge(9000, 2), 1);
}

static void a_dropped_account_leaves_nothing(void **state)
{
	(void)state;
	bool more = true;
	uint64_t uid = 1;
	deliver(1, 8);
	expunge(&uid, 1, 2000);
	for (int i = 0; more && i < 20; i++) {
		tx_begin(shard);
		assert_int_equal(tx_end(shard, mailbox_drop(shard, 7, 3, &more)), ERR_OK);
	}
	assert_false(more);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM owners"), 1);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM mailboxes"), 1);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM messages"), 1);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM bodies"), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(any_order_and_repeats_are_taken),
	    T(what_is_gone_does_no_harm),
	    T(anothers_mailbox_is_refused),
	    T(a_restored_message_has_a_new_uid),
	    T(a_restored_message_is_not_retrieved),
	    T(the_first_retrieval_counts),
	    T(purged_messages_take_their_bodies_along),
	    T(purging_goes_by_slices),
	    T(a_dropped_account_leaves_nothing),
	};
	return cmocka_run_group_tests_name("stored_expunge", tests, NULL, NULL);
}
