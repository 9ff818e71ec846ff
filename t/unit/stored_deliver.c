/* deliver: one body for all, UIDs, quota, and that a repeated delivery stores nothing twice. */
#include "t/unit/stored_bases.h"

static struct base *shard;

static int setup(void **state)
{
	(void)state;
	bases_folder();
	shard = base_new(1);
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

static enum ipc_err deliver(struct delivery *d, const char *id, const char *text, struct drop *drop,
			    size_t n)
{
	d->id = slice_of(id);
	d->body = (struct body){.bytes = slice_of(text), .fd = -1};
	d->size = strlen(text);
	d->meta = SLICE("meta");
	d->now_ms = 1000;
	d->drop = drop;
	d->n = n;
	tx_begin(shard);
	return tx_end(shard, deliver_run(shard, d));
}

static enum ipc_err simple(const char *id, uint64_t account, uint64_t quota, const char *text)
{
	struct drop drop = {.account = account, .quota = quota};
	struct delivery d = {.one_fate = true};
	return deliver(&d, id, text, &drop, 1);
}

static void one_body_serves_all_recipients(void **state)
{
	(void)state;
	struct drop drop[] = {{.account = 7}, {.account = 8}, {.account = 9}};
	struct delivery d = {0};
	assert_int_equal(deliver(&d, "m1", "hello", drop, 3), ERR_OK);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM bodies"), 1);
	assert_int_equal(number(shard, "SELECT refs FROM bodies"), 3);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM metas"), 1);
	for (int i = 0; i < 3; i++) {
		uint64_t body, size;
		struct slice text;
		struct pool *pool = pool_new(0);
		uint64_t box = mailbox_number(drop[i].change.mailbox);
		assert_int_equal(drop[i].uid, 1);
		assert_int_equal(mailbox_message(shard, 7 + (uint64_t)i, box, 1, &body, &size),
				 ERR_OK);
		assert_int_equal(body_get(shard, pool, body, 0, 0, &text, &size), ERR_OK);
		assert_true(slice_eqs(text, "hello"));
		pool_free(&pool);
	}
}

static void uids_and_modseq_rise(void **state)
{
	(void)state;
	struct drop a = {.account = 7}, b = {.account = 7};
	struct delivery d = {0};
	assert_int_equal(deliver(&d, "m1", "hello", &a, 1), ERR_OK);
	assert_int_equal(deliver(&d, "m2", "hello", &b, 1), ERR_OK);
	assert_int_equal(a.uid, 1);
	assert_int_equal(b.uid, 2);
	assert_true(b.change.modseq > a.change.modseq);
	assert_true(a.change.mailbox == b.change.mailbox);
	assert_int_equal(mailbox_shard(a.change.mailbox), 1);
}

static void nobody_reads_anothers_mailbox(void **state)
{
	(void)state;
	uint64_t body, size;
	assert_int_equal(simple("m1", 7, 0, "secret"), ERR_OK);
	uint64_t box = number(shard, "SELECT inbox FROM owners WHERE account = 7");
	assert_int_equal(mailbox_message(shard, 8, box, 1, &body, &size), ERR_NOTFOUND);
}

static void the_same_message_again_is_not_stored(void **state)
{
	(void)state;
	assert_int_equal(simple("m1", 7, 0, "hello"), ERR_OK);
	assert_int_equal(simple("m1", 7, 0, "hello"), ERR_EXISTS);
	struct drop drop = {.account = 7};
	struct delivery d = {.one_fate = true, .careful = true};
	assert_int_equal(deliver(&d, "m1", "hello", &drop, 1), ERR_OK);
	assert_true(drop.before);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM messages"), 1);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM bodies"), 1);
	assert_int_equal(number(shard, "SELECT uidnext FROM mailboxes"), 2);
}

static void an_expunged_message_does_not_come_again(void **state)
{
	(void)state;
	struct change c;
	uint64_t uid = 1;
	assert_int_equal(simple("m1", 7, 0, "hello"), ERR_OK);
	uint64_t box = number(shard, "SELECT inbox FROM owners");
	tx_begin(shard);
	assert_int_equal(tx_end(shard, mailbox_expunge(shard, 7, box, &uid, 1, 2000, &c)), ERR_OK);
	assert_int_equal(simple("m1", 7, 0, "hello"), ERR_EXISTS);
}

static void careful_delivers_what_is_missing(void **state)
{
	(void)state;
	assert_int_equal(simple("m1", 7, 0, "hello"), ERR_OK);
	struct drop drop[] = {{.account = 7}, {.account = 8}};
	struct delivery d = {.one_fate = true};
	assert_int_equal(deliver(&d, "m1", "hello", drop, 2), ERR_EXISTS);
	d.careful = true;
	assert_int_equal(deliver(&d, "m1", "hello", drop, 2), ERR_OK);
	assert_true(drop[0].before && !drop[0].charged);
	assert_true(!drop[1].before && drop[1].charged);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM messages"), 2);
}

static void another_id_is_another_message(void **state)
{
	(void)state;
	assert_int_equal(simple("m1", 7, 0, "hello"), ERR_OK);
	assert_int_equal(simple("m", 7, 0, "hello"), ERR_OK);
	assert_int_equal(simple("m11", 7, 0, "hello"), ERR_OK);
	assert_int_equal(number(shard, "SELECT messages FROM owners"), 3);
}

static void the_quota_is_reached_exactly(void **state)
{
	(void)state;
	assert_int_equal(simple("m1", 7, 10, "12345"), ERR_OK);
	assert_int_equal(simple("m2", 7, 10, "12345"), ERR_OK);
	assert_int_equal(simple("m3", 7, 10, "1"), ERR_QUOTA);
	assert_int_equal(number(shard, "SELECT bytes FROM owners"), 10);
}

static void a_message_over_the_whole_quota_is_refused(void **state)
{
	(void)state;
	assert_int_equal(simple("m1", 7, 4, "12345"), ERR_QUOTA);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM bodies"), 0);
}

static void expunging_makes_room(void **state)
{
	(void)state;
	struct change c;
	uint64_t uid = 1;
	assert_int_equal(simple("m1", 7, 5, "12345"), ERR_OK);
	assert_int_equal(simple("m2", 7, 5, "12345"), ERR_QUOTA);
	uint64_t box = number(shard, "SELECT inbox FROM owners");
	tx_begin(shard);
	assert_int_equal(tx_end(shard, mailbox_expunge(shard, 7, box, &uid, 1, 2000, &c)), ERR_OK);
	assert_int_equal(simple("m2", 7, 5, "12345"), ERR_OK);
}

static void with_one_fate_a_full_mailbox_fails_all(void **state)
{
	(void)state;
	struct drop drop[] = {{.account = 7}, {.account = 8, .quota = 3}};
	struct delivery d = {.one_fate = true};
	assert_int_equal(deliver(&d, "m1", "hello", drop, 2), ERR_QUOTA);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM messages"), 0);
}

static void each_has_its_own_fate(void **state)
{
	(void)state;
	struct drop drop[] = {{.account = 7}, {.account = 8, .quota = 3}};
	struct delivery d = {0};
	assert_int_equal(deliver(&d, "m1", "hello", drop, 2), ERR_OK);
	assert_int_equal(drop[0].err, ERR_OK);
	assert_int_equal(drop[1].err, ERR_QUOTA);
	assert_int_equal(number(shard, "SELECT refs FROM bodies"), 1);
}

static void a_recipient_gets_all_its_places_or_none(void **state)
{
	(void)state;
	/* The first recipient is an alias for 7, 8 (full) and 9; the second is 9 alone. */
	struct drop drop[] = {{.account = 7}, {.account = 8, .quota = 3}, {.account = 9}};
	uint32_t alias[] = {0, 1, 2}, nine[] = {2};
	struct drop_group group[] = {{.drop = alias, .n = 3}, {.drop = nine, .n = 1}};
	struct delivery d = {.group = group, .groups = 2};
	assert_int_equal(deliver(&d, "m1", "hello", drop, 3), ERR_OK);
	assert_int_equal(group[0].err, ERR_QUOTA);
	assert_int_equal(group[1].err, ERR_OK);
	assert_int_equal(number(shard, "SELECT COUNT(*) FROM messages"), 1);
	assert_int_equal(number(shard, "SELECT bytes FROM owners WHERE account = 7"), 0);
	assert_int_equal(number(shard, "SELECT bytes FROM owners WHERE account = 9"), 5);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(one_body_serves_all_recipients),
	    T(uids_and_modseq_rise),
	    T(nobody_reads_anothers_mailbox),
	    T(the_same_message_again_is_not_stored),
	    T(an_expunged_message_does_not_come_again),
	    T(careful_delivers_what_is_missing),
	    T(another_id_is_another_message),
	    T(the_quota_is_reached_exactly),
	    T(a_message_over_the_whole_quota_is_refused),
	    T(expunging_makes_room),
	    T(with_one_fate_a_full_mailbox_fails_all),
	    T(each_has_its_own_fate),
	    T(a_recipient_gets_all_its_places_or_none),
	};
	return cmocka_run_group_tests_name("stored_deliver", tests, NULL, NULL);
}
