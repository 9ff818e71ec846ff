/* The journal of a zone that is served: steps between images, and what is left after mishaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "dnsd/image/journal_int.h"
#include "t/unit/dnsd_zone.h"

#define HEAD(serial) "@ 60 SOA ns1 hm " serial " 1 2 3 4\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n"

static enum journal_noted note(const char *old, const char *fresh)
{
	struct image *a = old ? zone_image("a.test", old) : NULL, *b = zone_image("a.test", fresh);
	enum journal_noted r = journal_note(zone_folder, "image", a, b);
	image_close(&a);
	image_close(&b);
	return r;
}

/* "-name TTL TYPE data|+..." as IXFR has them, without what is the same in all of them. */
static void say(struct buf *out, const struct zone_rr *rr, bool *gone)
{
	struct buf line = {0};
	char name[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
	dns_name_text(name, rr->owner);
	if (rr->type == DNS_SOA) {
		*gone = !*gone;
		buf_printf(out, "%s%u ", *gone ? "<" : ">", dns_u32(rr->rdata + rr->rdlen - 20));
		return;
	}
	dns_rdata_text(rr->type, rr->rdata, rr->rdlen, &line);
	buf_printf(out, "%s%s %u %s %.*s ", *gone ? "-" : "+", name, rr->ttl,
		   dns_type_text(rr->type, type), SLICE_FMT(buf_slice(&line)));
	buf_free(&line);
}

static const char *read_steps(uint32_t from, uint32_t to, bool condensed)
{
	static struct buf out;
	struct journal_steps s;
	struct zone_rr rr;
	bool gone = false;
	struct journal *j = journal_open(zone_folder, "image", wire_name("a.test"));
	buf_clear(&out);
	if (!j)
		return "none";
	if (!journal_find(j, from, to, &s)) {
		journal_close(&j);
		return "not there";
	}
	struct journal_diff *d = condensed ? journal_condense(&s) : NULL;
	assert_true(d || !condensed);
	while (d ? journal_diff_next(d, &rr) : journal_next(&s, &rr))
		say(&out, &rr, &gone);
	assert_false(s.bad);
	journal_diff_free(&d);
	journal_close(&j);
	return buf_cstr(&out);
}

static const char *steps(uint32_t from, uint32_t to)
{
	return read_steps(from, to, false);
}

static void the_difference_of_two_images_is_a_step(void **state)
{
	(void)state;
	assert_int_equal(note(HEAD("1") "www 60 A 192.0.2.2\nold 60 A 192.0.2.3\n"
					"b.old 60 TXT gone\nm 60 MX 1 ns1\nm 60 MX 2 ns1\n",
			      HEAD("2") "www 60 A 192.0.2.9\nwww 60 AAAA ::1\nnew 60 CNAME www\n"
					"m 60 MX 2 ns1\nm 60 MX 3 ns1\nx.y.new2 60 A 192.0.2.8\n"),
			 JOURNAL_STEP);
	assert_string_equal(
	    steps(1, 2),
	    "<1 -m.a.test 60 MX 1 ns1.a.test. -old.a.test 60 A 192.0.2.3 -b.old.a.test 60 TXT "
	    "\"gone\" -www.a.test 60 A 192.0.2.2 >2 +m.a.test 60 MX 3 ns1.a.test. +new.a.test 60 "
	    "CNAME www.a.test. +x.y.new2.a.test 60 A 192.0.2.8 +www.a.test 60 A 192.0.2.9 "
	    "+www.a.test 60 AAAA ::1 ");
	assert_string_equal(steps(2, 1), "not there");
	assert_string_equal(steps(0, 2), "not there");
}

static void a_ttl_that_changes_is_a_change_of_all_its_records(void **state)
{
	(void)state;
	assert_int_equal(note(HEAD("1") "w 60 A 192.0.2.2\nw 60 A 192.0.2.3\n",
			      HEAD("2") "w 90 A 192.0.2.2\nw 90 A 192.0.2.3\n"),
			 JOURNAL_STEP);
	assert_string_equal(steps(1, 2), "<1 -w.a.test 60 A 192.0.2.2 -w.a.test 60 A 192.0.2.3 >2 "
					 "+w.a.test 90 A 192.0.2.2 +w.a.test 90 A 192.0.2.3 ");
}

static void what_is_signed_and_what_is_below_cuts_is_in_it(void **state)
{
	(void)state;
#define SIG "RRSIG A 13 3 60 20300101000000 20200101000000 1 a.test. "
	assert_int_equal(note(HEAD("1") "w 60 A 192.0.2.2\nw 60 " SIG "AAAA\ncut 60 NS ns.cut\n"
					"ns.cut 60 A 192.0.2.5\n",
			      HEAD("2") "w 60 A 192.0.2.2\nw 60 " SIG "AAAB\ncut 60 NS ns.cut\n"
					"ns.cut 60 A 192.0.2.6\n"),
			 JOURNAL_STEP);
	assert_string_equal(steps(1, 2),
			    "<1 -ns.cut.a.test 60 A 192.0.2.5 -w.a.test 60 " SIG
			    "AAAA >2 +ns.cut.a.test 60 A 192.0.2.6 +w.a.test 60 " SIG "AAAB ");
}

static void steps_are_condensed_into_one(void **state)
{
	(void)state;
	static const char *const TEXTS[] = {
	    HEAD("1") "old 60 A 192.0.2.1\nttl 60 A 192.0.2.1\nback 60 A 192.0.2.5\n",
	    HEAD("2") "old 60 A 192.0.2.1\nttl 90 A 192.0.2.1\nshort 60 A 192.0.2.2\n",
	    HEAD("3") "ttl 90 A 192.0.2.1\nback 60 A 192.0.2.5\nnew 60 A 192.0.2.3\n",
	    HEAD("4") "ttl 90 A 192.0.2.1\nback 60 A 192.0.2.6\nnew 60 A 192.0.2.3\n",
	    HEAD("5") "ttl 90 A 192.0.2.1\nback 60 A 192.0.2.5\nnew 60 A 192.0.2.4\n",
	};
	journal_remove(zone_folder, "image");
	for (size_t i = 1; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++)
		assert_int_equal(note(TEXTS[i - 1], TEXTS[i]), JOURNAL_STEP);
	assert_string_equal(read_steps(1, 5, true),
			    "<1 -ttl.a.test 60 A 192.0.2.1 -old.a.test 60 A 192.0.2.1 >5 "
			    "+ttl.a.test 90 A 192.0.2.1 +new.a.test 60 A 192.0.2.4 ");
	assert_string_equal(read_steps(3, 4, true), steps(3, 4));
	/* What is as it was has no records, and two SOA. */
	assert_int_equal(note(TEXTS[4], HEAD("6") "ttl 90 A 192.0.2.1\n"), JOURNAL_STEP);
	assert_int_equal(note(HEAD("6") "ttl 90 A 192.0.2.1\n",
			      HEAD("7") "ttl 90 A 192.0.2.1\nback 60 A 192.0.2.5\n"
					"new 60 A 192.0.2.4\n"),
			 JOURNAL_STEP);
	assert_string_equal(read_steps(5, 7, true), "<5 >7 ");
}

static void steps_follow_each_other(void **state)
{
	(void)state;
	assert_int_equal(note(NULL, HEAD("1")), JOURNAL_BEGUN);
	assert_string_equal(steps(1, 1), "none");
	assert_int_equal(note(HEAD("1"), HEAD("2") "b 60 A 192.0.2.2\n"), JOURNAL_STEP);
	assert_int_equal(note(HEAD("2") "b 60 A 192.0.2.2\n", HEAD("2") "b 60 A 192.0.2.2\n"),
			 JOURNAL_SAME);
	assert_int_equal(note(HEAD("2") "b 60 A 192.0.2.2\n", HEAD("5") "c 60 A 192.0.2.3\n"),
			 JOURNAL_STEP);
	assert_string_equal(steps(1, 5), "<1 >2 +b.a.test 60 A 192.0.2.2 <2 -b.a.test 60 A "
					 "192.0.2.2 >5 +c.a.test 60 A 192.0.2.3 ");
	assert_string_equal(steps(1, 2), "<1 >2 +b.a.test 60 A 192.0.2.2 ");
	assert_string_equal(steps(2, 5),
			    "<2 -b.a.test 60 A 192.0.2.2 >5 +c.a.test 60 A 192.0.2.3 ");
	/* The image of 5 was not served in the end: another one follows 2. */
	assert_int_equal(note(HEAD("2") "b 60 A 192.0.2.2\n", HEAD("6") "b 60 A 192.0.2.2\n"),
			 JOURNAL_STEP);
	assert_string_equal(steps(1, 5), "not there");
	assert_string_equal(steps(1, 6), "<1 >2 +b.a.test 60 A 192.0.2.2 <2 >6 ");
	/* One that was not noted: the steps before it lead nowhere. */
	assert_int_equal(note(HEAD("8"), HEAD("9")), JOURNAL_STEP);
	assert_string_equal(steps(8, 9), "<8 >9 ");
	assert_string_equal(steps(1, 9), "not there");
	assert_string_equal(steps(1, 6), "not there");
}

static void a_serial_that_does_not_rise_begins_anew(void **state)
{
	(void)state;
	assert_int_equal(note(HEAD("1"), HEAD("2")), JOURNAL_STEP);
	assert_int_equal(note(HEAD("2"), HEAD("2") "b 60 A 192.0.2.2\n"), JOURNAL_BEGUN);
	assert_string_equal(steps(1, 2), "none");
	assert_int_equal(note(HEAD("2"), HEAD("1")), JOURNAL_BEGUN);
	assert_int_equal(note(HEAD("4294967295"), HEAD("3")), JOURNAL_STEP);
	assert_string_equal(steps(4294967295u, 3), "<4294967295 >3 ");
}

/* Many changes of a small zone: the oldest go, the file stays small. */
static void the_oldest_steps_go(void **state)
{
	(void)state;
	char a[4096], b[4096];
	struct stat st;
	enum { N = 120, FILL = 1000 };
	for (int i = 0; i < N; i++) {
		char *text = i % 2 ? b : a, fill[FILL / 200 * 203 + 1] = "";
		for (int k = 0; k < FILL / 200; k++)
			sprintf(fill + strlen(fill), "%0200d ", i);
		snprintf(text, sizeof(a),
			 "@ 60 SOA ns1 hm %d 1 2 3 4\n@ 60 NS ns1\n"
			 "ns1 60 A 192.0.2.1\nt 60 TXT %s\n",
			 i + 1, fill);
		if (i)
			assert_int_equal(note(i % 2 ? a : b, text), JOURNAL_STEP);
	}
	assert_int_equal(fstatat(zone_folder, "image.journal", &st, 0), 0);
	assert_true(st.st_size < JOURNAL_LEAST + 1000 && st.st_size > JOURNAL_LEAST - 4000);
	assert_string_equal(steps(1, N), "not there");
	assert_int_equal(strncmp(steps(N - 10, N), "<110 ", 5), 0);
}

static void a_step_longer_than_the_zone_is_none(void **state)
{
	(void)state;
	struct buf text = {0};
	buf_adds(&text, HEAD("1"));
	for (int i = 0; i < 4000; i++)
		buf_printf(&text, "n%d 60 TXT \"some text for the name\"\n", i);
	assert_int_equal(note(buf_cstr(&text), HEAD("2")), JOURNAL_BEGUN);
	buf_free(&text);
	assert_string_equal(steps(1, 2), "none");
}

static void a_damaged_one_is_noticed(void **state)
{
	(void)state;
	static uint8_t file[4096], copy[4096];
	assert_int_equal(note(HEAD("1"), HEAD("2") "b 60 A 192.0.2.2\n"), JOURNAL_STEP);
	assert_int_equal(note(HEAD("2") "b 60 A 192.0.2.2\n", HEAD("3") "b 60 TXT text\n"),
			 JOURNAL_STEP);
	int fd = openat(zone_folder, "image.journal", O_RDONLY);
	ssize_t size = read(fd, file, sizeof(file));
	close(fd);
	assert_true(size > 0 && (size_t)size < sizeof(file));
	for (size_t at = 0; at <= (size_t)size; at++) {
		struct journal_steps s;
		struct zone_rr rr;
		unsigned records = 0;
		memcpy(copy, file, sizeof(copy));
		if (at < (size_t)size)
			copy[at] ^= 0x55;
		struct journal *j = journal_from(copy, (size_t)size, wire_name("a.test"));
		if (j && journal_find(j, 1, 3, &s)) {
			while (journal_next(&s, &rr))
				records++;
			assert_true(records <= 7);
			/* Zeros behind the zone's name, or a step's that was not read. */
			bool harmless = at == (size_t)size || at < sizeof(struct journal_head);
			assert_int_equal(s.bad, !harmless);
		}
		journal_close(&j);
		/* Cut there. */
		j = journal_from(file, at, wire_name("a.test"));
		if (j)
			assert_int_equal(journal_find(j, 1, 3, &s), at == (size_t)size);
		journal_close(&j);
	}
	assert_null(journal_from(file, (size_t)size, wire_name("b.test")));
}

static void it_goes_with_the_zone(void **state)
{
	(void)state;
	assert_int_equal(note(HEAD("1"), HEAD("2")), JOURNAL_STEP);
	journal_remove(zone_folder, "image");
	assert_string_equal(steps(1, 2), "none");
	char name[40];
	assert_true(journal_name(name, sizeof(name), "a.test.image", ".new"));
	assert_string_equal(name, "a.test.journal.new");
}

#define T(f) cmocka_unit_test_setup_teardown(f, zone_set_up, zone_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(the_difference_of_two_images_is_a_step),
	    T(a_ttl_that_changes_is_a_change_of_all_its_records),
	    T(what_is_signed_and_what_is_below_cuts_is_in_it),
	    T(steps_follow_each_other),
	    T(steps_are_condensed_into_one),
	    T(a_serial_that_does_not_rise_begins_anew),
	    T(the_oldest_steps_go),
	    T(a_step_longer_than_the_zone_is_none),
	    T(a_damaged_one_is_noticed),
	    T(it_goes_with_the_zone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
