/* The files by which the processes of dnsd know of a secondary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>
#include "dnsd/secondary/refresh_int.h"

static const uint8_t ZONE[] = "\1b\4test";

/* Of two processes. */
struct both {
	char folder[32];
	int dir;
	struct secondary a, b;
};

static int set_up(void **state)
{
	static struct both both;
	both = (struct both){.folder = "/tmp/refresh.XXXXXX"};
	assert_non_null(mkdtemp(both.folder));
	both.dir = open(both.folder, O_RDONLY | O_DIRECTORY);
	refresh_files(both.dir);
	for (int i = 0; i < 2; i++) {
		struct secondary *s = i ? &both.b : &both.a;
		*s = (struct secondary){.pool = pool_new(0), .wire = ZONE, .name = "b.test"};
		refresh_file_names(s);
	}
	*state = &both;
	return 0;
}

static int tear_down(void **state)
{
	struct both *t = *state;
	unlinkat(t->dir, t->a.refresh_file, 0);
	unlinkat(t->dir, t->a.lock_file, 0);
	close(t->dir);
	assert_int_equal(rmdir(t->folder), 0);
	pool_free(&t->a.pool);
	pool_free(&t->b.pool);
	return 0;
}

static void one_process_asks_at_a_time(void **state)
{
	struct both *t = *state;
	assert_true(refresh_file_lock(&t->a));
	assert_false(refresh_file_lock(&t->b));
	assert_int_equal(refresh_lock(ZONE), -1);
	refresh_file_unlock(&t->a, false);
	assert_true(refresh_file_lock(&t->b));
	refresh_file_unlock(&t->b, false);
}

static void the_time_is_kept(void **state)
{
	struct both *t = *state;
	assert_int_equal(refresh_file_time(&t->a), 0);
	refresh_file_note(&t->a, 1234567890123);
	assert_int_equal(refresh_file_time(&t->b), 1234567890123);
	assert_int_equal(t->a.fresh_ms, 1234567890123);
}

static void a_mark_stays_until_the_zone_was_fetched(void **state)
{
	struct both *t = *state;
	assert_false(refresh_file_marked(&t->a));
	refresh_file_mark(&t->a);
	assert_true(refresh_file_marked(&t->b));
	assert_true(refresh_file_lock(&t->b));
	refresh_file_unlock(&t->b, false);
	assert_true(refresh_file_marked(&t->a));
	assert_true(refresh_file_lock(&t->b));
	refresh_file_unlock(&t->b, true);
	assert_false(refresh_file_marked(&t->a));
}

static void a_mark_that_comes_meanwhile_stays(void **state)
{
	struct both *t = *state;
	for (int before = 0; before < 2; before++) {
		if (before)
			refresh_file_mark(&t->a);
		assert_true(refresh_file_lock(&t->a));
		refresh_file_mark(&t->b);
		refresh_file_unlock(&t->a, true);
		assert_true(refresh_file_marked(&t->a));
	}
}

static void marks_take_no_room(void **state)
{
	struct both *t = *state;
	for (int i = 0; i < 5000; i++)
		refresh_file_mark(&t->a);
	assert_true(refresh_file_lock(&t->a));
	assert_in_range(t->a.marks, 1, 4096);
	refresh_file_unlock(&t->a, true);
	assert_false(refresh_file_marked(&t->a));
}

/* The zone had gone, and has come again. */
static void a_file_that_was_removed_is_no_lock(void **state)
{
	struct both *t = *state;
	assert_true(refresh_file_lock(&t->a));
	unlinkat(t->dir, t->a.lock_file, 0);
	assert_true(refresh_file_lock(&t->b));
	refresh_file_unlock(&t->a, true);
	assert_false(refresh_file_lock(&t->a));
	refresh_file_unlock(&t->b, true);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
	    TEST(one_process_asks_at_a_time),
	    TEST(the_time_is_kept),
	    TEST(a_mark_stays_until_the_zone_was_fetched),
	    TEST(a_mark_that_comes_meanwhile_stays),
	    TEST(marks_take_no_room),
	    TEST(a_file_that_was_removed_is_no_lock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
