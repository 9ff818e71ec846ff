/* Who may ask, what is answered at once, what is counted and logged. */
#include "dnsd/recurse/recurse_int.h"
#include "dnsd/upstream/forward.h"
#include "dnsd/upstream/upstream.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/rdata.h"
#include "libcommon/net/stream.h"

enum {
	ADDRESS4 = 4, /* octets: clients are told apart by addresses, of IPv6 by /64 */
	ADDRESS6 = 8,
	WINDOW_MS = 1000,
	LIMIT_SLIP = 2,
	PROOFS_SHARE = 16, /* so much of the size besides for proofs of other names (RFC 8198) */
};

struct recurse_self recurse_self;
struct recurse_stats recurse_stats;
static struct rrl *limit;

static uint32_t seconds(uint64_t ms)
{
	return (uint32_t)(ms / 1000);
}

static void start_resolver(const struct recursion_conf *r)
{
	struct upstream_conf uc = upstream_defaults;
	uc.parallel = (uint32_t)r->outgoing;
	upstream_start(&uc);
	resolve_families(r->ipv4, r->ipv6);
	resolve_own(&recurse_own);
	resolve_start(recurse_self.cache);
	resolve_aggressive(r->size / PROOFS_SHARE);
	recurse_anchors_start();
	recurse_load();
	policy_start(recurse_self.cache);
}

void recurse_start(const struct answer_conf *about, struct shared *shared, int state)
{
	const struct recursion_conf *r = &conf.recursion;
	const struct cache_conf cc = {.octets = r->size,
				      .ttl_least = seconds(r->ttl_least),
				      .ttl_most = seconds(r->ttl_most),
				      .negative_most = seconds(r->negative_ttl),
				      .failure_ttl = seconds(r->failure_ttl),
				      .stale = seconds(r->serve_stale),
				      .prefetch = (uint8_t)r->prefetch};
	if (!conf_recurses())
		return;
	recurse_self =
	    (struct recurse_self){.cache = cache_new(&cc), .about = about, .state = state};
	if (!recurse_self.cache) {
		log_event(LOG_LV_ERROR, NULL, "no-cache", LU("octets", r->size));
		return;
	}
	if (r->queries_per_second) {
		limit = rrl_new((uint32_t)r->queries_per_second, LIMIT_SLIP, WINDOW_MS, shared);
		rrl_by(limit, ADDRESS4, ADDRESS6);
	}
	start_resolver(r);
}

void recurse_stop(void)
{
	if (!recurse_self.cache)
		return;
	recurse_anchors_stop();
	recurse_forget();
	policy_start(NULL);
	resolve_stop();
	upstream_stop();
	recurse_save();
	cache_free(&recurse_self.cache);
	rrl_free(&limit);
}

struct resolve_ask recurse_ask_of(const struct query *q, const struct policy_query *p)
{
	return (struct resolve_ask){.name = p->ask,
				    .type = p->ask_type,
				    .space = p->view ? forward_space(p->view) : 0,
				    .checking_disabled = (q->flags & DNS_CD) != 0};
}

size_t recurse_policy(enum policy_verdict v, const struct query *q, const struct answer_way *way,
		      const struct resolved *found, bool udp, uint8_t *out, size_t cap,
		      struct answer_info *info)
{
	static const struct resolved nothing = {.ede = RESOLVE_NO_EDE, .security = RRSET_INSECURE};
	*info = (struct answer_info){0};
	if (v == POLICY_DROP)
		return 0;
	bool tcp = v == POLICY_TCP;
	size_t n =
	    recurse_reply(recurse_self.about, q, way, tcp ? &nothing : found, out, cap, info);
	return tcp && udp ? rrl_slip(out, n) : n;
}

static void policy_query_of(const struct recurse_question *r, struct policy_query *p)
{
	p->client = r->from->client;
	p->name = p->ask = r->q->name;
	p->type = p->ask_type = r->q->type;
	p->view = conf.views.n ? conf_view_of(r->from->client) : 0;
	p->stream = r->from->by != BY_UDP;
	p->dnssec_ok = r->q->dnssec_ok;
	p->checking_disabled = (r->q->flags & DNS_CD) != 0;
	p->stage = POLICY_BEGUN;
}

bool recurse_stale(const struct resolve_ask *ask, const struct resolved *failed,
		   struct resolved *out)
{
	return conf.recursion.serve_stale && (!failed || failed->security != RRSET_BOGUS) &&
	       resolve_cached(ask, clock_sec(), true, out) && out->stale;
}

static void write_log(const struct sockaddr *client, const struct query *q, enum recurse_how how,
		      uint64_t ms, const struct answer_info *info, const struct resolved *found)
{
	static const char *const text[] = {"cache",   "stale",   "resolved",
					   "refused", "limited", "policy"};
	char ip[INET6_ADDRSTRLEN], name[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
	stream_ip_text(client, ip);
	dns_name_text(name, q->name);
	log_event(
	    LOG_LV_INFO, NULL, "query", LS("peer", ip), LS("name", name),
	    LS("type", dns_type_text(q->type, type)), LS("how", text[how]),
	    LU("rcode", info->rcode), LU("ms", ms),
	    LS("secure", found && found->security == RRSET_SECURE ? "yes" : NULL),
	    LS("why", found && found->why[0] && found->rcode == DNS_SERVFAIL ? found->why : NULL));
}

void recurse_note(const struct sockaddr *client, const struct query *q, enum recurse_how how,
		  uint64_t ms, const struct answer_info *info, const struct resolved *found)
{
	recurse_stats.how[how]++;
	if (found) {
		recurse_stats.secure += found->security == RRSET_SECURE;
		recurse_stats.bogus += found->security == RRSET_BOGUS;
		recurse_stats.failed += found->rcode == DNS_SERVFAIL;
	}
	if (conf.recursion.query_log)
		write_log(client, q, how, ms, info, found);
}

static size_t refuse(const struct recurse_question *r, uint16_t rcode, uint16_t ede,
		     const char *why, uint8_t *out, size_t cap, struct answer_info *info)
{
	size_t n =
	    recurse_refuse(recurse_self.about, r->q, r->way, rcode, ede, why, out, cap, info);
	recurse_note(r->from->client, r->q, HOW_REFUSED, 0, info, NULL);
	return n;
}

/* The client has asked for too much: by UDP some get a response without an answer, so that those
 * who are what they say come by TCP. */
static bool over_limit(const struct recurse_question *r, uint8_t *out, size_t cap, size_t *n,
		       struct answer_info *info)
{
	if (!limit || conf_recursion_unlimited(r->from->client))
		return false;
	enum rrl_verdict v = rrl_count(limit, r->from->client, RRL_CLIENT, clock_mono());
	if (v == RRL_PASS)
		return false;
	*n = 0;
	if (v == RRL_SLIP || r->from->by != BY_UDP) {
		*n = recurse_refuse(recurse_self.about, r->q, r->way, DNS_REFUSED,
				    RECURSE_PROHIBITED, "too many questions", out, cap, info);
		if (r->from->by == BY_UDP)
			*n = rrl_slip(out, *n);
	}
	recurse_note(r->from->client, r->q, HOW_LIMITED, 0, info, NULL);
	return true;
}

static void by_policy(const struct recurse_question *r, enum policy_verdict v,
		      const struct resolved *found, uint8_t *out, size_t cap, size_t *n,
		      struct answer_info *info)
{
	*n = recurse_policy(v, r->q, r->way, found, r->from->by == BY_UDP, out, cap, info);
	recurse_note(r->from->client, r->q, HOW_POLICY, 0, info, v == POLICY_ANSWER ? found : NULL);
}

/* False: it has to be found out. */
static bool from_cache(const struct recurse_question *r, struct policy_query *p, uint8_t *out,
		       size_t cap, size_t *n, struct answer_info *info)
{
	static struct resolved found, old, made;
	enum policy_verdict v = policy_is_on() ? policy_before(p, &made) : POLICY_RESOLVE;
	const struct resolved *use = &made;
	struct resolve_ask ask = {0};
	while (v == POLICY_RESOLVE) {
		use = &found;
		ask = recurse_ask_of(r->q, p);
		if (!resolve_cached(&ask, r->way->now, false, &found))
			return false;
		if (found.rcode == DNS_SERVFAIL && recurse_stale(&ask, &found, &old))
			use = &old;
		v = policy_is_on() ? policy_after(p, use, &made) : POLICY_AS_IS;
		if (found.prefetch)
			recurse_renew(&ask);
	}
	if (v != POLICY_AS_IS) {
		by_policy(r, v, &made, out, cap, n, info);
		return true;
	}
	*n = recurse_reply(recurse_self.about, r->q, r->way, use, out, cap, info);
	recurse_note(r->from->client, r->q, use->stale ? HOW_STALE : HOW_CACHE, 0, info, use);
	return true;
}

void recurse_ahead(const struct query *q, unsigned n)
{
	struct cache_ahead a[CACHE_AHEAD];
	unsigned k = 0;
	if (!recurse_self.cache)
		return;
	for (unsigned i = 0; i < n && k < CACHE_AHEAD; i++)
		if (q[i].kind == QUERY_ASK && !q[i].zone)
			a[k++] = (struct cache_ahead){q[i].name, q[i].type};
	cache_ahead(recurse_self.cache, 0, a, k);
}

size_t recurse(const struct recurse_question *r, uint8_t *out, size_t cap, struct answer_info *info)
{
	const char *why;
	struct policy_query p;
	size_t n;
	*info = (struct answer_info){0};
	if (!r->allowed)
		return refuse(r, DNS_REFUSED, RECURSE_PROHIBITED, "no recursion for this client",
			      out, cap, info);
	if (!recurse_self.cache)
		return refuse(r, DNS_SERVFAIL, RECURSE_OTHER, "there is no cache", out, cap, info);
	policy_query_of(r, &p);
	if (over_limit(r, out, cap, &n, info) || from_cache(r, &p, out, cap, &n, info))
		return n;
	if (!(r->q->flags & DNS_RD))
		return refuse(r, DNS_REFUSED, RECURSE_NOT_AUTHORITATIVE, "not in the cache", out,
			      cap, info);
	if (recurse_wait(r, &p, &why))
		return 0;
	recurse_stats.too_many++;
	return refuse(r, DNS_SERVFAIL, RECURSE_OTHER, why, out, cap, info);
}
