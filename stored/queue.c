/* The queue's transactions, in the directory's database. */
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

static enum ipc_err add_rcpt(struct base *b, struct pool *pool, const struct queue_add *q, size_t i)
{
	const struct queue_to *to = &q->to[i];
	db_start(b->db, SQL_QUEUE_RCPT_ADD);
	db_u64(b->db, q->item);
	db_u64(b->db, i);
	db_bytes(b->db, to->addr);
	db_u64(b->db, to->notify);
	db_bytes(b->db, to->orcpt);
	db_u64(b->db, to->outside);
	db_u64(b->db, to->account);
	db_u64(b->db, to->shard);
	db_bytes(b->db, queue_domain(pool, to->addr));
	db_u64(b->db, q->hold_until_ms > q->now_ms ? q->hold_until_ms : q->now_ms);
	db_bytes(b->db, SLICE(""));
	db_u64(b->db, q->now_ms);
	return ran(b);
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
	db_u64(b->db, q->n);
	db_u64(b->db, q->hold_until_ms);
	r = db_run(b->db);
	if (r == DB_CONFLICT)
		return ERR_EXISTS;
	e = r == DB_DONE ? ERR_OK : work_err(b, r);
	struct pool *pool = pool_new(0);
	for (size_t i = 0; i < q->n && e == ERR_OK; i++)
		e = add_rcpt(b, pool, q, i);
	pool_free(&pool);
	return e;
}

static enum ipc_err set_outcome(struct base *b, uint64_t item, struct slice worker,
				const struct queue_outcome *o, uint64_t now_ms)
{
	db_start(b->db, worker.len ? SQL_QUEUE_RESULT : SQL_QUEUE_LOCAL_RESULT);
	db_u64(b->db, o->state);
	db_u64(b->db, o->next_ms > INT64_MAX ? INT64_MAX : o->next_ms);
	db_bytes(b->db, o->text);
	db_u64(b->db, now_ms);
	db_u64(b->db, item);
	db_u64(b->db, o->n);
	if (worker.len)
		db_bytes(b->db, worker);
	enum ipc_err e = ran(b);
	if (e != ERR_OK)
		return e;
	return db_changes(b->db) ? ERR_OK : ERR_INUSE;
}

/* The last recipient is done with. A body whose delivery failed somewhere stays with its item: the
 * sender is to be told, and people may want to see it. */
static enum ipc_err finish(struct base *b, uint64_t item, uint64_t failed, uint64_t body,
			   uint64_t now_ms)
{
	bool keep = failed > 0;
	db_start(b->db, SQL_QUEUE_ITEM_FINISH);
	db_u64(b->db, now_ms);
	db_u64(b->db, keep ? body : 0);
	db_u64(b->db, item);
	enum ipc_err e = ran(b);
	return e == ERR_OK && !keep && body ? body_refs(b, body, -1) : e;
}

enum ipc_err queue_outcomes(struct base *b, uint64_t item, struct slice worker,
			    const struct queue_outcome *o, size_t n, uint64_t now_ms)
{
	uint64_t closed = 0, failures = 0;
	for (size_t i = 0; i < n; i++) {
		enum ipc_err e = set_outcome(b, item, worker, &o[i], now_ms);
		if (e == ERR_INUSE && worker.len == 0)
			continue;
		if (e != ERR_OK)
			return e;
		closed += o[i].state == QUEUE_DONE || o[i].state == QUEUE_FAILED;
		failures += o[i].state == QUEUE_FAILED;
	}
	return closed ? queue_closed(b, item, closed, failures, now_ms) : ERR_OK;
}

enum ipc_err queue_closed(struct base *b, uint64_t item, uint64_t closed, uint64_t failures,
			  uint64_t now_ms)
{
	db_start(b->db, SQL_QUEUE_ITEM_LESS);
	db_u64(b->db, closed);
	db_u64(b->db, failures);
	db_u64(b->db, item);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_NOTFOUND : work_err(b, r);
	uint64_t open = db_col_u64(b->db, 0), failed = db_col_u64(b->db, 1);
	uint64_t body = db_col_u64(b->db, 2);
	db_reset(b->db);
	return open == 0 ? finish(b, item, failed, body, now_ms) : ERR_OK;
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
