/* smtpd_dest_kit: servers on loopback addresses that speak SMTP or LMTP by rules, the DNS as a
 * table, and a worker that keeps what it is told. It stands in for relay_conf, relay_hosts and
 * relay_work. */
#ifndef T_SMTPD_DEST_KIT_H
#define T_SMTPD_DEST_KIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "smtpd/relay.h"
#include "smtpd/smtpd.h"

/* --- servers ------------------------------------------------------------------------------- */
/* What is said to a command that begins with `verb` ("" is the connection, "." the end of the
 * content), as often as `times` (0: always). reply NULL: the connection is closed. */
struct rule {
	const char *verb, *reply;
	int times;
	int skip; /* ... after that many */
};
enum { RULES = 8, SERVERS = 4 };
struct server {
	int fd;
	uint16_t port;
	uv_poll_t poll;
	const char *caps; /* "250-X\r\n"... of EHLO */
	bool lmtp;
	struct rule rule[RULES];
	int connections, now, most, mails, quits; /* seen; at once */
	struct sess *hold;                        /* list of open sessions */
};
struct sess {
	struct sess *next;
	struct server *sv;
	struct stream *s;
	struct buf in;
	bool body, over;
	int rcpts;
};
static struct server server[SERVERS];
static struct tls_ctx *server_ctx;

/* True: the rule said what there is to say. */
static bool by_rule(struct sess *x, const char *verb)
{
	for (struct rule *r = x->sv->rule; r < x->sv->rule + RULES && r->verb; r++) {
		if (strncmp(verb, r->verb, strlen(r->verb)) != 0 || (!*r->verb && *verb))
			continue;
		if (r->times < 0)
			continue;
		if (r->skip) {
			r->skip--;
			continue;
		}
		if (r->times && --r->times == 0)
			r->times = -1;
		x->over = !r->reply || strncmp(r->reply, "421", 3) == 0;
		if (r->reply)
			stream_writes(x->s, r->reply);
		if (x->over && r->reply)
			stream_finish(x->s, 1000);
		else if (x->over)
			stream_close(x->s);
		return true;
	}
	return false;
}

static void by_habit(struct sess *x, const char *line)
{
	if (strncmp(line, "EHLO", 4) == 0 || strncmp(line, "LHLO", 4) == 0) {
		stream_printf(x->s, "250-mx\r\n%s250 HELP\r\n", x->sv->caps ? x->sv->caps : "");
	} else if (strncmp(line, "STARTTLS", 8) == 0) {
		stream_writes(x->s, "220 go\r\n");
		stream_starttls(x->s, server_ctx, NULL, false);
	} else if (strncmp(line, "DATA", 4) == 0) {
		stream_writes(x->s, "354 go\r\n");
		x->body = true;
	} else if (strncmp(line, "QUIT", 4) == 0) {
		x->sv->quits++;
		stream_writes(x->s, "221 bye\r\n");
		stream_finish(x->s, 1000);
	} else if (strcmp(line, ".\r\n") == 0) {
		x->sv->mails++;
		for (int i = x->sv->lmtp ? x->rcpts : 1; i; i--)
			stream_writes(x->s, "250 2.0.0 taken\r\n");
		x->rcpts = 0;
	} else {
		x->rcpts += strncmp(line, "RCPT", 4) == 0;
		stream_writes(x->s, "250 2.1.0 ok\r\n");
	}
}

static void sess_data(struct stream *s, void *arg)
{
	struct sess *x = arg;
	struct slice in = stream_data(s);
	const char *end;
	buf_add(&x->in, in.p, in.len);
	stream_consume(s, in.len);
	while (!x->over && x->in.len && (end = memchr(x->in.p, '\n', x->in.len))) {
		char line[512];
		size_t n = (size_t)(end - x->in.p) + 1;
		str_fmt(line, sizeof(line), "%.*s", (int)n, x->in.p);
		buf_drop(&x->in, n);
		if (x->body && strcmp(line, ".\r\n") != 0)
			continue;
		x->body = false;
		if (!by_rule(x, line))
			by_habit(x, line);
	}
}
static void sess_end(struct stream *s, void *arg, enum stream_end why)
{
	(void)arg;
	(void)why;
	stream_close(s);
}
static void sess_nop(struct stream *s, void *arg)
{
	(void)s;
	(void)arg;
}
static void sess_closed(void *arg)
{
	struct sess *x = arg;
	struct sess **at = &x->sv->hold;
	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	x->sv->now--;
	buf_free(&x->in);
	free(x);
}
static const struct stream_ops SESS_OPS = {sess_data, sess_end, sess_nop, sess_nop, sess_closed};

static void on_accept(uv_poll_t *p, int status, int events)
{
	struct server *sv = p->data;
	int fd = accept4(sv->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	(void)status;
	(void)events;
	if (fd < 0)
		return;
	struct sess *x = mem_alloc(sizeof(*x));
	x->sv = sv;
	x->next = sv->hold;
	sv->hold = x;
	sv->connections++;
	if (++sv->now > sv->most)
		sv->most = sv->now;
	x->s = stream_new(fd, NULL, &SESS_OPS, x);
	if (!by_rule(x, ""))
		stream_writes(x->s, "220 mx\r\n");
}

/* Server i listens on 127.0.0.(i+1). down: nobody listens there, connections are refused. */
static void serve(int i, bool down)
{
	struct server *sv = &server[i];
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (unsigned)i);
	memset(sv, 0, sizeof(*sv));
	sv->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(sv->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	getsockname(sv->fd, (struct sockaddr *)&sa, &len);
	sv->port = ntohs(sa.sin_port);
	if (!down)
		assert_int_equal(listen(sv->fd, 100), 0);
	uv_poll_init(loop_get(), &sv->poll, sv->fd);
	sv->poll.data = sv;
	if (!down)
		uv_poll_start(&sv->poll, UV_READABLE, on_accept);
}

static inline void rule(int i, const char *verb, const char *reply, int times)
{
	struct rule *r = server[i].rule;
	while (r->verb)
		r++;
	*r = (struct rule){verb, reply, times, 0};
}

/* --- configuration and DNS ----------------------------------------------------------------- */
struct relay_conf relay_conf;
struct smtpd_conf conf;
static struct route routes[2]; /* of all domains; of those under .r.test, which names a host */
static const struct route_host SMARTHOST = {.name = "mx0"};

const struct route *route_of(struct slice domain)
{
	return domain.len > 7 && memcmp(domain.p + domain.len - 7, ".r.test", 7) == 0 ? &routes[1]
										      : routes;
}

/* The hosts of "01.test" are servers 0 and 1, by preference; of "0=1.test" equal ones. */
static struct {
	int asked;
	bool secure;
	struct out_verdict none; /* set: no host, but this */
	uint64_t keep;           /* ms */
} dns;
static const struct out_verdict NULL_MX = {
    .state = OUT_PERM, .status = "5.1.10", .at = "DNS", .text = "null MX"};
struct hosts_ask {
	hosts_fn *fn;
	void *arg;
	struct hosts *h;
};

static void hosts_later(void *arg)
{
	struct hosts_ask *a = arg;
	if (a->fn)
		a->fn(a->h, a->arg);
	else
		hosts_free(&a->h);
	free(a);
}

struct hosts_ask *hosts_find(struct stub *s, const struct route *r, struct slice domain,
			     hosts_fn *fn, void *arg)
{
	struct hosts_ask *a = mem_alloc(sizeof(*a));
	struct pool *pool = pool_new(0);
	struct hosts *h = pool_alloc(pool, sizeof(*h));
	struct host *host = pool_alloc(pool, SERVERS * sizeof(*host));
	uint16_t pref = 10;
	(void)s;
	(void)r;
	dns.asked++;
	*h = (struct hosts){.pool = pool, .host = host, .until = clock_mono() + dns.keep};
	for (size_t i = 0; i < domain.len && domain.p[i] != '.' && !dns.none.status[0]; i++) {
		if (domain.p[i] == '=')
			pref -= 10;
		if (domain.p[i] < '0' || domain.p[i] > '3')
			continue;
		struct server *sv = &server[domain.p[i] - '0'];
		struct sockaddr_storage *ss = pool_alloc(pool, sizeof(*ss));
		socklen_t len = sizeof(*ss);
		getsockname(sv->fd, (struct sockaddr *)ss, &len);
		host[h->n++] = (struct host){.name = pool_printf(pool, "mx%c", domain.p[i]),
					     .preference = pref,
					     .port = sv->port,
					     .secure = dns.secure,
					     .addr = ss,
					     .addrs = 1};
		pref += 10;
	}
	h->verdict = dns.none.status[0] ? dns.none : NULL_MX;
	*a = (struct hosts_ask){fn, arg, h};
	loop_defer(hosts_later, a);
	return a;
}

void hosts_cancel(struct hosts_ask **a)
{
	if (*a)
		(*a)->fn = NULL;
	*a = NULL;
}

void hosts_free(struct hosts **h)
{
	struct pool *pool = *h ? (*h)->pool : NULL;
	*h = NULL;
	pool_free(&pool);
}

/* --- the worker ---------------------------------------------------------------------------- */
enum { LETTERS = 512 };
static struct letter *letter[LETTERS]; /* of the test, by number */
static int letters, done_n, fetches, most_fetched;
static uint64_t most_connections;
static int done_order[LETTERS];
static bool fetch_fails, fetch_holds;
static struct letter *fetch_held[LETTERS];
static int fetch_held_n;

static void fetch_later(void *arg)
{
	struct letter *l = arg;
	l->body = (struct body){.bytes = SLICE("x\r\n"), .fd = -1, .size = 3};
	dest_fetched(l, !fetch_fails);
}
static void fetch(struct letter *l)
{
	fetches++;
	if (fetches - done_n > most_fetched)
		most_fetched = fetches - done_n;
	if (fetch_holds)
		fetch_held[fetch_held_n++] = l;
	else
		loop_defer(fetch_later, l);
}
/* Those come now that were fetched meanwhile. */
static inline void fetch_go_on(void)
{
	fetch_holds = false;
	while (fetch_held_n)
		loop_defer(fetch_later, fetch_held[--fetch_held_n]);
}
static void done(struct letter *l)
{
	struct dest_stats s;
	dest_stats(&s);
	if (s.connections > most_connections)
		most_connections = s.connections;
	assert_true(done_n < LETTERS);
	done_order[done_n++] = (int)l->item;
}
static const struct dest_ops OPS = {fetch, done};

/* A letter to n recipients of the domain; its number. */
static int add(const char *domain, int n, uint32_t flags)
{
	struct pool *pool = pool_new(0);
	struct letter *l = letter[letters] = pool_alloc(pool, sizeof(*l));
	struct out_rcpt *r = pool_alloc(pool, (size_t)n * sizeof(*r));
	assert_true(letters < LETTERS);
	for (int i = 0; i < n; i++)
		r[i].addr = slice_of(pool_printf(pool, "u%d@%s", i, domain));
	l->pool = pool;
	l->item = (uint64_t)letters;
	l->domain = slice_of(pool_strdup(pool, domain));
	l->mail = (struct out_mail){
	    .sender = SLICE("a@a.test"), .flags = flags, .rcpt = r, .rcpt_n = (size_t)n};
	l->size = 1000;
	dest_add(l);
	return letters++;
}

static bool guard_hit;
static struct timer guard;
static void on_guard(struct timer *t)
{
	(void)t;
	guard_hit = true;
}

static void turn(void)
{
	uv_run(loop_get(), UV_RUN_ONCE);
	if (guard_hit)
		fail_msg("nothing happens: %d of %d letters are done", done_n, letters);
}
#define WAIT(cond)                                  \
	do {                                        \
		guard_hit = false;                  \
		timer_set(&guard, 30000, on_guard); \
		while (!(cond))                     \
			turn();                     \
		timer_clear(&guard);                \
	} while (0)

static void spin(void)
{
	for (int i = 0; i < 50; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
}

static struct dest_stats counts(void)
{
	struct dest_stats s;
	dest_stats(&s);
	return s;
}

static inline void assert_letter(int n, size_t rcpt, enum out_state st, const char *status)
{
	const struct out_verdict *v = &letter[n]->verdict[rcpt];
	if (v->state != st || strcmp(v->status, status) != 0)
		fail_msg("letter %d recipient %zu: %d %s %s, not %d %s", n, rcpt, v->state,
			 v->status, v->text, st, status);
}

static void close_all(void)
{
	for (int i = 0; i < SERVERS; i++) {
		for (struct sess *x = server[i].hold; x; x = x->next)
			stream_close(x->s);
		if (server[i].fd > 0 && !uv_is_closing((uv_handle_t *)&server[i].poll))
			uv_close((uv_handle_t *)&server[i].poll, NULL);
	}
}

static int begin(void **state)
{
	(void)state;
	letters = done_n = fetches = most_fetched = 0;
	most_connections = 0;
	fetch_fails = false;
	memset(&dns, 0, sizeof(dns));
	dns.keep = 3600000;
	relay_conf.memory = 1 << 20;
	relay_conf.connections = 100;
	relay_conf.helo = "a.test";
	routes[0] = (struct route){.connections = 20,
				   .messages = 100,
				   .recipients = 50,
				   .hosts_tried = 5,
				   .retry_first = 60000,
				   .retry_longest = 14400000,
				   .connect_timeout = 20000,
				   .idle_timeout = 20000};
	routes[1] = routes[0];
	routes[1].host = &SMARTHOST;
	routes[1].hosts = 1;
	for (int i = 0; i < SERVERS; i++)
		serve(i, false);
	dest_start(NULL, &OPS);
	return 0;
}

/* Everything is over: what is left anywhere shows in the sanitizer build. */
static int end(void **state)
{
	(void)state;
	dest_drain();
	WAIT(done_n == letters && counts().connections == 0);
	close_all();
	spin();
	for (int i = 0; i < SERVERS; i++)
		close(server[i].fd);
	for (int i = 0; i < letters; i++) {
		struct pool *pool = letter[i]->pool; /* the letter stands in it */
		pool_free(&pool);
	}
	dest_stop();
	spin();
	return 0;
}
#endif
