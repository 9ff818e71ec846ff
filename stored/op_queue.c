/* The queue for those who deliver to the outside: items are leased to a worker, so that the work
 * of one that died is taken up by the next when its lease runs out. */
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "stored/body.h"
#include "stored/mail.h"
#include "stored/sql.h"

enum { CLAIM_MAX = 64, LIMITS_MAX = 10000, WORKER_MAX = 128, RESULTS_MAX = 100000 };
enum {
	/* No client waits for these: they go with the commit of somebody's message. */
	CLAIM_PATIENCE_MS = 2,
	RESULT_PATIENCE_MS = 10,
};
#define LEASE_MIN_MS (UINT64_C(10) * 1000)
#define LEASE_MAX_MS (UINT64_C(24) * 3600 * 1000)

struct task { /* a request under way, in its pool */
	struct request *rq;
	uint64_t now_ms;
	/* claim */
	struct msg_queue_items items;
	/* read */
	struct msg_message_data data;
	/* return */
	uint64_t returned;
};

enum how { READ, WRITE };
static void start(struct request *rq, enum how how, unsigned patience_ms,
		  enum ipc_err (*run)(struct base *b, struct op *op), void (*done)(struct op *op))
{
	struct task *t = pool_alloc(rq->pool, sizeof(*t));
	struct op *op = op_new(0);
	t->rq = rq;
	t->now_ms = clock_ms();
	op->run = run;
	op->done = done;
	op->arg = t;
	op->patience_ms = patience_ms;
	if (how == WRITE ? work_write(WORK_DIRECTORY, op) : work_read(WORK_DIRECTORY, op))
		return;
	op_free(op);
	request_error(rq, ERR_TEMP, "the store is busy");
}

static bool worker_ok(struct request *rq, struct slice w)
{
	if (w.len > 0 && w.len <= WORKER_MAX && str_print(w))
		return true;
	request_error(rq, ERR_BAD, "a worker has a name");
	return false;
}

static void done_ok(struct op *op)
{
	struct task *t = op->arg;
	enum ipc_err e = op->err;
	watch_owed(op);
	op_free(op);
	struct msg_ok ok = {0};
	if (e == ERR_OK)
		request_reply(t->rq, MSG_ok, &ok);
	else
		request_error(t->rq, e, e == ERR_INUSE ? "the lease has run out" : NULL);
}

/* --- claim --------------------------------------------------------------- */

static enum ipc_err claim_run(struct base *b, struct op *op)
{
	struct task *t = op->arg;
	const struct msg_queue_claim *m = t->rq->msg;
	uint64_t ms = m->lease_ms < LEASE_MIN_MS   ? LEASE_MIN_MS
		      : m->lease_ms > LEASE_MAX_MS ? LEASE_MAX_MS
						   : m->lease_ms;
	struct queue_claim c = {.pool = t->rq->pool,
				.worker = m->worker,
				.now_ms = t->now_ms,
				.until_ms = t->now_ms + ms,
				.max = m->max < CLAIM_MAX ? m->max : CLAIM_MAX,
				.per_domain = m->per_domain,
				.content = m->content,
				.limit = m->limits,
				.limits = m->limits_n};
	c.item = pool_alloc(c.pool, (c.max + 1) * sizeof(*c.item));
	enum ipc_err e = queue_claim(b, &c);
	t->items =
	    (struct msg_queue_items){.items = c.item, .items_n = c.n, .next_due_ms = c.next_due_ms};
	return e;
}

static void claim_done(struct op *op)
{
	struct task *t = op->arg;
	enum ipc_err e = op->err;
	watch_owed(op);
	op_free(op);
	if (e == ERR_OK)
		request_reply(t->rq, MSG_queue_items, &t->items);
	else
		request_error(t->rq, e, NULL);
}

void op_queue_claim(struct request *rq)
{
	const struct msg_queue_claim *m = rq->msg;
	if (m->limits_n > LIMITS_MAX)
		request_error(rq, ERR_BAD, "too many limits");
	else if (worker_ok(rq, m->worker))
		start(rq, WRITE, CLAIM_PATIENCE_MS, claim_run, claim_done);
}

/* --- read ---------------------------------------------------------------- */

static enum ipc_err read_run(struct base *b, struct op *op)
{
	struct task *t = op->arg;
	const struct msg_queue_read *m = t->rq->msg;
	db_start(b->db, SQL_QUEUE_LEASED);
	db_u64(b->db, m->item);
	db_bytes(b->db, m->worker);
	db_bytes(b->db, m->worker);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_INUSE : work_err(b, r);
	uint64_t body = db_col_u64(b->db, 0);
	db_reset(b->db);
	return body_read(b, t->rq->pool, body, 0, 0, &t->data.body, &t->data.size);
}

static void read_done(struct op *op)
{
	struct task *t = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	int fd = t->data.body.fd; /* the reply takes a descriptor of its own */
	if (e == ERR_OK)
		request_reply(t->rq, MSG_message_data, &t->data);
	else
		request_error(t->rq, e, e == ERR_INUSE ? "not leased to this worker" : NULL);
	if (fd > 0)
		close(fd);
}

void op_queue_read(struct request *rq)
{
	const struct msg_queue_read *m = rq->msg;
	if (worker_ok(rq, m->worker))
		start(rq, READ, 0, read_run, read_done);
}

/* --- result, renew ------------------------------------------------------- */

static enum ipc_err result_run(struct base *b, struct op *op)
{
	struct task *t = op->arg;
	const struct msg_queue_result *m = t->rq->msg;
	struct queue_outcome *o = pool_alloc(op->pool, (m->rcpts_n + 1) * sizeof(*o));
	for (uint32_t i = 0; i < m->rcpts_n; i++)
		o[i] = (struct queue_outcome){.n = m->rcpts[i].rcpt,
					      .state = (enum queue_state)m->rcpts[i].state,
					      .next_ms = m->rcpts[i].next_ms,
					      .code = m->rcpts[i].code,
					      .status = m->rcpts[i].status,
					      .host = m->rcpts[i].host,
					      .text = m->rcpts[i].text};
	return queue_outcomes(b, m->item, m->worker, o, m->rcpts_n, t->now_ms);
}

void op_queue_result(struct request *rq)
{
	const struct msg_queue_result *m = rq->msg;
	if (!worker_ok(rq, m->worker))
		return;
	bool ok = m->rcpts_n <= RESULTS_MAX;
	for (uint32_t i = 0; i < m->rcpts_n && ok; i++)
		ok = m->rcpts[i].state <= QUEUE_PASSED && m->rcpts[i].rcpt <= INT64_MAX;
	if (ok)
		start(rq, WRITE, RESULT_PATIENCE_MS, result_run, done_ok);
	else
		request_error(rq, ERR_BAD, "no such state");
}

static enum ipc_err renew_run(struct base *b, struct op *op)
{
	struct task *t = op->arg;
	const struct msg_queue_renew *m = t->rq->msg;
	uint64_t ms = m->lease_ms < LEASE_MAX_MS ? m->lease_ms : LEASE_MAX_MS;
	for (uint32_t i = 0; i < m->rcpts_n; i++) {
		db_start(b->db, SQL_QUEUE_RENEW);
		db_u64(b->db, t->now_ms + ms);
		db_u64(b->db, m->item);
		db_u64(b->db, m->rcpts[i].rcpt);
		db_bytes(b->db, m->worker);
		enum db_result r = db_run(b->db);
		if (r != DB_DONE)
			return work_err(b, r);
		if (db_changes(b->db) == 0)
			return ERR_INUSE;
	}
	return ERR_OK;
}

static bool rcpts_ok(struct request *rq, const struct row_leased *r, uint32_t n)
{
	bool ok = n <= RESULTS_MAX;
	for (uint32_t i = 0; i < n && ok; i++)
		ok = r[i].rcpt <= INT64_MAX;
	if (!ok)
		request_error(rq, ERR_BAD, "no such recipient");
	return ok;
}

void op_queue_renew(struct request *rq)
{
	const struct msg_queue_renew *m = rq->msg;
	if (worker_ok(rq, m->worker) && rcpts_ok(rq, m->rcpts, m->rcpts_n))
		start(rq, WRITE, RESULT_PATIENCE_MS, renew_run, done_ok);
}

/* --- return -------------------------------------------------------------- */

static enum ipc_err return_run(struct base *b, struct op *op)
{
	struct task *t = op->arg;
	const struct msg_queue_return *m = t->rq->msg;
	struct queue_return q = {.worker = m->worker,
				 .item = m->item,
				 .now_ms = t->now_ms,
				 .rcpt = m->rcpts,
				 .rcpts = m->rcpts_n};
	enum ipc_err e = queue_return(b, &q);
	t->returned = q.n;
	return e;
}

static void return_done(struct op *op)
{
	struct task *t = op->arg;
	enum ipc_err e = op->err;
	const struct msg_queue_return *m = t->rq->msg;
	struct msg_ok ok = {.value = t->returned};
	op_free(op);
	if (e != ERR_OK) {
		request_error(t->rq, e, NULL);
		return;
	}
	if (t->returned)
		watch_notify(WATCH_QUEUE, QUEUE_WATCH_DUE, m->item);
	request_reply(t->rq, MSG_ok, &ok);
}

void op_queue_return(struct request *rq)
{
	const struct msg_queue_return *m = rq->msg;
	if (worker_ok(rq, m->worker) && rcpts_ok(rq, m->rcpts, m->rcpts_n))
		start(rq, WRITE, 0, return_run, return_done);
}
