/* Who is served next. A turn goes round the senders (the accounts that submitted; all others are
 * one), and within a sender round the domains of its recipients; each turn takes one message to
 * one domain. So a sender with a hundred thousand messages, or one domain that a hundred thousand
 * wait for, takes a turn like any other.
 *
 * Both have a row that says when something is due there, or when it had its last turn if that was
 * later: the smallest is the one that has waited longest. It is found by an index, as are the
 * recipients of a sender and domain in the order of their time: a claim costs what it takes,
 * however much waits. A row that turns out to have nothing due is put right, or removed. */
#include "libcommon/base/map.h"
#include "stored/body.h"
#include "stored/mail.h"
#include "stored/sql.h"

enum {
	SENDERS = 64, /* at a time */
	BATCHES = 4,
	FLOWS = 256,       /* looked at in one turn */
	RCPTS = 1000,      /* of an item in one claim */
	RELAY_SENDER = 14, /* the column of QUEUE_ITEM */
	EXPIRED_MAX = 64   /* messages too late for their time, in one claim */
};
#define ANSWER_MAX  (IPC_FRAME_MAX / 2) /* bytes of addresses and content in one claim */
#define CONTENT_MAX (UINT64_C(16) << 10)

struct claim {
	struct base *b;
	struct queue_claim *q;
	struct map *left; /* domain -> items that may be taken, and one */
	size_t bytes;
	unsigned expired;
	bool rest;    /* something due was left */
	bool righted; /* the row of a sender who has nothing due was put right */
};
struct sender {
	uint64_t id;
	bool seen; /* had a turn: one that had none keeps its place */
	bool spent;
};
struct late { /* what a look at a flow found */
	uint64_t item, due_ms;
	bool none;
};

static enum ipc_err ran(struct base *b)
{
	enum db_result r = db_run(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

static uint32_t left_of(const struct claim *c, struct slice domain)
{
	void *v = map_get(c->left, domain.p, domain.len);
	if (v)
		return (uint32_t)((uintptr_t)v - 1);
	return c->q->per_domain ? c->q->per_domain : UINT32_MAX - 1;
}

static void set_left(struct claim *c, struct slice domain, uint32_t n)
{
	map_set(c->left, domain.p, domain.len, (void *)(uintptr_t)((uint64_t)n + 1));
}

static enum ipc_err flow_set(struct claim *c, uint64_t sender, struct slice domain, uint64_t due_ms)
{
	db_start(c->b->db, SQL_QUEUE_FLOW_SET);
	db_u64(c->b->db, due_ms);
	db_u64(c->b->db, sender);
	db_bytes(c->b->db, domain);
	return ran(c->b);
}

static enum ipc_err flow_del(struct claim *c, uint64_t sender, struct slice domain)
{
	db_start(c->b->db, SQL_QUEUE_FLOW_DEL);
	db_u64(c->b->db, sender);
	db_bytes(c->b->db, domain);
	return ran(c->b);
}

/* The sender's domain that has waited longest and may be served; ERR_NOTFOUND: none. When all that
 * were looked at may not, they go to the end, so that they do not hide the others. */
static enum ipc_err find_flow(struct claim *c, uint64_t sender, struct slice *domain)
{
	struct pool *pool = c->q->pool;
	struct slice skipped[FLOWS];
	enum db_result r;
	size_t n = 0;
	db_start(c->b->db, SQL_QUEUE_FLOWS_DUE);
	db_u64(c->b->db, sender);
	db_u64(c->b->db, c->q->now_ms);
	db_u64(c->b->db, FLOWS);
	while ((r = db_step(c->b->db)) == DB_ROW) {
		struct slice d = db_col(c->b->db, 0);
		if (left_of(c, d)) {
			*domain = slice_copy(pool, d);
			db_reset(c->b->db);
			return ERR_OK;
		}
		if (n < FLOWS)
			skipped[n++] = slice_copy(pool, d);
	}
	db_reset(c->b->db);
	if (r != DB_DONE)
		return work_err(c->b, r);
	enum ipc_err e = ERR_OK;
	for (size_t i = 0; i < n && n == FLOWS && e == ERR_OK; i++)
		e = flow_set(c, sender, skipped[i], c->q->now_ms);
	return e == ERR_OK ? ERR_NOTFOUND : e;
}

/* The recipients of the first message that is due there. */
static enum ipc_err due_rcpts(struct claim *c, uint64_t sender, struct slice domain,
			      struct row_queued *q, struct late *out)
{
	struct db *db = c->b->db;
	struct pool *pool = c->q->pool;
	enum db_result r;
	size_t cap = 0;
	*out = (struct late){.none = true};
	db_start(db, SQL_QUEUE_FLOW_RCPTS);
	db_u64(db, sender);
	db_bytes(db, domain);
	db_u64(db, RCPTS);
	while ((r = db_step(db)) == DB_ROW) {
		uint64_t item = db_col_u64(db, 0), due_ms = db_col_u64(db, 1);
		if (out->none)
			*out = (struct late){.item = item, .due_ms = due_ms};
		if (item != out->item || due_ms > c->q->now_ms ||
		    (q->rcpts_n && c->bytes > ANSWER_MAX))
			break;
		q->rcpts = pool_grow(pool, q->rcpts, q->rcpts_n, &cap, sizeof(*q->rcpts));
		q->rcpts[q->rcpts_n++] =
		    (struct row_queued_rcpt){.rcpt = db_col_u64(db, 2),
					     .addr = slice_copy(pool, db_col(db, 3)),
					     .notify = (uint32_t)db_col_u64(db, 4),
					     .orcpt = slice_copy(pool, db_col(db, 5)),
					     .attempts = (uint32_t)db_col_u64(db, 6)};
		c->bytes += 64 + db_col(db, 3).len + db_col(db, 5).len;
	}
	db_reset(db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(c->b, r);
}

/* What is small comes along: it has most often just been written, and is in this thread's cache.
 * What cannot be read is left to queue_read, which says why. */
static void add_content(struct claim *c, struct row_queued *q, uint64_t body)
{
	if (q->size > CONTENT_MAX || q->size > c->q->content || c->bytes + q->size > ANSWER_MAX)
		return;
	if (body_get(c->b, c->q->pool, body, 0, 0, &q->content, NULL) != ERR_OK)
		q->content = SLICE("");
	c->q->content -= q->content.len;
	c->bytes += q->content.len;
}

static enum ipc_err describe(struct claim *c, struct row_queued *q)
{
	struct db *db = c->b->db;
	struct pool *pool = c->q->pool;
	db_start(db, SQL_QUEUE_ITEM);
	db_u64(db, q->item);
	enum db_result r = db_step(db);
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_NOTFOUND : work_err(c->b, r);
	q->id = slice_copy(pool, db_col(db, 0));
	q->sender = slice_copy(pool, db_col(db, db_col_null(db, RELAY_SENDER) ? 2 : RELAY_SENDER));
	q->flags = (uint32_t)db_col_u64(db, 3);
	q->envid = slice_copy(pool, db_col(db, 4));
	q->created_ms = db_col_u64(db, 15);
	q->deliver_by_ms = db_col_u64(db, 6);
	q->size = db_col_u64(db, 7);
	uint64_t body = db_col_u64(db, 8);
	c->bytes += 128 + q->id.len + q->sender.len + q->envid.len + q->domain.len;
	db_reset(db);
	add_content(c, q, body);
	return ERR_OK;
}

/* It was to be delivered by a time that is over: given up (RFC 2852 4.1). */
static enum ipc_err give_up(struct claim *c, const struct row_queued *q)
{
	struct queue_outcome *o = pool_alloc(c->q->pool, q->rcpts_n * sizeof(*o));
	for (uint32_t i = 0; i < q->rcpts_n; i++)
		o[i] = (struct queue_outcome){.n = q->rcpts[i].rcpt,
					      .state = QUEUE_FAILED,
					      .untried = true,
					      .status = SLICE("5.4.7"),
					      .host = SLICE(""),
					      .text = SLICE("not delivered in the time asked for")};
	c->expired++;
	return queue_outcomes(c->b, q->item, SLICE(""), o, q->rcpts_n, c->q->now_ms);
}

static enum ipc_err lease(struct claim *c, const struct row_queued *q, bool late)
{
	enum ipc_err e = ERR_OK;
	for (uint32_t i = 0; i < q->rcpts_n && e == ERR_OK; i++) {
		if (late)
			e = queue_owe(c->b, q->item, q->rcpts[i].rcpt, NOTICE_DELAYED,
				      c->q->now_ms);
		if (e != ERR_OK)
			break;
		db_start(c->b->db, SQL_QUEUE_LEASE);
		db_u64(c->b->db, c->q->until_ms);
		db_bytes(c->b->db, c->q->worker);
		db_u64(c->b->db, q->item);
		db_u64(c->b->db, q->rcpts[i].rcpt);
		e = ran(c->b);
	}
	return e;
}

/* One message of the sender, or one row put right; spent: it has nothing more. */
static enum ipc_err take(struct claim *c, struct sender *s)
{
	struct row_queued *q = &c->q->item[c->q->n];
	struct late l;
	*q = (struct row_queued){0};
	enum ipc_err e = find_flow(c, s->id, &q->domain);
	if (e == ERR_NOTFOUND)
		s->spent = true;
	if (e != ERR_OK)
		return e == ERR_NOTFOUND ? ERR_OK : e;
	e = due_rcpts(c, s->id, q->domain, q, &l);
	if (e != ERR_OK)
		return e;
	if (l.none)
		return flow_del(c, s->id, q->domain);
	if (q->rcpts_n == 0)
		return flow_set(c, s->id, q->domain, l.due_ms);
	q->item = l.item;
	e = describe(c, q);
	bool late = q->deliver_by_ms && q->deliver_by_ms <= c->q->now_ms;
	if (e == ERR_OK && late && !(q->flags & DELIVER_BY_NOTIFY))
		return give_up(c, q);
	if (e == ERR_OK)
		e = lease(c, q, late);
	if (e == ERR_OK)
		e = flow_set(c, s->id, q->domain, c->q->now_ms);
	if (e != ERR_OK)
		return e;
	set_left(c, q->domain, left_of(c, q->domain) - 1);
	c->q->n++;
	return ERR_OK;
}

static bool full(const struct claim *c)
{
	return c->q->n == c->q->max || c->bytes > ANSWER_MAX || c->expired > EXPIRED_MAX;
}

/* The sender had its turn: its row says when the next one is. */
static enum ipc_err settle(struct claim *c, const struct sender *s)
{
	db_start(c->b->db, SQL_QUEUE_FLOW_NEXT);
	db_u64(c->b->db, s->id);
	enum db_result r = db_step(c->b->db);
	if (r != DB_ROW)
		return work_err(c->b, r);
	bool none = db_col_null(c->b->db, 0);
	uint64_t next = db_col_u64(c->b->db, 0);
	c->righted = c->righted || none || next > c->q->now_ms;
	if (none) {
		db_start(c->b->db, SQL_QUEUE_SENDER_DEL);
	} else {
		db_start(c->b->db, SQL_QUEUE_SENDER_SET);
		db_u64(c->b->db, next > c->q->now_ms ? next : c->q->now_ms);
	}
	db_u64(c->b->db, s->id);
	return ran(c->b);
}

static enum ipc_err batch(struct claim *c, struct sender *s, size_t n)
{
	bool any = true;
	enum ipc_err e = ERR_OK;
	/* A look that finds nothing puts a row right: there are only so many of these. */
	for (unsigned looks = 0; any && looks < FLOWS && e == ERR_OK; looks++) {
		any = false;
		for (size_t i = 0; i < n && e == ERR_OK; i++) {
			if (s[i].spent)
				continue;
			if (full(c)) {
				c->rest = true;
				break;
			}
			s[i].seen = true;
			e = take(c, &s[i]);
			any = any || !s[i].spent;
		}
		if (c->rest)
			break;
	}
	c->rest = c->rest || any;
	for (size_t i = 0; i < n && e == ERR_OK; i++)
		if (s[i].seen)
			e = settle(c, &s[i]);
	return e;
}

static enum ipc_err senders(struct claim *c, struct sender *s, size_t *n)
{
	enum db_result r = DB_DONE;
	*n = 0;
	db_start(c->b->db, SQL_QUEUE_SENDERS_DUE);
	db_u64(c->b->db, c->q->now_ms);
	db_u64(c->b->db, SENDERS);
	while (*n < SENDERS && (r = db_step(c->b->db)) == DB_ROW)
		s[(*n)++] = (struct sender){.id = db_col_u64(c->b->db, 0)};
	db_reset(c->b->db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(c->b, r);
}

static enum ipc_err next_due(struct claim *c)
{
	c->q->next_due_ms = c->q->now_ms;
	if (c->rest)
		return ERR_OK;
	db_start(c->b->db, SQL_QUEUE_OUTSIDE_NEXT);
	db_u64(c->b->db, c->q->now_ms);
	enum db_result r = db_step(c->b->db);
	if (r != DB_ROW)
		return work_err(c->b, r);
	c->q->next_due_ms = db_col_null(c->b->db, 0) ? UINT64_MAX : db_col_u64(c->b->db, 0);
	db_reset(c->b->db);
	return ERR_OK;
}

/* ERR_NOTFOUND: it is not the worker's. */
static enum ipc_err give_back(struct base *b, struct pool *pool, struct queue_return *q, uint64_t n)
{
	db_start(b->db, SQL_QUEUE_RETURN);
	db_u64(b->db, q->now_ms);
	db_u64(b->db, q->item);
	db_u64(b->db, n);
	db_bytes(b->db, q->worker);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_NOTFOUND : work_err(b, r);
	uint64_t submitter = db_col_u64(b->db, 0);
	struct slice domain = slice_copy(pool, db_col(b->db, 1));
	db_reset(b->db);
	return queue_due(b, submitter, domain, q->now_ms);
}

enum ipc_err queue_return(struct base *b, struct queue_return *q)
{
	enum ipc_err e = ERR_OK;
	struct pool *pool = pool_new(0);
	q->n = 0;
	for (uint32_t i = 0; i < q->rcpts && (e == ERR_OK || e == ERR_NOTFOUND); i++) {
		e = give_back(b, pool, q, q->rcpt[i].rcpt);
		q->n += e == ERR_OK;
	}
	pool_free(&pool);
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

enum ipc_err queue_claim(struct base *b, struct queue_claim *q)
{
	struct claim c = {.b = b, .q = q, .left = map_new()};
	struct sender s[SENDERS];
	size_t n = SENDERS;
	enum ipc_err e = ERR_OK;
	q->n = 0;
	for (uint32_t i = 0; i < q->limits; i++)
		set_left(&c, q->limit[i].domain, q->limit[i].max);
	for (unsigned i = 0; i < BATCHES && n == SENDERS && !full(&c) && e == ERR_OK; i++) {
		e = senders(&c, s, &n);
		if (e == ERR_OK)
			e = batch(&c, s, n);
	}
	/* Not all were looked at: those who have nothing due may hide one who has. */
	c.rest = c.rest || (n == SENDERS && c.righted);
	map_free(&c.left);
	return e == ERR_OK ? next_due(&c) : e;
}
