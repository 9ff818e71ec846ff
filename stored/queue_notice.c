/* What senders are owed: notices of failures, delays and successes (RFC 3464). smtpd writes them;
 * here is who is to be told of what, and the one transaction that stores a notice and marks its
 * recipients told. The lease on an item's notice keeps two workers from writing the same one. */
#include "libcommon/base/log.h"
#include "stored/body.h"
#include "stored/mail.h"
#include "stored/sql.h"

enum { RCPTS = 1000 }; /* of one notice; the others get another */
#define ANSWER_MAX (IPC_FRAME_MAX / 2)

static enum ipc_err ran(struct base *b)
{
	enum db_result r = db_run(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

static enum ipc_err items(struct base *b, struct queue_notices *q, size_t *bytes)
{
	struct db *db = b->db;
	enum db_result r = DB_DONE;
	db_start(db, SQL_NOTICE_ITEMS);
	db_u64(db, q->now_ms);
	db_u64(db, q->max);
	while (q->n < q->max && (r = db_step(db)) == DB_ROW) {
		struct row_owed *o = &q->item[q->n++];
		*o = (struct row_owed){.item = db_col_u64(db, 0),
				       .id = slice_copy(q->pool, db_col(db, 1)),
				       .sender = slice_copy(q->pool, db_col(db, 2)),
				       .flags = (uint32_t)db_col_u64(db, 3),
				       .envid = slice_copy(q->pool, db_col(db, 4)),
				       .created_ms = db_col_u64(db, 5),
				       .deliver_by_ms = db_col_u64(db, 6),
				       .size = db_col_u64(db, 7)};
		*bytes += 128 + o->id.len + o->sender.len + o->envid.len;
	}
	db_reset(db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static enum ipc_err rcpts(struct base *b, struct queue_notices *q, struct row_owed *o,
			  size_t *bytes)
{
	struct db *db = b->db;
	enum db_result r = DB_DONE;
	size_t cap = 0;
	db_start(db, SQL_NOTICE_RCPTS);
	db_u64(db, o->item);
	db_u64(db, RCPTS);
	while (*bytes < ANSWER_MAX && (r = db_step(db)) == DB_ROW) {
		o->rcpts = pool_grow(q->pool, o->rcpts, o->rcpts_n, &cap, sizeof(*o->rcpts));
		struct row_owed_rcpt *t = &o->rcpts[o->rcpts_n++];
		*t = (struct row_owed_rcpt){.rcpt = db_col_u64(db, 0),
					    .owed = (uint32_t)db_col_u64(db, 1),
					    .addr = slice_copy(q->pool, db_col(db, 2)),
					    .orcpt = slice_copy(q->pool, db_col(db, 3)),
					    .attempts = (uint32_t)db_col_u64(db, 4),
					    .code = (uint32_t)db_col_u64(db, 5),
					    .status = slice_copy(q->pool, db_col(db, 6)),
					    .host = slice_copy(q->pool, db_col(db, 7)),
					    .text = slice_copy(q->pool, db_col(db, 8)),
					    .changed_ms = db_col_u64(db, 9),
					    .due_ms = db_col_u64(db, 10)};
		*bytes += 128 + t->addr.len + t->orcpt.len + t->host.len + t->text.len;
	}
	db_reset(db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static enum ipc_err lease(struct base *b, const struct queue_notices *q, uint64_t item)
{
	db_start(b->db, SQL_NOTICE_LEASE);
	db_u64(b->db, q->until_ms);
	db_bytes(b->db, q->worker);
	db_u64(b->db, item);
	return ran(b);
}

enum ipc_err queue_notices(struct base *b, struct queue_notices *q)
{
	size_t bytes = 0;
	q->n = 0;
	enum ipc_err e = items(b, q, &bytes);
	uint32_t n = 0;
	for (; n < q->n && bytes < ANSWER_MAX && e == ERR_OK; n++) {
		e = rcpts(b, q, &q->item[n], &bytes);
		if (e == ERR_OK)
			e = lease(b, q, q->item[n].item);
	}
	bool rest = n < q->n || n == q->max;
	q->n = n;
	q->next_due_ms = q->now_ms;
	if (rest || e != ERR_OK)
		return e;
	db_start(b->db, SQL_NOTICE_NEXT);
	db_u64(b->db, q->now_ms);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return work_err(b, r);
	q->next_due_ms = db_col_null(b->db, 0) ? UINT64_MAX : db_col_u64(b->db, 0);
	db_reset(b->db);
	return ERR_OK;
}

enum ipc_err queue_notice_of(struct base *b, struct pool *pool, uint64_t item, struct slice worker,
			     struct slice *sender)
{
	db_start(b->db, SQL_NOTICE_OF);
	db_u64(b->db, item);
	db_bytes(b->db, worker);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_INUSE : work_err(b, r);
	*sender = slice_copy(pool, db_col(b->db, 0));
	db_reset(b->db);
	return ERR_OK;
}

/* *n: how many there were to mark. One that owes something else by now is told of that later. */
static enum ipc_err mark(struct base *b, const struct queue_told *t, uint64_t *n)
{
	*n = 0;
	for (uint32_t i = 0; i < t->rcpts; i++) {
		db_start(b->db, SQL_NOTICE_TOLD);
		db_u64(b->db, UINT64_C(1) << t->rcpt[i].owed);
		db_u64(b->db, t->item);
		db_u64(b->db, t->rcpt[i].rcpt);
		db_u64(b->db, t->rcpt[i].owed);
		enum ipc_err e = ran(b);
		if (e != ERR_OK)
			return e;
		*n += (uint64_t)db_changes(b->db);
	}
	return *n ? ERR_OK : ERR_NOTFOUND;
}

enum ipc_err queue_notice(struct base *b, struct pool *pool, struct queue_told *t)
{
	struct slice sender;
	uint64_t n;
	enum ipc_err e = queue_notice_of(b, pool, t->item, t->worker, &sender);
	if (e == ERR_OK)
		e = mark(b, t, &n);
	if (e == ERR_OK && t->add)
		e = queue_add(b, t->add);
	if (e != ERR_OK)
		return e;
	db_start(b->db, SQL_NOTICE_DONE);
	db_u64(b->db, n);
	db_u64(b->db, t->now_ms);
	db_u64(b->db, t->item);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return work_err(b, r);
	uint64_t open = db_col_u64(b->db, 0), owed = db_col_u64(b->db, 1);
	uint64_t body = db_col_u64(b->db, 2);
	db_reset(b->db);
	return open == 0 && owed == 0 ? queue_finish(b, t->item, body, t->now_ms) : ERR_OK;
}
