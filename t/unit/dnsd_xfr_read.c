/* Transfers in, as messages: what a primary may say, and what it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "dnsd/secondary/xfr_read.h"

enum { ID = 4711, OURS = 5, NO_QUESTION = 0 };
#define SOA(n) "b.test. 60 SOA ns.b.test. h.b.test. " #n " 1 2 3 4\n"

static const uint8_t ZONE[] = "\1b\4test";
static const uint8_t ROOT[] = "";

/* --- messages ----------------------------------------------------------------------------------
 */

static struct {
	uint8_t p[DNS_MSG_MAX];
	struct dns_out out;
} m;

static void on_error(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static bool put_rr(void *arg, const struct zone_rr *rr)
{
	struct dns_out *o = arg;
	size_t at = dns_out_rr(o, DNS_ANSWER, rr->owner, rr->type, rr->ttl);
	dns_out_bytes(o, rr->rdata, rr->rdlen);
	dns_out_rr_end(o, at);
	return true;
}

static void message(uint16_t id, uint16_t flags, uint16_t question, const char *records)
{
	struct zonetext z = {
	    .origin = ROOT, .ttl = 60, .on_rr = put_rr, .on_error = on_error, .arg = &m.out};
	dns_out_init(&m.out, m.p, sizeof(m.p), id, flags);
	if (question)
		dns_out_question(&m.out, ZONE, question);
	assert_int_equal(zonetext_memory(&z, "test", slice_of(records)), 0);
	assert_false(m.out.full);
}

/* --- what was told -----------------------------------------------------------------------------
 */

static struct buf told;
static unsigned stop_after;

static bool on_rr(void *arg, enum xfr_part part, const struct zone_rr *rr)
{
	static const char sign[] = {'=', '-', '+'};
	char text[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
	assert_null(arg);
	dns_name_text(text, rr->owner);
	buf_printf(&told, "%c%s %s ", sign[part], text, dns_type_text(rr->type, type));
	if (rr->type == DNS_SOA)
		buf_printf(&told, "%u", dns_u32(rr->rdata + rr->rdlen - 20));
	else
		dns_rdata_text(rr->type, rr->rdata, rr->rdlen, &told);
	buf_addc(&told, '\n');
	return --stop_after != 0;
}

static struct xfr_read x;

static void begin(uint16_t type)
{
	buf_free(&told);
	buf_init(&told, 0);
	stop_after = 1000;
	x = (struct xfr_read){.zone = ZONE,
			      .id = ID,
			      .type = type,
			      .serial = OURS,
			      .records_max = 100,
			      .octets_max = 10000,
			      .on_rr = on_rr};
}

static enum xfr_verdict say(const char *records)
{
	message(ID, DNS_QR | DNS_AA, x.messages ? NO_QUESTION : x.type, records);
	return xfr_read(&x, m.p, m.out.len);
}

static void told_is(const char *what)
{
	assert_string_equal(buf_cstr(&told), what);
}

static void failed(enum xfr_verdict v, const char *why)
{
	assert_int_equal(v, XFR_FAILED);
	assert_string_equal(x.why, why);
}

/* --- what may be -------------------------------------------------------------------------------
 */

#define ZONE_TOLD "=b.test SOA 7\n=b.test NS ns.b.test.\n=www.b.test A 192.0.2.1\n"

static void a_zone_in_one_message(void **state)
{
	(void)state;
	begin(XFR_AXFR);
	assert_int_equal(say(SOA(7) "b.test. NS ns.b.test.\nwww.b.test. A 192.0.2.1\n" SOA(7)),
			 XFR_WHOLE);
	told_is(ZONE_TOLD);
	assert_int_equal(x.to, 7);
	assert_int_equal(x.records, 4);
	assert_int_equal(x.foreign, 0);
}

static void a_zone_in_many_messages(void **state)
{
	(void)state;
	begin(XFR_AXFR);
	assert_int_equal(say(SOA(7)), XFR_MORE);
	assert_int_equal(say("b.test. NS ns.b.test.\n"), XFR_MORE);
	assert_int_equal(say("www.b.test. A 192.0.2.1\n"), XFR_MORE);
	message(ID, DNS_QR, XFR_AXFR, SOA(7)); /* the question may be there */
	assert_int_equal(xfr_read(&x, m.p, m.out.len), XFR_WHOLE);
	told_is(ZONE_TOLD);
	assert_int_equal(x.messages, 4);
}

/* Also the serial that we have may be asked for in whole. */
static void the_serial_of_a_whole_zone_is_any(void **state)
{
	(void)state;
	begin(XFR_AXFR);
	assert_int_equal(say(SOA(3) "b.test. NS ns.b.test.\n" SOA(3)), XFR_WHOLE);
	told_is("=b.test SOA 3\n=b.test NS ns.b.test.\n");
}

static void steps(void **state)
{
	(void)state;
	begin(XFR_IXFR);
	assert_int_equal(say(SOA(7) SOA(5) "a.b.test. A 192.0.2.1\n" SOA(6)), XFR_MORE);
	assert_int_equal(say("a.b.test. A 192.0.2.2\n" SOA(6) SOA(7) "c.b.test. A 192.0.2.3\n"),
			 XFR_MORE);
	assert_int_equal(say(SOA(7)), XFR_STEPS);
	told_is("-a.b.test A 192.0.2.1\n+a.b.test A 192.0.2.2\n+c.b.test A 192.0.2.3\n"
		"+b.test SOA 7\n");
	assert_int_equal(x.to, 7);
}

static void condensed_steps(void **state)
{
	(void)state;
	begin(XFR_IXFR);
	assert_int_equal(say(SOA(9) SOA(5) SOA(9) "a.b.test. A 192.0.2.2\n" SOA(9)), XFR_STEPS);
	told_is("+a.b.test A 192.0.2.2\n+b.test SOA 9\n");
	begin(XFR_IXFR);
	assert_int_equal(say(SOA(9) SOA(5) SOA(9) SOA(9)), XFR_STEPS);
	told_is("+b.test SOA 9\n");
}

static void serials_wrap(void **state)
{
	(void)state;
	begin(XFR_IXFR);
	x.serial = 4294967295u;
	assert_int_equal(say(SOA(3) SOA(4294967295) SOA(3) SOA(3)), XFR_STEPS);
	begin(XFR_IXFR);
	x.serial = 3;
	assert_int_equal(say(SOA(4294967295)), XFR_SAME);
}

static void a_whole_zone_for_steps(void **state)
{
	(void)state;
	begin(XFR_IXFR);
	assert_int_equal(say(SOA(7) "b.test. NS ns.b.test.\nwww.b.test. A 192.0.2.1\n" SOA(7)),
			 XFR_WHOLE);
	told_is(ZONE_TOLD);
	begin(XFR_IXFR);
	assert_int_equal(say(SOA(7)), XFR_MORE);
	assert_int_equal(say(SOA(7)), XFR_WHOLE);
	told_is("=b.test SOA 7\n");
}

static void nothing_newer(void **state)
{
	(void)state;
	begin(XFR_IXFR);
	assert_int_equal(say(SOA(5)), XFR_SAME);
	assert_int_equal(x.to, 5);
	begin(XFR_IXFR);
	assert_int_equal(say(SOA(4)), XFR_SAME);
	assert_int_equal(x.to, 4);
	told_is("");
}

static void no_steps_to_be_had(void **state)
{
	static const uint16_t rcode[] = {DNS_FORMERR, DNS_SERVFAIL, DNS_NOTIMP, DNS_REFUSED};
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		begin(XFR_IXFR);
		message(ID, (uint16_t)(DNS_QR | rcode[i]), NO_QUESTION, "");
		assert_int_equal(xfr_read(&x, m.p, m.out.len), XFR_NONE);
		assert_int_equal(x.rcode, rcode[i]);
	}
	assert_string_equal(x.why, "the primary says REFUSED");
	begin(XFR_IXFR);
	assert_int_equal(say(""), XFR_NONE);
}

static void what_is_not_in_the_zone_is_left_out(void **state)
{
	(void)state;
	begin(XFR_AXFR);
	assert_int_equal(say(SOA(7) "b.test. NS ns.b.test.\nns.c.test. A 192.0.2.9\n"
				    "test. NS ns.b.test.\nwww.b.test. A 192.0.2.1\n" SOA(7)),
			 XFR_WHOLE);
	told_is(ZONE_TOLD);
	assert_int_equal(x.foreign, 2);
}

/* --- what may not be ---------------------------------------------------------------------------
 */

static void other_messages(void **state)
{
	static const char other[] = "a message that answers another question";
	(void)state;
	begin(XFR_AXFR);
	message(ID + 1, DNS_QR, XFR_AXFR, SOA(7));
	failed(xfr_read(&x, m.p, m.out.len), other);
	begin(XFR_AXFR);
	message(ID, 0, XFR_AXFR, SOA(7));
	failed(xfr_read(&x, m.p, m.out.len), other);
	begin(XFR_AXFR);
	message(ID, DNS_QR | 4 << 11, XFR_AXFR, SOA(7));
	failed(xfr_read(&x, m.p, m.out.len), other);
	begin(XFR_AXFR);
	message(ID, DNS_QR, XFR_IXFR, SOA(7));
	failed(xfr_read(&x, m.p, m.out.len), other);
	begin(XFR_AXFR);
	message(ID, DNS_QR, XFR_AXFR, SOA(7));
	m.p[DNS_HEADER + 1] = 'x';
	failed(xfr_read(&x, m.p, m.out.len), other);
	begin(XFR_AXFR);
	message(ID, DNS_QR, NO_QUESTION, SOA(7));
	failed(xfr_read(&x, m.p, m.out.len), "a message with 0 questions");
	begin(XFR_AXFR);
	message(ID, DNS_QR | DNS_TC, XFR_AXFR, SOA(7));
	failed(xfr_read(&x, m.p, m.out.len), "a truncated message");
	begin(XFR_AXFR);
	failed(xfr_read(&x, m.p, 5), "a message shorter than a header");
}

static void refusals(void **state)
{
	(void)state;
	begin(XFR_AXFR);
	message(ID, DNS_QR | DNS_REFUSED, XFR_AXFR, "");
	failed(xfr_read(&x, m.p, m.out.len), "the primary says REFUSED");
	assert_int_equal(x.rcode, DNS_REFUSED);
	begin(XFR_IXFR);
	message(ID, DNS_QR | 9, XFR_IXFR, "");
	failed(xfr_read(&x, m.p, m.out.len), "the primary says NOTAUTH");
	begin(XFR_IXFR); /* in the midst of it */
	assert_int_equal(say(SOA(7)), XFR_MORE);
	message(ID, DNS_QR | 12, XFR_IXFR, "");
	failed(xfr_read(&x, m.p, m.out.len), "the primary says rcode 12");
	begin(XFR_AXFR);
	failed(say(""), "a message without records");
	begin(XFR_AXFR);
	assert_int_equal(say(SOA(7)), XFR_MORE);
	failed(say(""), "a message without records");
}

static void wrong_order(void **state)
{
	(void)state;
	begin(XFR_AXFR);
	failed(say("b.test. NS ns.b.test.\n"), "the first record is not the zone's SOA");
	begin(XFR_AXFR);
	failed(say("c.test. 60 SOA ns.b.test. h.b.test. 1 2 3 4 5\n"),
	       "a SOA that is not the zone's");
	begin(XFR_AXFR);
	failed(say(SOA(7) "x.b.test. 60 SOA ns.b.test. h.b.test. 1 2 3 4 5\n"),
	       "a SOA that is not the zone's");
	begin(XFR_AXFR);
	failed(say(SOA(7) SOA(8)), "the zone changed during the transfer: serial 7, then 8");
	begin(XFR_AXFR);
	failed(say(SOA(7) SOA(7) "b.test. NS ns.b.test.\n"), "records behind the last one");
	begin(XFR_IXFR);
	failed(say(SOA(7) SOA(5) SOA(7) SOA(7) SOA(7)), "records behind the last one");
	begin(XFR_IXFR);
	failed(say(SOA(7) SOA(5) SOA(5)), "a step from serial 5 to 5, of those to 7");
	begin(XFR_IXFR);
	failed(say(SOA(7) SOA(5) SOA(8)), "a step from serial 5 to 8, of those to 7");
	begin(XFR_IXFR);
	failed(say(SOA(7) SOA(5) SOA(6) SOA(7)), "a step to serial 6 is followed by one from 7");
	begin(XFR_IXFR); /* neither our serial nor the end */
	failed(say(SOA(7) SOA(6)), "the zone changed during the transfer: serial 7, then 6");
}

static void limits(void **state)
{
	static const char first[] = SOA(7) "b.test. NS ns.b.test.\n";
	(void)state;
	begin(XFR_AXFR);
	x.records_max = 2;
	assert_int_equal(say(first), XFR_MORE);
	failed(say("a.b.test. A 192.0.2.1\n"), "the zone is too large: over 2 records");
	begin(XFR_AXFR);
	x.octets_max = 98;
	assert_int_equal(say(first), XFR_MORE);
	failed(say("a.b.test. TXT 01234567890123456789\n"),
	       "the zone is too large: over 98 octets");
	begin(XFR_AXFR); /* those that are left out count */
	x.records_max = 2;
	assert_int_equal(say(first), XFR_MORE);
	failed(say("a.c.test. A 192.0.2.1\n"), "the zone is too large: over 2 records");
	begin(XFR_AXFR);
	stop_after = 2;
	failed(say(first), "");
}

static void malformed(void **state)
{
	(void)state;
	begin(XFR_AXFR);
	message(ID, DNS_QR, XFR_AXFR, SOA(7) "b.test. NS ns.b.test.\n" SOA(7));
	failed(xfr_read(&x, m.p, m.out.len - 1), "a malformed message");
	begin(XFR_AXFR);
	message(ID, DNS_QR, XFR_AXFR, SOA(7) "a.b.test. A 192.0.2.1\n");
	m.p[m.out.len - 5] = 5; /* octets of the address, the last of which is behind the end */
	failed(xfr_read(&x, m.p, m.out.len), "a malformed message");
	begin(XFR_AXFR);
	message(ID, DNS_QR, XFR_AXFR, SOA(7) "a.b.test. TYPE65280 \\# 5 0102030405\n");
	m.p[m.out.len - 15] = 0;
	m.p[m.out.len - 14] = DNS_A;
	failed(xfr_read(&x, m.p, m.out.len), "a.b.test A: malformed data");
	m.p[m.out.len - 14] = XFR_AXFR;
	begin(XFR_AXFR);
	failed(xfr_read(&x, m.p, m.out.len), "a record of class 1 and type AXFR");
	m.p[m.out.len - 12] = 3;
	begin(XFR_AXFR);
	failed(xfr_read(&x, m.p, m.out.len), "a record of class 3 and type AXFR");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_zone_in_one_message),
	    cmocka_unit_test(a_zone_in_many_messages),
	    cmocka_unit_test(the_serial_of_a_whole_zone_is_any),
	    cmocka_unit_test(steps),
	    cmocka_unit_test(condensed_steps),
	    cmocka_unit_test(serials_wrap),
	    cmocka_unit_test(a_whole_zone_for_steps),
	    cmocka_unit_test(nothing_newer),
	    cmocka_unit_test(no_steps_to_be_had),
	    cmocka_unit_test(what_is_not_in_the_zone_is_left_out),
	    cmocka_unit_test(other_messages),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(wrong_order),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(malformed),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	buf_free(&told);
	return rc;
}
