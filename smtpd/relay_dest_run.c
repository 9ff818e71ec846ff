/* What a destination does next: ask the DNS, connect, fetch, or send letters back. It begins with
 * one connection; others follow when that is ready. */
#include "smtpd/relay_int.h"

enum { STALE_MS = 60000 /* ms that hosts are believed for when the DNS fails */ };

static void run_all(void *arg);

void dest_touch(struct dest *d)
{
	if (list_empty(&d->todo))
		list_add_tail(&dests.todo, &d->todo);
	if (dests.run_due)
		return;
	dests.run_due = true;
	loop_defer(run_all, NULL);
}

/* --- hosts --------------------------------------------------------------------------------- */

static void on_hosts(struct hosts *h, void *arg)
{
	struct dest *d = arg;
	uint64_t now = clock_mono();
	d->ask = NULL;
	dest_touch(d);
	if (h->n == 0 && h->verdict.state != OUT_PERM && d->proven && d->hosts->n) {
		/* No answer now is no reason to leave those that we are connected to. */
		d->hosts->h->until = now + STALE_MS;
		hosts_free(&h);
		return;
	}
	if (h->until <= now)
		h->until = now + 1000;
	hostset_drop(&d->hosts);
	d->hosts = hostset_new(h);
	if (h->n == 0 && h->verdict.state != OUT_PERM)
		dest_dead(d, &h->verdict);
}

/* Asks when they are not known; false: not yet, or nobody takes mail for the domain. */
static bool hosts_known(struct dest *d)
{
	bool known = d->hosts && d->hosts->h->until > clock_mono();
	if (known && d->hosts->n == 0)
		dest_send_all_back(d, &d->hosts->h->verdict, 0);
	else if (!known && !d->ask)
		d->ask = hosts_find(dests.stub, d->route, d->domain, on_hosts, d);
	return known && d->hosts->n;
}

/* --- what is next -------------------------------------------------------------------------- */

static bool fetch(struct dest *d, struct list *from)
{
	struct letter *l = list_entry(from->next, struct letter, link);
	if (!limit_memory(d, l->size + 1))
		return false;
	dest_take(l);
	dest_put(l, &d->fetching, l->errand->strict ? NULL : &d->n_fetching, false);
	l->errand->held = l->size + 1;
	dests.ops->fetch(l);
	return true;
}

/* A letter for each connection is fetched ahead; those that want their own, before they have it.
 * False: it waits for memory. */
static bool fetch_ahead(struct dest *d)
{
	while (d->n_strict && d->n_special < d->limit)
		if (!fetch(d, &d->strict))
			return false;
	while (d->n_waiting && d->n_fetching + d->n_ready < d->n_conns)
		if (!fetch(d, &d->waiting))
			return false;
	return true;
}

static void feed_idle(struct dest *d)
{
	list_each_safe(it, next, &d->idle)
	{
		if (list_empty(&d->special))
			break;
		struct conn *c = list_entry(it, struct conn, idle);
		struct letter *l = list_entry(d->special.next, struct letter, link);
		if (conn_fits(c, l))
			conn_begin(c, l);
	}
	/* The one that was used last, so that those that are too many grow old. */
	while (d->n_idle && d->n_ready)
		conn_begin(list_entry(d->idle.prev, struct conn, idle), NULL);
}

static bool wants_conn(const struct dest *d)
{
	size_t plain = d->n_ready + d->n_fetching + d->n_waiting;
	/* While none is ready, one finds out who is there. */
	bool probing = d->n_coming && d->n_coming == d->n_conns;
	if (dest_closed(d) || d->n_conns >= d->limit || probing)
		return false;
	return d->n_special || plain > d->n_idle + d->n_setup;
}

/* False: it waits for one. */
static bool connect_more(struct dest *d)
{
	while (wants_conn(d) && hosts_known(d)) {
		struct letter *l = NULL;
		if (!limit_take(d))
			return false;
		if (d->n_special)
			l = list_entry(d->special.next, struct letter, link);
		conn_open(d, l);
	}
	return true;
}

static void run_drain(struct dest *d)
{
	static const struct out_verdict DOWN = {
	    .state = OUT_TEMP, .status = "4.3.2", .at = "queue", .text = "the service goes down"};
	list_each_safe(it, next, &d->conns)
	{
		struct conn *c = list_entry(it, struct conn, link);
		struct letter *l = c->l;
		if (c->state != CONN_SETUP && c->state != CONN_IDLE)
			continue;
		conn_close(c);
		if (l)
			dest_send_back(l, &DOWN, LETTER_UNTRIED);
	}
	dest_send_all_back(d, &DOWN, LETTER_UNTRIED);
}

static void run(struct dest *d)
{
	bool conn = true, memory = true;
	struct list *e;
	while ((e = list_pop(&d->over)))
		dest_done(list_entry(e, struct letter, link));
	if (d->stale && !dest_closed(d))
		dest_drop_domains(d);
	if (dest_draining) {
		run_drain(d);
	} else if (dest_closed(d)) {
		dest_send_all_back(d, &d->why, d->closed_until - clock_mono());
	} else {
		feed_idle(d);
		conn = connect_more(d);
		memory = fetch_ahead(d);
	}
	if (conn)
		limit_no_conn(d);
	if (memory)
		limit_no_memory(d);
	dest_rest(d);
}

static void run_all(void *arg)
{
	struct list now;
	struct list *e;
	(void)arg;
	dests.run_due = false;
	/* Those that are touched meanwhile are next turn's. */
	list_init(&now);
	while ((e = list_pop(&dests.todo)))
		list_add_tail(&now, e);
	while ((e = list_pop(&now)))
		run(list_entry(e, struct dest, todo));
	limit_offer();
}
