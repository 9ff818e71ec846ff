/* Certificates and keys as they come from files and administrators. */
#include "keyd/keyd.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"

enum { RSA_LEAST = 2048, KEY_ID = 20, NAME_LEN = 253, LABEL_LEN = 63, CERT_NAME_LEN = 64 };

/* --- names ------------------------------------------------------------------------------- */

static bool label_ok(struct slice l)
{
	if (!l.len || l.len > LABEL_LEN || l.p[0] == '-' || l.p[l.len - 1] == '-')
		return false;
	for (size_t i = 0; i < l.len; i++) {
		char c = l.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return true;
}

bool host_ok(struct slice host)
{
	char text[64];
	unsigned char addr[16];
	if (host.len && host.len < sizeof(text)) {
		memcpy(text, host.p, host.len);
		text[host.len] = 0;
		if (inet_pton(AF_INET, text, addr) == 1 || inet_pton(AF_INET6, text, addr) == 1)
			return true;
	}
	if (!host.len || host.len > NAME_LEN || host.p[host.len - 1] == '.')
		return false;
	if (slice_starts(host, "*.")) {
		host.p += 2;
		host.len -= 2;
		if (!memchr(host.p, '.', host.len))
			return false; /* a wildcard over a whole top-level domain */
	}
	while (host.len) {
		struct slice label = slice_cut(&host, '.');
		if (!label_ok(label))
			return false;
	}
	return true;
}

bool cert_name_ok(struct slice name)
{
	if (!name.len || name.len > CERT_NAME_LEN || name.p[0] == '.')
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = str_lower(name.p[i]);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("._-", c)))
			return false;
	}
	return true;
}

/* --- parsing ------------------------------------------------------------------------------ */

static bool has(struct slice pem, const char *text)
{
	return memmem(pem.p, pem.len, text, strlen(text)) != NULL;
}

static bool parse_chain(const gnutls_datum_t *pem, struct pair *p, struct why *w)
{
	p->n = CHAIN_MAX;
	int r = gnutls_x509_crt_list_import(p->chain, &p->n, pem, GNUTLS_X509_FMT_PEM,
					    GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
	if (r < 0)
		p->n = 0;
	if (r == GNUTLS_E_SHORT_MEMORY_BUFFER)
		return why_set(w, "the chain has more than %d certificates", CHAIN_MAX);
	if (r < 0)
		return why_set(w, "the certificate cannot be read: %s", gnutls_strerror(r));
	return p->n > 0 || why_set(w, "there is no certificate in it");
}

static bool parse_key(const gnutls_datum_t *pem, struct pair *p, struct why *w)
{
	struct slice s = {(const char *)pem->data, pem->size};
	if (has(s, "ENCRYPTED PRIVATE KEY-----") || has(s, "Proc-Type: 4,ENCRYPTED"))
		return why_set(w, "the private key is encrypted: take its password off first");
	if (!has(s, "PRIVATE KEY-----"))
		return why_set(w, "there is no private key in it");
	int r = gnutls_x509_privkey_init(&p->key);
	if (r == 0)
		r = gnutls_x509_privkey_import2(p->key, pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	return r == 0 || why_set(w, "the private key cannot be read: %s", gnutls_strerror(r));
}

static bool check_kind(struct pair *p, struct why *w)
{
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
	p->pk = (gnutls_pk_algorithm_t)gnutls_x509_privkey_get_pk_algorithm2(p->key, &p->bits);
	if (p->pk == GNUTLS_PK_RSA)
		return p->bits >= RSA_LEAST ||
		       why_set(w, "an RSA key of %u bits is too weak: %d at least", p->bits,
			       RSA_LEAST);
	if (p->pk == GNUTLS_PK_ECDSA)
		gnutls_x509_privkey_export_ecc_raw(p->key, &curve, NULL, NULL, NULL);
	return curve == GNUTLS_ECC_CURVE_SECP256R1 || curve == GNUTLS_ECC_CURVE_SECP384R1 ||
	       why_set(w, "keys of this kind (%s) are not supported: ECDSA P-256, P-384 or RSA",
		       gnutls_pk_get_name(p->pk));
}

static bool check_match(const struct pair *p, struct why *w)
{
	unsigned char of_crt[KEY_ID], of_key[KEY_ID];
	size_t a = sizeof(of_crt), b = sizeof(of_key);
	if (gnutls_x509_crt_get_key_id(p->chain[0], GNUTLS_KEYID_USE_SHA1, of_crt, &a) != 0 ||
	    gnutls_x509_privkey_get_key_id(p->key, GNUTLS_KEYID_USE_SHA1, of_key, &b) != 0 ||
	    a != b || memcmp(of_crt, of_key, a) != 0)
		return why_set(w, "the private key is not the one of the first certificate");
	return true;
}

static bool check_order(const struct pair *p, struct why *w)
{
	for (unsigned i = 0; i + 1 < p->n; i++)
		if (gnutls_x509_crt_check_issuer(p->chain[i], p->chain[i + 1]) != 1)
			return why_set(w,
				       "certificate %u of the chain is not issued by the next one: "
				       "the server's own comes first, then its issuer, and so on",
				       i + 1);
	return true;
}

static bool check_purpose(const struct pair *p, struct why *w)
{
	char oid[128];
	size_t len = sizeof(oid);
	unsigned critical;
	if (gnutls_x509_crt_get_key_purpose_oid(p->chain[0], 0, oid, &len, &critical) < 0)
		return true; /* no such extension: all purposes */
	return gnutls_x509_crt_check_key_purpose(p->chain[0], GNUTLS_KP_TLS_WWW_SERVER, 0) ||
	       why_set(w, "the certificate is not for servers");
}

static bool check_names(const struct pair *p, struct why *w)
{
	struct buf names = {0};
	pair_names(p, &names);
	bool any = names.len > 0;
	buf_free(&names);
	return any || why_set(w, "the certificate names no host (subjectAltName)");
}

bool pair_parse(struct slice pem, struct pair *p, struct why *w)
{
	*p = (struct pair){0};
	if (pem.len > PEM_MAX)
		return why_set(w, "it is larger than any chain");
	/* NUL-terminated: GnuTLS searches it as text. */
	char *copy = mem_strndup(pem.p, pem.len);
	const gnutls_datum_t d = {(unsigned char *)copy, (unsigned)pem.len};
	bool ok = parse_chain(&d, p, w) && parse_key(&d, p, w);
	mem_wipe(copy, pem.len);
	if (ok) {
		p->not_before = (uint64_t)gnutls_x509_crt_get_activation_time(p->chain[0]) * 1000;
		p->not_after = (uint64_t)gnutls_x509_crt_get_expiration_time(p->chain[0]) * 1000;
		ok = check_kind(p, w) && check_match(p, w) && check_order(p, w) &&
		     check_purpose(p, w) && check_names(p, w);
	}
	if (!ok)
		pair_free(p);
	return ok;
}

bool pair_current(const struct pair *p, struct why *w)
{
	char text[32];
	uint64_t now = clock_ms();
	if (now > p->not_after) {
		clock_iso(text, sizeof(text), p->not_after);
		return why_set(w, "the certificate expired at %s", text);
	}
	if (now < p->not_before) {
		clock_iso(text, sizeof(text), p->not_before);
		return why_set(w, "the certificate is not valid before %s", text);
	}
	return true;
}

void pair_free(struct pair *p)
{
	for (unsigned i = 0; i < p->n; i++)
		gnutls_x509_crt_deinit(p->chain[i]);
	if (p->key)
		gnutls_x509_privkey_deinit(p->key);
	*p = (struct pair){0};
}

/* --- writing ------------------------------------------------------------------------------- */

void pair_pem(const struct pair *p, struct buf *chain, struct buf *key)
{
	gnutls_datum_t d;
	for (unsigned i = 0; i < p->n; i++) {
		if (gnutls_x509_crt_export2(p->chain[i], GNUTLS_X509_FMT_PEM, &d) != 0)
			abort(); /* it was parsed: only memory can be missing */
		buf_add(chain, d.data, d.size);
		gnutls_free(d.data);
	}
	if (!key)
		return;
	if (gnutls_x509_privkey_export2_pkcs8(p->key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
					      &d) != 0)
		abort();
	buf_add(key, d.data, d.size);
	gnutls_memset(d.data, 0, d.size);
	gnutls_free(d.data);
}

static bool add_name(struct buf *out, unsigned type, const unsigned char *p, size_t n)
{
	char text[INET6_ADDRSTRLEN];
	struct slice name = {(const char *)p, n};
	if (type == GNUTLS_SAN_IPADDRESS && (n == 4 || n == 16)) {
		inet_ntop(n == 4 ? AF_INET : AF_INET6, p, text, sizeof(text));
		name = slice_of(text);
	} else if (type != GNUTLS_SAN_DNSNAME || !n || !str_ascii(name) || !str_print(name) ||
		   memchr(p, ' ', n)) {
		return false;
	}
	if (out->len)
		buf_addc(out, ' ');
	size_t at = out->len;
	buf_add_slice(out, name);
	str_lowern(out->p + at, out->len - at);
	return true;
}

void pair_names(const struct pair *p, struct buf *out)
{
	for (unsigned i = 0; i < 1000; i++) {
		unsigned char name[256];
		size_t len = sizeof(name);
		unsigned type;
		int r =
		    gnutls_x509_crt_get_subject_alt_name2(p->chain[0], i, name, &len, &type, NULL);
		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return;
		if (r >= 0)
			add_name(out, type, name, len);
	}
}
