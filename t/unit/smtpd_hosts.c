/* Which hosts take a domain's mail: each answer of DNS, and who we are. */
#include "t/unit/common_dns_server.h"
#include "smtpd/smtpd.h"

/* --- the zone --- */

enum { SERVFAIL = 1000 };
struct record {
	const char *name;
	uint16_t type;
	const char *value; /* NULL: the name exists, records of this type do not */
	uint16_t preference;
};
#define MX(name, preference, value)             \
	{                                       \
		name, DNS_MX, value, preference \
	}
#define A(name, value)                \
	{                             \
		name, DNS_A, value, 0 \
	}
#define AAAA(name, value)                \
	{                                \
		name, DNS_AAAA, value, 0 \
	}
static const struct record ZONE[] = {
    MX("b.test", 20, "mx2.b.test"),
    MX("b.test", 10, "MX1.b.test"),
    A("mx1.b.test", "192.0.2.1"),
    AAAA("mx1.b.test", "2001:db8::1"),
    A("mx2.b.test", "192.0.2.2"),
    A("mx2.b.test", "192.0.2.3"),
    MX("equal.test", 5, "mx1.b.test"),
    MX("equal.test", 5, "mx2.b.test"),
    MX("equal.test", 7, "mx3.b.test"),
    A("mx3.b.test", "192.0.2.33"),
    MX("both.test", 10, "mx1.b.test"),
    MX("full.test", 10, "full.test"),
    A("full.test", "192.0.2.1"),
    AAAA("full.test", "2001:db8::1"),
    A("plain.test", "192.0.2.4"),
    AAAA("six.test", "2001:db8::6"),
    {"empty.test", DNS_TXT, NULL, 0},
    MX("null.test", 0, "."),
    MX("nullplus.test", 0, "."),
    MX("nullplus.test", 10, "mx2.b.test"),
    MX("onlybad.test", 10, "."),
    MX("onlybad.test", 10, "192.0.2.1"),
    MX("gone.test", 10, "none.b.test"),
    MX("halfgone.test", 10, "none.b.test"),
    MX("halfgone.test", 20, "mx2.b.test"),
    {"fail.test", SERVFAIL, NULL, 0},
    MX("onefails.test", 10, "fail.test"),
    MX("onefails.test", 20, "mx2.b.test"),
    MX("allfail.test", 10, "fail.test"),
    MX("allfail.test", 20, "none.b.test"),
    MX("twice.test", 10, "mx2.b.test"),
    MX("twice.test", 20, "MX2.B.test"),
    MX("cnamed.test", 10, "alias.test"),
    {"alias.test", DNS_CNAME, "mx2.b.test", 0},
    {"moved.test", DNS_CNAME, "b.test", 0},
    MX("xn--bcher-kva.test", 10, "mx2.b.test"),
    MX("signed.ad.test", 10, "mx.ad.test"),
    MX("signed.ad.test", 20, "mx2.b.test"),
    MX("unsigned.test", 10, "mx.ad.test"),
    A("mx.ad.test", "192.0.2.9"),
    A("plain.ad.test", "192.0.2.9"),
    MX("self.test", 10, "mx2.b.test"),
    MX("self.test", 20, "mail.a.test"),
    MX("self.test", 20, "mx3.b.test"),
    MX("self.test", 30, "mx1.b.test"),
    A("mail.a.test", "192.0.2.7"),
    MX("onlyself.test", 10, "Mail.A.test"),
    MX("onlyself.test", 20, "mx2.b.test"),
    MX("helo.test", 10, "out.a.test"),
    A("out.a.test", "192.0.2.8"),
    A("here.test", "127.0.0.7"),
    A("other.test", "192.0.2.44"),
    MX("odd.test", 10, "odd.b.test"),
    A("odd.b.test", "224.0.0.1"),
    A("odd.b.test", "255.255.255.255"),
    AAAA("odd.b.test", "::ffff:192.0.2.1"),
    AAAA("odd.b.test", "ff02::1"),
    A("odd.b.test", "192.0.2.45"),
};
#define RECORDS (sizeof(ZONE) / sizeof(ZONE[0]))

static uint32_t ttl;
static unsigned asked_mx;

static bool is_there(const char *name)
{
	for (size_t i = 0; i < RECORDS; i++)
		if (slice_ieqs(slice_of(name), ZONE[i].name))
			return true;
	return false;
}

static void put_mx(struct dns_out *o, const char *owner, uint16_t preference, const char *to)
{
	size_t rr = dns_out_rr(o, DNS_ANSWER, wire_of(owner), DNS_MX, ttl);
	dns_out_u16(o, preference);
	dns_out_name(o, wire_of(to), true);
	dns_out_rr_end(o, rr);
}

static void put_aaaa(struct dns_out *o, const char *owner, const char *addr)
{
	struct in6_addr a;
	assert_int_equal(inet_pton(AF_INET6, addr, &a), 1);
	size_t rr = dns_out_rr(o, DNS_ANSWER, wire_of(owner), DNS_AAAA, ttl);
	dns_out_bytes(o, &a, sizeof(a));
	dns_out_rr_end(o, rr);
}

static unsigned put_records(struct dns_out *o, const char *name, uint16_t type)
{
	unsigned n = 0;
	for (size_t i = 0; i < RECORDS; i++) {
		const struct record *r = &ZONE[i];
		if (!slice_ieqs(slice_of(name), r->name) || !r->value)
			continue;
		if (r->type == DNS_CNAME) {
			put_name(o, r->name, DNS_CNAME, ttl, r->value);
			return 1 + put_records(o, r->value, type);
		}
		if (r->type != type)
			continue;
		n++;
		if (type == DNS_A)
			put_a(o, name, ttl, r->value);
		else if (type == DNS_AAAA)
			put_aaaa(o, name, r->value);
		else
			put_mx(o, name, r->preference, r->value);
	}
	return n;
}

/* many.test has 100 MX and 20 addresses of each family. */
static unsigned put_many(struct dns_out *o, const char *name, uint16_t type)
{
	char text[64];
	unsigned n = type == DNS_MX ? 100 : 20;
	for (unsigned i = 0; i < n; i++)
		if (type == DNS_MX) {
			str_fmt(text, sizeof(text), "h%u.many.test", 99 - i);
			put_mx(o, name, (uint16_t)(99 - i), text);
		} else if (type == DNS_A) {
			str_fmt(text, sizeof(text), "192.0.2.%u", i);
			put_a(o, name, ttl, text);
		} else {
			str_fmt(text, sizeof(text), "2001:db8::%u", i);
			put_aaaa(o, name, text);
		}
	return n;
}

static void zone(struct seen *q, unsigned nth)
{
	struct dns_out o;
	bool many = strstr(q->name, "many.test") != NULL;
	struct slice name = slice_of(q->name);
	(void)nth;
	asked_mx += q->type == DNS_MX;
	bool ad = name.len > 7 && slice_ieqs((struct slice){name.p + name.len - 7, 7}, "ad.test");
	if (slice_ieqs(name, "fail.test")) {
		answer_rcode(q, 2);
		return;
	}
	if (many && !q->tcp) {
		answer_begin(&o, q, DNS_TC);
		answer_end(q, &o);
		return;
	}
	bool there = many || is_there(q->name);
	answer_begin(&o, q, (ad ? DNS_AD : 0) | (there ? 0 : DNS_NXDOMAIN));
	if (!(many ? put_many(&o, q->name, q->type) : put_records(&o, q->name, q->type)))
		put_soa(&o, ttl, ttl);
	answer_end(q, &o);
}

/* --- the question --- */

static struct fake server;
static struct stub *stub;
static struct pool *pool;
static struct hosts *got;
static unsigned calls;
static struct buf line;

static void read_conf(const char *more)
{
	char text[2048];
	pool_free(&pool);
	pool = pool_new(0);
	memset(&conf, 0, sizeof(conf));
	assert_true(str_fmt(text, sizeof(text),
			    "version 1\nhostname mail.a.test\nrelay { helo out.a.test }\n%s",
			    more));
	assert_int_equal(
	    conf_parse(pool, "test", text, strlen(text), conf_table, &conf, conf_verify, stderr),
	    0);
}

static void on_hosts(struct hosts *h, void *arg)
{
	assert_ptr_equal(arg, &calls);
	calls++;
	got = h;
}

static void wait_hosts(void)
{
	uint64_t end = clock_mono() + 30000;
	while (!calls && clock_mono() < end)
		uv_run(loop_get(), UV_RUN_ONCE);
	assert_int_equal(calls, 1);
}

static void put_host(const struct host *h)
{
	char ip[INET6_ADDRSTRLEN];
	buf_printf(&line, "%s%s/%u:%u%s", line.len ? " " : "", h->name, h->preference, h->port,
		   h->secure ? "!" : "");
	for (size_t i = 0; i < h->addrs; i++) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&h->addr[i];
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&h->addr[i];
		bool six = v4->sin_family == AF_INET6;
		inet_ntop(v4->sin_family, six ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr, ip,
			  sizeof(ip));
		assert_int_equal(ntohs(six ? v6->sin6_port : v4->sin_port), h->port);
		buf_printf(&line, "%s%s", i ? "," : "=", ip);
	}
}

/* "HOST/PREFERENCE:PORT[!]=ADDRESS,... ..." (! is secure) or "STATE CODE STATUS TEXT". */
static const char *hosts(const char *domain)
{
	calls = 0;
	hosts_free(&got);
	buf_clear(&line);
	struct slice d = slice_of(domain);
	assert_non_null(hosts_find(stub, route_of(d), d, on_hosts, &calls));
	assert_int_equal(calls, 0);
	wait_hosts();
	for (size_t i = 0; i < got->n; i++)
		put_host(&got->host[i]);
	const struct out_verdict *v = &got->verdict;
	if (!got->n) {
		assert_true(v->state == OUT_TEMP || v->state == OUT_PERM);
		buf_printf(&line, "%s %u %s %s", v->state == OUT_TEMP ? "temp" : "perm", v->code,
			   v->status, v->text);
	}
	return buf_cstr(&line);
}

#define expect(domain, want) assert_string_equal(hosts(domain), want)

static int setup(void **state)
{
	struct stub_conf c = {.timeout_ms = 2000, .deadline_ms = 20000};
	(void)state;
	ttl = 300;
	asked_mx = 0;
	buf_init(&line, 4096);
	fake_start(&server, zone);
	conf_server(&c, server.port);
	stub = stub_new(&c);
	read_conf("smtp 192.0.2.77:25\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hosts_free(&got);
	stub_free(&stub);
	fake_stop(&server);
	buf_free(&line);
	pool_free(&pool);
	return 0;
}

/* --- what DNS says --- */

static void mx_are_taken_by_preference(void **state)
{
	(void)state;
	expect("b.test", "mx1.b.test/10:25=2001:db8::1,192.0.2.1 "
			 "mx2.b.test/20:25=192.0.2.2,192.0.2.3");
	expect("twice.test", "mx2.b.test/10:25=192.0.2.2,192.0.2.3");
	bool one = false, two = false;
	for (int i = 0; i < 200 && !(one && two); i++) {
		const char *s = hosts("equal.test");
		assert_int_equal(got->n, 3);
		assert_string_equal(got->host[2].name, "mx3.b.test");
		if (strncmp(s, "mx1", 3) == 0)
			one = true;
		else
			two = true;
	}
	assert_true(one && two);
	assert_int_equal(asked_mx, 3);
}

static void a_domain_without_mx_takes_its_mail_itself(void **state)
{
	(void)state;
	expect("plain.test", "plain.test/0:25=192.0.2.4");
	expect("PLAIN.test.", "plain.test/0:25=192.0.2.4");
	expect("six.test", "six.test/0:25=2001:db8::6");
	expect("empty.test", "perm 0 5.1.2 empty.test has neither MX nor address");
}

static void domains_that_take_no_mail_are_told(void **state)
{
	(void)state;
	expect("none.test", "perm 0 5.1.2 the domain none.test does not exist");
	expect("null.test", "perm 556 5.1.10 null.test takes no mail (null MX)");
	expect("gone.test", "perm 0 5.4.4 the MX of gone.test, none.b.test, has no address");
	expect("onlybad.test", "perm 0 5.4.4 no MX record of onlybad.test names a host");
	expect("a..test", "perm 0 5.1.2 a..test is not a domain");
	expect("a b.test", "perm 0 5.1.2 a b.test is not a domain");
	expect("192.0.2.1", "perm 0 5.1.2 192.0.2.1 is not a domain");
	expect("", "perm 0 5.1.2  is not a domain");
	expect("x\r\ny.test", "perm 0 5.1.2 x??y.test is not a domain");
}

static void bad_records_are_passed_over(void **state)
{
	(void)state;
	expect("nullplus.test", "mx2.b.test/10:25=192.0.2.2,192.0.2.3");
	expect("halfgone.test", "mx2.b.test/20:25=192.0.2.2,192.0.2.3");
	expect("odd.test", "odd.b.test/10:25=192.0.2.45");
}

static void trouble_with_dns_is_temporary(void **state)
{
	(void)state;
	expect("fail.test", "temp 0 4.4.3 looking up fail.test: the DNS servers failed");
	uint64_t now = clock_mono();
	assert_true(got->until <= now + 60000);
	/* The one that cannot be found just now stays in its place. */
	expect("onefails.test", "fail.test/10:25 mx2.b.test/20:25=192.0.2.2,192.0.2.3");
	assert_int_equal(got->host[0].addrs, 0);
	expect("allfail.test", "temp 0 4.4.3 looking up fail.test: the DNS servers failed");
	server.script = NULL;
	stub_free(&stub);
	struct stub_conf c = {.timeout_ms = 100, .attempts = 1, .deadline_ms = 300};
	conf_server(&c, server.port);
	stub = stub_new(&c);
	expect("b.test", "temp 0 4.4.3 looking up b.test: no DNS server answered");
}

static void over_many_are_bounded(void **state)
{
	(void)state;
	hosts("many.test");
	assert_int_equal(got->n, 32);
	for (size_t i = 0; i < got->n; i++) {
		assert_int_equal(got->host[i].preference, i);
		assert_int_equal(got->host[i].addrs, 16);
		assert_int_equal(got->host[i].addr[7].ss_family, AF_INET6);
		assert_int_equal(got->host[i].addr[8].ss_family, AF_INET);
	}
}

static void cnames_are_followed(void **state)
{
	(void)state;
	expect("cnamed.test", "alias.test/10:25=192.0.2.2,192.0.2.3");
	expect("moved.test", "mx1.b.test/10:25=2001:db8::1,192.0.2.1 "
			     "mx2.b.test/20:25=192.0.2.2,192.0.2.3");
}

static void literals_are_addresses(void **state)
{
	(void)state;
	expect("[192.0.2.5]", "192.0.2.5/0:25!=192.0.2.5");
	expect("[IPv6:2001:db8::5]", "2001:db8::5/0:25!=2001:db8::5");
	expect("[2001:db8::5]", "perm 0 5.1.2 [2001:db8::5] is not a domain");
	expect("[ipv6:192.0.2.5]", "perm 0 5.1.2 [ipv6:192.0.2.5] is not a domain");
	expect("[224.0.0.1]", "perm 0 5.1.2 224.0.0.1 has neither MX nor address");
	expect("[192.0.2.77]", "perm 0 5.4.6 mail for [192.0.2.77] loops back to us (192.0.2.77)");
	assert_int_equal(server.asked, 0);
}

static void domains_of_any_language_are_found(void **state)
{
	(void)state;
	expect("bücher.test", "mx2.b.test/10:25=192.0.2.2,192.0.2.3");
	expect("BÜCHER.test", "mx2.b.test/10:25=192.0.2.2,192.0.2.3");
	expect("xn--bcher-kva.test", "mx2.b.test/10:25=192.0.2.2,192.0.2.3");
	expect("\xff\xfe.test", "perm 0 5.1.2 ??.test is not a domain");
	assert_int_equal(asked_mx, 1);
}

static void signed_answers_are_secure(void **state)
{
	(void)state;
	expect("signed.ad.test",
	       "mx.ad.test/10:25!=192.0.2.9 mx2.b.test/20:25=192.0.2.2,192.0.2.3");
	expect("unsigned.test", "mx.ad.test/10:25=192.0.2.9");
	expect("plain.ad.test", "plain.ad.test/0:25!=192.0.2.9");
}

static void answers_are_good_for_their_time(void **state)
{
	static const struct {
		uint32_t ttl;
		uint64_t ms;
	} CASES[] = {{300, 300000}, {1, 60000}, {86400, 3600000}};
	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		static const char *const NAMES[] = {"both.test", "equal.test", "full.test"};
		ttl = CASES[i].ttl;
		uint64_t before = clock_mono();
		hosts(NAMES[i]);
		uint64_t after = clock_mono();
		/* The stub counts whole seconds. */
		assert_in_range(got->until, before + CASES[i].ms - 1000, after + CASES[i].ms);
	}
}

/* --- ourselves --- */

static void mail_does_not_go_back_to_us(void **state)
{
	(void)state;
	expect("self.test", "mx2.b.test/10:25=192.0.2.2,192.0.2.3");
	expect("onlyself.test",
	       "perm 0 5.4.6 mail for onlyself.test loops back to us (mail.a.test)");
	expect("helo.test", "perm 0 5.4.6 mail for helo.test loops back to us (out.a.test)");
	/* By an address that we listen on. */
	read_conf("smtp 192.0.2.4:25\nsubmission 192.0.2.44:25\nsmtp 192.0.2.2:2525\n");
	expect("plain.test", "perm 0 5.4.6 mail for plain.test loops back to us (plain.test)");
	expect("other.test", "other.test/0:25=192.0.2.44");
	expect("halfgone.test", "mx2.b.test/20:25=192.0.2.2,192.0.2.3");
	/* By any address of the machine, when we listen on all. */
	static const char *const ALL[] = {"smtp *:25\n", "smtp 0.0.0.0:25\n", "smtp [::]:25\n"};
	for (size_t i = 0; i < sizeof(ALL) / sizeof(ALL[0]); i++) {
		read_conf(ALL[i]);
		expect("here.test", "perm 0 5.4.6 mail for here.test loops back to us (here.test)");
		expect("other.test", "other.test/0:25=192.0.2.44");
	}
	read_conf("smtp *:2525\n");
	expect("here.test", "here.test/0:25=127.0.0.7");
	read_conf("smtp unix:/tmp/x\n");
	expect("here.test", "here.test/0:25=127.0.0.7");
}

/* --- routes --- */

static void routes_name_their_hosts(void **state)
{
	(void)state;
	read_conf("smtp *:2525\n"
		  "route one.test { host mx2.b.test\n host 192.0.2.99 26\n host 2001:db8::9\n }\n"
		  "route two.test { mx b.test 587\n host plain.test\n }\n"
		  "route three.test { host mail.a.test 24\n protocol lmtp\n }\n"
		  "route four.test { host mail.a.test 10025\n }\n"
		  "route five.test { host here.test 2525\n host plain.test\n }\n"
		  "route six.test { host mail.a.test\n protocol submissions\n }\n"
		  "route seven.test { host none.b.test\n }\n"
		  "route eight.test { mx null.test\n }\n"
		  "route nine.test { mx none.test\n mx b.test\n }\n"
		  "route ten.test { host fail.test\n }\n"
		  "route eleven.test { host LOCALHOST 10024\n }\n");
	expect("eleven.test", "localhost/0:10024!=::1,127.0.0.1");
	expect("one.test", "mx2.b.test/0:25=192.0.2.2,192.0.2.3 192.0.2.99/0:26!=192.0.2.99 "
			   "2001:db8::9/0:25!=2001:db8::9");
	expect("two.test", "plain.test/0:25=192.0.2.4 mx1.b.test/10:587=2001:db8::1,192.0.2.1 "
			   "mx2.b.test/20:587=192.0.2.2,192.0.2.3");
	/* Another service of ours is not the one that mail comes in by. */
	expect("three.test", "mail.a.test/0:24=192.0.2.7");
	expect("four.test", "mail.a.test/0:10025=192.0.2.7");
	expect("five.test", "perm 0 5.4.6 mail for five.test loops back to us (here.test)");
	expect("six.test", "mail.a.test/0:465=192.0.2.7");
	/* Mistakes of the administrator bounce no mail. */
	expect("seven.test", "temp 0 4.3.5 none.b.test has neither MX nor address");
	expect("eight.test", "temp 0 4.3.5 null.test takes no mail (null MX)");
	expect("nine.test", "mx1.b.test/10:25=2001:db8::1,192.0.2.1 "
			    "mx2.b.test/20:25=192.0.2.2,192.0.2.3");
	expect("ten.test", "temp 0 4.4.3 looking up fail.test: the DNS servers failed");
}

/* --- cancelling --- */

static void cancelled_questions_are_not_answered(void **state)
{
	(void)state;
	struct slice b = SLICE("b.test"), literal = SLICE("[192.0.2.5]");
	calls = 0;
	for (unsigned asked = 0; asked < 6; asked++) {
		struct hosts_ask *a = hosts_find(stub, route_of(b), b, on_hosts, &calls);
		uint64_t end = clock_mono() + 30000;
		while (server.asked < asked && !calls && clock_mono() < end)
			uv_run(loop_get(), UV_RUN_ONCE);
		if (calls)
			break; /* the cache had the rest of it */
		hosts_cancel(&a);
		assert_null(a);
	}
	hosts_free(&got);
	calls = 0;
	struct hosts_ask *a = hosts_find(stub, route_of(literal), literal, on_hosts, &calls);
	hosts_cancel(&a);
	hosts_cancel(&a);
	run_for(50);
	assert_int_equal(calls, 0);
	expect("b.test", "mx1.b.test/10:25=2001:db8::1,192.0.2.1 "
			 "mx2.b.test/20:25=192.0.2.2,192.0.2.3");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(mx_are_taken_by_preference),
	    TEST(a_domain_without_mx_takes_its_mail_itself),
	    TEST(domains_that_take_no_mail_are_told),
	    TEST(bad_records_are_passed_over),
	    TEST(trouble_with_dns_is_temporary),
	    TEST(over_many_are_bounded),
	    TEST(cnames_are_followed),
	    TEST(literals_are_addresses),
	    TEST(domains_of_any_language_are_found),
	    TEST(signed_answers_are_secure),
	    TEST(answers_are_good_for_their_time),
	    TEST(mail_does_not_go_back_to_us),
	    TEST(routes_name_their_hosts),
	    TEST(cancelled_questions_are_not_answered),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
