/* zonetext: reads zone files (RFC 1035 5, RFC 2308 4, $GENERATE as BIND has it) record by record.
 * Fast: no allocation per record, the commonest types by rdata.c itself. All mistakes of a file are
 * reported, up to ZONETEXT_ERRORS, each with file, line and column. */
#ifndef DNS_ZONETEXT_H
#define DNS_ZONETEXT_H
#include "libcommon/dns/rdata.h"

enum {
	ZONETEXT_ERRORS = 100,
	ZONETEXT_DEPTH = 8,          /* of $INCLUDE */
	ZONETEXT_GENERATE = 1000000, /* records of one $GENERATE */
};
struct zone_rr {              /* lives during the call */
	const uint8_t *owner; /* wire, its case as written */
	uint16_t type;
	uint32_t ttl;
	const uint8_t *rdata;
	size_t rdlen;
	const char *file;
	unsigned line;
};
/* False: stop reading (the reader returns without a further error). */
typedef bool zone_rr_fn(void *arg, const struct zone_rr *rr);
/* "a.zone:12:8: www: \"300x\" is not an address". */
typedef void zone_error_fn(void *arg, const char *line);
struct zonetext {
	const uint8_t *origin; /* of the zone: what is not under it is an error */
	uint32_t ttl;          /* for records without one before the first $TTL; the SOA's minimum
				* is taken when 0 */
	bool no_include;
	zone_rr_fn *on_rr;
	zone_error_fn *on_error;
	void *arg;
};
/* Returns the number of mistakes. The file is mapped or read whole; $INCLUDE is relative to the
 * file that has it. */
unsigned zonetext_file(const struct zonetext *z, const char *file);
unsigned zonetext_memory(const struct zonetext *z, const char *name, struct slice text);
/* Writes one record as a line of a zone file, absolute names, TTL always. */
void zonetext_write(struct buf *out, const struct zone_rr *rr);
#endif
