/* image_maker: what the files of the builder share. Names are interned with all that are between
 * them and the zone; the order of work is: add (image_make.c), finish (image_finish.c): sort
 * (image_sort.c), check (image_check.c), lay out (image_layout.c) the pieces that image_press.c
 * compiles. */
#ifndef DNSD_IMAGE_MAKER_H
#define DNSD_IMAGE_MAKER_H
#include "dnsd/image/image_int.h"

#define NONE UINT32_MAX

struct record {
	const uint8_t
	    *data;     /* as it came; when `canon` is set its canonical form stands behind it */
	uint32_t next; /* of its name; NONE: the last */
	uint32_t ttl;
	uint16_t type, len;
	bool canon;
};

struct made_name {
	const uint8_t *wire; /* lower case */
	uint64_t hash;
	uint32_t list;   /* of its records, the last one first; NONE: it has none */
	uint32_t first;  /* once sorted: its records' place in maker->sorted */
	uint32_t count;  /* likewise */
	uint32_t parent; /* NONE: the zone's own name */
	uint32_t above;  /* NODE_BELOW: the cut or the DNAME */
	uint32_t at;     /* its node's place */
	uint8_t len, labels, flags;
	uint8_t has;   /* types that are looked for, so that most names need not be searched */
	uint8_t patch; /* of an overlay: PATCH_KNOWN ... (image_patch.c) */
};
enum { HAS_SOA = 1, HAS_DS = 2, HAS_NSEC = 4, HAS_NSEC3 = 8, HAS_TARGETS = 16 /* NS, MX */ };

struct made_alias {
	const uint8_t *target; /* lower case */
	uint32_t name, ttl;
	const char *mistake; /* NULL: none */
	bool circle;         /* it leads back to itself, or nowhere that soon */
};

/* A name of an overlay being made. */
enum {
	PATCH_KNOWN = 1,    /* its records are there, those of the names above it too */
	PATCH_CHANGED = 2,  /* ... they are new ones */
	PATCH_LIVES = 4,    /* there is such a name */
	PATCH_GONE = 8,     /* there is none any more */
	PATCH_OLD = 16,     /* the image before has it */
	PATCH_MUST = 32,    /* its node is made anew, whatever its records */
	PATCH_LAID = 64,    /* its node is made anew, or a mark is */
	PATCH_SIGNED = 128, /* its signatures are looked at */
};
struct image_patch {
	const struct image *before;
	uint32_t most, laid;
	bool failed;               /* there must be a whole image */
	bool settled;              /* what comes into it now is as it was before */
	uint64_t content, records; /* of the source, as they are now */
	struct buf *changed;       /* out: names */
	struct image_walk walk;
};

struct chunk;
struct image_maker {
	struct image_options o;
	int folder;
	char *path;
	uint8_t key[SIP_KEY];
	uint8_t zone[DNS_NAME_MAX];
	size_t zone_len;
	unsigned zone_labels;
	struct chunk *arena;
	struct record *record;
	uint32_t records, records_cap;
	struct made_alias *alias;
	uint32_t aliases, aliases_cap;
	bool aliased;           /* their addresses were added */
	struct made_name *name; /* the zone's own is the first */
	uint32_t names, names_cap;
	uint32_t *table; /* of names, by their hash; its size is a power of two */
	uint32_t table_mask;
	uint32_t last; /* the name of the record before */
	uint32_t *order, *sorted;
	uint32_t ordered;   /* so many names there were when they were put in order */
	uint32_t sorted_of; /* records that there were when they were sorted */
	struct image_origin origin;
	struct image_patch *patch; /* it is an overlay; NULL: an image */
	uint8_t *scratch;          /* of image_add() */
	uint32_t left_out;         /* records that were not taken because the zone is signed here */
	image_report_fn *report;
	void *report_arg;
	struct image_stats stats;
};

/* Records of a name that have the type; of RRSIG: that cover the type. */
struct rrset {
	uint16_t type, covered;
	uint32_t ttl;
	const uint32_t *record;
	uint32_t n;
};

/* image_make.c */
/* key: of the hashes; NULL: a new one. */
struct image_maker *maker_make(int folder, const char *path, const uint8_t *zone,
			       const struct image_options *o, const uint8_t *key);
/* Adds a record that is well formed. */
void maker_add(struct image_maker *m, uint32_t name, uint16_t type, uint32_t ttl,
	       const uint8_t *rdata, size_t rdlen);
/* Data or a name that lives as long as the maker. */
uint8_t *maker_keep(struct image_maker *m, const uint8_t *p, size_t n);
/* The name, in lower case and in the zone; it is made when it is new. */
uint32_t maker_name(struct image_maker *m, const uint8_t *lower, size_t len);
/* Adds a record whose data was kept and is in its canonical form; returns its number. What was
 * sorted is not any more. */
uint32_t maker_record(struct image_maker *m, uint32_t name, uint16_t type, uint32_t ttl,
		      const uint8_t *kept, size_t len);
/* NONE: it was never made. */
uint32_t maker_raw(const struct image_maker *m, const uint8_t *lower, size_t len);
/* NONE: there is no such name, or none any more. */
uint32_t maker_find(const struct image_maker *m, const uint8_t *lower, size_t len);
/* The next rrset of the name; *at is 0 to begin. */
bool maker_next(const struct image_maker *m, const struct made_name *n, uint32_t *at,
		struct rrset *out);
bool maker_rrset(const struct image_maker *m, const struct made_name *n, uint16_t type,
		 uint16_t covered, struct rrset *out);
void maker_report(struct image_maker *m, bool error, const struct made_name *n, const char *fmt,
		  ...) __attribute__((format(printf, 4, 5)));

/* image_sort.c: names in canonical order, each one's records by type and data, without repeats;
 * again when something was added */
void maker_sort(struct image_maker *m);
/* image_finish.c: all that comes from the source is there: sorted, marked, with addresses for each
 * ALIAS. */
void maker_ready(struct image_maker *m);
/* image_alias.c */
/* Adds the addresses that stand for each ALIAS, once; names are marked. */
void maker_alias(struct image_maker *m);
/* Tells what is wrong with them. */
void maker_alias_check(struct image_maker *m);

/* image_patch.c */
/* The name has the records that are added from now on, no others. */
void patch_name(struct image_maker *m, uint32_t name);
/* The name, known, if there is one in the zone as it is going to be; else NONE. */
uint32_t patch_need(struct image_maker *m, const uint8_t *lower, size_t len);
/* The signer's records of the name go; they are going to be made anew. */
void patch_strip(struct image_maker *m, uint32_t name);
/* A name that only now has come, or (gone) has gone. */
void patch_come(struct image_maker *m, uint32_t name, bool gone);
/* A zone begins or ends to have proofs, or they are of another kind. */
bool patch_proofs_differ(const struct image_maker *m);
/* Which nodes there must be; again when something was added. */
void patch_settle(struct image_maker *m);
/* The node of the image before; NULL: there is none. */
const struct node *patch_old(const struct image_maker *m, const struct made_name *n);
/* stats: those of the whole zone. */
void patch_numbers(struct image_maker *m);
/* Tells what has changed. */
void patch_told(struct image_maker *m);

/* image_serial.c, once sorted */
/* What one record of the source is to image_origin's content; its data is in canonical form. */
uint64_t maker_content_of(uint64_t owner, uint16_t type, uint32_t ttl, const uint8_t *data,
			  size_t len);
uint64_t maker_content_owner(const uint8_t *lower, size_t len);
/* Of a name's records, as the source has them. */
uint64_t maker_content_name(const struct image_maker *m, const struct made_name *n);
/* image_origin's content. */
uint64_t maker_content(const struct image_maker *m);
/* That of the SOA; false: there is none. */
bool maker_serial(const struct image_maker *m, uint32_t *serial);
void maker_set_serial(struct image_maker *m, uint32_t serial);

/* image_check.c: the flags of names; then what is wrong with the zone */
void maker_mark(struct image_maker *m);
void maker_check(struct image_maker *m);
/* image_layout.c: writes the file. False: errno. */
bool maker_write(struct image_maker *m, int fd);

/* --- image_press.c ---------------------------------------------------------------------------- */
enum { PRESS_NAMES = 64, PRESS_POINTERS = 16384 };
struct press {
	/* What pointers may lead to: the base name from `shared` on, and names of the main piece.
	 */
	const uint8_t *base;
	size_t base_len, shared;
	struct {
		const uint8_t *name;
		uint16_t at; /* in the message that image_int.h describes */
	} known[PRESS_NAMES];
	unsigned known_n;
	bool main; /* names of this piece can be known */
	/* The piece. */
	bool full; /* it has become too long for any message */
	unsigned records, pointers;
	size_t len;
	uint8_t bytes[DNS_MSG_MAX];
	uint16_t pointer[PRESS_POINTERS];
};
/* Begins the pieces of a name: nothing is known. */
void press_base(struct press *p, const uint8_t *name, size_t len);
/* Begins a piece; what the main piece before it has is known. */
void press_begin(struct press *p, bool main);
/* Adds the rrset. owner: NULL for that of an answer (c00c), else any name. */
void press_rrset(struct press *p, const struct image_maker *m, const struct rrset *s,
		 const uint8_t *owner, uint32_t ttl);
/* Calls fn with the names in the rrset's data, as they are there. */
void rrset_names(const struct image_maker *m, const struct rrset *s,
		 void (*fn)(void *arg, const uint8_t *name), void *arg);
#endif
