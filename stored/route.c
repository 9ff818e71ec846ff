/* Where the recipients of a message lead: answered from the directory's cache on the loop's
 * thread when all is known there, else by one read of the directory for all of them. */
#include "libcommon/base/clock.h"
#include "stored/dir.h"
#include "stored/mail.h"
#include "stored/srs.h"

/* What is returned to a sender that we made (srs.h) goes to the one that it was made of. */
static void unwrap(struct route *r, struct route_rcpt *rc)
{
	struct slice to;
	rc->err = ERR_OK;
	rc->look = rc->addr;
	enum srs found = conf.srs_domain ? srs_back(r->pool, rc->addr, slice_of(conf.srs_domain),
						    clock_ms(), conf.srs_lifetime, &to)
					 : SRS_NONE;
	if (found == SRS_NONE)
		return;
	if (found == SRS_FORGED) {
		rc->err = ERR_NOTFOUND;
		rc->text = "no such return address";
	} else if (found == SRS_OLD) {
		rc->err = ERR_DENIED;
		rc->text = "the return address is no longer valid";
	} else if (!r->bounce) {
		rc->err = ERR_DENIED;
		rc->text = "a return address takes notices only";
	} else {
		rc->look = to;
		rc->returned = true;
	}
}

static bool accounts_cached(struct pool *pool, struct route_rcpt *r)
{
	r->account = pool_alloc(pool, (r->to.n + 1) * sizeof(*r->account));
	for (size_t i = 0; i < r->to.n; i++)
		if (r->to.t[i].account &&
		    !dir_cache_account(r->to.t[i].account, pool, &r->account[i]))
			return false;
	return true;
}

static bool all_cached(struct route *r)
{
	bool all = true;
	for (size_t i = 0; i < r->n; i++) {
		struct route_rcpt *rc = &r->rcpt[i];
		rc->known = rc->err != ERR_OK || (dir_cache_resolve(rc->look, r->pool, &rc->to) &&
						  accounts_cached(r->pool, rc));
		all = all && rc->known;
	}
	return all;
}

static bool is_answer(enum ipc_err e)
{
	return e == ERR_NOTFOUND || e == ERR_NOTLOCAL;
}

static enum ipc_err look_up(struct base *b, struct pool *pool, struct route_rcpt *rc)
{
	enum ipc_err e = dir_resolve(b, pool, rc->look, &rc->to);
	if (e != ERR_OK)
		return e;
	rc->account = pool_alloc(pool, (rc->to.n + 1) * sizeof(*rc->account));
	for (size_t i = 0; i < rc->to.n && e == ERR_OK; i++)
		if (rc->to.t[i].account)
			e = dir_account_by_id(b, pool, rc->to.t[i].account, &rc->account[i]);
	return e;
}

static enum ipc_err run(struct base *b, struct op *op)
{
	struct route *r = op->arg;
	if (r->check_sender && r->sender.len) {
		enum ipc_err e = dir_may_send(b, r->pool, r->submitter, r->sender);
		if (e != ERR_OK)
			return e;
	}
	for (size_t i = 0; i < r->n; i++) {
		struct route_rcpt *rc = &r->rcpt[i];
		if (rc->known)
			continue;
		rc->err = look_up(b, r->pool, rc);
		if (rc->err != ERR_OK && !is_answer(rc->err))
			return rc->err;
	}
	return ERR_OK;
}

/* Disabled accounts get no mail: of several targets they are passed over, and when all are
 * disabled the sender is told. The cache keeps them, as they were found. */
static void pass_over_disabled(struct route_rcpt *rc)
{
	size_t kept = 0;
	for (size_t i = 0; i < rc->to.n; i++) {
		if (rc->account[i].id && !rc->account[i].enabled)
			continue;
		rc->to.t[kept] = rc->to.t[i];
		rc->account[kept++] = rc->account[i];
	}
	if (rc->to.n && !kept) {
		rc->err = ERR_DISABLED;
		rc->text = "the mailbox is disabled";
	}
	rc->to.n = kept;
}

/* An address outside is a target only for those who may relay, and for what is returned to it. */
static void judge(struct route *r, struct route_rcpt *rc)
{
	if (rc->text)
		return; /* by unwrap() */
	if (rc->err == ERR_NOTLOCAL && (r->submitter || r->may_relay || rc->returned)) {
		rc->err = ERR_OK;
		rc->to = (struct targets){.t = pool_alloc(r->pool, sizeof(struct target)),
					  .n = 1,
					  .kind = RCPT_RELAY,
					  .canonical = rc->addr};
		rc->to.t[0].address = rc->look;
		rc->account = pool_alloc(r->pool, sizeof(*rc->account));
	} else if (rc->err == ERR_NOTLOCAL) {
		rc->text = "relaying is not permitted";
	} else if (rc->err == ERR_NOTFOUND || (rc->err == ERR_OK && rc->to.n == 0)) {
		rc->err = ERR_NOTFOUND;
		rc->text = "no such user here";
	} else if (rc->err == ERR_OK) {
		pass_over_disabled(rc);
	}
}

static void finish(struct route *r)
{
	for (size_t i = 0; i < r->n; i++)
		judge(r, &r->rcpt[i]);
	r->done(r);
}

static void on_loop(struct op *op)
{
	struct route *r = op->arg;
	r->err = op->err;
	if (r->err == ERR_DENIED || r->err == ERR_NOTFOUND) {
		r->err = ERR_DENIED;
		r->text = "the sender's address is not this user's";
	}
	op_free(op);
	for (size_t i = 0; i < r->n && r->err == ERR_OK; i++) {
		struct route_rcpt *rc = &r->rcpt[i];
		if (rc->known || rc->err != ERR_OK)
			continue;
		dir_cache_put_resolve(rc->look, r->generation, &rc->to);
		for (size_t k = 0; k < rc->to.n; k++)
			if (rc->to.t[k].account)
				dir_cache_put_account(r->generation, &rc->account[k]);
	}
	if (r->err == ERR_OK)
		finish(r);
	else
		r->done(r);
}

void route_start(struct route *r)
{
	r->err = ERR_OK;
	r->generation = dir_generation();
	for (size_t i = 0; i < r->n; i++)
		unwrap(r, &r->rcpt[i]);
	if (all_cached(r) && !(r->check_sender && r->sender.len)) {
		finish(r);
		return;
	}
	struct op *op = op_new(0);
	op->run = run;
	op->done = on_loop;
	op->arg = r;
	if (work_read(WORK_DIRECTORY, op))
		return;
	op_free(op);
	r->err = ERR_TEMP;
	r->text = "the store is busy";
	r->done(r);
}
