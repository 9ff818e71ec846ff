/* Which entry has a name and a type. */
#include "dnsd/cache/cache_int.h"

static uint8_t tag_of(const struct key *k)
{
	uint64_t v = k->hash ^ ((uint64_t)k->type << 8 | (uint64_t)k->class);
	uint8_t tag = (uint8_t)(v * 0x9e3779b97f4a7c15u >> 56);
	return tag ? tag : 1;
}

/* Both by a multiplication: their number need be no power of two. */
static struct bucket *first(const struct cache *c, uint64_t hash)
{
	return &c->bucket[(hash & 0xffffffff) * c->buckets >> 32];
}

static struct bucket *second(const struct cache *c, uint64_t hash)
{
	return &c->bucket[(hash >> 32) * c->buckets >> 32];
}

void index_key(const struct cache *c, struct key *k, unsigned space, const uint8_t *name)
{
	k->name = name;
	k->name_len = (uint8_t)dns_name_len(name);
	k->space = (uint16_t)space;
	k->hash = sip13(c->secret, name, k->name_len) ^ space * 0xd6e8feb86659fd93u;
}

void index_key_of(const struct cache *c, struct key *k, const struct entry *e)
{
	index_key(c, k, e->space, entry_name(e));
	k->class = class_of_kind(entry_kind(e));
	k->type = k->class == SLOT_NXDOMAIN || k->class == SLOT_DELEGATION ? 0 : e->type;
}

static bool is(const struct entry *e, const struct key *k)
{
	return e->name_len == k->name_len && e->space == k->space &&
	       class_of_kind(entry_kind(e)) == k->class && (!k->type || e->type == k->type) &&
	       !memcmp(entry_name(e), k->name, k->name_len);
}

/* The tags that are `tag`, one bit of each octet set; perhaps also tags above one that is. */
static uint64_t matches(const uint8_t *tags, uint8_t tag)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t v;
	memcpy(&v, tags, sizeof(v));
	v ^= ones * tag;
	return (v - ones) & ~v & ones << 7;
}

static struct slot in_bucket(const struct cache *c, struct bucket *b, const struct key *k,
			     uint8_t tag)
{
	for (unsigned half = 0; half < 16; half += 8)
		for (uint64_t m = matches(b->tag + half, tag); m; m &= m - 1) {
			unsigned i = half + (unsigned)__builtin_ctzll(m) / 8;
			if (i < WAYS && b->tag[i] == tag && is(entry_at(c, b->at[i]), k))
				return (struct slot){b, i};
		}
	return (struct slot){NULL, 0};
}

struct slot index_find(const struct cache *c, const struct key *k)
{
	uint8_t tag = tag_of(k);
	struct slot s = in_bucket(c, first(c, k->hash), k, tag);
	return s.b ? s : in_bucket(c, second(c, k->hash), k, tag);
}

void index_ahead(const struct cache *c, const struct key *k)
{
	__builtin_prefetch(first(c, k->hash));
	__builtin_prefetch(second(c, k->hash));
}

void index_ahead_entry(const struct cache *c, const struct key *k)
{
	uint8_t tag = tag_of(k);
	for (unsigned i = 0; i < 2; i++) {
		const struct bucket *b = i ? second(c, k->hash) : first(c, k->hash);
		for (unsigned half = 0; half < 16; half += 8) {
			uint64_t m = matches(b->tag + half, tag);
			unsigned at = half + (m ? (unsigned)__builtin_ctzll(m) / 8 : 0);
			if (!m || at >= WAYS)
				continue;
			const char *e = (const char *)entry_at(c, b->at[at]);
			__builtin_prefetch(e);
			__builtin_prefetch(e + sizeof(struct bucket)); /* the next line */
		}
	}
}

static unsigned free_slots(const struct bucket *b, unsigned *which)
{
	unsigned n = 0;
	for (unsigned i = 0; i < WAYS; i++)
		if (!b->tag[i]) {
			*which = i;
			n++;
		}
	return n;
}

/* Of twice WAYS entries the one that goes: the first that is over, or that nobody asked for. Those
 * before it lose their marks. Where that begins changes, or the first would always be the ones. */
static struct slot victim(const struct cache *c, struct bucket *a, struct bucket *b, uint64_t now)
{
	unsigned start = (unsigned)(c->stats.puts % (2 * WAYS));
	for (unsigned n = 0;; n++) {
		unsigned i = (start + n) % (2 * WAYS);
		struct slot s = {i < WAYS ? a : b, i % WAYS};
		struct entry *e = entry_at(c, s.b->at[s.i]);
		if (!(e->head & ENTRY_ASKED) || entry_over(c, e, now))
			return s;
		e->head &= ~(uint32_t)ENTRY_ASKED;
	}
}

struct slot index_room(struct cache *c, const struct key *k, uint64_t now)
{
	struct bucket *a = first(c, k->hash), *b = second(c, k->hash);
	unsigned ai = 0, bi = 0, in_a = free_slots(a, &ai), in_b = free_slots(b, &bi);
	if (in_a || in_b)
		return in_a >= in_b ? (struct slot){a, ai} : (struct slot){b, bi};
	struct slot s = victim(c, a, b, now);
	if (entry_over(c, entry_at(c, s.b->at[s.i]), now))
		c->stats.expired++;
	else
		c->stats.evicted++;
	index_drop(c, s);
	return s;
}

void index_set(struct slot s, const struct key *k, uint32_t at)
{
	s.b->tag[s.i] = tag_of(k);
	s.b->at[s.i] = at;
}

/* Where the place stands; the buckets are those of the entry's key. */
static struct slot of_place(struct cache *c, const struct entry *e, uint32_t at)
{
	struct key k;
	index_key_of(c, &k, e);
	for (unsigned i = 0; i < 2 * WAYS; i++) {
		struct bucket *b = i < WAYS ? first(c, k.hash) : second(c, k.hash);
		if (b->tag[i % WAYS] && b->at[i % WAYS] == at)
			return (struct slot){b, i % WAYS};
	}
	return (struct slot){NULL, 0};
}

void index_moved(struct cache *c, const struct entry *e, uint32_t from, uint32_t to)
{
	struct slot s = of_place(c, e, from);
	if (s.b)
		s.b->at[s.i] = to;
}

void index_drop(struct cache *c, struct slot s)
{
	struct entry *e = entry_at(c, s.b->at[s.i]);
	e->head &= ~(uint32_t)ENTRY_LIVE;
	s.b->tag[s.i] = 0;
	c->stats.entries--;
	c->nxdomains -= entry_kind(e) == CACHE_NXDOMAIN;
}

void index_drop_entry(struct cache *c, uint32_t at)
{
	struct slot s = of_place(c, entry_at(c, at), at);
	if (s.b)
		index_drop(c, s);
}
