/* Spans of zones: in order in each zone, and in a ring, from which they are evicted. */
#include <stdlib.h>
#include "dnsd/validate/aggressive_int.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"

enum { ESCAPE = 1, FIRST_SPANS = 8 };

/* Labels from the last one to the first, each with an octet 0 behind it; in a label 0 and 1 are
 * written so that they sort behind that. */
size_t span_key(const uint8_t *name, uint8_t out[SPAN_KEY])
{
	uint8_t at[DNS_NAME_MAX / 2 + 1];
	unsigned labels = 0;
	size_t len = 0;
	for (size_t i = 0; name[i]; i += 1u + name[i])
		at[labels++] = (uint8_t)i;
	while (labels) {
		const uint8_t *label = name + at[--labels];
		for (unsigned i = 1; i <= *label; i++) {
			uint8_t c = (uint8_t)str_lower((char)label[i]);
			if (c <= ESCAPE)
				out[len++] = ESCAPE;
			out[len++] = c <= ESCAPE ? c + 1 : c;
		}
		out[len++] = 0;
	}
	return len;
}

static size_t zone_key(uint8_t out[sizeof(unsigned) + DNS_NAME_MAX], unsigned space,
		       const uint8_t *name)
{
	size_t len = dns_name_len(name);
	memcpy(out, &space, sizeof(space));
	memcpy(out + sizeof(space), name, len);
	return sizeof(space) + len;
}

struct span_zone *span_zone_of(const struct aggressive *a, unsigned space, const uint8_t *name)
{
	uint8_t key[sizeof(unsigned) + DNS_NAME_MAX];
	return map_get(a->by_name, key, zone_key(key, space, name));
}

struct span_zone *span_zone_new(struct aggressive *a, unsigned space, const uint8_t *name)
{
	uint8_t key[sizeof(unsigned) + DNS_NAME_MAX];
	struct span_zone *z = mem_alloc(sizeof(*z));
	z->space = space;
	memcpy(z->name, name, dns_name_len(name));
	dns_name_lower(z->name);
	map_set(a->by_name, key, zone_key(key, space, z->name), z);
	a->stats.zones++;
	a->stats.octets += sizeof(*z);
	return z;
}

static void zone_end(struct aggressive *a, struct span_zone *z)
{
	uint8_t key[sizeof(unsigned) + DNS_NAME_MAX];
	map_del(a->by_name, key, zone_key(key, z->space, z->name));
	a->stats.zones--;
	a->stats.octets -= sizeof(*z) + z->cap * sizeof(struct span *);
	free(z->span);
	free(z);
}

/* --- order ------------------------------------------------------------------------------------ */

static int key_cmp(const uint8_t *x, size_t xn, const uint8_t *y, size_t yn)
{
	int d = memcmp(x, y, xn < yn ? xn : yn);
	return d ? d : (xn > yn) - (xn < yn);
}

/* How many have a key that is not above. */
static unsigned not_above(const struct span_zone *z, const uint8_t *key, size_t len)
{
	unsigned low = 0, high = z->n;
	while (low < high) {
		unsigned half = low + (high - low) / 2;
		if (key_cmp(z->span[half]->bytes, z->span[half]->key_len, key, len) <= 0)
			low = half + 1;
		else
			high = half;
	}
	return low;
}

struct span *span_floor(const struct span_zone *z, const uint8_t *key, size_t len)
{
	unsigned n = not_above(z, key, len);
	return n ? z->span[n - 1] : z->n ? z->span[z->n - 1] : NULL;
}

static bool is_at(const struct span *s, struct slice key)
{
	return s->key_len == key.len && !memcmp(s->bytes, key.p, key.len);
}

/* --- coming and going ------------------------------------------------------------------------- */

/* Out of the ring, and freed. */
static void discard(struct aggressive *a, struct span *s)
{
	struct span *after = s->after;
	s->before->after = after;
	after->before = s->before;
	if (a->hand == s)
		a->hand = after == s ? NULL : after;
	a->stats.octets -= s->octets;
	a->stats.spans--;
	free(s);
}

static void take_out(struct aggressive *a, struct span_zone *z, unsigned at)
{
	struct span *s = z->span[at];
	memmove(z->span + at, z->span + at + 1, (--z->n - at) * sizeof(*z->span));
	discard(a, s);
}

void span_drop(struct aggressive *a, struct span *s)
{
	struct span_zone *z = s->zone;
	if (s == z->soa) {
		z->soa = NULL;
		discard(a, s);
	} else {
		take_out(a, z, not_above(z, s->bytes, s->key_len) - 1);
	}
	if (!z->n && !z->soa)
		zone_end(a, z);
}

static void insert(struct aggressive *a, struct span_zone *z, unsigned at, struct span *s)
{
	if (z->n == z->cap) {
		unsigned cap = z->cap ? 2 * z->cap : FIRST_SPANS;
		z->span = mem_realloc(z->span, cap * sizeof(*z->span));
		a->stats.octets += (cap - z->cap) * sizeof(*z->span);
		z->cap = cap;
	}
	memmove(z->span + at + 1, z->span + at, (z->n++ - at) * sizeof(*z->span));
	z->span[at] = s;
}

/* A new chain of the zone says that there are names where an old one says that there are none, or
 * the other way round: the new one is believed. */
static void contradict(struct aggressive *a, struct span_zone *z, struct slice key,
		       struct slice next)
{
	const uint8_t *k = (const uint8_t *)key.p, *n = (const uint8_t *)next.p;
	bool round = key_cmp(n, next.len, k, key.len) <= 0;
	unsigned at = not_above(z, k, key.len);
	while (at < z->n &&
	       (round || key_cmp(z->span[at]->bytes, z->span[at]->key_len, n, next.len) < 0))
		take_out(a, z, at);
	if (at && is_at(z->span[at - 1], key))
		take_out(a, z, --at);
	if (at) {
		const struct span *s = z->span[at - 1];
		const uint8_t *end = s->bytes + s->key_len;
		if (key_cmp(end, s->next_len, s->bytes, s->key_len) <= 0 ||
		    key_cmp(end, s->next_len, k, key.len) > 0)
			take_out(a, z, at - 1);
	}
}

static struct span *span_new(struct span_zone *z, const struct validate *v, struct slice key,
			     struct slice next)
{
	size_t owner = dns_name_len(v->set->owner), data = v->set->data.len;
	size_t octets = sizeof(struct span) + key.len + next.len + owner + data;
	struct span *s = mem_alloc(octets);
	s->zone = z;
	s->ends = v->now + v->ttl;
	s->type = v->set->type;
	s->sigs = v->set->sigs;
	s->key_len = (uint16_t)key.len;
	s->next_len = (uint16_t)next.len;
	s->data_len = (uint32_t)data;
	s->octets = (uint32_t)octets;
	uint8_t *p = s->bytes;
	if (key.len)
		memcpy(p, key.p, key.len);
	if (next.len)
		memcpy(p + key.len, next.p, next.len);
	memcpy(p + key.len + next.len, v->set->owner, owner);
	memcpy(p + key.len + next.len + owner, v->set->data.p, data);
	return s;
}

/* Those that were used are passed over once; the new one is not looked at. */
static void evict(struct aggressive *a, const struct span *keep)
{
	while (a->stats.octets > a->most && a->hand && a->stats.spans > 1) {
		struct span *s = a->hand;
		a->hand = s->after;
		if (s->used || s == keep) {
			s->used = false;
			continue;
		}
		a->stats.evicted++;
		span_drop(a, s);
	}
}

void span_put(struct aggressive *a, struct span_zone *z, const struct validate *v, struct slice key,
	      struct slice next)
{
	struct span *s = span_new(z, v, key, next);
	if (!a->hand) {
		a->hand = s->before = s->after = s;
	} else {
		s->after = a->hand;
		s->before = a->hand->before;
		s->before->after = s->after->before = s;
	}
	a->stats.octets += s->octets;
	a->stats.spans++;
	a->stats.added++;
	if (s->type == DNS_SOA) {
		struct span *old = z->soa;
		z->soa = s;
		if (old)
			discard(a, old);
	} else {
		contradict(a, z, key, next);
		if (z->n == AGGRESSIVE_SPANS)
			take_out(a, z, (unsigned)(a->stats.added % AGGRESSIVE_SPANS));
		insert(a, z, not_above(z, s->bytes, s->key_len), s);
	}
	evict(a, s);
}

struct rrset span_set(const struct span *s, uint32_t ttl)
{
	const uint8_t *owner = s->bytes + s->key_len + s->next_len;
	return (struct rrset){.owner = owner,
			      .type = s->type,
			      .ttl = ttl,
			      .n = 1,
			      .sigs = s->sigs,
			      .data = {(const char *)owner + dns_name_len(owner), s->data_len}};
}
