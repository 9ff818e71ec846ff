/* The serial of a server: one small question by UDP, from a port of its own. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "dnsd/secondary/secondary.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"

enum { QUERY_MAX = DNS_QUERY_MAX + TSIG_ROOM, TRIES = 3, TRY_MS = 2000, WRONG_AT_ONCE = 32 };

struct poll {
	uv_poll_t poll;
	struct timer timer;
	int fd; /* -1: none */
	unsigned tries;
	uint16_t id;
	bool over;
	const uint8_t *zone;
	const struct dns_server *server;
	struct tsig tsig;
	soa_poll_fn *fn;
	void *arg;
	enum soa_verdict verdict;
	struct zone_soa soa;
	char why[80];
};

struct zone_soa zone_soa_of(const uint8_t *rdata, size_t len)
{
	const uint8_t *p = rdata + len - 20;
	return (struct zone_soa){dns_u32(p), dns_u32(p + 4), dns_u32(p + 8), dns_u32(p + 12)};
}

size_t soa_ask(uint8_t *out, size_t cap, uint16_t id, const uint8_t *zone, struct tsig *t,
	       const struct tsig_key *key)
{
	struct dns_out o;
	dns_out_init(&o, out, cap, id, 0);
	dns_out_question(&o, zone, DNS_SOA);
	return key ? tsig_ask(t, key, out, o.len, cap, clock_sec()) : o.len;
}

static enum soa_verdict no(char why[80], const char *text)
{
	str_fmt(why, 80, "%s", text);
	return SOA_NONE;
}

enum soa_verdict soa_answer(const uint8_t *pkt, size_t len, uint16_t id, const uint8_t *zone,
			    struct zone_soa *out, char why[80])
{
	static uint8_t rdata[DNS_RDATA_MAX];
	struct dns_iter it;
	struct dns_header h;
	struct dns_question q;
	struct dns_rr rr;
	char text[16];
	size_t n;
	if (!dns_iter_init(&it, pkt, len, &h) || h.id != id || !(h.flags & DNS_QR) ||
	    h.flags & DNS_OPCODE)
		return no(why, "an answer to another question");
	uint16_t rcode = h.flags & DNS_RCODE;
	if (rcode) {
		str_fmt(why, 80, "the primary says %s", xfr_rcode_text(rcode, text));
		return SOA_NONE;
	}
	if (h.count[DNS_QUESTION] != 1 || !dns_iter_question(&it, &q) || q.type != DNS_SOA ||
	    q.class != DNS_IN || !dns_name_at_is(pkt, len, q.name, zone))
		return no(why, "an answer to another question");
	if (h.flags & DNS_TC)
		return SOA_TCP;
	if (!(h.flags & DNS_AA))
		return no(why, "the primary is not authoritative for the zone");
	while (dns_iter_rr(&it, &rr) && rr.section == DNS_ANSWER)
		if (rr.type == DNS_SOA && rr.class == DNS_IN &&
		    dns_name_at_is(pkt, len, rr.owner, zone) &&
		    dns_rdata_read(pkt, len, &rr, rdata, &n)) {
			*out = zone_soa_of(rdata, n);
			return SOA_HERE;
		}
	return no(why, "the primary has no SOA of the zone");
}

/* --- by UDP ----------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *h)
{
	struct poll *p = h->data;
	p->fn(p->arg, p->verdict, &p->soa, p->why);
	tsig_end(&p->tsig);
	free(p);
}

static void over_now(void *arg)
{
	struct poll *p = arg;
	on_closed((uv_handle_t *)&p->poll);
}

static void over(struct poll *p, enum soa_verdict v)
{
	p->verdict = v;
	p->over = true;
	timer_clear(&p->timer);
	if (p->fd < 0) {
		loop_defer(over_now, p);
		return;
	}
	uv_close((uv_handle_t *)&p->poll, on_closed);
	close(p->fd);
	p->fd = -1;
}

static void on_late(struct timer *t);

static void send_one(struct poll *p)
{
	uint8_t query[QUERY_MAX];
	tsig_end(&p->tsig);
	id_random(&p->id, sizeof(p->id));
	size_t n = soa_ask(query, sizeof(query), p->id, p->zone, &p->tsig, p->server->key);
	p->tries++;
	if (send(p->fd, query, n, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != EINTR) {
		str_fmt(p->why, sizeof(p->why), "%s", strerror(errno));
		over(p, SOA_TCP);
		return;
	}
	timer_set(&p->timer, (uint64_t)TRY_MS * p->tries, on_late);
}

static void on_late(struct timer *t)
{
	struct poll *p = list_entry(t, struct poll, timer);
	if (p->tries < TRIES)
		send_one(p);
	else
		over(p, SOA_TCP);
}

/* What is not proved to be the answer may be anybody's: the right one may follow. */
static bool is_answer(struct poll *p, const uint8_t *pkt, size_t len)
{
	if (p->server->key && tsig_answer(&p->tsig, pkt, len, clock_sec()) != TSIG_GOOD) {
		str_fmt(p->why, sizeof(p->why), "no answer with a good signature");
		return false;
	}
	return len >= DNS_HEADER && dns_u16(pkt) == p->id;
}

static void on_event(uv_poll_t *h, int status, int events)
{
	static uint8_t pkt[DNS_MSG_MAX];
	struct poll *p = h->data;
	(void)status;
	(void)events;
	for (int i = 0; i < WRONG_AT_ONCE && !p->over; i++) {
		ssize_t n = recv(p->fd, pkt, sizeof(pkt), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno != EINTR) { /* nobody listens there, by UDP at least */
			str_fmt(p->why, sizeof(p->why), "%s", strerror(errno));
			over(p, SOA_TCP);
		} else if (n > 0 && is_answer(p, pkt, (size_t)n)) {
			over(p, soa_answer(pkt, (size_t)n, p->id, p->zone, &p->soa, p->why));
		}
	}
}

static int open_socket(const struct dns_server *s)
{
	int fd = socket(s->sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* Connected: the kernel drops what comes from elsewhere and tells of a closed port. */
	if (fd >= 0 && (!conf_source_bind(fd, s->sa.ss_family) ||
			connect(fd, (const struct sockaddr *)&s->sa, s->sa_len) != 0)) {
		int err = errno;
		close(fd);
		errno = err;
		fd = -1;
	}
	return fd;
}

void soa_poll(const uint8_t *zone, const struct dns_server *server, soa_poll_fn *fn, void *arg)
{
	struct poll *p = mem_alloc(sizeof(*p));
	*p = (struct poll){.zone = zone, .server = server, .fn = fn, .arg = arg};
	str_fmt(p->why, sizeof(p->why), "no answer");
	p->fd = open_socket(server);
	p->poll.data = p;
	if (p->fd < 0) {
		str_fmt(p->why, sizeof(p->why), "%s", strerror(errno));
		over(p, SOA_NONE);
		return;
	}
	uv_poll_init(loop_get(), &p->poll, p->fd);
	p->poll.data = p;
	uv_poll_start(&p->poll, UV_READABLE, on_event);
	send_one(p);
}
