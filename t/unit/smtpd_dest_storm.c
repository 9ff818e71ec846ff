/* Destinations among servers that do anything: every letter comes back once, with a verdict for
 * each recipient, and no limit is broken. */
#include "t/unit/smtpd_dest_tls.h"

static uint64_t seed;

static unsigned any(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % n;
}

static void mischief(struct server *sv)
{
	static const char *const VERB[] = {"",     "EHLO", "STARTTLS", "MAIL",       "RCPT",
					   "DATA", ".",    "RSET",     "RCPT TO:<u1"};
	static const char *const SAYS[] = {NULL,
					   "421 4.3.2 bye\r\n",
					   "451 4.3.0 later\r\n",
					   "452 4.5.3 too many\r\n",
					   "550 5.0.0 no\r\n",
					   "250 2.0.0 ok\r\n",
					   "354 go\r\n",
					   "what?\r\n",
					   ""};
	static const char *const CAPS[] = {NULL, "250-PIPELINING\r\n250-STARTTLS\r\n",
					   "250-STARTTLS\r\n250-REQUIRETLS\r\n",
					   "250-CHUNKING\r\n250-LIMITS MAILMAX=2 RCPTMAX=2\r\n"};
	sv->caps = CAPS[any(2)];
	if (any(3) == 0)
		sv->caps = CAPS[any(4)];
	for (unsigned i = 0, n = any(4); i < RULES; i++)
		sv->rule[i] = i < n ? (struct rule){VERB[any(9)], SAYS[any(9)], (int)(1 + any(20)),
						    (int)any(3)}
				    : (struct rule){0};
}

static void storm(void **state)
{
	static const char *const DOMAIN[] = {"0.test",    "01.test",   "0=1.test",  "0123.test",
					     "2.test",    "32.test",   "3.test",    "x.test",
					     "0a.r.test", "0b.r.test", "1=2=3.test"};
	bool seen[LETTERS] = {false};
	(void)state;
	dns.secure = true;
	dns.none = (struct out_verdict){0};
	relay_conf.connections = 1 + any(12);
	relay_conf.memory = 1000 + any(20000);
	for (int i = 0; i < 2; i++) {
		routes[i].tls = (int)any(3);
		routes[i].tls_ctx = trusting;
		routes[i].tls_name = "localhost";
		routes[i].recipients = 1 + any(4);
		routes[i].messages = 1 + any(20);
		routes[i].hosts_tried = 1 + any(4);
		routes[i].retry_first = routes[i].retry_longest = 1;
		routes[i].idle_timeout = 300;
		routes[i].times =
		    (struct out_times){200, 200, 200, 200, 200, 200, 200, 200, 1000, 1000, 1000};
	}
	while (letters < 300) {
		for (unsigned n = 1 + any(20); n && letters < 300; n--)
			add(DOMAIN[any(11)], (int)(1 + any(5)), any(8) ? 0 : DELIVER_REQUIRETLS);
		mischief(&server[any(SERVERS)]);
		for (unsigned n = any(40); n; n--)
			uv_run(loop_get(), UV_RUN_NOWAIT);
	}
	for (int before = done_n; done_n < letters; before = done_n)
		WAIT(done_n > before);
	assert_true(most_connections <= relay_conf.connections);
	for (int i = 0; i < done_n; i++) {
		const struct letter *l = letter[done_order[i]];
		assert_false(seen[l->item]);
		seen[l->item] = true;
		for (size_t r = 0; r < l->mail.rcpt_n; r++)
			assert_true(l->verdict[r].status[0] && l->verdict[r].text);
	}
}

static void storms(void **state)
{
	for (uint64_t i = 1; i <= 8; i++) {
		seed = i;
		begin(state);
		storm(state);
		end(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(storms)};
	log_init("dest", LOG_TO_STDERR, LOG_LV_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_tls, drop_tls);
}
