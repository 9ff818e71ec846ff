/* Aliases: an address that leads to one or several others, of ours or outside. */
#include "libcommon/base/clock.h"
#include "stored/dir.h"
#include "stored/sql.h"

/* What a mail domain must have (RFC 2142, RFC 5321 4.5.1): made with its first account. */
static const char *const ROLE_NAME[] = {"postmaster", "abuse", "root"};

static enum ipc_err target_add(struct base *b, uint64_t alias, uint64_t ord, struct slice target)
{
	db_start(b->db, SQL_ALIAS_TARGET_ADD);
	db_u64(b->db, alias);
	db_u64(b->db, ord);
	db_text(b->db, target);
	return dir_run(b);
}

bool dir_taken(struct base *b, struct slice address, enum ipc_err *e)
{
	static const unsigned stmt[] = {SQL_RESOLVE_ACCOUNT, SQL_ALIAS_GET};
	enum db_result r;
	*e = ERR_OK;
	for (unsigned i = 0; i < 2; i++) {
		db_start(b->db, stmt[i]);
		db_text(b->db, address);
		enum ipc_err found = dir_one(b, &r);
		db_reset(b->db);
		if (found == ERR_OK)
			return true;
		if (found != ERR_NOTFOUND)
			*e = found;
	}
	return false;
}

enum ipc_err dir_alias_add(struct base *b, uint64_t domain, struct slice address,
			   const struct slice *target, size_t n)
{
	uint64_t id;
	enum ipc_err e;
	if (dir_taken(b, address, &e))
		return ERR_EXISTS;
	if (e == ERR_OK)
		e = dir_next_id(b, "alias", &id);
	if (e != ERR_OK)
		return e;
	db_start(b->db, SQL_ALIAS_ADD);
	db_u64(b->db, id);
	db_u64(b->db, domain);
	db_text(b->db, address);
	db_u64(b->db, clock_ms());
	e = dir_run(b);
	for (size_t i = 0; i < n && e == ERR_OK; i++)
		e = target_add(b, id, i, target[i]);
	return e;
}

enum ipc_err dir_alias_get(struct base *b, struct slice address, uint64_t *id, uint64_t *created_ms)
{
	enum db_result r;
	db_start(b->db, SQL_ALIAS_GET);
	db_text(b->db, address);
	enum ipc_err e = dir_one(b, &r);
	if (e == ERR_OK) {
		*id = db_col_u64(b->db, 0);
		*created_ms = db_col_u64(b->db, 1);
	}
	db_reset(b->db);
	return e;
}

enum ipc_err dir_alias_delete(struct base *b, uint64_t id)
{
	db_start(b->db, SQL_ALIAS_DELETE);
	db_u64(b->db, id);
	return dir_run(b);
}

enum ipc_err dir_alias_roles(struct base *b, struct pool *pool, uint64_t domain,
			     const struct addr *first)
{
	for (size_t i = 0; i < sizeof(ROLE_NAME) / sizeof(ROLE_NAME[0]); i++) {
		struct slice name =
		    slice_of(pool_printf(pool, "%s@%.*s", ROLE_NAME[i], SLICE_FMT(first->domain)));
		enum ipc_err e = dir_alias_add(b, domain, name, &first->full, 1);
		if (e != ERR_OK && e != ERR_EXISTS)
			return e;
	}
	return ERR_OK;
}

static bool is_role(struct slice address)
{
	struct slice local = slice_cut(&address, '@');
	for (size_t i = 0; i < sizeof(ROLE_NAME) / sizeof(ROLE_NAME[0]); i++)
		if (slice_eqs(local, ROLE_NAME[i]))
			return true;
	return false;
}

struct led { /* an alias that leads to an address */
	struct led *next;
	uint64_t id;
	struct slice address;
};

static enum ipc_err led_to(struct base *b, struct pool *pool, struct slice address,
			   struct led **out)
{
	enum db_result r;
	struct led **end = out;
	*out = NULL;
	db_start(b->db, SQL_ALIAS_TO);
	db_text(b->db, address);
	while ((r = db_step(b->db)) == DB_ROW) {
		*end = pool_alloc(pool, sizeof(**end));
		**end =
		    (struct led){NULL, db_col_u64(b->db, 0), slice_copy(pool, db_col(b->db, 1))};
		end = &(*end)->next;
	}
	db_reset(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

size_t dir_alias_leading(struct base *b, struct pool *pool, struct slice address,
			 struct slice **out, enum ipc_err *e)
{
	struct led *l;
	size_t n = 0;
	*e = led_to(b, pool, address, &l);
	for (struct led *i = l; i; i = i->next)
		n++;
	*out = pool_alloc(pool, (n + 1) * sizeof(**out));
	for (size_t i = 0; i < n; i++, l = l->next)
		(*out)[i] = l->address;
	return n;
}

/* The alias lost the target: without any left it goes, but a domain keeps its postmaster. */
static enum ipc_err left_without(struct base *b, const struct led *l, struct slice heir)
{
	enum db_result r;
	db_start(b->db, SQL_ALIAS_TARGET_COUNT);
	db_u64(b->db, l->id);
	enum ipc_err e = dir_one(b, &r);
	uint64_t left = e == ERR_OK ? db_col_u64(b->db, 0) : 0;
	db_reset(b->db);
	if (e != ERR_OK || left)
		return e;
	return heir.len && is_role(l->address) ? target_add(b, l->id, 0, heir)
					       : dir_alias_delete(b, l->id);
}

enum ipc_err dir_alias_target_gone(struct base *b, struct pool *pool, struct slice target,
				   struct slice heir)
{
	struct led *l;
	enum ipc_err e = led_to(b, pool, target, &l);
	for (; l && e == ERR_OK; l = l->next) {
		db_start(b->db, SQL_ALIAS_TARGET_DELETE);
		db_u64(b->db, l->id);
		db_text(b->db, target);
		e = dir_run(b);
		if (e == ERR_OK)
			e = left_without(b, l, heir);
	}
	return e;
}
