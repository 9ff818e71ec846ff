/* The body receiver: whatever the pieces, the same message, and no end but the real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/base/mem.h"
#include "smtpd/smtpd.h"

static void no_prefix(void *arg, struct slice head, struct buf *out)
{
	(void)arg;
	(void)head;
	(void)out;
}

static void x_prefix(void *arg, struct slice head, struct buf *out)
{
	*(size_t *)arg = head.len;
	buf_adds(out, "X: 1\r\n");
}

static void put(char *at, struct slice s)
{
	memcpy(at, s.p, s.len);
}

struct outcome {
	enum data_result result;
	enum data_bad bad;
	size_t used; /* octets taken of the input */
	char text[256];
	size_t len;
};

/* Feeds `in` in two pieces cut at `cut`. */
static struct outcome feed(enum data_mode mode, struct slice in, size_t cut)
{
	struct outcome o = {0};
	struct data d;
	struct body body;
	data_init(&d, mode, 200, 64, 0, no_prefix, NULL);
	o.used = data_feed(&d, (struct slice){in.p, cut}, &o.result);
	if (o.result == DATA_MORE) {
		assert_int_equal(o.used, cut);
		o.used += data_feed(&d, (struct slice){in.p + cut, in.len - cut}, &o.result);
	}
	if (data_finish(&d, &body)) {
		o.len = body.bytes.len;
		memcpy(o.text, body.bytes.p, o.len);
	}
	o.bad = d.bad;
	data_free(&d);
	return o;
}

static void assert_body(struct slice in, const char *want, size_t used)
{
	for (size_t cut = 0; cut <= in.len; cut++) {
		struct outcome o = feed(DATA_DOTS, in, cut);
		assert_int_equal(o.result, DATA_END);
		assert_int_equal(o.bad, DATA_GOOD);
		assert_int_equal(o.used, used);
		assert_int_equal(o.len, strlen(want));
		assert_memory_equal(o.text, want, o.len);
	}
}

static void plain_message_every_cut(void **state)
{
	(void)state;
	assert_body(SLICE("A: b\r\n\r\nhello\r\n.\r\n"), "A: b\r\n\r\nhello\r\n", 18);
}

static void stuffed_dots_every_cut(void **state)
{
	(void)state;
	assert_body(SLICE("..\r\n.a\r\n...b\r\na.\r\n.\r\n"), ".\r\na\r\n..b\r\na.\r\n", 21);
}

static void empty_message(void **state)
{
	(void)state;
	assert_body(SLICE(".\r\n"), "", 3);
}

static void what_follows_is_left(void **state)
{
	(void)state;
	assert_body(SLICE("x\r\n.\r\nQUIT\r\n"), "x\r\n", 6);
}

/* The message is spoiled in the way told and its real end is found, whatever the cut. */
static void assert_spoiled(struct slice in, enum data_bad bad)
{
	for (size_t cut = 0; cut <= in.len; cut++) {
		struct outcome o = feed(DATA_DOTS, in, cut);
		assert_int_equal(o.result, DATA_END);
		assert_int_equal(o.bad, bad);
		assert_int_equal(o.used, in.len);
	}
}

static void bare_line_ends_spoil(void **state)
{
	(void)state;
	assert_spoiled(SLICE("a\nb\r\n.\r\n"), DATA_BARE_LF);
	assert_spoiled(SLICE("\nb\r\n.\r\n"), DATA_BARE_LF);
	assert_spoiled(SLICE("a\rb\r\n.\r\n"), DATA_BARE_CR);
	assert_spoiled(SLICE("a\r\r\n.\r\n"), DATA_BARE_CR);
	assert_spoiled(SLICE("a\n..\r\n.\r\n"), DATA_BARE_LF);
}

static void nul_spoils(void **state)
{
	(void)state;
	assert_spoiled(SLICE("a\0b\r\n.\r\n"), DATA_NUL);
	assert_spoiled(SLICE("a\r\n\0\r\n.\r\n"), DATA_NUL);
}

static void long_line_spoils(void **state)
{
	(void)state;
	char in[80];
	memset(in, 'x', 62);
	put(in + 62, SLICE("\r\n.\r\n"));
	assert_int_equal(feed(DATA_DOTS, (struct slice){in, 67}, 10).bad, DATA_GOOD);
	memset(in, 'x', 63);
	put(in + 63, SLICE("\r\n.\r\n"));
	assert_spoiled((struct slice){in, 68}, DATA_LONG_LINE);
}

static void too_big_spoils(void **state)
{
	(void)state;
	char in[256];
	for (size_t i = 0; i < 200; i += 20)
		put(in + i, SLICE("123456789012345678\r\n"));
	put(in + 200, SLICE(".\r\n"));
	assert_int_equal(feed(DATA_DOTS, (struct slice){in, 203}, 3).bad, DATA_GOOD);
	put(in + 200, SLICE("x\r\n.\r\n"));
	assert_spoiled((struct slice){in, 206}, DATA_TOO_BIG);
}

/* What others may take for the end of data ends the connection, before anything behind it. */
static void lookalikes_are_caught(void **state)
{
	(void)state;
	static const struct slice ALIKE[] = {
	    {"a\n.\nMAIL", 8},   {"a\n.\r\nMAIL", 9}, {"a\r\n.\nMAIL", 9},
	    {"a\r\n.\rMAIL", 9}, {"a\r.\rMAIL", 8},   {"a\r.\r\nMAIL", 9},
	    {"a\r.\nMAIL", 8},   {"a\n.\rMAIL", 8},   {"a\r\r\n.\r\r\nMAIL", 12},
	    {"\n.\nMAIL", 7},    {".\nMAIL", 6},      {".\rMAIL", 6},
	};
	for (size_t i = 0; i < sizeof(ALIKE) / sizeof(ALIKE[0]); i++)
		for (size_t cut = 0; cut <= ALIKE[i].len; cut++) {
			struct outcome o = feed(DATA_DOTS, ALIKE[i], cut);
			assert_int_equal(o.result, DATA_LOOKALIKE);
			assert_true(o.used <= ALIKE[i].len - 4);
		}
}

static void chunk_lines_keep_dots(void **state)
{
	(void)state;
	struct slice in = SLICE(".\r\n..\r\n.x");
	for (size_t cut = 0; cut <= in.len; cut++) {
		struct outcome o = feed(DATA_LINES, in, cut);
		assert_int_equal(o.bad, DATA_GOOD);
		assert_int_equal(o.len, in.len);
		assert_memory_equal(o.text, in.p, in.len);
	}
	assert_int_equal(feed(DATA_LINES, SLICE("a\nb"), 1).bad, DATA_BARE_LF);
	assert_int_equal(feed(DATA_LINES, SLICE("a\rb"), 2).bad, DATA_BARE_CR);
	assert_int_equal(feed(DATA_LINES, SLICE("a\r"), 1).bad, DATA_BARE_CR);
}

static void binary_takes_all(void **state)
{
	(void)state;
	struct slice in = SLICE("a\n\r\0\xff.\r\n.\r\n");
	struct outcome o = feed(DATA_BINARY, in, 4);
	assert_int_equal(o.bad, DATA_GOOD);
	assert_int_equal(o.len, in.len);
	assert_memory_equal(o.text, in.p, in.len);
}

/* Sizes around the place where the buffer goes to a memory file. */
static void large_message(size_t lines)
{
	struct data d;
	struct body body;
	enum data_result r;
	size_t head = 0, n = 0, want = lines * 64 + 6;
	char line[66];
	memset(line, 'y', 64);
	line[0] = '.';
	line[1] = '.';
	put(line + 63, SLICE("\r\n"));
	data_init(&d, DATA_DOTS, 1 << 30, 1000, 0, x_prefix, &head);
	for (size_t i = 0; i < lines; i++)
		assert_int_equal(data_feed(&d, (struct slice){line, 65}, &r), 65);
	data_feed(&d, SLICE(".\r\n"), &r);
	assert_int_equal(r, DATA_END);
	assert_true(data_finish(&d, &body));
	assert_int_equal(body.size, want);
	assert_true(head > 0);
	char *all = mem_alloc(want + 1);
	if (body.fd < 0) {
		assert_true(want <= IPC_INLINE_BODY);
		memcpy(all, body.bytes.p, want);
	} else {
		assert_true(want > IPC_INLINE_BODY - DATA_HEADROOM);
		while (n < want)
			n += (size_t)read(body.fd, all + n, want - n);
		assert_int_equal(read(body.fd, all + n, 1), 0);
	}
	assert_memory_equal(all, "X: 1\r\n.yy", 9);
	for (size_t i = 0; i < lines; i++)
		assert_memory_equal(all + 6 + i * 64, line + 1, 64);
	free(all);
	data_free(&d);
}

static void large_messages(void **state)
{
	(void)state;
	for (size_t lines = 4060; lines < 4100; lines++)
		large_message(lines);
	large_message(50000);
}

/* Puts n KiB into the message. */
static void fill(struct data *d, unsigned n)
{
	char kib[1024];
	enum data_result r;
	memset(kib, 'y', sizeof(kib));
	put(kib + sizeof(kib) - 2, SLICE("\r\n"));
	while (n--)
		data_feed(d, (struct slice){kib, sizeof(kib)}, &r);
}

static void large(struct data *d, unsigned n)
{
	data_init(d, DATA_DOTS, 4 << 20, 2000, 0, no_prefix, NULL);
	fill(d, n);
}

static void memory_is_shared(void **state)
{
	(void)state;
	struct data a, b, c;
	conf.message_memory = 1 << 20;
	large(&a, 3000); /* alone it may be larger than all */
	assert_int_equal(a.bad, DATA_GOOD);
	large(&b, 600);
	assert_int_equal(b.bad, DATA_NO_SPACE);
	large(&c, 200); /* not in a memory file */
	assert_int_equal(c.bad, DATA_GOOD);
	data_free(&a);
	data_free(&b);
	assert_int_equal(data_held(), 0);
	fill(&c, 700);
	assert_int_equal(c.bad, DATA_GOOD);
	assert_true(data_held() > 0);
	data_free(&c);
}

static void what_is_spoiled_is_not_kept(void **state)
{
	(void)state;
	struct data d;
	conf.message_memory = 1 << 20;
	large(&d, 5000);
	assert_int_equal(d.bad, DATA_TOO_BIG);
	assert_int_equal(data_held(), 0);
	assert_int_equal(d.fd, -1);
	data_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_message_every_cut),
	    cmocka_unit_test(stuffed_dots_every_cut),
	    cmocka_unit_test(empty_message),
	    cmocka_unit_test(what_follows_is_left),
	    cmocka_unit_test(bare_line_ends_spoil),
	    cmocka_unit_test(nul_spoils),
	    cmocka_unit_test(long_line_spoils),
	    cmocka_unit_test(too_big_spoils),
	    cmocka_unit_test(lookalikes_are_caught),
	    cmocka_unit_test(chunk_lines_keep_dots),
	    cmocka_unit_test(binary_takes_all),
	    cmocka_unit_test(large_messages),
	    cmocka_unit_test(memory_is_shared),
	    cmocka_unit_test(what_is_spoiled_is_not_kept),
	};
	return cmocka_run_group_tests_name("smtpd_data", tests, NULL, NULL);
}
