#include "libcommon/base/map.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "libcommon/base/id.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/sip.h"

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

static uint8_t sip_key[SIP_KEY];
static bool keyed;

uint64_t map_hash(const void *p, size_t len)
{
	if (!keyed) {
		id_random(sip_key, sizeof(sip_key));
		keyed = true;
	}
	return sip24(sip_key, p, len);
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
