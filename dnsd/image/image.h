/* image: a zone compiled for answering: one position-independent file, written once, mapped
 * read-only by every process that serves it. Little is left to do for a query: the name's hash
 * leads to its node, the node's entries to pieces of the response as they go on the wire.
 *
 * A piece is a run of whole records for one section, laid out as if the question's name were the
 * node's (all pointers count on that): for a question's name that ends as the node's does, each
 * pointer is shifted by the same number. The places of the pointers stand behind the bytes; in the
 * usual case (the name asked is the node's) nothing is shifted and the piece is one copy.
 *
 * Everything read from the file is checked against its size when it is opened (header) and where it
 * is used (places): a damaged image is SERVFAIL, never a crash. Built by image_maker; one process
 * builds, the others map. Native byte order; another machine's image is refused and built anew. */
#ifndef DNSD_IMAGE_H
#define DNSD_IMAGE_H
#include "libcommon/dns/zonetext.h"

enum { IMAGE_ITERATIONS = 150 /* of NSEC3, at most (RFC 9276 wants 0) */ };

/* --- image_make.c: the builder --------------------------------------------------------------- */
struct image_maker;
/* Adds what the zone's own data does not have, its signatures (sign.h). Called when everything was
 * checked and nothing is wrong. False: it was reported. */
typedef bool image_sign_fn(void *arg, struct image_maker *m);
/* The addresses that stand in place of an ALIAS, and how long they are good for; none: they are not
 * known (yet). Called once for each ALIAS; both names are in lower case. */
enum { IMAGE_ADDRESSES = 16 /* of each family */ };
struct image_addresses {
	uint8_t a[IMAGE_ADDRESSES][4], aaaa[IMAGE_ADDRESSES][16];
	unsigned a_n, aaaa_n;
	uint32_t ttl; /* seconds; the ALIAS's own counts where it is smaller */
};
typedef void image_alias_fn(void *arg, const uint8_t *owner, const uint8_t *target,
			    struct image_addresses *out);
struct image_options {
	bool keep_order; /* records of an rrset as they came; else canonical order */
	bool lenient;    /* a zone of others (secondary): what can be served in spite of a mistake
			  * is reported, but is no error */
	/* The zone is signed here: what others have made of that kind (DNSKEY, RRSIG, NSEC, CDS,
	 * ZONEMD ...) is left out, with a warning. NULL: the zone is served as it is. */
	image_sign_fn *sign;
	void *sign_arg;
	image_alias_fn *alias; /* NULL: no ALIAS has addresses */
	void *alias_arg;
};
struct image_stats {
	uint64_t records, rrsets, names, octets; /* names: empty non-terminals count, too */
	uint32_t serial;
	unsigned errors, warnings;
	bool unwritten; /* its only error: there may be room on the disk later */
};
enum {
	IMAGE_SIGNED = 1,        /* by us */
	IMAGE_AWAITS_PARENT = 2, /* its DS records are not yet what CDS asks for */
};
/* What an image is of. */
struct image_origin {
	uint64_t id;        /* of the zone in the store; 0: it is a text */
	uint64_t version;   /* the text's time (ns since 1970), store_version_of() */
	uint64_t content;   /* of the source's records, but for the SOA's serial: two images with
			     * different ones are of different records */
	uint64_t addresses; /* those of its ALIAS records: alias_version() */
	uint64_t due; /* seconds since 1970 when it must be compiled again in any case; 0: never */
	uint64_t settings; /* those of its signing: dnssec_settings() */
	uint64_t dnssec;   /* IMAGE_SIGNED ... */
	uint64_t keys;     /* a hash of those that it is signed by */
	uint64_t serial;   /* that of the source's SOA */
	uint64_t records;  /* of the source */
	uint64_t plain;    /* what is derived from the records follows from each name's alone: not
			    * from ALIAS records, nor from settings that are other ones now */
};
/* "www.b.test: CNAME and other data". */
typedef void image_report_fn(void *arg, bool error, const char *line);
/* Begins the image of a zone; it is going to be the file `path` in the folder, and until it is
 * whole the file `path`.new. o may be NULL. */
struct image_maker *image_make(int folder, const char *path, const uint8_t *zone,
			       const struct image_options *o);
/* A record; any order, the zone's own names and glue below its cuts. Repeated records count once;
 * of the TTLs of an rrset the smallest is taken. An ALIAS is replaced. rdata is checked
 * (dns_rdata_check). Nothing is kept by reference. False: *why is a static text. */
bool image_add(struct image_maker *m, const uint8_t *owner, uint16_t type, uint32_t ttl,
	       const uint8_t *rdata, size_t rdlen, const char **why);
/* A type whose records the signer makes. */
bool image_is_signers(uint16_t type);
/* Checks the zone (one SOA at the apex, NS there, nothing beside a CNAME, nothing but glue below a
 * cut, nothing below a DNAME; targets of NS and MX; each violation by report, which may be NULL),
 * lays it out, writes, fsyncs, renames, fsyncs the folder. Frees m. False: there was an error, or
 * errno's one was reported; the folder is as it was. */
bool image_finish(struct image_maker *m, struct image_stats *out, image_report_fn *report,
		  void *arg);
void image_abort(struct image_maker *m);
/* Before image_finish(). */
void image_set_origin(struct image_maker *m, const struct image_origin *o);

/* --- image.c: mapping and looking up -------------------------------------------------------- */
struct image;
/* NULL with *why, a static text, when it is damaged, of another version or not there. */
struct image *image_open(int folder, const char *path, const char **why);
/* The same; what of it `before` (may be NULL) has mapped already is shared with that. */
struct image *image_open_next(int folder, const char *path, const struct image *before,
			      const char **why);
/* The serial of the image of another version of this program, which is of no other use; 0: there is
 * none. */
uint32_t image_serial_left(int folder, const char *path);
void image_close(struct image **i); /* *i may be NULL */
/* It stays mapped until it is closed once more; any thread. Returns it. */
struct image *image_hold(const struct image *i);
const uint8_t *image_zone(const struct image *i);
uint32_t image_serial(const struct image *i);
const struct image_origin *image_origin(const struct image *i);
void image_numbers(const struct image *i, struct image_stats *out); /* no rrsets */
/* Names that its overlay has; 0: there is none. */
uint32_t image_overlaid(const struct image *i);

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
	const uint8_t *name; /* the node's, lower case; in the image or in the name given */
	size_t name_len;
	bool at_cut; /* IMAGE_CUT: the name asked is the cut's own: DS is answered by us */
};
/* name: the zone's or below it, lower case, len octets; kept by reference. RFC 1034 4.3.2, RFC
 * 4592, RFC 6672. Work is bounded by the logarithm of the labels. */
void image_find(const struct image *i, const uint8_t *name, size_t len, struct image_match *out);
/* The same in three steps, for many names at once: image_hint() for each of them, then
 * image_hint_node() for each, then image_find_hint(). What a step needs of the memory is asked for
 * by the one before it and comes while the other names' turn is. A hint is good for its name only.
 */
uint64_t image_hint(const struct image *i, const uint8_t *name, size_t len);
void image_hint_node(const struct image *i, uint64_t hint);
void image_find_hint(const struct image *i, const uint8_t *name, size_t len, uint64_t hint,
		     struct image_match *out);
/* The node of the zone's own name. False: damaged. */
bool image_apex(const struct image *i, struct image_match *out);
/* The node has a CNAME. */
bool image_is_alias(const struct node *n);

/* --- image_piece.c: pieces of a response ---------------------------------------------------- */
struct piece {
	const uint8_t *bytes;
	uint16_t len, records, pointers;
	const uint16_t *pointer; /* their places in bytes */
};
enum image_part {
	PART_ANSWER,     /* the rrset of the type; all owners are c00c */
	PART_SIGNATURES, /* its RRSIGs; likewise */
	PART_REFERRAL,   /* NS of a cut, for the authority section */
	PART_GLUE,       /* addresses of the cut's servers below it: needed (RFC 9471) */
	/* Addresses in the zone of the names in the rrset: not needed, optional. Their pointers may
	 * lead into the main piece (PART_ANSWER or PART_REFERRAL). */
	PART_ADDITIONAL,
	PART_ADDITIONAL_SIGNATURES,
	PART_SOA, /* of the apex, for negative answers: TTL by RFC 2308 5 */
	PART_SOA_SIGNATURES,
};
/* False: the node has none, or the image is damaged there. PART_ANSWER and NS of a cut is the
 * referral's piece. */
bool image_piece(const struct image *i, const struct node *n, enum image_part part, uint16_t type,
		 struct piece *out);
/* Goes over the types of a node's rrsets, RRSIG not among them: *at is 0 to begin. */
bool image_next_type(const struct image *i, const struct node *n, size_t *at, uint16_t *type);
/* Goes over all nodes in canonical order (transfers, ZONEMD): *at is 0 to begin. False: the end, or
 * a damaged node (out->found is then IMAGE_DAMAGED). */
bool image_next(const struct image *i, uint64_t *at, struct image_match *out);

/* A record of a piece. */
struct image_rr {
	uint8_t owner[DNS_NAME_MAX];
	size_t owner_len;
	uint16_t type;
	uint32_t ttl;
	size_t rdata, rdata_end; /* its places in the piece, names may be compressed there */
	unsigned pointer;        /* the first of the piece's pointers that is not before rdata */
};
/* The record at *at, which is moved behind it; main: the piece that pointers may lead into, mostly
 * p itself. False: no more, or damaged. */
bool image_rr(const struct image_match *m, const struct piece *main, const struct piece *p,
	      size_t *at, struct image_rr *out);
/* Its data without compression. Returns the octets; 0 with *ok false: damaged. */
size_t image_rdata(const struct image_match *m, const struct piece *main, const struct piece *p,
		   const struct image_rr *rr, uint8_t out[DNS_RDATA_MAX], bool *ok);
/* The name that the pointer at `at` of the piece stands for; its octets; 0: damaged. */
size_t image_pointed(const struct image_match *m, const struct piece *main, const struct piece *p,
		     size_t at, uint8_t out[DNS_NAME_MAX]);
/* The target of the CNAME or DNAME at the node; its octets; 0: none. */
size_t image_target(const struct image *i, const struct image_match *m, uint16_t type,
		    uint8_t out[DNS_NAME_MAX]);

/* --- image_walk.c: all records, by transfers and their journal -------------------------------- */
struct image_walk {
	bool bad; /* the image is damaged here, and ends */
	const struct image *i;
	uint64_t at;
	struct image_match m; /* the name */
	unsigned entry;
	bool open;
	struct piece p;
	size_t rr_at;
	struct image_rr rr;
	uint8_t rdata[DNS_RDATA_MAX];
};
void image_walk_begin(struct image_walk *w, const struct image *i);
/* The next name, in canonical order: all of them, also those below cuts. False: no more, or w->bad.
 */
bool image_walk_name(struct image_walk *w);
/* That name, which has a node, instead of the next one. False: it has none. */
bool image_walk_to(struct image_walk *w, const uint8_t *name, size_t len);
/* The next record of the name, which lives until the next call: by type, signatures with the type
 * that they cover. False: no more, or w->bad. */
bool image_walk_rr(struct image_walk *w, struct zone_rr *out);
/* Both names, which are the same, have the same records, written alike. False: perhaps not. */
bool image_same_records(const struct image_walk *a, const struct image_walk *b);
/* The zone's SOA. False: damaged. */
struct image_soa {
	uint32_t ttl;
	size_t len;
	uint8_t rdata[2 * DNS_NAME_MAX + 20];
};
bool image_soa(const struct image *i, struct image_soa *out);

/* --- image_denial.c: signed zones ----------------------------------------------------------- */
/* DNS_NSEC, DNS_NSEC3, or 0: nothing can be proved. */
uint16_t image_denial_type(const struct image *i);
/* The node with the record that matches the name (*matches) or covers it: the NSEC at or before it
 * in canonical order, the NSEC3 at or before its hash. False: there is none. */
bool image_denial(const struct image *i, const uint8_t *name, size_t len, bool *matches,
		  struct image_match *out);
#endif
