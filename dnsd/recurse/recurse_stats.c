/* The cache server's counters. */
#include "dnsd/recurse/recurse_int.h"
#include "dnsd/upstream/upstream.h"

static void put(struct buf *out, const char *name, uint64_t value)
{
	buf_printf(out, "dnsd_%s %llu\n", name, (unsigned long long)value);
}

static void write_cache(struct buf *out)
{
	struct cache_stats s;
	cache_stats(recurse_self.cache, &s);
	put(out, "cache_hits_total", s.hits);
	put(out, "cache_misses_total", s.misses);
	put(out, "cache_stale_total", s.stale);
	put(out, "cache_puts_total", s.puts);
	put(out, "cache_evicted_total", s.evicted);
	put(out, "cache_expired_total", s.expired);
	put(out, "cache_entries", s.entries);
	put(out, "cache_octets", s.octets);
	put(out, "cache_octets_limit", conf.recursion.size);
}

static void write_policy(struct buf *out)
{
	const struct policy_stats *s = &policy_stats;
	put(out, "policy_local_total", s->local);
	put(out, "policy_blocked_total", s->blocked);
	put(out, "policy_passed_total", s->passed);
	put(out, "policy_dropped_total", s->dropped);
	put(out, "policy_tcp_total", s->tcp);
	put(out, "policy_dns64_total", s->dns64);
	put(out, "policy_rebinding_total", s->rebinding);
}

static void write_upstream(struct buf *out)
{
	const struct upstream_stats *s = &upstream_stats;
	put(out, "upstream_sent_total", s->sent);
	put(out, "upstream_tcp_total", s->tcp);
	put(out, "upstream_tls_total", s->tls);
	put(out, "upstream_answers_total", s->answers);
	put(out, "upstream_timeouts_total", s->timeouts);
	put(out, "upstream_near_misses_total", s->near_misses);
	put(out, "upstream_case_wrong_total", s->case_wrong);
	put(out, "upstream_without_edns_total", s->no_edns);
	put(out, "upstream_truncated_total", s->truncated);
	put(out, "upstream_full_total", s->full);
	put(out, "upstream_servers", s->servers);
}

void recurse_stats_write(struct buf *out)
{
	static const char *const how[] = {"cache",   "stale",   "resolved",
					  "refused", "limited", "policy"};
	const struct recurse_stats *s = &recurse_stats;
	if (!recurse_self.cache)
		return;
	for (int i = 0; i < HOW_COUNT; i++)
		buf_printf(out, "dnsd_recursion_answers_total{how=\"%s\"} %llu\n", how[i],
			   (unsigned long long)s->how[i]);
	put(out, "recursion_waiting", s->waiting);
	put(out, "recursion_waited_total", s->waited);
	put(out, "recursion_late_total", s->late);
	put(out, "recursion_too_many_total", s->too_many);
	put(out, "recursion_prefetched_total", s->prefetched);
	put(out, "recursion_failed_total", s->failed);
	put(out, "recursion_bogus_total", s->bogus);
	put(out, "recursion_secure_total", s->secure);
	write_cache(out);
	write_upstream(out);
	write_policy(out);
}
