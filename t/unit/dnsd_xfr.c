/* The messages of transfers: order, sizes, compression. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "dnsd/primary/xfr_source.h"
#include "dnsd/primary/xfr_tell.h"
#include "libcommon/base/clock.h"
#include "t/unit/dnsd_zone.h"

enum { CAP = 65535 };
static const uint8_t question[] = "\1A\4test\0\0\xfc\0\1"; /* a case of its own */
enum { QUESTION = sizeof(question) - 1 };

/* What a transfer consists of. */
static struct {
	struct buf text; /* its records as lines of a zone file */
	unsigned messages, records, soas;
	size_t octets, longest;
} got;

static void read_message(const uint8_t *pkt, size_t len)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	uint8_t owner[DNS_NAME_MAX];
	struct dns_iter it;
	struct dns_header h;
	struct dns_question q;
	struct dns_rr rr;
	assert_true(dns_iter_init(&it, pkt, len, &h));
	assert_int_equal(h.id, 77);
	assert_int_equal(h.flags, DNS_QR | DNS_AA);
	assert_true(dns_iter_question(&it, &q));
	assert_memory_equal(pkt + DNS_HEADER, question, QUESTION);
	while (dns_iter_rr(&it, &rr)) {
		size_t at = rr.owner, rdlen;
		if (rr.type == DNS_OPT)
			continue;
		assert_true(dns_name_read(pkt, len, &at, owner));
		dns_name_lower(owner);
		assert_true(dns_rdata_read(pkt, len, &rr, rdata, &rdlen));
		if (rr.type == DNS_SOA || rr.type == DNS_NS || rr.type == DNS_MX)
			dns_rdata_canonical(rr.type, rdata, rdlen);
		const struct zone_rr z = {
		    .owner = owner, .type = rr.type, .ttl = rr.ttl, .rdata = rdata, .rdlen = rdlen};
		zonetext_write(&got.text, &z);
		got.records++;
		got.soas += rr.type == DNS_SOA;
	}
	assert_false(it.bad);
	assert_int_equal(it.at, len);
}

/* Reads all of it. False: it broke. */
static bool transfer(struct xfr_source *x, size_t cap, uint16_t udp_size)
{
	static uint8_t out[CAP];
	bool more = xfr_source_begin(x);
	assert_true(more);
	buf_clear(&got.text);
	got.messages = got.records = got.soas = 0;
	got.octets = got.longest = 0;
	while (more) {
		struct xfr_pack k;
		xfr_pack_begin(&k, out, cap - XFR_OPT, 77, DNS_QR | DNS_AA, question, QUESTION,
			       image_zone(x->image));
		more = xfr_source_fill(x, &k);
		if (x->bad)
			return false;
		size_t n = xfr_pack_end(&k, got.messages ? 0 : udp_size);
		assert_true(n <= cap && k.records > 0);
		read_message(out, n);
		got.messages++;
		got.octets += n;
		got.longest = n > got.longest ? n : got.longest;
	}
	return true;
}

static const char zone[] = "@ 60 SOA ns1 hm 5 1 2 3 4\n@ 60 NS ns1\n@ 60 NS ns.else.test.\n"
			   "@ 60 MX 10 mail\n@ 60 MX 20 mail.else.test.\nmail 60 A 192.0.2.3\n"
			   "ns1 60 A 192.0.2.1\n* 60 TXT wild\na.b.c 60 A 192.0.2.2\n"
			   "cut 60 NS ns1.cut\nns1.cut 60 A 192.0.2.9\n"
			   "_x._tcp 60 SRV 1 2 3 mail\n";

static void a_whole_zone_is_between_its_soa(void **state)
{
	(void)state;
	struct image *i = zone_image("a.test", zone);
	struct xfr_source x = {.kind = XFR_WHOLE, .image = i};
	assert_true(transfer(&x, CAP, 0));
	assert_string_equal(buf_cstr(&got.text),
			    "a.test.\t60\tIN\tSOA\tns1.a.test. hm.a.test. 5 1 2 3 4\n"
			    "a.test.\t60\tIN\tNS\tns.else.test.\n"
			    "a.test.\t60\tIN\tNS\tns1.a.test.\n"
			    "a.test.\t60\tIN\tMX\t10 mail.a.test.\n"
			    "a.test.\t60\tIN\tMX\t20 mail.else.test.\n"
			    "*.a.test.\t60\tIN\tTXT\t\"wild\"\n"
			    "_x._tcp.a.test.\t60\tIN\tSRV\t1 2 3 mail.a.test.\n"
			    "a.b.c.a.test.\t60\tIN\tA\t192.0.2.2\n"
			    "cut.a.test.\t60\tIN\tNS\tns1.cut.a.test.\n"
			    "ns1.cut.a.test.\t60\tIN\tA\t192.0.2.9\n"
			    "mail.a.test.\t60\tIN\tA\t192.0.2.3\n"
			    "ns1.a.test.\t60\tIN\tA\t192.0.2.1\n"
			    "a.test.\t60\tIN\tSOA\tns1.a.test. hm.a.test. 5 1 2 3 4\n");
	assert_int_equal(got.messages, 1);
	/* With names in full it would be twice as long. */
	assert_true(got.octets < 450);
	/* In messages of any size it is the same. */
	char *whole = strdup(buf_cstr(&got.text));
	for (size_t cap = 90; cap < 500; cap++) {
		assert_true(transfer(&x, cap, (uint16_t)(cap % 2 ? 1232 : 0)));
		assert_string_equal(buf_cstr(&got.text), whole);
	}
	assert_false(transfer(&x, 60, 0)); /* no room for the SOA */
	free(whole);
	image_close(&i);
}

static void messages_are_bounded(void **state)
{
	(void)state;
	struct buf text = {0};
	enum { N = 5000 };
	buf_adds(&text, zone);
	for (int i = 0; i < N; i++)
		buf_printf(&text, "n%d.sub 60 PTR ns%d.n%d.sub\n", i, i % 3, i);
	struct image *i = zone_image("a.test", buf_cstr(&text));
	struct xfr_source x = {.kind = XFR_WHOLE, .image = i};
	assert_true(transfer(&x, CAP, 1232));
	assert_int_equal(got.records, N + 13);
	assert_int_equal(got.soas, 2);
	assert_true(got.longest <= XFR_SOFT + XFR_OPT);
	assert_true(got.messages > 5);
	buf_free(&text);
	image_close(&i);
}

static void a_record_of_almost_a_message_has_its_own(void **state)
{
	(void)state;
	struct buf text = {0};
	buf_adds(&text, zone);
	buf_adds(&text, "big 60 TYPE65400 \\# 60000 ");
	for (int i = 0; i < 60000; i++)
		buf_adds(&text, "aa");
	buf_adds(&text, "\n");
	struct image *i = zone_image("a.test", buf_cstr(&text));
	struct xfr_source x = {.kind = XFR_WHOLE, .image = i};
	assert_true(transfer(&x, CAP, 0));
	assert_int_equal(got.records, 14);
	assert_int_equal(got.messages, 3);
	assert_true(got.longest > 60000 && got.longest < 60100);
	assert_false(transfer(&x, 60000, 0));
	buf_free(&text);
	image_close(&i);
}

static void the_soa_alone(void **state)
{
	(void)state;
	struct image *i = zone_image("a.test", zone);
	struct xfr_source x = {.kind = XFR_CURRENT, .image = i};
	assert_true(transfer(&x, 512, 1232));
	assert_int_equal(got.records, 1);
	assert_int_equal(got.soas, 1);
	image_close(&i);
}

static void steps_are_between_the_soa(void **state)
{
	(void)state;
	struct image *a = zone_image("a.test", "@ 60 SOA ns1 hm 1 1 2 3 4\n@ 60 NS ns1\n"
					       "ns1 60 A 192.0.2.1\nold 60 A 192.0.2.2\n");
	struct image *b = zone_image("a.test", "@ 60 SOA ns1 hm 2 1 2 3 4\n@ 60 NS ns1\n"
					       "ns1 60 A 192.0.2.1\nnew 60 A 192.0.2.2\n");
	assert_int_equal(journal_note(zone_folder, "image", a, b), JOURNAL_STEP);
	struct journal *j = journal_open(zone_folder, "image", image_zone(b));
	struct xfr_source x = {.kind = XFR_STEPS, .image = b};
	assert_true(journal_find(j, 1, 2, &x.steps));
	assert_true(transfer(&x, CAP, 0));
	assert_string_equal(buf_cstr(&got.text),
			    "a.test.\t60\tIN\tSOA\tns1.a.test. hm.a.test. 2 1 2 3 4\n"
			    "a.test.\t60\tIN\tSOA\tns1.a.test. hm.a.test. 1 1 2 3 4\n"
			    "old.a.test.\t60\tIN\tA\t192.0.2.2\n"
			    "a.test.\t60\tIN\tSOA\tns1.a.test. hm.a.test. 2 1 2 3 4\n"
			    "new.a.test.\t60\tIN\tA\t192.0.2.2\n"
			    "a.test.\t60\tIN\tSOA\tns1.a.test. hm.a.test. 2 1 2 3 4\n");
	journal_close(&j);
	image_close(&a);
	image_close(&b);
}

static void an_image_stays_as_long_as_it_is_held(void **state)
{
	(void)state;
	struct image *i = zone_image("a.test", zone), *held = image_hold(i);
	image_close(&i);
	assert_null(i);
	struct xfr_source x = {.kind = XFR_WHOLE, .image = held};
	assert_true(transfer(&x, CAP, 0));
	image_close(&held);
	buf_free(&got.text);
}

#define T(f) cmocka_unit_test_setup_teardown(f, zone_set_up, zone_tear_down)

static unsigned told(const char *peer, const char *kind, unsigned n)
{
	unsigned lines = 0;
	for (unsigned i = 0; i < n; i++)
		lines += xfr_tell(peer, kind);
	return lines;
}

/* A thousand transfers a second are not a thousand lines. */
static void the_log_is_bounded(void **state)
{
	static const char whole[] = "AXFR", steps[] = "IXFR";
	char peer[16];
	(void)state;
	assert_int_equal(told("192.0.2.1", whole, XFR_TELL_LINES), XFR_TELL_LINES);
	assert_int_equal(told("192.0.2.1", whole, 1000), 0);
	assert_int_equal(told("192.0.2.1", steps, 5), 5);
	assert_int_equal(told("192.0.2.2", whole, 5), 5);
	assert_int_equal(xfr_tell_over(), 1000);
	assert_int_equal(xfr_tell_over(), 0);
	assert_int_equal(told("192.0.2.1", whole, 5), 5);
	xfr_tell_over();
	unsigned lines = 0;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(peer, sizeof(peer), "10.0.%u.%u", i / 256, i % 256);
		lines += told(peer, whole, 2);
	}
	/* Those that are not told apart count as one. */
	assert_int_equal(lines, 2 * XFR_TELL_PEERS + XFR_TELL_LINES);
	assert_int_equal(xfr_tell_over(), 2000 - lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_whole_zone_is_between_its_soa),
	    T(messages_are_bounded),
	    T(a_record_of_almost_a_message_has_its_own),
	    T(the_soa_alone),
	    T(steps_are_between_the_soa),
	    T(an_image_stays_as_long_as_it_is_held),
	    cmocka_unit_test(the_log_is_bounded),
	};
	clock_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
