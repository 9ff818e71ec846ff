#include "libcommon/ipc/key.h"
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/key_sign.h"
#include "libcommon/ipc/peer.h"

enum {
	SIGN_MS = 200,
	TRIES = 3,
	FAIL_MS = 1000,
	CHAIN_MAX = 16,
	TICKET_KEY = 64,
	NAME_MAX_LEN = 255
};

struct key_client;
/* One certificate. Never changed: a push replaces it by another. */
struct key_cert {
	struct tls_cert tls; /* first: tls.c has a pointer to it */
	struct key_client *k;
	char *id; /* keyd's name of the private key */
	char *names;
	gnutls_pk_algorithm_t pk;
	unsigned bits;
};

struct key_client {
	struct tls_keys keys; /* first */
	char *path;
	enum role role;
	struct peer *peer;      /* certificates and ticket keys */
	struct peer_sync *sync; /* signatures; NULL: to be opened */
	uint64_t fail_until;    /* handshakes fail at once until then */
	struct key_cert **cert;
	size_t n;
	struct key_cert *fallback;
	struct map *by_name;
	unsigned char ticket[TICKET_KEY];
	bool ticket_here;
	void (*on_change)(void *arg);
	void *arg;
};

/* --- signing --------------------------------------------------------------------------- */

static int refuse(struct key_client *k, const char *why, struct slice text)
{
	k->fail_until = clock_mono() + FAIL_MS;
	peer_sync_close(&k->sync);
	log_event(LOG_LV_ERROR, NULL, "sign-failed", LS("reason", why), LSL("keyd", text));
	return GNUTLS_E_PK_SIGN_FAILED;
}

/* One request over the connection there is, or a new one. NULL: none can be had (*why). */
static const void *ask(struct key_client *k, struct pool *pool, const struct msg_sign *m,
		       uint64_t deadline, enum msg_type *type, const char **why)
{
	uint64_t now = clock_mono();
	unsigned left = now < deadline ? (unsigned)(deadline - now) : 0;
	*why = "keyd does not answer";
	if (!k->sync && left)
		k->sync = peer_sync_open(k->path, k->role, left, why);
	if (!k->sync)
		return NULL;
	peer_sync_limit(k->sync, left);
	return peer_sync_call(k->sync, pool, MSG_sign, m, type, NULL);
}

/* A connection that breaks is most likely that of a keyd which is being replaced: the next one
 * takes over the same socket, and to sign again does no harm. */
static const void *ask_again(struct key_client *k, struct pool *pool, const struct msg_sign *m,
			     enum msg_type *type, const char **why)
{
	uint64_t deadline = clock_mono() + SIGN_MS;
	const void *answer = NULL;
	for (int i = 0; i < TRIES; i++) {
		answer = ask(k, pool, m, deadline, type, why);
		if (answer && peer_error(*type, answer, NULL) != ERR_LOST)
			break;
		peer_sync_close(&k->sync);
	}
	return answer;
}

static int remote_sign(struct key_cert *c, gnutls_sign_algorithm_t algorithm,
		       const gnutls_datum_t *data, gnutls_datum_t *signature)
{
	struct key_client *k = c->k;
	const char *why = NULL;
	enum msg_type t = MSG_NONE;
	struct slice text = {"", 0};
	struct msg_sign m = {.key = slice_of(c->id),
			     .algorithm = algorithm,
			     .data = {(const char *)data->data, data->size}};
	if (clock_mono() < k->fail_until)
		return GNUTLS_E_PK_SIGN_FAILED;
	struct pool *pool = pool_new(0);
	const struct msg_signature *s = ask_again(k, pool, &m, &t, &why);
	enum ipc_err e = s ? peer_error(t, s, &text) : ERR_LOST;
	int r = 0;
	if (e == ERR_OK && t == MSG_signature && s->sig.len) {
		signature->data = gnutls_malloc(s->sig.len);
		signature->size = (unsigned)s->sig.len;
		memcpy(signature->data, s->sig.p, s->sig.len);
	} else {
		r = refuse(k, s ? ipc_err_name(e) : why, text);
	}
	pool_free(&pool);
	return r;
}

static int sign_hash(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *userdata,
		     unsigned flags, const gnutls_datum_t *hash, gnutls_datum_t *signature)
{
	gnutls_datum_t data;
	(void)flags;
	(void)hash;
	if (!key_sign_data(key, &algorithm, &data)) {
		log_event(LOG_LV_ERROR, NULL, "sign-failed",
			  LS("reason", "this GnuTLS does not tell what it signs"));
		return GNUTLS_E_PK_SIGN_FAILED;
	}
	return remote_sign(userdata, algorithm, &data, signature);
}

static int key_info(gnutls_privkey_t key, unsigned flags, void *userdata)
{
	const struct key_cert *c = userdata;
	(void)key;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
		return (int)c->pk;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
		return (int)c->bits;
	if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
		return gnutls_sign_supports_pk_algorithm(GNUTLS_FLAGS_TO_SIGN_ALGO(flags), c->pk) !=
		       0;
	return 0;
}

/* --- certificates ---------------------------------------------------------------------- */

static void cert_free(struct key_cert *c)
{
	for (unsigned i = 0; i < c->tls.n; i++)
		gnutls_pcert_deinit(&c->tls.chain[i]);
	free(c->tls.chain);
	if (c->tls.key)
		gnutls_privkey_deinit(c->tls.key);
	free(c->id);
	free(c->names);
	free(c);
}

static void cert_unref(struct key_cert *c)
{
	if (--c->tls.refs == 0)
		cert_free(c);
}

static void on_release(struct tls_keys *keys, struct tls_cert *cert)
{
	(void)keys;
	if (cert->refs == 0)
		cert_free((struct key_cert *)cert);
}

static struct key_cert *cert_make(struct key_client *k, const struct row_cert *row)
{
	struct key_cert *c = mem_alloc(sizeof(*c));
	c->k = k;
	c->tls.refs = 1;
	c->id = mem_strndup(row->key.p, row->key.len);
	c->names = mem_strndup(row->names.p, row->names.len);
	str_lowern(c->names, row->names.len);
	c->tls.chain = mem_alloc(CHAIN_MAX * sizeof(gnutls_pcert_st));
	unsigned n = CHAIN_MAX;
	const gnutls_datum_t pem = {(unsigned char *)(uintptr_t)row->chain_pem.p,
				    (unsigned)row->chain_pem.len};
	int r = gnutls_pcert_list_import_x509_raw(c->tls.chain, &n, &pem, GNUTLS_X509_FMT_PEM, 0);
	if (r >= 0) {
		c->tls.n = n;
		c->pk = (gnutls_pk_algorithm_t)gnutls_pubkey_get_pk_algorithm(
		    c->tls.chain[0].pubkey, &c->bits);
		r = gnutls_privkey_init(&c->tls.key);
	}
	if (r >= 0)
		r = gnutls_privkey_import_ext4(c->tls.key, c, NULL, sign_hash, NULL, NULL, key_info,
					       0);
	if (r >= 0)
		return c;
	log_event(LOG_LV_ERROR, NULL, "certificate-unusable", LSL("key", row->key),
		  LS("reason", gnutls_strerror(r)));
	cert_free(c);
	return NULL;
}

/* The one that is here already when nothing about it changed, else a new one. */
static struct key_cert *cert_take(struct key_client *k, const struct row_cert *row)
{
	for (size_t i = 0; i < k->n; i++)
		if (slice_eqs(row->key, k->cert[i]->id) &&
		    slice_ieqs(row->names, k->cert[i]->names)) {
			k->cert[i]->tls.refs++;
			return k->cert[i];
		}
	return cert_make(k, row);
}

static void index_names(struct key_client *k, struct key_cert *c)
{
	struct slice rest = slice_of(c->names), word;
	while ((word = slice_word(&rest)).len)
		if (!map_get(k->by_name, word.p, word.len))
			map_set(k->by_name, word.p, word.len, c);
}

static void take_certs(struct key_client *k, const struct msg_certs *m)
{
	struct key_cert **cert = mem_alloc((m->certs_n + 1) * sizeof(struct key_cert *));
	size_t n = 0;
	map_free(&k->by_name);
	k->by_name = map_new();
	k->fallback = NULL;
	for (uint32_t i = 0; i < m->certs_n; i++) {
		struct key_cert *c = cert_take(k, &m->certs[i]);
		if (!c)
			continue;
		cert[n++] = c;
		index_names(k, c);
		if (m->certs[i].is_default && !k->fallback)
			k->fallback = c;
	}
	if (!k->fallback && n)
		k->fallback = cert[0];
	for (size_t i = 0; i < k->n; i++)
		cert_unref(k->cert[i]);
	free(k->cert);
	k->cert = cert;
	k->n = n;
	k->ticket_here = m->ticket_key.len == TICKET_KEY;
	if (k->ticket_here)
		memcpy(k->ticket, m->ticket_key.p, TICKET_KEY);
}

static void on_certs(void *arg, enum msg_type type, const void *msg)
{
	struct key_client *k = arg;
	struct slice text;
	enum ipc_err e = peer_error(type, msg, &text);
	if (e == ERR_LOST) /* asked again when the connection is up; the keys stay in use */
		return;
	if (e != ERR_OK || type != MSG_certs) {
		log_event(LOG_LV_ERROR, NULL, "no-certificates", LS("reason", ipc_err_name(e)),
			  LSL("keyd", text));
		return;
	}
	take_certs(k, msg);
	if (k->on_change)
		k->on_change(k->arg);
}

static void on_up(struct peer *p, void *arg)
{
	struct key_client *k = arg;
	const struct msg_certs_watch m = {0};
	k->fail_until = 0; /* another keyd may do better */
	peer_call(p, MSG_certs_watch, &m, on_certs, k);
}

/* --- what tls.c asks ------------------------------------------------------------------- */

static struct tls_cert *on_find(struct tls_keys *keys, const char *sni)
{
	struct key_client *k = (struct key_client *)keys;
	char name[NAME_MAX_LEN + 1];
	size_t len = strlen(sni);
	struct key_cert *c = NULL;
	if (!k->n)
		return NULL;
	if (len && len <= NAME_MAX_LEN) {
		memcpy(name, sni, len + 1);
		str_lowern(name, len);
		c = map_get(k->by_name, name, len);
		char *dot = strchr(name, '.');
		if (!c && dot && dot != name) { /* a wildcard stands for one whole label */
			*--dot = '*';
			c = map_get(k->by_name, dot, len - (size_t)(dot - name));
		}
	}
	return c ? &c->tls : &k->fallback->tls;
}

static bool on_ticket(struct tls_keys *keys, gnutls_datum_t *out)
{
	struct key_client *k = (struct key_client *)keys;
	*out = (gnutls_datum_t){k->ticket, TICKET_KEY};
	return k->ticket_here;
}

struct tls_keys *key_client(const char *path, enum role role, void (*on_change)(void *arg),
			    void *arg)
{
	struct key_client *k = mem_alloc(sizeof(*k));
	k->keys = (struct tls_keys){.find = on_find, .release = on_release, .ticket = on_ticket};
	k->path = mem_strdup(path);
	k->role = role;
	k->on_change = on_change;
	k->arg = arg;
	k->by_name = map_new();
	k->peer = peer_connect(path, role, on_up, k);
	return &k->keys;
}

bool key_client_ready(const struct tls_keys *keys)
{
	return ((const struct key_client *)keys)->n > 0;
}

void key_client_free(struct tls_keys **keys)
{
	struct key_client *k = (struct key_client *)*keys;
	if (!k)
		return;
	peer_free(&k->peer);
	peer_sync_close(&k->sync);
	for (size_t i = 0; i < k->n; i++)
		cert_unref(k->cert[i]);
	free(k->cert);
	map_free(&k->by_name);
	free(k->path);
	mem_wipe(k, sizeof(*k));
	*keys = NULL;
}
