/* Zones as the store keeps them: order, chunks, what a zone must keep to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "libcommon/dns/zonecheck.h"
#include "t/unit/zone_sorted.h"

static const uint8_t zone[] = "\7example\3org";

/* Owners of the records, without the zone's name. */
static const char *owners(struct zone_sort *s)
{
	static struct buf out;
	char name[DNS_NAME_TEXT];
	struct zone_rr rr;
	buf_clear(&out);
	while (zone_sort_next(s, &rr)) {
		size_t n = dns_name_text(name, rr.owner);
		name[n - strlen("example.org")] = 0;
		buf_printf(&out, "%s|", name);
	}
	return buf_cstr(&out);
}

static void names_sort_as_rfc_4034_has_it(void **state)
{
	(void)state;
	struct zone_sort *s = sorted(zone, "\\200.z A 192.0.2.1\n"
					   "*.z A 192.0.2.1\n"
					   "z A 192.0.2.1\n"
					   "\\001.z A 192.0.2.1\n"
					   "zABC.a A 192.0.2.1\n"
					   "Z.a A 192.0.2.1\n"
					   "yljkjljk.a A 192.0.2.1\n"
					   "a A 192.0.2.1\n"
					   "@ A 192.0.2.1\n"
					   "a\\000 A 192.0.2.1\n"
					   "a\\001 A 192.0.2.1\n"
					   "aa A 192.0.2.1\n");
	assert_string_equal(owners(s), "|a.|yljkjljk.a.|Z.a.|zABC.a.|a\\000.|a\\001.|aa.|z.|"
				       "\\001.z.|*.z.|\\200.z.|");
	zone_sort_free(&s);
}

static void keys_compare_as_names_do(void **state)
{
	(void)state;
	static const char text[] = "abAB\001\002.z";
	srand(7);
	for (int i = 0; i < 20000; i++) {
		uint8_t name[2][DNS_NAME_MAX], key[2][ZONE_KEY_MAX] = {{0}};
		struct slice k[2];
		for (int j = 0; j < 2; j++) {
			uint8_t *p = name[j];
			for (int labels = rand() % 4; labels > 0; labels--) {
				int len = 1 + rand() % 3;
				*p++ = (uint8_t)len;
				while (len-- > 0) /* the NUL at its end, too */
					*p++ = (uint8_t)text[rand() % sizeof(text)];
			}
			memcpy(p, zone, sizeof(zone));
			k[j] = (struct slice){(const char *)key[j],
					      zone_key(name[j], sizeof(zone), key[j])};
		}
		int a = zone_key_cmp(k[0], k[1]), b = dns_name_cmp(name[0], name[1]);
		assert_true((a < 0) == (b < 0) && (a > 0) == (b > 0));
	}
}

static void repeated_records_go_and_ttls_agree(void **state)
{
	(void)state;
	struct zone_sort *s = sorted(zone, "@ 300 NS NS1\n@ 200 NS ns1.Example.org.\n@ 100 NS ns2\n"
					   "@ 50 TXT \"A\"\n@ 40 TXT \"a\"\n");
	struct zone_rr rr;
	unsigned ns = 0, txt = 0;
	while (zone_sort_next(s, &rr)) {
		ns += rr.type == DNS_NS && rr.ttl == 100;
		txt += rr.type == DNS_TXT && rr.ttl == 40;
	}
	assert_int_equal(ns, 2);
	assert_int_equal(txt, 2);
	zone_sort_free(&s);
}

static void chunk_of(struct zone_chunk_out *out, const char *text)
{
	struct zone_sort *s = sorted(zone, text);
	struct zone_rr rr;
	zone_chunk_clear(out);
	while (zone_sort_next(s, &rr))
		zone_chunk_add(out, &rr);
	zone_sort_free(&s);
}

#define APEX "@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"

static bool take(struct slice data, struct zone_run *run, struct zone_check *check, char *why)
{
	struct zone_fault fault;
	uint8_t first[ZONE_KEY_MAX];
	size_t first_len;
	uint32_t records;
	bool ok = zone_chunk_check(run, data, check, &records, &first_len, first, &fault);
	why[0] = 0;
	if (!ok)
		zone_fault_text(&fault, why, 300);
	return ok;
}

static void chunks_read_as_written(void **state)
{
	(void)state;
	struct zone_chunk_out out = {0};
	struct zone_chunk_in in;
	struct zone_rr a, b;
	char why[300];
	chunk_of(&out, APEX "www.a 300 A 192.0.2.1\nwww.A 300 A 192.0.2.2\nWWW.b AAAA 2001:db8::1\n"
			    "x TXT \"a long text that is over one hundred and twenty-seven octets "
			    "long, so that its length takes two octets and not one as most of "
			    "them do\"\n");
	struct zone_sort *s =
	    sorted(zone, APEX
		   "www.a 300 A 192.0.2.1\nwww.A 300 A 192.0.2.2\nWWW.b AAAA 2001:db8::1\n"
		   "x TXT \"a long text that is over one hundred and twenty-seven octets "
		   "long, so that its length takes two octets and not one as most of them do\"\n");
	zone_chunk_open(&in, buf_slice(&out.data));
	while (zone_chunk_next(&in, &a)) {
		assert_true(zone_sort_next(s, &b));
		assert_int_equal(zone_rr_cmp(&a, &b), 0);
		assert_memory_equal(a.owner, b.owner, dns_name_len(b.owner));
		assert_int_equal(a.ttl, b.ttl);
	}
	assert_false(in.bad || zone_sort_next(s, &b));
	struct zone_run run = {.zone = zone, .zone_len = sizeof(zone)};
	assert_true(take(buf_slice(&out.data), &run, NULL, why));
	assert_false(take(buf_slice(&out.data), &run, NULL, why));
	assert_string_equal(why, "example.org NS: the records are not in order");
	/* Cut anywhere it is refused or shorter, never read beyond. */
	for (size_t n = 0; n < out.data.len; n++) {
		char *copy = malloc(n ? n : 1);
		memcpy(copy, out.data.p, n);
		run.begun = false;
		take((struct slice){copy, n}, &run, NULL, why);
		free(copy);
	}
	zone_sort_free(&s);
	buf_free(&out.data);
}

static struct zone_rr host(unsigned i)
{
	static uint8_t owner[64];
	char text[16];
	int n = snprintf(text, sizeof(text), "%ch%06u", 7, i);
	memcpy(owner, text, (size_t)n);
	memcpy(owner + n, zone, sizeof(zone));
	return (struct zone_rr){owner, DNS_A, 60, (const uint8_t *)"\1\2\3\4", 4, NULL, 0};
}

/* A name more at the beginning moves the end of a chunk or two, and of no other. */
static void names_decide_where_chunks_end(void **state)
{
	(void)state;
	enum { HOSTS = 50000 };
	static bool ends[2][HOSTS];
	struct zone_chunk_out out = {0};
	unsigned chunks = 0, differ = 0;
	for (unsigned run = 0; run < 2; run++) {
		zone_chunk_clear(&out);
		for (unsigned i = run ? 0 : 1; i < HOSTS; i++) {
			struct zone_rr rr = host(i);
			ends[run][i] = zone_chunk_ends(&out, rr.owner);
			if (ends[run][i]) {
				assert_in_range(out.data.len, ZONE_CHUNK_LEAST,
						ZONE_CHUNK_SPLIT + 99);
				zone_chunk_clear(&out);
			}
			zone_chunk_add(&out, &rr);
		}
	}
	for (unsigned i = 0; i < HOSTS; i++) {
		chunks += ends[1][i];
		differ += ends[0][i] != ends[1][i];
	}
	assert_in_range(chunks, 30, 120);
	assert_in_range(differ, 0, 10);
	buf_free(&out.data);
}

static const char *verdict(const char *text, bool strict)
{
	static char why[300];
	struct zone_chunk_out out = {0};
	struct zone_run run = {.zone = zone, .zone_len = sizeof(zone)};
	struct zone_check check;
	const char *end = NULL;
	zone_check_init(&check, zone, strict);
	chunk_of(&out, text);
	if (take(buf_slice(&out.data), &run, &check, why) && !zone_check_end(&check, &end))
		str_fmt(why, sizeof(why), "%s", end);
	buf_free(&out.data);
	return why;
}

static void a_zone_keeps_to_its_rules(void **state)
{
	(void)state;
	static const struct {
		const char *text, *strict, *lenient;
	} row[] = {
	    {APEX, "", ""},
	    {"@ NS ns\n", "no SOA record", "no SOA record"},
	    {"@ SOA ns host 1 2 3 4 5\n", "no NS records", "no NS records"},
	    {APEX "@ SOA ns host 2 2 3 4 5\n", "example.org SOA: more than one SOA record",
	     "example.org SOA: more than one SOA record"},
	    {APEX "www CNAME ns\nwww CNAME ns2\n", "www.example.org CNAME: more than one CNAME",
	     "www.example.org CNAME: more than one CNAME"},
	    {APEX "www CNAME ns\nwww A 192.0.2.1\n",
	     "www.example.org CNAME: a CNAME stands alone: the name has other data",
	     "www.example.org CNAME: a CNAME stands alone: the name has other data"},
	    {APEX "www CNAME ns\nwww MX 0 ns\n",
	     "www.example.org MX: a CNAME stands alone: the name has other data",
	     "www.example.org MX: a CNAME stands alone: the name has other data"},
	    {APEX "d A 192.0.2.1\nd ALIAS b.test.\n",
	     "d.example.org ALIAS: an ALIAS stands in place of addresses: the name has such", ""},
	    {APEX "d ALIAS a.test.\nd ALIAS b.test.\n", "d.example.org ALIAS: more than one ALIAS",
	     ""},
	    {APEX "d DNAME a.test.\nd DNAME b.test.\n", "d.example.org DNAME: more than one DNAME",
	     "d.example.org DNAME: more than one DNAME"},
	    {APEX "d DNAME a.test.\nx.d A 192.0.2.1\ne A 192.0.2.1\n",
	     "x.d.example.org A: nothing may stand below a DNAME", ""},
	    {APEX "sub NS ns.sub\nns.sub A 192.0.2.1\nsub DS 1 13 2 00\nt A 192.0.2.3\n", "", ""},
	    {APEX "sub NS ns.sub\nns.sub TXT \"x\"\n",
	     "ns.sub.example.org TXT: only addresses of servers may stand below a delegation", ""},
	    {APEX "sub NS ns\nsub TXT \"x\"\n",
	     "sub.example.org TXT: beside the NS of a delegation only DS may stand", ""},
	    {APEX "*.w NS ns\n", "*.w.example.org NS: it has no meaning at a wildcard", ""},
	    {APEX "www SOA ns host 1 2 3 4 5\n",
	     "www.example.org SOA: a SOA below the zone's own name", ""},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_string_equal(verdict(row[i].text, true), row[i].strict);
		assert_string_equal(verdict(row[i].text, false), row[i].lenient);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_sort_as_rfc_4034_has_it),
	    cmocka_unit_test(keys_compare_as_names_do),
	    cmocka_unit_test(repeated_records_go_and_ttls_agree),
	    cmocka_unit_test(chunks_read_as_written),
	    cmocka_unit_test(names_decide_where_chunks_end),
	    cmocka_unit_test(a_zone_keeps_to_its_rules),
	};
	return cmocka_run_group_tests_name("common_dns_zone", tests, NULL, NULL);
}
