/* The administrator's commands of domains, accounts and aliases. */
#include "t/unit/stored_live.h"

#define OK(command, secret) assert_int_equal(live_ctl(command, secret), ERR_OK)
#define FAILS(command, secret, e, words)                        \
	do {                                                    \
		assert_int_equal(live_ctl(command, secret), e); \
		assert_non_null(strstr(live.text, words));      \
	} while (0)

static void demo(void)
{
	OK("domain add a.test", NULL);
	OK("account add Alice@a.test", "secret");
}

static void domains_come_and_go(void **state)
{
	(void)state;
	OK("domain add B\xc3\xbc"
	   "cher.Test",
	   NULL);
	OK("domain list", NULL);
	assert_non_null(strstr(live.cells, "domain=xn--bcher-kva.test accounts=0 aliases=0"));
	OK("domain show b\xc3\xbc"
	   "cher.test",
	   NULL);
	assert_non_null(strstr(live.cells, "shown-as=b\xc3\xbc"
					   "cher.test"));
	FAILS("domain add xn--bcher-kva.test", NULL, ERR_EXISTS, "exists");
	OK("domain delete xn--bcher-kva.test", NULL);
	FAILS("domain show xn--bcher-kva.test", NULL, ERR_NOTFOUND, "no domain");
	FAILS("domain add not_a-domain-", NULL, ERR_BAD, "not a domain");
}

static void a_domain_with_accounts_stays(void **state)
{
	(void)state;
	demo();
	FAILS("domain delete a.test", NULL, ERR_INUSE, "has accounts");
	OK("account delete alice@a.test", NULL);
	OK("domain delete a.test", NULL);
}

static void the_first_account_is_postmaster(void **state)
{
	(void)state;
	demo();
	OK("account add bob@a.test", "x");
	OK("alias list a.test", NULL);
	assert_string_equal(live.cells, "alias=abuse@a.test target=alice@a.test; "
					"alias=postmaster@a.test target=alice@a.test; "
					"alias=root@a.test target=alice@a.test");
	OK("account show alice@a.test", NULL);
	assert_non_null(strstr(live.cells, "aliases=abuse@a.test postmaster@a.test root@a.test"));
	FAILS("account add root@a.test", "x", ERR_EXISTS, "exists already");
}

static void settings_are_inherited(void **state)
{
	(void)state;
	demo();
	OK("domain set a.test login-delay=1m expire-retrieved=14d quota=1G", NULL);
	OK("account show alice@a.test", NULL);
	assert_non_null(strstr(live.cells, "quota=1073741824 login-delay=1m expire-retrieved=14d"));
	OK("account set alice@a.test login-delay=0 expire-retrieved=at-once", NULL);
	OK("account show alice@a.test", NULL);
	assert_non_null(strstr(live.cells, "login-delay=0 expire-retrieved=at-once "
					   "own-settings=login-delay expire-retrieved"));
	OK("account set alice@a.test login-delay=default expire-retrieved=never", NULL);
	OK("account show alice@a.test", NULL);
	assert_non_null(strstr(live.cells, "login-delay=1m expire-retrieved=never"));
}

static void a_bad_setting_changes_nothing(void **state)
{
	(void)state;
	demo();
	FAILS("account set alice@a.test quota=5M login-delay=soon", NULL, ERR_BAD,
	      "login-delay: \"soon\" is not a value (try login-delay=1m");
	FAILS("account set alice@a.test colour=red", NULL, ERR_BAD, "unknown setting \"colour\"");
	FAILS("account set alice@a.test quota=18446744073709551615", NULL, ERR_BAD, "not a value");
	FAILS("account set alice@a.test quota", NULL, ERR_BAD, "not KEY=VALUE");
	OK("account show alice@a.test", NULL);
	assert_non_null(strstr(live.cells, "quota=0 "));
}

static void account_add_takes_settings(void **state)
{
	(void)state;
	demo();
	OK("account add bob@a.test quota=1M", "x");
	OK("account show bob@a.test", NULL);
	assert_non_null(strstr(live.cells, "quota=1048576"));
	FAILS("account add carol@a.test quota=much", "x", ERR_BAD, "quota");
	FAILS("account show carol@a.test", NULL, ERR_NOTFOUND, "no account");
}

static void an_account_needs_domain_address_and_password(void **state)
{
	(void)state;
	demo();
	FAILS("account add alice@c.test", "x", ERR_NOTFOUND, "no domain c.test");
	FAILS("account add alice", "x", ERR_BAD, "not an address");
	FAILS("account add \"a\\ b\"@a.test", "x", ERR_BAD, "not an address");
	FAILS("account add .a@a.test", "x", ERR_BAD, "not an address");
	FAILS("account add bob@a.test", NULL, ERR_BAD, "password");
	FAILS("account add bob@a.test", "\x7f", ERR_BAD, "SASLprep");
	FAILS("account add ALICE@a.test", "x", ERR_EXISTS, "exists already");
}

static void accounts_are_listed_by_domain(void **state)
{
	(void)state;
	demo();
	OK("domain add b.test", NULL);
	OK("account add bob@b.test", "x");
	OK("account list", NULL);
	assert_non_null(strstr(live.cells, "account=alice@a.test enabled=1 shard=1 created="));
	assert_non_null(strstr(live.cells, "; account=bob@b.test"));
	OK("account list b.test", NULL);
	assert_null(strstr(live.cells, "alice"));
	FAILS("account list c.test", NULL, ERR_NOTFOUND, "no domain");
}

static void aliases_lead_somewhere(void **state)
{
	(void)state;
	demo();
	OK("alias add info@a.test alice@a.test ext@outside.example", NULL);
	OK("alias show INFO@a.test", NULL);
	assert_non_null(strstr(live.cells, "alias=info@a.test target=alice@a.test"));
	assert_non_null(strstr(live.cells, "; alias=info@a.test target=ext@outside.example"));
	FAILS("alias add x@a.test nobody@a.test", NULL, ERR_NOTFOUND, "leads to no account");
	FAILS("alias add x@a.test x@a.test", NULL, ERR_NOTFOUND, "leads to no account");
	FAILS("alias add alice@a.test ext@outside.example", NULL, ERR_EXISTS, "exists already");
	FAILS("alias add x@c.test alice@a.test", NULL, ERR_NOTFOUND, "no domain");
	OK("alias delete info@a.test", NULL);
	FAILS("alias delete info@a.test", NULL, ERR_NOTFOUND, "no alias");
	OK("domain set a.test catch-all=alice@a.test", NULL);
	OK("alias add one@a.test two@a.test", NULL);
	FAILS("alias add two@a.test one@a.test", NULL, ERR_BAD, "would lead to itself only");
	FAILS("alias show two@a.test", NULL, ERR_NOTFOUND, "no alias");
	OK("alias add two@a.test one@a.test ext@outside.example", NULL);
}

static void a_catch_all_leads_somewhere(void **state)
{
	(void)state;
	demo();
	FAILS("domain set a.test catch-all=x@a.test", NULL, ERR_NOTFOUND, "leads to no account");
	OK("domain set a.test catch-all=alice@a.test", NULL);
	OK("domain show a.test", NULL);
	assert_non_null(strstr(live.cells, "catch-all=alice@a.test"));
	OK("domain set a.test catch-all=none", NULL);
	OK("domain show a.test", NULL);
	assert_non_null(strstr(live.cells, "catch-all=none"));
}

static void app_passwords_are_shown_once(void **state)
{
	(void)state;
	demo();
	OK("account app-password alice@a.test add phone", NULL);
	const char *p = strstr(live.cells, "app-password=");
	assert_non_null(p);
	assert_int_equal(strlen(p + 13), APP_PASSWORD_LEN);
	OK("account app-password alice@a.test list", NULL);
	assert_non_null(strstr(live.cells, "name=phone created="));
	assert_null(strstr(live.cells, "app-password="));
	FAILS("account app-password alice@a.test add phone", NULL, ERR_EXISTS, "exists");
	OK("account app-password alice@a.test delete phone", NULL);
	FAILS("account app-password alice@a.test delete phone", NULL, ERR_NOTFOUND,
	      "no app password");
	FAILS("account app-password alice@a.test rename x", NULL, ERR_BAD,
	      "usage: hamletctl account app-password ADDR add NAME|list|delete NAME");
}

static void a_new_password_ends_grants(void **state)
{
	(void)state;
	struct grant g;
	demo();
	struct grant old = {.account = 1,
			    .epoch = grant_epoch_now(1),
			    .expires_ms = clock_ms() + 1000,
			    .role = ROLE_POP3D};
	unsigned char text[GRANT_LEN];
	struct slice s = {(const char *)text, grant_make(&old, text)};
	assert_true(grant_check(s, ROLE_POP3D, &g));
	OK("account password alice@a.test", "other");
	assert_false(grant_check(s, ROLE_POP3D, &g));
}

static void disabling_ends_grants_too(void **state)
{
	(void)state;
	demo();
	uint64_t epoch = grant_epoch_now(1);
	OK("account disable alice@a.test", NULL);
	assert_int_equal(grant_epoch_now(1), epoch + 1);
	OK("account show alice@a.test", NULL);
	assert_non_null(strstr(live.cells, "enabled=0"));
	OK("account delete alice@a.test", NULL);
	assert_int_equal(grant_epoch_now(1), 0);
}

static void mistakes_name_the_right_form(void **state)
{
	(void)state;
	FAILS("domain add", NULL, ERR_BAD, "usage: hamletctl domain add NAME");
	FAILS("domain", NULL, ERR_BAD, "domain list");
	FAILS("alias frob", NULL, ERR_BAD, "usage: alias add ADDR TARGET...");
	FAILS("acount list", NULL, ERR_BAD, "did you mean \"account\"?");
	FAILS("zzz", NULL, ERR_BAD, "unknown command \"zzz\"");
}

static void long_lists_come_in_pages(void **state)
{
	(void)state;
	struct row_word w[2] = {{SLICE("domain")}, {SLICE("list")}};
	char command[64];
	for (int i = 0; i < 1001; i++) {
		snprintf(command, sizeof(command), "domain add d%04d.test", i);
		OK(command, NULL);
	}
	struct msg_ctl m = {.words = w, .words_n = 2, .cursor = SLICE("d0999.test"), .body.fd = -1};
	live_call(live.ctl, MSG_ctl, &m);
	assert_non_null(strstr(live.cells, "domain=d1000.test"));
	assert_null(strstr(live.cells, "domain=d0999.test"));
}

static void settings_survive_a_restart(void **state)
{
	(void)state;
	demo();
	OK("account password alice@a.test", "other");
	uint64_t epoch = grant_epoch_now(1);
	struct grant g = {
	    .account = 1, .epoch = epoch, .expires_ms = clock_ms() + 1000, .role = ROLE_POP3D};
	unsigned char text[GRANT_LEN];
	struct slice s = {(const char *)text, grant_make(&g, text)};
	live_stop();
	live_start();
	assert_int_equal(grant_epoch_now(1), epoch);
	assert_true(grant_check(s, ROLE_POP3D, &g));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LIVE(domains_come_and_go),
	    LIVE(a_domain_with_accounts_stays),
	    LIVE(the_first_account_is_postmaster),
	    LIVE(settings_are_inherited),
	    LIVE(a_bad_setting_changes_nothing),
	    LIVE(account_add_takes_settings),
	    LIVE(an_account_needs_domain_address_and_password),
	    LIVE(accounts_are_listed_by_domain),
	    LIVE(aliases_lead_somewhere),
	    LIVE(a_catch_all_leads_somewhere),
	    LIVE(app_passwords_are_shown_once),
	    LIVE(a_new_password_ends_grants),
	    LIVE(disabling_ends_grants_too),
	    LIVE(mistakes_name_the_right_form),
	    LIVE(long_lists_come_in_pages),
	    LIVE(settings_survive_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
