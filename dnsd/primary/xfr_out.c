/* Zone transfers to secondaries (RFC 5936, RFC 1995, RFC 9103): who may, what is sent, and that it
 * is sent as the client takes it. A transfer holds the image that it began with, whatever is served
 * meanwhile. */
#include <stdlib.h>
#include "dnsd/wire/later.h"
#include "dnsd/wire/serve.h"
#include "dnsd/primary/xfr_source.h"
#include "dnsd/primary/xfr_tell.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/job.h"
#include "libcommon/net/stream.h"

enum {
	TYPE_IXFR = 251,
	TYPE_AXFR = 252,
	SOA_FIXED = 20,
	CONDENSE_MOST = 256 << 10, /* octets of steps that are condensed: a few ms at most */
	TELL_MS = 10000,           /* refusals are told of in the log no more often than */
	TELL_LINES = 20,           /* ... so many times in so long */
};

struct transfer {
	struct xfr_source source; /* its image and its journal are held */
	struct journal *journal;
	struct tsig tsig;
	uint16_t id, flags, udp_size;
	bool counted; /* among those that go on */
	size_t question_len;
	uint8_t question[DNS_NAME_MAX + 4];
	/* For the log. */
	char zone[DNS_NAME_TEXT], client[INET6_ADDRSTRLEN], key[DNS_NAME_TEXT];
	uint64_t began, octets;
	unsigned messages;
};

static int state = -1;

void transfer_start(int folder)
{
	state = folder;
}

/* --- the messages ------------------------------------------------------------------------------
 */

/* The next message; 0: there are no more. */
static size_t message(struct transfer *t, uint8_t *out, size_t cap)
{
	struct xfr_source *x = &t->source;
	struct xfr_pack k;
	uint16_t udp_size = t->messages ? 0 : t->udp_size;
	if (x->bad || (t->messages && x->stage == XFR_OVER && !x->pending))
		return 0;
	xfr_pack_begin(&k, out, cap - (udp_size ? XFR_OPT : 0), t->id, t->flags, t->question,
		       t->question_len, image_zone(x->image));
	xfr_source_fill(x, &k);
	t->messages++;
	if (x->bad) { /* tells the client that what it has is not the zone */
		k.len = DNS_HEADER + t->question_len;
		k.records = 0;
		out[3] = (uint8_t)(out[3] | DNS_SERVFAIL);
	}
	return xfr_pack_end(&k, udp_size);
}

static bool is_over(const struct transfer *t)
{
	return t->source.bad || (t->source.stage == XFR_OVER && !t->source.pending);
}

/* --- its life ----------------------------------------------------------------------------------
 */

/* Unmapping a large image takes its time. */
static void close_image(void *arg)
{
	struct image *image = arg;
	image_close(&image);
}

static void image_closed(void *arg, bool cancelled)
{
	if (cancelled)
		close_image(arg);
}

static void transfer_free(struct transfer *t)
{
	struct image *image = (struct image *)(uintptr_t)t->source.image;
	stats.transfers -= t->counted;
	if (!t->counted || !job_start(close_image, image_closed, image))
		image_close(&image);
	journal_close(&t->journal);
	journal_diff_free(&t->source.diff);
	free(t);
}

static void log_end(const struct transfer *t)
{
	static const char *const kind[] = {"AXFR", "IXFR", "SOA"};
	bool whole = is_over(t) && !t->source.bad;
	stats.xfr_out[t->source.kind] += whole;
	stats.xfr_out_failed += !whole;
	stats.xfr_out_octets += t->octets;
	/* That there is nothing new, anybody can ask all day. */
	bool current = whole && t->source.kind == XFR_CURRENT;
	enum log_level level = !whole ? LOG_LV_WARN : current ? LOG_LV_DEBUG : LOG_LV_INFO;
	if (!current && !xfr_tell(t->client, whole ? kind[t->source.kind] : "broken"))
		return;
	log_event(level, NULL, whole ? "transfer-out" : "transfer-out-broken", LS("zone", t->zone),
		  LS("to", t->client), LS("key", t->key[0] ? t->key : NULL),
		  LS("kind", kind[t->source.kind]), LU("serial", image_serial(t->source.image)),
		  LU("messages", t->messages), LU("octets", t->octets),
		  LU("ms", clock_mono() - t->began),
		  LS("reason", whole           ? NULL
			       : t->source.bad ? "the image or its journal is damaged"
					       : "the client has gone"));
}

static size_t go_on(void *arg, uint8_t *out, size_t cap)
{
	struct transfer *t = arg;
	size_t n = message(t, out, cap - TSIG_ROOM);
	if (n)
		n = tsig_sign(&t->tsig, out, n, cap, clock_sec());
	t->octets += n;
	return n;
}

static void ended(void *arg)
{
	log_end(arg);
	transfer_free(arg);
}

/* --- what is asked -----------------------------------------------------------------------------
 */

/* The client's version: the SOA in the authority section of IXFR. False: there is none. */
static bool client_serial(const struct query *q, uint32_t *serial)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	bool found = false;
	if (!dns_iter_init(&it, q->pkt, q->len, &h))
		return false;
	while (dns_iter_rr(&it, &rr)) {
		if (rr.section != DNS_AUTHORITY)
			continue;
		if (found || rr.type != DNS_SOA || rr.rdlen < SOA_FIXED + 2 ||
		    !dns_name_at_is(q->pkt, q->len, rr.owner, q->name))
			return false;
		*serial = dns_u32(q->pkt + rr.rdata + rr.rdlen - SOA_FIXED);
		found = true;
	}
	return found && !it.bad;
}

/* The journal leads there, and that is no longer than the zone. Several steps are never shorter
 * than the one that they come to. */
static bool has_steps(struct transfer *t, uint32_t from, uint32_t serial)
{
	struct xfr_source *x = &t->source;
	struct image_stats n;
	if (!t->journal || !journal_find(t->journal, from, serial, &x->steps))
		return false;
	size_t octets = x->steps.octets;
	if (x->steps.steps > 1 && octets <= CONDENSE_MOST)
		x->diff = journal_condense(&x->steps);
	if (x->diff && journal_diff_octets(x->diff) < octets)
		octets = journal_diff_octets(x->diff);
	image_numbers(x->image, &n);
	return octets <= n.octets || octets <= JOURNAL_LEAST;
}

/* Chooses what is sent. */
static void choose(struct transfer *t, const struct served *s, const struct query *q, uint32_t from,
		   bool udp)
{
	struct xfr_source *x = &t->source;
	uint32_t serial = image_serial(x->image);
	x->kind = XFR_WHOLE;
	if (q->type == TYPE_AXFR)
		return;
	if ((int32_t)(serial - from) <= 0) {
		x->kind = XFR_CURRENT;
		return;
	}
	t->journal = journal_open(state, s->image_name, q->name);
	if (has_steps(t, from, serial))
		x->kind = XFR_STEPS;
	else if (udp)
		x->kind = XFR_CURRENT;
}

static struct transfer *begin(const struct asked *a, const struct zone *z)
{
	const struct query *q = a->q;
	struct transfer *t = mem_alloc(sizeof(*t));
	t->source.image = image_hold(z->image);
	t->tsig = *a->tsig;
	t->id = q->id;
	t->flags = (uint16_t)(DNS_QR | DNS_AA | (q->flags & DNS_RD));
	t->udp_size = q->edns ? (uint16_t)conf.udp_size : 0;
	t->question_len = q->question_len;
	memcpy(t->question, q->pkt + DNS_HEADER, q->question_len);
	dns_name_text(t->zone, z->name);
	stream_ip_text(a->from->client, t->client);
	if (a->key)
		dns_name_text(t->key, a->key->name);
	t->began = clock_mono();
	return t;
}

/* It is this one message, of n octets. */
static size_t at_once(struct transfer *t, size_t n)
{
	t->octets = n;
	ended(t);
	return n;
}

/* By UDP: all of it, or the SOA alone (RFC 1995 2). */
static size_t datagram(struct transfer *t, uint8_t *out, size_t cap)
{
	size_t n = message(t, out, cap);
	if (!is_over(t)) {
		t->source.kind = XFR_CURRENT;
		t->messages = 0;
		xfr_source_begin(&t->source);
		n = message(t, out, cap);
	}
	return at_once(t, n);
}

/* What anybody can bring about by a packet is not written down for each. untold: of those before.
 */
static bool tells(uint64_t *untold)
{
	static uint64_t since, lines, left_out;
	uint64_t now = clock_mono();
	if (!since || now - since >= TELL_MS) {
		since = now;
		lines = 0;
	}
	if (lines++ >= TELL_LINES) {
		left_out++;
		return false;
	}
	*untold = left_out;
	left_out = 0;
	return true;
}

static size_t refused(const struct asked *a, uint16_t rcode, const char *why, uint8_t *out,
		      size_t cap)
{
	char zone[DNS_NAME_TEXT], client[INET6_ADDRSTRLEN], key[DNS_NAME_TEXT];
	uint64_t untold;
	stats.xfr_out_refused++;
	if (!tells(&untold))
		return serve_rcode(a, rcode, out, cap);
	dns_name_text(zone, a->q->name);
	stream_ip_text(a->from->client, client);
	if (a->key)
		dns_name_text(key, a->key->name);
	log_event(LOG_LV_INFO, NULL, "transfer-refused", LS("zone", zone), LS("to", client),
		  LS("key", a->key ? key : NULL), LS("reason", why), LU("untold", untold));
	return serve_rcode(a, rcode, out, cap);
}

/* What fits in one message is sent at once; else it goes on as the client takes it. */
static size_t stream(struct transfer *t, const struct asked *a, uint8_t *out, size_t cap)
{
	struct journal_steps steps = t->source.steps;
	size_t n = message(t, out, cap);
	if (is_over(t))
		return at_once(t, n);
	struct later *l = stats.transfers < conf.transfers ? later_keep(a->from) : NULL;
	if (!l) {
		transfer_free(t);
		return refused(a, DNS_SERVFAIL, "too many transfers at a time", out, cap);
	}
	t->messages = 0;
	t->source.steps = steps;
	t->counted = true;
	stats.transfers++;
	xfr_source_begin(&t->source);
	later_go_on(&l, go_on, ended, t);
	return 0;
}

size_t transfer_serve(const struct asked *a, uint8_t *out, size_t cap)
{
	const struct zone *z = serve_zone(a);
	const struct served *s = z ? load_zone(z->number) : NULL;
	bool udp = a->from->by == BY_UDP;
	uint32_t from = 0;
	if (!s)
		return serve_rcode(a, DNS_NOTAUTH, out, cap);
	if (!conf_xfr_may(&s->conf->xfr, &conf.xfr, a->from->client, a->key, a->from->by == BY_TLS))
		return refused(a, DNS_REFUSED, "it is not allowed to it", out, cap);
	if (!z->image)
		return serve_rcode(a, DNS_SERVFAIL, out, cap);
	if (a->q->type == TYPE_AXFR ? udp : !client_serial(a->q, &from))
		return serve_rcode(a, DNS_FORMERR, out, cap);
	struct transfer *t = begin(a, z);
	choose(t, s, a->q, from, udp);
	if (!xfr_source_begin(&t->source)) {
		transfer_free(t);
		return serve_rcode(a, DNS_SERVFAIL, out, cap);
	}
	return udp ? datagram(t, out, cap) : stream(t, a, out, cap);
}
