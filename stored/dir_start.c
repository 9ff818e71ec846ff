/* The directory's start: its secret, the epochs of its accounts, the login threads. */
#include <gnutls/crypto.h>
#include "libcommon/base/id.h"
#include "stored/auth.h"
#include "stored/grant.h"
#include "stored/sql.h"
#include "stored/srs.h"

struct epoch {
	uint64_t account, epoch;
};

struct starting {
	struct op op;
	unsigned char secret[32];
	struct epoch *epochs;
	size_t n, cap;
	void (*ready)(const char *why);
};

/* The secret, made at the first start. */
static enum ipc_err secret_of(struct base *b, unsigned char out[32])
{
	enum db_result r;
	db_start(b->db, SQL_SETTING_GET);
	db_text(b->db, SLICE("secret"));
	enum ipc_err e = dir_one(b, &r);
	struct slice s = e == ERR_OK ? db_col(b->db, 0) : SLICE("");
	if (s.len == 32)
		memcpy(out, s.p, s.len);
	db_reset(b->db);
	if (s.len == 32 || (e != ERR_NOTFOUND && e != ERR_OK))
		return e;
	id_random(out, 32);
	db_start(b->db, SQL_SETTING_PUT);
	db_text(b->db, SLICE("secret"));
	db_bytes(b->db, (struct slice){(const char *)out, 32});
	return dir_run(b);
}

static enum ipc_err start_run(struct base *b, struct op *op)
{
	struct starting *s = (struct starting *)op;
	enum db_result r;
	s->n = 0;
	enum ipc_err e = secret_of(b, s->secret);
	if (e != ERR_OK)
		return e;
	db_start(b->db, SQL_ACCOUNT_EPOCHS);
	while ((r = db_step(b->db)) == DB_ROW) {
		s->epochs = pool_grow(op->pool, s->epochs, s->n, &s->cap, sizeof(*s->epochs));
		s->epochs[s->n++] = (struct epoch){db_col_u64(b->db, 0), db_col_u64(b->db, 1)};
	}
	db_reset(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

/* One key for each use of the secret. */
static void derive(const struct starting *s, const char *use, unsigned char out[32])
{
	gnutls_hmac_fast(GNUTLS_MAC_SHA256, s->secret, sizeof(s->secret), use, strlen(use), out);
}

static void start_done(struct op *op)
{
	struct starting *s = (struct starting *)op;
	void (*ready)(const char *why) = s->ready;
	unsigned char key[32];
	bool ok = op->err == ERR_OK;
	if (ok) {
		derive(s, "grant", key);
		grant_key(key);
		derive(s, "unknown users", key);
		verifier_fake_key(key);
		derive(s, "srs", key);
		srs_key(key);
		for (size_t i = 0; i < s->n; i++)
			grant_epoch(s->epochs[i].account, s->epochs[i].epoch);
	}
	explicit_bzero(key, sizeof(key));
	explicit_bzero(s->secret, sizeof(s->secret));
	op_free(op);
	ready(ok ? NULL : "the directory cannot be read");
}

void dir_start(void (*ready)(const char *why))
{
	struct starting *s = (struct starting *)op_new(sizeof(*s));
	slow_open((unsigned)conf.auth_threads, (unsigned)conf.auth_queue);
	s->op.run = start_run;
	s->op.done = start_done;
	s->ready = ready;
	if (work_write(WORK_DIRECTORY, &s->op))
		return;
	op_free(&s->op);
	ready("the directory's queue is full");
}

void dir_stop(void)
{
	slow_close();
	dir_cache_free();
	remember_reset();
	guard_reset();
	grant_reset();
}
