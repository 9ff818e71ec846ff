/* work: group commit, isolation of operations, order, limits, readers, stopping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/buf.h"
#include "libcommon/net/loop.h"
#include "stored/body.h"
#include "stored/work.h"

static char dir[64];
static unsigned finished;      /* operations that came back */
static enum ipc_err errs[400]; /* by operation number */
static unsigned order[400];
static sem_t gate, entered; /* what holds_the_writer waits for, and tells */

struct probe {
	struct op op;
	unsigned n;
	bool fails;
	uint64_t value;
};

static uint64_t counted; /* by the last count_rows */
static enum ipc_err count_rows(struct base *b, struct op *op);

static void done(struct op *op)
{
	struct probe *p = (struct probe *)op;
	errs[p->n] = op->err;
	if (op->run == count_rows)
		counted = p->value;
	if (finished < 400)
		order[finished] = p->n;
	finished++;
	op_free(op);
}

static void wait_for(unsigned n)
{
	while (finished < n)
		uv_run(loop_get(), UV_RUN_ONCE);
}

static enum ipc_err add_row(struct base *b, struct op *op)
{
	const struct probe *p = (struct probe *)op;
	char sql[100];
	snprintf(sql, sizeof(sql), "INSERT INTO probe (n) VALUES (%u)", p->n);
	enum db_result r = db_exec(b->db, sql);
	if (r != DB_DONE)
		return work_err(b, r);
	return p->fails ? ERR_QUOTA : ERR_OK;
}

static enum ipc_err make_table(struct base *b, struct op *op)
{
	(void)op;
	return work_err(b, db_exec(b->db, "CREATE TABLE probe (n BIGINT PRIMARY KEY)"));
}

static enum ipc_err count_rows(struct base *b, struct op *op)
{
	assert_false(b->writer);
	((struct probe *)op)->value = db_number(b->db, "SELECT COUNT(*) FROM probe");
	return ERR_OK;
}

static enum ipc_err holds_the_writer(struct base *b, struct op *op)
{
	(void)b, (void)op;
	sem_post(&entered);
	sem_wait(&gate);
	return ERR_OK;
}

static struct op *make(unsigned n, enum ipc_err (*run)(struct base *, struct op *))
{
	struct probe *p = (struct probe *)op_new(sizeof(*p));
	p->n = n;
	p->op.run = run;
	p->op.done = done;
	return &p->op;
}

static uint64_t rows(void)
{
	unsigned before = finished;
	assert_true(work_read(1, make(399, count_rows)));
	wait_for(before + 1);
	return counted;
}

static uint64_t stat_of(const char *name)
{
	struct buf b = {0};
	work_stats(&b);
	const char *at = strstr(buf_cstr(&b), name);
	assert_non_null(at);
	uint64_t v = strtoull(strchr(at, ' '), NULL, 10);
	buf_free(&b);
	return v;
}

static void start(void)
{
	const char *why = NULL;
	if (!work_start(dir, 2, 2, &why))
		fail_msg("%s", why);
}

static void stop(void)
{
	work_stop();
	uv_run(loop_get(), UV_RUN_NOWAIT);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/stored_work.XXXXXX");
	assert_non_null(mkdtemp(dir));
	sem_init(&gate, 0, 0);
	sem_init(&entered, 0, 0);
	start();
	finished = 0;
	assert_true(work_write(1, make(0, make_table)));
	wait_for(1);
	assert_int_equal(errs[0], ERR_OK);
	finished = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char cmd[128];
	stop();
	sem_destroy(&gate);
	sem_destroy(&entered);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static void operations_finish_in_order(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300; i++)
		assert_true(work_write(1, make(i, add_row)));
	wait_for(300);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(order[i], i);
		assert_int_equal(errs[i], ERR_OK);
	}
	assert_int_equal(rows(), 300);
}

static void what_waits_is_committed_together(void **state)
{
	(void)state;
	uint64_t before = stat_of("stored_batches_total{db=\"shard-1\"}");
	assert_true(work_write(1, make(0, holds_the_writer)));
	sem_wait(&entered);
	for (unsigned i = 1; i <= 64; i++)
		assert_true(work_write(1, make(i, add_row)));
	sem_post(&gate);
	wait_for(65);
	assert_int_equal(stat_of("stored_batches_total{db=\"shard-1\"}"), before + 2);
	assert_int_equal(stat_of("stored_batch_operations_max{db=\"shard-1\"}"), 64);
}

static struct op *patient(unsigned n, unsigned ms)
{
	struct op *op = make(n, add_row);
	op->patience_ms = ms;
	return op;
}

static void the_patient_go_along_with_others(void **state)
{
	(void)state;
	const unsigned hour = 3600 * 1000;
	uint64_t before = stat_of("stored_batches_total{db=\"shard-1\"}");
	assert_true(work_write(1, patient(0, hour)));
	assert_true(work_write(1, patient(1, hour)));
	assert_true(work_write(1, make(2, add_row)));
	wait_for(3);
	assert_int_equal(stat_of("stored_batches_total{db=\"shard-1\"}"), before + 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(order[i], i);
	/* Many of them do not wait. */
	for (unsigned i = 3; i < 67; i++)
		assert_true(work_write(1, patient(i, hour)));
	wait_for(67);
	/* Alone, one waits as long as it can, and a stop does not wait for it. */
	assert_true(work_write(1, patient(67, 20)));
	wait_for(68);
	assert_true(work_write(1, patient(68, hour)));
	stop();
	assert_int_equal(finished, 69);
	start();
	assert_int_equal(rows(), 69);
}

static void a_failing_operation_undoes_only_itself(void **state)
{
	(void)state;
	assert_true(work_write(1, make(0, holds_the_writer)));
	sem_wait(&entered);
	for (unsigned i = 1; i <= 30; i++) {
		struct op *op = make(i, add_row);
		((struct probe *)op)->fails = i % 3 == 0;
		assert_true(work_write(1, op));
	}
	assert_true(work_write(1, make(31, add_row)));
	struct op *twice = make(31, add_row); /* the same row again: the database refuses it */
	((struct probe *)twice)->n = 31;
	assert_true(work_write(1, twice));
	sem_post(&gate);
	wait_for(33);
	assert_int_equal(errs[3], ERR_QUOTA);
	assert_int_equal(errs[4], ERR_OK);
	assert_int_equal(errs[31], ERR_EXISTS);
	assert_int_equal(rows(), 21);
}

static void a_full_queue_refuses(void **state)
{
	(void)state;
	assert_true(work_write(1, make(0, holds_the_writer)));
	sem_wait(&entered);
	unsigned taken = 0;
	struct op *op = NULL;
	while (taken < 10000) {
		op = make(1, holds_the_writer);
		if (!work_write(1, op))
			break;
		taken++;
	}
	op_free(op);
	assert_int_equal(taken, 4096);
	assert_int_equal(stat_of("stored_writes_waiting{db=\"shard-1\"}"), taken);
	for (unsigned i = 0; i <= taken; i++)
		sem_post(&gate);
	wait_for(taken + 1);
}

static void databases_do_not_wait_for_each_other(void **state)
{
	(void)state;
	assert_true(work_write(1, make(0, holds_the_writer)));
	assert_true(work_write(2, make(1, make_table)));
	assert_true(work_write(WORK_DIRECTORY, make(2, make_table)));
	wait_for(2);
	assert_int_equal(errs[1], ERR_OK);
	assert_int_equal(errs[2], ERR_OK);
	sem_post(&gate);
	wait_for(3);
}

static void an_unknown_database_is_refused(void **state)
{
	(void)state;
	struct op *op = make(0, add_row);
	assert_false(work_write(3, op));
	assert_false(work_read(3, op));
	op_free(op);
}

static void stopping_finishes_what_waits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++)
		assert_true(work_write(1, make(i, add_row)));
	stop();
	assert_int_equal(finished, 200);
	start();
	assert_int_equal(rows(), 200);
}

static uint64_t body_id;
static enum ipc_err put_body(struct base *b, struct op *op)
{
	struct probe *p = (struct probe *)op;
	static const char bytes[40000] = {'x'};
	struct body body = {.bytes = {bytes, sizeof(bytes)}, .fd = -1};
	enum ipc_err e = body_put(b, &body, 1, &body_id);
	return e == ERR_OK && p->fails ? ERR_QUOTA : e;
}

static enum ipc_err get_body(struct base *b, struct op *op)
{
	struct slice got;
	enum ipc_err e = body_get(b, op->pool, body_id, 0, 0, &got, NULL);
	return e == ERR_OK && got.len != 40000 ? ERR_SIZE : e;
}

static void a_reader_sees_a_committed_body(void **state)
{
	(void)state;
	struct op *undone = make(0, put_body);
	((struct probe *)undone)->fails = true;
	assert_true(work_write(1, undone));
	assert_true(work_write(1, make(1, put_body)));
	wait_for(2);
	assert_int_equal(errs[0], ERR_QUOTA);
	assert_int_equal(errs[1], ERR_OK);
	for (unsigned i = 0; i < 20; i++)
		assert_true(work_read(1, make(10 + i, get_body)));
	wait_for(22);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(errs[10 + i], ERR_OK);
}

static void many_writers_and_readers(void **state)
{
	(void)state;
	unsigned sent = 0;
	for (unsigned i = 0; i < 120; i++) {
		assert_true(work_write(1, make(i, add_row)));
		assert_true(work_write(2, make(150, holds_the_writer)));
		sem_post(&gate);
		assert_true(work_read(1, make(399, count_rows)));
		sent += 3;
		uv_run(loop_get(), UV_RUN_NOWAIT);
	}
	wait_for(sent);
	assert_int_equal(rows(), 120);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(operations_finish_in_order),
	    T(what_waits_is_committed_together),
	    T(the_patient_go_along_with_others),
	    T(a_failing_operation_undoes_only_itself),
	    T(a_full_queue_refuses),
	    T(databases_do_not_wait_for_each_other),
	    T(an_unknown_database_is_refused),
	    T(stopping_finishes_what_waits),
	    T(a_reader_sees_a_committed_body),
	    T(many_writers_and_readers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
