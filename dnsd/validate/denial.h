/* denial: what NSEC (RFC 4034 4, 4035 5.4) and NSEC3 (RFC 5155 8) records prove that is not there.
 * Pure, as validate.h. First all of them that came with an answer are validated, and those that are
 * secure put in a denial; then that is asked. What is insecure there (opt-out, too many iterations)
 * makes the answer insecure; a proof that fails makes it bogus. */
#ifndef DNSD_DENIAL_H
#define DNSD_DENIAL_H
#include "dnsd/validate/validate.h"

enum {
	DENIAL_RECORDS = 12, /* that are taken; an honest answer has at most 4 for a name */
	DENIAL_HASHES = 40,  /* that are remembered */
	DENIAL_HASH = 20,    /* octets */
};
struct denial_record {
	const uint8_t *owner, *next; /* NSEC */
	struct slice types;          /* the bitmap */
	bool opt_out;                /* NSEC3, as the rest: */
	uint8_t from[DENIAL_HASH], to[DENIAL_HASH];
};
struct denial_hashed {
	const uint8_t *name;
	bool wildcard; /* of "*." and the name */
	uint8_t hash[DENIAL_HASH];
};
/* What there is for one name, that is, for one hop of an answer: of one zone. */
struct denial {
	const uint8_t *zone; /* the signer of all of them */
	unsigned n, n3;
	struct denial_record nsec[DENIAL_RECORDS], nsec3[DENIAL_RECORDS];
	bool rounds; /* there is NSEC3 with more than VALIDATE_NSEC3_ROUNDS */
	/* Of NSEC3; records with other parameters than the first are left out. */
	uint16_t iterations;
	struct slice salt;
	unsigned hashes;
	struct denial_hashed hashed[DENIAL_HASHES];
};
struct proof {
	uint16_t ede; /* enum validate_ede */
	char why[VALIDATE_WHY];
	const uint8_t *encloser; /* the closest one, a part of the name asked for; NULL: the name is
				  * there itself, or not known */
};

/* zone: the signer of what will be added; lower case, stays. */
void denial_init(struct denial *d, const uint8_t *zone);
/* The set that v has found secure; its data stay where they are. False: it is of no use here: no
 * NSEC or NSEC3, of another zone, expanded from a wildcard, or too many. */
bool denial_add(struct denial *d, const struct validate *v);
/* Likewise, of a set that was found secure earlier, and was not expanded. */
bool denial_add_secure(struct denial *d, const struct rrset *set);

/* Each returns RRSET_SECURE, RRSET_INSECURE (opt-out, or NSEC3 with too many iterations: EDE 27),
 * or RRSET_BOGUS: not proven. name: lower case, stays as long as d. */
/* The name is not there, and no wildcard for it. */
enum rrset_security denial_nxdomain(struct denial *d, const uint8_t *name, struct validate_work *w,
				    struct proof *out);
/* The name, or the wildcard in its place, has no such type and no CNAME. Of DS: by the parent's
 * side of the cut. */
enum rrset_security denial_nodata(struct denial *d, const uint8_t *name, uint16_t type,
				  struct validate_work *w, struct proof *out);
/* An answer was expanded from a wildcard: nothing closer to the name is there. labels: those of the
 * signature (struct validate). */
enum rrset_security denial_expansion(struct denial *d, const uint8_t *name, unsigned labels,
				     struct validate_work *w, struct proof *out);
enum denial_cut {
	DENIAL_UNPROVEN, /* bogus: DS, or that there is none, would have to be there */
	DENIAL_INSECURE, /* a delegation without DS, or one that opt-out leaves out: from here on
			  * nothing is signed */
	DENIAL_NO_CUT,   /* the zone goes on: the name has no NS records, or is not there */
};
/* After an answer, or a referral, to `name` without DS. */
enum denial_cut denial_ds(struct denial *d, const uint8_t *name, struct validate_work *w,
			  struct proof *out);
#endif
