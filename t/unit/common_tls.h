/* common_tls: a certificate for "localhost" and 127.0.0.1 that is its own CA, and its key, in files
 * under /tmp. */
#ifndef T_COMMON_TLS_H
#define T_COMMON_TLS_H
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <gnutls/x509.h>

static char tls_cert_file[] = "/tmp/hamlet-cert-XXXXXX", tls_key_file[] = "/tmp/hamlet-key-XXXXXX";

static inline void write_pem(const char *file,
			     int (*export)(void *, gnutls_x509_crt_fmt_t, gnutls_datum_t *),
			     void *what)
{
	gnutls_datum_t d;
	assert_int_equal(export(what, GNUTLS_X509_FMT_PEM, &d), 0);
	int fd = open(file, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, d.data, d.size), d.size);
	close(fd);
	gnutls_free(d.data);
}
static inline int cert_export(void *c, gnutls_x509_crt_fmt_t f, gnutls_datum_t *d)
{
	return gnutls_x509_crt_export2(c, f, d);
}
static inline int key_export(void *k, gnutls_x509_crt_fmt_t f, gnutls_datum_t *d)
{
	return gnutls_x509_privkey_export2(k, f, d);
}

/* Over the files that are there; valid for an hour before and after `middle`. */
static inline void tls_files_write(const char *name, time_t middle)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	unsigned len = (unsigned)strlen(name);
	gnutls_x509_privkey_init(&key);
	gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
				     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	gnutls_x509_crt_init(&crt);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, "\1", 1);
	gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, len);
	gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name, len, GNUTLS_FSAN_SET);
	gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, "\x7f\0\0\1", 4,
					     GNUTLS_FSAN_APPEND);
	gnutls_x509_crt_set_activation_time(crt, middle - 3600);
	gnutls_x509_crt_set_expiration_time(crt, middle + 3600);
	gnutls_x509_crt_set_basic_constraints(crt, 1, -1);
	gnutls_x509_crt_set_key(crt, key);
	gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
	write_pem(tls_cert_file, cert_export, crt);
	write_pem(tls_key_file, key_export, key);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

static inline void tls_files_make(void)
{
	close(mkstemp(tls_cert_file));
	close(mkstemp(tls_key_file));
	tls_files_write("localhost", time(NULL));
}

static inline void tls_files_drop(void)
{
	unlink(tls_cert_file);
	unlink(tls_key_file);
}
#endif
