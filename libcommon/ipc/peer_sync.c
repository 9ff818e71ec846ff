/* The blocking client of peer.h: one socket, one request at a time, everything under a deadline. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/frame.h"
#include "libcommon/ipc/peer_int.h"

enum { READ_SIZE = 65536 };

struct peer_sync {
	int sock;
	unsigned timeout_ms;
	uint32_t last_id;
	struct buf in;
	size_t taken; /* bytes of the frame that the last call gave out */
	int fd;       /* arrived, its frame not yet whole */
	bool broken;
};

int peer_socket(const char *path, unsigned timeout_ms)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (!str_fmt(sa.sun_path, sizeof(sa.sun_path), "%s", path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (timeout_ms ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		return -1;
	/* A full backlog blocks connect for as long as a send may take. */
	struct timeval tv = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
	if (timeout_ms)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		int saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

void peer_hello(struct buf *out, enum role role)
{
	char who[64];
	int fd;
	str_fmt(who, sizeof(who), "%s[%d]", role_name(role), (int)getpid());
	struct msg_hello m = {.version = IPC_VERSION, .role = role, .instance = slice_of(who)};
	msg_encode(out, MSG_hello, 0, &m, &fd);
}

const char *peer_welcome(enum msg_type t, const struct msg_hello_ok *m)
{
	if (t != MSG_hello_ok)
		return "the service did not answer the hello";
	return m->version == IPC_VERSION ? NULL : "the service speaks another version";
}

/* Waits for the socket until the deadline; false with errno. */
static bool wait_for(int sock, short events, uint64_t deadline)
{
	for (;;) {
		uint64_t now = clock_mono();
		struct pollfd p = {.fd = sock, .events = events};
		int r = now < deadline ? poll(&p, 1, (int)(deadline - now)) : 0;
		if (r > 0)
			return true;
		if (r == 0)
			errno = ETIMEDOUT;
		if (r == 0 || errno != EINTR)
			return false;
	}
}

static bool send_all(struct peer_sync *p, struct slice wire, int fd, uint64_t deadline)
{
	if (fd >= 0)
		frame_seal(fd);
	while (wire.len) {
		ssize_t n = frame_sendmsg(p->sock, wire.p, wire.len, fd);
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0 && !wait_for(p->sock, POLLOUT, deadline))
			return false;
		if (n < 0)
			continue;
		fd = -1; /* it went with the first bytes */
		wire.p += n;
		wire.len -= (size_t)n;
	}
	return true;
}

/* Reads until a whole frame stands at the front of `in`. */
static bool recv_frame(struct peer_sync *p, struct frame_head *head, uint64_t deadline)
{
	buf_drop(&p->in, p->taken);
	p->taken = 0;
	for (;;) {
		if (p->in.len >= IPC_HEADER) {
			errno = EPROTO;
			if (!frame_head(p->in.p, head))
				return false;
			if (p->in.len - IPC_HEADER >= head->len)
				break;
		}
		int fd;
		char *at = buf_reserve(&p->in, READ_SIZE);
		ssize_t n = frame_recvmsg(p->sock, at, READ_SIZE, &fd);
		if (fd >= 0 && p->fd >= 0)
			close(p->fd);
		if (fd >= 0)
			p->fd = fd;
		if (n > 0) {
			p->in.len += (size_t)n;
			continue;
		}
		if (n == 0)
			errno = ECONNRESET;
		if (n == 0 || errno != EAGAIN || !wait_for(p->sock, POLLIN, deadline))
			return false;
	}
	p->taken = IPC_HEADER + head->len;
	return true;
}

/* The answer to `request`; NULL with errno: lost or malformed. No late answer to another one can
 * come: a time-out breaks the connection. */
static const void *answer_to(struct peer_sync *p, struct pool *pool, uint32_t request,
			     enum msg_type *type, int *fd, uint64_t deadline)
{
	struct frame_head h;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	if (!recv_frame(p, &h, deadline))
		return NULL;
	errno = EPROTO;
	if (h.request != request)
		return NULL;
	/* Copied: the message lives in the caller's pool. */
	char *payload = pool_dup(pool, p->in.p + IPC_HEADER, h.len);
	int came = h.has_fd ? p->fd : -1;
	const struct msg_info *info = msg_info(h.type);
	void *msg = info && !info->roles
			? msg_decode(pool, h.type, (struct slice){payload, h.len}, came)
			: NULL;
	*type = h.type;
	if (msg && came >= 0 && fd) {
		*fd = came;
		p->fd = -1;
	} else if (msg && came >= 0) {
		msg_body(h.type, msg)->fd = -1; /* closed with the next answer */
	}
	return msg;
}

struct peer_sync *peer_sync_open(const char *path, enum role role, unsigned timeout_ms,
				 const char **why)
{
	uint64_t deadline = clock_mono() + timeout_ms;
	int sock = peer_socket(path, timeout_ms);
	*why = sock < 0 ? strerror(errno) : NULL;
	if (sock < 0)
		return NULL;
	struct peer_sync *p = mem_alloc(sizeof(*p));
	struct buf hello = {0};
	struct pool *pool = pool_new(0);
	enum msg_type t = MSG_NONE;
	p->sock = sock;
	p->timeout_ms = timeout_ms;
	p->fd = -1;
	peer_hello(&hello, role);
	const void *m = NULL;
	if (send_all(p, buf_slice(&hello), -1, deadline))
		m = answer_to(p, pool, 0, &t, NULL, deadline);
	*why = m ? peer_welcome(t, m) : strerror(errno);
	buf_free(&hello);
	pool_free(&pool);
	if (*why)
		peer_sync_close(&p);
	return p;
}

static const void *failed(struct pool *pool, enum msg_type *type, enum ipc_err e, const char *text)
{
	struct msg_error *m = pool_alloc(pool, sizeof(*m));
	m->code = e;
	m->text = slice_of(text);
	*type = MSG_error;
	return m;
}

const void *peer_sync_call(struct peer_sync *p, struct pool *pool, enum msg_type t, const void *msg,
			   enum msg_type *type, int *fd)
{
	uint64_t deadline = clock_mono() + p->timeout_ms;
	struct buf wire = {0};
	const void *answer = NULL;
	int body;
	if (fd)
		*fd = -1;
	if (p->broken)
		return failed(pool, type, ERR_LOST, "the connection to the service broke");
	uint32_t id = ++p->last_id ? p->last_id : ++p->last_id;
	if (!msg_encode(&wire, t, id, msg, &body)) {
		buf_free(&wire);
		return failed(pool, type, ERR_SIZE, "the request is too large");
	}
	if (send_all(p, buf_slice(&wire), body, deadline))
		answer = answer_to(p, pool, id, type, fd, deadline);
	explicit_bzero(wire.p, wire.len); /* a password may be in it */
	buf_free(&wire);
	if (answer)
		return answer;
	p->broken = true;
	if (errno == ETIMEDOUT)
		return failed(pool, type, ERR_TEMP, "the service does not answer");
	return failed(pool, type, ERR_LOST, strerror(errno));
}

void peer_sync_limit(struct peer_sync *p, unsigned timeout_ms)
{
	p->timeout_ms = timeout_ms;
}

void peer_sync_close(struct peer_sync **pp)
{
	struct peer_sync *p = *pp;
	if (!p)
		return;
	close(p->sock);
	if (p->fd >= 0)
		close(p->fd);
	buf_free(&p->in);
	free(p);
	*pp = NULL;
}
