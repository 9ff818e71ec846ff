/* The clock's work, once an hour: messages that were retrieved long enough ago are expunged where
 * the administrator asked for it, expunged ones are forgotten after `expunged-keep`, and so are
 * finished items of the queue. One small operation at a time, each waiting its turn among the
 * others, so that no delivery waits for it.
 *
 *   GONE: the mail of accounts that were deleted as long ago;
 *   for each shard: PURGE until nothing is due; PAGE of owners -> SETTINGS of those accounts ->
 *   EXPIRE one account after the other; next page.  Then QUEUE, and sleep.
 *
 * What fails is left out and the rest goes on: an account, a page, a shard. A cycle in which
 * something failed is repeated sooner than the next hour, with a growing pause. */
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/pool.h"
#include "libcommon/net/loop.h"
#include "stored/mail.h"
#include "stored/sql.h"

enum {
	TICK_MS = 2000, /* how soon a moved clock is seen */
	CYCLE_MS = 3600 * 1000,
	RETRY_MS = 30 * 1000, /* after a cycle with a failure, doubling up to CYCLE_MS */
	PAGE = 64,            /* accounts */
	SLICE_MAX = 128       /* messages, items */
};
/* A delivery's token must outlive every retry of the delivery. */
#define TOKEN_KEEP_MS (UINT64_C(15) * 60 * 1000)
#define QUEUE_KEEP_MS (UINT64_C(7) * 24 * 3600 * 1000)

static struct {
	bool running, busy;
	bool failed; /* something of this cycle */
	struct timer timer;
	uint64_t last_ms;  /* start of the last cycle */
	uint64_t pause_ms; /* from there to the next */
	uint64_t now_ms;
	unsigned shard; /* 0: before the first, at the accounts that are gone */
	unsigned gone_shard;
	/* the page at hand */
	uint64_t account[PAGE], inbox[PAGE], expire_ms[PAGE];
	size_t n, at;
	uint64_t after;
	/* of one operation */
	unsigned did;
	bool more;
	uint64_t uid[SLICE_MAX];
	size_t uids;
	struct change change;
	uint64_t expired, purged;
} ex;

static void next_gone(void);
static void purge_shard(void);
static void next_page(void);
static void next_account(void);
static void purge_queue(void);

static void on_tick(struct timer *t);

static void rest(void)
{
	ex.busy = false;
	if (!ex.failed)
		ex.pause_ms = CYCLE_MS;
	else if (ex.pause_ms >= CYCLE_MS)
		ex.pause_ms = RETRY_MS;
	else
		ex.pause_ms = ex.pause_ms * 2 < CYCLE_MS ? ex.pause_ms * 2 : CYCLE_MS - 1;
	if (ex.expired || ex.purged)
		log_event(LOG_LV_INFO, NULL, "expired", LU("messages", ex.expired),
			  LU("forgotten", ex.purged));
	if (ex.running)
		timer_set(&ex.timer, TICK_MS, on_tick);
}

static void next_shard(void)
{
	if (++ex.shard <= work_shards())
		purge_shard();
	else
		purge_queue();
}

static void start(unsigned base, bool write, enum ipc_err (*run)(struct base *b, struct op *op),
		  void (*done)(struct op *op))
{
	struct op *op = op_new(0);
	op->run = run;
	op->done = done;
	if (ex.running && (write ? work_write(base, op) : work_read(base, op)))
		return;
	op_free(op);
	ex.failed = ex.running;
	if (ex.running && ex.shard <= work_shards())
		next_shard();
	else
		rest();
}

/* The end of every operation: true when it went well. */
static bool ended(struct op *op)
{
	enum ipc_err e = op->err;
	op_free(op);
	if (e == ERR_OK)
		return true;
	ex.failed = true;
	log_event(LOG_LV_WARN, NULL, "expiry-failed", LU("shard", ex.shard),
		  LS("reason", ipc_err_name(e)));
	return false;
}

static uint64_t kept_since(void)
{
	uint64_t keep = conf.expunged_keep > TOKEN_KEEP_MS ? conf.expunged_keep : TOKEN_KEEP_MS;
	return keep < ex.now_ms ? ex.now_ms - keep : 0;
}

/* --- deleted accounts ---------------------------------------------------- */

static enum ipc_err gone_del_run(struct base *b, struct op *op)
{
	(void)op;
	db_start(b->db, SQL_GONE_DEL);
	db_u64(b->db, ex.account[0]);
	return work_err(b, db_run(b->db));
}

static void gone_del_done(struct op *op)
{
	ended(op);
	next_gone();
}

static enum ipc_err drop_run(struct base *b, struct op *op)
{
	(void)op;
	return mailbox_drop(b, ex.account[0], SLICE_MAX, &ex.more);
}

static void drop_done(struct op *op)
{
	if (!ended(op))
		next_gone();
	else if (ex.more)
		start(ex.gone_shard, true, drop_run, drop_done);
	else
		start(WORK_DIRECTORY, true, gone_del_run, gone_del_done);
}

static enum ipc_err gone_run(struct base *b, struct op *op)
{
	(void)op;
	db_start(b->db, SQL_GONE_DUE);
	db_u64(b->db, kept_since());
	db_u64(b->db, ex.after);
	db_u64(b->db, 1);
	enum db_result r = db_step(b->db);
	ex.n = r == DB_ROW;
	if (ex.n) {
		ex.account[0] = db_col_u64(b->db, 0);
		ex.gone_shard = (unsigned)db_col_u64(b->db, 1);
	}
	db_reset(b->db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static void gone_done(struct op *op)
{
	if (!ended(op) || ex.n == 0) {
		next_shard();
		return;
	}
	ex.after = ex.account[0];
	start(ex.gone_shard, true, drop_run, drop_done);
}

static void next_gone(void)
{
	start(WORK_DIRECTORY, false, gone_run, gone_done);
}

/* --- expunged messages --------------------------------------------------- */

static enum ipc_err purge_run(struct base *b, struct op *op)
{
	(void)op;
	return mailbox_purge(b, kept_since(), SLICE_MAX, &ex.did);
}

static void purge_done(struct op *op)
{
	bool well = ended(op);
	if (well)
		ex.purged += ex.did;
	if (well && ex.did == SLICE_MAX) {
		purge_shard();
		return;
	}
	ex.after = 0;
	next_page();
}

static void purge_shard(void)
{
	start(ex.shard, true, purge_run, purge_done);
}

/* --- retrieved messages -------------------------------------------------- */

static enum ipc_err expunge_run(struct base *b, struct op *op)
{
	(void)op;
	return mailbox_expunge(b, ex.account[ex.at], ex.inbox[ex.at], ex.uid, ex.uids, ex.now_ms,
			       &ex.change);
}

static void expunge_done(struct op *op)
{
	bool well = ended(op);
	if (well) {
		change_notify(&ex.change);
		ex.expired += ex.uids;
	}
	if (!well || ex.uids < SLICE_MAX)
		ex.at++;
	next_account();
}

static enum ipc_err find_run(struct base *b, struct op *op)
{
	(void)op;
	enum db_result r = DB_DONE;
	ex.uids = 0;
	db_start(b->db, SQL_SHARD_RETRIEVED_BEFORE);
	db_u64(b->db, ex.inbox[ex.at]);
	db_u64(b->db, ex.now_ms - ex.expire_ms[ex.at]);
	db_u64(b->db, SLICE_MAX);
	while (ex.uids < SLICE_MAX && (r = db_step(b->db)) == DB_ROW)
		ex.uid[ex.uids++] = db_col_u64(b->db, 0);
	db_reset(b->db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static void find_done(struct op *op)
{
	if (ended(op) && ex.uids) {
		start(ex.shard, true, expunge_run, expunge_done);
		return;
	}
	ex.at++;
	next_account();
}

static void next_account(void)
{
	while (ex.at < ex.n && ex.expire_ms[ex.at] > ex.now_ms)
		ex.at++; /* never, too */
	if (ex.at == ex.n)
		next_page();
	else
		start(ex.shard, false, find_run, find_done);
}

static enum ipc_err settings_run(struct base *b, struct op *op)
{
	for (size_t i = 0; i < ex.n; i++) {
		struct account a = {0};
		enum ipc_err e = dir_account_by_id(b, op->pool, ex.account[i], &a);
		if (e != ERR_OK && e != ERR_NOTFOUND)
			return e;
		/* Mail without an account is for people to look at: `check` names it. */
		ex.expire_ms[i] = e == ERR_OK ? a.expire_ms : CONF_NEVER;
	}
	return ERR_OK;
}

static void settings_done(struct op *op)
{
	if (!ended(op)) {
		next_shard();
		return;
	}
	ex.at = 0;
	next_account();
}

static enum ipc_err page_run(struct base *b, struct op *op)
{
	(void)op;
	enum db_result r = DB_DONE;
	ex.n = 0;
	db_start(b->db, SQL_SHARD_OWNERS);
	db_u64(b->db, ex.after);
	db_u64(b->db, PAGE);
	while (ex.n < PAGE && (r = db_step(b->db)) == DB_ROW) {
		ex.account[ex.n] = db_col_u64(b->db, 0);
		ex.inbox[ex.n++] = db_col_u64(b->db, 1);
	}
	db_reset(b->db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static void page_done(struct op *op)
{
	if (ended(op) && ex.n) {
		ex.after = ex.account[ex.n - 1];
		start(WORK_DIRECTORY, false, settings_run, settings_done);
	} else {
		next_shard();
	}
}

static void next_page(void)
{
	start(ex.shard, false, page_run, page_done);
}

/* --- the queue ----------------------------------------------------------- */

static enum ipc_err queue_run(struct base *b, struct op *op)
{
	(void)op;
	return queue_purge(b, ex.now_ms - QUEUE_KEEP_MS, SLICE_MAX, &ex.did);
}

static void queue_done(struct op *op)
{
	if (ended(op) && ex.did)
		purge_queue();
	else
		rest();
}

static void purge_queue(void)
{
	start(WORK_DIRECTORY, true, queue_run, queue_done);
}

/* --- the clock ----------------------------------------------------------- */

static void on_tick(struct timer *t)
{
	(void)t;
	uint64_t now = clock_ms();
	if (ex.last_ms && now >= ex.last_ms && now - ex.last_ms < ex.pause_ms) {
		timer_set(&ex.timer, TICK_MS, on_tick);
		return;
	}
	ex.busy = true;
	ex.last_ms = ex.now_ms = now;
	ex.expired = ex.purged = ex.after = 0;
	ex.failed = false;
	ex.shard = 0;
	next_gone();
}

void expire_start(void)
{
	ex.running = true;
	ex.pause_ms = CYCLE_MS;
	if (!ex.busy)
		timer_set(&ex.timer, TICK_MS, on_tick);
}

/* Before work_stop(): what is under way is the last. */
void expire_stop(void)
{
	ex.running = false;
	ex.last_ms = 0;
	timer_clear(&ex.timer);
}
