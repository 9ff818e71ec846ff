/* Destinations: which there are, and the letters that come and go. relay_int.h shows a letter's
 * way; relay_dest_run.c decides what is next.
 *
 * When no host takes mail the destination is dead: all its letters come back, and it is closed for
 * a pause that doubles each time. So a dead destination costs an attempt a pause, whatever waits
 * for it, and is ready for more when mail gets through. */
#include "smtpd/relay_int.h"
#include <stdlib.h>
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

enum {
	PAUSE_MAX = 30 * 60000, /* ms */
	FORGET_MS = 5 * 60000,  /* an idle destination is remembered */
	ROOM = 4,               /* letters for each connection that may be */
	NEW_ROOM = 4,           /* ... and in all before its hosts took one: many that keep us
				 * waiting are not to have all that this process may lease */
	DOMAINS_MAX = 10000,    /* kept of a closed route */
	DOMAINS_IDLE = 100,     /* ... of one that has no letters of them just now */
};

struct dests dests;
struct dest_stats dest_counts;
bool dest_draining;

/* --- the destinations ---------------------------------------------------------------------- */

bool dest_closed(const struct dest *d)
{
	return d->closed_until > clock_mono();
}

struct slice dest_name(const struct dest *d)
{
	const struct conf_words *w = &d->route->block.args;
	return d->domains && w->n ? slice_of(w->w[0]) : d->domain;
}

/* By domain, or by route when that names hosts: all its domains go the same way. */
static struct slice key_of(const struct route *r, struct slice domain,
			   const struct route *const *at)
{
	return r->hosts ? (struct slice){(const char *)at, sizeof(*at)} : domain;
}

static struct dest *find(struct slice domain)
{
	const struct route *r = route_of(domain);
	struct slice key = key_of(r, domain, &r);
	return dests.map ? map_get(dests.map, key.p, key.len) : NULL;
}

static struct dest *make(struct slice domain)
{
	const struct route *r = route_of(domain);
	struct slice key = key_of(r, domain, &r);
	struct dest *d = mem_alloc(sizeof(*d));
	d->route = r;
	d->key = (struct slice){mem_strndup(key.p, key.len), key.len};
	d->domain = (struct slice){mem_strndup(domain.p, domain.len), domain.len};
	d->domains = r->hosts ? map_new() : NULL;
	list_init(&d->todo);
	list_init(&d->waiting);
	list_init(&d->strict);
	list_init(&d->over);
	list_init(&d->fetching);
	list_init(&d->ready);
	list_init(&d->special);
	list_init(&d->conns);
	list_init(&d->idle);
	limit_init(d);
	list_add_tail(&dests.all, &d->link);
	map_set(dests.map, key.p, key.len, d);
	dest_counts.destinations++;
	return d;
}

static int free_count(const void *key, size_t len, void *value, void *arg)
{
	(void)key;
	(void)len;
	(void)arg;
	free(value);
	return 0;
}

static void forget(struct dest *d)
{
	map_del(dests.map, d->key.p, d->key.len);
	dest_counts.destinations--;
	hosts_cancel(&d->ask);
	hostset_drop(&d->hosts);
	limit_no_conn(d);
	limit_no_memory(d);
	timer_clear(&d->timer);
	list_del(&d->todo);
	list_del(&d->link);
	if (d->domains) {
		map_each(d->domains, free_count, NULL);
		map_free(&d->domains);
	}
	pool_free(&d->why_pool);
	free((char *)(uintptr_t)d->key.p);
	free((char *)(uintptr_t)d->domain.p);
	free(d);
}

/* How many letters of each domain are here, where a destination has many. */
static void count_domain(struct dest *d, struct slice domain, bool more)
{
	if (!d->domains)
		return;
	size_t *n = map_get(d->domains, domain.p, domain.len);
	if (more && !n) {
		n = mem_alloc(sizeof(*n));
		map_set(d->domains, domain.p, domain.len, n);
	}
	if (!n)
		return;
	*n += more ? 1 : -1ul;
	/* To be told to the store: dest_each(). Those of a closed one are not leased, those of one
	 * that has connections are no new ones: a claim gets more of them. */
	if (*n == 0 && map_count(d->domains) > (dest_closed(d) ? DOMAINS_MAX : DOMAINS_IDLE))
		free(map_del(d->domains, domain.p, domain.len));
}

static int keep_domain(const void *key, size_t len, void *value, void *arg)
{
	if (*(size_t *)value)
		map_set(arg, key, len, value);
	else
		free(value);
	return 0;
}

/* Those that have no letters, and were kept while it was closed. */
void dest_drop_domains(struct dest *d)
{
	d->stale = false;
	if (!d->domains)
		return;
	struct map *kept = map_new();
	map_each(d->domains, keep_domain, kept);
	map_free(&d->domains);
	d->domains = kept;
}

static bool at_rest(const struct dest *d)
{
	return !d->letters && !d->n_conns && !d->ask && list_empty(&d->todo);
}

static void on_timer(struct timer *t)
{
	struct dest *d = list_entry(t, struct dest, timer);
	if (at_rest(d) && !dest_closed(d))
		forget(d);
	else
		dest_touch(d);
}

void dest_rest(struct dest *d)
{
	if (at_rest(d) && !timer_is_set(&d->timer))
		timer_set(&d->timer, FORGET_MS + 2 * d->pause, on_timer);
}

/* --- letters ------------------------------------------------------------------------------- */

static void count_verdicts(const struct letter *l)
{
	for (size_t i = 0; i < l->mail.rcpt_n; i++) {
		enum out_state st = l->verdict[i].state;
		if (st == OUT_DELIVERED)
			dest_counts.delivered++;
		else if (st == OUT_PERM)
			dest_counts.failed++;
		else
			dest_counts.deferred++;
	}
}

void dest_put(struct letter *l, struct list *where, size_t *n, bool first)
{
	if (first)
		list_add_head(where, &l->link);
	else
		list_add_tail(where, &l->link);
	l->errand->count = n;
	if (n)
		++*n;
}

void dest_take(struct letter *l)
{
	struct errand *e = l->errand;
	list_del(&l->link);
	if (e->count)
		--*e->count;
	e->count = NULL;
}

void dest_done(struct letter *l)
{
	struct errand *e = l->errand;
	struct dest *d = e->d;
	uint64_t held = e->held;
	count_verdicts(l);
	count_domain(d, l->domain, false);
	hostset_drop(&e->hosts);
	d->letters--;
	dest_counts.letters--;
	l->errand = NULL;
	if (held)
		limit_memory_give(d, held);
	dest_touch(d);
	dests.ops->done(l);
}

void dest_send_back(struct letter *l, const struct out_verdict *v, uint64_t wait_ms)
{
	dest_take(l);
	/* Who has an answer of a server waits as that says. */
	if (errand_untried(l))
		l->wait_ms = wait_ms;
	errand_fail(l, v);
	dest_done(l);
}

/* All that are in no connection and in no fetch. */
void dest_send_all_back(struct dest *d, const struct out_verdict *v, uint64_t wait_ms)
{
	struct list *from[] = {&d->special, &d->ready, &d->strict, &d->waiting};
	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++)
		while (!list_empty(from[i]))
			dest_send_back(list_entry(from[i]->next, struct letter, link), v, wait_ms);
}

static void keep_why(struct dest *d, const struct out_verdict *v)
{
	struct pool *old = d->why_pool; /* v may stand there */
	d->why_pool = pool_new(0);
	d->why = *v;
	d->why.text = pool_strdup(d->why_pool, v->text ? v->text : "");
	d->why.host = v->host ? pool_strdup(d->why_pool, v->host) : NULL;
	pool_free(&old);
}

void dest_dead(struct dest *d, const struct out_verdict *v)
{
	bool again = dest_closed(d); /* by another connection's failure */
	uint64_t most = d->route->retry_longest < PAUSE_MAX ? d->route->retry_longest : PAUSE_MAX;
	if (!again)
		d->pause = d->pause ? 2 * d->pause : d->route->retry_first;
	if (d->pause > most)
		d->pause = most;
	d->closed_until = clock_mono() + d->pause;
	d->proven = false;
	d->stale = true;
	keep_why(d, v);
	log_event(LOG_LV_WARN, NULL, "destination-closed", LSL("domain", dest_name(d)),
		  LS("host", v->host), LS("status", v->status), LS("why", v->text),
		  LU("pause_ms", d->pause), LU("letters", d->letters));
	/* Refused for good are those under way to here as well, whichever comes first. */
	if (d->why.state == OUT_PERM)
		list_each(it, &d->fetching)
		    errand_fail(list_entry(it, struct letter, link), &d->why);
	dest_send_all_back(d, &d->why, d->why.state == OUT_PERM ? 0 : d->pause);
	/* What comes behind them has not been refused itself. */
	d->why.state = OUT_TEMP;
	if (d->why.status[0] == '5')
		d->why.status[0] = '4';
	dest_touch(d);
}

/* --- the worker's side --------------------------------------------------------------------- */

void dest_start(struct stub *s, const struct dest_ops *ops)
{
	dests.stub = s;
	dests.ops = ops;
	dest_draining = false;
	dest_counts = (struct dest_stats){0};
	if (dests.map)
		return;
	dests.map = map_new();
	list_init(&dests.all);
	list_init(&dests.todo);
}

void dest_add(struct letter *l)
{
	struct dest *d = find(l->domain);
	if (!d)
		d = make(l->domain);
	errand_new(d, l);
	l->fetched = false;
	count_domain(d, l->domain, true);
	if (l->errand->strict)
		dest_put(l, &d->strict, &d->n_strict, false);
	else
		dest_put(l, &d->waiting, &d->n_waiting, false);
	d->letters++;
	dest_counts.letters++;
	timer_clear(&d->timer);
	dest_touch(d);
}

void dest_fetched(struct letter *l, bool ok)
{
	static const struct out_verdict NONE = {.state = OUT_TEMP,
						.status = "4.3.0",
						.at = "queue",
						.text = "the message could not be read"};
	struct errand *e = l->errand;
	struct dest *d = e->d;
	dest_take(l);
	l->fetched = ok;
	if (!ok || e->open == 0) {
		errand_fail(l, &NONE);
		dest_put(l, &d->over, NULL, false);
	} else if (e->strict) {
		dest_put(l, &d->special, &d->n_special, false);
	} else {
		dest_put(l, &d->ready, &d->n_ready, false);
	}
	dest_touch(d);
}

bool dest_withdraw(struct letter *l)
{
	static const struct out_verdict WITHDRAWN = {.state = OUT_TEMP,
						     .status = "4.3.0",
						     .at = "queue",
						     .text = "another may be delivering it"};
	struct errand *e = l->errand;
	struct conn *c = e->conn;
	if (c && c->out && out_ended(c->out))
		return false;
	if (c)
		conn_close(c);
	dest_take(l);
	if (errand_untried(l))
		l->wait_ms = LETTER_UNTRIED;
	errand_fail(l, &WITHDRAWN);
	dest_put(l, &e->d->over, NULL, false);
	dest_touch(e->d);
	return true;
}

static unsigned room(const struct dest *d)
{
	size_t most = d->proven ? (size_t)d->limit * ROOM : NEW_ROOM;
	if (dest_draining || dest_closed(d))
		return 0;
	return d->letters < most ? (unsigned)(most - d->letters) : 0;
}

unsigned dest_room(struct slice domain)
{
	const struct dest *d = find(domain);
	if (d)
		return room(d);
	return dest_draining ? 0 : NEW_ROOM;
}

struct each {
	void (*fn)(struct slice domain, unsigned room, void *arg);
	void *arg;
	unsigned room;
};

static int each_domain(const void *key, size_t len, void *value, void *arg)
{
	struct each *e = arg;
	(void)value;
	e->fn((struct slice){key, len}, e->room, e->arg);
	return 0;
}

void dest_each(void (*fn)(struct slice domain, unsigned room, void *arg), void *arg)
{
	if (!dests.map)
		return;
	list_each(it, &dests.all)
	{
		struct dest *d = list_entry(it, struct dest, link);
		struct each e = {fn, arg, room(d)};
		if (!d->letters && !d->n_conns && !dest_closed(d))
			continue;
		if (d->domains)
			map_each(d->domains, each_domain, &e);
		else
			fn(d->domain, e.room, arg);
	}
}

uint64_t dest_opens(void)
{
	uint64_t first = UINT64_MAX;
	if (!dests.map)
		return first;
	list_each(it, &dests.all)
	{
		const struct dest *d = list_entry(it, struct dest, link);
		if (dest_closed(d) && d->closed_until < first)
			first = d->closed_until;
	}
	return first;
}

void dest_reopen(void)
{
	if (!dests.map)
		return;
	list_each(it, &dests.all)
	{
		struct dest *d = list_entry(it, struct dest, link);
		if (d->hosts && (dest_closed(d) || d->hosts->n == 0))
			d->hosts->h->until = 0;
		if (dest_closed(d))
			d->closed_until = clock_mono();
	}
}

void dest_drain(void)
{
	dest_draining = true;
	if (!dests.map)
		return;
	list_each(it, &dests.all) dest_touch(list_entry(it, struct dest, link));
}

void dest_stop(void)
{
	if (!dests.map)
		return;
	list_each_safe(it, next, &dests.all) forget(list_entry(it, struct dest, link));
	map_free(&dests.map);
}

void dest_stats(struct dest_stats *out)
{
	*out = dest_counts;
	out->connections = 0;
	if (!dests.map)
		return;
	list_each(it, &dests.all) out->connections += list_entry(it, struct dest, link)->n_conns;
}
