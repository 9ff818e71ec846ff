/* The TLS layer of a stream: GnuTLS straight on the fd. */
#include <stdlib.h>
#include "libcommon/base/mem.h"
#include "libcommon/net/stream_int.h"

enum { HANDSHAKE_MS = 30000 };

void stream_starttls(struct stream *s, struct tls_ctx *ctx, const char *name, bool verify)
{
	if (s->closed || s->tls || s->tls_ctx)
		return;
	s->tls_ctx = ctx;
	s->tls_name = name ? mem_strdup(name) : NULL;
	s->tls_verify = verify;
	/* What was read ahead came in plaintext: anybody may have put it there. */
	s->in_len = s->in_off = 0;
	stream_flush(s); /* begins when the queue is empty */
}

static void on_deadline(struct timer *t)
{
	struct tls_layer *l = list_entry(t, struct tls_layer, deadline);
	stream_fail(gnutls_transport_get_ptr(l->session), STREAM_TLS_FAIL,
		    "the handshake took too long");
}

bool stream_in_handshake(const struct stream *s)
{
	return s->tls_ctx || (s->tls && !s->tls->up);
}

/* The transport pointer is the stream: pull and push work on its fd. */
static ssize_t pull(gnutls_transport_ptr_t p, void *buf, size_t n)
{
	return recv(((struct stream *)p)->fd, buf, n, 0);
}

static ssize_t push(gnutls_transport_ptr_t p, const giovec_t *iov, int n)
{
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
	return sendmsg(((struct stream *)p)->fd, &m, MSG_NOSIGNAL);
}

void stream_tls_begin(struct stream *s)
{
	struct tls_ctx *ctx = s->tls_ctx;
	gnutls_session_t session = tls_session(ctx, s->tls_name, s->tls_verify);
	s->tls_ctx = NULL;
	if (!session) {
		stream_fail(s, STREAM_TLS_FAIL, "TLS session cannot be made");
		return;
	}
	s->tls = mem_alloc(sizeof(*s->tls));
	s->tls->session = session;
	gnutls_transport_set_ptr(session, s);
	gnutls_transport_set_pull_function(session, pull);
	gnutls_transport_set_vec_push_function(session, push);
	timer_set(&s->tls->deadline, HANDSHAKE_MS, on_deadline);
	stream_tls_handshake(s);
}

void stream_tls_handshake(struct stream *s)
{
	int r;
	do
		r = gnutls_handshake(s->tls->session);
	while (r == GNUTLS_E_INTERRUPTED ||
	       (r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(r)));
	if (r == GNUTLS_E_AGAIN) {
		s->tls->wants_write = gnutls_record_get_direction(s->tls->session) == 1;
		stream_poll_update(s);
		return;
	}
	timer_clear(&s->tls->deadline);
	if (r < 0) {
		gnutls_alert_send_appropriate(s->tls->session, r);
		stream_fail(s, STREAM_TLS_FAIL, tls_why(s->tls->session, r));
		return;
	}
	s->tls->up = true;
	stream_progress(s);
	if (s->ops->on_tls)
		s->ops->on_tls(s, s->arg);
	if (s->closed)
		return;
	if (s->queued)
		stream_flush(s);
	if (!s->closed) /* records may have come along with the handshake's last */
		stream_pump_later(s);
}

long stream_tls_read(struct stream *s, char *p, size_t n)
{
	for (;;) {
		ssize_t r = gnutls_record_recv(s->tls->session, p, n);
		if (r >= 0)
			return r;
		if (r == GNUTLS_E_AGAIN)
			return -1;
		if (r == GNUTLS_E_PREMATURE_TERMINATION)
			return 0; /* closed without close_notify: common, and the protocols mark
				     their ends */
		if (r == GNUTLS_E_REHANDSHAKE || gnutls_error_is_fatal((int)r)) {
			stream_fail(s, STREAM_TLS_FAIL, gnutls_strerror((int)r));
			return -2;
		}
	}
}

long stream_tls_write(struct stream *s, const char *p, size_t n)
{
	struct tls_layer *l = s->tls;
	for (;;) {
		/* After E_AGAIN GnuTLS holds the record: only NULL goes on with it. */
		ssize_t r = l->resend ? gnutls_record_send(l->session, NULL, 0)
				      : gnutls_record_send(l->session, p, n);
		if (r >= 0) {
			l->resend = false;
			return r;
		}
		if (r == GNUTLS_E_AGAIN) {
			l->resend = true;
			return -1;
		}
		if (gnutls_error_is_fatal((int)r)) {
			stream_fail(s, STREAM_TLS_FAIL, gnutls_strerror((int)r));
			return -2;
		}
	}
}

void stream_tls_bye(struct stream *s)
{
	gnutls_bye(s->tls->session, GNUTLS_SHUT_WR);
}

void stream_tls_free(struct stream *s)
{
	if (s->tls) {
		timer_clear(&s->tls->deadline);
		tls_session_end(s->tls->session);
		free(s->tls);
		s->tls = NULL;
	}
	free(s->tls_name);
	s->tls_name = NULL;
	s->tls_ctx = NULL;
}

gnutls_session_t stream_tls(struct stream *s)
{
	return s->tls ? s->tls->session : NULL;
}

size_t stream_binding(struct stream *s, unsigned char out[64], const char **type)
{
	gnutls_datum_t d = {NULL, 0};
	if (!s->tls || !s->tls->up)
		return 0;
	bool old = gnutls_protocol_get_version(s->tls->session) < GNUTLS_TLS1_3;
	*type = old ? "tls-unique" : "tls-exporter";
	if (gnutls_session_channel_binding(
		s->tls->session, old ? GNUTLS_CB_TLS_UNIQUE : GNUTLS_CB_TLS_EXPORTER, &d) != 0)
		return 0;
	size_t n = d.size <= 64 ? d.size : 0;
	memcpy(out, d.data, n);
	gnutls_free(d.data);
	return n;
}
