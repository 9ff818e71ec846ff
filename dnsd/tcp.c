/* Connections: queries with their length before them (RFC 7766), one behind the other; all answers
 * of a turn leave in one write. Answers are made at once, so they come in the order of the
 * questions. When there are too many connections, the one whose last query is longest ago ends. */
#include <stdlib.h>
#include <unistd.h>
#include "dnsd/dnsd.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/wire.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"

enum { PREFIX = 2, FINISH_MS = 5000, LEAVE_MS = 2000, DRAIN_MS = 10000 };

struct conn {
	struct list link; /* the longest silent one first */
	struct stream *stream;
	const struct listen_spec *spec;
	bool tls, eof, closing;
};
static struct list conns = {&conns, &conns};
static serve_fn *answer;
static void (*when_over)(void);
static struct timer drain_timer;

static void over_if_last(void)
{
	if (!when_over || !list_empty(&conns))
		return;
	void (*fn)(void) = when_over;
	when_over = NULL;
	timer_clear(&drain_timer);
	fn();
}

static void on_close(void *arg)
{
	struct conn *c = arg;
	listen_done(c->spec, daemon_limits(), stream_peer(c->stream));
	list_del(&c->link);
	stats.connections--;
	free(c);
	over_if_last();
}

static void finish(struct conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	stream_finish(c->stream, FINISH_MS);
}

/* Answers the query that the data starts with. False: it is not whole, or the client has to take
 * what there is first. */
static bool step(struct conn *c)
{
	static uint8_t out[PREFIX + DNS_MSG_MAX];
	struct slice in = stream_data(c->stream);
	const uint8_t *p = (const uint8_t *)in.p;
	if (c->closing || in.len < PREFIX)
		return false;
	size_t len = dns_u16(p);
	if (len < DNS_HEADER || len > TCP_QUERY_MAX) {
		stats.malformed++;
		finish(c);
		return false;
	}
	if (in.len < PREFIX + len)
		return false;
	const struct query_from from = {stream_peer(c->stream), c->tls ? BY_TLS : BY_TCP};
	size_t n = answer(&from, p + PREFIX, len, out + PREFIX, DNS_MSG_MAX);
	stream_consume(c->stream, PREFIX + len);
	if (!n) { /* not a query: who sends that here is not a client */
		finish(c);
		return false;
	}
	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	list_del(&c->link);
	list_add_tail(&conns, &c->link);
	if (!stream_write(c->stream, out, PREFIX + n)) {
		stream_pause(c->stream);
		return false;
	}
	return true;
}

static void on_data(struct stream *s, void *arg)
{
	(void)s;
	while (step(arg))
		;
}

static void on_drain(struct stream *s, void *arg)
{
	(void)arg;
	stream_resume(s);
}

static void on_end(struct stream *s, void *arg, enum stream_end why)
{
	struct conn *c = arg;
	if (why == STREAM_EOF) { /* all that came before it is answered */
		finish(c);
		return;
	}
	if (why == STREAM_TLS_FAIL) {
		stats.tls_failed++;
		log_event(LOG_LV_DEBUG, NULL, "tls-failed", LS("peer", stream_peer_ip(s)),
			  LS("reason", stream_why(s)));
	}
	c->closing = true;
	stream_close(s);
}

static const struct stream_ops stream_ops = {
    .on_data = on_data, .on_end = on_end, .on_drain = on_drain, .on_close = on_close};

/* The first has been silent for longest; one that is being sent something may go on. */
static void make_room(void)
{
	if (stats.connections < conf.tcp.connections)
		return;
	struct conn *victim = NULL;
	list_each(it, &conns)
	{
		struct conn *c = list_entry(it, struct conn, link);
		if (c->closing)
			continue;
		victim = victim ? victim : c;
		if (!stream_queued(c->stream)) {
			victim = c;
			break;
		}
	}
	if (!victim)
		return;
	stats.displaced++;
	victim->closing = true;
	stream_close(victim->stream);
}

static void on_accept(int fd, const struct sockaddr *peer, const struct sockaddr *local,
		      const struct listen_spec *spec)
{
	const struct stream_conf sc = {.read_max = PREFIX + TCP_QUERY_MAX,
				       .timeout_ms = conf.tcp.idle_timeout};
	make_room();
	struct conn *c = mem_alloc(sizeof(*c));
	c->spec = spec;
	c->tls = spec->arg != NULL;
	c->stream = stream_new(fd, &sc, &stream_ops, c);
	if (!c->stream) {
		listen_done(spec, daemon_limits(), peer);
		close(fd);
		free(c);
		return;
	}
	stream_set_addrs(c->stream, peer, local);
	list_add_tail(&conns, &c->link);
	stats.connections++;
	stats.connections_total++;
	if (c->tls)
		stream_starttls(c->stream, uplink_tls(), NULL, false);
}

const struct listen_ops tcp_listen_ops = {.on_accept = on_accept};

void tcp_start(serve_fn *fn)
{
	answer = fn;
}

static void end_all(struct timer *t)
{
	(void)t;
	list_each_safe(it, nx, &conns) finish(list_entry(it, struct conn, link));
}

void tcp_drain(void (*over)(void))
{
	when_over = over;
	list_each_safe(it, nx, &conns)
	{
		struct conn *c = list_entry(it, struct conn, link);
		if (!c->closing)
			stream_timeout(c->stream, LEAVE_MS);
	}
	timer_set(&drain_timer, DRAIN_MS, end_all);
	over_if_last();
}
