/* cache: what content servers were found to say, in memory that is bounded in octets. An entry is
 * an rrset as the wire wants it, or that a name has none of a type, or that there is no such name,
 * with what proves it; or a delegation; or that nothing could be found out. One table, keyed hash,
 * names in lower case; the entries that nobody asks for give way first. Pure: no clock, no loop. */
#ifndef DNSD_CACHE_H
#define DNSD_CACHE_H
#include "dnsd/cache/rrset.h"

enum cache_kind {
	CACHE_RRSET,
	CACHE_NODATA,
	CACHE_NXDOMAIN, /* of the name, whatever the type: and below it when it is secure (RFC 8020)
			 */
	CACHE_FAILURE,  /* it could not be resolved, or is bogus (RFC 9520): ede says why */
	CACHE_DELEGATION, /* the parent's NS records; `extra` are the glue's addresses */
};
/* RFC 2181 5.4.1, from the least. What is trusted less never takes the place of what is trusted
 * more and has not expired; of two trusted alike, one that was not validated or is bogus not that
 * of one that is secure. A failure stands beside the data, which may still be served stale; data,
 * or the lack of it, ends that there is no such name (trusted as an answer). Delegations and
 * answers are apart: the child's NS records never renew the parent's (ghost domains). */
enum cache_trust { CACHE_ADDITIONAL, CACHE_AUTHORITY, CACHE_ANSWER, CACHE_LOCAL };

struct cache_conf { /* TTLs in seconds */
	size_t octets;
	uint32_t ttl_least, ttl_most, negative_most, failure_ttl;
	uint32_t stale; /* that an entry is kept after its end (RFC 8767); 0: not */
	uint8_t
	    prefetch; /* per cent of its TTL: what is asked for when less is left is told so; 0 */
};
struct cached {
	enum cache_kind kind;
	enum cache_trust trust;
	enum rrset_security security;
	struct rrset set; /* owner: the name found, or that of the question; its ttl is what is
			   * left, of a stale entry 30; negative: type as asked, no records */
	/* Whole uncompressed records (owner, type, class, TTL, length, rdata), `extras` of them:
	 * SOA, NSEC, NSEC3 and their RRSIGs for the authority section (TTLs as they were put);
	 * glue. */
	struct slice extra;
	uint16_t extras;
	uint16_t ede; /* of failures, bogus and stale entries: RFC 8914; 0xffff: none */
	bool stale;
	bool prefetch;  /* told to one asker: renew it */
	uint8_t labels; /* 0; of a wildcard's expansion: labels of the RRSIG: extra has the proof */
};

struct cache;
/* All that it will ever take, conf->octets (64 K at least, 16 G at most), is laid out now; pages
 * that were not written yet cost nothing. NULL: there is not that much address space. */
struct cache *cache_new(const struct cache_conf *conf);
void cache_free(struct cache **c);
/* space: a number that keeps apart what different views learn (0: the usual). The entry of the name
 * and type; else the name's CNAME (unless asked for CNAME, DS, NSEC, RRSIG or ANY); else its
 * NXDOMAIN, or a secure one above it; else, with `stale`, the same of those that expired; else its
 * failure. Of entries under the DNAME of an ancestor nothing is known here. now: seconds
 * since 1970; a TTL of 0 is good in the second that it came in. *out is valid until the next call
 * that changes the cache. */
bool cache_find(struct cache *c, unsigned space, const uint8_t *name, uint16_t type, uint64_t now,
		bool stale, struct cached *out);
/* Asks the memory for what cache_find() will read for these, so that they do not wait for it one by
 * one; n: CACHE_AHEAD at most. Optional. */
enum { CACHE_AHEAD = 64 };
struct cache_ahead {
	const uint8_t *name;
	uint16_t type;
};
void cache_ahead(const struct cache *c, unsigned space, const struct cache_ahead *a, unsigned n);
/* Only what has that kind and type (of NXDOMAIN and DELEGATION any) and has not expired. */
bool cache_find_kind(struct cache *c, unsigned space, const uint8_t *name, enum cache_kind kind,
		     uint16_t type, uint64_t now, struct cached *out);
/* The closest delegation at or above the name (above: for DS). */
bool cache_delegation(struct cache *c, unsigned space, const uint8_t *name, bool above,
		      uint64_t now, struct cached *out);
/* Copies what `in` shows, which may be what another call showed; its set.ttl is clamped (of a
 * failure 0 means failure_ttl, which is the most), `stale` and `prefetch` mean nothing. False: the
 * entry that is there stays, or it is larger than a tenth of the cache. */
bool cache_put(struct cache *c, unsigned space, const struct cached *in, uint64_t now);
/* Forgets entries; below: also those of names under it. type 0: all; else
 * those of the type, and that there is no such name. Looks at the whole cache. Returns how many. */
size_t cache_flush(struct cache *c, const uint8_t *name, uint16_t type, bool below);
/* Every entry that has not expired, in no order; fn returns false to stop. It may not change the
 * cache. */
typedef bool cache_fn(void *arg, unsigned space, const struct cached *e);
void cache_each(struct cache *c, uint64_t now, cache_fn *fn, void *arg);

struct cache_stats {
	uint64_t hits, misses; /* of cache_find() */
	uint64_t stale, puts, evicted, expired, entries;
	uint64_t octets; /* in use, of conf->octets; some of it by what was replaced */
};
void cache_stats(const struct cache *c, struct cache_stats *out);
#endif
