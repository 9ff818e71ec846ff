/* What a zone's key signs: the data of an RRSIG (RFC 4034, 3.1.8.1) of that zone and key, about one
 * rrset of the zone, and nothing else. Of the records that say whose the zone is, DNSKEY, CDS and
 * CDNSKEY, only those that name keys which are held here: with others, whoever takes over dnsd for
 * an hour would keep the zone. For the same reason a signature lasts a year at most. */
#include "keyd/keyd.h"
#include <gnutls/crypto.h>
#include "libcommon/dns/wire.h"

enum {
	SIG_HEAD = 18, /* of an RRSIG, before its signer */
	RR_HEAD = 10,  /* type, class, TTL, length */
	CDS = 59,
	CDNSKEY = 60,
	META_FIRST = 128, /* RFC 6895, 3.1 */
	META_LAST = 255,
	DS_HEAD = 4,
	DS_SHA256 = 2,
	DS_SHA384 = 4,
	DIGEST_MAX = 48,
	LASTS_MAX = 366 * 24 * 3600, /* s, from now to the end of a signature */
};

struct bytes {
	const uint8_t *p;
	size_t len;
};

static bool eq(struct bytes b, const void *p, size_t len)
{
	return b.len == len && memcmp(b.p, p, len) == 0;
}

/* --- records that name keys ---------------------------------------------------------------------
 */

static bool names_dnskey(const struct zone *z, struct bytes rdata)
{
	for (unsigned i = 0; i < z->n; i++)
		if (eq(rdata, z->key[i].dnskey, z->key[i].dnskey_len))
			return true;
	return false;
}

static bool names_ds(const struct zone *z, struct bytes rdata)
{
	uint8_t data[DNS_NAME_MAX + ZONE_DNSKEY_MAX], digest[DIGEST_MAX];
	if (rdata.len < DS_HEAD || (rdata.p[3] != DS_SHA256 && rdata.p[3] != DS_SHA384))
		return false;
	gnutls_digest_algorithm_t alg =
	    rdata.p[3] == DS_SHA256 ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_SHA384;
	for (unsigned i = 0; i < z->n; i++) {
		const struct zone_key *k = &z->key[i];
		if (dns_u16(rdata.p) != k->tag || rdata.p[2] != k->dnskey[3])
			continue;
		memcpy(data, z->name, z->name_len);
		memcpy(data + z->name_len, k->dnskey, k->dnskey_len);
		if (gnutls_hash_fast(alg, data, z->name_len + k->dnskey_len, digest) == 0 &&
		    eq((struct bytes){rdata.p + DS_HEAD, rdata.len - DS_HEAD}, digest,
		       (size_t)gnutls_hash_get_len(alg)))
			return true;
	}
	return false;
}

/* CDS and CDNSKEY also say that the parent's DS is to go (RFC 8078, 4). */
static bool names_ours(const struct zone *z, uint16_t type, struct bytes rdata)
{
	static const uint8_t no_ds[5] = {0}, no_key[5] = {0, 0, 3};
	switch (type) {
	case DNS_DNSKEY:
		return names_dnskey(z, rdata);
	case CDNSKEY:
		return names_dnskey(z, rdata) || eq(rdata, no_key, sizeof(no_key));
	case CDS:
		return names_ds(z, rdata) || eq(rdata, no_ds, sizeof(no_ds));
	default:
		return true;
	}
}

/* --- the rrset ----------------------------------------------------------------------------------
 */

static bool signable(uint16_t type)
{
	return type != 0 && type != DNS_OPT && type != DNS_RRSIG &&
	       (type < META_FIRST || type > META_LAST);
}

static bool lower(const uint8_t *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] >= 'A' && name[i] <= 'Z')
			return false;
	return true;
}

static const char *owner_wrong(const struct zone *z, const uint8_t *owner, size_t len,
			       unsigned labels)
{
	if (!len || !lower(owner, len))
		return "the owner is not a name in canonical form";
	if (!dns_name_under(owner, z->name))
		return "the owner is not in the zone";
	bool wild = owner[0] == 1 && owner[1] == '*';
	return dns_name_labels(owner) - wild == labels ? NULL : "another number of labels";
}

/* One record after the other: of the same owner, type and TTL, the data ascending. */
static const char *set_wrong(const struct zone *z, uint16_t type, const uint8_t *ttl,
			     struct bytes owner, struct bytes rest)
{
	struct bytes last = {NULL, 0};
	do {
		if (rest.len < owner.len + RR_HEAD || memcmp(rest.p, owner.p, owner.len) != 0)
			return "the records are not of one owner";
		const uint8_t *rr = rest.p + owner.len;
		struct bytes rdata = {rr + RR_HEAD, dns_u16(rr + 8)};
		if (rest.len - owner.len - RR_HEAD < rdata.len)
			return "a record is cut short";
		if (dns_u16(rr) != type || dns_u16(rr + 2) != DNS_IN || memcmp(rr + 4, ttl, 4) != 0)
			return "the records are not of the signature's type and TTL";
		if (last.p) {
			size_t n = last.len < rdata.len ? last.len : rdata.len;
			int c = memcmp(last.p, rdata.p, n);
			if (c > 0 || (c == 0 && last.len >= rdata.len))
				return "the records are not in canonical order";
		}
		if (!names_ours(z, type, rdata))
			return "the records name a key that is not the zone's";
		last = rdata;
		rest.len -= owner.len + RR_HEAD + rdata.len;
		rest.p = rdata.p + rdata.len;
	} while (rest.len);
	return NULL;
}

const char *zone_shape(const struct zone *z, const struct zone_key *key, struct slice data,
		       uint64_t now)
{
	const uint8_t *sig = (const uint8_t *)data.p;
	size_t head = SIG_HEAD + z->name_len;
	if (data.len <= head)
		return "it is too short";
	uint16_t type = dns_u16(sig);
	if (!signable(type))
		return "a type that is never signed";
	if (sig[2] != key->dnskey[3] || dns_u16(sig + 16) != key->tag ||
	    memcmp(sig + SIG_HEAD, z->name, z->name_len) != 0)
		return "the signature is not one of this zone and key";
	/* RFC 1982: times go round. */
	int32_t lasts = (int32_t)(dns_u32(sig + 8) - dns_u32(sig + 12));
	if (lasts <= 0 || (int32_t)(dns_u32(sig + 8) - (uint32_t)now) > LASTS_MAX)
		return "the signature begins after its end, or ends too late";
	struct bytes rest = {sig + head, data.len - head};
	struct bytes owner = {rest.p, dns_name_check(rest.p, rest.len)};
	const char *wrong = owner_wrong(z, owner.p, owner.len, sig[3]);
	return wrong ? wrong : set_wrong(z, type, sig + 4, owner, rest);
}
