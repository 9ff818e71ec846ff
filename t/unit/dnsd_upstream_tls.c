/* Exchanges by TLS with a server whose certificate is good, for another name, or expired. */
#include "t/unit/common_dns_server.h"
#include "t/unit/common_tls.h"
#include "dnsd/upstream/upstream_int.h"
#include "libcommon/net/stream.h"

static struct tls_ctx *server_ctx;
static int listener;
static uv_poll_t lpoll;
static uint16_t port;
static unsigned accepted, asked, handshakes, open_streams;
static bool silent;

static void server_data(struct stream *s, void *arg)
{
	(void)arg;
	for (;;) {
		struct slice d = stream_data(s);
		const uint8_t *p = (const uint8_t *)d.p;
		if (d.len < 2 || d.len - 2 < dns_u16(p))
			return;
		uint8_t msg[514];
		size_t n = 2u + dns_u16(p);
		/* Padded (RFC 8467). */
		assert_int_equal((n - 2) % 128, 0);
		memcpy(msg, p, n);
		stream_consume(s, n);
		msg[4] |= 0x80;
		asked++;
		if (!silent)
			stream_write(s, msg, n);
	}
}

static void server_end(struct stream *s, void *arg, enum stream_end why)
{
	(void)arg;
	(void)why;
	stream_close(s);
}

static void server_tls(struct stream *s, void *arg)
{
	(void)s;
	(void)arg;
	handshakes++;
}

static void server_closed(void *arg)
{
	(void)arg;
	open_streams--;
}

static void on_accept(uv_poll_t *h, int status, int events)
{
	static const struct stream_ops ops = {.on_data = server_data,
					      .on_end = server_end,
					      .on_tls = server_tls,
					      .on_close = server_closed};
	(void)h;
	(void)status;
	(void)events;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	accepted++;
	open_streams++;
	stream_starttls(stream_new(fd, NULL, &ops, NULL), server_ctx, NULL, false);
}

static void serve(const char *name, time_t middle)
{
	static const char *const alpn[] = {"dot", NULL};
	const char *why = NULL;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	tls_files_write(name, middle);
	server_ctx = tls_server_ctx_files(tls_cert_file, tls_key_file, alpn, &why);
	assert_non_null(server_ctx);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(listener, 16), 0);
	getsockname(listener, (struct sockaddr *)&a, &n);
	port = ntohs(a.sin_port);
	uv_poll_init(loop_get(), &lpoll, listener);
	uv_poll_start(&lpoll, UV_READABLE, on_accept);
	accepted = asked = handshakes = open_streams = 0;
	silent = false;
	struct upstream_conf conf = upstream_defaults;
	conf.tcp_timeout_ms = 20000;
	upstream_forget();
	upstream_stats = (struct upstream_stats){0};
	upstream_trust(tls_cert_file);
	upstream_start(&conf);
}

static int stop(void **state)
{
	(void)state;
	upstream_stop();
	uv_close((uv_handle_t *)&lpoll, NULL);
	close(listener);
	for (int i = 0; i < 1000 && open_streams; i++)
		run_for(10);
	assert_int_equal(open_streams, 0);
	tls_ctx_free(&server_ctx);
	return 0;
}

struct told {
	unsigned calls;
	enum upstream_outcome outcome;
	const char *why;
	bool tcp;
};

static void on_told(void *arg, const struct upstream_answer *a)
{
	struct told *t = arg;
	if (a->outcome == UPSTREAM_LATE)
		return;
	t->calls++;
	t->outcome = a->outcome;
	t->why = a->why;
	t->tcp = a->tcp;
}

static struct upstream *begin(struct told *t, const char *name)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct upstream_question q = {.to = (struct sockaddr *)&to,
				      .name = wire_of("www.example.test"),
				      .type = DNS_A,
				      .recursive = true,
				      .tls = name};
	*t = (struct told){0};
	return upstream_ask(&q, on_told, t);
}

static void a_good_certificate(void **state)
{
	(void)state;
	static struct told t[5];
	serve("localhost", time(NULL));
	for (int i = 0; i < 3; i++) /* these wait for one handshake */
		begin(&t[i], "localhost");
	for (int i = 0; i < 3; i++)
		wait_count(&t[i].calls, 1);
	for (int i = 3; i < 5; i++) {
		begin(&t[i], "localhost");
		wait_count(&t[i].calls, 1);
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(t[i].outcome, UPSTREAM_ANSWER);
	assert_true(t[0].tcp);
	assert_int_equal(accepted, 1);
	assert_int_equal(handshakes, 1);
	assert_int_equal(asked, 5);
	assert_int_equal(upstream_stats.tls, 5);
	assert_int_equal(upstream_stats.tcp, 0);
	/* By another name it is another server: no connection is shared. */
	begin(&t[0], "127.0.0.1");
	wait_count(&t[0].calls, 1);
	assert_int_equal(t[0].outcome, UPSTREAM_ANSWER);
	assert_int_equal(accepted, 2);
}

static void a_certificate_for_another_name(void **state)
{
	(void)state;
	static struct told t;
	serve("localhost", time(NULL));
	begin(&t, "dns.example.test");
	wait_count(&t.calls, 1);
	assert_int_equal(t.outcome, UPSTREAM_UNTRUSTED);
	assert_string_equal(t.why, "the certificate is for another name");
	assert_int_equal(asked, 0);
}

static void an_expired_certificate(void **state)
{
	(void)state;
	static struct told t;
	serve("localhost", time(NULL) - 7200);
	begin(&t, "localhost");
	wait_count(&t.calls, 1);
	assert_int_equal(t.outcome, UPSTREAM_UNTRUSTED);
	assert_string_equal(t.why, "the certificate has expired");
	assert_int_equal(asked, 0);
}

static void cancelled_while_it_waits(void **state)
{
	(void)state;
	static struct told t, u;
	serve("localhost", time(NULL));
	silent = true;
	struct upstream *x = begin(&t, "localhost"), *y;
	upstream_cancel(&x); /* before the connection stands */
	y = begin(&u, "localhost");
	wait_count(&asked, 1);
	upstream_cancel(&y);
	silent = false;
	begin(&u, "localhost");
	wait_count(&u.calls, 1);
	assert_int_equal(u.outcome, UPSTREAM_ANSWER);
	assert_int_equal(t.calls, 0);
	assert_int_equal(accepted, 1);
}

static int make_files(void **state)
{
	(void)state;
	tls_files_make();
	return 0;
}

static int drop_files(void **state)
{
	(void)state;
	tls_files_drop();
	return 0;
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, stop)
	const struct CMUnitTest tests[] = {T(a_good_certificate), T(a_certificate_for_another_name),
					   T(an_expired_certificate), T(cancelled_while_it_waits)};
	clock_init();
	return cmocka_run_group_tests(tests, make_files, drop_files);
}
