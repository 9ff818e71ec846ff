/* rollover: the life of a signed zone's keys, as a pure state machine. There is one key (a CSK: it
 * signs everything, the DNSKEY records among it); to replace it a second one signs along (RFC 6781
 * 4.1.3, "double signature") until the parent has its DS and nobody remembers the first one's:
 *
 *   (made) -> NEW ---------> PARENT --------> CACHES --------> ACTIVE ---> (a new one replaces it)
 *              caches know     its DS is at     the DS before
 *              the signatures  the parent       is forgotten
 *
 * What a cache has seen before it is counted on: a zone that was not signed, or without the new
 * key's signatures, stays there for the longest TTL of the zone. A zone whose signing is turned off
 * asks its parent to take the DS away, and stays signed until that is done and forgotten:
 *
 *   any state -> LEAVING (no DS at the parent) -> LEFT (the DS is forgotten) -> not signed
 *
 * Turned on again meanwhile, keys wait for what they had waited for: they become NEW or PARENT.
 *
 * keyd keeps state, since and until with each key. Times are milliseconds since 1970. */
#ifndef DNSD_ROLLOVER_H
#define DNSD_ROLLOVER_H
#include "dnsd/sign/sign.h"
#include "libcommon/base/buf.h"

enum roll_state {
	ROLL_FRESH, /* keyd has just made it */
	ROLL_NEW,
	ROLL_PARENT,
	ROLL_CACHES,
	ROLL_ACTIVE,
	ROLL_LEAVING,
	ROLL_LEFT,
	ROLL_STATES,
};

#define ROLL_DS_MS     (86400u * 1000u) /* a DS is taken to be kept as long as that at least */
#define ROLL_PARENT_MS (3600u * 1000u)  /* until all of the parent's servers have the new one */

struct roll_key {
	uint64_t id;
	enum roll_state state;
	uint64_t since, until;
	bool served; /* the image before has it */
	uint8_t dnskey[SIGN_DNSKEY];
};
struct roll {        /* the oldest key first */
	bool wanted; /* the zone is to be signed */
	uint64_t now;
	uint64_t
	    wait_data; /* ms: longest TTL of the zone, and the time until secondaries have it */
	uint64_t wait_keys; /* ms: TTL of the DNSKEY records, and that time */
	uint64_t interval;  /* ms after which an active key is replaced; 0: never */
	bool unseen;        /* another view's zone of this name, which the keys sign too, is not
			     * there yet: nobody knows its TTLs */
	bool replace;       /* the key is to be replaced now */
	bool emergency;   /* ... it is no secret any more: signatures that caches lack are risked */
	bool parent_done; /* the parent has what CDS asks for */
	uint64_t ds_ms;   /* ms that caches keep what it had before, at least ROLL_DS_MS is taken */
	struct roll_key key[SIGN_KEYS];
	unsigned keys;
};

enum roll_do { ROLL_NOTHING, ROLL_MAKE, ROLL_SET, ROLL_DELETE };
struct roll_act {
	enum roll_do what;
	uint64_t id; /* of ROLL_SET, ROLL_DELETE */
	enum roll_state state;
	uint64_t until;
};
/* What is to be done with the keys now: one thing; it is done, then asked for the next. */
struct roll_act rollover_next(const struct roll *r);

/* Which keys' DS the parent is to have: sets .cds of keys and cds_delete in s. */
void rollover_publish(const struct roll *r, struct sign *s);
/* When time alone leads on; 0: it does not. */
uint64_t rollover_due(const struct roll *r);
/* The parent must do something. */
bool rollover_awaits_parent(const struct roll *r);

/* "new", "active" ... */
const char *rollover_state_text(enum roll_state s);
/* What is awaited, until when, and what must be done, in whole sentences, for people. zone: wire,
 * its DS records are among it. */
void rollover_text(const struct roll *r, const uint8_t *zone, struct buf *out);
#endif
