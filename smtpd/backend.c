/* The store and the key daemon, seen from here: all their messages are made and read in this file.
 *
 * A question that the store lost (it was restarted) is asked again until store-timeout: checks
 * change nothing, and a deliver carries its message id, so that the second one is not stored
 * twice. */
#include "smtpd/smtpd.h"
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/store.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/mail/charset.h"
#include "libcommon/mail/meta.h"
#include "smtpd/notice.h"
#include "smtpd/relay.h"

enum { RETRY_MS = 200 };

/* --- start -------------------------------------------------------------------------------- */

static void store_up(void)
{
	relay_store_up();
	notice_store_up();
}

void backend_start(void)
{
	static const char *const ALPN[] = {"smtp", NULL};
	charset_init(); /* for previews; in the sandbox no file can be opened */
	uplink_start(ROLE_SMTPD, ALPN, store_up);
}

/* --- questions ------------------------------------------------------------------------------ */

struct ask {
	struct session *s; /* held */
	struct slot *slot;
	enum msg_type type;
	const void *msg; /* in the transaction's pool, or the local user's */
	void (*done)(struct ask *a, enum msg_type t, const void *msg);
	uint32_t request; /* under way; 0: waiting to ask again */
	uint64_t until;   /* clock_mono() */
	struct timer timer;
};

static void finish(struct ask *a, enum msg_type t, const void *msg)
{
	struct session *s = a->s;
	timer_clear(&a->timer);
	a->done(a, t, msg);
	free(a);
	session_drop(s);
}

static void finish_error(struct ask *a, enum ipc_err e)
{
	struct msg_error m = {.code = e};
	finish(a, MSG_error, &m);
}

static void ask_send(struct ask *a);

static void on_time(struct timer *t)
{
	struct ask *a = list_entry(t, struct ask, timer);
	if (!a->request) {
		ask_send(a);
		return;
	}
	peer_cancel(uplink_store(), a->request);
	finish_error(a, ERR_LOST);
}

static void on_answer(void *arg, enum msg_type t, const void *msg)
{
	struct ask *a = arg;
	struct slice text;
	enum ipc_err e = t == MSG_error ? peer_error(t, msg, &text) : ERR_OK;
	a->request = 0;
	/* Without a client nobody gets the answer: it will send the message again. */
	if (e == ERR_LOST && a->s->stream && clock_mono() < a->until) {
		stats.retries++;
		timer_set(&a->timer, RETRY_MS, on_time);
		return;
	}
	finish(a, t, msg);
}

static void ask_send(struct ask *a)
{
	uint64_t now = clock_mono();
	a->request = uplink_call(a->type, a->msg, on_answer, a);
	if (!a->request)
		finish_error(a, ERR_TEMP);
	else
		timer_set(&a->timer, a->until > now ? a->until - now : RETRY_MS, on_time);
}

static void ask(struct session *s, struct slot *slot, enum msg_type type, const void *msg,
		void (*done)(struct ask *a, enum msg_type t, const void *msg))
{
	struct ask *a = mem_alloc(sizeof(*a));
	session_hold(s);
	a->s = s;
	a->slot = slot;
	a->type = type;
	a->msg = msg;
	a->done = done;
	a->until = clock_mono() + conf.store_timeout;
	ask_send(a);
}

/* An error for the slot's command. */
static void answer_error(struct ask *a, enum question q, enum msg_type t, const void *msg)
{
	struct slice text = {0};
	enum ipc_err e = t == MSG_error ? peer_error(t, msg, &text) : ERR_TEMP;
	struct reply r = reply_of(a->s->txn->pool, q, e, text);
	session_answer(a->slot, &r);
}

static struct slice grant_of(const struct session *s)
{
	return s->user ? s->user->grant : (struct slice){0};
}

/* --- senders and recipients ------------------------------------------------------------------ */

static void on_sender(struct ask *a, enum msg_type t, const void *msg)
{
	static const struct reply OK = {250, "2.1.0", "sender OK"};
	if (t == MSG_ok)
		session_answer(a->slot, &OK);
	else
		answer_error(a, ASK_SENDER, t, msg);
}

void backend_sender(struct slot *slot)
{
	struct session *s = slot->s;
	struct msg_sender_check *m = pool_alloc(s->txn->pool, sizeof(*m));
	*m = (struct msg_sender_check){.grant = grant_of(s), .sender = s->txn->sender};
	ask(s, slot, MSG_sender_check, m, on_sender);
}

static void on_local(struct ask *a, enum msg_type t, const void *msg)
{
	static const struct reply TEMP = {421, "4.3.0", "the store is not there, try again later"};
	static const struct reply OFF = {554, "5.7.1", "mail of local users is not taken here"};
	struct slice text;
	if (t == MSG_auth_ok) {
		session_local(a->s, login_user_new(msg, "local"), NULL);
		return;
	}
	enum ipc_err e = t == MSG_error ? peer_error(t, msg, &text) : ERR_TEMP;
	session_local(a->s, NULL, e == ERR_DENIED ? &OFF : &TEMP);
}

void backend_local(struct session *s)
{
	s->local->login = (struct msg_local_login){
	    .sid = slice_of(s->sid), .uid = s->local->uid, .address = slice_of(s->local->address)};
	ask(s, NULL, MSG_local_login, &s->local->login, on_local);
}

static void on_author(struct ask *a, enum msg_type t, const void *msg)
{
	struct slice text;
	message_author(a->s, t == MSG_ok      ? ERR_OK
			     : t == MSG_error ? peer_error(t, msg, &text)
					      : ERR_TEMP);
	session_go_on(a->s);
}

void backend_author(struct session *s, struct slice addr)
{
	struct msg_sender_check *m = pool_alloc(s->txn->pool, sizeof(*m));
	*m = (struct msg_sender_check){.grant = grant_of(s), .sender = addr};
	ask(s, NULL, MSG_sender_check, m, on_author);
}

static void on_rcpt(struct ask *a, enum msg_type t, const void *msg)
{
	static const struct reply OK = {250, "2.1.5", "recipient OK"};
	const struct msg_rcpt_ok *m = msg;
	if (t != MSG_rcpt_ok) {
		answer_error(a, ASK_RCPT, t, msg);
		return;
	}
	struct rcpt *r = &a->slot->rcpt;
	r->kind = m->kind;
	r->addr.p = pool_strndup(a->s->txn->pool, m->canonical.p, m->canonical.len);
	r->addr.len = m->canonical.len;
	session_answer(a->slot, &OK);
}

void backend_rcpt(struct slot *slot)
{
	struct session *s = slot->s;
	struct msg_rcpt_check *m = pool_alloc(s->txn->pool, sizeof(*m));
	*m = (struct msg_rcpt_check){
	    .grant = grant_of(s),
	    .sender = s->txn->sender,
	    .rcpt = slot->rcpt.given,
	    .size = s->txn->size,
	};
	ask(s, slot, MSG_rcpt_check, m, on_rcpt);
}

/* --- messages -------------------------------------------------------------------------------- */

static void on_delivered(struct ask *a, enum msg_type t, const void *msg)
{
	const struct msg_delivered *m = msg;
	struct slice text = {0};
	if (t == MSG_delivered && m->results_n == a->s->txn->rcpt_n)
		message_delivered(a->s, m);
	else if (t == MSG_error)
		message_refused(a->s, peer_error(t, msg, &text), text);
	else
		message_refused(a->s, ERR_TEMP, text);
	session_go_on(a->s);
}

/* Envelope and structure, so that the store need not parse what strangers wrote. */
static struct slice make_meta(struct txn *t, const struct body *body)
{
	struct slice text;
	if (!body_map(body, &text))
		return (struct slice){0};
	meta_encode(&t->meta, text);
	body_unmap(body, &text);
	return buf_slice(&t->meta);
}

void backend_deliver(struct session *s, const struct body *body)
{
	struct txn *t = s->txn;
	struct msg_deliver *m = pool_alloc(t->pool, sizeof(*m));
	*m = (struct msg_deliver){
	    .id = slice_of(t->id),
	    .sid = slice_of(s->sid),
	    .grant = grant_of(s),
	    .sender = t->sender,
	    .flags = t->flags,
	    .each = s->service->lmtp,
	    .envid = t->envid,
	    .hold_until_ms = t->hold_until_ms,
	    .deliver_by_ms = t->deliver_by_ms,
	    .rcpts = pool_alloc(t->pool, t->rcpt_n * sizeof(*m->rcpts)),
	    .rcpts_n = t->rcpt_n,
	    .meta = make_meta(t, body),
	    .body = *body,
	};
	for (uint32_t i = 0; i < t->rcpt_n; i++)
		m->rcpts[i] = (struct row_rcpt){.addr = t->rcpt[i].given,
						.notify = t->rcpt[i].notify,
						.orcpt = t->rcpt[i].orcpt};
	ask(s, NULL, MSG_deliver, m, on_delivered);
}
