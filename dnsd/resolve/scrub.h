/* scrub: what a server's response says about a question that it was asked for a zone, and nothing
 * else (RFC 2181 5.4.1, RFC 5452 6): records outside that zone, or that do not belong to the
 * question, are dropped before they are looked at. Pure; every number of the sender has a limit. */
#ifndef DNSD_SCRUB_H
#define DNSD_SCRUB_H
#include "dnsd/cache/rrset.h"
#include "libcommon/base/pool.h"

enum {
	SCRUB_SETS = 64,       /* rrsets that are kept of a response */
	SCRUB_RECORDS = 1024,  /* records, signatures among them, that are kept */
	SCRUB_OCTETS = 131072, /* of their data, once it is not compressed any more */
	SCRUB_ADDRESSES = 64,  /* rrsets of the additional section */
	SCRUB_PROOFS = 16,     /* rrsets NSEC, NSEC3, DS */
};
enum scrub_kind {
	SCRUB_MALFORMED, /* cut short, or beyond a limit, or it contradicts itself */
	SCRUB_FAILED,    /* SERVFAIL and the like */
	SCRUB_LAME,      /* the server does not serve the zone */
	SCRUB_REFERRAL,  /* main: the NS records of a zone between that one and the name */
	SCRUB_ANSWER,    /* main: the rrset asked for */
	SCRUB_CNAME,     /* main: the name's CNAME: the rest of its chain is not taken */
	SCRUB_DNAME,     /* main: an ancestor's DNAME, which has just one record */
	SCRUB_NODATA,    /* main: the SOA; NULL: there was none */
	SCRUB_NXDOMAIN,  /* likewise */
};
struct scrub_question {
	const uint8_t *zone, *name; /* lower case; the name is the zone's or below it */
	uint16_t type;
	bool recursive; /* a forwarder was asked: there is no lameness and no referral */
};
struct scrubbed { /* memory is of the pool */
	enum scrub_kind kind;
	uint16_t rcode;  /* extended */
	uint16_t ede;    /* that the server told; 0xffff: none */
	const char *why; /* of MALFORMED, FAILED and LAME, static */
	const struct rrset *main;
	const struct rrset *proof[SCRUB_PROOFS]; /* DS, NSEC, NSEC3 of the authority section */
	unsigned proofs;
	/* Addresses of the names in the NS records of main, of the additional section. */
	const struct rrset *address[SCRUB_ADDRESSES];
	unsigned addresses;
	unsigned dropped; /* records that were out of place */
};
/* pkt: a response whose question was found to be the one asked. */
void scrub(struct pool *pool, const struct scrub_question *q, const uint8_t *pkt, size_t len,
	   struct scrubbed *out);
/* Whole uncompressed records, as caches keep them (cached.extra), as rrsets again. Returns how many
 * were put into out. */
unsigned scrub_records(struct pool *pool, struct slice records, const struct rrset **out,
		       unsigned max);

/* --- scrub_read.c: records into rrsets ---------------------------------------------------------
 */
struct scrub_set {
	struct rrset set;
	enum dns_section section;
	size_t octets; /* of its data */
	struct scrub_rr *first, *last;
};
struct scrub_sets {
	struct pool *pool;
	struct scrub_set set[SCRUB_SETS];
	unsigned n, records;
	size_t octets;
	const char *why; /* of what went wrong */
};
/* Adds a record, whose data is copied; of an RRSIG to the signatures of what it covers. Repeated
 * ones are left out. False: beyond a limit, s->why says which. */
bool scrub_add(struct scrub_sets *s, enum dns_section section, const uint8_t *owner, uint16_t type,
	       uint32_t ttl, const uint8_t *rdata, size_t len);
/* Lays the data of all sets out; those of signatures alone are gone then. */
void scrub_lay(struct scrub_sets *s);
#endif
