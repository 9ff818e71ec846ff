/* The supervisor's table, cell by cell: state x event gives the next state and what is done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "hamletd/hamletd.h"

/* "STATE  EVENT=NEXT actions ...": every event of every state; "." keeps the state and does
 * nothing. */
static const struct {
	enum state state;
	const char *cell[EV_COUNT];
} WANT[ST_COUNT] = {
    {ST_DOWN,
     {[EV_START] = "starting spawn",
      [EV_TRY] = "trial spawn",
      [EV_READY] = ".",
      [EV_EXIT] = ".",
      [EV_CRASH] = ".",
      [EV_STOP] = "stopped gone",
      [EV_TIMEOUT] = ".",
      [EV_HUNG] = ".",
      [EV_BACKOFF_OVER] = ".",
      [EV_KILL] = "stopped gone"}},
    {ST_STARTING,
     {[EV_START] = ".",
      [EV_TRY] = ".",
      [EV_READY] = "ready up",
      [EV_EXIT] = "backoff lost backoff failed",
      [EV_CRASH] = "backoff lost backoff failed",
      [EV_STOP] = "draining term",
      [EV_TIMEOUT] = "hanging kill failed",
      [EV_HUNG] = "hanging kill failed",
      [EV_BACKOFF_OVER] = ".",
      [EV_KILL] = "killing kill"}},
    {ST_TRIAL,
     {[EV_START] = ".",
      [EV_TRY] = ".",
      [EV_READY] = "ready up",
      [EV_EXIT] = "stopped failed gone",
      [EV_CRASH] = "stopped failed gone",
      [EV_STOP] = "draining term failed",
      [EV_TIMEOUT] = "killing kill failed",
      [EV_HUNG] = "killing kill failed",
      [EV_BACKOFF_OVER] = ".",
      [EV_KILL] = "killing kill failed"}},
    {ST_READY,
     {[EV_START] = ".",
      [EV_TRY] = ".",
      [EV_READY] = ".",
      [EV_EXIT] = "backoff lost backoff",
      [EV_CRASH] = "backoff lost backoff",
      [EV_STOP] = "draining term",
      [EV_TIMEOUT] = ".",
      [EV_HUNG] = "hanging kill",
      [EV_BACKOFF_OVER] = ".",
      [EV_KILL] = "killing kill"}},
    {ST_DRAINING,
     {[EV_START] = ".",
      [EV_TRY] = ".",
      [EV_READY] = ".",
      [EV_EXIT] = "stopped gone",
      [EV_CRASH] = "stopped gone",
      [EV_STOP] = ".",
      [EV_TIMEOUT] = "killing kill",
      [EV_HUNG] = "killing kill",
      [EV_BACKOFF_OVER] = ".",
      [EV_KILL] = "killing kill"}},
    {ST_KILLING,
     {[EV_START] = ".",
      [EV_TRY] = ".",
      [EV_READY] = ".",
      [EV_EXIT] = "stopped gone",
      [EV_CRASH] = "stopped gone",
      [EV_STOP] = ".",
      [EV_TIMEOUT] = ".",
      [EV_HUNG] = ".",
      [EV_BACKOFF_OVER] = ".",
      [EV_KILL] = "."}},
    {ST_HANGING,
     {[EV_START] = ".",
      [EV_TRY] = ".",
      [EV_READY] = ".",
      [EV_EXIT] = "backoff lost backoff",
      [EV_CRASH] = "backoff lost backoff",
      [EV_STOP] = "killing",
      [EV_TIMEOUT] = ".",
      [EV_HUNG] = ".",
      [EV_BACKOFF_OVER] = ".",
      [EV_KILL] = "killing"}},
    {ST_BACKOFF,
     {[EV_START] = "starting spawn",
      [EV_TRY] = ".",
      [EV_READY] = ".",
      [EV_EXIT] = ".",
      [EV_CRASH] = ".",
      [EV_STOP] = "stopped gone",
      [EV_TIMEOUT] = ".",
      [EV_HUNG] = ".",
      [EV_BACKOFF_OVER] = "starting spawn",
      [EV_KILL] = "stopped gone"}},
    {ST_STOPPED,
     {[EV_START] = ".",
      [EV_TRY] = ".",
      [EV_READY] = ".",
      [EV_EXIT] = ".",
      [EV_CRASH] = ".",
      [EV_STOP] = ".",
      [EV_TIMEOUT] = ".",
      [EV_HUNG] = ".",
      [EV_BACKOFF_OVER] = ".",
      [EV_KILL] = "."}},
};

static void step_text(enum state from, struct step s, char *out, size_t cap)
{
	static const struct {
		unsigned act;
		const char *name;
	} act[] = {{ACT_SPAWN, "spawn"},   {ACT_TERM, "term"},       {ACT_KILL, "kill"},
		   {ACT_LOST, "lost"},     {ACT_BACKOFF, "backoff"}, {ACT_UP, "up"},
		   {ACT_FAILED, "failed"}, {ACT_GONE, "gone"}};
	if (s.next == from && s.act == 0) {
		str_fmt(out, cap, ".");
		return;
	}
	str_fmt(out, cap, "%s", table_state_name(s.next));
	for (size_t i = 0; i < sizeof(act) / sizeof(act[0]); i++) {
		size_t n = strlen(out);
		if (s.act & act[i].act)
			str_fmt(out + n, cap - n, " %s", act[i].name);
	}
}

static void test_cells(void **state)
{
	(void)state;
	for (int s = 0; s < ST_COUNT; s++) {
		assert_int_equal(WANT[s].state, s);
		for (int e = 0; e < EV_COUNT; e++) {
			char got[100], text[200], want[200];
			assert_non_null(WANT[s].cell[e]);
			step_text((enum state)s, table_step((enum state)s, (enum event)e), got,
				  sizeof(got));
			str_fmt(text, sizeof(text), "%s + %s = %s", table_state_name((enum state)s),
				table_event_name((enum event)e), got);
			str_fmt(want, sizeof(want), "%s + %s = %s", table_state_name((enum state)s),
				table_event_name((enum event)e), WANT[s].cell[e]);
			assert_string_equal(text, want);
		}
	}
}

/* A process that runs is never forgotten, one that does not run is never signalled. */
static bool runs(enum state s)
{
	return s == ST_STARTING || s == ST_TRIAL || s == ST_READY || s == ST_DRAINING ||
	       s == ST_KILLING || s == ST_HANGING;
}

static void test_no_process_is_lost(void **state)
{
	(void)state;
	for (int s = 0; s < ST_COUNT; s++) {
		for (int e = 0; e < EV_COUNT; e++) {
			struct step t = table_step((enum state)s, (enum event)e);
			bool ends = e == EV_EXIT || e == EV_CRASH;
			if (runs((enum state)s) && !ends)
				assert_true(runs(t.next));
			if (runs((enum state)s) && ends)
				assert_false(runs(t.next));
			if (!runs((enum state)s)) {
				assert_false(t.act & (ACT_TERM | ACT_KILL));
				assert_int_equal(runs(t.next), (t.act & ACT_SPAWN) != 0);
			}
			/* It is freed exactly when it is over. */
			assert_int_equal((t.act & ACT_GONE) != 0,
					 t.next == ST_STOPPED && s != ST_STOPPED);
		}
	}
}

/* Once not wanted, nothing but the end is possible. */
static void test_stop_is_final(void **state)
{
	(void)state;
	for (int s = 0; s < ST_COUNT; s++) {
		enum state now = table_step((enum state)s, EV_STOP).next;
		assert_true(now == ST_STOPPED || now == ST_DRAINING || now == ST_KILLING);
		for (int e = 0; e < EV_COUNT; e++) {
			enum state then = table_step(now, (enum event)e).next;
			assert_true(then == ST_STOPPED || then == ST_DRAINING ||
				    then == ST_KILLING);
		}
	}
}

static void test_backoff(void **state)
{
	(void)state;
	assert_int_equal(table_backoff(100, 30000, 0), 100);
	assert_int_equal(table_backoff(100, 30000, 1), 200);
	assert_int_equal(table_backoff(100, 30000, 8), 25600);
	assert_int_equal(table_backoff(100, 30000, 9), 30000);
	assert_int_equal(table_backoff(100, 30000, 4000000000u), 30000);
	assert_int_equal(table_backoff(100, 50, 3), 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cells),
	    cmocka_unit_test(test_no_process_is_lost),
	    cmocka_unit_test(test_stop_is_final),
	    cmocka_unit_test(test_backoff),
	};
	return cmocka_run_group_tests_name("hamletd_table", tests, NULL, NULL);
}
