/* What the directory's unit tests share: a directory of their own, and small words for it. */
#ifndef T_STORED_KIT_H
#define T_STORED_KIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "stored/dir.h"

static char kit_path[64];
static struct base *kit_base;
static struct pool *kit_pool;

static inline int kit_setup(void **state)
{
	(void)state;
	const char *why = NULL;
	conf.plus_separator = "+";
	conf.scram_iterations = 4096;
	strcpy(kit_path, "/tmp/stored_kit.XXXXXX");
	assert_non_null(mkdtemp(kit_path));
	kit_base = base_open(kit_path, WORK_DIRECTORY, &why);
	if (!kit_base)
		fail_msg("%s", why);
	kit_pool = pool_new(0);
	assert_int_equal(db_begin(kit_base->db), DB_DONE);
	return 0;
}

static inline int kit_teardown(void **state)
{
	(void)state;
	db_rollback(kit_base->db);
	base_close(&kit_base);
	pool_free(&kit_pool);
	char cmd[128];
	snprintf(cmd, sizeof(cmd), "rm -rf %s", kit_path);
	return system(cmd);
}

static inline void kit_domain(const char *name)
{
	assert_int_equal(dir_domain_add(kit_base, slice_of(name)), ERR_OK);
}

static inline uint64_t kit_account(const char *address)
{
	struct domain d;
	struct addr a;
	uint64_t id = 0;
	assert_true(dir_addr(kit_pool, slice_of(address), &a));
	assert_int_equal(dir_domain_get(kit_base, kit_pool, a.domain, &d), ERR_OK);
	assert_int_equal(dir_account_add(kit_base, kit_pool, &d, &a, &id), ERR_OK);
	return id;
}

/* targets: separated by spaces */
static inline void kit_alias(const char *address, const char *targets)
{
	struct domain d;
	struct addr a;
	struct slice t[32], rest = slice_of(targets);
	size_t n = 0;
	while ((t[n] = slice_word(&rest)).len)
		n++;
	assert_true(dir_addr(kit_pool, slice_of(address), &a));
	assert_int_equal(dir_domain_get(kit_base, kit_pool, a.domain, &d), ERR_OK);
	assert_int_equal(dir_alias_add(kit_base, d.id, a.full, t, n), ERR_OK);
}

static inline void kit_catch_all(const char *domain, const char *target)
{
	struct domain d;
	assert_int_equal(dir_domain_get(kit_base, kit_pool, slice_of(domain), &d), ERR_OK);
	d.catch_all = slice_of(target);
	assert_int_equal(dir_domain_set(kit_base, &d), ERR_OK);
}

#define KIT(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
#endif
