/* What other processes say: -L lines, notify datagrams and log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/un.h>
#include <cmocka.h>
#include "hamletd/hamletd.h"

static struct pool *pool;
static struct list_lines lines;
static const char *why;

static bool parse(const char *text)
{
	pool_clear(pool);
	return lines_list(pool, slice_of(text), &lines, &why);
}

static void test_list(void **state)
{
	(void)state;
	assert_true(parse("listen\tsmtp-127.0.0.1-25\ttcp\t127.0.0.1:25\t-\n"
			  "listen\tdns\tudp\t[::1]:53\t-\n"
			  "listen\tstore-smtpd\tunix\tunix:/run/hamlet/store/smtpd.sock\tsmtpd\n"
			  "listen\tlmtp\tunix\t/run/lmtp.sock\t-\n"
			  "path\trw\t/var/lib/hamlet/x\t-\t-\n"
			  "path\tro\t/srv\t-\t-\n"
			  "socket\t-\t/run/hamlet/key/smtpd.sock\t-\t-\n"));
	assert_int_equal(lines.n, 7);
	assert_int_equal(lines.line[0].kind, LINE_LISTEN);
	assert_int_equal(lines.line[0].proto, PROTO_TCP);
	assert_string_equal(lines.line[0].name, "smtp-127.0.0.1-25");
	assert_null(lines.line[0].owner);
	assert_int_equal(lines.line[1].proto, PROTO_UDP);
	assert_int_equal(lines.line[1].addr.sa.ss_family, AF_INET6);
	assert_string_equal(lines.line[2].owner, "smtpd");
	assert_string_equal(((struct sockaddr_un *)(void *)&lines.line[3].addr.sa)->sun_path,
			    "/run/lmtp.sock");
	assert_true(lines.line[4].write);
	assert_false(lines.line[5].write);
	assert_int_equal(lines.line[6].kind, LINE_SOCKET);
	assert_string_equal(lines.line[6].address, "/run/hamlet/key/smtpd.sock");
	assert_true(parse("listen\ts\tunix\tunix:/srv/my mail/{a}#.sock\tsmtpd\n"));
	assert_string_equal(((struct sockaddr_un *)(void *)&lines.line[0].addr.sa)->sun_path,
			    "/srv/my mail/{a}#.sock");
	assert_true(parse(""));
	assert_int_equal(lines.n, 0);
}

static void test_list_refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "listen\ta\ttcp\t127.0.0.1:25\n",       /* four fields */
	    "listen\ta\ttcp\t127.0.0.1:25\t-\t-\n", /* six */
	    "listen\t\ttcp\t127.0.0.1:25\t-\n",     /* empty name */
	    "listen\ta:b\ttcp\t127.0.0.1:25\t-\n",  /* ':' parts LISTEN_FDNAMES */
	    "listen\ta b\ttcp\t127.0.0.1:25\t-\n",
	    "listen\ta\tsctp\t127.0.0.1:25\t-\n",
	    "listen\ta\ttcp\t127.0.0.1\t-\n",
	    "listen\ta\ttcp\tunix:/x\t-\n",
	    "listen\ta\tunix\t127.0.0.1:25\t-\n",
	    "listen\ta\tunix\tunix:/run/../etc/x\t-\n",
	    "listen\ta\ttcp\t127.0.0.1:25 {\t-\n",
	    "listen\ta\ttcp\t127.0.0.1:25\"\t-\n",
	    "listen\ta\tunix\tunix:/x\\\t-\n",
	    "path\trx\t/srv\t-\t-\n",
	    "path\tro\tsrv\t-\t-\n",
	    "path\tro\t/\t-\t-\n",
	    "path\tro\t//\t-\t-\n",
	    "path\tro\t/srv/..\t-\t-\n",
	    "path\tro\t/srv/./x\t-\t-\n",
	    "path\tro\t/srv/\001x\t-\t-\n",
	    "hello\n",
	    "\n",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i]))
			fail_msg("taken: %s", bad[i]);
		assert_non_null(strstr(why, "line 1 of -L: "));
	}
}

static void test_list_limit(void **state)
{
	(void)state;
	struct buf b = {0};
	for (int i = 0; i < LINES_MAX; i++)
		buf_adds(&b, "path\tro\t/srv\t-\t-\n");
	assert_true(lines_list(pool, buf_slice(&b), &lines, &why));
	buf_adds(&b, "path\tro\t/srv\t-\t-\n");
	assert_false(lines_list(pool, buf_slice(&b), &lines, &why));
	buf_free(&b);
}

static void test_notify(void **state)
{
	(void)state;
	struct notify_msg m = lines_notify(SLICE("READY=1\nSTATUS=serving 3\nWATCHDOG=1\n"));
	assert_true(m.ready && m.watchdog && !m.stopping);
	assert_true(slice_eqs(m.status, "serving 3"));
	m = lines_notify(SLICE("READY=0\nSTOPPING=1\nREADY"));
	assert_true(!m.ready && !m.watchdog && m.stopping);
	m = lines_notify(SLICE("STATUS=bell\x07"));
	assert_null(m.status.p);
	m = lines_notify(SLICE(""));
	assert_false(m.ready);
}

static void check_log(const char *line, int priority, const char *text)
{
	struct slice got;
	assert_int_equal(lines_log(slice_of(line), &got), priority);
	assert_true(slice_eqs(got, text));
}

static void test_log(void **state)
{
	(void)state;
	check_log("<6>smtpd[12]: accepted", 6, "accepted");
	check_log("<3>no head", 3, "no head");
	check_log("<6>smtpd[]: x", 6, "smtpd[]: x");
	check_log("<6>smtpd[1]:", 6, "smtpd[1]:");
	check_log("<9>x", 4, "<9>x");
	check_log("Assertion failed", 4, "Assertion failed");
	check_log("<6>", 6, "");
	check_log("<", 4, "<");
}

static void test_put(void **state)
{
	(void)state;
	struct buf b = {0};
	struct conf_words w;
	lines_put(&b, "a", "x");
	lines_put_u64(&b, "n", 12);
	lines_put(&b, "b", "two \"words\"");
	lines_put(&b, "c", "");
	assert_true(conf_line(pool, b.p, b.len, &w));
	assert_int_equal(w.n, 4);
	assert_string_equal(w.w[0], "a=x");
	assert_string_equal(w.w[1], "n=12");
	assert_string_equal(w.w[2], "b=two \"words\"");
	assert_string_equal(w.w[3], "c=");
	buf_free(&b);
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
	    cmocka_unit_test(test_list),       cmocka_unit_test(test_list_refuses),
	    cmocka_unit_test(test_list_limit), cmocka_unit_test(test_notify),
	    cmocka_unit_test(test_log),        cmocka_unit_test(test_put),
	};
	return cmocka_run_group_tests_name("hamletd_lines", tests, setup, teardown);
}
