#include "libcommon/net/tls.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "libcommon/base/mem.h"

/* Debian's GnuTLS signs RSA slowly and has a slow ChaCha20: ECDSA and AES-GCM come first. */
const char TLS_PRIORITY[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:"
			    "+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:-KX-ALL:+ECDHE-ECDSA:"
			    "+ECDHE-RSA:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:"
			    "%SERVER_PRECEDENCE";

enum { ALPN_MAX = 8 };

struct tls_ctx {
	bool server;
	gnutls_priority_t priority;
	gnutls_certificate_credentials_t cred;
	struct tls_keys *keys;
	gnutls_datum_t ticket; /* of a context over files */
	gnutls_datum_t alpn[ALPN_MAX];
	unsigned alpn_n;
	unsigned trusted;
};

/* Gives the certificate back that a session holds. It stands in the session's database pointer,
 * which nothing else uses: sessions are resumed by tickets only. */
static void cert_release(struct tls_ctx *c, gnutls_session_t session)
{
	struct tls_cert *cert = gnutls_db_get_ptr(session);
	gnutls_db_set_ptr(session, NULL);
	if (!cert)
		return;
	cert->refs--;
	if (c->keys->release)
		c->keys->release(c->keys, cert);
}

/* The session carries its context for the certificate callback. */
static int find_cert(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
		     gnutls_pcert_st **chain, unsigned *n, gnutls_ocsp_data_st **ocsp,
		     unsigned *ocsp_n, gnutls_privkey_t *key, unsigned *flags)
{
	(void)info;
	struct tls_ctx *c = gnutls_session_get_ptr(session);
	char name[256] = "";
	size_t len = sizeof(name);
	unsigned type;
	if (gnutls_server_name_get(session, name, &len, &type, 0) != 0 || type != GNUTLS_NAME_DNS)
		name[0] = 0;
	struct tls_cert *cert = c->keys->find(c->keys, name);
	if (!cert)
		return -1;
	cert->refs++;
	cert_release(c, session); /* asked again after a HelloRetryRequest */
	gnutls_db_set_ptr(session, cert);
	*chain = cert->chain;
	*n = cert->n;
	*key = cert->key;
	*ocsp = NULL;
	*ocsp_n = 0;
	*flags = 0; /* the provider keeps them */
	return 0;
}

static struct tls_ctx *ctx_new(bool server, const char *const *alpn)
{
	struct tls_ctx *c = mem_alloc(sizeof(*c));
	c->server = server;
	for (; alpn && *alpn && c->alpn_n < ALPN_MAX; alpn++) {
		c->alpn[c->alpn_n].data = (unsigned char *)mem_strdup(*alpn);
		c->alpn[c->alpn_n++].size = (unsigned)strlen(*alpn);
	}
	if (gnutls_priority_init(&c->priority, TLS_PRIORITY, NULL) != 0 ||
	    gnutls_certificate_allocate_credentials(&c->cred) != 0)
		abort(); /* the policy is a constant: only a broken library refuses it */
	return c;
}

struct tls_ctx *tls_server_ctx(struct tls_keys *keys, const char *const *alpn)
{
	struct tls_ctx *c = ctx_new(true, alpn);
	c->keys = keys;
	gnutls_certificate_set_retrieve_function3(c->cred, find_cert);
	return c;
}

struct tls_ctx *tls_server_ctx_files(const char *cert, const char *key, const char *const *alpn,
				     const char **why)
{
	struct tls_ctx *c = ctx_new(true, alpn);
	int r = gnutls_certificate_set_x509_key_file(c->cred, cert, key, GNUTLS_X509_FMT_PEM);
	if (r >= 0)
		r = gnutls_session_ticket_key_generate(&c->ticket);
	if (r < 0) {
		*why = gnutls_strerror(r);
		tls_ctx_free(&c);
	}
	return c;
}

struct tls_ctx *tls_client_ctx(const char *ca_file, const char *const *alpn)
{
	struct tls_ctx *c = ctx_new(false, alpn);
	int n = ca_file
		    ? gnutls_certificate_set_x509_trust_file(c->cred, ca_file, GNUTLS_X509_FMT_PEM)
		    : gnutls_certificate_set_x509_system_trust(c->cred);
	c->trusted = n > 0 ? (unsigned)n : 0;
	return c;
}

unsigned tls_ctx_trusted(const struct tls_ctx *c)
{
	return c->trusted;
}

void tls_ctx_free(struct tls_ctx **p)
{
	struct tls_ctx *c = *p;
	if (!c)
		return;
	for (unsigned i = 0; i < c->alpn_n; i++)
		free(c->alpn[i].data);
	if (c->ticket.data) {
		gnutls_memset(c->ticket.data, 0, c->ticket.size);
		gnutls_free(c->ticket.data);
	}
	gnutls_certificate_free_credentials(c->cred);
	gnutls_priority_deinit(c->priority);
	free(c);
	*p = NULL;
}

bool tls_ctx_ready(struct tls_ctx *c)
{
	return !c->keys || c->keys->find(c->keys, "") != NULL;
}

static void server_setup(struct tls_ctx *c, gnutls_session_t s)
{
	gnutls_datum_t ticket = c->ticket;
	if (c->keys ? c->keys->ticket(c->keys, &ticket) : ticket.data != NULL)
		gnutls_session_ticket_enable_server(s, &ticket);
	gnutls_certificate_server_set_request(s, GNUTLS_CERT_IGNORE);
}

static void client_setup(gnutls_session_t s, const char *name, bool verify)
{
	unsigned char ip[16];
	/* An address is no server name (RFC 6066 section 3). */
	if (name && inet_pton(AF_INET, name, ip) != 1 && inet_pton(AF_INET6, name, ip) != 1)
		gnutls_server_name_set(s, GNUTLS_NAME_DNS, name, strlen(name));
	if (verify)
		gnutls_session_set_verify_cert(s, name, 0);
}

gnutls_session_t tls_session(struct tls_ctx *c, const char *name, bool verify)
{
	gnutls_session_t s;
	unsigned flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;
	if (gnutls_init(&s, flags | (c->server ? GNUTLS_SERVER : GNUTLS_CLIENT)) != 0)
		return NULL;
	gnutls_session_set_ptr(s, c);
	gnutls_handshake_set_timeout(s, 0); /* the stream has its own timer */
	int r = gnutls_priority_set(s, c->priority);
	if (r == 0)
		r = gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, c->cred);
	if (r == 0 && c->alpn_n)
		r = gnutls_alpn_set_protocols(s, c->alpn, c->alpn_n, GNUTLS_ALPN_MANDATORY);
	if (r != 0) {
		gnutls_deinit(s);
		return NULL;
	}
	if (c->server)
		server_setup(c, s);
	else
		client_setup(s, name, verify);
	return s;
}

const char *tls_why(gnutls_session_t s, int error)
{
	if (error != GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
		return gnutls_strerror(error);
	unsigned status = gnutls_session_get_verify_cert_status(s);
	if (status & GNUTLS_CERT_REVOKED)
		return "the certificate is revoked";
	if (status & GNUTLS_CERT_EXPIRED)
		return "the certificate has expired";
	if (status & GNUTLS_CERT_NOT_ACTIVATED)
		return "the certificate is not valid yet";
	if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA))
		return "the certificate's issuer is not trusted";
	if (status & GNUTLS_CERT_UNEXPECTED_OWNER)
		return "the certificate is for another name";
	return "the certificate is not valid";
}

void tls_session_end(gnutls_session_t s)
{
	cert_release(gnutls_session_get_ptr(s), s);
	gnutls_deinit(s);
}
