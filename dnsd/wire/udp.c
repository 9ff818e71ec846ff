/* Datagrams, in batches by recvmmsg and sendmmsg. A turn is bounded; nothing is allocated for a
 * query. A response leaves from the address that was asked: on a socket of all addresses by
 * PKTINFO, on others the kernel knows. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "dnsd/wire/later.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"

enum {
	BATCH = 64,
	ROUNDS = 8,  /* batches before the others of the loop get their turn */
	LAST = 1024, /* batches of a socket that is being closed */
	NO_PMTU = 5, /* IP_PMTUDISC_OMIT: what a router claims of the path's size is not believed */
	CONTROL = CMSG_SPACE(sizeof(struct in6_pktinfo)),
};

struct udp {
	uv_poll_t poll;
	int fd;
	struct udp *next;
	bool any; /* of all addresses */
	enum serves serves;
	size_t size;
	serve_fn *serve;
	serve_ahead_fn *ahead;
	struct list later;
};
static struct udp *sockets;

/* One batch is in work at a time, whichever socket it is from. */
static struct {
	uint8_t query[BATCH][UDP_MAX], response[BATCH][UDP_MAX];
	struct sockaddr_storage peer[BATCH];
	_Alignas(struct cmsghdr) uint8_t control[BATCH][CONTROL];
	struct iovec in_iov[BATCH], out_iov[BATCH];
	struct mmsghdr in[BATCH], out[BATCH];
} batch;

/* Of the address that was asked makes the one to answer from, in place; the interface is left to
 * the routes, but for addresses that mean something on one alone. */
static void answer_from(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		info.ipi_ifindex = 0;
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		m->msg_controllen = CMSG_SPACE(sizeof(info));
	} else if (c && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
			info.ipi6_ifindex = 0;
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		m->msg_controllen = CMSG_SPACE(sizeof(info));
	} else {
		m->msg_controllen = 0;
	}
}

/* --- responses that come later ---------------------------------------------------------------- */

struct udp_origin {
	struct udp *u;
	const struct msghdr *query;
};

struct udp_later {
	struct later base;
	int fd;
	struct sockaddr_storage peer;
	socklen_t peer_len;
	size_t control_len;
	_Alignas(struct cmsghdr) uint8_t control[CONTROL];
};

static void later_send(struct later *base, const uint8_t *p, size_t len)
{
	struct udp_later *l = (struct udp_later *)base;
	struct iovec iov = {(void *)(uintptr_t)p, len};
	const struct msghdr m = {.msg_name = &l->peer,
				 .msg_namelen = l->peer_len,
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = l->control_len ? l->control : NULL,
				 .msg_controllen = l->control_len};
	if (len && sendmsg(l->fd, &m, MSG_DONTWAIT) < 0)
		stats.udp_send_failed++;
}

static struct later *keep(void *origin)
{
	const struct udp_origin *o = origin;
	struct msghdr m = *o->query;
	struct udp_later *l = later_new(&o->u->later, sizeof(*l));
	if (!l)
		return NULL;
	l->base.reply = later_send;
	l->fd = o->u->fd;
	l->peer_len = m.msg_namelen;
	memcpy(&l->peer, m.msg_name, m.msg_namelen);
	if (o->u->any) {
		memcpy(l->control, m.msg_control, m.msg_controllen);
		m.msg_control = l->control;
		answer_from(&m);
		l->control_len = m.msg_controllen;
	}
	return &l->base;
}

/* --- batches ---------------------------------------------------------------------------------- */

static int receive(const struct udp *u)
{
	for (int i = 0; i < BATCH; i++) {
		struct msghdr *m = &batch.in[i].msg_hdr;
		m->msg_namelen = sizeof(batch.peer[i]);
		m->msg_controllen = u->any ? CONTROL : 0;
		m->msg_flags = 0;
	}
	return recvmmsg(u->fd, batch.in, BATCH, MSG_DONTWAIT, NULL);
}

static void announce(const struct udp *u, int n)
{
	struct slice whole[BATCH];
	const struct sockaddr *client[BATCH];
	unsigned k = 0;
	for (int i = 0; i < n; i++) {
		if (batch.in[i].msg_hdr.msg_flags & MSG_TRUNC)
			continue;
		client[k] = batch.in[i].msg_hdr.msg_name;
		whole[k++] = (struct slice){(const char *)batch.query[i], batch.in[i].msg_len};
	}
	if (k > 0)
		u->ahead(whole, client, k);
}

/* Returns how many responses there are. */
static unsigned answer(struct udp *u, int n)
{
	unsigned out = 0;
	if (u->ahead)
		announce(u, n);
	for (int i = 0; i < n; i++) {
		struct msghdr *m = &batch.in[i].msg_hdr;
		struct udp_origin origin = {u, m};
		const struct query_from from = {m->msg_name, BY_UDP, keep, &origin, u->serves};
		if (m->msg_flags & MSG_TRUNC) {
			stats.udp_bad++;
			continue;
		}
		size_t len = u->serve(&from, batch.query[i], batch.in[i].msg_len,
				      batch.response[out], u->size);
		if (!len)
			continue;
		struct msghdr *r = &batch.out[out].msg_hdr;
		if (u->any)
			answer_from(m);
		batch.out_iov[out].iov_len = len;
		r->msg_name = m->msg_name;
		r->msg_namelen = m->msg_namelen;
		r->msg_control = m->msg_control;
		r->msg_controllen = m->msg_controllen;
		out++;
	}
	return out;
}

/* One that cannot be sent does not hold up the others; without room they are all lost, as datagrams
 * may be: the clients ask again. */
static void send_all(const struct udp *u, unsigned n)
{
	unsigned at = 0;
	while (at < n) {
		int sent = sendmmsg(u->fd, batch.out + at, n - at, MSG_DONTWAIT);
		if (sent > 0) {
			at += (unsigned)sent;
		} else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
			stats.udp_send_full += n - at;
			return;
		} else if (errno != EINTR) {
			stats.udp_send_failed++;
			at++;
		}
	}
}

static void turn(struct udp *u, int rounds)
{
	while (rounds-- > 0) {
		int n = receive(u);
		if (n <= 0)
			return;
		send_all(u, answer(u, n));
		if (n < BATCH)
			return;
	}
}

static void on_readable(uv_poll_t *p, int status, int events)
{
	struct udp *u = p->data;
	int err;
	socklen_t len = sizeof(err);
	(void)events;
	turn(u, ROUNDS);
	if (status < 0) { /* libuv has stopped watching because of an error that is read here */
		getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		uv_poll_start(p, UV_READABLE, on_readable);
	}
}

static void batch_init(void)
{
	for (int i = 0; i < BATCH; i++) {
		batch.in_iov[i] = (struct iovec){batch.query[i], UDP_MAX};
		batch.in[i].msg_hdr = (struct msghdr){.msg_name = &batch.peer[i],
						      .msg_iov = &batch.in_iov[i],
						      .msg_iovlen = 1,
						      .msg_control = batch.control[i]};
		batch.out_iov[i] = (struct iovec){batch.response[i], 0};
		batch.out[i].msg_hdr =
		    (struct msghdr){.msg_iov = &batch.out_iov[i], .msg_iovlen = 1};
	}
}

static bool bound_to_any(int fd)
{
	struct sockaddr_in6 sa = {0}; /* has room for the other */
	struct sockaddr_in in;
	socklen_t len = sizeof(sa);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	memcpy(&in, &sa, sizeof(in));
	if (sa.sin6_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&sa.sin6_addr);
	return in.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* What listen_bind_udp() sets, for sockets of other supervisors; and what is DNS's own. */
static void options(const struct udp *u)
{
	int want = u->any, pmtu = NO_PMTU, domain = 0;
	socklen_t len = sizeof(domain);
	getsockopt(u->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	if (domain == AF_INET6) {
		setsockopt(u->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &want, sizeof(want));
		setsockopt(u->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &pmtu, sizeof(pmtu));
	} else {
		setsockopt(u->fd, IPPROTO_IP, IP_PKTINFO, &want, sizeof(want));
	}
	setsockopt(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, &pmtu, sizeof(pmtu));
}

bool udp_start(int fd, const char *name, enum serves serves, size_t size, serve_fn *fn,
	       serve_ahead_fn *ahead)
{
	struct udp *u = mem_alloc(sizeof(*u));
	int r = uv_poll_init(loop_get(), &u->poll, fd);
	if (r != 0) {
		log_event(LOG_LV_ERROR, NULL, "listen-failed", LS("listener", name),
			  LS("reason", uv_strerror(r)));
		close(fd);
		free(u);
		return false;
	}
	if (!sockets)
		batch_init();
	*u = (struct udp){.poll = u->poll,
			  .fd = fd,
			  .next = sockets,
			  .any = bound_to_any(fd),
			  .serves = serves,
			  .size = size,
			  .serve = fn,
			  .ahead = ahead};
	sockets = u;
	list_init(&u->later);
	options(u);
	u->poll.data = u;
	uv_poll_start(&u->poll, UV_READABLE, on_readable);
	return true;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void udp_stop(void)
{
	while (sockets) {
		struct udp *u = sockets;
		sockets = u->next;
		uv_poll_stop(&u->poll);
		turn(u, LAST);
		later_gone(&u->later);
		close(u->fd);
		uv_close((uv_handle_t *)&u->poll, on_closed);
	}
}
