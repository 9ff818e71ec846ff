/* stream: a non-blocking byte stream over a socket, in layers: tcp, PROXY protocol, TLS.
 * uv_poll on the fd; every call is tried first, polling starts on EAGAIN. Read buffer bounded
 * and given back while the stream is idle; writes queued with high and low water marks.
 * A stream is freed in its last close callback: after stream_close() no callback comes but
 * on_close. Callbacks may call stream_close(). Loop thread only. */
#ifndef NET_STREAM_H
#define NET_STREAM_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include "libcommon/base/str.h"
#include "libcommon/net/tls.h"

struct stream;

enum stream_end {
	STREAM_EOF,      /* the peer closed its sending side: writing still works */
	STREAM_ERROR,    /* a system error: stream_why() tells */
	STREAM_TLS_FAIL, /* handshake or record error */
	STREAM_TIMEOUT,  /* no progress for the time of stream_timeout() */
};

struct stream_ops {
	/* Bytes are there: stream_data() shows them, stream_consume() takes them. Called again
	 * only when more arrive, or after stream_resume(). */
	void (*on_data)(struct stream *s, void *arg);
	/* The stream is over: call stream_close(); or, after STREAM_EOF, stream_finish() so that
	 * a peer which only closed its sending side gets the rest. */
	void (*on_end)(struct stream *s, void *arg, enum stream_end why);
	/* The write queue fell under the low-water mark after having been over the high one. */
	void (*on_drain)(struct stream *s, void *arg);
	/* The TLS handshake started by stream_starttls() is done. May be NULL. */
	void (*on_tls)(struct stream *s, void *arg);
	/* Last call: free what belongs to arg. */
	void (*on_close)(void *arg);
};

struct stream_conf {
	size_t read_max;     /* read buffer's limit: 0 16 KiB */
	size_t write_high;   /* 0: 64 KiB */
	size_t write_low;    /* 0: 16 KiB */
	uint64_t timeout_ms; /* no progress in either direction; 0: none */
};

/* Takes over the connected fd (made non-blocking, TCP_NODELAY). */
struct stream *stream_new(int fd, const struct stream_conf *conf, const struct stream_ops *ops,
			  void *arg);
/* Connects without blocking; on_data/on_end follow; writes are queued until connected.
 * `local` (may be NULL) is bound first. */
struct stream *stream_connect(const struct sockaddr *to, socklen_t to_len,
			      const struct sockaddr *local, socklen_t local_len,
			      const struct stream_conf *conf, const struct stream_ops *ops,
			      void *arg);
/* No more callbacks but on_close; queued output is tried once, then dropped. */
void stream_close(struct stream *s);
/* Sends what is queued (and TLS close_notify), then closes; on_close as usual. Bounded by ms. */
void stream_finish(struct stream *s, uint64_t ms);

/* Unread bytes; valid until the next stream call on s. */
struct slice stream_data(struct stream *s);
void stream_consume(struct stream *s, size_t n);
/* Stop and go on reading (back-pressure). stream_resume() calls on_data (deferred) when
 * unread bytes are there. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

/* Queues the bytes (copied; written at the end of the loop turn or when large, so that small
 * replies leave in one segment). False when over the high-water mark: wait for on_drain. */
bool stream_write(struct stream *s, const void *p, size_t n);
bool stream_writes(struct stream *s, const char *text);
bool stream_printf(struct stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Queues n bytes of a file from off (sendfile without TLS). The stream closes fd when done. */
bool stream_sendfile(struct stream *s, int fd, off_t off, size_t n);
size_t stream_queued(const struct stream *s);
/* Shuts down the sending side after the queue (half-close). */
void stream_shutdown(struct stream *s);

/* TLS as server or client from here on. Unread plaintext is thrown away (RFC 3207 4.2); call
 * after the go-ahead reply was written: it is flushed first. For an implicit-TLS port call it
 * at once. */
void stream_starttls(struct stream *s, struct tls_ctx *ctx, const char *name, bool verify);
/* A handshake has begun, or waits for the queue, and is not done. It has 30 s from its beginning;
 * who bounds the wait before it as well needs a timer of their own. */
bool stream_in_handshake(const struct stream *s);
/* NULL without TLS. For ALPN, cipher names, channel bindings. */
gnutls_session_t stream_tls(struct stream *s);
/* tls-exporter channel binding (RFC 9266) or tls-unique for TLS 1.2 (RFC 5929): 32 bytes at
 * most into out; returns its length, 0 when there is none. *type gets "tls-exporter" or
 * "tls-unique". */
size_t stream_binding(struct stream *s, unsigned char out[64], const char **type);

void stream_timeout(struct stream *s, uint64_t ms);
int stream_fd(const struct stream *s);
/* Address of the peer (after the PROXY protocol: the real one). */
const struct sockaddr *stream_peer(const struct stream *s);
/* It is on this machine: 127/8, ::1, or a Unix socket. */
bool stream_loopback(const struct stream *s);
/* Replaces them by those of a PROXY header. */
void stream_set_addrs(struct stream *s, const struct sockaddr *peer, const struct sockaddr *local);
/* "192.0.2.1", "2001:db8::1"; "local" for Unix sockets. Lives as long as the stream. */
const char *stream_peer_ip(const struct stream *s);
/* The same of any address. */
void stream_ip_text(const struct sockaddr *sa, char out[INET6_ADDRSTRLEN]);
const char *stream_why(const struct stream *s); /* text of the last error */

#endif
