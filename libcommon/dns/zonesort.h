/* zonesort: collects the records of a zone in any order and gives them back in canonical order
 * (RFC 4034 6), repeated ones once, all records of a type at a name with the smallest of their TTLs
 * (RFC 2181 5.2). A record costs about 60 octets and its own. */
#ifndef DNS_ZONESORT_H
#define DNS_ZONESORT_H
#include "libcommon/dns/zonechunk.h"

struct zone_sort;
struct zone_sort *zone_sort_new(const uint8_t *zone);
void zone_sort_free(struct zone_sort **s);
/* The record is copied; it is in the zone and its data is well formed. */
void zone_sort_add(struct zone_sort *s, const struct zone_rr *rr);
size_t zone_sort_count(const struct zone_sort *s);
/* After the last one: sorts, and begins from the start. */
void zone_sort_run(struct zone_sort *s);
/* The next record, which lives as long as s. False: no more. */
bool zone_sort_next(struct zone_sort *s, struct zone_rr *rr);
#endif
