/* db: statements, transactions, savepoints, errors, backup and check of the SQLite driver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "stored/db.h"
#include "stored/sql.h"

enum { T_ADD, T_GET, T_ALL, T_CHILD, T_BROKEN, T_COUNT };
static const struct db_stmt_def stmts[] = {
    {"ADD", "INSERT INTO t (id, name, data) VALUES ($1, $2, $3)"},
    {"GET", "SELECT name, data FROM t WHERE id = $1"},
    {"ALL", "SELECT id FROM t ORDER BY id"},
    {"CHILD", "INSERT INTO child (t) VALUES ($1)"},
    {"BROKEN", "SELECT nothing FROM nowhere"},
};
static char dir[64], path[128];
static struct db *db;

static int setup(void **state)
{
	(void)state;
	const char *why = NULL;
	strcpy(dir, "/tmp/stored_db.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a%%b.db", dir);
	db = db_open(path, DB_WRITE, stmts, T_COUNT, &why);
	assert_non_null(db);
	assert_int_equal(db_exec(db, "CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT UNIQUE, data"
				     " BYTEA); CREATE TABLE child (t BIGINT REFERENCES t (id))"),
			 DB_DONE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	db_close(&db);
	char cmd[128];
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static enum db_result add(uint64_t id, const char *name)
{
	db_start(db, T_ADD);
	db_u64(db, id);
	db_text(db, slice_of(name));
	db_bytes(db, SLICE("\0x"));
	return db_run(db);
}

static void a_row_comes_back(void **state)
{
	(void)state;
	assert_int_equal(add(UINT64_MAX >> 1, "alice"), DB_DONE);
	db_start(db, T_GET);
	db_u64(db, UINT64_MAX >> 1);
	assert_int_equal(db_step(db), DB_ROW);
	assert_true(slice_eqs(db_col(db, 0), "alice"));
	assert_true(slice_eq(db_col(db, 1), SLICE("\0x")));
	assert_int_equal(db_step(db), DB_DONE);
}

static void an_empty_slice_is_not_null(void **state)
{
	(void)state;
	db_start(db, T_ADD);
	db_u64(db, 1);
	db_text(db, (struct slice){NULL, 0});
	db_null(db);
	assert_int_equal(db_run(db), DB_DONE);
	db_start(db, T_GET);
	db_u64(db, 1);
	assert_int_equal(db_step(db), DB_ROW);
	assert_false(db_col_null(db, 0));
	assert_true(db_col_null(db, 1));
	db_reset(db);
}

static void rules_give_conflict(void **state)
{
	(void)state;
	assert_int_equal(add(1, "a"), DB_DONE);
	assert_int_equal(add(1, "b"), DB_CONFLICT);
	assert_int_equal(add(2, "a"), DB_CONFLICT);
	db_start(db, T_CHILD);
	db_u64(db, 99);
	assert_int_equal(db_run(db), DB_CONFLICT);
	assert_int_equal(db_state(db), DB_DONE);
}

static void a_savepoint_undoes_its_own(void **state)
{
	(void)state;
	assert_int_equal(db_begin(db), DB_DONE);
	assert_int_equal(db_save(db), DB_DONE);
	assert_int_equal(add(1, "a"), DB_DONE);
	assert_int_equal(db_release(db), DB_DONE);
	assert_int_equal(db_save(db), DB_DONE);
	assert_int_equal(add(2, "b"), DB_DONE);
	db_undo(db);
	assert_int_equal(db_commit(db), DB_DONE);
	assert_int_equal(db_number(db, "SELECT COUNT(*) FROM t"), 1);
}

static void a_rollback_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(db_begin(db), DB_DONE);
	assert_int_equal(add(1, "a"), DB_DONE);
	db_rollback(db);
	db_rollback(db);
	assert_int_equal(db_number(db, "SELECT COUNT(*) FROM t"), 0);
}

static void a_broken_statement_is_named(void **state)
{
	(void)state;
	const char *why = NULL;
	assert_false(db_prepare(db, &why));
	assert_non_null(strstr(why, "BROKEN"));
}

static void a_missing_parameter_fails(void **state)
{
	(void)state;
	db_start(db, T_GET);
	assert_int_equal(db_step(db), DB_FAILED);
}

static void only_one_writer(void **state)
{
	(void)state;
	const char *why = NULL;
	assert_null(db_open(path, DB_WRITE, stmts, T_COUNT, &why));
	assert_non_null(strstr(why, "another stored"));
}

static void a_reader_cannot_write(void **state)
{
	(void)state;
	const char *why = NULL;
	struct db *r = db_open(path, DB_READ, stmts, T_COUNT, &why);
	assert_non_null(r);
	assert_int_equal(db_exec(r, "INSERT INTO t (id) VALUES (7)"), DB_FAILED);
	db_close(&r);
}

static void the_wal_is_moved_by_a_checkpoint(void **state)
{
	(void)state;
	assert_int_equal(add(1, "a"), DB_DONE);
	assert_true(db_wal_bytes(db) > 0);
	assert_int_equal(db_checkpoint(db, true), DB_DONE);
	assert_int_equal(db_wal_bytes(db), 0);
}

static void a_backup_holds_all(void **state)
{
	(void)state;
	char to[200];
	const char *why = NULL;
	snprintf(to, sizeof(to), "%s/copy", dir);
	assert_int_equal(add(1, "a"), DB_DONE);
	struct db *r = db_open(path, DB_READ, stmts, T_COUNT, &why);
	assert_true(db_backup(r, to, &why));
	db_close(&r);
	assert_int_equal(add(2, "b"), DB_DONE);
	struct db *c = db_open(to, DB_FROZEN, stmts, T_COUNT, &why);
	assert_non_null(c);
	assert_int_equal(db_number(c, "SELECT COUNT(*) FROM t"), 1);
	db_close(&c);
}

static void count_finding(void *arg, const char *finding)
{
	(void)finding;
	++*(int *)arg;
}

static void check_finds_a_lost_parent(void **state)
{
	(void)state;
	int n = 0;
	assert_int_equal(db_check(db, count_finding, &n), 0);
	db_exec(db, "PRAGMA foreign_keys = OFF; INSERT INTO child (t) VALUES (5)");
	assert_int_equal(db_check(db, count_finding, &n), 1);
	assert_int_equal(n, 1);
}

static void no_database_is_refused(void **state)
{
	(void)state;
	char junk[200];
	const char *why = NULL;
	snprintf(junk, sizeof(junk), "%s/junk", dir);
	FILE *f = fopen(junk, "w");
	for (int i = 0; i < 2000; i++)
		fputs("junk", f);
	fclose(f);
	assert_null(db_open(junk, DB_READ, stmts, T_COUNT, &why));
	assert_non_null(strstr(why, "not a database"));
}

static const char *const two_versions[] = {"CREATE TABLE m (id BIGINT PRIMARY KEY);",
					   "ALTER TABLE m ADD COLUMN x BIGINT;"};
static const char *const bad_version[] = {"CREATE TABLE m2 (id BIGINT PRIMARY KEY);",
					  "CREATE TABLE m3 (id BIGINT); CREATE NONSENSE"};

static void migrations_go_step_by_step(void **state)
{
	(void)state;
	const char *why = NULL;
	struct schema one = {"s", two_versions, 1};
	struct schema two = {"s", two_versions, 2};
	assert_true(db_migrate(db, &one, &why));
	assert_int_equal(db_schema_version(db, &one), 1);
	assert_true(db_migrate(db, &two, &why));
	assert_true(db_migrate(db, &two, &why));
	assert_int_equal(db_schema_version(db, &two), 2);
	assert_int_equal(db_exec(db, "INSERT INTO m (id, x) VALUES (1, 2)"), DB_DONE);
	assert_false(db_migrate(db, &one, &why));
	assert_non_null(strstr(why, "newer hamlet"));
}

static void a_failed_migration_leaves_the_version_before(void **state)
{
	(void)state;
	const char *why = NULL;
	struct schema bad = {"s", bad_version, 2};
	assert_false(db_migrate(db, &bad, &why));
	assert_int_equal(db_schema_version(db, &bad), 1);
	assert_int_equal(db_number(db, "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'm3'"), 0);
}

/* What stored itself will run: every schema makes its tables, every statement is right. */
static void the_stores_own_sql_is_right(void **state)
{
	(void)state;
	char p[200];
	const char *why = NULL;
	snprintf(p, sizeof(p), "%s/directory.db", dir);
	struct db *d = db_open(p, DB_WRITE, sql_dir, SQL_DIR_COUNT, &why);
	assert_non_null(d);
	bool ok = db_migrate(d, &schema_body, &why) && db_migrate(d, &schema_dir, &why) &&
		  db_migrate(d, &schema_queue, &why) && db_prepare(d, &why);
	if (!ok)
		fail_msg("%s", why);
	db_close(&d);
	snprintf(p, sizeof(p), "%s/shard-1.db", dir);
	d = db_open(p, DB_WRITE, sql_shard, SQL_SHARD_COUNT, &why);
	ok = db_migrate(d, &schema_body, &why) && db_migrate(d, &schema_shard, &why) &&
	     db_prepare(d, &why);
	if (!ok)
		fail_msg("%s", why);
	db_close(&d);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_row_comes_back),
	    T(an_empty_slice_is_not_null),
	    T(rules_give_conflict),
	    T(a_savepoint_undoes_its_own),
	    T(a_rollback_leaves_nothing),
	    T(a_broken_statement_is_named),
	    T(a_missing_parameter_fails),
	    T(only_one_writer),
	    T(a_reader_cannot_write),
	    T(the_wal_is_moved_by_a_checkpoint),
	    T(a_backup_holds_all),
	    T(check_finds_a_lost_parent),
	    T(no_database_is_refused),
	    T(migrations_go_step_by_step),
	    T(a_failed_migration_leaves_the_version_before),
	    T(the_stores_own_sql_is_right),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
