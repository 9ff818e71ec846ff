/* The commands of accounts. */
#include <string.h>
#include "libcommon/base/id.h"
#include "stored/auth.h"
#include "stored/ctl_dir.h"
#include "stored/grant.h"
#include "stored/sql.h"

enum { PAGE = 1000, APPS_MAX = 64, APP_NAME_MAX = 64 };

/* What a command keeps from one step to the next. */
struct work {
	struct slow slow;
	struct ctl *c;
	struct verifier v;
	struct slice crypt; /* instead of v */
	bool ok;
	uint64_t account, epoch;
	bool enable;
	char app[APP_PASSWORD_LEN + 1];
	unsigned char salt[16];
};

static struct work *work_of(struct ctl *c)
{
	if (!c->data) {
		struct work *w = pool_alloc(c->pool, sizeof(*w));
		w->c = c;
		c->data = w;
	}
	return c->data;
}

static enum ipc_err account_of(struct base *b, struct ctl *c, struct account_row *out)
{
	enum ipc_err e = dir_account_row(b, c->pool, c->arg[0], out);
	return e == ERR_NOTFOUND ? ctl_err(c, e, "no account %.*s", SLICE_FMT(c->arg[0])) : e;
}

/* The epoch was raised: what was granted before ends. */
static void epoch_changed(struct ctl *c)
{
	struct work *w = work_of(c);
	grant_epoch(w->account, w->epoch);
	dir_changed();
}

/* --- passwords --------------------------------------------------------------- */

static void stretch(struct slow *s)
{
	struct work *w = list_entry(s, struct work, slow);
	w->ok = verifier_make(w->c->secret, (unsigned)conf.scram_iterations, &w->v);
}

/* Makes the verifier of c->secret on a slow thread, then calls done. */
static void with_password(struct ctl *c, void (*done)(struct slow *s))
{
	struct work *w = work_of(c);
	w->slow = (struct slow){.run = stretch, .done = done};
	if (credential_is_crypt(c->secret, &w->crypt)) {
		w->ok = w->crypt.len >= 13 && str_print(w->crypt) && str_ascii(w->crypt);
		done(&w->slow);
	} else if (!slow_submit(&w->slow)) {
		ctl_fail(c, ERR_TEMP, "too many logins at once");
	}
}

static enum ipc_err put_password(struct base *b, struct work *w)
{
	return credential_put(b, w->account, w->crypt.len ? NULL : &w->v, w->crypt);
}

static bool password_ok(struct work *w)
{
	if (w->ok)
		return true;
	ctl_fail(w->c, ERR_BAD,
		 "this password cannot be used: it is too long, or has characters that"
		 " SASLprep (RFC 4013) refuses"); /* ends w as well */
	return false;
}

/* --- add --------------------------------------------------------------------- */

static enum ipc_err set_words(struct ctl *c, struct account_row *row)
{
	struct ctl_settings s = {&row->quota, &row->login_delay_ms, &row->expire_ms};
	enum ipc_err e = ERR_OK;
	for (size_t i = 1; i < c->n && e == ERR_OK; i++)
		if (!ctl_setting(c, c->arg[i], &s, &e))
			e = ctl_unknown_key(c, c->arg[i], "login-delay expire-retrieved quota");
	return e;
}

static enum ipc_err add_run(struct base *b, struct ctl *c)
{
	struct work *w = work_of(c);
	struct addr a;
	struct domain d;
	struct account_row row = {
	    .quota = DIR_UNSET, .login_delay_ms = DIR_UNSET, .expire_ms = DIR_UNSET};
	enum ipc_err e = ctl_address(c, c->arg[0], &a);
	if (e == ERR_OK)
		e = set_words(c, &row);
	if (e == ERR_OK)
		e = ctl_domain(b, c, a.domain, &d);
	if (e != ERR_OK)
		return e;
	e = dir_account_add(b, c->pool, &d, &a, &w->account);
	if (e == ERR_EXISTS)
		return ctl_err(c, e, "%.*s exists already (account show, alias show)",
			       SLICE_FMT(a.full));
	if (e == ERR_OK)
		e = put_password(b, w);
	row.a.id = w->account;
	w->epoch = 1;
	return e == ERR_OK ? dir_account_set(b, &row) : e;
}

static void add_stretched(struct slow *s)
{
	struct work *w = list_entry(s, struct work, slow);
	if (password_ok(w))
		ctl_write(w->c, WORK_DIRECTORY, add_run, epoch_changed);
}

void ctl_account_add(struct ctl *c)
{
	struct addr a;
	/* Before the hashing: a wrong word is the commoner mistake. */
	enum ipc_err e = ctl_address(c, c->arg[0], &a);
	if (e != ERR_OK)
		ctl_fail(c, e, c->text);
	else
		with_password(c, add_stretched);
}

/* --- password, enable, disable, delete ------------------------------------------- */

static enum ipc_err password_run(struct base *b, struct ctl *c)
{
	struct work *w = work_of(c);
	struct account_row row;
	enum ipc_err e = account_of(b, c, &row);
	if (e != ERR_OK)
		return e;
	w->account = row.a.id;
	e = put_password(b, w);
	return e == ERR_OK ? dir_account_epoch(b, w->account, &w->epoch) : e;
}

static void password_stretched(struct slow *s)
{
	struct work *w = list_entry(s, struct work, slow);
	if (password_ok(w))
		ctl_write(w->c, WORK_DIRECTORY, password_run, epoch_changed);
}

void ctl_account_password(struct ctl *c)
{
	with_password(c, password_stretched);
}

static enum ipc_err enable_run(struct base *b, struct ctl *c)
{
	struct work *w = work_of(c);
	struct account_row row;
	enum ipc_err e = account_of(b, c, &row);
	if (e != ERR_OK)
		return e;
	w->account = row.a.id;
	w->epoch = row.a.epoch;
	if (row.a.enabled == w->enable)
		return ERR_OK;
	return dir_account_enable(b, w->account, w->enable, &w->epoch);
}

void ctl_account_enable(struct ctl *c)
{
	work_of(c)->enable = true;
	ctl_write(c, WORK_DIRECTORY, enable_run, epoch_changed);
}

void ctl_account_disable(struct ctl *c)
{
	ctl_write(c, WORK_DIRECTORY, enable_run, epoch_changed);
}

static enum ipc_err delete_run(struct base *b, struct ctl *c)
{
	struct work *w = work_of(c);
	struct account_row row;
	enum ipc_err e = account_of(b, c, &row);
	if (e != ERR_OK)
		return e;
	w->account = row.a.id;
	return dir_account_delete(b, c->pool, &row.a);
}

static void deleted(struct ctl *c)
{
	grant_end(work_of(c)->account);
	dir_changed();
}

void ctl_account_delete(struct ctl *c)
{
	ctl_write(c, WORK_DIRECTORY, delete_run, deleted);
}

/* --- list, show, set --------------------------------------------------------------- */

static enum ipc_err list_run(struct base *b, struct ctl *c)
{
	struct domain d;
	enum db_result r;
	size_t n = 0;
	enum ipc_err e = c->n ? ctl_domain(b, c, c->arg[0], &d) : ERR_OK;
	if (e != ERR_OK)
		return e;
	db_start(b->db, c->n ? SQL_ACCOUNT_LIST_DOMAIN : SQL_ACCOUNT_LIST);
	if (c->n)
		db_u64(b->db, d.id);
	db_text(b->db, c->cursor);
	for (; (r = db_step(b->db)) == DB_ROW; n++) {
		struct slice address = db_col(b->db, 0);
		ctl_text(c, "account", address);
		ctl_bool(c, "enabled", db_col_u64(b->db, 1) != 0);
		ctl_number(c, "shard", db_col_u64(b->db, 2));
		ctl_time(c, "created", db_col_u64(b->db, 3));
		ctl_next(c);
		if (n == PAGE - 1)
			c->cursor_out = slice_copy(c->pool, address);
	}
	db_reset(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

void ctl_account_list(struct ctl *c)
{
	ctl_read(c, WORK_DIRECTORY, list_run, NULL);
}

static const char *joined(struct ctl *c, const struct slice *s, size_t n)
{
	const char *text = n ? "" : "none";
	for (size_t i = 0; i < n; i++)
		text = pool_printf(c->pool, "%s%s%.*s", text, i ? " " : "", SLICE_FMT(s[i]));
	return text;
}

/* What kind of credential the account has, for "account show". */
static enum ipc_err show_credential(struct base *b, struct ctl *c, uint64_t account)
{
	enum db_result r;
	db_start(b->db, SQL_CREDENTIAL_CHANGED);
	db_u64(b->db, account);
	enum ipc_err e = dir_one(b, &r);
	if (e == ERR_OK) {
		uint64_t iterations = db_col_u64(b->db, 1);
		ctl_text(c, "password",
			 slice_of(iterations
				      ? pool_printf(c->pool, "SCRAM-SHA-256, %llu iterations",
						    (unsigned long long)iterations)
				      : "imported hash"));
		ctl_time(c, "password-changed", db_col_u64(b->db, 0));
	} else if (e == ERR_NOTFOUND) {
		ctl_text(c, "password", SLICE("none"));
		e = ERR_OK;
	}
	db_reset(b->db);
	return e;
}

static enum ipc_err show_run(struct base *b, struct ctl *c)
{
	struct account_row row;
	struct app_password *app;
	struct slice *alias;
	size_t apps;
	enum ipc_err e = account_of(b, c, &row);
	if (e == ERR_OK)
		e = credential_apps(b, c->pool, row.a.id, &app, &apps);
	if (e != ERR_OK)
		return e;
	size_t n = dir_alias_leading(b, c->pool, row.a.address, &alias, &e);
	if (e != ERR_OK)
		return e;
	ctl_text(c, "account", row.a.address);
	ctl_number(c, "id", row.a.id);
	ctl_bool(c, "enabled", row.a.enabled);
	ctl_number(c, "shard", row.a.shard);
	ctl_size(c, "quota", row.a.quota);
	ctl_text(c, "login-delay", slice_of(ctl_duration(c->pool, row.a.login_delay_ms)));
	ctl_text(c, "expire-retrieved", slice_of(ctl_expire(c->pool, row.a.expire_ms)));
	ctl_text(c, "own-settings",
		 slice_of(pool_printf(c->pool, "%s%s%s", row.quota == DIR_UNSET ? "" : "quota ",
				      row.login_delay_ms == DIR_UNSET ? "" : "login-delay ",
				      row.expire_ms == DIR_UNSET ? "" : "expire-retrieved")));
	ctl_text(c, "aliases", slice_of(joined(c, alias, n)));
	e = show_credential(b, c, row.a.id);
	ctl_number(c, "app-passwords", apps);
	ctl_time(c, "created", row.created_ms);
	return e;
}

void ctl_account_show(struct ctl *c)
{
	ctl_read(c, WORK_DIRECTORY, show_run, NULL);
}

static enum ipc_err set_run(struct base *b, struct ctl *c)
{
	struct account_row row;
	enum ipc_err e = account_of(b, c, &row);
	if (e == ERR_OK)
		e = set_words(c, &row);
	return e == ERR_OK ? dir_account_set(b, &row) : e;
}

void ctl_account_set(struct ctl *c)
{
	ctl_write(c, WORK_DIRECTORY, set_run, ctl_changed);
}

/* --- app passwords ----------------------------------------------------------------- */

static enum ipc_err app_add_run(struct base *b, struct ctl *c)
{
	struct work *w = work_of(c);
	struct account_row row;
	struct app_password *app;
	unsigned char hash[32];
	size_t n;
	enum ipc_err e = account_of(b, c, &row);
	if (e == ERR_OK)
		e = credential_apps(b, c->pool, row.a.id, &app, &n);
	if (e != ERR_OK)
		return e;
	if (n >= APPS_MAX)
		return ctl_err(c, ERR_LIMIT, "%d app passwords are the limit", APPS_MAX);
	app_password_hash(slice_of(w->app), w->salt, hash);
	e = credential_app_add(b, row.a.id, c->arg[2], w->salt, hash);
	if (e == ERR_EXISTS)
		return ctl_err(c, e, "an app password %.*s exists", SLICE_FMT(c->arg[2]));
	if (e == ERR_OK) {
		ctl_text(c, "account", row.a.address);
		ctl_text(c, "name", c->arg[2]);
		ctl_text(c, "app-password", slice_of(w->app));
	}
	return e;
}

static enum ipc_err app_list_run(struct base *b, struct ctl *c)
{
	struct account_row row;
	struct app_password *app;
	size_t n;
	enum ipc_err e = account_of(b, c, &row);
	if (e == ERR_OK)
		e = credential_apps(b, c->pool, row.a.id, &app, &n);
	for (size_t i = 0; e == ERR_OK && i < n; i++) {
		ctl_text(c, "account", row.a.address);
		ctl_text(c, "name", app[i].name);
		ctl_time(c, "created", app[i].created_ms);
		ctl_next(c);
	}
	return e;
}

/* Whoever logged in with it must not stay: the epoch is raised. */
static enum ipc_err app_delete_run(struct base *b, struct ctl *c)
{
	struct work *w = work_of(c);
	struct account_row row;
	enum ipc_err e = account_of(b, c, &row);
	if (e != ERR_OK)
		return e;
	w->account = row.a.id;
	e = credential_app_delete(b, row.a.id, c->arg[2]);
	if (e == ERR_NOTFOUND)
		return ctl_err(c, e, "no app password %.*s", SLICE_FMT(c->arg[2]));
	return e == ERR_OK ? dir_account_epoch(b, w->account, &w->epoch) : e;
}

void ctl_account_app(struct ctl *c)
{
	struct work *w = work_of(c);
	bool named = c->n == 3 && c->arg[2].len && c->arg[2].len <= APP_NAME_MAX &&
		     str_utf8(c->arg[2]) && str_print(c->arg[2]);
	if (slice_eqs(c->arg[1], "list") && c->n == 2) {
		ctl_read(c, WORK_DIRECTORY, app_list_run, NULL);
	} else if (slice_eqs(c->arg[1], "delete") && named) {
		ctl_write(c, WORK_DIRECTORY, app_delete_run, epoch_changed);
	} else if (slice_eqs(c->arg[1], "add") && named) {
		app_password_new(w->app);
		id_random(w->salt, sizeof(w->salt));
		ctl_write(c, WORK_DIRECTORY, app_add_run, NULL);
	} else {
		ctl_usage(c);
	}
}
