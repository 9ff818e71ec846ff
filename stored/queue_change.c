/* What an administrator does to the queue: by message, by domain, by sender or to all of it. The
 * items that wait are gone through in the order of their numbers, some of them a slice; `at_item`
 * and `at_n` say where the next slice begins, so that it costs the same wherever it is, and an item
 * of very many recipients is cut as well. */
#include "stored/body.h"
#include "stored/mail.h"
#include "stored/sql.h"

enum { ITEMS = 200, RCPTS = 1000 }; /* a slice */

struct found {
	uint64_t id, submitter, hold_until_ms;
};

static const enum sql_dir STATEMENT[] = {[QUEUE_ACT_FLUSH] = SQL_QUEUE_FLUSH,
					 [QUEUE_ACT_HOLD] = SQL_QUEUE_HOLD,
					 [QUEUE_ACT_RELEASE] = SQL_QUEUE_RELEASE,
					 [QUEUE_ACT_DELETE] = SQL_QUEUE_DELETE};

/* The items of this slice; *next: the number that the next one begins with. */
static enum ipc_err find(struct base *b, const struct queue_change *q, struct found *f, size_t *n,
			 uint64_t *next)
{
	enum db_result r = DB_DONE;
	uint64_t seen = 0;
	*n = 0;
	*next = q->item ? q->item : q->at_item;
	db_start(b->db, SQL_QUEUE_SCAN);
	db_u64(b->db, *next);
	db_u64(b->db, q->item ? 1 : ITEMS);
	while (seen < ITEMS && (r = db_step(b->db)) == DB_ROW) {
		seen++;
		uint64_t id = db_col_u64(b->db, 0);
		*next = id + 1;
		if (q->item && id != q->item)
			continue;
		if (!q->by_sender || slice_ieq(db_col(b->db, 1), q->sender))
			f[(*n)++] = (struct found){id, db_col_u64(b->db, 2), db_col_u64(b->db, 3)};
	}
	db_reset(b->db);
	if (seen < (q->item ? 1 : ITEMS) || q->item)
		*next = 0;
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static enum ipc_err under_way(struct base *b, struct queue_change *q, uint64_t item, uint64_t to)
{
	db_start(b->db, SQL_QUEUE_UNDER_WAY);
	db_u64(b->db, item);
	db_u64(b->db, q->at_n);
	db_u64(b->db, to);
	db_u64(b->db, q->domain.len > 0);
	db_bytes(b->db, q->domain);
	db_u64(b->db, q->now_ms);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return work_err(b, r);
	q->under_way += db_col_u64(b->db, 0);
	db_reset(b->db);
	return ERR_OK;
}

struct domains { /* of recipients outside that are due now */
	struct pool *pool;
	struct slice *name;
	size_t n, cap;
};

static void add_domain(struct domains *d, struct slice name)
{
	if (d->n && slice_eq(d->name[d->n - 1], name)) /* most come together */
		return;
	d->name = pool_grow(d->pool, d->name, d->n, &d->cap, sizeof(*d->name));
	d->name[d->n++] = slice_copy(d->pool, name);
}

static enum ipc_err turns(struct base *b, const struct domains *d, uint64_t submitter, uint64_t ms)
{
	enum ipc_err e = ERR_OK;
	for (size_t i = 0; i < d->n && e == ERR_OK; i++)
		e = queue_due(b, submitter, d->name[i], ms);
	return e;
}

/* Recipients at_n to `to` of an item; *n: how many were changed. */
static enum ipc_err change(struct base *b, struct queue_change *q, const struct found *f,
			   uint64_t to, uint64_t *n)
{
	bool wakes = q->action == QUEUE_ACT_FLUSH || q->action == QUEUE_ACT_RELEASE;
	uint64_t at = wakes && f->hold_until_ms > q->now_ms ? f->hold_until_ms : q->now_ms;
	enum db_result r;
	*n = 0;
	db_start(b->db, STATEMENT[q->action]);
	db_u64(b->db, at);
	db_u64(b->db, f->id);
	db_u64(b->db, q->at_n);
	db_u64(b->db, to);
	db_u64(b->db, q->domain.len > 0);
	db_bytes(b->db, q->domain);
	if (q->action != QUEUE_ACT_RELEASE)
		db_u64(b->db, at);
	struct domains d = {.pool = pool_new(0)};
	while ((r = db_step(b->db)) == DB_ROW) {
		++*n;
		if (wakes && db_col_u64(b->db, 1))
			add_domain(&d, db_col(b->db, 0));
	}
	db_reset(b->db);
	enum ipc_err e = r == DB_DONE ? turns(b, &d, f->submitter, at) : work_err(b, r);
	pool_free(&d.pool);
	if (e == ERR_OK)
		e = under_way(b, q, f->id, to);
	if (e == ERR_OK && q->action == QUEUE_ACT_DELETE && *n)
		e = queue_closed(b, f->id, *n, 0, q->now_ms);
	q->changed += *n;
	return e;
}

static enum ipc_err last_rcpt(struct base *b, uint64_t item, uint64_t *n)
{
	db_start(b->db, SQL_QUEUE_LAST_RCPT);
	db_u64(b->db, item);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return work_err(b, r);
	*n = db_col_u64(b->db, 0);
	db_reset(b->db);
	return ERR_OK;
}

enum ipc_err queue_change(struct base *b, struct queue_change *q)
{
	struct found f[ITEMS];
	size_t n;
	uint64_t next, budget = RCPTS, last = 0, did;
	enum ipc_err e = find(b, q, f, &n, &next);
	for (size_t i = 0; i < n && e == ERR_OK; i++) {
		if (f[i].id != q->at_item)
			q->at_n = 0;
		q->at_item = f[i].id;
		e = last_rcpt(b, f[i].id, &last);
		while (e == ERR_OK && q->at_n <= last && budget) {
			e = change(b, q, &f[i], q->at_n + budget, &did);
			uint64_t part = last + 1 - q->at_n;
			q->at_n += part < budget ? part : budget;
			budget -= part < budget ? part : budget;
		}
		if (e == ERR_OK && budget == 0 && (q->at_n <= last || i + 1 < n || next)) {
			q->more = true;
			return ERR_OK;
		}
	}
	q->more = next > 0;
	q->at_item = next;
	q->at_n = 0;
	return e;
}
