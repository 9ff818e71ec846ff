/* Whole handshakes: a server's context on the key client, a keyd in another process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "libcommon/base/clock.h"
#include "libcommon/ipc/key.h"
#include "t/unit/keyd_run.h"

static const char CERTS[] = "certificate demo {\n names *.a.test localhost\n}\n"
			    "certificate mail {\n names mail.a.test\n roles smtpd\n}\n";
static const enum role ROLES[ROLES_N] = {ROLE_SMTPD, ROLE_POP3D, ROLE_CTL};

static pid_t supervisor;
static int supervisor_fd;
static unsigned changes;
static struct tls_keys *keys;
static struct tls_ctx *ctx;

/* --- keyd in a process of its own ------------------------------------------------------------ */

/* Starts and kills keyd as it is told: a fork of the test itself would share its loop. */
static _Noreturn void supervise(int fd)
{
	pid_t pid = -1;
	char c;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(fd, &c, 1) == 1) {
		if (c == 's' && (pid = fork()) == 0)
			keyd_serve(CERTS);
		if (c == 'k') {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		if (write(fd, &c, 1) != 1)
			break;
	}
	_exit(0);
}

static void tell(char c)
{
	assert_int_equal(write(supervisor_fd, &c, 1), 1);
	assert_int_equal(read(supervisor_fd, &c, 1), 1);
}

static void keyd_start(void)
{
	tell('s');
}

static void keyd_kill(void)
{
	tell('k');
}

static void on_change(void *arg)
{
	(void)arg;
	changes++;
}

static bool late;
static void on_guard(struct timer *t)
{
	(void)t;
	late = true;
}

static void wait_change(unsigned n)
{
	static struct timer guard;
	late = false;
	timer_set(&guard, 30000, on_guard);
	while (changes < n && !late)
		uv_run(loop_get(), UV_RUN_ONCE);
	timer_clear(&guard);
	assert_true(changes >= n);
}

static int start(void **state)
{
	(void)state;
	if (!sockets_open())
		return -1;
	int fd[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0)
		return -1;
	supervisor = fork();
	if (supervisor == 0) {
		close(fd[0]);
		supervise(fd[1]);
	}
	close(fd[1]);
	supervisor_fd = fd[0];
	keyd_start();
	changes = 0;
	keys = key_client(socket_of(ROLE_SMTPD), ROLE_SMTPD, on_change, NULL);
	ctx = tls_server_ctx(keys, NULL);
	if (key_client_ready(keys) || tls_ctx_ready(ctx))
		return -1;
	wait_change(1);
	return key_client_ready(keys) && tls_ctx_ready(ctx) ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	tls_ctx_free(&ctx);
	key_client_free(&keys);
	loop_run();
	keyd_kill();
	close(supervisor_fd);
	waitpid(supervisor, NULL, 0);
	return sockets_close();
}

/* --- clients --------------------------------------------------------------------------------- */

struct meeting {
	gnutls_session_t client, server;
	gnutls_certificate_credentials_t cred;
	int fd[2];
	int client_r, server_r;
	bool resumed;
	char cert[256]; /* subject that the client saw */
	char serial[64];
};

static const char V13[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3";
static const char V12[] = "NORMAL:-VERS-ALL:+VERS-TLS1.2";

static void client_new(struct meeting *m, const char *priority, const char *name, bool verify)
{
	char ca[128];
	snprintf(ca, sizeof(ca), "%s/state/ca.pem", dir);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, m->fd), 0);
	gnutls_init(&m->client, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
	assert_int_equal(gnutls_priority_set_direct(m->client, priority, NULL), 0);
	gnutls_certificate_allocate_credentials(&m->cred);
	assert_true(gnutls_certificate_set_x509_trust_file(m->cred, ca, GNUTLS_X509_FMT_PEM) > 0);
	gnutls_credentials_set(m->client, GNUTLS_CRD_CERTIFICATE, m->cred);
	gnutls_transport_set_int(m->client, m->fd[0]);
	if (name)
		gnutls_server_name_set(m->client, GNUTLS_NAME_DNS, name, strlen(name));
	if (verify)
		gnutls_session_set_verify_cert(m->client, name, 0);
}

static void look(struct meeting *m)
{
	unsigned n;
	unsigned char serial[20];
	size_t len = sizeof(m->cert), serial_len = sizeof(serial);
	const gnutls_datum_t *peers = gnutls_certificate_get_peers(m->client, &n);
	gnutls_x509_crt_t crt;
	gnutls_x509_crt_init(&crt);
	if (peers && gnutls_x509_crt_import(crt, peers, GNUTLS_X509_FMT_DER) == 0) {
		gnutls_x509_crt_get_dn(crt, m->cert, &len);
		gnutls_x509_crt_get_serial(crt, serial, &serial_len);
		str_hex(m->serial, serial, serial_len);
	}
	gnutls_x509_crt_deinit(crt);
}

/* Both sides in turn until both are done or one failed. */
static void shake(struct meeting *m, struct tls_ctx *c)
{
	m->server = tls_session(c, NULL, false);
	assert_non_null(m->server);
	gnutls_transport_set_int(m->server, m->fd[1]);
	m->client_r = m->server_r = GNUTLS_E_AGAIN;
	for (int i = 0; i < 100 && (m->client_r || m->server_r); i++) {
		if (m->client_r)
			m->client_r = gnutls_handshake(m->client);
		if (m->server_r)
			m->server_r = gnutls_handshake(m->server);
		if (gnutls_error_is_fatal(m->client_r) || gnutls_error_is_fatal(m->server_r))
			break;
	}
	m->resumed = !m->client_r && gnutls_session_is_resumed(m->client);
	look(m);
}

/* A byte to and fro: with TLS 1.3 the client has its tickets then. */
static void talk(struct meeting *m, gnutls_datum_t *ticket)
{
	char b[8];
	assert_int_equal(gnutls_record_send(m->server, "x", 1), 1);
	ssize_t n;
	do
		n = gnutls_record_recv(m->client, b, sizeof(b));
	while (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED);
	assert_int_equal(n, 1);
	assert_int_equal(gnutls_session_get_data2(m->client, ticket), 0);
}

static void part(struct meeting *m)
{
	tls_session_end(m->server);
	gnutls_deinit(m->client);
	gnutls_certificate_free_credentials(m->cred);
	close(m->fd[0]);
	close(m->fd[1]);
}

static void meet(struct meeting *m, const char *priority, const char *name, bool verify)
{
	*m = (struct meeting){0};
	client_new(m, priority, name, verify);
	shake(m, ctx);
}

static void expect(const char *priority, const char *name, bool verify, const char *cert)
{
	struct meeting m;
	meet(&m, priority, name, verify);
	assert_int_equal(m.client_r, 0);
	assert_int_equal(m.server_r, 0);
	assert_string_equal(m.cert, cert);
	part(&m);
}

/* --- an administrator ------------------------------------------------------------------------ */

static void command(const char *verb, const char *name, const char *secret)
{
	const char *why;
	enum msg_type t;
	struct pool *pool = pool_new(0);
	struct peer_sync *p = peer_sync_open(socket_of(ROLE_CTL), ROLE_CTL, 5000, &why);
	assert_non_null(p);
	struct row_word words[] = {{SLICE("cert")}, {slice_of(verb)}, {slice_of(name)}};
	struct msg_ctl m = {
	    .words = words, .words_n = 3, .secret = slice_of(secret), .body = BODY_NONE};
	const void *answer = peer_sync_call(p, pool, MSG_ctl, &m, &t, NULL);
	struct slice text;
	if (peer_error(t, answer, &text) != ERR_OK)
		fail_msg("%.*s", SLICE_FMT(text));
	peer_sync_close(&p);
	pool_free(&pool);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void handshakes_are_verified(void **state)
{
	(void)state;
	expect(V13, "www.a.test", true, "CN=*.a.test");
	expect(V12, "www.a.test", true, "CN=*.a.test");
}

static void names_choose_certificates(void **state)
{
	(void)state;
	expect(V13, "mail.a.test", true, "CN=mail.a.test");
	expect(V13, "MAIL.A.TEST", false, "CN=mail.a.test");
	expect(V12, "localhost", true, "CN=*.a.test");
	expect(V13, "a.b.a.test", false, "CN=*.a.test"); /* the default: no wildcard fits */
	expect(V13, "unknown.test", false, "CN=*.a.test");
	expect(V13, NULL, false, "CN=*.a.test");
}

static void tickets_are_good_at_other_processes(void **state)
{
	(void)state;
	const char *const versions[] = {V13, V12};
	struct tls_keys *other = key_client(socket_of(ROLE_SMTPD), ROLE_SMTPD, on_change, NULL);
	struct tls_keys *pop3d = key_client(socket_of(ROLE_POP3D), ROLE_POP3D, on_change, NULL);
	struct tls_ctx *other_ctx = tls_server_ctx(other, NULL);
	struct tls_ctx *pop3d_ctx = tls_server_ctx(pop3d, NULL);
	wait_change(3);
	for (size_t i = 0; i < 2; i++) {
		struct meeting m;
		gnutls_datum_t ticket;
		meet(&m, versions[i], "www.a.test", true);
		assert_int_equal(m.client_r, 0);
		assert_false(m.resumed);
		talk(&m, &ticket);
		part(&m);
		for (int k = 0; k < 2; k++) {
			m = (struct meeting){0};
			client_new(&m, versions[i], "www.a.test", true);
			gnutls_session_set_data(m.client, ticket.data, ticket.size);
			shake(&m, k ? pop3d_ctx : other_ctx);
			assert_int_equal(m.client_r, 0);
			assert_int_equal(m.resumed, k == 0); /* another role has other keys */
			part(&m);
		}
		gnutls_free(ticket.data);
	}
	tls_ctx_free(&other_ctx);
	tls_ctx_free(&pop3d_ctx);
	key_client_free(&other);
	key_client_free(&pop3d);
}

static void a_new_certificate_is_in_use_at_once(void **state)
{
	(void)state;
	struct meeting before, after;
	meet(&before, V13, "www.a.test", true);
	command("renew", "demo", "");
	wait_change(2);
	meet(&after, V13, "www.a.test", true);
	assert_int_equal(after.client_r, 0);
	assert_string_not_equal(before.serial, after.serial);
	/* The session of before has its certificate still. */
	assert_non_null(gnutls_certificate_get_ours(before.server));
	part(&before);
	part(&after);
}

static void imported_rsa_keys_sign(void **state)
{
	(void)state;
	char pem[8192];
	struct made rsa = make("rsa", "rsa.test", NULL, GNUTLS_PK_RSA, 2048, -10, 10000);
	snprintf(pem, sizeof(pem), "%s%s", rsa.pem, rsa.key_pem);
	command("import", "rsa", pem);
	wait_change(2);
	expect(V13, "rsa.test", false, "CN=rsa");
	expect(V12, "rsa.test", false, "CN=rsa");
	made_free(&rsa);
}

static void without_keyd_handshakes_fail_soon(void **state)
{
	(void)state;
	struct meeting m;
	expect(V13, "www.a.test", true, "CN=*.a.test");
	keyd_kill();
	uint64_t start_ms = clock_mono();
	meet(&m, V13, "www.a.test", true);
	assert_int_not_equal(m.server_r, 0);
	part(&m);
	uint64_t first = clock_mono();
	assert_true(first - start_ms < 400); /* 200, and a slow machine */
	meet(&m, V13, "www.a.test", true);
	assert_int_not_equal(m.server_r, 0);
	part(&m);
	assert_true(clock_mono() - first < 100);
	keyd_start();
	wait_change(2);
	expect(V13, "www.a.test", true, "CN=*.a.test");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
	    T(handshakes_are_verified),
	    T(names_choose_certificates),
	    T(tickets_are_good_at_other_processes),
	    T(a_new_certificate_is_in_use_at_once),
	    T(imported_rsa_keys_sign),
	    T(without_keyd_handshakes_fail_soon),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
