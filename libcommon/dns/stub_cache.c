/* Answers that are still good, by name and type; the least recently used one goes first. */
#include "libcommon/base/clock.h"
#include "libcommon/dns/stub_int.h"

/* Octets of an answer that is kept: the cache is bounded by this times its entries. */
enum { KEPT_MAX = 16384 };

static void drop(struct stub *s, struct answer *a)
{
	map_del(s->cache, a->key.b, a->key.len);
	list_del(&a->lru);
	stub_answer_unref(&a);
}

struct answer *stub_cache_get(struct stub *s, const struct key *key)
{
	struct answer *a = map_get(s->cache, key->b, key->len);
	uint64_t now = clock_ms();
	if (!a)
		return NULL;
	/* A clock that was set back says nothing about the age. */
	if (now >= a->until || now < a->from) {
		drop(s, a);
		return NULL;
	}
	a->a.ttl = (uint32_t)((a->until - now + 999) / 1000);
	list_del(&a->lru);
	list_add_tail(&s->lru, &a->lru);
	return a;
}

void stub_cache_put(struct stub *s, struct answer *a)
{
	uint32_t max = a->a.kind == STUB_OK ? s->conf.ttl_max : s->conf.negative_max;
	if (a->a.ttl > max)
		a->a.ttl = max;
	if (s->conf.no_cache || !a->a.ttl || a->a.kind > STUB_NXDOMAIN ||
	    pool_size(a->pool) > KEPT_MAX)
		return;
	struct answer *old = map_get(s->cache, a->key.b, a->key.len);
	if (old)
		drop(s, old);
	while (map_count(s->cache) >= s->conf.cache_entries)
		drop(s, list_entry(s->lru.next, struct answer, lru));
	a->refs++;
	a->from = clock_ms();
	a->until = a->from + (uint64_t)a->a.ttl * 1000;
	map_set(s->cache, a->key.b, a->key.len, a);
	list_add_tail(&s->lru, &a->lru);
}

void stub_forget(struct stub *s)
{
	while (!list_empty(&s->lru))
		drop(s, list_entry(s->lru.next, struct answer, lru));
}

void stub_cache_free(struct stub *s)
{
	stub_forget(s);
	map_free(&s->cache);
}
