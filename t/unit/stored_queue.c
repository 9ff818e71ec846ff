/* The queue's transactions: stored once, finished after the last recipient, forgotten later. */
#include "t/unit/stored_bases.h"

static struct base *dir;

static int setup(void **state)
{
	(void)state;
	bases_folder();
	dir = base_new(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	is_sound(dir);
	base_close(&dir);
	bases_remove();
	return 0;
}

static struct queue_to places[] = {
    {.addr = SLICE("a@a.test"), .account = 1, .shard = 1, .orcpt = SLICE("")},
    {.addr = SLICE("b@b.test"), .account = 2, .shard = 2, .orcpt = SLICE("")},
    {.addr = SLICE("x@Out.Example"), .outside = true, .orcpt = SLICE("rfc822;x")}};

static enum ipc_err add(const char *id, uint64_t *item)
{
	struct queue_add q = {.id = slice_of(id),
			      .sid = SLICE("s"),
			      .sender = SLICE("me@a.test"),
			      .envid = SLICE(""),
			      .meta = SLICE("meta"),
			      .now_ms = 1000,
			      .body = {.bytes = SLICE("hello"), .fd = -1},
			      .size = 5,
			      .to = places,
			      .n = 3};
	tx_begin(dir);
	enum ipc_err e = tx_end(dir, queue_add(dir, &q));
	*item = q.item;
	return e;
}

static enum ipc_err outcome(uint64_t item, const char *worker, uint64_t n, enum queue_state state)
{
	struct queue_outcome o = {.n = n, .state = state, .next_ms = 5000, .text = SLICE("t")};
	tx_begin(dir);
	return tx_end(dir, queue_outcomes(dir, item, slice_of(worker), &o, 1, 2000));
}

static void lease(uint64_t item, const char *worker, uint64_t until, uint64_t now)
{
	tx_begin(dir);
	db_start(dir->db, SQL_QUEUE_LEASE);
	db_u64(dir->db, until);
	db_bytes(dir->db, slice_of(worker));
	db_u64(dir->db, item);
	db_bytes(dir->db, SLICE("out.example"));
	db_u64(dir->db, now);
	while (db_step(dir->db) == DB_ROW)
		;
	db_reset(dir->db);
	assert_int_equal(tx_end(dir, ERR_OK), ERR_OK);
}

static void a_message_is_queued_once(void **state)
{
	(void)state;
	uint64_t item, again;
	assert_int_equal(add("m1", &item), ERR_OK);
	assert_int_equal(add("m1", &again), ERR_EXISTS);
	assert_int_equal(number(dir, "SELECT COUNT(*) FROM queue_items"), 1);
	assert_int_equal(number(dir, "SELECT COUNT(*) FROM queue_rcpts"), 3);
	assert_int_equal(number(dir, "SELECT COUNT(*) FROM bodies"), 1);
	assert_int_equal(number(dir, "SELECT COUNT(*) FROM queue_rcpts"
				     " WHERE domain = CAST('out.example' AS BLOB)"),
			 1);
}

static void the_last_recipient_finishes_the_item(void **state)
{
	(void)state;
	uint64_t item;
	assert_int_equal(add("m1", &item), ERR_OK);
	assert_int_equal(outcome(item, "", 0, QUEUE_DONE), ERR_OK);
	assert_int_equal(outcome(item, "", 1, QUEUE_DONE), ERR_OK);
	assert_int_equal(number(dir, "SELECT finished_ms FROM queue_items"), 0);
	lease(item, "w", 9000, 2000);
	assert_int_equal(outcome(item, "w", 2, QUEUE_DONE), ERR_OK);
	assert_int_equal(number(dir, "SELECT finished_ms FROM queue_items"), 2000);
	assert_int_equal(number(dir, "SELECT COUNT(*) FROM bodies"), 0);
	uint64_t again;
	assert_int_equal(add("m1", &again), ERR_EXISTS);
}

static void an_outcome_counts_once(void **state)
{
	(void)state;
	uint64_t item;
	assert_int_equal(add("m1", &item), ERR_OK);
	assert_int_equal(outcome(item, "", 0, QUEUE_DONE), ERR_OK);
	assert_int_equal(outcome(item, "", 0, QUEUE_DONE), ERR_OK);
	assert_int_equal(number(dir, "SELECT open FROM queue_items"), 2);
}

static void the_body_of_a_failure_stays(void **state)
{
	(void)state;
	uint64_t item;
	assert_int_equal(add("m1", &item), ERR_OK);
	assert_int_equal(outcome(item, "", 0, QUEUE_FAILED), ERR_OK);
	assert_int_equal(outcome(item, "", 1, QUEUE_DONE), ERR_OK);
	lease(item, "w", 9000, 2000);
	assert_int_equal(outcome(item, "w", 2, QUEUE_DONE), ERR_OK);
	assert_int_equal(number(dir, "SELECT failed FROM queue_items"), 1);
	assert_int_equal(number(dir, "SELECT COUNT(*) FROM bodies"), 1);
}

static void only_the_holder_of_the_lease_reports(void **state)
{
	(void)state;
	uint64_t item;
	assert_int_equal(add("m1", &item), ERR_OK);
	assert_int_equal(outcome(item, "w", 2, QUEUE_DONE), ERR_INUSE);
	lease(item, "w", 9000, 2000);
	assert_int_equal(outcome(item, "other", 2, QUEUE_DONE), ERR_INUSE);
	assert_int_equal(outcome(item, "w", 2, QUEUE_DONE), ERR_OK);
}

static void a_lease_that_ran_out_is_the_next_ones(void **state)
{
	(void)state;
	uint64_t item;
	assert_int_equal(add("m1", &item), ERR_OK);
	lease(item, "first", 9000, 2000);
	lease(item, "second", 9000, 8999);
	assert_int_equal(outcome(item, "second", 2, QUEUE_DONE), ERR_INUSE);
	lease(item, "second", 20000, 9000);
	assert_int_equal(outcome(item, "first", 2, QUEUE_DONE), ERR_INUSE);
	assert_int_equal(outcome(item, "second", 2, QUEUE_DUE), ERR_OK);
	assert_int_equal(number(dir, "SELECT due_ms FROM queue_rcpts WHERE n = 2"), 5000);
	assert_int_equal(number(dir, "SELECT attempts FROM queue_rcpts WHERE n = 2"), 1);
}

static void finished_items_are_forgotten(void **state)
{
	(void)state;
	uint64_t item;
	unsigned n;
	assert_int_equal(add("m1", &item), ERR_OK);
	assert_int_equal(outcome(item, "", 0, QUEUE_FAILED), ERR_OK);
	assert_int_equal(outcome(item, "", 1, QUEUE_DONE), ERR_OK);
	tx_begin(dir);
	assert_int_equal(tx_end(dir, queue_purge(dir, 9000, 10, &n)), ERR_OK);
	assert_int_equal(n, 0);
	lease(item, "w", 9000, 2000);
	assert_int_equal(outcome(item, "w", 2, QUEUE_DONE), ERR_OK);
	tx_begin(dir);
	assert_int_equal(tx_end(dir, queue_purge(dir, 1999, 10, &n)), ERR_OK);
	assert_int_equal(n, 0);
	tx_begin(dir);
	assert_int_equal(tx_end(dir, queue_purge(dir, 2000, 10, &n)), ERR_OK);
	assert_int_equal(n, 1);
	assert_int_equal(number(dir, "SELECT COUNT(*) FROM queue_rcpts"), 0);
	assert_int_equal(number(dir, "SELECT COUNT(*) FROM bodies"), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_message_is_queued_once),
	    T(the_last_recipient_finishes_the_item),
	    T(an_outcome_counts_once),
	    T(the_body_of_a_failure_stays),
	    T(only_the_holder_of_the_lease_reports),
	    T(a_lease_that_ran_out_is_the_next_ones),
	    T(finished_items_are_forgotten),
	};
	return cmocka_run_group_tests_name("stored_queue", tests, NULL, NULL);
}
