/* The credentials of accounts. */
#include <crypt.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "stored/auth.h"
#include "stored/sql.h"

static bool fixed(struct slice s, void *out, size_t n)
{
	if (s.len != n)
		return false;
	memcpy(out, s.p, n);
	return true;
}

static enum ipc_err read_verifier(struct base *b, struct pool *pool, struct credential *out)
{
	enum db_result r;
	db_start(b->db, SQL_CREDENTIAL_GET);
	db_u64(b->db, out->account.id);
	enum ipc_err e = dir_one(b, &r);
	if (e == ERR_OK) {
		struct verifier v = {.iterations = (unsigned)db_col_u64(b->db, 0)};
		struct slice salt = db_col(b->db, 1);
		v.salt_len = salt.len;
		if (v.iterations && salt.len && salt.len <= sizeof(v.salt) &&
		    fixed(salt, v.salt, salt.len) &&
		    fixed(db_col(b->db, 2), v.stored_key, sizeof(v.stored_key)) &&
		    fixed(db_col(b->db, 3), v.server_key, sizeof(v.server_key))) {
			out->v = v;
			out->fake = false;
		}
		out->crypt = slice_copy(pool, db_col(b->db, 4));
	}
	db_reset(b->db);
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

enum ipc_err credential_apps(struct base *b, struct pool *pool, uint64_t account,
			     struct app_password **out, size_t *n)
{
	enum db_result r;
	db_start(b->db, SQL_APP_PASSWORD_COUNT);
	db_u64(b->db, account);
	enum ipc_err e = dir_one(b, &r);
	size_t max = e == ERR_OK ? (size_t)db_col_u64(b->db, 0) : 0;
	db_reset(b->db);
	*n = 0;
	*out = pool_alloc(pool, (max + 1) * sizeof(**out));
	if (e != ERR_OK || max == 0)
		return e;
	db_start(b->db, SQL_APP_PASSWORD_LIST);
	db_u64(b->db, account);
	while (*n < max && (r = db_step(b->db)) == DB_ROW) {
		struct app_password *a = &(*out)[*n];
		a->name = slice_copy(pool, db_col(b->db, 0));
		a->created_ms = db_col_u64(b->db, 3);
		if (fixed(db_col(b->db, 1), a->salt, sizeof(a->salt)) &&
		    fixed(db_col(b->db, 2), a->hash, sizeof(a->hash)))
			++*n;
	}
	db_reset(b->db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

enum ipc_err credential_get(struct base *b, struct pool *pool, struct slice name,
			    struct credential *out)
{
	struct addr a;
	*out = (struct credential){.fake = true};
	verifier_fake(dir_addr(pool, name, &a) ? a.full : name, &out->v);
	enum ipc_err e = dir_account_by_address(b, pool, name, &out->account);
	if (e != ERR_OK)
		return e == ERR_NOTFOUND ? ERR_OK : e;
	out->known = true;
	e = read_verifier(b, pool, out);
	return e == ERR_OK ? credential_apps(b, pool, out->account.id, &out->app, &out->app_n) : e;
}

static struct slice bytes(const void *p, size_t n)
{
	return (struct slice){p, n};
}

enum ipc_err credential_put(struct base *b, uint64_t account, const struct verifier *v,
			    struct slice crypt)
{
	db_start(b->db, SQL_CREDENTIAL_PUT);
	db_u64(b->db, account);
	db_u64(b->db, v ? v->iterations : 0);
	if (v) {
		db_bytes(b->db, bytes(v->salt, v->salt_len));
		db_bytes(b->db, bytes(v->stored_key, sizeof(v->stored_key)));
		db_bytes(b->db, bytes(v->server_key, sizeof(v->server_key)));
		db_null(b->db);
	} else {
		db_null(b->db);
		db_null(b->db);
		db_null(b->db);
		db_text(b->db, crypt);
	}
	db_u64(b->db, clock_ms());
	return dir_run(b);
}

enum ipc_err credential_renew(struct base *b, uint64_t account, uint64_t epoch,
			      const struct verifier *v)
{
	struct account a;
	struct pool *pool = pool_new(0);
	enum ipc_err e = dir_account_by_id(b, pool, account, &a);
	pool_free(&pool);
	if (e == ERR_NOTFOUND || (e == ERR_OK && a.epoch != epoch))
		return ERR_OK;
	return e == ERR_OK ? credential_put(b, account, v, SLICE("")) : e;
}

enum ipc_err credential_app_add(struct base *b, uint64_t account, struct slice name,
				const unsigned char salt[16], const unsigned char hash[32])
{
	uint64_t id;
	enum ipc_err e = dir_next_id(b, "app_password", &id);
	if (e != ERR_OK)
		return e;
	db_start(b->db, SQL_APP_PASSWORD_ADD);
	db_u64(b->db, id);
	db_u64(b->db, account);
	db_text(b->db, name);
	db_bytes(b->db, bytes(salt, 16));
	db_bytes(b->db, bytes(hash, 32));
	db_u64(b->db, clock_ms());
	return dir_run(b);
}

enum ipc_err credential_app_delete(struct base *b, uint64_t account, struct slice name)
{
	db_start(b->db, SQL_APP_PASSWORD_DELETE);
	db_u64(b->db, account);
	db_text(b->db, name);
	enum ipc_err e = dir_run(b);
	return e == ERR_OK && db_changes(b->db) == 0 ? ERR_NOTFOUND : e;
}

bool credential_is_crypt(struct slice secret, struct slice *hash)
{
	if (!slice_istarts(secret, "{CRYPT}"))
		return false;
	*hash = (struct slice){secret.p + 7, secret.len - 7};
	return true;
}

static bool crypt_check(struct slice hash, struct slice password)
{
	if (password.len == 0 || password.len > PASSWORD_MAX || hash.len > CRYPT_OUTPUT_SIZE)
		return false;
	struct crypt_data *d = mem_alloc(sizeof(*d)); /* 32 KiB: not for a thread's stack */
	char *typed = mem_strndup(password.p, password.len);
	char *setting = mem_strndup(hash.p, hash.len);
	const char *got = crypt_r(typed, setting, d);
	bool ok =
	    got && got[0] != '*' && strlen(got) == hash.len && str_eq_secret(got, hash.p, hash.len);
	mem_wipe(typed, password.len);
	mem_wipe(setting, hash.len);
	mem_wipe(d, sizeof(*d));
	return ok;
}

enum credential_result credential_check(const struct credential *c, struct slice password,
					struct slice *which, bool *renew)
{
	unsigned char hash[32];
	*renew = false;
	for (size_t i = 0; i < c->app_n; i++)
		if (app_password_hash(password, c->app[i].salt, hash) &&
		    str_eq_secret(hash, c->app[i].hash, sizeof(hash))) {
			*which = c->app[i].name;
			return CREDENTIAL_APP;
		}
	bool ok = c->crypt.len ? crypt_check(c->crypt, password)
			       : verifier_check(&c->v, password) && !c->fake;
	*renew = ok && (c->crypt.len || c->v.iterations != conf.scram_iterations);
	return ok ? CREDENTIAL_RIGHT : CREDENTIAL_WRONG;
}
