/* A transfer: a connection to a primary, by TCP or TLS (RFC 9103), on which one question is asked
 * after the other: SOA where that is wanted, IXFR where there is a serial. When IXFR comes to
 * nothing, AXFR is asked for by a connection of its own: what is left of the other answer is not
 * to be waited for. Records are believed, and put into the store, after the last message and its
 * signature. */
#include <stdlib.h>
#include <gnutls/gnutls.h>
#include "dnsd/secondary/secondary.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/serial.h"
#include "libcommon/ipc/msg.h"
#include "libcommon/net/loop.h"
#include "libcommon/net/stream.h"

enum {
	PREFIX = 2,
	SILENT_MS = 30000, /* without any octet from the primary */
	QUERY_MAX = DNS_QUERY_MAX + TSIG_ROOM,
};

struct link { /* a connection */
	struct stream *stream;
	struct xfr_in *x; /* NULL: it is not needed any more */
};

struct xfr_in {
	struct xfr_ask ask;
	struct link *link;
	struct timer limit;
	bool polling;  /* the question is SOA */
	uint16_t type; /* of the next transfer */
	uint16_t id;
	struct tsig tsig;
	struct xfr_read read;
	struct xfr_put *put;
	struct xfr_done done;
	uint64_t began;
	char why[400];
	xfr_done_fn *fn;
	void *arg;
};

static struct tls_ctx *tls;

void xfr_in_init(void)
{
	static const char *const ALPN[] = {"dot", NULL};
	if (conf_has_secondaries(true))
		tls = tls_client_ctx(conf.transfer.tls_ca, ALPN);
}

struct tls_ctx *xfr_in_tls(void)
{
	return tls;
}

/* --- ends ------------------------------------------------------------------------------------- */

static void unlink_stream(struct xfr_in *x)
{
	if (!x->link)
		return;
	x->link->x = NULL;
	stream_close(x->link->stream);
	x->link = NULL;
}

static void finish(struct xfr_in *x, enum xfr_end end)
{
	unlink_stream(x);
	timer_clear(&x->limit);
	tsig_end(&x->tsig);
	xfr_put_free(x->put);
	x->done.end = end;
	x->done.why = x->why;
	x->done.ms = clock_mono() - x->began;
	x->fn(x->arg, &x->done);
	free(x);
}

static void begin(struct xfr_in *x);

/* What went wrong with an answer to IXFR may go well with AXFR. */
static void failed(struct xfr_in *x, const char *why)
{
	if (x->type == XFR_IXFR && x->read.messages) {
		char zone[DNS_NAME_TEXT];
		dns_name_text(zone, x->ask.zone);
		log_event(LOG_LV_INFO, NULL, "transfer-whole", LS("zone", zone),
			  LS("from", x->ask.server->text), LS("instead-of", "IXFR"),
			  LS("reason", why));
		x->type = XFR_AXFR;
		begin(x);
		return;
	}
	str_fmt(x->why, sizeof(x->why), "%s", why);
	finish(x, XFR_NOT);
}

/* --- the store -------------------------------------------------------------------------------- */

static void on_stored(void *arg, const struct msg_zone_changed *changed, const char *why, bool ours)
{
	struct xfr_in *x = arg;
	x->done.ours = ours;
	if (ours)
		x->type = XFR_AXFR; /* no second try */
	if (changed)
		finish(x, XFR_NEW);
	else
		failed(x, why);
}

/* Changes may be few and the zone too large with them. How many records it has is known; of its
 * octets a whole transfer tells. */
static bool grows_too_large(struct xfr_in *x)
{
	char why[100];
	bool records = xfr_put_records(x->put) > conf.transfer.max_records;
	if (!records && xfr_put_octets(x->put) <= conf.transfer.max_octets)
		return false;
	if (records)
		x->type = XFR_AXFR; /* no second try */
	str_fmt(
	    why, sizeof(why), "the zone would be too large: over %llu %s",
	    (unsigned long long)(records ? conf.transfer.max_records : conf.transfer.max_octets),
	    records ? "records" : "octets");
	failed(x, why);
	return true;
}

static void store(struct xfr_in *x, enum xfr_verdict v)
{
	if (v == XFR_STEPS && grows_too_large(x))
		return;
	struct xfr_put *put = x->put;
	x->put = NULL;
	x->done.how = v == XFR_STEPS ? "IXFR" : "AXFR";
	x->done.soa = zone_soa_of(x->read.soa, x->read.soa_len);
	x->done.records = x->read.records;
	x->done.octets = x->read.octets;
	x->done.messages = x->read.messages;
	x->done.foreign = x->read.foreign;
	unlink_stream(x);
	timer_clear(&x->limit);
	xfr_put_commit(put, on_stored, x);
}

/* --- questions -------------------------------------------------------------------------------- */

static void ask(struct xfr_in *x)
{
	uint8_t msg[PREFIX + QUERY_MAX];
	struct dns_out o;
	uint8_t *p = msg + PREFIX;
	size_t n;
	id_random(&x->id, sizeof(x->id));
	tsig_end(&x->tsig);
	if (x->polling) {
		n = soa_ask(p, QUERY_MAX, x->id, x->ask.zone, &x->tsig, x->ask.server->key);
	} else {
		dns_out_init(&o, p, QUERY_MAX, x->id, 0);
		dns_out_question(&o, x->ask.zone, x->type);
		if (x->type == XFR_IXFR) { /* RFC 1995 3: only the serial counts */
			size_t rr = dns_out_rr(&o, DNS_AUTHORITY, x->ask.zone, DNS_SOA, 0);
			dns_out_bytes(&o, "\0", 2);
			dns_out_u32(&o, x->ask.serial);
			dns_out_bytes(&o, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
			dns_out_rr_end(&o, rr);
		}
		n = x->ask.server->key
			? tsig_ask(&x->tsig, x->ask.server->key, p, o.len, QUERY_MAX, clock_sec())
			: o.len;
		xfr_put_free(x->put);
		x->put = xfr_put_new(x->ask.zone, x->ask.serial, x->ask.records, x->ask.octets);
		x->read = (struct xfr_read){.zone = x->ask.zone,
					    .id = x->id,
					    .type = x->type,
					    .serial = x->ask.serial,
					    .records_max = conf.transfer.max_records,
					    .octets_max = conf.transfer.max_octets,
					    .on_rr = xfr_put_rr,
					    .arg = x->put};
	}
	msg[0] = (uint8_t)(n >> 8);
	msg[1] = (uint8_t)n;
	stream_write(x->link->stream, msg, PREFIX + n);
}

/* --- answers ---------------------------------------------------------------------------------- */

static enum xfr_end end_of(const struct xfr_in *x, uint32_t serial)
{
	return serial == x->ask.serial ? XFR_CURRENT : XFR_OLDER;
}

static void polled(struct xfr_in *x, const uint8_t *pkt, size_t len)
{
	char why[80];
	enum soa_verdict v = soa_answer(pkt, len, x->id, x->ask.zone, &x->done.soa, why);
	if (v != SOA_HERE) {
		failed(x, v == SOA_TCP ? "a truncated message" : why);
		return;
	}
	x->polling = false;
	if (!x->ask.whole && x->ask.have && !zone_serial_above(x->done.soa.serial, x->ask.serial))
		finish(x, end_of(x, x->done.soa.serial));
	else
		ask(x);
}

static void transferred(struct xfr_in *x, const uint8_t *pkt, size_t len)
{
	enum xfr_verdict v = xfr_read(&x->read, pkt, len);
	switch (v) {
	case XFR_MORE:
		break;
	case XFR_WHOLE:
	case XFR_STEPS:
		if (x->ask.server->key && !tsig_whole(&x->tsig))
			failed(x, "the last message is not signed");
		else
			store(x, v);
		break;
	case XFR_SAME:
		x->done.soa = zone_soa_of(x->read.soa, x->read.soa_len);
		finish(x, end_of(x, x->read.to));
		break;
	default:
		failed(x, x->read.why[0] ? x->read.why : "too many changes for one edit");
	}
}

static const char *unsigned_why(enum tsig_verdict v, const struct tsig *t, char out[80])
{
	switch (v) {
	case TSIG_UNSIGNED:
		return "a message without the key's signature";
	case TSIG_LATE:
		return "a signature of another time: are both clocks right?";
	case TSIG_REFUSED:
		str_fmt(out, 80, "the primary does not take our signature: TSIG error %u",
			t->error);
		return out;
	default:
		return "a message with a wrong signature";
	}
}

static void message(struct xfr_in *x, const uint8_t *pkt, size_t len)
{
	char text[80];
	if (x->ask.server->key) {
		enum tsig_verdict v = tsig_answer(&x->tsig, pkt, len, clock_sec());
		if (v != TSIG_GOOD) {
			failed(x, unsigned_why(v, &x->tsig, text));
			return;
		}
	}
	if (x->polling)
		polled(x, pkt, len);
	else
		transferred(x, pkt, len);
}

/* --- the connection --------------------------------------------------------------------------- */

static void on_data(struct stream *s, void *arg)
{
	static uint8_t pkt[DNS_MSG_MAX]; /* what is in the stream may move */
	struct link *l = arg;
	while (l->x) {
		struct slice in = stream_data(s);
		const uint8_t *p = (const uint8_t *)in.p;
		size_t len = in.len >= PREFIX ? dns_u16(p) : 0;
		if (in.len < PREFIX || in.len - PREFIX < len)
			return;
		memcpy(pkt, p + PREFIX, len);
		stream_consume(s, PREFIX + len);
		message(l->x, pkt, len);
	}
}

static bool connected(const struct stream *s)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	return getpeername(stream_fd(s), (struct sockaddr *)&sa, &len) == 0;
}

static void on_end(struct stream *s, void *arg, enum stream_end why)
{
	struct link *l = arg;
	char text[300];
	if (!l->x)
		return;
	l->x->done.unreached = (why == STREAM_ERROR || why == STREAM_TIMEOUT) && !connected(s);
	if (why == STREAM_EOF)
		str_fmt(text, sizeof(text), "the primary closed the connection");
	else
		str_fmt(text, sizeof(text), "%s",
			why == STREAM_TIMEOUT ? "the primary is silent" : stream_why(s));
	failed(l->x, text);
}

static void on_tls(struct stream *s, void *arg)
{
	struct link *l = arg;
	if (!l->x)
		return;
	if (gnutls_protocol_get_version(stream_tls(s)) < GNUTLS_TLS1_3)
		failed(l->x, "TLS before 1.3 is not for transfers (RFC 9103)");
	else
		ask(l->x);
}

static void on_close(void *arg)
{
	free(arg);
}

static void on_late(struct timer *t)
{
	struct xfr_in *x = list_entry(t, struct xfr_in, limit);
	x->type = XFR_AXFR; /* no second try */
	failed(x, "it takes too long");
}

/* Begins, and begins again: the connection before is left. */
static void begin(struct xfr_in *x)
{
	static const struct stream_ops ops = {
	    .on_data = on_data, .on_end = on_end, .on_tls = on_tls, .on_close = on_close};
	static const struct stream_conf sc = {.read_max = PREFIX + DNS_MSG_MAX,
					      .timeout_ms = SILENT_MS};
	const struct dns_server *v = x->ask.server;
	unlink_stream(x);
	timer_set(&x->limit, conf.transfer.max_time, on_late);
	struct link *l = mem_alloc(sizeof(*l));
	l->x = x;
	socklen_t source_len;
	const struct sockaddr *source = conf_source(v->sa.ss_family, &source_len);
	l->stream = stream_connect((const struct sockaddr *)&v->sa, v->sa_len, source, source_len,
				   &sc, &ops, l);
	if (!l->stream) {
		free(l);
		x->type = XFR_AXFR;
		failed(x, "no socket");
		return;
	}
	x->link = l;
	if (v->tls)
		stream_starttls(l->stream, tls, v->tls, true);
	else
		ask(x);
}

static void begin_first(void *arg)
{
	begin(arg);
}

void xfr_in(const struct xfr_ask *a, xfr_done_fn *fn, void *arg)
{
	struct xfr_in *x = mem_alloc(sizeof(*x));
	*x = (struct xfr_in){.ask = *a, .polling = a->poll, .fn = fn, .arg = arg};
	x->type = a->have && !a->whole ? XFR_IXFR : XFR_AXFR;
	x->began = clock_mono();
	loop_defer(begin_first, x);
}
