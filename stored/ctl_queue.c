/* Commands about the queue, and where a message went (trace). A change of many recipients is done
 * in slices: each request does one and answers with a cursor, the last one with the counts. */
#include "libcommon/base/clock.h"
#include "stored/ctl.h"
#include "stored/dir.h"
#include "stored/mail.h"
#include "stored/sql.h"

enum { PAGE = 500, FOUND_MAX = 1000 };
#define PICK "ID | --to DOMAIN | --from ADDRESS | --all"

static void time_or_none(struct ctl *c, const char *name, uint64_t ms)
{
	if (ms && ms < INT64_MAX)
		ctl_time(c, name, ms);
	else
		ctl_text(c, name, SLICE(""));
}

/* --- which recipients ---------------------------------------------------- */

struct pick { /* all empty: every one */
	struct slice id, domain, sender;
	bool by_sender;
};

/* ID, --all, --to DOMAIN or --from ADDRESS. False: none of these. */
static bool pick(struct ctl *c, struct pick *p)
{
	*p = (struct pick){0};
	if (c->n == 1 && slice_eqs(c->arg[0], "--all"))
		return true;
	if (c->n == 1 && !slice_starts(c->arg[0], "-")) {
		p->id = c->arg[0];
		return p->id.len > 0;
	}
	if (c->n != 2)
		return false;
	if (slice_eqs(c->arg[0], "--to"))
		return dir_domain_name(c->pool, c->arg[1], &p->domain);
	p->by_sender = slice_eqs(c->arg[0], "--from");
	p->sender = slice_eqs(c->arg[1], "<>") ? SLICE("") : c->arg[1];
	return p->by_sender;
}

/* --- queue list ---------------------------------------------------------- */

struct listed {
	uint64_t item, size, created_ms, open;
	struct slice id, sender;
};
struct list_task {
	struct pick pick;
	struct listed row[PAGE];
	size_t n;
	uint64_t last;
};

static enum ipc_err list_page(struct base *b, struct ctl *c, struct list_task *t)
{
	enum db_result r = DB_DONE;
	unsigned seen = 0;
	t->n = 0;
	db_start(b->db, SQL_QUEUE_LIST);
	db_u64(b->db, t->last);
	db_u64(b->db, PAGE);
	while (seen < PAGE && (r = db_step(b->db)) == DB_ROW) {
		seen++;
		t->last = db_col_u64(b->db, 0);
		if (t->pick.by_sender && !slice_ieq(db_col(b->db, 2), t->pick.sender))
			continue;
		t->row[t->n++] = (struct listed){.item = t->last,
						 .id = slice_copy(c->pool, db_col(b->db, 1)),
						 .sender = slice_copy(c->pool, db_col(b->db, 2)),
						 .size = db_col_u64(b->db, 3),
						 .created_ms = db_col_u64(b->db, 4),
						 .open = db_col_u64(b->db, 5)};
	}
	db_reset(b->db);
	if (seen == PAGE)
		c->cursor_out = slice_of(pool_printf(c->pool, "%llu", (unsigned long long)t->last));
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static const char *state_name(uint64_t state, bool leased)
{
	static const char *const NAME[] = {"due",     "done",   "failed", "held",
					   "relayed", "passed", "deleted"};
	if (state == QUEUE_DUE && leased)
		return "leased";
	return state < sizeof(NAME) / sizeof(NAME[0]) ? NAME[state] : "?";
}

/* What a list says of a message, with the first of its recipients that waits, and why that does. */
static void list_row(struct ctl *c, const struct listed *l, struct db *db)
{
	bool waits = db != NULL, due = waits && db_col_u64(db, 1) == QUEUE_DUE;
	bool leased = waits && !db_col_null(db, 2);
	struct slice text = waits ? db_col(db, 4) : SLICE("");
	ctl_number(c, "item", l->item);
	ctl_text(c, "id", l->id);
	ctl_text(c, "sender", l->sender);
	ctl_size(c, "size", l->size);
	ctl_time(c, "created", l->created_ms);
	ctl_number(c, "open", l->open);
	ctl_text(c, "recipient", waits ? db_col(db, 0) : SLICE(""));
	ctl_text(c, "state", waits ? slice_of(state_name(db_col_u64(db, 1), leased)) : SLICE(""));
	time_or_none(c, "next", due && !leased ? db_col_u64(db, 3) : 0);
	ctl_text(c, "text", slice_cut(&text, '\n'));
	ctl_next(c);
}

static enum ipc_err list_item(struct base *b, struct ctl *c, const struct listed *l,
			      struct slice domain)
{
	db_start(b->db, SQL_QUEUE_LIST_TO);
	db_u64(b->db, l->item);
	db_u64(b->db, domain.len > 0);
	db_bytes(b->db, domain);
	enum db_result r = db_step(b->db);
	if (r == DB_ROW)
		list_row(c, l, b->db);
	db_reset(b->db);
	if (r == DB_DONE && domain.len == 0)
		list_row(c, l, NULL); /* only its notice is left */
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static enum ipc_err list_run(struct base *b, struct ctl *c)
{
	struct list_task *t = c->data;
	t->last = 0;
	if (c->cursor.len && (!str_u64(c->cursor, &t->last) || t->last > INT64_MAX))
		return ctl_err(c, ERR_BAD, "not a cursor of this command");
	enum ipc_err e = list_page(b, c, t);
	for (size_t i = 0; i < t->n && e == ERR_OK; i++)
		e = list_item(b, c, &t->row[i], t->pick.domain);
	return e;
}

static void queue_list(struct ctl *c)
{
	struct list_task *t = pool_alloc(c->pool, sizeof(*t));
	c->data = t;
	if (c->n && (!pick(c, &t->pick) || t->pick.id.len))
		ctl_usage(c);
	else
		ctl_read(c, WORK_DIRECTORY, list_run, NULL);
}

/* --- queue show ---------------------------------------------------------- */

/* The word is an item's number or a message's id. */
static enum ipc_err find_item(struct base *b, struct ctl *c, struct slice word, uint64_t *item)
{
	db_start(b->db, SQL_QUEUE_BY_MSGID);
	db_bytes(b->db, word);
	enum db_result r = db_step(b->db);
	if (r == DB_ROW)
		*item = db_col_u64(b->db, 0);
	db_reset(b->db);
	if (r == DB_ROW || (r == DB_DONE && str_u64(word, item) && *item <= INT64_MAX))
		return ERR_OK;
	return r == DB_DONE
		   ? ctl_err(c, ERR_NOTFOUND, "no message %.*s in the queue", SLICE_FMT(word))
		   : work_err(b, r);
}

static const char *notice_name(uint64_t kind)
{
	static const char *const NAME[] = {"",          "failed",  "delayed",
					   "delivered", "relayed", "expanded"};
	return kind < sizeof(NAME) / sizeof(NAME[0]) ? NAME[kind] : "?";
}

static enum ipc_err rcpts(struct base *b, struct ctl *c, uint64_t item)
{
	enum db_result r;
	db_start(b->db, SQL_QUEUE_RCPTS);
	db_u64(b->db, item);
	while ((r = db_step(b->db)) == DB_ROW) {
		bool due = db_col_u64(b->db, 3) == QUEUE_DUE;
		ctl_text(c, "recipient", db_col(b->db, 1));
		ctl_text(c, "to", db_col_u64(b->db, 2) ? SLICE("outside") : SLICE("local"));
		ctl_text(c, "state",
			 slice_of(state_name(db_col_u64(b->db, 3), !db_col_null(b->db, 6))));
		ctl_number(c, "attempts", db_col_u64(b->db, 4));
		time_or_none(c, "next", due ? db_col_u64(b->db, 5) : 0);
		ctl_text(c, "worker", db_col(b->db, 6));
		ctl_number(c, "code", db_col_u64(b->db, 9));
		ctl_text(c, "status", db_col(b->db, 10));
		ctl_text(c, "host", db_col(b->db, 11));
		ctl_text(c, "text", db_col(b->db, 7));
		ctl_text(c, "owed", slice_of(notice_name(db_col_u64(b->db, 12))));
		time_or_none(c, "changed", db_col_u64(b->db, 8));
		ctl_next(c);
	}
	db_reset(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

static enum ipc_err show_run(struct base *b, struct ctl *c)
{
	uint64_t item = 0;
	enum ipc_err e = find_item(b, c, c->arg[0], &item);
	if (e != ERR_OK)
		return e;
	e = rcpts(b, c, item);
	if (e == ERR_OK && c->record == 0)
		return ctl_err(c, ERR_NOTFOUND, "no message %.*s in the queue",
			       SLICE_FMT(c->arg[0]));
	return e;
}

static void queue_show(struct ctl *c)
{
	ctl_read(c, WORK_DIRECTORY, show_run, NULL);
}

/* --- queue flush, hold, release, delete ---------------------------------- */

struct change_task {
	struct pick pick;
	enum queue_action action;
	struct queue_change q;
};

static bool cursor_read(struct ctl *c, struct queue_change *q)
{
	struct slice rest = c->cursor;
	return rest.len == 0 ||
	       (str_u64(slice_word(&rest), &q->at_item) && str_u64(slice_word(&rest), &q->at_n) &&
		str_u64(slice_word(&rest), &q->changed) &&
		str_u64(slice_word(&rest), &q->under_way) && q->at_item <= INT64_MAX &&
		q->at_n <= INT64_MAX / 2);
}

static enum ipc_err change_run(struct base *b, struct ctl *c)
{
	static const char *const DID[] = {"flushed", "held", "released", "deleted"};
	struct change_task *t = c->data;
	struct queue_change *q = &t->q;
	*q = (struct queue_change){.action = t->action,
				   .domain = t->pick.domain,
				   .sender = t->pick.sender,
				   .by_sender = t->pick.by_sender,
				   .now_ms = clock_ms()};
	if (!cursor_read(c, q))
		return ctl_err(c, ERR_BAD, "not a cursor of this command");
	enum ipc_err e = t->pick.id.len ? find_item(b, c, t->pick.id, &q->item) : ERR_OK;
	if (e == ERR_OK)
		e = queue_change(b, q);
	if (e != ERR_OK)
		return e;
	if (q->more) {
		c->cursor_out = slice_of(
		    pool_printf(c->pool, "%llu %llu %llu %llu", (unsigned long long)q->at_item,
				(unsigned long long)q->at_n, (unsigned long long)q->changed,
				(unsigned long long)q->under_way));
		return ERR_OK;
	}
	ctl_number(c, DID[t->action], q->changed);
	if (t->action != QUEUE_ACT_RELEASE)
		ctl_number(c, "under-way", q->under_way);
	ctl_next(c);
	return ERR_OK;
}

static void wake(struct ctl *c)
{
	const struct change_task *t = c->data;
	bool flush = t->action == QUEUE_ACT_FLUSH;
	/* What was due already may wait for a destination that is closed. */
	if (t->q.more || (t->q.changed == 0 && !flush))
		return;
	fanout_kick();
	if (flush) /* first: what is due then is not held back */
		watch_notify(WATCH_QUEUE, QUEUE_WATCH_FLUSH, t->q.item);
	watch_notify(WATCH_QUEUE, QUEUE_WATCH_DUE, t->q.item);
}

static void change(struct ctl *c, enum queue_action action)
{
	struct change_task *t = pool_alloc(c->pool, sizeof(*t));
	bool wakes = action == QUEUE_ACT_FLUSH || action == QUEUE_ACT_RELEASE;
	t->action = action;
	c->data = t;
	if (pick(c, &t->pick))
		ctl_write(c, WORK_DIRECTORY, change_run, wakes ? wake : NULL);
	else
		ctl_usage(c);
}

static void queue_flush(struct ctl *c)
{
	change(c, QUEUE_ACT_FLUSH);
}

static void queue_hold(struct ctl *c)
{
	change(c, QUEUE_ACT_HOLD);
}

static void queue_release(struct ctl *c)
{
	change(c, QUEUE_ACT_RELEASE);
}

static void queue_delete(struct ctl *c)
{
	change(c, QUEUE_ACT_DELETE);
}

/* --- queue stats --------------------------------------------------------- */

static enum ipc_err stats_run(struct base *b, struct ctl *c)
{
	uint64_t n[2][8] = {{0}};
	db_start(b->db, SQL_QUEUE_STATS);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return work_err(b, r);
	ctl_number(c, "messages", db_col_u64(b->db, 0));
	ctl_size(c, "size", db_col_u64(b->db, 1));
	time_or_none(c, "oldest", db_col_u64(b->db, 2));
	ctl_number(c, "notices-owed", db_col_u64(b->db, 3));
	db_start(b->db, SQL_QUEUE_STATES);
	while ((r = db_step(b->db)) == DB_ROW)
		n[db_col_u64(b->db, 0) & 1][db_col_u64(b->db, 1) & 7] = db_col_u64(b->db, 2);
	db_reset(b->db);
	ctl_number(c, "local-due", n[0][QUEUE_DUE]);
	ctl_number(c, "local-held", n[0][QUEUE_HELD]);
	ctl_number(c, "local-failed", n[0][QUEUE_FAILED]);
	ctl_number(c, "outside-due", n[1][QUEUE_DUE]);
	ctl_number(c, "outside-held", n[1][QUEUE_HELD]);
	ctl_number(c, "outside-done", n[1][QUEUE_DONE]);
	ctl_number(c, "outside-failed", n[1][QUEUE_FAILED]);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

static void queue_stats(struct ctl *c)
{
	ctl_read(c, WORK_DIRECTORY, stats_run, NULL);
}

/* --- trace --------------------------------------------------------------- */

struct place { /* where it was delivered */
	uint64_t account, mailbox, uid, size, saved_ms, retrieved_ms, expunged_ms;
};
struct trace {
	unsigned shard;
	struct place place[FOUND_MAX];
	size_t n;
};

static enum ipc_err trace_run(struct base *b, struct op *op)
{
	struct ctl *c = op->arg;
	struct trace *t = c->data;
	struct slice id = c->arg[0];
	unsigned char from[TOKEN_MAX], to[TOKEN_MAX];
	enum db_result r = DB_DONE;
	db_start(b->db, SQL_SHARD_TOKENS);
	db_bytes(b->db, deliver_token(from, id, 0));
	db_bytes(b->db, deliver_token(to, id, UINT64_MAX));
	while (t->n < FOUND_MAX && (r = db_step(b->db)) == DB_ROW)
		if (db_col(b->db, 0).len == id.len + 8) /* not a longer id that begins so */
			t->place[t->n++] = (struct place){
			    .account = db_col_u64(b->db, 7),
			    .mailbox = mailbox_global(b->shard, db_col_u64(b->db, 1)),
			    .uid = db_col_u64(b->db, 2),
			    .size = db_col_u64(b->db, 3),
			    .saved_ms = db_col_u64(b->db, 4),
			    .retrieved_ms = db_col_u64(b->db, 5),
			    .expunged_ms = db_col_u64(b->db, 6)};
	db_reset(b->db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static void event(struct ctl *c, uint64_t ms, const char *what, struct slice where,
		  struct slice detail)
{
	ctl_time(c, "time", ms);
	ctl_text(c, "event", slice_of(what));
	ctl_text(c, "address", where);
	ctl_text(c, "detail", detail);
	ctl_next(c);
}

static enum ipc_err queue_events(struct base *b, struct ctl *c)
{
	db_start(b->db, SQL_QUEUE_BY_MSGID);
	db_bytes(b->db, c->arg[0]);
	enum db_result r = db_step(b->db);
	uint64_t item = r == DB_ROW ? db_col_u64(b->db, 0) : 0;
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_OK : work_err(b, r);
	db_start(b->db, SQL_QUEUE_ITEM);
	db_u64(b->db, item);
	if ((r = db_step(b->db)) != DB_ROW)
		return work_err(b, r);
	struct slice sender = slice_copy(c->pool, db_col(b->db, 2));
	uint64_t size = db_col_u64(b->db, 7), finished = db_col_u64(b->db, 12);
	event(c, db_col_u64(b->db, 5), "queued", sender,
	      slice_of(pool_printf(c->pool, "item %llu, %llu bytes", (unsigned long long)item,
				   (unsigned long long)size)));
	db_start(b->db, SQL_QUEUE_RCPTS);
	db_u64(b->db, item);
	while ((r = db_step(b->db)) == DB_ROW)
		event(c, db_col_u64(b->db, 8),
		      state_name(db_col_u64(b->db, 3), !db_col_null(b->db, 6)), db_col(b->db, 1),
		      db_col(b->db, 7));
	db_reset(b->db);
	if (finished)
		event(c, finished, "finished", sender, SLICE(""));
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

static enum ipc_err tell_run(struct base *b, struct ctl *c)
{
	const struct trace *t = c->data;
	enum ipc_err e = queue_events(b, c);
	for (size_t i = 0; i < t->n && e == ERR_OK; i++) {
		const struct place *p = &t->place[i];
		struct account a = {.address = SLICE("(deleted)")};
		e = dir_account_by_id(b, c->pool, p->account, &a);
		if (e == ERR_NOTFOUND)
			e = ERR_OK;
		struct slice where = slice_of(pool_printf(
		    c->pool, "mailbox %u/%llu uid %llu, %llu bytes", mailbox_shard(p->mailbox),
		    (unsigned long long)mailbox_number(p->mailbox), (unsigned long long)p->uid,
		    (unsigned long long)p->size));
		event(c, p->saved_ms, "delivered", a.address, where);
		if (p->retrieved_ms)
			event(c, p->retrieved_ms, "retrieved", a.address, where);
		if (p->expunged_ms)
			event(c, p->expunged_ms, "expunged", a.address, where);
	}
	if (e == ERR_OK && c->record == 0)
		return ctl_err(c, ERR_NOTFOUND, "the store knows no message %.*s",
			       SLICE_FMT(c->arg[0]));
	return e;
}

static void next_shard(struct ctl *c);

static void trace_done(struct op *op)
{
	struct ctl *c = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e == ERR_OK)
		next_shard(c);
	else
		ctl_fail(c, e, "");
}

static void next_shard(struct ctl *c)
{
	struct trace *t = c->data;
	if (t->shard == work_shards()) {
		ctl_read(c, WORK_DIRECTORY, tell_run, NULL);
		return;
	}
	struct op *op = op_new(0);
	op->run = trace_run;
	op->done = trace_done;
	op->arg = c;
	if (work_read(++t->shard, op))
		return;
	op_free(op);
	ctl_fail(c, ERR_TEMP, "the store is busy");
}

static void trace(struct ctl *c)
{
	if (c->arg[0].len == 0 || c->arg[0].len > DELIVERY_ID_MAX) {
		ctl_usage(c);
		return;
	}
	c->data = pool_alloc(c->pool, sizeof(struct trace));
	next_shard(c);
}

const struct ctl_cmd ctl_queue_commands[] = {
    {.words = "queue list", .args = "[--to DOMAIN | --from ADDRESS]", .max = 2, .fn = queue_list},
    {.words = "queue flush", .args = PICK, .min = 1, .max = 2, .fn = queue_flush},
    {.words = "queue hold", .args = PICK, .min = 1, .max = 2, .fn = queue_hold},
    {.words = "queue release", .args = PICK, .min = 1, .max = 2, .fn = queue_release},
    {.words = "queue delete", .args = PICK, .min = 1, .max = 2, .fn = queue_delete},
    {.words = "queue show", .args = "ID", .min = 1, .max = 1, .fn = queue_show},
    {.words = "queue stats", .args = "", .fn = queue_stats},
    {.words = "trace", .args = "ID", .min = 1, .max = 1, .fn = trace},
    {0},
};
