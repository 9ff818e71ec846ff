/* The stub over time: answers kept, questions joined, queued and cancelled, what it remembers of
 * its servers, and its configuration. */
#include <sys/mman.h>
#include "t/unit/common_dns_scene.h"
#include "libcommon/dns/stub_int.h"

static int64_t *moved; /* ms that the clock is moved */

static int setup_clock(void **state)
{
	*moved = 0;
	return setup(state);
}

/* --- the cache --- */

static void answers_are_kept_for_their_ttl(void **state)
{
	(void)state;
	start(says_a);
	assert_string_equal(ask(stub, "b.test", DNS_A), "ok 300 b.test: 192.0.2.1");
	*moved = 100 * 1000;
	assert_non_null(strstr(ask(stub, "B.Test", DNS_A), "ok 200 cached"));
	*moved = 299 * 1000;
	assert_non_null(strstr(ask(stub, "b.test", DNS_A), "cached"));
	*moved = 300 * 1000;
	assert_string_equal(ask(stub, "b.test", DNS_A), "ok 300 b.test: 192.0.2.1");
	*moved = -1000; /* set back: nothing is known of its age */
	assert_string_equal(ask(stub, "b.test", DNS_A), "ok 300 b.test: 192.0.2.1");
	assert_int_equal(one.asked, 3);
}

static void says_nothing_for_long(struct seen *q, unsigned nth)
{
	struct dns_out o;
	(void)nth;
	answer_begin(&o, q, 0);
	put_soa(&o, 86400, 86400);
	answer_end(q, &o);
}

static void ttls_are_capped(void **state)
{
	(void)state;
	conf.ttl_max = 60;
	conf.negative_max = 30;
	start(says_a);
	assert_string_equal(ask(stub, "b.test", DNS_A), "ok 60 b.test: 192.0.2.1");
	one.script = says_nothing_for_long;
	assert_string_equal(ask(stub, "c.test", DNS_A), "no such record 30");
	*moved = 31 * 1000;
	assert_string_equal(ask(stub, "c.test", DNS_A), "no such record 30");
}

static void the_least_recently_used_goes_first(void **state)
{
	(void)state;
	struct stub_stats st;
	conf.cache_entries = 2;
	start(says_a);
	ask(stub, "a.test", DNS_A);
	ask(stub, "b.test", DNS_A);
	ask(stub, "a.test", DNS_A);
	ask(stub, "c.test", DNS_A);
	assert_non_null(strstr(ask(stub, "a.test", DNS_A), "cached"));
	assert_null(strstr(ask(stub, "b.test", DNS_A), "cached"));
	stub_stats(stub, &st);
	assert_int_equal(st.entries, 2);
	assert_int_equal(one.asked, 4);
}

static void says_much(struct seen *q, unsigned nth)
{
	struct dns_out o;
	(void)nth;
	answer_begin(&o, q, q->tcp ? 0 : DNS_TC);
	for (int i = 0; q->tcp && i < 2000; i++)
		put_raw(&o, q->name, DNS_TXT, "\x0fsixteen octets!", 16);
	answer_end(q, &o);
}

static void huge_answers_are_not_kept(void **state)
{
	(void)state;
	start(says_much);
	ask(stub, "a.test", DNS_TXT);
	assert_null(strstr(ask(stub, "a.test", DNS_TXT), "cached"));
	assert_int_equal(one.asked, 4);
}

static void without_a_cache_all_is_asked(void **state)
{
	(void)state;
	conf.no_cache = true;
	start(says_a);
	ask(stub, "a.test", DNS_A);
	ask(stub, "a.test", DNS_A);
	assert_int_equal(one.asked, 2);
}

/* --- questions --- */

static void identical_questions_are_asked_once(void **state)
{
	(void)state;
	struct got g = {0};
	struct stub_stats st;
	start(says_a);
	for (int i = 0; i < 5; i++)
		stub_ask(stub, SLICE("b.test"), DNS_A, got_answer, &g);
	stub_ask(stub, SLICE("b.test"), DNS_AAAA, got_answer, &g);
	wait_for(&g, 6);
	stub_stats(stub, &st);
	assert_int_equal(st.merged, 4);
	assert_int_equal(one.asked, 2);
}

static void cancelled_questions_stay_unanswered(void **state)
{
	(void)state;
	struct got g = {0}, h = {0};
	start(says_a);
	struct stub_ask *a = stub_ask(stub, SLICE("a.test"), DNS_A, got_answer, &g);
	struct stub_ask *b = stub_ask(stub, SLICE("b.test"), DNS_A, got_answer, &g);
	stub_ask(stub, SLICE("b.test"), DNS_A, got_answer, &h);
	struct stub_ask *bad = stub_ask(stub, SLICE(""), DNS_A, got_answer, &g);
	stub_cancel(&a);
	stub_cancel(&b);
	stub_cancel(&bad);
	stub_cancel(&a);
	wait_for(&h, 1);
	run_for(50);
	assert_int_equal(g.calls, 0);
	assert_int_equal(one.asked, 1);
	one.script = NULL;
	a = stub_ask(stub, SLICE("c.test"), DNS_A, got_answer, &g);
	wait_count(&one.asked, 2); /* it is under way */
	stub_cancel(&a);
	run_for(1300); /* longer than it waits to ask again */
	assert_int_equal(one.asked, 2);
	assert_int_equal(g.calls, 0);
}

static struct stub_ask *others[2];
static unsigned calls;

static void cancels_others(const struct stub_answer *a, void *arg)
{
	(void)a;
	(void)arg;
	calls++;
	stub_cancel(&others[0]);
	stub_cancel(&others[1]);
	assert_string_equal(a->owner, "b.test"); /* still there */
}

static void frees_all(const struct stub_answer *a, void *arg)
{
	calls++;
	stub_free(arg);
	assert_string_equal(a->owner, "b.test");
}

static void callbacks_may_cancel_and_free(void **state)
{
	(void)state;
	struct got g = {0};
	calls = 0;
	start(says_a);
	stub_ask(stub, SLICE("b.test"), DNS_A, cancels_others, NULL);
	others[0] = stub_ask(stub, SLICE("b.test"), DNS_A, got_answer, &g);
	others[1] = stub_ask(stub, SLICE("c.test"), DNS_MX, got_answer, &g);
	wait_count(&calls, 1);
	stub_ask(stub, SLICE("b.test"), DNS_A, frees_all, &stub);
	stub_ask(stub, SLICE("b.test"), DNS_A, got_answer, &g);
	stub_ask(stub, SLICE("d.test"), DNS_A, got_answer, &g);
	wait_count(&calls, 2);
	run_for(100);
	assert_int_equal(calls, 2);
	assert_null(stub);
	assert_int_equal(g.calls, 0);
}

static void asks_on(const struct stub_answer *a, void *arg)
{
	(void)a;
	struct got *g = arg;
	if (++g->calls < 50)
		stub_ask(stub, g->calls & 1 ? SLICE("b.test") : SLICE("bad name"), DNS_A, asks_on,
			 g);
}

static void callbacks_may_ask(void **state)
{
	(void)state;
	struct got g = {0};
	start(says_a);
	stub_ask(stub, SLICE("b.test"), DNS_A, asks_on, &g);
	wait_for(&g, 50);
	assert_int_equal(one.asked, 1);
}

static unsigned held;
static struct seen holding;

static void holds(struct seen *q, unsigned nth)
{
	(void)nth;
	held++;
	holding = *q;
}

static void questions_wait_for_a_socket(void **state)
{
	(void)state;
	struct got g = {0}, busy = {0};
	held = 0;
	conf.parallel = 1;
	conf.queue = 2;
	conf.timeout_ms = 20000;
	start(holds);
	stub_ask(stub, SLICE("a.test"), DNS_A, got_answer, &g);
	wait_count(&held, 1);
	stub_ask(stub, SLICE("b.test"), DNS_A, got_answer, &g);
	stub_ask(stub, SLICE("c.test"), DNS_A, got_answer, &g);
	stub_ask(stub, SLICE("d.test"), DNS_A, got_answer, &busy);
	wait_for(&busy, 1);
	assert_string_equal(busy.line, "too many DNS questions");
	assert_true(stub_kind_temporary(busy.kind));
	for (unsigned i = 1; i <= 3; i++) {
		wait_count(&held, i);
		says_a(&holding, 1);
		wait_for(&g, i);
	}
}

static uint16_t ids[40], ports[40];

static void notes(struct seen *q, unsigned nth)
{
	ids[nth - 1] = q->id;
	ports[nth - 1] = one.last_port;
	says_a(q, nth);
}

static unsigned distinct(const uint16_t *v, unsigned n)
{
	unsigned d = 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned k = 0;
		while (k < i && v[k] != v[i])
			k++;
		d += k == i;
	}
	return d;
}

static void ids_and_ports_are_random(void **state)
{
	(void)state;
	conf.no_cache = true;
	start(notes);
	for (int i = 0; i < 40; i++)
		ask(stub, "b.test", DNS_A);
	assert_in_range(distinct(ids, 40), 36, 40);
	assert_in_range(distinct(ports, 40), 36, 40);
}

/* --- servers --- */

static void a_server_is_forgiven_in_time(void **state)
{
	(void)state;
	conf_server(&conf, two.port);
	two.script = says_a;
	start(NULL);
	ask(stub, "a.test", DNS_A);
	ask(stub, "b.test", DNS_A);
	assert_int_equal(one.asked, 1);
	two.script = NULL; /* now the other one dies */
	one.script = says_a;
	ask(stub, "c.test", DNS_A);
	ask(stub, "d.test", DNS_A);
	assert_int_equal(one.asked, 3);
	assert_int_equal(two.asked, 3);
	two.script = says_a;
	stub->server[0].srtt = 50; /* and answers in 1 ms, when its time is over */
	*moved = 600 * 1000;
	ask(stub, "e.test", DNS_A);
	assert_int_equal(two.asked, 4);
}

static void penalties_decay_and_are_bounded(void **state)
{
	(void)state;
	conf_server(&conf, two.port);
	start(NULL);
	struct server *a = &stub->server[0], *b = &stub->server[1];
	assert_ptr_equal(stub_server_pick(stub, 0), a); /* in order */
	assert_ptr_equal(stub_server_pick(stub, 1), b);
	assert_null(stub_server_pick(stub, 3));
	for (int i = 0; i < 1000; i++)
		stub_server_bad(a, 30000);
	assert_int_equal(a->penalty, 60000);
	assert_ptr_equal(stub_server_pick(stub, 0), b);
	stub_server_bad(b, 1000);
	*moved = 15 * 1000;
	assert_ptr_equal(stub_server_pick(stub, 0), b);
	*moved = 24 * 3600 * 1000;
	assert_ptr_equal(stub_server_pick(stub, 0), a);
	stub_server_good(b, 8);
	stub_server_good(b, 16);
	assert_int_equal(b->srtt, 9);
	assert_ptr_equal(stub_server_pick(stub, 0), b);
	stub_server_good(a, 500); /* slow once: measured again, but not soon */
	unsigned n = 0;
	while (stub_server_pick(stub, 0) == b && n < 1000)
		n++;
	assert_in_range(n, 50, 400);
}

/* --- configuration --- */

static void resolv_conf_is_read(void **state)
{
	(void)state;
	struct stub_conf c = {0};
	char ip[INET6_ADDRSTRLEN];
	stub_resolv_conf(&c, SLICE("# nameserver 192.0.2.9\nnameserver\t192.0.2.1 \nnameserver x\n"
				   "search b.test\nnameserver 2001:db8::1%lo\n"
				   "options ndots:2 timeout:3 attempts:4 trust-ad timeout:\n"
				   "nameserver 192.0.2.2"));
	assert_int_equal(c.servers, 3);
	const struct sockaddr_in *v4 = (struct sockaddr_in *)&c.server[0];
	const struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&c.server[1];
	assert_string_equal(inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip)), "192.0.2.1");
	assert_int_equal(ntohs(v4->sin_port), 53);
	assert_string_equal(inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip)), "2001:db8::1");
	assert_int_equal(c.timeout_ms, 3000);
	assert_int_equal(c.attempts, 4);
	assert_true(c.trust_ad);
	for (int i = 0; i < 20; i++)
		stub_resolv_conf(&c, SLICE("nameserver 192.0.2.3\n"));
	assert_int_equal(c.servers, 3); /* what is configured stays alone */
	c = (struct stub_conf){.attempts = 1};
	stub_resolv_conf(&c, SLICE("options attempts:9 timeout:4294967295"));
	assert_int_equal(c.attempts, 1);
	assert_int_equal(c.timeout_ms, 30000);
}

static void values_are_in_their_range(void **state)
{
	(void)state;
	struct stub_conf c;
	memset(&c, 0xff, sizeof(c));
	stub_conf_range(&c);
	assert_int_equal(c.timeout_ms, 30000);
	assert_int_equal(c.attempts, 10);
	assert_int_equal(c.parallel, 4096);
	assert_int_equal(c.servers, STUB_SERVERS);
	struct stub *s = stub_new(&(struct stub_conf){.resolv_conf = "", .timeout_ms = 1});
	assert_int_equal(s->conf.servers, 1);
	assert_int_equal(s->conf.timeout_ms, 100);
	assert_int_equal(s->conf.cache_entries, 4096);
	assert_true(s->server[0].trust_ad);
	stub_free(&s);
}

static void move_the_clock(void)
{
	char file[] = "/tmp/hamlet-clock-XXXXXX";
	int fd = mkstemp(file);
	if (fd < 0 || ftruncate(fd, sizeof(*moved)) != 0)
		abort();
	moved = mmap(NULL, sizeof(*moved), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	setenv("HAMLET_CLOCK", file, 1);
	clock_init();
	close(fd);
	unlink(file);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup_clock, teardown)

int main(void)
{
	move_the_clock();
	const struct CMUnitTest tests[] = {
	    T(answers_are_kept_for_their_ttl),
	    T(ttls_are_capped),
	    T(the_least_recently_used_goes_first),
	    T(huge_answers_are_not_kept),
	    T(without_a_cache_all_is_asked),
	    T(identical_questions_are_asked_once),
	    T(cancelled_questions_stay_unanswered),
	    T(callbacks_may_cancel_and_free),
	    T(callbacks_may_ask),
	    T(questions_wait_for_a_socket),
	    T(ids_and_ports_are_random),
	    T(a_server_is_forgiven_in_time),
	    T(penalties_decay_and_are_bounded),
	    T(resolv_conf_is_read),
	    T(values_are_in_their_range),
	};
	return cmocka_run_group_tests_name("common_dns_cache", tests, NULL, NULL);
}
