/* zonechunk: records of a zone as the store keeps and hands them out: runs of records in canonical
 * order (RFC 4034 6.1, 6.3), names shortened by what they share with the one before. A chunk is
 * read on its own; all records of a name stand in one chunk. Pure, no limits but those told. */
#ifndef DNS_ZONECHUNK_H
#define DNS_ZONECHUNK_H
#include "libcommon/dns/zonetext.h"

enum {
	ZONE_KEY_MAX = 2 * DNS_NAME_MAX,
	ZONE_CHUNK_LEAST = 8 << 10,  /* octets that a chunk of a whole zone has at least */
	ZONE_CHUNK_FULL = 16 << 10,  /* ... after which an edited one that is cut in two ends */
	ZONE_CHUNK_SPLIT = 32 << 10, /* ... that an edited one has before it is cut in two */
	ZONE_CHUNK_SMALL = 4 << 10,  /* ... under which it is joined with a neighbour */
	ZONE_OWNER_OCTETS = 1 << 20, /* of all records of one name */
	/* ... of one type (RFC 2181 5), their names not compressed: a message has to hold them */
	ZONE_SET_OCTETS = DNS_MSG_MAX - DNS_HEADER - DNS_NAME_MAX - 4,
	ZONE_CHUNK_OCTETS = 2u << 20, /* no chunk is larger: one that is, is damaged */
	ZONE_RR_OCTETS = DNS_RDATA_MAX + DNS_NAME_MAX + 12, /* no record is larger in a chunk */
};

/* The name's place in the zone: keys compare as octets (memcmp, then length) in canonical order, a
 * name's key begins with those of the names above it, the zone's own name has an empty one. The
 * owner is under the zone, whose name has zone_len octets. Returns the octets. */
size_t zone_key(const uint8_t *owner, size_t zone_len, uint8_t out[ZONE_KEY_MAX]);
int zone_key_cmp(struct slice a, struct slice b);
/* Canonical order of two records' data: names compare in lower case. 0: the same record. */
int zone_rdata_cmp(uint16_t type, const uint8_t *a, size_t alen, const uint8_t *b, size_t blen);
/* Order of records in a zone: name, type, data. The TTL does not count. */
int zone_rr_cmp(const struct zone_rr *a, const struct zone_rr *b);

/* A chunk being written; all zero is an empty one. data is the caller's to free. */
struct zone_chunk_out {
	struct buf data;
	uint32_t records;
	uint16_t type;
	uint32_t ttl;
	size_t owner_len;
	uint8_t owner[DNS_NAME_MAX];
};
void zone_chunk_add(struct zone_chunk_out *c, const struct zone_rr *rr);
/* A zone that is written from end to end: the chunk ends before the next name. The names decide, so
 * that of two versions of a zone most chunks are the same. */
bool zone_chunk_ends(const struct zone_chunk_out *c, const uint8_t *next);
void zone_chunk_clear(struct zone_chunk_out *c); /* keeps its memory */

/* A chunk being read. */
struct zone_chunk_in {
	const uint8_t *p, *end;
	bool bad; /* it is malformed here */
	uint16_t type;
	uint32_t ttl;
	size_t owner_len;
	uint8_t owner[DNS_NAME_MAX];
};
void zone_chunk_open(struct zone_chunk_in *c, struct slice data);
/* The next record, which lives until the next call (its data as long as the chunk). False: no more,
 * or c->bad. The owner is a whole name; that it is in the zone, that the order is right and the
 * data well formed is for those to prove who take a chunk in: zone_chunk_check(). */
bool zone_chunk_next(struct zone_chunk_in *c, struct zone_rr *rr);

/* What a chunk from outside must be. last: key of the last name before it, "" at the beginning of
 * the zone (begins: nothing was before); afterwards that of its own last name. */
struct zone_run {
	const uint8_t *zone;
	size_t zone_len;
	bool begun;
	size_t last_len;
	uint8_t last[ZONE_KEY_MAX];
};
struct zone_check;
/* Every record is in the zone, well formed, and behind the one before; also tells `check` (may be
 * NULL) of each. first: key of the first name. False: *why, a static text, and *at, the record that
 * it is about (owner NULL: the chunk itself). */
struct zone_fault {
	const char *why;
	uint8_t owner[DNS_NAME_MAX];
	uint16_t type; /* 0: none */
};
bool zone_chunk_check(struct zone_run *run, struct slice data, struct zone_check *check,
		      uint32_t *records, size_t *first_len, uint8_t first[ZONE_KEY_MAX],
		      struct zone_fault *fault);
/* "www.example.org AAAA: why" for people. */
void zone_fault_text(const struct zone_fault *f, char *out, size_t cap);
#endif
