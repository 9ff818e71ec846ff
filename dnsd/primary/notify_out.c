/* Tells secondaries that a zone has changed (RFC 1996): the leader does, when it begins and after
 * each change. One that does not answer is told again, later and later; then its own refresh has to
 * do.
 *
 * Who is told asks for the SOA at once, of any of our processes. So a notice waits a little, until
 * all of them serve the new image; and one that begins to do so later, when the secondary may have
 * found the old one, tells them again. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "dnsd/leader.h"
#include "dnsd/wire/serve.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/list.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"
#include "libcommon/net/stream.h"

enum {
	TRIES = 5,
	FIRST_MS = 3000, /* until the second try; each is twice as long as the one before */
	PACE_MS = 200,   /* so often no more than PACE are sent for the first time */
	LATE_MS = 100,   /* after the image was made: timers are that exact */
	PACE = 50,
	ROUND = 64, /* responses that are read in a turn */
	OP_NOTIFY = 4 << 11,
	MESSAGE = 1024,
};

/* Somebody to be told of a zone. */
struct notice {
	struct list link; /* of those that were not sent yet */
	const struct xfr_peer *to;
	uint16_t id; /* 0: not sent yet */
	unsigned tries;
	uint32_t serial;
	struct timer timer;
	struct tsig tsig;
	size_t key_len; /* of its key in `all` */
	uint8_t key[sizeof(void *) + DNS_NAME_MAX];
};

static struct {
	int state;         /* fd of the state folder */
	struct map *all;   /* by peer and zone */
	struct map *by_id; /* those that were sent */
	struct list fresh;
	struct timer pace;
	struct {
		int fd; /* -1: there is none */
		uv_poll_t poll;
	} v4, v6;
} self = {.fresh = {&self.fresh, &self.fresh}, .v4.fd = -1, .v6.fd = -1};

static const uint8_t *zone_of(const struct notice *n)
{
	return n->key + sizeof(void *);
}

static void notice_free(struct notice *n)
{
	map_del(self.all, n->key, n->key_len);
	if (n->id)
		map_del(self.by_id, &n->id, sizeof(n->id));
	list_del(&n->link);
	timer_clear(&n->timer);
	tsig_end(&n->tsig);
	free(n);
}

static void say(enum log_level level, const char *event, const struct notice *n, const char *why)
{
	char zone[DNS_NAME_TEXT], to[INET6_ADDRSTRLEN];
	dns_name_text(zone, zone_of(n));
	stream_ip_text((const struct sockaddr *)&n->to->net.sa, to);
	log_event(level, NULL, event, LS("zone", zone), LS("to", to), LU("serial", n->serial),
		  LU("tries", n->tries), LS("reason", why));
}

/* --- sending -----------------------------------------------------------------------------------
 */

static size_t write_message(struct notice *n, const struct image *image, uint8_t out[MESSAGE])
{
	struct dns_out o;
	struct image_soa soa;
	const uint8_t *zone = zone_of(n);
	dns_out_init(&o, out, MESSAGE, n->id, OP_NOTIFY | DNS_AA);
	dns_out_question(&o, zone, DNS_SOA);
	if (image_soa(image, &soa)) { /* a hint: who has that version need not ask */
		size_t rr = dns_out_rr(&o, DNS_ANSWER, zone, DNS_SOA, soa.ttl);
		dns_out_bytes(&o, soa.rdata, soa.len);
		dns_out_rr_end(&o, rr);
	}
	if (!n->to->key)
		return o.len;
	tsig_end(&n->tsig);
	return tsig_ask(&n->tsig, n->to->key, out, o.len, MESSAGE, clock_sec());
}

/* An id that no other notice has. */
static void new_id(struct notice *n)
{
	while (!n->id || map_get(self.by_id, &n->id, sizeof(n->id)))
		id_random(&n->id, sizeof(n->id));
	map_set(self.by_id, &n->id, sizeof(n->id), n);
}

static void try(struct timer *t)
{
	struct notice *n = list_entry(t, struct notice, timer);
	const struct served *zone = load_seen((const struct sockaddr *)&n->to->net.sa, zone_of(n));
	uint8_t out[MESSAGE];
	if (daemon_draining() || !zone || !zone->image) {
		notice_free(n);
		return;
	}
	if (n->tries == TRIES) {
		stats.notify_failed++;
		say(LOG_LV_WARN, "notify-unanswered", n, NULL);
		notice_free(n);
		return;
	}
	if (!n->id)
		new_id(n);
	size_t len = write_message(n, zone->image, out);
	int fd = n->to->net.sa.ss_family == AF_INET ? self.v4.fd : self.v6.fd;
	stats.notify_sent++;
	timer_set(&n->timer, (uint64_t)FIRST_MS << n->tries++, try);
	/* What cannot be sent now may be later: the network of a machine that starts. */
	if (fd < 0 ||
	    sendto(fd, out, len, 0, (const struct sockaddr *)&n->to->net.sa, n->to->len) < 0)
		say(LOG_LV_DEBUG, "notify-not-sent", n, strerror(errno));
}

/* A primary of thousands of zones that starts does not flood its secondaries. */
static void pace(struct timer *t)
{
	struct list *e;
	for (unsigned i = 0; i < PACE && (e = list_pop(&self.fresh)); i++)
		try(&list_entry(e, struct notice, link)->timer);
	if (!list_empty(&self.fresh))
		timer_set(t, PACE_MS, pace);
}

/* --- what comes back ---------------------------------------------------------------------------
 */

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct sockaddr_in a4, b4;
	struct sockaddr_in6 a6, b6;
	if (a->ss_family != b->ss_family)
		return false;
	memcpy(&a4, a, sizeof(a4));
	memcpy(&b4, b, sizeof(b4));
	memcpy(&a6, a, sizeof(a6));
	memcpy(&b6, b, sizeof(b6));
	return a->ss_family == AF_INET
		   ? a4.sin_addr.s_addr == b4.sin_addr.s_addr && a4.sin_port == b4.sin_port
		   : IN6_ARE_ADDR_EQUAL(&a6.sin6_addr, &b6.sin6_addr) &&
			 a6.sin6_port == b6.sin6_port;
}

static void take(const struct sockaddr_storage *from, const uint8_t *pkt, size_t len)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_question q;
	if (!dns_iter_init(&it, pkt, len, &h) ||
	    (h.flags & (DNS_QR | DNS_OPCODE)) != (DNS_QR | OP_NOTIFY))
		return;
	struct notice *n = map_get(self.by_id, &h.id, sizeof(h.id));
	if (!n || !same_address(from, &n->to->net.sa))
		return;
	if (dns_iter_question(&it, &q) && !dns_name_at_is(pkt, len, q.name, zone_of(n)))
		return;
	unsigned rcode = h.flags & DNS_RCODE;
	bool good = !n->to->key || tsig_answer(&n->tsig, pkt, len, clock_sec()) == TSIG_GOOD;
	if (!good && rcode != DNS_NOTAUTH) /* perhaps the right one follows */
		return;
	if (rcode == DNS_NOTAUTH && n->to->catalog && !n->tsig.error) {
		say(LOG_LV_INFO, "notify-early", n, "it has not seen the catalog yet");
	} else if (!good) {
		say(LOG_LV_WARN, "notify-refused", n,
		    n->tsig.error == TSIG_BADTIME ? "the clocks differ" : "the key is not theirs");
	} else if (rcode != DNS_NOERROR) {
		char why[32];
		str_fmt(why, sizeof(why), "rcode %u", rcode);
		say(LOG_LV_WARN, "notify-refused", n, why);
	} else {
		say(LOG_LV_INFO, "notified", n, NULL);
	}
	notice_free(n);
}

static void on_readable(uv_poll_t *p, int status, int events)
{
	int fd = *(const int *)p->data;
	(void)status;
	(void)events;
	for (int i = 0; i < ROUND; i++) {
		uint8_t pkt[MESSAGE];
		struct sockaddr_storage from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, pkt, sizeof(pkt), MSG_DONTWAIT, (struct sockaddr *)&from,
				     &from_len);
		if (n >= 0)
			take(&from, pkt, (size_t)n);
		else if (errno != EINTR && errno != ECONNREFUSED)
			break;
	}
}

/* --- sockets -----------------------------------------------------------------------------------
 */

static bool is_local(const struct sockaddr_storage *sa)
{
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;
	if (sa->ss_family == AF_INET)
		return v4->sin_addr.s_addr == htonl(INADDR_ANY) ||
		       ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) || IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* From the address that we answer at, unless another is named: secondaries know their primary by
 * it. */
static void bind_to_content(int fd, int family)
{
	socklen_t len;
	if (conf_source(family, &len)) {
		if (!conf_source_bind(fd, family))
			log_event(LOG_LV_ERROR, NULL, "notify-source",
				  LS("reason", strerror(errno)));
		return;
	}
	for (size_t i = 0; i < conf.content.n; i++) {
		const struct conf_addr *a = conf.content.item[i];
		struct sockaddr_storage sa = a->sa;
		if (sa.ss_family != family || is_local(&sa))
			continue;
		if (family == AF_INET)
			((struct sockaddr_in *)&sa)->sin_port = 0;
		else
			((struct sockaddr_in6 *)&sa)->sin6_port = 0;
		(void)!bind(fd, (const struct sockaddr *)&sa, a->len);
		return;
	}
}

static void open_socket(int *fd, uv_poll_t *poll, int family)
{
	*fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return;
	bind_to_content(*fd, family);
	uv_poll_init(loop_get(), poll, *fd);
	poll->data = fd;
	uv_poll_start(poll, UV_READABLE, on_readable);
}

/* --- changes -----------------------------------------------------------------------------------
 */

static void tell(const struct served *zone, const struct xfr_peer *to)
{
	struct notice *n = mem_alloc(sizeof(*n)), *old;
	size_t len = dns_name_len(zone->wire);
	n->to = to;
	n->serial = image_serial(zone->image);
	memcpy(n->key, &to, sizeof(void *));
	memcpy(n->key + sizeof(void *), zone->wire, len);
	n->key_len = sizeof(void *) + len;
	if ((old = map_get(self.all, n->key, n->key_len)))
		notice_free(old);
	map_set(self.all, n->key, n->key_len, n);
	list_add_tail(&self.fresh, &n->link);
	if (!timer_is_set(&self.pace))
		timer_set(&self.pace, PACE_MS, pace);
}

/* Who is to be told of the zone: who would transfer it. */
static const struct xfr_peer *next_told(const struct served *zone, size_t *at)
{
	const struct xfr_peers told = conf_xfr_told(&zone->conf->xfr, &conf.xfr);
	const struct xfr_peer *all = told.peer;
	while (*at < told.n) {
		const struct xfr_peer *p = all + (*at)++;
		if (load_seen((const struct sockaddr *)&p->net.sa, zone->wire) == zone)
			return p;
	}
	return NULL;
}

static void tell_all(const struct served *zone)
{
	const struct xfr_peer *p;
	for (size_t at = 0; (p = next_told(zone, &at));)
		tell(zone, p);
}

/* The image was there for a while before this process had it. */
static bool is_late(const struct served *s)
{
	struct stat st;
	struct timespec now; /* of the machine, as the file's */
	if (fstatat(self.state, s->image_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return true;
	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - st.st_mtim.tv_sec) * 1000 +
		   (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000 >=
	       LATE_MS;
}

static void on_change(unsigned zone, uint32_t before, uint32_t serial)
{
	const struct served *s = load_zone(zone);
	if (s && s->image && serial != before && (leader() || is_late(s)))
		tell_all(s);
}

static void on_lead(void)
{
	for (unsigned i = 0; i < load_end(); i++) {
		const struct served *s = load_zone(i);
		if (s && s->image)
			tell_all(s);
	}
}

/* --- zone notify -------------------------------------------------------------------------------
 */

static void notify_zone(const struct served *zone, struct buf *out)
{
	const struct xfr_peer *p;
	for (size_t at = 0; zone->image && (p = next_told(zone, &at));) {
		buf_printf(out, "%s: serial %u, to %s", zone->name, image_serial(zone->image),
			   p->words->w[0]);
		for (size_t i = 1; i + 1 < p->words->n; i++)
			if (strcmp(p->words->w[i], "port") == 0)
				buf_printf(out, " port %s", p->words->w[i + 1]);
		buf_addc(out, '\n');
		tell(zone, p);
	}
}

bool notify_command(struct control_call *call)
{
	const struct conf_words *w = &call->words;
	const struct served *s = NULL;
	if (w->n < 2 || strcmp(w->w[0], "zone") != 0 || strcmp(w->w[1], "notify") != 0)
		return false;
	if (w->n > 3 || (w->n == 3 && !(s = load_find_text(w->w[2])))) {
		control_done(call, w->n > 3 ? "usage: zone notify [NAME]" : "no such zone");
		return true;
	}
	if (!leader()) {
		control_done(call, NULL);
		return true;
	}
	for (unsigned i = 0; i < load_end(); i++)
		if (load_zone(i) && (!s || s == load_zone(i)))
			notify_zone(load_zone(i), &call->out);
	if (!call->out.len)
		buf_printf(&call->out, "%s: nobody is to be told\n", s ? s->name : "all zones");
	control_done(call, NULL);
	return true;
}

void notify_out_start(int state)
{
	self.state = state;
	self.all = map_new();
	self.by_id = map_new();
	open_socket(&self.v4.fd, &self.v4.poll, AF_INET);
	open_socket(&self.v6.fd, &self.v6.poll, AF_INET6);
	load_changed(on_change);
	leader_watch(on_lead);
}
