/* The commands of domains and aliases, and the table of the directory's commands. */
#include "stored/ctl_dir.h"
#include "stored/sql.h"

enum { PAGE = 1000 };

/* --- settings ---------------------------------------------------------------- */

const char *ctl_duration(struct pool *pool, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *unit;
	} row[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	unsigned i = 0;
	if (ms == 0)
		return "0";
	while (ms % row[i].ms)
		i++;
	return pool_printf(pool, "%llu%s", (unsigned long long)(ms / row[i].ms), row[i].unit);
}

const char *ctl_expire(struct pool *pool, uint64_t ms)
{
	return ms == CONF_NEVER ? "never" : ms == 0 ? "at-once" : ctl_duration(pool, ms);
}

bool ctl_setting(struct ctl *c, struct slice word, const struct ctl_settings *s, enum ipc_err *e)
{
	struct slice key, v;
	*e = ERR_OK;
	if (!ctl_pair(word, &key, &v)) {
		*e = ctl_err(c, ERR_BAD, "\"%.*s\" is not KEY=VALUE", SLICE_FMT(word));
		return true;
	}
	bool unset = slice_eqs(v, "default");
	uint64_t *to;
	bool ok;
	if (slice_eqs(key, "quota")) {
		to = s->quota;
		ok = unset || str_size(v, to);
	} else if (slice_eqs(key, "login-delay")) {
		to = s->login_delay_ms;
		ok = unset || str_duration(v, to);
	} else if (slice_eqs(key, "expire-retrieved")) {
		to = s->expire_ms;
		bool never = slice_eqs(v, "never"), now = slice_eqs(v, "at-once");
		if (never || now)
			*to = never ? CONF_NEVER : 0;
		ok = unset || never || now || str_duration(v, to);
	} else {
		return false;
	}
	if (unset)
		*to = DIR_UNSET;
	/* What the database takes: 63 bits. */
	bool never = to == s->expire_ms && *to == CONF_NEVER;
	if (!ok || (!unset && !never && *to > INT64_MAX))
		*e = ctl_err(c, ERR_BAD, "%.*s: \"%.*s\" is not a value (try %s)", SLICE_FMT(key),
			     SLICE_FMT(v),
			     to == s->quota            ? "quota=1G, 0 for none, or default"
			     : to == s->login_delay_ms ? "login-delay=1m or default"
						       : "expire-retrieved=14d, never, at-once or"
							 " default");
	return true;
}

enum ipc_err ctl_unknown_key(struct ctl *c, struct slice word, const char *known)
{
	struct slice key = slice_cut(&word, '=');
	return ctl_err(c, ERR_BAD, "unknown setting \"%.*s\" (known: %s)", SLICE_FMT(key), known);
}

/* --- errors ------------------------------------------------------------------ */

enum ipc_err ctl_domain(struct base *b, struct ctl *c, struct slice name, struct domain *out)
{
	enum ipc_err e = dir_domain_get(b, c->pool, name, out);
	return e == ERR_NOTFOUND ? ctl_err(c, e, "no domain %.*s", SLICE_FMT(name)) : e;
}

enum ipc_err ctl_address(struct ctl *c, struct slice word, struct addr *out)
{
	if (dir_addr(c->pool, word, out) && dir_addr_new(out))
		return ERR_OK;
	return ctl_err(c, ERR_BAD, "\"%.*s\" is not an address (try alice@example.org)",
		       SLICE_FMT(word));
}

enum ipc_err ctl_target(struct base *b, struct ctl *c, struct slice word, struct slice *out)
{
	struct addr a;
	struct targets t;
	enum ipc_err e = ctl_address(c, word, &a);
	if (e != ERR_OK)
		return e;
	*out = a.full;
	e = dir_resolve(b, c->pool, a.full, &t);
	if (e == ERR_NOTFOUND)
		return ctl_err(c, e, "%.*s leads to no account", SLICE_FMT(a.full));
	return e == ERR_NOTLOCAL ? ERR_OK : e;
}

void ctl_changed(struct ctl *c)
{
	(void)c;
	dir_changed();
}

/* --- domains ----------------------------------------------------------------- */

static enum ipc_err domain_add_run(struct base *b, struct ctl *c)
{
	struct slice name;
	if (!dir_domain_name(c->pool, c->arg[0], &name))
		return ctl_err(c, ERR_BAD, "\"%.*s\" is not a domain", SLICE_FMT(c->arg[0]));
	enum ipc_err e = dir_domain_add(b, name);
	return e == ERR_EXISTS ? ctl_err(c, e, "domain %.*s exists", SLICE_FMT(name)) : e;
}

static void domain_add(struct ctl *c)
{
	ctl_write(c, WORK_DIRECTORY, domain_add_run, ctl_changed);
}

static enum ipc_err domain_list_run(struct base *b, struct ctl *c)
{
	enum db_result r;
	size_t n = 0;
	db_start(b->db, SQL_DOMAIN_LIST);
	db_text(b->db, c->cursor);
	for (; (r = db_step(b->db)) == DB_ROW; n++) {
		struct slice name = db_col(b->db, 0);
		ctl_text(c, "domain", name);
		ctl_number(c, "accounts", db_col_u64(b->db, 1));
		ctl_number(c, "aliases", db_col_u64(b->db, 2));
		ctl_time(c, "created", db_col_u64(b->db, 3));
		ctl_next(c);
		if (n == PAGE - 1)
			c->cursor_out = slice_copy(c->pool, name);
	}
	db_reset(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

static void domain_list(struct ctl *c)
{
	ctl_read(c, WORK_DIRECTORY, domain_list_run, NULL);
}

static void show_default(struct ctl *c, const char *name, uint64_t v, const char *text)
{
	ctl_text(c, name, slice_of(v == DIR_UNSET ? "default" : text));
}

static enum ipc_err domain_show_run(struct base *b, struct ctl *c)
{
	struct domain d;
	uint64_t accounts, aliases;
	enum ipc_err e = ctl_domain(b, c, c->arg[0], &d);
	if (e == ERR_OK)
		e = dir_domain_counts(b, d.id, &accounts, &aliases);
	if (e != ERR_OK)
		return e;
	ctl_text(c, "domain", d.name);
	ctl_text(c, "shown-as", dir_domain_shown(c->pool, d.name));
	ctl_number(c, "accounts", accounts);
	ctl_number(c, "aliases", aliases);
	ctl_text(c, "catch-all", d.catch_all.len ? d.catch_all : SLICE("none"));
	show_default(c, "quota", d.quota,
		     pool_printf(c->pool, "%llu", (unsigned long long)d.quota));
	show_default(c, "login-delay", d.login_delay_ms,
		     d.login_delay_ms == DIR_UNSET ? "" : ctl_duration(c->pool, d.login_delay_ms));
	show_default(c, "expire-retrieved", d.expire_ms,
		     d.expire_ms == DIR_UNSET ? "" : ctl_expire(c->pool, d.expire_ms));
	ctl_time(c, "created", d.created_ms);
	return ERR_OK;
}

static void domain_show(struct ctl *c)
{
	ctl_read(c, WORK_DIRECTORY, domain_show_run, NULL);
}

static enum ipc_err domain_set_one(struct base *b, struct ctl *c, struct slice word,
				   struct domain *d)
{
	struct ctl_settings s = {&d->quota, &d->login_delay_ms, &d->expire_ms};
	struct slice key, value;
	enum ipc_err e;
	if (ctl_setting(c, word, &s, &e))
		return e;
	ctl_pair(word, &key, &value);
	if (!slice_eqs(key, "catch-all"))
		return ctl_unknown_key(c, word, "catch-all login-delay expire-retrieved quota");
	if (slice_eqs(value, "none") || slice_eqs(value, "default") || value.len == 0) {
		d->catch_all = SLICE("");
		return ERR_OK;
	}
	return ctl_target(b, c, value, &d->catch_all);
}

static enum ipc_err domain_set_run(struct base *b, struct ctl *c)
{
	struct domain d;
	enum ipc_err e = ctl_domain(b, c, c->arg[0], &d);
	for (size_t i = 1; i < c->n && e == ERR_OK; i++)
		e = domain_set_one(b, c, c->arg[i], &d);
	return e == ERR_OK ? dir_domain_set(b, &d) : e;
}

static void domain_set(struct ctl *c)
{
	ctl_write(c, WORK_DIRECTORY, domain_set_run, ctl_changed);
}

static enum ipc_err domain_delete_run(struct base *b, struct ctl *c)
{
	struct domain d;
	enum ipc_err e = ctl_domain(b, c, c->arg[0], &d);
	if (e == ERR_OK)
		e = dir_domain_delete(b, d.id);
	if (e == ERR_INUSE)
		ctl_err(c, e, "domain %.*s has accounts: delete them first", SLICE_FMT(d.name));
	return e;
}

static void domain_delete(struct ctl *c)
{
	ctl_write(c, WORK_DIRECTORY, domain_delete_run, ctl_changed);
}

/* --- aliases ----------------------------------------------------------------- */

static enum ipc_err alias_add_run(struct base *b, struct ctl *c)
{
	struct addr a;
	struct domain d;
	struct slice *target = pool_alloc(c->pool, c->n * sizeof(*target));
	enum ipc_err e = ctl_address(c, c->arg[0], &a);
	if (e == ERR_OK)
		e = ctl_domain(b, c, a.domain, &d);
	for (size_t i = 1; i < c->n && e == ERR_OK; i++) {
		e = ctl_target(b, c, c->arg[i], &target[i - 1]);
		if (e == ERR_OK && slice_eq(target[i - 1], a.full))
			e = ctl_err(c, ERR_BAD, "an alias cannot lead to itself");
	}
	if (e == ERR_OK)
		e = dir_alias_add(b, d.id, a.full, target, c->n - 1);
	if (e == ERR_EXISTS)
		ctl_err(c, e, "%.*s exists already (alias show, account show)", SLICE_FMT(a.full));
	/* Its targets led somewhere before it was there: by the domain's catch-all, perhaps. */
	struct targets t;
	if (e == ERR_OK && dir_resolve(b, c->pool, a.full, &t) == ERR_NOTFOUND)
		e = ctl_err(c, ERR_BAD, "%.*s would lead to itself only", SLICE_FMT(a.full));
	return e;
}

static void alias_add(struct ctl *c)
{
	ctl_write(c, WORK_DIRECTORY, alias_add_run, ctl_changed);
}

static enum ipc_err alias_list_run(struct base *b, struct ctl *c)
{
	struct domain d;
	enum db_result r;
	struct slice last = SLICE("");
	size_t aliases = 0;
	enum ipc_err e = c->n ? ctl_domain(b, c, c->arg[0], &d) : ERR_OK;
	if (e != ERR_OK)
		return e;
	db_start(b->db, c->n ? SQL_ALIAS_LIST_DOMAIN : SQL_ALIAS_LIST);
	if (c->n)
		db_u64(b->db, d.id);
	db_text(b->db, c->cursor);
	while ((r = db_step(b->db)) == DB_ROW) {
		struct slice name = db_col(b->db, 0);
		if (!slice_eq(name, last)) {
			last = slice_copy(c->pool, name);
			aliases++;
		}
		ctl_text(c, "alias", name);
		ctl_text(c, "target", db_col(b->db, 1));
		ctl_next(c);
	}
	db_reset(b->db);
	if (aliases == PAGE)
		c->cursor_out = last;
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

static void alias_list(struct ctl *c)
{
	ctl_read(c, WORK_DIRECTORY, alias_list_run, NULL);
}

static enum ipc_err alias_find(struct base *b, struct ctl *c, struct addr *a, uint64_t *id,
			       uint64_t *created_ms)
{
	enum ipc_err e = ctl_address(c, c->arg[0], a);
	if (e == ERR_OK)
		e = dir_alias_get(b, a->full, id, created_ms);
	return e == ERR_NOTFOUND ? ctl_err(c, e, "no alias %.*s", SLICE_FMT(a->full)) : e;
}

static enum ipc_err alias_show_run(struct base *b, struct ctl *c)
{
	struct addr a;
	uint64_t id = 0, created_ms = 0;
	enum db_result r;
	enum ipc_err e = alias_find(b, c, &a, &id, &created_ms);
	if (e != ERR_OK)
		return e;
	db_start(b->db, SQL_ALIAS_TARGETS);
	db_text(b->db, a.full);
	while ((r = db_step(b->db)) == DB_ROW) {
		ctl_text(c, "alias", a.full);
		ctl_text(c, "target", db_col(b->db, 0));
		ctl_time(c, "created", created_ms);
		ctl_next(c);
	}
	db_reset(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

static void alias_show(struct ctl *c)
{
	ctl_read(c, WORK_DIRECTORY, alias_show_run, NULL);
}

static enum ipc_err alias_delete_run(struct base *b, struct ctl *c)
{
	struct addr a;
	uint64_t id = 0, created_ms = 0;
	enum ipc_err e = alias_find(b, c, &a, &id, &created_ms);
	return e == ERR_OK ? dir_alias_delete(b, id) : e;
}

static void alias_delete(struct ctl *c)
{
	ctl_write(c, WORK_DIRECTORY, alias_delete_run, ctl_changed);
}

/* clang-format off: a table is read by columns */
const struct ctl_cmd ctl_dir_commands[] = {
    {"domain add", "NAME", 1, 1, false, domain_add},
    {"domain list", "", 0, 0, false, domain_list},
    {"domain show", "NAME", 1, 1, false, domain_show},
    {"domain set", "NAME KEY=VALUE...", 2, CTL_MANY, false, domain_set},
    {"domain delete", "NAME", 1, 1, false, domain_delete},
    {"account add", "ADDR [KEY=VALUE...]", 1, CTL_MANY, true, ctl_account_add},
    {"account list", "[DOMAIN]", 0, 1, false, ctl_account_list},
    {"account show", "ADDR", 1, 1, false, ctl_account_show},
    {"account set", "ADDR KEY=VALUE...", 2, CTL_MANY, false, ctl_account_set},
    {"account password", "ADDR", 1, 1, true, ctl_account_password},
    {"account enable", "ADDR", 1, 1, false, ctl_account_enable},
    {"account disable", "ADDR", 1, 1, false, ctl_account_disable},
    {"account delete", "ADDR", 1, 1, false, ctl_account_delete},
    {"account app-password", "ADDR add NAME|list|delete NAME", 2, 3, false, ctl_account_app},
    {"alias add", "ADDR TARGET...", 2, CTL_MANY, false, alias_add},
    {"alias list", "[DOMAIN]", 0, 1, false, alias_list},
    {"alias show", "ADDR", 1, 1, false, alias_show},
    {"alias delete", "ADDR", 1, 1, false, alias_delete},
    {.words = NULL},
};
