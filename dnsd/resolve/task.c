#include "dnsd/resolve/task.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/rdata.h"
#include "libcommon/net/loop.h"

enum {
	CIRCLE_STEPS = 2000,    /* tasks that a search for circles looks at */
	APART_OCTETS = 4 << 20, /* of a cache for one question */
	APART_TTL = 3600,
};

static struct map *table;
static struct list every; /* task.all */
static unsigned tasks;

/* --- what is to be done in this turn of the loop -----------------------------------------------
 */
static struct list ready_now, ready_later;
static bool called, begun;

static void begin(void)
{
	if (begun)
		return;
	begun = true;
	list_init(&ready_now);
	list_init(&ready_later);
	list_init(&every);
	table = map_new();
}

static void run_ready(void *arg);

static void call(void)
{
	if (!called)
		loop_defer(run_ready, NULL);
	called = true;
}

static void run_ready(void *arg)
{
	struct list *e;
	(void)arg;
	called = false;
	if (!begun)
		return;
	while ((e = list_pop(&ready_later)))
		list_add_tail(&ready_now, e);
	while (begun && (e = list_pop(&ready_now))) {
		struct ready *r = list_entry(e, struct ready, at);
		r->fn(r);
	}
	if (begun && !list_empty(&ready_later))
		call();
}

static void set(struct list *to, struct ready *r, void (*fn)(struct ready *r))
{
	begin();
	if (r->at.next)
		list_del(&r->at);
	r->fn = fn;
	list_add_tail(to, &r->at);
	call();
}

void ready_set(struct ready *r, void (*fn)(struct ready *r))
{
	set(&ready_now, r, fn);
}

void ready_set_later(struct ready *r, void (*fn)(struct ready *r))
{
	set(&ready_later, r, fn);
}

void ready_clear(struct ready *r)
{
	if (r->at.next)
		list_del(&r->at);
}

/* --- runs --------------------------------------------------------------------------------------
 */
struct run *run_new(struct cache *cache, unsigned space)
{
	struct run *r = mem_alloc(sizeof(*r));
	*r = (struct run){.refs = 1,
			  .cache = cache,
			  .space = space,
			  .queries = RUN_QUERIES,
			  .lookups = RUN_LOOKUPS,
			  .until = clock_mono() + RUN_MS};
	return r;
}

struct run *run_new_apart(unsigned space)
{
	const struct cache_conf conf = {.octets = APART_OCTETS,
					.ttl_most = APART_TTL,
					.negative_most = APART_TTL,
					.failure_ttl = APART_TTL};
	struct cache *cache = cache_new(&conf);
	if (!cache)
		return NULL;
	struct run *r = run_new(cache, space);
	r->apart = mem_alloc(sizeof(*r->apart));
	*r->apart = (struct apart){.refs = 1, .cache = cache};
	return r;
}

struct run *run_like(const struct run *like)
{
	struct run *r = run_new(like->cache, like->space);
	r->apart = like->apart;
	if (r->apart)
		r->apart->refs++;
	return r;
}

void run_release(struct run **r)
{
	struct apart *a = *r ? (*r)->apart : NULL;
	if (*r && --(*r)->refs == 0) {
		if (a && --a->refs == 0) {
			cache_free(&a->cache);
			free(a);
		}
		free(*r);
	}
	*r = NULL;
}

/* --- tasks -------------------------------------------------------------------------------------
 */
uint64_t task_now(void)
{
	return clock_sec();
}

uint32_t task_lot(void)
{
	static uint64_t state;
	if (!state)
		id_random(&state, sizeof(state));
	/* Which of equal servers is asked is no secret: xorshift. */
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

void task_say(const struct task *t, const char *fmt, ...)
{
	char name[DNS_NAME_TEXT], type[DNS_TYPE_TEXT], text[EXPLAIN_LINE];
	va_list ap;
	if (!t->run->explain)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dns_name_text(name, t->name);
	explain_line(t->run->explain, "%s %s: %s", name, dns_type_text(t->type, type), text);
}

static void step(struct ready *r)
{
	task_step(list_entry(r, struct task, ready));
}

void task_wake(struct task *t)
{
	ready_set(&t->ready, step);
}

void task_wake_later(struct task *t)
{
	ready_set_later(&t->ready, step);
}

/* Tasks of two caches, or of two spaces, are never one. */
static size_t key_of(uint8_t *key, const struct run *run, const uint8_t *name, uint16_t type,
		     enum task_mode mode)
{
	size_t n = 0, len = dns_name_len(name);
	memcpy(key, &run->cache, sizeof(run->cache));
	n += sizeof(run->cache);
	memcpy(key + n, &run->space, sizeof(run->space));
	n += sizeof(run->space);
	memcpy(key + n, &type, sizeof(type));
	n += sizeof(type);
	key[n++] = (uint8_t)mode;
	memcpy(key + n, name, len);
	return n + len;
}

static struct task *find_or_make(struct run *run, const uint8_t *name, uint16_t type,
				 enum task_mode mode)
{
	uint8_t key[sizeof(((struct task *)0)->key)];
	begin();
	size_t len = key_of(key, run, name, type, mode);
	struct task *t = map_get(table, key, len);
	if (t || tasks >= TASK_MOST)
		return t;
	t = mem_alloc(sizeof(*t));
	memcpy(t->key, key, len);
	t->key_len = len;
	t->name = t->key + len - dns_name_len(name);
	t->type = type;
	t->mode = mode;
	t->run = run;
	run->refs++;
	t->pool = pool_new(0);
	list_init(&t->waiters);
	list_init(&t->waits);
	list_add_tail(&every, &t->all);
	map_set(table, t->key, len, t);
	tasks++;
	task_wake(t);
	return t;
}

/* The task, or one that it waits for, waits for `by`. */
static bool waits_for(struct task *t, const struct task *by, unsigned mark, unsigned *steps)
{
	if (t == by || --*steps == 0)
		return true;
	if (t->seen == mark)
		return false;
	t->seen = mark;
	list_each(it, &t->waits)
	{
		const struct wait *w = list_entry(it, struct wait, mine);
		if (waits_for(w->on, by, mark, steps))
			return true;
	}
	return false;
}

bool task_wait(struct wait *w, struct run *run, const uint8_t *name, uint16_t type,
	       enum task_mode mode)
{
	static unsigned mark;
	unsigned steps = CIRCLE_STEPS;
	struct task *on = find_or_make(run, name, type, mode);
	if (!on || (w->by && waits_for(on, w->by, ++mark, &steps)))
		return false;
	w->on = on;
	on->renew |= !w->by && run->renew;
	list_add_tail(&on->waiters, &w->at);
	if (w->by)
		list_add_tail(&w->by->waits, &w->mine);
	return true;
}

bool wait_is_on(const struct wait *w)
{
	return w->on != NULL;
}

void task_unwait(struct wait *w)
{
	if (!w->on)
		return;
	list_del(&w->at);
	if (w->by)
		list_del(&w->mine);
	w->on = NULL;
}

void task_start(struct run *run, const uint8_t *name, uint16_t type, enum task_mode mode)
{
	find_or_make(run, name, type, mode);
}

static void free_task(struct task *t)
{
	struct list *e;
	ready_clear(&t->ready);
	ask_end(t);
	prove_end(t);
	while ((e = list_pop(&t->waits))) {
		struct wait *w = list_entry(e, struct wait, mine);
		list_del(&w->at);
		w->on = NULL;
	}
	if (map_get(table, t->key, t->key_len) == t)
		map_del(table, t->key, t->key_len);
	list_del(&t->all);
	pool_free(&t->pool);
	run_release(&t->run);
	tasks--;
	free(t);
}

static void deliver(struct task *t, const struct result *r)
{
	struct list *e;
	t->state = TASK_DONE;
	ask_end(t);
	prove_end(t);
	/* Whoever is told may ask the same again: that is another task. */
	map_del(table, t->key, t->key_len);
	while ((e = list_pop(&t->waiters))) {
		struct wait *w = list_entry(e, struct wait, at);
		task_unwait(w);
		w->fn(w, r);
	}
	free_task(t);
}

void task_known(struct task *t, const struct cached *c)
{
	/* Those who are told may change the cache. */
	struct result r = {.c = put_copy(t->pool, c)};
	deliver(t, &r);
}

void task_finish(struct task *t, const struct cached *c)
{
	struct result r = {.c = *c};
	if (t->mode == TASK_UNCHECKED)
		r.c.trust = CACHE_ADDITIONAL;
	cache_put(t->run->cache, t->run->space, &r.c, task_now());
	deliver(t, &r);
}

void task_fail(struct task *t, uint16_t ede, bool again)
{
	struct result r = {
	    .c = {.kind = CACHE_FAILURE,
		  /* It never takes the place of an answer that is there; and what somebody got with
		   * CD does not take the place of this when it is bogus. */
		  .trust = t->is_bogus ? CACHE_AUTHORITY : CACHE_ADDITIONAL,
		  .security = t->is_bogus ? RRSET_BOGUS : RRSET_INDETERMINATE,
		  .set = {.owner = t->name, .type = t->type},
		  .ede = ede}};
	memcpy(r.why, t->why, sizeof(r.why));
	if (t->retried && !t->is_bogus) { /* no other server was there */
		r.c.security = RRSET_BOGUS;
		r.c.trust = CACHE_AUTHORITY;
		r.c.ede = t->bogus_ede;
		memcpy(r.why, t->bogus_why, sizeof(r.why));
		again = false;
	}
	if (!again)
		cache_put(t->run->cache, t->run->space, &r.c, task_now());
	deliver(t, &r);
}

void tasks_stop(void)
{
	struct list *e;
	if (!begun)
		return;
	while ((e = list_pop(&every))) {
		struct task *t = list_entry(e, struct task, all);
		struct list *at;
		while ((at = list_pop(&t->waiters))) {
			struct wait *w = list_entry(at, struct wait, at);
			task_unwait(w);
		}
		free_task(t);
	}
	begun = false;
	map_free(&table);
}
