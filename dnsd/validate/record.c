/* DNSKEY, DS and RRSIG records, read. */
#include "dnsd/validate/validate_int.h"
#include <gnutls/crypto.h>

enum { SHA1 = 1, SHA256 = 2, SHA384 = 4, DS_HEAD = 4 };

bool key_read(struct slice rdata, struct key *out)
{
	const uint8_t *p = octets_of(rdata);
	if (rdata.len <= KEY_HEAD)
		return false;
	*out = (struct key){dns_u16(p), p[2], p[3], rdata};
	return true;
}

bool sig_read(struct slice rdata, struct sig *out)
{
	const uint8_t *p = octets_of(rdata);
	size_t signer =
	    rdata.len > SIG_HEAD ? dns_name_check(p + SIG_HEAD, rdata.len - SIG_HEAD) : 0;
	if (!signer)
		return false;
	*out = (struct sig){.covers = dns_u16(p),
			    .algorithm = p[2],
			    .labels = p[3],
			    .ttl = dns_u32(p + 4),
			    .ends = dns_u32(p + 8),
			    .begins = dns_u32(p + 12),
			    .tag = dns_u16(p + 16),
			    .signer = p + SIG_HEAD,
			    .head = SIG_HEAD + signer,
			    .rdata = rdata};
	out->octets = (struct slice){rdata.p + out->head, rdata.len - out->head};
	return true;
}

const uint8_t *name_end(const uint8_t *name, unsigned labels)
{
	for (unsigned have = dns_name_labels(name); have > labels; have--)
		name += 1u + *name;
	return name;
}

uint16_t validate_key_tag(struct slice dnskey)
{
	const uint8_t *p = octets_of(dnskey);
	uint32_t sum = 0;
	for (size_t i = 0; i < dnskey.len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return (uint16_t)(sum + (sum >> 16));
}

bool validate_algorithm(uint8_t algorithm)
{
	/* 5 and 7: RSA with SHA-1; 8 and 10: with SHA-256 and SHA-512; 13 and 14: ECDSA; 15 and 16:
	 * Ed25519 and Ed448. */
	static const bool known[] = {[5] = true,  [7] = true,  [8] = true,  [10] = true,
				     [13] = true, [14] = true, [15] = true, [16] = true};
	return algorithm < sizeof(known) && known[algorithm];
}

/* Octets of the digest; 0: unknown. */
static size_t digest_octets(uint8_t type)
{
	return type == SHA1 ? 20 : type == SHA256 ? 32 : type == SHA384 ? 48 : 0;
}

static bool ds_usable(const uint8_t *p, size_t len)
{
	return len > DS_HEAD && validate_algorithm(p[2]) && digest_octets(p[3]);
}

/* The set has one with a better digest than SHA-1, which is then not looked at (RFC 4509 3). */
static bool has_better(const struct rrset *ds)
{
	struct slice data = ds->data, rdata;
	for (unsigned i = 0; i < ds->n && rrset_next(&data, &rdata); i++)
		if (ds_usable(octets_of(rdata), rdata.len) && octets_of(rdata)[3] != SHA1)
			return true;
	return false;
}

enum rrset_security validate_ds(const struct rrset *ds, uint16_t *ede)
{
	struct slice data = ds->data, rdata;
	bool algorithm = false;
	*ede = EDE_NONE;
	for (unsigned i = 0; i < ds->n && rrset_next(&data, &rdata); i++) {
		if (ds_usable(octets_of(rdata), rdata.len))
			return RRSET_SECURE;
		algorithm |= rdata.len > DS_HEAD && validate_algorithm(octets_of(rdata)[2]);
	}
	*ede = algorithm ? EDE_UNSUPPORTED_DIGEST : EDE_UNSUPPORTED_KEY;
	return RRSET_INSECURE;
}

static bool digest_is(const uint8_t *ds, const uint8_t *zone, struct slice dnskey)
{
	gnutls_digest_algorithm_t kind = ds[3] == SHA1     ? GNUTLS_DIG_SHA1
					 : ds[3] == SHA256 ? GNUTLS_DIG_SHA256
							   : GNUTLS_DIG_SHA384;
	gnutls_hash_hd_t h;
	uint8_t digest[64];
	if (gnutls_hash_init(&h, kind) != 0)
		return false;
	gnutls_hash(h, zone, dns_name_len(zone));
	gnutls_hash(h, dnskey.p, dnskey.len);
	gnutls_hash_deinit(h, digest);
	return memcmp(digest, ds + DS_HEAD, digest_octets(ds[3])) == 0;
}

bool validate_ds_is_of(struct slice ds, const uint8_t *zone, struct slice dnskey)
{
	const uint8_t *p = octets_of(ds);
	struct key k;
	return ds_usable(p, ds.len) && ds.len == DS_HEAD + digest_octets(p[3]) &&
	       key_read(dnskey, &k) && p[2] == k.algorithm &&
	       dns_u16(p) == validate_key_tag(dnskey) && digest_is(p, zone, dnskey);
}

uint64_t keys_of_ds(const struct rrset *dnskey, const struct rrset *ds)
{
	bool better = has_better(ds);
	unsigned digests = 0;
	uint64_t found = 0;
	struct slice records = ds->data, record;
	for (unsigned d = 0; d < ds->n && rrset_next(&records, &record); d++) {
		const uint8_t *p = octets_of(record);
		struct slice keys = dnskey->data, rdata;
		if (!ds_usable(p, record.len) || (better && p[3] == SHA1))
			continue;
		for (unsigned k = 0;
		     k < dnskey->n && k < VALIDATE_KEYS && rrset_next(&keys, &rdata); k++) {
			if (rdata.len <= KEY_HEAD || validate_key_tag(rdata) != dns_u16(p))
				continue;
			if (digests++ == VALIDATE_DIGESTS)
				return found;
			if (validate_ds_is_of(record, dnskey->owner, rdata))
				found |= (uint64_t)1 << k;
		}
	}
	return found;
}

uint64_t keys_of_trusted(const struct rrset *dnskey, const struct rrset *trusted)
{
	uint64_t found = 0;
	struct slice keys = dnskey->data, rdata, known;
	for (unsigned k = 0; k < dnskey->n && k < VALIDATE_KEYS && rrset_next(&keys, &rdata); k++) {
		struct slice of = trusted->data;
		for (unsigned t = 0; t < trusted->n && rrset_next(&of, &known); t++)
			if (slice_eq(rdata, known))
				found |= (uint64_t)1 << k;
	}
	return found;
}
