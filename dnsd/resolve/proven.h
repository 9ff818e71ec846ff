/* proven: answers out of what proofs for other names say (RFC 8198). */
#ifndef DNSD_PROVEN_H
#define DNSD_PROVEN_H
#include "dnsd/cache/cache.h"
#include "dnsd/validate/aggressive.h"

/* cache: what is proven belongs to it; octets 0: nothing is. */
void proven_start(struct cache *cache, size_t octets);
void proven_stop(void);
void proven_flush(const uint8_t *name);
/* Learns from a set that v has found secure on the way to something for that cache. */
void proven_learn(const struct cache *cache, unsigned space, const struct validate *v);
/* An answer with owner `name`, secure, as if it were in the cache; its records stand in `room`,
 * which is cleared. False: nothing is proven. */
bool proven_find(struct cache *cache, unsigned space, const uint8_t *name, uint16_t type,
		 uint64_t now, struct buf *room, struct cached *out);
#endif
