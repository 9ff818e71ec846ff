/* db: the engine behind the store: connections, prepared statements, transactions, errors.
 * SQLite is the driver here (db_sqlite.c); SQL is written so that PostgreSQL takes it too: $1
 * placeholders used once each in ascending order, RETURNING, ON CONFLICT, ids allocated by us,
 * BIGINT and epoch milliseconds, 0/1 for booleans, bytes for anything from the network; no OR
 * IGNORE, no scalar max(), no x'..'.
 *
 * SQLite before 3.51.3 can lose commits in WAL mode when two connections write or checkpoint at
 * once: exactly one connection per database is opened with DB_WRITE, and it alone checkpoints;
 * a lock file enforces it. A connection belongs to one thread. */
#ifndef STORED_DB_H
#define STORED_DB_H
#include <stdbool.h>
#include <stdint.h>
#include "libcommon/base/str.h"

struct db;

enum db_mode {
	DB_READ,   /* beside the writer */
	DB_WRITE,  /* the one writer; made if missing */
	DB_FROZEN, /* a file that nobody writes: a backup's copy */
};
enum db_result {
	DB_ROW,      /* a row is there: read columns, call db_step again */
	DB_DONE,     /* finished */
	DB_CONFLICT, /* a unique or foreign key rule refused it */
	DB_FULL,     /* disk full: the transaction is to be rolled back, nothing is lost */
	DB_FAILED,   /* I/O error, failed fsync, corruption: stop and recover (db_why) */
};

/* One statement of a program's table; prepared at first use and kept. */
struct db_stmt_def {
	const char *name; /* for messages */
	const char *sql;
};

/* Once, before the sandbox and any thread (db_open does it otherwise). */
void db_init(void);
/* Opens `path`; the statement table must outlive it. NULL with *why set on failure. */
struct db *db_open(const char *path, enum db_mode mode, const struct db_stmt_def *stmts, unsigned n,
		   const char **why);
void db_close(struct db **d);
/* Runs SQL text without parameters (schema, migrations). */
enum db_result db_exec(struct db *d, const char *sql);
/* First column of the first row of SQL text, 0 if there is none. Not for the hot path. */
uint64_t db_number(struct db *d, const char *sql);
/* Prepares every statement of the table: a mistake in one shows at start-up. False with *why. */
bool db_prepare(struct db *d, const char **why);

/* Starts statement number `stmt`; then bind in order, then step until not DB_ROW. There is one
 * running statement: starting another one, or db_reset, ends it (copy its rows before). */
void db_start(struct db *d, unsigned stmt);
void db_u64(struct db *d, uint64_t v);
void db_i64(struct db *d, int64_t v);
void db_text(struct db *d, struct slice s);  /* must live until the statement ends */
void db_bytes(struct db *d, struct slice s); /* likewise */
void db_null(struct db *d);
enum db_result db_step(struct db *d);
/* Starts nothing new: finishes the current statement. */
void db_reset(struct db *d);
/* Binds done, steps once, resets: for statements without rows. */
enum db_result db_run(struct db *d);
/* Columns of the current row, from 0. Slices live until the next step. */
uint64_t db_col_u64(struct db *d, int col);
struct slice db_col(struct db *d, int col);
bool db_col_null(struct db *d, int col);
int db_changes(struct db *d);
/* Rows changed by this connection so far: grows whenever something was changed. */
uint64_t db_total_changes(struct db *d);

enum db_result db_begin(struct db *d);
enum db_result db_commit(struct db *d); /* durable when DB_DONE */
void db_rollback(struct db *d);
/* One level of savepoint per operation inside a batch. */
enum db_result db_save(struct db *d);
enum db_result db_release(struct db *d);
void db_undo(struct db *d);

/* The worst that happened since db_begin (since db_open without one): DB_DONE, DB_FULL or
 * DB_FAILED; so that no caller can overlook it. */
enum db_result db_state(const struct db *d);
/* Makes that DB_FAILED: what belongs to the database (a segment file) failed. */
void db_fail(struct db *d, const char *why);

/* Writer only: moves WAL pages to the database; called when idle or past a size. DB_DONE also
 * when a reader kept some of it from being done. */
enum db_result db_checkpoint(struct db *d, bool truncate);
uint64_t db_wal_bytes(struct db *d);
/* Consistent copy while running, durable when it returns. False with *why. */
bool db_backup(struct db *d, const char *to, const char **why);
/* Integrity and foreign keys; reports each finding by fn. Returns the number. */
int db_check(struct db *d, void (*fn)(void *arg, const char *finding), void *arg);
const char *db_why(struct db *d); /* text of the last error */

#endif
