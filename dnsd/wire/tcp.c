/* Connections: queries with their length before them (RFC 7766), one behind the other; all answers
 * of a turn leave in one write. Answers are made at once, so they come in the order of the
 * questions. When there are too many connections, the one whose last query is longest ago ends. */
#include <stdlib.h>
#include <unistd.h>
#include "dnsd/wire/later.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/wire.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"

enum {
	PREFIX = 2,
	FINISH_MS = 5000,
	LEAVE_MS = 2000,
	DRAIN_MS = 10000,
	MESSAGES = 4,     /* of responses of many, before the others of the loop get their turn */
	LATER = 100,      /* responses that a connection waits for at a time */
	GO_ON_MS = 60000, /* at least, for a client that takes one of many: it has other work too */
};

struct conn {
	struct list link; /* the longest silent one first */
	struct stream *stream;
	const struct listen_spec *spec;
	bool tls, eof, closing;
	enum serves serves;
	struct list later; /* of struct tcp_later: responses that are not there yet */
	unsigned kept;     /* how many there have been */
	struct list turn;  /* in `turns`: go_on() is going to be called */
};
struct tcp_later {
	struct later base;
	struct conn *conn;
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
	list_del(&c->turn);
	later_gone(&c->later);
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

/* Sends the n octets behind the prefix. False: the client has to take what there is first. */
static bool respond(struct conn *c, uint8_t *message, size_t n)
{
	message[0] = (uint8_t)(n >> 8);
	message[1] = (uint8_t)n;
	list_del(&c->link);
	list_add_tail(&conns, &c->link);
	return stream_write(c->stream, message, PREFIX + n);
}

/* --- responses that come later ---------------------------------------------------------------- */

static uint8_t out[PREFIX + DNS_MSG_MAX];

/* All that came is answered, and no more comes. */
static void finish_if_done(struct conn *c)
{
	if (c->eof && list_empty(&c->later))
		finish(c);
}

static void go_on(struct conn *c);

static unsigned waiting(const struct conn *c)
{
	unsigned n = 0;
	list_each(it, &c->later) n++;
	return n;
}

/* Those whose responses of many go on, one connection in each turn of the loop: however many there
 * are, a question waits for one of them only. */
static struct list turns = {&turns, &turns};
static bool turn_due;

static void take_turn(void *arg)
{
	(void)arg;
	struct list *first = list_pop(&turns);
	turn_due = false;
	if (first)
		go_on(list_entry(first, struct conn, turn));
	if (!list_empty(&turns) && !turn_due) {
		turn_due = true;
		loop_defer(take_turn, NULL);
	}
}

static void go_on_soon(struct conn *c)
{
	if (list_empty(&c->turn))
		list_add_tail(&turns, &c->turn);
	if (!turn_due)
		loop_defer(take_turn, NULL);
	turn_due = true;
}

static struct later *first_of_many(const struct conn *c)
{
	list_each(it, &c->later)
	{
		struct later *l = list_entry(it, struct later, link);
		if (l->next)
			return l;
	}
	return NULL;
}

/* Writes what the client takes at once, but no more than is a turn's share. */
static void go_on(struct conn *c)
{
	struct later *l = first_of_many(c);
	if (!l || c->closing)
		return;
	for (unsigned i = 0; l && i < MESSAGES; i++) {
		size_t n = l->next(l->arg, out + PREFIX, DNS_MSG_MAX);
		if (!n) {
			later_free(l);
			l = first_of_many(c);
		} else if (!respond(c, out, n)) {
			return;
		}
	}
	finish_if_done(c);
	if (l)
		go_on_soon(c);
	else if (!c->closing && !when_over)
		stream_timeout(c->stream, conf.tcp.idle_timeout);
}

static void later_go(struct later *l)
{
	struct conn *c = ((struct tcp_later *)l)->conn;
	if (!when_over && conf.tcp.idle_timeout < GO_ON_MS)
		stream_timeout(c->stream, GO_ON_MS);
	go_on_soon(c);
}

static void later_send(struct later *l, const uint8_t *p, size_t len)
{
	struct conn *c = ((struct tcp_later *)l)->conn;
	list_del(&l->link);
	if (c->closing)
		return;
	if (!len) {
		finish(c);
		return;
	}
	memmove(out + PREFIX, p, len);
	if (!respond(c, out, len))
		stream_pause(c->stream);
	finish_if_done(c);
}

static struct later *keep(void *origin)
{
	struct conn *c = origin;
	struct tcp_later *l = waiting(c) < LATER ? later_new(&c->later, sizeof(*l)) : NULL;
	if (!l)
		return NULL;
	l->base.reply = later_send;
	l->base.go_on = later_go;
	l->conn = c;
	c->kept++;
	return &l->base;
}

/* --- queries ---------------------------------------------------------------------------------- */

/* Answers the query that the data starts with. False: it is not whole, or the client has to take
 * what there is first. */
static bool step(struct conn *c)
{
	struct slice in = stream_data(c->stream);
	const uint8_t *p = (const uint8_t *)in.p;
	if (c->closing || in.len < PREFIX)
		return false;
	size_t len = dns_u16(p);
	if (len < DNS_HEADER) {
		stats.malformed++;
		finish(c);
		return false;
	}
	if (in.len < PREFIX + len)
		return false;
	const struct query_from from = {stream_peer(c->stream), c->tls ? BY_TLS : BY_TCP, keep, c,
					c->serves};
	unsigned kept = c->kept;
	size_t n = answer(&from, p + PREFIX, len, out + PREFIX, DNS_MSG_MAX);
	stream_consume(c->stream, PREFIX + len);
	if (c->kept != kept)
		return !c->closing;
	if (!n) { /* not a query: who sends that here is not a client */
		finish(c);
		return false;
	}
	if (!respond(c, out, n)) {
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
	stream_resume(s);
	if (first_of_many(arg))
		go_on_soon(arg);
}

static void on_end(struct stream *s, void *arg, enum stream_end why)
{
	struct conn *c = arg;
	if (why == STREAM_EOF) {
		c->eof = true;
		finish_if_done(c);
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
	const struct stream_conf sc = {.read_max = PREFIX + DNS_MSG_MAX, /* of an update */
				       .timeout_ms = conf.tcp.idle_timeout};
	make_room();
	struct conn *c = mem_alloc(sizeof(*c));
	c->spec = spec;
	const struct listener_kind *kind = spec->arg;
	c->tls = kind && kind->tls;
	c->serves = kind ? kind->serves : SERVES_CONTENT;
	list_init(&c->later);
	list_init(&c->turn);
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
