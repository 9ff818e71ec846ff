/* loop: the process's one libuv loop, deferred calls, and the timer wheel that serves all
 * time-outs of connections (one uv_timer in all). Loop thread only. */
#ifndef NET_LOOP_H
#define NET_LOOP_H
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "libcommon/base/list.h"

uv_loop_t *loop_get(void); /* made at the first call */
/* Runs until loop_stop(), then closes what is left. */
void loop_run(void);
void loop_stop(void);

/* A time-out inside another struct; zeroed memory is an unset timer. Resolution 100 ms. */
struct timer {
	struct list link;
	uint64_t due; /* clock_mono() */
	void (*fn)(struct timer *t);
};
/* Sets or moves the timer. It is unset when fn is called. */
void timer_set(struct timer *t, uint64_t ms, void (*fn)(struct timer *t));
void timer_clear(struct timer *t);
bool timer_is_set(const struct timer *t);

/* Calls fn(arg) once, after the events of this loop turn: breaks recursion. */
void loop_defer(void (*fn)(void *arg), void *arg);

#endif
