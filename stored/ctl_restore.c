/* One mailbox, or one message, out of a backup into the running store. The backup is read on
 * libuv's pool, some messages at a time; each portion is then one operation of the shard. What is
 * still there is left alone, what was expunged meanwhile comes back under a new UID, the rest is
 * stored anew: so it may be repeated. */
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/net/job.h"
#include "stored/backup.h"
#include "stored/body.h"
#include "stored/ctl.h"
#include "stored/mail.h"
#include "stored/sql.h"

enum { PORTION = 64, PORTION_BYTES = 4 << 20 };

struct saved { /* a message of the backup */
	uint64_t uid, size, flags, internal_ms, body;
	struct slice id, meta, text;
};
struct restoring { /* c->data */
	struct ctl *c;
	struct account account;
	const char *dir; /* of the backup */
	bool one;        /* a single message, wanted is its UID there */
	uint64_t wanted;
	struct base *base; /* its shard; belongs to the job that runs */
	uint64_t inbox, after;
	struct pool *pool; /* of the portion */
	struct saved *saved;
	size_t n;
	bool last;
	enum ipc_err err;
	size_t now_restored, now_present; /* by this portion */
	size_t restored, present;
	struct change change;
};

static void finish(struct restoring *r, enum ipc_err e, const char *text)
{
	struct ctl *c = r->c;
	if (r->base)
		base_close(&r->base);
	pool_free(&r->pool);
	if (e != ERR_OK) {
		ctl_fail(c, e, text ? text : "");
		return;
	}
	log_event(LOG_LV_INFO, NULL, "mailbox-restored", LSL("account", r->account.address),
		  LS("from", r->dir), LU("messages", r->restored));
	ctl_number(c, "restored", r->restored);
	ctl_number(c, "present", r->present);
	ctl_done(c);
}

/* --- reading the backup, on a thread of the pool ------------------------- */

static enum ipc_err open_shard(struct restoring *r)
{
	const char *why = NULL;
	struct account then;
	struct base *dir = base_frozen(r->dir, WORK_DIRECTORY, &why);
	if (!dir)
		return ctl_err(r->c, ERR_BAD, "%s", why);
	enum ipc_err e = dir_account_by_address(dir, r->c->pool, r->account.address, &then);
	base_close(&dir);
	if (e != ERR_OK)
		return ctl_err(r->c, e, "the backup has no such account");
	r->base = base_frozen(r->dir, then.shard, &why);
	if (!r->base)
		return ctl_err(r->c, ERR_BAD, "%s", why);
	db_start(r->base->db, SQL_SHARD_OWNER);
	db_u64(r->base->db, then.id);
	enum db_result d = db_step(r->base->db);
	r->inbox = d == DB_ROW ? db_col_u64(r->base->db, 0) : 0;
	db_reset(r->base->db);
	return d == DB_ROW || d == DB_DONE ? ERR_OK : work_err(r->base, d);
}

/* A message that came without a token gets one of its place, so that it too comes back once. */
static struct slice id_of(struct restoring *r, struct slice token, uint64_t uid)
{
	if (token.len > 8 && token.len <= TOKEN_MAX)
		return slice_copy(r->pool, (struct slice){token.p, token.len - 8});
	return slice_of(pool_printf(r->pool, "restored-%u-%llu-%llu", r->base->shard,
				    (unsigned long long)r->inbox, (unsigned long long)uid));
}

static enum ipc_err load_rows(struct restoring *r)
{
	struct db *d = r->base->db;
	enum db_result res = DB_DONE;
	uint64_t bytes = 0;
	db_start(d, SQL_SHARD_SAVED);
	db_u64(d, r->inbox);
	db_u64(d, r->after);
	db_u64(d, r->one ? 1 : PORTION);
	while (r->n < PORTION && bytes < PORTION_BYTES && (res = db_step(d)) == DB_ROW) {
		struct saved *s = &r->saved[r->n++];
		s->uid = r->after = db_col_u64(d, 0);
		s->size = db_col_u64(d, 1);
		s->flags = db_col_u64(d, 2);
		s->internal_ms = db_col_u64(d, 3);
		s->body = db_col_u64(d, 4);
		s->id = id_of(r, db_col(d, 5), s->uid);
		s->meta = slice_copy(r->pool, db_col(d, 6));
		bytes += s->size;
	}
	r->last = res == DB_DONE;
	db_reset(d);
	return res == DB_ROW || res == DB_DONE ? ERR_OK : work_err(r->base, res);
}

static enum ipc_err load(struct restoring *r)
{
	enum ipc_err e = r->base ? ERR_OK : open_shard(r);
	if (e != ERR_OK || !r->base)
		return e;
	e = load_rows(r);
	for (size_t i = 0; i < r->n && e == ERR_OK; i++) {
		struct saved *s = &r->saved[i];
		e = body_get(r->base, r->pool, s->body, 0, 0, &s->text, NULL);
	}
	if (e == ERR_OK && r->one && (r->n == 0 || r->saved[0].uid != r->wanted))
		return ctl_err(r->c, ERR_NOTFOUND, "the backup has no message of UID %llu",
			       (unsigned long long)r->wanted);
	return e;
}

static void on_pool(void *arg)
{
	struct restoring *r = arg;
	r->err = load(r);
}

/* --- writing it to the store --------------------------------------------- */

static void next_portion(struct restoring *r);

static enum ipc_err bring_back(struct base *b, struct restoring *r, const struct saved *s)
{
	unsigned char token[TOKEN_MAX];
	db_start(b->db, SQL_SHARD_TOKEN);
	db_bytes(b->db, deliver_token(token, s->id, r->account.id));
	enum db_result res = db_step(b->db);
	if (res == DB_ROW) {
		uint64_t mailbox = db_col_u64(b->db, 0), uid = db_col_u64(b->db, 1), again;
		bool live = db_col_u64(b->db, 2) == 0;
		db_reset(b->db);
		r->now_present += live;
		r->now_restored += !live;
		return live ? ERR_OK
			    : mailbox_restore(b, r->account.id, mailbox, uid, &again, &r->change);
	}
	if (res != DB_DONE)
		return work_err(b, res);
	struct drop drop = {.account = r->account.id};
	struct delivery d = {.id = s->id,
			     .body = {.bytes = s->text, .fd = -1},
			     .meta = s->meta,
			     .size = s->size,
			     .now_ms = clock_ms(),
			     .internal_ms = s->internal_ms,
			     .flags = s->flags & UINT16_MAX, /* keywords are the mailbox's */
			     .drop = &drop,
			     .n = 1,
			     .one_fate = true};
	enum ipc_err e = deliver_run(b, &d);
	r->change = drop.change;
	r->now_restored++;
	return e;
}

static enum ipc_err write_run(struct base *b, struct op *op)
{
	struct restoring *r = op->arg;
	enum ipc_err e = ERR_OK;
	r->now_restored = r->now_present = 0;
	for (size_t i = 0; i < r->n && e == ERR_OK; i++)
		e = bring_back(b, r, &r->saved[i]);
	return e;
}

static void written(struct op *op)
{
	struct restoring *r = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e != ERR_OK) {
		finish(r, e, NULL);
		return;
	}
	change_notify(&r->change);
	r->restored += r->now_restored;
	r->present += r->now_present;
	if (r->last || r->one)
		finish(r, ERR_OK, NULL);
	else
		next_portion(r);
}

static void loaded(void *arg, bool cancelled)
{
	struct restoring *r = arg;
	if (cancelled || r->err != ERR_OK) {
		finish(r, cancelled ? ERR_TEMP : r->err, cancelled ? "interrupted" : r->c->text);
		return;
	}
	struct op *op = op_new(0);
	op->run = write_run;
	op->done = written;
	op->arg = r;
	if (work_write(r->account.shard, op))
		return;
	op_free(op);
	finish(r, ERR_TEMP, "the store is busy");
}

static void next_portion(struct restoring *r)
{
	pool_free(&r->pool);
	r->pool = pool_new(4096);
	r->saved = pool_alloc(r->pool, PORTION * sizeof(*r->saved));
	r->n = 0;
	if (!job_start(on_pool, loaded, r))
		finish(r, ERR_TEMP, "too much is going on");
}

/* --- the commands -------------------------------------------------------- */

static enum ipc_err account_run(struct base *b, struct op *op)
{
	struct restoring *r = op->arg;
	enum ipc_err e = dir_account_by_address(b, r->c->pool, r->c->arg[1], &r->account);
	return e == ERR_NOTFOUND ? ctl_err(r->c, e, "no account %.*s", SLICE_FMT(r->c->arg[1])) : e;
}

static void account_done(struct op *op)
{
	struct restoring *r = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e == ERR_OK)
		next_portion(r);
	else
		finish(r, e, r->c->text);
}

static void begin(struct ctl *c, bool one)
{
	struct restoring *r = pool_alloc(c->pool, sizeof(*r));
	r->c = c;
	r->one = one;
	r->dir = backup_dir(c->pool, conf.state_dir, c->arg[0]);
	if (one && (!str_u64(c->arg[2], &r->wanted) || r->wanted == 0 || r->wanted > UINT32_MAX)) {
		ctl_usage(c);
		return;
	}
	r->after = one ? r->wanted - 1 : 0;
	if (!r->dir) {
		ctl_fail(c, ERR_NOTFOUND, "no such backup");
		return;
	}
	struct op *op = op_new(0);
	op->run = account_run;
	op->done = account_done;
	op->arg = r;
	if (work_read(WORK_DIRECTORY, op))
		return;
	op_free(op);
	finish(r, ERR_TEMP, "the store is busy");
}

static void restore_mailbox(struct ctl *c)
{
	begin(c, false);
}

static void restore_message(struct ctl *c)
{
	begin(c, true);
}

const struct ctl_cmd ctl_restore_commands[] = {
    {.words = "backup restore-mailbox",
     .args = "NAME ACCOUNT",
     .min = 2,
     .max = 2,
     .fn = restore_mailbox},
    {.words = "backup restore-message",
     .args = "NAME ACCOUNT UID",
     .min = 3,
     .max = 3,
     .fn = restore_message},
    {0},
};
