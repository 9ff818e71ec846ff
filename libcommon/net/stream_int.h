/* stream_int: the inside of a stream, shared by stream.c (buffers, polling, life),
 * stream_tls.c (the TLS layer) and stream_addr.c (addresses). Nobody else includes this. */
#ifndef NET_STREAM_INT_H
#define NET_STREAM_INT_H
#include <netinet/in.h>
#include "libcommon/net/loop.h"
#include "libcommon/net/limits.h"
#include "libcommon/net/stream.h"

struct chunk { /* of the write queue */
	struct chunk *next;
	int fd;         /* of a file part; -1: bytes */
	off_t file_off; /* of a file part */
	size_t len;     /* bytes that are still to be sent */
	size_t off;     /* of the first of them in data */
	size_t cap;
	char data[];
};

struct tls_layer {
	gnutls_session_t session;
	struct timer deadline; /* of the handshake */
	bool up;               /* handshake done */
	bool resend;           /* a record is half sent: repeat with NULL */
	bool wants_write;      /* the handshake waits for the socket's sending side */
};

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_local un; /* only of what stream_set_addrs() was given */
};

struct stream {
	uv_poll_t poll;
	int fd;
	int events; /* polled now */
	unsigned refs;
	const struct stream_ops *ops;
	void *arg;
	char *in; /* NULL while empty */
	size_t in_off, in_len, in_cap, in_max;
	struct chunk *out_head, *out_last; /* both NULL: empty */
	size_t queued, high, low;
	struct tls_layer *tls;   /* NULL: plaintext */
	struct tls_ctx *tls_ctx; /* a handshake that waits for the queue */
	char *tls_name; /* GnuTLS keeps no copy of the name to verify: lives as long as tls */
	bool tls_verify;
	bool in_filled; /* the last read left no room */
	bool connecting, paused, eof, closed;
	bool over_high, wants_write, flush_due, pump_due;
	bool shut_wanted, shut_done, finishing, lingering;
	bool end_due; /* on_end is to be called */
	bool ended;   /* ... or has been */
	enum stream_end why;
	uint64_t timeout_ms, last_progress;
	struct timer idle;
	union address peer, local;
	char ip_text[INET6_ADDRSTRLEN];
	const char *error; /* static text */
};

/* stream.c */
void stream_fail(struct stream *s, enum stream_end why, const char *text);
void stream_poll_update(struct stream *s);
void stream_flush(struct stream *s);
/* Reads and delivers again, soon. */
void stream_pump_later(struct stream *s);
void stream_progress(struct stream *s);

/* stream_tls.c. The io functions return bytes, 0 at the end, -1 for later, -2 after
 * stream_fail(). */
void stream_tls_begin(struct stream *s);
void stream_tls_handshake(struct stream *s);
long stream_tls_read(struct stream *s, char *p, size_t n);
long stream_tls_write(struct stream *s, const char *p, size_t n);
void stream_tls_bye(struct stream *s);
void stream_tls_free(struct stream *s);
#endif
