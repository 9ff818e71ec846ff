/* The local CA: one ECDSA P-256 key, made at the first start, that signs server certificates for
 * the names of the configuration. Its certificate is for people to install or to trust. */
#include "keyd/keyd.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

static const char CA_CERT[] = "ca.pem", CA_KEY[] = "ca.key";
enum { SERIAL_LEN = 16, KEY_ID = 20, BACKDATE_SEC = 3600, CN_MAX = 64 };

static gnutls_x509_crt_t ca_crt;
static gnutls_x509_privkey_t ca_key;
static struct buf ca_text;

static bool gnutls_why(int r, const char *what, struct why *w)
{
	return r >= 0 || why_set(w, "%s: %s", what, gnutls_strerror(r));
}

static int key_new(gnutls_x509_privkey_t *key)
{
	int r = gnutls_x509_privkey_init(key);
	if (r == 0)
		r = gnutls_x509_privkey_generate(
		    *key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	return r;
}

/* What every certificate of ours has. Zero or the first error. */
static int crt_begin(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *cn,
		     uint64_t until_sec)
{
	unsigned char serial[SERIAL_LEN], id[KEY_ID];
	size_t id_len = sizeof(id);
	id_random(serial, sizeof(serial));
	serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, and of full length */
	int r = gnutls_x509_crt_set_version(crt, 3);
	if (r == 0)
		r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (r == 0)
		r = gnutls_x509_crt_set_key(crt, key);
	if (r == 0)
		r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, cn,
						  (unsigned)strlen(cn));
	if (r == 0) /* clocks of clients may be a little late */
		r = gnutls_x509_crt_set_activation_time(crt, (time_t)(clock_sec() - BACKDATE_SEC));
	if (r == 0)
		r = gnutls_x509_crt_set_expiration_time(crt, (time_t)until_sec);
	if (r == 0)
		r = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA1, id, &id_len);
	if (r == 0)
		r = gnutls_x509_crt_set_subject_key_id(crt, id, id_len);
	return r;
}

/* --- the CA itself -------------------------------------------------------------------------- */

static int ca_build(void)
{
	int r = key_new(&ca_key);
	if (r == 0)
		r = gnutls_x509_crt_init(&ca_crt);
	if (r == 0)
		r = crt_begin(ca_crt, ca_key, conf.ca_name, clock_sec() + conf.ca_lifetime / 1000);
	if (r == 0)
		r = gnutls_x509_crt_set_basic_constraints(ca_crt, 1, 0);
	if (r == 0)
		r = gnutls_x509_crt_set_key_usage(ca_crt,
						  GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	if (r == 0)
		r = gnutls_x509_crt_sign2(ca_crt, ca_crt, ca_key, GNUTLS_DIG_SHA256, 0);
	return r;
}

static bool ca_make(struct why *w)
{
	gnutls_datum_t crt = {0}, key = {0};
	int r = ca_build();
	if (r == 0)
		r = gnutls_x509_crt_export2(ca_crt, GNUTLS_X509_FMT_PEM, &crt);
	if (r == 0)
		r = gnutls_x509_privkey_export2_pkcs8(ca_key, GNUTLS_X509_FMT_PEM, NULL,
						      GNUTLS_PKCS_PLAIN, &key);
	bool ok = gnutls_why(r, "the local CA cannot be made", w);
	/* The key first: a key without a certificate is one that was never used. */
	ok = ok &&
	     file_write(conf.state_dir, CA_KEY, (struct slice){(char *)key.data, key.size}, 0600,
			w) &&
	     file_write(conf.state_dir, CA_CERT, (struct slice){(char *)crt.data, crt.size}, 0644,
			w);
	if (key.data) {
		gnutls_memset(key.data, 0, key.size);
		gnutls_free(key.data);
	}
	if (ok) {
		buf_add(&ca_text, crt.data, crt.size);
		/* As parsed: GnuTLS compares names only of certificates that it has read. */
		gnutls_x509_crt_deinit(ca_crt);
		gnutls_x509_crt_init(&ca_crt);
		ok = gnutls_why(gnutls_x509_crt_import(ca_crt, &crt, GNUTLS_X509_FMT_PEM),
				"the local CA cannot be read", w);
	}
	if (ok)
		log_event(LOG_LV_INFO, NULL, "ca-made", LS("name", conf.ca_name));
	gnutls_free(crt.data);
	return ok;
}

static bool ca_load(struct slice crt, struct slice key, struct why *w)
{
	const gnutls_datum_t c = {(unsigned char *)(uintptr_t)crt.p, (unsigned)crt.len};
	const gnutls_datum_t k = {(unsigned char *)(uintptr_t)key.p, (unsigned)key.len};
	unsigned char a[KEY_ID], b[KEY_ID];
	size_t an = sizeof(a), bn = sizeof(b);
	int r = gnutls_x509_crt_init(&ca_crt);
	if (r == 0)
		r = gnutls_x509_privkey_init(&ca_key);
	if (r == 0)
		r = gnutls_x509_crt_import(ca_crt, &c, GNUTLS_X509_FMT_PEM);
	if (r == 0)
		r = gnutls_x509_privkey_import(ca_key, &k, GNUTLS_X509_FMT_PEM);
	if (r == 0)
		r = gnutls_x509_crt_get_key_id(ca_crt, GNUTLS_KEYID_USE_SHA1, a, &an);
	if (r == 0)
		r = gnutls_x509_privkey_get_key_id(ca_key, GNUTLS_KEYID_USE_SHA1, b, &bn);
	if (!gnutls_why(r, "ca.pem and ca.key cannot be read", w))
		return false;
	if (an != bn || memcmp(a, b, an) != 0)
		return why_set(w, "ca.key is not the key of ca.pem");
	buf_add_slice(&ca_text, crt);
	return true;
}

bool ca_open(struct why *w)
{
	size_t crt_len, key_len;
	char *crt = file_read(conf.state_dir, CA_CERT, &crt_len, w);
	if (!crt)
		return !w->text[0] && ca_make(w);
	char *key = file_read(conf.state_dir, CA_KEY, &key_len, w);
	bool ok = false;
	if (key)
		ok = ca_load((struct slice){crt, crt_len}, (struct slice){key, key_len}, w);
	else if (!w->text[0])
		why_set(w, "%s/%s is there but %s is not: bring it back, or move the first away",
			conf.state_dir, CA_CERT, CA_KEY);
	free(crt);
	if (key)
		mem_wipe(key, key_len);
	return ok;
}

void ca_close(void)
{
	if (ca_crt)
		gnutls_x509_crt_deinit(ca_crt);
	if (ca_key)
		gnutls_x509_privkey_deinit(ca_key);
	ca_crt = NULL;
	ca_key = NULL;
	buf_free(&ca_text);
}

struct slice ca_pem(void)
{
	return buf_slice(&ca_text);
}

bool ca_issued(gnutls_x509_crt_t crt)
{
	unsigned result;
	return gnutls_x509_crt_check_issuer(crt, ca_crt) == 1 &&
	       gnutls_x509_crt_verify(crt, &ca_crt, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS,
				      &result) == 0 &&
	       result == 0;
}

/* --- issuing ---------------------------------------------------------------------------------- */

static int add_host(gnutls_x509_crt_t crt, struct slice host)
{
	char text[256];
	unsigned char addr[16];
	str_fmt(text, sizeof(text), "%.*s", SLICE_FMT(host));
	if (inet_pton(AF_INET, text, addr) == 1)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, addr, 4,
							    GNUTLS_FSAN_APPEND);
	if (inet_pton(AF_INET6, text, addr) == 1)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, addr, 16,
							    GNUTLS_FSAN_APPEND);
	return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host.p,
						    (unsigned)host.len, GNUTLS_FSAN_APPEND);
}

static int leaf_build(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const struct slice *names,
		      size_t n)
{
	char cn[CN_MAX + 1];
	unsigned char id[KEY_ID];
	size_t id_len = sizeof(id);
	uint64_t until = clock_sec() + conf.cert_lifetime / 1000;
	uint64_t ca_until = (uint64_t)gnutls_x509_crt_get_expiration_time(ca_crt);
	str_fmt(cn, sizeof(cn), "%.*s", SLICE_FMT(names[0]));
	int r = crt_begin(crt, key, cn, until < ca_until ? until : ca_until);
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_host(crt, names[i]);
	if (r == 0)
		r = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	if (r == 0)
		r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (r == 0)
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (r == 0)
		r = gnutls_x509_crt_get_subject_key_id(ca_crt, id, &id_len, NULL);
	if (r == 0)
		r = gnutls_x509_crt_set_authority_key_id(crt, id, id_len);
	if (r == 0)
		r = gnutls_x509_crt_sign2(crt, ca_crt, ca_key, GNUTLS_DIG_SHA256, 0);
	return r;
}

bool ca_issue(const struct slice *names, size_t n, struct buf *pem, struct why *w)
{
	struct pair p = {0};
	int r = key_new(&p.key);
	if (r == 0)
		r = gnutls_x509_crt_init(&p.chain[0]);
	if (r == 0) {
		p.n = 1;
		r = leaf_build(p.chain[0], p.key, names, n);
	}
	if (r == 0)
		pair_pem(&p, pem, pem);
	pair_free(&p);
	return gnutls_why(r, "the certificate cannot be issued", w);
}
