/* Exchanges with servers that follow a script (t/unit/common_dns_server.h). */
#include "t/unit/common_dns_server.h"
#include "dnsd/upstream/forward.h"
#include "dnsd/upstream/upstream_int.h"

static struct fake fake, other;
static struct upstream_conf conf;

struct told {
	unsigned calls, late;
	enum upstream_outcome outcome;
	const char *why;
	bool tcp;
	size_t len;
	uint8_t pkt[DNS_MSG_MAX];
	uint32_t ms;
	void (*then)(struct told *t);
};

static void on_told(void *arg, const struct upstream_answer *a)
{
	struct told *t = arg;
	if (a->outcome == UPSTREAM_LATE) {
		t->late++;
		return;
	}
	t->calls++;
	t->outcome = a->outcome;
	t->why = a->why;
	t->tcp = a->tcp;
	t->ms = a->ms;
	t->len = a->len;
	if (a->len)
		memcpy(t->pkt, a->pkt, a->len);
	if (t->then)
		t->then(t);
}

static struct sockaddr_in to_port(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static struct upstream *begin(struct told *t, uint16_t port, bool tcp)
{
	struct sockaddr_in to = to_port(port);
	struct upstream_question q = {.to = (struct sockaddr *)&to,
				      .name = wire_of("www.example.test"),
				      .type = DNS_A,
				      .tcp = tcp};
	*t = (struct told){.then = t->then};
	struct upstream *x = upstream_ask(&q, on_told, t);
	assert_non_null(x);
	assert_int_equal(t->calls + t->late, 0);
	return x;
}

/* One exchange, to its end. */
static struct told *exchange(bool tcp)
{
	static struct told t;
	t.then = NULL;
	begin(&t, fake.port, tcp);
	wait_count(&t.calls, 1);
	return &t;
}

static void start(void (*script)(struct seen *q, unsigned nth))
{
	upstream_forget();
	upstream_stats = (struct upstream_stats){0};
	conf = upstream_defaults;
	upstream_start(&conf);
	fake_start(&fake, script);
}

/* With other values than usual. */
static void restart(void)
{
	upstream_stop();
	upstream_start(&conf);
}

static int stop(void **state)
{
	(void)state;
	upstream_stop();
	fake_stop(&fake);
	run_for(20);
	return 0;
}

static void good(const struct seen *q)
{
	struct dns_out o;
	answer_begin(&o, q, 0);
	put_a(&o, q->name, 60, "192.0.2.1");
	answer_end(q, &o);
}

/* --- what is sent --- */

static struct {
	in_port_t port[64];
	uint16_t id[64];
	uint8_t name[64][DNS_NAME_MAX];
} sent;

static void note_and_answer(struct seen *q, unsigned nth)
{
	sent.port[nth - 1] = fake.last_port;
	sent.id[nth - 1] = q->id;
	memcpy(sent.name[nth - 1], q->wire, DNS_NAME_MAX);
	good(q);
}

static unsigned distinct(const void *p, size_t size, unsigned n)
{
	unsigned found = 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned k = 0;
		while (k < i &&
		       memcmp((const char *)p + k * size, (const char *)p + i * size, size))
			k++;
		found += k == i;
	}
	return found;
}

static void every_query_is_hard_to_guess(void **state)
{
	(void)state;
	start(note_and_answer);
	for (int i = 0; i < 64; i++) {
		struct told *t = exchange(false);
		assert_int_equal(t->outcome, UPSTREAM_ANSWER);
		assert_false(t->tcp);
	}
	/* By chance a few may be alike. */
	assert_true(distinct(sent.port, sizeof(sent.port[0]), 64) > 56);
	assert_true(distinct(sent.id, sizeof(sent.id[0]), 64) > 56);
	assert_true(distinct(sent.name, sizeof(sent.name[0]), 64) > 32);
	assert_int_equal(upstream_stats.answers, 64);
	assert_int_equal(upstream_stats.servers, 1);
}

static void several_at_a_time(void **state)
{
	(void)state;
	static struct told t[40];
	start(note_and_answer);
	for (int i = 0; i < 40; i++)
		begin(&t[i], fake.port, false);
	for (int i = 0; i < 40; i++)
		wait_count(&t[i].calls, 1);
	assert_true(distinct(sent.port, sizeof(sent.port[0]), 40) == 40);
}

/* --- replies that are not what they should be --- */

static unsigned wrong_times;

static void wrong_first(struct seen *q, unsigned nth)
{
	(void)nth;
	struct seen w = *q;
	for (unsigned i = 0; !q->tcp && i < wrong_times; i++) {
		w.id = (uint16_t)(q->id + 1 + i);
		good(&w);
	}
	good(q);
}

static void near_misses_are_waited_on(void **state)
{
	(void)state;
	start(wrong_first);
	wrong_times = 2;
	struct told *t = exchange(false);
	assert_int_equal(t->outcome, UPSTREAM_ANSWER);
	assert_false(t->tcp);
	assert_int_equal(upstream_stats.near_misses, 2);
	wrong_times = 5;
	t = exchange(false);
	assert_int_equal(t->outcome, UPSTREAM_ANSWER);
	assert_true(t->tcp);
	assert_int_equal(upstream_stats.near_misses, 5);
}

static void from_elsewhere(struct seen *q, unsigned nth)
{
	(void)nth;
	struct seen w = *q;
	w.fd = other.udp;
	good(&w);
	good(&w);
	good(q);
}

static void replies_of_others_are_not_seen(void **state)
{
	(void)state;
	start(from_elsewhere);
	fake_start(&other, NULL);
	struct told *t = exchange(false);
	assert_int_equal(t->outcome, UPSTREAM_ANSWER);
	assert_int_equal(upstream_stats.near_misses, 0);
	fake_stop(&other);
}

static void other_case(struct seen *q, unsigned nth)
{
	(void)nth;
	dns_name_lower(q->wire);
	good(q);
}

static void lost_case_is_asked_by_tcp(void **state)
{
	(void)state;
	start(other_case);
	struct told *t;
	do /* by chance it may have been sent in lower case */
		t = exchange(false);
	while (!t->tcp);
	assert_int_equal(t->outcome, UPSTREAM_ANSWER);
	assert_int_equal(upstream_stats.case_wrong, 1);
	/* It does so always: it is asked without. */
	for (int i = 0; i < 8; i++)
		assert_false(exchange(false)->tcp);
	assert_int_equal(upstream_stats.case_wrong, 1);
}

static void lost_case_without_tcp(void **state)
{
	(void)state;
	start(other_case);
	uv_poll_stop(&fake.tpoll);
	close(fake.tcp);
	fake.tcp = dup(fake.udp); /* for fake_stop() */
	struct told *t;
	do
		t = exchange(false);
	while (!upstream_stats.case_wrong);
	assert_int_equal(t->outcome, UPSTREAM_ANSWER);
	assert_false(t->tcp);
}

static void truncated(struct seen *q, unsigned nth)
{
	(void)nth;
	if (q->tcp)
		good(q);
	else
		answer_rcode(q, DNS_TC);
}

static void truncated_is_asked_by_tcp(void **state)
{
	(void)state;
	start(truncated);
	struct told *t = exchange(false);
	assert_int_equal(t->outcome, UPSTREAM_ANSWER);
	assert_true(t->tcp);
	assert_int_equal(upstream_stats.truncated, 1);
}

static void cut_short(struct seen *q, unsigned nth)
{
	(void)nth;
	struct dns_out o;
	answer_begin(&o, q, 0);
	put_a(&o, q->name, 60, "192.0.2.1");
	if (!q->tcp || wrong_times)
		o.len -= 2;
	answer_end(q, &o);
}

static void malformed_is_asked_by_tcp(void **state)
{
	(void)state;
	start(cut_short);
	wrong_times = 0;
	struct told *t = exchange(false);
	assert_int_equal(t->outcome, UPSTREAM_ANSWER);
	assert_true(t->tcp);
	wrong_times = 1;
	assert_int_equal(exchange(false)->outcome, UPSTREAM_BAD);
}

/* --- EDNS and cookies --- */

static bool without_question;

static void no_edns(struct seen *q, unsigned nth)
{
	(void)nth;
	uint8_t bare[DNS_HEADER] = {(uint8_t)(q->id >> 8), (uint8_t)q->id, 0x80, DNS_FORMERR};
	if (!q->edns)
		good(q);
	else if (without_question)
		send_bytes(q, bare, sizeof(bare));
	else
		answer_rcode(q, DNS_FORMERR);
}

static void without_edns_is_remembered(void **state)
{
	(void)state;
	start(no_edns);
	without_question = false;
	for (int i = 0; i < 3; i++)
		assert_int_equal(exchange(false)->outcome, UPSTREAM_ANSWER);
	assert_int_equal(fake.asked, 4);
	assert_int_equal(upstream_stats.no_edns, 1);
}

static void without_edns_is_not_believed_of_a_bare_header(void **state)
{
	(void)state;
	start(no_edns);
	without_question = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(exchange(false)->outcome, UPSTREAM_ANSWER);
	assert_int_equal(fake.asked, 6);
}

static struct slice cookie_of(const struct seen *q)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	struct dns_edns e;
	struct slice data;
	uint16_t code;
	dns_iter_init(&it, q->pkt, q->len, &h);
	while (dns_iter_rr(&it, &rr))
		if (dns_edns_read(q->pkt, &rr, &e))
			while (dns_edns_option(&e.options, &code, &data))
				if (code == 10)
					return data;
	return (struct slice){0};
}

/* An answer with a cookie option; server: what follows the client's part. */
static void answer_cookie(const struct seen *q, uint16_t rcode, struct slice client,
			  const char *server)
{
	struct dns_out o;
	answer_begin(&o, q, rcode & 15);
	put_a(&o, q->name, 60, "192.0.2.1");
	dns_out_edns(&o, 1232, rcode, false);
	o.len -= 2;
	dns_out_u16(&o, (uint16_t)(4 + 8 + strlen(server)));
	dns_out_u16(&o, 10);
	dns_out_u16(&o, (uint16_t)(8 + strlen(server)));
	dns_out_bytes(&o, client.p, 8);
	dns_out_bytes(&o, server, strlen(server));
	answer_end(q, &o);
}

static enum { COOKIE_GIVE, COOKIE_NONE, COOKIE_WRONG, COOKIE_NEVER } cookie_does;

static void with_cookies(struct seen *q, unsigned nth)
{
	(void)nth;
	struct slice c = cookie_of(q);
	switch (cookie_does) {
	case COOKIE_GIVE:
		answer_cookie(q, c.len == 16 ? 0 : DNS_BADCOOKIE, c, "server01");
		return;
	case COOKIE_NONE:
		good(q);
		return;
	case COOKIE_WRONG:
		answer_cookie(q, 0, SLICE("wrong 08"), "server01");
		answer_cookie(q, 0, c, "server01");
		return;
	case COOKIE_NEVER:
		answer_cookie(q, DNS_BADCOOKIE, c.len ? c : SLICE("wrong 08"), "server01");
		return;
	}
}

static void cookies_are_kept(void **state)
{
	(void)state;
	start(with_cookies);
	cookie_does = COOKIE_GIVE;
	for (int i = 0; i < 3; i++)
		assert_int_equal(exchange(false)->outcome, UPSTREAM_ANSWER);
	assert_int_equal(fake.asked, 4); /* the first twice: BADCOOKIE */
	cookie_does = COOKIE_WRONG;
	assert_false(exchange(false)->tcp);
	assert_int_equal(upstream_stats.near_misses, 1);
	/* One without a cookie is believed by TCP only; then the server is known to give none. */
	cookie_does = COOKIE_NONE;
	assert_true(exchange(false)->tcp);
	assert_false(exchange(false)->tcp);
}

static void bad_cookie_is_not_asked_for_ever(void **state)
{
	(void)state;
	start(with_cookies);
	cookie_does = COOKIE_NEVER;
	struct told *t = exchange(false);
	assert_int_equal(t->outcome, UPSTREAM_ANSWER);
	assert_int_equal(t->pkt[3] & 15, DNS_BADCOOKIE & 15);
	assert_int_equal(fake.asked, 4); /* twice by UDP, by TCP with and without */
}

static void option_refused(struct seen *q, unsigned nth)
{
	(void)nth;
	struct dns_out o;
	answer_begin(&o, q, cookie_of(q).len ? DNS_FORMERR : 0);
	dns_out_edns(&o, 1232, 0, true);
	answer_end(q, &o);
}

static void without_cookie_when_it_is_refused(void **state)
{
	(void)state;
	start(option_refused);
	for (int i = 0; i < 3; i++) {
		struct told *t = exchange(false);
		assert_int_equal(t->outcome, UPSTREAM_ANSWER);
		assert_int_equal(t->pkt[3] & 15, 0);
	}
	assert_int_equal(fake.asked, 4);
	assert_int_equal(upstream_stats.no_edns, 0);
}

/* --- time --- */

static void silence_is_late_then_over(void **state)
{
	(void)state;
	start(NULL);
	conf.timeout_ms = 700;
	restart();
	struct sockaddr_in to = to_port(fake.port);
	uint32_t before = upstream_expect((struct sockaddr *)&to);
	struct told *t = exchange(false);
	assert_int_equal(t->outcome, UPSTREAM_TIMEOUT);
	assert_int_equal(t->late, 1);
	assert_int_equal(upstream_stats.timeouts, 1);
	assert_true(upstream_expect((struct sockaddr *)&to) > before);
}

static void one_that_answers_is_expected_to(void **state)
{
	(void)state;
	start(note_and_answer);
	struct sockaddr_in to = to_port(fake.port);
	uint32_t before = upstream_expect((struct sockaddr *)&to);
	for (int i = 0; i < 8; i++)
		exchange(false);
	assert_true(upstream_expect((struct sockaddr *)&to) < before);
}

static void cancelled_is_not_told(void **state)
{
	(void)state;
	start(note_and_answer);
	static struct told t;
	struct upstream *x = begin(&t, fake.port, false), *y;
	upstream_cancel(&x);
	assert_null(x);
	y = begin(&t, fake.port, true);
	run_for(50);
	upstream_cancel(&y);
	begin(&t, fake.port, true);
	upstream_stop(); /* with one under way */
	upstream_start(&conf);
	run_for(50);
	assert_int_equal(t.calls, 0);
}

static void nobody_listens(void **state)
{
	(void)state;
	start(NULL);
	static struct told t;
	fake_start(&other, NULL);
	uint16_t port = other.port;
	fake_stop(&other);
	begin(&t, port, false);
	wait_count(&t.calls, 1);
	assert_int_equal(t.outcome, UPSTREAM_UNREACHABLE);
	begin(&t, port, true);
	wait_count(&t.calls, 1);
	assert_int_equal(t.outcome, UPSTREAM_UNREACHABLE);
	assert_non_null(t.why);
}

static void not_more_than_is_allowed(void **state)
{
	(void)state;
	start(NULL);
	conf.parallel = 4;
	conf.per_server = 2;
	restart();
	static struct told t[6];
	struct upstream *x[6];
	fake_start(&other, NULL);
	for (int i = 0; i < 3; i++)
		x[i] = begin(&t[i], fake.port, false);
	wait_count(&t[2].calls, 1);
	assert_int_equal(t[2].outcome, UPSTREAM_FULL);
	for (int i = 3; i < 5; i++)
		x[i] = begin(&t[i], other.port, false);
	begin(&t[5], other.port, false);
	wait_count(&t[5].calls, 1);
	assert_int_equal(t[5].outcome, UPSTREAM_FULL);
	assert_int_equal(upstream_stats.full, 2);
	upstream_cancel(&x[0]);
	upstream_cancel(&x[3]);
	begin(&t[5], other.port, false);
	run_for(20);
	assert_int_equal(t[5].calls, 0);
	fake_stop(&other);
}

/* --- TCP --- */

static int fds[8];
static struct seen kept[8];

static void note_connection(struct seen *q, unsigned nth)
{
	fds[nth - 1] = q->fd;
	good(q);
}

static void a_connection_is_used_again(void **state)
{
	(void)state;
	start(note_connection);
	for (int i = 0; i < 3; i++) {
		struct told *t = exchange(true);
		assert_int_equal(t->outcome, UPSTREAM_ANSWER);
		assert_true(t->tcp);
	}
	assert_int_equal(fds[0], fds[1]);
	assert_int_equal(fds[0], fds[2]);
}

static void keep_query(struct seen *q, unsigned nth)
{
	kept[nth - 1] = *q;
}

static void answers_come_in_any_order(void **state)
{
	(void)state;
	start(keep_query);
	static struct told t[3];
	for (unsigned i = 0; i < 3; i++) {
		begin(&t[i], fake.port, true);
		wait_count(&fake.asked, i + 1);
	}
	assert_int_equal(kept[0].fd, kept[2].fd);
	good(&kept[2]);
	wait_count(&t[2].calls, 1);
	assert_int_equal(t[0].calls + t[1].calls, 0);
	good(&kept[0]);
	good(&kept[1]);
	wait_count(&t[0].calls, 1);
	wait_count(&t[1].calls, 1);
	assert_int_equal(t[0].outcome, UPSTREAM_ANSWER);
}

static void close_after_first(struct seen *q, unsigned nth)
{
	fds[nth - 1] = q->fd;
	if (nth == 2)
		shutdown(q->fd, SHUT_RDWR);
	else
		good(q);
}

static void a_connection_that_was_closed_is_made_again(void **state)
{
	(void)state;
	start(close_after_first);
	assert_int_equal(exchange(true)->outcome, UPSTREAM_ANSWER);
	assert_int_equal(exchange(true)->outcome, UPSTREAM_ANSWER);
	assert_int_equal(fake.asked, 3);
}

static void always_close(struct seen *q, unsigned nth)
{
	(void)nth;
	shutdown(q->fd, SHUT_RDWR);
}

static void a_connection_that_is_always_closed(void **state)
{
	(void)state;
	start(always_close);
	assert_int_equal(exchange(true)->outcome, UPSTREAM_UNREACHABLE);
	assert_int_equal(fake.asked, 1);
}

static unsigned drops;

static void drip(uv_timer_t *t)
{
	struct seen *q = t->data;
	uint8_t b = drops++ ? 0 : 0xff; /* a message of 65,280 octets */
	if (send(q->fd, &b, 1, MSG_NOSIGNAL) != 1)
		uv_timer_stop(t);
}

static void tcp_that_never_ends(void **state)
{
	(void)state;
	static uv_timer_t timer;
	start(keep_query);
	conf.tcp_timeout_ms = 600;
	restart();
	static struct told t;
	drops = 0;
	begin(&t, fake.port, true);
	wait_count(&fake.asked, 1);
	uv_timer_init(loop_get(), &timer);
	timer.data = &kept[0];
	uv_timer_start(&timer, drip, 1, 10);
	wait_count(&t.calls, 1);
	assert_int_equal(t.outcome, UPSTREAM_TIMEOUT);
	assert_true(drops > 1);
	uv_timer_stop(&timer);
	uv_close((uv_handle_t *)&timer, NULL);
	run_for(20);
	/* The next question does not wait behind it. */
	begin(&t, fake.port, true);
	wait_count(&fake.asked, 2);
	good(&kept[1]);
	wait_count(&t.calls, 1);
	assert_int_equal(t.outcome, UPSTREAM_ANSWER);
}

static void nonsense(struct seen *q, unsigned nth)
{
	(void)nth;
	send_bytes(q, "\0\3abc", 5);
}

static void messages_that_answer_nothing(void **state)
{
	(void)state;
	start(nonsense);
	assert_int_equal(exchange(true)->outcome, UPSTREAM_BAD);
}

/* Whoever is told may ask and cancel. */
static struct upstream *second;
static struct told second_told;

static void ask_more(struct told *t)
{
	(void)t;
	upstream_cancel(&second);
	second = begin(&second_told, fake.port, false);
}

static void the_told_may_ask_and_cancel(void **state)
{
	(void)state;
	start(keep_query);
	static struct told t;
	t.then = ask_more;
	begin(&t, fake.port, true);
	wait_count(&fake.asked, 1);
	second = begin(&second_told, fake.port, true);
	wait_count(&fake.asked, 2);
	shutdown(kept[0].fd, SHUT_RDWR);
	wait_count(&t.calls, 1);
	upstream_cancel(&second);
	run_for(50);
	assert_int_equal(second_told.calls, 0);
}

/* --- servers --- */

static void lame_is_of_a_zone(void **state)
{
	(void)state;
	start(NULL);
	struct sockaddr_in a = to_port(1), b = to_port(2);
	const struct sockaddr *sa = (struct sockaddr *)&a, *sb = (struct sockaddr *)&b;
	upstream_lame(sa, wire_of("example.test"), 60000);
	assert_true(upstream_is_lame(sa, wire_of("Example.Test")));
	assert_false(upstream_is_lame(sa, wire_of("test")));
	assert_false(upstream_is_lame(sb, wire_of("example.test")));
	upstream_lame(sa, wire_of("example.test"), 0);
	assert_false(upstream_is_lame(sa, wire_of("example.test")));
	upstream_lame(sa, wire_of("example.test"), 60000);
	upstream_forget();
	assert_false(upstream_is_lame(sa, wire_of("example.test")));
}

static void servers_are_forgotten_and_bounded(void **state)
{
	(void)state;
	start(NULL);
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
	struct server *v = server_get((struct sockaddr *)&a, 1000);
	server_answered(v, 20000);
	server_note(v, &v->no_edns, 1000);
	server_cookie(v, SLICE("clientckserver01"));
	assert_int_equal(server_patience(v, 1000), 60); /* 20 + 4 * 10 */
	assert_ptr_equal(server_get((struct sockaddr *)&a, 2000), v);
	assert_true(v->no_edns);
	assert_ptr_equal(server_get((struct sockaddr *)&a, 1000 + 899000), v);
	assert_int_equal(v->cookie_len, 8);
	v = server_get((struct sockaddr *)&a, 1000 + 901000);
	assert_false(v->no_edns); /* that lasts a quarter of an hour, however often it is asked */
	assert_int_equal(v->srtt, 20000);
	v = server_get((struct sockaddr *)&a, 3000000);
	assert_int_equal(v->srtt, 0);
	for (uint32_t i = 0; i < 40000; i++) {
		memcpy(&a.sin6_addr, &i, sizeof(i));
		assert_non_null(server_get((struct sockaddr *)&a, 3000000));
	}
	assert_true(upstream_stats.servers <= 16384);
	assert_true(upstream_stats.servers > 12000);
	/* Failures double what is expected, and are forgiven. */
	v = server_get((struct sockaddr *)&a, 3000000);
	server_answered(v, 100000);
	uint32_t usual = server_patience(v, 3000000);
	server_failed(v, 3000000);
	server_failed(v, 3000000);
	assert_int_equal(server_patience(v, 3000000), 4 * usual);
	assert_int_equal(server_patience(v, 3000000 + 60000), usual);
	for (int i = 0; i < 40; i++)
		server_failed(v, 3000000);
	assert_int_equal(server_patience(v, 3000000), 10000);
}

static void the_longest_forward_counts(void **state)
{
	(void)state;
	start(NULL);
	static struct forward root, inside, deep, seen;
	memcpy(inside.zone, wire_of("example.test"), 14);
	memcpy(deep.zone, wire_of("a.example.test"), 16);
	seen = inside;
	assert_null(forward_find(0, wire_of("test")));
	forward_add(0, &root);
	forward_add(0, &inside);
	forward_add(0, &deep);
	forward_add(2, &seen);
	assert_ptr_equal(forward_find(0, wire_of("test")), &root);
	assert_ptr_equal(forward_find(0, wire_of("Example.Test")), &inside);
	assert_ptr_equal(forward_find(2, wire_of("b.example.test")), &seen);
	assert_ptr_equal(forward_find(2, wire_of("b.a.example.test")), &deep);
	forward_forget();
	assert_null(forward_find(0, wire_of("test")));
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, stop)
	const struct CMUnitTest tests[] = {
	    T(every_query_is_hard_to_guess),
	    T(several_at_a_time),
	    T(near_misses_are_waited_on),
	    T(replies_of_others_are_not_seen),
	    T(lost_case_is_asked_by_tcp),
	    T(lost_case_without_tcp),
	    T(truncated_is_asked_by_tcp),
	    T(malformed_is_asked_by_tcp),
	    T(without_edns_is_remembered),
	    T(without_edns_is_not_believed_of_a_bare_header),
	    T(cookies_are_kept),
	    T(bad_cookie_is_not_asked_for_ever),
	    T(without_cookie_when_it_is_refused),
	    T(silence_is_late_then_over),
	    T(one_that_answers_is_expected_to),
	    T(cancelled_is_not_told),
	    T(nobody_listens),
	    T(not_more_than_is_allowed),
	    T(a_connection_is_used_again),
	    T(answers_come_in_any_order),
	    T(a_connection_that_was_closed_is_made_again),
	    T(a_connection_that_is_always_closed),
	    T(tcp_that_never_ends),
	    T(messages_that_answer_nothing),
	    T(the_told_may_ask_and_cancel),
	    T(lame_is_of_a_zone),
	    T(servers_are_forgotten_and_bounded),
	    T(the_longest_forward_counts),
	};
	clock_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
