/* Certificates for the tests of keyd, and its state in a folder of its own. */
#ifndef T_KEYD_MAKE_H
#define T_KEYD_MAKE_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <gnutls/x509.h>
#include "keyd/keyd.h"

struct made {
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;
	char pem[4096], key_pem[4096];
};

static inline void made_free(struct made *m)
{
	gnutls_x509_crt_deinit(m->crt);
	gnutls_x509_privkey_deinit(m->key);
}

/* A certificate for host (NULL: a CA) by issuer (NULL: itself), valid from..to seconds from now. */
static inline struct made make(const char *cn, const char *host, const struct made *issuer,
			       gnutls_pk_algorithm_t pk, unsigned bits, long from, long to)
{
	static unsigned char serial = 1;
	struct made m = {0};
	size_t n = sizeof(m.pem);
	gnutls_x509_crt_t own;
	gnutls_x509_privkey_init(&m.key);
	gnutls_x509_privkey_generate(m.key, pk, bits, 0);
	gnutls_x509_crt_init(&own);
	gnutls_x509_crt_set_version(own, 3);
	gnutls_x509_crt_set_serial(own, &serial, 1);
	serial++;
	gnutls_x509_crt_set_key(own, m.key);
	gnutls_x509_crt_set_dn_by_oid(own, GNUTLS_OID_X520_COMMON_NAME, 0, cn,
				      (unsigned)strlen(cn));
	gnutls_x509_crt_set_activation_time(own, time(NULL) + from);
	gnutls_x509_crt_set_expiration_time(own, time(NULL) + to);
	gnutls_x509_crt_set_basic_constraints(own, host ? 0 : 1, -1);
	if (host)
		gnutls_x509_crt_set_subject_alt_name(own, GNUTLS_SAN_DNSNAME, host,
						     (unsigned)strlen(host), GNUTLS_FSAN_APPEND);
	gnutls_x509_crt_sign2(own, issuer ? issuer->crt : own, issuer ? issuer->key : m.key,
			      pk == GNUTLS_PK_EDDSA_ED25519 ? GNUTLS_DIG_SHA512 : GNUTLS_DIG_SHA256,
			      0);
	gnutls_x509_crt_export(own, GNUTLS_X509_FMT_PEM, m.pem, &n);
	m.pem[n] = 0;
	gnutls_x509_crt_deinit(own);
	/* As read: names are compared in that form only. */
	const gnutls_datum_t d = {(unsigned char *)m.pem, (unsigned)n};
	gnutls_x509_crt_init(&m.crt);
	gnutls_x509_crt_import(m.crt, &d, GNUTLS_X509_FMT_PEM);
	n = sizeof(m.key_pem);
	gnutls_x509_privkey_export_pkcs8(m.key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
					 m.key_pem, &n);
	m.key_pem[n] = 0;
	return m;
}

#define P256 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1)

/* Fills `conf` from text; the state is in dir. */
static inline bool state_conf(struct pool *pool, const char *dir, const char *certs)
{
	char text[2048];
	snprintf(text, sizeof(text), "version 1\nstate-dir %s/state\n%s", dir, certs);
	memset(&conf, 0, sizeof(conf));
	return conf_parse(pool, "keyd.conf", text, strlen(text), conf_table, &conf, conf_check_all,
			  stderr) == 0;
}

static inline int state_remove(const char *dir)
{
	char command[256];
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}
#endif
