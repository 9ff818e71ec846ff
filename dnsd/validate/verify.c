/* One signature by one key, by ldns. What it is given has passed verify_form(): lengths that an
 * algorithm does not have never get there, nor RSA keys that take long on purpose. */
#include "dnsd/validate/validate_int.h"
#include <ldns/ldns.h>

enum {
	RSA_BITS_MAX = 4096,
	RSA_BITS_MIN = 512,
	RSA_BITS_MIN_SHA512 = 1024, /* RFC 5702 2.2 */
	DER_MAX = 128,              /* octets of two numbers of 48, and what is around them */
	RSA_EXPONENT = 5,           /* octets; 65537 has three. Large ones are slow */
};

/* RFC 3110 2: the length of the exponent in one octet or three, it, and the modulus. */
static const char *rsa_form(const uint8_t *p, size_t len, uint8_t algorithm, size_t octets)
{
	size_t least = (algorithm == LDNS_RSASHA512 ? RSA_BITS_MIN_SHA512 : RSA_BITS_MIN) / 8;
	size_t exponent = len ? p[0] : 0, head = 1;
	if (!exponent && len >= 3) {
		exponent = dns_u16(p + 1);
		head = 3;
	}
	if (!exponent || head + exponent >= len || !p[head + exponent] || !p[head])
		return "the key is malformed";
	size_t modulus = len - head - exponent;
	if (exponent > RSA_EXPONENT || modulus > RSA_BITS_MAX / 8)
		return "the key is larger than is allowed";
	if (modulus < least)
		return "the key is too short";
	return octets == modulus ? NULL : "the signature has another length than the key";
}

const char *verify_form(const struct key *k, const struct sig *s)
{
	static const struct {
		uint8_t key, sig;
	} octets[] = {[LDNS_ECDSAP256SHA256] = {64, 64},
		      [LDNS_ECDSAP384SHA384] = {96, 96},
		      [LDNS_ED25519] = {32, 64},
		      [LDNS_ED448] = {57, 114}};
	size_t len = k->rdata.len - KEY_HEAD;
	if (k->algorithm < LDNS_ECDSAP256SHA256)
		return rsa_form(octets_of(k->rdata) + KEY_HEAD, len, k->algorithm, s->octets.len);
	if (len != octets[k->algorithm].key)
		return "the key is malformed";
	return s->octets.len == octets[k->algorithm].sig ? NULL : "the signature is malformed";
}

static ldns_buffer around(uint8_t *p, size_t len, size_t cap)
{
	return (ldns_buffer){._position = len,
			     ._limit = cap,
			     ._capacity = cap,
			     ._data = p,
			     ._fixed = 1,
			     ._status = LDNS_STATUS_OK};
}

static const EVP_MD *digest_of(uint8_t algorithm)
{
	switch (algorithm) {
	case LDNS_RSASHA1:
	case LDNS_RSASHA1_NSEC3:
		return EVP_sha1();
	case LDNS_RSASHA512:
		return EVP_sha512();
	case LDNS_ECDSAP384SHA384:
		return EVP_sha384();
	case LDNS_ED25519:
	case LDNS_ED448:
		return NULL; /* they have their own */
	default:
		return EVP_sha256();
	}
}

/* The two numbers of a signature as OpenSSL wants them, in der; 0: they are none. */
static size_t ecdsa_der(const struct sig *s, uint8_t der[DER_MAX])
{
	ldns_buffer out = around(der, 0, DER_MAX);
	const ldns_rdf rdf = {._size = s->octets.len,
			      ._type = LDNS_RDF_TYPE_B64,
			      ._data = (void *)(uintptr_t)s->octets.p};
	if (ldns_convert_ecdsa_rrsig_rdf2asn1(&out, &rdf) != LDNS_STATUS_OK)
		return 0;
	return ldns_buffer_position(&out);
}

bool verify(const struct key *k, const struct sig *s, const struct buf *data)
{
	uint8_t der[DER_MAX];
	const uint8_t *sig = octets_of(s->octets);
	size_t len = s->octets.len;
	ldns_buffer b = around((uint8_t *)data->p, data->len, data->len);
	EVP_PKEY *key = key_made(k);
	if (k->algorithm == LDNS_ECDSAP256SHA256 || k->algorithm == LDNS_ECDSAP384SHA384) {
		sig = der;
		len = ecdsa_der(s, der);
	}
	return key && len &&
	       ldns_verify_rrsig_evp_raw(sig, len, &b, key, digest_of(k->algorithm)) ==
		   LDNS_STATUS_OK;
}
