/* What keyd signs. A key that signed anything would sign certificates, mails or the handshakes of
 * another protocol for whoever took over a daemon; one that signs only what a TLS server
 * signs is worth nothing elsewhere. */
#include "keyd/keyd.h"
#include <string.h>
#include "libcommon/base/log.h"

enum {
	PAD = 64,     /* spaces in front (RFC 8446, 4.4.3) */
	RANDOMS = 64, /* client_random and server_random */
	NAMED_CURVE = 3,
	UNCOMPRESSED = 4,
	SHA256_LEN = 32,
	SHA384_LEN = 48, /* of the transcript: the hashes of our cipher suites */
};
static const char CONTEXT[] = "TLS 1.3, server CertificateVerify"; /* its NUL is signed too */

/* The groups of TLS_PRIORITY and the length of their points. */
static const struct {
	unsigned id;
	size_t point;
	bool x962; /* the point begins with its form */
} GROUP[] = {{29, 32, false}, {23, 65, true}, {24, 97, true}};

static bool shape_13(struct slice d)
{
	const size_t head = PAD + sizeof(CONTEXT);
	if (d.len != head + SHA256_LEN && d.len != head + SHA384_LEN)
		return false;
	for (size_t i = 0; i < PAD; i++)
		if (d.p[i] != ' ')
			return false;
	return memcmp(d.p + PAD, CONTEXT, sizeof(CONTEXT)) == 0;
}

/* The two randoms and ServerECDHParams (RFC 8422, 5.4): curve type, group, the point. */
static bool shape_12(struct slice d)
{
	const unsigned char *p = (const unsigned char *)d.p + RANDOMS;
	if (d.len < RANDOMS + 5 || p[0] != NAMED_CURVE)
		return false;
	for (size_t i = 0; i < sizeof(GROUP) / sizeof(GROUP[0]); i++)
		if (GROUP[i].id == (unsigned)(p[1] << 8 | p[2]))
			return p[3] == GROUP[i].point && d.len == RANDOMS + 4 + GROUP[i].point &&
			       (!GROUP[i].x962 || p[4] == UNCOMPRESSED);
	return false;
}

bool sign_shape(struct slice data)
{
	return shape_13(data) || shape_12(data);
}

bool sign_algorithm(uint32_t algorithm, gnutls_pk_algorithm_t pk)
{
	switch (algorithm) {
	case GNUTLS_SIGN_ECDSA_SHA256:
	case GNUTLS_SIGN_ECDSA_SHA384:
	case GNUTLS_SIGN_ECDSA_SHA512:
	case GNUTLS_SIGN_ECDSA_SECP256R1_SHA256:
	case GNUTLS_SIGN_ECDSA_SECP384R1_SHA384:
		return pk == GNUTLS_PK_ECDSA;
	case GNUTLS_SIGN_RSA_SHA256:
	case GNUTLS_SIGN_RSA_SHA384:
	case GNUTLS_SIGN_RSA_SHA512:
	case GNUTLS_SIGN_RSA_PSS_RSAE_SHA256:
	case GNUTLS_SIGN_RSA_PSS_RSAE_SHA384:
	case GNUTLS_SIGN_RSA_PSS_RSAE_SHA512:
		return pk == GNUTLS_PK_RSA;
	default:
		return false;
	}
}

enum ipc_err sign_request(enum role role, const struct msg_sign *m, gnutls_datum_t *out,
			  const char **text)
{
	const struct cert *c;
	gnutls_privkey_t key = set_key(m->key, &c);
	if (!key) {
		*text = "no such key";
		return ERR_NOTFOUND;
	}
	if (!(c->roles & R_BIT(role))) {
		*text = "not a key of this role";
		return ERR_DENIED;
	}
	if (!sign_algorithm(m->algorithm,
			    (gnutls_pk_algorithm_t)gnutls_privkey_get_pk_algorithm(key, NULL))) {
		*text = "not an algorithm of TLS for this key";
		return ERR_DENIED;
	}
	if (!sign_shape(m->data)) {
		*text = "not what a TLS server signs";
		return ERR_DENIED;
	}
	const gnutls_datum_t d = {(unsigned char *)(uintptr_t)m->data.p, (unsigned)m->data.len};
	int r = gnutls_privkey_sign_data2(key, (gnutls_sign_algorithm_t)m->algorithm, 0, &d, out);
	*text = r == 0 ? NULL : gnutls_strerror(r);
	return r == 0 ? ERR_OK : ERR_TEMP;
}
