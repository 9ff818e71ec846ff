/* keyd holds every private key of the suite: certificates for TLS, the local CA, ticket keys, those
 * of signed zones. It listens on Unix sockets only, one per role, and says a key to nobody: it
 * signs. */
#ifndef KEYD_KEYD_H
#define KEYD_KEYD_H
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/conf.h"
#include "libcommon/base/list.h"
#include "libcommon/dns/name.h"
#include "libcommon/ipc/peer.h"

enum { WHY_LEN = 200, CHAIN_MAX = 8, PEM_MAX = 256 << 10, TICKET_KEY_LEN = 64 };
/* Text for people, filled where a function returns false. */
struct why {
	char text[WHY_LEN];
};
bool why_set(struct why *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- conf.c ---------------------------------------------------------------------------- */
struct cert_conf {
	struct conf_block block; /* its word: the certificate's name */
	struct conf_words names, roles;
	bool is_default;
};
struct keyd_conf {
	const char *state_dir, *ca_name;
	uint64_t ca_lifetime, cert_lifetime, renew_before, ticket_lifetime; /* ms */
	struct conf_list certs;                                             /* of cert_conf */
};
extern struct keyd_conf conf;
extern const struct conf_directive conf_table[];
void conf_check_all(struct conf_errors *e, void *root);
const struct cert_conf *conf_cert(const char *name); /* NULL: not in the configuration */
unsigned conf_roles(const struct cert_conf *c);      /* R_* bits; c NULL: all */

/* --- file.c: files that are whole or not there ------------------------------------------ */
/* New file, fsync, rename, fsync of the folder. */
bool file_write(const char *dir, const char *name, struct slice content, unsigned mode,
		struct why *w);
/* NULL: no such file, or (w filled) it cannot be read. Free with mem_wipe. */
char *file_read(const char *dir, const char *name, size_t *len, struct why *w);
bool file_remove(const char *dir, const char *name, struct why *w);

/* --- cert.c: one certificate with its key, parsed and checked --------------------------- */
struct pair {
	gnutls_x509_crt_t chain[CHAIN_MAX]; /* the server's own first */
	unsigned n;
	gnutls_x509_privkey_t key;
	gnutls_pk_algorithm_t pk;
	unsigned bits;
	uint64_t not_before, not_after; /* ms */
};
/* PEM certificates and their private key, in any order of the two. Checked: the key is the first
 * certificate's, each certificate is issued by the next, kind and size of the key, purpose. */
bool pair_parse(struct slice pem, struct pair *out, struct why *w);
/* Not expired, already valid. */
bool pair_current(const struct pair *p, struct why *w);
void pair_free(struct pair *p);
void pair_pem(const struct pair *p, struct buf *chain, struct buf *key);
/* The names that it covers, separated by spaces. */
void pair_names(const struct pair *p, struct buf *out);
/* A DNS name (perhaps a wildcard) or an IP address, in lower case. */
bool host_ok(struct slice host);
/* Letters, digits, '.', '-' and '_': part of a file's name. */
bool cert_name_ok(struct slice name);

/* --- ca.c: the local CA ------------------------------------------------------------------ */
/* Loads it, or makes it at the first start. */
bool ca_open(struct why *w);
/* A new key and certificate for the names: chain and key in PEM. */
bool ca_issue(const struct slice *names, size_t n, struct buf *pem, struct why *w);
bool ca_issued(gnutls_x509_crt_t crt);
struct slice ca_pem(void);
void ca_close(void);

/* --- set.c: the certificates that are served --------------------------------------------- */
struct cert {
	struct list link;
	char *name;
	char *id; /* of this very key: name and fingerprint */
	struct buf names, chain_pem;
	struct pair pair;
	gnutls_privkey_t key;
	bool local; /* issued by the local CA */
	unsigned roles;
	bool is_default;
	/* The key before this one, for handshakes that began with it. */
	gnutls_privkey_t old_key;
	char *old_id;
	uint64_t old_until; /* clock_mono() */
};
extern struct list set_certs; /* those of the configuration first, in its order */
/* Reads what is stored, and issues what the configuration names and is not there. */
bool set_open(struct why *w);
void set_close(void);
struct cert *set_find(struct slice name);
/* The key behind an id (the former one included); NULL: none. *owner: its certificate. */
gnutls_privkey_t set_key(struct slice id, const struct cert **owner);
/* Called after each change of the set; NULL: nobody wants to know. */
extern void (*set_changed)(void);
/* These change the set. */
bool set_issue(struct slice name, const struct slice *names, size_t n, struct why *w);
bool set_import(struct slice name, struct slice pem, struct why *w);
bool set_renew(struct cert *c, struct why *w);
bool set_delete(struct cert *c, struct why *w);
/* Renews what ends soon, drops former keys; call now and then. */
void set_tick(void);
/* The certificate of a role without a server name; NULL: the role has none. */
const struct cert *set_default(enum role role);

/* --- sign.c ------------------------------------------------------------------------------ */
/* True for data of the form that a TLS server signs in a handshake, and nothing else. */
bool sign_shape(struct slice data);
/* True when the algorithm is one of TLS 1.2 or 1.3 for such a key. */
bool sign_algorithm(uint32_t algorithm, gnutls_pk_algorithm_t pk);
enum ipc_err sign_request(enum role role, const struct msg_sign *m, gnutls_datum_t *out,
			  const char **text);

/* --- ticket.c: session ticket keys, one per role, in memory only ------------------------- */
const unsigned char *ticket_key(enum role role, uint64_t *until_ms);
/* Makes new keys for the roles whose time is over; the R_* bits of these. */
unsigned ticket_rotate(void);
void ticket_close(void);

/* --- zone_key.c: the keys of signed zones ------------------------------------------------- */
enum {
	ZONE_ECDSA = 13,
	ZONE_ED25519 = 15,
	ZONE_DNSKEY_HEAD = 4, /* flags, protocol, algorithm */
	ZONE_DNSKEY_MAX = ZONE_DNSKEY_HEAD + 64,
	ZONE_SIGNATURE = 64, /* octets, of both algorithms */
};
struct zone_key {
	uint64_t id, created_ms, since_ms, until_ms;
	uint32_t state;
	uint16_t tag;
	uint8_t dnskey[ZONE_DNSKEY_MAX]; /* rdata */
	size_t dnskey_len;
	gnutls_x509_privkey_t x509;
	gnutls_privkey_t key;
};
struct zone {
	uint8_t name[DNS_NAME_MAX]; /* lower case */
	size_t name_len;
	struct zone_key *key; /* n of them, the oldest first */
	unsigned n;
};
/* STATE-DIR/zones; a zone's file is read when it is first asked for. */
bool zone_open(struct why *w);
void zone_close(void);
/* A zone's keys; one without a file has none. */
enum ipc_err zone_find(struct slice name, struct zone **out, struct why *w);
/* Of no more use to the caller (may be NULL): one without keys is forgotten. */
void zone_done(struct zone *z);
struct zone_key *zone_key_find(const struct zone *z, uint64_t id); /* NULL: it has no such key */
/* Changes: on disk first, then in use. */
enum ipc_err zone_key_make(struct zone *z, uint32_t algorithm, struct why *w);
enum ipc_err zone_key_change(struct zone *z, uint64_t id, uint32_t state, uint64_t until_ms,
			     struct why *w);
enum ipc_err zone_key_remove(struct zone *z, uint64_t id, struct why *w);
/* RFC 4034, appendix B. */
uint16_t zone_key_tag(const uint8_t *dnskey, size_t len);
void zone_key_stats(struct buf *out);

/* --- zone_file.c: a zone's keys as a file -------------------------------------------------- */
enum { ZONE_FILE_NAME = 224 };
/* The name, with octets other than letters, digits, '-' and '_' as %XX; a long one as its hash. */
void zone_file_name(const struct zone *z, char out[ZONE_FILE_NAME]);
/* Private keys in PEM among them: wipe it. */
void zone_file_text(const struct zone *z, struct buf *out);
/* The keys of the zone whose name is set. False: none are set. */
bool zone_file_parse(struct slice text, struct zone *z, struct why *w);
/* Takes over the private key; false: it is of no algorithm that is known, and still the caller's.
 */
bool zone_key_from(gnutls_x509_privkey_t x509, struct zone_key *out);
void zone_key_free(struct zone_key *k);

/* --- zone_shape.c: what a zone's key may sign ----------------------------------------------- */
/* NULL: the data are those of a signature that a zone's owner makes with this key now; else why
 * not. now: seconds. */
const char *zone_shape(const struct zone *z, const struct zone_key *key, struct slice data,
		       uint64_t now);

/* --- zone_sign.c: signatures of zones, in the time that handshakes leave --------------------- */
enum ipc_err zone_signature(const struct zone_key *k, struct slice data,
			    uint8_t out[ZONE_SIGNATURE]);
/* One of the messages about zones; false: it is another one. Answers now, or later. */
bool zone_request(struct conn *c, uint32_t request, enum msg_type t, const void *msg);
/* The connection is over: what it wanted signed is not. */
void zone_forget(const struct conn *c);
void zone_sign_stats(struct buf *out);

/* --- server.c ----------------------------------------------------------------------------- */
void server_listen(const char *fdname, int fd);
/* Sends certificates and ticket key anew to the watchers of these roles (R_* bits). */
void server_push(unsigned roles);
void server_stats(struct buf *out);

/* --- ctl.c: "cert ..." of hamletctl ------------------------------------------------------- */
void ctl_request(struct conn *c, uint32_t request, const struct msg_ctl *m);

#endif
