/* backup, check: a copy of a running store, what verifying it finds, and its return. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libcommon/net/loop.h"
#include "stored/backup.h"
#include "stored/body.h"

static char dir[64];
static struct pool *pool;
static unsigned finished;
static enum ipc_err last_err;
static uint64_t last_id;
static unsigned findings;
static char finding_text[500];

static void start(void)
{
	const char *why = NULL;
	if (!backup_take_over(dir, &why) || !work_start(backup_store(dir), 2, 1, &why))
		fail_msg("%s", why);
}

static void stop(void)
{
	work_stop();
	uv_run(loop_get(), UV_RUN_NOWAIT);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/stored_backup.XXXXXX");
	assert_non_null(mkdtemp(dir));
	pool = pool_new(0);
	findings = 0;
	start();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char cmd[128];
	stop();
	pool_free(&pool);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

struct probe {
	struct op op;
	struct slice bytes;
	uint64_t id;
	unsigned refs;
};

static void done(struct op *op)
{
	last_err = op->err;
	last_id = ((struct probe *)op)->id;
	finished++;
	op_free(op);
}

static enum ipc_err put(struct base *b, struct op *op)
{
	struct probe *p = (struct probe *)op;
	struct body body = {.bytes = p->bytes, .fd = -1};
	return body_put(b, &body, p->refs, &p->id);
}

static enum ipc_err get(struct base *b, struct op *op)
{
	const struct probe *p = (struct probe *)op;
	struct slice got;
	enum ipc_err e = body_get(b, op->pool, p->id, 0, 0, &got, NULL);
	return e == ERR_OK && !slice_eq(got, p->bytes) ? ERR_SIZE : e;
}

static enum ipc_err run(unsigned base, enum ipc_err (*fn)(struct base *, struct op *),
			struct slice bytes, uint64_t id)
{
	struct probe *p = (struct probe *)op_new(sizeof(*p));
	p->bytes = bytes;
	p->id = id;
	p->op.run = fn;
	p->op.done = done;
	unsigned before = finished;
	assert_true(fn == put ? work_write(base, &p->op) : work_read(base, &p->op));
	while (finished == before)
		uv_run(loop_get(), UV_RUN_ONCE);
	return last_err;
}

static struct slice large(char fill)
{
	char *p = pool_alloc(pool, 50000);
	memset(p, fill, 50000);
	return (struct slice){p, 50000};
}

static void finding(void *arg, const char *text)
{
	(void)arg;
	findings++;
	snprintf(finding_text, sizeof(finding_text), "%s", text);
}

static void make(const char *name, struct backup_info *info)
{
	const char *why = NULL;
	if (!backup_create(pool, dir, slice_of(name), info, &why))
		fail_msg("%s", why);
}

/* Bodies that no message has are findings too: callers compare with the number before. */
static unsigned verify(const char *name)
{
	const char *why = NULL;
	struct check_sums sums = {0};
	findings = 0;
	assert_true(backup_verify(pool, dir, slice_of(name), finding, NULL, &sums, &why));
	return findings;
}

static void a_backup_comes_back(void **state)
{
	(void)state;
	struct backup_info info;
	const char *why = NULL;
	assert_int_equal(run(1, put, large('a'), 0), ERR_OK);
	uint64_t a = last_id;
	assert_int_equal(run(2, put, SLICE("small"), 0), ERR_OK);
	uint64_t b = last_id;
	make("first", &info);
	assert_true(info.bytes > 50000);
	assert_int_equal(run(1, put, large('c'), 0), ERR_OK);
	uint64_t c = last_id;
	assert_int_equal(run(1, get, large('c'), c), ERR_OK);
	assert_true(backup_restore(pool, dir, SLICE("first"), &info, &why));
	stop();
	start();
	assert_int_equal(run(1, get, large('a'), a), ERR_OK);
	assert_int_equal(run(2, get, SLICE("small"), b), ERR_OK);
	assert_int_equal(run(1, get, large('c'), c), ERR_NOTFOUND);
	stop(); /* once taken over, it stays */
	start();
	assert_int_equal(run(1, get, large('a'), a), ERR_OK);
}

static void an_interrupted_exchange_goes_on(void **state)
{
	(void)state;
	struct backup_info info;
	const char *why = NULL;
	char from[200], to[200];
	assert_int_equal(run(1, put, large('a'), 0), ERR_OK);
	uint64_t a = last_id;
	make("first", &info);
	assert_int_equal(run(1, put, large('c'), 0), ERR_OK);
	uint64_t c = last_id;
	assert_true(backup_restore(pool, dir, SLICE("first"), &info, &why));
	stop();
	/* As if the power had failed right after the two folders were exchanged. */
	snprintf(from, sizeof(from), "%s/restore", dir);
	snprintf(to, sizeof(to), "%s/store", dir);
	assert_int_equal(renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE), 0);
	start();
	assert_int_equal(run(1, get, large('a'), a), ERR_OK);
	assert_int_equal(run(1, get, large('c'), c), ERR_NOTFOUND);
	assert_int_not_equal(access(from, F_OK), 0);
}

static void one_body_can_be_read_from_it(void **state)
{
	(void)state;
	struct backup_info info;
	const char *why = NULL;
	struct slice got;
	assert_int_equal(run(1, put, large('a'), 0), ERR_OK);
	uint64_t a = last_id;
	make("first", &info);
	const char *path = backup_dir(pool, dir, SLICE("first"));
	assert_non_null(path);
	struct base *b = base_frozen(path, 1, &why);
	assert_non_null(b);
	assert_int_equal(body_get(b, pool, a, 0, 0, &got, NULL), ERR_OK);
	assert_true(slice_eq(got, large('a')));
	base_close(&b);
}

static void change_byte(const char *name, long at)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "#", 1, at), 1);
	close(fd);
}

static void a_changed_file_is_found_and_not_restored(void **state)
{
	(void)state;
	struct backup_info info;
	const char *why = NULL;
	assert_int_equal(run(1, put, large('a'), 0), ERR_OK);
	make("first", &info);
	unsigned before = verify("first");
	change_byte("backups/first/shard-1.seg/00000001", 20000);
	assert_int_equal(verify("first"), before + 2); /* the file, and the body in it */
	assert_non_null(strstr(finding_text, "shard-1.db: body"));
	assert_false(backup_restore(pool, dir, SLICE("first"), &info, &why));
	assert_non_null(strstr(why, "nothing was restored"));
}

static void a_changed_manifest_is_refused(void **state)
{
	(void)state;
	struct backup_info info;
	const char *why = NULL;
	make("first", &info);
	change_byte("backups/first/manifest", 30);
	struct check_sums sums = {0};
	assert_false(backup_verify(pool, dir, SLICE("first"), finding, NULL, &sums, &why));
	assert_non_null(strstr(why, "damaged"));
	size_t n;
	backup_list(pool, dir, &n);
	assert_int_equal(n, 0);
}

static void names_are_checked(void **state)
{
	(void)state;
	struct backup_info info;
	const char *why = NULL;
	assert_false(backup_create(pool, dir, SLICE("../x"), &info, &why));
	assert_false(backup_create(pool, dir, SLICE(""), &info, &why));
	assert_false(backup_create(pool, dir, SLICE(".hidden"), &info, &why));
	assert_null(backup_dir(pool, dir, SLICE("../backups")));
	make("b-2026.11_24", &info);
	make("a", &info);
	assert_false(backup_create(pool, dir, SLICE("a"), &info, &why));
	assert_false(backup_restore(pool, dir, SLICE("none"), &info, &why));
	size_t n;
	const struct backup_info *all = backup_list(pool, dir, &n);
	assert_int_equal(n, 2);
	assert_string_equal(all[0].name, "a");
	assert_string_equal(all[1].name, "b-2026.11_24");
}

static void the_check_finds_a_damaged_body(void **state)
{
	(void)state;
	const char *why = NULL;
	struct check_sums sums = {0};
	assert_int_equal(run(1, put, large('a'), 0), ERR_OK);
	change_byte("store/shard-1.seg/00000001", 20000);
	struct base *b = work_reader(1, &why);
	check_base(b, finding, NULL, &sums);
	base_close(&b);
	assert_non_null(strstr(finding_text, "(50000 bytes) is damaged"));
}

static void the_check_finds_a_wrong_count(void **state)
{
	(void)state;
	const char *why = NULL;
	struct check_sums sums = {0};
	struct probe *p = (struct probe *)op_new(sizeof(*p));
	p->refs = 3; /* of messages that there are not */
	p->bytes = SLICE("body");
	p->op.run = put;
	p->op.done = done;
	finished = 0;
	assert_true(work_write(1, &p->op));
	while (!finished)
		uv_run(loop_get(), UV_RUN_ONCE);
	struct base *b = work_reader(1, &why);
	check_base(b, finding, NULL, &sums);
	base_close(&b);
	assert_int_equal(findings, 1);
	assert_non_null(strstr(finding_text, "counts 3 references, has 0"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_backup_comes_back),
	    T(an_interrupted_exchange_goes_on),
	    T(one_body_can_be_read_from_it),
	    T(a_changed_file_is_found_and_not_restored),
	    T(a_changed_manifest_is_refused),
	    T(names_are_checked),
	    T(the_check_finds_a_damaged_body),
	    T(the_check_finds_a_wrong_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
