/* image: a zone compiled for answering: one position-independent file, written once, mapped
 * read-only by every process that serves it. Little is left to do for a query: the name's hash
 * leads to its node, the node's directory of types to pieces of the response as they go on the
 * wire.
 *
 * A piece is a run of whole records for one section, laid out as if the question's name were the
 * name that its pointers count on (the node's own, the zone's or the cut's): all its pointers are
 * relative to the end of the question, so that for another question's name each is shifted by the
 * same number. The places of the pointers stand behind the bytes; in the usual case (the name asked
 * is the node's) nothing is shifted and the piece is one copy.
 *
 * Everything read from the file is checked against its size when it is opened (header) and where it
 * is used (offsets): a damaged image is SERVFAIL, never a crash. Built by image_maker; one process
 * builds, the others map. Native byte order; another machine's image is refused and built anew. */
#ifndef DNSD_IMAGE_H
#define DNSD_IMAGE_H
#include "libcommon/dns/wire.h"

/* --- image_make.c: the builder --------------------------------------------------------------- */
struct image_maker;
struct image_options {
	bool keep_order; /* records of an rrset as they came; else canonical order */
};
struct image_stats {
	uint64_t records, rrsets, names, octets;
	uint32_t serial;
};
/* Begins the image of a zone in `path`.new in the folder fd. NULL with errno. */
struct image_maker *image_make(int folder, const char *path, const uint8_t *zone,
			       const struct image_options *o);
/* A record; any order, the zone's own names and glue below its cuts. Repeated records count once;
 * of the TTLs of an rrset the smallest is taken. rdata is checked (dns_rdata_check). False: *why.
 */
bool image_add(struct image_maker *m, const uint8_t *owner, uint16_t type, uint32_t ttl,
	       const uint8_t *rdata, size_t rdlen, const char **why);
/* Checks the zone (one SOA at the apex, NS there, no data beside a CNAME, nothing but glue below a
 * cut, DNAME alone above ...; each violation by `error`), lays it out, writes, fsyncs, renames,
 * fsyncs the folder. Frees m. False: nothing is left in the folder. */
bool image_finish(struct image_maker *m, struct image_stats *out,
		  void (*error)(void *arg, const char *line), void *arg);
void image_abort(struct image_maker *m);

/* --- image.c: mapping and looking up -----------------------------------------------------------
 */
struct image;
/* NULL with *why when it is damaged, of another version or not there. */
struct image *image_open(int folder, const char *path, const char **why);
void image_close(struct image **i);
const uint8_t *image_zone(const struct image *i);
uint32_t image_serial(const struct image *i);

/* How a name stands to the zone. */
enum image_found {
	IMAGE_NAME,     /* the node is the name's */
	IMAGE_EMPTY,    /* an empty non-terminal */
	IMAGE_WILDCARD, /* no such name; the node is the wildcard that answers for it */
	IMAGE_CUT,      /* at or below a delegation; the node is the cut's */
	IMAGE_DNAME,    /* below a DNAME; the node is its owner's */
	IMAGE_NONE,     /* NXDOMAIN; the node is the closest encloser's */
	IMAGE_DAMAGED,
};
struct node; /* in the image */
struct image_match {
	enum image_found found;
	const struct node *node;
	const uint8_t *name; /* the node's, lower case */
	size_t name_len;
	bool at_cut; /* IMAGE_CUT: the name asked is the cut's own: DS is answered by us */
};
/* name: under the zone, lower case. */
void image_find(const struct image *i, const uint8_t *name, size_t len, struct image_match *out);

/* A piece of a response. */
struct piece {
	const uint8_t *bytes;
	uint16_t len, records;
	const uint16_t
	    *pointers; /* offsets in bytes of compression pointers; shift each by
			* (octets of the question's name) - (octets of the node's name) */
	uint16_t pointers_n;
};
enum image_part {
	PART_ANSWER,            /* the rrset of the type */
	PART_SIGNATURES,        /* its RRSIGs */
	PART_ADDITIONAL,        /* addresses in the zone of the names in it; not needed */
	PART_GLUE,              /* ... of a delegation: needed (RFC 9471) */
	PART_REFERRAL,          /* of a cut: NS for the authority section; then DS or its proof */
	PART_REFERRAL_SECURITY, /* ... DS with RRSIG, or NSEC / NSEC3 with RRSIG */
	PART_SOA,               /* of the apex, for negative answers: TTL by RFC 2308 */
	PART_SOA_SIGNATURES,
};
/* False: the node has none. In PART_ANSWER records are laid out to come first behind the question;
 * in all others owners are relative to the question's name or written out, so that they can stand
 * anywhere. */
bool image_piece(const struct image *i, const struct node *n, enum image_part part, uint16_t type,
		 struct piece *out);
/* Goes over the rrsets of a node (ANY, transfers): *at is 0 to begin. */
bool image_next_type(const struct image *i, const struct node *n, size_t *at, uint16_t *type);
/* Goes over all nodes in canonical order (transfers, ZONEMD, NSEC): *at is 0 to begin. */
const struct node *image_next(const struct image *i, size_t *at, struct image_match *out);
/* The target of a CNAME or DNAME at the node; NULL: none. */
const uint8_t *image_target(const struct image *i, const struct node *n, uint16_t type);
/* Denial (signed zones): the NSEC record, with signature, of the node before the name in canonical
 * order or its own; the NSEC3 that matches or covers the name's hash. */
bool image_denial(const struct image *i, const uint8_t *name, size_t len, bool *matches,
		  struct piece *out);
#endif
