/* Names and messages of DNS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "libcommon/dns/wire.h"

static const uint8_t *name(const char *text)
{
	static uint8_t wire[4][DNS_NAME_MAX];
	static unsigned at;
	uint8_t *out = wire[at++ % 4];
	assert_true(dns_name_from_text(slice_of(text), out) > 0);
	return out;
}

static void names_are_read_from_text_and_written(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} row[] = {
	    {"b.test", "b.test"}, {"b.test.", "b.test"},
	    {".", "."},           {"A\\.b.test", "A\\.b.test"},
	    {"\\065b", "Ab"},     {"a\\000b", "a\\000b"},
	    {"a b", "a\\032b"},   {"\xc3\xbc", "\\195\\188"},
	    {"x\\\\y", "x\\\\y"}, {"_25._tcp.b", "_25._tcp.b"},
	    {"\\@.b", "\\@.b"},   {"", NULL},
	    {"..", NULL},         {".b", NULL},
	    {"a..b", NULL},       {"a\\", NULL},
	    {"a\\25", NULL},      {"a\\256", NULL},
	    {"a\\1x2", NULL},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint8_t wire[DNS_NAME_MAX];
		char text[DNS_NAME_TEXT];
		size_t n = dns_name_from_text(slice_of(row[i].in), wire);
		if (!row[i].out) {
			assert_int_equal(n, 0);
			continue;
		}
		assert_int_equal(n, dns_name_len(wire));
		assert_int_equal(dns_name_text(text, wire), strlen(row[i].out));
		assert_string_equal(text, row[i].out);
	}
}

/* count labels of len octets each, then one of `last` octets (0: none). */
static size_t long_name(unsigned count, unsigned len, unsigned last)
{
	char text[600];
	uint8_t wire[DNS_NAME_MAX];
	size_t n = 0;
	for (unsigned i = 0; i < count; i++) {
		memset(text + n, 'x', len);
		n += len;
		text[n++] = '.';
	}
	memset(text + n, 'y', last);
	return dns_name_from_text((struct slice){text, n + last}, wire);
}

static void names_are_no_longer_than_they_may_be(void **state)
{
	(void)state;
	assert_int_equal(long_name(1, 63, 0), 65);
	assert_int_equal(long_name(1, 64, 0), 0);
	assert_int_equal(long_name(3, 63, 61), 255);
	assert_int_equal(long_name(3, 63, 62), 0);
	assert_int_equal(long_name(4, 63, 0), 0);
	assert_int_equal(long_name(127, 1, 0), 255);
	assert_int_equal(long_name(127, 1, 1), 0);
	uint8_t wire[300];
	memset(wire, 1, sizeof(wire));
	assert_int_equal(dns_name_check(wire, sizeof(wire)), 0);
	wire[254] = 0;
	assert_int_equal(dns_name_check(wire, sizeof(wire)), 255);
	assert_int_equal(dns_name_check(wire, 254), 0);
	assert_int_equal(dns_name_check((const uint8_t *)"\1", 1), 0);
}

static void names_are_compared_without_case(void **state)
{
	(void)state;
	assert_true(dns_name_eq(name("Mail.B.Test"), name("mail.b.tEST")));
	assert_false(dns_name_eq(name("a.b"), name("a\\.b")));
	assert_false(dns_name_eq(name("a.test"), name("b.test")));
	assert_false(dns_name_eq(name("@@"), name("``"))); /* only letters have a case */
	assert_true(dns_name_under(name("x.b.test"), name("B.test")));
	assert_true(dns_name_under(name("b.test"), name("b.test")));
	assert_true(dns_name_under(name("b.test"), name(".")));
	assert_false(dns_name_under(name("xb.test"), name("b.test")));
	assert_false(dns_name_under(name("test"), name("b.test")));
	assert_int_equal(dns_name_labels(name("a.b.c")), 3);
	assert_int_equal(dns_name_labels(name(".")), 0);
}

static size_t read_at(const char *pkt, size_t len, size_t at)
{
	uint8_t out[DNS_NAME_MAX];
	return dns_name_read((const uint8_t *)pkt, len, &at, out);
}

static void pointers_lead_backwards_and_end(void **state)
{
	(void)state;
	static const char good[] = "\1b\0\1a\xc0\0";
	size_t at = 3;
	uint8_t out[DNS_NAME_MAX];
	assert_int_equal(dns_name_read((const uint8_t *)good, 7, &at, out), 5);
	assert_int_equal(at, 7);
	assert_true(dns_name_eq(out, name("a.b")));
	assert_int_equal(read_at("\xc0\0", 2, 0), 0);       /* to itself */
	assert_int_equal(read_at("\1a\xc0\0", 4, 0), 0);    /* to its own start */
	assert_int_equal(read_at("\1a\xc0\2\0", 5, 0), 0);  /* to itself inside */
	assert_int_equal(read_at("\xc0\2\1a\0", 5, 0), 0);  /* forwards */
	assert_int_equal(read_at("\xc0\2\xc0\0", 4, 2), 0); /* in a circle */
	assert_int_equal(read_at("\x40"
				 "a\0",
				 3, 0),
			 0); /* unknown label types */
	assert_int_equal(read_at("\x80"
				 "a\0",
				 3, 0),
			 0);
	assert_int_equal(read_at("\1a", 2, 0), 0); /* cut short */
	assert_int_equal(read_at("\1", 1, 0), 0);
	assert_int_equal(read_at("\xc0", 1, 0), 0);
	assert_int_equal(read_at("", 0, 0), 0);
}

static void a_name_jumps_so_often_only(void **state)
{
	(void)state;
	uint8_t pkt[2 + 2 * (DNS_JUMPS_MAX + 1)], out[DNS_NAME_MAX];
	pkt[0] = pkt[1] = 0;
	for (unsigned i = 0; i <= DNS_JUMPS_MAX; i++) {
		pkt[2 + 2 * i] = 0xc0;
		pkt[3 + 2 * i] = (uint8_t)(i ? 2 * i : 0);
	}
	size_t at = 2 * DNS_JUMPS_MAX;
	assert_int_equal(dns_name_read(pkt, sizeof(pkt), &at, out), 1);
	at = 2 * DNS_JUMPS_MAX + 2;
	assert_int_equal(dns_name_read(pkt, sizeof(pkt), &at, out), 0);
	assert_int_equal(at, 2 * DNS_JUMPS_MAX + 2);
}

static void a_query_is_what_is_asked(void **state)
{
	(void)state;
	static const uint8_t want[] = "\x12\x34\x01\x20\0\1\0\0\0\0\0\1\1b\4test\0\0\x0f\0\1"
				      "\0\0\x29\x04\xd0\0\0\x80\0\0\0";
	uint8_t out[DNS_QUERY_MAX];
	struct dns_query q = {.id = 0x1234, .type = DNS_MX, .flags = DNS_RD | DNS_AD};
	size_t n = dns_query(out, name("b.test"), &q);
	assert_int_equal(n, 24);
	assert_int_equal(out[11], 0); /* no OPT */
	q.edns_size = DNS_EDNS_SIZE;
	q.dnssec_ok = true;
	n = dns_query(out, name("b.test"), &q);
	assert_int_equal(n, sizeof(want) - 1);
	assert_memory_equal(out, want, n);
}

/* An answer with two MX records, an SOA and an OPT record. */
static size_t make_answer(uint8_t *p, size_t cap)
{
	struct dns_out o;
	dns_out_init(&o, p, cap, 7, DNS_QR | DNS_RA);
	dns_out_question(&o, name("b.test"), DNS_MX);
	for (uint16_t i = 1; i <= 2; i++) {
		size_t rr = dns_out_rr(&o, DNS_ANSWER, name("B.test"), DNS_MX, 300);
		dns_out_u16(&o, i);
		dns_out_name(&o, name(i == 1 ? "mx.b.test" : "mx.b.TEST"), true);
		dns_out_rr_end(&o, rr);
	}
	dns_out_rr_end(&o, dns_out_rr(&o, DNS_AUTHORITY, name("test"), DNS_SOA, 60));
	dns_out_edns(&o, 100, DNS_BADVERS, true);
	return o.full ? 0 : o.len;
}

static void records_are_written_and_read(void **state)
{
	(void)state;
	uint8_t p[512], out[DNS_NAME_MAX];
	size_t n = make_answer(p, sizeof(p));
	/* 12 + 12; 2+10+2+5 then 2+10+2+2; 2+10; 11 */
	assert_int_equal(n, 24 + 19 + 16 + 12 + 11);
	struct dns_iter it;
	struct dns_header h;
	struct dns_question q;
	struct dns_rr rr;
	struct dns_edns e;
	assert_true(dns_iter_init(&it, p, n, &h));
	assert_int_equal(h.count[DNS_ANSWER], 2);
	assert_true(dns_iter_question(&it, &q));
	assert_true(dns_name_at_is(p, n, q.name, name("B.TEST")));
	assert_false(dns_iter_question(&it, &q));
	for (unsigned i = 1; i <= 2; i++) {
		assert_true(dns_iter_rr(&it, &rr));
		assert_int_equal(rr.section, DNS_ANSWER);
		assert_int_equal(rr.ttl, 300);
		assert_int_equal(dns_u16(p + rr.rdata), i);
		size_t at = rr.rdata + 2;
		assert_int_equal(dns_name_read(p, n, &at, out), 11);
		assert_int_equal(at, rr.rdata + rr.rdlen);
		assert_true(dns_name_eq(out, name("mx.b.test")));
	}
	assert_true(dns_iter_rr(&it, &rr));
	assert_int_equal(rr.section, DNS_AUTHORITY);
	assert_false(dns_edns_read(p, &rr, &e));
	assert_true(dns_iter_rr(&it, &rr));
	assert_true(dns_edns_read(p, &rr, &e));
	assert_int_equal(e.size, 512);
	assert_int_equal(e.rcode, DNS_BADVERS);
	assert_true(e.dnssec_ok);
	assert_false(dns_iter_rr(&it, &rr));
	assert_false(it.bad);
}

static void what_does_not_fit_is_left_out(void **state)
{
	(void)state;
	uint8_t whole[512];
	size_t n = make_answer(whole, sizeof(whole));
	for (size_t cap = DNS_HEADER; cap < n; cap++) {
		uint8_t *p = malloc(cap);
		assert_int_equal(make_answer(p, cap), 0);
		free(p);
	}
}

static void a_cut_packet_is_bad(void **state)
{
	(void)state;
	uint8_t whole[512];
	size_t n = make_answer(whole, sizeof(whole));
	for (size_t len = 0; len < n; len++) {
		uint8_t *p = malloc(len ? len : 1); /* a read behind it is seen */
		memcpy(p, whole, len);
		struct dns_iter it;
		struct dns_header h;
		struct dns_rr rr;
		if (dns_iter_init(&it, p, len, &h))
			while (dns_iter_rr(&it, &rr))
				;
		assert_true(it.bad);
		free(p);
	}
}

static void options_fill_their_record(void **state)
{
	(void)state;
	static const uint8_t good[] = "\0\0\x29\4\xd0\0\0\0\0\0\6\0\x0f\0\2\0\6";
	static const uint8_t cut[] = "\0\0\x29\4\xd0\0\0\0\0\0\6\0\x0f\0\3\0\6";
	struct dns_rr rr = {.section = DNS_ADDITIONAL, .type = DNS_OPT, .rdata = 11, .rdlen = 6};
	struct dns_edns e;
	uint16_t code;
	struct slice data;
	assert_true(dns_edns_read(good, &rr, &e));
	assert_true(dns_edns_option(&e.options, &code, &data));
	assert_int_equal(code, DNS_OPT_EDE);
	assert_int_equal(data.len, 2);
	assert_false(dns_edns_option(&e.options, &code, &data));
	assert_false(dns_edns_read(cut, &rr, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_read_from_text_and_written),
	    cmocka_unit_test(names_are_no_longer_than_they_may_be),
	    cmocka_unit_test(names_are_compared_without_case),
	    cmocka_unit_test(pointers_lead_backwards_and_end),
	    cmocka_unit_test(a_name_jumps_so_often_only),
	    cmocka_unit_test(a_query_is_what_is_asked),
	    cmocka_unit_test(records_are_written_and_read),
	    cmocka_unit_test(what_does_not_fit_is_left_out),
	    cmocka_unit_test(a_cut_packet_is_bad),
	    cmocka_unit_test(options_fill_their_record),
	};
	return cmocka_run_group_tests_name("common_dns_wire", tests, NULL, NULL);
}
