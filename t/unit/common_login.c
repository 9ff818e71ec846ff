/* login: an exchange between a client's lines and a store that the test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <uv.h>
#include "libcommon/ipc/login.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"

/* --- the store: keeps the question ------------------------------------------------------- */

static struct {
	bool full;
	peer_reply_fn *fn;
	void *arg;
	unsigned starts, steps;
	uint64_t cancelled, auth;
	bool has_initial, tls;
	char said[64]; /* the last response */
	size_t said_len;
} store;

static void keep(struct slice said)
{
	assert_true(said.len < sizeof(store.said));
	memcpy(store.said, said.p, said.len);
	store.said_len = said.len;
}

static uint32_t stub(struct peer *p, enum msg_type t, const void *msg, peer_reply_fn *fn, void *arg)
{
	const struct msg_auth_start *start = msg;
	const struct msg_auth_step *step = msg;
	(void)p;
	if (t == MSG_auth_step && step->cancel) {
		store.cancelled = step->auth;
		return 1;
	}
	if (store.full)
		return 0;
	store.fn = fn;
	store.arg = arg;
	if (t == MSG_auth_start) {
		store.starts++;
		store.has_initial = start->has_initial;
		store.tls = start->tls;
		keep(start->initial);
	} else {
		store.steps++;
		store.auth = step->auth;
		keep(step->response);
	}
	return 1;
}

static void answer_more(const char *challenge)
{
	struct msg_auth_more m = {.auth = 42, .challenge = slice_of(challenge)};
	store.fn(store.arg, MSG_auth_more, &m);
}

static void answer_ok(const char *final)
{
	struct msg_auth_ok m = {.grant = SLICE("grant"),
				.account = 7,
				.address = SLICE("alice@a.test"),
				.final = slice_of(final),
				.expire_ms = 5};
	store.fn(store.arg, MSG_auth_ok, &m);
}

static void answer_error(enum ipc_err e)
{
	struct msg_error m = {.code = e, .text = SLICE("why")};
	store.fn(store.arg, MSG_error, &m);
}

/* --- the daemon -------------------------------------------------------------------------- */

static struct {
	struct login *login;
	struct login_user *user;
	int waits;     /* as often as it was told, less the ends */
	unsigned told; /* to wait */
	unsigned goes, failures;
	enum ipc_err error;
	char challenge[64];
} client;
static uint64_t retries;

static void on_wait(void *arg, bool on)
{
	(void)arg;
	client.waits += on ? 1 : -1;
	client.told += on;
}

static void on_go_on(void *arg)
{
	(void)arg;
	client.goes++;
}

static void on_challenge(void *arg, const char *base64)
{
	(void)arg;
	str_fmt(client.challenge, sizeof(client.challenge), "%s", base64);
}

static void on_granted(void *arg, struct login_user *u)
{
	(void)arg;
	assert_null(client.login);
	client.user = u;
}

static void on_failed(void *arg, enum ipc_err e, struct slice text)
{
	(void)arg;
	(void)text;
	assert_null(client.login);
	client.failures++;
	client.error = e;
}

static void begin(const char *mech, const char *initial, bool mute)
{
	static const struct login_ops OPS = {.service = "test",
					     .retries = &retries,
					     .wait = on_wait,
					     .go_on = on_go_on,
					     .challenge = on_challenge,
					     .granted = on_granted,
					     .failed = on_failed};
	struct login_from from = {.sid = "s", .peer = "192.0.2.1", .loopback = true};
	login_start(&client.login, &from, &OPS, NULL, mech, slice_of(initial), mute);
	assert_non_null(client.login);
}

static int setup(void **state)
{
	(void)state;
	memset(&store, 0, sizeof(store));
	memset(&client, 0, sizeof(client));
	retries = 0;
	uplink_use(stub);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	login_free(&client.login);
	login_user_free(&client.user);
	return 0;
}

/* --- the cases --------------------------------------------------------------------------- */

static void mechanisms(void **state)
{
	(void)state;
	assert_string_equal(login_mech(false, SLICE("plain")), "PLAIN");
	assert_null(login_mech(false, SLICE("SCRAM-SHA-256-PLUS"))); /* nothing to bind to */
	assert_non_null(login_mech(true, SLICE("SCRAM-SHA-256-PLUS")));
	assert_null(login_mech(true, SLICE("PLAI")));
	assert_null(login_mech(true, SLICE("")));
	assert_false(login_private(false, false));
}

static void initial_response(void **state)
{
	(void)state;
	begin("PLAIN", "secret", false);
	assert_true(client.waits == 1 && store.has_initial && store.tls);
	assert_memory_equal(store.said, "secret", 6);
	answer_ok("");
	assert_int_equal(client.waits, 0);
	assert_int_equal(client.goes, 1);
	assert_string_equal(client.user->address, "alice@a.test");
	assert_memory_equal(client.user->grant.p, "grant", 5);
	assert_int_equal(client.user->expire_ms, 5);
	assert_string_equal(client.user->mech, "PLAIN");
}

static void challenges(void **state)
{
	(void)state;
	begin("LOGIN", NULL, false);
	assert_false(store.has_initial);
	answer_more("Username:");
	assert_string_equal(client.challenge, "VXNlcm5hbWU6");
	assert_int_equal(login_line(&client.login, SLICE("YWxpY2U=")), LOGIN_WAIT);
	assert_int_equal(store.auth, 42);
	assert_memory_equal(store.said, "alice", 5);
	answer_more("");
	assert_string_equal(client.challenge, "");
	assert_int_equal(login_line(&client.login, SLICE("")), LOGIN_WAIT);
	assert_int_equal(store.said_len, 0);
	answer_error(ERR_AUTH);
	assert_int_equal(client.failures, 1);
	assert_int_equal(client.goes, 3);
	assert_int_equal(store.cancelled, 0); /* the store ended it itself */
}

static void proof(void **state)
{
	(void)state;
	begin("SCRAM-SHA-256", "n,,", false);
	answer_ok("v=x");
	assert_string_equal(client.challenge, "dj14");
	assert_null(client.user);
	assert_int_equal(login_line(&client.login, SLICE("")), LOGIN_GRANTED);
	assert_non_null(client.user);
	login_user_free(&client.user);
	begin("SCRAM-SHA-256", "n,,", false);
	answer_ok("v=x");
	assert_int_equal(login_line(&client.login, SLICE("eA==")), LOGIN_NOT_EMPTY);
	assert_null(client.login);
	assert_null(client.user);
}

static void wrong_lines(void **state)
{
	static const struct {
		struct slice line;
		enum login_step step;
	} CASE[] = {{SLICE("*"), LOGIN_CANCELLED},
		    {SLICE("="), LOGIN_MALFORMED}, /* only an initial response is empty so */
		    {SLICE("YQ"), LOGIN_MALFORMED},
		    {SLICE(" YQ=="), LOGIN_MALFORMED}};
	(void)state;
	for (size_t i = 0; i < sizeof(CASE) / sizeof(CASE[0]); i++) {
		begin("PLAIN", NULL, false);
		answer_more("");
		store.cancelled = 0;
		assert_int_equal(login_line(&client.login, CASE[i].line), CASE[i].step);
		assert_null(client.login);
		assert_int_equal(store.cancelled, 42);
	}
	char out[8];
	size_t len = 9;
	assert_true(login_decode(SLICE("="), true, out, &len));
	assert_int_equal(len, 0);
}

static void lost(void **state)
{
	(void)state;
	begin("PLAIN", "secret", false);
	answer_error(ERR_LOST);
	assert_int_equal(client.waits, 1);
	assert_int_equal(client.told, 1); /* an owner may count: it goes on once, too */
	assert_int_equal(store.starts, 2);
	assert_int_equal(retries, 1);
	assert_memory_equal(store.said, "secret", 6);
	answer_error(ERR_LOST);
	assert_int_equal(client.error, ERR_LOST);
	assert_false(login_wrong(client.error));
	begin("LOGIN", NULL, false);
	answer_more("");
	login_line(&client.login, SLICE("YQ=="));
	answer_error(ERR_LOST); /* a step is not repeated */
	assert_int_equal(client.failures, 2);
	assert_int_equal(store.steps, 1);
}

static void client_gone(void **state)
{
	(void)state;
	begin("LOGIN", NULL, false);
	login_free(&client.login);
	answer_more(""); /* nobody hears it: given up */
	assert_int_equal(store.cancelled, 42);
	begin("PLAIN", "secret", false);
	login_free(&client.login);
	answer_ok("");
	begin("PLAIN", "secret", false);
	login_free(&client.login);
	answer_error(ERR_LOST);
	assert_int_equal(store.starts, 3);
	assert_int_equal(client.goes + client.failures, 0);
	assert_null(client.user);
}

static void mute(void **state)
{
	(void)state;
	begin("PLAIN", "secret", true);
	answer_more("");
	assert_int_equal(client.error, ERR_TEMP);
	assert_int_equal(store.cancelled, 42);
	begin("PLAIN", "secret", true);
	answer_ok("v=x");
	assert_non_null(client.user);
}

static void store_full(void **state)
{
	(void)state;
	store.full = true;
	begin("PLAIN", "secret", false);
	assert_int_equal(client.failures, 0);
	for (int i = 0; i < 4; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	assert_int_equal(client.error, ERR_TEMP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(mechanisms, setup, teardown),
	    cmocka_unit_test_setup_teardown(initial_response, setup, teardown),
	    cmocka_unit_test_setup_teardown(challenges, setup, teardown),
	    cmocka_unit_test_setup_teardown(proof, setup, teardown),
	    cmocka_unit_test_setup_teardown(wrong_lines, setup, teardown),
	    cmocka_unit_test_setup_teardown(lost, setup, teardown),
	    cmocka_unit_test_setup_teardown(client_gone, setup, teardown),
	    cmocka_unit_test_setup_teardown(mute, setup, teardown),
	    cmocka_unit_test_setup_teardown(store_full, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
