/* sign: DNSSEC of a zone that is being made into an image: DNSKEY, CDS and CDNSKEY, the chain that
 * proves what is not there (NSEC, or NSEC3 without salt, iterations and opt-out: RFC 9276), the
 * signatures, and a digest of the zone (ZONEMD, RFC 8976). Works between the checks and the layout
 * of the image (image_options.sign), in the builder's process; the private keys are elsewhere,
 * behind sign_batch_fn.
 *
 * Signatures of the image before are kept where the records, their TTL and the key are the same and
 * the end is not near. How long new ones last differs by up to a quarter, so that a million of them
 * do not end at once. */
#ifndef DNSD_SIGN_H
#define DNSD_SIGN_H
#include "dnsd/image/image.h"

enum {
	SIGN_KEYS = 4,    /* of a zone, at most */
	SIGN_DNSKEY = 68, /* octets of a DNSKEY's data: ECDSA P-256 is the one algorithm */
	SIGN_ALGORITHM = 13,
	SIGN_OCTETS = 64,   /* of a signature */
	SIGN_BATCH = 1024,  /* signatures that are asked for at once, at most */
	SIGN_TTL = 3600,    /* seconds, of DNSKEY, CDS, CDNSKEY, NSEC3PARAM */
	SIGN_DS = 36,       /* octets of a DS record with SHA-256 */
	SIGN_BEHIND = 3600, /* seconds that a signature begins in the past: clocks differ */
};

/* Signs each of the n data with the zone's key (RFC 4034 3.1.8.1: the RRSIG's data without the
 * signature, then the records). False: *why is a static text. */
typedef bool sign_batch_fn(void *arg, uint64_t key, const struct slice *data, size_t n,
			   uint8_t (*signature)[SIGN_OCTETS], const char **why);

struct sign_key {
	uint64_t id;
	uint8_t dnskey[SIGN_DNSKEY];
	bool cds; /* the parent is asked to have its DS (RFC 7344) */
};

struct sign {
	struct sign_key key[SIGN_KEYS]; /* all are published, and sign everything */
	unsigned keys;
	bool nsec3, zonemd;
	bool cds_delete;            /* the parent is asked to have no DS (RFC 8078 4) */
	uint64_t now;               /* seconds since 1970 */
	uint64_t lifetime, refresh; /* seconds; refresh: what a signature has left when it is
				     * renewed, at most half of the other */
	uint32_t most;              /* signatures that are renewed at once while they are not
				     * urgent; 0: no limit */
	const struct image *before; /* what is served now; may be NULL */
	sign_batch_fn *batch;
	void *arg;
	/* Out: */
	uint64_t due;        /* seconds since 1970: when some are to be renewed */
	uint64_t made, kept; /* signatures */
	uint32_t serial;
};
/* arg: struct sign. The serial goes up by itself where something has changed. */
image_sign_fn sign_zone;

/* RFC 4034 appendix B. */
uint16_t sign_key_tag(const uint8_t *dnskey, size_t len);
/* The DS of a key with SHA-256 (RFC 4509). zone: lower case. */
void sign_ds(const uint8_t *zone, const uint8_t dnskey[SIGN_DNSKEY], uint8_t out[SIGN_DS]);
#endif
