/* anchor_roll: follows the keys of trust anchors when their zones replace them (RFC 5011). Pure: it
 * is handed the DNSKEY rrsets and the time, and says when it wants the next one.
 *
 *	(new) --> PENDING --30 days there--> VALID <--> MISSING
 *	             |  not there                |          |
 *	             v                           +--revoked, by its own signature--> REVOKED
 *	         forgotten                                            30 days --> REMOVED
 *
 * Keys that are configured are VALID from the beginning; of a configured DS it is not known which
 * key it is of until that is seen. What is trusted (VALID and MISSING) is put into the anchors. */
#ifndef DNSD_ANCHOR_ROLL_H
#define DNSD_ANCHOR_ROLL_H
#include "dnsd/validate/anchor.h"
#include "dnsd/validate/validate.h"
#include "libcommon/base/buf.h"

enum roll_anchor_state {
	ANCHOR_PENDING,
	ANCHOR_VALID,
	ANCHOR_MISSING,
	ANCHOR_REVOKED,
	ANCHOR_REMOVED,
};
enum {
	ANCHOR_ROLL_ZONES = 64,
	ANCHOR_ROLL_KEYS = 16,        /* of a zone, removed ones included */
	ANCHOR_ROLL_TEXT = 256 << 10, /* octets of a state file */
	ANCHOR_HOLD = 30 * 86400,     /* seconds (2.4.1, 2.4.2) */
};
struct anchor_roll;

/* Follows all zones that a, which must stay, has keys of now: they are what is configured. */
struct anchor_roll *anchor_roll_new(struct anchors *a);
void anchor_roll_free(struct anchor_roll **r);
/* Takes what was learned before: a text of anchor_roll_save(). Zones that are not followed any more
 * are left out. False: *why is a static text; what stood before the mistake is known. */
bool anchor_roll_load(struct anchor_roll *r, struct slice text, const char **why);
void anchor_roll_save(const struct anchor_roll *r, struct buf *out);

/* A zone's DNSKEY rrset, found secure by its anchors (validate_begin_keys()). Returns that
 * something has changed and is to be saved. now: seconds since 1970. */
bool anchor_roll_seen(struct anchor_roll *r, const struct rrset *dnskey, uint64_t now);
/* It was asked for and did not come, or was bogus: asked for again later. */
void anchor_roll_failed(struct anchor_roll *r, const uint8_t *zone, uint64_t now);
/* The zone that is to be asked for its DNSKEY next, and when (seconds since 1970; 0: now). NULL:
 * none. */
const uint8_t *anchor_roll_next(const struct anchor_roll *r, uint64_t *when);

/* Lines for people: zone, key tag, state, since when. */
void anchor_roll_tell(const struct anchor_roll *r, struct buf *out);
#endif
