/* Lines, addresses and the header: what sendmail makes of what it reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "sendmail/sendmail.h"

static struct pool *pool;

static char *lines(struct slice in, bool ignore_dots, size_t piece)
{
	struct text t;
	text_init(&t, ignore_dots);
	for (size_t i = 0; i < in.len; i += piece)
		text_add(&t, (struct slice){in.p + i, in.len - i < piece ? in.len - i : piece});
	assert_true(text_finish(&t));
	char *out = pool_strndup(pool, t.out.len ? t.out.p : "", t.out.len);
	buf_free(&t.out);
	return out;
}

static void lines_of_any_kind(void **state)
{
	(void)state;
	static const struct {
		struct slice in;
		const char *out, *dots_kept;
	} CASES[] = {
	    {{"a\nb\n", 4}, "a\r\nb\r\n", NULL},
	    {{"a\r\nb", 4}, "a\r\nb\r\n", NULL},
	    {{"a\r\r\nb\n", 6}, "a\r\nb\r\n", NULL},
	    {{"a\rb\n", 4}, "a b\r\n", NULL},
	    {{"a\r", 2}, "a\r\n", NULL},
	    {{"a\0b\n", 4}, "ab\r\n", NULL},
	    {{"a\n.\nb\n", 6}, "a\r\n", "a\r\n.\r\nb\r\n"},
	    {{"a\n.\r\nb\n", 7}, "a\r\n", "a\r\n.\r\nb\r\n"},
	    {{".\n", 2}, "", ".\r\n"},
	    {{"..\n.x\n", 6}, "..\r\n.x\r\n", NULL},
	    {{"\n\n", 2}, "\r\n\r\n", NULL},
	    {{"", 0}, "", NULL},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		for (size_t piece = 1; piece < 8; piece++) {
			const char *kept = CASES[i].dots_kept ? CASES[i].dots_kept : CASES[i].out;
			assert_string_equal(lines(CASES[i].in, false, piece), CASES[i].out);
			assert_string_equal(lines(CASES[i].in, true, piece), kept);
		}
}

static const char *joined(struct rcpts *r)
{
	const char *all = "";
	for (size_t i = 0; i < r->n; i++)
		all = pool_printf(pool, "%s%s%s", all, i ? " " : "", r->addr[i]);
	rcpts_free(r);
	return all;
}

static void recipients_of_lists(void **state)
{
	(void)state;
	struct rcpts r;
	rcpts_init(&r, pool);
	rcpts_add(&r,
		  SLICE("root, Bob <bob@B.test>, \\joe, \"a b\"@c.test, bob@b.test, g: x@y, z;"));
	assert_null(r.bad);
	assert_string_equal(joined(&r), "root bob@b.test joe \"a b\"@c.test x@y z");
	rcpts_init(&r, pool);
	rcpts_add(&r, SLICE("a b c, a@b@c"));
	assert_string_equal(joined(&r), "\"a b c\" \"a@b\"@c");
	static const char *const BAD[] = {"<a@-b>", "a..b@c", "a@[b]", "<>"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		rcpts_init(&r, pool);
		rcpts_add(&r, slice_of(BAD[i]));
		if (!r.bad && r.n)
			fail_msg("%s is %s", BAD[i], r.addr[0]);
		rcpts_free(&r);
	}
}

static void senders(void **state)
{
	(void)state;
	const char *a, *name;
	assert_true(sender_parse(pool, "", &a, &name) && !*a);
	assert_true(sender_parse(pool, "<>", &a, &name) && !*a);
	assert_true(sender_parse(pool, "www", &a, &name) && strcmp(a, "www") == 0 && !name);
	assert_true(sender_parse(pool, "W W <www@A.test>", &a, &name));
	assert_string_equal(a, "www@a.test");
	assert_string_equal(name, "W W");
	assert_false(sender_parse(pool, "a@b, c@d", &a, &name));
	assert_false(sender_parse(pool, "a@b> SIZE=1\r\nRCPT TO:<c@d", &a, &name));
	assert_string_equal(qualified(pool, "a", "h.test"), "a@h.test");
	assert_string_equal(qualified(pool, "\"a@b\"", "h.test"), "\"a@b\"@h.test");
	assert_string_equal(qualified(pool, "a@b", "h.test"), "a@b");
	assert_string_equal(qualified(pool, "", "h.test"), "");
}

/* The header that is written; *to gets the recipients of -t, *body what follows. */
static const char *written(const char *text, const char **to, const char **body)
{
	struct head h;
	struct rcpts r;
	struct buf out = {0};
	rcpts_init(&r, pool);
	struct head_ask ask = {.text = slice_of(text), .extract = true, .rcpts = &r};
	head_read(&ask, &h);
	struct head_write w = {.text = ask.text,
			       .domain = "h.test",
			       .from = "joe@h.test",
			       .name = "Joe (X) User",
			       .date = "DATE"};
	head_write(pool, &h, &w, &out);
	*to = joined(&r);
	*body = text + h.body;
	const char *copy = pool_strndup(pool, out.p, out.len);
	buf_free(&out);
	return copy;
}

static void headers(void **state)
{
	(void)state;
	static const struct {
		const char *in, *to, *head, *body;
	} CASES[] = {
	    /* as it stands; From is added */
	    {"To: a@x\r\nSubject: s\r\n t\r\n\r\nhi\r\n", "a@x",
	     "To: a@x\r\nSubject: s\r\n t\r\nFrom: \"Joe (X) User\" <joe@h.test>\r\n\r\n",
	     "hi\r\n"},
	    /* Bcc is heard and not passed on, wherever it stands and however it is written */
	    {"bcc: b@x,\r\n c@x\r\nFrom: a@x\r\nTO: d@x\r\nBCC : e@x\r\n\r\n", "b@x c@x d@x e@x",
	     "From: a@x\r\nTO: d@x\r\n\r\n", ""},
	    /* addresses get a domain */
	    {"From: root (Cron Daemon)\r\nTo: root, B B <b>, c@x\r\nCc: us: d, e@x;\r\n\r\nhi\r\n",
	     "root b c@x d e@x",
	     "From: Cron Daemon <root@h.test>\r\nTo: root@h.test,\r\n\tB B <b@h.test>,\r\n\tc@x\r\n"
	     "Cc: us: d@h.test,\r\n\te@x;\r\n\r\n",
	     "hi\r\n"},
	    /* no header at all, and one that ends in what is none */
	    {"hello\r\nTo: a@x\r\n", "", "From: \"Joe (X) User\" <joe@h.test>\r\n\r\n",
	     "hello\r\nTo: a@x\r\n"},
	    {"From: a@x\r\nhello\r\n", "", "From: a@x\r\n\r\n", "hello\r\n"},
	    {"", "", "From: \"Joe (X) User\" <joe@h.test>\r\n\r\n", ""},
	    /* a line of a mailbox file */
	    {"From joe Tue Nov 24\r\nFrom: a@x\r\n\r\nhi\r\n", "", "From: a@x\r\n\r\n", "hi\r\n"},
	    /* a resending: its own recipients; the older one's are history */
	    {"Resent-To: n@x\r\nResent-Bcc: m@x\r\nResent-To: o@x\r\nTo: a@x\r\nBcc: b@x\r\n"
	     "From: c@x\r\nReturn-Path: <z@x>\r\n\r\n",
	     "n@x m@x",
	     "Resent-Date: DATE\r\nResent-From: \"Joe (X) User\" <joe@h.test>\r\nResent-To: n@x\r\n"
	     "Resent-To: o@x\r\nTo: a@x\r\nFrom: c@x\r\n\r\n",
	     ""},
	    {"Resent-To: n@x\r\nResent-From: p@x\r\nResent-Date: d\r\nReceived: x\r\nResent-Cc: "
	     "o@x\r\n"
	     "From: c@x\r\n\r\n",
	     "n@x",
	     "Resent-To: n@x\r\nResent-From: p@x\r\nResent-Date: d\r\nReceived: x\r\nResent-Cc: "
	     "o@x\r\n"
	     "From: c@x\r\n\r\n",
	     ""},
	    /* an empty From is none */
	    {"From:  \r\nTo: a@x\r\n\r\n", "a@x",
	     "To: a@x\r\nFrom: \"Joe (X) User\" <joe@h.test>\r\n\r\n", ""},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		const char *to, *body;
		assert_string_equal(written(CASES[i].in, &to, &body), CASES[i].head);
		assert_string_equal(to, CASES[i].to);
		assert_string_equal(body, CASES[i].body);
	}
}

static void names_in_fields(void **state)
{
	(void)state;
	static const char *const CASES[][2] = {
	    {"Joe User", "Joe User"},
	    {"Joe \"J\" User", "\"Joe \\\"J\\\" User\""},
	    {"a\r\nBcc: x@y", "\"a  Bcc: x@y\""},
	    {"J\xc3\xb6rg", "=?UTF-8?B?SsO2cmc=?="},
	    {"\xff,", "\" ,\""},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct buf out = {0};
		phrase_add(&out, slice_of(CASES[i][0]));
		assert_string_equal(buf_cstr(&out), CASES[i][1]);
		buf_free(&out);
	}
}

static int setup(void **state)
{
	(void)state;
	pool = pool_new(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pool_free(&pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_of_any_kind), cmocka_unit_test(recipients_of_lists),
	    cmocka_unit_test(senders),           cmocka_unit_test(headers),
	    cmocka_unit_test(names_in_fields),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
