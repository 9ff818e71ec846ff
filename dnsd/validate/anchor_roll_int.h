/* anchor_roll_int: what the state machine and its file share. */
#ifndef DNSD_ANCHOR_ROLL_INT_H
#define DNSD_ANCHOR_ROLL_INT_H
#include "dnsd/validate/anchor_roll.h"
#include "dnsd/validate/validate_int.h"

struct roll_anchor {
	enum roll_anchor_state state;
	uint64_t since;      /* seconds since 1970: of PENDING, when it was seen first */
	struct slice dnskey; /* allocated; without the flag that it is revoked */
};
struct roll_zone {
	uint8_t name[DNS_NAME_MAX];
	uint64_t seen, next; /* seconds since 1970; 0: never, now */
	unsigned n;
	struct roll_anchor key[ANCHOR_ROLL_KEYS];
	struct buf ds; /* configured; those whose key is known are gone */
	uint16_t ds_n;
};
struct anchor_roll {
	struct anchors *anchors;
	unsigned n;
	struct roll_zone *zone[ANCHOR_ROLL_ZONES];
};
struct roll_zone *roll_zone_of(const struct anchor_roll *r, const uint8_t *name);
/* The key's entry, made in that state when it is new; NULL: there are too many. */
struct roll_anchor *roll_anchor_of(struct roll_zone *z, struct slice dnskey);
struct roll_anchor *roll_anchor_add(struct roll_zone *z, struct slice dnskey,
				    enum roll_anchor_state state, uint64_t since);
/* A configured DS that is of the key goes; true: there was one. */
bool roll_take_ds(struct roll_zone *z, struct slice dnskey);
/* Puts what is trusted into the anchors. */
void roll_publish(struct anchor_roll *r, const struct roll_zone *z);
#endif
