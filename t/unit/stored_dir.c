/* The directory: domains, accounts, credentials, limits on sending. */
#include "libcommon/base/clock.h"
#include "stored/auth.h"
#include "stored/sql.h"
#include "t/unit/stored_kit.h"

static struct account get(const char *address)
{
	struct account a = {0};
	assert_int_equal(dir_account_by_address(kit_base, kit_pool, slice_of(address), &a), ERR_OK);
	return a;
}

static void an_account_has_what_it_was_given(void **state)
{
	(void)state;
	struct account a, by_id;
	kit_domain("a.test");
	uint64_t id = kit_account("Alice@A.test");
	a = get("alice@a.test");
	assert_true(a.id == id && a.shard == 1 && a.epoch == 1 && a.enabled);
	assert_true(slice_eqs(a.address, "alice@a.test"));
	assert_int_equal(dir_account_by_id(kit_base, kit_pool, id, &by_id), ERR_OK);
	assert_true(slice_eqs(by_id.address, "alice@a.test"));
	assert_int_equal(dir_account_by_id(kit_base, kit_pool, id + 1, &by_id), ERR_NOTFOUND);
}

static void settings_come_from_account_domain_suite(void **state)
{
	(void)state;
	struct domain d;
	struct account_row row;
	conf.quota = 5;
	kit_domain("a.test");
	kit_account("alice@a.test");
	struct account a = get("alice@a.test");
	assert_true(a.quota == 5 && a.login_delay_ms == 0 && a.expire_ms == CONF_NEVER);
	assert_int_equal(dir_domain_get(kit_base, kit_pool, SLICE("a.test"), &d), ERR_OK);
	d.quota = 7;
	d.login_delay_ms = 60000;
	d.expire_ms = 0;
	assert_int_equal(dir_domain_set(kit_base, &d), ERR_OK);
	a = get("alice@a.test");
	assert_true(a.quota == 7 && a.login_delay_ms == 60000 && a.expire_ms == 0);
	assert_int_equal(dir_account_row(kit_base, kit_pool, a.address, &row), ERR_OK);
	assert_true(row.quota == DIR_UNSET);
	row.quota = 0;
	row.expire_ms = CONF_NEVER;
	assert_int_equal(dir_account_set(kit_base, &row), ERR_OK);
	a = get("alice@a.test");
	assert_true(a.quota == 0 && a.login_delay_ms == 60000 && a.expire_ms == CONF_NEVER);
	conf.quota = 0;
}

static void an_id_is_never_used_again(void **state)
{
	(void)state;
	kit_domain("a.test");
	uint64_t first = kit_account("alice@a.test");
	struct account a = get("alice@a.test");
	assert_int_equal(dir_account_delete(kit_base, kit_pool, &a), ERR_OK);
	assert_int_equal(kit_account("alice@a.test"), first + 1);
	db_start(kit_base->db, SQL_ACCOUNT_GONE);
	db_u64(kit_base->db, first); /* it is there already */
	db_u64(kit_base->db, 1);
	db_text(kit_base->db, SLICE("x"));
	db_u64(kit_base->db, 0);
	assert_int_equal(db_run(kit_base->db), DB_CONFLICT);
}

static void an_address_belongs_to_one(void **state)
{
	(void)state;
	struct domain d;
	struct addr a;
	uint64_t id;
	kit_domain("a.test");
	kit_account("alice@a.test");
	kit_alias("info@a.test", "alice@a.test");
	assert_int_equal(dir_domain_get(kit_base, kit_pool, SLICE("a.test"), &d), ERR_OK);
	assert_true(dir_addr(kit_pool, SLICE("INFO@a.test"), &a));
	assert_int_equal(dir_account_add(kit_base, kit_pool, &d, &a, &id), ERR_EXISTS);
	struct slice target = SLICE("x@outside.example");
	assert_int_equal(dir_alias_add(kit_base, d.id, SLICE("alice@a.test"), &target, 1),
			 ERR_EXISTS);
}

static void a_domain_takes_its_aliases_along(void **state)
{
	(void)state;
	struct domain d;
	uint64_t id, at;
	kit_domain("a.test");
	kit_alias("info@a.test", "x@outside.example");
	assert_int_equal(dir_domain_get(kit_base, kit_pool, SLICE("a.test"), &d), ERR_OK);
	assert_int_equal(dir_domain_delete(kit_base, d.id), ERR_OK);
	assert_int_equal(dir_alias_get(kit_base, SLICE("info@a.test"), &id, &at), ERR_NOTFOUND);
}

static void names_of_domains_are_checked(void **state)
{
	(void)state;
	static const char *const bad[] = {"",         ".",   "a..b",      "-a.test", "a-.test",
					  "a b.test", "a/b", "\xff.test", ".a.test"};
	struct slice out;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(dir_domain_name(kit_pool, slice_of(bad[i]), &out));
	assert_true(dir_domain_name(kit_pool, SLICE("A.Test."), &out));
	assert_true(slice_eqs(out, "a.test"));
}

static void a_verifier_knows_its_password(void **state)
{
	(void)state;
	struct verifier v, w;
	assert_true(verifier_make(SLICE("pass word"), 4096, &v));
	assert_true(verifier_check(&v, SLICE("pass word")));
	assert_true(verifier_check(&v, SLICE("pass\xc2\xa0word"))); /* SASLprep: a space */
	assert_false(verifier_check(&v, SLICE("pass wor")));
	assert_true(verifier_make(SLICE("pass word"), 4096, &w));
	assert_memory_not_equal(v.stored_key, w.stored_key, sizeof(v.stored_key)); /* salted */
}

static void impossible_passwords_are_refused(void **state)
{
	(void)state;
	static char longest[PASSWORD_MAX + 1];
	struct verifier v;
	memset(longest, 'x', sizeof(longest));
	assert_false(verifier_make(SLICE(""), 4096, &v));
	assert_false(verifier_make(SLICE("a\0b"), 4096, &v));
	assert_false(verifier_make(SLICE("a\x07"), 4096, &v));
	assert_false(verifier_make(SLICE("\xc2\xad"), 4096, &v)); /* soft hyphen: nothing */
	assert_false(verifier_make((struct slice){longest, sizeof(longest)}, 4096, &v));
	assert_true(verifier_make((struct slice){longest, PASSWORD_MAX}, 4096, &v));
}

static void a_fake_is_the_same_each_time(void **state)
{
	(void)state;
	struct credential one, two, other;
	assert_int_equal(credential_get(kit_base, kit_pool, SLICE("x@a.test"), &one), ERR_OK);
	assert_int_equal(credential_get(kit_base, kit_pool, SLICE("X@A.test"), &two), ERR_OK);
	assert_int_equal(credential_get(kit_base, kit_pool, SLICE("y@a.test"), &other), ERR_OK);
	assert_true(one.fake && !one.known);
	assert_memory_equal(&one.v, &two.v, sizeof(one.v));
	assert_memory_not_equal(one.v.salt, other.v.salt, 16);
}

static void a_credential_comes_back(void **state)
{
	(void)state;
	struct verifier v;
	struct credential c;
	struct slice which;
	bool renew;
	kit_domain("a.test");
	uint64_t id = kit_account("alice@a.test");
	assert_true(verifier_make(SLICE("secret"), 4096, &v));
	assert_int_equal(credential_put(kit_base, id, &v, SLICE("")), ERR_OK);
	assert_int_equal(credential_get(kit_base, kit_pool, SLICE("alice@a.test"), &c), ERR_OK);
	assert_true(c.known && !c.fake);
	assert_memory_equal(c.v.stored_key, v.stored_key, sizeof(v.stored_key));
	assert_int_equal(credential_check(&c, SLICE("secret"), &which, &renew), CREDENTIAL_RIGHT);
	assert_false(renew);
	conf.scram_iterations = 5000;
	assert_int_equal(credential_check(&c, SLICE("secret"), &which, &renew), CREDENTIAL_RIGHT);
	assert_true(renew);
	assert_int_equal(credential_check(&c, SLICE("wrong"), &which, &renew), CREDENTIAL_WRONG);
	assert_false(renew);
}

static void an_imported_hash_is_renewed(void **state)
{
	(void)state;
	struct credential c;
	struct slice which, hash;
	struct verifier v;
	bool renew;
	kit_domain("a.test");
	uint64_t id = kit_account("alice@a.test");
	/* openssl passwd -6 -salt saltsalt secret */
	assert_true(credential_is_crypt(
	    SLICE("{crypt}$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDe"
		  "hy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"),
	    &hash));
	assert_int_equal(credential_put(kit_base, id, NULL, hash), ERR_OK);
	assert_int_equal(credential_get(kit_base, kit_pool, SLICE("alice@a.test"), &c), ERR_OK);
	assert_true(c.fake); /* for SCRAM */
	assert_int_equal(credential_check(&c, SLICE("wrong"), &which, &renew), CREDENTIAL_WRONG);
	assert_int_equal(credential_check(&c, SLICE("secret"), &which, &renew), CREDENTIAL_RIGHT);
	assert_true(renew);
	assert_true(verifier_make(SLICE("secret"), 4096, &v));
	assert_int_equal(credential_renew(kit_base, id, 2, &v), ERR_OK); /* another epoch */
	assert_int_equal(credential_get(kit_base, kit_pool, SLICE("alice@a.test"), &c), ERR_OK);
	assert_true(c.fake);
	assert_int_equal(credential_renew(kit_base, id, 1, &v), ERR_OK);
	assert_int_equal(credential_get(kit_base, kit_pool, SLICE("alice@a.test"), &c), ERR_OK);
	assert_true(!c.fake && c.crypt.len == 0);
	assert_false(credential_is_crypt(SLICE("secret"), &hash));
}

static void app_passwords_are_letters(void **state)
{
	(void)state;
	char p[APP_PASSWORD_LEN + 1], q[APP_PASSWORD_LEN + 1];
	unsigned char salt[16] = {5}, one[32], two[32];
	app_password_new(p);
	app_password_new(q);
	assert_string_not_equal(p, q);
	assert_true(app_password_hash(slice_of(p), salt, one));
	for (size_t i = 0; p[i]; i++)
		p[i] = p[i] == '-' ? ' ' : (char)(p[i] - 32);
	assert_true(app_password_hash(slice_of(p), salt, two));
	assert_memory_equal(one, two, sizeof(one));
	assert_true(app_password_hash(slice_of(q), salt, two));
	assert_memory_not_equal(one, two, sizeof(one));
	assert_false(app_password_hash(SLICE("abcd-efgh-ijkl-mno"), salt, one));
	assert_false(app_password_hash(SLICE("abcd-efgh-ijkl-mnopq"), salt, one));
	assert_false(app_password_hash(SLICE("abcd-efgh-ijkl-mno1"), salt, one));
}

static void sending_is_limited_per_account(void **state)
{
	(void)state;
	conf.send_limit = 10;
	conf.send_window = 1000ull * 86400000; /* longer than any test */
	assert_int_equal(dir_send_take(1, 6), ERR_OK);
	assert_int_equal(dir_send_take(1, 5), ERR_LIMIT);
	assert_int_equal(dir_send_take(1, 4), ERR_OK);
	assert_int_equal(dir_send_take(1, 1), ERR_LIMIT);
	assert_int_equal(dir_send_take(2, 10), ERR_OK);
	conf.send_limit = 0;
	assert_int_equal(dir_send_take(1, 1000), ERR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    KIT(an_account_has_what_it_was_given), KIT(settings_come_from_account_domain_suite),
	    KIT(an_id_is_never_used_again),        KIT(an_address_belongs_to_one),
	    KIT(a_domain_takes_its_aliases_along), KIT(names_of_domains_are_checked),
	    KIT(a_verifier_knows_its_password),    KIT(impossible_passwords_are_refused),
	    KIT(a_fake_is_the_same_each_time),     KIT(a_credential_comes_back),
	    KIT(an_imported_hash_is_renewed),      KIT(app_passwords_are_letters),
	    KIT(sending_is_limited_per_account),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
