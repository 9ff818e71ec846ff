/* The timer wheel: 100 ms slots, 1024 of them; a timer further away stays in its slot and is
 * looked at once a turn of the wheel (102 s). One uv_timer runs while any timer is set. */
#include "libcommon/net/loop.h"
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"

enum { SLOTS = 1024, TICK_MS = 100 };

struct deferred {
	struct deferred *next;
	void (*fn)(void *arg);
	void *arg;
};

static uv_loop_t the_loop;
static bool made;
static uv_timer_t ticker;
static uv_check_t after; /* runs the deferred calls */
static uv_idle_t awake;  /* keeps poll from blocking while calls are deferred */
static struct list slot[SLOTS];
static uint64_t last_tick; /* slots up to this tick have been looked at */
static size_t timers;
static struct deferred *deferred_head, **deferred_tail = &deferred_head;

static void run_deferred(uv_check_t *h)
{
	(void)h;
	/* Only those that are there now: a call that defers itself again waits a turn. */
	struct deferred *d = deferred_head;
	deferred_head = NULL;
	deferred_tail = &deferred_head;
	uv_idle_stop(&awake);
	while (d) {
		struct deferred *next = d->next;
		d->fn(d->arg);
		free(d);
		d = next;
	}
}

static void nothing(uv_idle_t *h)
{
	(void)h;
}

uv_loop_t *loop_get(void)
{
	if (made)
		return &the_loop;
	made = true;
	if (uv_loop_init(&the_loop) != 0)
		abort();
	uv_timer_init(&the_loop, &ticker);
	uv_check_init(&the_loop, &after);
	uv_idle_init(&the_loop, &awake);
	uv_check_start(&after, run_deferred);
	uv_unref((uv_handle_t *)&after);
	for (int i = 0; i < SLOTS; i++)
		list_init(&slot[i]);
	return &the_loop;
}

static void close_one(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

void loop_run(void)
{
	uv_loop_t *l = loop_get();
	uv_run(l, UV_RUN_DEFAULT);
	/* Owners close their handles with their own callbacks before loop_stop(); what is left
	 * is the loop's own. */
	run_deferred(&after);
	uv_walk(l, close_one, NULL);
	uv_run(l, UV_RUN_DEFAULT);
	while (deferred_head) { /* made by the last close callbacks: nobody is left to call */
		struct deferred *d = deferred_head;
		deferred_head = d->next;
		free(d);
	}
	deferred_tail = &deferred_head;
	uv_loop_close(l);
	timers = 0;
	made = false;
}

void loop_stop(void)
{
	uv_stop(loop_get());
}

static void run_slot(struct list *head, uint64_t now)
{
	struct list due;
	list_init(&due);
	list_each_safe(it, nx, head)
	{
		struct timer *t = list_entry(it, struct timer, link);
		if (t->due <= now) {
			list_del(it);
			list_add_tail(&due, it);
		}
	}
	struct list *e;
	while ((e = list_pop(&due))) { /* a callback may clear timers that wait in `due` */
		struct timer *t = list_entry(e, struct timer, link);
		timers--;
		t->link = (struct list){NULL, NULL};
		t->fn(t);
	}
}

static void tick(uv_timer_t *h)
{
	(void)h;
	uint64_t now = clock_mono();
	uint64_t tick_now = now / TICK_MS;
	if (tick_now - last_tick > SLOTS)
		last_tick = tick_now - SLOTS; /* slept long: every slot once is enough */
	while (last_tick < tick_now && timers) {
		last_tick++;
		run_slot(&slot[last_tick % SLOTS], now);
	}
	if (!timers)
		uv_timer_stop(&ticker);
}

void timer_set(struct timer *t, uint64_t ms, void (*fn)(struct timer *t))
{
	loop_get();
	timer_clear(t);
	uint64_t now = clock_mono();
	if (!timers) {
		last_tick = now / TICK_MS;
		uv_update_time(&the_loop);
		uv_timer_start(&ticker, tick, TICK_MS, TICK_MS);
	}
	timers++;
	t->due = now + ms;
	t->fn = fn;
	/* The slot after the due time, so that the timer is due when it is looked at. */
	uint64_t at = t->due / TICK_MS + 1;
	list_add_tail(&slot[at % SLOTS], &t->link);
}

void timer_clear(struct timer *t)
{
	if (!timer_is_set(t))
		return;
	list_del(&t->link);
	t->link = (struct list){NULL, NULL};
	timers--;
}

bool timer_is_set(const struct timer *t)
{
	return t->link.next != NULL;
}

void loop_defer(void (*fn)(void *arg), void *arg)
{
	loop_get();
	struct deferred *d = mem_alloc(sizeof(*d));
	d->fn = fn;
	d->arg = arg;
	if (!deferred_head)
		uv_idle_start(&awake, nothing);
	*deferred_tail = d;
	deferred_tail = &d->next;
}
