/* The worker: what is due in the queue is leased, delivered, and told of.
 *
 * One claim is under way at a time: what becomes due meanwhile comes with the next. It is made when
 * the store says that something is due (a watch's event), when the time of what waits has come, and
 * when a claim left something because of our limits and there is room again. Each claim tells how
 * much more every busy destination bears, so that no letter is leased only to wait here.
 *
 * The destinations ask for contents, and for no more at once than relay_conf.memory. Those of small
 * letters are here then: they come with the claims, as far as AHEAD_MAX has room for them. */
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"
#include "smtpd/relay_work.h"

enum {
	CLAIM_MAX = 64, /* the store gives no more at once */
	LIMITS_MAX = 5000,
	LOOK_MS = 1000, /* how often the clock and the leases are looked at: it may be moved */
	AGAIN_MS = 100, /* before a little room is used */
	READ_AGAIN_MS = 200,
	AHEAD_MAX = 1 << 20, /* octets of content that no destination has asked for */
};

struct relay_stats relay_stats;

struct lease { /* a recipient that we have */
	uint64_t item, rcpt;
};

static struct {
	bool on, draining, wanted, claiming;
	bool full;       /* the last claim left something: we had as many as we take */
	uint64_t due_ms; /* clock_ms(): ask again then */
	uint64_t
	    opens; /* clock_mono(): a destination that the last claim passed over may be tried */
	uint64_t asked_at; /* ... the last claim was made */
	uint64_t ahead;    /* octets of content, of AHEAD_MAX */
	struct list all, unread;
	struct map *leased;  /* struct lease -> held */
	struct map *left;    /* of the last claim: domain -> how many more it could get, and 1 */
	uint32_t per_domain; /* ... of those that are not there */
	struct map *busy;    /* domain -> how many letters we have of it */
	struct stub *dns;
	struct timer tick, again, reread;
	void (*drained)(void);
} w;

static void claim(void);

/* --- numbers in maps ------------------------------------------------------------------------- */

static uintptr_t number(const struct map *m, struct slice domain)
{
	return (uintptr_t)map_get(m, domain.p, domain.len);
}

static void set_number(struct map *m, struct slice domain, uintptr_t n)
{
	if (n)
		map_set(m, domain.p, domain.len, (void *)n);
	else
		map_del(m, domain.p, domain.len);
}

/* --- the end of a letter --------------------------------------------------------------------- */

static void check_drained(void)
{
	void (*done)(void) = w.drained;
	if (!done || relay_stats.held || w.claiming)
		return;
	w.drained = NULL;
	done();
}

static void drop_body(struct held *h)
{
	if (h->l.body.fd > 0)
		close(h->l.body.fd);
	free((void *)(uintptr_t)h->l.body.bytes.p);
	h->l.body = BODY_NONE;
	relay_stats.memory -= h->memory;
	w.ahead -= h->ahead ? h->memory : 0;
	h->ahead = false;
	h->memory = 0;
}

static void on_again(struct timer *t)
{
	(void)t;
	w.wanted = true;
	claim();
}

/* There is room. Much is used at once; for a little a claim would be too dear: it waits a moment
 * for more. */
static void room(struct slice domain)
{
	if (!w.full && number(w.left, domain) != 1)
		return;
	if (dest_room(domain) >= number(w.busy, domain)) {
		w.wanted = true;
		claim();
	} else if (!timer_is_set(&w.again)) {
		timer_set(&w.again, AGAIN_MS, on_again);
	}
}

void relay_result_done(struct held *h)
{
	struct pool *pool = h->l.pool; /* h lives there */
	struct slice domain = h->l.domain;
	for (size_t i = 0; i < h->l.mail.rcpt_n; i++) {
		struct lease key = {h->l.item, h->l.rcpt[i]};
		/* The last claim saw when the lease would run out, not when this is due again. */
		if (h->row && h->row[i].state == QUEUE_DUE && h->row[i].next_ms < w.due_ms)
			w.due_ms = h->row[i].next_ms;
		map_del(w.leased, &key, sizeof(key));
	}
	set_number(w.busy, domain, number(w.busy, domain) - 1);
	list_del(&h->link);
	relay_stats.held--;
	room(domain);
	pool_free(&pool);
	check_drained();
}

/* --- verdicts -------------------------------------------------------------------------------- */

static void log_outcome(const struct held *h, size_t i, uint64_t now_ms)
{
	const struct out_verdict *v = &h->l.verdict[i];
	const struct row_rcpt_done *d = &h->row[i];
	const char *what = d->state == QUEUE_DUE      ? "deferred"
			   : d->state == QUEUE_FAILED ? "failed"
						      : "delivered";
	uint64_t ms = now_ms > h->l.created_ms ? now_ms - h->l.created_ms : 0;
	char delay[32], text[256];
	if (v->state == OUT_DELIVERED)
		relay_stats_queued(ms);
	if (!log_wants(LOG_LV_INFO))
		return;
	str_fmt(delay, sizeof(delay), "%llu.%03llu", (unsigned long long)(ms / 1000),
		(unsigned long long)(ms % 1000));
	str_fmt(text, sizeof(text), "%.*s", SLICE_FMT(d->text));
	log_event(LOG_LV_INFO, h->l.id.p, what, LSL("to", h->l.mail.rcpt[i].addr),
		  LS("host", d->host.len ? v->host : NULL), LU("code", d->code),
		  LSL("status", d->status), LS("at", v->at), LS("reply", text), LS("delay", delay));
}

static void give_back(struct held *h)
{
	size_t n = h->l.mail.rcpt_n;
	h->back = pool_alloc(h->l.pool, n * sizeof(*h->back));
	for (size_t i = 0; i < n; i++)
		h->back[i].rcpt = h->l.rcpt[i];
	h->settled = true;
	relay_stats.returned++;
	relay_result(h);
}

static void on_done(struct letter *l)
{
	struct held *h = (struct held *)l;
	uint64_t now = clock_ms();
	uint32_t random;
	h->settled = true;
	list_del(&h->queue);
	drop_body(h);
	if (l->wait_ms == LETTER_UNTRIED) {
		give_back(h);
	} else {
		h->row = pool_alloc(l->pool, l->mail.rcpt_n * sizeof(*h->row));
		/* One for all: those that are deferred come together again. */
		id_random(&random, sizeof(random));
		for (size_t i = 0; i < l->mail.rcpt_n; i++) {
			retry_result(l, i, h->route, now, random, &h->row[i]);
			log_outcome(h, i, now);
		}
		relay_result(h);
	}
}

/* --- contents -------------------------------------------------------------------------------- */

static void read_more(void);

static void on_reread(struct timer *t)
{
	(void)t;
	read_more();
}

static void read_more(void)
{
	while (!list_empty(&w.unread)) {
		struct held *h = list_entry(w.unread.next, struct held, queue);
		if (!relay_read(h)) {
			timer_set(&w.reread, READ_AGAIN_MS, on_reread);
			return;
		}
		list_del(&h->queue);
	}
}

static void set_body(struct held *h, struct slice content)
{
	h->l.body = (struct body){.fd = -1,
				  .size = content.len,
				  .bytes = {mem_strndup(content.p, content.len), content.len}};
}

static void body_here(struct held *h)
{
	h->l.mail.body = &h->l.body;
	h->l.fetched = true;
	dest_fetched(&h->l, true);
}

static void on_fetch(struct letter *l)
{
	struct held *h = (struct held *)l;
	if (h->ahead) {
		h->ahead = false;
		w.ahead -= h->memory;
		body_here(h);
		return;
	}
	list_add_tail(&w.unread, &h->queue);
	if (!timer_is_set(&w.reread))
		read_more();
}

void relay_read_done(struct held *h, enum read_end end, struct body *body)
{
	if (h->settled) { /* the destination gave up waiting */
		if (h->over && h->asked == 0)
			relay_result_done(h);
		return;
	}
	if (end == READ_OK) {
		h->memory = body->size;
		relay_stats.memory += h->memory;
		if (body->fd > 0) {
			h->l.body = (struct body){.fd = body->fd, .size = body->size};
			body->fd = -1;
		} else {
			set_body(h, body->bytes);
		}
		body_here(h);
		return;
	}
	if (end == READ_NOT) {
		dest_fetched(&h->l, false);
		return;
	}
	list_add_tail(&w.unread, &h->queue);
	timer_set(&w.reread, READ_AGAIN_MS, on_reread);
}

/* --- claims ---------------------------------------------------------------------------------- */

static bool is_leased(uint64_t item, uint64_t rcpt)
{
	struct lease key = {item, rcpt};
	return map_get(w.leased, &key, sizeof(key));
}

static void copy_rcpts(struct held *h, const struct row_queued *q)
{
	struct pool *pool = h->l.pool;
	struct out_rcpt *to = pool_alloc(pool, q->rcpts_n * sizeof(*to));
	size_t n = 0;
	h->l.rcpt = pool_alloc(pool, q->rcpts_n * sizeof(*h->l.rcpt));
	h->l.attempts = pool_alloc(pool, q->rcpts_n * sizeof(*h->l.attempts));
	for (uint32_t i = 0; i < q->rcpts_n; i++) {
		const struct row_queued_rcpt *r = &q->rcpts[i];
		if (is_leased(q->item, r->rcpt))
			continue;
		struct lease key = {q->item, r->rcpt};
		map_set(w.leased, &key, sizeof(key), h);
		h->l.rcpt[n] = r->rcpt;
		h->l.attempts[n] = r->attempts;
		to[n++] = (struct out_rcpt){.addr = slice_copy(pool, r->addr),
					    .orcpt = slice_copy(pool, r->orcpt),
					    .notify = r->notify};
	}
	h->l.mail.rcpt = to;
	h->l.mail.rcpt_n = n;
}

static void keep_ahead(struct held *h, struct slice content)
{
	set_body(h, content);
	h->ahead = true;
	h->memory = content.len;
	relay_stats.memory += h->memory;
	w.ahead += h->memory;
}

/* A letter of what was leased. A lease that ran out while we had the letter (a store or a host that
 * stood still, a clock that moved) is given to us again: those recipients are under way already.
 * NULL: all are. */
static struct held *letter_of(const struct row_queued *q)
{
	struct pool *pool = pool_new(0);
	struct held *h = pool_alloc(pool, sizeof(*h));
	h->l.pool = pool;
	list_init(&h->l.link);
	list_init(&h->queue);
	copy_rcpts(h, q);
	if (h->l.mail.rcpt_n == 0) {
		pool_free(&pool);
		return NULL;
	}
	h->l.item = q->item;
	h->l.id = slice_copy(pool, q->id);
	h->l.domain = slice_copy(pool, q->domain);
	h->l.size = q->size;
	h->l.created_ms = q->created_ms;
	h->l.deliver_by_ms = q->deliver_by_ms;
	h->l.body = BODY_NONE;
	if (q->content.len)
		keep_ahead(h, q->content);
	h->l.mail.sender = slice_copy(pool, q->sender);
	h->l.mail.envid = slice_copy(pool, q->envid);
	h->l.mail.flags = q->flags;
	h->route = route_of(h->l.domain);
	h->renew_at = w.asked_at + relay_conf.lease / 3;
	h->until = w.asked_at + relay_conf.lease;
	list_add_tail(&w.all, &h->link);
	set_number(w.busy, h->l.domain, number(w.busy, h->l.domain) + 1);
	relay_stats.held++;
	relay_stats.claimed++;
	return h;
}

/* One of what the claim could get for the domain. */
static void count_off(struct slice domain)
{
	uintptr_t left = number(w.left, domain);
	if (left == 0)
		left = (uintptr_t)w.per_domain + 1;
	if (left > 1)
		set_number(w.left, domain, left - 1);
}

void relay_claimed(const struct msg_queue_items *m)
{
	w.claiming = false;
	if (!m) {
		w.due_ms = clock_ms() + LOOK_MS;
		check_drained();
		return;
	}
	w.due_ms = m->next_due_ms;
	for (uint32_t i = 0; i < m->items_n; i++) {
		struct held *h = letter_of(&m->items[i]);
		count_off(m->items[i].domain);
		if (h && w.draining) {
			drop_body(h);
			give_back(h);
		} else if (h)
			dest_add(&h->l);
	}
	w.wanted = w.wanted || w.due_ms <= clock_ms(); /* there is more */
	claim();
	check_drained();
}

struct limits {
	struct pool *pool;
	struct row_domain_limit *row;
	size_t n, cap;
};

static void add_limit(struct slice domain, unsigned n, void *arg)
{
	struct limits *l = arg;
	if (l->n == LIMITS_MAX)
		return;
	l->row = pool_grow(l->pool, l->row, l->n, &l->cap, sizeof(*l->row));
	l->row[l->n++] = (struct row_domain_limit){.domain = domain, .max = n};
	set_number(w.left, domain, (uintptr_t)n + 1);
}

/* Asks for what is due, if that is wanted and there is room. */
static void claim(void)
{
	uint64_t places = relay_conf.letters - relay_stats.held;
	if (!w.wanted || w.claiming || w.draining)
		return;
	w.full = relay_stats.held >= relay_conf.letters;
	if (w.full)
		return;
	struct limits l = {.pool = pool_new(0)};
	map_free(&w.left);
	w.left = map_new();
	w.per_domain = dest_room((struct slice){"", 0}); /* of one that is not known yet */
	if (w.per_domain == 0)
		w.per_domain = 1; /* 0 would be any number */
	dest_each(add_limit, &l);
	w.opens = dest_opens();
	w.asked_at = clock_mono();
	w.claiming =
	    relay_claim(places < CLAIM_MAX ? (uint32_t)places : CLAIM_MAX, w.per_domain,
			w.ahead < AHEAD_MAX ? AHEAD_MAX - w.ahead : 0, l.row, (uint32_t)l.n);
	w.wanted = !w.claiming;
	timer_clear(&w.again);
	pool_free(&l.pool);
}

/* --- time ------------------------------------------------------------------------------------ */

/* Nobody but us may deliver it as long as the lease is ours. When it is not, or when its end is
 * near and the store has not prolonged it, the letter is withdrawn: before its transaction, or in
 * it up to the end of the content. What is behind that goes on: its result counts as long as no
 * other has the lease. */
static void lease_lost(struct held *h)
{
	if (h->lost || h->settled)
		return;
	h->lost = true;
	relay_stats.lost++;
	log_event(LOG_LV_INFO, h->l.id.p, "lease-lost", LU("item", h->l.item),
		  LS("withdrawn", dest_withdraw(&h->l) ? "yes" : "no"));
}

void relay_renewed(struct held *h, enum ipc_err e)
{
	if (e == ERR_OK)
		h->until = h->asked_at + relay_conf.lease;
	else if (e == ERR_INUSE)
		lease_lost(h);
	else
		h->renew_at = clock_mono() + LOOK_MS;
}

static void look_after_leases(void)
{
	uint64_t now = clock_mono();
	list_each(it, &w.all)
	{
		struct held *h = list_entry(it, struct held, link);
		if (!h->over && h->renew_at <= now && relay_renew(h)) {
			h->renew_at = now + relay_conf.lease / 3;
			h->asked_at = now;
		}
		if (h->until <= now + relay_conf.lease / 4)
			lease_lost(h);
	}
}

static void on_tick(struct timer *t)
{
	timer_set(t, LOOK_MS, on_tick);
	look_after_leases();
	w.wanted = w.wanted || w.due_ms <= clock_ms() || w.opens <= clock_mono();
	claim();
}

void relay_wake(void)
{
	w.wanted = true;
	if (w.on)
		claim();
}

void relay_flush(void)
{
	stub_forget(w.dns);
	dest_reopen();
}

void relay_store_up(void)
{
	if (!w.on)
		return;
	relay_store_again();
	/* Before the claims of others, as far as that can be: it may have been away for long. */
	list_each(it, &w.all) list_entry(it, struct held, link)->renew_at = 0;
	look_after_leases();
	relay_wake();
}

/* --- start and end --------------------------------------------------------------------------- */

void relay_start(void)
{
	static const struct dest_ops OPS = {on_fetch, on_done};
	if (!relay_conf.on)
		return;
	list_init(&w.all);
	list_init(&w.unread);
	w.leased = map_new();
	w.busy = map_new();
	w.left = map_new();
	w.due_ms = w.opens = UINT64_MAX;
	w.dns = stub_new(&relay_conf.dns);
	relay_store_start();
	dest_start(w.dns, &OPS);
	w.on = true;
	timer_set(&w.tick, LOOK_MS, on_tick);
}

void relay_dns_stats(struct stub_stats *out)
{
	*out = (struct stub_stats){0};
	if (w.dns)
		stub_stats(w.dns, out);
}

void relay_drain(void (*done)(void))
{
	w.draining = true;
	w.drained = done;
	if (w.on)
		dest_drain();
	check_drained();
}
