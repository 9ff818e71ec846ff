/* The store and the key daemon, seen from here: all their messages are made and read in this file.
 *
 * A mailbox's lock belongs to our connection with the store. When that breaks, every open box is
 * stale: its lock is taken again (pop_open with the same lock) as soon as the store is back, and in
 * any case before its next question. A question that the store lost is asked again until
 * store-timeout; so is QUIT, whose repetition deletes what is still there.
 *
 *   ask() -> question() --stale--> reopen() -> on_reopened() -> question()
 *                '-> on_answer() -> finish(), or retry_later() -> question() */
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"
#include "pop3d/pop3d.h"

enum { RETRY_MS = 200 };

static struct list boxes = {&boxes, &boxes}; /* with a lock */

static void question(struct box *b);

/* --- start ----------------------------------------------------------------------------------- */

void backend_start(void)
{
	static const char *const ALPN[] = {"pop3", NULL};
	uplink_start(ROLE_POP3D, ALPN, backend_store_up);
}

static void ignore(void *arg, enum msg_type t, const void *msg)
{
	(void)arg;
	(void)t;
	(void)msg;
}

/* --- the mailbox -------------------------------------------------------------------------------
 */

static struct slice lock_of(const struct box *b)
{
	return (struct slice){(const char *)b->lock, sizeof(b->lock)};
}

/* The question is answered (msg), or cannot be (e). */
static void finish(struct box *b, enum ipc_err e, struct slice text, void *msg)
{
	struct session *s = b->s;
	enum ask what = b->ask;
	timer_clear(&b->retry);
	b->ask = ASK_NONE;
	s->busy = false;
	if (what == ASK_OPEN && e == ERR_OK) {
		b->locked = true;
		list_add_tail(&boxes, &b->link);
		if (s->stream)
			mailbox_opened(s, msg);
		else
			backend_close(b);
	} else if (what == ASK_OPEN) {
		mailbox_refused(s, e, text);
	} else if (what == ASK_QUIT) {
		if (e == ERR_OK)
			b->locked = false; /* QUIT gives it back */
		backend_close(b);
		mailbox_updated(s, e, text);
	} else if (e == ERR_OK && what == ASK_AHEAD) {
		mailbox_ahead(s, msg);
	} else if (e == ERR_OK) {
		mailbox_data(s, msg);
	} else {
		mailbox_unread(s, e, text);
	}
	session_pump(s);
	session_drop(s);
}

/* Somebody waits for the answer; a QUIT is carried out in any case. */
static bool wanted(const struct box *b)
{
	return b->s->stream || b->ask == ASK_QUIT;
}

static void on_retry(struct timer *t)
{
	struct box *b = list_entry(t, struct box, retry);
	if (wanted(b))
		question(b);
	else
		finish(b, ERR_TEMP, (struct slice){"", 0}, NULL);
}

/* The store was lost: again, unless time is over. */
static void retry_later(struct box *b)
{
	stats.store_retries++;
	if (wanted(b) && clock_mono() < b->until)
		timer_set(&b->retry, RETRY_MS, on_retry);
	else
		finish(b, ERR_TEMP, (struct slice){"", 0}, NULL);
}

static void on_answer(void *arg, enum msg_type t, const void *msg)
{
	static const enum msg_type WANTED[] = {
	    [ASK_OPEN] = MSG_pop_list,
	    [ASK_READ] = MSG_message_data,
	    [ASK_AHEAD] = MSG_messages_data,
	    [ASK_QUIT] = MSG_ok,
	};
	struct box *b = arg;
	struct slice text = {"", 0};
	enum ipc_err e = peer_error(t, msg, &text);
	b->sent = false;
	if (e == ERR_LOST) {
		b->stale = b->locked;
		b->repeated = true;
		retry_later(b);
		return;
	}
	if (e == ERR_OK && t != WANTED[b->ask])
		e = ERR_TEMP;
	finish(b, e, text, (void *)(uintptr_t)msg);
}

static bool exists(const struct msg_pop_list *m, uint64_t uid)
{
	uint32_t low = 0, high = m->messages_n; /* in the order of uids */
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (m->messages[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->messages_n && m->messages[low].uid == uid;
}

/* A QUIT whose answer was lost: it has happened when all that it deletes is gone. */
static bool quit_happened(const struct box *b, const struct msg_pop_list *m)
{
	if (b->ask != ASK_QUIT || !b->repeated || !b->deleted)
		return false;
	for (uint32_t i = 0; i < b->n; i++)
		if (b->message[i].deleted && exists(m, b->message[i].uid))
			return false;
	return true;
}

static void on_reopened(void *arg, enum msg_type t, const void *msg)
{
	struct box *b = arg;
	struct session *s = b->s;
	struct slice text = {"", 0};
	enum ipc_err e = peer_error(t, msg, &text);
	const struct msg_pop_list *m = msg;
	b->reopening = false;
	if (e == ERR_OK &&
	    (t != MSG_pop_list || m->mailbox != b->mailbox || m->uidvalidity != b->uidvalidity))
		e = ERR_INUSE; /* not what we had open */
	if (e == ERR_OK) {
		b->stale = false;
		b->locked = true;
	}
	if (e == ERR_OK && !wanted(b)) {
		backend_close(b);
		e = ERR_TEMP;
	}
	if (b->ask == ASK_NONE || b->sent) {
		; /* nobody waits for this; a failure is met again by the next question */
	} else if (e == ERR_LOST || (e == ERR_TEMP && wanted(b))) {
		retry_later(b);
	} else if (e != ERR_OK) {
		finish(b, e, text, NULL);
	} else if (quit_happened(b, m)) {
		backend_close(b); /* the lock that was just taken again */
		finish(b, ERR_OK, text, NULL);
	} else {
		question(b);
	}
	session_drop(s);
}

static void reopen(struct box *b)
{
	struct msg_pop_open m = {
	    .grant = b->user->grant, .sid = slice_of(b->s->sid), .lock = lock_of(b), .again = 1};
	if (b->reopening)
		return;
	if (!uplink_call(MSG_pop_open, &m, on_reopened, b)) {
		if (b->ask != ASK_NONE)
			retry_later(b);
		return;
	}
	b->reopening = true;
	session_hold(b->s);
}

static uint32_t send_quit(struct box *b)
{
	struct msg_pop_quit m = {
	    .grant = b->user->grant, .lock = lock_of(b), .mailbox = b->mailbox};
	m.deleted = mem_alloc((b->n + 1) * sizeof(*m.deleted));
	m.retrieved = mem_alloc((b->n + 1) * sizeof(*m.retrieved));
	for (uint32_t i = 0; i < b->n; i++) {
		if (b->message[i].deleted)
			m.deleted[m.deleted_n++].uid = b->message[i].uid;
		else if (b->message[i].retrieved)
			m.retrieved[m.retrieved_n++].uid = b->message[i].uid;
	}
	uint32_t id = uplink_call(MSG_pop_quit, &m, on_answer, b);
	free(m.deleted);
	free(m.retrieved);
	return id;
}

static uint32_t send_open(struct box *b)
{
	struct msg_pop_open m = {.grant = b->user->grant,
				 .sid = slice_of(b->s->sid),
				 .lock = lock_of(b),
				 .again = b->repeated};
	return uplink_call(MSG_pop_open, &m, on_answer, b);
}

static uint32_t send_read(struct box *b)
{
	struct msg_message_read m = {.grant = b->user->grant,
				     .mailbox = b->mailbox,
				     .uid = b->message[b->t.index].uid,
				     .offset = b->read_off,
				     .length = b->read_len};
	return uplink_call(MSG_message_read, &m, on_answer, b);
}

static uint32_t send_ahead(struct box *b)
{
	struct row_uid uid[AHEAD_MAX];
	struct msg_messages_read m = {
	    .grant = b->user->grant, .mailbox = b->mailbox, .uids = uid, .uids_n = b->ahead_n};
	for (uint32_t i = 0; i < b->ahead_n; i++)
		uid[i].uid = b->ahead_uid[i];
	return uplink_call(MSG_messages_read, &m, on_answer, b);
}

/* Asks, or takes the lock again first. */
static void question(struct box *b)
{
	if (b->stale) {
		reopen(b);
		return;
	}
	uint32_t id = b->ask == ASK_QUIT    ? send_quit(b)
		      : b->ask == ASK_OPEN  ? send_open(b)
		      : b->ask == ASK_AHEAD ? send_ahead(b)
					    : send_read(b);
	b->sent = id != 0;
	if (!id)
		retry_later(b);
}

static void ask(struct session *s, enum ask what)
{
	struct box *b = s->box;
	b->ask = what;
	b->repeated = false;
	b->until = clock_mono() + conf.store_timeout;
	s->busy = true;
	session_hold(s);
	question(b);
}

void backend_open(struct session *s)
{
	ask(s, ASK_OPEN);
}

void backend_read(struct session *s, uint64_t off, uint64_t len)
{
	s->box->read_off = off;
	s->box->read_len = len;
	ask(s, ASK_READ);
}

void backend_read_ahead(struct session *s, const uint64_t *uid, uint32_t n)
{
	struct box *b = s->box;
	if (!b->ahead_uid)
		b->ahead_uid = mem_alloc(AHEAD_MAX * sizeof(*b->ahead_uid));
	memcpy(b->ahead_uid, uid, n * sizeof(*uid));
	b->ahead_n = n;
	ask(s, ASK_AHEAD);
}

void backend_quit(struct session *s)
{
	ask(s, ASK_QUIT);
}

void backend_close(struct box *b)
{
	struct msg_pop_close m = {
	    .grant = b->user->grant, .lock = lock_of(b), .mailbox = b->mailbox};
	list_del(&b->link);
	if (b->locked && !b->stale)
		uplink_call(MSG_pop_close, &m, ignore, NULL);
	b->locked = false;
}

/* All locks went with the connection before: they are taken again now, before another client
 * can, and before the questions that waited for the store are sent. */
void backend_store_up(void)
{
	list_each_safe(it, nx, &boxes)
	{
		struct box *b = list_entry(it, struct box, link);
		b->stale = true;
		if (!timer_is_set(&b->retry))
			reopen(b);
	}
}
