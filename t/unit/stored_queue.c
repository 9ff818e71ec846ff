/* The queue's transactions: stored once, finished after the last recipient, forgotten later. */
#include "t/unit/stored_bases.h"

static struct base *dir;
static struct pool *claimed;

static int setup(void **state)
{
	(void)state;
	bases_folder();
	dir = base_new(0);
	claimed = pool_new(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	is_sound(dir);
	base_close(&dir);
	pool_free(&claimed);
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

static struct queue_claim claim(const char *worker, uint32_t max, uint64_t until, uint64_t now)
{
	struct queue_claim c = {.pool = claimed,
				.worker = slice_of(worker),
				.now_ms = now,
				.until_ms = until,
				.max = max};
	c.item = pool_alloc(claimed, (max + 1) * sizeof(*c.item));
	return c;
}

static void claim_now(struct queue_claim *c)
{
	tx_begin(dir);
	assert_int_equal(tx_end(dir, queue_claim(dir, c)), ERR_OK);
}

static void lease(uint64_t item, const char *worker, uint64_t until, uint64_t now)
{
	struct queue_claim c = claim(worker, 10, until, now);
	claim_now(&c);
	for (uint32_t i = 0; i < c.n; i++)
		assert_int_equal(c.item[i].item, item);
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

static void small_content_comes_with_the_claim(void **state)
{
	(void)state;
	uint64_t item;
	assert_int_equal(add("m1", &item), ERR_OK);
	assert_int_equal(add("m2", &item), ERR_OK);
	struct queue_claim c = claim("w", 10, 90000, 2000);
	c.content = 9; /* of one of the two */
	claim_now(&c);
	assert_int_equal(c.n, 2);
	assert_true(slice_eqs(c.item[0].content, "hello"));
	assert_int_equal(c.item[1].content.len, 0);
	assert_int_equal(c.content, 4);
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

static void the_body_of_a_failure_stays_until_told(void **state)
{
	(void)state;
	uint64_t item;
	assert_int_equal(add("m1", &item), ERR_OK);
	assert_int_equal(outcome(item, "", 0, QUEUE_FAILED), ERR_OK);
	assert_int_equal(outcome(item, "", 1, QUEUE_DONE), ERR_OK);
	lease(item, "w", 9000, 2000);
	assert_int_equal(outcome(item, "w", 2, QUEUE_DONE), ERR_OK);
	assert_int_equal(number(dir, "SELECT failed FROM queue_items"), 1);
	assert_int_equal(number(dir, "SELECT owed FROM queue_items"), 1);
	assert_int_equal(number(dir, "SELECT finished_ms FROM queue_items"), 0);
	assert_int_equal(number(dir, "SELECT COUNT(*) FROM bodies"), 1);
}

/* --- turns --- */

static struct queue_to to_one = {.outside = true, .orcpt = SLICE("")};

static void add_from(uint64_t account, const char *addr, uint64_t hold_until, uint64_t by,
		     uint32_t flags)
{
	static unsigned n;
	char id[32];
	snprintf(id, sizeof(id), "t%u", n++);
	to_one.addr = slice_of(addr);
	struct queue_add q = {.id = slice_of(id),
			      .sid = SLICE("s"),
			      .sender = SLICE("me@a.test"),
			      .envid = SLICE(""),
			      .meta = SLICE("meta"),
			      .account = account,
			      .flags = flags,
			      .now_ms = 1000,
			      .hold_until_ms = hold_until,
			      .deliver_by_ms = by,
			      .body = {.bytes = SLICE("hello"), .fd = -1},
			      .size = 5,
			      .to = &to_one,
			      .n = 1};
	tx_begin(dir);
	assert_int_equal(tx_end(dir, queue_add(dir, &q)), ERR_OK);
}

static unsigned count(const struct queue_claim *c, const char *domain)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < c->n; i++)
		n += slice_eqs(c->item[i].domain, domain);
	return n;
}

static void a_flood_takes_turns(void **state)
{
	(void)state;
	char addr[64];
	for (int i = 0; i < 300; i++) /* a sender who writes to everybody */
		add_from(1, (snprintf(addr, sizeof(addr), "x@d%d.example", i), addr), 0, 0, 0);
	for (int i = 0; i < 300; i++) /* one who writes to one place */
		add_from(2, "x@flood.example", 0, 0, 0);
	add_from(2, "x@small.example", 0, 0, 0);
	add_from(3, "x@flood.example", 0, 0, 0);
	struct queue_claim c = claim("w", 6, 90000, 2000);
	claim_now(&c);
	assert_int_equal(c.n, 6);
	assert_int_equal(c.next_due_ms, 2000);
	assert_int_equal(count(&c, "small.example"), 1);
	assert_int_equal(count(&c, "flood.example"), 2); /* of 2 and 3 */
	/* All of it comes, each once, though the clock stands. */
	unsigned n = 6;
	for (int i = 0; i < 200 && c.n; i++, n += c.n) {
		c = claim("w", 6, 90000, 2000);
		claim_now(&c);
	}
	assert_int_equal(n, 602);
	assert_int_equal(c.next_due_ms, 90000);
}

static void few_at_a_time_leave_nobody_out(void **state)
{
	(void)state;
	char addr[64];
	bool had[101] = {false};
	for (uint64_t a = 1; a <= 100; a++)
		for (int i = 0; i < 3; i++) {
			snprintf(addr, sizeof(addr), "x@d%llu.example", (unsigned long long)a);
			add_from(a, addr, 0, 0, 0);
		}
	for (int i = 0; i < 50; i++) {
		struct queue_claim c = claim("w", 2, 90000, 2000);
		claim_now(&c);
		for (uint32_t k = 0; k < c.n; k++)
			had[atoi(c.item[k].domain.p + 1)] = true;
	}
	for (int a = 1; a <= 100; a++)
		assert_true(had[a]);
}

static void domains_have_limits(void **state)
{
	(void)state;
	char addr[64];
	for (int i = 0; i < 5; i++) {
		add_from(1, "x@one.example", 0, 0, 0);
		add_from(1, "x@two.example", 0, 0, 0);
		add_from(2, "x@three.example", 0, 0, 0);
	}
	struct row_domain_limit limit[300] = {{SLICE("one.example"), 0}, {SLICE("two.example"), 3}};
	struct queue_claim c = claim("w", 60, 90000, 2000);
	c.limit = limit;
	c.limits = 2;
	c.per_domain = 2;
	claim_now(&c);
	assert_int_equal(c.n, 5);
	assert_int_equal(count(&c, "two.example"), 3);
	assert_int_equal(count(&c, "three.example"), 2);
	/* More that are left out than are looked at: the others come all the same. */
	char *names = pool_alloc(claimed, 300 * 32);
	for (int i = 0; i < 300; i++) {
		snprintf(names + 32 * i, 32, "a%d.example", i);
		snprintf(addr, sizeof(addr), "x@a%d.example", i);
		add_from(7, addr, 0, 0, 0);
		limit[i] = (struct row_domain_limit){slice_of(names + 32 * i), 0};
	}
	add_from(7, "x@zebra.example", 0, 0, 0);
	unsigned zebra = 0;
	for (int i = 0; i < 3; i++) {
		c = claim("w", 60, 90000, 3000 + (uint64_t)i);
		c.limit = limit;
		c.limits = 300;
		claim_now(&c);
		zebra += count(&c, "zebra.example");
	}
	assert_int_equal(zebra, 1);
}

static void times_are_kept(void **state)
{
	(void)state;
	add_from(1, "x@later.example", 50000, 0, 0);
	add_from(1, "x@strict.example", 0, 3000, 0);
	add_from(1, "x@told.example", 0, 3000, DELIVER_BY_NOTIFY);
	struct queue_claim c = claim("w", 10, 2500, 2000);
	claim_now(&c);
	assert_int_equal(c.n, 2);
	assert_int_equal(outcome(2, "w", 0, QUEUE_DUE), ERR_OK); /* until 5000: cut to 3000 */
	assert_int_equal(number(dir, "SELECT due_ms FROM queue_rcpts WHERE item = 2"), 3000);
	c = claim("w", 10, 9000, 3000);
	claim_now(&c);
	assert_int_equal(c.n, 1);
	assert_true(slice_eqs(c.item[0].domain, "told.example"));
	assert_int_equal(number(dir, "SELECT state FROM queue_rcpts WHERE item = 2"), QUEUE_FAILED);
	assert_int_equal(number(dir, "SELECT COUNT(*) FROM queue_rcpts WHERE item = 2 AND"
				     " status = CAST('5.4.7' AS BLOB) AND owed = 1 AND"
				     " code = 0 AND attempts = 1"), /* the one before */
			 1);
	assert_int_equal(number(dir, "SELECT owed FROM queue_rcpts WHERE item = 3"),
			 NOTICE_DELAYED);
	c = claim("w", 10, 90000, 50000);
	claim_now(&c);
	assert_int_equal(count(&c, "later.example"), 1);
}

/* Those who have nothing due any more are found out a few hundred a claim. */
static void what_is_held_hides_nothing(void **state)
{
	(void)state;
	struct queue_change q = {.action = QUEUE_ACT_HOLD, .now_ms = 1200};
	struct queue_claim c;
	for (uint64_t i = 1; i <= 600; i++)
		add_from(i, "x@b.test", 0, 0, 0);
	do {
		tx_begin(dir);
		assert_int_equal(tx_end(dir, queue_change(dir, &q)), ERR_OK);
	} while (q.more);
	add_from(1000, "x@c.test", 1500, 0, 0);
	unsigned claims = 0;
	do {
		c = claim("w", 10, 9000, 2000);
		claim_now(&c);
	} while (c.n == 0 && c.next_due_ms <= 2000 && ++claims < 10);
	assert_int_equal(c.n, 1);
	assert_true(slice_eqs(c.item[0].rcpts[0].addr, "x@c.test"));
	c = claim("w", 10, 9000, 2000);
	claim_now(&c);
	assert_int_equal(c.n, 0);
	assert_true(c.next_due_ms > 2000);
}

static void traced_mail_is_told_of_when_it_is_passed_on(void **state)
{
	(void)state;
	add_from(1, "x@one.example", 0, 90000, DELIVER_BY_NOTIFY | DELIVER_BY_TRACE);
	add_from(1, "x@two.example", 0, 90000, DELIVER_BY_NOTIFY);
	struct queue_claim c = claim("w", 10, 9000, 2000);
	claim_now(&c);
	assert_int_equal(outcome(1, "w", 0, QUEUE_PASSED), ERR_OK);
	assert_int_equal(number(dir, "SELECT owed FROM queue_rcpts WHERE item = 1"),
			 NOTICE_RELAYED);
	assert_int_equal(outcome(2, "w", 0, QUEUE_PASSED), ERR_OK);
	assert_int_equal(number(dir, "SELECT owed FROM queue_rcpts WHERE item = 2"), NOTICE_NONE);
}

static void a_local_recipient_that_is_late(void **state)
{
	(void)state;
	places[0].notify = 0;
	struct queue_add q = {.id = SLICE("late"),
			      .sid = SLICE("s"),
			      .sender = SLICE("me@a.test"),
			      .envid = SLICE(""),
			      .meta = SLICE("meta"),
			      .now_ms = 1000,
			      .deliver_by_ms = 1500,
			      .flags = DELIVER_BY_NOTIFY,
			      .body = {.bytes = SLICE("hello"), .fd = -1},
			      .size = 5,
			      .to = places,
			      .n = 1};
	tx_begin(dir);
	assert_int_equal(tx_end(dir, queue_add(dir, &q)), ERR_OK);
	assert_int_equal(outcome(q.item, "", 0, QUEUE_DUE), ERR_OK);
	assert_int_equal(number(dir, "SELECT owed FROM queue_rcpts"), NOTICE_DELAYED);
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
	assert_int_equal(outcome(item, "", 0, QUEUE_DONE), ERR_OK);
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

/* A database as the first version left it. */
static void old_rows_migrate(void **state)
{
	(void)state;
	static const char ROWS[] =
	    "INSERT INTO queue_items VALUES"
	    " (1, 'm1', 's', 'me@a.test', 7, 0, '', 1, 0, 5, 0, '', 2, 0, 0),"
	    " (2, 'm2', 's', 'me@a.test', 0, 0, '', 1, 0, 5, 9, '', 0, 1, 5),"
	    " (3, 'm3', 's', '', 0, 0, '', 1, 0, 5, 0, '', 0, 1, 5);"
	    "INSERT INTO queue_rcpts VALUES"
	    " (1, 0, 'x@b.test', 0, '', 1, 0, 0, 'b.test', 0, 0, 50, NULL, '', 1),"
	    " (1, 1, 'y@b.test', 0, '', 1, 0, 0, 'b.test', 0, 0, 40, NULL, '', 1),"
	    " (2, 0, 'x@a.test', 0, '', 0, 4, 1, 'a.test', 2, 0, 50, NULL, '', 1),"
	    " (3, 0, 'x@a.test', 0, '', 0, 4, 1, 'a.test', 2, 0, 50, NULL, '', 1);";
	struct schema first = schema_queue;
	const char *why = NULL;
	char path[100];
	first.n = 1;
	snprintf(path, sizeof(path), "%s/old.db", bases_dir);
	struct db *d = db_open(path, DB_WRITE, NULL, 0, &why);
	assert_non_null(d);
	assert_true(db_migrate(d, &first, &why));
	assert_int_equal(db_exec(d, ROWS), DB_DONE);
	assert_true(db_migrate(d, &schema_queue, &why));
	assert_int_equal(db_number(d, "SELECT due_ms FROM queue_flows WHERE submitter = 7"), 40);
	assert_int_equal(db_number(d, "SELECT due_ms FROM queue_senders WHERE submitter = 7"), 40);
	assert_int_equal(db_number(d, "SELECT COUNT(*) FROM queue_senders"), 1);
	assert_int_equal(db_number(d, "SELECT owed FROM queue_items WHERE id = 2"), 1);
	assert_int_equal(db_number(d, "SELECT finished_ms FROM queue_items WHERE id = 2"), 0);
	assert_int_equal(db_number(d, "SELECT finished_ms FROM queue_items WHERE id = 3"), 5);
	assert_int_equal(db_number(d, "SELECT SUM(owed) FROM queue_rcpts"), NOTICE_FAILED);
	db_close(&d);
}

static void what_was_not_tried_is_given_back(void **state)
{
	(void)state;
	static const struct row_leased both[] = {{.rcpt = 0}, {.rcpt = 2}};
	uint64_t item;
	assert_int_equal(add("m1", &item), ERR_OK);
	lease(item, "w", 9000, 2000);
	struct queue_return q = {
	    .worker = SLICE("v"), .item = item, .now_ms = 2500, .rcpt = both, .rcpts = 2};
	tx_begin(dir);
	assert_int_equal(tx_end(dir, queue_return(dir, &q)), ERR_OK);
	assert_int_equal(q.n, 0); /* another worker's */
	q.worker = SLICE("w");
	tx_begin(dir);
	assert_int_equal(tx_end(dir, queue_return(dir, &q)), ERR_OK);
	assert_int_equal(q.n, 1); /* the first recipient is a local one */
	struct queue_claim c = claim("v", 10, 9000, 2500);
	claim_now(&c);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.item[0].rcpts[0].attempts, 0);
	assert_int_equal(outcome(item, "w", 2, QUEUE_DONE), ERR_INUSE);
}

static void the_time_of_a_hold_does_not_count(void **state)
{
	(void)state;
	add_from(1, "x@a.example", 0, 0, 0);
	add_from(1, "x@b.example", 500000, 0, 0);
	struct queue_claim c = claim("w", 10, 900000, 500000);
	claim_now(&c);
	assert_int_equal(c.n, 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(c.item[i].created_ms,
				 slice_eqs(c.item[i].domain, "a.example") ? 1000 : 500000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_message_is_queued_once),
	    T(small_content_comes_with_the_claim),
	    T(the_last_recipient_finishes_the_item),
	    T(an_outcome_counts_once),
	    T(the_body_of_a_failure_stays_until_told),
	    T(a_flood_takes_turns),
	    T(few_at_a_time_leave_nobody_out),
	    T(domains_have_limits),
	    T(times_are_kept),
	    T(what_is_held_hides_nothing),
	    T(traced_mail_is_told_of_when_it_is_passed_on),
	    T(a_local_recipient_that_is_late),
	    T(old_rows_migrate),
	    T(only_the_holder_of_the_lease_reports),
	    T(a_lease_that_ran_out_is_the_next_ones),
	    T(finished_items_are_forgotten),
	    T(what_was_not_tried_is_given_back),
	    T(the_time_of_a_hold_does_not_count),
	};
	return cmocka_run_group_tests_name("stored_queue", tests, NULL, NULL);
}
