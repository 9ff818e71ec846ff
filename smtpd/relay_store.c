/* The worker's questions to the store: claims, contents, renewals, results.
 *
 * A result is not lost as long as the process lives: it stands in `unheard` until the store says
 * that it has it, or that the lease is not ours any more, and is sent again when the connection was
 * made anew, and every second while the store is in trouble. One that was committed and whose
 * acknowledgement was lost is refused the second time, which is as good. */
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"
#include "smtpd/relay_work.h"

enum { RETRY_MS = 1000 };

static char worker[sizeof("smtpd-") + ID_LEN];
static struct list unheard = {&unheard, &unheard};
static struct timer retry;
static bool claiming;

static struct slice me(void)
{
	return slice_of(worker);
}

void relay_store_start(void)
{
	char id[ID_LEN + 1];
	id_new(id);
	str_fmt(worker, sizeof(worker), "smtpd-%s", id);
}

/* --- claims ---------------------------------------------------------------------------------- */

static void on_items(void *arg, enum msg_type t, const void *msg)
{
	struct slice text;
	(void)arg;
	claiming = false;
	if (t == MSG_error && peer_error(t, msg, &text) != ERR_LOST)
		log_event(LOG_LV_WARN, NULL, "claim-failed", LSL("reason", text));
	relay_claimed(t == MSG_queue_items ? msg : NULL);
}

bool relay_claim(uint32_t max, uint32_t per_domain, uint64_t content,
		 struct row_domain_limit *limit, uint32_t n)
{
	struct msg_queue_claim m = {.worker = me(),
				    .max = max,
				    .lease_ms = relay_conf.lease,
				    .per_domain = per_domain,
				    .content = content,
				    .limits = limit,
				    .limits_n = n};
	if (claiming)
		return false;
	claiming = uplink_call(MSG_queue_claim, &m, on_items, NULL) != 0;
	relay_stats.claims += claiming;
	return claiming;
}

static void on_watch(void *arg, enum msg_type t, const void *msg)
{
	struct slice text;
	const struct msg_watch_event *ev = msg;
	(void)arg;
	if (t == MSG_watch_event && ev->object == QUEUE_WATCH_FLUSH)
		relay_flush();
	if (t == MSG_watch_event)
		relay_wake();
	else if (t == MSG_error && peer_error(t, msg, &text) != ERR_LOST)
		log_event(LOG_LV_ERROR, NULL, "watch-failed", LSL("reason", text));
}

/* --- contents and leases --------------------------------------------------------------------- */

static void on_data(void *arg, enum msg_type t, const void *msg)
{
	struct held *h = arg;
	struct slice text;
	/* The body is taken out of the message, which is the connection's. */
	struct msg_message_data *m = (void *)(uintptr_t)msg;
	enum ipc_err e = peer_error(t, msg, &text);
	h->asked--;
	if (t == MSG_message_data) {
		relay_read_done(h, READ_OK, &m->body);
		return;
	}
	bool later = e == ERR_LOST || e == ERR_TEMP;
	if (!later)
		log_event(LOG_LV_WARN, h->l.id.p, "content-missing", LU("item", h->l.item),
			  LS("error", ipc_err_name(e)), LSL("reason", text));
	relay_read_done(h, later ? READ_LATER : READ_NOT, NULL);
}

bool relay_read(struct held *h)
{
	struct msg_queue_read m = {.worker = me(), .item = h->l.item};
	bool ok = uplink_call(MSG_queue_read, &m, on_data, h) != 0;
	h->asked += ok;
	return ok;
}

static void on_renewed(void *arg, enum msg_type t, const void *msg)
{
	struct held *h = arg;
	h->asked--;
	h->renewing = false;
	relay_renewed(h, peer_error(t, msg, NULL));
	if (h->over && h->asked == 0)
		relay_result_done(h);
}

bool relay_renew(struct held *h)
{
	size_t n = h->l.mail.rcpt_n;
	if (h->renewing)
		return false;
	struct pool *pool = pool_new(0);
	struct row_leased *r = pool_alloc(pool, n * sizeof(*r));
	for (size_t i = 0; i < n; i++)
		r[i].rcpt = h->l.rcpt[i];
	struct msg_queue_renew m = {.worker = me(),
				    .item = h->l.item,
				    .lease_ms = relay_conf.lease,
				    .rcpts = r,
				    .rcpts_n = (uint32_t)n};
	h->renewing = uplink_call(MSG_queue_renew, &m, on_renewed, h) != 0;
	h->asked += h->renewing;
	pool_free(&pool);
	return h->renewing;
}

/* --- results --------------------------------------------------------------------------------- */

static void on_retry(struct timer *t);

static void retry_later(void)
{
	if (!timer_is_set(&retry))
		timer_set(&retry, RETRY_MS, on_retry);
}

static void heard(struct held *h)
{
	list_del(&h->queue);
	h->over = true;
	if (h->asked == 0)
		relay_result_done(h);
}

static void send_result(struct held *h);

/* Refused as a whole because of one recipient: each by itself then. */
static void refused(struct held *h, enum ipc_err e, struct slice text)
{
	if (h->row && h->l.mail.rcpt_n > 1 && !h->one_by_one) {
		h->one_by_one = true;
		h->at = 0;
		send_result(h);
		return;
	}
	relay_stats.lost++;
	log_event(e == ERR_INUSE || e == ERR_NOTFOUND ? LOG_LV_INFO : LOG_LV_ERROR, h->l.id.p,
		  "result-refused", LU("item", h->l.item), LS("error", ipc_err_name(e)),
		  LSL("reason", text));
	if (h->one_by_one && ++h->at < h->l.mail.rcpt_n)
		send_result(h);
	else
		heard(h);
}

static void on_result(void *arg, enum msg_type t, const void *msg)
{
	struct held *h = arg;
	struct slice text;
	enum ipc_err e = peer_error(t, msg, &text);
	h->asked--;
	h->sent = false;
	switch (e) {
	case ERR_OK:
		if (h->one_by_one && ++h->at < h->l.mail.rcpt_n)
			send_result(h);
		else
			heard(h);
		break;
	case ERR_INUSE:
	case ERR_NOTFOUND:
	case ERR_BAD:
	case ERR_DENIED:
		refused(h, e, text);
		break;
	default: /* the store is away or in trouble */
		relay_stats.repeated++;
		retry_later();
	}
}

static void send_result(struct held *h)
{
	uint32_t n = h->one_by_one ? 1 : (uint32_t)h->l.mail.rcpt_n;
	if (h->sent)
		return;
	if (h->row) {
		struct msg_queue_result m = {
		    .worker = me(), .item = h->l.item, .rcpts = h->row + h->at, .rcpts_n = n};
		h->sent = uplink_call(MSG_queue_result, &m, on_result, h) != 0;
	} else {
		struct msg_queue_return m = {
		    .worker = me(), .item = h->l.item, .rcpts = h->back, .rcpts_n = n};
		h->sent = uplink_call(MSG_queue_return, &m, on_result, h) != 0;
	}
	h->asked += h->sent;
	if (!h->sent)
		retry_later();
}

static void send_unheard(void)
{
	list_each_safe(it, nx, &unheard) send_result(list_entry(it, struct held, queue));
}

static void on_retry(struct timer *t)
{
	(void)t;
	send_unheard();
}

void relay_result(struct held *h)
{
	list_add_tail(&unheard, &h->queue);
	send_result(h);
}

void relay_store_again(void)
{
	/* Results first: a claim must not get what they settle. */
	send_unheard();
	for (uint64_t o = QUEUE_WATCH_DUE; o <= QUEUE_WATCH_FLUSH; o++) {
		struct msg_watch m = {.kind = WATCH_QUEUE, .object = o};
		if (!uplink_call(MSG_watch, &m, on_watch, NULL))
			log_event(LOG_LV_ERROR, NULL, "watch-failed",
				  LS("reason", "too much waits for the store"));
	}
}
