/* Datagrams and connections, over a stand-in for the answers: it returns the query, with a mark. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <poll.h>
#include <unistd.h>
#include <cmocka.h>
#include "dnsd/wire/later.h"
#include "libcommon/base/clock.h"
#include "libcommon/net/loop.h"

enum {
	QUERY = 20,
	DEADLINE_MS = 30000,
	SILENT = 0xee,
	LONG = 0xdd,
	LATER = 0xcc,
	LONG_OCTETS = 30000
};

static unsigned asked;

/* What was announced is what comes. */
static const char *next[64];
static unsigned ahead, served;

static void announced(const struct slice *pkt, const struct sockaddr *const *client, unsigned n)
{
	assert_true(n >= 1 && n <= 64 && ahead == served);
	for (ahead = 0, served = 0; ahead < n; ahead++) {
		assert_true(client[ahead]->sa_family == AF_INET ||
			    client[ahead]->sa_family == AF_INET6);
		next[ahead] = pkt[ahead].p;
	}
}

/* Queries that are answered later, in the order in which they came. */
static struct {
	struct later *later[8];
	uint8_t response[8][QUERY];
	unsigned n;
} kept;

/* A query whose last octet is SILENT has no answer; one with LONG has a long one; one with LATER
 * is kept. */
static size_t echo(const struct query_from *from, const uint8_t *pkt, size_t len, uint8_t *out,
		   size_t cap)
{
	size_t n = pkt[len - 1] == LONG ? LONG_OCTETS : len;
	assert_true(n <= cap);
	asked++;
	if (from->by == BY_UDP)
		assert_ptr_equal(pkt, next[served++]);
	if (pkt[len - 1] == SILENT)
		return 0;
	if (pkt[len - 1] == LATER) {
		assert_true(kept.n < 8);
		memcpy(kept.response[kept.n], pkt, QUERY);
		kept.response[kept.n][2] = (uint8_t)(0x80 + from->by);
		assert_non_null(kept.later[kept.n++] = later_keep(from));
		return 0;
	}
	memset(out, 0, n);
	memcpy(out, pkt, len);
	out[2] = (uint8_t)(0x80 + from->by);
	return n;
}

static void query(uint8_t p[QUERY], unsigned id)
{
	memset(p, 0, QUERY);
	p[0] = (uint8_t)(id >> 8);
	p[1] = (uint8_t)id;
}

/* Turns the loop until the fd can be read. */
static bool readable(int fd)
{
	for (uint64_t until = clock_mono() + DEADLINE_MS; clock_mono() < until;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uv_run(loop_get(), UV_RUN_NOWAIT);
		if (poll(&p, 1, 1) == 1)
			return true;
	}
	return false;
}

static int bound(const char *address, struct sockaddr_storage *at)
{
	struct conf_addr a = {.text = address};
	struct sockaddr_in *in = (struct sockaddr_in *)&a.sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.sa;
	a.len = sizeof(*in);
	in->sin_family = AF_INET;
	if (strcmp(address, "*") == 0) {
		in6->sin6_family = AF_INET6;
		a.len = sizeof(*in6);
	} else {
		assert_int_equal(inet_pton(AF_INET, address, &in->sin_addr), 1);
	}
	int fd = listen_bind_udp(&a);
	socklen_t len = sizeof(*at);
	if (fd >= 0)
		assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

/* --- datagrams ----------------------------------------------------------------------------- */

/* Datagrams to `to` are answered, at all addresses when it is not 127.0.0.1. Our connected socket,
 * which takes what comes from there alone; -1: there is no IPv6 here. */
static int asker(const char *to)
{
	struct sockaddr_storage at = {0};
	struct sockaddr_in in = {.sin_family = AF_INET};
	int server = bound(strcmp(to, "127.0.0.1") == 0 ? to : "*", &at);
	if (server < 0)
		return -1;
	/* The port is at the same place in both. */
	memcpy(&in.sin_port, &((struct sockaddr_in6 *)&at)->sin6_port, sizeof(in.sin_port));
	inet_pton(AF_INET, to, &in.sin_addr);
	int c = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(udp_start(server, "udp", SERVES_CONTENT, UDP_MAX, echo, announced));
	assert_int_equal(connect(c, (struct sockaddr *)&in, sizeof(in)), 0);
	return c;
}

static void asker_end(int c)
{
	close(c);
	udp_stop();
	uv_run(loop_get(), UV_RUN_NOWAIT);
}

static void datagrams_are_answered_in_batches(void **state)
{
	(void)state;
	enum { N = 300 };
	int c = asker("127.0.0.1"), seen[N] = {0}, got = 0;
	uint8_t p[QUERY] = {0};
	for (unsigned i = 0; i < N; i++) {
		query(p, i);
		if (i % 3 == 0) /* dropped ones do not disturb the others of their batch */
			p[QUERY - 1] = SILENT;
		assert_int_equal(send(c, p, QUERY, 0), QUERY);
	}
	while (got < N * 2 / 3 && readable(c)) {
		assert_int_equal(recv(c, p, sizeof(p), 0), QUERY);
		assert_int_equal(p[2], 0x80 + BY_UDP);
		seen[p[0] << 8 | p[1]]++;
		got++;
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(seen[i], i % 3 != 0);
	asker_end(c);
}

static void a_response_comes_from_the_address_that_was_asked(void **state)
{
	(void)state;
	int c = asker("127.0.0.3");
	uint8_t p[QUERY];
	if (c < 0)
		skip();
	query(p, 7);
	assert_int_equal(send(c, p, QUERY, 0), QUERY);
	assert_true(readable(c));
	assert_int_equal(recv(c, p, sizeof(p), 0), QUERY);
	asker_end(c);
}

static void one_bad_datagram_does_not_fail_a_batch(void **state)
{
	(void)state;
	int c = asker("127.0.0.1");
	static uint8_t large[UDP_MAX + 100];
	uint8_t p[QUERY];
	uint64_t bad = stats.udp_bad;
	assert_int_equal(send(c, large, sizeof(large), 0), sizeof(large));
	query(p, 9);
	assert_int_equal(send(c, p, QUERY, 0), QUERY);
	assert_true(readable(c));
	assert_int_equal(recv(c, p, sizeof(p), 0), QUERY);
	assert_int_equal(p[1], 9);
	assert_int_equal(stats.udp_bad, bad + 1);
	asker_end(c);
}

static void a_datagram_may_be_answered_later(void **state)
{
	(void)state;
	int c = asker("127.0.0.4");
	uint8_t p[QUERY];
	if (c < 0)
		skip();
	kept.n = 0;
	for (unsigned i = 0; i < 4; i++) {
		query(p, i);
		p[QUERY - 1] = i < 3 ? LATER : 0;
		assert_int_equal(send(c, p, QUERY, 0), QUERY);
	}
	assert_true(readable(c));
	assert_int_equal(recv(c, p, sizeof(p), 0), QUERY);
	assert_int_equal(p[1], 3);
	while (kept.n < 3)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	later_reply(&kept.later[1], kept.response[1], QUERY);
	later_reply(&kept.later[0], NULL, 0);
	assert_null(kept.later[1]);
	assert_true(readable(c));
	assert_int_equal(recv(c, p, sizeof(p), 0), QUERY);
	assert_int_equal(p[1], 1);
	assert_int_equal(p[2], 0x80 + BY_UDP);
	udp_stop();
	later_reply(&kept.later[2], kept.response[2], QUERY); /* the socket is gone */
	close(c);
	uv_run(loop_get(), UV_RUN_NOWAIT);
}

/* --- connections ----------------------------------------------------------------------------- */

static const struct listen_spec SPEC = {.name = "dns-tcp"};

/* A connection that was accepted; our end of it. */
static int connection(void)
{
	int fds[2];
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	tcp_listen_ops.on_accept(fds[1], (struct sockaddr *)&sa, (struct sockaddr *)&sa, &SPEC);
	return fds[0];
}

/* Reads n octets; false at the end of the stream. */
static bool take(int fd, uint8_t *p, size_t n)
{
	while (n) {
		if (!readable(fd))
			return false;
		ssize_t r = recv(fd, p, n, 0);
		if (r <= 0)
			return false;
		p += r;
		n -= (size_t)r;
	}
	return true;
}

static bool ended(int fd)
{
	uint8_t p;
	return readable(fd) && recv(fd, &p, 1, 0) <= 0;
}

static void put(int fd, unsigned id, uint8_t last)
{
	uint8_t p[2 + QUERY] = {0, QUERY};
	query(p + 2, id);
	p[1 + QUERY] = last;
	assert_int_equal(send(fd, p, sizeof(p), MSG_NOSIGNAL), sizeof(p));
}

static unsigned answered(int fd)
{
	uint8_t p[2 + QUERY] = {0};
	assert_true(take(fd, p, sizeof(p)));
	assert_int_equal(p[0] << 8 | p[1], QUERY);
	assert_int_equal(p[4], 0x80 + BY_TCP);
	return (unsigned)(p[2] << 8 | p[3]);
}

static void pipelined_queries_are_answered_in_one_write(void **state)
{
	(void)state;
	enum { N = 100 };
	uint8_t p[N * (2 + QUERY)];
	int fd = connection();
	for (unsigned i = 0; i < N; i++)
		put(fd, i, 0);
	assert_true(readable(fd));
	/* All of them are here with the first. */
	assert_int_equal(recv(fd, p, sizeof(p), MSG_PEEK), sizeof(p));
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(answered(fd), i);
	close(fd);
}

static void a_query_may_come_octet_by_octet(void **state)
{
	(void)state;
	uint8_t p[2 + QUERY] = {0, QUERY};
	int fd = connection();
	unsigned before = asked;
	query(p + 2, 5);
	for (size_t i = 0; i < sizeof(p); i++) {
		assert_int_equal(asked, before);
		assert_int_equal(send(fd, p + i, 1, MSG_NOSIGNAL), 1);
		for (int k = 0; k < 3; k++)
			uv_run(loop_get(), UV_RUN_NOWAIT);
	}
	assert_int_equal(answered(fd), 5);
	close(fd);
}

static void who_has_sent_all_still_gets_all(void **state)
{
	(void)state;
	int fd = connection();
	for (unsigned i = 0; i < 10; i++)
		put(fd, i, 0);
	shutdown(fd, SHUT_WR);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(answered(fd), i);
	assert_true(ended(fd));
	close(fd);
}

static void who_does_not_read_is_not_answered_without_end(void **state)
{
	(void)state;
	enum { N = 200 };
	static uint8_t p[2 + LONG_OCTETS];
	int fd = connection();
	unsigned before = asked;
	for (unsigned i = 0; i < N; i++)
		put(fd, i, LONG);
	for (int i = 0; i < 100; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	assert_true(asked - before < N / 2);
	for (unsigned i = 0; i < N; i++) {
		assert_true(take(fd, p, sizeof(p)));
		assert_int_equal(p[0] << 8 | p[1], LONG_OCTETS);
		assert_int_equal(p[3], i);
	}
	assert_int_equal(asked - before, N);
	close(fd);
}

static void wait_kept(unsigned n)
{
	for (uint64_t until = clock_mono() + DEADLINE_MS; kept.n < n && clock_mono() < until;)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	assert_int_equal(kept.n, n);
}

static void a_query_of_a_connection_may_be_answered_later(void **state)
{
	(void)state;
	int fd = connection();
	kept.n = 0;
	put(fd, 1, LATER);
	put(fd, 2, LATER);
	put(fd, 3, 0);
	assert_int_equal(answered(fd), 3);
	shutdown(fd, SHUT_WR);
	wait_kept(2);
	for (int i = 0; i < 3; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	later_reply(&kept.later[1], kept.response[1], QUERY);
	assert_int_equal(answered(fd), 2);
	later_reply(&kept.later[0], kept.response[0], QUERY);
	assert_int_equal(answered(fd), 1);
	assert_true(ended(fd));
	close(fd);
	/* Who has gone before the answer is there. */
	fd = connection();
	kept.n = 0;
	put(fd, 1, LATER);
	wait_kept(1);
	uint64_t before = stats.connections;
	close(fd);
	/* It is a half-closed connection until we write. */
	for (int i = 0; i < 3; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	later_reply(&kept.later[0], kept.response[0], QUERY);
	for (uint64_t until = clock_mono() + DEADLINE_MS;
	     stats.connections >= before && clock_mono() < until;)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	assert_true(stats.connections < before);
}

struct many {
	unsigned next, last, ended;
};

static size_t next_of_many(void *arg, uint8_t *out, size_t cap)
{
	struct many *m = arg;
	assert_true(cap >= LONG_OCTETS);
	if (m->next == m->last)
		return 0;
	memset(out, 0, LONG_OCTETS);
	out[0] = (uint8_t)(m->next >> 8);
	out[1] = (uint8_t)m->next++;
	return LONG_OCTETS;
}

static void end_of_many(void *arg)
{
	((struct many *)arg)->ended++;
}

static void a_response_of_many_messages_comes_as_it_is_taken(void **state)
{
	(void)state;
	static uint8_t p[2 + LONG_OCTETS];
	struct many m = {.last = 500}, stopped = {.last = 500};
	int fd = connection();
	kept.n = 0;
	put(fd, 1, LATER);
	wait_kept(1);
	later_go_on(&kept.later[0], next_of_many, end_of_many, &m);
	for (int i = 0; i < 100; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	assert_true(m.next > 0 && m.next < 100);
	put(fd, 2, 0); /* is answered in between */
	unsigned between = 0;
	for (unsigned i = 0; i < m.last;) {
		assert_true(take(fd, p, 2));
		size_t n = (size_t)(p[0] << 8 | p[1]);
		assert_true(take(fd, p, n));
		if (n == LONG_OCTETS)
			assert_int_equal(p[0] << 8 | p[1], i++);
		else
			between += i < m.last && n == QUERY;
	}
	assert_int_equal(between, 1);
	assert_int_equal(m.ended, 1);
	/* The client goes in the middle. */
	kept.n = 0;
	put(fd, 3, LATER);
	wait_kept(1);
	later_go_on(&kept.later[0], next_of_many, end_of_many, &stopped);
	assert_true(take(fd, p, 2 + LONG_OCTETS));
	close(fd);
	for (uint64_t until = clock_mono() + DEADLINE_MS; !stopped.ended && clock_mono() < until;)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	assert_int_equal(stopped.ended, 1);
	assert_true(stopped.next < stopped.last);
}

static void nonsense_ends_the_connection(void **state)
{
	(void)state;
	static const uint8_t shorter[] = {0, 11, 0};
	int fd = connection();
	assert_int_equal(send(fd, shorter, sizeof(shorter), 0), sizeof(shorter));
	assert_true(ended(fd));
	close(fd);
	fd = connection();
	put(fd, 1, 0);
	put(fd, 2, SILENT);
	assert_int_equal(answered(fd), 1);
	assert_true(ended(fd));
	close(fd);
}

static void the_longest_silent_makes_room(void **state)
{
	(void)state;
	int fd[4];
	/* Those of the tests before are gone. */
	for (uint64_t until = clock_mono() + DEADLINE_MS;
	     stats.connections && clock_mono() < until;)
		uv_run(loop_get(), UV_RUN_ONCE);
	assert_int_equal(stats.connections, 0);
	conf.tcp.connections = 3;
	for (int i = 0; i < 3; i++)
		fd[i] = connection();
	put(fd[0], 1, 0);
	assert_int_equal(answered(fd[0]), 1);
	uint64_t before = stats.displaced;
	fd[3] = connection();
	assert_int_equal(stats.displaced, before + 1);
	assert_true(ended(fd[1]));
	for (int i = 0; i < 4; i++) {
		if (i == 1)
			continue;
		put(fd[i], 2, 0);
		assert_int_equal(answered(fd[i]), 2);
	}
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	conf.tcp.connections = 1000;
}

static void silence_ends_a_connection(void **state)
{
	(void)state;
	conf.tcp.idle_timeout = 300;
	int fd = connection();
	put(fd, 1, 0);
	assert_int_equal(answered(fd), 1);
	assert_true(ended(fd));
	close(fd);
	conf.tcp.idle_timeout = DEADLINE_MS;
}

static bool is_over;
static void over(void)
{
	is_over = true;
}

static void a_drain_answers_what_comes_and_ends(void **state)
{
	(void)state;
	int fd = connection();
	put(fd, 1, 0);
	assert_int_equal(answered(fd), 1);
	tcp_drain(over);
	put(fd, 2, 0);
	assert_int_equal(answered(fd), 2);
	assert_false(is_over);
	assert_true(ended(fd));
	close(fd);
	for (uint64_t until = clock_mono() + DEADLINE_MS; !is_over && clock_mono() < until;)
		uv_run(loop_get(), UV_RUN_ONCE);
	assert_true(is_over);
	assert_int_equal(stats.connections, 0);
}

static int begin(void **state)
{
	(void)state;
	clock_init();
	conf.tcp = (struct tcp_conf){.connections = 1000, .idle_timeout = DEADLINE_MS};
	tcp_start(echo);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(datagrams_are_answered_in_batches),
	    cmocka_unit_test(a_response_comes_from_the_address_that_was_asked),
	    cmocka_unit_test(one_bad_datagram_does_not_fail_a_batch),
	    cmocka_unit_test(pipelined_queries_are_answered_in_one_write),
	    cmocka_unit_test(a_query_may_come_octet_by_octet),
	    cmocka_unit_test(who_has_sent_all_still_gets_all),
	    cmocka_unit_test(who_does_not_read_is_not_answered_without_end),
	    cmocka_unit_test(a_datagram_may_be_answered_later),
	    cmocka_unit_test(a_query_of_a_connection_may_be_answered_later),
	    cmocka_unit_test(a_response_of_many_messages_comes_as_it_is_taken),
	    cmocka_unit_test(nonsense_ends_the_connection),
	    cmocka_unit_test(the_longest_silent_makes_room),
	    cmocka_unit_test(silence_ends_a_connection),
	    cmocka_unit_test(a_drain_answers_what_comes_and_ends),
	};
	return cmocka_run_group_tests(tests, begin, NULL);
}
