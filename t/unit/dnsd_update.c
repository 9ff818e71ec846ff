/* Dynamic updates: what their messages say, what blocks of the configuration allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "dnsd/update/update.h"
#include "libcommon/dns/rdata.h"

enum { NONE = 254, ANY = 255 };

static struct pool *pool;
static uint8_t msg[4096];
static struct dns_out out;

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

static const uint8_t *wire(const char *text)
{
	uint8_t name[DNS_NAME_MAX];
	size_t n = dns_name_from_text(slice_of(text), name);
	assert_true(n > 0);
	return pool_dup(pool, name, n);
}

static void begin(const char *zone, uint16_t type, uint16_t class)
{
	dns_out_init(&out, msg, sizeof(msg), 7, 5 << 11);
	dns_out_question(&out, wire(zone), type);
	msg[out.len - 1] = (uint8_t) class;
}

/* data: octets, NULL: none. */
static void add(enum dns_section s, const char *name, uint16_t type, uint16_t class, uint32_t ttl,
		const char *data)
{
	size_t rr = dns_out_rr(&out, s, wire(name), type, ttl);
	msg[rr - 8] = (uint8_t)(class >> 8);
	msg[rr - 7] = (uint8_t) class;
	if (data)
		dns_out_bytes(&out, data, strlen(data));
	dns_out_rr_end(&out, rr);
}

static uint16_t read_it(struct update *u)
{
	struct query q;
	query_read(&q, msg, out.len);
	return q.kind == QUERY_UPDATE ? update_read(pool, &q, u) : DNS_FORMERR;
}

static void messages_are_read(void **state)
{
	(void)state;
	struct update u = {0};
	begin("a.test", DNS_SOA, DNS_IN);
	assert_int_equal(read_it(&u), DNS_NOERROR);
	assert_int_equal(u.needs_n + u.ops_n, 0);
	add(DNS_ANSWER, "www.a.test", DNS_ANY, ANY, 0, NULL);
	add(DNS_ANSWER, "www.a.test", DNS_ANY, NONE, 0, NULL);
	add(DNS_ANSWER, "www.a.test", DNS_A, ANY, 0, NULL);
	add(DNS_ANSWER, "www.a.test", DNS_A, NONE, 0, NULL);
	add(DNS_ANSWER, "www.a.test", DNS_A, DNS_IN, 0, "\1\2\3\4");
	add(DNS_AUTHORITY, "Web.a.test", DNS_A, DNS_IN, 60, "\1\2\3\4");
	add(DNS_AUTHORITY, "a.TEST", DNS_TXT, NONE, 0, "\1x");
	add(DNS_AUTHORITY, "www.a.test", DNS_A, ANY, 0, NULL);
	add(DNS_AUTHORITY, "www.a.test", DNS_ANY, ANY, 0, NULL);
	dns_out_edns(&out, 1232, 0, false);
	assert_int_equal(read_it(&u), DNS_NOERROR);
	assert_int_equal(u.needs_n, 5);
	if (!u.needs || !u.ops) {
		fail();
		return;
	}
	static const enum zone_need_kind kinds[] = {ZONE_NEED_NAME, ZONE_NEED_NO_NAME,
						    ZONE_NEED_SET, ZONE_NEED_NO_SET, ZONE_NEED_RR};
	for (int i = 0; i < 5; i++)
		assert_int_equal(u.needs[i].kind, kinds[i]);
	assert_memory_equal(u.needs[4].rdata.p, "\1\2\3\4", 4);
	assert_int_equal(u.ops_n, 4);
	assert_int_equal(u.ops[0].kind, ZONE_ADD);
	assert_int_equal(u.ops[0].ttl, 60);
	assert_memory_equal(u.ops[0].owner.p, "\3Web\1a\4test", 12);
	assert_int_equal(u.ops[1].kind, ZONE_DELETE_RR);
	assert_int_equal(u.ops[1].type, DNS_TXT);
	assert_int_equal(u.ops[1].rdata.len, 2);
	assert_int_equal(u.ops[2].kind, ZONE_DELETE_SET);
	assert_int_equal(u.ops[3].kind, ZONE_DELETE_NAME);
}

static void a_name_of_the_data_may_be_compressed(void **state)
{
	(void)state;
	struct update u = {0};
	begin("a.test", DNS_SOA, DNS_IN);
	add(DNS_AUTHORITY, "a.test", DNS_NS, DNS_IN, 60, "\2ns\300\14");
	assert_int_equal(read_it(&u), DNS_NOERROR);
	if (!u.ops) {
		fail();
		return;
	}
	assert_memory_equal(u.ops[0].rdata.p, "\2ns\1a\4test", 11);
}

static void what_is_wrong_has_its_rcode(void **state)
{
	(void)state;
	static const struct {
		enum dns_section s;
		const char *name;
		uint16_t type, class;
		uint32_t ttl;
		const char *data;
		uint16_t rcode;
	} row[] = {
	    {DNS_ANSWER, "www.b.test", DNS_ANY, ANY, 0, NULL, DNS_NOTZONE},
	    {DNS_ANSWER, "test", DNS_A, NONE, 0, NULL, DNS_NOTZONE},
	    {DNS_ANSWER, "www.a.test", DNS_A, ANY, 1, NULL, DNS_FORMERR},
	    {DNS_ANSWER, "www.a.test", DNS_A, ANY, 0, "\1\2\3\4", DNS_FORMERR},
	    {DNS_ANSWER, "www.a.test", DNS_A, NONE, 0, "\1\2\3\4", DNS_FORMERR},
	    {DNS_ANSWER, "www.a.test", DNS_A, DNS_IN, 1, "\1\2\3\4", DNS_FORMERR},
	    {DNS_ANSWER, "www.a.test", DNS_A, DNS_IN, 0, "\1\2\3", DNS_FORMERR},
	    {DNS_ANSWER, "www.a.test", DNS_A, DNS_IN, 0, NULL, DNS_FORMERR},
	    {DNS_ANSWER, "www.a.test", DNS_ANY, DNS_IN, 0, "x", DNS_FORMERR},
	    {DNS_ANSWER, "www.a.test", 252, ANY, 0, NULL, DNS_FORMERR},
	    {DNS_ANSWER, "www.a.test", DNS_A, 3, 0, NULL, DNS_FORMERR},
	    {DNS_AUTHORITY, "a.tes", DNS_A, ANY, 0, NULL, DNS_NOTZONE},
	    {DNS_AUTHORITY, "www.a.test", DNS_A, DNS_IN, 0, "\1\2\3", DNS_FORMERR},
	    {DNS_AUTHORITY, "www.a.test", DNS_ANY, DNS_IN, 0, "x", DNS_FORMERR},
	    {DNS_AUTHORITY, "www.a.test", DNS_ANY, NONE, 0, NULL, DNS_FORMERR},
	    {DNS_AUTHORITY, "www.a.test", 252, ANY, 0, NULL, DNS_FORMERR},
	    {DNS_AUTHORITY, "www.a.test", DNS_A, ANY, 5, NULL, DNS_FORMERR},
	    {DNS_AUTHORITY, "www.a.test", DNS_A, ANY, 0, "\1\2\3\4", DNS_FORMERR},
	    {DNS_AUTHORITY, "www.a.test", DNS_A, NONE, 5, "\1\2\3\4", DNS_FORMERR},
	    {DNS_AUTHORITY, "www.a.test", DNS_A, 3, 0, "\1\2\3\4", DNS_FORMERR},
	};
	struct update u = {0};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		begin("a.test", DNS_SOA, DNS_IN);
		add(row[i].s, row[i].name, row[i].type, row[i].class, row[i].ttl, row[i].data);
		if (read_it(&u) != row[i].rcode)
			fail_msg("row %zu", i);
	}
	begin("a.test", DNS_A, DNS_IN);
	assert_int_equal(read_it(&u), DNS_FORMERR);
	begin("a.test", DNS_SOA, ANY);
	assert_int_equal(read_it(&u), DNS_NOTAUTH);
	begin("a.test", DNS_SOA, DNS_IN);
	uint8_t nsec[] = "\1x\4test\0\0\1\100";
	size_t rr = dns_out_rr(&out, DNS_AUTHORITY, wire("a.test"), DNS_NSEC, 5);
	dns_out_bytes(&out, nsec, sizeof(nsec) - 1);
	dns_out_rr_end(&out, rr);
	assert_int_equal(read_it(&u), DNS_REFUSED);
	/* A TTL with the high bit set is 0 (RFC 2181 8). */
	begin("a.test", DNS_SOA, DNS_IN);
	add(DNS_AUTHORITY, "a.test", DNS_A, DNS_IN, 0x80000001, "\1\2\3\4");
	assert_int_equal(read_it(&u), DNS_NOERROR);
	assert_int_equal(u.ops[0].ttl, 0);
}

static void prerequisites_are_limited(void **state)
{
	(void)state;
	static uint8_t big[DNS_MSG_MAX];
	struct update u = {0};
	struct query q;
	for (int n = UPDATE_NEEDS_MAX; n <= UPDATE_NEEDS_MAX + 1; n++) {
		dns_out_init(&out, big, sizeof(big), 7, 5 << 11);
		dns_out_question(&out, wire("a.test"), DNS_SOA);
		for (int i = 0; i < n; i++) {
			size_t rr = dns_out_rr(&out, DNS_ANSWER, wire("a.test"), DNS_A, 0);
			big[rr - 8] = 0;
			big[rr - 7] = ANY;
			dns_out_rr_end(&out, rr);
		}
		query_read(&q, big, out.len);
		assert_int_equal(update_read(pool, &q, &u),
				 n > UPDATE_NEEDS_MAX ? DNS_REFUSED : DNS_NOERROR);
	}
}

/* --- the configuration ------------------------------------------------------------------------ */

struct root {
	struct conf_list updates;
};
static const struct conf_directive table[] = {{.name = "update",
					       .type = CONF_BLOCK,
					       .flags = CONF_MULTI,
					       .block = conf_update_table,
					       .block_size = sizeof(struct update_conf)},
					      {0}};

static void verify(struct conf_errors *e, void *root)
{
	conf_update_verify(e, pool, &((struct root *)root)->updates, wire("a.test"));
}

static struct key_conf laptop, other;

static int with_keys(void **state)
{
	static void *keys[] = {&laptop, &other};
	setup(state);
	memset(&conf, 0, sizeof(conf));
	assert_null(tsig_key_name(&laptop.key, SLICE("laptop.dyn.a.test")));
	assert_null(tsig_key_name(&other.key, SLICE("other")));
	conf.keys = (struct conf_list){keys, 2};
	return 0;
}

static char said[2000];

static int load(struct root *r, const char *text)
{
	memset(r, 0, sizeof(*r));
	FILE *f = fmemopen(said, sizeof(said), "w");
	char all[1000];
	snprintf(all, sizeof(all), "version 1\n%s", text);
	int n = conf_parse(pool, "x.conf", all, strlen(all), table, r, verify, f);
	fclose(f);
	return n;
}

static bool may(const struct root *r, const struct tsig_key *key, const char *client,
		const char *name, const char *type)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	inet_pton(AF_INET, client, &sa.sin_addr);
	const struct update_who who = {(struct sockaddr *)&sa, key};
	return conf_update_may(&r->updates, &who, wire("a.test"), wire(name),
			       dns_type_from_text(slice_of(type)));
}

static void blocks_say_who_may_what(void **state)
{
	(void)state;
	struct root r;
	assert_int_equal(load(&r,
			      "update {\n key laptop.dyn.a.test\n"
			      " names host.a.test *.dyn.a.test\n names self\n types A AAAA\n}\n"
			      "update {\n key other\n clients 192.0.2.0/24\n}\n"
			      "update {\n clients 198.51.100.7\n names a.test\n types ANY\n}\n"),
			 0);
	static const struct {
		const struct tsig_key *key;
		const char *client, *name, *type;
		bool may;
	} row[] = {
	    {&laptop.key, "127.0.0.1", "HOST.a.test", "A", true},
	    {&laptop.key, "127.0.0.1", "host.a.test", "TXT", false},
	    {&laptop.key, "127.0.0.1", "host.a.test", "ANY", false},
	    {&laptop.key, "127.0.0.1", "x.host.a.test", "A", false},
	    {&laptop.key, "127.0.0.1", "x.y.dyn.a.test", "AAAA", true},
	    {&laptop.key, "127.0.0.1", "*.dyn.a.test", "AAAA", true},
	    {&laptop.key, "127.0.0.1", "dyn.a.test", "AAAA", false},
	    {&laptop.key, "127.0.0.1", "a.test", "A", false},
	    {NULL, "127.0.0.1", "host.a.test", "A", false},
	    {&other.key, "127.0.0.1", "host.a.test", "A", false},
	    {&other.key, "192.0.2.9", "host.a.test", "A", true},
	    {NULL, "192.0.2.9", "host.a.test", "A", false},
	    {&other.key, "192.0.2.9", "sub.a.test", "NS", true},
	    {&other.key, "192.0.2.9", "sub.a.test", "ANY", true},
	    {&other.key, "192.0.2.9", "a.test", "MX", true},
	    {&other.key, "192.0.2.9", "a.test", "NS", false},
	    {&other.key, "192.0.2.9", "a.test", "SOA", false},
	    {&other.key, "192.0.2.9", "a.test", "CDS", false},
	    {&other.key, "192.0.2.9", "a.test", "ANY", false},
	    {NULL, "198.51.100.7", "a.test", "ANY", true},
	    {NULL, "198.51.100.7", "a.test", "SOA", true},
	    {NULL, "198.51.100.7", "www.a.test", "A", false},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if (may(&r, row[i].key, row[i].client, row[i].name, row[i].type) != row[i].may)
			fail_msg("row %zu", i);
	struct root none = {0};
	assert_false(may(&none, &laptop.key, "127.0.0.1", "host.a.test", "A"));
}

static void mistakes_of_blocks_are_told(void **state)
{
	(void)state;
	struct root r;
	assert_int_equal(load(&r, "update {\n}\n"), 1);
	assert_non_null(strstr(said, "by whom"));
	assert_int_equal(load(&r, "update {\n key nobody\n}\n"), 1);
	assert_non_null(strstr(said, "no key nobody"));
	assert_int_equal(load(&r, "update {\n key other\n names www.b.test\n names a..b\n"
				  " types AAA MX AXFR\n}\n"),
			 4);
	assert_non_null(strstr(said, "www.b.test: is not in the zone"));
	assert_non_null(strstr(said, "a..b: is not a domain name"));
	assert_non_null(strstr(said, "records of AAA"));
	assert_non_null(strstr(said, "records of AXFR"));
	assert_int_equal(load(&r, "update {\n clients 127.0.0.1\n names self\n}\n"), 1);
	assert_non_null(strstr(said, "give one"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define K(f) cmocka_unit_test_setup_teardown(f, with_keys, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(messages_are_read),           T(a_name_of_the_data_may_be_compressed),
	    T(what_is_wrong_has_its_rcode), T(prerequisites_are_limited),
	    K(blocks_say_who_may_what),     K(mistakes_of_blocks_are_told),
	};
	return cmocka_run_group_tests_name("dnsd_update", tests, NULL, NULL);
}
