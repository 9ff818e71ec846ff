/* local: names that we have data for, and zones of which we have all names: what a content server
 * would say of them, wildcards (RFC 4592) and names without data included, unsigned. */
#ifndef DNSD_LOCAL_H
#define DNSD_LOCAL_H
#include "dnsd/cache/cache.h"
#include "libcommon/dns/zonetext.h"

struct local;
struct local *local_new(void);
void local_free(struct local **l);
/* Adds a record (copied). False: *why is a static text: a CNAME beside other data, too much data.
 */
bool local_add(struct local *l, const struct zone_rr *rr, const char **why);
/* We have all names at and below it. */
void local_zone(struct local *l, const uint8_t *zone);
/* After all is there: zones without a SOA get one. reverse: addresses whose PTR is not there get
 * it.
 */
void local_finish(struct local *l, bool reverse);
bool local_empty(const struct local *l);

enum local_found {
	LOCAL_NONE,  /* it is not ours */
	LOCAL_DATA,  /* out->set */
	LOCAL_CNAME, /* out->set: go on with its target */
	LOCAL_NODATA,
	LOCAL_NXDOMAIN,
};
/* name: lower case; out->set.owner points to it, the rest into l. */
enum local_found local_find(const struct local *l, const uint8_t *name, uint16_t type,
			    struct cached *out);
/* The data of exactly `at`, as `name`'s; NODATA when there is none. */
enum local_found local_at(const struct local *l, const uint8_t *at, const uint8_t *name,
			  uint16_t type, struct cached *out);
/* "2.0.192.in-addr.arpa" and the like, of an address of 4 or 16 octets. */
size_t local_reverse_name(const uint8_t *addr, size_t len, uint8_t out[DNS_NAME_MAX]);
#endif
