/* aggressive_int: the index of spans. */
#ifndef DNSD_AGGRESSIVE_INT_H
#define DNSD_AGGRESSIVE_INT_H
#include "dnsd/validate/aggressive.h"
#include "dnsd/validate/denial_int.h"

enum { SPAN_KEY = 2 * DNS_NAME_MAX };

/* An rrset of one record. Its key orders it: memcmp() of keys is the canonical order of names (RFC
 * 4034 6.1), or that of hashes. */
struct span {
	struct span *before, *after; /* all spans, in a ring */
	struct span_zone *zone;
	uint64_t ends; /* seconds */
	bool used;     /* since the hand of the ring was here last */
	uint16_t type, sigs, key_len, next_len;
	uint32_t data_len, octets;
	uint8_t bytes[]; /* the key, that of the next one, the owner, the data */
};
struct span_zone {
	unsigned space;
	uint8_t name[DNS_NAME_MAX];
	struct span *soa;
	struct span **span; /* in order, all of one type */
	unsigned n, cap;
	/* NSEC3: */
	uint16_t iterations;
	uint8_t salt_len, salt[UINT8_MAX];
};
struct aggressive {
	struct map *by_name; /* of zones: space and name */
	struct span *hand;
	size_t most;
	struct aggressive_stats stats;
};

/* --- aggressive_index.c --- */
size_t span_key(const uint8_t *name, uint8_t out[SPAN_KEY]);
struct span_zone *span_zone_of(const struct aggressive *a, unsigned space, const uint8_t *name);
struct span_zone *span_zone_new(struct aggressive *a, unsigned space, const uint8_t *name);
/* The last span whose key is not above the one given; the last of all when all are: it may go
 * round. NULL: there are none. */
struct span *span_floor(const struct span_zone *z, const uint8_t *key, size_t len);
/* next: where it ends (of NSEC and NSEC3). Those that it contradicts are forgotten. */
void span_put(struct aggressive *a, struct span_zone *z, const struct validate *v, struct slice key,
	      struct slice next);
/* The zone goes with its last one. */
void span_drop(struct aggressive *a, struct span *s);
struct rrset span_set(const struct span *s, uint32_t ttl);
#endif
