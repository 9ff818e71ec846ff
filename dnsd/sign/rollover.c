#include "dnsd/sign/rollover.h"

enum { LATE_MS = 60000 /* an image that has the key was to be there by then */ };

static const struct roll_act nothing = {.what = ROLL_NOTHING};

static struct roll_act set(const struct roll_key *k, enum roll_state state, uint64_t until)
{
	return (struct roll_act){.what = ROLL_SET, .id = k->id, .state = state, .until = until};
}

static struct roll_act delete (const struct roll_key *k)
{
	return (struct roll_act){.what = ROLL_DELETE, .id = k->id};
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t ds_forgotten(const struct roll *r)
{
	return r->now + ROLL_PARENT_MS + later_of(r->ds_ms, ROLL_DS_MS);
}

static bool leaving(const struct roll_key *k)
{
	return k->state == ROLL_LEAVING || k->state == ROLL_LEFT;
}

/* Signing was turned off. */
static struct roll_act leave(const struct roll *r)
{
	for (unsigned i = 0; i < r->keys; i++) {
		const struct roll_key *k = &r->key[i];
		/* Nobody has ever seen it. */
		if (!k->served && k->state == ROLL_FRESH)
			return delete (k);
		/* What caches did not know yet they still do not, should it be turned on again. */
		if (!leaving(k))
			return set(k, ROLL_LEAVING, k->state == ROLL_NEW ? k->until : 0);
		if (k->state == ROLL_LEAVING && r->parent_done)
			return set(k, ROLL_LEFT, later_of(ds_forgotten(r), k->until));
		if (k->state == ROLL_LEFT && r->now >= k->until)
			return delete (k);
	}
	return nothing;
}

/* The key's way to ACTIVE; older: keys that it replaces. */
static struct roll_act advance(const struct roll *r, unsigned i)
{
	const struct roll_key *k = &r->key[i];
	bool replaces = i > 0;
	uint64_t wait = replaces && r->emergency ? r->wait_keys : r->wait_data;
	switch (k->state) {
	case ROLL_FRESH:
		/* The key before is lost: the zone is wrong until the parent knows this one. */
		if (!replaces && r->emergency)
			return set(k, ROLL_PARENT, 0);
		return r->unseen ? nothing : set(k, ROLL_NEW, r->now + wait);
	case ROLL_NEW:
		/* The parent's DS is of keys that are lost: waiting makes nothing better. */
		if (!replaces && r->emergency && k->served)
			return set(k, ROLL_PARENT, 0);
		/* It was said to be published, and was not: the wait begins now. */
		if (!k->served && r->now > k->since + LATE_MS)
			return set(k, ROLL_NEW, r->now + (k->until - k->since));
		return k->served && r->now >= k->until ? set(k, ROLL_PARENT, 0) : nothing;
	case ROLL_PARENT:
		if (!r->parent_done)
			return nothing;
		return replaces ? set(k, ROLL_CACHES, ds_forgotten(r)) : set(k, ROLL_ACTIVE, 0);
	case ROLL_CACHES:
		if (r->now < k->until)
			return nothing;
		return replaces ? delete (&r->key[0]) : set(k, ROLL_ACTIVE, 0);
	case ROLL_LEAVING:
	case ROLL_LEFT:
		/* Signing was turned on again before it had ended. */
		return r->now < k->until ? set(k, ROLL_NEW, k->until) : set(k, ROLL_PARENT, 0);
	default:
		return replaces ? delete (&r->key[0]) : nothing;
	}
}

struct roll_act rollover_next(const struct roll *r)
{
	if (!r->wanted)
		return leave(r);
	for (unsigned i = 0; i < r->keys; i++) {
		struct roll_act a = advance(r, i);
		if (a.what != ROLL_NOTHING)
			return a;
	}
	const struct roll_key *k = &r->key[0];
	bool old = r->keys == 1 && k->state == ROLL_ACTIVE && r->interval &&
		   r->now >= k->since + r->interval;
	if (!r->keys || old || (r->keys == 1 && k->state == ROLL_ACTIVE && r->replace))
		return (struct roll_act){.what = ROLL_MAKE};
	return nothing;
}

void rollover_publish(const struct roll *r, struct sign *s)
{
	unsigned newest = SIGN_KEYS;
	s->keys = r->keys;
	s->cds_delete = false;
	for (unsigned i = 0; i < r->keys; i++) {
		const struct roll_key *k = &r->key[i];
		s->key[i] = (struct sign_key){.id = k->id};
		memcpy(s->key[i].dnskey, k->dnskey, SIGN_DNSKEY);
		s->cds_delete |= leaving(k);
		if (k->state == ROLL_PARENT || k->state == ROLL_CACHES || k->state == ROLL_ACTIVE)
			newest = i;
	}
	if (newest < SIGN_KEYS)
		s->key[newest].cds = true;
}

uint64_t rollover_due(const struct roll *r)
{
	uint64_t due = 0;
	for (unsigned i = 0; i < r->keys; i++) {
		const struct roll_key *k = &r->key[i];
		uint64_t at = 0;
		if (k->state == ROLL_NEW || k->state == ROLL_CACHES || k->state == ROLL_LEFT)
			at = k->until;
		else if (k->state == ROLL_ACTIVE && r->interval && r->keys == 1)
			at = k->since + r->interval;
		if (at && (!due || at < due))
			due = at;
	}
	return due;
}

bool rollover_awaits_parent(const struct roll *r)
{
	for (unsigned i = 0; i < r->keys; i++)
		if (r->key[i].state == ROLL_PARENT || r->key[i].state == ROLL_LEAVING)
			return true;
	return false;
}
