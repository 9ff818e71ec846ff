/* Migrations: every schema of a database has its row in schema_version. */
#include <stdio.h>
#include "libcommon/base/log.h"
#include "stored/sql.h"

static _Thread_local char why_text[400];

static bool failed(struct db *d, const struct schema *s, unsigned version, const char **why)
{
	str_fmt(why_text, sizeof(why_text), "schema %s, version %u: %s", s->name, version,
		db_why(d));
	*why = why_text;
	return false;
}

unsigned db_schema_version(struct db *d, const struct schema *s)
{
	char sql[200];
	str_fmt(sql, sizeof(sql), "SELECT version FROM schema_version WHERE name = '%s'", s->name);
	return (unsigned)db_number(d, sql);
}

static bool step(struct db *d, const struct schema *s, unsigned version, const char **why)
{
	char sql[200];
	str_fmt(sql, sizeof(sql),
		"INSERT INTO schema_version (name, version) VALUES ('%s', %u)"
		" ON CONFLICT (name) DO UPDATE SET version = %u",
		s->name, version, version);
	if (db_begin(d) != DB_DONE)
		return failed(d, s, version, why);
	if (db_exec(d, s->version[version - 1]) != DB_DONE || db_exec(d, sql) != DB_DONE ||
	    db_commit(d) != DB_DONE) {
		failed(d, s, version, why);
		db_rollback(d);
		return false;
	}
	return true;
}

bool db_migrate(struct db *d, const struct schema *s, const char **why)
{
	if (db_exec(d, "CREATE TABLE IF NOT EXISTS schema_version"
		       " (name TEXT PRIMARY KEY, version BIGINT NOT NULL)") != DB_DONE)
		return failed(d, s, 0, why);
	unsigned have = db_schema_version(d, s);
	if (have > s->n) {
		str_fmt(why_text, sizeof(why_text),
			"schema %s has version %u, this program knows up to %u: it was written by a"
			" newer hamlet",
			s->name, have, s->n);
		*why = why_text;
		return false;
	}
	for (unsigned v = have + 1; v <= s->n; v++)
		if (!step(d, s, v, why))
			return false;
	if (have && have < s->n)
		log_event(LOG_LV_INFO, NULL, "schema-migrated", LS("schema", s->name),
			  LU("from", have), LU("to", s->n));
	return true;
}
