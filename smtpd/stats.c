/* Counters for hamletctl and the log lines of messages. */
#include "smtpd/smtpd.h"
#include "libcommon/base/log.h"
#include "smtpd/relay.h"

struct stats stats;

/* How long the store took, by upper bounds in milliseconds. */
static const unsigned BOUND_MS[] = {1, 2, 5, 10, 25, 50, 100, 250, 1000, 10000};
enum { BOUNDS = sizeof(BOUND_MS) / sizeof(BOUND_MS[0]) };
static uint64_t within[BOUNDS], delivers, deliver_ns;

void stats_deliver(uint64_t ns)
{
	delivers++;
	deliver_ns += ns;
	for (int i = BOUNDS - 1; i >= 0 && ns <= BOUND_MS[i] * 1000000ull; i--)
		within[i]++;
}

static void put(struct buf *out, const char *name, uint64_t value)
{
	buf_printf(out, "smtpd_%s %llu\n", name, (unsigned long long)value);
}

void stats_write(struct buf *out)
{
	put(out, "sessions", stats.sessions);
	put(out, "connections_total", stats.connections);
	put(out, "tls_total", stats.tls);
	put(out, "tls_failed_total", stats.tls_failed);
	put(out, "messages_accepted_total", stats.accepted);
	put(out, "messages_accepted_bytes_total", stats.accepted_bytes);
	put(out, "recipients_accepted_total", stats.recipients);
	put(out, "messages_refused_total", stats.refused);
	put(out, "recipients_refused_total", stats.refused_rcpts);
	put(out, "notices_total", stats.notices);
	put(out, "message_memory_bytes", data_held());
	put(out, "logins_total", stats.auth_ok);
	put(out, "logins_failed_total", stats.auth_failed);
	put(out, "store_retries_total", stats.retries);
	for (int i = 0; i < BOUNDS; i++)
		buf_printf(out, "smtpd_deliver_seconds_bucket{le=\"%g\"} %llu\n",
			   BOUND_MS[i] / 1000.0, (unsigned long long)within[i]);
	buf_printf(out, "smtpd_deliver_seconds_bucket{le=\"+Inf\"} %llu\n",
		   (unsigned long long)delivers);
	buf_printf(out, "smtpd_deliver_seconds_sum %.6f\n", (double)deliver_ns / 1e9);
	put(out, "deliver_seconds_count", delivers);
	relay_stats_write(out);
}

enum { NAMES_MAX = 1024 };

/* All recipients that fit; stored logs each of them. */
static struct slice join(const struct txn *t, char out[NAMES_MAX])
{
	size_t len = 0;
	for (uint32_t i = 0; i < t->rcpt_n; i++) {
		struct slice to = t->rcpt[i].given;
		if (len + to.len + 1 > NAMES_MAX)
			break;
		if (i)
			out[len++] = ',';
		memcpy(out + len, to.p, to.len);
		len += to.len;
	}
	return (struct slice){out, len};
}

void log_refused(const struct session *s, const char *what, struct slice to, const struct reply *r)
{
	const struct txn *t = s->txn;
	char all[NAMES_MAX];
	if (strcmp(what, "rcpt") == 0)
		stats.refused_rcpts++;
	else
		stats.refused++;
	if (!to.p && t)
		to = join(t, all);
	log_event(LOG_LV_INFO, t ? t->id : s->sid, "refused", LS("what", what),
		  LS("session", t ? s->sid : NULL), LSL("from", t ? t->sender : (struct slice){0}),
		  LSL("to", to), LS("peer", s->ip), LS("helo", s->helo), LU("tls", s->tls),
		  LS("auth", s->user ? s->user->address : NULL), LU("code", r->code),
		  LS("reason", r->text));
}

void log_accepted(const struct session *s, unsigned n, uint64_t size)
{
	const struct txn *t = s->txn;
	char all[NAMES_MAX];
	log_event(LOG_LV_INFO, t->id, "accepted", LS("session", s->sid), LSL("from", t->sender),
		  LSL("to", join(t, all)), LU("recipients", n), LU("size", size), LS("peer", s->ip),
		  LS("service", s->service->name), LU("tls", s->tls),
		  LS("auth", s->user ? s->user->address : NULL));
}
