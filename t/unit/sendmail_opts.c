/* The command line of sendmail, as its callers write it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "sendmail/sendmail.h"

static struct pool *pool;

static struct opts read_words(const char *line)
{
	char *argv[32], *copy = pool_strdup(pool, line);
	size_t n = 0;
	struct opts o;
	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		argv[n++] = strcmp(p, "''") == 0 ? pool_strdup(pool, "") : p;
	argv[n] = NULL;
	bool good = opts_read(pool, argv, &o);
	assert_int_equal(good, o.error == NULL);
	return o;
}

static void the_callers_forms(void **state)
{
	(void)state;
	/* cron */
	struct opts o = read_words("/usr/sbin/sendmail -FCronDaemon -i -B8BITMIME -oem root");
	assert_null(o.error);
	assert_string_equal(o.name, "CronDaemon");
	assert_true(o.ignore_dots && o.eight && !o.extract && !o.has_sender);
	assert_int_equal(o.mode, MODE_DELIVER);
	assert_string_equal(o.to[0], "root");
	assert_null(o.to[1]);
	/* PHP, with the additional parameters of mail() */
	o = read_words("sendmail -t -i -fwww@a.test");
	assert_true(o.extract && o.ignore_dots && o.has_sender);
	assert_string_equal(o.sender, "www@a.test");
	assert_null(o.to[0]);
	/* mutt */
	o = read_words(
	    "sendmail -oem -oi -f alice@a.test -N failure,delay -R hdrs -V x=1 -- -a@b.c d");
	assert_null(o.error);
	assert_true(o.ignore_dots);
	assert_string_equal(o.notify, "FAILURE,DELAY");
	assert_string_equal(o.ret, "HDRS");
	assert_string_equal(o.envid, "x+3D1");
	assert_string_equal(o.to[0], "-a@b.c");
	assert_string_equal(o.to[1], "d");
	/* mail(1), git, and a cluster of letters */
	o = read_words("sendmail -odb -oi -t -bm -O IgnoreDots=true -X /tmp/log -d0-99.1 -tvi a b");
	assert_null(o.error);
	assert_true(o.extract && o.verbose);
	assert_string_equal(o.to[1], "b");
	o = read_words("sendmail -f '' -N never a");
	assert_true(o.has_sender);
	assert_string_equal(o.sender, "");
	assert_string_equal(o.notify, "NEVER");
	o = read_words("sendmail a -f b c");
	assert_string_equal(o.sender, "b");
	assert_string_equal(o.to[1], "c");
}

static void the_modes(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		enum mode mode;
	} MODES[] = {
	    {"sendmail -bs", MODE_SMTP},         {"sendmail -bv a", MODE_VERIFY},
	    {"sendmail -bp", MODE_QUEUE},        {"/usr/bin/mailq -v", MODE_QUEUE},
	    {"sendmail -bi", MODE_ALIASES},      {"newaliases", MODE_ALIASES},
	    {"sendmail -I", MODE_ALIASES},       {"sendmail -q", MODE_FLUSH},
	    {"sendmail -q30m", MODE_FLUSH},      {"sendmail -bm a", MODE_DELIVER},
	    {"hamlet-sendmail a", MODE_DELIVER},
	};
	for (size_t i = 0; i < sizeof(MODES) / sizeof(MODES[0]); i++) {
		struct opts o = read_words(MODES[i].line);
		assert_null(o.error);
		assert_int_equal(o.mode, MODES[i].mode);
	}
}

static void mistakes_are_told(void **state)
{
	(void)state;
	static const char *const BAD[] = {
	    "sendmail -bd",       "sendmail -f",
	    "sendmail -Z a",      "sendmail -N sometimes a",
	    "sendmail -N a,,b",   "sendmail -R some a",
	    "sendmail -B 9BIT a", "sendmail -V '' a",
	    "sendmail -N '' a",   "sendmail -ti -Q a",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_non_null(read_words(BAD[i]).error);
}

static int setup(void **state)
{
	(void)state;
	pool = pool_new(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pool_free(&pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_callers_forms),
	    cmocka_unit_test(the_modes),
	    cmocka_unit_test(mistakes_are_told),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
