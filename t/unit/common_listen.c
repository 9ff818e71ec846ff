/* listen: limits, PROXY headers from trusted peers, Unix sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/net/listen.h"
#include "libcommon/net/loop.h"

static unsigned accepted, refused;
static char peer_text[64], after[64];
static struct limits *limits;
static int kept[16];

static void on_accept(int fd, const struct sockaddr *peer, const struct sockaddr *local,
		      const struct listen_spec *spec)
{
	(void)local;
	(void)spec;
	kept[accepted++] = fd;
	if (peer->sa_family == AF_INET)
		uv_ip_name(peer, peer_text, sizeof(peer_text));
	memset(after, 0, sizeof(after));
	recv(fd, after, sizeof(after) - 1, MSG_DONTWAIT);
}
static void on_refuse(int fd, const struct listen_spec *spec, const char *why)
{
	(void)spec;
	(void)why;
	refused++;
	send(fd, "421 busy\r\n", 10, MSG_NOSIGNAL | MSG_DONTWAIT);
}
static const struct listen_ops OPS = {on_accept, on_refuse};

static int connect_to(const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1; /* what is sent a byte at a time is to arrive so */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	assert_int_equal(connect(fd, sa, len), 0);
	return fd;
}

static void turn(int times)
{
	for (int i = 0; i < times; i++) {
		uv_run(loop_get(), UV_RUN_NOWAIT);
		usleep(1000);
	}
}

static struct listen_spec spec_on_loopback(int *fd, struct sockaddr_in *where)
{
	struct listen_spec spec = {.name = "test", .addr.text = "127.0.0.1:0"};
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	memcpy(&spec.addr.sa, &any, sizeof(any));
	spec.addr.len = sizeof(any);
	*fd = listen_bind(&spec.addr, 0);
	assert_true(*fd >= 0);
	socklen_t len = sizeof(*where);
	getsockname(*fd, (struct sockaddr *)where, &len);
	accepted = refused = 0;
	limits = limits_open(-1, 64, 0);
	return spec;
}

static void drop(struct listener *l, const struct listen_spec *spec)
{
	struct sockaddr_in peer = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	for (unsigned i = 0; i < accepted; i++) {
		close(kept[i]);
		listen_done(spec, limits, (struct sockaddr *)&peer);
	}
	listen_stop(l);
	turn(2);
	limits_close(&limits);
}

static void local_users_count_each(void **state)
{
	(void)state;
	struct sockaddr_local a = {AF_UNIX, 1000}, b = {AF_UNIX, 1001};
	const struct sockaddr *pa = (void *)&a, *pb = (void *)&b;
	struct limits *l = limits_open(-1, 64, 0);
	assert_true(limits_connect(l, pa, 1));
	assert_false(limits_connect(l, pa, 1));
	assert_true(limits_connect(l, pb, 1));
	limits_disconnect(l, pa);
	assert_true(limits_connect(l, pa, 1));
	limits_close(&l);
}

static void limits_are_kept_and_given_back(void **state)
{
	(void)state;
	int fd, c[4];
	struct sockaddr_in to,
	    me = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct listen_spec spec = spec_on_loopback(&fd, &to);
	spec.max_per_address = 2;
	struct listener *l = listen_start(fd, &spec, limits, &OPS);
	for (int i = 0; i < 3; i++)
		c[i] = connect_to((struct sockaddr *)&to, sizeof(to));
	turn(5);
	assert_int_equal(accepted, 2);
	assert_int_equal(refused, 1);
	char text[16] = "";
	assert_int_equal(recv(c[2], text, 10, MSG_DONTWAIT), 10);
	assert_string_equal(text, "421 busy\r\n");
	listen_done(&spec, limits, (struct sockaddr *)&me);
	c[3] = connect_to((struct sockaddr *)&to, sizeof(to));
	turn(5);
	assert_int_equal(accepted, 3);
	drop(l, &spec);
	for (int i = 0; i < 4; i++)
		close(c[i]);
}

static void proxy_headers_name_the_peer(void **state)
{
	(void)state;
	int fd;
	struct sockaddr_in to;
	struct listen_spec spec = spec_on_loopback(&fd, &to);
	struct conf_net loopback = {.bits = 8};
	memcpy(&loopback.sa, &to, sizeof(to));
	void *items[] = {&loopback};
	struct conf_list from = {items, 1};
	spec.proxy_from = &from;
	struct listener *l = listen_start(fd, &spec, limits, &OPS);
	int c = connect_to((struct sockaddr *)&to, sizeof(to));
	static const char head[] = "PROXY TCP4 192.0.2.7 198.51.100.1 1234 25\r\nEHLO x";
	for (size_t i = 0; i < 20; i++) { /* the beginning byte by byte */
		assert_int_equal(send(c, head + i, 1, 0), 1);
		turn(1);
	}
	assert_int_equal(accepted, 0);
	assert_int_equal(send(c, head + 20, sizeof(head) - 21, 0), sizeof(head) - 21);
	turn(5);
	assert_int_equal(accepted, 1);
	assert_string_equal(peer_text, "192.0.2.7");
	assert_string_equal(after, "EHLO x");
	int bad = connect_to((struct sockaddr *)&to, sizeof(to));
	assert_int_equal(send(bad, "EHLO x\r\n", 8, 0), 8);
	turn(5);
	char byte;
	assert_true(recv(bad, &byte, 1, MSG_DONTWAIT) <= 0);
	assert_int_equal(accepted, 1);
	int waits = connect_to((struct sockaddr *)&to, sizeof(to)); /* ended with the listener */
	turn(3);
	drop(l, &spec);
	close(c);
	close(bad);
	close(waits);
}

static void unix_sockets_replace_stale_ones(void **state)
{
	(void)state;
	char dir[] = "/tmp/hamlet-listen-XXXXXX";
	assert_non_null(mkdtemp(dir));
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	assert_true(str_fmt(un.sun_path, sizeof(un.sun_path), "%s/s", dir));
	struct listen_spec spec = {.name = "unix", .addr.text = "unix:s", .addr.len = sizeof(un)};
	memcpy(&spec.addr.sa, &un, sizeof(un));
	int stale = listen_bind(&spec.addr, 0);
	assert_true(stale >= 0);
	close(stale);
	accepted = 0;
	limits = limits_open(-1, 64, 0);
	struct listener *l = listen_start(-1, &spec, limits, &OPS);
	assert_non_null(l);
	struct stat st;
	assert_int_equal(stat(un.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	int c = connect_to((struct sockaddr *)&un, sizeof(un));
	turn(3);
	assert_int_equal(accepted, 1);
	drop(l, &spec);
	close(c);
	unlink(un.sun_path);
	rmdir(dir);
}

static void names_have_no_colons(void **state)
{
	(void)state;
	struct pool *p = pool_new(0);
	struct conf_addr a = {.text = "[::1]:2525"};
	assert_string_equal(listen_name(p, "smtp", &a), "smtp----1--2525");
	a.text = "127.0.0.1:25";
	assert_string_equal(listen_name(p, "smtp", &a), "smtp-127.0.0.1-25");
	pool_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(local_users_count_each),
	    cmocka_unit_test(limits_are_kept_and_given_back),
	    cmocka_unit_test(proxy_headers_name_the_peer),
	    cmocka_unit_test(unix_sockets_replace_stale_ones),
	    cmocka_unit_test(names_have_no_colons),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
