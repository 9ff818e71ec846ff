/* Scenarios, t/scenario/NAME.txt, against the resolver, each a test; t/unit/scenario_play.h
 * explains their format. HAMLET_SCENARIO=NAME plays that one alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include "t/unit/scenario_play.h"

static void scenario(void **state)
{
	play_file(*state);
}

static int end(void **state)
{
	(void)state;
	play_end();
	return 0;
}

int main(void)
{
	const char *only = getenv("HAMLET_SCENARIO");
	char pattern[256];
	glob_t g;
	snprintf(pattern, sizeof(pattern), "t/scenario/%s.txt", only ? only : "*");
	if (glob(pattern, 0, NULL, &g) != 0)
		return 1;
	struct CMUnitTest *test = mem_alloc(g.gl_pathc * sizeof(*test));
	for (size_t i = 0; i < g.gl_pathc; i++)
		test[i] = (struct CMUnitTest){.name = g.gl_pathv[i],
					      .test_func = scenario,
					      .teardown_func = end,
					      .initial_state = g.gl_pathv[i]};
	play_clock();
	zone_begin();
	int failed = _cmocka_run_group_tests("scenario", test, g.gl_pathc, NULL, NULL);
	zone_end();
	signer_end();
	free(test);
	globfree(&g);
	return failed;
}
