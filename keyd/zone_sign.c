/* The messages about zones. Signatures come in batches of a thousand, 50 ms of work, while each
 * handshake waits for one: so batches are signed a slice at a time, and between two slices the loop
 * sees to everybody else. Several batches take turns. */
#include "keyd/keyd.h"
#include <gnutls/crypto.h>
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"

enum { SLICE_NS = 2000000, HALF = ZONE_SIGNATURE / 2 };

struct batch {
	struct list link;
	struct conn *conn;
	struct conn_kept *kept;
	uint32_t request;
	const struct msg_zone_sign *m;
	struct row_zone_signature *out;
	uint32_t n; /* done */
	uint32_t refused;
	const char *why; /* the first refusal's */
};

static struct list batches;
static uv_idle_t idle; /* runs as long as there are batches: the loop then does not sleep */
static uint64_t signatures, refused, sign_ns, waiting;

/* --- one signature -------------------------------------------------------------------------------
 */

/* DER to the two numbers, 32 octets each (RFC 6605, 4). */
static bool put_rs(const gnutls_datum_t *der, uint8_t out[ZONE_SIGNATURE])
{
	gnutls_datum_t half[2] = {0};
	bool ok = gnutls_decode_rs_value(der, &half[0], &half[1]) == 0;
	memset(out, 0, ZONE_SIGNATURE);
	for (int i = 0; i < 2 && ok; i++) {
		const uint8_t *p = half[i].data;
		size_t n = half[i].size;
		for (; n > HALF && !*p; n--)
			p++;
		ok = n <= HALF;
		if (ok)
			memcpy(out + (i + 1) * HALF - n, p, n);
	}
	gnutls_free(half[0].data);
	gnutls_free(half[1].data);
	return ok;
}

enum ipc_err zone_signature(const struct zone_key *k, struct slice data,
			    uint8_t out[ZONE_SIGNATURE])
{
	bool ed = k->dnskey[3] == ZONE_ED25519;
	const gnutls_datum_t d = {(unsigned char *)(uintptr_t)data.p, (unsigned)data.len};
	gnutls_datum_t sig = {0};
	/* Reproducible (RFC 6979): processes that sign the same get the same. */
	int r = gnutls_privkey_sign_data2(k->key,
					  ed ? GNUTLS_SIGN_EDDSA_ED25519 : GNUTLS_SIGN_ECDSA_SHA256,
					  ed ? 0 : GNUTLS_PRIVKEY_FLAG_REPRODUCIBLE, &d, &sig);
	bool ok = r == 0;
	if (ok && ed) {
		ok = sig.size == ZONE_SIGNATURE;
		if (ok)
			memcpy(out, sig.data, ZONE_SIGNATURE);
	} else if (ok) {
		ok = put_rs(&sig, out);
	}
	gnutls_free(sig.data);
	return ok ? ERR_OK : ERR_TEMP;
}

/* --- batches
 * --------------------------------------------------------------------------------------- */

static void batch_free(struct batch *b)
{
	list_del(&b->link);
	waiting -= b->m->data_n - b->n;
	conn_drop(b->kept);
	conn_release(b->conn);
	free(b);
	if (list_empty(&batches))
		uv_idle_stop(&idle);
}

static void batch_done(struct batch *b)
{
	char zone[DNS_NAME_TEXT];
	const struct msg_zone_signed m = {.signatures = b->out, .signatures_n = b->m->data_n};
	if (b->refused) {
		dns_name_text(zone, (const uint8_t *)b->m->zone.p);
		log_event(LOG_LV_WARN, NULL, "zone-sign-refused", LS("zone", zone),
			  LU("signatures", b->refused), LS("reason", b->why));
	}
	conn_reply(b->conn, b->request, MSG_zone_signed, &m);
	batch_free(b);
}

/* The batch's next signature. */
static void sign_next(struct batch *b, const struct zone *z, const struct zone_key *k, uint64_t now)
{
	struct slice data = b->m->data[b->n].data;
	struct slice *out = &b->out[b->n].signature;
	const char *why = zone_shape(z, k, data, now);
	*out = (struct slice){"", 0};
	if (!why) {
		uint8_t *sig = pool_alloc(conn_kept_pool(b->kept), ZONE_SIGNATURE);
		if (zone_signature(k, data, sig) == ERR_OK)
			*out = (struct slice){(const char *)sig, ZONE_SIGNATURE};
		else
			why = "GnuTLS cannot sign";
	}
	if (why && !b->why)
		b->why = why;
	b->refused += why != NULL;
	refused += why != NULL;
	signatures += !why;
	waiting--;
	b->n++;
}

static void on_idle(uv_idle_t *h)
{
	struct batch *b = list_entry(batches.next, struct batch, link);
	uint64_t start = clock_ns(), spent = 0, now = clock_sec();
	struct why w;
	struct zone *z = NULL;
	(void)h;
	/* Anew in each slice: the key may have been deleted. */
	enum ipc_err e = zone_find(b->m->zone, &z, &w);
	const struct zone_key *k = e == ERR_OK ? zone_key_find(z, b->m->id) : NULL;
	if (!k) {
		conn_error(b->conn, b->request, e == ERR_OK ? ERR_NOTFOUND : e,
			   e == ERR_OK ? "the zone has no such key" : w.text);
		zone_done(z);
		batch_free(b);
		return;
	}
	while (b->n < b->m->data_n && spent < SLICE_NS) {
		sign_next(b, z, k, now);
		spent = clock_ns() - start;
	}
	sign_ns += spent;
	if (b->n == b->m->data_n) {
		batch_done(b);
	} else {
		list_del(&b->link);
		list_add_tail(&batches, &b->link);
	}
}

static void sign(struct conn *c, uint32_t request, const struct msg_zone_sign *m)
{
	struct batch *b = mem_alloc(sizeof(*b));
	if (!batches.next) {
		list_init(&batches);
		uv_idle_init(loop_get(), &idle);
	}
	b->conn = c;
	conn_hold(c);
	b->kept = conn_keep(c);
	b->request = request;
	b->m = m;
	b->out = pool_alloc(conn_kept_pool(b->kept), (m->data_n + 1) * sizeof(*b->out));
	list_add_tail(&batches, &b->link);
	waiting += m->data_n;
	uv_idle_start(&idle, on_idle);
}

void zone_forget(const struct conn *c)
{
	if (!batches.next)
		return;
	list_each_safe(it, nx, &batches)
	{
		struct batch *b = list_entry(it, struct batch, link);
		if (b->conn == c)
			batch_free(b);
	}
}

/* --- keys
 * ------------------------------------------------------------------------------------------ */

static void reply(struct conn *c, uint32_t request, const struct zone *z)
{
	struct row_zone_key row[ZONE_KEYS_MAX];
	const struct msg_zone_keyset m = {.keys = row, .keys_n = z->n};
	for (unsigned i = 0; i < z->n; i++) {
		const struct zone_key *k = &z->key[i];
		row[i] = (struct row_zone_key){
		    .id = k->id,
		    .dnskey = {(const char *)k->dnskey, k->dnskey_len},
		    .state = k->state,
		    .created_ms = k->created_ms,
		    .since_ms = k->since_ms,
		    .until_ms = k->until_ms,
		};
	}
	conn_reply(c, request, MSG_zone_keyset, &m);
}

static enum ipc_err keys(const struct msg_zone_keys *m, struct zone **z, struct why *w)
{
	enum ipc_err e = zone_find(m->zone, z, w);
	return e == ERR_OK && m->make && !(*z)->n ? zone_key_make(*z, m->make, w) : e;
}

static enum ipc_err key_new(const struct msg_zone_key_new *m, struct zone **z, struct why *w)
{
	enum ipc_err e = zone_find(m->zone, z, w);
	return e == ERR_OK ? zone_key_make(*z, m->algorithm, w) : e;
}

static enum ipc_err key_set(const struct msg_zone_key_set *m, struct zone **z, struct why *w)
{
	enum ipc_err e = zone_find(m->zone, z, w);
	return e == ERR_OK ? zone_key_change(*z, m->id, m->state, m->until_ms, w) : e;
}

static enum ipc_err key_delete(const struct msg_zone_key_delete *m, struct zone **z, struct why *w)
{
	enum ipc_err e = zone_find(m->zone, z, w);
	return e == ERR_OK ? zone_key_remove(*z, m->id, w) : e;
}

bool zone_request(struct conn *c, uint32_t request, enum msg_type t, const void *msg)
{
	struct why w = {0};
	struct zone *z = NULL;
	enum ipc_err e;
	switch (t) {
	case MSG_zone_sign:
		sign(c, request, msg);
		return true;
	case MSG_zone_keys:
		e = keys(msg, &z, &w);
		break;
	case MSG_zone_key_new:
		e = key_new(msg, &z, &w);
		break;
	case MSG_zone_key_set:
		e = key_set(msg, &z, &w);
		break;
	case MSG_zone_key_delete:
		e = key_delete(msg, &z, &w);
		break;
	default:
		return false;
	}
	if (e == ERR_OK)
		reply(c, request, z);
	else
		conn_error(c, request, e, w.text);
	zone_done(z);
	return true;
}

void zone_sign_stats(struct buf *out)
{
	buf_printf(out, "keyd_zone_sign_waiting %llu\n", (unsigned long long)waiting);
	buf_printf(out, "keyd_zone_sign_refused_total %llu\n", (unsigned long long)refused);
	buf_printf(out, "keyd_zone_sign_seconds_sum %.6f\n", (double)sign_ns / 1e9);
	buf_printf(out, "keyd_zone_sign_seconds_count %llu\n", (unsigned long long)signatures);
}
