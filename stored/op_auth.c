/* MSG_auth_start, MSG_auth_step: one login from its first message to its grant.
 *
 *   start/step -> sasl_step --MORE--> answer, wait for the client
 *                   |--PASSWORD--> remembered? -> accepted
 *                   |                 else credential (reader) -> check (slow thread) -> judged
 *                   |--VERIFIED (SCRAM, keys read by the reader) -> accepted
 *                   `--REFUSED--> failed: counted, answered after the delay
 *
 * A login is touched by one thread at a time: the loop's, unless `rq` is being worked on by a
 * reader or a slow thread. When its connection goes, a login that waits for the client is dropped
 * at once, one under way when its work is done. */
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"
#include "stored/auth.h"
#include "stored/grant.h"

/* Half of the logins are any one role's at most: a taken-over daemon does not lock out the users of
 * the others. */
enum { LOGINS_MAX = 4096, ROLE_LOGINS_MAX = LOGINS_MAX / 2, CLIENT_MS = 120000 };

struct login {
	struct list link;
	uint64_t id;
	struct conn *conn;  /* NULL: gone */
	struct request *rq; /* being answered, NULL: waiting for the client */
	struct pool *pool;
	struct slice sid, service, peer;
	enum role role;
	enum sasl_mech mech;
	struct sasl *sasl;
	bool has_guard;
	struct guard guard;
	struct timer timer;
	uint64_t generation; /* of the directory when it was asked */
	/* Of the step at hand. */
	struct slice in, out;
	enum sasl_result result;
	struct base *base; /* inside a reader's run() */
	/* What the directory and the threads found. */
	struct credential cred;
	struct slow slow;
	enum credential_result checked;
	struct slice app; /* name of the app password */
	bool renew, renewed;
	struct verifier fresh;
};

static struct {
	struct list all;
	unsigned n, of_role[ROLE_COUNT];
	uint64_t next;
	uint64_t ok, remembered, failed, refused, busy;
} logins;

static const char *const MECH[] = {
    [SASL_PLAIN] = "PLAIN",
    [SASL_LOGIN] = "LOGIN",
    [SASL_SCRAM] = "SCRAM-SHA-256",
    [SASL_SCRAM_PLUS] = "SCRAM-SHA-256-PLUS",
};

static void stepped(struct login *l);

/* --- a login's life ------------------------------------------------------------ */

static void login_free(struct login *l)
{
	timer_clear(&l->timer);
	list_del(&l->link);
	logins.n--;
	logins.of_role[l->role]--;
	sasl_free(&l->sasl);
	pool_free(&l->pool);
	mem_wipe(l, sizeof(*l));
}

static void end_error(struct login *l, enum ipc_err e, const char *text)
{
	request_error(l->rq, e, text);
	login_free(l);
}

static void client_is_silent(struct timer *t)
{
	login_free(list_entry(t, struct login, timer));
}

static struct login *login_new(struct request *rq, const struct msg_auth_start *m)
{
	if (!logins.all.next)
		list_init(&logins.all);
	struct login *l = mem_alloc(sizeof(*l));
	*l = (struct login){.id = ++logins.next,
			    .conn = rq->conn,
			    .rq = rq,
			    .pool = pool_new(0),
			    .role = conn_role(rq->conn),
			    .mech = sasl_mech(m->mech)};
	l->sid = slice_copy(l->pool, m->sid);
	l->service = slice_copy(l->pool, m->service);
	l->peer = slice_copy(l->pool, m->peer);
	list_add_tail(&logins.all, &l->link);
	logins.n++;
	logins.of_role[l->role]++;
	return l;
}

static void log_login(const struct login *l, enum log_level level, const char *event,
		      const char *why)
{
	struct slice user = l->sasl ? sasl_user(l->sasl) : SLICE("");
	/* Some people type their password where the name belongs. */
	bool name = user.len && memchr(user.p, '@', user.len);
	log_event(level, l->sid.p, event, LS(level == LOG_LV_INFO ? "how" : "why", why),
		  LSL("user", name ? user : SLICE("-")), LS("mech", MECH[l->mech]),
		  LSL("service", l->service), LSL("peer", l->peer),
		  LS("app", l->app.len ? l->app.p : NULL));
}

/* --- the outcome --------------------------------------------------------------- */

static void failure_is_due(struct timer *t)
{
	end_error(list_entry(t, struct login, timer), ERR_AUTH, "wrong user or password");
}

static void failed(struct login *l, const char *why)
{
	struct slice pw = sasl_password(l->sasl);
	uint64_t ms = guard_failed(&l->guard, pw.len ? map_hash(pw.p, pw.len) | 1 : 0);
	logins.failed++;
	log_login(l, LOG_LV_WARN, "login-failed", why);
	if (l->conn)
		timer_set(&l->timer, ms, failure_is_due);
	else
		failure_is_due(&l->timer);
}

static void refuse(struct login *l)
{
	logins.refused++;
	log_login(l, LOG_LV_WARN, "login-refused", "too many failures");
	end_error(l, ERR_LIMIT, "too many failed logins, try again later");
}

/* Another identity than the user's own is nobody's right here. */
static bool authzid_is(const struct login *l, struct slice address)
{
	struct slice z = sasl_authzid(l->sasl);
	struct addr a;
	return z.len == 0 || slice_eq(z, sasl_user(l->sasl)) ||
	       (dir_addr(l->pool, z, &a) && slice_eq(a.full, address));
}

static void accepted(struct login *l, const char *how)
{
	const struct account *a = &l->cred.account;
	unsigned char grant[GRANT_LEN];
	if (!authzid_is(l, a->address)) {
		failed(l, "another identity was asked for");
		return;
	}
	if (a->epoch != grant_epoch_now(a->id)) {
		end_error(l, ERR_TEMP, "the account has just been changed");
		return;
	}
	if (!a->enabled) {
		log_login(l, LOG_LV_WARN, "login-failed", "disabled");
		end_error(l, ERR_DENIED, "this account is disabled");
		return;
	}
	guard_succeeded(&l->guard);
	logins.ok++;
	struct grant g = {.account = a->id,
			  .epoch = a->epoch,
			  .expires_ms = clock_ms() + conf.grant_life,
			  .role = l->role,
			  .shard = a->shard};
	struct msg_auth_ok m = {.grant = {(const char *)grant, grant_make(&g, grant)},
				.account = a->id,
				.address = a->address,
				.final = l->out,
				.login_delay_ms = a->login_delay_ms,
				.expire_ms = a->expire_ms};
	log_login(l, LOG_LV_INFO, "login", how);
	request_reply(l->rq, MSG_auth_ok, &m);
	login_free(l);
}

/* --- a better verifier of the same password -------------------------------------- */

struct renewal {
	struct op op;
	uint64_t account, epoch;
	struct verifier v;
};

static enum ipc_err renewal_run(struct base *b, struct op *op)
{
	struct renewal *r = (struct renewal *)op;
	return credential_renew(b, r->account, r->epoch, &r->v);
}

static void renewal_done(struct op *op)
{
	struct renewal *r = (struct renewal *)op;
	explicit_bzero(&r->v, sizeof(r->v));
	op_free(op);
}

static void renew(const struct login *l)
{
	struct renewal *r = (struct renewal *)op_new(sizeof(*r));
	r->account = l->cred.account.id;
	r->epoch = l->cred.account.epoch;
	r->v = l->fresh;
	r->op.run = renewal_run;
	r->op.done = renewal_done;
	if (!work_write(WORK_DIRECTORY, &r->op))
		renewal_done(&r->op); /* the next login tries again */
}

/* --- passwords --------------------------------------------------------------------- */

static void check_run(struct slow *s)
{
	struct login *l = list_entry(s, struct login, slow);
	struct slice pw = sasl_password(l->sasl);
	l->checked = credential_check(&l->cred, pw, &l->app, &l->renew);
	if (l->renew)
		l->renewed = verifier_make(pw, (unsigned)conf.scram_iterations, &l->fresh);
}

static void check_done(struct slow *s)
{
	struct login *l = list_entry(s, struct login, slow);
	if (l->checked == CREDENTIAL_WRONG) {
		failed(l, l->cred.known ? "password" : "user");
		return;
	}
	if (l->renewed)
		renew(l);
	if (l->cred.account.epoch == grant_epoch_now(l->cred.account.id))
		remember_add(sasl_user(l->sasl), sasl_password(l->sasl), l->cred.account.id);
	accepted(l, l->checked == CREDENTIAL_APP ? "app-password" : "password");
}

/* An operation on a directory reader for the login. */
static void read_for(struct login *l, enum ipc_err (*run)(struct base *b, struct op *op),
		     void (*done)(struct op *op))
{
	struct op *op = op_new(0);
	op->run = run;
	op->done = done;
	op->arg = l;
	l->generation = dir_generation();
	if (work_read(WORK_DIRECTORY, op))
		return;
	op_free(op);
	logins.busy++;
	end_error(l, ERR_TEMP, "too many logins at once");
}

static enum ipc_err credential_run(struct base *b, struct op *op)
{
	struct login *l = op->arg;
	return credential_get(b, l->pool, sasl_user(l->sasl), &l->cred);
}

static void credential_done(struct op *op)
{
	struct login *l = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e != ERR_OK) {
		end_error(l, e, "the directory cannot be read");
		return;
	}
	if (l->cred.known)
		dir_cache_put_account(l->generation, &l->cred.account);
	l->slow = (struct slow){.run = check_run, .done = check_done};
	if (!slow_submit(&l->slow)) {
		logins.busy++;
		end_error(l, ERR_TEMP, "too many logins at once");
	}
}

static enum ipc_err account_run(struct base *b, struct op *op)
{
	struct login *l = op->arg;
	return dir_account_by_id(b, l->pool, l->cred.account.id, &l->cred.account);
}

static void account_done(struct op *op)
{
	struct login *l = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e != ERR_OK) {
		end_error(l, ERR_TEMP, "the account has just been changed");
		return;
	}
	dir_cache_put_account(l->generation, &l->cred.account);
	accepted(l, "remembered");
}

static void password(struct login *l)
{
	uint64_t known = remember_find(sasl_user(l->sasl), sasl_password(l->sasl));
	if (known) {
		logins.remembered++;
		l->cred.account.id = known;
		if (dir_cache_account(known, l->pool, &l->cred.account))
			accepted(l, "remembered");
		else
			read_for(l, account_run, account_done);
		return;
	}
	if (guard_allows(&l->guard))
		read_for(l, credential_run, credential_done);
	else
		refuse(l);
}

/* --- steps --------------------------------------------------------------------------- */

/* SCRAM asks for the keys: on the reader's thread, inside step_run(). */
static bool keys_of(void *arg, struct slice user, struct verifier *out)
{
	struct login *l = arg;
	if (credential_get(l->base, l->pool, user, &l->cred) != ERR_OK)
		return false;
	*out = l->cred.v;
	return true;
}

static enum ipc_err step_run(struct base *b, struct op *op)
{
	struct login *l = op->arg;
	l->base = b;
	l->result = sasl_step(l->sasl, l->in, l->pool, &l->out);
	l->base = NULL;
	return ERR_OK;
}

static void step_done(struct op *op)
{
	struct login *l = op->arg;
	op_free(op);
	stepped(l);
}

static void step(struct login *l, struct slice in)
{
	l->in = in;
	if (in.len && sasl_wants_keys(l->sasl)) {
		read_for(l, step_run, step_done);
		return;
	}
	l->result = sasl_step(l->sasl, in, l->pool, &l->out);
	stepped(l);
}

static void ask(struct login *l)
{
	struct msg_auth_more m = {.auth = l->id, .challenge = l->out};
	struct request *rq = l->rq;
	if (!l->conn) {
		end_error(l, ERR_LOST, "");
		return;
	}
	l->rq = NULL;
	timer_set(&l->timer, CLIENT_MS, client_is_silent);
	request_reply(rq, MSG_auth_more, &m);
}

static void stepped(struct login *l)
{
	slice_wipe(l->in);
	l->in = SLICE("");
	if (!l->has_guard) { /* a user, or an address that is not to be heard */
		l->has_guard = sasl_user(l->sasl).len > 0;
		l->guard = guard_for(sasl_user(l->sasl), l->peer);
	}
	switch (l->result) {
	case SASL_MORE:
		if (!guard_allows(&l->guard))
			refuse(l);
		else
			ask(l);
		break;
	case SASL_PASSWORD:
		password(l);
		break;
	case SASL_VERIFIED:
		if (l->cred.known && !l->cred.fake)
			accepted(l, "scram");
		else
			failed(l, "user");
		break;
	case SASL_REFUSED:
		failed(l, "proof");
		break;
	case SASL_TEMP:
		end_error(l, ERR_TEMP, "the directory cannot be read");
		break;
	case SASL_MALFORMED:
		end_error(l, ERR_BAD, "not what the mechanism asks for");
		break;
	}
}

/* --- messages ------------------------------------------------------------------------- */

static const char *not_possible(const struct msg_auth_start *m, enum sasl_mech mech, enum role role,
				enum ipc_err *e)
{
	*e = ERR_BAD;
	if (mech == SASL_NONE)
		return "unknown mechanism";
	if (m->has_initial && m->initial.len == 0 && mech != SASL_LOGIN)
		return "an empty response says nothing";
	*e = ERR_DENIED;
	if (!m->tls && (mech == SASL_PLAIN || mech == SASL_LOGIN))
		return "a password may be sent over TLS only";
	*e = ERR_TEMP;
	bool full = logins.n >= LOGINS_MAX || logins.of_role[role] >= ROLE_LOGINS_MAX;
	return full ? "too many logins at once" : NULL;
}

void op_auth_start(struct request *rq)
{
	const struct msg_auth_start *m = rq->msg;
	enum ipc_err e;
	const char *why = not_possible(m, sasl_mech(m->mech), conn_role(rq->conn), &e);
	if (why) {
		slice_wipe(m->initial);
		request_error(rq, e, why);
		return;
	}
	struct login *l = login_new(rq, m);
	l->sasl = sasl_new(l->mech, m->cb_type, m->cb_data, keys_of, l);
	if (!l->sasl) {
		end_error(l, ERR_BAD, "the connection has no channel binding");
		return;
	}
	/* libgsasl's LOGIN takes no initial response: it wants to ask for the name first. */
	if (l->mech == SASL_LOGIN && m->has_initial && m->initial.len)
		sasl_step(l->sasl, SLICE(""), l->pool, &l->out);
	step(l, m->has_initial ? m->initial : SLICE(""));
}

void op_auth_step(struct request *rq)
{
	const struct msg_auth_step *m = rq->msg;
	struct login *l = NULL;
	if (logins.all.next)
		list_each(it, &logins.all)
		{
			struct login *x = list_entry(it, struct login, link);
			if (x->id == m->auth && x->conn == rq->conn && !x->rq)
				l = x;
		}
	if (!l) {
		slice_wipe(m->response);
		request_error(rq, ERR_TEMP, "this login was lost, begin again");
		return;
	}
	l->rq = rq;
	timer_clear(&l->timer);
	if (m->cancel)
		end_error(l, ERR_BAD, "cancelled");
	else if (m->response.len == 0 && sasl_wants_keys(l->sasl))
		end_error(l, ERR_BAD, "an empty response says nothing");
	else
		step(l, m->response);
}

void op_auth_closed(struct conn *c)
{
	if (!logins.all.next)
		return;
	list_each_safe(it, next, &logins.all)
	{
		struct login *l = list_entry(it, struct login, link);
		if (l->conn != c)
			continue;
		l->conn = NULL;
		if (!l->rq)
			login_free(l);
		else if (timer_is_set(&l->timer)) /* a failure whose answer was delayed */
			end_error(l, ERR_LOST, "");
	}
}

void op_auth_stats(struct buf *out)
{
	buf_printf(out,
		   "stored_logins_total %llu\nstored_logins_remembered_total %llu\n"
		   "stored_logins_failed_total %llu\nstored_logins_refused_total %llu\n"
		   "stored_logins_busy_total %llu\nstored_logins %u\n"
		   "stored_passwords_waiting %u\n",
		   (unsigned long long)logins.ok, (unsigned long long)logins.remembered,
		   (unsigned long long)logins.failed, (unsigned long long)logins.refused,
		   (unsigned long long)logins.busy, logins.n, slow_waiting());
}
