/* Zone files: what they say in all their forms, and what is said about their mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libcommon/dns/zonetext.h"

struct got {
	struct buf zone, errors; /* records as lines; messages with newlines */
	unsigned records, most, last_line;
};
static struct got got;

static bool on_rr(void *arg, const struct zone_rr *rr)
{
	struct got *g = arg;
	zonetext_write(&g->zone, rr);
	g->last_line = rr->line;
	return ++g->records != g->most;
}

static void on_error(void *arg, const char *line)
{
	struct got *g = arg;
	buf_printf(&g->errors, "%s\n", line);
}

static struct zonetext zone(void)
{
	buf_clear(&got.zone);
	buf_clear(&got.errors);
	got.records = got.most = 0;
	return (struct zonetext){.origin = (const uint8_t *)"\7example\3org",
				 .on_rr = on_rr,
				 .on_error = on_error,
				 .arg = &got};
}

static unsigned read_text(const char *text)
{
	struct zonetext z = zone();
	return zonetext_memory(&z, "z", slice_of(text));
}

static void zones_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} row[] = {
	    /* Owners, TTLs, classes, in any order. */
	    {"a 1 IN A 1.2.3.4\n", "a.example.org.\t1\tIN\tA\t1.2.3.4\n"},
	    {"a IN 1 A 1.2.3.4\n", "a.example.org.\t1\tIN\tA\t1.2.3.4\n"},
	    {"a 1 A 1.2.3.4", "a.example.org.\t1\tIN\tA\t1.2.3.4\n"},
	    {"a class1 1w1d1h1m1s a 1.2.3.4", "a.example.org.\t694861\tIN\tA\t1.2.3.4\n"},
	    {"a 2147483647 A 1.2.3.4", "a.example.org.\t2147483647\tIN\tA\t1.2.3.4\n"},
	    {"@ 1 A 1.2.3.4", "example.org.\t1\tIN\tA\t1.2.3.4\n"},
	    {"*.x.example.org. 1 A 1.2.3.4", "*.x.example.org.\t1\tIN\tA\t1.2.3.4\n"},
	    {"A\\.b\\032 1 A 1.2.3.4", "A\\.b\\032.example.org.\t1\tIN\tA\t1.2.3.4\n"},
	    {"\\$a 1 A 1.2.3.4", "\\$a.example.org.\t1\tIN\tA\t1.2.3.4\n"},
	    {"mx 1 MX 10 mx\n \t2 TXT x\n", "mx.example.org.\t1\tIN\tMX\t10 mx.example.org.\n"
					    "mx.example.org.\t2\tIN\tTXT\t\"x\"\n"},
	    {"in 1 in ns ns", "in.example.org.\t1\tIN\tNS\tns.example.org.\n"},
	    /* Defaults of the TTL. */
	    {"$TTL 1h\na A 1.2.3.4\nb 5 A 1.2.3.4\nc A 1.2.3.4\n$TTL 7\nd A 1.2.3.4",
	     "a.example.org.\t3600\tIN\tA\t1.2.3.4\nb.example.org.\t5\tIN\tA\t1.2.3.4\n"
	     "c.example.org.\t3600\tIN\tA\t1.2.3.4\nd.example.org.\t7\tIN\tA\t1.2.3.4\n"},
	    {"a 5 A 1.2.3.4\nb A 1.2.3.4",
	     "a.example.org.\t5\tIN\tA\t1.2.3.4\nb.example.org.\t5\tIN\tA\t1.2.3.4\n"},
	    {"@ SOA a b 1 2 3 4 5m\nb A 1.2.3.4",
	     "example.org.\t300\tIN\tSOA\ta.example.org. b.example.org. 1 2 3 4 300\n"
	     "b.example.org.\t300\tIN\tA\t1.2.3.4\n"},
	    /* Lines, blanks, comments, parentheses, quotes. */
	    {"", ""},
	    {"\n \n\t; x\n;y\n  ; \"(\n", ""},
	    {"\xef\xbb\xbf"
	     "a 1 A 1.2.3.4",
	     "a.example.org.\t1\tIN\tA\t1.2.3.4\n"},
	    {"a 1 A 1.2.3.4;x\r\n\r\n\tTXT x\r\n",
	     "a.example.org.\t1\tIN\tA\t1.2.3.4\na.example.org.\t1\tIN\tTXT\t\"x\"\n"},
	    {"a 1 (A ; one\n\n 1.2.3.4 ; two )\n)\nb 1 A 1.2.3.4",
	     "a.example.org.\t1\tIN\tA\t1.2.3.4\nb.example.org.\t1\tIN\tA\t1.2.3.4\n"},
	    {"a 1 SOA(a b(1 2)3 4\n5)", "a.example.org.\t1\tIN\tSOA\ta.example.org. b.example.org. "
					"1 2 3 4 5\n"},
	    {"(a 1 A\n1.2.3.4)", "a.example.org.\t1\tIN\tA\t1.2.3.4\n"},
	    {"a 1 TXT \"; ( ) \\\" \\\\\" x\\;y \"a\"\"b\"c",
	     "a.example.org.\t1\tIN\tTXT\t\"; ( ) \\\" \\\\\" \"x;y\" \"a\" \"b\" \"c\"\n"},
	    {"a 1 TXT \xc3\xa9", "a.example.org.\t1\tIN\tTXT\t\"\\195\\169\"\n"},
	    {"a 1 HTTPS 1 . alpn=\"h2,h3\" key667=\"a b;\"",
	     "a.example.org.\t1\tIN\tHTTPS\t1 . alpn=\"h2,h3\" key667=\"a b;\"\n"},
	    {"a 1 TYPE65400 \\# 2 ab cd\nb 1 A \\# 4 01020304",
	     "a.example.org.\t1\tIN\tTYPE65400\t\\# 2 abcd\nb.example.org.\t1\tIN\tA\t1.2.3.4\n"},
	    /* Directives. */
	    {"$ORIGIN sub\na 1 NS @\n$origin x.example.org.\na 1 NS b.\n",
	     "a.sub.example.org.\t1\tIN\tNS\tsub.example.org.\n"
	     "a.x.example.org.\t1\tIN\tNS\tb.\n"},
	    {"$ORIGIN org.\nexample 1 NS a", "example.org.\t1\tIN\tNS\ta.org.\n"},
	    {"$GENERATE 1-3 h$ 1 A 10.0.0.$",
	     "h1.example.org.\t1\tIN\tA\t10.0.0.1\nh2.example.org.\t1\tIN\tA\t10.0.0.2\n"
	     "h3.example.org.\t1\tIN\tA\t10.0.0.3\n"},
	    {"$TTL 1\n$GENERATE 8-13/5 ${0,3}.${-8}.${+1,0,d} IN MX $ ${0,2,x}.${0,2,X}.${0,0,o}.",
	     "008.0.9.example.org.\t1\tIN\tMX\t8 08.08.10.\n"
	     "013.5.14.example.org.\t1\tIN\tMX\t13 0d.0D.15.\n"},
	    {"$TTL 1\n$GENERATE 27-27 ${0,7,n}.${0,0,N}.${0,2,n} TXT a$$b\\$c\\\\$ \"$ x\"",
	     "b.1.0.0.B.1.b.1.example.org.\t1\tIN\tTXT\t\"a$b$c\\\\27\" \"27 x\"\n"},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		unsigned errors = read_text(row[i].in);
		if (errors)
			fail_msg("%s: %s", row[i].in, buf_cstr(&got.errors));
		assert_string_equal(buf_cstr(&got.zone), row[i].out);
		/* What was written is read as the same. */
		struct buf again = {0};
		buf_add_slice(&again, buf_slice(&got.zone));
		assert_int_equal(read_text(buf_cstr(&again)), 0);
		assert_string_equal(buf_cstr(&got.zone), row[i].out);
		buf_free(&again);
	}
}

static void mistakes_are_told(void **state)
{
	(void)state;
	static const struct {
		const char *in, *errors;
	} row[] = {
	    {"a 1 A 300.1.1.1", "z:1:7: A: \"300.1.1.1\": an IPv4 address is wanted\n"},
	    {"\na 1 MX (\n 10\n mail..x )",
	     "z:4:2: MX: \"mail..x\": a label of the name is empty: there is a dot too many\n"},
	    {"a 1 MX 10", "z:1:10: MX: the record ends too early: a domain name is wanted\n"},
	    {"a 1 A 1.2.3.4 5", "z:1:15: A: \"5\": nothing more is wanted in this record\n"},
	    {"a 1 AAA ::1", "z:1:5: \"AAA\": there is no such record type: AAAA?\n"},
	    {"a 1 XYZZY x", "z:1:5: \"XYZZY\": a record type (A, MX, TYPE65400) is wanted\n"},
	    {"a 1 ANY x", "z:1:5: \"ANY\": this type is one of questions, zones do not hold it\n"},
	    {"a 1 CH TXT x", "z:1:5: \"CH\": the only class is IN\n"},
	    {"a 1 CLASS3 TXT x", "z:1:5: \"CLASS3\": the only class is IN\n"},
	    {"a 1h30 A 1.2.3.4", "z:1:3: \"1h30\": a TTL (3600, 1h30m, below 2^31) is wanted\n"},
	    {"a 2147483648 A 1.2.3.4",
	     "z:1:3: \"2147483648\": a TTL (3600, 1h30m, below 2^31) is wanted\n"},
	    {"a 1 IN", "z:1:7: the line ends before the record's type\n"},
	    {" 1 A 1.2.3.4\n A 1.2.3.4", "z:1:2: the first record has no name before it\n"},
	    {"a A 1.2.3.4\nb A 1.2.3.4",
	     "z:1:5: the record has no TTL, and there is no $TTL before it\n"},
	    {"a.b.test. 1 A 1.2.3.4\n 1 TXT x",
	     "z:1:1: \"a.b.test.\": the name is not in the zone example.org\n"},
	    {"$ORIGIN test.\nx 1 A 1.2.3.4",
	     "z:2:1: \"x\": the name is not in the zone example.org\n"},
	    {"a..b 1 A 1.2.3.4\n 1 TXT x",
	     "z:1:1: \"a..b\": a label of the name is empty: there is a dot too many\n"},
	    {"a 1 TXT \"x\nb 1 A 1.2.3.4", "z:1:9: the quote is not closed in its line\n"},
	    {"a 1 TXT (x\nb 1 A 1.2.3.4", "z:1:9: the parenthesis is never closed\n"},
	    {"a 1 TXT x ) )\nb 1 A x", "z:1:11: there is no open parenthesis to close\n"
				       "z:2:7: A: \"x\": an IPv4 address is wanted\n"},
	    {"a 1 TXT x\\\nb 1 A 1.2.3.4", "z:1:10: a backslash with nothing behind it\n"},
	    {"a 1 TXT x\ry\n", "z:1:10: a carriage return inside of a line\n"},
	    {"a 1 TXT \"x\ry\"\n", "z:1:11: a control character in quotes: write it as \\DDD\n"},
	    {"a 1 A \x1b[31m", "z:1:7: A: \"?[31m\": an IPv4 address is wanted\n"},
	    {"$NOPE x", "z:1:1: \"$NOPE\": a directive is $ORIGIN, $TTL, $INCLUDE or $GENERATE; a "
			"name is \\$...\n"},
	    {"$TTL", "z:1:1: $TTL TIME is wanted\n"},
	    {"$TTL x\na A 1.2.3.4", "z:1:6: \"x\": a TTL (3600, 1h30m) is wanted\n"},
	    {"$ORIGIN a\\", "z:1:10: a backslash with nothing behind it\n"},
	    {"$ORIGIN a b", "z:1:1: $ORIGIN NAME is wanted\n"},
	    {"$INCLUDE /nowhere/x", "z:1:10: /nowhere/x: No such file or directory\n"},
	    {"$GENERATE 1 a 1 A 1.2.3.4",
	     "z:1:11: \"1\": FIRST-LAST or FIRST-LAST/STEP is wanted\n"},
	    {"$GENERATE 2-1 a 1 A 1.2.3.4",
	     "z:1:11: \"2-1\": FIRST-LAST or FIRST-LAST/STEP is wanted\n"},
	    {"$GENERATE 1-2/0 a 1 A 1.2.3.4",
	     "z:1:11: \"1-2/0\": FIRST-LAST or FIRST-LAST/STEP is wanted\n"},
	    {"$GENERATE 1-2/ a 1 A 1.2.3.4",
	     "z:1:11: \"1-2/\": FIRST-LAST or FIRST-LAST/STEP is wanted\n"},
	    {"$GENERATE 0-1000000 a 1 A 1.2.3.4",
	     "z:1:11: \"0-1000000\": these are more than a million records\n"},
	    {"$GENERATE 254-260 h$ 1 A 1.2.3.$",
	     "z:1: $GENERATE at 256: A: \"1.2.3.256\": an IPv4 address is wanted\n"},
	    {"$GENERATE 1-2 h${0,3,z} 1 A 1.2.3.4",
	     "z:1:15: $GENERATE at 1: \"h${0,3,z}\": ${OFFSET,WIDTH,BASE} is wanted, as in "
	     "${0,3,d}; "
	     "bases are d o x X n N\n"},
	    {"$GENERATE 1-2 h${0 1 A 1.2.3.4",
	     "z:1:15: $GENERATE at 1: \"h${0\": ${OFFSET,WIDTH,BASE} is wanted, as in ${0,3,d}; "
	     "bases are d o x X n N\n"},
	    {"$GENERATE 1-2 h${-2} 1 A 1.2.3.4",
	     "z:1:15: $GENERATE at 1: \"h${-2}\": the number becomes negative\n"},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		unsigned errors = read_text(row[i].in), lines = 0;
		assert_string_equal(buf_cstr(&got.errors), row[i].errors);
		for (const char *p = row[i].errors; *p; p++)
			lines += *p == '\n';
		assert_int_equal(errors, lines);
	}
}

static void nul_and_lengths_are_refused(void **state)
{
	(void)state;
	struct zonetext z = zone();
	assert_int_equal(zonetext_memory(&z, "z", SLICE("a 1 TXT x\0y\nb 1 A 1.2.3.4\n")), 1);
	assert_string_equal(buf_cstr(&got.errors), "z:1:10: a NUL octet: this is no text\n");
	assert_int_equal(got.records, 1);
	struct buf text = {0};
	buf_adds(&text, "a 1 TYPE65400 \\# 65535 ");
	for (unsigned i = 0; i < 65535; i++)
		buf_adds(&text, "ab ");
	buf_adds(&text, "\n");
	assert_int_equal(read_text(buf_cstr(&text)), 1); /* too many words */
	assert_non_null(strstr(buf_cstr(&got.errors), ": the record has too many words\n"));
	buf_clear(&text);
	buf_adds(&text, "a 1 TXT ");
	for (unsigned i = 0; i < ZONETEXT_WORD; i++)
		buf_addc(&text, 'x');
	assert_int_equal(read_text(buf_cstr(&text)), 1);
	assert_null(strstr(buf_cstr(&got.errors), "word is too long"));
	assert_non_null(strstr(buf_cstr(&got.errors), "x...\": a string has at most 255 octets"));
	buf_addc(&text, 'x');
	assert_int_equal(read_text(buf_cstr(&text)), 1);
	assert_string_equal(buf_cstr(&got.errors), "z:1:9: the word is too long\n");
	buf_free(&text);
}

static void reading_ends(void **state)
{
	(void)state;
	struct buf text = {0};
	for (unsigned i = 0; i < 300; i++)
		buf_printf(&text, "a%u 1 A x\n", i);
	assert_int_equal(read_text(buf_cstr(&text)), ZONETEXT_ERRORS);
	assert_non_null(strstr(buf_cstr(&got.errors), "z:100:9: "));
	assert_null(strstr(buf_cstr(&got.errors), "z:101:"));
	assert_non_null(strstr(buf_cstr(&got.errors), "z: that many mistakes"));
	struct zonetext z = zone();
	got.most = 5; /* the caller has enough */
	assert_int_equal(zonetext_memory(&z, "z", SLICE("$GENERATE 1-9 a$ 1 A 1.2.3.4\nx")), 0);
	assert_int_equal(got.records, 5);
	z.on_rr = NULL;
	assert_int_equal(zonetext_memory(&z, "z", SLICE("a 1 A 1.2.3.4\nb 1 A x")), 1);
	z.on_error = NULL;
	assert_int_equal(zonetext_memory(&z, "z", SLICE("a 1 A 1.2.3.4\nb 1 A x")), 1);
	buf_free(&text);
}

static void ttls_of_the_caller_are_taken(void **state)
{
	(void)state;
	struct zonetext z = zone();
	z.ttl = 77;
	assert_int_equal(zonetext_memory(&z, "z", SLICE("a A 1.2.3.4\n$TTL 5\nb A 1.2.3.4")), 0);
	assert_string_equal(buf_cstr(&got.zone), "a.example.org.\t77\tIN\tA\t1.2.3.4\n"
						 "b.example.org.\t5\tIN\tA\t1.2.3.4\n");
}

static char folder[] = "/tmp/zonetext.XXXXXX";

static const char *put(const char *name, const char *text)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
	return path;
}

static void files_include_others(void **state)
{
	(void)state;
	char sub[64], want[256];
	assert_non_null(mkdtemp(folder));
	snprintf(sub, sizeof(sub), "%s/sub", folder);
	assert_int_equal(mkdir(sub, 0700), 0);
	put("sub/deeper", "$ORIGIN x\nd A 1.1.1.3\n");
	put("sub/in ner", "  A 1.1.1.1\nb A 1.1.1.2\n$INCLUDE deeper d\nwrong A x\n");
	put("loop", "$INCLUDE loop\n");
	struct zonetext z = zone();
	const char *main_file =
	    put("main", "$TTL 1\na A 1.1.1.0\n$INCLUDE \"sub/in\\032ner\" sub\n  A 1.1.1.4\n"
			"e NS f\n");
	assert_int_equal(zonetext_file(&z, main_file), 1);
	snprintf(want, sizeof(want), "%s/sub/in ner:4:9: A: \"x\": an IPv4 address is wanted\n",
		 folder);
	assert_string_equal(buf_cstr(&got.errors), want);
	assert_string_equal(buf_cstr(&got.zone), "a.example.org.\t1\tIN\tA\t1.1.1.0\n"
						 "a.example.org.\t1\tIN\tA\t1.1.1.1\n"
						 "b.sub.example.org.\t1\tIN\tA\t1.1.1.2\n"
						 "d.x.d.sub.example.org.\t1\tIN\tA\t1.1.1.3\n"
						 "a.example.org.\t1\tIN\tA\t1.1.1.4\n"
						 "e.example.org.\t1\tIN\tNS\tf.example.org.\n");
	assert_int_equal(got.last_line, 5);
	z = zone();
	z.no_include = true;
	assert_int_equal(zonetext_file(&z, main_file), 1);
	assert_non_null(strstr(buf_cstr(&got.errors), "main:3:1: $INCLUDE is not allowed here"));
	z = zone();
	assert_int_equal(zonetext_file(&z, put("loop", "$INCLUDE loop\n$INCLUDE loop\n")), 100);
	assert_non_null(strstr(buf_cstr(&got.errors), "files include one another too deep"));
	z = zone();
	assert_int_equal(zonetext_file(&z, put("again", "$INCLUDE main\n")), 1);
	put("none", "");
	struct buf text = {0};
	for (unsigned i = 0; i <= ZONETEXT_INCLUDES; i++)
		buf_adds(&text, "$INCLUDE none\n");
	z = zone();
	assert_int_equal(zonetext_file(&z, put("many", buf_cstr(&text))), 1);
	assert_non_null(strstr(buf_cstr(&got.errors), "many:1001:1: too many files are included"));
	buf_free(&text);
}

static void what_is_no_file_is_told(void **state)
{
	(void)state;
	struct zonetext z = zone();
	assert_int_equal(zonetext_file(&z, "/nowhere/a.zone"), 1);
	assert_string_equal(buf_cstr(&got.errors), "/nowhere/a.zone: No such file or directory\n");
	z = zone();
	assert_int_equal(zonetext_file(&z, "/"), 1);
	assert_string_equal(buf_cstr(&got.errors), "/: Is a directory\n");
	z = zone();
	assert_int_equal(zonetext_memory(&z, "z", SLICE("$INCLUDE /\n")), 1);
	assert_string_equal(buf_cstr(&got.errors), "z:1:10: /: Is a directory\n");
	z = zone();
	assert_int_equal(zonetext_file(&z, "/proc/sys/kernel/ostype"), 1); /* has no size */
	assert_non_null(strstr(buf_cstr(&got.errors), "ostype:1:"));
}

static int tear_down(void **state)
{
	char command[64];
	(void)state;
	buf_free(&got.zone);
	buf_free(&got.errors);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(zones_are_read),
	    cmocka_unit_test(mistakes_are_told),
	    cmocka_unit_test(nul_and_lengths_are_refused),
	    cmocka_unit_test(reading_ends),
	    cmocka_unit_test(ttls_of_the_caller_are_taken),
	    cmocka_unit_test(files_include_others),
	    cmocka_unit_test(what_is_no_file_is_told),
	};
	return cmocka_run_group_tests_name("common_dns_zonetext", tests, NULL, tear_down);
}
