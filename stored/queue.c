/* The queue's transactions, in the directory's database.
 *
 * A recipient (queue_rcpts) is in one of these states:
 *
 *   state    due_ms   worker  what it means                            leaves it by
 *   DUE      past     -       due: a worker, or the fan-out, takes it   claim, hold, delete
 *   DUE      future   -       deferred, or held until a time by its     time, flush, hold,
 *                             sender (FUTURERELEASE)                    delete
 *   DUE      future   set     leased: that worker is delivering it      its result, given back
 *                                                                       untried, or time
 *   DUE      past     set     the lease ran out: due; the old worker's  claim by another, its
 *                             result counts until another has it        result, hold, delete
 *   HELD     any      -       by an administrator, or by a worker       release, delete
 *   DONE                      delivered; an alias of several targets    (nothing)
 *   RELAYED                   taken by a host that tells nobody         (nothing)
 *   PASSED                    taken by a host that tells the sender     (nothing)
 *   FAILED                    given up                                  (nothing)
 *   DELETED                   by an administrator; nobody is told       (nothing)
 *
 * What holds at every commit, and so after any crash, restart or lost connection:
 * - A message that was acknowledged is in the queue with all its recipients, or in its mailboxes.
 * - An item keeps its body as long as a recipient is DUE or HELD (counted in `open`) or its sender
 *   is to be told of one (`owed`); then it is finished, and forgotten after a week. Until then the
 *   same message id is not taken again.
 * - A recipient leaves DUE once: by the result of the worker whose name it bears, or by an
 *   administrator while no lease on it is running. Any other result is refused (ERR_INUSE) and
 *   changes nothing. A worker that dies is the one way to a second delivery: the remote host took
 *   the message and the result was not committed (RFC 5321 4.5.4.1 prefers that to a loss).
 * - The sender is who is told of what becomes of the message. Other hosts are told relay_sender,
 * when there is one: made once, when the message is taken, so that every attempt has the same.
 * - Leases, holds, attempts, replies and what was told are rows: they survive everything.
 * - A notice is stored in the transaction that marks its recipients told: never twice, never lost.
 *   A message without a sender (a notice) owes none: its recipients are marked told at once.
 * - Local recipients have no lease: the fan-out repeats what it had begun, and the delivery's
 *   token keeps a shard from taking a message twice. */
#include "libcommon/base/log.h"
#include "stored/body.h"
#include "stored/mail.h"
#include "stored/sql.h"

static enum ipc_err ran(struct base *b)
{
	enum db_result r = db_run(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

static struct slice queue_domain(struct pool *pool, struct slice addr)
{
	const char *at = addr.len ? memrchr(addr.p, '@', addr.len) : NULL;
	if (!at)
		return SLICE("");
	size_t len = addr.len - (size_t)(at + 1 - addr.p);
	char *d = pool_strndup(pool, at + 1, len);
	str_lowern(d, len);
	return (struct slice){d, len};
}

enum ipc_err queue_due(struct base *b, uint64_t submitter, struct slice domain, uint64_t due_ms)
{
	db_start(b->db, SQL_QUEUE_FLOW_DUE);
	db_u64(b->db, submitter);
	db_bytes(b->db, domain);
	db_u64(b->db, due_ms);
	enum ipc_err e = ran(b);
	if (e != ERR_OK)
		return e;
	db_start(b->db, SQL_QUEUE_SENDER_DUE);
	db_u64(b->db, submitter);
	db_u64(b->db, due_ms);
	return ran(b);
}

static enum ipc_err add_rcpt(struct base *b, struct pool *pool, const struct queue_add *q, size_t i,
			     struct slice *last)
{
	const struct queue_to *to = &q->to[i];
	struct slice domain = queue_domain(pool, to->addr);
	uint64_t due = q->hold_until_ms > q->now_ms ? q->hold_until_ms : q->now_ms;
	db_start(b->db, SQL_QUEUE_RCPT_ADD);
	db_u64(b->db, q->item);
	db_u64(b->db, i);
	db_bytes(b->db, to->addr);
	db_u64(b->db, to->notify);
	db_bytes(b->db, to->orcpt);
	db_u64(b->db, to->outside);
	db_u64(b->db, to->account);
	db_u64(b->db, to->shard);
	db_bytes(b->db, domain);
	db_u64(b->db, to->expanded ? QUEUE_DONE : QUEUE_DUE);
	db_u64(b->db, due);
	db_bytes(b->db, SLICE(""));
	db_u64(b->db, q->now_ms);
	db_u64(b->db, q->account);
	db_u64(b->db, to->expanded ? NOTICE_EXPANDED : NOTICE_NONE);
	enum ipc_err e = ran(b);
	if (e != ERR_OK || !to->outside || (last->p && slice_eq(domain, *last)))
		return e;
	*last = domain;
	return queue_due(b, q->account, domain, due);
}

enum { TEXT_MAX = 1000, HOST_MAX = 255, STATUS_MAX = 16, GATHER_MS = 2000 };

/* ERR_EXISTS: the message id is there. */
static enum ipc_err add_item(struct base *b, const struct queue_add *q, uint64_t body)
{
	uint64_t from_ms = q->hold_until_ms > q->now_ms ? q->hold_until_ms : q->now_ms;
	uint64_t expanded = 0; /* owed from the start */
	for (size_t i = 0; i < q->n; i++)
		expanded += q->to[i].expanded;
	db_start(b->db, SQL_QUEUE_ITEM_ADD);
	db_u64(b->db, q->item);
	db_bytes(b->db, q->id);
	db_bytes(b->db, q->sid);
	db_bytes(b->db, q->sender);
	db_u64(b->db, q->account);
	db_u64(b->db, q->flags);
	db_bytes(b->db, q->envid);
	db_u64(b->db, q->now_ms);
	db_u64(b->db, q->deliver_by_ms);
	db_u64(b->db, q->size);
	db_u64(b->db, body);
	db_bytes(b->db, q->meta);
	db_u64(b->db, q->n - expanded);
	db_u64(b->db, q->hold_until_ms);
	if (q->relay_sender.len)
		db_bytes(b->db, q->relay_sender);
	else
		db_null(b->db);
	db_u64(b->db, expanded);
	db_u64(b->db, expanded ? from_ms + GATHER_MS : 0);
	if (expanded)
		b->owed_ms = from_ms + GATHER_MS;
	enum db_result r = db_run(b->db);
	return r == DB_CONFLICT ? ERR_EXISTS : r == DB_DONE ? ERR_OK : work_err(b, r);
}

enum ipc_err queue_add(struct base *b, struct queue_add *q)
{
	uint64_t body;
	enum ipc_err e = body_put(b, &q->body, 1, &body);
	if (e != ERR_OK)
		return e;
	db_start(b->db, SQL_QUEUE_ITEM_LAST);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return work_err(b, r);
	q->item = db_col_u64(b->db, 0) + 1;
	db_reset(b->db);
	e = add_item(b, q, body);
	struct pool *pool = pool_new(0);
	struct slice last = {0};
	for (size_t i = 0; i < q->n && e == ERR_OK; i++)
		e = add_rcpt(b, pool, q, i, &last);
	pool_free(&pool);
	return e;
}

/* --- outcomes, and what is owed to the sender ------------------------------ */

struct brief { /* of the item */
	bool has_sender, traced;
	uint64_t created_ms, deliver_by_ms;
};
struct rcpt {
	uint64_t owed, told, submitter;
	uint32_t notify;
	bool outside;
	struct slice domain; /* in the pool */
};
struct sums { /* of the recipients of one call */
	uint64_t closed, failures;
	int64_t owed;
};

static enum ipc_err get_brief(struct base *b, uint64_t item, struct brief *out)
{
	db_start(b->db, SQL_QUEUE_BRIEF);
	db_u64(b->db, item);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_NOTFOUND : work_err(b, r);
	*out = (struct brief){.has_sender = db_col_u64(b->db, 0) > 0,
			      .traced = db_col_u64(b->db, 3) & DELIVER_BY_TRACE,
			      .created_ms = db_col_u64(b->db, 1),
			      .deliver_by_ms = db_col_u64(b->db, 2)};
	db_reset(b->db);
	return ERR_OK;
}

/* ERR_INUSE: it is not due, or not this worker's. */
static enum ipc_err get_rcpt(struct base *b, struct pool *pool, uint64_t item, uint64_t n,
			     struct slice worker, struct rcpt *out)
{
	db_start(b->db, SQL_QUEUE_RCPT);
	db_u64(b->db, item);
	db_u64(b->db, n);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_INUSE : work_err(b, r);
	bool mine = worker.len == 0 || slice_eq(worker, db_col(b->db, 0));
	*out = (struct rcpt){.notify = (uint32_t)db_col_u64(b->db, 1),
			     .owed = db_col_u64(b->db, 2),
			     .told = db_col_u64(b->db, 3),
			     .outside = db_col_u64(b->db, 4),
			     .submitter = db_col_u64(b->db, 5),
			     .domain = slice_copy(pool, db_col(b->db, 6))};
	db_reset(b->db);
	return mine ? ERR_OK : ERR_INUSE;
}

static bool wanted(const struct brief *i, uint32_t notify, enum notice kind)
{
	switch (kind) {
	case NOTICE_FAILED: /* without NOTIFY: failures, and delays if we like (RFC 3461 4.1) */
		return notify == 0 || (notify & NOTIFY_FAILURE);
	case NOTICE_DELAYED:
		return notify == 0 || (notify & NOTIFY_DELAY);
	case NOTICE_RELAYED:
		if (i->traced && !(notify & NOTIFY_NEVER))
			return true;
		return notify & NOTIFY_SUCCESS;
	case NOTICE_DELIVERED:
		return notify & NOTIFY_SUCCESS;
	case NOTICE_EXPANDED: /* owed from the start */
	case NOTICE_NONE:
		break;
	}
	return false;
}

/* Notes the duty; never for a notice (RFC 5321 6.1), which is as good as told. */
static void owe(const struct brief *i, struct rcpt *r, enum notice kind)
{
	uint64_t bit = UINT64_C(1) << kind;
	if (!wanted(i, r->notify, kind) || (r->told & bit))
		return;
	if (i->has_sender)
		r->owed = kind;
	else
		r->told |= bit;
}

static enum notice notice_of(const struct brief *i, const struct queue_outcome *o, uint64_t now_ms)
{
	bool late = i->deliver_by_ms && now_ms >= i->deliver_by_ms;
	switch (o->state) {
	case QUEUE_FAILED:
		return NOTICE_FAILED;
	case QUEUE_DONE:
		return NOTICE_DELIVERED;
	case QUEUE_RELAYED:
		return NOTICE_RELAYED;
	case QUEUE_PASSED:
		return i->traced ? NOTICE_RELAYED : NOTICE_NONE;
	case QUEUE_DUE:
		if (conf.delay_notice && now_ms >= i->created_ms + conf.delay_notice)
			late = true;
		return late ? NOTICE_DELAYED : NOTICE_NONE;
	default:
		return NOTICE_NONE;
	}
}

static struct slice cut(struct slice s, size_t max)
{
	return (struct slice){s.p, s.len < max ? s.len : max};
}

static enum ipc_err put_outcome(struct base *b, uint64_t item, const struct queue_outcome *o,
				const struct rcpt *r, uint64_t due_ms, uint64_t now_ms)
{
	db_start(b->db, SQL_QUEUE_RESULT);
	db_u64(b->db, o->state);
	db_u64(b->db, due_ms);
	db_u64(b->db, o->untried ? 0 : 1);
	db_bytes(b->db, cut(o->text, TEXT_MAX));
	db_u64(b->db, o->code);
	db_bytes(b->db, cut(o->status, STATUS_MAX));
	db_bytes(b->db, cut(o->host, HOST_MAX));
	db_u64(b->db, r->owed);
	db_u64(b->db, r->told);
	db_u64(b->db, now_ms);
	db_u64(b->db, item);
	db_u64(b->db, o->n);
	enum ipc_err e = ran(b);
	if (e == ERR_OK && o->state == QUEUE_DUE && r->outside)
		e = queue_due(b, r->submitter, r->domain, due_ms);
	return e;
}

static bool is_open(enum queue_state s)
{
	return s == QUEUE_DUE || s == QUEUE_HELD;
}

static enum ipc_err set_outcome(struct base *b, struct pool *pool, uint64_t item,
				const struct brief *i, struct slice worker,
				const struct queue_outcome *o, uint64_t now_ms, struct sums *s)
{
	struct rcpt r = {0};
	enum ipc_err e = get_rcpt(b, pool, item, o->n, worker, &r);
	if (e == ERR_INUSE && worker.len == 0)
		return ERR_OK; /* a local one that was deleted or held meanwhile */
	if (e != ERR_OK)
		return e;
	bool owed = r.owed != 0;
	owe(i, &r, notice_of(i, o, now_ms));
	uint64_t due = o->next_ms > INT64_MAX ? INT64_MAX : o->next_ms;
	/* Looked at again when its time to be delivered in is over. */
	if (i->deliver_by_ms > now_ms && due > i->deliver_by_ms)
		due = i->deliver_by_ms;
	s->owed += (r.owed != 0) - owed;
	s->closed += !is_open(o->state);
	s->failures += o->state == QUEUE_FAILED;
	return put_outcome(b, item, o, &r, due, now_ms);
}

/* A notice waits a little, for those that fail with the first one. */
static enum ipc_err add_owed(struct base *b, uint64_t item, int64_t owed, uint64_t now_ms)
{
	if (owed == 0)
		return ERR_OK;
	if (owed > 0)
		b->owed_ms = now_ms + GATHER_MS;
	db_start(b->db, SQL_QUEUE_ITEM_OWED);
	db_u64(b->db, now_ms + GATHER_MS);
	db_i64(b->db, owed);
	db_u64(b->db, item);
	return ran(b);
}

enum ipc_err queue_owe(struct base *b, uint64_t item, uint64_t n, enum notice kind, uint64_t now_ms)
{
	struct brief i = {0};
	struct rcpt r = {0};
	struct pool *pool = pool_new(0);
	enum ipc_err e = get_brief(b, item, &i);
	if (e == ERR_OK)
		e = get_rcpt(b, pool, item, n, SLICE(""), &r);
	pool_free(&pool);
	if (e != ERR_OK)
		return e;
	struct rcpt had = r;
	owe(&i, &r, kind);
	if (r.owed == had.owed && r.told == had.told)
		return ERR_OK;
	db_start(b->db, SQL_QUEUE_OWE);
	db_u64(b->db, r.owed);
	db_u64(b->db, r.told);
	db_u64(b->db, item);
	db_u64(b->db, n);
	e = ran(b);
	return e == ERR_OK ? add_owed(b, item, (r.owed != 0) - (had.owed != 0), now_ms) : e;
}

enum ipc_err queue_finish(struct base *b, uint64_t item, uint64_t body, uint64_t now_ms)
{
	db_start(b->db, SQL_QUEUE_ITEM_FINISH);
	db_u64(b->db, now_ms);
	db_u64(b->db, item);
	enum ipc_err e = ran(b);
	return e == ERR_OK && body ? body_refs(b, body, -1) : e;
}

enum ipc_err queue_outcomes(struct base *b, uint64_t item, struct slice worker,
			    const struct queue_outcome *o, size_t n, uint64_t now_ms)
{
	struct brief i = {0};
	struct sums s = {0};
	enum ipc_err e = get_brief(b, item, &i);
	struct pool *pool = pool_new(0);
	for (size_t k = 0; k < n && e == ERR_OK; k++)
		e = set_outcome(b, pool, item, &i, worker, &o[k], now_ms, &s);
	pool_free(&pool);
	if (e == ERR_OK && s.failures && !i.has_sender)
		log_event(LOG_LV_INFO, NULL, "notice-undeliverable", LU("item", item),
			  LU("recipients", s.failures));
	if (e == ERR_OK)
		e = add_owed(b, item, s.owed, now_ms);
	return e == ERR_OK && s.closed ? queue_closed(b, item, s.closed, s.failures, now_ms) : e;
}

enum ipc_err queue_closed(struct base *b, uint64_t item, uint64_t closed, uint64_t failures,
			  uint64_t now_ms)
{
	db_start(b->db, SQL_QUEUE_ITEM_COUNTS);
	db_u64(b->db, item);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_NOTFOUND : work_err(b, r);
	bool over = db_col_u64(b->db, 0) == closed && db_col_u64(b->db, 1) == 0;
	uint64_t body = db_col_u64(b->db, 2);
	db_reset(b->db);
	db_start(b->db, SQL_QUEUE_ITEM_LESS);
	db_u64(b->db, closed);
	db_u64(b->db, failures);
	db_u64(b->db, over ? now_ms : 0);
	db_u64(b->db, over ? 0 : body);
	db_u64(b->db, item);
	enum ipc_err e = ran(b);
	return e == ERR_OK && over && body ? body_refs(b, body, -1) : e;
}

enum ipc_err queue_purge(struct base *b, uint64_t until_ms, unsigned max, unsigned *n)
{
	struct old {
		uint64_t id, body;
	} old[64];
	*n = 0;
	db_start(b->db, SQL_QUEUE_OLD);
	db_u64(b->db, until_ms);
	db_u64(b->db, max < 64 ? max : 64);
	enum db_result r = DB_DONE;
	while (*n < 64 && (r = db_step(b->db)) == DB_ROW)
		old[(*n)++] = (struct old){db_col_u64(b->db, 0), db_col_u64(b->db, 1)};
	db_reset(b->db);
	if (r != DB_DONE && r != DB_ROW)
		return work_err(b, r);
	enum ipc_err e = ERR_OK;
	for (unsigned i = 0; i < *n && e == ERR_OK; i++) {
		db_start(b->db, SQL_QUEUE_ITEM_DEL);
		db_u64(b->db, old[i].id);
		e = ran(b);
		if (e == ERR_OK && old[i].body)
			e = body_refs(b, old[i].body, -1);
	}
	return e;
}
