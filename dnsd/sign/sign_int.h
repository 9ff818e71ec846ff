/* sign_int: what the files of the signer share. */
#ifndef DNSD_SIGN_INT_H
#define DNSD_SIGN_INT_H
#include "dnsd/image/image_maker.h"
#include "dnsd/sign/sign.h"
#include "libcommon/base/buf.h"

/* Signatures that are asked for, of one key. */
struct sign_batch {
	struct buf data;
	size_t end[SIGN_BATCH];         /* of each one's data */
	uint8_t *signature[SIGN_BATCH]; /* where it goes */
	size_t n;
};

struct signer {
	struct sign *s;
	struct image_maker *m;
	uint16_t tag[SIGN_KEYS];
	bool known[SIGN_KEYS]; /* the image before has signatures of the key */
	struct sign_batch batch[SIGN_KEYS];
	uint32_t early; /* renewed before it is urgent */
	bool failed;
	/* Where the walk through the image before is. */
	uint64_t at;
	bool ended, same; /* same: the node is that of the name at hand */
	struct image_match old;
};

/* --- sign_chain.c --- NSEC or NSEC3 of all names; what was there is sorted, what is added not.
 * ttl: theirs. False: it was reported. */
bool sign_chain(struct image_maker *m, bool nsec3, uint32_t ttl);
/* The name's NSEC; next: the name behind it. */
void sign_nsec(struct image_maker *m, uint32_t name, uint32_t next, uint32_t ttl);
enum { SIGN_LABEL = NSEC3_HASH * 8 / 5, SIGN_NSEC3 = 6 + NSEC3_HASH + 256 * 34, SIGN_NEXT = 6 };
/* The owner of a NSEC3, in lower case; returns its octets, 0: too long. */
size_t sign_owner(const struct image_maker *m, const uint8_t hash[NSEC3_HASH],
		  uint8_t out[DNS_NAME_MAX]);
/* The data of the name's NSEC3, but for the next hash, whose place is SIGN_NEXT. */
size_t sign_nsec3(const struct image_maker *m, uint32_t name, uint8_t out[SIGN_NSEC3]);

/* --- sign_patch.c --- the same for an overlay: of the names that have changed, and of their
 * neighbours. False: there must be a whole image. */
bool sign_patch(struct signer *w, uint32_t ttl);

/* --- sign_rrset.c --- */
/* Begins: which keys the image before has. */
void sign_begin(struct signer *w);
void sign_end(struct signer *w);
/* Goes to the name in the image before; names come in canonical order. */
void sign_walk(struct signer *w, const struct made_name *n);
/* Signs the records by every key, or keeps the signatures that there are. The signatures of the
 * image before are those of the node that sign_walk() has found. */
void sign_rrset(struct signer *w, uint32_t name, const struct rrset *s);
/* A signature of the records that the image before has for them, whatever they are there, is
 * missing or is to be renewed. */
bool sign_ends(struct signer *w, uint32_t name, const struct rrset *s);
/* Fetches all signatures that were asked for. False: it was reported. */
bool sign_flush(struct signer *w);

/* --- sign_digest.c --- RFC 8976 3: of all records, which are sorted. */
enum { SIGN_DIGEST = 48 /* SHA-384 */, SIGN_ZONEMD = 6 + SIGN_DIGEST };
void sign_digest(const struct image_maker *m, uint8_t out[SIGN_DIGEST]);

/* The record's data in canonical form. */
static inline const uint8_t *sign_canonical(const struct record *r)
{
	return r->data + (r->canon ? r->len : 0);
}
#endif
