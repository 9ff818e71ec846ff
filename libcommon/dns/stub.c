#include "libcommon/dns/stub.h"
#include <stdio.h>
#include <stdlib.h>
#include "libcommon/base/mem.h"
#include "libcommon/dns/stub_int.h"

static const struct {
	const char *text;
	bool temporary;
} kind[] = {
    [STUB_OK] = {"ok", false},
    [STUB_NODATA] = {"no such record", false},
    [STUB_NXDOMAIN] = {"no such name", false},
    [STUB_SERVFAIL] = {"the DNS servers failed", true},
    [STUB_TIMEOUT] = {"no DNS server answered", true},
    [STUB_BOGUS] = {"the DNSSEC signatures are wrong", true},
    [STUB_LOOP] = {"too many CNAME records", true},
    [STUB_BADNAME] = {"not a host name", false},
    [STUB_BUSY] = {"too many DNS questions", true},
};

const char *stub_kind_text(enum stub_kind k)
{
	return kind[k].text;
}

bool stub_kind_temporary(enum stub_kind k)
{
	return kind[k].temporary;
}

static void stub_run(void *arg);

static void run_later(struct stub *s)
{
	if (!s->deferred)
		loop_defer(stub_run, s);
	s->deferred = true;
}

struct stub *stub_new(const struct stub_conf *conf)
{
	struct stub *s = mem_alloc(sizeof(*s));
	if (conf)
		s->conf = *conf;
	stub_servers(s);
	s->flying = map_new();
	s->cache = map_new();
	list_init(&s->waiting);
	list_init(&s->ready);
	list_init(&s->lru);
	return s;
}

/* Gives back what the question holds; its askers are gone already. */
static void question_free(struct question *q)
{
	struct stub *s = q->stub;
	stub_try_stop(q);
	timer_clear(&q->deadline);
	map_del(s->flying, q->key.b, q->key.len);
	if (q->active)
		s->active--;
	else
		s->nwaiting--;
	list_del(&q->link);
	free(q);
	if (!s->dead)
		run_later(s); /* the next one may start */
}

static void asker_ready(struct stub_ask *k, struct answer *a)
{
	k->q = NULL;
	k->answer = a;
	a->refs++;
	list_add_tail(&k->stub->ready, &k->link);
	k->stub->nready++;
	run_later(k->stub);
}

void stub_finish(struct question *q, struct answer *a)
{
	stub_cache_put(q->stub, a);
	struct list *e;
	while ((e = list_pop(&q->askers)))
		asker_ready(list_entry(e, struct stub_ask, link), a);
	stub_answer_unref(&a);
	question_free(q);
}

void stub_cancel(struct stub_ask **a)
{
	struct stub_ask *k = *a;
	if (!k)
		return;
	*a = NULL;
	list_del(&k->link);
	if (k->answer)
		k->stub->nready--;
	if (k->q && list_empty(&k->q->askers))
		question_free(k->q);
	stub_answer_unref(&k->answer);
	free(k);
}

static int cancel_all(const void *key, size_t len, void *value, void *arg)
{
	(void)key;
	(void)len;
	(void)arg;
	struct question *q = value;
	list_each_safe(it, nx, &q->askers)
	{
		free(list_entry(it, struct stub_ask, link));
	}
	stub_try_stop(q);
	timer_clear(&q->deadline);
	free(q);
	return 0;
}

void stub_free(struct stub **sp)
{
	struct stub *s = *sp;
	if (!s)
		return;
	*sp = NULL;
	s->dead = true;
	while (!list_empty(&s->ready)) {
		struct stub_ask *k = list_entry(s->ready.next, struct stub_ask, link);
		stub_cancel(&k);
	}
	map_each(s->flying, cancel_all, NULL);
	map_free(&s->flying);
	stub_cache_free(s);
	if (!s->deferred && !s->running)
		free(s);
}

static void deadline_passed(struct timer *t)
{
	struct question *q = list_entry(t, struct question, deadline);
	stub_finish(q, stub_answer_error(q, q->kind));
}

/* Hands out answers that are there now: those that come of the callbacks wait a turn. */
static void deliver(struct stub *s)
{
	struct list *e;
	for (size_t n = s->nready; n && !s->dead && (e = list_pop(&s->ready)); n--) {
		struct stub_ask *k = list_entry(e, struct stub_ask, link);
		struct answer *a = k->answer;
		struct stub_answer view = a->a; /* the kept one is for others, too */
		view.cached = k->cached;
		stub_fn *fn = k->fn;
		void *arg = k->arg;
		s->nready--;
		free(k);
		fn(&view, arg);
		stub_answer_unref(&a);
	}
}

static void stub_run(void *arg)
{
	struct stub *s = arg;
	s->deferred = false;
	s->running = true;
	deliver(s);
	struct list *e;
	while (!s->dead && s->active < s->conf.parallel && (e = list_pop(&s->waiting))) {
		struct question *q = list_entry(e, struct question, link);
		s->nwaiting--;
		s->active++;
		q->active = true;
		stub_try_next(q);
	}
	s->running = false;
	if (!s->dead && !list_empty(&s->ready))
		run_later(s);
	if (s->dead && !s->deferred)
		free(s);
}

/* Host names and service labels; whatever else a message names is not looked for. */
static bool may_be_asked(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = str_lower(name.p[i]);
		bool mark = c == '.' || c == '-' || c == '_' || c == '/';
		if (!mark && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
			return false;
	}
	return true;
}

static void make_key(struct key *key, const uint8_t *name, size_t len, uint16_t type)
{
	key->b[0] = (uint8_t)(type >> 8);
	key->b[1] = (uint8_t)type;
	key->len = 2 + len;
	memcpy(key->b + 2, name, len);
	dns_name_lower(key->b + 2);
}

static struct question *question_new(struct stub *s, const struct key *key, uint16_t type)
{
	struct question *q = mem_alloc(sizeof(*q));
	q->stub = s;
	q->key = *key;
	q->type = type;
	q->kind = STUB_TIMEOUT;
	q->rcode = DNS_SERVFAIL;
	q->at = (struct chain){.ttl = UINT32_MAX, .ad = true};
	memcpy(q->at.name, key->b + 2, key->len - 2);
	list_init(&q->askers);
	list_add_tail(&s->waiting, &q->link);
	s->nwaiting++;
	map_set(s->flying, key->b, key->len, q);
	timer_set(&q->deadline, s->conf.deadline_ms, deadline_passed);
	run_later(s);
	return q;
}

/* An answer without a question. */
static void refuse(struct stub_ask *k, const struct key *key, enum stub_kind why)
{
	struct answer *a = stub_answer_new(key);
	a->a.kind = why;
	a->a.owner = "";
	asker_ready(k, a);
	stub_answer_unref(&a);
}

struct stub_ask *stub_ask(struct stub *s, struct slice name, uint16_t type, stub_fn *fn, void *arg)
{
	struct stub_ask *k = mem_alloc(sizeof(*k));
	*k = (struct stub_ask){.stub = s, .fn = fn, .arg = arg};
	uint8_t wire[DNS_NAME_MAX];
	size_t len = may_be_asked(name) ? dns_name_from_text(name, wire) : 0;
	struct key key;
	if (!len)
		wire[0] = 0; /* a bad name leaves half a name behind: the root stands for it */
	make_key(&key, wire, len ? len : 1, type);
	s->stats.asked++;
	if (!len) {
		refuse(k, &key, STUB_BADNAME);
		return k;
	}
	struct answer *a = stub_cache_get(s, &key);
	if (a) {
		s->stats.cached++;
		k->cached = true;
		asker_ready(k, a);
		return k;
	}
	struct question *q = map_get(s->flying, key.b, key.len);
	if (q)
		s->stats.merged++;
	else if (s->nwaiting >= s->conf.queue) {
		refuse(k, &key, STUB_BUSY);
		return k;
	} else
		q = question_new(s, &key, type);
	k->q = q;
	list_add_tail(&q->askers, &k->link);
	return k;
}

struct stub_ask *stub_ask_ptr(struct stub *s, const struct sockaddr *addr, stub_fn *fn, void *arg)
{
	char name[80] = ""; /* of 32 nibbles and dots, ip6.arpa */
	size_t n = 0;
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)addr)->sin6_addr;
	const uint8_t *b = addr->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6)
			       ? v6->s6_addr + 12
			       : (const uint8_t *)&((const struct sockaddr_in *)addr)->sin_addr;
	if (addr->sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(v6)) {
		b = v6->s6_addr;
		for (int i = 15; i >= 0; i--)
			n += (size_t)snprintf(name + n, sizeof(name) - n, "%x.%x.", b[i] & 15,
					      b[i] >> 4);
		snprintf(name + n, sizeof(name) - n, "ip6.arpa");
	} else if (addr->sa_family == AF_INET || addr->sa_family == AF_INET6) {
		snprintf(name, sizeof(name), "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
	}
	return stub_ask(s, slice_of(name), DNS_PTR, fn, arg);
}

void stub_stats(const struct stub *s, struct stub_stats *out)
{
	*out = s->stats;
	out->entries = map_count(s->cache);
}
