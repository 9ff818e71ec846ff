/* Updates of zones that are secondaries here, to their primary (RFC 2136 6): the message as it
 * came, with its signature (RFC 8945 5.5), by a connection of its own, so that its id can stay.
 * What comes back is the client's, as it is. The primary sees our address and the client's key:
 * what is not signed is not passed on. */
#include <stdlib.h>
#include "dnsd/secondary/secondary.h"
#include "dnsd/update/update.h"
#include "dnsd/wire/later.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"
#include "libcommon/net/stream.h"

enum {
	PREFIX = 2,
	AT_ONCE = 100, /* two servers that are each other's primary end here, too */
	WAIT_MS = 10000,
	RESPONSE_MAX = 1232,
};

struct forward {
	struct later *later;
	struct tsig tsig; /* of the client, for a response of ours */
	struct timer limit;
	struct stream *stream;           /* of the primary at hand; NULL: none */
	const struct dns_server *server; /* the primaries; they live as long as conf */
	size_t servers, next;
	uint64_t began;
	char client[INET6_ADDRSTRLEN], name[DNS_NAME_TEXT], key[DNS_NAME_TEXT];
	size_t no_len; /* of our response when there is none */
	uint8_t no[RESPONSE_MAX + TSIG_ROOM];
	size_t len;
	uint8_t pkt[]; /* with its length before it */
};

static unsigned under_way;

bool forward_wanted(const struct query_from *from, const struct query *q)
{
	const struct served *s = load_seen(from->client, q->name);
	return s && !s->left && s->conf->primaries_n && s->conf->forward;
}

/* --- ends ------------------------------------------------------------------------------------- */

static void leave(struct forward *f)
{
	struct stream *s = f->stream;
	f->stream = NULL;
	if (s)
		stream_close(s);
}

static void forward_free(struct forward *f)
{
	under_way--;
	timer_clear(&f->limit);
	free(f);
}

struct link { /* a connection, which may outlive what it was for */
	struct forward *f;
};

static void answered(struct forward *f, const uint8_t *p, size_t len)
{
	stats.rcode[p[3] & DNS_RCODE]++;
	log_event(LOG_LV_INFO, NULL, "update-forwarded", LS("zone", f->name),
		  LS("client", f->client), LS("key", f->key), LS("to", f->server[f->next - 1].text),
		  LU("rcode", p[3] & DNS_RCODE), LU("ms", clock_mono() - f->began));
	leave(f);
	later_reply(&f->later, p, len);
	forward_free(f);
}

static void failed(struct forward *f, const char *why)
{
	log_event(LOG_LV_WARN, NULL, "update-not-forwarded", LS("zone", f->name),
		  LS("client", f->client), LS("key", f->key), LS("reason", why));
	leave(f);
	stats.rcode[DNS_SERVFAIL]++;
	size_t n = tsig_sign(&f->tsig, f->no, f->no_len, sizeof(f->no), clock_sec());
	later_reply(&f->later, f->no, n);
	forward_free(f);
}

static void on_late(struct timer *t)
{
	failed(list_entry(t, struct forward, limit), "no primary has answered");
}

/* --- the connection --------------------------------------------------------------------------- */

static void try_next(struct forward *f, const char *why);

static void on_data(struct stream *s, void *arg)
{
	static uint8_t pkt[DNS_MSG_MAX];
	struct link *l = arg;
	struct slice in = stream_data(s);
	const uint8_t *p = (const uint8_t *)in.p;
	size_t len = in.len >= PREFIX ? dns_u16(p) : 0;
	if (!l->f || in.len < PREFIX || in.len - PREFIX < len)
		return;
	struct forward *f = l->f;
	l->f = NULL;
	p += PREFIX;
	const uint8_t *asked = f->pkt + PREFIX;
	bool good = len >= DNS_HEADER && !memcmp(p, asked, 2) && p[2] & DNS_QR >> 8 &&
		    (p[2] & DNS_OPCODE >> 8) == (asked[2] & DNS_OPCODE >> 8);
	if (good)
		memcpy(pkt, p, len);
	if (good)
		answered(f, pkt, len);
	else
		failed(f, "the primary's answer is none to an update");
}

/* Where there was no connection the primary has not seen it. */
static void on_end(struct stream *s, void *arg, enum stream_end end)
{
	struct link *l = arg;
	struct forward *f = l->f;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	bool seen =
	    end == STREAM_EOF || getpeername(stream_fd(s), (struct sockaddr *)&sa, &len) == 0;
	char why[200];
	if (!f)
		return;
	l->f = NULL;
	str_fmt(why, sizeof(why), "%s",
		end == STREAM_EOF ? "the primary closed the connection" : stream_why(s));
	leave(f);
	if (seen)
		failed(f, why);
	else
		try_next(f, why);
}

static void on_tls(struct stream *s, void *arg)
{
	struct link *l = arg;
	if (l->f)
		stream_write(s, l->f->pkt, l->f->len);
}

static void on_close(void *arg)
{
	free(arg);
}

static void try_next(struct forward *f, const char *why)
{
	static const struct stream_ops ops = {
	    .on_data = on_data, .on_end = on_end, .on_tls = on_tls, .on_close = on_close};
	static const struct stream_conf sc = {.read_max = PREFIX + DNS_MSG_MAX,
					      .timeout_ms = WAIT_MS};
	if (f->next == f->servers) {
		failed(f, why);
		return;
	}
	const struct dns_server *v = &f->server[f->next++];
	struct link *l = mem_alloc(sizeof(*l));
	l->f = f;
	socklen_t source_len;
	const struct sockaddr *source = conf_source(v->sa.ss_family, &source_len);
	f->stream = stream_connect((const struct sockaddr *)&v->sa, v->sa_len, source, source_len,
				   &sc, &ops, l);
	if (!f->stream) {
		free(l);
		try_next(f, "no socket");
	} else if (v->tls) {
		stream_starttls(f->stream, xfr_in_tls(), v->tls, true);
	} else {
		stream_write(f->stream, f->pkt, f->len);
	}
}

static void begin(void *arg)
{
	try_next(arg, "it has no primary");
}

size_t forward_serve(const struct asked *a, const struct served *s, uint8_t *out, size_t cap)
{
	struct later *later = under_way < AT_ONCE ? later_keep(a->from) : NULL;
	if (!later)
		return serve_rcode(a, DNS_SERVFAIL, out, cap);
	const struct query *q = a->q;
	struct forward *f = mem_alloc(sizeof(*f) + PREFIX + q->len);
	under_way++;
	f->later = later;
	f->tsig = *a->tsig;
	f->server = s->conf->primaries;
	f->servers = s->conf->primaries_n;
	f->began = clock_mono();
	stream_ip_text(a->from->client, f->client);
	dns_name_text(f->name, q->name);
	if (a->key)
		dns_name_text(f->key, a->key->name);
	f->no_len = serve_rcode(a, DNS_SERVFAIL, f->no, RESPONSE_MAX);
	f->len = PREFIX + q->len;
	f->pkt[0] = (uint8_t)(q->len >> 8);
	f->pkt[1] = (uint8_t)q->len;
	memcpy(f->pkt + PREFIX, q->pkt, q->len);
	timer_set(&f->limit, WAIT_MS, on_late);
	loop_defer(begin, f);
	return 0;
}
