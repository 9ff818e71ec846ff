/* A query in, a response out: who may ask, what is answered, how much of it. */
#include "dnsd/answer.h"
#include "dnsd/dnsd.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"

enum {
	KEEPALIVE_UNIT = 100, /* ms, RFC 7828 */
	AHEAD = 64,           /* queries that came together are read so many at a time */
};

static struct answer_conf about;
static struct rrl *limit;
static uint16_t keepalive;
static struct {
	struct query query[AHEAD];
	unsigned n, next;
} ahead;

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
	};
	keepalive = units > UINT16_MAX ? UINT16_MAX : (uint16_t)units;
	if (conf.rrl.responses_per_second)
		limit = rrl_new((uint32_t)conf.rrl.responses_per_second, (uint32_t)conf.rrl.slip,
				conf.rrl.window);
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

void serve_ahead(const struct slice *pkt, unsigned n)
{
	ahead.next = 0;
	ahead.n = n < AHEAD ? n : AHEAD;
	for (unsigned i = 0; i < ahead.n; i++)
		query_read(&ahead.query[i], (const uint8_t *)pkt[i].p, pkt[i].len);
	answer_prepare(load_zones(), ahead.query, ahead.n);
}

/* The query as it was read ahead, or else read now, into own. */
static struct query *read_query(struct query *own, const uint8_t *pkt, size_t len)
{
	if (ahead.next < ahead.n && ahead.query[ahead.next].pkt == pkt)
		return &ahead.query[ahead.next++];
	query_read(own, pkt, len);
	return own;
}

size_t serve(const struct query_from *from, const uint8_t *pkt, size_t len, uint8_t *out,
	     size_t cap)
{
	struct query own, *q = read_query(&own, pkt, len);
	struct answer_info info;
	stats.queries[from->by]++;
	if (q->kind == QUERY_DROP) {
		stats.dropped++;
		return 0;
	}
	if ((conf.refuse.n || conf.allow.n) && !may_ask(from->client)) {
		stats.refused++;
		q->kind = QUERY_BAD;
		q->rcode = DNS_REFUSED;
	}
	const struct answer_way way = {.client = from->client,
				       .now = (uint32_t)clock_sec(),
				       .stream = from->by != BY_UDP,
				       .encrypted = from->by == BY_TLS,
				       .keepalive = from->by == BY_UDP ? 0 : keepalive};
	size_t n = answer_query(load_zones(), &about, q, &way, out, cap, &info);
	count(&info);
	return n && limit && from->by == BY_UDP ? limited(from, &info, out, n) : n;
}
