/* The messages: certificates and ticket keys pushed to whoever watches, signatures, the
 * administrator's commands. */
#include "keyd/keyd.h"
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

enum { CREDIT = 1 << 20, BUCKETS = 5 };

struct watch {
	struct list link;
	struct conn *conn;
	uint32_t request;
};
static struct list watches;
static uint64_t signatures, refused, sign_ns, bucket[BUCKETS];
static const uint64_t BUCKET_US[BUCKETS] = {100, 500, 2000, 10000, 100000};

static void watch_end(struct conn *c)
{
	struct watch *w = conn_data(c);
	conn_set_data(c, NULL);
	if (!w)
		return;
	list_del(&w->link);
	free(w);
}

static void send_certs(const struct watch *w)
{
	struct pool *pool = pool_new(0);
	struct msg_certs m = {0};
	enum role role = conn_role(w->conn);
	const struct cert *fallback = set_default(role);
	size_t n = 0;
	list_each(it, &set_certs) n++;
	m.certs = pool_alloc(pool, n * sizeof(*m.certs));
	list_each(it, &set_certs)
	{
		const struct cert *c = list_entry(it, struct cert, link);
		if (c->roles & R_BIT(role))
			m.certs[m.certs_n++] =
			    (struct row_cert){.key = slice_of(c->id),
					      .names = buf_slice(&c->names),
					      .chain_pem = buf_slice(&c->chain_pem),
					      .is_default = c == fallback,
					      .not_after = c->pair.not_after};
	}
	m.ticket_key =
	    (struct slice){(const char *)ticket_key(role, &m.ticket_until_ms), TICKET_KEY_LEN};
	conn_reply(w->conn, w->request, MSG_certs, &m);
	pool_free(&pool);
}

void server_push(unsigned roles)
{
	if (!watches.next)
		return; /* no socket was given */
	list_each_safe(it, nx, &watches)
	{
		const struct watch *w = list_entry(it, struct watch, link);
		if (roles & R_BIT(conn_role(w->conn)))
			send_certs(w);
	}
}

static void certs_watch(struct conn *c, uint32_t request)
{
	watch_end(c); /* one a connection: the newer counts */
	struct watch *w = mem_alloc(sizeof(*w));
	w->conn = c;
	w->request = request;
	list_add_tail(&watches, &w->link);
	conn_set_data(c, w);
	send_certs(w);
}

static void sign(struct conn *c, uint32_t request, const struct msg_sign *m)
{
	gnutls_datum_t sig = {0};
	const char *text;
	uint64_t start = clock_ns();
	enum ipc_err e = sign_request(conn_role(c), m, &sig, &text);
	if (e != ERR_OK) {
		refused++;
		log_event(LOG_LV_WARN, NULL, "sign-refused", LS("role", role_name(conn_role(c))),
			  LSL("key", m->key), LS("reason", text));
		conn_error(c, request, e, text);
		return;
	}
	uint64_t took = clock_ns() - start;
	signatures++;
	sign_ns += took;
	for (size_t i = 0; i < BUCKETS; i++)
		bucket[i] += took <= BUCKET_US[i] * 1000;
	struct msg_signature s = {.sig = {(const char *)sig.data, sig.size}};
	conn_reply(c, request, MSG_signature, &s);
	gnutls_free(sig.data);
}

static void on_request(struct conn *c, uint32_t request, enum msg_type t, const void *msg)
{
	const struct msg_ok ok = {0};
	const struct watch *w;
	switch (t) {
	case MSG_certs_watch:
		certs_watch(c, request);
		break;
	case MSG_sign:
		sign(c, request, msg);
		break;
	case MSG_ctl:
		ctl_request(c, request, msg);
		break;
	case MSG_unwatch:
		w = conn_data(c);
		if (w && w->request == ((const struct msg_unwatch *)msg)->request)
			watch_end(c);
		conn_reply(c, request, MSG_ok, &ok);
		break;
	default:
		if (!zone_request(c, request, t, msg))
			conn_error(c, request, ERR_BAD, "keyd does not know this");
	}
}

static void on_close(struct conn *c)
{
	watch_end(c);
	zone_forget(c);
}

static void push_all(void)
{
	server_push(R_TLS);
}

static const struct conn_ops OPS = {on_request, on_close};

void server_listen(const char *fdname, int fd)
{
	static uint64_t epoch;
	if (!epoch)
		epoch = clock_ms();
	if (!watches.next)
		list_init(&watches);
	set_changed = push_all;
	enum role role =
	    slice_starts(slice_of(fdname), "key-") ? role_by_name(fdname + 4) : ROLE_NONE;
	if (role == ROLE_NONE) {
		log_event(LOG_LV_ERROR, NULL, "unknown-listener", LS("name", fdname));
		return;
	}
	conn_serve(fd, role, conn_socket_owner(fd), CREDIT, epoch, &OPS);
}

void server_stats(struct buf *out)
{
	uint64_t certs = 0, watching = 0, first_end = UINT64_MAX;
	list_each(it, &set_certs)
	{
		const struct cert *c = list_entry(it, struct cert, link);
		certs++;
		if (c->pair.not_after < first_end)
			first_end = c->pair.not_after;
	}
	if (watches.next)
		list_each(it, &watches) watching++;
	buf_printf(out, "keyd_certificates %llu\n", (unsigned long long)certs);
	if (certs)
		buf_printf(out, "keyd_certificate_first_end_seconds %llu\n",
			   (unsigned long long)(first_end / 1000));
	buf_printf(out, "keyd_watchers %llu\n", (unsigned long long)watching);
	buf_printf(out, "keyd_sign_refused_total %llu\n", (unsigned long long)refused);
	for (size_t i = 0; i < BUCKETS; i++)
		buf_printf(out, "keyd_sign_seconds_bucket{le=\"%g\"} %llu\n",
			   (double)BUCKET_US[i] / 1e6, (unsigned long long)bucket[i]);
	buf_printf(out, "keyd_sign_seconds_bucket{le=\"+Inf\"} %llu\n",
		   (unsigned long long)signatures);
	buf_printf(out, "keyd_sign_seconds_sum %.6f\n", (double)sign_ns / 1e9);
	buf_printf(out, "keyd_sign_seconds_count %llu\n", (unsigned long long)signatures);
	zone_key_stats(out);
	zone_sign_stats(out);
}
