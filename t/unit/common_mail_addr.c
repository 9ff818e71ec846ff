/* mail/addr and mail/header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "libcommon/mail/addr.h"
#include "libcommon/mail/header.h"

#define T10 "aaaaaaaaaa"
#define T60 T10 T10 T10 T10 T10 T10

struct path_row {
	const char *in;
	unsigned flags;
	enum addr_result want;
	const char *text; /* canonical; NULL: not looked at */
};

static void paths_are_read_as_rfc5321_says(void **state)
{
	(void)state;
	static const struct path_row row[] = {
	    {"<alice@A.Test>", 0, ADDR_OK, "alice@a.test"},
	    {"<Alice@a.test> SIZE=1", 0, ADDR_OK, "Alice@a.test"},
	    {"<@x.test,@y.test:alice@a.test>", 0, ADDR_OK, "alice@a.test"},
	    {"<@x.test:alice@a.test>", 0, ADDR_OK, "alice@a.test"},
	    {"<>", ADDR_NULL, ADDR_OK, ""},
	    {"<>", 0, ADDR_SYNTAX, NULL},
	    {"<PostMaster>", ADDR_POSTMASTER, ADDR_OK, "postmaster"},
	    {"<PostMaster>", 0, ADDR_SYNTAX, NULL},
	    {"<root>", ADDR_POSTMASTER, ADDR_SYNTAX, NULL},
	    {"<Root>", ADDR_BARE, ADDR_OK, "Root"},
	    {"<root@>", ADDR_BARE, ADDR_SYNTAX, NULL},
	    {"<PostMaster>", ADDR_BARE | ADDR_POSTMASTER, ADDR_OK, "postmaster"},
	    {"<\"alice\"@a.test>", 0, ADDR_OK, "alice@a.test"},
	    {"<\"al\\ice\"@a.test>", 0, ADDR_OK, "alice@a.test"},
	    {"<\"al ice\"@a.test>", 0, ADDR_OK, "\"al ice\"@a.test"},
	    {"<\"a\\\"b\\\\c>@\"@a.test>", 0, ADDR_OK, "\"a\\\"b\\\\c>@\"@a.test"},
	    {"<\"\"@a.test>", 0, ADDR_OK, "\"\"@a.test"},
	    {"<a@[192.0.2.1]>", 0, ADDR_OK, "a@[192.0.2.1]"},
	    {"<a@[ipv6:2001:DB8::0001]>", 0, ADDR_OK, "a@[IPv6:2001:db8::1]"},
	    {"<a@[2001:db8::1]>", 0, ADDR_SYNTAX, NULL},
	    {"<a@[192.0.2.256]>", 0, ADDR_SYNTAX, NULL},
	    {"<a@[192.0.2.1>", 0, ADDR_SYNTAX, NULL},
	    {"<a@b..test>", 0, ADDR_SYNTAX, NULL},
	    {"<a@-b.test>", 0, ADDR_SYNTAX, NULL},
	    {"<a@b-.test>", 0, ADDR_SYNTAX, NULL},
	    {"<a@b.test.>", 0, ADDR_SYNTAX, NULL},
	    {"<a@>", 0, ADDR_SYNTAX, NULL},
	    {"<@b.test>", 0, ADDR_SYNTAX, NULL},
	    {"<a.@b.test>", 0, ADDR_SYNTAX, NULL},
	    {"<.a@b.test>", 0, ADDR_SYNTAX, NULL},
	    {"<a..b@b.test>", 0, ADDR_SYNTAX, NULL},
	    {"<a b@b.test>", 0, ADDR_SYNTAX, NULL},
	    {"<a@b.test", 0, ADDR_SYNTAX, NULL},
	    {"a@b.test", 0, ADDR_SYNTAX, NULL},
	    {"< a@b.test>", 0, ADDR_SYNTAX, NULL},
	    {"<\"a@b.test>", 0, ADDR_SYNTAX, NULL},
	    {"<\"a\\", 0, ADDR_SYNTAX, NULL},
	    {"<a@b@c.test>", 0, ADDR_SYNTAX, NULL},
	    {"<j\303\266rg@b.test>", ADDR_UTF8, ADDR_OK, "j\303\266rg@b.test"},
	    {"<j\303\266rg@b.test>", 0, ADDR_NEEDS_UTF8, NULL},
	    {"<a@b\303\274cher.test>", ADDR_UTF8, ADDR_OK, "a@b\303\274cher.test"},
	    {"<j\303@b.test>", ADDR_UTF8, ADDR_SYNTAX, NULL},
	    {"<" T60 "aaaa@b.test>", 0, ADDR_OK, T60 "aaaa@b.test"},
	    {"<" T60 "aaaaa@b.test>", 0, ADDR_LONG, NULL},
	    {"<a@" T60 "aaa.test>", 0, ADDR_OK, NULL},
	    {"<a@" T60 "aaaa.test>", 0, ADDR_LONG, NULL},
	    {"<aa@" T60 "." T60 "." T60 "." T60 "." T10 ">", 0, ADDR_LONG, NULL},
	    {"<a@" T60 "." T60 "." T60 "." T60 ".aaaaaaaa>", 0, ADDR_OK, NULL},
	    {"<aa@" T60 "." T60 "." T60 "." T60 ".aaaaaaaa>", 0, ADDR_LONG, NULL},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct addr a;
		size_t used;
		enum addr_result e = addr_path(slice_of(row[i].in), row[i].flags, &a, &used);
		if (e != row[i].want)
			fail_msg("%s: %d, not %d", row[i].in, e, row[i].want);
		if (row[i].text)
			assert_string_equal(a.text, row[i].text);
		if (e == ADDR_OK)
			assert_int_equal(row[i].in[used - 1], '>');
	}
}

static void mailboxes_are_taken_whole(void **state)
{
	(void)state;
	struct addr a;
	assert_int_equal(addr_mailbox(SLICE("\"a@b\"@C.test"), 0, &a), ADDR_OK);
	assert_true(slice_eqs(addr_domain(&a), "c.test"));
	assert_true(a.quoted);
	struct slice local, domain;
	addr_split(addr_text(&a), &local, &domain);
	assert_true(slice_eqs(local, "\"a@b\""));
	assert_true(slice_eqs(domain, "c.test"));
	assert_int_equal(addr_mailbox(SLICE("a@c.test "), 0, &a), ADDR_SYNTAX);
	assert_int_equal(addr_mailbox(SLICE("postmaster"), ADDR_POSTMASTER, &a), ADDR_SYNTAX);
	assert_int_equal(addr_mailbox(SLICE(""), ADDR_NULL, &a), ADDR_SYNTAX);
	assert_true(addr_domain_ok(SLICE("xn--bcher-kva.test"), 0));
	assert_false(addr_domain_ok(SLICE("[192.0.2.1]"), 0));
	assert_false(addr_domain_ok(SLICE(""), 0));
}

static void xtext_goes_there_and_back(void **state)
{
	(void)state;
	struct buf b;
	char out[64];
	buf_init(&b, 0);
	assert_true(xtext_encode(&b, SLICE("a+b=c d\x7f\xff")));
	assert_true(slice_eqs(buf_slice(&b), "a+2Bb+3Dc+20d+7F+FF"));
	assert_int_equal(xtext_decode(out, buf_slice(&b)), 9);
	assert_memory_equal(out, "a+b=c d\x7f\xff", 9);
	buf_free(&b);
	static const char *const bad[] = {"a+2", "a+", "+2b", "a=b", "a b", "+GG", "a\xff"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(xtext_decode(out, slice_of(bad[i])), -1);
}

static void fields_are_found_where_they_stand(void **state)
{
	(void)state;
	static const char text[] = "From x@y Mon Jan  1\r\nSubject: a\r\n b\r\n\tc\r\nTo :x\n"
				   "Empty:\r\n:none\r\nX: \xff\r\n\r\nBody: no\r\n";
	struct header_iter it;
	struct header_field f;
	header_begin(&it, SLICE(text), 0);
	assert_true(header_next(&it, &f));
	assert_int_equal(f.name.len, 0);
	assert_true(slice_eqs(f.raw, "From x@y Mon Jan  1"));
	assert_true(header_next(&it, &f));
	assert_true(slice_eqs(f.name, "Subject"));
	assert_true(slice_eqs(f.raw, " a\r\n b\r\n\tc"));
	assert_int_equal(f.off, 21);
	assert_int_equal(f.len, 20);
	assert_true(header_next(&it, &f));
	assert_true(slice_eqs(f.name, "To"));
	assert_true(slice_eqs(f.raw, "x"));
	assert_true(header_next(&it, &f));
	assert_true(slice_eqs(f.name, "Empty"));
	assert_int_equal(f.raw.len, 0);
	assert_true(header_next(&it, &f));
	assert_int_equal(f.name.len, 0);
	assert_true(header_next(&it, &f));
	assert_false(header_next(&it, &f));
	assert_string_equal(text + it.body, "Body: no\r\n");
	assert_false(it.cut);
	assert_int_equal(header_end(SLICE(text)), it.body);
	assert_true(header_find(SLICE(text), 0, "SUBJECT", &f));
	assert_false(header_find(SLICE(text), 0, "Body", &f));
}

static void headers_end_at_limits(void **state)
{
	(void)state;
	struct slice text = SLICE("A: 1\r\nB: 2\r\n 3\r\nC: 4");
	struct header_field f;
	struct header_iter it;
	for (size_t max = 1; max <= text.len; max++) {
		header_begin(&it, text, max);
		size_t n = 0;
		while (header_next(&it, &f)) {
			assert_true(f.off + f.len <= max);
			n++;
		}
		assert_int_equal(n, max < 7 ? 0 : max < 17 ? 1 : max < text.len ? 2 : 3);
		assert_int_equal(it.cut, max < text.len);
	}
	header_begin(&it, SLICE(""), 0);
	assert_false(header_next(&it, &f));
	assert_int_equal(it.body, 0);
}

static void folds_are_undone_and_cut(void **state)
{
	(void)state;
	char out[32];
	size_t n = header_unfold(out, sizeof(out), SLICE(" \r\n a\r\n b\n\tc \r\n "));
	assert_true(slice_eqs((struct slice){out, n}, "a b\tc"));
	n = header_unfold(out, 4, SLICE("abc\303\266d"));
	assert_true(slice_eqs((struct slice){out, n}, "abc"));
	n = header_unfold(out, 5, SLICE("abc\303\266d"));
	assert_true(slice_eqs((struct slice){out, n}, "abc\303\266"));
	assert_int_equal(header_unfold(out, sizeof(out), SLICE("\r\n \r\n ")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_are_read_as_rfc5321_says),
	    cmocka_unit_test(mailboxes_are_taken_whole),
	    cmocka_unit_test(xtext_goes_there_and_back),
	    cmocka_unit_test(fields_are_found_where_they_stand),
	    cmocka_unit_test(headers_end_at_limits),
	    cmocka_unit_test(folds_are_undone_and_cut),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
