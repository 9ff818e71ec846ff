#include "libcommon/net/listen.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"
#include "libcommon/net/proxyproto.h"

enum { UDP_BUFFER = 2 << 20 }; /* octets that may wait to be read: a burst */
enum { BACKLOG = 1024, ACCEPTS = 64, REST_MS = 100, COMPLAIN_MS = 60000, HEADER_MS = 5000 };
enum { LOOKS_MAX = 256 };
enum { HEADERS_MAX = 1024 }; /* connections of a listener that wait for a PROXY header */

struct listener {
	uv_poll_t poll;
	int fd;
	const struct listen_spec *spec;
	struct limits *limits;
	const struct listen_ops *ops;
	struct timer rest; /* out of descriptors: accept again later */
	uint64_t complained;
	struct list waiting; /* of struct header */
	unsigned waiting_n;
};

/* A connection whose PROXY header has not come yet. */
struct header {
	struct list link;
	uv_poll_t poll;
	struct timer timer;
	struct listener *l;
	int fd;
	unsigned looks;
};

/* Connections of this process per listener; keyed by the spec, which outlives both. */
struct total {
	struct total *next;
	const struct listen_spec *spec;
	uint32_t count;
};
static struct total *totals;

static uint32_t *total_of(const struct listen_spec *spec)
{
	struct total *t = totals;
	while (t && t->spec != spec)
		t = t->next;
	if (!t) {
		t = mem_alloc(sizeof(*t));
		t->spec = spec;
		t->next = totals;
		totals = t;
	}
	return &t->count;
}

const char *listen_name(struct pool *pool, const char *kind, const struct conf_addr *addr)
{
	char *name = pool_printf(pool, "%s-%s", kind, addr->text);
	for (char *p = name; *p; p++)
		if (strchr(":/[] ", *p))
			*p = '-';
	return name;
}

void listen_add(struct pool *pool, struct listen_spec *at, size_t *n, const struct conf_list *addrs,
		const struct listen_spec *like)
{
	for (size_t i = 0; i < addrs->n; i++) {
		struct listen_spec *spec = &at[(*n)++];
		*spec = *like;
		spec->addr = *(const struct conf_addr *)addrs->item[i];
		spec->name = listen_name(pool, like->name, &spec->addr);
	}
}

bool listen_unix(struct pool *pool, const char *path, struct conf_addr *out)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	if (path[0] != '/' || len >= sizeof(un.sun_path))
		return false;
	memcpy(un.sun_path, path, len);
	memset(out, 0, sizeof(*out));
	memcpy(&out->sa, &un, sizeof(un));
	out->len = sizeof(un);
	out->text = pool_printf(pool, "unix:%s", path);
	return true;
}

/* The user who connected. One that the kernel does not name is nobody. */
static struct sockaddr_local local_peer(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	struct sockaddr_local sa = {AF_UNIX, (uid_t)-1};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
		sa.uid = who.uid;
	return sa;
}

static void refuse(struct listener *l, int fd, const struct sockaddr *peer, const char *why)
{
	char text[64] = "local";
	if (peer->sa_family == AF_INET || peer->sa_family == AF_INET6)
		uv_ip_name(peer, text, sizeof(text));
	log_event(LOG_LV_WARN, NULL, "refused", LS("listener", l->spec->name), LS("peer", text),
		  LS("reason", why));
	if (l->ops->on_refuse)
		l->ops->on_refuse(fd, l->spec, why);
	close(fd);
}

/* The peer is known now: limits, then the daemon. */
static void take(struct listener *l, int fd, const struct sockaddr *peer,
		 const struct sockaddr *local)
{
	const struct listen_spec *spec = l->spec;
	uint32_t *total = total_of(spec);
	struct sockaddr_local user;
	if (peer->sa_family == AF_UNIX) {
		user = local_peer(fd);
		peer = (const struct sockaddr *)(const void *)&user;
	}
	if (spec->max_total && *total >= spec->max_total) {
		refuse(l, fd, peer, "too many connections");
		return;
	}
	if (l->limits && !limits_connect(l->limits, peer, spec->max_per_address)) {
		refuse(l, fd, peer,
		       peer->sa_family == AF_UNIX ? "too many connections of this user"
						  : "too many connections from this address");
		return;
	}
	++*total;
	l->ops->on_accept(fd, peer, local, spec);
}

void listen_done(const struct listen_spec *spec, struct limits *limits, const struct sockaddr *peer)
{
	uint32_t *total = total_of(spec);
	if (*total)
		--*total;
	if (limits)
		limits_disconnect(limits, peer);
}

/* --- PROXY headers --------------------------------------------------------------------- */

static void on_header_closed(uv_handle_t *h)
{
	free(h->data);
}

/* Stops watching; the fd stays open when keep. */
static void header_end(struct header *h, bool keep)
{
	timer_clear(&h->timer);
	list_del(&h->link);
	h->l->waiting_n--;
	uv_poll_stop(&h->poll);
	if (!keep)
		close(h->fd);
	uv_close((uv_handle_t *)&h->poll, on_header_closed);
}

static void on_header_late(struct timer *t)
{
	struct header *h = list_entry(t, struct header, timer);
	log_event(LOG_LV_WARN, NULL, "proxy-header-missing", LS("listener", h->l->spec->name));
	header_end(h, false);
}

/* The header is looked at with MSG_PEEK and then taken exactly, so that what follows it is
 * still in the socket for the stream or TLS. */
static void on_header(uv_poll_t *p, int status, int events)
{
	struct header *h = p->data;
	struct proxyproto pp;
	char bytes[PROXYPROTO_MAX];
	(void)status;
	(void)events;
	ssize_t n = recv(h->fd, bytes, sizeof(bytes), MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	long used = n > 0 ? proxyproto_parse((struct slice){bytes, (size_t)n}, &pp) : -1;
	/* Polled again only when more than this is there: a peek takes nothing, and a slow peer
	 * must not cost a core. Unix sockets know no such mark, hence the count. */
	int more = (int)n + 1, one = 1;
	if (used == 0 && ++h->looks < LOOKS_MAX) {
		setsockopt(h->fd, SOL_SOCKET, SO_RCVLOWAT, &more, sizeof(more));
		return;
	}
	setsockopt(h->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	struct listener *l = h->l;
	int fd = h->fd;
	bool good = used > 0 && recv(fd, bytes, (size_t)used, 0) == used;
	if (!good) {
		log_event(LOG_LV_WARN, NULL, "proxy-header-bad", LS("listener", l->spec->name));
		header_end(h, false);
		return;
	}
	header_end(h, true);
	struct sockaddr_storage peer = {0}, local = {0};
	socklen_t len = sizeof(peer);
	getpeername(fd, (struct sockaddr *)&peer, &len);
	len = sizeof(local);
	getsockname(fd, (struct sockaddr *)&local, &len);
	take(l, fd, (struct sockaddr *)(pp.local ? &peer : &pp.peer),
	     (struct sockaddr *)(pp.local ? &local : &pp.self));
}

static void header_start(struct listener *l, int fd)
{
	if (l->waiting_n >= HEADERS_MAX) {
		log_event(LOG_LV_WARN, NULL, "refused", LS("listener", l->spec->name),
			  LS("reason", "too many connections without a PROXY header"));
		close(fd);
		return;
	}
	struct header *h = mem_alloc(sizeof(*h));
	h->l = l;
	h->fd = fd;
	h->poll.data = h;
	list_add_tail(&l->waiting, &h->link);
	l->waiting_n++;
	uv_poll_init(loop_get(), &h->poll, fd);
	uv_poll_start(&h->poll, UV_READABLE, on_header);
	timer_set(&h->timer, HEADER_MS, on_header_late);
}

static bool from_proxy(const struct listen_spec *spec, const struct sockaddr *peer)
{
	for (size_t i = 0; spec->proxy_from && i < spec->proxy_from->n; i++)
		if (conf_net_has(spec->proxy_from->item[i], peer))
			return true;
	return false;
}

/* --- accepting ------------------------------------------------------------------------- */

static void on_ready(uv_poll_t *p, int status, int events);

static void on_rested(struct timer *t)
{
	struct listener *l = list_entry(t, struct listener, rest);
	uv_poll_start(&l->poll, UV_READABLE, on_ready);
}

static void rest(struct listener *l, int err)
{
	uint64_t now = clock_mono();
	if (!l->complained || now - l->complained > COMPLAIN_MS) {
		l->complained = now;
		log_event(LOG_LV_ERROR, NULL, "accept-failed", LS("listener", l->spec->name),
			  LS("reason", strerror(err)));
	}
	uv_poll_stop(&l->poll);
	timer_set(&l->rest, REST_MS, on_rested);
}

static void on_ready(uv_poll_t *p, int status, int events)
{
	struct listener *l = p->data;
	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS && l->fd >= 0; i++) {
		struct sockaddr_storage peer = {0}, local = {0};
		socklen_t len = sizeof(peer);
		int fd =
		    accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (fd < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
			rest(l, errno);
			return;
		}
		if (fd < 0)
			continue; /* the peer went away while it waited */
		if (from_proxy(l->spec, (struct sockaddr *)&peer)) {
			header_start(l, fd);
			continue;
		}
		len = sizeof(local);
		getsockname(fd, (struct sockaddr *)&local, &len);
		take(l, fd, (struct sockaddr *)&peer, (struct sockaddr *)&local);
	}
}

struct listener *listen_start(int fd, const struct listen_spec *spec, struct limits *limits,
			      const struct listen_ops *ops)
{
	if (fd < 0)
		fd = listen_bind(&spec->addr, spec->backlog);
	struct listener *l = mem_alloc(sizeof(*l));
	int r = fd < 0 ? uv_translate_sys_error(errno) : uv_poll_init(loop_get(), &l->poll, fd);
	if (r != 0) {
		log_event(LOG_LV_ERROR, NULL, "listen-failed", LS("listener", spec->name),
			  LS("address", spec->addr.text), LS("reason", uv_strerror(r)));
		if (fd >= 0)
			close(fd);
		free(l);
		return NULL;
	}
	l->fd = fd;
	l->spec = spec;
	l->limits = limits;
	l->ops = ops;
	l->poll.data = l;
	list_init(&l->waiting);
	uv_poll_start(&l->poll, UV_READABLE, on_ready);
	return l;
}

static void on_listener_closed(uv_handle_t *h)
{
	free(h->data);
}

void listen_stop(struct listener *l)
{
	timer_clear(&l->rest);
	list_each_safe(it, nx, &l->waiting) header_end(list_entry(it, struct header, link), false);
	uv_poll_stop(&l->poll); /* before the close: epoll must not hear of another fd's number */
	close(l->fd);
	l->fd = -1;
	uv_close((uv_handle_t *)&l->poll, on_listener_closed);
}

int listen_bind(const struct conf_addr *addr, int backlog)
{
	const struct sockaddr *sa = (const struct sockaddr *)&addr->sa;
	const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&addr->sa;
	int one = 1, off = 0;
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* "*" stands for both families, [::] for IPv6 alone. */
	if (sa->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, addr->text[0] == '*' ? &off : &one,
			   sizeof(off));
	if (sa->sa_family == AF_UNIX)
		unlink(un->sun_path);
	if (bind(fd, sa, addr->len) != 0 || listen(fd, backlog ? backlog : BACKLOG) != 0 ||
	    (sa->sa_family == AF_UNIX && chmod(un->sun_path, 0660) != 0)) {
		int err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

int listen_bind_udp(const struct conf_addr *addr)
{
	const struct sockaddr *sa = (const struct sockaddr *)&addr->sa;
	int one = 1, only = addr->text[0] != '*', room = UDP_BUFFER;
	int fd = socket(sa->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	/* CAP_NET_ADMIN goes beyond net.core.rmem_max; without it that is the limit. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	/* Before the bind, or the first datagrams would lack it. */
	if (sa->sa_family == AF_INET) {
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	} else {
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	}
	if (bind(fd, sa, addr->len) == 0)
		return fd;
	int err = errno;
	close(fd);
	errno = err;
	return -1;
}
