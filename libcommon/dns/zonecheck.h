/* zonecheck: what a zone must keep to as a whole (RFC 1034 3.6.2, 4.2; RFC 6672 2.3, 2.4): one SOA
 * and some NS at its own name, a CNAME alone, nothing but glue below a delegation, nothing below a
 * DNAME. Records come in canonical order; names may be left out if those above the rest are not:
 * only what stands above a name counts for it. Pure. */
#ifndef DNS_ZONECHECK_H
#define DNS_ZONECHECK_H
#include "libcommon/dns/zonechunk.h"

struct zone_check {
	const uint8_t *zone;
	bool strict; /* what an administrator wrote; others' zones may have what nobody sees */
	/* the name at hand */
	uint8_t owner[DNS_NAME_MAX];
	bool any, apex, cname, dname, ns, addresses, last_was_alias;
	size_t octets;        /* of its records */
	size_t set_octets;    /* of those of the type at hand */
	unsigned others;      /* types that may not stand beside a CNAME */
	uint16_t last_type;   /* of this name */
	uint16_t last_covers; /* ... where that is RRSIG: the type that it is about */
	uint16_t other_type;  /* one of a delegation that may not stand there */
	/* the zone */
	bool soa, apex_ns;
	bool walled; /* `wall` is a cut's or a DNAME's name, strictly below it little may stand */
	uint8_t wall[DNS_NAME_MAX];
	bool wall_dname;
	uint32_t serial; /* of the SOA */
};
void zone_check_init(struct zone_check *c, const uint8_t *zone, bool strict);
/* False: *why is a static text about this record. */
bool zone_check_rr(struct zone_check *c, const struct zone_rr *rr, const char **why);
/* At the end of the zone. */
bool zone_check_end(const struct zone_check *c, const char **why);
/* Where the serial stands in a SOA's data, which was checked. */
static inline size_t zone_soa_serial_at(size_t rdlen)
{
	return rdlen - 20;
}
#endif
