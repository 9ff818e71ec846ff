/* What stands for ALIAS records, as text and in files. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "dnsd/alias/alias.h"

static uint8_t wire[DNS_NAME_MAX];

static const uint8_t *name(const char *text)
{
	return dns_name_from_text(slice_of(text), wire) ? wire : NULL;
}

static void parsed_and_printed(const char *text, const char *want)
{
	struct alias_list l = {0};
	struct buf out;
	buf_init(&out, ALIAS_FILE);
	alias_parse_addresses(slice_of(text), &l);
	alias_text_addresses(&l, &out);
	assert_string_equal(buf_cstr(&out), want);
	buf_free(&out);
	alias_list_free(&l);
}

static void addresses_as_text(void **state)
{
	(void)state;
	parsed_and_printed("", "");
	parsed_and_printed("www.else.test 60 192.0.2.1 2001:db8::1 192.0.2.2\n",
			   "www.else.test 60 192.0.2.1 192.0.2.2 2001:db8::1\n");
	parsed_and_printed("Nothing.test 30\n", "nothing.test 30\n");
	parsed_and_printed("a.test 1 192.0.2.1\na.test 2 192.0.2.2\n", "a.test 1 192.0.2.1\n");
	/* What is not of this form. */
	parsed_and_printed("a.test\nb.test x 192.0.2.1\n..c 1 192.0.2.1\n\n d.test\n", "");
	parsed_and_printed("a.test 1 192.0.2 nonsense 192.0.2.1", "a.test 1 192.0.2.1\n");
	/* As many as fit. */
	char many[1024] = "a.test 5";
	for (unsigned i = 0; i < IMAGE_ADDRESSES + 4; i++)
		sprintf(many + strlen(many), " 192.0.2.%u", i);
	struct alias_list l = {0};
	alias_parse_addresses(slice_of(many), &l);
	assert_int_equal(l.target[0].found.a_n, IMAGE_ADDRESSES);
	alias_list_free(&l);
}

static void records_as_text(void **state)
{
	static const char TEXT[] = "a.test www.b.test\nWWW.b.test A.test\nx\n..y a\nz .. z\n";
	struct alias_list l = {0};
	struct buf out;
	(void)state;
	buf_init(&out, ALIAS_FILE);
	alias_parse_records(slice_of(TEXT), &l);
	alias_text_records(&l, &out);
	assert_string_equal(buf_cstr(&out), "a.test www.b.test\nwww.b.test a.test\n");
	const struct alias_target *a = alias_list_find(&l, name("a.test"));
	assert_true(a && dns_name_eq(a->to, name("www.b.test")));
	buf_free(&out);
	alias_list_free(&l);
}

static void targets_are_bounded(void **state)
{
	(void)state;
	struct alias_list l = {0};
	char text[32];
	for (int i = 0; i < ALIAS_TARGETS; i++) {
		sprintf(text, "n%d.test", i);
		assert_non_null(alias_list_add(&l, name(text)));
	}
	assert_null(alias_list_add(&l, name("more.test")));
	assert_ptr_equal(alias_list_add(&l, name("n7.test")), alias_list_find(&l, name("n7.test")));
	assert_int_equal(l.n, ALIAS_TARGETS);
	alias_list_free(&l);
}

static void files_and_the_book(void **state)
{
	(void)state;
	char path[] = "/tmp/hamlet-alias-XXXXXX";
	struct alias_book b;
	struct image_addresses found = {0};
	struct buf text;
	assert_non_null(mkdtemp(path));
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(alias_version(folder, "z"), 0);
	assert_true(beside_write(folder, "z", "addresses", slice_of("www.test 60 192.0.2.1\n")));
	uint64_t version = alias_version(folder, "z");
	assert_int_not_equal(version, 0);
	/* The same text is not written again. */
	assert_true(beside_write(folder, "z", "addresses", slice_of("www.test 60 192.0.2.1\n")));
	assert_int_equal(alias_version(folder, "z"), version);
	alias_book_open(&b, folder, "z");
	uint8_t other[DNS_NAME_MAX];
	dns_name_from_text(slice_of("other.test"), other);
	alias_book_find(&b, other, name("www.test"), &found);
	assert_int_equal(found.a_n, 1);
	assert_int_equal(found.ttl, 60);
	found = (struct image_addresses){0};
	alias_book_find(&b, other, name("new.test"), &found);
	assert_int_equal(found.a_n + found.aaaa_n, 0);
	assert_true(alias_book_close(&b));
	assert_true(beside_read(folder, "z", "targets", ALIAS_FILE, &text));
	assert_true(slice_eqs(buf_slice(&text), "new.test\nwww.test\n") ||
		    slice_eqs(buf_slice(&text), "www.test\nnew.test\n"));
	buf_free(&text);
	assert_true(beside_read(folder, "z", "aliases", ALIAS_FILE, &text));
	assert_string_equal(buf_cstr(&text), "other.test new.test\n");
	buf_free(&text);
	/* Nothing is asked for any more. */
	alias_book_open(&b, folder, "z");
	assert_true(alias_book_close(&b));
	assert_false(beside_read(folder, "z", "targets", ALIAS_FILE, &text));
	buf_free(&text);
	assert_false(beside_read(folder, "z", "aliases", ALIAS_FILE, &text));
	buf_free(&text);
	unlinkat(folder, "z.addresses", 0);
	close(folder);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest t[] = {
	    cmocka_unit_test(addresses_as_text),
	    cmocka_unit_test(records_as_text),
	    cmocka_unit_test(targets_are_bounded),
	    cmocka_unit_test(files_and_the_book),
	};
	return cmocka_run_group_tests(t, NULL, NULL);
}
