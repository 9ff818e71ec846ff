/* pool, buf, str, map, id: the small things that everything stands on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/base/log.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/folder.h"
#include "libcommon/base/id.h"
#include "libcommon/base/io.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/pool.h"
#include "libcommon/base/str.h"

static void a_pool_array_grows_and_keeps_its_items(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	unsigned *item = NULL, moves = 0;
	size_t cap = 0;
	for (unsigned n = 0; n < 1000; n++) {
		const unsigned *was = item;
		item = pool_grow(pool, item, n, &cap, sizeof(*item));
		moves += item != was;
		item[n] = n;
	}
	assert_int_equal(moves, 8); /* 8, 16 ... 1024 */
	for (unsigned n = 0; n < 1000; n++)
		assert_int_equal(item[n], n);
	pool_free(&pool);
}

static void pool_keeps_what_it_gave(void **state)
{
	(void)state;
	struct pool *p = pool_new(64);
	char *all[200];
	for (int i = 0; i < 200; i++) {
		all[i] = pool_printf(p, "number %d", i);
		assert_int_equal((uintptr_t)all[i] % 16, 0);
	}
	for (int i = 0; i < 200; i++) {
		char want[32];
		assert_true(str_fmt(want, sizeof(want), "number %d", i));
		assert_string_equal(all[i], want);
	}
	size_t grown = pool_size(p);
	pool_clear(p);
	assert_true(pool_size(p) < grown);
	pool_free(&p);
	assert_null(p);
	pool_free(&p);
}

static void pool_memory_is_zero_after_clear(void **state)
{
	(void)state;
	struct pool *p = pool_new(256);
	memset(pool_alloc(p, 128), 'x', 128);
	pool_clear(p);
	const char *again = pool_alloc(p, 128);
	for (int i = 0; i < 128; i++)
		assert_int_equal(again[i], 0);
	pool_free(&p);
}

static void buf_stops_at_its_limit(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 10);
	assert_true(buf_adds(&b, "12345"));
	assert_false(buf_adds(&b, "678901"));
	assert_true(b.failed);
	assert_false(buf_addc(&b, 'x'));
	assert_string_equal(buf_cstr(&b), "12345");
	buf_clear(&b);
	assert_true(buf_printf(&b, "%d", 1234567890));
	assert_int_equal(b.len, 10);
	buf_drop(&b, 4);
	assert_string_equal(buf_cstr(&b), "567890");
	buf_free(&b);
	assert_int_equal(b.max, 10);
}

static void slices_are_cut(void **state)
{
	(void)state;
	struct slice rest = SLICE("  MAIL \tFROM:<a@b> SIZE=1 ");
	assert_true(slice_eqs(slice_word(&rest), "MAIL"));
	assert_true(slice_ieqs(slice_word(&rest), "from:<A@b>"));
	assert_true(slice_eqs(slice_word(&rest), "SIZE=1"));
	assert_int_equal(slice_word(&rest).len, 0);
	rest = SLICE("a,,b");
	assert_true(slice_eqs(slice_cut(&rest, ','), "a"));
	assert_true(slice_eqs(slice_cut(&rest, ','), ""));
	assert_true(slice_eqs(slice_cut(&rest, ','), "b"));
	assert_int_equal(rest.len, 0);
}

static void numbers_are_read_whole_or_not(void **state)
{
	(void)state;
	uint64_t v = 7;
	uint32_t w = 7;
	assert_true(str_u64(SLICE("18446744073709551615"), &v));
	assert_int_equal(v, UINT64_MAX);
	assert_false(str_u64(SLICE("18446744073709551616"), &v));
	assert_false(str_u64(SLICE("+1"), &v));
	assert_false(str_u64(SLICE(""), &v));
	assert_false(str_u32(SLICE("4294967296"), &w));
	assert_true(str_size(SLICE("25M"), &v));
	assert_int_equal(v, 25u << 20);
	assert_false(str_size(SLICE("10Q"), &v));
	assert_false(str_size(SLICE("99999999999T"), &v));
	assert_true(str_duration(SLICE("14d"), &v));
	assert_int_equal(v, 14ull * 86400000);
	assert_false(str_duration(SLICE("14"), &v));
	assert_true(str_duration(SLICE("0"), &v));
}

static void utf8_is_strict(void **state)
{
	(void)state;
	assert_true(str_utf8(SLICE("gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xb9")));
	assert_false(str_utf8(SLICE("\xc0\xaf")));
	assert_false(str_utf8(SLICE("\xed\xa0\x80")));
	assert_false(str_utf8(SLICE("\xf4\x90\x80\x80")));
	assert_false(str_utf8(SLICE("\xe2\x82")));
}

static void base64_has_one_form(void **state)
{
	(void)state;
	char text[64];
	unsigned char bin[64], back[64];
	for (size_t n = 0; n < 40; n++) {
		id_random(bin, n);
		size_t len = str_base64(text, bin, n);
		assert_int_equal(str_base64_decode(back, (struct slice){text, len}), n);
		assert_memory_equal(bin, back, n);
	}
	assert_int_equal(str_base64_decode(back, SLICE("YQ==")), 1);
	assert_int_equal(str_base64_decode(back, SLICE("YR==")), -1);
	assert_int_equal(str_base64_decode(back, SLICE("YQ=")), -1);
	assert_int_equal(str_base64_decode(back, SLICE("Y===")), -1);
	assert_int_equal(str_base64_decode(back, SLICE("=QQQ")), -1);
}

static void near_words_are_near(void **state)
{
	(void)state;
	assert_int_equal(str_distance("max-size", "max-size", 2), 0);
	assert_int_equal(str_distance("max-szie", "max-size", 2), 1);
	assert_int_equal(str_distance("max-sizes", "max-size", 2), 1);
	assert_int_equal(str_distance("listen", "tls", 2), 3);
}

static int sum(const void *key, size_t len, void *value, void *arg)
{
	(void)key;
	(void)len;
	*(uintptr_t *)arg += (uintptr_t)value;
	return 0;
}

static void map_finds_what_was_set(void **state)
{
	(void)state;
	struct map *m = map_new();
	for (uintptr_t i = 1; i <= 1000; i++)
		assert_null(map_set(m, &i, sizeof(i), (void *)i));
	for (uintptr_t i = 1; i <= 1000; i++)
		assert_ptr_equal(map_get(m, &i, sizeof(i)), (void *)i);
	uintptr_t total = 0;
	assert_int_equal(map_each(m, sum, &total), 0);
	assert_int_equal(total, 500500);
	for (uintptr_t i = 1; i <= 1000; i += 2)
		assert_ptr_equal(map_del(m, &i, sizeof(i)), (void *)i);
	assert_int_equal(map_count(m), 500);
	uintptr_t gone = 3, there = 4;
	assert_null(map_get(m, &gone, sizeof(gone)));
	assert_ptr_equal(map_set(m, &there, sizeof(there), m), (void *)4);
	map_free(&m);
	assert_null(m);
}

static void ids_are_unique_and_grow(void **state)
{
	(void)state;
	char a[ID_LEN + 1], b[ID_LEN + 1];
	id_new(a);
	uint64_t start = clock_mono();
	while (clock_mono() < start + 2) {
	}
	id_new(b);
	assert_int_equal(strlen(a), ID_LEN);
	assert_true(strcmp(a, b) < 0);
}

static void dates_have_their_form(void **state)
{
	(void)state;
	char text[40];
	clock_iso(text, sizeof(text), 1795470420123u);
	assert_string_equal(text, "2026-11-23T21:47:00.123Z");
}

/* Nobody reads the log: the service goes on, and says later what was lost. */
static void a_stuck_log_stops_nobody(void **state)
{
	(void)state;
	char text[8192];
	int fd[2], err = dup(STDERR_FILENO);
	ssize_t n, last = 0;
	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	memset(text, 'x', sizeof(text));
	while (write(fd[1], text, 4096) > 0)
		;
	dup2(fd[1], STDERR_FILENO);
	uint64_t start = clock_mono();
	for (int i = 0; i < 1000; i++)
		log_event(LOG_LV_ERROR, NULL, "lost", LU("i", i));
	bool quick = clock_mono() - start < 5000;
	while ((n = read(fd[0], text, sizeof(text))) > 0)
		;
	log_event(LOG_LV_ERROR, NULL, "seen", LU("i", 1));
	dup2(err, STDERR_FILENO);
	while ((n = read(fd[0], text, sizeof(text) - 1)) > 0)
		last = n;
	text[last] = '\0';
	assert_true(quick);
	assert_non_null(strstr(text, "log-lines-lost lines=1000\n"));
	assert_non_null(strstr(text, "seen i=1\n"));
	close(fd[0]);
	close(fd[1]);
	close(err);
}

static void controls_are_found(void **state)
{
	(void)state;
	struct slice s = SLICE("a\x1b\xc2\x9b\xc3\xbc\x7f\xc2\xa0");
	const bool control[] = {false, true, true, true, false, false, true, false, false};
	assert_int_equal(s.len, sizeof(control));
	for (size_t i = 0; i < s.len; i++)
		assert_int_equal(str_control_at(s, i), control[i]);
	assert_false(str_control_at(SLICE("\xc2"), 0));
}

static void folders_are_made_with_those_above(void **state)
{
	(void)state;
	char top[] = "/tmp/hamlet-folder-XXXXXX", path[64], above[64];
	struct stat st;
	assert_non_null(mkdtemp(top));
	assert_true(str_fmt(above, sizeof(above), "%s/a", top));
	assert_true(str_fmt(path, sizeof(path), "%s/a/b", top));
	assert_int_equal(folder_make(path, 0755, 0700), 0);
	assert_int_equal(stat(above, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(folder_make(path, 0711, 0711), 0); /* left as it is */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(rmdir(path), 0);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(folder_make(path, 0700, 0700), ENOTDIR);
	unlink(path);
	rmdir(above);
	rmdir(top);
}

/* A pipe takes less at once than what is written. */
static void io_writes_all(void **state)
{
	(void)state;
	enum { LEN = 300000 };
	int fd[2], status;
	char *text = mem_alloc(LEN), piece[4096];
	memset(text, 'x', LEN);
	assert_int_equal(pipe(fd), 0);
	pid_t child = fork();
	if (child == 0) {
		close(fd[0]);
		_exit(io_write(fd[1], (struct slice){text, LEN}) ? 0 : 1);
	}
	close(fd[1]);
	size_t got = 0;
	for (ssize_t n; (n = read(fd[0], piece, sizeof(piece))) > 0;)
		got += (size_t)n;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(got, LEN);
	close(fd[0]);
	assert_false(io_write(fd[0], SLICE("x"))); /* it is closed */
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(io_writes_all),
	    cmocka_unit_test(folders_are_made_with_those_above),
	    cmocka_unit_test(controls_are_found),
	    cmocka_unit_test(a_stuck_log_stops_nobody),
	    cmocka_unit_test(a_pool_array_grows_and_keeps_its_items),
	    cmocka_unit_test(pool_keeps_what_it_gave),
	    cmocka_unit_test(pool_memory_is_zero_after_clear),
	    cmocka_unit_test(buf_stops_at_its_limit),
	    cmocka_unit_test(slices_are_cut),
	    cmocka_unit_test(numbers_are_read_whole_or_not),
	    cmocka_unit_test(utf8_is_strict),
	    cmocka_unit_test(base64_has_one_form),
	    cmocka_unit_test(near_words_are_near),
	    cmocka_unit_test(map_finds_what_was_set),
	    cmocka_unit_test(ids_are_unique_and_grow),
	    cmocka_unit_test(dates_have_their_form),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
