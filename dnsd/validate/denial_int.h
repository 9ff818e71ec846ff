/* denial_int: what NSEC and NSEC3 have in common. */
#ifndef DNSD_DENIAL_INT_H
#define DNSD_DENIAL_INT_H
#include "dnsd/validate/denial.h"
#include "dnsd/validate/validate_int.h"

bool types_have(struct slice types, uint16_t type);
/* The record at a name says that the type is not there: neither it nor a CNAME is, and the record
 * is of the right side of a cut. */
bool types_deny(struct slice types, const uint8_t *name, uint16_t type);
/* The record at a name above says nothing of names below it: they are behind a cut or a DNAME
 * (RFC 6840 4.1). */
bool types_end_there(struct slice types);
/* "*." and the name, which is shorter than another one. */
void name_wildcard(const uint8_t *name, uint8_t out[DNS_NAME_MAX]);

enum rrset_security proof_fails(struct proof *out, const char *what);

/* --- denial_nsec.c --- */
enum rrset_security nsec_nxdomain(struct denial *d, const uint8_t *name, struct proof *out);
enum rrset_security nsec_nodata(struct denial *d, const uint8_t *name, uint16_t type,
				struct proof *out);
enum rrset_security nsec_expansion(struct denial *d, const uint8_t *name, unsigned labels,
				   struct proof *out);
enum denial_cut nsec_ds(struct denial *d, const uint8_t *name, struct proof *out);
/* The closest encloser of a name that is proven not to be there, whatever wildcards are; NULL. */
const uint8_t *nsec_absent(const struct denial *d, const uint8_t *name);

/* --- denial_nsec3.c --- */
bool nsec3_add(struct denial *d, const struct rrset *set);
/* The hash in the first label of an owner that is below the zone directly. */
bool nsec3_owner_hash(const uint8_t *owner, const uint8_t *zone, uint8_t out[DENIAL_HASH]);
/* The hash of the name, or of "*." and it; NULL: no more may be made. */
const uint8_t *nsec3_hash_of(struct denial *d, const uint8_t *name, bool wildcard,
			     struct validate_work *w);
const uint8_t *nsec3_absent(struct denial *d, const uint8_t *name, struct validate_work *w);
enum rrset_security nsec3_nxdomain(struct denial *d, const uint8_t *name, struct validate_work *w,
				   struct proof *out);
enum rrset_security nsec3_nodata(struct denial *d, const uint8_t *name, uint16_t type,
				 struct validate_work *w, struct proof *out);
enum rrset_security nsec3_expansion(struct denial *d, const uint8_t *name, unsigned labels,
				    struct validate_work *w, struct proof *out);
enum denial_cut nsec3_ds(struct denial *d, const uint8_t *name, struct validate_work *w,
			 struct proof *out);
#endif
