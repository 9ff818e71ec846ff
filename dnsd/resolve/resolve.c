/* Clients' questions: from the cache, or by tasks, along CNAMEs and DNAMEs. */
#include <stdio.h>
#include <stdlib.h>
#include "dnsd/resolve/chase.h"
#include "dnsd/resolve/hints.h"
#include "dnsd/resolve/prove.h"
#include "dnsd/resolve/proven.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/rdata.h"

enum { RESOLUTIONS = 50000 /* at a time */ };

struct resolution {
	struct list all;
	struct ready ready;
	struct run *run;
	struct pool *pool; /* of the parts */
	resolve_fn *fn;
	void *arg;
	struct resolve_ask ask; /* name: in the pool */
	struct wait wait;
	uint8_t name[DNS_NAME_MAX]; /* that is looked for now */
	struct resolved out;
};

static struct cache *the_cache;
static struct list every;
static unsigned resolutions;
static struct buf proofs[RESOLVE_HOPS + 2]; /* of the parts of an answer */

void resolve_start(struct cache *cache)
{
	the_cache = cache;
	resolutions = 0;
	list_init(&every);
}

static void end(struct resolution *r)
{
	ready_clear(&r->ready);
	task_unwait(&r->wait);
	list_del(&r->all);
	run_release(&r->run);
	pool_free(&r->pool);
	resolutions--;
	free(r);
}

void resolve_stop(void)
{
	if (!the_cache)
		return;
	while (!list_empty(&every))
		end(list_entry(every.next, struct resolution, all));
	tasks_stop();
	hints_forget();
	proven_stop();
	for (unsigned i = 0; i < RESOLVE_HOPS + 2; i++)
		buf_free(&proofs[i]);
	resolve_anchors(NULL);
	task_own = NULL;
	the_cache = NULL;
}

bool resolve_hints(const char *text, const char **why)
{
	bool ok = hints_set(text, why);
	task_families.loopback = hints_on_loopback();
	return ok;
}

void resolve_anchors(const struct anchors *a)
{
	prove_anchors = a;
	ask_checking_disabled = a != NULL;
}

void resolve_own(const struct resolve_own *own)
{
	task_own = own;
}

void resolve_aggressive(size_t octets)
{
	proven_start(the_cache, octets);
}

void resolve_flush(const uint8_t *name)
{
	proven_flush(name);
}

void resolve_families(bool v4, bool v6)
{
	task_families.v4 = v4;
	task_families.v6 = v6;
}

/* --- the parts of an answer --------------------------------------------------------------------
 */
enum next { NEXT_PART, NEXT_NONE };

/* why NULL: it is there already. */
static void failed(struct resolved *out, uint16_t ede, enum rrset_security security,
		   const char *why)
{
	out->n = 0;
	out->rcode = DNS_SERVFAIL;
	out->security = security;
	out->ede = ede;
	if (why)
		snprintf(out->why, sizeof(out->why), "%s", why);
}

static void begin(struct resolved *out)
{
	out->n = 0;
	out->rcode = DNS_NOERROR;
	out->security = RRSET_SECURE;
	out->ede = RESOLVE_NO_EDE;
	out->why[0] = '\0';
	out->stale = out->prefetch = false;
}

static bool was_there(const struct resolved *out, const uint8_t *name)
{
	for (unsigned i = 0; i < out->n; i++)
		if (out->part[i].set.type == DNS_CNAME && dns_name_eq(out->part[i].set.owner, name))
			return true;
	return false;
}

static bool put(struct resolved *out, const struct cached *c)
{
	if (out->n > RESOLVE_HOPS)
		return false;
	out->part[out->n++] = *c;
	if (c->security < out->security)
		out->security = c->security;
	if (c->ede != RESOLVE_NO_EDE)
		out->ede = c->ede;
	out->stale |= c->stale;
	out->prefetch |= c->prefetch;
	return true;
}

/* Adds the part, which was found for *name; NEXT_PART: *name is where it leads. room: for the CNAME
 * of a DNAME. owner: the name where it will stay. */
static enum next add(struct resolved *out, const uint8_t *owner, uint16_t type,
		     const struct cached *c, uint8_t *room, uint8_t name[DNS_NAME_MAX])
{
	struct cached cname;
	uint8_t target[DNS_NAME_MAX];
	enum chase chase;
	bool fits;
	if (c->kind == CACHE_FAILURE) {
		failed(out, c->ede, c->security, NULL);
		return NEXT_NONE;
	}
	fits = put(out, c);
	chase = chase_next(owner, type, c, target);
	if (chase == CHASE_END) {
		if (c->kind == CACHE_NXDOMAIN)
			out->rcode = DNS_NXDOMAIN;
	} else if (chase == CHASE_TOO_LONG) {
		out->rcode = DNS_YXDOMAIN;
	} else if (fits && c->set.type == DNS_DNAME) {
		chase_cname(c, owner, target, room, &cname);
		fits = put(out, &cname);
	}
	if (!fits || (chase == CHASE_ON && was_there(out, target))) {
		failed(out, EDE_OTHER, RRSET_INDETERMINATE,
		       fits ? "its CNAMEs lead in a circle" : "too many CNAMEs");
		return NEXT_NONE;
	}
	if (chase != CHASE_ON)
		return NEXT_NONE;
	memcpy(name, target, dns_name_len(target));
	/* The type asked may be what it has led to already. */
	return type == DNS_CNAME && c->set.type == DNS_DNAME ? NEXT_NONE : NEXT_PART;
}

bool resolve_cached(const struct resolve_ask *q, uint64_t now, bool stale, struct resolved *out)
{
	/* The names of a chain: those that DNAMEs make are nowhere else. */
	static uint8_t names[RESOLVE_HOPS + 2][DNS_NAME_MAX];
	static uint8_t room[RESOLVE_HOPS + 2][2 + DNS_NAME_MAX];
	enum task_mode mode = q->checking_disabled ? TASK_UNCHECKED : TASK_CHECKED;
	const uint8_t *name = q->name;
	begin(out);
	for (unsigned i = 0; i < RESOLVE_HOPS + 2; i++) {
		struct cached c;
		if (!step_known(the_cache, q->space, name, q->type, mode, now, stale, &c) &&
		    (q->checking_disabled || step_apart(q->space, name, q->type) ||
		     !proven_find(the_cache, q->space, name, q->type, now, &proofs[i], &c)))
			return false;
		if (add(out, name, q->type, &c, room[i], names[i]) == NEXT_NONE)
			return true;
		name = names[i];
	}
	return false;
}

/* --- questions ---------------------------------------------------------------------------------
 */
static void go_on(struct resolution *r);

static void tell(struct resolution *r)
{
	r->run->explain = NULL; /* it may be gone after this */
	if (r->fn)
		r->fn(r->arg, &r->out);
	end(r);
}

static void part(struct resolution *r, const struct cached *c)
{
	struct cached mine = put_copy(r->pool, c);
	uint8_t *room = pool_alloc(r->pool, 2 + DNS_NAME_MAX);
	const uint8_t *owner = pool_dup(r->pool, r->name, dns_name_len(r->name));
	if (add(&r->out, owner, r->ask.type, &mine, room, r->name) == NEXT_PART)
		go_on(r);
	else
		tell(r);
}

static void found(struct wait *w, const struct result *res)
{
	struct resolution *r = w->arg;
	if (res->c.kind == CACHE_FAILURE)
		snprintf(r->out.why, sizeof(r->out.why), "%s", res->why);
	part(r, &res->c);
}

static void go_on(struct resolution *r)
{
	enum task_mode mode = r->ask.checking_disabled ? TASK_UNCHECKED : TASK_CHECKED;
	struct cached c;
	if (!r->ask.renew &&
	    (step_known(r->run->cache, r->run->space, r->name, r->ask.type, mode, task_now(), false,
			&c) ||
	     (!r->ask.checking_disabled && !step_apart(r->run->space, r->name, r->ask.type) &&
	      proven_find(r->run->cache, r->run->space, r->name, r->ask.type, task_now(), proofs,
			  &c)))) {
		part(r, &c);
		return;
	}
	r->wait = (struct wait){.fn = found, .arg = r};
	if (task_wait(&r->wait, r->run, r->name, r->ask.type, mode))
		return;
	failed(&r->out, EDE_OTHER, RRSET_INDETERMINATE, "too many questions at once");
	tell(r);
}

/* RRSIG, ANY and the like are no data of their own (RFC 8482). */
static bool may_be_asked(uint16_t type)
{
	return type != DNS_RRSIG && !dns_type_is_meta(type);
}

static void first(struct ready *ready)
{
	struct resolution *r = list_entry(ready, struct resolution, ready);
	if (may_be_asked(r->ask.type)) {
		go_on(r);
		return;
	}
	failed(&r->out, RESOLVE_NO_EDE, RRSET_INDETERMINATE, "this type is not asked for");
	r->out.rcode = DNS_NOTIMP;
	tell(r);
}

struct resolution *resolve(const struct resolve_ask *q, resolve_fn *fn, void *arg)
{
	if (!the_cache || resolutions >= RESOLUTIONS)
		return NULL;
	struct resolution *r = mem_alloc(sizeof(*r));
	*r = (struct resolution){.fn = fn, .arg = arg, .ask = *q};
	r->pool = pool_new(0);
	r->run = q->apart ? run_new_apart(q->space) : NULL;
	if (!r->run)
		r->run = run_new(the_cache, q->space);
	r->run->explain = q->explain;
	r->run->renew = q->renew;
	r->ask.name = pool_dup(r->pool, q->name, dns_name_len(q->name));
	memcpy(r->name, q->name, dns_name_len(q->name));
	begin(&r->out);
	list_add_tail(&every, &r->all);
	resolutions++;
	ready_set(&r->ready, first);
	return r;
}

void resolve_cancel(struct resolution **r)
{
	if (*r) {
		(*r)->run->explain = NULL;
		end(*r);
	}
	*r = NULL;
}
