/* RFC 5011 4: what happens to a key that is seen, that is not, and that revokes itself. */
#include "dnsd/validate/anchor_roll_int.h"
#include <stdlib.h>
#include "libcommon/base/mem.h"

enum {
	HOUR = 3600,
	DAY = 86400,
	ASK_MOST = 15 * DAY, /* 2.3 */
	KEY_SEP = 0x0001,    /* others are not meant to be trusted from outside */
	REVOKED_MAX = 4,     /* of a set, whose signatures are looked at */
};

struct roll_zone *roll_zone_of(const struct anchor_roll *r, const uint8_t *name)
{
	for (unsigned i = 0; i < r->n; i++)
		if (dns_name_eq(r->zone[i]->name, name))
			return r->zone[i];
	return NULL;
}

struct roll_anchor *roll_anchor_of(struct roll_zone *z, struct slice dnskey)
{
	for (unsigned i = 0; i < z->n; i++)
		if (slice_eq(z->key[i].dnskey, dnskey))
			return &z->key[i];
	return NULL;
}

static void drop(struct roll_zone *z, struct roll_anchor *k)
{
	free((char *)(uintptr_t)k->dnskey.p);
	*k = z->key[--z->n];
}

/* Room for a key: one that was removed long ago gives way, else one that is only pending. */
static bool make_room(struct roll_zone *z, bool trusted)
{
	for (unsigned i = 0; z->n == ANCHOR_ROLL_KEYS && i < z->n; i++)
		if (z->key[i].state == ANCHOR_REMOVED)
			drop(z, &z->key[i]);
	for (unsigned i = 0; trusted && z->n == ANCHOR_ROLL_KEYS && i < z->n; i++)
		if (z->key[i].state == ANCHOR_PENDING)
			drop(z, &z->key[i]);
	return z->n < ANCHOR_ROLL_KEYS;
}

struct roll_anchor *roll_anchor_add(struct roll_zone *z, struct slice dnskey,
				    enum roll_anchor_state state, uint64_t since)
{
	struct roll_anchor *k = roll_anchor_of(z, dnskey);
	if (k)
		return k;
	if (!make_room(z, state == ANCHOR_VALID))
		return NULL;
	char *copy = mem_alloc(dnskey.len);
	memcpy(copy, dnskey.p, dnskey.len);
	k = &z->key[z->n++];
	*k = (struct roll_anchor){state, since, {copy, dnskey.len}};
	return k;
}

bool roll_take_ds(struct roll_zone *z, struct slice dnskey)
{
	struct slice data = buf_slice(&z->ds), rdata;
	struct buf rest = {0};
	uint16_t left = 0;
	while (rrset_next(&data, &rdata)) {
		if (validate_ds_is_of(rdata, z->name, dnskey))
			continue;
		buf_add(&rest, rdata.p - 2, rdata.len + 2);
		left++;
	}
	bool any = left < z->ds_n;
	buf_free(&z->ds);
	z->ds = rest;
	z->ds_n = left;
	return any;
}

static bool trusted(const struct roll_anchor *k)
{
	return k->state == ANCHOR_VALID || k->state == ANCHOR_MISSING;
}

void roll_publish(struct anchor_roll *r, const struct roll_zone *z)
{
	struct buf keys = {0};
	struct rrset set = {.owner = z->name, .type = DNS_DNSKEY};
	for (unsigned i = 0; i < z->n; i++) {
		struct slice k = z->key[i].dnskey;
		const uint8_t size[] = {(uint8_t)(k.len >> 8), (uint8_t)k.len};
		if (!trusted(&z->key[i]))
			continue;
		buf_add(&keys, size, sizeof(size));
		buf_add_slice(&keys, k);
		set.n++;
	}
	set.data = buf_slice(&keys);
	anchors_set(r->anchors, z->name, DNS_DNSKEY, &set);
	set = (struct rrset){
	    .owner = z->name, .type = DNS_DS, .n = z->ds_n, .data = buf_slice(&z->ds)};
	anchors_set(r->anchors, z->name, DNS_DS, &set);
	buf_free(&keys);
}

/* --- what is configured ----------------------------------------------------------------------- */

static void follow(void *arg, const struct anchor *a)
{
	struct anchor_roll *r = arg;
	struct slice data = a->dnskey.data, rdata;
	if (r->n == ANCHOR_ROLL_ZONES || (!a->ds.n && !a->dnskey.n))
		return;
	struct roll_zone *z = r->zone[r->n++] = mem_alloc(sizeof(*z));
	memcpy(z->name, a->zone, dns_name_len(a->zone));
	for (unsigned i = 0; i < a->dnskey.n && rrset_next(&data, &rdata); i++)
		roll_anchor_add(z, rdata, ANCHOR_VALID, 0);
	buf_add_slice(&z->ds, a->ds.data);
	z->ds_n = a->ds.n;
}

struct anchor_roll *anchor_roll_new(struct anchors *a)
{
	struct anchor_roll *r = mem_alloc(sizeof(*r));
	r->anchors = a;
	anchors_each(a, follow, r);
	return r;
}

void anchor_roll_free(struct anchor_roll **r)
{
	for (unsigned i = 0; *r && i < (*r)->n; i++) {
		struct roll_zone *z = (*r)->zone[i];
		while (z->n)
			drop(z, &z->key[0]);
		buf_free(&z->ds);
		free(z);
	}
	free(*r);
	*r = NULL;
}

/* --- a DNSKEY rrset --------------------------------------------------------------------------- */

static bool enter(struct roll_anchor *k, enum roll_anchor_state state, uint64_t now)
{
	if (k->state == state)
		return false;
	k->state = state;
	k->since = now;
	return true;
}

/* The key with the flag that it is revoked, as the set has it, has signed the set (2.1). */
static bool revokes_itself(const struct rrset *dnskey, struct slice revoked, uint64_t now)
{
	struct validate_work w;
	struct validate v;
	uint8_t one[2 + KEY_HEAD + 1024];
	if (revoked.len > sizeof(one) - 2)
		return false;
	one[0] = (uint8_t)(revoked.len >> 8);
	one[1] = (uint8_t)revoked.len;
	memcpy(one + 2, revoked.p, revoked.len);
	const struct rrset self = {.owner = dnskey->owner,
				   .type = DNS_DNSKEY,
				   .n = 1,
				   .data = {(char *)one, 2 + revoked.len}};
	validate_work_init(&w);
	validate_begin_keys(&v, dnskey, NULL, &self, now, 0);
	v.revoked = true;
	while (validate_step(&v, &w) == RRSET_UNCHECKED)
		continue;
	return v.security == RRSET_SECURE;
}

static bool see_revoked(struct roll_zone *z, const struct rrset *dnskey, struct slice rdata,
			unsigned *looked, uint64_t now)
{
	bool changed = false;
	char *before = mem_alloc(rdata.len);
	memcpy(before, rdata.p, rdata.len);
	before[1] = (char)(before[1] & ~KEY_REVOKED);
	struct slice was = {before, rdata.len};
	struct roll_anchor *k = roll_anchor_of(z, was);
	bool configured = !k && z->ds_n;
	if ((configured || (k && trusted(k))) && (*looked)++ < REVOKED_MAX &&
	    revokes_itself(dnskey, rdata, now)) {
		/* One that is known by its DS only would be trusted again when it comes back. */
		if (configured && roll_take_ds(z, was))
			k = roll_anchor_add(z, was, ANCHOR_VALID, now);
		changed = k && enter(k, ANCHOR_REVOKED, now);
	}
	free(before);
	return changed;
}

static bool see(struct roll_zone *z, struct slice rdata, uint64_t hold, uint64_t now)
{
	struct roll_anchor *k = roll_anchor_of(z, rdata);
	bool configured = roll_take_ds(z, rdata);
	if (!k)
		return roll_anchor_add(z, rdata, configured ? ANCHOR_VALID : ANCHOR_PENDING, now);
	if (k->state == ANCHOR_PENDING)
		return (configured || now >= k->since + hold) && enter(k, ANCHOR_VALID, now);
	return k->state == ANCHOR_MISSING && enter(k, ANCHOR_VALID, now);
}

static bool in_set(const struct rrset *dnskey, struct slice rdata)
{
	struct slice data = dnskey->data, one;
	for (unsigned i = 0; i < dnskey->n && rrset_next(&data, &one); i++)
		if (slice_eq(one, rdata))
			return true;
	return false;
}

static bool see_missing(struct roll_zone *z, const struct rrset *dnskey, uint64_t now)
{
	bool changed = false;
	for (unsigned i = z->n; i-- > 0;) {
		struct roll_anchor *k = &z->key[i];
		if (k->state == ANCHOR_REVOKED && now >= k->since + ANCHOR_HOLD)
			changed |= enter(k, ANCHOR_REMOVED, now);
		if (in_set(dnskey, k->dnskey))
			continue;
		if (k->state == ANCHOR_VALID)
			changed |= enter(k, ANCHOR_MISSING, now);
		if (k->state == ANCHOR_PENDING) {
			drop(z, k);
			changed = true;
		}
	}
	return changed;
}

/* 2.3: half of the TTL, or of how long the signatures are good, an hour to fifteen days. */
static uint64_t pause(const struct rrset *dnskey, uint64_t now)
{
	struct slice data = dnskey->data, rdata;
	uint64_t wait = dnskey->ttl / 2;
	for (unsigned i = 0; rrset_next(&data, &rdata); i++) {
		struct sig s;
		if (i < dnskey->n || !sig_read(rdata, &s))
			continue;
		int32_t left = (int32_t)(s.ends - (uint32_t)now);
		if (left > 0 && (uint64_t)left / 2 < wait)
			wait = (uint64_t)left / 2;
	}
	return wait < HOUR ? HOUR : wait > ASK_MOST ? ASK_MOST : wait;
}

bool anchor_roll_seen(struct anchor_roll *r, const struct rrset *dnskey, uint64_t now)
{
	struct roll_zone *z = roll_zone_of(r, dnskey->owner);
	struct slice data = dnskey->data, rdata;
	unsigned looked = 0;
	if (!z)
		return false;
	uint64_t hold = dnskey->ttl > ANCHOR_HOLD ? dnskey->ttl : ANCHOR_HOLD;
	bool changed = !z->seen;
	for (unsigned i = 0; i < dnskey->n && i < VALIDATE_KEYS && rrset_next(&data, &rdata); i++) {
		struct key k;
		if (!key_read(rdata, &k) || !(k.flags & KEY_ZONE) || !(k.flags & KEY_SEP) ||
		    k.protocol != 3 || !validate_algorithm(k.algorithm))
			continue;
		changed |= k.flags & KEY_REVOKED ? see_revoked(z, dnskey, rdata, &looked, now)
						 : see(z, rdata, hold, now);
	}
	changed |= see_missing(z, dnskey, now);
	z->seen = now;
	z->next = now + pause(dnskey, now);
	if (changed)
		roll_publish(r, z);
	return changed;
}

void anchor_roll_failed(struct anchor_roll *r, const uint8_t *zone, uint64_t now)
{
	struct roll_zone *z = roll_zone_of(r, zone);
	if (z)
		z->next = now + HOUR;
}

const uint8_t *anchor_roll_next(const struct anchor_roll *r, uint64_t *when)
{
	const struct roll_zone *first = NULL;
	for (unsigned i = 0; i < r->n; i++)
		if (!first || r->zone[i]->next < first->next)
			first = r->zone[i];
	*when = first ? first->next : 0;
	return first ? first->name : NULL;
}
