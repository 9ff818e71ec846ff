/* Replies of servers: codes, statuses, texts, limits, and what is no reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "smtpd/out.h"

static struct out_reply r;

/* The outcome of the whole text, which is the same in pieces of any size. */
static enum out_reply_result feed(const char *text, size_t *used)
{
	struct slice in = slice_of(text);
	enum out_reply_result result = OUT_REPLY_MORE;
	for (size_t piece = 1; piece <= in.len; piece++) {
		size_t at = 0;
		out_reply_clear(&r);
		for (result = OUT_REPLY_MORE; at < in.len && result == OUT_REPLY_MORE;) {
			size_t n = in.len - at < piece ? in.len - at : piece, took;
			result = out_reply_feed(&r, (struct slice){in.p + at, n}, &took);
			at += took;
		}
		*used = at;
	}
	return result;
}

static void assert_reply(const char *text, unsigned code, const char *status, const char *want)
{
	size_t used;
	char full[12];
	assert_int_equal(feed(text, &used), OUT_REPLY_DONE);
	assert_int_equal(r.code, code);
	assert_string_equal(out_reply_status(&r, full), status);
	assert_string_equal(buf_cstr(&r.text), want);
	assert_int_equal(used, strlen(text));
}

static void replies_are_read(void **state)
{
	(void)state;
	assert_reply("250 ok\r\n", 250, "2.0.0", "ok");
	assert_reply("250\r\n", 250, "2.0.0", "");
	assert_reply("250 \r\n", 250, "2.0.0", "");
	assert_reply("250 ok\n", 250, "2.0.0", "ok");
	assert_reply("550 5.1.1 no such user\r\n", 550, "5.1.1", "no such user");
	assert_reply("550 5.1.1\r\n", 550, "5.1.1", "");
	assert_reply("250-mx.b.test\r\n250-PIPELINING\r\n250 SIZE 10\r\n", 250, "2.0.0",
		     "mx.b.test\nPIPELINING\nSIZE 10");
	assert_reply("452-4.2.2 full\r\n452 4.2.2  \tmailbox\r\n", 452, "4.2.2", "full\nmailbox");
	assert_reply("250-a\r\n251 b\r\n", 251, "2.0.0", "a\nb");
}

static void statuses_that_do_not_fit_are_text(void **state)
{
	(void)state;
	assert_reply("550 4.1.1 x\r\n", 550, "5.0.0", "4.1.1 x");
	assert_reply("550 5.1 x\r\n", 550, "5.0.0", "5.1 x");
	assert_reply("550 5.1.1.1 x\r\n", 550, "5.0.0", "5.1.1.1 x");
	assert_reply("550 5.1234.1 x\r\n", 550, "5.0.0", "5.1234.1 x");
	assert_reply("550 5.1.1x\r\n", 550, "5.0.0", "5.1.1x");
	assert_reply("354 5.1.1 x\r\n", 354, "3.0.0", "5.1.1 x");
}

static void texts_are_printable(void **state)
{
	(void)state;
	assert_reply("550 a\tb\001\033[2J\rc\177\r\n", 550, "5.0.0", "a b??[2J?c?");
	assert_reply("550 h\303\244re \303(\377 \302\205\r\n", 550, "5.0.0", "h\303\244re ?(? ??");
	/* Text that would run backwards. */
	assert_reply("550 a\342\200\256b\342\201\247\342\201\251 \342\202\254\r\n", 550, "5.0.0",
		     "a???b?????? \342\202\254");
}

static void what_is_no_reply_is_refused(void **state)
{
	(void)state;
	static const char *const BAD[] = {"\r\n",
					  "ok\r\n",
					  "25 x\r\n",
					  "2500 x\r\n",
					  "150 x\r\n",
					  "650 x\r\n",
					  "25x\r\n",
					  "250\tx\r\n",
					  " 250 x\r\n",
					  "250x\r\n",
					  "250-a\r\n550 b\r\n",
					  "250-a\r\nb\r\n"};
	size_t used;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		assert_int_equal(feed(BAD[i], &used), OUT_REPLY_BAD);
		assert_non_null(r.why);
	}
}

static void a_reply_ends_where_it_ends(void **state)
{
	(void)state;
	size_t used;
	assert_int_equal(feed("250 one\r\n250 two\r\n", &used), OUT_REPLY_DONE);
	assert_int_equal(used, 9);
	assert_int_equal(feed("250-one\r\n", &used), OUT_REPLY_MORE);
	assert_int_equal(feed("250 one\r", &used), OUT_REPLY_MORE);
}

static void limits_hold(void **state)
{
	(void)state;
	char *line = malloc(OUT_REPLY_TOTAL);
	size_t used;
	out_reply_clear(&r);
	for (int i = 0; i < OUT_REPLY_LINES; i++)
		assert_int_equal(out_reply_feed(&r, SLICE("250-x\r\n"), &used), OUT_REPLY_MORE);
	assert_int_equal(out_reply_feed(&r, SLICE("250 x\r\n"), &used), OUT_REPLY_BAD);

	/* A long line is cut, its end is seen. */
	out_reply_clear(&r);
	memset(line, 'x', OUT_REPLY_TOTAL);
	str_fmt(line, 11, "550 5.7.1 ");
	line[10] = 'x';
	assert_int_equal(out_reply_feed(&r, (struct slice){line, 5000}, &used), OUT_REPLY_MORE);
	assert_int_equal(out_reply_feed(&r, SLICE("\r\n250"), &used), OUT_REPLY_DONE);
	assert_int_equal(used, 2);
	assert_int_equal(r.text.len, OUT_REPLY_LINE - 10);

	/* A line without an end is not read for ever. */
	out_reply_clear(&r);
	assert_int_equal(out_reply_feed(&r, (struct slice){line, OUT_REPLY_TOTAL}, &used),
			 OUT_REPLY_MORE);
	assert_int_equal(out_reply_feed(&r, SLICE("x"), &used), OUT_REPLY_BAD);
	free(line);
}

static int drop(void **state)
{
	(void)state;
	out_reply_free(&r);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replies_are_read),
	    cmocka_unit_test(statuses_that_do_not_fit_are_text),
	    cmocka_unit_test(texts_are_printable),
	    cmocka_unit_test(what_is_no_reply_is_refused),
	    cmocka_unit_test(a_reply_ends_where_it_ends),
	    cmocka_unit_test(limits_hold),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, drop);
}
