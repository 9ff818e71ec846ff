/* Counters for hamletctl. */
#include "pop3d/pop3d.h"

struct stats stats;

static void put(struct buf *out, const char *name, uint64_t value)
{
	buf_printf(out, "pop3d_%s %llu\n", name, (unsigned long long)value);
}

void stats_write(struct buf *out)
{
	put(out, "sessions", stats.sessions);
	put(out, "connections_total", stats.connections);
	put(out, "tls_total", stats.tls);
	put(out, "tls_failed_total", stats.tls_failed);
	put(out, "logins_total", stats.logins);
	put(out, "logins_failed_total", stats.logins_failed);
	put(out, "logins_in_the_clear_total", stats.refused_clear);
	put(out, "logins_delayed_total", stats.delayed);
	put(out, "mailbox_in_use_total", stats.in_use);
	put(out, "messages_retrieved_total", stats.retrieved);
	put(out, "messages_retrieved_bytes_total", stats.retrieved_bytes);
	put(out, "messages_read_ahead_total", stats.read_ahead);
	put(out, "messages_deleted_total", stats.deleted);
	put(out, "store_retries_total", stats.store_retries);
}
