/* The hosts that take a domain's mail.
 *
 *   sources: the domain's MX, or what its route names     -> MX question of each that is a domain
 *   candidates: the hosts that come of them, 32 at most   -> A and AAAA questions at once
 *   no question is left: sorted, ourselves and what is behind us cut off, handed over */
#include <arpa/inet.h>
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"
#include "smtpd/relay_conf.h"

enum {
	ADDRS_MAX = 16, /* of a host */
	/* Seconds that the result is good for. */
	GOOD_LEAST = 60,
	GOOD_LONGEST = 3600,
	NULL_MX = 556, /* RFC 7504 */
};

enum family { FOUR, SIX, FAMILIES };

struct candidate;
struct question {
	struct candidate *of;
	struct stub_ask *ask;
};
enum origin { BY_MX, BY_NAME /* its own addresses count */ };
struct candidate {
	struct hosts_ask *a;
	const char *name;
	enum origin origin;
	size_t source;
	uint16_t preference, port;
	uint32_t shuffle;
	bool secure;
	enum stub_kind trouble; /* a question that failed just now; STUB_OK: none */
	struct question question[FAMILIES];
	struct sockaddr_storage *addr[FAMILIES];
	size_t addrs[FAMILIES];
};
struct source {
	struct hosts_ask *a;
	struct stub_ask *ask;
	const char *name; /* a domain whose MX count */
	uint16_t port;
};
struct hosts_ask {
	struct stub *stub;
	hosts_fn *fn;
	void *arg;
	struct pool *pool;   /* of the question */
	struct pool *result; /* of the answer */
	const char *domain;  /* for texts */
	bool smtp;           /* not submissions, not LMTP */
	bool by_route;       /* the route names the hosts */
	struct source *source;
	size_t sources;
	struct candidate *host[ROUTE_HOSTS_MAX];
	size_t hosts;
	unsigned pending; /* questions */
	bool dead;        /* cancelled while it waited for the loop */
	bool deferred;
	uint32_t good_for;
	struct out_verdict temp, perm; /* the first of each; no text: none */
};

/* --- verdicts --- */

static void verdict(struct hosts_ask *a, enum out_state state, const char *status, const char *text)
{
	struct out_verdict *v = state == OUT_TEMP ? &a->temp : &a->perm;
	if (v->text)
		return;
	char *copy = pool_strdup(a->result, text);
	out_printable(copy, strlen(copy));
	*v = (struct out_verdict){.state = state, .at = "DNS", .text = copy};
	str_fmt(v->status, sizeof(v->status), "%s", status);
	if (state == OUT_TEMP)
		a->good_for = GOOD_LEAST;
}

/* The mail can go nowhere. When the route says where, that is a mistake here, not of the sender. */
static void refuse(struct hosts_ask *a, const char *status, const char *text)
{
	verdict(a, a->by_route ? OUT_TEMP : OUT_PERM, a->by_route ? "4.3.5" : status, text);
}

static void dns_trouble(struct hosts_ask *a, const char *name, enum stub_kind kind)
{
	verdict(a, OUT_TEMP, "4.4.3",
		pool_printf(a->pool, "looking up %s: %s", name, stub_kind_text(kind)));
}

/* How long the answer is good. */
static void good_for(struct hosts_ask *a, const struct stub_answer *s)
{
	uint32_t ttl = stub_kind_temporary(s->kind) ? GOOD_LEAST : s->ttl;
	if (ttl < a->good_for)
		a->good_for = ttl < GOOD_LEAST ? GOOD_LEAST : ttl;
}

/* --- the end --- */

static void ask_free(struct hosts_ask *a)
{
	for (size_t i = 0; i < a->sources; i++)
		stub_cancel(&a->source[i].ask);
	for (size_t i = 0; i < a->hosts; i++)
		for (int f = 0; f < FAMILIES; f++)
			stub_cancel(&a->host[i]->question[f].ask);
	pool_free(&a->pool);
	pool_free(&a->result);
	free(a);
}

/* By what the servers and the administrator prefer. */
static int by_rank(const struct candidate *a, const struct candidate *b)
{
	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	return 0;
}

static int by_order(const void *x, const void *y)
{
	const struct candidate *a = *(struct candidate *const *)x;
	const struct candidate *b = *(struct candidate *const *)y;
	int r = by_rank(a, b);
	return r ? r : (a->shuffle > b->shuffle) - (a->shuffle < b->shuffle);
}

static bool is_self(const struct candidate *c)
{
	for (int f = 0; f < FAMILIES; f++)
		if (self_is(c->name, c->port, c->addr[f], c->addrs[f]))
			return true;
	return false;
}

/* What has our rank or a worse one would hand the mail back to us (RFC 5321 5.1). How many are
 * left of those that are sorted. */
static size_t without_us(struct hosts_ask *a)
{
	size_t n = 0;
	while (a->smtp && n < a->hosts && !is_self(a->host[n]))
		n++;
	if (!a->smtp || n == a->hosts)
		return a->hosts;
	const struct candidate *self = a->host[n];
	verdict(a, OUT_PERM, "5.4.6",
		pool_printf(a->pool, "mail for %s loops back to us (%s)", a->domain, self->name));
	while (n && by_rank(a->host[n - 1], self) == 0)
		n--;
	return n;
}

/* Why the candidate has no address. */
static void no_address(struct candidate *c)
{
	struct hosts_ask *a = c->a;
	if (c->trouble != STUB_OK)
		dns_trouble(a, c->name, c->trouble);
	else if (c->origin == BY_MX)
		refuse(
		    a, "5.4.4",
		    pool_printf(a->pool, "the MX of %s, %s, has no address", a->domain, c->name));
	else
		refuse(a, "5.1.2", pool_printf(a->pool, "%s has neither MX nor address", c->name));
}

/* Both families have half of the room, and what the other leaves of its half. */
static void put_addresses(struct hosts_ask *a, const struct candidate *c, struct host *out)
{
	size_t n[FAMILIES];
	for (int f = 0; f < FAMILIES; f++) {
		size_t other = c->addrs[1 - f] < ADDRS_MAX / 2 ? c->addrs[1 - f] : ADDRS_MAX / 2;
		n[f] = c->addrs[f] < ADDRS_MAX - other ? c->addrs[f] : ADDRS_MAX - other;
	}
	struct sockaddr_storage *to = pool_alloc(a->result, (n[SIX] + n[FOUR] + 1) * sizeof(*to));
	out->addr = to;
	out->addrs = n[SIX] + n[FOUR];
	if (n[SIX])
		memcpy(to, c->addr[SIX], n[SIX] * sizeof(*to));
	if (n[FOUR])
		memcpy(to + n[SIX], c->addr[FOUR], n[FOUR] * sizeof(*to));
}

static struct hosts *result(struct hosts_ask *a)
{
	struct hosts *h = pool_alloc(a->result, sizeof(*h));
	struct host *host = pool_alloc(a->result, (a->hosts + 1) * sizeof(*host));
	size_t with = 0;
	qsort(a->host, a->hosts, sizeof(a->host[0]), by_order);
	size_t n = without_us(a);
	for (size_t i = 0; i < n; i++) {
		const struct candidate *c = a->host[i];
		if (!c->addrs[FOUR] && !c->addrs[SIX]) {
			no_address(a->host[i]);
			if (c->trouble == STUB_OK)
				continue;
		} else {
			with++;
		}
		struct host *to = &host[h->n++];
		*to = (struct host){.name = pool_strdup(a->result, c->name),
				    .preference = c->preference,
				    .port = c->port,
				    .secure = c->secure};
		put_addresses(a, c, to);
	}
	h->host = host;
	if (!with) {
		h->n = 0;
		if (!a->temp.text && !a->perm.text) /* all are malformed */
			refuse(a, "5.4.4",
			       pool_printf(a->pool, "no MX record of %s names a host", a->domain));
		h->verdict = a->temp.text ? a->temp : a->perm;
	}
	h->until = clock_mono() + a->good_for * 1000ull;
	h->pool = a->result;
	a->result = NULL;
	return h;
}

static void finish(struct hosts_ask *a)
{
	struct hosts *h = result(a);
	hosts_fn *fn = a->fn;
	void *arg = a->arg;
	ask_free(a);
	fn(h, arg);
}

static void finish_later(void *arg)
{
	struct hosts_ask *a = arg;
	if (a->dead)
		ask_free(a);
	else
		finish(a);
}

static void answered(struct hosts_ask *a)
{
	if (--a->pending == 0)
		finish(a);
}

/* --- addresses --- */

/* Unless it is one that no host can have. */
static void add_address(struct candidate *c, enum family f, const void *ip)
{
	struct sockaddr_storage *ss = &c->addr[f][c->addrs[f]];
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;
	*ss = (struct sockaddr_storage){0};
	if (f == FOUR) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(c->port);
		memcpy(&v4->sin_addr, ip, sizeof(v4->sin_addr));
		if (ntohl(v4->sin_addr.s_addr) >> 28 >= 14) /* multicast, reserved, broadcast */
			return;
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(c->port);
		memcpy(&v6->sin6_addr, ip, sizeof(v6->sin6_addr));
		if (IN6_IS_ADDR_MULTICAST(&v6->sin6_addr) || IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
			return;
	}
	c->addrs[f]++;
}

static void make_room(struct candidate *c, enum family f, size_t n)
{
	c->addr[f] = pool_alloc(c->a->pool, (n + 1) * sizeof(*c->addr[f]));
}

static void on_addresses(const struct stub_answer *s, void *arg)
{
	struct question *q = arg;
	struct candidate *c = q->of;
	enum family f = q == &c->question[FOUR] ? FOUR : SIX;
	q->ask = NULL;
	good_for(c->a, s);
	if (stub_kind_temporary(s->kind))
		c->trouble = s->kind;
	else
		c->secure = c->secure && s->ad;
	make_room(c, f, s->n < ADDRS_MAX ? s->n : ADDRS_MAX);
	for (size_t i = 0; i < s->n && c->addrs[f] < ADDRS_MAX; i++)
		add_address(c, f, f == FOUR ? (void *)&s->rr[i].a : (void *)&s->rr[i].aaaa);
	answered(c->a);
}

static struct candidate *candidate(struct hosts_ask *a, const char *name, enum origin origin,
				   const struct source *src)
{
	if (a->hosts == ROUTE_HOSTS_MAX)
		return NULL;
	struct candidate *c = pool_alloc(a->pool, sizeof(*c));
	*c = (struct candidate){.a = a,
				.name = pool_strdup(a->pool, name),
				.origin = origin,
				.source = (size_t)(src - a->source),
				.port = src->port,
				.secure = true};
	id_random(&c->shuffle, sizeof(c->shuffle));
	a->host[a->hosts++] = c;
	return c;
}

static void ask_addresses(struct candidate *c)
{
	static const uint16_t type[FAMILIES] = {[FOUR] = DNS_A, [SIX] = DNS_AAAA};
	for (int f = 0; f < FAMILIES; f++) {
		struct question *q = &c->question[f];
		q->of = c;
		q->ask = stub_ask(c->a->stub, slice_of(c->name), type[f], on_addresses, q);
		c->a->pending++;
	}
}

/* A host that is given by its address. False: it is a name. */
static bool by_address(struct hosts_ask *a, const char *text, const struct source *src)
{
	unsigned char ip[16];
	bool six = inet_pton(AF_INET6, text, ip) == 1;
	if (!six && inet_pton(AF_INET, text, ip) != 1)
		return false;
	struct candidate *c = candidate(a, text, BY_NAME, src);
	if (!c)
		return true;
	enum family f = six ? SIX : FOUR;
	make_room(c, f, 1);
	add_address(c, f, ip);
	return true;
}

/* A name of every machine, which servers of the DNS need not know (RFC 6761 6.3). */
static bool by_localhost(struct hosts_ask *a, const char *name, const struct source *src)
{
	const struct in_addr four = {htonl(INADDR_LOOPBACK)};
	if (strcmp(name, "localhost") != 0)
		return false;
	struct candidate *c = candidate(a, name, BY_NAME, src);
	if (!c)
		return true;
	make_room(c, SIX, 1);
	add_address(c, SIX, &in6addr_loopback);
	make_room(c, FOUR, 1);
	add_address(c, FOUR, &four);
	return true;
}

/* --- MX --- */

struct mx {
	uint16_t preference;
	uint32_t shuffle;
	const char *name;
};

static int by_preference(const void *x, const void *y)
{
	const struct mx *a = x, *b = y;
	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	return (a->shuffle > b->shuffle) - (a->shuffle < b->shuffle);
}

/* Of over-many hosts the preferred ones, of equal ones any: so all are sorted first. */
static void take_mx(struct source *src, const struct stub_answer *s)
{
	struct hosts_ask *a = src->a;
	struct mx *mx = pool_alloc(a->pool, (s->n + 1) * sizeof(*mx));
	size_t first = a->hosts;
	for (size_t i = 0; i < s->n; i++) {
		mx[i] = (struct mx){.preference = s->rr[i].preference, .name = s->rr[i].name};
		id_random(&mx[i].shuffle, sizeof(mx[i].shuffle));
	}
	qsort(mx, s->n, sizeof(*mx), by_preference);
	for (size_t i = 0; i < s->n; i++) {
		char name[DOMAIN_TEXT];
		size_t k = first;
		/* The root, an address or what else no host is called. */
		if (!domain_ascii(slice_of(mx[i].name), name) || !domain_is_host(slice_of(name)))
			continue;
		while (k < a->hosts && strcmp(a->host[k]->name, name) != 0)
			k++;
		struct candidate *c = k < a->hosts ? NULL : candidate(a, name, BY_MX, src);
		if (!c)
			continue;
		c->preference = mx[i].preference;
		c->secure = s->ad;
		ask_addresses(c);
	}
}

static void no_mx(struct source *src, const struct stub_answer *s)
{
	struct candidate *c;
	switch (s->kind) {
	case STUB_NODATA:
		c = candidate(src->a, src->name, BY_NAME, src);
		if (c) {
			c->secure = s->ad;
			ask_addresses(c);
		}
		break;
	case STUB_NXDOMAIN:
		refuse(src->a, "5.1.2",
		       pool_printf(src->a->pool, "the domain %s does not exist", src->name));
		break;
	case STUB_BADNAME:
		refuse(src->a, "5.1.2", pool_printf(src->a->pool, "%s is not a domain", src->name));
		break;
	default:
		dns_trouble(src->a, src->name, s->kind);
	}
}

static void on_mx(const struct stub_answer *s, void *arg)
{
	struct source *src = arg;
	struct hosts_ask *a = src->a;
	src->ask = NULL;
	good_for(a, s);
	if (s->kind != STUB_OK) {
		no_mx(src, s);
	} else if (s->n == 1 && strcmp(s->rr[0].name, ".") == 0) {
		refuse(a, "5.1.10", pool_printf(a->pool, "%s takes no mail (null MX)", src->name));
		a->perm.code = NULL_MX;
	} else {
		take_mx(src, s);
	}
	answered(a);
}

/* --- the beginning --- */

static void ask_mx(struct source *src, const char *name)
{
	src->name = pool_strdup(src->a->pool, name);
	src->ask = stub_ask(src->a->stub, slice_of(src->name), DNS_MX, on_mx, src);
	src->a->pending++;
}

static void ask_route(struct hosts_ask *a, const struct route *r)
{
	for (size_t i = 0; i < r->hosts; i++) {
		const struct route_host *h = &r->host[i];
		struct source *src = &a->source[i];
		if (h->port)
			src->port = h->port;
		if (h->mx) {
			ask_mx(src, h->name);
		} else if (!by_address(a, h->name, src) && !by_localhost(a, h->name, src)) {
			struct candidate *c = candidate(a, h->name, BY_NAME, src);
			if (c)
				ask_addresses(c);
		}
	}
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 4.1.3). */
static bool ask_literal(struct hosts_ask *a, struct slice domain)
{
	char text[INET6_ADDRSTRLEN];
	if (domain.len < 2 || domain.p[0] != '[' || domain.p[domain.len - 1] != ']')
		return false;
	struct slice in = {domain.p + 1, domain.len - 2};
	bool six = slice_istarts(in, "IPv6:");
	if (six)
		in = (struct slice){in.p + 5, in.len - 5};
	return str_fmt(text, sizeof(text), "%.*s", SLICE_FMT(in)) && !strchr(text, ':') == !six &&
	       by_address(a, text, &a->source[0]);
}

static void ask_domain(struct hosts_ask *a, struct slice domain)
{
	char name[DOMAIN_TEXT];
	if (ask_literal(a, domain))
		return;
	if (domain_ascii(domain, name) && domain_is_host(slice_of(name)))
		ask_mx(&a->source[0], name);
	else
		refuse(a, "5.1.2", pool_printf(a->pool, "%s is not a domain", a->domain));
}

struct hosts_ask *hosts_find(struct stub *s, const struct route *r, struct slice domain,
			     hosts_fn *fn, void *arg)
{
	static const uint16_t port[] = {
	    [ROUTE_SMTP] = 25, [ROUTE_SUBMISSIONS] = 465, [ROUTE_LMTP] = 24};
	struct hosts_ask *a = mem_alloc(sizeof(*a));
	a->stub = s;
	a->fn = fn;
	a->arg = arg;
	a->pool = pool_new(4096);
	a->result = pool_new(0);
	a->domain = slice_copy(a->pool, domain).p;
	a->smtp = r->protocol == ROUTE_SMTP;
	a->by_route = r->hosts > 0;
	a->good_for = GOOD_LONGEST;
	a->sources = r->hosts ? r->hosts : 1;
	a->source = pool_alloc(a->pool, a->sources * sizeof(*a->source));
	for (size_t i = 0; i < a->sources; i++)
		a->source[i] = (struct source){.a = a, .port = port[r->protocol]};
	if (r->hosts)
		ask_route(a, r);
	else
		ask_domain(a, domain);
	if (!a->pending) {
		a->deferred = true;
		loop_defer(finish_later, a);
	}
	return a;
}

void hosts_cancel(struct hosts_ask **p)
{
	struct hosts_ask *a = *p;
	*p = NULL;
	if (!a)
		return;
	if (a->deferred)
		a->dead = true;
	else
		ask_free(a);
}

void hosts_free(struct hosts **h)
{
	struct pool *pool = *h ? (*h)->pool : NULL;
	*h = NULL;
	pool_free(&pool);
}
