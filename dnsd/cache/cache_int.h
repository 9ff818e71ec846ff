/* cache_int: how the cache lies in memory. Two areas, both of fixed size, neither with a pointer in
 * it, so that processes could share them:
 *
 *	buckets: a cache line each: twelve tags of an octet and the places of their entries.
 *	         A name has two buckets, by a keyed hash; what is new goes into the emptier one.
 *	ring:    entries one behind the other, as they came. Where the next one goes, the oldest
 *	         gives way: one that was asked for since it was written is written again at the
 *front, without its mark (CLOCK), one that was not is gone.
 *
 * An entry: head, `struct more` when it has that, owner, data, extra, up to three octets of
 * nothing. What was replaced or flushed stays in the ring, dead, until its turn comes. */
#ifndef DNSD_CACHE_INT_H
#define DNSD_CACHE_INT_H
#include "dnsd/cache/cache.h"
#include "libcommon/base/sip.h"

enum {
	UNIT = 4, /* octets: places and lengths in the ring are counted in these */
	UNITS_MASK = 0xffffff,
	ENTRY_LIVE = 1 << 24,
	ENTRY_ASKED = 1 << 25, /* since it was written, or since it was passed over */
	ENTRY_TOLD = 1 << 26,  /* somebody renews it */
	ENTRY_MORE = 1 << 27,
	PAD_SHIFT = 28, /* two bits: octets at the end that mean nothing */
	WAYS = 12,
	EDE_NONE = 0xffff,
};

struct entry {
	uint32_t head; /* units of all of it, and the flags above; all that a dead one need have */
	uint32_t expires; /* serial arithmetic */
	uint32_t ttl;
	uint16_t type, n, sigs, ede, space;
	uint8_t name_len;
	uint8_t what; /* from the lowest: kind (3 bits), trust (2), security (3) */
};
struct more {
	uint32_t data; /* octets (24 bits), above them the labels */
	uint16_t extras, unused;
};
struct bucket {
	uint8_t tag[16]; /* 0: free; those from WAYS on always are */
	uint32_t at[WAYS];
};
_Static_assert(sizeof(struct bucket) == 64, "a cache line");
_Static_assert(sizeof(struct entry) == 24 && sizeof(struct more) == 8, "nothing between fields");

/* What an entry is found by. Data and the lack of it take each other's place; the others stand
 * beside them: a failure does not cost the data that may still be served stale. */
enum slot_class { SLOT_DATA, SLOT_NXDOMAIN, SLOT_FAILURE, SLOT_DELEGATION };
struct key {
	uint64_t hash; /* of space and name */
	const uint8_t *name;
	uint8_t name_len;
	uint16_t space, type; /* type 0: of NXDOMAIN and DELEGATION */
	enum slot_class class;
};
struct slot {
	struct bucket *b; /* NULL: not found */
	unsigned i;
};
struct cache {
	struct cache_conf conf;
	uint8_t secret[SIP_KEY];
	uint8_t *memory; /* buckets, then the ring */
	size_t octets;
	struct bucket *bucket;
	uint32_t buckets;
	uint32_t *ring;
	uint32_t size, head, tail, filled; /* units; head: where the next one goes; tail: the
					    * oldest */
	uint64_t nxdomains;                /* live entries of that kind */
	struct cache_stats stats;
};

static inline struct entry *entry_at(const struct cache *c, uint32_t at)
{
	return (struct entry *)(void *)(c->ring + at);
}
static inline uint32_t entry_units(const struct entry *e)
{
	return e->head & UNITS_MASK;
}
static inline enum cache_kind entry_kind(const struct entry *e)
{
	return e->what & 7;
}
static inline enum cache_trust entry_trust(const struct entry *e)
{
	return e->what >> 3 & 3;
}
static inline enum rrset_security entry_security(const struct entry *e)
{
	return e->what >> 5;
}
static inline const uint8_t *entry_name(const struct entry *e)
{
	return (const uint8_t *)(e + 1) + (e->head & ENTRY_MORE ? sizeof(struct more) : 0);
}
/* Seconds that are left; negative: it expired. */
static inline int32_t entry_left(const struct entry *e, uint64_t now)
{
	return (int32_t)(e->expires - (uint32_t)now);
}
/* Of a TTL of 0 is the second in which it came. */
static inline bool entry_fresh(const struct entry *e, uint64_t now)
{
	return entry_left(e, now) > (e->ttl ? 0 : -1);
}
/* It is of no use to anybody any more. */
static inline bool entry_over(const struct cache *c, const struct entry *e, uint64_t now)
{
	return !entry_fresh(e, now) && -(int64_t)entry_left(e, now) >= (int64_t)c->conf.stale;
}
static inline enum slot_class class_of_kind(enum cache_kind kind)
{
	return kind == CACHE_NXDOMAIN     ? SLOT_NXDOMAIN
	       : kind == CACHE_FAILURE    ? SLOT_FAILURE
	       : kind == CACHE_DELEGATION ? SLOT_DELEGATION
					  : SLOT_DATA;
}

/* --- cache_index.c -----------------------------------------------------------------------------
 */
void index_key(const struct cache *c, struct key *k, unsigned space, const uint8_t *name);
void index_key_of(const struct cache *c, struct key *k, const struct entry *e);
struct slot index_find(const struct cache *c, const struct key *k);
/* Asks the memory for the key's buckets, then (when they have come) for its entry. */
void index_ahead(const struct cache *c, const struct key *k);
void index_ahead_entry(const struct cache *c, const struct key *k);
/* A free slot for it; one of its buckets' entries is evicted when there is none. */
struct slot index_room(struct cache *c, const struct key *k, uint64_t now);
void index_set(struct slot s, const struct key *k, uint32_t at);
/* The entry at `from` stands at `to` now. */
void index_moved(struct cache *c, const struct entry *e, uint32_t from, uint32_t to);
/* The entry dies, its slot is free. */
void index_drop(struct cache *c, struct slot s);
/* The same for one whose slot is not known. */
void index_drop_entry(struct cache *c, uint32_t at);

/* --- cache_ring.c ------------------------------------------------------------------------------
 */
/* `units` in a row at c->head, which others give way for. They are not taken yet. */
void ring_room(struct cache *c, uint32_t units, uint64_t now);
/* Takes them. */
uint32_t ring_take(struct cache *c, uint32_t units);
/* Goes over all entries, also dead ones: from *at = c->tail on, *passed = 0. NULL: no more. */
struct entry *ring_next(const struct cache *c, uint32_t *at, uint32_t *passed);
#endif
