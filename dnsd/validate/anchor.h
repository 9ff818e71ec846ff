/* anchor: where trust begins: keys of zones that are known beforehand (RFC 4033 2), and zones that
 * are not validated though they should be (negative trust anchors, RFC 7646). Pure. */
#ifndef DNSD_ANCHOR_H
#define DNSD_ANCHOR_H
#include "dnsd/cache/rrset.h"

enum {
	ANCHOR_ZONES = 4096, /* positive and negative ones */
	ANCHOR_RECORDS = 32, /* of a zone */
};
struct anchor {
	const uint8_t *zone;     /* lower case */
	bool negative;           /* nothing at or below it is validated: insecure */
	struct rrset ds, dnskey; /* n 0: there is none. For validate_begin_keys() */
};
struct anchors;
struct anchors *anchors_new(void);
void anchors_free(struct anchors **a);
/* A line or more of a zone file: DS and DNSKEY records of any zones, TTL and class optional. False:
 * *why is a text that lives until the next call; what stood before the mistake was added. */
bool anchors_add_text(struct anchors *a, struct slice text, const char **why);
/* The root's keys 20326 and 38696, as IANA publishes them. */
void anchors_add_root(struct anchors *a);
bool anchors_add_negative(struct anchors *a, const uint8_t *zone);
/* Sets the keys of a zone in place of all that it has: what RFC 5011 has learned. No records: the
 * zone has no anchor any more. */
bool anchors_set(struct anchors *a, const uint8_t *zone, uint16_t type, const struct rrset *set);
/* The closest one at or above the name; false: there is none, nothing is known (indeterminate).
 * *out is valid until a is changed. */
bool anchors_find(const struct anchors *a, const uint8_t *name, struct anchor *out);
/* All of them, in no order; those that were emptied, too. fn may not change a. */
typedef void anchors_fn(void *arg, const struct anchor *one);
void anchors_each(const struct anchors *a, anchors_fn *fn, void *arg);
#endif
