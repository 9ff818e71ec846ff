/* aggressive: answers that nobody need be asked for, as records that are known prove them (RFC
 * 8198): the spans between names of signed zones, in order, with what is at their beginnings.
 * Bounded in octets; spans that were not of use lately give way. Pure: no clock, no loop. */
#ifndef DNSD_AGGRESSIVE_H
#define DNSD_AGGRESSIVE_H
#include "dnsd/validate/denial.h"
#include "libcommon/base/buf.h"

enum {
	AGGRESSIVE_SPANS = 16384, /* of a zone */
	AGGRESSIVE_SETS = 6,      /* of an answer */
};
enum aggressive_kind {
	AGGRESSIVE_NXDOMAIN,
	AGGRESSIVE_NODATA,
	AGGRESSIVE_WILDCARD, /* the name is not there, so that "*." and the encloser stands for it:
			      * if that is in the cache, and secure, it is the answer */
};
struct aggressive_found {
	enum aggressive_kind kind;
	const uint8_t *zone;
	const uint8_t *encloser; /* a part of the name; NULL: the name is there */
	uint32_t ttl;            /* seconds: of the answer, and of everything in it */
	/* What proves it, with signatures: the SOA (not of WILDCARD), NSEC or NSEC3. Valid until
	 * the index is changed. */
	unsigned n;
	struct rrset set[AGGRESSIVE_SETS];
};
struct aggressive_stats {
	uint64_t zones, spans, octets, added, evicted, nxdomain, nodata, wildcard;
};
struct aggressive;
struct aggressive *aggressive_new(size_t octets);
void aggressive_free(struct aggressive **a);
/* Learns from an NSEC, NSEC3 or SOA rrset that v has found secure, as of v->now; others do no harm.
 * space: as in cache.h. */
void aggressive_add(struct aggressive *a, unsigned space, const struct validate *v);
/* Whether an answer is proven. name: lower case, stays as long as *out; type: no meta type but ANY.
 * w: its hashes are used for zones with NSEC3. Where opt-out leaves names open nothing is. */
bool aggressive_find(struct aggressive *a, unsigned space, const uint8_t *name, uint16_t type,
		     uint64_t now, struct validate_work *w, struct aggressive_found *out);
/* Appends the sets as whole records (struct cached: extra); returns how many. */
unsigned aggressive_extra(const struct aggressive_found *f, struct buf *out);
/* Forgets what is known of the zone that the name is in, and of those below the name. */
void aggressive_flush(struct aggressive *a, const uint8_t *name);
void aggressive_stats(const struct aggressive *a, struct aggressive_stats *out);
#endif
