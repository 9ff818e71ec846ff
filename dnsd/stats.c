/* Counters for hamletctl. */
#include "dnsd/dnsd.h"

struct stats stats;

static void put(struct buf *out, const char *name, uint64_t value)
{
	buf_printf(out, "dnsd_%s %llu\n", name, (unsigned long long)value);
}

void stats_write(struct buf *out)
{
	static const char *const transport[] = {"udp", "tcp", "tls"};
	static const char *const kind[] = {"axfr", "ixfr", "soa"};
	for (int i = 0; i < 3; i++)
		buf_printf(out, "dnsd_queries_total{transport=\"%s\"} %llu\n", transport[i],
			   (unsigned long long)stats.queries[i]);
	for (int i = 0; i < STATS_RCODES; i++)
		if (stats.rcode[i])
			buf_printf(out, "dnsd_responses_total{rcode=\"%d\"} %llu\n", i,
				   (unsigned long long)stats.rcode[i]);
	put(out, "queries_dropped_total", stats.dropped);
	put(out, "queries_refused_total", stats.refused);
	put(out, "tsig_failed_total", stats.tsig_failed);
	put(out, "updates_total", stats.updates);
	put(out, "updates_refused_total", stats.updates_refused);
	put(out, "responses_truncated_total", stats.truncated);
	put(out, "queries_with_cookie_total", stats.cookies);
	put(out, "rrl_dropped_total", stats.rrl_dropped);
	put(out, "rrl_slipped_total", stats.rrl_slipped);
	put(out, "udp_oversized_total", stats.udp_bad);
	put(out, "udp_send_full_total", stats.udp_send_full);
	put(out, "udp_send_failed_total", stats.udp_send_failed);
	put(out, "connections", stats.connections);
	put(out, "connections_total", stats.connections_total);
	put(out, "connections_displaced_total", stats.displaced);
	put(out, "connections_malformed_total", stats.malformed);
	put(out, "tls_failed_total", stats.tls_failed);
	put(out, "transfers_out", stats.transfers);
	for (int i = 0; i < 3; i++)
		buf_printf(out, "dnsd_transfers_out_total{kind=\"%s\"} %llu\n", kind[i],
			   (unsigned long long)stats.xfr_out[i]);
	put(out, "transfers_out_octets_total", stats.xfr_out_octets);
	put(out, "transfers_out_refused_total", stats.xfr_out_refused);
	put(out, "transfers_out_broken_total", stats.xfr_out_failed);
	put(out, "notify_sent_total", stats.notify_sent);
	put(out, "notify_unanswered_total", stats.notify_failed);
}
