/* One stream: uv_poll on the fd, calls tried first. References: one for the poll handle and one
 * for each deferred call under way; the memory goes with the last. on_end is always called from
 * the loop, never from inside a caller's stream_write(). */
#include "libcommon/net/stream_int.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"

enum {
	IN_FIRST = 4096,
	IN_MAX = 16384,
	CHUNK_MIN = 4096,
	SPARES = 8,
	FLUSH_AT = 16384,
	WRITE_HIGH = 65536,
	WRITE_LOW = 16384,
	IOV = 16,
	ROUNDS = 8, /* reads before the others of the loop get their turn */
};

static void unref(struct stream *s)
{
	if (--s->refs == 0)
		free(s);
}

/* Most replies come and go within a turn of the loop: a few buffers stay for the next. */
static struct {
	struct chunk *chunk; /* of CHUNK_MIN bytes */
	unsigned chunks;
	char *in; /* of IN_FIRST bytes; NULL: none */
} spare;

static struct chunk *chunk_new(size_t room)
{
	struct chunk *c = spare.chunk;
	if (c && room <= CHUNK_MIN) {
		spare.chunk = c->next;
		spare.chunks--;
	} else {
		/* Not cleared, as it is filled at once. */
		room = room < CHUNK_MIN ? CHUNK_MIN : room;
		c = mem_realloc(NULL, sizeof(*c) + room);
		c->cap = room;
	}
	*c = (struct chunk){.fd = -1, .cap = c->cap};
	return c;
}

static void chunk_free(struct chunk *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->cap != CHUNK_MIN || spare.chunks == SPARES) {
		free(c);
		return;
	}
	c->next = spare.chunk;
	spare.chunk = c;
	spare.chunks++;
}

static void in_free(struct stream *s)
{
	if (s->in_cap != IN_FIRST || spare.in)
		free(s->in);
	else
		spare.in = s->in;
	s->in = NULL;
	s->in_cap = 0;
}

static void on_poll_closed(uv_handle_t *h)
{
	struct stream *s = h->data;
	close(s->fd);
	s->fd = -1;
	if (s->ops && s->ops->on_close)
		s->ops->on_close(s->arg);
	unref(s);
}

void stream_close(struct stream *s)
{
	if (s->closed)
		return;
	if (!s->end_due && s->queued)
		stream_flush(s);
	s->closed = true;
	timer_clear(&s->idle);
	if (s->tls && s->tls->up && !s->end_due)
		stream_tls_bye(s);
	stream_tls_free(s);
	in_free(s);
	s->in_len = 0;
	while (s->out_head) {
		struct chunk *c = s->out_head;
		s->out_head = c->next;
		chunk_free(c);
	}
	s->out_last = NULL;
	s->queued = 0;
	uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

static void end_now(void *arg)
{
	struct stream *s = arg;
	if (!s->closed && !s->ended) {
		s->ended = true;
		if (!s->finishing)
			s->ops->on_end(s, s->arg, s->why);
		else if (s->end_due)
			stream_close(s);
	}
	unref(s);
}

void stream_fail(struct stream *s, enum stream_end why, const char *text)
{
	if (s->closed || s->end_due)
		return;
	/* After the peer's end we may still send. */
	s->end_due = why != STREAM_EOF;
	s->why = why;
	s->error = text;
	stream_poll_update(s);
	s->refs++;
	loop_defer(end_now, s);
}

void stream_progress(struct stream *s)
{
	if (s->timeout_ms)
		s->last_progress = clock_mono();
}

/* --- reading ------------------------------------------------------------------------- */

static long read_some(struct stream *s, char *p, size_t n)
{
	if (s->tls)
		return stream_tls_read(s, p, n);
	ssize_t r;
	do
		r = recv(s->fd, p, n, 0);
	while (r < 0 && errno == EINTR);
	if (r >= 0)
		return r;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return -1;
	stream_fail(s, STREAM_ERROR, strerror(errno));
	return -2;
}

/* Room for at least one byte in the read buffer; false when it is full. The buffer grows when a
 * read has filled it: more is likely there. */
static bool in_room(struct stream *s)
{
	if (s->in_off) {
		memmove(s->in, s->in + s->in_off, s->in_len);
		s->in_off = 0;
	}
	bool grows = s->in_filled && s->in_cap < s->in_max;
	if (s->in_len < s->in_cap && !grows)
		return true;
	if (s->in_cap >= s->in_max)
		return false;
	s->in_filled = false;
	size_t cap = s->in_cap ? s->in_cap * 2 : IN_FIRST;
	s->in_cap = cap > s->in_max ? s->in_max : cap;
	if (!s->in && spare.in && s->in_cap == IN_FIRST) {
		s->in = spare.in;
		spare.in = NULL;
	} else {
		s->in = mem_realloc(s->in, s->in_cap);
	}
	return true;
}

static void in_give_back(struct stream *s)
{
	if (s->in_len || !s->in)
		return;
	in_free(s);
	s->in_off = 0;
	s->in_filled = false;
}

static void deliver(struct stream *s)
{
	if (s->in_len && !s->paused && !s->closed && !s->ended && !s->finishing)
		s->ops->on_data(s, s->arg);
}

/* The peer is to take our last bytes and close: what it sends meanwhile is thrown away. */
static void linger(struct stream *s)
{
	char waste[4096];
	for (int i = 0; i < ROUNDS; i++) {
		ssize_t n = recv(s->fd, waste, sizeof(waste), 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			stream_close(s);
			return;
		}
		if (n < 0)
			return;
	}
}

/* The peer's end is told when the reader has seen all that came before it. */
static void eof_check(struct stream *s)
{
	if (s->eof && !s->paused && !s->pump_due && !s->ended)
		stream_fail(s, STREAM_EOF, "connection closed by the peer");
}

static void pump(struct stream *s)
{
	s->refs++;
	for (int i = 0; !s->closed && !s->paused && !s->eof && !s->end_due && !s->finishing; i++) {
		if (s->tls_ctx || (s->tls && !s->tls->up) || s->connecting)
			break;
		if (i == ROUNDS) {
			stream_pump_later(s);
			break;
		}
		if (!in_room(s))
			break;
		size_t had = s->in_len, room = s->in_cap - s->in_len;
		long n = read_some(s, s->in + had, room);
		if (n > 0) {
			s->in_len += (size_t)n;
			s->in_filled = (size_t)n == room;
			stream_progress(s);
			deliver(s);
			/* A short read has emptied the socket; polling tells when more is there. */
			if (!s->tls && (size_t)n < room)
				break;
		} else if (n == 0) {
			s->eof = true;
		} else {
			break;
		}
	}
	if (!s->closed) {
		in_give_back(s);
		eof_check(s);
		stream_poll_update(s);
	}
	unref(s);
}

static void pump_deferred(void *arg)
{
	struct stream *s = arg;
	s->pump_due = false;
	if (!s->closed && !s->ended) {
		deliver(s);
		if (!s->closed)
			pump(s);
	}
	unref(s);
}

void stream_pump_later(struct stream *s)
{
	if (s->pump_due)
		return;
	s->pump_due = true;
	s->refs++;
	loop_defer(pump_deferred, s);
}

struct slice stream_data(struct stream *s)
{
	return (struct slice){s->in_len ? s->in + s->in_off : "", s->in_len};
}

static bool stream_full(const struct stream *s)
{
	return s->in_len >= s->in_max;
}

void stream_consume(struct stream *s, size_t n)
{
	bool was_full = stream_full(s);
	if (n > s->in_len)
		n = s->in_len;
	s->in_off += n;
	s->in_len -= n;
	if (s->in_len == 0)
		s->in_off = 0;
	/* TLS may hold decrypted bytes that no poll will tell of. */
	if (was_full && n && !s->closed)
		stream_poll_update(s);
	if (was_full && n && s->tls && !s->closed)
		stream_pump_later(s);
}

void stream_pause(struct stream *s)
{
	s->paused = true;
	stream_poll_update(s);
}

void stream_resume(struct stream *s)
{
	if (!s->paused)
		return;
	s->paused = false;
	stream_poll_update(s);
	stream_pump_later(s);
}

/* --- writing ------------------------------------------------------------------------- */

static void taken(struct stream *s, size_t n)
{
	s->queued -= n;
	stream_progress(s);
	while (n && s->out_head) {
		struct chunk *c = s->out_head;
		size_t here = n < c->len ? n : c->len;
		c->off += here;
		c->len -= here;
		n -= here;
		if (c->len)
			return;
		s->out_head = c->next;
		if (!s->out_head)
			s->out_last = NULL;
		chunk_free(c);
	}
}

static ssize_t send_bytes(struct stream *s)
{
	struct iovec iov[IOV];
	int n = 0;
	for (struct chunk *c = s->out_head; c && c->fd < 0 && n < IOV; c = c->next)
		iov[n++] = (struct iovec){c->data + c->off, c->len};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)n};
	return sendmsg(s->fd, &m, MSG_NOSIGNAL);
}

static long write_some(struct stream *s)
{
	struct chunk *c = s->out_head;
	ssize_t n;
	if (c->fd >= 0 && s->tls) {
		char page[16384];
		n = pread(c->fd, page, c->len < sizeof(page) ? c->len : sizeof(page), c->file_off);
		if (n <= 0) {
			stream_fail(s, STREAM_ERROR, n ? strerror(errno) : "file became shorter");
			return -2;
		}
		long sent = stream_tls_write(s, page, (size_t)n);
		if (sent > 0)
			c->file_off += sent;
		return sent;
	}
	if (s->tls)
		return stream_tls_write(s, c->data + c->off, c->len);
	do
		n = c->fd >= 0 ? sendfile(s->fd, c->fd, &c->file_off, c->len) : send_bytes(s);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return -1;
	stream_fail(s, STREAM_ERROR, n ? strerror(errno) : "file became shorter");
	return -2;
}

/* The queue is empty: what waited for that. */
static void flushed(struct stream *s)
{
	if (s->tls_ctx) {
		stream_tls_begin(s);
		return;
	}
	if ((s->shut_wanted || s->finishing) && !s->shut_done) {
		s->shut_done = true;
		if (s->tls && s->tls->up)
			stream_tls_bye(s);
		shutdown(s->fd, SHUT_WR);
	}
	if (s->finishing && !s->lingering) {
		s->lingering = true;
		linger(s);
	}
}

void stream_flush(struct stream *s)
{
	if (s->connecting || s->closed || s->end_due || (s->tls && !s->tls->up))
		return;
	s->wants_write = false;
	while (s->out_head) {
		long n = write_some(s);
		if (n == -1)
			s->wants_write = true;
		if (n < 0)
			break;
		taken(s, (size_t)n);
	}
	if (!s->out_head && !s->end_due)
		flushed(s);
	if (!s->closed)
		stream_poll_update(s);
}

static void flush_and_drain(struct stream *s)
{
	s->refs++;
	stream_flush(s);
	if (!s->closed && !s->end_due && s->over_high && s->queued < s->low) {
		s->over_high = false;
		if (s->ops->on_drain && !s->finishing)
			s->ops->on_drain(s, s->arg);
	}
	unref(s);
}

static void flush_deferred(void *arg)
{
	struct stream *s = arg;
	s->flush_due = false;
	if (!s->closed)
		flush_and_drain(s);
	unref(s);
}

static void flush_later(struct stream *s)
{
	if (s->flush_due || s->wants_write)
		return;
	s->flush_due = true;
	s->refs++;
	loop_defer(flush_deferred, s);
}

static bool under_high(struct stream *s)
{
	if (s->queued <= s->high)
		return true;
	s->over_high = true;
	return false;
}

static void chunk_append(struct stream *s, struct chunk *c)
{
	if (s->out_last)
		s->out_last->next = c;
	else
		s->out_head = c;
	s->out_last = c;
}

bool stream_write(struct stream *s, const void *p, size_t n)
{
	if (s->closed || s->end_due || s->finishing || s->shut_wanted || n == 0)
		return true; /* nobody will read it: the end is on its way */
	struct chunk *last = s->out_last;
	size_t left = n;
	/* A record that is half sent must not change: nothing is added behind it in its chunk. */
	if (last && last->fd < 0 && !(s->tls && s->tls->resend && last == s->out_head)) {
		size_t room = last->cap - last->off - last->len;
		size_t here = room < left ? room : left;
		memcpy(last->data + last->off + last->len, p, here);
		last->len += here;
		left -= here;
	}
	if (left) {
		struct chunk *c = chunk_new(left);
		c->len = left;
		memcpy(c->data, (const char *)p + (n - left), left);
		chunk_append(s, c);
	}
	s->queued += n;
	if (s->queued >= FLUSH_AT && !s->wants_write)
		stream_flush(s);
	if (s->out_head)
		flush_later(s);
	return under_high(s);
}

bool stream_writes(struct stream *s, const char *text)
{
	return stream_write(s, text, strlen(text));
}

bool stream_printf(struct stream *s, const char *fmt, ...)
{
	struct buf b;
	va_list ap;
	buf_init(&b, 0);
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	bool ok = stream_write(s, b.p, b.len);
	buf_free(&b);
	return ok;
}

bool stream_sendfile(struct stream *s, int fd, off_t off, size_t n)
{
	if (s->closed || s->end_due || s->finishing || n == 0) {
		close(fd);
		return true;
	}
	struct chunk *c = mem_alloc(sizeof(*c));
	c->fd = fd;
	c->file_off = off;
	c->len = n;
	chunk_append(s, c);
	s->queued += n;
	flush_later(s);
	return under_high(s);
}

size_t stream_queued(const struct stream *s)
{
	return s->queued;
}

void stream_shutdown(struct stream *s)
{
	s->shut_wanted = true;
	flush_later(s);
}

/* --- polling, time, life -------------------------------------------------------------- */

static void on_connected(struct stream *s)
{
	int err = 0;
	socklen_t len = sizeof(err);
	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err) {
		stream_fail(s, STREAM_ERROR, strerror(err));
		return;
	}
	s->connecting = false;
	len = sizeof(s->local);
	getsockname(s->fd, &s->local.sa, &len);
	stream_progress(s);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct stream *s = h->data;
	s->refs++;
	if (status < 0) {
		/* At EPOLLERR (a reset) libuv tells no events and stops polling: the error shows
		 * itself in the next call on the fd. */
		s->events = 0;
		events = UV_READABLE | UV_WRITABLE;
	}
	if (s->connecting)
		on_connected(s);
	if (s->tls && !s->tls->up && !s->end_due)
		stream_tls_handshake(s);
	if (!s->closed && (events & UV_WRITABLE))
		flush_and_drain(s);
	if (!s->closed && s->lingering)
		linger(s);
	else if (!s->closed && (events & (UV_READABLE | UV_DISCONNECT)))
		pump(s);
	if (!s->closed)
		stream_poll_update(s);
	unref(s);
}

static int wanted(const struct stream *s)
{
	if (s->end_due)
		return 0;
	if (s->connecting)
		return UV_WRITABLE;
	if (s->tls && !s->tls->up)
		return s->tls->wants_write ? UV_WRITABLE : UV_READABLE;
	int events = s->wants_write ? UV_WRITABLE : 0;
	bool reads = !s->paused && !s->eof && !s->finishing && !s->tls_ctx && s->in_len < s->in_max;
	/* Behind the last reply, which leaves in this turn of the loop, comes the lingering. */
	bool lingers = s->lingering || (s->finishing && !s->wants_write);
	if (reads || lingers)
		events |= UV_READABLE;
	return events;
}

void stream_poll_update(struct stream *s)
{
	if (s->closed)
		return;
	int events = wanted(s);
	if (events == s->events)
		return;
	s->events = events;
	if (events)
		uv_poll_start(&s->poll, events, on_poll);
	else
		uv_poll_stop(&s->poll);
}

static void on_idle(struct timer *t)
{
	struct stream *s = list_entry(t, struct stream, idle);
	if (s->finishing) {
		stream_close(s);
		return;
	}
	uint64_t quiet = clock_mono() - s->last_progress;
	if (quiet < s->timeout_ms)
		timer_set(t, s->timeout_ms - quiet, on_idle);
	else
		stream_fail(s, STREAM_TIMEOUT, "no progress in time");
}

void stream_timeout(struct stream *s, uint64_t ms)
{
	s->timeout_ms = ms;
	timer_clear(&s->idle);
	if (!ms || s->closed)
		return;
	s->last_progress = clock_mono();
	timer_set(&s->idle, ms, on_idle);
}

void stream_finish(struct stream *s, uint64_t ms)
{
	if (s->closed || s->finishing)
		return;
	if (s->end_due) {
		stream_close(s);
		return;
	}
	s->finishing = true;
	s->in_len = s->in_off = 0;
	timer_clear(&s->idle);
	timer_set(&s->idle, ms, on_idle);
	stream_poll_update(s);
	if (!s->wants_write)
		flush_later(s);
}

static struct stream *make(int fd, const struct stream_conf *conf, const struct stream_ops *ops,
			   void *arg)
{
	static const struct stream_conf none;
	struct stream *s = mem_alloc(sizeof(*s));
	if (!conf)
		conf = &none;
	s->fd = fd;
	s->refs = 1;
	s->ops = ops;
	s->arg = arg;
	s->in_max = conf->read_max ? conf->read_max : IN_MAX;
	s->high = conf->write_high ? conf->write_high : WRITE_HIGH;
	s->low = conf->write_low ? conf->write_low : WRITE_LOW;
	if (uv_poll_init(loop_get(), &s->poll, fd) != 0) {
		free(s);
		return NULL;
	}
	s->poll.data = s;
	int one = 1; /* on a Unix socket it fails, and does no harm */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	stream_timeout(s, conf->timeout_ms);
	return s;
}

struct stream *stream_new(int fd, const struct stream_conf *conf, const struct stream_ops *ops,
			  void *arg)
{
	struct stream *s = make(fd, conf, ops, arg); /* libuv makes the fd non-blocking */
	if (!s)
		return NULL;
	socklen_t len = sizeof(s->peer);
	getpeername(fd, &s->peer.sa, &len);
	len = sizeof(s->local);
	getsockname(fd, &s->local.sa, &len);
	stream_poll_update(s);
	return s;
}

struct stream *stream_connect(const struct sockaddr *to, socklen_t to_len,
			      const struct sockaddr *local, socklen_t local_len,
			      const struct stream_conf *conf, const struct stream_ops *ops,
			      void *arg)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	int err = 0;
	if ((local && bind(fd, local, local_len) != 0) ||
	    (connect(fd, to, to_len) != 0 && errno != EINPROGRESS))
		err = errno;
	struct stream *s = make(fd, conf, ops, arg);
	if (!s) {
		close(fd);
		return NULL;
	}
	s->connecting = true;
	stream_set_addrs(s, to, NULL);
	if (err)
		stream_fail(s, STREAM_ERROR, strerror(err));
	stream_poll_update(s);
	return s;
}

/* --- facts ----------------------------------------------------------------------------- */

const char *stream_why(const struct stream *s)
{
	return s->error ? s->error : "no error";
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}
