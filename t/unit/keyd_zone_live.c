/* The client of keyd for the keys of zones, before a keyd in another process that comes and goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "libcommon/base/clock.h"
#include "libcommon/ipc/zone_key.h"
#include "t/unit/keyd_run.h"
#include "t/unit/keyd_zone.h"

enum { TIMEOUT_MS = 60000 };
static const enum role ROLES[ROLES_N] = {ROLE_DNSD, ROLE_CTL, ROLE_SMTPD};
static const struct slice ORG = SLICE("\7example\3org\0");

static pid_t keyd;
static struct pool *pool;
static struct zone_keys *keys;

static void keyd_start(void)
{
	keyd = fork();
	if (keyd == 0)
		keyd_serve("");
}

static void keyd_kill(void)
{
	kill(keyd, SIGKILL);
	waitpid(keyd, NULL, 0);
}

static int start(void **state)
{
	(void)state;
	if (!sockets_open())
		return -1;
	keyd_start();
	pool = pool_new(0);
	keys = zone_keys_client(socket_of(ROLE_DNSD), ROLE_DNSD, TIMEOUT_MS);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	zone_keys_free(&keys);
	pool_free(&pool);
	keyd_kill();
	return sockets_close();
}

static const struct row_zone_key *only(const struct msg_zone_keyset *s)
{
	assert_non_null(s);
	assert_int_equal(s->keys_n, 1);
	return s->keys;
}

static void a_key_is_made_once(void **state)
{
	(void)state;
	const struct msg_zone_keyset *s = zone_keys_get(keys, pool, ORG, 0);
	assert_non_null(s);
	assert_int_equal(s->keys_n, 0);
	const struct row_zone_key *k = only(zone_keys_get(keys, pool, ORG, ZONE_ECDSA));
	assert_int_equal(k->dnskey.len, 68);
	keyd_kill(); /* the connection is gone, the key is not */
	keyd_start();
	const struct row_zone_key *same = only(zone_keys_get(keys, pool, ORG, ZONE_ED25519));
	assert_true(same->id == k->id && slice_eq(same->dnskey, k->dnskey));
}

static void a_key_is_rolled_over(void **state)
{
	(void)state;
	uint64_t first = only(zone_keys_get(keys, pool, ORG, ZONE_ECDSA))->id;
	const struct msg_zone_keyset *s = zone_keys_new(keys, pool, ORG, ZONE_ED25519);
	assert_non_null(s);
	assert_int_equal(s->keys_n, 2);
	assert_true(s->keys[0].id == first && s->keys[1].dnskey.len == 36);
	uint64_t second = s->keys[1].id;
	keyd_kill();
	keyd_start();
	s = zone_keys_set(keys, pool, ORG, second, 3, 77);
	assert_non_null(s);
	assert_true(s->keys[1].state == 3 && s->keys[1].until_ms == 77);
	assert_true(s->keys[1].since_ms >= s->keys[1].created_ms);
	keyd_kill();
	keyd_start();
	assert_true(only(zone_keys_delete(keys, pool, ORG, first))->id == second);
	assert_true(only(zone_keys_delete(keys, pool, ORG, first))->id == second);
	assert_int_equal(only(zone_keys_get(keys, pool, ORG, 0))->state, 3);
}

static void mistakes_are_told(void **state)
{
	(void)state;
	const char *text;
	assert_null(zone_keys_get(keys, pool, SLICE("\3ORG\0"), 0));
	assert_int_equal(zone_keys_error(keys, NULL), ERR_BAD);
	assert_null(zone_keys_new(keys, pool, ORG, 8));
	assert_int_equal(zone_keys_error(keys, &text), ERR_BAD);
	assert_non_null(strstr(text, "13"));
	assert_null(zone_keys_set(keys, pool, ORG, 5, 1, 1));
	assert_int_equal(zone_keys_error(keys, NULL), ERR_NOTFOUND);
	struct slice sig, data = SLICE("x");
	assert_false(zone_keys_sign(keys, pool, ORG, 5, &data, 1, &sig));
	assert_int_equal(zone_keys_error(keys, NULL), ERR_NOTFOUND);
	struct zone_keys *none = zone_keys_client("/nonexistent/x.sock", ROLE_DNSD, 1000);
	assert_null(zone_keys_get(none, pool, ORG, 0));
	assert_int_equal(zone_keys_error(none, NULL), ERR_LOST);
	zone_keys_free(&none);
}

static void others_may_not_sign(void **state)
{
	(void)state;
	struct slice sig, data = SLICE("x");
	uint64_t id = only(zone_keys_get(keys, pool, ORG, ZONE_ECDSA))->id;
	struct zone_keys *ctl = zone_keys_client(socket_of(ROLE_CTL), ROLE_CTL, TIMEOUT_MS);
	only(zone_keys_get(ctl, pool, ORG, 0));
	assert_false(zone_keys_sign(ctl, pool, ORG, id, &data, 1, &sig));
	zone_keys_free(&ctl);
	struct zone_keys *smtpd = zone_keys_client(socket_of(ROLE_SMTPD), ROLE_SMTPD, TIMEOUT_MS);
	assert_null(zone_keys_get(smtpd, pool, ORG, 0));
	zone_keys_free(&smtpd);
}

static struct form host(const struct row_zone_key *k, unsigned n)
{
	struct form f;
	const uint8_t a[4] = {10, 0, (uint8_t)(n >> 8), (uint8_t)n};
	form_begin(&f, T_A, 13, 3, clock_sec(),
		   zone_key_tag((const uint8_t *)k->dnskey.p, k->dnskey.len), "example.org");
	form_rr(&f, "www.example.org", T_A, a, 4);
	return f;
}

static void many_are_signed_in_order(void **state)
{
	(void)state;
	enum { N = 2500 };
	static struct form form[N];
	static struct slice data[N], sig[N], one;
	const struct row_zone_key *k = only(zone_keys_get(keys, pool, ORG, ZONE_ECDSA));
	for (unsigned i = 0; i < N; i++) {
		form[i] = host(k, i);
		data[i] = form_slice(&form[i]);
	}
	assert_true(zone_keys_sign(keys, pool, ORG, k->id, data, 0, sig));
	assert_true(zone_keys_sign(keys, pool, ORG, k->id, data, N, sig));
	keyd_kill();
	keyd_start();
	for (unsigned i = 0; i < N; i += 499) { /* reproducible: the same alone */
		assert_int_equal(sig[i].len, 64);
		assert_true(zone_keys_sign(keys, pool, ORG, k->id, data + i, 1, &one));
		assert_true(slice_eq(one, sig[i]));
	}
	form[1200].b[18 + 1] ^= 1; /* another zone's */
	assert_false(zone_keys_sign(keys, pool, ORG, k->id, data, N, sig));
	assert_int_equal(zone_keys_error(keys, NULL), ERR_DENIED);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(sig[i].len, i == 1200 ? 0 : 64);
}

int main(void)
{
#define LIVE(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
	    LIVE(a_key_is_made_once),  LIVE(a_key_is_rolled_over),     LIVE(mistakes_are_told),
	    LIVE(others_may_not_sign), LIVE(many_are_signed_in_order),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
