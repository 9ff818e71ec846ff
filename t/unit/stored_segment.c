/* segment, body: bodies in files and rows, torn tails, checksums, counts, compaction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "stored/body.h"
#include "stored/crc.h"
#include "stored/segment.h"

static char dir[64], seg[128];
static struct base *base;
static struct pool *pool;

static void open_base(void)
{
	const char *why = NULL;
	base = base_open(dir, 1, &why);
	if (!base)
		fail_msg("%s", why);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/stored_seg.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(seg, sizeof(seg), "%s/shard-1.seg", dir);
	bodies_limits(100, 100000);
	pool = pool_new(0);
	open_base();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char cmd[128];
	base_close(&base);
	pool_free(&pool);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

/* Body number n: its length and bytes follow from n. */
static struct slice body_of(unsigned n, size_t len)
{
	char *p = pool_alloc(pool, len + 1);
	for (size_t i = 0; i < len; i++)
		p[i] = (char)(n * 31 + i * 7 + i / 251);
	return (struct slice){p, len};
}

static uint64_t put(struct slice bytes)
{
	struct body b = {.bytes = bytes, .fd = -1, .size = bytes.len};
	uint64_t id = 0;
	assert_int_equal(db_begin(base->db), DB_DONE);
	assert_int_equal(body_put(base, &b, 1, &id), ERR_OK);
	assert_true(bodies_sync(base));
	assert_int_equal(db_commit(base->db), DB_DONE);
	return id;
}

static void expect(uint64_t id, struct slice want)
{
	struct slice got;
	uint64_t size;
	assert_int_equal(body_get(base, pool, id, 0, 0, &got, &size), ERR_OK);
	assert_int_equal(size, want.len);
	assert_true(slice_eq(got, want));
}

static long file_size(unsigned segment)
{
	char path[200];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%08u", seg, segment);
	return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void change_file(unsigned segment, long at, const char *p, size_t n, int flags)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/%08u", seg, segment);
	int fd = open(path, O_WRONLY | flags);
	assert_true(fd >= 0);
	assert_int_equal(flags & O_APPEND ? write(fd, p, n) : pwrite(fd, p, n, at), n);
	close(fd);
}

static void crc_is_castagnoli(void **state)
{
	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
	/* Long ones are summed up in lanes: the same as octet by octet. */
	unsigned char text[3000];
	uint32_t single = 0;
	for (size_t n = 0; n < sizeof(text); n++) {
		text[n] = (unsigned char)(n * n >> 3);
		single = crc32c(single, text + n, 1);
		assert_int_equal(crc32c(0, text, n + 1), single);
		assert_int_equal(crc32c(crc32c(0, text, n / 3), text + n / 3, n + 1 - n / 3),
				 single);
	}
}

static void bodies_of_all_sizes_come_back(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 99, 100, 101, 4096, 30000, 99999, 300000};
	enum { N = sizeof(sizes) / sizeof(sizes[0]) };
	uint64_t id[N];
	for (unsigned i = 0; i < N; i++)
		id[i] = put(body_of(i, sizes[i]));
	for (unsigned i = 0; i < N; i++)
		expect(id[i], body_of(i, sizes[i]));
	base_close(&base);
	open_base();
	for (unsigned i = 0; i < N; i++)
		expect(id[i], body_of(i, sizes[i]));
	assert_true(file_size(2) > 0); /* more than one file by now */
}

static void many_bodies_come_back(void **state)
{
	(void)state;
	uint64_t id[300];
	for (unsigned i = 0; i < 300; i++)
		id[i] = put(body_of(i, 50 + i * 13 % 3000));
	for (unsigned i = 0; i < 300; i++)
		expect(id[i], body_of(i, 50 + i * 13 % 3000));
}

static void a_range_is_cut_at_the_end(void **state)
{
	(void)state;
	struct slice all = body_of(1, 5000);
	struct slice small = body_of(2, 50);
	uint64_t big = put(all);
	uint64_t row = put(small);
	struct slice got;
	assert_int_equal(body_get(base, pool, big, 4990, 100, &got, NULL), ERR_OK);
	assert_true(slice_eq(got, (struct slice){all.p + 4990, 10}));
	assert_int_equal(body_get(base, pool, big, 10, 20, &got, NULL), ERR_OK);
	assert_true(slice_eq(got, (struct slice){all.p + 10, 20}));
	assert_int_equal(body_get(base, pool, big, 6000, 1, &got, NULL), ERR_OK);
	assert_int_equal(got.len, 0);
	assert_int_equal(body_get(base, pool, row, 45, 100, &got, NULL), ERR_OK);
	assert_true(slice_eq(got, (struct slice){small.p + 45, 5}));
}

static void a_memfd_goes_in_and_out(void **state)
{
	(void)state;
	struct slice all = body_of(3, 400000);
	int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, all.p, all.len), all.len);
	struct body in = {.fd = fd, .size = all.len};
	struct body out;
	uint64_t id;
	assert_int_equal(body_put(base, &in, 1, &id), ERR_BAD); /* not sealed yet */
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	assert_int_equal(body_put(base, &in, 1, &id), ERR_OK);
	assert_int_equal(body_read(base, pool, id, 0, 0, &out, NULL), ERR_OK);
	assert_int_equal(out.size, all.len);
	char *p = mmap(NULL, all.len, PROT_READ, MAP_SHARED, out.fd, 0);
	assert_memory_equal(p, all.p, all.len);
	munmap(p, all.len);
	close(out.fd);
	close(fd);
}

static void a_torn_tail_is_cut_off(void **state)
{
	(void)state;
	uint64_t a = put(body_of(1, 5000));
	long good = file_size(1);
	put(body_of(2, 5000));
	/* As if power had failed in the middle of the second: no row, half of its bytes. */
	assert_int_equal(db_exec(base->db, "DELETE FROM bodies WHERE id = 2"), DB_DONE);
	base_close(&base);
	char path[200];
	snprintf(path, sizeof(path), "%s/00000001", seg);
	assert_int_equal(truncate(path, good + 2500), 0);
	open_base();
	assert_true(file_size(1) <= good + 8);
	expect(a, body_of(1, 5000));
	expect(put(body_of(3, 700)), body_of(3, 700));
}

static void what_is_laid_out_is_no_torn_tail(void **state)
{
	(void)state;
	base_close(&base);
	bodies_limits(100, 64 << 20);
	open_base();
	uint64_t a = put(body_of(1, 5000));
	long size = file_size(1);
	assert_true(size > 1 << 20);
	base_close(&base);
	open_base();
	assert_int_equal(file_size(1), size);
	uint64_t b = put(body_of(2, 5000));
	assert_int_equal(file_size(1), size); /* it goes on where it was */
	base_close(&base);
	change_file(1, 2 * (long)(5000 + 32 + 8), "rubbish", 7, 0);
	open_base();
	assert_true(file_size(1) < 20000);
	expect(a, body_of(1, 5000));
	expect(b, body_of(2, 5000));
	expect(put(body_of(3, 5000)), body_of(3, 5000));
}

static void rubbish_behind_the_end_is_cut_off(void **state)
{
	(void)state;
	uint64_t a = put(body_of(1, 5000));
	long good = file_size(1);
	base_close(&base);
	change_file(1, 0, "rubbish, rubbish, rubbish, rubbish, rubbish", 43, O_APPEND);
	open_base();
	assert_true(file_size(1) <= good + 8);
	expect(a, body_of(1, 5000));
}

static void a_changed_byte_is_noticed(void **state)
{
	(void)state;
	uint64_t a = put(body_of(1, 5000));
	uint64_t b = put(body_of(2, 5000));
	change_file(1, 16 + 32 + 100, "!", 1, 0);
	struct slice got;
	assert_int_equal(body_get(base, pool, a, 0, 0, &got, NULL), ERR_TEMP);
	expect(b, body_of(2, 5000));
}

static void a_damaged_last_record_is_kept_and_left_alone(void **state)
{
	(void)state;
	uint64_t a = put(body_of(1, 5000));
	long size = file_size(1);
	base_close(&base);
	change_file(1, 16 + 32 + 100, "!", 1, 0);
	open_base();
	struct slice got;
	assert_int_equal(body_get(base, pool, a, 0, 0, &got, NULL), ERR_TEMP);
	uint64_t b = put(body_of(2, 5000));
	expect(b, body_of(2, 5000));
	assert_int_equal(file_size(1), size);
	assert_true(file_size(2) > 0);
}

static void what_is_undone_takes_no_space(void **state)
{
	(void)state;
	put(body_of(1, 5000));
	long size = file_size(1);
	struct body b = {.bytes = body_of(2, 5000), .fd = -1};
	uint64_t id;
	for (int i = 0; i < 3; i++) {
		struct bodies_mark m = bodies_mark(base->bodies);
		assert_int_equal(db_begin(base->db), DB_DONE);
		assert_int_equal(body_put(base, &b, 1, &id), ERR_OK);
		db_rollback(base->db);
		bodies_undo(base->bodies, m);
	}
	assert_true(file_size(1) < size + 2 * 5000);
	struct slice got;
	assert_int_equal(body_get(base, pool, id, 0, 0, &got, NULL), ERR_NOTFOUND);
}

static void the_last_reference_removes(void **state)
{
	(void)state;
	uint64_t a = put(body_of(1, 10));
	assert_int_equal(body_refs(base, a, 2), ERR_OK);
	assert_int_equal(body_refs(base, a, -2), ERR_OK);
	expect(a, body_of(1, 10));
	assert_int_equal(body_refs(base, a, -1), ERR_OK);
	struct slice got;
	assert_int_equal(body_get(base, pool, a, 0, 0, &got, NULL), ERR_NOTFOUND);
	assert_int_equal(body_refs(base, a, 1), ERR_NOTFOUND);
}

static void a_mostly_dead_segment_is_emptied(void **state)
{
	(void)state;
	uint64_t id[60];
	for (unsigned i = 0; i < 60; i++)
		id[i] = put(body_of(i, 4000));
	assert_true(file_size(3) > 0);
	for (unsigned i = 0; i < 60; i++)
		if (i % 10)
			assert_int_equal(body_refs(base, id[i], -1), ERR_OK);
	int turns = 0;
	while (turns < 100 && bodies_compact(base))
		turns++;
	assert_true(turns > 0 && turns < 100);
	assert_int_equal(db_number(base->db, "SELECT COUNT(*) FROM bodies WHERE segment IN (1, 2)"),
			 0);
	for (unsigned i = 0; i < 60; i += 10)
		expect(id[i], body_of(i, 4000));
	/* The files go once no reader can need them: at the latest after a restart. */
	base_close(&base);
	open_base();
	while (bodies_compact(base))
		;
	for (unsigned i = 0; i < 60; i += 10)
		expect(id[i], body_of(i, 4000));
}

static void ids_go_on_after_a_restart(void **state)
{
	(void)state;
	uint64_t a = put(body_of(1, 10));
	base_close(&base);
	open_base();
	assert_true(put(body_of(2, 10)) > a);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(crc_is_castagnoli),
	    T(bodies_of_all_sizes_come_back),
	    T(many_bodies_come_back),
	    T(a_range_is_cut_at_the_end),
	    T(a_memfd_goes_in_and_out),
	    T(a_torn_tail_is_cut_off),
	    T(what_is_laid_out_is_no_torn_tail),
	    T(rubbish_behind_the_end_is_cut_off),
	    T(a_changed_byte_is_noticed),
	    T(a_damaged_last_record_is_kept_and_left_alone),
	    T(what_is_undone_takes_no_space),
	    T(the_last_reference_removes),
	    T(a_mostly_dead_segment_is_emptied),
	    T(ids_go_on_after_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
