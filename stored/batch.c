/* Group commit.
 *
 *   begin, then for each operation: savepoint, run, release (or undo)
 *   sync the segments, commit
 *
 * An operation that fails undoes itself alone. A full disk undoes the transaction; the
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

/* One operation, alone in its savepoint. What the database says counts, whatever run() said. */
static enum db_result run_one(struct base *b, struct op *op)
{
	struct bodies_mark mark = bodies_mark(b->bodies);
	enum db_result r = db_save(b->db);
	if (r != DB_DONE)
		return r;
	op->text = NULL;
	op->err = op->run(b, op);
	db_reset(b->db);
	if (db_state(b->db) != DB_DONE)
		return db_state(b->db);
	if (op->err == ERR_OK)
		return db_release(b->db);
	db_undo(b->db);
	bodies_undo(b->bodies, mark);
	return db_state(b->db);
}

/* `one`: only that operation. */
static enum db_result attempt(struct base *b, struct list *ops, struct op *one,
			      struct batch_result *out)
{
	struct bodies_mark mark = bodies_mark(b->bodies);
	unsigned good = 0;
	enum db_result r = db_begin(b->db);
	list_each(l, ops)
	{
		if (r != DB_DONE)
			break;
		if (one && op_of(l) != one)
			continue;
		r = run_one(b, op_of(l));
		good += op_of(l)->err == ERR_OK;
	}
	uint64_t start = clock_ns();
	if (r == DB_DONE && good > 0 && !bodies_sync(b))
		r = DB_FAILED;
	if (r == DB_DONE)
		r = db_commit(b->db);
	out->commit_ns += clock_ns() - start;
	if (r == DB_DONE) {
		out->ops += good;
		return r;
	}
	if (r != DB_FULL) /* also a conflict found at the commit, which none of ours may cause */
		r = DB_FAILED;
	db_rollback(b->db);
	bodies_undo(b->bodies, mark);
	return db_state(b->db) == DB_FAILED ? DB_FAILED : r;
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
		enum db_result r = attempt(b, ops, op_of(l), out);
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
	switch (attempt(b, ops, NULL, &out)) {
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
