/* Counters of the sending half. */
#include "smtpd/relay_work.h"

/* How long the mail of a recipient was in the queue, by upper bounds in seconds. */
static const uint32_t BOUND_S[] = {1, 2, 5, 15, 60, 300, 1800, 7200, 86400, 432000};
enum { BOUNDS = sizeof(BOUND_S) / sizeof(BOUND_S[0]) };
static uint64_t within[BOUNDS], delivered, queued_ms;

void relay_stats_queued(uint64_t ms)
{
	delivered++;
	queued_ms += ms;
	for (int i = BOUNDS - 1; i >= 0 && ms <= BOUND_S[i] * UINT64_C(1000); i--)
		within[i]++;
}

static void put(struct buf *out, const char *name, uint64_t value)
{
	buf_printf(out, "smtpd_relay_%s %llu\n", name, (unsigned long long)value);
}

static void put_destinations(struct buf *out)
{
	struct dest_stats d;
	dest_stats(&d);
	put(out, "destinations", d.destinations);
	put(out, "connections", d.connections);
	put(out, "connects_total", d.connects);
	put(out, "connect_failures_total", d.connect_failures);
	put(out, "tls_total", d.tls);
	put(out, "transactions_total", d.transactions);
	put(out, "reused_total", d.reused);
	put(out, "delivered_total", d.delivered);
	put(out, "deferred_total", d.deferred);
	put(out, "failed_total", d.failed);
}

static void put_dns(struct buf *out)
{
	struct stub_stats s;
	relay_dns_stats(&s);
	put(out, "dns_asked_total", s.asked);
	put(out, "dns_cached_total", s.cached);
	put(out, "dns_merged_total", s.merged);
	put(out, "dns_sent_total", s.sent);
	put(out, "dns_tcp_total", s.tcp);
	put(out, "dns_timeouts_total", s.timeouts);
	put(out, "dns_ignored_total", s.ignored);
	put(out, "dns_cache_entries", s.entries);
}

void relay_stats_write(struct buf *out)
{
	put_destinations(out);
	put_dns(out);
	put(out, "leased", relay_stats.held);
	put(out, "content_bytes", relay_stats.memory);
	put(out, "claims_total", relay_stats.claims);
	put(out, "leased_total", relay_stats.claimed);
	put(out, "returned_total", relay_stats.returned);
	put(out, "results_repeated_total", relay_stats.repeated);
	put(out, "leases_lost_total", relay_stats.lost);
	for (int i = 0; i < BOUNDS; i++)
		buf_printf(out, "smtpd_relay_queue_seconds_bucket{le=\"%u\"} %llu\n", BOUND_S[i],
			   (unsigned long long)within[i]);
	buf_printf(out, "smtpd_relay_queue_seconds_bucket{le=\"+Inf\"} %llu\n",
		   (unsigned long long)delivered);
	buf_printf(out, "smtpd_relay_queue_seconds_sum %.3f\n", (double)queued_ms / 1000);
	put(out, "queue_seconds_count", delivered);
}
