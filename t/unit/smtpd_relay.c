/* The worker between a store and destinations that are both this test: what is leased, how often it
 * asks, what it does when the store is away, and that nothing is lost. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/frame.h"
#include "libcommon/ipc/store.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"
#include "smtpd/relay_work.h"

enum { MANY = 64 };

/* --- the store ------------------------------------------------------------------------------- */

struct question {
	enum msg_type t;
	peer_reply_fn *fn;
	void *arg;
	uint64_t item;
	uint32_t n;
};

static struct {
	unsigned asked[8]; /* by what() */
	enum ipc_err fail; /* what the next questions get ... */
	enum msg_type failing;
	unsigned failures; /* ... so many of them */
	bool silent;       /* claims are not answered */
	struct question claim;
	struct row_queued item[MANY]; /* what the next claim gets */
	uint32_t items;
	uint64_t next_due;
	const char *content;
	bool memfd;
	peer_reply_fn *watch;
	void *watch_arg;
	/* what came */
	struct row_rcpt_done row[MANY];
	char status[MANY][16];
	unsigned rows, results, returned, renewed;
	uint32_t claim_max, per_domain, limits, limit[4];
	uint64_t claim_content;
} store;

enum { CLAIM, READ, RESULT, RETURN, RENEW, WATCH };

static int what(enum msg_type t)
{
	switch (t) {
	case MSG_queue_claim:
		return CLAIM;
	case MSG_queue_read:
		return READ;
	case MSG_queue_result:
		return RESULT;
	case MSG_queue_return:
		return RETURN;
	case MSG_queue_renew:
		return RENEW;
	default:
		return WATCH;
	}
}

static void give_items(const struct question *q)
{
	struct msg_queue_items m = {
	    .items = store.item, .items_n = store.items, .next_due_ms = store.next_due};
	store.items = 0;
	q->fn(q->arg, MSG_queue_items, &m);
}

static void give_data(const struct question *q)
{
	struct slice text = slice_of(store.content);
	struct msg_message_data m = {.size = text.len,
				     .body = {.bytes = text, .fd = -1, .size = text.len}};
	if (store.memfd) {
		m.body.fd = body_memfd("stub");
		assert_int_equal(write(m.body.fd, text.p, text.len), text.len);
		frame_seal(m.body.fd);
		m.body.bytes = (struct slice){0};
	}
	q->fn(q->arg, MSG_message_data, &m);
	if (m.body.fd > 0)
		close(m.body.fd);
}

static void answer(void *arg)
{
	struct question *q = arg;
	if (store.failures && store.failing == q->t) {
		struct msg_error e = {.code = store.fail, .text = SLICE("no")};
		store.failures--;
		q->fn(q->arg, MSG_error, &e);
	} else if (q->t == MSG_queue_claim && store.silent) {
		store.claim = *q;
	} else if (q->t == MSG_queue_claim) {
		give_items(q);
	} else if (q->t == MSG_queue_read) {
		give_data(q);
	} else {
		struct msg_ok ok = {0};
		store.results += q->t == MSG_queue_result;
		store.returned += q->t == MSG_queue_return ? q->n : 0;
		store.renewed = q->t == MSG_queue_renew ? q->n : store.renewed;
		q->fn(q->arg, MSG_ok, &ok);
	}
	free(q);
}

static void note_claim(const struct msg_queue_claim *m)
{
	store.claim_max = m->max;
	store.claim_content = m->content;
	store.per_domain = m->per_domain;
	store.limits = m->limits_n;
	for (uint32_t i = 0; i < m->limits_n && i < 4; i++)
		store.limit[i] = m->limits[i].max;
}

static void note_result(const struct msg_queue_result *m)
{
	for (uint32_t i = 0; i < m->rcpts_n && store.rows < MANY; i++) {
		store.row[store.rows] = m->rcpts[i];
		str_fmt(store.status[store.rows++], 16, "%.*s", SLICE_FMT(m->rcpts[i].status));
	}
}

static uint32_t asked(struct peer *p, enum msg_type t, const void *msg, peer_reply_fn *fn,
		      void *arg)
{
	struct question *q = mem_alloc(sizeof(*q));
	(void)p;
	*q = (struct question){.t = t, .fn = fn, .arg = arg};
	store.asked[what(t)]++;
	if (t == MSG_queue_claim)
		note_claim(msg);
	if (t == MSG_queue_result)
		note_result(msg);
	if (t == MSG_queue_return)
		q->n = ((const struct msg_queue_return *)msg)->rcpts_n;
	if (t == MSG_queue_renew)
		q->n = ((const struct msg_queue_renew *)msg)->rcpts_n;
	if (t == MSG_watch) {
		store.watch = fn;
		store.watch_arg = arg;
	}
	loop_defer(answer, q);
	return 1;
}

static void event_of(uint64_t object)
{
	struct msg_watch_event m = {.kind = WATCH_QUEUE, .object = object};
	store.watch(store.watch_arg, MSG_watch_event, &m);
}

static void event(void)
{
	event_of(QUEUE_WATCH_DUE);
}

/* --- the destinations ------------------------------------------------------------------------ */

static struct {
	const struct dest_ops *ops;
	struct letter *l[MANY];
	unsigned n, fetched, missing;
	unsigned room;
	const char *busy; /* a domain that is told by dest_each() */
	unsigned busy_room;
	unsigned reopened;
	unsigned withdrawn;
	bool ended; /* the letter's content is out */
	bool draining;
	uint64_t opens;
} dest;

void dest_start(struct stub *s, const struct dest_ops *ops)
{
	(void)s;
	dest.ops = ops;
}

void dest_add(struct letter *l)
{
	dest.l[dest.n++] = l;
}

void dest_fetched(struct letter *l, bool ok)
{
	assert_true(!ok || l->mail.body == &l->body);
	dest.fetched += ok;
	dest.missing += !ok;
}

unsigned dest_room(struct slice domain)
{
	return dest.busy && slice_eqs(domain, dest.busy) ? dest.busy_room : dest.room;
}

void dest_each(void (*fn)(struct slice domain, unsigned room, void *arg), void *arg)
{
	if (dest.busy)
		fn(slice_of(dest.busy), dest.busy_room, arg);
}

uint64_t dest_opens(void)
{
	return dest.opens;
}

void dest_reopen(void)
{
	dest.reopened++;
}

static void done(unsigned i, enum out_state state, uint64_t wait_ms);

static void withdrawn_later(void *arg)
{
	(void)arg;
	done(0, OUT_TEMP, LETTER_UNTRIED);
}

bool dest_withdraw(struct letter *l)
{
	assert_ptr_equal(l, dest.l[0]);
	dest.withdrawn++;
	if (!dest.ended)
		loop_defer(withdrawn_later, NULL);
	return !dest.ended;
}

void dest_drain(void)
{
	dest.draining = true;
}

void dest_stats(struct dest_stats *out)
{
	*out = (struct dest_stats){0};
}

/* The letter is over, all of it in the same way. */
static void done(unsigned i, enum out_state state, uint64_t wait_ms)
{
	struct letter *l = dest.l[i];
	struct out_verdict v = {.state = state,
				.code = state == OUT_DELIVERED ? 250 : 451,
				.status = "4.3.0",
				.at = "end of DATA",
				.text = "words",
				.host = "mx.b.test"};
	l->verdict = pool_alloc(l->pool, l->mail.rcpt_n * sizeof(v));
	for (size_t k = 0; k < l->mail.rcpt_n; k++)
		l->verdict[k] = v;
	l->wait_ms = wait_ms;
	dest.ops->done(l);
}

/* --- scenes ---------------------------------------------------------------------------------- */

static struct row_queued_rcpt RCPT[2] = {
    {.rcpt = 0, .addr = SLICE("x@b.test"), .orcpt = SLICE("rfc822;x")},
    {.rcpt = 1, .addr = SLICE("y@b.test"), .orcpt = SLICE("")}};

static struct row_queued item(uint64_t n, uint32_t rcpts)
{
	return (struct row_queued){.item = n,
				   .id = SLICE("m1"),
				   .sender = SLICE("me@a.test"),
				   .domain = SLICE("b.test"),
				   .envid = SLICE(""),
				   .size = 5,
				   .created_ms = clock_ms(),
				   .rcpts = RCPT,
				   .rcpts_n = rcpts};
}

static void nothing(struct timer *t)
{
	(void)t;
}

/* Lets the loop run: time for the questions under way, or some more. */
static void run(uint64_t ms)
{
	struct timer wake = {0};
	uint64_t until = clock_mono() + ms;
	for (int i = 0; ms ? clock_mono() < until : i < 20; i++) {
		if (ms && !timer_is_set(&wake))
			timer_set(&wake, 100, nothing);
		uv_run(loop_get(), ms ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	}
	timer_clear(&wake);
}

/* Until the number is that. */
static void until(const unsigned *n, unsigned want)
{
	uint64_t end = clock_mono() + 30000;
	while (*n < want && clock_mono() < end)
		run(100);
	assert_int_equal(*n, want);
}

static int begin(void **state)
{
	(void)state;
	assert_int_equal(relay_stats.held, 0);
	memset(&store, 0, sizeof(store));
	store.next_due = UINT64_MAX;
	store.content = "hello";
	dest.n = dest.fetched = dest.missing = dest.withdrawn = 0;
	dest.ended = false;
	dest.room = 10;
	dest.busy = NULL;
	dest.opens = UINT64_MAX;
	relay_store_up();
	run(0);
	assert_int_equal(store.asked[WATCH], 2); /* what is due, and flushes */
	return 0;
}

static void lease(uint32_t n, uint32_t rcpts)
{
	store.items = n;
	for (uint32_t i = 0; i < n; i++)
		store.item[i] = item(100 + i, rcpts);
	event();
	run(0);
	assert_int_equal(dest.n, n);
}

static void a_flush_opens_closed_destinations(void **state)
{
	(void)state;
	unsigned claims = store.asked[CLAIM];
	event_of(QUEUE_WATCH_FLUSH);
	run(0);
	assert_int_equal(dest.reopened, 1);
	assert_int_equal(store.asked[CLAIM], claims + 1);
	event();
	run(0);
	assert_int_equal(dest.reopened, 1);
}

static void a_letter_goes_out(void **state)
{
	(void)state;
	lease(1, 2);
	struct letter *l = dest.l[0];
	assert_int_equal(l->mail.rcpt_n, 2);
	assert_true(slice_eqs(l->mail.rcpt[0].orcpt, "rfc822;x"));
	assert_true(slice_eqs(l->mail.sender, "me@a.test") && slice_eqs(l->domain, "b.test"));
	dest.ops->fetch(l);
	run(0);
	assert_int_equal(dest.fetched, 1);
	assert_true(slice_eqs(l->body.bytes, "hello"));
	assert_int_equal(relay_stats.memory, 5);
	done(0, OUT_DELIVERED, 0);
	assert_int_equal(relay_stats.memory, 0);
	run(0);
	assert_int_equal(store.results, 1);
	assert_int_equal(store.rows, 2);
	assert_int_equal(store.row[1].state, QUEUE_RELAYED);
	assert_int_equal(relay_stats.held, 0);
}

static void content_that_came_along_is_not_asked_for(void **state)
{
	(void)state;
	store.items = 2;
	for (uint32_t i = 0; i < 2; i++) {
		store.item[i] = item(100 + i, 1);
		store.item[i].content = SLICE("hello");
	}
	event();
	run(0);
	uint64_t room = store.claim_content;
	assert_int_equal(relay_stats.memory, 10);
	dest.ops->fetch(dest.l[0]);
	assert_int_equal(dest.fetched, 1);
	assert_true(slice_eqs(dest.l[0]->mail.body->bytes, "hello"));
	event();
	run(0);
	assert_int_equal(store.claim_content, room - 5); /* the other one's */
	done(0, OUT_DELIVERED, 0);
	done(1, OUT_TEMP, LETTER_UNTRIED);
	run(0);
	assert_int_equal(store.asked[READ], 0);
	assert_int_equal(store.returned, 1);
	assert_int_equal(relay_stats.memory, 0);
	event();
	run(0);
	assert_int_equal(store.claim_content, room);
}

static void a_large_body_is_taken(void **state)
{
	(void)state;
	struct slice text;
	store.memfd = true;
	lease(1, 1);
	dest.ops->fetch(dest.l[0]);
	run(0);
	assert_true(body_map(dest.l[0]->mail.body, &text));
	assert_true(slice_eqs(text, "hello"));
	body_unmap(dest.l[0]->mail.body, &text);
	done(0, OUT_TEMP, 0);
	run(0);
	assert_int_equal(store.row[0].state, QUEUE_DUE);
}

static void content_is_asked_for_until_it_comes(void **state)
{
	(void)state;
	lease(2, 1);
	store.failing = MSG_queue_read;
	store.failures = 2;
	store.fail = ERR_LOST;
	dest.ops->fetch(dest.l[0]);
	until(&dest.fetched, 1);
	store.failures = 1;
	store.fail = ERR_INUSE; /* nothing that could come later */
	dest.ops->fetch(dest.l[1]);
	until(&dest.missing, 1);
	done(0, OUT_PERM, 0);
	done(1, OUT_TEMP, 0);
	run(0);
	assert_int_equal(store.results, 2);
}

static void content_that_nobody_waits_for(void **state)
{
	(void)state;
	lease(1, 1);
	dest.ops->fetch(dest.l[0]);
	done(0, OUT_TEMP, 0);
	run(0);
	assert_int_equal(dest.fetched, 0);
	assert_int_equal(store.results, 1);
	assert_int_equal(relay_stats.held, 0);
}

static void results_are_repeated(void **state)
{
	(void)state;
	lease(2, 1);
	store.failing = MSG_queue_result;
	store.failures = 2;
	store.fail = ERR_LOST;
	done(0, OUT_DELIVERED, 0);
	done(1, OUT_DELIVERED, 0);
	run(0);
	assert_int_equal(relay_stats.held, 2);
	store.failures = 1;
	store.fail = ERR_FULL;
	relay_store_up();
	run(0);
	assert_int_equal(store.results, 1);
	until(&store.results, 2);
	run(0);
	assert_int_equal(relay_stats.held, 0);
}

static void a_lost_lease_is_let_go(void **state)
{
	(void)state;
	lease(2, 2);
	store.failing = MSG_queue_result;
	store.fail = ERR_INUSE;
	store.failures = 2; /* the whole, and the first recipient */
	done(0, OUT_DELIVERED, 0);
	run(0);
	assert_int_equal(store.results, 1);
	assert_int_equal(store.rows, 4); /* two, one, one */
	assert_int_equal(store.row[3].rcpt, 1);
	store.failures = 3;
	done(1, OUT_DELIVERED, 0);
	run(0);
	assert_int_equal(store.results, 1);
	assert_int_equal(relay_stats.held, 0);
}

static void one_claim_at_a_time(void **state)
{
	(void)state;
	unsigned before = store.asked[CLAIM];
	store.silent = true;
	for (int i = 0; i < 5; i++)
		event();
	run(0);
	assert_int_equal(store.asked[CLAIM], before + 1);
	store.silent = false;
	give_items(&store.claim);
	run(0);
	assert_int_equal(store.asked[CLAIM], before + 2);
}

static void a_claim_that_could_not_get_all_is_followed(void **state)
{
	(void)state;
	unsigned before = store.asked[CLAIM];
	store.silent = true;
	event();
	run(0);
	store.next_due = 1; /* in the past */
	give_items(&store.claim);
	store.next_due = UINT64_MAX;
	run(0);
	assert_int_equal(store.asked[CLAIM], before + 2);
	store.silent = false;
	give_items(&store.claim);
}

static void the_time_of_what_waits_comes(void **state)
{
	(void)state;
	store.next_due = clock_ms() + 500;
	event();
	run(0);
	unsigned before = store.asked[CLAIM];
	store.next_due = UINT64_MAX;
	until(&store.asked[CLAIM], before + 1);
}

static void what_was_deferred_is_due_before_its_lease_ends(void **state)
{
	(void)state;
	struct route *r = (struct route *)(uintptr_t)route_of(SLICE("b.test"));
	uint64_t usual = r->retry_first;
	r->retry_first = 500;
	lease(1, 1);
	unsigned before = store.asked[CLAIM];
	done(0, OUT_TEMP, 0);
	until(&store.asked[CLAIM], before + 1);
	assert_int_equal(store.row[0].state, QUEUE_DUE);
	r->retry_first = usual;
}

static void what_was_passed_over_is_asked_for_when_its_destination_opens(void **state)
{
	(void)state;
	dest.opens = clock_mono() + 500;
	event();
	run(0);
	unsigned before = store.asked[CLAIM];
	dest.opens = UINT64_MAX;
	until(&store.asked[CLAIM], before + 1);
}

static void busy_destinations_are_limited(void **state)
{
	(void)state;
	dest.busy = "b.test";
	dest.busy_room = 2;
	lease(2, 1);
	assert_int_equal(store.per_domain, 10);
	assert_int_equal(store.limits, 1);
	assert_int_equal(store.limit[0], 2);
	/* It got as many as it could: more may wait. */
	unsigned before = store.asked[CLAIM];
	dest.busy_room = 0;
	done(0, OUT_DELIVERED, 0);
	run(0);
	assert_int_equal(store.asked[CLAIM], before);
	dest.busy_room = 1;
	done(1, OUT_DELIVERED, 0);
	run(0);
	assert_int_equal(store.asked[CLAIM], before + 1);
}

static void never_more_than_allowed(void **state)
{
	(void)state;
	relay_conf.letters = 2;
	lease(2, 1);
	assert_int_equal(store.claim_max, 2);
	unsigned before = store.asked[CLAIM];
	event();
	run(0);
	assert_int_equal(store.asked[CLAIM], before);
	done(0, OUT_DELIVERED, 0);
	done(1, OUT_DELIVERED, 0);
	until(&store.asked[CLAIM], before + 1);
	relay_conf.letters = MANY;
}

static void what_is_under_way_is_not_begun_again(void **state)
{
	(void)state;
	lease(1, 1);
	store.items = 1;
	store.item[0] = item(100, 2); /* its first recipient is there */
	event();
	run(0);
	assert_int_equal(dest.n, 2);
	assert_int_equal(dest.l[1]->mail.rcpt_n, 1);
	assert_int_equal(dest.l[1]->rcpt[0], 1);
	store.items = 1;
	store.item[0] = item(100, 2);
	event();
	run(0);
	assert_int_equal(dest.n, 2);
	done(0, OUT_DELIVERED, 0);
	done(1, OUT_DELIVERED, 0);
	run(0);
	assert_int_equal(relay_stats.held, 0);
}

static void leases_are_renewed(void **state)
{
	(void)state;
	relay_conf.lease = 6000;
	lease(1, 2);
	until(&store.asked[RENEW], 2);
	assert_int_equal(store.renewed, 2); /* recipients */
	assert_int_equal(dest.withdrawn, 0);
	done(0, OUT_DELIVERED, 0);
	run(0);
	relay_conf.lease = 300000;
}

static void a_store_that_comes_back_is_asked_for_longer_leases(void **state)
{
	(void)state;
	lease(2, 1);
	relay_store_up();
	run(0);
	assert_int_equal(store.asked[RENEW], 2);
	done(0, OUT_DELIVERED, 0);
	done(1, OUT_DELIVERED, 0);
	run(0);
	assert_int_equal(relay_stats.held, 0);
}

static void a_letter_whose_lease_is_lost_is_withdrawn(void **state)
{
	(void)state;
	uint64_t lost = relay_stats.lost;
	lease(1, 2);
	store.failing = MSG_queue_renew;
	store.failures = 1;
	store.fail = ERR_INUSE;
	relay_store_up();
	run(0);
	assert_int_equal(relay_stats.lost, lost + 1);
	assert_int_equal(dest.withdrawn, 1);
	/* Those that are ours still are given back, untried. */
	assert_int_equal(store.returned, 2);
	assert_int_equal(store.results, 0);
	assert_int_equal(relay_stats.held, 0);
}

static void a_letter_that_the_server_may_have_is_not(void **state)
{
	(void)state;
	dest.ended = true;
	lease(1, 1);
	store.failing = MSG_queue_renew;
	store.failures = 2;
	store.fail = ERR_INUSE;
	relay_store_up();
	run(0);
	relay_store_up();
	run(0);
	assert_int_equal(dest.withdrawn, 1);
	done(0, OUT_DELIVERED, 0);
	run(0);
	assert_int_equal(store.results, 1);
	assert_int_equal(relay_stats.held, 0);
}

/* The store is away for so long that the lease runs out: another may have it then. */
static void a_letter_whose_lease_runs_out_is_withdrawn(void **state)
{
	(void)state;
	relay_conf.lease = 3000;
	store.failing = MSG_queue_renew;
	store.failures = UINT_MAX;
	store.fail = ERR_LOST;
	lease(1, 1);
	until(&dest.withdrawn, 1);
	run(0);
	assert_int_equal(store.returned, 1);
	assert_int_equal(relay_stats.held, 0);
	store.failures = 0;
	relay_conf.lease = 300000;
}

static bool drained;

static void on_drained(void)
{
	drained = true;
}

static void a_drain_gives_back_what_waits(void **state)
{
	(void)state;
	lease(3, 2);
	store.silent = true;
	event();
	run(0);
	relay_drain(on_drained);
	assert_true(dest.draining);
	done(0, OUT_TEMP, LETTER_UNTRIED);
	done(1, OUT_DELIVERED, 0);
	run(0);
	assert_int_equal(store.returned, 2);
	assert_int_equal(store.results, 1);
	store.items = 1;
	store.item[0] = item(200, 1);
	store.silent = false;
	give_items(&store.claim);
	run(0);
	assert_int_equal(dest.n, 3);
	assert_int_equal(store.returned, 3);
	assert_false(drained);
	store.failing = MSG_queue_return;
	store.failures = 1;
	store.fail = ERR_TEMP;
	done(2, OUT_TEMP, LETTER_UNTRIED);
	run(0);
	assert_false(drained);
	until(&store.returned, 5);
	run(0);
	assert_true(drained);
	unsigned claims = store.asked[CLAIM];
	event();
	run(0);
	assert_int_equal(store.asked[CLAIM], claims);
}

#define T(f) cmocka_unit_test_setup(f, begin)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_letter_goes_out),
	    T(a_flush_opens_closed_destinations),
	    T(a_large_body_is_taken),
	    T(content_that_came_along_is_not_asked_for),
	    T(content_is_asked_for_until_it_comes),
	    T(content_that_nobody_waits_for),
	    T(results_are_repeated),
	    T(a_lost_lease_is_let_go),
	    T(one_claim_at_a_time),
	    T(a_claim_that_could_not_get_all_is_followed),
	    T(the_time_of_what_waits_comes),
	    T(what_was_deferred_is_due_before_its_lease_ends),
	    T(what_was_passed_over_is_asked_for_when_its_destination_opens),
	    T(busy_destinations_are_limited),
	    T(never_more_than_allowed),
	    T(what_is_under_way_is_not_begun_again),
	    T(leases_are_renewed),
	    T(a_store_that_comes_back_is_asked_for_longer_leases),
	    T(a_letter_whose_lease_is_lost_is_withdrawn),
	    T(a_letter_that_the_server_may_have_is_not),
	    T(a_letter_whose_lease_runs_out_is_withdrawn),
	    T(a_drain_gives_back_what_waits),
	};
	log_init("relay", LOG_TO_STDERR, LOG_LV_ERROR);
	relay_conf = (struct relay_conf){
	    .on = true, .letters = MANY, .memory = 1 << 20, .lease = 300000, .dns.resolv_conf = ""};
	uplink_use(asked);
	relay_start();
	return cmocka_run_group_tests_name("smtpd_relay", tests, NULL, NULL);
}
