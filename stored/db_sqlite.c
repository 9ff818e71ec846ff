/* The SQLite driver. Connections belong to one thread each (SQLITE_OPEN_NOMUTEX). */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "stored/db.h"
#include "stored/disk.h"
#include "stored/fault.h"

enum { PAGE = 8192, WAL_FILE = 32 << 20, BUSY_MS = 10000, WHY_MAX = 400 };

enum tx { TX_BEGIN, TX_COMMIT, TX_ROLLBACK, TX_SAVE, TX_RELEASE, TX_UNDO, TX_COUNT };
static const char *const tx_sql[TX_COUNT] = {
    [TX_COMMIT] = "COMMIT",      [TX_ROLLBACK] = "ROLLBACK",   [TX_SAVE] = "SAVEPOINT op",
    [TX_RELEASE] = "RELEASE op", [TX_UNDO] = "ROLLBACK TO op",
};

struct db {
	sqlite3 *h;
	enum db_mode mode;
	const struct db_stmt_def *defs;
	unsigned n;
	sqlite3_stmt **st;
	sqlite3_stmt *cur; /* the running statement */
	int bound;         /* parameters bound so far */
	sqlite3_stmt *tx[TX_COUNT];
	enum db_result state;
	uint64_t wal_pages;
	int lock; /* of the writer, for the life of the connection */
	char why[WHY_MAX];
};

static _Thread_local char open_why[WHY_MAX];

static void set_up_sqlite(void)
{
	/* The caches of the threads grow to tens of MiB and stay: not page by page, and not given
	 * back in between. */
	mallopt(M_TOP_PAD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 32 << 20);
	/* Setting those ends glibc's own learning: answers of some hundred KiB would each be
	 * mapped, faulted in and unmapped. */
	mallopt(M_MMAP_THRESHOLD, 8 << 20);
	/* No allocation statistics: their mutex is shared by all threads. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	sqlite3_initialize();
	/* Reads /dev/urandom now, while that can be opened. */
	unsigned char any;
	sqlite3_randomness(1, &any);
}

void db_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up_sqlite);
}

/* What an SQLite result means to us. */
static enum db_result outcome(struct db *d, int rc)
{
	if (rc == SQLITE_ROW)
		return DB_ROW;
	if (rc == SQLITE_OK || rc == SQLITE_DONE)
		return DB_DONE;
	int system = sqlite3_system_errno(d->h);
	str_fmt(d->why, sizeof(d->why), "%s (%d)", sqlite3_errmsg(d->h),
		sqlite3_extended_errcode(d->h));
	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT:
		return DB_CONFLICT;
	case SQLITE_IOERR:
		if (system != ENOSPC || sqlite3_extended_errcode(d->h) == SQLITE_IOERR_FSYNC)
			break;
		/* fall through */
	case SQLITE_FULL:
		if (d->state != DB_FAILED)
			d->state = DB_FULL;
		return DB_FULL;
	default:
		break;
	}
	d->state = DB_FAILED;
	return DB_FAILED;
}

static enum db_result misuse(struct db *d, const char *what)
{
	str_fmt(d->why, sizeof(d->why), "%s", what);
	d->state = DB_FAILED;
	return DB_FAILED;
}

static int on_commit(void *arg, sqlite3 *h, const char *name, int pages)
{
	(void)h, (void)name;
	((struct db *)arg)->wal_pages = (uint64_t)pages;
	return SQLITE_OK; /* SQLite's own checkpoints run from this hook: replaced, so off */
}

static bool take_lock(struct db *d, const char *path)
{
	char name[1024];
	if (!str_fmt(name, sizeof(name), "%s.lock", path))
		return false;
	d->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock >= 0 && flock(d->lock, LOCK_EX | LOCK_NB) == 0)
		return true;
	str_fmt(d->why, sizeof(d->why),
		errno == EWOULDBLOCK ? "%s: another stored has it" : "%s: cannot be locked", name);
	return false;
}

/* The WAL's file is laid out beforehand and kept at the end, so that a commit writes over blocks
 * that it has instead of adding some, which costs a sync of the file system's journal as well. */
static void keep_wal(struct db *d)
{
	int yes = 1;
	struct stat st;
	const char *name = sqlite3_filename_wal(sqlite3_db_filename(d->h, "main"));
	sqlite3_wal_hook(d->h, on_commit, d);
	sqlite3_file_control(d->h, "main", SQLITE_FCNTL_PERSIST_WAL, &yes);
	/* SQLite has no locks on this file that closing a descriptor would drop. */
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size < WAL_FILE)
		disk_lay_out(fd, (uint64_t)st.st_size, WAL_FILE - (uint64_t)st.st_size);
	if (fd >= 0)
		close(fd);
}

static bool set_up(struct db *d)
{
	static const char common[] = "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
				     "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;";
	static const char writer[] = "PRAGMA page_size = 8192; PRAGMA auto_vacuum = NONE;"
				     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
				     "PRAGMA cache_size = -32768;";
	/* Small: bodies pass through it once, and pages that are wanted again are the kernel's
	 * to keep; with room for many, each is copied to memory that the processor has not seen. */
	static const char reader[] = "PRAGMA query_only = ON; PRAGMA cache_size = -2048;";
	sqlite3_extended_result_codes(d->h, 1);
	sqlite3_busy_timeout(d->h, BUSY_MS);
	sqlite3_db_config(d->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(d->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, d->mode != DB_WRITE, NULL);
	if (db_exec(d, common) != DB_DONE)
		return false;
	if (db_exec(d, d->mode == DB_WRITE ? writer : reader) != DB_DONE)
		return false;
	if (d->mode == DB_WRITE)
		keep_wal(d);
	/* Reads the file's header now: what is no database shows here. */
	db_number(d, "SELECT COUNT(*) FROM sqlite_schema");
	return d->state == DB_DONE;
}

/* A path as an SQLite URI: what has a meaning there is escaped. */
static char *uri_of(const char *path, const char *query)
{
	struct buf b;
	buf_init(&b, 0);
	buf_adds(&b, "file:");
	for (const char *p = path; *p; p++)
		if (strchr("%?#", *p))
			buf_printf(&b, "%%%02x", (unsigned char)*p);
		else
			buf_addc(&b, *p);
	buf_adds(&b, query);
	char *uri = mem_strdup(buf_cstr(&b));
	buf_free(&b);
	return uri;
}

struct db *db_open(const char *path, enum db_mode mode, const struct db_stmt_def *stmts, unsigned n,
		   const char **why)
{
	db_init();
	struct db *d = mem_alloc(sizeof(*d));
	*d = (struct db){.mode = mode, .defs = stmts, .n = n, .state = DB_DONE, .lock = -1};
	d->st = mem_alloc((n ? n : 1) * sizeof(*d->st));
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI | SQLITE_OPEN_PRIVATECACHE;
	flags |=
	    mode == DB_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
	char *uri = uri_of(path, mode == DB_FROZEN ? "?immutable=1" : "");
	bool ok = mode != DB_WRITE || take_lock(d, path);
	if (ok) {
		ok = sqlite3_open_v2(uri, &d->h, flags, fault_vfs()) == SQLITE_OK;
		if (!ok)
			str_fmt(d->why, sizeof(d->why), "%s", sqlite3_errmsg(d->h));
		else
			ok = set_up(d);
	}
	free(uri);
	if (ok)
		return d;
	str_fmt(open_why, sizeof(open_why), "%s: %s", path, d->why);
	*why = open_why;
	db_close(&d);
	return NULL;
}

void db_close(struct db **dp)
{
	struct db *d = *dp;
	*dp = NULL;
	if (!d)
		return;
	for (unsigned i = 0; i < d->n; i++)
		sqlite3_finalize(d->st[i]);
	for (unsigned i = 0; i < TX_COUNT; i++)
		sqlite3_finalize(d->tx[i]);
	/* After a failure nothing more is written: a recovery decides what is there. */
	if (d->h && d->state == DB_FAILED)
		sqlite3_db_config(d->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close(d->h);
	if (d->lock >= 0)
		close(d->lock);
	free(d->st);
	free(d);
}

/* Replaces one word of the portable SQL by SQLite's. */
static char *reword(char *sql, const char *from, const char *to)
{
	struct buf b;
	buf_init(&b, 0);
	const char *rest = sql;
	for (const char *hit; (hit = strstr(rest, from)); rest = hit + strlen(from)) {
		buf_add(&b, rest, (size_t)(hit - rest));
		buf_adds(&b, to);
	}
	buf_adds(&b, rest);
	char *out = mem_strdup(buf_cstr(&b));
	buf_free(&b);
	free(sql);
	return out;
}

enum db_result db_exec(struct db *d, const char *sql)
{
	db_reset(d);
	char *own = reword(mem_strdup(sql), "BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY");
	own = reword(own, "BYTEA", "BLOB");
	enum db_result r = outcome(d, sqlite3_exec(d->h, own, NULL, NULL, NULL));
	free(own);
	return r;
}

uint64_t db_number(struct db *d, const char *sql)
{
	db_reset(d);
	sqlite3_stmt *st;
	uint64_t v = 0;
	if (outcome(d, sqlite3_prepare_v2(d->h, sql, -1, &st, NULL)) != DB_DONE)
		return 0;
	if (outcome(d, sqlite3_step(st)) == DB_ROW)
		v = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

static sqlite3_stmt *prepare(struct db *d, sqlite3_stmt **slot, const char *name, const char *sql)
{
	if (*slot != NULL)
		return *slot;
	int rc = sqlite3_prepare_v3(d->h, sql, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL);
	if (rc != SQLITE_OK) {
		outcome(d, rc);
		char text[WHY_MAX];
		str_fmt(text, sizeof(text), "%s: %s", name, sqlite3_errmsg(d->h));
		misuse(d, text);
		*slot = NULL;
	}
	return *slot;
}

bool db_prepare(struct db *d, const char **why)
{
	for (unsigned i = 0; i < d->n; i++)
		if (!prepare(d, &d->st[i], d->defs[i].name, d->defs[i].sql)) {
			*why = d->why;
			return false;
		}
	return true;
}

/* --- statements -------------------------------------------------------------------------- */

void db_start(struct db *d, unsigned stmt)
{
	db_reset(d);
	d->cur =
	    stmt < d->n ? prepare(d, &d->st[stmt], d->defs[stmt].name, d->defs[stmt].sql) : NULL;
}

void db_reset(struct db *d)
{
	if (d->cur) {
		sqlite3_reset(d->cur);
		/* What was bound belongs to others and may be gone by the next use. */
		sqlite3_clear_bindings(d->cur);
	}
	d->cur = NULL;
	d->bound = 0;
}

void db_u64(struct db *d, uint64_t v)
{
	db_i64(d, (int64_t)v);
}

/* Only a wrong index or memory can fail here: step then finds the parameter count wrong. */
void db_i64(struct db *d, int64_t v)
{
	if (d->cur && sqlite3_bind_int64(d->cur, d->bound + 1, v) == SQLITE_OK)
		d->bound++;
}

void db_text(struct db *d, struct slice s)
{
	if (d->cur && sqlite3_bind_text64(d->cur, d->bound + 1, s.len ? s.p : "", s.len,
					  SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK)
		d->bound++;
}

void db_bytes(struct db *d, struct slice s)
{
	if (d->cur && sqlite3_bind_blob64(d->cur, d->bound + 1, s.len ? s.p : "", s.len,
					  SQLITE_STATIC) == SQLITE_OK)
		d->bound++;
}

void db_null(struct db *d)
{
	if (d->cur && sqlite3_bind_null(d->cur, d->bound + 1) == SQLITE_OK)
		d->bound++;
}

enum db_result db_step(struct db *d)
{
	if (!d->cur)
		return misuse(d, d->state == DB_FAILED ? d->why : "no statement is running");
	if (d->bound != sqlite3_bind_parameter_count(d->cur)) {
		char text[WHY_MAX];
		str_fmt(text, sizeof(text), "%.300s: wrong number of parameters",
			sqlite3_sql(d->cur));
		db_reset(d);
		return misuse(d, text);
	}
	enum db_result r = outcome(d, sqlite3_step(d->cur));
	if (r != DB_ROW)
		db_reset(d);
	return r;
}

enum db_result db_run(struct db *d)
{
	enum db_result r = db_step(d);
	db_reset(d);
	return r == DB_ROW ? DB_DONE : r;
}

uint64_t db_col_u64(struct db *d, int col)
{
	return d->cur ? (uint64_t)sqlite3_column_int64(d->cur, col) : 0;
}

struct slice db_col(struct db *d, int col)
{
	if (!d->cur)
		return SLICE("");
	const char *p = sqlite3_column_blob(d->cur, col);
	size_t len = (size_t)sqlite3_column_bytes(d->cur, col);
	return p ? (struct slice){p, len} : SLICE("");
}

bool db_col_null(struct db *d, int col)
{
	return !d->cur || sqlite3_column_type(d->cur, col) == SQLITE_NULL;
}

int db_changes(struct db *d)
{
	return sqlite3_changes(d->h);
}

uint64_t db_total_changes(struct db *d)
{
	return (uint64_t)sqlite3_total_changes64(d->h);
}

/* --- transactions ------------------------------------------------------------------------ */

static enum db_result transact(struct db *d, enum tx which)
{
	db_reset(d);
	const char *sql = tx_sql[which];
	if (which == TX_BEGIN)
		sql = d->mode == DB_WRITE ? "BEGIN IMMEDIATE" : "BEGIN";
	sqlite3_stmt *st = prepare(d, &d->tx[which], sql, sql);
	if (!st)
		return DB_FAILED;
	enum db_result r = outcome(d, sqlite3_step(st));
	sqlite3_reset(st);
	return r;
}

enum db_result db_begin(struct db *d)
{
	d->state = DB_DONE;
	return transact(d, TX_BEGIN);
}

enum db_result db_commit(struct db *d)
{
	return transact(d, TX_COMMIT);
}

void db_rollback(struct db *d)
{
	db_reset(d);
	if (d->h && !sqlite3_get_autocommit(d->h)) /* some errors roll back by themselves */
		transact(d, TX_ROLLBACK);
}

enum db_result db_save(struct db *d)
{
	return transact(d, TX_SAVE);
}

enum db_result db_release(struct db *d)
{
	return transact(d, TX_RELEASE);
}

void db_undo(struct db *d)
{
	if (sqlite3_get_autocommit(d->h)) {
		db_reset(d);
		return;
	}
	if (transact(d, TX_UNDO) == DB_DONE)
		transact(d, TX_RELEASE);
}

enum db_result db_state(const struct db *d)
{
	return d->state;
}

void db_fail(struct db *d, const char *why)
{
	misuse(d, why);
}

/* --- care -------------------------------------------------------------------------------- */

enum db_result db_checkpoint(struct db *d, bool truncate)
{
	db_reset(d);
	int in_wal = 0;
	int done = 0;
	int rc = sqlite3_wal_checkpoint_v2(
	    d->h, NULL, truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &in_wal,
	    &done);
	if (rc == SQLITE_BUSY)
		return DB_DONE;
	if (rc == SQLITE_OK)
		d->wal_pages = in_wal > done ? (uint64_t)(in_wal - done) : 0;
	return outcome(d, rc);
}

uint64_t db_wal_bytes(struct db *d)
{
	return d->wal_pages * PAGE;
}

static void keep_why(struct db *d, const char *what, sqlite3 *h)
{
	str_fmt(d->why, sizeof(d->why), "%s: %s", what, h ? sqlite3_errmsg(h) : "out of memory");
}

static bool sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

bool db_backup(struct db *d, const char *to, const char **why)
{
	db_reset(d);
	sqlite3 *copy = NULL;
	*why = d->why;
	bool ok = sqlite3_open_v2(to, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
				  fault_vfs()) == SQLITE_OK;
	if (ok)
		sqlite3_exec(copy, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
	sqlite3_backup *b = ok ? sqlite3_backup_init(copy, "main", d->h, "main") : NULL;
	if (!b) {
		keep_why(d, to, copy);
		sqlite3_close(copy);
		return false;
	}
	/* One step: a single read transaction, while the writer goes on. */
	int rc = sqlite3_backup_step(b, -1);
	int end = sqlite3_backup_finish(b);
	ok = rc == SQLITE_DONE && end == SQLITE_OK;
	if (!ok)
		keep_why(d, to, copy);
	sqlite3_close(copy);
	/* Opened again only now: closing any descriptor of a file drops SQLite's locks on it. */
	if (ok && !sync_file(to)) {
		str_fmt(d->why, sizeof(d->why), "%s: %s", to, strerror(errno));
		ok = false;
	}
	return ok;
}

int db_check(struct db *d, void (*fn)(void *arg, const char *finding), void *arg)
{
	db_reset(d);
	int n = 0;
	sqlite3_stmt *st = NULL;
	char text[WHY_MAX];
	if (sqlite3_prepare_v2(d->h, "PRAGMA integrity_check(100)", -1, &st, NULL) == SQLITE_OK)
		while (sqlite3_step(st) == SQLITE_ROW) {
			const char *line = (const char *)sqlite3_column_text(st, 0);
			if (line && strcmp(line, "ok") == 0)
				continue;
			n++;
			fn(arg, line ? line : "?");
		}
	if (sqlite3_finalize(st) != SQLITE_OK) {
		n++;
		fn(arg, sqlite3_errmsg(d->h));
	}
	st = NULL;
	if (sqlite3_prepare_v2(d->h, "PRAGMA foreign_key_check", -1, &st, NULL) == SQLITE_OK)
		while (sqlite3_step(st) == SQLITE_ROW) {
			str_fmt(text, sizeof(text), "%s: row %lld names a row of %s that is gone",
				(const char *)sqlite3_column_text(st, 0),
				(long long)sqlite3_column_int64(st, 1),
				(const char *)sqlite3_column_text(st, 2));
			n++;
			fn(arg, text);
		}
	if (sqlite3_finalize(st) != SQLITE_OK) {
		n++;
		fn(arg, sqlite3_errmsg(d->h));
	}
	return n;
}

const char *db_why(struct db *d)
{
	return d->why;
}
