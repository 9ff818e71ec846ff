/* Accounts and their settings. */
#include "libcommon/base/clock.h"
#include "stored/dir.h"
#include "stored/sql.h"

static uint64_t first_set(uint64_t own, uint64_t domain, uint64_t otherwise)
{
	return own != DIR_UNSET ? own : domain != DIR_UNSET ? domain : otherwise;
}

static enum ipc_err read_row(struct base *b, struct pool *pool, struct account_row *out)
{
	enum db_result r;
	enum ipc_err e = dir_one(b, &r);
	if (e == ERR_OK) {
		*out = (struct account_row){.created_ms = db_col_u64(b->db, 5),
					    .quota = dir_col_setting(b, 6),
					    .login_delay_ms = dir_col_setting(b, 8),
					    .expire_ms = dir_col_setting(b, 10)};
		out->a = (struct account){
		    .id = db_col_u64(b->db, 0),
		    .address = slice_copy(pool, db_col(b->db, 1)),
		    .shard = (unsigned)db_col_u64(b->db, 2),
		    .epoch = db_col_u64(b->db, 3),
		    .enabled = db_col_u64(b->db, 4) != 0,
		    .quota = first_set(out->quota, dir_col_setting(b, 7), conf.quota),
		    .login_delay_ms = first_set(out->login_delay_ms, dir_col_setting(b, 9), 0),
		    .expire_ms = first_set(out->expire_ms, dir_col_setting(b, 11), CONF_NEVER)};
	}
	db_reset(b->db);
	return e;
}

enum ipc_err dir_account_row(struct base *b, struct pool *pool, struct slice addr,
			     struct account_row *out)
{
	struct addr a;
	if (!dir_addr(pool, addr, &a))
		return ERR_NOTFOUND;
	db_start(b->db, SQL_ACCOUNT_BY_ADDRESS);
	db_text(b->db, a.full);
	return read_row(b, pool, out);
}

enum ipc_err dir_account_by_address(struct base *b, struct pool *pool, struct slice addr,
				    struct account *out)
{
	struct account_row row;
	enum ipc_err e = dir_account_row(b, pool, addr, &row);
	if (e == ERR_OK)
		*out = row.a;
	return e;
}

enum ipc_err dir_account_by_id(struct base *b, struct pool *pool, uint64_t id, struct account *out)
{
	struct account_row row;
	db_start(b->db, SQL_ACCOUNT_BY_ID);
	db_u64(b->db, id);
	enum ipc_err e = read_row(b, pool, &row);
	if (e == ERR_OK)
		*out = row.a;
	return e;
}

enum ipc_err dir_account_add(struct base *b, struct pool *pool, const struct domain *d,
			     const struct addr *a, uint64_t *id)
{
	enum ipc_err e;
	uint64_t accounts, aliases;
	if (dir_taken(b, a->full, &e))
		return ERR_EXISTS;
	if (e == ERR_OK)
		e = dir_domain_counts(b, d->id, &accounts, &aliases);
	if (e == ERR_OK)
		e = dir_next_id(b, "account", id);
	if (e != ERR_OK)
		return e;
	unsigned shards = work_shards();
	db_start(b->db, SQL_ACCOUNT_ADD);
	db_u64(b->db, *id);
	db_u64(b->db, d->id);
	db_text(b->db, a->full);
	db_u64(b->db, 1 + (*id - 1) % (shards ? shards : 1));
	db_u64(b->db, clock_ms());
	e = dir_run(b);
	return e == ERR_OK && accounts == 0 ? dir_alias_roles(b, pool, d->id, a) : e;
}

enum ipc_err dir_account_set(struct base *b, const struct account_row *row)
{
	db_start(b->db, SQL_ACCOUNT_SET);
	dir_bind_setting(b, row->quota);
	dir_bind_setting(b, row->login_delay_ms);
	dir_bind_setting(b, row->expire_ms);
	db_u64(b->db, row->a.id);
	return dir_run(b);
}

/* The statement at hand answers with the new epoch. */
static enum ipc_err new_epoch(struct base *b, uint64_t *epoch)
{
	enum db_result r;
	enum ipc_err e = dir_one(b, &r);
	if (e == ERR_OK)
		*epoch = db_col_u64(b->db, 0);
	db_reset(b->db);
	return e;
}

enum ipc_err dir_account_enable(struct base *b, uint64_t id, bool enabled, uint64_t *epoch)
{
	db_start(b->db, SQL_ACCOUNT_ENABLE);
	db_u64(b->db, enabled);
	db_u64(b->db, id);
	return new_epoch(b, epoch);
}

enum ipc_err dir_account_epoch(struct base *b, uint64_t id, uint64_t *epoch)
{
	db_start(b->db, SQL_ACCOUNT_EPOCH);
	db_u64(b->db, id);
	return new_epoch(b, epoch);
}

static enum ipc_err heir_of(struct base *b, struct pool *pool, uint64_t domain, uint64_t id,
			    struct slice *out)
{
	enum db_result r;
	*out = SLICE("");
	db_start(b->db, SQL_ACCOUNT_FIRST);
	db_u64(b->db, domain);
	db_u64(b->db, id);
	enum ipc_err e = dir_one(b, &r);
	if (e == ERR_OK)
		*out = slice_copy(pool, db_col(b->db, 0));
	db_reset(b->db);
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

enum ipc_err dir_account_delete(struct base *b, struct pool *pool, const struct account *a)
{
	struct domain d;
	struct addr addr;
	struct slice heir;
	if (!dir_addr(pool, a->address, &addr))
		return ERR_BAD;
	enum ipc_err e = dir_domain_get(b, pool, addr.domain, &d);
	if (e == ERR_OK)
		e = heir_of(b, pool, d.id, a->id, &heir);
	if (e == ERR_OK)
		e = dir_alias_target_gone(b, pool, a->address, heir);
	if (e == ERR_OK && slice_eq(d.catch_all, a->address)) {
		d.catch_all = SLICE("");
		e = dir_domain_set(b, &d);
	}
	if (e != ERR_OK)
		return e;
	db_start(b->db, SQL_ACCOUNT_GONE);
	db_u64(b->db, a->id);
	db_u64(b->db, a->shard);
	db_text(b->db, a->address);
	db_u64(b->db, clock_ms());
	e = dir_run(b);
	if (e != ERR_OK)
		return e;
	db_start(b->db, SQL_ACCOUNT_DELETE);
	db_u64(b->db, a->id);
	return dir_run(b);
}
