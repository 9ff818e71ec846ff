/* What hamletctl and the statistics are told of secondaries, and `zone transfer`. */
#include "dnsd/secondary/refresh_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"

bool refresh_command(struct control_call *call)
{
	uint8_t wire[DNS_NAME_MAX];
	const char *const *w = call->words.w;
	size_t n = call->words.n;
	if (n < 2 || strcmp(w[0], "zone") != 0 || strcmp(w[1], "transfer") != 0)
		return false;
	bool whole = n == 4 && strcmp(w[3], "force") == 0;
	if (n != 3 && !whole) {
		control_done(call, "usage: zone transfer NAME [force]");
		return true;
	}
	struct secondary *s = NULL;
	if (dns_name_from_text(slice_of(w[2]), wire)) {
		dns_name_lower(wire);
		s = refresh_find(wire);
	}
	if (!s) {
		control_done(call, "no such zone, or it has no primary");
		return true;
	}
	struct waiter *waiter = mem_alloc(sizeof(*waiter));
	waiter->call = call;
	list_add_tail(&s->waiters, &waiter->link);
	s->whole |= whole;
	refresh_want(s);
	return true;
}

static void put_time(struct buf *out, const char *key, uint64_t ms)
{
	char text[32] = "";
	if (ms)
		clock_iso(text, sizeof(text), ms);
	buf_printf(out, " %s=%s", key, text);
}

void refresh_list(const struct served *z, struct buf *out)
{
	struct secondary *s = refresh_find(z->wire);
	uint64_t fresh = s ? refresh_file_time(s) : 0;
	if (fresh > (s ? s->fresh_ms : 0)) /* by another process */
		s->fresh_ms = fresh;
	buf_printf(out, " \"primary=%s\"", s ? refresh_server(s)->text : "");
	put_time(out, "refreshed", fresh);
	put_time(out, "expires", s && s->have ? refresh_expires(s) : 0);
}

void refresh_stats(struct buf *out)
{
	const struct refresh_counts c = refresh_count();
	buf_printf(out,
		   "dnsd_secondaries %zu\ndnsd_secondaries_expired %u\n"
		   "dnsd_transfers_in_total %llu\ndnsd_refresh_failures_total %llu\n",
		   c.zones, c.expired, (unsigned long long)c.transfers,
		   (unsigned long long)c.failures);
}
