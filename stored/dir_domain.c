/* Domains. */
#include "libcommon/base/clock.h"
#include "stored/dir.h"
#include "stored/sql.h"

enum ipc_err dir_one(struct base *b, enum db_result *r)
{
	*r = db_step(b->db);
	if (*r == DB_ROW)
		return ERR_OK;
	return *r == DB_DONE ? ERR_NOTFOUND : work_err(b, *r);
}

enum ipc_err dir_run(struct base *b)
{
	enum db_result r = db_run(b->db);
	return r == DB_DONE ? ERR_OK : r == DB_CONFLICT ? ERR_EXISTS : work_err(b, r);
}

enum ipc_err dir_next_id(struct base *b, const char *counter, uint64_t *id)
{
	enum db_result r;
	db_start(b->db, SQL_COUNTER_NEXT);
	db_text(b->db, slice_of(counter));
	enum ipc_err e = dir_one(b, &r);
	if (e == ERR_OK)
		*id = db_col_u64(b->db, 0);
	db_reset(b->db);
	return e == ERR_NOTFOUND ? ERR_TEMP : e;
}

uint64_t dir_col_setting(struct base *b, int col)
{
	return db_col_null(b->db, col) ? DIR_UNSET : db_col_u64(b->db, col);
}

void dir_bind_setting(struct base *b, uint64_t v)
{
	if (v == DIR_UNSET)
		db_null(b->db);
	else
		db_u64(b->db, v);
}

enum ipc_err dir_domain_get(struct base *b, struct pool *pool, struct slice name,
			    struct domain *out)
{
	enum db_result r;
	struct slice canonical;
	if (!dir_domain_name(pool, name, &canonical))
		return ERR_NOTFOUND;
	db_start(b->db, SQL_DOMAIN_GET);
	db_text(b->db, canonical);
	enum ipc_err e = dir_one(b, &r);
	if (e == ERR_OK)
		*out = (struct domain){.id = db_col_u64(b->db, 0),
				       .name = slice_copy(pool, db_col(b->db, 1)),
				       .catch_all = slice_copy(pool, db_col(b->db, 2)),
				       .created_ms = db_col_u64(b->db, 3),
				       .quota = dir_col_setting(b, 4),
				       .login_delay_ms = dir_col_setting(b, 5),
				       .expire_ms = dir_col_setting(b, 6)};
	db_reset(b->db);
	return e;
}

enum ipc_err dir_domain_add(struct base *b, struct slice name)
{
	uint64_t id;
	enum ipc_err e = dir_next_id(b, "domain", &id);
	if (e != ERR_OK)
		return e;
	db_start(b->db, SQL_DOMAIN_ADD);
	db_u64(b->db, id);
	db_text(b->db, name);
	db_u64(b->db, clock_ms());
	return dir_run(b);
}

enum ipc_err dir_domain_set(struct base *b, const struct domain *d)
{
	db_start(b->db, SQL_DOMAIN_SET);
	if (d->catch_all.len)
		db_text(b->db, d->catch_all);
	else
		db_null(b->db);
	dir_bind_setting(b, d->quota);
	dir_bind_setting(b, d->login_delay_ms);
	dir_bind_setting(b, d->expire_ms);
	db_u64(b->db, d->id);
	return dir_run(b);
}

enum ipc_err dir_domain_counts(struct base *b, uint64_t id, uint64_t *accounts, uint64_t *aliases)
{
	enum db_result r;
	db_start(b->db, SQL_DOMAIN_COUNTS);
	db_u64(b->db, id);
	enum ipc_err e = dir_one(b, &r);
	if (e == ERR_OK) {
		*accounts = db_col_u64(b->db, 0);
		*aliases = db_col_u64(b->db, 1);
	}
	db_reset(b->db);
	return e;
}

enum ipc_err dir_domain_delete(struct base *b, uint64_t id)
{
	uint64_t accounts, aliases;
	enum ipc_err e = dir_domain_counts(b, id, &accounts, &aliases);
	if (e != ERR_OK)
		return e;
	if (accounts)
		return ERR_INUSE;
	db_start(b->db, SQL_DOMAIN_DELETE);
	db_u64(b->db, id);
	return dir_run(b);
}
