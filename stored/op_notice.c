/* Notices: smtpd asks what is owed, reads the message by queue_read, writes the notice and hands it
 * in. Where the sender's address leads is found first, then all is stored at once. */
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "stored/mail.h"

enum { CLAIM_MAX = 64, WORKER_MAX = 128, RCPTS_MAX = 1000 };
#define LEASE_MIN_MS (UINT64_C(10) * 1000)
#define LEASE_MAX_MS (UINT64_C(3600) * 1000)

struct task { /* in the request's pool */
	struct request *rq;
	uint64_t now_ms;
	struct queue_notices owed;
	/* queue_notice */
	struct slice sender;
	struct route route;
	struct route_rcpt rcpt;
	struct queue_add add;
	struct queue_told told;
};

static void start(struct task *t, bool write, enum ipc_err (*run)(struct base *b, struct op *op),
		  void (*done)(struct op *op))
{
	struct op *op = op_new(0);
	op->run = run;
	op->done = done;
	op->arg = t;
	if (write ? work_write(WORK_DIRECTORY, op) : work_read(WORK_DIRECTORY, op))
		return;
	op_free(op);
	request_error(t->rq, ERR_TEMP, "the store is busy");
}

static struct task *task(struct request *rq, struct slice worker)
{
	if (worker.len == 0 || worker.len > WORKER_MAX || !str_print(worker)) {
		request_error(rq, ERR_BAD, "a worker has a name");
		return NULL;
	}
	struct task *t = pool_alloc(rq->pool, sizeof(*t));
	t->rq = rq;
	t->now_ms = clock_ms();
	return t;
}

static const char *reason(enum ipc_err e)
{
	return e == ERR_INUSE      ? "the notice is not leased to this worker"
	       : e == ERR_NOTFOUND ? "nothing of that is owed"
				   : NULL;
}

/* --- notice_claim -------------------------------------------------------- */

static enum ipc_err claim_run(struct base *b, struct op *op)
{
	struct task *t = op->arg;
	return queue_notices(b, &t->owed);
}

static void claim_done(struct op *op)
{
	struct task *t = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	struct msg_notices_owed m = {
	    .items = t->owed.item, .items_n = t->owed.n, .next_due_ms = t->owed.next_due_ms};
	if (e == ERR_OK)
		request_reply(t->rq, MSG_notices_owed, &m);
	else
		request_error(t->rq, e, NULL);
}

void op_notice_claim(struct request *rq)
{
	const struct msg_notice_claim *m = rq->msg;
	struct task *t = task(rq, m->worker);
	if (!t)
		return;
	uint64_t ms = m->lease_ms < LEASE_MIN_MS   ? LEASE_MIN_MS
		      : m->lease_ms > LEASE_MAX_MS ? LEASE_MAX_MS
						   : m->lease_ms;
	t->owed = (struct queue_notices){.pool = rq->pool,
					 .worker = m->worker,
					 .now_ms = t->now_ms,
					 .until_ms = t->now_ms + ms,
					 .max = m->max < CLAIM_MAX ? m->max : CLAIM_MAX};
	t->owed.item = pool_alloc(rq->pool, (t->owed.max + 1) * sizeof(*t->owed.item));
	start(t, true, claim_run, claim_done);
}

/* --- queue_notice -------------------------------------------------------- */

static enum ipc_err store_run(struct base *b, struct op *op)
{
	struct task *t = op->arg;
	return queue_notice(b, op->pool, &t->told);
}

static void store_done(struct op *op)
{
	struct task *t = op->arg;
	const struct msg_queue_notice *m = t->rq->msg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e != ERR_OK) {
		request_error(t->rq, e, reason(e));
		return;
	}
	log_event(LOG_LV_INFO, NULL, t->told.add ? "notice-stored" : "notice-undeliverable",
		  LSL("id", m->id), LU("item", m->item), LU("recipients", m->rcpts_n));
	if (t->told.add) {
		fanout_kick();
		watch_notify(WATCH_QUEUE, QUEUE_WATCH_DUE, t->add.item);
	}
	struct msg_ok ok = {.value = t->told.add != NULL};
	request_reply(t->rq, MSG_ok, &ok);
}

static void message(struct task *t, const struct targets *to)
{
	const struct msg_queue_notice *m = t->rq->msg;
	t->add = (struct queue_add){.id = m->id,
				    .sid = m->sid,
				    .sender = SLICE(""),
				    .envid = SLICE(""),
				    .meta = m->meta,
				    .flags = m->flags,
				    .now_ms = t->now_ms,
				    .body = m->body,
				    .size = m->body.fd > 0 ? m->body.size : m->body.bytes.len,
				    .to = pool_alloc(t->rq->pool, to->n * sizeof(*t->add.to)),
				    .n = to->n};
	for (size_t i = 0; i < to->n; i++)
		t->add.to[i] = (struct queue_to){.addr = to->t[i].address,
						 .notify = NOTIFY_NEVER,
						 .orcpt = SLICE(""),
						 .outside = to->t[i].account == 0,
						 .account = to->t[i].account,
						 .shard = to->t[i].shard};
	t->told.add = &t->add;
}

static void routed(struct route *r)
{
	struct task *t = r->arg;
	const struct msg_queue_notice *m = t->rq->msg;
	if (r->err != ERR_OK) {
		request_error(t->rq, r->err, r->text);
		return;
	}
	t->told = (struct queue_told){.item = m->item,
				      .worker = m->worker,
				      .rcpt = m->rcpts,
				      .rcpts = m->rcpts_n,
				      .now_ms = t->now_ms};
	if (t->rcpt.err == ERR_OK) /* else there is no such sender: nobody can be told */
		message(t, &t->rcpt.to);
	start(t, true, store_run, store_done);
}

static enum ipc_err sender_run(struct base *b, struct op *op)
{
	struct task *t = op->arg;
	const struct msg_queue_notice *m = t->rq->msg;
	return queue_notice_of(b, t->rq->pool, m->item, m->worker, &t->sender);
}

static void sender_done(struct op *op)
{
	struct task *t = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e != ERR_OK) {
		request_error(t->rq, e, reason(e));
		return;
	}
	t->rcpt.addr = t->sender;
	t->route = (struct route){.pool = t->rq->pool,
				  .rcpt = &t->rcpt,
				  .n = 1,
				  .may_relay = true,
				  .bounce = true,
				  .done = routed,
				  .arg = t};
	route_start(&t->route);
}

void op_queue_notice(struct request *rq)
{
	const struct msg_queue_notice *m = rq->msg;
	struct task *t = task(rq, m->worker);
	if (!t)
		return;
	bool ok = m->id.len > 0 && m->id.len <= DELIVERY_ID_MAX && str_print(m->id) &&
		  m->rcpts_n > 0 && m->rcpts_n <= RCPTS_MAX && m->item <= INT64_MAX;
	for (uint32_t i = 0; i < m->rcpts_n && ok; i++)
		ok = m->rcpts[i].owed > NOTICE_NONE && m->rcpts[i].owed <= NOTICE_EXPANDED &&
		     m->rcpts[i].rcpt <= INT64_MAX;
	if (ok)
		start(t, false, sender_run, sender_done);
	else
		request_error(rq, ERR_BAD, "no notice of something owed");
}
