/* Where mail for an address goes. Aliases may lead to aliases: DEPTH_MAX levels, each address
 * visited once, so that loops end; TARGETS_MAX in all, so that no message multiplies without
 * bound. An alias's target that no longer exists is passed over. */
#include "stored/dir.h"
#include "stored/sql.h"

enum { DEPTH_MAX = 10, VISITS_MAX = 1000 };

struct visit {
	struct visit *next;
	struct addr addr;
	struct slice detail; /* inherited from the alias that led here */
	unsigned depth;
};

struct resolve {
	struct base *b;
	struct pool *pool;
	struct visit *first, **end; /* every address met, those to be looked at last */
	size_t visits;
	struct targets *out;
	size_t cap;
	bool caught; /* a catch-all took part */
};

static void visit(struct resolve *r, const struct addr *a, struct slice detail, unsigned depth)
{
	for (const struct visit *v = r->first; v; v = v->next)
		if (slice_eq(v->addr.full, a->full))
			return;
	if (depth > DEPTH_MAX || r->visits >= VISITS_MAX)
		return;
	struct visit *v = pool_alloc(r->pool, sizeof(*v));
	*v = (struct visit){.addr = *a, .detail = detail, .depth = depth};
	*r->end = v;
	r->end = &v->next;
	r->visits++;
}

static void target(struct resolve *r, const struct target *t)
{
	struct targets *o = r->out;
	for (size_t i = 0; i < o->n; i++)
		if (t->account ? o->t[i].account == t->account
			       : slice_eq(o->t[i].address, t->address))
			return;
	o->t = pool_grow(r->pool, o->t, o->n, &r->cap, sizeof(*o->t));
	o->t[o->n++] = *t;
}

static enum ipc_err account(struct resolve *r, struct slice address, struct slice detail)
{
	enum db_result res;
	db_start(r->b->db, SQL_RESOLVE_ACCOUNT);
	db_text(r->b->db, address);
	enum ipc_err e = dir_one(r->b, &res);
	struct target t = {.detail = detail};
	if (e == ERR_OK) {
		t.account = db_col_u64(r->b->db, 0);
		t.shard = (unsigned)db_col_u64(r->b->db, 1);
		t.address = slice_copy(r->pool, db_col(r->b->db, 2));
	}
	db_reset(r->b->db);
	if (e == ERR_OK)
		target(r, &t);
	return e;
}

static enum ipc_err alias(struct resolve *r, struct slice address, struct slice detail,
			  unsigned depth)
{
	enum db_result res;
	bool any = false;
	db_start(r->b->db, SQL_ALIAS_TARGETS);
	db_text(r->b->db, address);
	while ((res = db_step(r->b->db)) == DB_ROW) {
		struct addr a;
		any = true;
		if (dir_addr(r->pool, db_col(r->b->db, 0), &a))
			visit(r, &a, detail, depth + 1);
	}
	db_reset(r->b->db);
	if (res != DB_DONE)
		return work_err(r->b, res);
	return any ? ERR_OK : ERR_NOTFOUND;
}

/* Account or alias of just this address. */
static enum ipc_err exactly(struct resolve *r, struct slice address, struct slice detail,
			    unsigned depth)
{
	enum ipc_err e = account(r, address, detail);
	return e == ERR_NOTFOUND ? alias(r, address, detail, depth) : e;
}

bool dir_plus(struct pool *pool, const struct addr *a, struct addr *base, struct slice *detail)
{
	size_t n = conf.plus_separator ? strlen(conf.plus_separator) : 0;
	const char *at = n ? memmem(a->local.p, a->local.len, conf.plus_separator, n) : NULL;
	if (!at || at == a->local.p)
		return false;
	*base = *a;
	base->local.len = (size_t)(at - a->local.p);
	*detail = (struct slice){at + n, a->local.len - base->local.len - n};
	base->full.p =
	    pool_printf(pool, "%.*s@%.*s", SLICE_FMT(base->local), SLICE_FMT(base->domain));
	base->full.len = base->local.len + 1 + base->domain.len;
	return true;
}

/* ERR_NOTLOCAL: no domain of ours. */
static enum ipc_err our_domain(struct resolve *r, struct slice name, struct slice *catch_all)
{
	enum db_result res;
	db_start(r->b->db, SQL_RESOLVE_DOMAIN);
	db_text(r->b->db, name);
	enum ipc_err e = dir_one(r->b, &res);
	if (e == ERR_OK)
		*catch_all = slice_copy(r->pool, db_col(r->b->db, 0));
	db_reset(r->b->db);
	return e == ERR_NOTFOUND ? ERR_NOTLOCAL : e;
}

static enum ipc_err look(struct resolve *r, const struct visit *v)
{
	struct slice catch_all, detail;
	struct addr base, caught;
	enum ipc_err e = our_domain(r, v->addr.domain, &catch_all);
	if (e == ERR_NOTLOCAL && v->depth) {
		struct target t = {.address = v->addr.full, .detail = SLICE("")};
		target(r, &t);
		return ERR_OK;
	}
	if (e != ERR_OK)
		return e;
	e = exactly(r, v->addr.full, v->detail, v->depth);
	if (e == ERR_NOTFOUND && dir_plus(r->pool, &v->addr, &base, &detail))
		e = exactly(r, base.full, detail, v->depth);
	if (e != ERR_NOTFOUND || catch_all.len == 0 || !dir_addr(r->pool, catch_all, &caught))
		return e;
	r->caught = true;
	visit(r, &caught, SLICE(""), v->depth + 1);
	return ERR_OK;
}

/* "postmaster" without a domain (RFC 5321 4.5.1) is the first domain's. */
static enum ipc_err typed(struct resolve *r, struct slice rcpt, struct addr *out)
{
	if (slice_ieqs(rcpt, "postmaster")) {
		enum db_result res;
		db_start(r->b->db, SQL_DOMAIN_FIRST);
		enum ipc_err e = dir_one(r->b, &res);
		if (e == ERR_OK) {
			struct slice d = db_col(r->b->db, 0);
			rcpt.p = pool_printf(r->pool, "postmaster@%.*s", SLICE_FMT(d));
			rcpt.len = strlen(rcpt.p);
		}
		db_reset(r->b->db);
		if (e != ERR_OK)
			return e;
	}
	return dir_addr(r->pool, rcpt, out) ? ERR_OK : ERR_NOTFOUND;
}

static enum ipc_err resolve(struct base *b, struct pool *pool, struct slice rcpt,
			    struct targets *out, bool *caught)
{
	struct addr a;
	struct resolve r = {.b = b, .pool = pool, .out = out};
	r.end = &r.first;
	*out = (struct targets){.canonical = rcpt};
	enum ipc_err e = typed(&r, rcpt, &a);
	if (e != ERR_OK)
		return e;
	out->canonical = a.full;
	visit(&r, &a, SLICE(""), 0);
	for (const struct visit *v = r.first; v; v = v->next) {
		e = look(&r, v);
		if (e != ERR_OK && (e != ERR_NOTFOUND || v->depth == 0))
			return e;
	}
	*caught = r.caught;
	out->kind = r.visits == 1 ? RCPT_LOCAL : RCPT_ALIAS;
	return out->n ? ERR_OK : ERR_NOTFOUND;
}

enum ipc_err dir_resolve(struct base *b, struct pool *pool, struct slice rcpt, struct targets *out)
{
	bool caught;
	return resolve(b, pool, rcpt, out, &caught);
}

enum ipc_err dir_may_send(struct base *b, struct pool *pool, uint64_t account, struct slice from)
{
	struct targets t;
	bool caught;
	if (from.len == 0 || is_local_user(account))
		return ERR_OK; /* the null sender belongs to everybody */
	enum ipc_err e = resolve(b, pool, from, &t, &caught);
	if (e == ERR_NOTFOUND || e == ERR_NOTLOCAL)
		return ERR_DENIED;
	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < t.n && !caught; i++)
		if (t.t[i].account == account)
			return ERR_OK;
	return ERR_DENIED;
}
