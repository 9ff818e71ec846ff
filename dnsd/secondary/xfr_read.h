/* xfr_read: what a primary answers to a question for a zone (AXFR by RFC 5936, IXFR by RFC 1995),
 * message by message, each as it came, whole; TSIG and the transport are others' business. Pure:
 * records go to a function, nothing is allocated. */
#ifndef DNSD_XFR_READ_H
#define DNSD_XFR_READ_H
#include "libcommon/dns/zonetext.h"

enum { XFR_IXFR = 251, XFR_AXFR = 252 }; /* types of questions */

/* What a record is. */
enum xfr_part {
	XFR_RECORD,  /* of the whole zone; the SOA is the first */
	XFR_DELETED, /* IXFR: it goes ... */
	XFR_ADDED,   /* ... it comes, in the order of the answer. The SOA is added once, as the last
		      * record of all, and never deleted */
};
/* False: no more is wanted; the verdict is XFR_FAILED with an empty `why`. */
typedef bool xfr_rr_fn(void *arg, enum xfr_part part, const struct zone_rr *rr);

enum xfr_verdict {
	XFR_MORE,   /* another message is to come */
	XFR_WHOLE,  /* the whole zone was told */
	XFR_STEPS,  /* all changes since `serial` were told, nothing else; one at least, the SOA */
	XFR_SAME,   /* IXFR: the primary has nothing newer: `to` is what it has */
	XFR_NONE,   /* IXFR: it does not do that, or cannot now: ask by AXFR */
	XFR_FAILED, /* `why` and, if that was it, `rcode` tell */
};

struct xfr_read {
	/* Set by the caller, the rest is zero. */
	const uint8_t *zone; /* lower case; lives as long */
	uint16_t id, type;   /* of the question */
	uint32_t serial;     /* IXFR: the one that was told */
	uint64_t records_max, octets_max;
	xfr_rr_fn *on_rr;
	void *arg;
	/* Out. */
	uint32_t to;              /* the primary's serial, once a SOA came */
	uint64_t records, octets; /* that came; octets of names and data, not compressed */
	uint64_t messages;
	uint64_t foreign; /* records that are not in the zone: left out (RFC 8976 2.1) */
	uint16_t rcode;   /* of a refusal */
	char why[160];
	/* Inside. */
	int state;
	uint32_t step, step_to; /* IXFR: the serials of the step at hand */
	uint32_t soa_ttl;
	size_t soa_len;
	uint8_t soa[2 * DNS_NAME_MAX + 20]; /* the first record: the SOA that it all leads to */
};
/* The next message. After any verdict but XFR_MORE the transfer is over. */
enum xfr_verdict xfr_read(struct xfr_read *x, const uint8_t *pkt, size_t len);
/* "REFUSED"; for logs. Static, or in out. */
const char *xfr_rcode_text(uint16_t rcode, char out[16]);
#endif
