/* mail/word, mail/cte, mail/charset, mail/date, mail/addrlist: odd values that real mail has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "libcommon/mail/addrlist.h"
#include "libcommon/mail/charset.h"
#include "libcommon/mail/cte.h"
#include "libcommon/mail/date.h"
#include "libcommon/mail/word.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void encoded_words_become_utf8(void **state)
{
	(void)state;
	static const char *const row[][2] = {
	    {"plain", "plain"},
	    {"=?utf-8?q?caf=C3=A9_au_lait?=", "caf\303\251 au lait"},
	    {"=?UTF-8?B?Y2Fmw6k=?= bar", "caf\303\251 bar"},
	    {"=?iso-8859-1?Q?a?= =?iso-8859-1?Q?b?=", "ab"},
	    {"=?iso-8859-1?Q?a?=\r\n =?utf-8?Q?b?= c", "ab c"},
	    {"=?iso-8859-1?Q?a?= x =?utf-8?Q?b?=", "a x b"},
	    {"=?utf-8?Q?=C3?= =?utf-8?Q?=A9?=", "\303\251"},
	    {"=?utf-8?B?w6?= =?utf-8?B?k=?=", "\303"},
	    {"(=?utf-8?q?x?=)", "(x)"},
	    {"a=?utf-8?q?x?=b", "axb"},
	    {"=?utf-8*en?q?x?=", "x"},
	    {"=?utf-8?q?"
	     "?=",
	     ""},
	    {"=?utf-8?x?y?=", "=?utf-8?x?y?="},
	    {"=?utf-8?q?x", "=?utf-8?q?x"},
	    {"=?utf-8?q?x y?=", "x y"},
	    {"=?utf-8?q?=0D=0ABcc:_x?=", "  Bcc: x"},
	    {"=?utf-8?q?=ZZ=4?=", "=ZZ=4"},
	    {"=?koi8-r?B?8NLJ18XU?=", "\320\237\321\200\320\270\320\262\320\265\321\202"},
	    {"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\346\227\245\346\234\254"},
	    {"=?gb2312?B?xOO6ww==?=", "\344\275\240\345\245\275"},
	    {"=?x-unknown?q?caf=E9?=", "caf\303\251"},
	    {"raw \303\251 and", "raw \303\251 and"},
	    {"raw \351 and", "raw \303\251 and"},
	    {"fold\r\n ed\tx", "fold ed x"},
	    {"=?=?=?utf-8?q?x?=", "=?=?x"},
	    {"100% = ? =", "100% = ? ="},
	};
	for (size_t i = 0; i < COUNT(row); i++) {
		struct buf out;
		buf_init(&out, 0);
		assert_true(word_decode(&out, slice_of(row[i][0])));
		if (i == 7) /* the first half of a character alone */
			assert_true(str_utf8(buf_slice(&out)));
		else
			assert_string_equal(buf_cstr(&out), row[i][1]);
		buf_free(&out);
	}
}

static void charsets_give_wellformed_utf8(void **state)
{
	(void)state;
	static const struct {
		const char *charset, *in, *want;
	} row[] = {
	    {"windows-1252", "\200 \223x\224 \201",
	     "\342\202\254 \342\200\234x\342\200\235 \357\277\275"},
	    {"UTF-8", "a\303(b", "a\357\277\275(b"},
	    {"us-ascii", "caf\303\251", "caf\303\251"},
	    {"iso-8859-15", "\244", "\342\202\254"},
	    {"utf-16le", "a\0b", NULL},
	    {"shift_jis", "\223\372", "\346\227\245"},
	    {"", "caf\351", "caf\303\251"},
	    {"big5", "\377\377", NULL},
	    {"utf-7", "a+ACE-b", "a!b"},
	};
	for (size_t i = 0; i < COUNT(row); i++) {
		struct buf out;
		buf_init(&out, 0);
		assert_true(charset_utf8(&out, slice_of(row[i].in), slice_of(row[i].charset)));
		assert_true(str_utf8(buf_slice(&out)));
		if (row[i].want)
			assert_string_equal(buf_cstr(&out), row[i].want);
		buf_free(&out);
	}
}

static void transfer_encodings_are_undone(void **state)
{
	(void)state;
	static const struct {
		const char *kind, *in, *want;
	} row[] = {
	    {"base64", "aGVs\r\nbG8=\r\n", "hello"},
	    {"BASE64", "aGVsbG8", "hello"},
	    {"base64", "aGk=aGk=", "hihi"},
	    {"base64", "a*G!k", "hi"},
	    {" quoted-printable ", "a=3Db=\r\nc=20 \r\n", "a=bc  \r\n"},
	    {"quoted-printable", "a= \t\r\nb=\nc", "abc"},
	    {"quoted-printable", "a=x=4", "a=x=4"},
	    {"quoted-printable", "a=", "a"},
	    {"8bit", "a=3D", "a=3D"},
	    {"x-uuencode", "a=3D", "a=3D"},
	};
	for (size_t i = 0; i < COUNT(row); i++) {
		struct buf out;
		buf_init(&out, 0);
		assert_true(cte_decode(&out, slice_of(row[i].in), cte_kind(slice_of(row[i].kind))));
		assert_string_equal(buf_cstr(&out), row[i].want);
		buf_free(&out);
	}
	assert_int_equal(cte_kind(SLICE("")), CTE_IDENTITY);
	assert_int_equal(cte_kind(SLICE("binary (x)")), CTE_IDENTITY);
	assert_int_equal(cte_kind(SLICE("x-uuencode")), CTE_UNKNOWN);
}

static void parameters_are_found(void **state)
{
	(void)state;
	static const struct {
		const char *raw, *name, *want; /* want NULL: not there */
	} row[] = {
	    {"text/plain; charset=us-ascii", "charset", "us-ascii"},
	    {"text/plain; CHARSET = \"us-ascii\" ; x=y", "charset", "us-ascii"},
	    {"text/plain;charset=us-ascii (a comment; charset=x)", "charset", "us-ascii"},
	    {"text/plain (c); (d) charset (e) = (f) x (g); y=z", "charset", "x"},
	    {"multipart/mixed; boundary=\"a;b\\\"c\"", "boundary", "a;b\"c"},
	    {"multipart/mixed;\r\n\tboundary=\"----=_x\"", "boundary", "----=_x"},
	    {"multipart/mixed; boundary=----=_x;", "boundary", "----=_x"},
	    {"multipart/mixed boundary=x", "boundary", NULL},
	    {"multipart/mixed; boundary", "boundary", NULL},
	    {"multipart/mixed; ; ;boundary=x", "boundary", "x"},
	    {"attachment; filename=My Report.pdf; size=3", "filename", "My Report.pdf"},
	    {"attachment; filename=\"no end", "filename", "no end"},
	    {"attachment; filename=\"a\r\n b\"", "filename", "a b"},
	    {"attachment; filename*=utf-8''caf%C3%A9.txt", "filename", "caf\303\251.txt"},
	    {"attachment; filename*=iso-8859-1'fr'caf%E9", "filename", "caf\303\251"},
	    {"attachment; filename=x; filename*=utf-8''y", "filename", "y"},
	    {"attachment; filename*1=b; filename*0=a; filename*2=c", "filename", "abc"},
	    {"a; filename*0*=utf-8''%C3; filename*1*=%A9; filename*2=\"%41\"", "filename",
	     "\303\251%41"},
	    {"a; filename*0=a; filename*2=c", "filename", "a"},
	    {"a; filename*1=b", "filename", NULL},
	    {"a; filename*99999999999=b; filename*70=c", "filename", NULL},
	    {"a; filename*=%zz%4", "filename", "%zz%4"},
	    {"a; filename=\"=?utf-8?q?caf=C3=A9?=\"", "filename", "caf\303\251"},
	    {"a; filename=\"caf\351\"", "filename", "caf\303\251"},
	    {"a; filename=\"\"", "filename", ""},
	    {"a; filename=", "filename", ""},
	    {"a; name=x; filename=y", "name", "x"},
	    {"", "x", NULL},
	};
	struct pool *pool = pool_new(0);
	for (size_t i = 0; i < COUNT(row); i++) {
		struct slice v;
		bool found = params_find(pool, slice_of(row[i].raw), row[i].name, &v);
		if (found != (row[i].want != NULL))
			fail_msg("%s", row[i].raw);
		if (found && !slice_eqs(v, row[i].want))
			fail_msg("%s: %.*s", row[i].raw, SLICE_FMT(v));
	}
	pool_free(&pool);
}

static void parameters_come_in_order(void **state)
{
	(void)state;
	struct params p;
	struct slice n, v;
	struct slice first = params_begin(&p, SLICE(" text/html ; a=1; b=\"x;y\"; =q; c; d=2"));
	assert_true(slice_eqs(first, "text/html"));
	static const char *const want[][2] = {{"a", "1"}, {"b", "x;y"}, {"d", "2"}};
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_true(params_next(&p, &n, &v));
		assert_true(slice_eqs(n, want[i][0]));
		assert_true(slice_eqs(v, want[i][1]));
	}
	assert_false(params_next(&p, &n, &v));
}

static void dates_of_all_kinds_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		int64_t sec;
		int zone;
	} row[] = {
	    {"Mon, 23 Nov 2026 21:07:00 +0000", 1795468020, 0},
	    {"23 Nov 2026 21:07:00 +0000", 1795468020, 0},
	    {"Mon, 23 Nov 2026 22:07:00 +0100 (CET)", 1795468020, 60},
	    {"Mon,23 Nov 2026 15:37:00 -0530", 1795468020, -330},
	    {"Mon, 23 Nov 26 21:07 GMT", 1795468020, 0},
	    {"Mon, 23 Nov 126 21:07 UT", 1795468020, 0},
	    {"Mon, 23 Nov 2026 13:07:00 PST", 1795468020, -480},
	    {"Mon, 23 Nov 2026 17:07:00 EDT", 1795468020, -240},
	    {"Mon, 23 Nov 2026 21:07:00 A", 1795468020, 0},
	    {"Mon, 23 Nov 2026 21:07:00 Z", 1795468020, 0},
	    {"Mon, 23 Nov 2026 21:07:00", 1795468020, 0},
	    {"Mon, 23 Nov 2026 21:07:00 +01:00", 1795464420, 60},
	    {"Mon, 23 Nov 2026 21:07:00 XYZT", 1795468020, 0},
	    {"Mon, 23-Nov-2026 21:07:00 GMT", 1795468020, 0},
	    {"Mon Nov 23 21:07:00 2026", 1795468020, 0},
	    {"Mon Nov 23 13:07:00 PST 2026", 1795468020, -480},
	    {"Mon Nov 23 13:07:00 -0800 2026", 1795468020, -480},
	    {"Monday, November 23, 2026 9:07 PM", 1795468020, 0},
	    {"2026-11-23T21:07:00Z", 1795468020, 0},
	    {"2026-11-23 21:07:00.123 +0100", 1795464420, 60},
	    {"Mon, 23 Nov 2026 21.07.00 +0000", 1795468020, 0},
	    {"Mon,\r\n 23 (a (nested) comment 9) Nov 2026 21:07:00\r\n +0000", 1795468020, 0},
	    {"Thu, 1 Jan 1970 00:00:00 +0000", 0, 0},
	    {"Wed, 31 Dec 1969 23:59:59 +0000", -1, 0},
	    {"Sat, 29 Feb 2020 00:00:00 +0000", 1582934400, 0},
	    {"Sat, 31 Dec 2016 23:59:60 +0000", 1483228800, 0},
	    {"1 Jan 99 00:00 +0000", 915148800, 0},
	    {"Fri, 1 Jan 2038 00:00:00 +0000", 2145916800, 0},
	};
	static const char *const bad[] = {"",
					  "yesterday",
					  "Mon, 32 Nov 2026 21:07:00 +0000",
					  "Mon, 23 Nov 2026 25:07:00 +0000",
					  "Mon, 23 Nov 2026 21:61:00 +0000",
					  "23 2026 21:07",
					  "Nov 2026",
					  "99999999999999999999",
					  "1 Jan 999999999 00:00"};
	struct date d;
	for (size_t i = 0; i < COUNT(row); i++) {
		if (!date_parse(slice_of(row[i].in), &d))
			fail_msg("%s", row[i].in);
		if (d.sec != row[i].sec || d.zone != row[i].zone)
			fail_msg("%s: %lld %d", row[i].in, (long long)d.sec, d.zone);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		if (date_parse(slice_of(bad[i]), &d))
			fail_msg("%s", bad[i]);
}

static void dates_of_the_net(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		int64_t sec;
		int zone;
	} row[] = {
	    {"2026-11-23T21:07:00Z", 1795468020, 0},
	    {"2026-11-23t21:07:00.25z", 1795468020, 0},
	    {"2026-11-23T22:07:00+01:00", 1795468020, 60},
	    {"2026-11-23T13:37:00.1-07:30", 1795468020, -450},
	    {"2020-02-29T00:00:00Z", 1582934400, 0},
	};
	static const char *const bad[] = {"",
					  "2026-11-23",
					  "2026-11-23T21:07:00",
					  "2026-11-23 21:07:00Z",
					  "2026-11-23T21:07Z",
					  "2026-11-23T24:00:00Z",
					  "2026-13-23T21:07:00Z",
					  "2026-11-31T21:07:00Z",
					  "2026-11-23T21:60:00Z",
					  "2026-11-23T21:07:00.Z",
					  "2026-11-23T21:07:00.5",
					  "2026-11-23T21:07:00+0100",
					  "2026-11-23T21:07:00+24:00",
					  "2026-11-23T21:07:00Z ",
					  "2026-1a-23T21:07:00Z"};
	struct date d;
	for (size_t i = 0; i < COUNT(row); i++) {
		if (!date_rfc3339(slice_of(row[i].in), &d))
			fail_msg("%s", row[i].in);
		if (d.sec != row[i].sec || d.zone != row[i].zone)
			fail_msg("%s: %lld %d", row[i].in, (long long)d.sec, d.zone);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		if (date_rfc3339(slice_of(bad[i]), &d))
			fail_msg("%s", bad[i]);
}

/* "name|route|local|domain" per mailbox, "{name" and "}" around groups, one space between. */
static char *list_text(struct pool *pool, const char *raw)
{
	struct buf b;
	buf_init(&b, 0);
	for (struct addrlist *a = addrlist_parse(pool, slice_of(raw), NULL); a; a = a->next) {
		if (b.len)
			buf_addc(&b, ' ');
		if (a->kind == ADDRLIST_GROUP)
			buf_printf(&b, "{%.*s", SLICE_FMT(a->name));
		else if (a->kind == ADDRLIST_END)
			buf_addc(&b, '}');
		else
			buf_printf(&b, "%.*s|%.*s|%.*s|%.*s", SLICE_FMT(a->name),
				   SLICE_FMT(a->route), SLICE_FMT(a->local), SLICE_FMT(a->domain));
	}
	char *s = pool_strndup(pool, buf_slice(&b).p, b.len);
	buf_free(&b);
	return s;
}

static void address_lists_of_all_kinds_are_read(void **state)
{
	(void)state;
	static const char *const row[][2] = {
	    {"a@b.test", "||a|b.test"},
	    {"A <a@b.test>", "A||a|b.test"},
	    {"\"A, B\" <a@b.test>,c@d.test", "A, B||a|b.test ||c|d.test"},
	    {"\"A \\\"x\\\" \\\\B\"<a@b.test>", "A \"x\" \\B||a|b.test"},
	    {"John Q. Public <a@b.test>", "John Q. Public||a|b.test"},
	    {"a@b.test (John (Q) Public)", "John (Q) Public||a|b.test"},
	    {"<a@b.test> (John)", "John||a|b.test"},
	    {"A (x) B <a@b.test>", "A B||a|b.test"},
	    {"<@r1.test,@r2.test:a@b.test>", "|@r1.test,@r2.test|a|b.test"},
	    {"G: A <a@b.test>, c@d.test;", "{G A||a|b.test ||c|d.test }"},
	    {"undisclosed-recipients:;", "{undisclosed-recipients }"},
	    {"Undisclosed recipients: ;, x@y.test", "{Undisclosed recipients } ||x|y.test"},
	    {"G: a@b.test", "{G ||a|b.test }"},
	    {"\"a@x\" <a@b.test>", "a@x||a|b.test"},
	    {"a@x <a@b.test>", "a@x||a|b.test"},
	    {"\"a b\"@c.test", "||a b|c.test"},
	    {"\"a@b\"@c.test", "||a@b|c.test"},
	    {"a @ b . test", "||a|b.test"},
	    {"a.(x)b@c.test", "x||a.b|c.test"},
	    {"a@b@c.test", "||a@b|c.test"},
	    {"a@[192.0.2.1]", "||a|[192.0.2.1]"},
	    {"<a@b.test", "||a|b.test"},
	    {"<<a@b.test>>", "||a|b.test"},
	    {"A <a@b.test> junk, c@d.test", "A||a|b.test ||c|d.test"},
	    {"A <>", "A|||"},
	    {"<>", "|||"},
	    {"Alice", "||Alice|"},
	    {"Alice Smith", "||Alice Smith|"},
	    {"a@b.test; c@d.test", "||a|b.test ||c|d.test"},
	    {", ,a@b.test,,", "||a|b.test"},
	    {"=?utf-8?q?a,b?= <a@b.test>", "=?utf-8?q?a,b?=||a|b.test"},
	    {"=?utf-8?q?(x)?= =?utf-8?q?y?= <a@b.test>", "=?utf-8?q?(x)?= =?utf-8?q?y?=||a|b.test"},
	    {"\"A\r\n B\" <a@b.test>,\r\n c@d.test", "A B||a|b.test ||c|d.test"},
	    {"A\r\n B <a@b.test>", "A B||a|b.test"},
	    {"\303\204 <\303\244@b.test>", "\303\204||\303\244|b.test"},
	    {"A \"x <a@b.test>", "A \"x||a|b.test"},
	    {"a@b.test (no end", "no end||a|b.test"},
	    {"(only a comment)", "only a comment|||"},
	    {"mailto:a@b.test", "{mailto ||a|b.test }"},
	    {"\"\"<a@b.test>", "||a|b.test"},
	    {"'A' <a@b.test>", "'A'||a|b.test"},
	    {"A <a@b.test", "A||a|b.test"},
	    {"A <a, b@c.test>", "A||a, b|c.test"},
	    {"", ""},
	    {" \r\n ", ""},
	};
	struct pool *pool = pool_new(0);
	for (size_t i = 0; i < COUNT(row); i++) {
		char *got = list_text(pool, row[i][0]);
		if (strcmp(got, row[i][1]) != 0)
			fail_msg("%s: %s", row[i][0], got);
	}
	pool_free(&pool);
}

static void long_lists_are_cut_and_cheap(void **state)
{
	(void)state;
	static const char *const piece[] = {"a@b.test,", "\"", "<", "(", "\"\\\"", "=?", ",", "<>"};
	struct pool *pool = pool_new(0);
	for (size_t i = 0; i < COUNT(piece); i++) {
		struct buf b;
		bool cut;
		buf_init(&b, 0);
		while (b.len < 200000)
			buf_adds(&b, piece[i]);
		addrlist_parse(pool, buf_slice(&b), &cut);
		assert_int_equal(cut, i == 0);
		buf_free(&b);
		pool_clear(pool);
	}
	pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(encoded_words_become_utf8),
	    cmocka_unit_test(charsets_give_wellformed_utf8),
	    cmocka_unit_test(transfer_encodings_are_undone),
	    cmocka_unit_test(parameters_are_found),
	    cmocka_unit_test(parameters_come_in_order),
	    cmocka_unit_test(dates_of_all_kinds_are_read),
	    cmocka_unit_test(dates_of_the_net),
	    cmocka_unit_test(address_lists_of_all_kinds_are_read),
	    cmocka_unit_test(long_lists_are_cut_and_cheap),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
