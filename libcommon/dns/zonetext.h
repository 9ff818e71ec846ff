/* zonetext: reads zone files (RFC 1035 5, RFC 2308 4, $GENERATE as BIND has it) record by record,
 * and writes records. Fast: no allocation per record, all types of the table by rdata. All mistakes
 * are reported, up to ZONETEXT_ERRORS, one line each with file, line and column, of which a record
 * has one. Only the single record is looked at: whether a zone of them makes sense (one SOA, no
 * CNAME beside other data) is the caller's to say. */
#ifndef DNS_ZONETEXT_H
#define DNS_ZONETEXT_H
#include "libcommon/dns/rdata.h"

enum {
	ZONETEXT_ERRORS = 100,       /* then the rest is not read */
	ZONETEXT_DEPTH = 8,          /* of $INCLUDE */
	ZONETEXT_INCLUDES = 1000,    /* in all */
	ZONETEXT_GENERATE = 1000000, /* records of one $GENERATE */
	ZONETEXT_WORDS = 65536,      /* of a record */
	ZONETEXT_WORD = 262144,      /* octets of a word, escapes included */
};
#define ZONETEXT_FILE ((size_t)8 << 30) /* octets of a file */

struct zone_rr {              /* lives during the call */
	const uint8_t *owner; /* wire, its case as written */
	uint16_t type;        /* no meta type */
	uint32_t ttl;         /* seconds, at most 2^31 - 1 */
	const uint8_t *rdata; /* passed dns_rdata_check() */
	size_t rdlen;
	const char *file;
	unsigned line; /* where the record starts; of $GENERATE all have the directive's */
};
/* False: stop reading (the reader returns without a further error). */
typedef bool zone_rr_fn(void *arg, const struct zone_rr *rr);
/* `a.zone:12:8: A: "300x": an IPv4 address is wanted`: printable, without a newline. */
typedef void zone_error_fn(void *arg, const char *line);
struct zonetext {
	const uint8_t *origin; /* of the zone, a wire name: an owner that is not under it is an
				* error */
	uint32_t ttl;          /* for records without one where neither $TTL nor an earlier record
				* has one; 0: the SOA's minimum is taken */
	bool no_include;       /* $INCLUDE is an error */
	zone_rr_fn *on_rr;     /* NULL: the text is checked only */
	zone_error_fn *on_error;
	void *arg;
};
/* Both return the number of mistakes. A file is read whole into memory: one that is overwritten
 * meanwhile can then do no more than make mistakes. $INCLUDE is relative to the file that has it;
 * of a text in memory `name` stands for that, and in messages. */
unsigned zonetext_file(const struct zonetext *z, const char *file);
unsigned zonetext_memory(const struct zonetext *z, const char *name, struct slice text);
/* Appends one record as a line of a zone file, names absolute, TTL and class always. */
void zonetext_write(struct buf *out, const struct zone_rr *rr);
#endif
