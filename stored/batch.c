/* Group commit.
 *
 *   begin, run each operation, sync the segments, commit
 *
 * An operation that fails undoes itself alone. Savepoints cost the copy of every page that is
 * changed in them, and most operations succeed, or fail before they changed anything: so a batch
 * is run without them first, and only when an operation failed after a change the whole is undone
 * and run again, each operation in its savepoint. A full disk undoes the transaction; the
 * operations are then tried one by one, so that those that still fit get through. Any other
 * failure of the database stops it: what was committed is known only after a recovery. */
#include "stored/batch.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "stored/body.h"

static struct op *op_of(struct list *l)
{
	return list_entry(l, struct op, link);
}

static void fail_all(struct list *ops, enum ipc_err e)
{
	list_each(l, ops)
	{
		op_of(l)->err = e;
		op_of(l)->text = NULL;
	}
}

enum how { PLAIN, SAVEPOINTS };
enum { AGAIN = -1 }; /* run it again, with savepoints */

/* What the database says counts, whatever run() said. */
static int run_one(struct base *b, struct op *op, enum how how)
{
	struct bodies_mark mark = bodies_mark(b->bodies);
	uint64_t changes = db_total_changes(b->db);
	if (how == SAVEPOINTS) {
		enum db_result r = db_save(b->db);
		if (r != DB_DONE)
			return (int)r;
	}
	op->text = NULL;
	b->owed_ms = 0;
	op->err = op->run(b, op);
	op->owed_ms = b->owed_ms;
	db_reset(b->db);
	if (db_state(b->db) != DB_DONE)
		return (int)db_state(b->db);
	if (op->err == ERR_OK)
		return how == SAVEPOINTS ? (int)db_release(b->db) : DB_DONE;
	bodies_undo(b->bodies, mark);
	if (how == SAVEPOINTS)
		db_undo(b->db);
	else if (db_total_changes(b->db) != changes)
		return AGAIN;
	return (int)db_state(b->db);
}

/* One transaction. `one`: only that operation. */
static int attempt(struct base *b, struct list *ops, struct op *one, enum how how,
		   struct batch_result *out)
{
	struct bodies_mark mark = bodies_mark(b->bodies);
	unsigned good = 0;
	int r = (int)db_begin(b->db);
	list_each(l, ops)
	{
		if (r != DB_DONE)
			break;
		if (one && op_of(l) != one)
			continue;
		r = run_one(b, op_of(l), how);
		good += op_of(l)->err == ERR_OK;
	}
	uint64_t start = clock_ns();
	if (r == DB_DONE && good > 0 && !bodies_sync(b))
		r = DB_FAILED;
	if (r == DB_DONE)
		r = (int)db_commit(b->db);
	out->commit_ns += clock_ns() - start;
	if (r == DB_DONE) {
		out->ops += good;
		return r;
	}
	db_rollback(b->db);
	bodies_undo(b->bodies, mark);
	if (db_state(b->db) == DB_FAILED || (r != DB_FULL && r != AGAIN))
		return DB_FAILED; /* also a conflict at the commit, which none of ours may cause */
	return r;
}

static void stop(struct base *b, struct list *ops, struct batch_result *out)
{
	log_event(LOG_LV_ERROR, NULL, "database-stopped", LS("database", b->path),
		  LS("error", db_why(b->db)));
	fail_all(ops, ERR_TEMP);
	out->stopped = true;
}

static void one_by_one(struct base *b, struct list *ops, struct batch_result *out)
{
	unsigned full = 0;
	list_each(l, ops)
	{
		int r = attempt(b, ops, op_of(l), SAVEPOINTS, out);
		if (r == DB_FAILED) {
			/* Those before were committed and keep their answers. */
			log_event(LOG_LV_ERROR, NULL, "database-stopped", LS("database", b->path),
				  LS("error", db_why(b->db)));
			for (struct list *rest = l; rest != ops; rest = rest->next)
				op_of(rest)->err = ERR_TEMP;
			out->stopped = true;
			return;
		}
		if (r == DB_FULL) {
			op_of(l)->err = ERR_FULL;
			op_of(l)->text = NULL;
		}
		full += op_of(l)->err == ERR_FULL;
	}
	log_event(LOG_LV_ERROR, NULL, "disk-full", LS("database", b->path), LU("refused", full));
}

struct batch_result batch_run(struct base *b, struct list *ops)
{
	struct batch_result out = {0};
	int r = attempt(b, ops, NULL, PLAIN, &out);
	if (r == AGAIN)
		r = attempt(b, ops, NULL, SAVEPOINTS, &out);
	switch (r) {
	case DB_DONE:
		break;
	case DB_FULL:
		one_by_one(b, ops, &out);
		break;
	default:
		stop(b, ops, &out);
		break;
	}
	return out;
}
