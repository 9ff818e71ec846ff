/* tls: the suite's one TLS policy over GnuTLS. A context is shared by all connections of one
 * kind; its server credentials come from a `struct tls_keys` (the key client, see ipc/key.h),
 * so that no daemon holds a private key. */
#ifndef NET_TLS_H
#define NET_TLS_H
#include <stdbool.h>
#include <stddef.h>
#include <gnutls/gnutls.h>
#include <gnutls/abstract.h>

/* Priority line of the suite: TLS 1.2 and 1.3, AES-GCM first, ECDSA P-256. */
extern const char TLS_PRIORITY[];

/* Where certificates, signatures and ticket keys come from. */
struct tls_cert {
	gnutls_pcert_st *chain; /* owned by the provider; replaced, never changed */
	unsigned n;
	gnutls_privkey_t key; /* gnutls_privkey_import_ext4 onto the provider's signer */
	unsigned refs;        /* the provider holds one, and each session up to tls_session_end */
};
struct tls_keys {
	/* Certificate for the server name ("" when the client gave none); NULL: no TLS now. */
	struct tls_cert *(*find)(struct tls_keys *k, const char *sni);
	/* A session that used the certificate has ended: refs is 0 when it was the last. NULL: the
	 * provider never frees one. */
	void (*release)(struct tls_keys *k, struct tls_cert *c);
	/* Current session ticket key (gnutls_session_ticket_enable_server size); false: none. */
	bool (*ticket)(struct tls_keys *k, gnutls_datum_t *out);
};

struct tls_ctx;
/* alpn: NULL-terminated list or NULL; when a client offers ALPN and none fits, the handshake
 * fails (ALPACA). `keys` must outlive the context. */
struct tls_ctx *tls_server_ctx(struct tls_keys *keys, const char *const *alpn);
/* A server context over PEM files: for tests and a daemon tried out alone. NULL and *why set
 * on failure. */
struct tls_ctx *tls_server_ctx_files(const char *cert, const char *key, const char *const *alpn,
				     const char **why);
/* ca_file NULL: system trust. The files are read now. */
struct tls_ctx *tls_client_ctx(const char *ca_file, const char *const *alpn);
/* How many authorities a client context trusts; 0: the file could not be read or has none. */
unsigned tls_ctx_trusted(const struct tls_ctx *c);
void tls_ctx_free(struct tls_ctx **c);
/* True when a handshake can be offered now (a certificate is there). */
bool tls_ctx_ready(struct tls_ctx *c);
/* A new non-blocking session (GNUTLS_NONBLOCK | NO_SIGNAL); used by stream. For clients `name`
 * is the SNI (unless it is an address) and, when verify, the name or address that the certificate
 * must carry. NULL on failure. */
gnutls_session_t tls_session(struct tls_ctx *c, const char *name, bool verify);
/* Why a handshake failed with `error`, for the log and for notices: of a certificate that was
 * refused what is wrong with it. Static text. */
const char *tls_why(gnutls_session_t s, int error);
/* Frees the session and gives its certificate back. */
void tls_session_end(gnutls_session_t s);

#endif
