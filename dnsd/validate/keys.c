/* Public keys in the form that OpenSSL checks by. Making one costs a third of a check, and most
 * signatures are by few keys (the root's, those of large zones): the last ones made are kept. */
#include <ldns/ldns.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include "dnsd/validate/validate_int.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"

enum { KEPT = 256, POINT_MAX = 1 + 96 };

struct made {
	EVP_PKEY *key;
	uint8_t *dnskey; /* from its algorithm on */
	size_t len;
};
static struct made made[KEPT];

static EVP_PKEY *from_params(const char *kind, OSSL_PARAM *params)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	if (ctx && params && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* RFC 6605 4: the point without the octet that says that it is not compressed. */
static EVP_PKEY *ecdsa(uint8_t algorithm, const uint8_t *p, size_t len)
{
	uint8_t point[POINT_MAX] = {4};
	char p256[] = "P-256", p384[] = "P-384";
	char *curve = algorithm == LDNS_ECDSAP256SHA256 ? p256 : p384;
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
	    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + len),
	    OSSL_PARAM_construct_end()};
	memcpy(point + 1, p, len);
	return from_params("EC", params);
}

/* RFC 3110 2; it has passed verify_form(). */
static EVP_PKEY *rsa(const uint8_t *p, size_t len)
{
	size_t head = p[0] ? 1 : 3, exponent = p[0] ? p[0] : dns_u16(p + 1);
	BIGNUM *e = BN_bin2bn(p + head, (int)exponent, NULL);
	BIGNUM *n = BN_bin2bn(p + head + exponent, (int)(len - head - exponent), NULL);
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	if (e && n && b && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		params = OSSL_PARAM_BLD_to_param(b);
	EVP_PKEY *key = from_params("RSA", params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(b);
	BN_free(e);
	BN_free(n);
	return key;
}

static EVP_PKEY *make(const struct key *k)
{
	const uint8_t *p = octets_of(k->rdata) + KEY_HEAD;
	size_t len = k->rdata.len - KEY_HEAD;
	switch (k->algorithm) {
	case LDNS_ECDSAP256SHA256:
	case LDNS_ECDSAP384SHA384:
		return ecdsa(k->algorithm, p, len);
	case LDNS_ED25519:
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, p, len);
	case LDNS_ED448:
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED448, NULL, p, len);
	default:
		return rsa(p, len);
	}
}

static void forget(struct made *m)
{
	EVP_PKEY_free(m->key);
	free(m->dnskey);
	*m = (struct made){0};
}

EVP_PKEY *key_made(const struct key *k)
{
	const uint8_t *p = octets_of(k->rdata) + KEY_HEAD - 1;
	size_t len = k->rdata.len - KEY_HEAD + 1;
	struct made *m = &made[map_hash(p, len) % KEPT];
	if (m->key && m->len == len && !memcmp(m->dnskey, p, len))
		return m->key;
	EVP_PKEY *key = make(k);
	if (!key)
		return NULL;
	forget(m);
	*m = (struct made){key, mem_alloc(len), len};
	memcpy(m->dnskey, p, len);
	return key;
}

void validate_forget(void)
{
	for (unsigned i = 0; i < KEPT; i++)
		forget(&made[i]);
}
