/* One time that a secondary is asked for: what the store has, then its primaries, one after the
 * other, until one of them is of use. */
#include "dnsd/secondary/refresh_int.h"
#include "libcommon/base/log.h"
#include "libcommon/dns/serial.h"
#include "libcommon/dns/zonechunk.h"
#include "libcommon/ipc/uplink.h"

static void ask_server(struct secondary *s);

/* This one was of no use: the next one. */
static void server_bad(struct secondary *s, const char *why)
{
	str_fmt(s->why, sizeof(s->why), "%s: %s", refresh_server(s)->text, why);
	log_event(LOG_LV_WARN, NULL, "refresh-failed", LS("zone", s->name),
		  LS("from", refresh_server(s)->text), LS("reason", why));
	s->at = (s->at + 1) % s->servers_n;
	if (++s->tried < s->servers_n && !s->gone)
		ask_server(s);
	else
		refresh_bad(s);
}

/* Of no primary's making. */
static void store_bad(struct secondary *s, const char *why)
{
	str_fmt(s->why, sizeof(s->why), "%s", why);
	log_event(LOG_LV_WARN, NULL, "refresh-failed", LS("zone", s->name), LS("from", "store"),
		  LS("reason", why));
	refresh_bad(s);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void transferred(struct secondary *s, const struct xfr_done *d)
{
	char said[200];
	log_event(LOG_LV_INFO, NULL, "zone-transferred", LS("zone", s->name),
		  LS("from", refresh_server(s)->text), LS("by", d->how),
		  LU("serial", d->soa.serial), LU("before", s->have ? s->serial : 0),
		  LU("records", d->records), LU("octets", d->octets), LU("messages", d->messages),
		  LU("left-out", d->foreign), LU("ms", d->ms));
	str_fmt(said, sizeof(said), "serial %u, by %s from %s, %llu records", d->soa.serial, d->how,
		refresh_server(s)->text, (unsigned long long)d->records);
	refresh_good(s, &d->soa, said, true);
}

static void current(struct secondary *s, const struct zone_soa *soa)
{
	char said[200];
	log_event(LOG_LV_DEBUG, NULL, "zone-current", LS("zone", s->name),
		  LS("from", refresh_server(s)->text), LU("serial", soa->serial));
	str_fmt(said, sizeof(said), "serial %u, as %s has it", soa->serial,
		refresh_server(s)->text);
	refresh_good(s, soa, said, false);
}

static void older(struct secondary *s, uint32_t serial)
{
	char why[100];
	str_fmt(why, sizeof(why), "it has serial %u, older than ours, %u: zone refresh --force",
		serial, s->serial);
	server_bad(s, why);
}

static void on_done(void *arg, const struct xfr_done *d)
{
	struct secondary *s = arg;
	refresh_dead_set(refresh_server(s), d->end == XFR_NOT && d->unreached);
	if (d->end == XFR_NEW)
		transferred(s, d);
	else if (d->end == XFR_CURRENT)
		current(s, &d->soa);
	else if (d->end == XFR_OLDER)
		older(s, d->soa.serial);
	else if (d->ours || !peer_up(uplink_store()))
		store_bad(s, d->why);
	else
		server_bad(s, d->why);
}

static void transfer(struct secondary *s, bool poll)
{
	const struct xfr_ask ask = {.zone = s->wire,
				    .server = refresh_server(s),
				    .have = s->have,
				    .serial = s->serial,
				    .records = s->records,
				    .octets = s->octets,
				    .whole = s->whole_now,
				    .poll = poll};
	xfr_in(&ask, on_done, s);
}

static void on_soa(void *arg, enum soa_verdict v, const struct zone_soa *soa, const char *why)
{
	struct secondary *s = arg;
	if (v == SOA_NONE)
		server_bad(s, why);
	else if (v == SOA_TCP)
		transfer(s, true);
	else if (soa->serial == s->serial)
		current(s, soa);
	else if (zone_serial_above(soa->serial, s->serial))
		transfer(s, false);
	else
		older(s, soa->serial);
}

/* By UDP where nobody wants the way to be secret; a zone that is not here is fetched at once. */
static void ask_server(struct secondary *s)
{
	if (!s->asked && refresh_dead(refresh_server(s))) {
		server_bad(s, "it was not reached a moment ago");
		return;
	}
	bool fetch = !s->have || s->whole_now;
	if (fetch || refresh_server(s)->tls)
		transfer(s, !fetch);
	else
		soa_poll(s->wire, refresh_server(s), on_soa, s);
}

static bool soa_in(struct slice chunk, struct zone_soa *out)
{
	struct zone_chunk_in in;
	struct zone_rr rr;
	zone_chunk_open(&in, chunk);
	while (zone_chunk_next(&in, &rr))
		if (rr.type == DNS_SOA) {
			*out = zone_soa_of(rr.rdata, rr.rdlen);
			return true;
		}
	return false;
}

static void on_read(void *arg, enum msg_type type, const void *msg)
{
	struct secondary *s = arg;
	const struct msg_zone_chunks *m = msg;
	struct slice text;
	char why[200];
	if (type == MSG_zone_chunks && m->zone_n == 1 && m->chunks_n > 0) {
		if (m->zone->source != ZONE_SECONDARY) {
			store_bad(s, "the zone is edited here: zone delete it first");
			return;
		}
		s->have = soa_in(m->chunks->data, &s->soa);
		s->serial = m->zone->serial;
		s->records = m->zone->records;
		s->octets = m->zone->size;
	} else if (peer_error(type, msg, &text) == ERR_NOTFOUND) {
		s->have = false;
	} else {
		str_fmt(why, sizeof(why), "the store: %.*s", SLICE_FMT(text));
		store_bad(s, why);
		return;
	}
	ask_server(s);
}

void refresh_ask(struct secondary *s)
{
	const struct msg_zone_read m = {.zone = {(const char *)s->wire, dns_name_len(s->wire)},
					.max = 1};
	s->tried = 0;
	if (!uplink_call(MSG_zone_read, &m, on_read, s))
		store_bad(s, "the store is busy");
}
