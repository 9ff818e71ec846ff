/* Users of this machine: their names, addresses, and what they may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "smtpd/smtpd.h"

static char file[] = "/tmp/hamlet-users-XXXXXX";

static void write_users(const char *text)
{
	FILE *f = fopen(file, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void is(uid_t uid, const char *name, const char *address, bool trusted)
{
	struct local_user *u = local_user_new(uid);
	assert_string_equal(u->name, name);
	assert_string_equal(u->address, address);
	assert_int_equal(u->trusted, trusted);
	local_user_free(&u);
}

static void names_come_from_the_file(void **state)
{
	(void)state;
	is(0, "root", "root@h.test", true);
	is(1000, "joe", "joe@h.test", false);
	is(33, "www-data", "www-data@h.test", true);
	/* Trusted by number; a name that cannot stand in an address; no name at all. */
	is(1001, "ann", "ann@h.test", true);
	is(1002, "uid-1002", "uid-1002@h.test", false);
	is((uid_t)-1, "uid-4294967295", "uid-4294967295@h.test", false);
}

static void a_new_user_is_found(void **state)
{
	(void)state;
	is(1003, "uid-1003", "uid-1003@h.test", false);
	write_users("root:x:0:0:::\nnew:x:1003:1003:::\n");
	is(1003, "new", "new@h.test", false);
	conf.local_users = "/nonexistent/passwd";
	is(1004, "uid-1004", "uid-1004@h.test", false);
	is(1003, "new", "new@h.test", false); /* what was known stays so */
}

static const char *completed(const char *path)
{
	static struct addr a;
	size_t used;
	assert_int_equal(addr_path(slice_of(path), ADDR_BARE | ADDR_NULL, &a, &used), ADDR_OK);
	assert_true(local_complete(&a));
	assert_int_equal(strlen(a.text), a.len);
	return a.text;
}

static void addresses_get_the_domain(void **state)
{
	(void)state;
	conf.local_domain = "H.test";
	assert_string_equal(completed("<Joe>"), "Joe@h.test");
	assert_string_equal(completed("<joe@a.test>"), "joe@a.test");
	assert_string_equal(completed("<\"a@b\">"), "\"a@b\"@h.test");
	assert_string_equal(completed("<>"), "");
	struct addr a;
	size_t used;
	char domain[ADDR_MAX];
	memset(domain, 'd', sizeof(domain));
	domain[sizeof(domain) - 1] = 0;
	conf.local_domain = domain;
	assert_int_equal(addr_path(SLICE("<joe>"), ADDR_BARE, &a, &used), ADDR_OK);
	assert_false(local_complete(&a));
}

static void senders_are_the_users_own(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		bool joe;
	} CASES[] = {{"<joe@h.test>", true},   {"<JOE@H.test>", true},  {"<>", true},
		     {"<root@h.test>", false}, {"<joe@a.test>", false}, {"<joe+x@h.test>", false}};
	struct session s = {.local = local_user_new(1000)}, root = {.local = local_user_new(0)};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct addr a;
		size_t used;
		assert_int_equal(addr_path(slice_of(CASES[i].path), ADDR_NULL, &a, &used), ADDR_OK);
		assert_int_equal(local_sender(&s, &a) == NULL, CASES[i].joe);
		assert_null(local_sender(&root, &a));
	}
	local_user_free(&s.local);
	local_user_free(&root.local);
}

static int setup(void **state)
{
	static const char *trusted[] = {"root", "www-data", "1001", NULL};
	(void)state;
	conf = (struct smtpd_conf){
	    .local_domain = "h.test", .local_users = file, .local_trusted = {trusted, 3}};
	write_users("root:x:0:0:root:/root:/bin/sh\nroot2:x:0:0:::\n"
		    "www-data:x:33:33:::\njoe:x:1000:1000:Joe:/:\nnot a line\n"
		    "ann:x:1001:1001:::\na b:x:1002:1002:::\n");
	return 0;
}

static int file_make(void **state)
{
	(void)state;
	int fd = mkstemp(file);
	close(fd);
	return fd < 0;
}

static int file_remove(void **state)
{
	(void)state;
	return unlink(file);
}

#define T(f) cmocka_unit_test_setup(f, setup)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(names_come_from_the_file),
	    T(addresses_get_the_domain),
	    T(senders_are_the_users_own),
	    T(a_new_user_is_found),
	};
	return cmocka_run_group_tests(tests, file_make, file_remove);
}
