/* line, proxyproto, limits, loop, job. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/base/clock.h"
#include "libcommon/net/job.h"
#include "libcommon/net/limits.h"
#include "libcommon/net/line.h"
#include "libcommon/net/loop.h"
#include "libcommon/net/proxyproto.h"

static void lines_end_in_crlf_only(void **state)
{
	(void)state;
	static const struct {
		struct slice in;
		enum line_result want;
		size_t used, len;
	} row[] = {
	    {SLICE("NOOP\r\nQUIT"), LINE_OK, 6, 4},     {SLICE("\r\n"), LINE_OK, 2, 0},
	    {SLICE("NOOP"), LINE_MORE, 0, 0},           {SLICE("NOOP\r"), LINE_MORE, 0, 0},
	    {SLICE("NO\nOP\r\n"), LINE_BARE_LF, 3, 0},  {SLICE("NO\rOP\r\n"), LINE_BARE_CR, 3, 0},
	    {SLICE("NO\r\r\n"), LINE_BARE_CR, 3, 0},    {SLICE("NO\0OP\r\n"), LINE_NUL, 3, 0},
	    {SLICE("a\rb\0c\n"), LINE_BARE_CR, 2, 0},   {SLICE("12345678\r\n"), LINE_OK, 10, 8},
	    {SLICE("123456789\r\n"), LINE_LONG, 10, 0}, {SLICE("1234567890123"), LINE_LONG, 10, 0},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct slice line = {0};
		size_t used = 0;
		assert_int_equal(line_next(row[i].in, 10, &line, &used), row[i].want);
		assert_int_equal(used, row[i].used);
		assert_int_equal(line.len, row[i].len);
	}
}

static void long_lines_are_skipped_to_their_end(void **state)
{
	(void)state;
	bool ended;
	assert_int_equal(line_skip(SLICE("aaaa"), &ended), 4);
	assert_false(ended);
	assert_int_equal(line_skip(SLICE("aa\r\nNOOP"), &ended), 4);
	assert_true(ended);
}

static struct sockaddr_storage address(const char *text, uint16_t port)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
	}
	return ss;
}
#define SA(x) ((const struct sockaddr *)&(x))

static void proxy_headers_are_read_at_any_cut(void **state)
{
	(void)state;
	static const char *const peers[] = {"192.0.2.1", "2001:db8::1"};
	for (int v = 1; v <= 2; v++)
		for (int i = 0; i < 2; i++) {
			struct sockaddr_storage a = address(peers[i], 40000),
						b = address(peers[i], 25);
			struct buf out;
			struct proxyproto pp;
			buf_init(&out, 0);
			assert_true((v == 1 ? proxyproto_write_v1
					    : proxyproto_write_v2)(&out, SA(a), SA(b)));
			size_t whole = out.len;
			buf_adds(&out, "EHLO x\r\n");
			for (size_t cut = 0; cut < whole; cut++)
				assert_int_equal(proxyproto_parse((struct slice){out.p, cut}, &pp),
						 0);
			assert_int_equal(proxyproto_parse(buf_slice(&out), &pp), whole);
			assert_memory_equal(&pp.peer, &a, sizeof(a));
			assert_memory_equal(&pp.self, &b, sizeof(b));
			assert_false(pp.local);
			buf_free(&out);
		}
}

static void bad_proxy_headers_are_refused(void **state)
{
	(void)state;
	static const struct slice bad[] = {
	    SLICE("EHLO x\r\n"),
	    SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"),
	    SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1 01\r\n"),
	    SLICE("PROXY TCP4 ::1 ::1 1 2\r\n"),
	    SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"),
	    SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"),
	    SLICE("PROXY SCTP 1.2.3.4 1.2.3.4 1 2\r\n"),
	    SLICE("\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c............"),
	    SLICE("\r\n\r\n\0\r\nQUIT\n\x22\x11\0\x0c............"),
	    SLICE("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04...."),
	    SLICE("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f............\x01\0\x05"),
	    SLICE("\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff............"),
	};
	struct proxyproto pp;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(proxyproto_parse(bad[i], &pp), -1);
	assert_int_equal(proxyproto_parse(SLICE("PROXY UNKNOWN\r\n"), &pp), 15);
	assert_true(pp.local);
}

static void limits_are_shared_and_come_back(void **state)
{
	(void)state;
	int fd = memfd_create("limits", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)limits_size(64)), 0);
	struct limits *a = limits_open(fd, 64, 0), *b = limits_open(fd, 64, 1);
	struct sockaddr_storage x = address("2001:db8::1", 1), y = address("2001:db8::2", 2);
	struct sockaddr_storage z = address("2001:db8:0:1::1", 1);
	assert_true(limits_connect(a, SA(x), 2));
	assert_true(limits_connect(b, SA(y), 2)); /* the same /64 */
	assert_false(limits_connect(a, SA(x), 2));
	assert_true(limits_connect(a, SA(z), 2));
	limits_disconnect(b, SA(x));
	assert_int_equal(limits_count(a, SA(y)), 1);
	limits_connect(b, SA(x), 2);
	struct limits *again = limits_open(fd, 64, 1); /* process 1 died and was started anew */
	assert_int_equal(limits_count(a, SA(x)), 1);
	limits_close(&a);
	limits_close(&b);
	limits_close(&again);
	close(fd);
}

static void an_area_beside_the_limits(void **state)
{
	(void)state;
	int fd = memfd_create("limits", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)limits_size(64)), 0);
	struct limits *l = limits_open(fd, 64, 0);
	struct sockaddr_storage x = address("192.0.2.1", 1);
	unsigned char *a = limits_area(fd, 64, LIMITS_AREA), *b = limits_area(fd, 64, 100);
	assert_int_equal(a[0] | a[LIMITS_AREA - 1], 0);
	memset(a, 7, LIMITS_AREA);
	assert_int_equal(b[99], 7);
	assert_int_equal(limits_count(l, SA(x)), 0);
	limits_close(&l);
	/* That of another version, which has none. */
	assert_int_equal(ftruncate(fd, (off_t)limits_size(64) - LIMITS_AREA), 0);
	unsigned char *own = limits_area(fd, 64, 100), *alone = limits_area(-1, 64, 100);
	own[99] = 1;
	assert_int_equal(alone[99], 0);
	close(fd);
}

static void rates_are_kept(void **state)
{
	(void)state;
	struct limits *l = limits_open(-1, 64, 0);
	struct sockaddr_storage x = address("192.0.2.1", 1),
				mapped = address("::ffff:192.0.2.1", 1);
	for (int i = 0; i < 5; i++)
		assert_true(limits_rate(l, SA(x), 5, 3600000));
	assert_false(limits_rate(l, SA(mapped), 5, 3600000));
	limits_close(&l);
}

static void full_table_forgets_the_oldest(void **state)
{
	(void)state;
	struct limits *l = limits_open(-1, 8, 0);
	char text[32];
	for (int i = 0; i < 1000; i++) {
		assert_true(str_fmt(text, sizeof(text), "10.0.%d.%d", i / 250, i % 250));
		struct sockaddr_storage x = address(text, 1);
		assert_true(limits_connect(l, SA(x), 1));
	}
	limits_close(&l);
}

static char order[8];
static struct timer one, two, three;

static void note(char c)
{
	size_t n = strlen(order);
	order[n] = c;
}
static void on_one(struct timer *t)
{
	(void)t;
	note('1');
	timer_clear(&three);
}
static void on_two(struct timer *t)
{
	(void)t;
	note('2');
	loop_stop();
}
static void on_three(struct timer *t)
{
	(void)t;
	note('3');
}
static void on_later(void *arg)
{
	note(*(char *)arg);
}
static void on_thread(void *arg)
{
	*(int *)arg = 42;
}
static void on_job(void *arg, bool cancelled)
{
	note(*(int *)arg == 42 && !cancelled ? 'j' : '!');
}

static void timers_defers_and_jobs_run(void **state)
{
	(void)state;
	static char d = 'd';
	static int answer;
	memset(order, 0, sizeof(order));
	timer_set(&two, 350, on_two);
	timer_set(&three, 150, on_three);
	timer_set(&one, 10, on_one);
	loop_defer(on_later, &d);
	assert_true(timer_is_set(&two));
	uint64_t start = clock_mono();
	loop_run();
	assert_true(clock_mono() - start >= 350);
	assert_string_equal(order, "d12");
	assert_false(timer_is_set(&one) || timer_is_set(&two) || timer_is_set(&three));
	memset(order, 0, sizeof(order));
	assert_true(job_start(on_thread, on_job, &answer));
	timer_set(&two, 200, on_two);
	loop_run();
	assert_string_equal(order, "j2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_end_in_crlf_only),
	    cmocka_unit_test(long_lines_are_skipped_to_their_end),
	    cmocka_unit_test(proxy_headers_are_read_at_any_cut),
	    cmocka_unit_test(bad_proxy_headers_are_refused),
	    cmocka_unit_test(limits_are_shared_and_come_back),
	    cmocka_unit_test(an_area_beside_the_limits),
	    cmocka_unit_test(rates_are_kept),
	    cmocka_unit_test(full_table_forgets_the_oldest),
	    cmocka_unit_test(timers_defers_and_jobs_run),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
