/* Connecting to one of several addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/net/loop.h"
#include "smtpd/relay.h"

enum { ADDRS = 20 };
static struct sockaddr_storage addr[ADDRS];
static struct host host = {.name = "mx.b.test", .addr = addr};
static struct route route;
static int calls, got;
static char got_why[2048];
static struct sockaddr_storage got_to;
static bool guard_hit;
static struct timer guard;

static void on_guard(struct timer *t)
{
	(void)t;
	guard_hit = true;
}

static void on_dial(int fd, const struct sockaddr *to, const char *why, void *arg)
{
	assert_ptr_equal(arg, &calls);
	calls++;
	got = fd;
	str_fmt(got_why, sizeof(got_why), "%s", why);
	if (to)
		memcpy(&got_to, to,
		       to->sa_family == AF_INET ? sizeof(struct sockaddr_in)
						: sizeof(struct sockaddr_in6));
}

static void spin(void)
{
	for (int i = 0; i < 20; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
}

static void wait_call(void)
{
	guard_hit = false;
	timer_set(&guard, 30000, on_guard);
	while (!calls && !guard_hit)
		uv_run(loop_get(), UV_RUN_ONCE);
	timer_clear(&guard);
	spin();
	assert_int_equal(calls, 1);
}

static void put(const char *ip, uint16_t port)
{
	struct sockaddr_storage *ss = &addr[host.addrs++];
	memset(ss, 0, sizeof(*ss));
	if (strchr(ip, ':')) {
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)ss;
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		assert_int_equal(inet_pton(AF_INET6, ip, &six->sin6_addr), 1);
	} else {
		struct sockaddr_in *four = (struct sockaddr_in *)(void *)ss;
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		assert_int_equal(inet_pton(AF_INET, ip, &four->sin_addr), 1);
	}
}

static int clear(void **state)
{
	(void)state;
	host.addrs = 0;
	memset(&route, 0, sizeof(route));
	route.connect_timeout = 20000;
	calls = 0;
	got = -1;
	got_why[0] = 0;
	return 0;
}

/* A listening socket; *port gets its port. backlog -1: bound, not listening: it refuses. */
static int listener(const char *ip, uint16_t *port, int backlog)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	inet_pton(AF_INET, ip, &sa.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	*port = ntohs(sa.sin_port);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static void connects(void **state)
{
	uint16_t port;
	int l = listener("127.0.0.1", &port, 5);
	(void)state;
	put("127.0.0.1", port);
	inet_pton(AF_INET, "127.0.0.3", &route.source4);
	assert_non_null(dial_open(&host, &route, on_dial, &calls));
	assert_int_equal(calls, 0);
	wait_call();
	assert_true(got >= 0);
	assert_int_equal(((struct sockaddr_in *)(void *)&got_to)->sin_port, htons(port));
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	int fd = accept(l, (struct sockaddr *)&from, &len);
	assert_true(fd >= 0);
	assert_int_equal(from.sin_addr.s_addr, route.source4.s_addr);
	assert_int_equal(write(got, "x", 1), 1);
	close(fd);
	close(got);
	close(l);
}

static void names_each_failure(void **state)
{
	uint16_t port;
	int l = listener("127.0.0.1", &port, -1);
	(void)state;
	put("127.0.0.1", port);
	put("127.0.0.2", port);
	dial_open(&host, &route, on_dial, &calls);
	assert_int_equal(calls, 0);
	wait_call();
	assert_int_equal(got, -1);
	assert_string_equal(got_why,
			    "127.0.0.1: Connection refused; 127.0.0.2: Connection refused");
	close(l);
	/* Not ours to send from. */
	clear(NULL);
	put("127.0.0.1", port);
	inet_pton(AF_INET, "192.0.2.77", &route.source4);
	dial_open(&host, &route, on_dial, &calls);
	wait_call();
	assert_string_equal(got_why, "127.0.0.1: source address: Cannot assign requested address");
	clear(NULL);
	dial_open(&host, &route, on_dial, &calls);
	wait_call();
	assert_string_equal(got_why, "no address is known");
}

/* The first one fails at once, or not at all for a while: the next is tried. */
static void falls_over(void **state)
{
	uint16_t port;
	int l = listener("127.0.0.2", &port, 5);
	(void)state;
	put("127.0.0.1", port); /* refuses */
	put("127.0.0.2", port);
	dial_open(&host, &route, on_dial, &calls);
	wait_call();
	assert_true(got >= 0);
	assert_int_equal(((struct sockaddr_in *)(void *)&got_to)->sin_addr.s_addr,
			 inet_addr("127.0.0.2"));
	close(got);
	close(l);
}

/* A listener with a full queue answers nothing: the kernel drops what comes. */
static void silence_is_overtaken_and_ends(void **state)
{
	uint16_t port;
	enum { FILL = 4 };
	int l = listener("0.0.0.0", &port, 0), fill[FILL], good;
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	(void)state;
	inet_pton(AF_INET, "127.0.0.1", &sa.sin_addr);
	for (int i = 0; i < FILL; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fill[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	uint16_t port2;
	good = listener("127.0.0.2", &port2, 5);
	put("127.0.0.1", port);
	put("127.0.0.2", port2);
	dial_open(&host, &route, on_dial, &calls);
	wait_call();
	assert_true(got >= 0);
	assert_int_equal(((struct sockaddr_in *)(void *)&got_to)->sin_port, htons(port2));
	close(got);
	clear(NULL);
	put("127.0.0.1", port);
	route.connect_timeout = 300;
	dial_open(&host, &route, on_dial, &calls);
	wait_call();
	assert_int_equal(got, -1);
	assert_string_equal(got_why, "127.0.0.1: Connection timed out");
	for (int i = 0; i < FILL; i++)
		close(fill[i]);
	close(l);
	close(good);
}

static void families_take_turns(void **state)
{
	uint16_t port;
	int l = listener("127.0.0.1", &port, -1);
	(void)state;
	put("127.0.0.1", port);
	put("127.0.0.2", port);
	put("::1", port);
	inet_pton(AF_INET6, "2001:db8::77", &route.source6); /* nobody has it: fails at once */
	dial_open(&host, &route, on_dial, &calls);
	wait_call();
	const char *six = strstr(got_why, "[::1]: "), *one = strstr(got_why, "127.0.0.1: "),
		   *two = strstr(got_why, "127.0.0.2: ");
	assert_ptr_equal(six, got_why);
	assert_true(one > six && two > one);
	close(l);
}

static void no_more_than_enough_addresses(void **state)
{
	uint16_t port;
	char ip[16];
	int l = listener("127.0.0.1", &port, -1);
	(void)state;
	for (int i = 1; i <= ADDRS; i++) {
		str_fmt(ip, sizeof(ip), "127.0.0.%d", i);
		put(ip, port);
	}
	dial_open(&host, &route, on_dial, &calls);
	wait_call();
	assert_non_null(strstr(got_why, "127.0.0.16: "));
	assert_null(strstr(got_why, "127.0.0.17: "));
	close(l);
}

static void cancelled_is_silent(void **state)
{
	uint16_t port;
	int l = listener("127.0.0.1", &port, 5);
	struct dial *d;
	(void)state;
	put("127.0.0.1", port);
	put("127.0.0.2", port);
	d = dial_open(&host, &route, on_dial, &calls);
	dial_cancel(&d);
	assert_null(d);
	dial_cancel(&d);
	spin();
	d = dial_open(&host, &route, on_dial, &calls);
	uv_run(loop_get(), UV_RUN_NOWAIT);
	if (!calls)
		dial_cancel(&d);
	else
		close(got);
	int before = calls;
	spin();
	assert_int_equal(calls, before);
	host.addrs = 0;
	calls = 0;
	d = dial_open(&host, &route, on_dial, &calls);
	dial_cancel(&d);
	spin();
	assert_int_equal(calls, 0);
	close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(connects, clear),
	    cmocka_unit_test_setup(names_each_failure, clear),
	    cmocka_unit_test_setup(falls_over, clear),
	    cmocka_unit_test_setup(silence_is_overtaken_and_ends, clear),
	    cmocka_unit_test_setup(families_take_turns, clear),
	    cmocka_unit_test_setup(no_more_than_enough_addresses, clear),
	    cmocka_unit_test_setup(cancelled_is_silent, clear),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
