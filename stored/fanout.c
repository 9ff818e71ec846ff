/* Fan-out: the local recipients of queued messages go to their shards. An item is read from the
 * directory, delivered in each of its shards, and its outcome written back to the directory: two
 * databases, never one transaction. Whatever stops it in between, it is done again, and the
 * delivery's token keeps a shard from taking the same message twice.
 *
 *   queue (due) -> load -> shards (in parallel) -> outcome -> queue (done, failed, due later) */
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/ipc/frame.h"
#include "libcommon/net/loop.h"
#include "stored/body.h"
#include "stored/mail.h"
#include "stored/sql.h"

enum {
	ACTIVE_MAX = 16, /* items at a time */
	SCAN_ROWS = 256,
	SCAN_MS = 10000,     /* at the latest */
	TROUBLE_MS = 2000,   /* pause when the directory could not be read or written */
	RETRY_MS = 10000,    /* of a recipient, doubling */
	RETRY_DOUBLINGS = 9, /* to an hour and a half */
};
#define GIVE_UP_MS (UINT64_C(5) * 24 * 3600 * 1000)

struct item {
	struct pool *pool;
	uint64_t id, created_ms, now_ms;
	bool too_late; /* its sender wants it back then (RFC 2852) */
	struct slice msgid, sid, meta;
	struct body body;
	uint64_t size;
	struct drop *drop; /* by shard */
	uint64_t *attempts;
	size_t n;
	unsigned shards_open;
	struct queue_outcome *outcome;
};

static struct {
	bool running, scanning, again;
	struct map *busy; /* id -> item */
	struct timer timer;
} fan;

static void scan(void);

static void on_timer(struct timer *t)
{
	(void)t;
	scan();
}

static void scan_in(uint64_t ms)
{
	if (fan.running)
		timer_set(&fan.timer, ms, on_timer);
}

static void end(struct item *it, bool trouble)
{
	map_del(fan.busy, &it->id, sizeof(it->id));
	if (it->body.fd > 0)
		close(it->body.fd);
	struct pool *pool = it->pool;
	pool_free(&pool);
	if (!fan.running && map_count(fan.busy) == 0)
		map_free(&fan.busy);
	else if (trouble)
		scan_in(TROUBLE_MS);
	else
		fanout_kick();
}

static bool start(struct item *it, enum ipc_err (*run)(struct base *b, struct op *op),
		  void (*done)(struct op *op), bool write)
{
	struct op *op = op_new(0);
	op->run = run;
	op->done = done;
	op->arg = it;
	if (write ? work_write(WORK_DIRECTORY, op) : work_read(WORK_DIRECTORY, op))
		return true;
	op_free(op);
	end(it, true);
	return false;
}

/* --- outcome ------------------------------------------------------------- */

static enum ipc_err outcome_run(struct base *b, struct op *op)
{
	struct item *it = op->arg;
	return queue_outcomes(b, it->id, SLICE(""), it->outcome, it->n, it->now_ms);
}

static void outcome_done(struct op *op)
{
	struct item *it = op->arg;
	bool trouble = op->err != ERR_OK;
	watch_owed(op);
	op_free(op);
	end(it, trouble);
}

static struct queue_outcome judge(const struct item *it, size_t i)
{
	const struct drop *d = &it->drop[i];
	struct queue_outcome o = {.n = d->n,
				  .state = QUEUE_DONE,
				  .code = 250,
				  .status = SLICE("2.1.5"),
				  .host = SLICE(""),
				  .text = SLICE("delivered")};
	if (d->err == ERR_OK && !it->too_late)
		return o;
	bool full = d->err == ERR_QUOTA;
	o.code = d->err == ERR_NOTFOUND ? 550 : full ? 452 : 451;
	o.status = d->err == ERR_NOTFOUND ? SLICE("5.1.1") : full ? SLICE("4.2.2") : SLICE("4.3.0");
	o.text = d->err == ERR_NOTFOUND ? SLICE("no such user here")
		 : full                 ? SLICE("the mailbox is full")
					: slice_of(ipc_err_name(d->err));
	if (d->err == ERR_OK)
		o.text = SLICE("not delivered in the time that was asked for");
	if (d->err == ERR_NOTFOUND || it->too_late || it->now_ms > it->created_ms + GIVE_UP_MS) {
		o.state = QUEUE_FAILED;
		if (d->err != ERR_NOTFOUND)
			o.status = full ? SLICE("5.2.2") : SLICE("5.4.7");
		log_event(LOG_LV_WARN, NULL, "delivery-failed", LSL("id", it->msgid),
			  LU("account", d->account), LSL("reason", o.text));
		return o;
	}
	uint64_t k = it->attempts[i] < RETRY_DOUBLINGS ? it->attempts[i] : RETRY_DOUBLINGS;
	o.state = QUEUE_DUE;
	o.next_ms = it->now_ms + ((uint64_t)RETRY_MS << k);
	return o;
}

static void shard_done(struct delivery *d, enum ipc_err e, void *arg)
{
	struct item *it = arg;
	for (size_t i = 0; i < d->n && e != ERR_OK; i++)
		d->drop[i].err = e;
	if (--it->shards_open)
		return;
	it->outcome = pool_alloc(it->pool, it->n * sizeof(*it->outcome));
	for (size_t i = 0; i < it->n; i++)
		it->outcome[i] = judge(it, i);
	start(it, outcome_run, outcome_done, true);
}

/* --- shards -------------------------------------------------------------- */

static void swap(struct item *it, size_t a, size_t b)
{
	struct drop d = it->drop[a];
	uint64_t n = it->attempts[a];
	it->drop[a] = it->drop[b];
	it->attempts[a] = it->attempts[b];
	it->drop[b] = d;
	it->attempts[b] = n;
}

/* The drops from `at` on of the same shard come together; shard 0 (no such account) is skipped. */
static size_t one_shard(struct item *it, size_t at)
{
	size_t to = at + 1;
	for (size_t i = to; i < it->n; i++)
		if (it->drop[i].shard == it->drop[at].shard)
			swap(it, i, to++);
	return to;
}

static void to_shards(struct item *it)
{
	it->shards_open = 1; /* this function's own */
	for (size_t at = 0, to; at < it->n; at = to) {
		to = one_shard(it, at);
		if (it->drop[at].shard == 0 || it->too_late)
			continue; /* judged without a shard */
		struct delivery *d = pool_alloc(it->pool, sizeof(*d));
		*d = (struct delivery){.id = it->msgid,
				       .body = it->body,
				       .meta = it->meta,
				       .size = it->size,
				       .now_ms = it->now_ms,
				       .drop = it->drop + at,
				       .n = to - at};
		it->shards_open++;
		deliver_start(it->drop[at].shard, d, shard_done, it);
	}
	struct delivery none = {0};
	shard_done(&none, ERR_OK, it);
}

/* --- load ---------------------------------------------------------------- */

static enum ipc_err load_rcpts(struct base *b, struct item *it)
{
	size_t cap = 0;
	enum db_result r;
	db_start(b->db, SQL_QUEUE_LOCAL_RCPTS);
	db_u64(b->db, it->id);
	db_u64(b->db, it->now_ms);
	while ((r = db_step(b->db)) == DB_ROW) {
		size_t same = cap;
		it->drop = pool_grow(it->pool, it->drop, it->n, &same, sizeof(*it->drop));
		it->attempts = pool_grow(it->pool, it->attempts, it->n, &cap, sizeof(uint64_t));
		it->drop[it->n] = (struct drop){.n = db_col_u64(b->db, 0),
						.account = db_col_u64(b->db, 1),
						.shard = (unsigned)db_col_u64(b->db, 2)};
		it->attempts[it->n++] = db_col_u64(b->db, 3);
	}
	db_reset(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

/* An account may have gone, or have another quota, since the message was taken. */
static enum ipc_err load_accounts(struct base *b, struct item *it)
{
	for (size_t i = 0; i < it->n; i++) {
		struct account a = {0};
		enum ipc_err e = dir_account_by_id(b, it->pool, it->drop[i].account, &a);
		if (e != ERR_OK && e != ERR_NOTFOUND)
			return e;
		it->drop[i].err = e;
		it->drop[i].shard = a.shard; /* 0 when it has gone */
		it->drop[i].quota = a.quota;
	}
	return ERR_OK;
}

static enum ipc_err load_run(struct base *b, struct op *op)
{
	struct item *it = op->arg;
	db_start(b->db, SQL_QUEUE_ITEM);
	db_u64(b->db, it->id);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_NOTFOUND : work_err(b, r);
	it->msgid = slice_copy(it->pool, db_col(b->db, 0));
	it->sid = slice_copy(it->pool, db_col(b->db, 1));
	it->created_ms = db_col_u64(b->db, 5);
	it->too_late = !(db_col_u64(b->db, 3) & DELIVER_BY_NOTIFY) && db_col_u64(b->db, 6) &&
		       db_col_u64(b->db, 6) <= it->now_ms;
	it->size = db_col_u64(b->db, 7);
	uint64_t body = db_col_u64(b->db, 8);
	it->meta = slice_copy(it->pool, db_col(b->db, 9));
	enum ipc_err e = load_rcpts(b, it);
	if (e == ERR_OK)
		e = load_accounts(b, it);
	if (e != ERR_OK || it->n == 0)
		return e;
	uint64_t size;
	return body_read(b, it->pool, body, 0, 0, &it->body, &size);
}

static void load_done(struct op *op)
{
	struct item *it = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e != ERR_OK || it->n == 0) {
		if (e != ERR_OK && e != ERR_TEMP)
			log_event(LOG_LV_ERROR, NULL, "queue-unreadable", LU("item", it->id),
				  LS("reason", ipc_err_name(e)));
		end(it, e != ERR_OK);
		return;
	}
	if (it->body.fd > 0)
		frame_seal(it->body.fd);
	to_shards(it);
}

static void take(uint64_t id, uint64_t now_ms)
{
	if (map_get(fan.busy, &id, sizeof(id)) || map_count(fan.busy) >= ACTIVE_MAX)
		return;
	struct pool *pool = pool_new(4096);
	struct item *it = pool_alloc(pool, sizeof(*it));
	it->pool = pool;
	it->id = id;
	it->now_ms = now_ms;
	it->body = BODY_NONE;
	map_set(fan.busy, &id, sizeof(id), it);
	start(it, load_run, load_done, false);
}

/* --- what is due --------------------------------------------------------- */

struct scan_op {
	struct op op;
	uint64_t now_ms, next_ms;
	uint64_t item[SCAN_ROWS];
	size_t n;
};

static enum ipc_err scan_run(struct base *b, struct op *op)
{
	struct scan_op *s = (struct scan_op *)op;
	db_start(b->db, SQL_QUEUE_LOCAL_DUE);
	db_u64(b->db, s->now_ms);
	db_u64(b->db, SCAN_ROWS);
	enum db_result r = DB_DONE;
	while (s->n < SCAN_ROWS && (r = db_step(b->db)) == DB_ROW)
		s->item[s->n++] = db_col_u64(b->db, 0);
	db_reset(b->db);
	if (r != DB_DONE && r != DB_ROW)
		return work_err(b, r);
	db_start(b->db, SQL_QUEUE_LOCAL_NEXT);
	db_u64(b->db, s->now_ms);
	r = db_step(b->db);
	if (r != DB_ROW)
		return work_err(b, r);
	s->next_ms = db_col_null(b->db, 0) ? UINT64_MAX : db_col_u64(b->db, 0);
	return ERR_OK;
}

static void scan_done(struct op *op)
{
	struct scan_op s = *(struct scan_op *)op;
	op_free(op);
	fan.scanning = false;
	if (!fan.running)
		return;
	uint64_t wait = s.op.err != ERR_OK               ? TROUBLE_MS
			: s.next_ms - s.now_ms < SCAN_MS ? s.next_ms - s.now_ms
							 : SCAN_MS;
	scan_in(wait);
	for (size_t i = 0; i < s.n && s.op.err == ERR_OK; i++)
		take(s.item[i], s.now_ms);
	if (fan.again) {
		fan.again = false;
		scan();
	}
}

static void scan(void)
{
	if (!fan.running)
		return;
	if (fan.scanning) {
		fan.again = true;
		return;
	}
	struct scan_op *s = (struct scan_op *)op_new(sizeof(*s));
	s->op.run = scan_run;
	s->op.done = scan_done;
	s->now_ms = clock_ms();
	fan.scanning = work_read(WORK_DIRECTORY, &s->op);
	if (!fan.scanning) {
		op_free(&s->op);
		scan_in(TROUBLE_MS);
	}
}

void fanout_kick(void)
{
	scan();
}

void fanout_start(void)
{
	if (fan.running)
		return;
	fan.running = true;
	if (!fan.busy)
		fan.busy = map_new();
	scan();
}

/* Before work_stop(): what is under way ends by itself. */
void fanout_stop(void)
{
	fan.running = fan.again = false;
	timer_clear(&fan.timer);
}
