/* The asynchronous client of peer.h.
 *
 *   DOWN --connect--> HELLO --hello_ok--> UP --connection lost--> DOWN (wait, connect ...)
 *
 * A call is in `calls` under its id from peer_call() to its last answer. It stands in `waiting`
 * until credit and connection allow to send it, then in `sent`. Calls in `sent` when the
 * connection breaks move to `lost` and are told; those in `waiting` stay for the next one. */
#include "libcommon/ipc/peer.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/list.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/frame.h"
#include "libcommon/ipc/peer_int.h"
#include "libcommon/net/loop.h"

enum { BACKOFF_MS = 100, BACKOFF_MAX_MS = 5000, STEADY_MS = 5000 };

struct call {
	struct list link;
	uint32_t id;
	enum { WAITING, SENT, LOST } where;
	bool watch, secret;
	peer_reply_fn *fn; /* NULL: cancelled */
	void *arg;
	uint64_t cost, since;
	struct buf wire; /* while it waits */
	int fd;
};

enum state { DOWN, HELLO, UP };
struct peer {
	char *path;
	enum role role;
	void (*on_up)(struct peer *p, void *arg);
	void *arg;
	enum state state;
	struct frame_io *io; /* NULL when DOWN */
	struct pool *pool;   /* of the message being delivered */
	struct map *calls;
	struct list waiting, sent, lost;
	struct call *current; /* whose callback runs */
	unsigned waiting_n;
	uint64_t waiting_bytes, unanswered, credit;
	uint32_t last_id;
	struct timer retry, expire;
	unsigned backoff_ms;
	uint64_t up_since;
	bool complained; /* the reason why it is down was logged */
	unsigned depth;  /* callbacks running: not freed before they return */
	unsigned ios;    /* sockets whose on_close has not come */
	bool dead;
};

static void reconnect(struct timer *t);
static void send_waiting(struct peer *p);

static void wire_free(struct buf *wire, bool secret)
{
	if (secret && wire->p)
		explicit_bzero(wire->p, wire->cap);
	buf_free(wire);
}

/* --- calls ----------------------------------------------------------------------------- */

static void call_free(struct peer *p, struct call *call)
{
	map_del(p->calls, &call->id, sizeof(call->id));
	list_del(&call->link);
	wire_free(&call->wire, call->secret);
	if (call->fd >= 0)
		close(call->fd);
	free(call);
}

/* The last reference gone, and no callback running. */
static void collect(struct peer *p)
{
	if (!p->dead || p->depth || p->ios)
		return;
	pool_free(&p->pool);
	map_free(&p->calls);
	free(p->path);
	free(p);
}

static void call_answer(struct peer *p, struct call *call, enum msg_type t, const void *msg)
{
	if (!call->fn)
		return;
	p->depth++;
	call->fn(call->arg, t, msg);
	p->depth--;
}

/* Out of `waiting`. */
static void unwait(struct peer *p, struct call *call)
{
	list_del(&call->link);
	p->waiting_n--;
	p->waiting_bytes -= call->cost;
}

static void fail_lost(struct peer *p, enum ipc_err err, const char *text)
{
	struct msg_error e = {.code = err, .text = slice_of(text)};
	while (!p->dead && !list_empty(&p->lost)) {
		struct call *call = list_entry(p->lost.next, struct call, link);
		call_answer(p, call, MSG_error, &e);
		if (!p->dead) /* else peer_free did it */
			call_free(p, call);
	}
}

static void on_expire(struct timer *t)
{
	struct peer *p = list_entry(t, struct peer, expire);
	uint64_t now = clock_mono();
	p->depth++;
	while (!list_empty(&p->waiting)) {
		struct call *call = list_entry(p->waiting.next, struct call, link);
		if (now - call->since < PEER_WAIT_MS) {
			timer_set(&p->expire, PEER_WAIT_MS - (now - call->since), on_expire);
			break;
		}
		unwait(p, call);
		call->where = LOST;
		list_add_tail(&p->lost, &call->link);
	}
	fail_lost(p, ERR_TEMP, "the service does not answer");
	p->depth--;
	collect(p);
}

/* --- the connection -------------------------------------------------------------------- */

static void down(struct peer *p, const char *why)
{
	uint64_t now = clock_mono();
	struct frame_io *io = p->io;
	if (!p->complained)
		log_event(LOG_LV_WARN, NULL, "ipc-down", LS("socket", p->path), LS("reason", why));
	p->complained = true;
	if (p->state == UP && now - p->up_since >= STEADY_MS)
		p->backoff_ms = BACKOFF_MS;
	p->state = DOWN;
	p->io = NULL;
	p->unanswered = 0;
	if (io)
		frame_close(io);
	timer_set(&p->retry, p->backoff_ms, reconnect);
	p->backoff_ms = p->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : p->backoff_ms * 2;
	struct list *it;
	while ((it = list_pop(&p->sent))) {
		list_entry(it, struct call, link)->where = LOST;
		list_add_tail(&p->lost, it);
	}
	p->depth++;
	fail_lost(p, ERR_LOST, "the connection to the service broke");
	p->depth--;
}

static void on_hello_ok(struct peer *p, enum msg_type t, const struct msg_hello_ok *m)
{
	const char *wrong = peer_welcome(t, m);
	if (wrong) {
		down(p, wrong);
		return;
	}
	p->state = UP;
	p->credit = m->credit;
	p->up_since = clock_mono();
	if (p->complained)
		log_event(LOG_LV_INFO, NULL, "ipc-up", LS("socket", p->path));
	p->complained = false;
	/* First what on_up says anew (watches), then what waited. */
	if (p->on_up) {
		p->depth++;
		p->on_up(p, p->arg);
		p->depth--;
	}
	if (!p->dead)
		send_waiting(p);
}

/* Forgets a watch here and there. */
static void unwatch(struct peer *p, struct call *call)
{
	struct msg_unwatch m = {.request = call->id};
	call_free(p, call);
	peer_call(p, MSG_unwatch, &m, NULL, NULL);
}

static void on_answer(struct peer *p, struct call *call, enum msg_type t, const void *msg)
{
	p->unanswered -= call->cost;
	call->cost = 0; /* a watch goes on without one */
	p->current = call;
	call_answer(p, call, t, msg);
	p->current = NULL;
	if (p->dead)
		return;
	if (!call->watch || t == MSG_error)
		call_free(p, call);
	else if (!call->fn)
		unwatch(p, call);
	send_waiting(p);
}

static void on_frame(void *arg, enum msg_type t, uint32_t request, struct slice payload, int fd)
{
	struct peer *p = arg;
	struct call *call = map_get(p->calls, &request, sizeof(request));
	const struct msg_info *info = msg_info(t);
	p->depth++;
	void *msg = info && !info->roles ? msg_decode(p->pool, t, payload, fd) : NULL;
	struct body *body = msg ? msg_body(t, msg) : NULL;
	if (!msg)
		down(p, "the service sent a malformed message");
	else if (p->state == HELLO)
		on_hello_ok(p, t, msg);
	else if (call) /* else of a cancelled watch */
		on_answer(p, call, t, msg);
	if (fd >= 0 && (!body || body->fd >= 0))
		close(fd);
	pool_clear(p->pool);
	p->depth--;
	if (p->dead && p->io) {
		frame_close(p->io);
		p->io = NULL;
	}
}

static void on_end(void *arg, const char *why)
{
	struct peer *p = arg;
	down(p, why);
}

static void on_close(void *arg)
{
	struct peer *p = arg;
	p->ios--;
	collect(p);
}

static const struct frame_ops OPS = {on_frame, on_end, on_close};

static void reconnect(struct timer *t)
{
	struct peer *p = list_entry(t, struct peer, retry);
	struct buf hello = {0};
	int fd = peer_socket(p->path, 0);
	if (fd >= 0)
		p->io = frame_open(fd, &OPS, p);
	if (!p->io) {
		const char *why = strerror(errno);
		if (fd >= 0)
			close(fd);
		down(p, why);
		return;
	}
	p->ios++;
	p->state = HELLO;
	peer_hello(&hello, p->role);
	frame_send_wire(p->io, buf_slice(&hello), -1);
	buf_free(&hello);
}

struct peer *peer_connect(const char *path, enum role role,
			  void (*on_up)(struct peer *p, void *arg), void *arg)
{
	struct peer *p = mem_alloc(sizeof(*p));
	p->path = mem_strdup(path);
	p->role = role;
	p->on_up = on_up;
	p->arg = arg;
	p->pool = pool_new(4096);
	p->calls = map_new();
	p->backoff_ms = BACKOFF_MS;
	list_init(&p->waiting);
	list_init(&p->sent);
	list_init(&p->lost);
	reconnect(&p->retry);
	return p;
}

void peer_free(struct peer **pp)
{
	struct peer *p = *pp;
	if (!p)
		return;
	struct list *const heads[] = {&p->waiting, &p->sent, &p->lost};
	*pp = NULL;
	p->dead = true;
	timer_clear(&p->retry);
	timer_clear(&p->expire);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		while (!list_empty(heads[i]))
			call_free(p, list_entry(heads[i]->next, struct call, link));
	/* Inside a callback the message that it was given must stay: on_frame closes then. */
	if (p->io && !p->depth) {
		frame_close(p->io);
		p->io = NULL;
	}
	collect(p);
}

bool peer_up(const struct peer *p)
{
	return p->state == UP;
}

/* --- requests -------------------------------------------------------------------------- */

static bool has_credit(const struct peer *p, uint64_t cost)
{
	/* One request goes always, even one above the credit. */
	return p->state == UP && (!p->unanswered || p->unanswered + cost <= p->credit);
}

static void transmit(struct peer *p, struct call *call, struct slice wire, int fd)
{
	p->unanswered += call->cost;
	call->where = SENT;
	list_add_tail(&p->sent, &call->link);
	frame_send_wire(p->io, wire, fd);
}

static void send_waiting(struct peer *p)
{
	while (!list_empty(&p->waiting)) {
		struct call *call = list_entry(p->waiting.next, struct call, link);
		if (!has_credit(p, call->cost))
			return;
		unwait(p, call);
		transmit(p, call, buf_slice(&call->wire), call->fd);
		wire_free(&call->wire, call->secret);
		if (call->fd >= 0)
			close(call->fd);
		call->fd = -1;
	}
	timer_clear(&p->expire);
}

static uint32_t next_id(struct peer *p)
{
	do
		p->last_id++;
	while (p->last_id == 0 || map_get(p->calls, &p->last_id, sizeof(p->last_id)));
	return p->last_id;
}

static uint64_t cost_of(const struct buf *wire, enum msg_type t, const void *msg)
{
	/* msg_body only points into it */
	const struct body *b = msg_body(t, (void *)(uintptr_t)msg);
	return wire->len + (b && b->fd > 0 ? b->size : 0);
}

uint32_t peer_call(struct peer *p, enum msg_type t, const void *msg, peer_reply_fn *fn, void *arg)
{
	struct buf wire = {0};
	int fd;
	uint32_t id = next_id(p);
	if (!msg_encode(&wire, t, id, msg, &fd)) {
		buf_free(&wire);
		return 0;
	}
	uint64_t cost = cost_of(&wire, t, msg);
	bool now = list_empty(&p->waiting) && has_credit(p, cost);
	if (!now && p->waiting_n &&
	    (p->waiting_n >= PEER_WAIT_MAX || p->waiting_bytes + cost > PEER_WAIT_BYTES)) {
		wire_free(&wire, msg_secret(t));
		return 0;
	}
	struct call *call = mem_alloc(sizeof(*call));
	*call = (struct call){.id = id, .fn = fn, .arg = arg, .cost = cost, .fd = -1};
	call->secret = msg_secret(t);
	call->watch = t == MSG_watch || t == MSG_certs_watch;
	map_set(p->calls, &id, sizeof(id), call);
	if (now) {
		transmit(p, call, buf_slice(&wire), fd);
		wire_free(&wire, call->secret);
		return id;
	}
	call->wire = wire;
	call->since = clock_mono();
	if (fd >= 0) {
		frame_seal(fd);
		call->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	list_add_tail(&p->waiting, &call->link);
	p->waiting_n++;
	p->waiting_bytes += cost;
	if (!timer_is_set(&p->expire))
		timer_set(&p->expire, PEER_WAIT_MS, on_expire);
	return id;
}

void peer_cancel(struct peer *p, uint32_t request)
{
	struct call *call = map_get(p->calls, &request, sizeof(request));
	if (!call || !call->fn)
		return;
	call->fn = NULL;
	if (call->where == WAITING) {
		unwait(p, call);
		call_free(p, call);
	} else if (call->where == SENT && call->watch && !call->cost && call != p->current) {
		unwatch(p, call); /* answered already: only pushes could follow */
	}
}

enum ipc_err peer_error(enum msg_type type, const void *msg, struct slice *text)
{
	const struct msg_error *e = msg;
	if (type != MSG_error) {
		if (text)
			*text = (struct slice){"", 0};
		return ERR_OK;
	}
	if (text)
		*text = e->text;
	return e->code > ERR_OK && e->code < ERR_COUNT ? (enum ipc_err)e->code : ERR_TEMP;
}
