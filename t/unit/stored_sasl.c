/* Logins over the real socket, against libgsasl's client side. */
#include <gsasl.h>
#include "t/unit/stored_live.h"

static const char BINDING[] = "the exporter's thirty-two bytes."; /* tls-exporter */

/* --- a client ------------------------------------------------------------------------ */

static struct client {
	const char *user, *password, *authzid, *peer;
	bool tls, initial, no_binding;
	uint64_t ms; /* that the last login took */
} client;

static int ask(Gsasl *ctx, Gsasl_session *g, Gsasl_property p)
{
	(void)ctx;
	char b64[96];
	switch ((int)p) {
	case GSASL_AUTHID:
		return gsasl_property_set(g, p, client.user);
	case GSASL_PASSWORD:
		return gsasl_property_set(g, p, client.password);
	case GSASL_AUTHZID:
		return client.authzid ? gsasl_property_set(g, p, client.authzid)
				      : GSASL_NO_CALLBACK;
	case GSASL_CB_TLS_EXPORTER:
		if (client.no_binding)
			return GSASL_NO_CALLBACK;
		str_base64(b64, BINDING, sizeof(BINDING) - 1);
		return gsasl_property_set(g, p, b64);
	default:
		return GSASL_NO_CALLBACK;
	}
}

static struct msg_auth_start start_of(const char *mech)
{
	return (struct msg_auth_start){.sid = SLICE("s1"),
				       .mech = slice_of(mech),
				       .service = SLICE("pop"),
				       .peer = slice_of(client.peer),
				       .tls = client.tls,
				       .cb_type = SLICE("tls-exporter"),
				       .cb_data = {client.no_binding ? "" : BINDING,
						   client.no_binding ? 0 : sizeof(BINDING) - 1}};
}

/* Says `text` as the next response; the answer is in `live`. */
static void respond(const char *p, size_t n)
{
	struct msg_auth_step m = {.auth = live.auth, .response = {n ? p : "", n}};
	live_call(live.pop3d, MSG_auth_step, &m);
}

static enum ipc_err dialogue(const char *mech, Gsasl_session *g)
{
	struct msg_auth_start m = start_of(mech);
	char *out = NULL;
	size_t n = 0;
	bool first = strcmp(mech, "LOGIN") != 0;
	if (first)
		assert_in_range(gsasl_step(g, NULL, 0, &out, &n), GSASL_OK, GSASL_NEEDS_MORE);
	if (first && client.initial) {
		m.has_initial = 1;
		m.initial = (struct slice){out, n};
		n = 0;
	}
	live_call(live.pop3d, MSG_auth_start, &m);
	bool said = !first || client.initial;
	while (live.type == MSG_auth_more) {
		if (said) {
			gsasl_free(out);
			out = NULL;
			int rc = gsasl_step(g, live.challenge, live.challenge_n, &out, &n);
			assert_in_range(rc, GSASL_OK, GSASL_NEEDS_MORE);
		}
		said = true;
		respond(out, n);
	}
	gsasl_free(out);
	/* The server proves that it knows the keys. */
	if (live.type == MSG_auth_ok && strncmp(mech, "SCRAM", 5) == 0) {
		assert_int_equal(gsasl_step(g, live.final, strlen(live.final), &out, &n), GSASL_OK);
		gsasl_free(out);
	}
	return live.err;
}

static enum ipc_err login(const char *mech, const char *user, const char *password)
{
	Gsasl *ctx;
	Gsasl_session *g;
	client.user = user;
	client.password = password;
	assert_int_equal(gsasl_init(&ctx), GSASL_OK);
	gsasl_callback_set(ctx, ask);
	assert_int_equal(gsasl_client_start(ctx, mech, &g), GSASL_OK);
	uint64_t start = clock_mono();
	enum ipc_err e = dialogue(mech, g);
	client.ms = clock_mono() - start;
	gsasl_finish(g);
	gsasl_done(ctx);
	return e;
}

static int setup(void **state)
{
	live_setup(state);
	client =
	    (struct client){.tls = true, .initial = true, .no_binding = true, .peer = "192.0.2.1"};
	assert_int_equal(live_ctl("domain add a.test", NULL), ERR_OK);
	assert_int_equal(live_ctl("account add alice@a.test", "secret"), ERR_OK);
	return 0;
}

#define USER         "alice@a.test"
#define IS(e, login) assert_int_equal(login, e)

static const char *const PLAIN_MECHS[] = {"PLAIN", "LOGIN", NULL};
static const char *const MECHS[] = {"PLAIN", "LOGIN", "SCRAM-SHA-256", NULL};

static void numbers_of(const char *name, uint64_t *out)
{
	struct buf b = {0};
	op_auth_stats(&b);
	const char *p = strstr(buf_cstr(&b), name);
	assert_non_null(p);
	*out = strtoull(p + strlen(name), NULL, 10);
	buf_free(&b);
}

/* --- right passwords -------------------------------------------------------------------- */

static void every_mechanism_logs_in(void **state)
{
	(void)state;
	struct grant g;
	for (int i = 0; MECHS[i]; i++) {
		live.grant_n = 0;
		IS(ERR_OK, login(MECHS[i], "Alice@A.test", "secret"));
		assert_string_equal(live.address, USER);
		assert_true(grant_check((struct slice){live.grant, live.grant_n}, ROLE_POP3D, &g));
		assert_true(g.account == 1 && g.shard == 1);
	}
}

static void without_an_initial_response_too(void **state)
{
	(void)state;
	client.initial = false;
	for (int i = 0; MECHS[i]; i++)
		IS(ERR_OK, login(MECHS[i], USER, "secret"));
}

static void login_takes_the_name_as_initial_response(void **state)
{
	(void)state;
	struct msg_auth_start m = start_of("LOGIN");
	m.has_initial = 1;
	m.initial = SLICE(USER);
	live_call(live.pop3d, MSG_auth_start, &m);
	assert_string_equal(live.challenge, "Password");
	respond("secret", 6);
	assert_int_equal(live.type, MSG_auth_ok);
}

static void plus_binds_the_channel(void **state)
{
	(void)state;
	client.no_binding = false;
	IS(ERR_OK, login("SCRAM-SHA-256-PLUS", USER, "secret"));
	IS(ERR_AUTH, login("SCRAM-SHA-256-PLUS", USER, "wrong"));
}

static void plus_needs_a_channel(void **state)
{
	(void)state;
	struct msg_auth_start m = start_of("SCRAM-SHA-256-PLUS");
	live_call(live.pop3d, MSG_auth_start, &m);
	assert_int_equal(live.err, ERR_BAD);
}

static void another_channel_is_refused(void **state)
{
	(void)state;
	struct msg_auth_start m;
	client.no_binding = false;
	m = start_of("SCRAM-SHA-256-PLUS");
	m.has_initial = 1;
	m.initial = SLICE("p=tls-exporter,,n=" USER ",r=abcdefgh");
	live_call(live.pop3d, MSG_auth_start, &m);
	assert_int_equal(live.type, MSG_auth_more);
	char *nonce = strndup(live.challenge, strcspn(live.challenge, ","));
	const char *reply = pool_printf(kit_pool, "c=cD10bHMtZXhwb3J0ZXIsLG90aGVy,%s,p=%s", nonce,
					"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	respond(reply, strlen(reply));
	assert_int_equal(live.err, ERR_AUTH);
	free(nonce);
}

static void a_client_that_missed_plus_is_refused(void **state)
{
	(void)state;
	client.no_binding = false;
	struct msg_auth_start m = start_of("SCRAM-SHA-256");
	m.has_initial = 1;
	m.initial = SLICE("y,,n=" USER ",r=abcdefgh");
	live_call(live.pop3d, MSG_auth_start, &m);
	assert_int_equal(live.err, ERR_AUTH);
}

static void names_and_passwords_are_prepared(void **state)
{
	(void)state;
	assert_int_equal(live_ctl("account add \xc3\xa9@a.test", "p\xc3\xa9"), ERR_OK);
	for (int i = 0; MECHS[i]; i++)
		IS(ERR_OK, login(MECHS[i], "\xc3\xa9@a.test", "pe\xcc\x81"));
}

static void the_identity_is_ones_own(void **state)
{
	(void)state;
	client.authzid = "ALICE@a.test";
	for (int i = 0; MECHS[i]; i++)
		if (strcmp(MECHS[i], "LOGIN") != 0)
			IS(ERR_OK, login(MECHS[i], USER, "secret"));
	client.authzid = "bob@a.test";
	for (int i = 0; MECHS[i]; i++)
		if (strcmp(MECHS[i], "LOGIN") != 0)
			IS(ERR_AUTH, login(MECHS[i], USER, "secret"));
}

static void pop3_settings_come_along(void **state)
{
	(void)state;
	assert_int_equal(live_ctl("domain set a.test login-delay=1m expire-retrieved=14d", NULL),
			 ERR_OK);
	IS(ERR_OK, login("PLAIN", USER, "secret"));
	assert_true(live.login_delay_ms == 60000 && live.expire_ms == 14ull * 86400000);
}

/* --- wrong ones ---------------------------------------------------------------------------- */

static void wrong_is_wrong_and_unknown_is_the_same(void **state)
{
	(void)state;
	static const char *const users[] = {USER, "nobody@a.test", "nobody@c.test", "nobody"};
	conf.auth_failures = 100;
	for (int i = 0; MECHS[i]; i++)
		for (size_t u = 0; u < 4; u++) {
			IS(ERR_AUTH, login(MECHS[i], users[u], "wrong"));
			assert_string_equal(live.text, "wrong user or password");
		}
}

static void an_unknown_users_salt_stays_the_same(void **state)
{
	(void)state;
	char salt[2][64];
	for (int i = 0; i < 2; i++) {
		struct msg_auth_start m = start_of("SCRAM-SHA-256");
		m.has_initial = 1;
		m.initial = SLICE("n,,n=nobody@a.test,r=abcdefgh");
		live_call(live.pop3d, MSG_auth_start, &m);
		assert_int_equal(live.type, MSG_auth_more);
		snprintf(salt[i], sizeof(salt[i]), "%s", strstr(live.challenge, ",s="));
	}
	assert_string_equal(salt[0], salt[1]);
	assert_non_null(strstr(salt[0], ",i=4096"));
}

static void passwords_need_tls(void **state)
{
	(void)state;
	client.tls = false;
	for (int i = 0; PLAIN_MECHS[i]; i++) {
		struct msg_auth_start m = start_of(PLAIN_MECHS[i]);
		live_call(live.pop3d, MSG_auth_start, &m);
		assert_int_equal(live.err, ERR_DENIED);
	}
	IS(ERR_OK, login("SCRAM-SHA-256", USER, "secret"));
}

static void disabled_accounts_stay_out(void **state)
{
	(void)state;
	assert_int_equal(live_ctl("account disable alice@a.test", NULL), ERR_OK);
	for (int i = 0; MECHS[i]; i++)
		IS(ERR_DENIED, login(MECHS[i], USER, "secret"));
	IS(ERR_AUTH, login("PLAIN", USER, "wrong"));
	assert_int_equal(live_ctl("account enable alice@a.test", NULL), ERR_OK);
	IS(ERR_OK, login("PLAIN", USER, "secret"));
}

static void malformed_responses_are_bad(void **state)
{
	(void)state;
	static const struct {
		const char *mech;
		struct slice first;
	} row[] = {{"PLAIN", SLICE("")},
		   {"PLAIN", SLICE("x")},
		   {"PLAIN", SLICE("\0\0")},
		   {"SCRAM-SHA-256", SLICE("")},
		   {"SCRAM-SHA-256", SLICE("n,,")},
		   {"SCRAM-SHA-256", SLICE("zzz")},
		   {"SCRAM-SHA-256", SLICE("n,,n=a")},
		   {"CRAM-MD5", SLICE("x")},
		   {"", SLICE("")}};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct msg_auth_start m = start_of(row[i].mech);
		m.has_initial = 1;
		m.initial = row[i].first;
		live_call(live.pop3d, MSG_auth_start, &m);
		assert_int_equal(live.err, ERR_BAD);
	}
}

static void a_cancelled_login_is_over(void **state)
{
	(void)state;
	struct msg_auth_start m = start_of("PLAIN");
	live_call(live.pop3d, MSG_auth_start, &m);
	assert_int_equal(live.type, MSG_auth_more);
	struct msg_auth_step s = {.auth = live.auth, .cancel = 1};
	live_call(live.pop3d, MSG_auth_step, &s);
	assert_int_equal(live.err, ERR_BAD);
	respond("\0a\0b", 4);
	assert_int_equal(live.err, ERR_TEMP);
}

static void a_login_belongs_to_its_connection(void **state)
{
	(void)state;
	struct msg_auth_start m = start_of("PLAIN");
	live_call(live.pop3d, MSG_auth_start, &m);
	struct msg_auth_step s = {.auth = live.auth, .response = SLICE("\0" USER "\0secret")};
	live_call(live.smtpd, MSG_auth_step, &s);
	assert_int_equal(live.err, ERR_TEMP);
	respond("\0" USER "\0secret", sizeof(USER) + 7);
	assert_int_equal(live.err, ERR_OK);
}

static void a_lost_connection_takes_its_logins_along(void **state)
{
	(void)state;
	uint64_t n;
	struct msg_auth_start m = start_of("PLAIN");
	live_call(live.pop3d, MSG_auth_start, &m);
	m.has_initial = 1;
	m.initial = SLICE("\0" USER "\0secret");
	live_send(live.pop3d, MSG_auth_start, &m);
	for (int i = 0; i < 3; i++)
		live_run();
	peer_free(&live.pop3d);
	for (int i = 0; i < 5000; i++) {
		uv_run(loop_get(), UV_RUN_NOWAIT);
		numbers_of("stored_logins ", &n);
		if (n == 0)
			return;
		usleep(1000);
	}
	fail_msg("%llu logins are left", (unsigned long long)n);
}

/* --- delays and limits ----------------------------------------------------------------------- */

static void failures_are_delayed_more_and_more(void **state)
{
	(void)state;
	struct guard g = guard_for(SLICE(USER), SLICE("192.0.2.1"));
	conf.auth_delay = 500;
	assert_int_equal(guard_failed(&g, 0), 500);
	assert_int_equal(guard_failed(&g, 0), 1000);
	assert_int_equal(guard_failed(&g, 0), 2000);
	*live.clock += (int64_t)conf.auth_window;
	assert_int_equal(guard_failed(&g, 0), 500);
	for (int i = 0; i < 100; i++)
		assert_in_range(guard_failed(&g, 0), 500, 30000);
}

static void the_answer_waits(void **state)
{
	(void)state;
	conf.auth_delay = 300;
	IS(ERR_AUTH, login("PLAIN", USER, "wrong"));
	assert_in_range(client.ms, 300, 2000);
}

static void too_many_failures_are_refused_for_a_while(void **state)
{
	(void)state;
	char password[24];
	for (int i = 0; i < 5; i++) {
		snprintf(password, sizeof(password), "wrong %d", i);
		IS(ERR_AUTH, login("PLAIN", USER, password));
	}
	for (int i = 0; MECHS[i]; i++)
		IS(ERR_LIMIT, login(MECHS[i], USER, "secret"));
	*live.clock += (int64_t)conf.auth_window;
	IS(ERR_OK, login("PLAIN", USER, "secret"));
}

static void an_address_is_counted_over_all_names(void **state)
{
	(void)state;
	char user[32];
	client.peer = "[2001:db8::1]:4000";
	for (int i = 0; i < 5; i++) {
		snprintf(user, sizeof(user), "user%d@a.test", i);
		IS(ERR_AUTH, login("SCRAM-SHA-256", user, "wrong"));
	}
	client.peer = "2001:db8::ffff"; /* the same /64 */
	IS(ERR_LIMIT, login("PLAIN", USER, "secret"));
	client.peer = "2001:db8:0:1::1";
	IS(ERR_OK, login("PLAIN", USER, "secret"));
}

static void strangers_do_not_lock_the_owner_out(void **state)
{
	(void)state;
	char password[24], peer[32];
	IS(ERR_OK, login("SCRAM-SHA-256", USER, "secret"));
	client.peer = peer;
	for (int i = 0; i < 6; i++) {
		snprintf(password, sizeof(password), "wrong %d", i);
		snprintf(peer, sizeof(peer), "198.51.100.%d:99", i);
		IS(i < 5 ? ERR_AUTH : ERR_LIMIT, login("PLAIN", USER, password));
	}
	client.peer = "192.0.2.1";
	IS(ERR_OK, login("PLAIN", USER, "secret"));
}

static void the_same_wrong_password_counts_once(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		IS(ERR_AUTH, login("PLAIN", USER, "old password"));
	client.peer = "192.0.2.9";
	IS(ERR_OK, login("PLAIN", USER, "secret"));
}

static void loopback_is_nobodys_address(void **state)
{
	(void)state;
	static const char *const none[] = {"127.0.0.1:25", "[::1]:25", "::ffff:127.0.0.1", "", "x"};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_true(guard_for(SLICE(USER), slice_of(none[i])).address == 0);
	assert_true(guard_for(SLICE(USER), SLICE("192.0.2.1:25")).address ==
		    guard_for(SLICE("other"), SLICE("::ffff:192.0.2.1")).address);
}

/* A taken-over daemon begins logins and never goes on with them. */
static void one_role_does_not_take_all_logins(void **state)
{
	(void)state;
	struct msg_auth_start m = start_of("SCRAM-SHA-256");
	unsigned n = 0;
	m.has_initial = 1;
	m.initial = SLICE("n,,n=" USER ",r=abcdefghijkl");
	do
		live_call(live.pop3d, MSG_auth_start, &m);
	while (live.type == MSG_auth_more && ++n < 5000);
	assert_true(n < 5000);
	assert_int_equal(live.err, ERR_TEMP);
	live_call(live.smtpd, MSG_auth_start, &m);
	assert_int_equal(live.type, MSG_auth_more);
}

static void a_full_queue_says_try_again(void **state)
{
	(void)state;
	struct msg_auth_start m = start_of("PLAIN");
	slow_close(); /* no thread takes any */
	m.has_initial = 1;
	m.initial = SLICE("\0" USER "\0secret");
	live_call(live.pop3d, MSG_auth_start, &m);
	assert_int_equal(live.err, ERR_TEMP);
}

/* --- remembered --------------------------------------------------------------------------------
 */

static void a_success_is_remembered(void **state)
{
	(void)state;
	uint64_t before, after;
	numbers_of("stored_logins_remembered_total ", &before);
	IS(ERR_OK, login("PLAIN", USER, "secret"));
	numbers_of("stored_logins_remembered_total ", &after);
	assert_true(after == before);
	IS(ERR_OK, login("LOGIN", USER, "secret"));
	numbers_of("stored_logins_remembered_total ", &after);
	assert_true(after == before + 1);
	*live.clock += (int64_t)conf.auth_remember;
	IS(ERR_OK, login("PLAIN", USER, "secret"));
	numbers_of("stored_logins_remembered_total ", &after);
	assert_true(after == before + 1);
}

static void a_wrong_password_is_not(void **state)
{
	(void)state;
	IS(ERR_OK, login("PLAIN", USER, "secret"));
	IS(ERR_AUTH, login("PLAIN", USER, "secre"));
	IS(ERR_AUTH, login("PLAIN", USER, "secret2"));
}

static void a_new_password_is_seen_at_once(void **state)
{
	(void)state;
	struct grant g;
	IS(ERR_OK, login("PLAIN", USER, "secret"));
	struct slice grant = {live.grant, live.grant_n};
	assert_true(grant_check(grant, ROLE_POP3D, &g));
	assert_int_equal(live_ctl("account password alice@a.test", "changed"), ERR_OK);
	assert_false(grant_check(grant, ROLE_POP3D, &g));
	for (int i = 0; MECHS[i]; i++) {
		IS(ERR_AUTH, login(MECHS[i], USER, "secret"));
		IS(ERR_OK, login(MECHS[i], USER, "changed"));
	}
}

static void a_deleted_account_is_gone_at_once(void **state)
{
	(void)state;
	IS(ERR_OK, login("PLAIN", USER, "secret"));
	assert_int_equal(live_ctl("account delete alice@a.test", NULL), ERR_OK);
	IS(ERR_AUTH, login("PLAIN", USER, "secret"));
}

/* The new verifier is written after the answer. */
static void password_becomes(const char *command, const char *text)
{
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(live_ctl(command, NULL), ERR_OK);
		if (strstr(live.cells, text))
			return;
		usleep(1000);
	}
	fail_msg("%s", live.cells);
}

/* --- app passwords and imported hashes ---------------------------------------------------------
 */

static void app_passwords_log_in(void **state)
{
	(void)state;
	char app[32];
	assert_int_equal(live_ctl("account app-password alice@a.test add phone", NULL), ERR_OK);
	snprintf(app, sizeof(app), "%s", strstr(live.cells, "app-password=") + 13);
	for (int i = 0; PLAIN_MECHS[i]; i++)
		IS(ERR_OK, login(PLAIN_MECHS[i], USER, app));
	IS(ERR_OK, login("PLAIN", USER, "secret"));
	assert_int_equal(live_ctl("account app-password alice@a.test delete phone", NULL), ERR_OK);
	IS(ERR_AUTH, login("PLAIN", USER, app));
}

static void an_imported_hash_is_replaced_at_the_first_login(void **state)
{
	(void)state;
	static const char HASH[] = "{CRYPT}$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0"
				   "U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";
	assert_int_equal(live_ctl("account add bob@a.test", HASH), ERR_OK);
	conf.auth_failures = 100;
	IS(ERR_AUTH, login("SCRAM-SHA-256", "bob@a.test", "secret"));
	IS(ERR_AUTH, login("PLAIN", "bob@a.test", "wrong"));
	IS(ERR_OK, login("PLAIN", "bob@a.test", "secret"));
	password_becomes("account show bob@a.test", "password=SCRAM-SHA-256, 4096 iterations");
	IS(ERR_OK, login("SCRAM-SHA-256", "bob@a.test", "secret"));
}

static void more_iterations_come_with_the_next_login(void **state)
{
	(void)state;
	conf.scram_iterations = 5000;
	IS(ERR_OK, login("PLAIN", USER, "secret"));
	password_becomes("account show alice@a.test", "5000 iterations");
	IS(ERR_OK, login("SCRAM-SHA-256", USER, "secret"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, live_teardown)
int main(void)
{
	kit_pool = pool_new(0);
	const struct CMUnitTest tests[] = {
	    T(every_mechanism_logs_in),
	    T(without_an_initial_response_too),
	    T(login_takes_the_name_as_initial_response),
	    T(plus_binds_the_channel),
	    T(plus_needs_a_channel),
	    T(another_channel_is_refused),
	    T(a_client_that_missed_plus_is_refused),
	    T(names_and_passwords_are_prepared),
	    T(the_identity_is_ones_own),
	    T(pop3_settings_come_along),
	    T(wrong_is_wrong_and_unknown_is_the_same),
	    T(an_unknown_users_salt_stays_the_same),
	    T(passwords_need_tls),
	    T(disabled_accounts_stay_out),
	    T(malformed_responses_are_bad),
	    T(a_cancelled_login_is_over),
	    T(a_login_belongs_to_its_connection),
	    T(a_lost_connection_takes_its_logins_along),
	    T(failures_are_delayed_more_and_more),
	    T(the_answer_waits),
	    T(too_many_failures_are_refused_for_a_while),
	    T(an_address_is_counted_over_all_names),
	    T(strangers_do_not_lock_the_owner_out),
	    T(the_same_wrong_password_counts_once),
	    T(loopback_is_nobodys_address),
	    T(one_role_does_not_take_all_logins),
	    T(a_full_queue_says_try_again),
	    T(a_success_is_remembered),
	    T(a_wrong_password_is_not),
	    T(a_new_password_is_seen_at_once),
	    T(a_deleted_account_is_gone_at_once),
	    T(app_passwords_log_in),
	    T(an_imported_hash_is_replaced_at_the_first_login),
	    T(more_iterations_come_with_the_next_login),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	pool_free(&kit_pool);
	return failed;
}
