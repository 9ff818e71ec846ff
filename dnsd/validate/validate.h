/* validate: whether records are what a zone signed (RFC 4034, 4035, 6840). Pure: no loop, no clock,
 * nothing kept between two calls that changes a result; the records are views of somebody else's
 * memory, and any of them may be hostile. One call checks at most one signature by one key, so that
 * the loop can go on in between, and draws that from a budget that all checks of an answer share
 * (KeyTrap).
 *
 *	anchor.h, where trust begins
 *	  --> DNSKEY of the zone (validate_begin_keys) --> DS of the child (validate_begin)
 *	  --> DNSKEY of the child ... --> the answer (validate_begin)
 *	                              --> what proves that there is none (denial.h)
 *
 * A zone's keys are its DNSKEY rrset once that was found secure: it is kept in the cache as any
 * other rrset, and handed in here as it is. A zone is insecure when its DS rrset is one of which
 * nothing can be used (validate_ds()), or when denial.h proves that there is no DS. */
#ifndef DNSD_VALIDATE_H
#define DNSD_VALIDATE_H
#include "dnsd/cache/rrset.h"

enum {
	VALIDATE_SIGNATURES = 16,   /* checks of one answer, at most */
	VALIDATE_FAILURES = 1,      /* of them that may fail, and another one is tried */
	VALIDATE_HASHES = 150,      /* NSEC3 hashes of one answer, at most */
	VALIDATE_KEYS = 64,         /* of a DNSKEY rrset, that are looked at */
	VALIDATE_DIGESTS = 16,      /* of keys, that are compared with DS records */
	VALIDATE_KEYS_A_TAG = 2,    /* keys of one tag that a signature is tried by */
	VALIDATE_NSEC3_ROUNDS = 50, /* additional iterations: more is insecure (RFC 9276 3.2) */
	VALIDATE_WHY = 384,         /* octets of a reason, with its NUL */
};
enum validate_ede { /* RFC 8914 4, as far as a validator says them */
		    EDE_UNSUPPORTED_KEY = 1,
		    EDE_UNSUPPORTED_DIGEST = 2,
		    EDE_BOGUS = 6,
		    EDE_EXPIRED = 7,
		    EDE_NOT_YET_VALID = 8,
		    EDE_NO_KEY = 9,
		    EDE_NO_SIGNATURE = 10,
		    EDE_NO_ZONE_KEY_BIT = 11,
		    EDE_NO_PROOF = 12,
		    EDE_ENDS_FIRST = 25, /* a signature that ends before it begins */
		    EDE_NSEC3_ROUNDS = 27,
		    EDE_NONE = 0xffff,
};

/* What one answer may still cost. */
struct validate_work {
	uint16_t signatures, failures, hashes;
};
static inline void validate_work_init(struct validate_work *w)
{
	*w = (struct validate_work){VALIDATE_SIGNATURES, VALIDATE_FAILURES, VALIDATE_HASHES};
}

/* A check under way. Only the part "out" is read by others. */
struct validate {
	/* Out: */
	enum rrset_security security; /* RRSET_UNCHECKED: not at its end */
	uint16_t ede;                 /* enum validate_ede */
	char why[VALIDATE_WHY];       /* of the signature that says most: type, owner, signer, key
				       * tag and algorithm, reason. When good: only if `tell` */
	uint32_t ttl;   /* of a secure one: what the signature leaves of it (RFC 4035 5.3.3) */
	uint8_t labels; /* of the signature; with `expanded`: of the closest encloser */
	bool expanded;  /* made from a wildcard: denial_expansion() must prove that it may be */
	/* In: */
	bool tell;    /* why is wanted of good signatures, too; set after the beginning */
	bool revoked; /* keys that are revoked count (RFC 5011 2.1); likewise */
	const struct rrset *set, *keys, *ds, *trusted;
	uint64_t now;
	uint32_t skew;
	/* Where it is: */
	uint16_t sig, key, same; /* the next pair; keys with the signature's tag so far */
	uint8_t rank;            /* of why */
	bool ready;              /* `may` is known */
	uint64_t may;            /* DNSKEY by DS: the keys of the set that are trusted */
};

/* Begins: the set is checked by the keys, which are a zone's secure DNSKEY rrset. Both stay where
 * they are meanwhile. Only signatures with that zone as signer count, and only when the zone may
 * have such a set (validate_may_sign()). now: seconds since 1970; skew: seconds that a signature
 * may have begun in the future or ended in the past. */
void validate_begin(struct validate *v, const struct rrset *set, const struct rrset *keys,
		    uint64_t now, uint32_t skew);
/* Begins: a DNSKEY rrset, by a secure DS rrset of that name (or that of a trust anchor), or by keys
 * trusted from elsewhere; either may be NULL. A key that is trusted must be in the set. */
void validate_begin_keys(struct validate *v, const struct rrset *dnskey, const struct rrset *ds,
			 const struct rrset *trusted, uint64_t now, uint32_t skew);
/* The next signature by the next key. RRSET_UNCHECKED: call again. RRSET_SECURE. RRSET_BOGUS: ede
 * and why say so. RRSET_INSECURE: of DNSKEY: no DS can be used. */
enum rrset_security validate_step(struct validate *v, struct validate_work *w);

/* The signer to look for: of the signatures over the set that a zone at or below `above` may have
 * made, that of the one deepest. A part of set->data. NULL: there is none; the set is bogus unless
 * a delegation between `above` and its owner is insecure. */
const uint8_t *validate_signer(const struct rrset *set, const uint8_t *above);
/* A zone may have an rrset of that owner and type: it is at or above the owner; of a DS above it
 * (but at the root); of DNSKEY at it. */
bool validate_may_sign(const uint8_t *zone, const uint8_t *owner, uint16_t type);
/* RRSET_SECURE: there is a DS whose algorithm and digest are known: the child must be signed.
 * RRSET_INSECURE: there is none: as if unsigned (RFC 4035 5.2); *ede says why. */
enum rrset_security validate_ds(const struct rrset *ds, uint16_t *ede);
/* Of DNSKEY: signatures by it can be checked (RFC 8624 3.1). */
bool validate_algorithm(uint8_t algorithm);
/* Frees the public keys that are kept ready: how fast a check is depends on them, nothing else. */
void validate_forget(void);
/* RFC 4034 appendix B. */
uint16_t validate_key_tag(struct slice dnskey);
/* The DS record is of that key of the zone (lower case): tag, algorithm and digest. */
bool validate_ds_is_of(struct slice ds, const uint8_t *zone, struct slice dnskey);
/* The target that an unsigned CNAME must have: the DNAME's owner in `name` replaced by its target
 * (RFC 6672 2.2). False: name is not below it, or the result is too long. */
bool validate_dname_target(const struct rrset *dname, const uint8_t *name,
			   uint8_t out[DNS_NAME_MAX]);
#endif
