#include "libcommon/ipc/frame.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"

enum { READ_SIZE = 65536, FDS_MAX = 16, ROUNDS = 16, IOV = 32 };

struct out_frame {
	struct out_frame *next;
	int fd; /* goes with the first byte; -1: none, or gone */
	size_t len, off;
	char *data; /* owned */
};

struct frame_io {
	uv_poll_t poll;
	int sock, events;
	unsigned refs;
	const struct frame_ops *ops;
	void *arg;
	struct buf in;
	size_t in_off;    /* delivered already */
	int fds[FDS_MAX]; /* arrived, their frames not yet whole */
	unsigned fds_n;
	struct out_frame *out_head, *out_last;
	size_t queued;
	bool closed, ended, paused, flush_due, pump_due;
};

static void pump_deferred(void *arg);

static ssize_t send_iov(int sock, struct iovec *iov, size_t n, int fd)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = n};
	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.space);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	ssize_t r;
	do
		r = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r;
}

ssize_t frame_sendmsg(int sock, const void *p, size_t n, int fd)
{
	struct iovec iov = {(void *)(uintptr_t)p, n};
	return send_iov(sock, &iov, 1, fd);
}

/* Keeps the first descriptor of a message. The padding of the control space has room for a second
 * one: whoever sends it leaves nothing behind here. */
static void take_fds(const struct cmsghdr *c, int *fd)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (size_t i = 0; i < n; i++) {
		int got;
		memcpy(&got, CMSG_DATA(c) + i * sizeof(got), sizeof(got));
		if (*fd < 0)
			*fd = got;
		else
			close(got);
	}
}

ssize_t frame_recvmsg(int sock, void *p, size_t n, int *fd)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {p, n};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control.space)};
	ssize_t r;
	*fd = -1;
	do
		r = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return r;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			take_fds(c, fd);
	return r;
}

bool frame_head(const void *p, struct frame_head *out)
{
	const unsigned char *b = p;
	out->len =
	    (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
	out->type = (enum msg_type)(b[4] | b[5] << 8);
	out->has_fd = b[6] & IPC_FLAG_FD;
	out->request =
	    (uint32_t)b[8] | (uint32_t)b[9] << 8 | (uint32_t)b[10] << 16 | (uint32_t)b[11] << 24;
	return out->len <= IPC_FRAME_MAX;
}

void frame_seal(int fd)
{
	/* A descriptor that cannot be sealed is refused by the receiver, with its reason. */
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
}

static void unref(struct frame_io *io)
{
	if (--io->refs == 0)
		free(io);
}

static void on_poll_closed(uv_handle_t *h)
{
	struct frame_io *io = h->data;
	close(io->sock);
	io->ops->on_close(io->arg);
	unref(io);
}

static void wipe_secret(char *frame, size_t len)
{
	struct frame_head h;
	if (frame_head(frame, &h) && msg_secret(h.type))
		explicit_bzero(frame, len);
}

static void out_pop(struct frame_io *io)
{
	struct out_frame *f = io->out_head;
	io->out_head = f->next;
	if (!io->out_head)
		io->out_last = NULL;
	if (f->fd >= 0)
		close(f->fd);
	wipe_secret(f->data, f->len);
	free(f->data);
	free(f);
}

static void poll_update(struct frame_io *io);

static void end(struct frame_io *io, const char *why)
{
	if (io->closed || io->ended)
		return;
	io->ended = true;
	poll_update(io);
	io->ops->on_end(io->arg, why);
}

/* The frames up to the next with a descriptor in one call, which wakes the other side once; one
 * with a descriptor by itself. */
static ssize_t send_frames(const struct frame_io *io)
{
	struct iovec iov[IOV];
	size_t n = 0;
	for (struct out_frame *f = io->out_head; f && n < IOV; f = f->next) {
		if (n && (f->fd >= 0 || io->out_head->fd >= 0))
			break;
		iov[n++] = (struct iovec){f->data + f->off, f->len - f->off};
	}
	return send_iov(io->sock, iov, n, io->out_head->fd);
}

static void sent(struct frame_io *io, size_t n)
{
	io->queued -= n;
	if (io->out_head->fd >= 0) {
		close(io->out_head->fd);
		io->queued -= FRAME_FD_WEIGHT;
		io->out_head->fd = -1;
	}
	while (n) {
		struct out_frame *f = io->out_head;
		size_t here = n < f->len - f->off ? n : f->len - f->off;
		f->off += here;
		n -= here;
		if (f->off == f->len)
			out_pop(io);
	}
}

/* False when the connection failed. */
static bool flush(struct frame_io *io)
{
	while (io->out_head) {
		ssize_t n = send_frames(io);
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		sent(io, (size_t)n);
	}
	return true;
}

/* The next whole frame of the buffer; false when there is none. */
static bool deliver_one(struct frame_io *io)
{
	struct frame_head h;
	size_t left = io->in.len - io->in_off;
	if (io->closed || io->ended || io->paused || left < IPC_HEADER)
		return false;
	char *at = io->in.p + io->in_off;
	if (!frame_head(at, &h)) {
		end(io, "a frame over the limit");
		return false;
	}
	if (left - IPC_HEADER < h.len)
		return false;
	int fd = -1;
	if (h.has_fd && io->fds_n == 0) {
		end(io, "a frame without its descriptor");
		return false;
	}
	if (h.has_fd) {
		fd = io->fds[0];
		memmove(io->fds, io->fds + 1, --io->fds_n * sizeof(int));
	}
	io->in_off += IPC_HEADER + h.len;
	io->ops->on_frame(io->arg, h.type, h.request, (struct slice){at + IPC_HEADER, h.len}, fd);
	if (!io->closed) /* else the buffer is gone */
		wipe_secret(at, IPC_HEADER + h.len);
	return true;
}

/* How much to read next: the rest of a frame that has begun is read at once. */
static size_t read_size(const struct frame_io *io)
{
	struct frame_head h;
	if (io->in.len < IPC_HEADER || !frame_head(io->in.p, &h))
		return READ_SIZE;
	size_t whole = IPC_HEADER + h.len;
	size_t rest = whole > io->in.len ? whole - io->in.len : 0;
	return rest < READ_SIZE ? READ_SIZE : rest + IPC_HEADER; /* a full read asks for another */
}

static void pump(struct frame_io *io)
{
	bool more = true;
	for (int i = 0; i < ROUNDS; i++) {
		while (deliver_one(io))
			;
		if (io->closed)
			return;
		buf_drop(&io->in, io->in_off);
		io->in_off = 0;
		if (io->ended || io->paused)
			return;
		if (!more) {
			if (io->in.len == 0)
				buf_free(&io->in); /* idle connections keep no buffer */
			return;
		}
		int fd;
		size_t size = read_size(io);
		char *at = buf_reserve(&io->in, size);
		ssize_t n = frame_recvmsg(io->sock, at, size, &fd);
		if (fd >= 0 && io->fds_n == FDS_MAX) {
			close(fd);
			end(io, "more descriptors than frames");
			return;
		}
		if (fd >= 0)
			io->fds[io->fds_n++] = fd;
		if (n > 0) {
			io->in.len += (size_t)n;
			/* A short read has emptied the socket, or stopped behind a descriptor:
			 * then polling, which goes by level, tells of the rest. */
			more = (size_t)n == size;
		} else if (n == 0) {
			end(io, "closed by the other side");
			return;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			if (io->in.len == 0)
				buf_free(&io->in); /* idle connections keep no buffer */
			return;
		} else {
			end(io, strerror(errno));
			return;
		}
	}
	if (!io->pump_due) {
		io->pump_due = true;
		io->refs++;
		loop_defer(pump_deferred, io);
	}
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct frame_io *io = p->data;
	io->refs++;
	if (status < 0) {
		/* libuv stops polling at EPOLLERR (the other side went with our bytes unread):
		 * what is still to be read comes first, then the reason. */
		io->events = 0;
		if (!io->closed && !io->paused)
			pump(io);
		end(io, "reset by the other side");
	}
	if ((events & UV_WRITABLE) && !io->closed && !flush(io))
		end(io, "cannot be written to");
	if (!io->closed && (events & UV_READABLE))
		pump(io);
	poll_update(io);
	unref(io);
}

static void poll_update(struct frame_io *io)
{
	if (io->closed)
		return;
	int events = io->ended || io->paused ? 0 : UV_READABLE;
	if (io->out_head && !io->ended)
		events |= UV_WRITABLE;
	if (events == io->events)
		return;
	io->events = events;
	if (events)
		uv_poll_start(&io->poll, events, on_poll);
	else
		uv_poll_stop(&io->poll);
}

static void pump_deferred(void *arg)
{
	struct frame_io *io = arg;
	io->pump_due = false;
	if (!io->closed && !io->ended)
		pump(io);
	poll_update(io);
	unref(io);
}

static void flush_deferred(void *arg)
{
	struct frame_io *io = arg;
	io->flush_due = false;
	if (!io->closed && !io->ended && !flush(io))
		end(io, "cannot be written to");
	poll_update(io);
	unref(io);
}

struct frame_io *frame_open(int fd, const struct frame_ops *ops, void *arg)
{
	struct frame_io *io = mem_alloc(sizeof(*io));
	io->sock = fd;
	io->refs = 1;
	io->ops = ops;
	io->arg = arg;
	buf_init(&io->in, IPC_HEADER + IPC_FRAME_MAX + READ_SIZE);
	if (uv_poll_init(loop_get(), &io->poll, fd) != 0) {
		free(io);
		return NULL;
	}
	io->poll.data = io;
	poll_update(io);
	return io;
}

void frame_close(struct frame_io *io)
{
	if (io->closed)
		return;
	if (!io->ended)
		flush(io);
	io->closed = true;
	while (io->out_head)
		out_pop(io);
	while (io->fds_n)
		close(io->fds[--io->fds_n]);
	if (io->in.p)
		explicit_bzero(io->in.p, io->in.len);
	buf_free(&io->in);
	uv_close((uv_handle_t *)&io->poll, on_poll_closed);
}

/* Queues the frame, whose memory is taken over. */
static void enqueue(struct frame_io *io, char *data, size_t len, int fd)
{
	struct out_frame *f = mem_alloc(sizeof(*f));
	*f = (struct out_frame){.fd = -1, .len = len, .data = data};
	if (fd >= 0) {
		frame_seal(fd);
		f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	if (io->out_last)
		io->out_last->next = f;
	else
		io->out_head = f;
	io->out_last = f;
	io->queued += f->len + (f->fd >= 0 ? FRAME_FD_WEIGHT : 0);
	if (!io->flush_due) {
		io->flush_due = true;
		io->refs++;
		loop_defer(flush_deferred, io);
	}
}

void frame_send_wire(struct frame_io *io, struct slice wire, int fd)
{
	if (io->closed || io->ended)
		return; /* the end is being told */
	char *data = mem_realloc(NULL, wire.len);
	memcpy(data, wire.p, wire.len);
	enqueue(io, data, wire.len, fd);
}

bool frame_send(struct frame_io *io, enum msg_type t, uint32_t request, const void *msg)
{
	struct buf wire = {0};
	int fd;
	bool ok = msg_encode(&wire, t, request, msg, &fd);
	if (ok && !io->closed && !io->ended) {
		enqueue(io, wire.p, wire.len, fd); /* as it is: an answer may be large */
		return true;
	}
	if (msg_secret(t) && wire.p)
		explicit_bzero(wire.p, wire.cap);
	buf_free(&wire);
	return ok;
}

void frame_pause(struct frame_io *io, bool paused)
{
	io->paused = paused;
	poll_update(io);
	if (!paused && !io->pump_due && !io->closed) {
		io->pump_due = true;
		io->refs++;
		loop_defer(pump_deferred, io);
	}
}

size_t frame_queued(const struct frame_io *io)
{
	return io->queued;
}
