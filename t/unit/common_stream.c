/* stream: two ends of a socket pair in one loop, in plaintext and over TLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/base/buf.h"
#include "libcommon/net/loop.h"
#include "libcommon/net/stream.h"
#include "t/unit/common_tls.h"

enum { BIG = 3 << 20 };

struct end {
	struct stream *s;
	struct buf got;
	int ends, drains, tls, closes;
	enum stream_end why;
	const char *text; /* of why */
	char sni[64];     /* that a server was told */
	size_t take;      /* bytes taken at a time; 0: all */
	bool echo;        /* sends back what comes */
	bool finish;      /* on the peer's end: finish instead of close */
	bool on_starttls; /* server: answers STARTTLS */
	bool on_go;       /* client: begins TLS when the server says so */
};
static struct end a, b; /* a: client, b: server */
static struct tls_ctx *server, *client;
static struct timer guard;

static void on_data(struct stream *s, void *arg)
{
	struct end *e = arg;
	struct slice in = stream_data(s);
	size_t n = e->take && in.len > e->take ? e->take : in.len;
	bool more = true;
	buf_add(&e->got, in.p, n);
	if (e->echo)
		more = stream_write(s, in.p, n);
	stream_consume(s, n);
	if (e->on_starttls && slice_starts(buf_slice(&e->got), "STARTTLS\r\n")) {
		e->on_starttls = false;
		stream_writes(s, "220 go\r\n");
		stream_starttls(s, server, NULL, false);
	} else if (e->on_go && slice_eqs(buf_slice(&e->got), "220 go\r\n")) {
		e->on_go = false;
		stream_starttls(s, client, "localhost", true);
		stream_writes(s, "RSET\r\n"); /* goes out encrypted, after the handshake */
		stream_shutdown(s);
	} else if (!more || n < in.len) {
		stream_pause(s);
		if (more)
			stream_resume(s);
	}
}
static void on_end(struct stream *s, void *arg, enum stream_end why)
{
	struct end *e = arg;
	e->ends++;
	e->why = why;
	e->text = stream_why(s);
	if (e->finish)
		stream_finish(s, 2000);
	else
		stream_close(s);
}
static void on_drain(struct stream *s, void *arg)
{
	((struct end *)arg)->drains++;
	stream_resume(s);
}
static void on_tls(struct stream *s, void *arg)
{
	struct end *e = arg;
	size_t len = sizeof(e->sni);
	unsigned type;
	e->tls++;
	gnutls_server_name_get(stream_tls(s), e->sni, &len, &type, 0);
}
static void on_close(void *arg)
{
	((struct end *)arg)->closes++;
	if (a.closes && b.closes)
		loop_stop();
}
static const struct stream_ops OPS = {on_data, on_end, on_drain, on_tls, on_close};

static void on_guard(struct timer *t)
{
	(void)t;
	loop_stop();
}

static void start(const struct stream_conf *conf)
{
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	a.s = stream_new(fd[0], conf, &OPS, &a);
	b.s = stream_new(fd[1], conf, &OPS, &b);
	assert_non_null(a.s);
	assert_non_null(b.s);
	timer_set(&guard, 30000, on_guard);
}

static void run(void)
{
	loop_run();
	assert_true(timer_is_set(&guard)); /* it did not run out */
	timer_clear(&guard);
	assert_int_equal(a.closes, 1);
	assert_int_equal(b.closes, 1);
}

static void done(void)
{
	buf_free(&a.got);
	buf_free(&b.got);
}

static char *pattern(void)
{
	char *p = malloc(BIG);
	uint32_t x = 1;
	for (size_t i = 0; i < BIG; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (char)(x >> 24);
	}
	return p;
}

static void echo_of_much_comes_back(struct tls_ctx *with)
{
	char *p = pattern();
	start(NULL);
	b.echo = b.finish = true;
	a.take = 1000;
	if (with) {
		stream_starttls(b.s, with, NULL, false);
		stream_starttls(a.s, client, "localhost", true);
	}
	for (size_t i = 0; i < BIG; i += BIG / 3)
		stream_write(a.s, p + i, BIG / 3);
	stream_shutdown(a.s);
	run();
	assert_int_equal(a.got.len, BIG);
	assert_memory_equal(a.got.p, p, BIG);
	assert_int_equal(a.why, STREAM_EOF);
	assert_true(b.drains > 0); /* the writer was held back */
	assert_int_equal(a.tls, with ? 1 : 0);
	free(p);
	done();
}

static void plain_echo(void **state)
{
	(void)state;
	echo_of_much_comes_back(NULL);
}

static void tls_echo(void **state)
{
	(void)state;
	echo_of_much_comes_back(server);
}

static void files_are_sent(struct tls_ctx *with)
{
	char *p = pattern();
	int fd = memfd_create("file", MFD_CLOEXEC);
	assert_int_equal(write(fd, p, BIG), BIG);
	start(NULL);
	if (with) {
		stream_starttls(b.s, with, NULL, false);
		stream_starttls(a.s, client, "localhost", true);
	}
	stream_writes(b.s, "head");
	stream_sendfile(b.s, fd, 100, BIG - 100);
	stream_writes(b.s, "tail");
	stream_finish(b.s, 5000);
	run();
	assert_int_equal(a.got.len, BIG - 100 + 8);
	assert_memory_equal(a.got.p, "head", 4);
	assert_memory_equal(a.got.p + 4, p + 100, BIG - 100);
	assert_memory_equal(a.got.p + 4 + BIG - 100, "tail", 4);
	free(p);
	done();
}

static void plain_sendfile(void **state)
{
	(void)state;
	files_are_sent(NULL);
}

static void tls_sendfile(void **state)
{
	(void)state;
	files_are_sent(server);
}

static void starttls_is_begun_in_the_middle(void **state)
{
	(void)state;
	start(NULL);
	b.on_starttls = a.on_go = true;
	stream_writes(a.s, "STARTTLS\r\n");
	run();
	assert_string_equal(buf_cstr(&b.got), "STARTTLS\r\nRSET\r\n");
	assert_int_equal(b.tls, 1);
	done();
}

static void plaintext_behind_starttls_is_dropped(void **state)
{
	(void)state;
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	a.closes = 1;
	b.s = stream_new(fd[1], NULL, &OPS, &b);
	b.take = 10;
	b.on_starttls = true;
	timer_set(&guard, 30000, on_guard);
	assert_int_equal(write(fd[0], "STARTTLS\r\nMAIL FROM:<x@y>\r\n", 28), 28);
	shutdown(fd[0], SHUT_WR);
	run();
	assert_string_equal(buf_cstr(&b.got), "STARTTLS\r\n");
	assert_int_equal(b.why, STREAM_TLS_FAIL);
	close(fd[0]);
	done();
}

static void handshake_fails(struct tls_ctx *with, const char *name, const char *why)
{
	start(NULL);
	stream_starttls(b.s, server, NULL, false);
	stream_starttls(a.s, with, name, true);
	run();
	assert_int_equal(a.why, STREAM_TLS_FAIL);
	assert_string_equal(a.text, why);
	assert_int_equal(a.tls, 0);
	done();
}

static void wrong_certificates_fail_the_handshake(void **state)
{
	(void)state;
	handshake_fails(client, "other.test", "the certificate is for another name");
	struct tls_ctx *nobody = tls_client_ctx("/dev/null", NULL);
	handshake_fails(nobody, "localhost", "the certificate's issuer is not trusted");
	tls_ctx_free(&nobody);
}

static void names_are_told_and_addresses_are_not(void **state)
{
	(void)state;
	static const char *const NAME[] = {"localhost", "127.0.0.1"};
	for (int i = 0; i < 2; i++) {
		start(NULL);
		stream_starttls(b.s, server, NULL, false);
		stream_starttls(a.s, client, NAME[i], true);
		stream_finish(a.s, 5000);
		run();
		assert_int_equal(b.tls, 1);
		assert_string_equal(b.sni, i == 0 ? "localhost" : "");
		done();
	}
}

static void quiet_streams_time_out(void **state)
{
	(void)state;
	start(&(struct stream_conf){.timeout_ms = 200});
	run();
	assert_int_equal(a.why == STREAM_TIMEOUT || b.why == STREAM_TIMEOUT, 1);
	done();
}

static void refused_connects_are_told(void **state)
{
	(void)state;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(1)};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	b.closes = 1;
	timer_set(&guard, 30000, on_guard);
	a.s = stream_connect((struct sockaddr *)&to, sizeof(to), NULL, 0, NULL, &OPS, &a);
	assert_string_equal(stream_peer_ip(a.s), "127.0.0.1");
	stream_writes(a.s, "never sent");
	run();
	assert_int_equal(a.why, STREAM_ERROR);
	done();
}

/* The other side goes with our bytes unread: EPOLLERR, which libuv tells without any event. */
static void a_reset_ends_an_idle_stream(void **state)
{
	(void)state;
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	b.closes = 1;
	timer_set(&guard, 30000, on_guard);
	a.s = stream_new(fd[0], NULL, &OPS, &a);
	stream_writes(a.s, "never read");
	for (int i = 0; i < 5; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	close(fd[1]);
	run();
	assert_int_equal(a.ends, 1);
	done();
}

static void closing_with_everything_under_way_leaks_nothing(void **state)
{
	(void)state;
	char *p = pattern();
	start(NULL);
	stream_write(a.s, p, BIG);
	stream_close(a.s);
	stream_close(a.s);
	run();
	assert_true(b.got.len < BIG);
	free(p);
	done();
}

static int make_certificate(void **state)
{
	(void)state;
	const char *why = NULL;
	static const char *const alpn[] = {"test", NULL};
	tls_files_make();
	server = tls_server_ctx_files(tls_cert_file, tls_key_file, alpn, &why);
	client = tls_client_ctx(tls_cert_file, alpn);
	return server && client ? 0 : -1;
}

static int drop_certificate(void **state)
{
	(void)state;
	tls_ctx_free(&server);
	tls_ctx_free(&client);
	tls_files_drop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_echo),
	    cmocka_unit_test(tls_echo),
	    cmocka_unit_test(plain_sendfile),
	    cmocka_unit_test(tls_sendfile),
	    cmocka_unit_test(starttls_is_begun_in_the_middle),
	    cmocka_unit_test(plaintext_behind_starttls_is_dropped),
	    cmocka_unit_test(wrong_certificates_fail_the_handshake),
	    cmocka_unit_test(names_are_told_and_addresses_are_not),
	    cmocka_unit_test(quiet_streams_time_out),
	    cmocka_unit_test(refused_connects_are_told),
	    cmocka_unit_test(a_reset_ends_an_idle_stream),
	    cmocka_unit_test(closing_with_everything_under_way_leaks_nothing),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_certificate, drop_certificate);
}
