/* Counters of failed logins. Fixed size: the oldest counter gives way. Keys are SipHash under the
 * process's own key, so that nobody can aim at another's counter. */
#include <arpa/inet.h>
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "stored/auth.h"

enum { COUNTERS_MAX = 65536, KNOWN_MAX = 65536, DELAY_MAX_MS = 30000, DOUBLINGS_MAX = 16 };

struct counter {
	struct list link; /* by age */
	uint64_t key;
	uint64_t since_ms; /* of the first failure of the window */
	uint64_t failures; /* 0 for a known address: it only has to be there */
	uint64_t password; /* keyed hash of the last wrong one */
};

struct table {
	struct map *map;
	struct list age;
	size_t max;
};
static struct table failed = {.max = COUNTERS_MAX}, known = {.max = KNOWN_MAX};

static struct counter *find(const struct table *t, uint64_t key)
{
	return t->map && key ? map_get(t->map, &key, sizeof(key)) : NULL;
}

static void drop(struct table *t, struct counter *c)
{
	map_del(t->map, &c->key, sizeof(c->key));
	list_del(&c->link);
	free(c);
}

static struct counter *add(struct table *t, uint64_t key)
{
	if (!t->map) {
		t->map = map_new();
		list_init(&t->age);
	}
	if (map_count(t->map) >= t->max)
		drop(t, list_entry(t->age.next, struct counter, link));
	struct counter *c = mem_alloc(sizeof(*c));
	*c = (struct counter){.key = key, .since_ms = clock_ms()};
	list_add_tail(&t->age, &c->link);
	map_set(t->map, &key, sizeof(key), c);
	return c;
}

static void empty(struct table *t)
{
	while (t->map && !list_empty(&t->age))
		drop(t, list_entry(t->age.next, struct counter, link));
	map_free(&t->map);
}

void guard_reset(void)
{
	empty(&failed);
	empty(&known);
}

/* --- keys -------------------------------------------------------------------- */

/* The bytes of the address that count: 4 of IPv4, 8 of IPv6; 0: none, or loopback. */
static size_t peer_bytes(struct slice peer, unsigned char out[16])
{
	char text[64];
	struct slice s = peer;
	if (s.len && s.p[0] == '[') {
		s = (struct slice){s.p + 1, s.len - 1};
		s = slice_cut(&s, ']');
	} else if (s.len) {
		const char *colon = memchr(s.p, ':', s.len);
		if (colon && !memchr(colon + 1, ':', s.len - (size_t)(colon + 1 - s.p)))
			s.len = (size_t)(colon - s.p);
	}
	if (s.len == 0 || s.len >= sizeof(text))
		return 0;
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	if (inet_pton(AF_INET, text, out) == 1)
		return out[0] == 127 ? 0 : 4;
	if (inet_pton(AF_INET6, text, out) != 1)
		return 0;
	static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
	static const unsigned char loopback[16] = {[15] = 1};
	if (memcmp(out, mapped, sizeof(mapped)) == 0) {
		memmove(out, out + 12, 4);
		return out[0] == 127 ? 0 : 4;
	}
	return memcmp(out, loopback, sizeof(loopback)) == 0 ? 0 : 8;
}

static uint64_t key_of(char kind, struct slice name, const unsigned char *peer, size_t peer_n)
{
	char text[1 + 16 + 512];
	size_t n = 0;
	text[n++] = kind;
	memcpy(text + n, peer, peer_n);
	n += peer_n;
	/* Longer names than any account's may share a counter. */
	size_t len = name.len < 512 ? name.len : 512;
	if (len)
		memcpy(text + n, name.p, len);
	return map_hash(text, n + len) | 1; /* 0 means none */
}

struct guard guard_for(struct slice name, struct slice peer)
{
	unsigned char p[16];
	size_t n = peer_bytes(peer, p);
	struct addr a;
	struct pool *pool = pool_new(0);
	if (dir_addr(pool, name, &a))
		name = a.full;
	struct guard g = {.address = n ? key_of('a', SLICE(""), p, n) : 0,
			  .known = n ? key_of('k', name, p, n) : 0};
	bool is_known = find(&known, g.known) != NULL;
	if (name.len)
		g.account = is_known ? key_of('n', name, p, n) : key_of('n', name, p, 0);
	pool_free(&pool);
	return g;
}

/* --- counting ---------------------------------------------------------------- */

/* The counter if its window still runs. */
static struct counter *current(uint64_t key)
{
	struct counter *c = find(&failed, key);
	if (c && clock_ms() - c->since_ms >= conf.auth_window) {
		drop(&failed, c);
		c = NULL;
	}
	return c;
}

bool guard_allows(const struct guard *g)
{
	const struct counter *a = current(g->account), *p = current(g->address);
	return !(a && a->failures >= conf.auth_failures) &&
	       !(p && p->failures >= conf.auth_failures);
}

static uint64_t count(uint64_t key, uint64_t password)
{
	if (!key)
		return 0;
	struct counter *c = current(key);
	if (!c)
		c = add(&failed, key);
	if (!password || c->password != password)
		c->failures++;
	c->password = password;
	return c->failures;
}

uint64_t guard_failed(const struct guard *g, uint64_t password)
{
	uint64_t a = count(g->account, password), p = count(g->address, password);
	uint64_t n = a > p ? a : p;
	unsigned doublings = n > DOUBLINGS_MAX ? DOUBLINGS_MAX : n ? (unsigned)n - 1 : 0;
	uint64_t ms = conf.auth_delay << doublings;
	return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

/* The address's counter stays: an attacker may have an account of his own. */
void guard_succeeded(const struct guard *g)
{
	struct counter *c = find(&failed, g->account);
	if (c)
		drop(&failed, c);
	c = find(&known, g->known);
	if (c) {
		list_del(&c->link);
		list_add_tail(&known.age, &c->link);
	} else if (g->known) {
		add(&known, g->known);
	}
}
