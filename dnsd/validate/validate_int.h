/* validate_int: what the files of the validator share. */
#ifndef DNSD_VALIDATE_INT_H
#define DNSD_VALIDATE_INT_H
#include "dnsd/validate/validate.h"
#include "libcommon/base/buf.h"

enum {
	KEY_ZONE = 0x0100, /* flags of a DNSKEY (RFC 4034 2.1.1, RFC 5011 7) */
	KEY_REVOKED = 0x0080,
	KEY_HEAD = 4, /* octets before the key itself */
	SIG_HEAD = 18,
	SIGNED_MAX = 4 << 20, /* octets that are signed at once */
};
struct key {
	uint16_t flags;
	uint8_t protocol, algorithm;
	struct slice rdata; /* whole */
};
struct sig {
	uint16_t covers, tag;
	uint8_t algorithm, labels;
	uint32_t ttl, ends, begins;
	const uint8_t *signer;
	size_t head; /* octets up to the signature */
	struct slice rdata, octets;
};

static inline const uint8_t *octets_of(struct slice s)
{
	return (const uint8_t *)s.p;
}

/* --- record.c --- False: the rdata is not of that type. */
bool key_read(struct slice rdata, struct key *out);
bool sig_read(struct slice rdata, struct sig *out);
/* The keys of a DNSKEY rrset, by number, that DS records are of, or that are among trusted ones. */
uint64_t keys_of_ds(const struct rrset *dnskey, const struct rrset *ds);
uint64_t keys_of_trusted(const struct rrset *dnskey, const struct rrset *trusted);
/* The name's last labels. */
const uint8_t *name_end(const uint8_t *name, unsigned labels);

/* --- canonical.c --- what is signed (RFC 4034 3.1.8.1). False: too much. */
bool signed_data(const struct rrset *set, const struct sig *s, struct buf *out);

/* --- keys.c --- the key, which has passed verify_form(), for OpenSSL; it stays the callee's, until
 * the next call. NULL: it is none, such as a point that is not on the curve. */
struct evp_pkey_st *key_made(const struct key *k);

/* --- verify.c --- */
/* The key and the signature have the form of their algorithm; NULL, or what is wrong. */
const char *verify_form(const struct key *k, const struct sig *s);
bool verify(const struct key *k, const struct sig *s, const struct buf *data);
#endif
