/* resolve: where mail for an address goes, and who may send from it. */
#include "t/unit/stored_kit.h"

static struct targets got;

/* The targets as text: "alice@a.test bob@b.test" */
static const char *to(const char *rcpt)
{
	char *s = pool_strdup(kit_pool, "");
	enum ipc_err e = dir_resolve(kit_base, kit_pool, slice_of(rcpt), &got);
	if (e != ERR_OK)
		return ipc_err_name(e);
	for (size_t i = 0; i < got.n; i++)
		s = pool_printf(kit_pool, "%s%s%.*s", s, i ? " " : "", SLICE_FMT(got.t[i].address));
	return s;
}

static void demo(void)
{
	kit_domain("a.test");
	kit_domain("b.test");
	kit_account("alice@a.test");
	kit_account("bob@b.test");
}

static void an_account_is_found_in_any_case(void **state)
{
	(void)state;
	demo();
	assert_string_equal(to("Alice@A.TEST"), "alice@a.test");
	assert_int_equal(got.kind, RCPT_LOCAL);
	assert_true(slice_eqs(got.canonical, "alice@a.test"));
	assert_int_equal(got.t[0].shard, 1);
}

static void quotes_that_say_nothing_are_ignored(void **state)
{
	(void)state;
	demo();
	assert_string_equal(to("\"ali\\ce\"@a.test"), "alice@a.test");
}

static void unknown_users_and_domains_differ(void **state)
{
	(void)state;
	demo();
	assert_string_equal(to("carol@a.test"), ipc_err_name(ERR_NOTFOUND));
	assert_string_equal(to("alice@c.test"), ipc_err_name(ERR_NOTLOCAL));
	assert_string_equal(to("alice@[127.0.0.1]"), ipc_err_name(ERR_NOTLOCAL));
}

static void what_is_no_address_is_not_found(void **state)
{
	(void)state;
	static const char *const bad[] = {"",        "@",           "alice", "alice@",
					  "@a.test", "a b@a.test",  "a@-.x", "a@a..test",
					  "a@a\x80", "a\x80@a.test"};
	demo();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_string_equal(to(bad[i]), ipc_err_name(ERR_NOTFOUND));
}

static void plus_addressing_gives_the_detail(void **state)
{
	(void)state;
	demo();
	assert_string_equal(to("alice+News+x@a.test"), "alice@a.test");
	assert_true(slice_eqs(got.t[0].detail, "news+x"));
	assert_int_equal(got.kind, RCPT_LOCAL);
}

static void an_account_with_a_plus_is_exact(void **state)
{
	(void)state;
	demo();
	kit_account("alice+own@a.test");
	assert_string_equal(to("alice+own@a.test"), "alice+own@a.test");
}

static void without_a_separator_plus_is_a_letter(void **state)
{
	(void)state;
	demo();
	conf.plus_separator = "";
	assert_string_equal(to("alice+x@a.test"), ipc_err_name(ERR_NOTFOUND));
}

static void an_alias_leads_to_all_its_targets_once(void **state)
{
	(void)state;
	demo();
	kit_alias("all@a.test", "alice@a.test bob@b.test x@outside.example");
	kit_alias("more@a.test", "all@a.test alice@a.test x@outside.example");
	assert_string_equal(to("more@a.test"), "alice@a.test x@outside.example bob@b.test");
	assert_int_equal(got.kind, RCPT_ALIAS);
	assert_int_equal(got.t[1].account, 0);
}

static void an_aliass_detail_goes_along(void **state)
{
	(void)state;
	demo();
	kit_alias("info@a.test", "alice@a.test");
	assert_string_equal(to("info+shop@a.test"), "alice@a.test");
	assert_true(slice_eqs(got.t[0].detail, "shop"));
}

static void loops_end(void **state)
{
	(void)state;
	demo();
	kit_alias("x@a.test", "y@a.test");
	kit_alias("y@a.test", "x@a.test alice@a.test");
	kit_alias("z@a.test", "z@a.test");
	assert_string_equal(to("x@a.test"), "alice@a.test");
	assert_string_equal(to("z@a.test"), ipc_err_name(ERR_NOTFOUND));
}

static void ten_levels_are_followed_and_no_more(void **state)
{
	(void)state;
	demo();
	for (int i = 0; i < 11; i++) {
		const char *from = pool_printf(kit_pool, "l%d@a.test", i);
		const char *next = pool_printf(kit_pool, "l%d@a.test", i - 1);
		kit_alias(from, i ? next : "alice@a.test");
	}
	assert_string_equal(to("l9@a.test"), "alice@a.test");
	assert_string_equal(to("l10@a.test"), ipc_err_name(ERR_NOTFOUND));
}

static void a_catch_all_takes_what_nothing_else_does(void **state)
{
	(void)state;
	demo();
	kit_catch_all("a.test", "alice@a.test");
	assert_string_equal(to("any@a.test"), "alice@a.test");
	kit_catch_all("a.test", "x@outside.example");
	assert_string_equal(to("any@a.test"), "x@outside.example");
	assert_string_equal(to("alice@a.test"), "alice@a.test");
}

static void a_new_domain_has_its_postmaster(void **state)
{
	(void)state;
	demo();
	kit_account("second@a.test");
	assert_string_equal(to("Postmaster@a.test"), "alice@a.test");
	assert_string_equal(to("abuse@b.test"), "bob@b.test");
	assert_string_equal(to("root@a.test"), "alice@a.test");
	assert_string_equal(to("postmaster"), "alice@a.test");
}

static void a_deleted_accounts_roles_pass_on(void **state)
{
	(void)state;
	struct account a;
	demo();
	kit_account("second@a.test");
	kit_alias("team@a.test", "alice@a.test second@a.test");
	kit_alias("own@a.test", "alice@a.test");
	assert_int_equal(dir_account_by_address(kit_base, kit_pool, SLICE("alice@a.test"), &a),
			 ERR_OK);
	assert_int_equal(dir_account_delete(kit_base, kit_pool, &a), ERR_OK);
	assert_string_equal(to("postmaster@a.test"), "second@a.test");
	assert_string_equal(to("team@a.test"), "second@a.test");
	assert_string_equal(to("own@a.test"), ipc_err_name(ERR_NOTFOUND));
	assert_string_equal(to("alice@a.test"), ipc_err_name(ERR_NOTFOUND));
}

static void unicode_is_one_spelling(void **state)
{
	(void)state;
	struct slice name;
	assert_true(dir_domain_name(kit_pool,
				    SLICE("B\xc3\xbc"
					  "cher.test"),
				    &name));
	assert_true(slice_eqs(name, "xn--bcher-kva.test"));
	assert_true(slice_eqs(dir_domain_shown(kit_pool, name), "b\xc3\xbc"
								"cher.test"));
	kit_domain(pool_strndup(kit_pool, name.p, name.len));
	kit_account("\xc3\xa9lise@xn--bcher-kva.test");
	/* upper case, and the accent as a character of its own */
	assert_string_equal(to("\xc3\x89LISE@b\xc3\xbc"
			       "cher.test"),
			    "\xc3\xa9lise@xn--bcher-kva.test");
	assert_string_equal(to("E\xcc\x81lise@XN--BCHER-KVA.test"),
			    "\xc3\xa9lise@xn--bcher-kva.test");
}

static void one_sends_from_ones_own_addresses(void **state)
{
	(void)state;
	demo();
	uint64_t carol = kit_account("carol@a.test");
	kit_alias("info@a.test", "sales@a.test");
	kit_alias("sales@a.test", "carol@a.test alice@a.test");
	kit_catch_all("a.test", "carol@a.test");
	static const struct {
		const char *from;
		enum ipc_err e;
	} row[] = {{"", ERR_OK},
		   {"Carol@a.test", ERR_OK},
		   {"carol+list@a.test", ERR_OK},
		   {"info@a.test", ERR_OK},
		   {"alice@a.test", ERR_DENIED},
		   {"bob@b.test", ERR_DENIED},
		   {"any@a.test", ERR_DENIED},
		   {"carol@outside.example", ERR_DENIED},
		   {"postmaster@a.test", ERR_DENIED}};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		assert_int_equal(dir_may_send(kit_base, kit_pool, carol, slice_of(row[i].from)),
				 row[i].e);
}

static void the_cache_lives_one_generation(void **state)
{
	(void)state;
	struct targets t;
	struct slice rcpt = SLICE("Alice@a.test");
	demo();
	assert_string_equal(to("Alice@a.test"), "alice@a.test");
	assert_false(dir_cache_resolve(rcpt, kit_pool, &t));
	dir_cache_put_resolve(rcpt, dir_generation(), &got);
	assert_true(dir_cache_resolve(rcpt, kit_pool, &t));
	assert_true(t.n == 1 && slice_eqs(t.t[0].address, "alice@a.test"));
	uint64_t old = dir_generation();
	dir_changed();
	assert_false(dir_cache_resolve(rcpt, kit_pool, &t));
	dir_cache_put_resolve(rcpt, old, &got); /* read before the change */
	assert_false(dir_cache_resolve(rcpt, kit_pool, &t));
	dir_cache_free();
}

static void the_cache_is_bounded(void **state)
{
	(void)state;
	struct account a = {.address = SLICE("alice@a.test")};
	for (a.id = 1; a.id < 20000; a.id++)
		dir_cache_put_account(dir_generation(), &a);
	a.id--;
	assert_true(dir_cache_account(a.id, kit_pool, &a));
	assert_false(dir_cache_account(1, kit_pool, &a));
	dir_cache_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    KIT(an_account_is_found_in_any_case),
	    KIT(quotes_that_say_nothing_are_ignored),
	    KIT(unknown_users_and_domains_differ),
	    KIT(what_is_no_address_is_not_found),
	    KIT(plus_addressing_gives_the_detail),
	    KIT(an_account_with_a_plus_is_exact),
	    KIT(without_a_separator_plus_is_a_letter),
	    KIT(an_alias_leads_to_all_its_targets_once),
	    KIT(an_aliass_detail_goes_along),
	    KIT(loops_end),
	    KIT(ten_levels_are_followed_and_no_more),
	    KIT(a_catch_all_takes_what_nothing_else_does),
	    KIT(a_new_domain_has_its_postmaster),
	    KIT(a_deleted_accounts_roles_pass_on),
	    KIT(unicode_is_one_spelling),
	    KIT(one_sends_from_ones_own_addresses),
	    KIT(the_cache_lives_one_generation),
	    KIT(the_cache_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
