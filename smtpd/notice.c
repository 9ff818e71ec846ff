/* Writes what is owed.
 *
 *   claim -> (where is its sender? -> read -> write and hand in) for each item -> wait -> claim
 *
 * The store keeps the promise: it stores a notice and marks its recipients told in one transaction,
 * under a lease. So an answer that was lost does no harm: asked again, the store says that the item
 * is not leased any more (told), or it is told now. What cannot be told now is left to its lease:
 * when that has run out, this process or another one tries again. */
#include "smtpd/notice.h"
#include <errno.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/ipc/store.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/mail/addr.h"
#include "libcommon/mail/meta.h"
#include "smtpd/relay.h"
#include "smtpd/smtpd.h"

enum {
	ITEMS = 8, /* leased at once */
	LEASE_MS = 120000,
	LOOK_MS = 1000,  /* how often the clock is looked at: it may be moved */
	SURE_MS = 60000, /* how often the store is asked in any case */
	RETRY_MS = 1000,
};

static struct {
	bool on;
	void (*drained)(void); /* no more claims */
	bool asking;           /* an answer is to come, which goes on */
	char worker[ID_LEN + 1];
	struct timer timer;
	struct pool *pool; /* of the leased items */
	struct row_owed *item;
	uint32_t items, at;
	uint64_t leased_until; /* clock_mono() */
	uint64_t next_ms;      /* something is owed then, clock_ms() */
	uint64_t sure_at;      /* clock_mono() */
	bool local;            /* the sender of the item under way has a mailbox here */
	char id[ID_LEN + 1];   /* of the notice that is handed in */
} work;

static void go_on(void);

/* --- asking ----------------------------------------------------------------------------------- */

static void on_time(struct timer *t)
{
	(void)t;
	go_on();
}

static void drop_items(void)
{
	work.items = work.at = 0;
	pool_free(&work.pool);
}

static void next_item(void)
{
	if (++work.at >= work.items)
		drop_items();
	go_on();
}

/* The store is away: the same again in a moment, as long as the lease lasts. */
static void later(void)
{
	if (work.drained || clock_mono() >= work.leased_until)
		drop_items();
	if (work.items == 0)
		work.next_ms = 0;
	if (work.drained)
		go_on();
	else
		timer_set(&work.timer, RETRY_MS, on_time);
}

static void ask(enum msg_type t, const void *msg, peer_reply_fn *fn)
{
	work.asking = uplink_call(t, msg, fn, NULL) != 0;
	if (!work.asking)
		later();
}

static enum ipc_err error_of(enum msg_type t, const void *msg, enum msg_type wanted)
{
	struct slice text;
	return t == wanted ? ERR_OK : t == MSG_error ? peer_error(t, msg, &text) : ERR_BAD;
}

static void log_failed(const char *what, enum ipc_err e)
{
	/* Told by another worker meanwhile, or by us and the answer was lost. */
	if (e != ERR_INUSE && e != ERR_NOTFOUND)
		log_event(LOG_LV_WARN, NULL, "notice-failed", LS("what", what),
			  LS("error", ipc_err_name(e)), LU("item", work.item[work.at].item));
}

/* --- handing in ------------------------------------------------------------------------------- */

static void on_stored(void *arg, enum msg_type t, const void *msg)
{
	const struct msg_ok *ok = msg;
	const struct row_owed *o = &work.item[work.at];
	enum ipc_err e = error_of(t, msg, MSG_ok);
	(void)arg;
	work.asking = false;
	if (e == ERR_LOST) {
		later();
		return;
	}
	if (e != ERR_OK) {
		log_failed("store", e);
	} else if (ok->value) { /* else nobody has the sender's address */
		stats.notices++;
		log_event(LOG_LV_INFO, work.id, "notice", LSL("of", o->id), LSL("to", o->sender),
			  LU("recipients", o->rcpts_n));
	}
	next_item();
}

/* text stays its owner's; a large one goes into a memory file. */
static bool make_body(struct slice text, struct body *out)
{
	*out = BODY_NONE;
	if (text.len <= IPC_INLINE_BODY) {
		out->bytes = text;
		return true;
	}
	out->size = text.len;
	out->fd = body_memfd("notice");
	if (out->fd < 0)
		return false;
	while (text.len) {
		ssize_t n = write(out->fd, text.p, text.len);
		if (n <= 0 && errno != EINTR) {
			close(out->fd);
			return false;
		}
		if (n > 0)
			text = (struct slice){text.p + n, text.len - (size_t)n};
	}
	return true;
}

static void hand_in(const struct row_owed *o, uint32_t flags, struct slice text)
{
	struct buf meta = {0};
	struct msg_queue_notice m = {.worker = slice_of(work.worker),
				     .item = o->item,
				     .rcpts_n = o->rcpts_n,
				     .id = slice_of(work.id),
				     .sid = SLICE(""),
				     .flags = flags};
	if (!make_body(text, &m.body)) {
		log_failed("memory file", ERR_TEMP);
		next_item();
		return;
	}
	m.rcpts = pool_alloc(work.pool, o->rcpts_n * sizeof(*m.rcpts));
	for (uint32_t i = 0; i < o->rcpts_n; i++)
		m.rcpts[i] = (struct row_told){o->rcpts[i].rcpt, o->rcpts[i].owed};
	meta_encode(&meta, text);
	m.meta = buf_slice(&meta);
	ask(MSG_queue_notice, &m, on_stored);
	if (m.body.fd > 0)
		close(m.body.fd);
	buf_free(&meta);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* When the recipients are given up. */
static const uint64_t *limits(const struct row_owed *o)
{
	uint64_t *until = pool_alloc(work.pool, o->rcpts_n * sizeof(*until));
	bool by = o->deliver_by_ms && !(o->flags & DELIVER_BY_NOTIFY);
	for (uint32_t i = 0; i < o->rcpts_n; i++) {
		struct slice local, domain;
		addr_split(o->rcpts[i].addr, &local, &domain);
		until[i] = o->created_ms + route_of(domain)->give_up;
		if (by && o->deliver_by_ms < until[i])
			until[i] = o->deliver_by_ms;
	}
	return until;
}

static void write_notice(struct slice original)
{
	const struct row_owed *o = &work.item[work.at];
	struct buf text = {0};
	id_new(work.id);
	struct notice_item n = {.item = o,
				.until_ms = limits(o),
				.hostname = conf.hostname,
				.from = conf.notices.from,
				.id = work.id,
				.local = work.local,
				.now_ms = clock_ms(),
				.full_size = conf.notices.full_size,
				.original = original};
	uint32_t flags = notice_compose(&n, &text);
	hand_in(o, flags, buf_slice(&text));
	buf_free(&text);
}

static void on_read(void *arg, enum msg_type t, const void *msg)
{
	const struct msg_message_data *m = msg;
	struct slice original;
	enum ipc_err e = error_of(t, msg, MSG_message_data);
	(void)arg;
	work.asking = false;
	if (e == ERR_LOST) {
		later();
	} else if (e == ERR_NOTFOUND || e == ERR_BAD) { /* its body is gone: told without it */
		write_notice(SLICE(""));
	} else if (e != ERR_OK || !body_map(&m->body, &original)) {
		log_failed("read", e == ERR_OK ? ERR_TEMP : e);
		next_item();
	} else {
		write_notice(original);
		body_unmap(&m->body, &original);
	}
}

static void on_sender(void *arg, enum msg_type t, const void *msg)
{
	const struct msg_rcpt_ok *m = msg;
	struct msg_queue_read rd = {.worker = slice_of(work.worker),
				    .item = work.item[work.at].item};
	(void)arg;
	work.asking = false;
	if (error_of(t, msg, MSG_rcpt_ok) == ERR_LOST) {
		later();
		return;
	}
	work.local = t == MSG_rcpt_ok && m->kind == RCPT_LOCAL;
	ask(MSG_queue_read, &rd, on_read);
}

static void begin_item(void)
{
	struct msg_rcpt_check m = {.rcpt = work.item[work.at].sender};
	ask(MSG_rcpt_check, &m, on_sender);
}

/* --- leasing ---------------------------------------------------------------------------------- */

static void copy_rcpts(struct row_owed *o)
{
	struct row_owed_rcpt *r = pool_dup(work.pool, o->rcpts, o->rcpts_n * sizeof(*r));
	for (uint32_t i = 0; i < o->rcpts_n; i++) {
		r[i].addr = slice_copy(work.pool, r[i].addr);
		r[i].orcpt = slice_copy(work.pool, r[i].orcpt);
		r[i].status = slice_copy(work.pool, r[i].status);
		r[i].host = slice_copy(work.pool, r[i].host);
		r[i].text = slice_copy(work.pool, r[i].text);
	}
	o->rcpts = r;
}

static void copy_items(const struct msg_notices_owed *m)
{
	work.pool = pool_new(0);
	work.item = pool_alloc(work.pool, m->items_n * sizeof(*work.item));
	for (uint32_t i = 0; i < m->items_n; i++) {
		struct row_owed *o = &work.item[work.items];
		*o = m->items[i];
		if (o->rcpts_n == 0)
			continue;
		o->id = slice_copy(work.pool, o->id);
		o->sender = slice_copy(work.pool, o->sender);
		o->envid = slice_copy(work.pool, o->envid);
		copy_rcpts(o);
		work.items++;
	}
	if (work.items == 0)
		drop_items();
}

static void on_claimed(void *arg, enum msg_type t, const void *msg)
{
	const struct msg_notices_owed *m = msg;
	(void)arg;
	work.asking = false;
	if (t != MSG_notices_owed) {
		later();
		return;
	}
	work.leased_until = clock_mono() + LEASE_MS;
	if (m->next_due_ms < work.next_ms) /* which an event may have said meanwhile */
		work.next_ms = m->next_due_ms;
	if (m->items_n)
		copy_items(m);
	if (work.items == 0 && work.next_ms <= clock_ms())
		work.next_ms = clock_ms() + RETRY_MS; /* never in a ring */
	go_on();
}

static void claim(void)
{
	struct msg_notice_claim m = {
	    .worker = slice_of(work.worker), .max = ITEMS, .lease_ms = LEASE_MS};
	work.next_ms = UINT64_MAX;
	work.sure_at = clock_mono() + SURE_MS;
	ask(MSG_notice_claim, &m, on_claimed);
}

/* Nothing is under way: what is next? */
static void go_on(void)
{
	uint64_t now = clock_ms();
	if (work.items) {
		begin_item();
	} else if (work.drained) {
		void (*drained)(void) = work.drained;
		work.on = false;
		work.drained = NULL;
		drained();
	} else if (work.next_ms <= now || work.sure_at <= clock_mono()) {
		claim();
	} else {
		uint64_t ms = work.next_ms - now;
		timer_set(&work.timer, ms < LOOK_MS ? ms : LOOK_MS, on_time);
	}
}

/* Nothing is leased, and no answer is to come. */
static bool waits(void)
{
	return work.on && work.items == 0 && !work.asking;
}

static void on_watch(void *arg, enum msg_type t, const void *msg)
{
	const struct msg_watch_event *ev = msg;
	enum ipc_err e = t == MSG_error ? error_of(t, msg, MSG_ok) : ERR_OK;
	(void)arg;
	if (e != ERR_OK && e != ERR_LOST)
		log_event(LOG_LV_ERROR, NULL, "watch-failed", LS("error", ipc_err_name(e)));
	if (t != MSG_watch_event || ev->value >= work.next_ms)
		return;
	work.next_ms = ev->value;
	if (waits())
		go_on();
}

void notice_store_up(void)
{
	struct msg_watch m = {.kind = WATCH_QUEUE, .object = QUEUE_WATCH_NOTICE};
	if (!work.on)
		return;
	uplink_call(MSG_watch, &m, on_watch, NULL);
	/* What was owed before is not told by events. */
	work.next_ms = 0;
	if (waits())
		go_on();
}

void notice_start(void)
{
	work.on = true;
	id_new(work.worker);
	claim();
}

void notice_drain(void (*done)(void))
{
	if (!work.on) {
		done();
		return;
	}
	work.drained = done;
	if (work.asking)
		return;
	timer_clear(&work.timer);
	go_on();
}
