/* Content on the wire: CRLF lines only, dots doubled, the same whatever the size of the pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "smtpd/out.h"

static struct buf encode(struct slice in, bool raw, bool dots, size_t room)
{
	struct out_text t = {.in = in, .raw = raw, .dots = dots};
	struct buf all = {0}, piece = {0};
	for (bool more = true; more;) {
		buf_clear(&piece);
		more = out_text_next(&t, &piece, room);
		assert_true(piece.len <= 2 * room + 3);
		buf_add_slice(&all, buf_slice(&piece));
	}
	buf_free(&piece);
	return all;
}

static void assert_text(const char *in, bool dots, const char *want)
{
	for (size_t room = 1; room < strlen(in) + 3; room++) {
		struct buf b = encode(slice_of(in), false, dots, room);
		assert_string_equal(buf_cstr(&b), want);
		if (!dots)
			assert_int_equal(b.len, out_text_size(slice_of(in), false));
		buf_free(&b);
	}
}

static void lines_end_in_crlf(void **state)
{
	(void)state;
	assert_text("", true, "");
	assert_text("a\r\nb\r\n", false, "a\r\nb\r\n");
	assert_text("a\nb\rc\r\n", false, "a\r\nb\r\nc\r\n");
	assert_text("\n\r\n\r", false, "\r\n\r\n\r\n");
	assert_text("a\r\r\nb", false, "a\r\n\r\nb\r\n");
	assert_text("last", false, "last\r\n");
	assert_text(".x\r\n.", false, ".x\r\n.\r\n");
}

static void dots_are_doubled(void **state)
{
	(void)state;
	assert_text(".", true, "..\r\n");
	assert_text(".\r\n..\r\n.x.\r\na.\r\n", true, "..\r\n...\r\n..x.\r\na.\r\n");
	/* What others might take for the end of the message. */
	assert_text("a\n.\nb\r.\rc\r\n.\rd", true, "a\r\n..\r\nb\r\n..\r\nc\r\n..\r\nd\r\n");
}

static void binary_stays_as_it_is(void **state)
{
	(void)state;
	struct slice in = SLICE("a\r\0\n.\n\r\n.");
	for (size_t room = 1; room < 12; room++) {
		struct buf b = encode(in, true, false, room);
		assert_int_equal(b.len, in.len);
		assert_memory_equal(b.p, in.p, in.len);
		buf_free(&b);
	}
	assert_int_equal(out_text_size(in, true), in.len);
}

static void binary_that_is_text_is_known(void **state)
{
	(void)state;
	static const char *const PLAIN[] = {"", "a: b\r\n\r\nx\r\n",
					    "Content-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa4\r\n",
					    "x\r\nContent-Transfer-Encoding:\r\n"};
	static const char *const NOT[] = {
	    "x",
	    "a\nb\r\n",
	    "a\rb\r\n",
	    "a\r\r\n",
	    "Content-Transfer-Encoding: binary\r\n",
	    "a: b\r\n\r\n--x\r\ncontent-transfer-encoding:\r\n\t BINARY\r\n\r\nx\r\n",
	    "Content-Transfer-Encoding: (really) binary\r\n"};
	struct buf line = {0};
	for (size_t i = 0; i < sizeof(PLAIN) / sizeof(PLAIN[0]); i++)
		assert_true(out_text_plain(slice_of(PLAIN[i])));
	for (size_t i = 0; i < sizeof(NOT) / sizeof(NOT[0]); i++)
		assert_false(out_text_plain(slice_of(NOT[i])));
	assert_false(out_text_plain(SLICE("a\0b\r\n")));
	while (line.len < 998)
		buf_addc(&line, 'x');
	buf_adds(&line, "\r\n");
	assert_true(out_text_plain(buf_slice(&line)));
	line.p[998] = 'x';
	line.p[999] = '\r';
	buf_addc(&line, '\n');
	assert_false(out_text_plain(buf_slice(&line)));
	buf_free(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_end_in_crlf),
	    cmocka_unit_test(dots_are_doubled),
	    cmocka_unit_test(binary_stays_as_it_is),
	    cmocka_unit_test(binary_that_is_text_is_known),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
