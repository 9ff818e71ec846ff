/* Every write, sync, open and truncation that fails: what was answered "done" is there after a
 * restart, what was refused is whole or absent, and the check finds nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "stored/body.h"
#include "stored/check.h"
#include "t/unit/stored_faulty.h"

enum { OPS = 24, BIG = 40000, SMALL = 2000 };

/* By operation number, in memory that a killed child leaves behind. */
static struct {
	int err; /* ipc_err, -1: never answered */
} * answer;
static unsigned finished;
static bool stopped;

struct probe {
	struct op op;
	unsigned n;
};

static size_t length_of(unsigned n)
{
	return n % 2 ? BIG : SMALL;
}

static struct slice body_of(unsigned n)
{
	static char bytes[BIG];
	for (size_t i = 0; i < length_of(n); i++)
		bytes[i] = (char)(n * 7 + i * 13 + i / 253);
	return (struct slice){bytes, length_of(n)};
}

static enum ipc_err add(struct base *b, struct op *op)
{
	unsigned n = ((struct probe *)op)->n;
	struct body body = {.bytes = body_of(n), .fd = -1};
	uint64_t id;
	enum ipc_err e = body_put(b, &body, 1, &id);
	if (e != ERR_OK)
		return e;
	char sql[100];
	snprintf(sql, sizeof(sql), "INSERT INTO probe (n, body) VALUES (%u, %llu)", n,
		 (unsigned long long)id);
	return work_err(b, db_exec(b->db, sql));
}

static enum ipc_err make_table(struct base *b, struct op *op)
{
	(void)op;
	return work_err(b, db_exec(b->db, "CREATE TABLE probe (n BIGINT PRIMARY KEY,"
					  " body BIGINT NOT NULL REFERENCES bodies (id))"));
}

static void done(struct op *op)
{
	answer[((struct probe *)op)->n].err = (int)op->err;
	finished++;
	op_free(op);
}

static void send_op(unsigned n, enum ipc_err (*run)(struct base *, struct op *))
{
	struct probe *p = (struct probe *)op_new(sizeof(*p));
	p->n = n;
	p->op.run = run;
	p->op.done = done;
	assert_true(work_write(1, &p->op));
}

static void wait_for(unsigned n)
{
	while (finished < n)
		uv_run(loop_get(), UV_RUN_ONCE);
}

static void on_stop(const char *why)
{
	(void)why;
	stopped = true;
}

/* Starts the store, makes the table, then lets `spec` fail and stores OPS bodies, `together` or
 * one after the other. */
static void store_with(const char *spec, unsigned together)
{
	finished = 0;
	stopped = false;
	for (unsigned n = 0; n <= OPS; n++)
		answer[n].err = -1;
	store_begin();
	work_on_stop(on_stop);
	send_op(OPS, make_table);
	wait_for(1);
	assert_true(fault_set(spec));
	for (unsigned n = 0; n < OPS; n++) {
		send_op(n, add);
		if ((n + 1) % together == 0)
			wait_for(n + 2);
	}
	wait_for(OPS + 1);
	store_end();
}

static void finding(void *arg, const char *text)
{
	/* The bodies of this test have no messages. */
	if (!strstr(text, "counts 1 references, has 0"))
		fail_msg("%s: %s", (const char *)arg, text);
}

/* Opens what is there; returns how many of the operations were answered ERR_OK. */
static unsigned prove(const char *spec)
{
	const char *why = NULL;
	struct check_sums sums = {0};
	unsigned acknowledged = 0;
	struct pool *pool = pool_new(0);
	struct base *b = base_open(dir, 1, &why);
	if (!b) {
		fail_msg("%s: %s", spec, why);
		return 0;
	}
	check_base(b, finding, (void *)spec, &sums);
	for (unsigned n = 0; n < OPS; n++) {
		char sql[100];
		snprintf(sql, sizeof(sql), "SELECT body FROM probe WHERE n = %u", n);
		uint64_t id = db_number(b->db, sql);
		struct slice got;
		if (answer[n].err == ERR_OK && !id)
			fail_msg("%s: %u was acknowledged and is lost", spec, n);
		acknowledged += answer[n].err == ERR_OK;
		if (!id)
			continue;
		assert_int_equal(body_get(b, pool, id, 0, 0, &got, NULL), ERR_OK);
		if (!slice_eq(got, body_of(n)))
			fail_msg("%s: %u is not what was stored", spec, n);
	}
	/* It goes on from here. */
	assert_int_equal(db_begin(b->db), DB_DONE);
	struct body body = {.bytes = body_of(1), .fd = -1};
	uint64_t id;
	assert_int_equal(body_put(b, &body, 1, &id), ERR_OK);
	assert_true(bodies_sync(b));
	assert_int_equal(db_commit(b->db), DB_DONE);
	base_close(&b);
	pool_free(&pool);
	return acknowledged;
}

static unsigned refused_with(enum ipc_err e)
{
	unsigned n = 0;
	for (unsigned i = 0; i < OPS; i++)
		n += answer[i].err == (int)e;
	return n;
}

/* Lets the first, second ... call of the kind fail, until none of the calls is that many. */
static unsigned each_call(const char *kind, unsigned together, bool must_stop)
{
	unsigned at = 1;
	for (; at < 400; at = next(at)) {
		char spec[64];
		snprintf(spec, sizeof(spec), "%s:%u", kind, at);
		store_with(spec, together);
		unsigned good = prove(spec);
		clean();
		if (good == OPS)
			break;
		if (must_stop && !stopped)
			fail_msg("%s: an operation failed and the store did not stop", spec);
		assert_int_equal(refused_with(ERR_TEMP) + refused_with(ERR_FULL), OPS - good);
	}
	return at;
}

static void failing_writes(void **state)
{
	(void)state;
	assert_true(each_call("write", 1, true) > 9);
	assert_true(each_call("write", 8, true) > 9);
}

static void torn_writes(void **state)
{
	(void)state;
	assert_true(each_call("torn@wal", 8, true) > 4);
	assert_true(each_call("torn@seg", 8, true) > 4);
}

static void failing_syncs(void **state)
{
	(void)state;
	assert_true(each_call("fsync@wal", 1, true) > 9);
	assert_true(each_call("fsync@seg", 8, true) > 2);
}

static void a_segment_that_cannot_be_made(void **state)
{
	(void)state;
	store_with("open@seg:1", 8);
	assert_true(stopped);
	assert_true(prove("open@seg:1") <= 1); /* a small body may have been alone before it */
}

static void a_disk_that_is_full_for_a_moment(void **state)
{
	(void)state;
	for (unsigned at = 1; at < 60; at = next(at)) {
		char spec[64];
		snprintf(spec, sizeof(spec), "full:%u", at);
		store_with(spec, 8);
		assert_false(stopped);
		/* One write failed: at most one operation may have been refused for it. */
		assert_true(prove(spec) >= OPS - 1);
		assert_int_equal(refused_with(ERR_TEMP), 0);
		clean();
	}
}

static void a_disk_that_stays_full(void **state)
{
	(void)state;
	for (unsigned at = 1; at < 40; at = next(at)) {
		char spec[64];
		snprintf(spec, sizeof(spec), "full:%u+", at);
		store_with(spec, 8);
		assert_false(stopped);
		unsigned good = prove(spec);
		assert_true(good < OPS);
		assert_int_equal(refused_with(ERR_FULL), OPS - good);
		clean();
	}
}

static void a_full_disk_for_large_bodies_alone(void **state)
{
	(void)state;
	store_with("full@seg:1+", 8);
	assert_false(stopped);
	assert_int_equal(prove("full@seg"), OPS / 2);
	for (unsigned n = 0; n < OPS; n++)
		assert_int_equal(answer[n].err, n % 2 ? ERR_FULL : ERR_OK);
}

static void store_by_fours(const char *spec)
{
	store_with(spec, 4);
}

static void prove_it(const char *spec)
{
	prove(spec);
}

/* SIGKILL in the middle. */
static void killed_at_each_call(void **state)
{
	(void)state;
	kill_at_each_call(store_by_fours, prove_it, 10, 300);
}

static void specifications(void **state)
{
	(void)state;
	assert_true(fault_set("write:1,fsync@wal:3+,torn@seg:9"));
	assert_false(fault_set("write"));
	assert_false(fault_set("write:0"));
	assert_false(fault_set("burn:1"));
	assert_false(fault_set("write@moon:1"));
	assert_true(fault_set("fsync:2"));
	assert_int_equal(fault_check(FAULT_SYNC, FAULT_DB), 0);
	assert_int_equal(fault_check(FAULT_WRITE, FAULT_DB), 0);
	assert_int_not_equal(fault_check(FAULT_SYNC, FAULT_WAL), 0);
	assert_int_equal(fault_check(FAULT_SYNC, FAULT_WAL), 0);
	assert_true(fault_set("off"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	answer = faulty_init("stored_fault");
	if (!answer)
		return 1;
	const struct CMUnitTest tests[] = {
	    T(specifications),
	    T(failing_writes),
	    T(torn_writes),
	    T(failing_syncs),
	    T(a_segment_that_cannot_be_made),
	    T(a_disk_that_is_full_for_a_moment),
	    T(a_disk_that_stays_full),
	    T(a_full_disk_for_large_bodies_alone),
	    T(killed_at_each_call),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
