/* conf: every mistake is named with its place, and what was understood reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/base/conf.h"
#include "libcommon/base/str.h"

struct listener {
	struct conf_block block;
	struct conf_addr addr;
	bool tls;
};
struct sample {
	uint64_t max_size, timeout, count;
	const char *name;
	bool verbose;
	int mode;
	struct conf_words hosts;
	struct conf_list nets;
	struct conf_list listeners;
	struct listener extra;
};
static const char *const MODES[] = {"may", "must", NULL};
static const struct conf_directive LISTEN[] = {
    {.name = "address",
     .type = CONF_ADDR,
     .offset = offsetof(struct listener, addr),
     .flags = CONF_NEEDED},
    {.name = "tls", .type = CONF_BOOL, .offset = offsetof(struct listener, tls), .def = "on"},
    {0}};
static const struct conf_directive TABLE[] = {
    {.name = "max-size",
     .type = CONF_SIZE,
     .offset = offsetof(struct sample, max_size),
     .def = "25M",
     .min = 1024},
    {.name = "timeout",
     .type = CONF_DURATION,
     .offset = offsetof(struct sample, timeout),
     .flags = CONF_OKNEVER,
     .def = "5m",
     .min = 1000,
     .max = 3600000},
    {.name = "count", .type = CONF_INT, .offset = offsetof(struct sample, count), .max = 10},
    {.name = "name",
     .type = CONF_STRING,
     .offset = offsetof(struct sample, name),
     .flags = CONF_NEEDED},
    {.name = "verbose", .type = CONF_BOOL, .offset = offsetof(struct sample, verbose)},
    {.name = "mode", .type = CONF_ENUM, .offset = offsetof(struct sample, mode), .names = MODES},
    {.name = "hosts", .type = CONF_WORDS, .offset = offsetof(struct sample, hosts)},
    {.name = "net", .type = CONF_NET, .offset = offsetof(struct sample, nets), .flags = CONF_MULTI},
    {.name = "listen",
     .type = CONF_BLOCK,
     .offset = offsetof(struct sample, listeners),
     .flags = CONF_MULTI | CONF_ARGS,
     .block = LISTEN,
     .block_size = sizeof(struct listener),
     .arg = "a name"},
    {.name = "extra",
     .type = CONF_BLOCK,
     .offset = offsetof(struct sample, extra),
     .block = LISTEN,
     .block_size = sizeof(struct listener)},
    {0}};

struct result {
	struct pool *pool;
	struct sample conf;
	int mistakes;
	char *text;
};

static struct result parse(const char *text)
{
	struct result r = {.pool = pool_new(0)};
	size_t len;
	FILE *err = open_memstream(&r.text, &len);
	r.mistakes = conf_parse(r.pool, "x.conf", text, strlen(text), TABLE, &r.conf, NULL, err);
	fclose(err);
	return r;
}

static void done(struct result *r)
{
	free(r->text);
	pool_free(&r->pool);
}

static void expect_mistakes(const char *text, const char *want)
{
	struct result r = parse(text);
	assert_string_equal(r.text, want);
	assert_int_equal(r.mistakes > 0, *want != 0);
	done(&r);
}

static void values_are_understood(void **state)
{
	(void)state;
	struct result r =
	    parse("version 1 # first\nname \"a \\\"b\\\" c\"\nmax-size 10M\ntimeout never\n"
		  "mode must\nhosts a b \"c d\"\nnet 192.0.2.0/24\nnet ::1\n"
		  "listen main { address [::1]:2525\n tls off }\nlisten two {\naddress *:25\n}\n");
	assert_string_equal(r.text, "");
	assert_string_equal(r.conf.name, "a \"b\" c");
	assert_int_equal(r.conf.max_size, 10u << 20);
	assert_true(r.conf.timeout == CONF_NEVER);
	assert_int_equal(r.conf.mode, 1);
	assert_int_equal(r.conf.hosts.n, 3);
	assert_string_equal(r.conf.hosts.w[2], "c d");
	assert_int_equal(r.conf.nets.n, 2);
	assert_int_equal(r.conf.listeners.n, 2);
	const struct listener *one = r.conf.listeners.item[0], *two = r.conf.listeners.item[1];
	assert_string_equal(one->block.args.w[0], "main");
	assert_false(one->tls);
	assert_true(two->tls);
	assert_int_equal(one->addr.sa.ss_family, AF_INET6);
	assert_false(r.conf.extra.block.present);
	done(&r);
}

static void each_mistake_is_named_once(void **state)
{
	(void)state;
	expect_mistakes(
	    "version 1\nname x\nmax-size 10Q\ntimout 5m\ncount 11\nverbose maybe\nmode can\n"
	    "net 1.2.3.4/40\nlisten { address 1.2.3.4:1 }\nlisten a { tls on }\nname y\ncount 1 "
	    "2\n",
	    "x.conf:3:10: max-size: \"10Q\" is not a size (try 10M)\n"
	    "x.conf:4:1: timout: no such directive (did you mean timeout?)\n"
	    "x.conf:5:7: count: \"11\" is not between 0 and 10\n"
	    "x.conf:6:9: verbose: \"maybe\" is neither on nor off\n"
	    "x.conf:7:6: mode: \"can\" is not one of may | must\n"
	    "x.conf:8:5: net: \"1.2.3.4/40\" is not a network (try 192.0.2.0/24)\n"
	    "x.conf:9:1: listen: needs a name before its {\n"
	    "x.conf:10:1: listen: address is missing\n"
	    "x.conf:11:1: name: is given twice\n"
	    "x.conf:12:1: count: is given twice\n");
}

static void broken_texts_are_named(void **state)
{
	(void)state;
	expect_mistakes("name x\n", "x.conf:1:1: the first directive must be: version 1\n");
	expect_mistakes("version 2\nname x\n", "x.conf:1:1: version: must be 1\n");
	expect_mistakes("version 1\n", "x.conf: name is missing\n");
	expect_mistakes("version 1\nname \"x\n", "x.conf:2:6: a quote is not closed on its line\n"
						 "x.conf:2:1: name: takes one word\n");
	expect_mistakes("version 1\nname x\n}\n", "x.conf:3:1: a } without its {\n");
	expect_mistakes("version 1\nname x\nlisten a { address 1.2.3.4:1\n",
			"x.conf:3:11: a { is not closed\n");
	expect_mistakes("version 1\nname x\ninclude y\n",
			"x.conf:3:1: include: is not possible here\n");
}

static void deep_blocks_are_refused(void **state)
{
	(void)state;
	size_t n = 100000;
	char *text = malloc(n + 32);
	strcpy(text, "version 1\nname x\n");
	size_t at = strlen(text);
	memset(text + at, '{', n);
	text[at + n] = 0;
	struct result r = parse(text);
	assert_true(r.mistakes > 0);
	assert_non_null(strstr(r.text, "more than 16 blocks inside each other"));
	done(&r);
	free(text);
}

static void dump_reads_back_the_same(void **state)
{
	(void)state;
	struct result a =
	    parse("version 1\nname \"q\\\\ {\"\ntimeout 90s\nhosts a \"\"\nnet 10.0.0.0/8\n"
		  "listen m { address 127.0.0.1:25 }\nextra { address [::]:1 }\n");
	assert_string_equal(a.text, "");
	char *one = NULL, *two = NULL;
	size_t len;
	FILE *f = open_memstream(&one, &len);
	conf_dump(f, TABLE, &a.conf);
	fclose(f);
	struct result b = parse(one);
	assert_string_equal(b.text, "");
	f = open_memstream(&two, &len);
	conf_dump(f, TABLE, &b.conf);
	fclose(f);
	assert_string_equal(one, two);
	assert_non_null(strstr(one, "timeout 90s\n"));
	free(one);
	free(two);
	done(&a);
	done(&b);
}

/* `two` takes from `one` what it does not give; a default is not given. */
static void blocks_inherit(void **state)
{
	(void)state;
	struct result r =
	    parse("version 1\nname x\nlisten one { address 1.2.3.4:1\n tls off }\n"
		  "listen two { address 1.2.3.4:2 }\nlisten three { address 1.2.3.4:3\n "
		  "tls on }\n");
	assert_string_equal(r.text, "");
	struct listener *one = r.conf.listeners.item[0], *two = r.conf.listeners.item[1];
	struct listener *three = r.conf.listeners.item[2];
	assert_true(two->tls);
	assert_null(conf_given(&two->block, LISTEN, "tls"));
	assert_int_equal(conf_given(&two->block, LISTEN, "address")->line, 5);
	conf_inherit(LISTEN, two, one);
	conf_inherit(LISTEN, three, one);
	assert_false(two->tls);
	assert_true(three->tls);
	assert_string_equal(two->addr.text, "1.2.3.4:2");
	assert_int_equal(conf_given(&two->block, LISTEN, "tls")->line, 4);
	assert_string_equal(two->block.args.w[0], "two");
	conf_inherit(LISTEN, one, &r.conf.extra); /* not there: gives nothing */
	assert_false(one->tls);
	done(&r);
}

static void includes_are_read_in_place(void **state)
{
	(void)state;
	char dir[] = "/tmp/hamlet-conf-XXXXXX", main_file[64], part[64];
	assert_non_null(mkdtemp(dir));
	assert_true(str_fmt(main_file, sizeof(main_file), "%s/main.conf", dir));
	assert_true(str_fmt(part, sizeof(part), "%s/part.conf", dir));
	FILE *f = fopen(main_file, "w");
	fputs("version 1\ninclude part.conf\ninclude none-*.conf\ninclude missing.conf\n", f);
	fclose(f);
	f = fopen(part, "w");
	fputs("version 1\nname included\ncount x\n", f);
	fclose(f);
	struct pool *pool = pool_new(0);
	struct sample s = {0};
	char *text = NULL, want[512];
	size_t len;
	FILE *err = open_memstream(&text, &len);
	assert_int_equal(conf_load(pool, main_file, TABLE, &s, NULL, err), 3);
	fclose(err);
	assert_true(str_fmt(want, sizeof(want),
			    "%s:4:1: include: %s/missing.conf: no such file\n"
			    "%s:1:1: version: stands once, at the start of the main file\n"
			    "%s:3:7: count: \"x\" is not a number (try 10)\n",
			    main_file, dir, part, part));
	assert_string_equal(text, want);
	assert_string_equal(s.name, "included");
	free(text);
	pool_free(&pool);
	unlink(main_file);
	unlink(part);
	rmdir(dir);
}

static void an_unreadable_file_is_told_once(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	struct sample s = {0};
	char *text = NULL;
	size_t len;
	FILE *err = open_memstream(&text, &len);
	assert_int_equal(conf_load(pool, "/", TABLE, &s, NULL, err), 1);
	assert_int_equal(conf_load(pool, "/nonexistent", TABLE, &s, NULL, err), 1);
	fclose(err);
	assert_string_equal(text, "/: Is a directory\n/nonexistent: No such file or directory\n");
	free(text);
	pool_free(&pool);
}

static void networks_hold_their_addresses(void **state)
{
	(void)state;
	struct result r = parse("version 1\nname x\nnet 10.1.128.0/17\nnet 2001:db8::/33\n");
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	const struct conf_net *a = r.conf.nets.item[0], *b = r.conf.nets.item[1];
	inet_pton(AF_INET, "10.1.200.1", &v4.sin_addr);
	assert_true(conf_net_has(a, (struct sockaddr *)&v4));
	assert_false(conf_net_has(b, (struct sockaddr *)&v4));
	inet_pton(AF_INET, "10.1.127.1", &v4.sin_addr);
	assert_false(conf_net_has(a, (struct sockaddr *)&v4));
	inet_pton(AF_INET6, "::ffff:10.1.128.9", &v6.sin6_addr);
	assert_true(conf_net_has(a, (struct sockaddr *)&v6));
	inet_pton(AF_INET6, "2001:db8:7fff::1", &v6.sin6_addr);
	assert_true(conf_net_has(b, (struct sockaddr *)&v6));
	inet_pton(AF_INET6, "2001:db8:8000::1", &v6.sin6_addr);
	assert_false(conf_net_has(b, (struct sockaddr *)&v6));
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_are_understood),
	    cmocka_unit_test(each_mistake_is_named_once),
	    cmocka_unit_test(broken_texts_are_named),
	    cmocka_unit_test(deep_blocks_are_refused),
	    cmocka_unit_test(dump_reads_back_the_same),
	    cmocka_unit_test(blocks_inherit),
	    cmocka_unit_test(includes_are_read_in_place),
	    cmocka_unit_test(an_unreadable_file_is_told_once),
	    cmocka_unit_test(networks_hold_their_addresses),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
