/* A query in, a response out: who may ask, what is answered, how much of it. */
#include "dnsd/catalog/catalog.h"
#include "dnsd/policy/policy.h"
#include "dnsd/recurse/recurse.h"
#include "dnsd/update/update.h"
#include "dnsd/wire/serve.h"
#include "dnsd/wire/shared.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/net/stream.h"

enum {
	KEEPALIVE_UNIT = 100, /* ms, RFC 7828 */
	AHEAD = 64,           /* queries that came together are read so many at a time */
};

static struct answer_conf about;
static struct shared *shared;
static struct rrl *limit;
static uint16_t keepalive;
static bool catalogs; /* there are some */
static struct {
	struct query query[AHEAD];
	unsigned n, next;
} ahead;

static bool is_ours(const uint8_t *name)
{
	return zones_find(load_zones(0), name, dns_name_len(name));
}

void serve_start(int state)
{
	uint64_t units = conf.tcp.idle_timeout / KEEPALIVE_UNIT;
	about = (struct answer_conf){
	    .udp_size = (uint16_t)conf.udp_size,
	    .nsid = slice_of(conf.nsid),
	    .minimal_any = conf.minimal_any,
	    .additional = conf.additional,
	    .version = conf.version,
	    .identity = conf.identity,
	    .cookie_secret = conf.cookies ? cookie_start(state) : NULL,
	    .bad_cookie = conf.bad_cookie,
	};
	catalogs = conf_catalog_at(0) != NULL;
	shared = shared_open(daemon_shared());
	policy_ours(is_ours);
	recurse_start(&about, shared, state);
	keepalive = units > UINT16_MAX ? UINT16_MAX : (uint16_t)units;
	if (conf.rrl.responses_per_second)
		limit = rrl_new((uint32_t)conf.rrl.responses_per_second, (uint32_t)conf.rrl.slip,
				conf.rrl.window, shared);
}

static bool may_ask(const struct sockaddr *client)
{
	return !conf_has(&conf.refuse, client) && (!conf.allow.n || conf_has(&conf.allow, client));
}

static enum rrl_class class_of(const struct answer_info *info)
{
	return info->nxdomain               ? RRL_NXDOMAIN
	       : info->rcode != DNS_NOERROR ? RRL_ERROR
	       : info->referral             ? RRL_REFERRAL
					    : RRL_ANSWER;
}

/* Whether the response may go out, and as what. A client with a cookie of ours is where it says. */
static size_t limited(const struct query_from *from, const struct answer_info *info, uint8_t *out,
		      size_t len)
{
	if (info->cookie_ok || conf_has(&conf.rrl.exempt, from->client))
		return len;
	switch (rrl_count(limit, from->client, class_of(info), clock_mono())) {
	case RRL_PASS:
		return len;
	case RRL_SLIP:
		stats.rrl_slipped++;
		return rrl_slip(out, len);
	default:
		stats.rrl_dropped++;
		return 0;
	}
}

static void count(const struct answer_info *info)
{
	stats.rcode[info->rcode < STATS_RCODES ? info->rcode : STATS_RCODES - 1]++;
	stats.truncated += info->truncated;
	stats.cookies += info->cookie_ok;
	if (info->zone)
		load_count(info->zone->number);
}

/* The zones as the client sees them. */
static const struct zones *zones_for(const struct sockaddr *client)
{
	return load_zones(conf.views.n ? conf_view_of(client) : 0);
}

void serve_ahead(const struct slice *pkt, const struct sockaddr *const *client, unsigned n)
{
	ahead.next = 0;
	ahead.n = n < AHEAD ? n : AHEAD;
	for (unsigned i = 0; i < ahead.n; i++) {
		query_read(&ahead.query[i], (const uint8_t *)pkt[i].p, pkt[i].len);
		if (conf.views.n)
			ahead.query[i].zones = zones_for(client[i]);
	}
	answer_prepare(load_zones(0), ahead.query, ahead.n);
	recurse_ahead(ahead.query, ahead.n);
}

/* The query as it was read ahead, or else read now, into own. */
static struct query *read_query(struct query *own, const uint8_t *pkt, size_t len)
{
	if (ahead.next < ahead.n && ahead.query[ahead.next].pkt == pkt)
		return &ahead.query[ahead.next++];
	query_read(own, pkt, len);
	return own;
}

static struct answer_way way_of(const struct query_from *from)
{
	return (struct answer_way){.client = from->client,
				   .now = (uint32_t)clock_sec(),
				   .stream = from->by != BY_UDP,
				   .encrypted = from->by == BY_TLS,
				   .keepalive = from->by == BY_UDP ? 0 : keepalive};
}

size_t serve_rcode(const struct asked *a, uint16_t rcode, uint8_t *out, size_t cap)
{
	const struct answer_way way = way_of(a->from);
	struct answer_info info;
	struct query q = *a->q;
	q.kind = QUERY_BAD;
	q.rcode = rcode;
	return answer_query(load_zones(0), &about, &q, &way, out, cap, &info);
}

const struct zone *serve_zone(const struct asked *a)
{
	const struct zone *z = zones_find(zones_for(a->from->client), a->q->name, a->q->name_len);
	return z && z->name_len == a->q->name_len ? z : NULL;
}

static void refuse(struct query *q, uint16_t rcode)
{
	q->kind = QUERY_BAD;
	q->rcode = rcode;
}

/* With -v, what helps to find out whose key or clock is wrong. */
static void note_bad_signature(const struct query_from *from, const struct tsig *t)
{
	char ip[INET6_ADDRSTRLEN], key[DNS_NAME_TEXT];
	stats.tsig_failed++;
	if (!log_wants(LOG_LV_DEBUG))
		return;
	stream_ip_text(from->client, ip);
	dns_name_text(key, t->key ? t->key->name : t->owner);
	log_event(LOG_LV_DEBUG, NULL, "signature-refused", LS("peer", ip), LS("key", key),
		  LS("why", t->error == TSIG_BADKEY    ? "no such key"
			    : t->error == TSIG_BADSIG  ? "wrong signature"
			    : t->error == TSIG_BADTIME ? "another time"
						       : "signature too short"));
}

/* What is to have an effect once. */
static bool is_replay(const struct query *q, const struct tsig *t)
{
	bool once = q->kind == QUERY_UPDATE || q->kind == QUERY_NOTIFY;
	return once && !shared_signed(shared, t->key, (unsigned)q->kind, t->time);
}

/* Whether the client and its signature are good; what they are not good for is refused. */
static void admit(const struct query_from *from, struct query *q, struct tsig *t)
{
	if ((conf.refuse.n || conf.allow.n) && !may_ask(from->client)) {
		stats.refused++;
		refuse(q, DNS_REFUSED);
	} else if (q->tsig && q->rcode != DNS_FORMERR) {
		uint16_t rcode = tsig_check(t, q->pkt, q->len, q->tsig, conf_key_find, clock_sec());
		/* RFC 8945 5.5: whose key it is we need not know. */
		if (t->error == TSIG_BADKEY && q->kind == QUERY_UPDATE && forward_wanted(from, q)) {
			memset(t, 0, sizeof(*t));
			return;
		}
		if (rcode == DNS_NOERROR && is_replay(q, t)) {
			t->error = TSIG_BADTIME;
			rcode = DNS_NOTAUTH;
		}
		if (rcode != DNS_NOERROR)
			refuse(q, rcode);
		if (rcode == DNS_NOTAUTH)
			note_bad_signature(from, t);
	}
}

/* A limited response is one whose client may be anybody: by UDP, without a signature. */
static bool to_limit(const struct query_from *from, const struct tsig *t)
{
	return limit && from->by == BY_UDP && (!t->key || t->error);
}

/* What is more than a question. By UDP no more than the client takes. */
static size_t serve_more(asked_fn *fn, const struct query_from *from, const struct query *q,
			 const struct tsig *t, uint8_t *out, size_t cap)
{
	const struct asked a = {.from = from, .q = q, .key = t->key, .tsig = t};
	if (from->by == BY_UDP) {
		size_t most = q->udp_size < about.udp_size ? q->udp_size : about.udp_size;
		cap = most < cap ? most : cap;
	}
	size_t n = fn(&a, out, cap - tsig_room(t));
	if (n < DNS_HEADER)
		return 0;
	const struct answer_info info = {.rcode = out[3] & DNS_RCODE};
	count(&info);
	return to_limit(from, t) ? limited(from, &info, out, n) : n;
}

/* A catalog tells which zones there are: it is for who may transfer it. */
static bool is_hidden(const struct query_from *from, const struct zone *zone, const struct tsig *t)
{
	const struct zone_conf *z = load_zone(zone->number)->conf;
	return z->catalog && !conf_xfr_may(&z->xfr, &conf.xfr, from->client,
					   t->error ? NULL : t->key, from->by == BY_TLS);
}

/* A name of none of our zones; for strangers, also all names at an address of the cache alone. */
static bool is_others(const struct query_from *from, const struct query *q, const struct zones *z,
		      bool recursion)
{
	if (from->serves == SERVES_CONTENT || q->kind != QUERY_ASK)
		return false;
	if (from->serves == SERVES_CACHE && !recursion)
		return true;
	return !(q->prepared ? q->zone : zones_find(z, q->name, q->name_len));
}

/* For who may ask for any name the answer does not end where our zones do. */
static bool leads_on(const struct query *q, const struct answer_info *info)
{
	if (q->kind != QUERY_ASK || !(q->flags & DNS_RD) || !info->zone || !info->zone->image)
		return false;
	return info->referral || info->outside ||
	       (q->type == DNS_DS && info->zone->name_len == q->name_len && q->name_len > 1);
}

/* Others get what there is for them from the content half, or nothing. */
static size_t serve_cache(const struct query_from *from, const struct query *q,
			  const struct tsig *t, const struct answer_way *way, bool allowed,
			  uint8_t *out, size_t cap)
{
	const struct recurse_question r = {from, q, way, t, allowed};
	struct answer_info info;
	size_t n = recurse(&r, out, cap, &info);
	if (!n)
		return 0;
	count(&info);
	return !allowed && to_limit(from, t) ? limited(from, &info, out, n) : n;
}

static size_t serve_question(const struct query_from *from, const struct query *q,
			     const struct tsig *t, uint8_t *out, size_t cap)
{
	struct answer_way way = way_of(from);
	struct answer_info info;
	bool recursion = from->serves != SERVES_CONTENT && conf_recursion_for(from->client);
	/* Only for keys of ours: the names of others may leave too little for the response. */
	if (t->key)
		way.reserve = (uint16_t)tsig_room(t);
	const struct zones *z = q->zones ? q->zones : zones_for(from->client);
	if (is_others(from, q, z, recursion))
		return serve_cache(from, q, t, &way, recursion, out, cap);
	size_t n = answer_query(z, &about, q, &way, out, cap, &info);
	if (recursion && leads_on(q, &info))
		return serve_cache(from, q, t, &way, true, out, cap);
	if (catalogs && info.zone && is_hidden(from, info.zone, t)) {
		struct query no = *q;
		refuse(&no, DNS_REFUSED);
		n = answer_query(z, &about, &no, &way, out, cap, &info);
	}
	if (recursion && n)
		out[3] |= DNS_RA;
	count(&info);
	return n && to_limit(from, t) ? limited(from, &info, out, n) : n;
}

static asked_fn *handler(enum query_kind kind)
{
	return kind == QUERY_NOTIFY     ? notify_serve
	       : kind == QUERY_UPDATE   ? update_serve
	       : kind == QUERY_TRANSFER ? transfer_serve
					: NULL;
}

size_t serve(const struct query_from *from, const uint8_t *pkt, size_t len, uint8_t *out,
	     size_t cap)
{
	static struct tsig t; /* zero, between signed queries */
	struct query own, *q = read_query(&own, pkt, len);
	stats.queries[from->by]++;
	if (q->kind == QUERY_DROP) {
		stats.dropped++;
		return 0;
	}
	admit(from, q, &t);
	asked_fn *more = handler(q->kind);
	if (more && from->serves == SERVES_CACHE) { /* there is no zone here */
		refuse(q, DNS_REFUSED);
		more = NULL;
	}
	size_t n =
	    more ? serve_more(more, from, q, &t, out, cap) : serve_question(from, q, &t, out, cap);
	if (!t.key && !t.error)
		return n;
	size_t whole = n ? tsig_sign(&t, out, n, cap, clock_sec()) : 0;
	memset(&t, 0, sizeof(t));
	return whole ? whole : n;
}
