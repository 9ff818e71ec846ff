#include <stdio.h>
#include "dnsd/resolve/hints.h"
#include "dnsd/resolve/task.h"

struct deleg_families task_families = {true, true, false};
const struct resolve_own *task_own;

/* --- what is known -----------------------------------------------------------------------------
 */
static bool fits(const struct cached *c, enum task_mode mode)
{
	if (c->kind == CACHE_DELEGATION)
		return false;
	if (mode == TASK_UNCHECKED)
		return c->kind != CACHE_FAILURE || c->security != RRSET_BOGUS;
	return c->kind == CACHE_FAILURE || c->security > RRSET_BOGUS;
}

/* An ancestor's DNAME says what becomes of the name. */
static bool known_above(struct cache *cache, unsigned space, const uint8_t *name,
			enum task_mode mode, uint64_t now, struct cached *out)
{
	for (const uint8_t *up = name; *up;) {
		up += 1u + *up;
		if (cache_find_kind(cache, space, up, CACHE_RRSET, DNS_DNAME, now, out) &&
		    fits(out, mode))
			return true;
	}
	return false;
}

const uint8_t *step_apart(unsigned space, const uint8_t *name, uint16_t type)
{
	const uint8_t *place = type == DNS_DS && *name ? name + 1 + *name : name;
	const uint8_t *own = task_own ? task_own->zone(place) : NULL;
	const struct forward *f = own ? NULL : forward_find(space, place);
	const uint8_t *zone = own ? own : f ? f->zone : NULL;
	return zone && *zone ? zone : NULL;
}

/* That there is no such name, as zones above one that stands apart say: they do not know it. */
static bool is_beside(unsigned space, const uint8_t *name, uint16_t type, const struct cached *c)
{
	const uint8_t *zone = c->kind == CACHE_NXDOMAIN ? step_apart(space, name, type) : NULL;
	return zone && dns_name_len(c->set.owner) <= dns_name_len(zone);
}

bool step_known(struct cache *cache, unsigned space, const uint8_t *name, uint16_t type,
		enum task_mode mode, uint64_t now, bool stale, struct cached *out)
{
	if (cache_find(cache, space, name, type, now, stale, out) &&
	    !is_beside(space, name, type, out)) {
		if (fits(out, mode))
			return true;
		/* What was not validated stands before what says that it is bogus. */
		if (cache_find_kind(cache, space, name, CACHE_FAILURE, type, now, out) &&
		    fits(out, mode))
			return true;
	}
	return known_above(cache, space, name, mode, now, out);
}

/* --- from zone to zone -------------------------------------------------------------------------
 */
static void entered(struct task *t)
{
	t->asked = 0;
	t->state = TASK_ZONE;
}

static void enter(struct task *t, const struct cached *c)
{
	deleg_load(&t->deleg, c, task_families, task_lot());
	entered(t);
}

static bool is_priming(const struct task *t)
{
	return t->type == DNS_NS && *t->name == 0;
}

/* The root's servers are found out from those that are known beforehand (RFC 8109). */
static void prime(const struct task *t)
{
	struct run *run = run_like(t->run);
	task_start(run, (const uint8_t *)"", DNS_NS, TASK_UNCHECKED);
	run_release(&run);
}

/* Servers that are named by conf, or are this process, unless a delegation leads further than
 * they do. */
static bool find_ours(struct task *t, const struct cached *c)
{
	const uint8_t *place = task_place(t), *own = task_own ? task_own->zone(place) : NULL;
	const struct forward *f = t->direct ? NULL : forward_find(t->run->space, place);
	unsigned reaches = c ? dns_name_labels(c->set.owner) : 0;
	if (own && f && dns_name_labels(f->zone) > dns_name_labels(own))
		own = NULL;
	if (own && dns_name_labels(own) >= reaches) {
		deleg_load_own(&t->deleg, own);
	} else if (!own && f && (!f->stub || dns_name_labels(f->zone) >= reaches)) {
		deleg_load_forward(&t->deleg, f);
		t->minimise.off |= !f->stub;
	} else {
		return false;
	}
	entered(t);
	return true;
}

static void find_zone(struct task *t)
{
	struct cached c;
	bool found = cache_delegation(t->run->cache, t->run->space, t->name, t->type == DNS_DS,
				      task_now(), &c);
	if (find_ours(t, found ? &c : NULL))
		return;
	if (found) {
		enter(t, &c);
		return;
	}
	if (!is_priming(t))
		prime(t);
	enter(t, hints());
}

/* What the parent said of DS when it referred us to the zone. */
static bool from_referral(struct task *t)
{
	struct cached c;
	struct scrubbed *r = &t->reply;
	const struct rrset *set[SCRUB_SETS];
	if (t->type != DNS_DS || t->mode == TASK_UNCHECKED || t->renew ||
	    !cache_find_kind(t->run->cache, t->run->space, t->name, CACHE_DELEGATION, DNS_NS,
			     task_now(), &c))
		return false;
	*r = (struct scrubbed){.kind = SCRUB_NODATA, .ede = RESOLVE_NO_EDE};
	unsigned n = scrub_records(t->pool, c.extra, set, SCRUB_SETS);
	for (unsigned i = 0; i < n; i++) {
		if (set[i]->type == DNS_DS) {
			r->kind = SCRUB_ANSWER;
			r->main = set[i];
		} else if ((set[i]->type == DNS_NSEC || set[i]->type == DNS_NSEC3) &&
			   r->proofs < SCRUB_PROOFS) {
			r->proof[r->proofs++] = set[i];
		}
	}
	t->referred = r->main || r->proofs;
	if (t->referred)
		task_say(t, "%s, as the parent said when it referred to the zone",
			 r->main ? "there is one" : "there is none");
	return t->referred;
}

/* False: the task is gone. */
static bool begin(struct task *t)
{
	struct cached c, root;
	if (!t->renew &&
	    step_known(t->run->cache, t->run->space, t->name, t->type, t->mode, task_now(), false,
		       &c) &&
	    (!is_priming(t) || c.kind != CACHE_RRSET ||
	     cache_delegation(t->run->cache, t->run->space, t->name, false, task_now(), &root))) {
		task_known(t, &c);
		return false;
	}
	find_zone(t);
	if (from_referral(t))
		t->state = TASK_PROVE;
	return true;
}

/* --- replies -----------------------------------------------------------------------------------
 */
/* False: the task is gone. */
static bool referred(struct task *t)
{
	struct cached c;
	if (++t->depth > TASK_DEPTH) {
		snprintf(t->why, sizeof(t->why), "more than %d referrals", TASK_DEPTH);
		task_fail(t, EDE_OTHER, false);
		return false;
	}
	put_cached(t->pool, &t->reply, t->name, t->type, 0, &c);
	cache_put(t->run->cache, t->run->space, &c, task_now());
	enter(t, &c);
	return true;
}

/* The root's servers as delegation. */
static void primed(struct task *t)
{
	struct scrubbed as = t->reply;
	struct cached c;
	as.kind = SCRUB_REFERRAL;
	put_cached(t->pool, &as, t->name, t->type, 0, &c);
	if (!as.addresses) { /* it does not help */
		uint32_t ttl = c.set.ttl;
		c = *hints();
		c.set.ttl = ttl;
	}
	cache_put(t->run->cache, t->run->space, &c, task_now());
}

/* A part of the name was asked for. */
static void part(struct task *t)
{
	t->state = TASK_ASK;
	t->asked = 0;
	t->deleg.server[t->reply_server].tries = 0; /* it is a new question */
	/* Servers that know nothing of empty non-terminals say that there is no such name. */
	if (t->reply.kind == SCRUB_NXDOMAIN || t->reply.kind == SCRUB_DNAME)
		t->minimise.off = true;
	else
		minimise_exists(&t->minimise, t->reply_name);
}

/* False: the task is gone. */
static bool reply(struct task *t)
{
	struct cached c;
	bool whole = t->reply_name == t->name;
	t->minimise.asked += !whole;
	if (t->reply.kind == SCRUB_REFERRAL)
		return referred(t);
	if (!whole) {
		part(t);
		return true;
	}
	if (is_priming(t) && t->reply.kind == SCRUB_ANSWER)
		primed(t);
	if (t->mode == TASK_UNCHECKED) {
		put_cached(t->pool, &t->reply, t->name, t->type, 0, &c);
		task_finish(t, &c);
		return false;
	}
	t->state = TASK_PROVE;
	return true;
}

/* --- all of it ---------------------------------------------------------------------------------
 */
/* False: the task waits, or is gone. */
static bool proving(struct task *t)
{
	struct cached c;
	switch (prove_step(t, &c)) {
	case PROVE_WAIT:
		return false;
	case PROVE_LATER:
		task_wake_later(t);
		return false;
	case PROVE_AGAIN:
		t->state = TASK_ASK;
		return true;
	case PROVE_BOGUS:
	case PROVE_BROKEN:
		task_fail(t, t->ede, false);
		return false;
	case PROVE_DONE:
		break;
	}
	task_finish(t, &c);
	return false;
}

/* False: the task waits, or is gone. */
static bool zone(struct task *t)
{
	t->state = TASK_ASK;
	if (t->mode != TASK_CHAIN)
		return true;
	struct cached c = {.kind = CACHE_NODATA,
			   .security = RRSET_INSECURE,
			   .set = {.owner = t->name, .type = t->type},
			   .ede = RESOLVE_NO_EDE};
	switch (prove_above(t)) {
	case ABOVE_WAIT:
		t->state = TASK_ZONE;
		return false;
	case ABOVE_SIGNED:
		return true;
	case ABOVE_INSECURE:
		/* Nobody has said so of this name: it is for this chain only. */
		task_known(t, &c);
		return false;
	case ABOVE_BROKEN:
		task_fail(t, t->ede, false);
		return false;
	}
	return true;
}

/* False: the task waits, or is gone. */
static bool asking(struct task *t)
{
	if (t->deleg.own ? ask_own(t) : ask_step(t) == ASK_WAIT)
		return t->state == TASK_REPLY;
	if (t->deleg.forward && t->deleg.forward->first) {
		task_say(t, "no forwarder is of use: the usual way");
		t->direct = true;
		t->minimise.off = false;
		find_zone(t);
		return true;
	}
	task_fail(t, t->ede, t->full);
	return false;
}

static bool step(struct task *t)
{
	switch (t->state) {
	case TASK_BEGIN:
		return begin(t);
	case TASK_ZONE:
		return zone(t);
	case TASK_ASK:
		return asking(t);
	case TASK_REPLY:
		return reply(t);
	case TASK_PROVE:
		return proving(t);
	default:
		return false;
	}
}

void task_step(struct task *t)
{
	while (step(t))
		;
}
