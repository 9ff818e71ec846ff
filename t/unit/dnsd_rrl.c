/* Response rate limiting: the buckets, and what is left of a response. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include "dnsd/dnsd.h"
#include "dnsd/wire/shared.h"
#include "libcommon/dns/wire.h"

enum { RATE = 10, WINDOW_MS = 5000 };

static struct shared *tables[20];
static unsigned tables_n;

static struct shared *table_new(void)
{
	return tables[tables_n++] = shared_open(NULL);
}

static const struct sockaddr *address(const char *text)
{
	static struct sockaddr_storage sa;
	struct sockaddr_in *in = (struct sockaddr_in *)&sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sa;
	memset(&sa, 0, sizeof(sa));
	sa.ss_family = AF_INET;
	if (inet_pton(AF_INET, text, &in->sin_addr) != 1) {
		sa.ss_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	}
	return (const struct sockaddr *)&sa;
}

/* How many of n responses at one moment pass, and slip. */
static unsigned pass(struct rrl *r, const char *client, enum rrl_class class, uint64_t now,
		     unsigned n, unsigned *slipped)
{
	unsigned passed = 0;
	unsigned slips = 0;
	for (unsigned i = 0; i < n; i++) {
		enum rrl_verdict v = rrl_count(r, address(client), class, now);
		passed += v == RRL_PASS;
		slips += v == RRL_SLIP;
	}
	if (slipped)
		*slipped = slips;
	return passed;
}

static void a_network_gets_its_rate(void **state)
{
	(void)state;
	struct rrl *r = rrl_new(RATE, 2, WINDOW_MS, table_new());
	unsigned slipped;
	assert_int_equal(pass(r, "192.0.2.1", RRL_ANSWER, 1000, 30, &slipped), RATE);
	assert_int_equal(slipped, 10);
	/* Neighbours share it, other networks and other classes do not. */
	assert_int_equal(pass(r, "192.0.2.200", RRL_ANSWER, 1000, 5, NULL), 0);
	assert_int_equal(pass(r, "::ffff:192.0.2.7", RRL_ANSWER, 1000, 5, NULL), 0);
	assert_int_equal(pass(r, "192.0.3.1", RRL_ANSWER, 1000, 30, NULL), RATE);
	assert_int_equal(pass(r, "192.0.2.1", RRL_NXDOMAIN, 1000, 30, NULL), RATE);
	rrl_free(&r);
	assert_null(r);
}

static void ipv6_counts_by_56_bits(void **state)
{
	(void)state;
	struct rrl *r = rrl_new(RATE, 2, WINDOW_MS, table_new());
	assert_int_equal(pass(r, "2001:db8:1:200::1", RRL_ANSWER, 1, 30, NULL), RATE);
	assert_int_equal(pass(r, "2001:db8:1:2ff::1", RRL_ANSWER, 1, 5, NULL), 0);
	assert_int_equal(pass(r, "2001:db8:1:300::1", RRL_ANSWER, 1, 30, NULL), RATE);
	rrl_free(&r);
}

static void a_steady_rate_passes(void **state)
{
	(void)state;
	struct rrl *r = rrl_new(RATE, 2, WINDOW_MS, table_new());
	for (uint64_t now = 1; now < 100000; now += 1000 / RATE)
		assert_int_equal(pass(r, "192.0.2.1", RRL_ANSWER, now, 1, NULL), 1);
	rrl_free(&r);
}

static void debt_is_paid_within_the_window(void **state)
{
	(void)state;
	struct rrl *r = rrl_new(RATE, 2, WINDOW_MS, table_new());
	pass(r, "192.0.2.1", RRL_ANSWER, 1000, 100000, NULL);
	assert_int_equal(pass(r, "192.0.2.1", RRL_ANSWER, 1000 + WINDOW_MS - 200, 1, NULL), 0);
	assert_int_equal(pass(r, "192.0.2.1", RRL_ANSWER, 1000 + 2 * WINDOW_MS, 1, NULL), 1);
	/* After a long rest no more than a second's worth is there. */
	assert_int_equal(pass(r, "192.0.2.1", RRL_ANSWER, 100000000, 30, NULL), RATE);
	rrl_free(&r);
}

static void slip(void **state)
{
	(void)state;
	unsigned slipped;
	struct rrl *none = rrl_new(RATE, 0, WINDOW_MS, table_new()),
		   *all = rrl_new(RATE, 1, WINDOW_MS, table_new());
	assert_int_equal(pass(none, "192.0.2.1", RRL_ERROR, 1, 50, &slipped), RATE);
	assert_int_equal(slipped, 0);
	assert_int_equal(pass(all, "192.0.2.1", RRL_ERROR, 1, 50, &slipped), RATE);
	assert_int_equal(slipped, 40);
	rrl_free(&none);
	rrl_free(&all);
}

static void more_networks_than_slots(void **state)
{
	(void)state;
	struct rrl *r = rrl_new(1, 2, WINDOW_MS, table_new());
	struct sockaddr_in in = {.sin_family = AF_INET};
	unsigned passed = 0;
	const unsigned n = 4 * RRL_SLOTS;
	for (unsigned i = 0; i < n; i++) {
		in.sin_addr.s_addr = htonl(i << 8);
		passed +=
		    rrl_count(r, (struct sockaddr *)&in, RRL_ANSWER, 1 + i / 1000) == RRL_PASS;
	}
	/* But for the few that share a tag, each network is another one. */
	assert_true(passed > n - n / 100);
	rrl_free(&r);
}

/* Several processes are one server to who asks. */
static void processes_share_the_limit(void **state)
{
	(void)state;
	struct shared *table = table_new();
	assert_ptr_equal(shared_open(table), table);
	struct rrl *a = rrl_new(RATE, 2, WINDOW_MS, table), *b = rrl_new(RATE, 2, WINDOW_MS, table);
	assert_int_equal(pass(a, "192.0.2.1", RRL_ANSWER, 1000, RATE / 2, NULL), RATE / 2);
	assert_int_equal(pass(b, "192.0.2.1", RRL_ANSWER, 1000, 30, NULL), RATE - RATE / 2);
	assert_int_equal(pass(a, "192.0.2.1", RRL_ANSWER, 1000, 30, NULL), 0);
	table->layout++; /* another version of the program has begun it */
	tables[tables_n++] = shared_open(table);
	assert_ptr_not_equal(tables[tables_n - 1], table);
	rrl_free(&a);
	rrl_free(&b);
}

static void a_key_signs_forward_in_time(void **state)
{
	(void)state;
	struct shared *s = table_new();
	struct tsig_key one = {.name = "\3one", .name_len = 5},
			two = {.name = "\3two", .name_len = 5};
	assert_true(shared_signed(s, &one, 1, 1000));
	assert_true(shared_signed(s, &one, 1, 1000)); /* the same moment, or again: others decide */
	assert_true(shared_signed(s, &one, 1, 1030));
	assert_false(shared_signed(s, &one, 1, 1000));
	assert_false(shared_signed(s, &one, 1, 1030 - SIGNED_OVERTAKEN - 1));
	assert_true(shared_signed(s, &one, 1, 1030 - SIGNED_OVERTAKEN));
	assert_false(shared_signed(s, &one, 1, 1000));
	/* Other keys, and other kinds of messages. */
	assert_true(shared_signed(s, &two, 1, 1000));
	assert_true(shared_signed(s, &one, 2, 1000));
	/* More keys than there is room for: those of long ago are forgotten. */
	for (unsigned i = 0; i < 2 * SIGNED_SLOTS; i++) {
		two.name[1] = (uint8_t)i;
		two.name[2] = (uint8_t)(i >> 8);
		assert_true(shared_signed(s, &two, 1, 500));
	}
	assert_false(shared_signed(s, &one, 1, 1000));
}

static size_t response(uint8_t *p, size_t cap, bool edns, unsigned records)
{
	struct dns_out o;
	uint8_t name[DNS_NAME_MAX];
	assert_true(dns_name_from_text(SLICE("www.a.test"), name) > 0);
	dns_out_init(&o, p, cap, 7, DNS_QR | DNS_AA);
	dns_out_question(&o, name, DNS_TXT);
	for (unsigned i = 0; i < records; i++) {
		size_t rr = dns_out_rr(&o, DNS_ANSWER, name, DNS_TXT, 60);
		dns_out_bytes(&o, "\003abc", 4);
		dns_out_rr_end(&o, rr);
	}
	if (edns)
		dns_out_edns(&o, 1232, 0, true);
	assert_false(o.full);
	return o.len;
}

static void what_slips_has_the_question_and_edns_alone(void **state)
{
	(void)state;
	uint8_t p[2048];
	struct dns_header h;
	struct dns_iter it;
	struct dns_question q;
	struct dns_rr rr;
	size_t len = rrl_slip(p, response(p, sizeof(p), true, 50));
	assert_true(dns_iter_init(&it, p, len, &h));
	assert_int_equal(h.flags, DNS_QR | DNS_AA | DNS_TC);
	assert_int_equal(h.count[DNS_QUESTION], 1);
	assert_int_equal(h.count[DNS_ANSWER] + h.count[DNS_AUTHORITY], 0);
	assert_int_equal(h.count[DNS_ADDITIONAL], 1);
	assert_true(dns_iter_question(&it, &q));
	assert_true(dns_iter_rr(&it, &rr));
	assert_int_equal(rr.type, DNS_OPT);
	assert_false(dns_iter_rr(&it, &rr));
	assert_false(it.bad);
	assert_int_equal(it.at, len);
	len = rrl_slip(p, response(p, sizeof(p), false, 3));
	assert_int_equal(len, DNS_HEADER + 12 + 4);
	assert_int_equal(p[11], 0);
	assert_int_equal(rrl_slip(p, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_network_gets_its_rate),
	    cmocka_unit_test(ipv6_counts_by_56_bits),
	    cmocka_unit_test(a_steady_rate_passes),
	    cmocka_unit_test(debt_is_paid_within_the_window),
	    cmocka_unit_test(slip),
	    cmocka_unit_test(processes_share_the_limit),
	    cmocka_unit_test(a_key_signs_forward_in_time),
	    cmocka_unit_test(more_networks_than_slots),
	    cmocka_unit_test(what_slips_has_the_question_and_edns_alone),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	while (tables_n)
		free(tables[--tables_n]);
	return failed;
}
