/* sql: the statements and schemas of the databases, made from the .def files:
 *   SQL(NAME, "text")    enum member SQL_NAME, for db_start()
 * sql_dir.def, sql_queue.def and sql_zone.def are the directory's, sql_shard.def a mailbox shard's,
 * and sql_body.def (message bodies, body.c) belongs to both. A statement whose name begins with
 * CHECK_ is an invariant: it takes no parameters and its rows are what breaks it, the first column
 * a line for people. `hamletctl check` runs them all.
 *
 * Schemas are written in the SQL that both engines take (db.h). The SQLite driver reads
 * "BIGINT PRIMARY KEY" as "INTEGER PRIMARY KEY" (its 64-bit row number) and BYTEA as BLOB. */
#ifndef STORED_SQL_H
#define STORED_SQL_H
#include "stored/db.h"

/* What body.c reads of a body, in statements that join `bodies b` (body_here). */
#define BODY_COLUMNS "b.id, b.size, b.crc, b.segment, b.place, b.data"

#define SQL(name, text) SQL_##name,
enum sql_dir {
#include "stored/sql_body.def" /* first in both: body.c uses the same numbers everywhere */
#include "stored/sql_dir.def"
#include "stored/sql_queue.def"
#include "stored/sql_zone.def"
#include "stored/sql_check_dir.def"
	SQL_DIR_COUNT
};
#undef SQL
/* The body statements have their names from the enum above. */
#define SQL(name, text) SQL_SHARD_BODY_##name,
enum sql_shard_body {
#include "stored/sql_body.def"
	SQL_BODY_COUNT
};
#undef SQL
#define SQL(name, text) SQL_##name,
enum sql_shard {
	SQL_SHARD_START = SQL_BODY_COUNT - 1,
#include "stored/sql_shard.def"
#include "stored/sql_check_shard.def"
	SQL_SHARD_COUNT
};
#undef SQL

extern const struct db_stmt_def sql_dir[];   /* SQL_DIR_COUNT of them */
extern const struct db_stmt_def sql_shard[]; /* SQL_SHARD_COUNT */

/* A schema: its versions in order, each a text of statements that leads from the one before.
 * Versions once released never change; a new one is added at the end. */
struct schema {
	const char *name;
	const char *const *version; /* version[0] makes version 1 */
	unsigned n;
};
extern const struct schema schema_body;  /* body.c */
extern const struct schema schema_dir;   /* schema_dir.c */
extern const struct schema schema_queue; /* schema_queue.c */
extern const struct schema schema_shard; /* schema_shard.c */

/* Brings the database to the schema's newest version, each step in its own transaction.
 * False with *why: a newer schema than this program's, or an error of the engine. */
bool db_migrate(struct db *d, const struct schema *s, const char **why);
/* The version that the database has; 0: none. */
unsigned db_schema_version(struct db *d, const struct schema *s);
#endif
