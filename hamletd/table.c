/* What happens to one process, as a table: for every state and event the next state and what to
 * do. Nothing here touches a process, a clock or a socket, so that a test covers each cell.
 *
 *          START               READY            STOP             EXIT
 *   DOWN --------> STARTING --------> READY --------> DRAINING -------> STOPPED
 *                   |   ^               |                |                 ^
 *             CRASH |   | BACKOFF_OVER  | CRASH          | TIMEOUT         | EXIT
 *                   v   |               v                v                 |
 *                  BACKOFF <------------+             KILLING -------------+
 *
 * TRIAL is the STARTING of a replacement, HANGING a hung process that was killed and is to be
 * started again. */
#include "hamletd/hamletd.h"

/* A cell that is not named keeps the state and does nothing: see table_step. */
#define TO(state, what)                 \
	{                               \
		{(state), (what)}, true \
	}

static const struct {
	struct step step;
	bool named;
} TABLE[ST_COUNT][EV_COUNT] = {
    [ST_DOWN] =
	{
	    [EV_START] = TO(ST_STARTING, ACT_SPAWN),
	    [EV_TRY] = TO(ST_TRIAL, ACT_SPAWN),
	    [EV_STOP] = TO(ST_STOPPED, ACT_GONE),
	    [EV_KILL] = TO(ST_STOPPED, ACT_GONE),
	},
    [ST_STARTING] =
	{
	    [EV_READY] = TO(ST_READY, ACT_UP),
	    [EV_EXIT] = TO(ST_BACKOFF, ACT_LOST | ACT_BACKOFF | ACT_FAILED),
	    [EV_CRASH] = TO(ST_BACKOFF, ACT_LOST | ACT_BACKOFF | ACT_FAILED),
	    [EV_STOP] = TO(ST_DRAINING, ACT_TERM),
	    [EV_TIMEOUT] = TO(ST_HANGING, ACT_KILL | ACT_FAILED),
	    [EV_HUNG] = TO(ST_HANGING, ACT_KILL | ACT_FAILED),
	    [EV_KILL] = TO(ST_KILLING, ACT_KILL),
	},
    [ST_TRIAL] =
	{
	    [EV_READY] = TO(ST_READY, ACT_UP),
	    [EV_EXIT] = TO(ST_STOPPED, ACT_FAILED | ACT_GONE),
	    [EV_CRASH] = TO(ST_STOPPED, ACT_FAILED | ACT_GONE),
	    [EV_STOP] = TO(ST_DRAINING, ACT_TERM | ACT_FAILED),
	    [EV_TIMEOUT] = TO(ST_KILLING, ACT_KILL | ACT_FAILED),
	    [EV_HUNG] = TO(ST_KILLING, ACT_KILL | ACT_FAILED),
	    [EV_KILL] = TO(ST_KILLING, ACT_KILL | ACT_FAILED),
	},
    [ST_READY] =
	{
	    [EV_EXIT] = TO(ST_BACKOFF, ACT_LOST | ACT_BACKOFF),
	    [EV_CRASH] = TO(ST_BACKOFF, ACT_LOST | ACT_BACKOFF),
	    [EV_STOP] = TO(ST_DRAINING, ACT_TERM),
	    [EV_HUNG] = TO(ST_HANGING, ACT_KILL),
	    [EV_KILL] = TO(ST_KILLING, ACT_KILL),
	},
    [ST_DRAINING] =
	{
	    [EV_EXIT] = TO(ST_STOPPED, ACT_GONE),
	    [EV_CRASH] = TO(ST_STOPPED, ACT_GONE),
	    [EV_TIMEOUT] = TO(ST_KILLING, ACT_KILL),
	    [EV_HUNG] = TO(ST_KILLING, ACT_KILL),
	    [EV_KILL] = TO(ST_KILLING, ACT_KILL),
	},
    [ST_KILLING] =
	{
	    [EV_EXIT] = TO(ST_STOPPED, ACT_GONE),
	    [EV_CRASH] = TO(ST_STOPPED, ACT_GONE),
	},
    [ST_HANGING] =
	{
	    [EV_EXIT] = TO(ST_BACKOFF, ACT_LOST | ACT_BACKOFF),
	    [EV_CRASH] = TO(ST_BACKOFF, ACT_LOST | ACT_BACKOFF),
	    [EV_STOP] = TO(ST_KILLING, 0),
	    [EV_KILL] = TO(ST_KILLING, 0),
	},
    [ST_BACKOFF] =
	{
	    [EV_START] = TO(ST_STARTING, ACT_SPAWN), /* the operator does not want to wait */
	    [EV_STOP] = TO(ST_STOPPED, ACT_GONE),
	    [EV_BACKOFF_OVER] = TO(ST_STARTING, ACT_SPAWN),
	    [EV_KILL] = TO(ST_STOPPED, ACT_GONE),
	},
    [ST_STOPPED] = {{{ST_STOPPED, 0}, false}},
};

struct step table_step(enum state s, enum event e)
{
	if (!TABLE[s][e].named)
		return (struct step){s, 0};
	return TABLE[s][e].step;
}

const char *table_state_name(enum state s)
{
	static const char *const name[] = {
	    [ST_DOWN] = "down",       [ST_STARTING] = "starting", [ST_TRIAL] = "trial",
	    [ST_READY] = "ready",     [ST_DRAINING] = "draining", [ST_KILLING] = "killing",
	    [ST_HANGING] = "hanging", [ST_BACKOFF] = "backoff",   [ST_STOPPED] = "stopped"};
	return name[s];
}

const char *table_event_name(enum event e)
{
	static const char *const name[] = {
	    [EV_START] = "start",     [EV_TRY] = "try",
	    [EV_READY] = "ready",     [EV_EXIT] = "exit",
	    [EV_CRASH] = "crash",     [EV_STOP] = "stop",
	    [EV_TIMEOUT] = "timeout", [EV_HUNG] = "hung",
	    [EV_KILL] = "kill",       [EV_BACKOFF_OVER] = "backoff-over"};
	return name[e];
}

uint64_t table_backoff(uint64_t min, uint64_t max, unsigned n)
{
	while (n-- && min < max)
		min *= 2;
	return min < max ? min : max;
}
