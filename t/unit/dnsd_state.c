/* What is kept in the state folder: the cookies' secret, and images with the time of their text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "dnsd/dnsd.h"
#include "dnsd/image/image.h"
#include "libcommon/base/clock.h"

#define TEXT  "a.test"
#define IMAGE "a.test.image"
#define GOOD  "@ 60 SOA ns host %d 1 2 3 4\n@ NS ns\nns A 192.0.2.1\n"

static char dir[64], text[96];
static int state;

static int make_dir(void **arg)
{
	(void)arg;
	clock_init();
	snprintf(dir, sizeof(dir), "/tmp/hamlet-dnsd.%d", (int)getpid());
	snprintf(text, sizeof(text), "%s/" TEXT, dir);
	if (mkdir(dir, 0700) != 0)
		return -1;
	state = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return state < 0;
}

static int remove_dir(void **arg)
{
	(void)arg;
	DIR *d = opendir(dir);
	const struct dirent *e;
	while (d && (e = readdir(d)))
		unlinkat(state, e->d_name, 0);
	if (d)
		closedir(d);
	close(state);
	return rmdir(dir);
}

static void set_age(const char *name, time_t seconds)
{
	struct timespec t[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};
	assert_int_equal(utimensat(state, name, t, 0), 0);
}

static void all_processes_have_one_secret(void **arg)
{
	(void)arg;
	uint8_t first[2][16];
	struct stat st;
	memcpy(first, cookie_start(state), sizeof(first));
	assert_memory_equal(first, cookie_start(state), sizeof(first));
	assert_int_equal(fstatat(state, "cookie.secret", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* After a day there is another one, and the old one is good still. */
	set_age("cookie.secret", 90000);
	const uint8_t(*now)[16] = cookie_start(state);
	assert_memory_equal(now[1], first[0], 16);
	assert_memory_not_equal(now[0], first[0], 16);
}

static void a_damaged_secret_is_replaced(void **arg)
{
	(void)arg;
	uint8_t first[2][16];
	memcpy(first, cookie_start(state), sizeof(first));
	int fd = openat(state, "cookie.secret", O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_memory_not_equal(cookie_start(state), first, 16);
	fd = openat(state, "cookie.secret", O_RDONLY | O_CLOEXEC);
	assert_int_equal(lseek(fd, 0, SEEK_END), 32);
	close(fd);
}

static void several_servers_have_one_secret(void **arg)
{
	(void)arg;
	static const struct {
		const char *text, *why;
		mode_t mode;
	} row[] = {
	    {"000102030405060708090a0b0c0d0e0", "first line", 0600},
	    {"000102030405060708090a0b0c0d0e0g\n", "first line", 0600},
	    {"", "first line", 0600},
	    {"000102030405060708090a0b0c0d0e0f\n00", "second line", 0600},
	    {"000102030405060708090a0b0c0d0e0f\n", "chmod 640", 0604},
	    {"000102030405060708090A0B0C0D0E0F", NULL, 0640},
	    {"000102030405060708090a0b0c0d0e0f\r\n f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\r\nmore\n",
	     NULL, 0600},
	};
	enum { N = sizeof(row) / sizeof(row[0]) };
	const uint8_t(*got)[16] = NULL;
	unlinkat(state, "cookie.secret", 0);
	for (size_t i = 0; i < N; i++) {
		FILE *f = fopen(text, "we");
		assert_non_null(f);
		fputs(row[i].text, f);
		fclose(f);
		assert_int_equal(chmod(text, row[i].mode), 0);
		const char *why = cookie_shared(text);
		assert_int_equal(why != NULL, row[i].why != NULL);
		assert_true(!why || strstr(why, row[i].why));
		if (why)
			continue;
		got = cookie_start(state);
		assert_int_equal(faccessat(state, "cookie.secret", F_OK, 0), -1);
		for (uint8_t k = 0; k < 16; k++) {
			assert_int_equal(got[0][k], k);
			assert_int_equal(got[1][k], i + 1 < N ? k : 0xf0 + k);
		}
	}
	/* One that cannot be read is not shared: the folder has one. */
	unlink(text);
	assert_non_null(cookie_shared(text));
	cookie_start(state);
	assert_int_equal(faccessat(state, "cookie.secret", F_OK, 0), 0);
}

static void write_text(const char *format, int serial)
{
	FILE *f = fopen(text, "we");
	assert_non_null(f);
	fprintf(f, format, serial);
	fclose(f);
}

static const uint8_t ZONE[] = "\001a\004test";

static struct compile compiled_as(bool force, uint32_t above)
{
	static const struct zone_conf nothing;
	struct compile c = {.state = state,
			    .image = IMAGE,
			    .conf = &nothing,
			    .file = text,
			    .zone = ZONE,
			    .force = force,
			    .above = above};
	compile_run(&c);
	return c;
}

static struct compile compiled(bool force)
{
	return compiled_as(force, 0);
}

static struct compile compiled_above(uint32_t serial)
{
	return compiled_as(false, serial);
}

static void finish(struct compile *c)
{
	image_close(&c->out);
	buf_free(&c->errors);
}

static void an_image_is_made_when_the_text_is_another(void **arg)
{
	(void)arg;
	write_text(GOOD, 1);
	set_age(TEXT, 100);
	struct compile c = compiled(false);
	assert_non_null(c.out);
	assert_true(c.built);
	assert_int_equal(image_serial(c.out), 1);
	finish(&c);
	c = compiled(false);
	assert_false(c.built);
	assert_non_null(c.out);
	finish(&c);
	c = compiled(true);
	assert_true(c.built);
	finish(&c);
	/* An older text, restored, is another one, too. */
	write_text(GOOD, 2);
	set_age(TEXT, 1000);
	struct image *old = NULL;
	assert_null(compile_fresh(&c, &old));
	assert_non_null(old);
	assert_int_equal(image_serial(old), 1);
	image_close(&old);
	c = compiled(false);
	assert_int_equal(image_serial(c.out), 2);
	finish(&c);
}

/* Text with another content gets a later serial, whatever its own says. */
static void the_serial_goes_up(void **arg)
{
	(void)arg;
	static const struct {
		const char *text;
		int serial;
		uint32_t served;
	} CASES[] = {
	    {GOOD, 100, 100},
	    {GOOD, 100, 100},
	    {GOOD "x A 192.0.2.2\n", 100, 101},
	    {"x 60 A 192.0.2.2\n" GOOD "x A 192.0.2.2\n", 100, 101}, /* another order */
	    {GOOD "x A 192.0.2.2\n", 99, 101},
	    {GOOD "x A 192.0.2.3\n", 101, 102},
	    {"@ 60 SOA ns host %d 1 2 3 5\n@ NS ns\nns A 192.0.2.1\n", 102, 103},
	    {"@ 61 SOA ns host %d 1 2 3 5\n@ NS ns\nns A 192.0.2.1\n", 102, 104},
	    {GOOD, 2026010100, 2026010100},
	};
	unlinkat(state, IMAGE, 0);
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		write_text(CASES[i].text, CASES[i].serial);
		struct compile c = compiled(true);
		assert_non_null(c.out);
		assert_int_equal(image_serial(c.out), CASES[i].served);
		finish(&c);
	}
	unlinkat(state, IMAGE, 0);
}

static bool begun(void)
{
	return faccessat(state, IMAGE "." SERIAL_BEGUN, F_OK, 0) == 0;
}

/* What secondaries have is above what the source says. */
static void a_serial_that_was_lost(void **arg)
{
	(void)arg;
	static const uint32_t other = 99;
	unlinkat(state, IMAGE, 0);
	write_text(GOOD, 5);
	struct compile c = compiled(false);
	assert_int_equal(image_serial(c.out), 5);
	assert_true(begun());
	finish(&c);
	unlinkat(state, IMAGE "." SERIAL_BEGUN, 0);
	c = compiled_above(9);
	assert_true(c.built);
	assert_int_equal(image_serial(c.out), 10);
	assert_false(begun());
	finish(&c);
	c = compiled_above(9);
	assert_false(c.built);
	assert_int_equal(image_serial(c.out), 10);
	finish(&c);
	write_text(GOOD "x A 192.0.2.2\n", 5);
	c = compiled(true);
	assert_int_equal(image_serial(c.out), 11);
	finish(&c);
	/* An image of another version of dnsd tells its serial, and nothing else. */
	int fd = openat(state, IMAGE, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &other, sizeof(other), 8), sizeof(other));
	close(fd);
	assert_int_equal(image_serial_left(state, IMAGE), 11);
	c = compiled(false);
	assert_int_equal(image_serial(c.out), 12);
	assert_false(begun());
	finish(&c);
	assert_int_equal(image_serial_left(state, IMAGE), 0);
	/* One that was cut off does not. */
	fd = openat(state, IMAGE, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &other, sizeof(other), 8), sizeof(other));
	assert_int_equal(ftruncate(fd, 100), 0);
	close(fd);
	assert_int_equal(image_serial_left(state, IMAGE), 0);
	unlinkat(state, IMAGE, 0);
}

static void mistakes_leave_the_image(void **arg)
{
	(void)arg;
	static const char *const BAD[] = {GOOD "x A 1.2.3\n", GOOD "ns CNAME x\n",
					  "@ 60 A 192.0.2.1\n", ""};
	write_text(GOOD, 1);
	struct compile c = compiled(true);
	finish(&c);
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		write_text(BAD[i], 5);
		c = compiled(true);
		assert_null(c.out);
		assert_true(c.mistakes > 0);
		assert_true(c.errors.len > 0);
		finish(&c);
		const char *why;
		struct image *image = image_open(state, IMAGE, &why);
		assert_non_null(image);
		assert_int_equal(image_serial(image), 1);
		image_close(&image);
	}
	unlink(text);
	c = compiled(false);
	assert_null(c.out);
	assert_non_null(strstr(buf_cstr(&c.errors), "No such file"));
	finish(&c);
}

static void another_zones_image_is_not_taken(void **arg)
{
	(void)arg;
	write_text(GOOD, 1);
	struct compile c = compiled(true);
	finish(&c);
	c.zone = (const uint8_t *)"\001b\004test";
	assert_null(compile_fresh(&c, NULL));
}

static void names_of_images(void **arg)
{
	(void)arg;
	struct pool *pool = pool_new(0);
	static const struct {
		const char *wire, *name;
	} CASES[] = {
	    {"\001a\004test", "a.test.image"},
	    {"", "%2e.image"},
	    {"\0040/25\003arp", "0%2f25.arp.image"},
	    {"\002..\001b", "%5c.%5c..b.image"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		assert_string_equal(compile_image_name(pool, (const uint8_t *)CASES[i].wire),
				    CASES[i].name);
	}
	pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_processes_have_one_secret),
	    cmocka_unit_test(a_damaged_secret_is_replaced),
	    cmocka_unit_test(several_servers_have_one_secret),
	    cmocka_unit_test(an_image_is_made_when_the_text_is_another),
	    cmocka_unit_test(the_serial_goes_up),
	    cmocka_unit_test(a_serial_that_was_lost),
	    cmocka_unit_test(mistakes_leave_the_image),
	    cmocka_unit_test(another_zones_image_is_not_taken),
	    cmocka_unit_test(names_of_images),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
