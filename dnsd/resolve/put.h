/* put: what a response said, as the cache keeps it. Pure. */
#ifndef DNSD_PUT_H
#define DNSD_PUT_H
#include "dnsd/cache/cache.h"
#include "dnsd/resolve/scrub.h"

/* The sets as whole uncompressed records, with their signatures, in the pool; *records: how many.
 */
struct slice put_records(struct pool *pool, const struct rrset *const *set, unsigned n,
			 uint16_t *records);
/* Of everything but failures; name and type are those asked for, security is left to the caller.
 * The proofs of an rrset are put in only when it was expanded from a wildcard (`labels`). */
void put_cached(struct pool *pool, const struct scrubbed *s, const uint8_t *name, uint16_t type,
		uint8_t labels, struct cached *out);
/* A copy whose memory is of the pool. */
struct cached put_copy(struct pool *pool, const struct cached *c);
#endif
