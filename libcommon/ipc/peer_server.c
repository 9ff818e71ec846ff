/* The server's end of peer.h. A connection is counted by references: one is the socket's, the
 * others are conn_hold()'s; memory of a request is apart (struct conn_kept), so that an
 * operation on another thread can outlive both. */
#include "libcommon/ipc/peer.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "libcommon/base/list.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/frame.h"
#include "libcommon/net/loop.h"

enum {
	ACCEPTS = 32,
	CONNS_MAX = 256,       /* of one listening socket */
	PENDING_MAX = 65536,   /* unanswered requests of one connection */
	HELLO_MS = 10000,      /* for the hello to come */
	REST_MS = 1000,        /* out of descriptors: accept again after this */
	FULL_SHARES = 8,       /* connections of one socket that have the whole credit each */
	PUSHED_MAX = 64 << 20, /* pushes that it does not read: the connection ends */
	QUEUED_LOOK_MS = 100,
};

struct server {
	struct list link, conns;
	unsigned conns_n;
	uv_poll_t poll;
	struct timer rest;
	int fd;
	enum role role;
	long allow_uid;
	uint64_t credit, epoch;
	const struct conn_ops *ops;
};

struct conn_kept {
	struct pool *pool;
	struct body *body; /* holds the descriptor; NULL: none came */
	size_t secret;     /* bytes of payload to wipe */
	char payload[];
};

struct conn {
	struct list link;
	struct server *s;
	struct frame_io *io; /* NULL when closed */
	const struct conn_ops *ops;
	enum role role;
	unsigned refs;
	int pid;
	bool greeted, paused;
	void *data;
	struct timer timer;  /* for the hello, then for answers that are not read */
	struct map *pending; /* request id -> its cost */
	uint64_t unanswered;
	struct conn_kept *current; /* the request inside on_request */
};

static struct list servers;

static void unref(struct conn *c)
{
	if (--c->refs)
		return;
	map_free(&c->pending);
	free(c);
}

/* --- the end of a connection ----------------------------------------------------------- */

static void conn_end(struct conn *c, enum log_level level, const char *why, const char *what)
{
	if (!c->io)
		return;
	log_event(level, NULL, "ipc-end", LS("role", role_name(c->role)), LI("pid", c->pid),
		  LS("reason", why), LS("message", what));
	timer_clear(&c->timer);
	struct frame_io *io = c->io;
	c->io = NULL;
	frame_close(io);
}

static void on_end(void *arg, const char *why)
{
	conn_end(arg, LOG_LV_DEBUG, why, NULL);
}

static void on_close(void *arg)
{
	struct conn *c = arg;
	list_del(&c->link);
	if (c->s)
		c->s->conns_n--;
	c->s = NULL;
	if (c->greeted)
		c->ops->on_close(c);
	unref(c);
}

static void on_hello_late(struct timer *t)
{
	conn_end(list_entry(t, struct conn, timer), LOG_LV_WARN, "no hello", NULL);
}

/* --- credit ---------------------------------------------------------------------------- */

static void credit_update(struct conn *c);

static void on_look(struct timer *t)
{
	credit_update(list_entry(t, struct conn, timer));
}

/* Of many connections each has less, so that a role's requests and answers stay bounded. */
static uint64_t share(const struct server *s)
{
	return s->conns_n <= FULL_SHARES ? s->credit : s->credit * FULL_SHARES / s->conns_n;
}

/* Reads no more requests while too much is unanswered, or too many answers are not read. */
static void credit_update(struct conn *c)
{
	if (!c->io || !c->greeted)
		return;
	uint64_t most = share(c->s);
	bool stuffed = frame_queued(c->io) > most;
	bool pause = stuffed || c->unanswered >= most || map_count(c->pending) >= PENDING_MAX;
	if (stuffed && !timer_is_set(&c->timer))
		timer_set(&c->timer, QUEUED_LOOK_MS, on_look);
	if (pause == c->paused)
		return;
	c->paused = pause;
	frame_pause(c->io, pause);
}

static void answered(struct conn *c, uint32_t request)
{
	/* The cost is kept in the pointer: never zero, a frame has a header. */
	uint64_t cost = (uintptr_t)map_del(c->pending, &request, sizeof(request));
	c->unanswered -= cost;
	credit_update(c);
}

/* --- requests -------------------------------------------------------------------------- */

static void greet(struct conn *c, uint32_t request, enum msg_type t, const struct msg_hello *m)
{
	if (t != MSG_hello) {
		conn_end(c, LOG_LV_WARN, "no hello", NULL);
	} else if (!m) {
		conn_end(c, LOG_LV_WARN, "malformed", "hello");
	} else if (m->version != IPC_VERSION) {
		struct msg_hello_ok other = {.version = IPC_VERSION};
		frame_send(c->io, MSG_hello_ok, request, &other); /* so that it can say why */
		conn_end(c, LOG_LV_WARN, "another version of the messages", NULL);
	} else if (m->role != (uint32_t)c->role) {
		conn_end(c, LOG_LV_WARN, "another role's socket", role_name((enum role)m->role));
	} else {
		timer_clear(&c->timer);
		c->greeted = true;
		struct msg_hello_ok ok = {
		    .version = IPC_VERSION, .credit = c->s->credit, .epoch = c->s->epoch};
		frame_send(c->io, MSG_hello_ok, request, &ok);
	}
}

static void request_in(struct conn *c, uint32_t request, const struct msg_info *info, void *msg,
		       uint64_t cost)
{
	if (!c->greeted) {
		greet(c, request, info->type, msg);
	} else if (!msg) {
		conn_end(c, LOG_LV_WARN, "malformed", info->name);
	} else if (info->type == MSG_hello || request == 0 ||
		   map_get(c->pending, &request, sizeof(request))) {
		conn_end(c, LOG_LV_WARN, "a request id or hello again", info->name);
	} else {
		map_set(c->pending, &request, sizeof(request), (void *)(uintptr_t)cost);
		c->unanswered += cost;
		credit_update(c);
		c->ops->on_request(c, request, info->type, msg);
	}
}

static void on_frame(void *arg, enum msg_type t, uint32_t request, struct slice payload, int fd)
{
	struct conn *c = arg;
	const struct msg_info *info = msg_info(t);
	if (!info || !(info->roles & R_BIT(c->role))) {
		if (fd >= 0)
			close(fd);
		conn_end(c, LOG_LV_WARN, "forbidden", info ? info->name : "unknown");
		return;
	}
	/* A copy, as the request may outlive the connection's buffer. */
	struct conn_kept *k = mem_realloc(NULL, sizeof(*k) + payload.len);
	k->pool = pool_new(0);
	k->body = NULL;
	k->secret = msg_secret(t) ? payload.len : 0;
	memcpy(k->payload, payload.p, payload.len);
	void *msg = msg_decode(k->pool, t, (struct slice){k->payload, payload.len}, fd);
	if (msg && fd >= 0)
		k->body = msg_body(t, msg);
	else if (fd >= 0)
		close(fd);
	uint64_t cost = IPC_HEADER + payload.len + (k->body ? k->body->size : 0);
	c->current = k;
	c->refs++;
	request_in(c, request, info, msg, cost);
	if (c->current)
		conn_drop(c->current);
	c->current = NULL;
	unref(c);
}

static const struct frame_ops FRAME_OPS = {on_frame, on_end, on_close};

struct conn_kept *conn_keep(struct conn *c)
{
	struct conn_kept *k = c->current;
	c->current = NULL;
	return k;
}

struct pool *conn_kept_pool(struct conn_kept *k)
{
	return k->pool;
}

void conn_drop(struct conn_kept *k)
{
	if (k->body && k->body->fd >= 0)
		close(k->body->fd);
	pool_free(&k->pool);
	explicit_bzero(k->payload, k->secret);
	free(k);
}

void conn_hold(struct conn *c)
{
	c->refs++;
}

void conn_release(struct conn *c)
{
	unref(c);
}

enum role conn_role(const struct conn *c)
{
	return c->role;
}

void *conn_data(const struct conn *c)
{
	return c->data;
}

void conn_set_data(struct conn *c, void *data)
{
	c->data = data;
}

void conn_reply(struct conn *c, uint32_t request, enum msg_type t, const void *msg)
{
	if (!c->io)
		return;
	if (!frame_send(c->io, t, request, msg)) {
		conn_error(c, request, ERR_SIZE, "the answer is too large");
		return;
	}
	if (frame_queued(c->io) > PUSHED_MAX) {
		conn_end(c, LOG_LV_WARN, "does not read its answers", NULL);
		return;
	}
	answered(c, request);
}

void conn_error(struct conn *c, uint32_t request, enum ipc_err code, const char *text)
{
	struct msg_error e = {.code = code, .text = slice_of(text ? text : ipc_err_name(code))};
	conn_reply(c, request, MSG_error, &e);
}

/* --- accepting ------------------------------------------------------------------------- */

/* True when the process at the other end may use this socket. */
static bool allowed(const struct server *s, int fd, int *pid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	*pid = cred.pid;
	if (cred.uid == 0 || (long)cred.uid == s->allow_uid)
		return true;
	log_event(LOG_LV_WARN, NULL, "ipc-refused", LS("role", role_name(s->role)),
		  LI("pid", cred.pid), LU("uid", cred.uid), LI("owner", s->allow_uid),
		  LS("reason", "another user's socket"));
	return false;
}

static void conn_new(struct server *s, int fd)
{
	int pid;
	if (s->conns_n >= CONNS_MAX) {
		log_event(LOG_LV_WARN, NULL, "ipc-refused", LS("role", role_name(s->role)),
			  LS("reason", "too many connections"));
		close(fd);
		return;
	}
	if (!allowed(s, fd, &pid)) {
		close(fd);
		return;
	}
	struct conn *c = mem_alloc(sizeof(*c));
	c->io = frame_open(fd, &FRAME_OPS, c);
	if (!c->io) {
		close(fd);
		free(c);
		return;
	}
	c->refs = 1;
	c->s = s;
	c->ops = s->ops;
	c->role = s->role;
	c->pid = pid;
	c->pending = map_new();
	list_add_tail(&s->conns, &c->link);
	s->conns_n++;
	timer_set(&c->timer, HELLO_MS, on_hello_late);
}

static void on_accept(uv_poll_t *p, int status, int events);

static void on_rest(struct timer *t)
{
	struct server *s = list_entry(t, struct server, rest);
	uv_poll_start(&s->poll, UV_READABLE, on_accept);
}

static void on_accept(uv_poll_t *p, int status, int events)
{
	struct server *s = p->data;
	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			conn_new(s, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
			log_event(LOG_LV_ERROR, NULL, "ipc-accept", LS("role", role_name(s->role)),
				  LS("reason", strerror(errno)));
			uv_poll_stop(&s->poll);
			timer_set(&s->rest, REST_MS, on_rest);
			return;
		} else {
			return;
		}
	}
}

void conn_serve(int listen_fd, enum role role, long allow_uid, uint64_t credit, uint64_t epoch,
		const struct conn_ops *ops)
{
	struct server *s = mem_alloc(sizeof(*s));
	if (!servers.next)
		list_init(&servers);
	s->fd = listen_fd;
	fcntl(listen_fd, F_SETFL, O_NONBLOCK);
	s->role = role;
	s->allow_uid = allow_uid;
	s->credit = credit;
	s->epoch = epoch;
	s->ops = ops;
	list_init(&s->conns);
	list_add_tail(&servers, &s->link);
	s->poll.data = s;
	int r = uv_poll_init(loop_get(), &s->poll, listen_fd);
	if (r == 0)
		r = uv_poll_start(&s->poll, UV_READABLE, on_accept);
	if (r != 0)
		log_event(LOG_LV_ERROR, NULL, "ipc-serve", LS("role", role_name(role)),
			  LS("reason", uv_strerror(r)));
}

long conn_socket_owner(int listen_fd)
{
	struct sockaddr_un sa = {0};
	socklen_t len = sizeof(sa);
	struct stat st;
	if (getsockname(listen_fd, (struct sockaddr *)&sa, &len) == 0 && sa.sun_path[0] &&
	    lstat(sa.sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		return (long)st.st_uid;
	return fstat(listen_fd, &st) == 0 && S_ISSOCK(st.st_mode) ? (long)st.st_uid : -1;
}

static void on_server_closed(uv_handle_t *h)
{
	struct server *s = h->data;
	close(s->fd);
	free(s);
}

void conn_serve_end(void)
{
	struct list *e;
	while (servers.next && (e = list_pop(&servers))) {
		struct server *s = list_entry(e, struct server, link);
		while ((e = list_pop(&s->conns))) {
			struct conn *c = list_entry(e, struct conn, link);
			conn_end(c, LOG_LV_DEBUG, "the service ends", NULL);
			c->s = NULL;
		}
		timer_clear(&s->rest);
		uv_close((uv_handle_t *)&s->poll, on_server_closed);
	}
}
