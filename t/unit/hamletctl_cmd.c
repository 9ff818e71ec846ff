/* hamletctl: the command table, and lines of "key=value" as cells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include <cmocka.h>
#include "hamletctl/hamletctl.h"
#include "libcommon/base/rundir.h"

static void every_command_is_whole(void **state)
{
	(void)state;
	for (const struct cmd *c = cmd_table; c->noun; c++) {
		assert_non_null(c->run);
		assert_true(c->help && *c->help);
		assert_non_null(c->args);
		assert_true(c->max < 0 || c->min <= c->max);
		for (const struct cmd *d = c + 1; d->noun; d++)
			if (strcmp(c->noun, d->noun) == 0)
				assert_string_not_equal(c->verb, d->verb);
	}
}

static void wrong_words_are_usage_errors(void **state)
{
	(void)state;
	const char *unknown[] = {"nonsense", "list", NULL};
	const char *verb[] = {"domain", "nonsense", NULL};
	const char *few[] = {"domain", "add", NULL};
	const char *many[] = {"domain", "add", "a.test", "b.test", NULL};
	assert_int_equal(cmd_run(2, unknown), EX_USAGE);
	assert_int_equal(cmd_run(2, verb), EX_USAGE);
	assert_int_equal(cmd_run(2, few), EX_USAGE);
	assert_int_equal(cmd_run(4, many), EX_USAGE);
	assert_int_equal(cmd_run(0, NULL), EX_USAGE);
}

static void an_unreachable_service_is_told(void **state)
{
	(void)state;
	const char *list[] = {"domain", "list", NULL};
	const char *status[] = {"daemon", "status", NULL};
	options.run_dir = "/nonexistent";
	assert_int_equal(cmd_run(2, list), EX_UNAVAILABLE);
	assert_int_equal(cmd_run(2, status), EX_UNAVAILABLE);
}

static void status_lines_become_cells(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	struct row_cell *c;
	size_t n = cells_of_lines(pool,
				  SLICE("instance=smtpd pid=12 ready_since_ms=5\ninstance=a "
					"\"why=two \\\"words\\\"\" seconds=0.040\n"),
				  &c);
	assert_int_equal(n, 6);
	assert_true(slice_eqs(c[0].name, "instance") && slice_eqs(c[0].text, "smtpd"));
	assert_int_equal(c[1].kind, CELL_NUMBER);
	assert_int_equal(c[2].kind, CELL_TIME);
	assert_true(slice_eqs(c[2].name, "ready-since"));
	assert_int_equal(c[3].record, 1);
	assert_true(slice_eqs(c[4].name, "why") && slice_eqs(c[4].text, "two \"words\""));
	assert_int_equal(c[5].kind, CELL_NUMBER);
	assert_int_equal(cells_of_lines(pool, SLICE("\n\n=\na"), &c), 2);
	pool_free(&pool);
}

static void sockets_are_where_the_configuration_says(void **state)
{
	(void)state;
	char dir[] = "/tmp/hamlet-ctl-XXXXXX", path[64];
	struct pool *pool = pool_new(0);
	assert_non_null(mkdtemp(dir));
	unsetenv("HAMLET_RUNDIR");
	assert_string_equal(rundir_find(pool, dir), "/run/hamlet");
	assert_true(str_fmt(path, sizeof(path), "%s/hamlet.conf", dir));
	FILE *f = fopen(path, "w");
	fputs("version 1\ndaemon smtpd { processes 2 }\nrun-dir /srv/run\n", f);
	fclose(f);
	assert_string_equal(rundir_find(pool, dir), "/srv/run");
	setenv("HAMLET_RUNDIR", "/elsewhere", 1);
	assert_string_equal(rundir_find(pool, dir), "/elsewhere");
	unsetenv("HAMLET_RUNDIR");
	unlink(path);
	rmdir(dir);
	pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_command_is_whole),
	    cmocka_unit_test(wrong_words_are_usage_errors),
	    cmocka_unit_test(an_unreachable_service_is_told),
	    cmocka_unit_test(status_lines_become_cells),
	    cmocka_unit_test(sockets_are_where_the_configuration_says),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
