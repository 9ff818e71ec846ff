/* Dynamic update (RFC 2136): read, allowed, handed to the store, answered when that has committed.
 */
#include "dnsd/update/update.h"
#include <gnutls/crypto.h>
#include <stdlib.h>
#include "dnsd/wire/later.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/rdata.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/stream.h"

enum {
	RESPONSE_MAX = 1232, /* octets of one: a header, the zone's name, EDNS */
	ONCE_MAC = 10, /* octets of a signature: what every algorithm has (RFC 8945 5.2.2.1) */
	ONCE = 32,
	TELL_MS = 10000, /* strangers are told of in the log no more often than that */
};

struct pending { /* an update that the store has */
	struct later *later;
	struct tsig tsig;
	char client[INET6_ADDRSTRLEN];
	char zone[DNS_NAME_TEXT];
	size_t len; /* of the response, which lacks its rcode */
	uint8_t response[RESPONSE_MAX + TSIG_ROOM];
};

static const char *key_text(char out[DNS_NAME_TEXT], const struct tsig_key *key)
{
	out[0] = 0;
	if (key)
		dns_name_text(out, key->name);
	return out;
}

/* --- who may ---------------------------------------------------------------------------------- */

struct refusal {
	const char *why;
	char name[DNS_NAME_TEXT], type[DNS_TYPE_TEXT]; /* of what may not be changed */
};

/* What anybody can bring about by a packet is not written down for each. */
static void tell_refused(const struct asked *a, const struct served *s, const struct refusal *r)
{
	static uint64_t told;
	char client[INET6_ADDRSTRLEN], key[DNS_NAME_TEXT];
	stats.updates_refused++;
	if (told && clock_mono() - told < TELL_MS && !a->key)
		return;
	told = clock_mono();
	stream_ip_text(a->from->client, client);
	log_event(LOG_LV_INFO, NULL, "update-refused", LS("zone", s->name), LS("client", client),
		  LS("key", key_text(key, a->key)), LS("reason", r->why), LS("name", r->name),
		  LS("type", r->type), LS("file", s->file ? s->file : ""));
}

static bool allowed(const struct asked *a, const struct served *s, const struct update *u,
		    struct refusal *r)
{
	const struct conf_list *updates = &s->conf->updates;
	const struct update_who who = {a->from->client, a->key};
	if (s->file)
		r->why = "the zone is edited in its file";
	else if (!conf_update_known(updates, &who))
		r->why = "nothing is allowed to this client";
	for (uint32_t i = 0; i < u->ops_n && !r->why; i++) {
		const struct row_zone_op *op = &u->ops[i];
		const uint8_t *name = (const uint8_t *)op->owner.p;
		uint16_t type = op->kind == ZONE_DELETE_NAME ? DNS_ANY : (uint16_t)op->type;
		if (conf_update_may(updates, &who, s->wire, name, type))
			continue;
		r->why = "not its name or type";
		dns_name_text(r->name, name);
		dns_type_text(type, r->type);
	}
	return !r->why;
}

/* --- the store's answer ----------------------------------------------------------------------- */

static void answer(struct pending *p, uint16_t rcode)
{
	p->response[3] = (uint8_t)((p->response[3] & ~DNS_RCODE) | rcode);
	stats.rcode[rcode]++;
	size_t n = tsig_sign(&p->tsig, p->response, p->len, sizeof(p->response), clock_sec());
	later_reply(&p->later, p->response, n);
	free(p);
}

static void on_updated(struct pending *p, const struct msg_zone_updated *m)
{
	char key[DNS_NAME_TEXT];
	uint16_t rcode = m->rcode <= DNS_NOTZONE ? (uint16_t)m->rcode : DNS_SERVFAIL;
	stats.updates += rcode == DNS_NOERROR;
	if (m->serial != m->before)
		log_event(LOG_LV_INFO, NULL, "update", LS("zone", p->zone), LS("client", p->client),
			  LS("key", key_text(key, p->tsig.key)), LU("serial", m->serial),
			  LU("deleted", m->deleted), LU("added", m->added));
	answer(p, rcode);
}

static uint16_t rcode_of(enum ipc_err e)
{
	switch (e) {
	case ERR_BAD: /* the zone would not keep to its rules */
	case ERR_LIMIT:
		return DNS_REFUSED;
	case ERR_NOTFOUND: /* it went meanwhile, or another server is its primary */
	case ERR_DENIED:
		return DNS_NOTAUTH;
	default:
		return DNS_SERVFAIL;
	}
}

static void on_reply(void *arg, enum msg_type type, const void *msg)
{
	struct pending *p = arg;
	struct slice text = {0};
	if (type == MSG_zone_updated) {
		on_updated(p, msg);
		return;
	}
	enum ipc_err e = peer_error(type, msg, &text);
	if (e == ERR_INUSE) { /* the first one is answered */
		later_reply(&p->later, NULL, 0);
		free(p);
		return;
	}
	char key[DNS_NAME_TEXT], why[200];
	snprintf(why, sizeof(why), "%.*s", SLICE_FMT(text));
	stats.updates_refused += rcode_of(e) == DNS_REFUSED;
	log_event(LOG_LV_INFO, NULL, "update-failed", LS("zone", p->zone), LS("client", p->client),
		  LS("key", key_text(key, p->tsig.key)), LS("error", ipc_err_name(e)),
		  LS("reason", why));
	answer(p, rcode_of(e));
}

/* --- the question to it ----------------------------------------------------------------------- */

/* What makes a request the same one that came before. Of a signed one that is its signature: who
 * replays it can change its id, and send it from elsewhere. */
static void once_of(const struct asked *a, uint8_t out[ONCE])
{
	gnutls_hash_hd_t h;
	if (gnutls_hash_init(&h, GNUTLS_DIG_SHA256) != 0)
		abort();
	if (a->key) {
		gnutls_hash(h, a->key->name, a->key->name_len);
		gnutls_hash(h, a->tsig->mac, ONCE_MAC);
	} else {
		const struct sockaddr *sa = a->from->client;
		gnutls_hash(h, sa,
			    sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						      : sizeof(struct sockaddr_in));
		gnutls_hash(h, a->q->pkt, a->q->len);
	}
	gnutls_hash_deinit(h, out);
}

static struct pending *pending_new(const struct asked *a, const struct served *s)
{
	struct later *later = later_keep(a->from);
	if (!later)
		return NULL;
	struct pending *p = mem_alloc(sizeof(*p));
	p->later = later;
	p->tsig = *a->tsig;
	stream_ip_text(a->from->client, p->client);
	snprintf(p->zone, sizeof(p->zone), "%s", s->name);
	p->len = serve_rcode(a, DNS_NOERROR, p->response, RESPONSE_MAX);
	return p;
}

static size_t hand_over(const struct asked *a, const struct served *s, const struct update *u,
			uint8_t *out, size_t cap)
{
	uint8_t once[ONCE];
	struct pending *p = pending_new(a, s);
	if (!p)
		return serve_rcode(a, DNS_SERVFAIL, out, cap);
	once_of(a, once);
	const struct msg_zone_update m = {.zone = {(const char *)s->wire, dns_name_len(s->wire)},
					  .once = {(const char *)once, sizeof(once)},
					  .needs = u->needs,
					  .needs_n = u->needs_n,
					  .ops = u->ops,
					  .ops_n = u->ops_n};
	if (!uplink_store() || !uplink_call(MSG_zone_update, &m, on_reply, p))
		answer(p, DNS_SERVFAIL);
	return 0;
}

size_t update_serve(const struct asked *a, uint8_t *out, size_t cap)
{
	const struct served *s = load_seen(a->from->client, a->q->name);
	struct refusal r = {0};
	struct update u;
	size_t n;
	if (s && !s->left && s->conf->primaries_n && s->conf->forward) {
		if (a->q->tsig)
			return forward_serve(a, s, out, cap);
		r.why = "it is not signed";
		tell_refused(a, s, &r);
		return serve_rcode(a, DNS_REFUSED, out, cap);
	}
	if (!s || s->left || s->conf->primaries_n)
		return serve_rcode(a, DNS_NOTAUTH, out, cap);
	struct pool *pool = pool_new(16 << 10);
	uint16_t rcode = update_read(pool, a->q, &u);
	if (rcode == DNS_NOERROR && !allowed(a, s, &u, &r)) {
		tell_refused(a, s, &r);
		rcode = DNS_REFUSED;
	}
	if (rcode == DNS_NOERROR)
		n = hand_over(a, s, &u, out, cap);
	else
		n = serve_rcode(a, rcode, out, cap);
	pool_free(&pool);
	return n;
}
