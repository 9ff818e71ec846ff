#include "dnsd/resolve/prove.h"
#include <stdlib.h>
#include "libcommon/base/mem.h"

static struct prove *begin(struct task *t)
{
	struct prove *p = mem_alloc(sizeof(*p));
	p->pool = pool_new(0);
	p->ttl = UINT32_MAX;
	p->ede = RESOLVE_NO_EDE;
	validate_work_init(&p->work);
	t->prove = p;
	return p;
}

void prove_end(struct task *t)
{
	if (!t->prove)
		return;
	task_unwait(&t->prove->wait);
	pool_free(&t->prove->pool);
	free(t->prove);
	t->prove = NULL;
}

static enum prove_verdict phase(struct task *t, struct prove *p)
{
	switch (p->phase) {
	case PHASE_BEGIN:
		return chain_begin(t, p);
	case PHASE_WALK:
		return chain_walk(t, p);
	case PHASE_DS:
		return chain_ds(t, p);
	case PHASE_KEYS:
		return chain_keys(t, p);
	case PHASE_SETS:
		return sets_check(t, p);
	case PHASE_DENIAL:
		return sets_denial(t, p);
	}
	return VERDICT_NONE;
}

/* What the answer was expanded from, for other names that it stands for. */
static void keep_wildcard(const struct task *t, const struct prove *p, const struct cached *c)
{
	struct cached w = *c;
	uint8_t name[DNS_NAME_MAX] = "\1*";
	const uint8_t *encloser = c->set.owner;
	for (unsigned skip = dns_name_labels(encloser) - p->labels; skip; skip--)
		encloser += 1u + *encloser;
	memcpy(name + 2, encloser, dns_name_len(encloser));
	w.set.owner = name;
	w.extra = (struct slice){NULL, 0};
	w.extras = w.labels = 0;
	cache_put(t->run->cache, t->run->space, &w, task_now());
}

/* For the cache. */
static enum proven done(struct task *t, enum rrset_security security, struct cached *c)
{
	struct prove *p = t->prove;
	bool secure = security == RRSET_SECURE;
	if (secure &&
	    (t->reply.kind == SCRUB_NODATA || t->reply.kind == SCRUB_NXDOMAIN || p->expanded))
		t->reply.proofs = p->proofs; /* only those that were checked */
	put_cached(t->pool, &t->reply, t->name, t->type, secure ? p->expanded : 0, c);
	c->security = security;
	if (secure && p->ttl < c->set.ttl)
		c->set.ttl = p->ttl;
	/* A referral's proof has no SOA with it. */
	if (t->referred && !t->reply.main && p->ttl != UINT32_MAX)
		c->set.ttl = p->ttl;
	if (c->kind == CACHE_NODATA)
		c->labels = p->cut;
	if (secure && p->expanded && c->kind == CACHE_RRSET)
		keep_wildcard(t, p, c);
	task_say(t, "%s",
		 secure                       ? "secure"
		 : security == RRSET_INSECURE ? "insecure: no signatures are wanted"
					      : "there is no trust anchor above it");
	prove_end(t);
	return PROVE_DONE;
}

static enum proven is_bogus(struct task *t)
{
	/* What came with a referral may be out of date; a server may be broken. */
	bool again = t->referred || (t->retried < PROVE_RETRIES && !t->deleg.own);
	task_say(t, "BOGUS: %s", t->why);
	prove_end(t);
	if (!again)
		return PROVE_BOGUS;
	if (t->referred) {
		t->referred = false;
	} else {
		t->deleg.server[t->reply_server].bad = true;
		t->retried++;
	}
	t->bogus_ede = t->ede;
	memcpy(t->bogus_why, t->why, sizeof(t->why));
	return PROVE_AGAIN;
}

enum proven prove_step(struct task *t, struct cached *c)
{
	struct prove *p = t->prove ? t->prove : begin(t);
	for (;;) {
		switch (phase(t, p)) {
		case VERDICT_NONE:
			break;
		case VERDICT_WAIT:
			return PROVE_WAIT;
		case VERDICT_LATER:
			return PROVE_LATER;
		case VERDICT_INDETERMINATE:
			return done(t, RRSET_INDETERMINATE, c);
		case VERDICT_INSECURE:
			return done(t, RRSET_INSECURE, c);
		case VERDICT_SECURE:
			return done(t, RRSET_SECURE, c);
		case VERDICT_BOGUS:
			return is_bogus(t);
		case VERDICT_BROKEN:
			return PROVE_BROKEN;
		}
	}
}

enum above prove_above(struct task *t)
{
	struct prove *p = t->prove ? t->prove : begin(t);
	enum prove_verdict v = chain_above(t, p);
	if (v == VERDICT_WAIT)
		return ABOVE_WAIT;
	prove_end(t);
	return v == VERDICT_BROKEN ? ABOVE_BROKEN
	       : v == VERDICT_NONE ? ABOVE_SIGNED
				   : ABOVE_INSECURE;
}
