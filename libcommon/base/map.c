#include "libcommon/base/map.h"
#include <stdlib.h>
#include <string.h>
#include "libcommon/base/id.h"
#include "libcommon/base/mem.h"

struct entry {
	struct entry *next;
	uint64_t hash;
	void *value;
	size_t len;
	char key[];
};

struct map {
	struct entry **bucket;
	size_t mask; /* buckets - 1 */
	size_t count;
};

static uint64_t sip_key[2];

static inline uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
}

uint64_t map_hash(const void *p, size_t len)
{
	if (!sip_key[0] && !sip_key[1])
		id_random(sip_key, sizeof(sip_key));
	uint64_t v[4] = {sip_key[0] ^ 0x736f6d6570736575u, sip_key[1] ^ 0x646f72616e646f6du,
			 sip_key[0] ^ 0x6c7967656e657261u, sip_key[1] ^ 0x7465646279746573u};
	const unsigned char *b = p;
	size_t left = len;
	uint64_t m;
	for (; left >= 8; left -= 8, b += 8) {
		memcpy(&m, b, 8);
		sip_word(v, m);
	}
	m = (uint64_t)len << 56;
	for (size_t i = 0; i < left; i++)
		m |= (uint64_t)b[i] << (8 * i);
	sip_word(v, m);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *map_new(void)
{
	struct map *m = mem_alloc(sizeof(*m));
	m->mask = 7;
	m->bucket = mem_alloc((m->mask + 1) * sizeof(*m->bucket));
	return m;
}

void map_free(struct map **m)
{
	if (!*m)
		return;
	for (size_t i = 0; i <= (*m)->mask; i++)
		for (struct entry *e = (*m)->bucket[i], *next; e; e = next) {
			next = e->next;
			free(e);
		}
	free((*m)->bucket);
	free(*m);
	*m = NULL;
}

/* The link that points to the entry, or the end of its chain. */
static struct entry **find(const struct map *m, const void *key, size_t len, uint64_t hash)
{
	struct entry **at = &m->bucket[hash & m->mask];
	while (*at && ((*at)->hash != hash || (*at)->len != len || memcmp((*at)->key, key, len)))
		at = &(*at)->next;
	return at;
}

static void grow(struct map *m)
{
	size_t mask = m->mask * 2 + 1;
	struct entry **bucket = mem_alloc((mask + 1) * sizeof(*bucket));
	for (size_t i = 0; i <= m->mask; i++)
		for (struct entry *e = m->bucket[i], *next; e; e = next) {
			next = e->next;
			e->next = bucket[e->hash & mask];
			bucket[e->hash & mask] = e;
		}
	free(m->bucket);
	m->bucket = bucket;
	m->mask = mask;
}

void *map_get(const struct map *m, const void *key, size_t len)
{
	struct entry *e = *find(m, key, len, map_hash(key, len));
	return e ? e->value : NULL;
}

void *map_set(struct map *m, const void *key, size_t len, void *value)
{
	uint64_t hash = map_hash(key, len);
	struct entry **at = find(m, key, len, hash);
	if (*at) {
		void *old = (*at)->value;
		(*at)->value = value;
		return old;
	}
	struct entry *e = mem_alloc(sizeof(*e) + len);
	e->hash = hash;
	e->value = value;
	e->len = len;
	memcpy(e->key, key, len);
	*at = e;
	if (++m->count > m->mask)
		grow(m);
	return NULL;
}

void *map_del(struct map *m, const void *key, size_t len)
{
	struct entry **at = find(m, key, len, map_hash(key, len));
	struct entry *e = *at;
	if (!e)
		return NULL;
	void *value = e->value;
	*at = e->next;
	free(e);
	m->count--;
	return value;
}

size_t map_count(const struct map *m)
{
	return m->count;
}

int map_each(const struct map *m, int (*fn)(const void *key, size_t len, void *value, void *arg),
	     void *arg)
{
	for (size_t i = 0; i <= m->mask; i++)
		for (struct entry *e = m->bucket[i]; e; e = e->next) {
			int r = fn(e->key, e->len, e->value, arg);
			if (r)
				return r;
		}
	return 0;
}
