/* The zones that are served, by their names. */
#include <stdlib.h>
#include "dnsd/answer/answer.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"

enum { LABELS = 128 };

struct zones {
	const struct zones *under; /* NULL: none */
	struct map *by_name;
	unsigned with[LABELS]; /* zones whose names have so many labels */
	unsigned most;         /* the most labels that one has */
};

struct zones *zones_over(const struct zones *under)
{
	struct zones *z = mem_alloc(sizeof(*z));
	z->under = under;
	z->by_name = map_new();
	return z;
}

struct zones *zones_new(void)
{
	return zones_over(NULL);
}

static size_t key_of(const uint8_t *name, uint8_t out[DNS_NAME_MAX])
{
	size_t len = dns_name_len(name);
	memcpy(out, name, len);
	dns_name_lower(out);
	return len;
}

static void count(struct zones *z, const uint8_t *name, int by)
{
	z->with[dns_name_labels(name)] += (unsigned)by;
	z->most = 0;
	for (unsigned i = 0; i < LABELS; i++)
		if (z->with[i])
			z->most = i;
}

const struct image *zones_set(struct zones *z, const uint8_t *name, const struct image *image,
			      unsigned number)
{
	uint8_t key[DNS_NAME_MAX];
	size_t len = key_of(name, key);
	struct zone *old = map_get(z->by_name, key, len);
	if (old) {
		const struct image *before = old->image;
		old->image = image;
		old->number = number;
		return before;
	}
	struct zone *zone = mem_alloc(sizeof(*zone));
	memcpy(zone->name, key, len);
	zone->name_len = len;
	zone->image = image;
	zone->number = number;
	zone->expired = false;
	map_set(z->by_name, key, len, zone);
	count(z, key, 1);
	return NULL;
}

void zones_expire(struct zones *z, const uint8_t *name, bool expired)
{
	uint8_t key[DNS_NAME_MAX];
	size_t len = key_of(name, key);
	struct zone *zone = map_get(z->by_name, key, len);
	if (zone)
		zone->expired = expired;
}

const struct image *zones_remove(struct zones *z, const uint8_t *name)
{
	uint8_t key[DNS_NAME_MAX];
	size_t len = key_of(name, key);
	struct zone *old = map_del(z->by_name, key, len);
	if (!old)
		return NULL;
	const struct image *image = old->image;
	free(old);
	count(z, key, -1);
	return image;
}

static const struct zone *of_name(const struct zones *z, const uint8_t *name, size_t len,
				  unsigned labels)
{
	for (; z; z = z->under) {
		const struct zone *zone =
		    labels <= z->most && z->with[labels] ? map_get(z->by_name, name, len) : NULL;
		if (zone)
			return zone;
	}
	return NULL;
}

const struct zone *zones_find(const struct zones *z, const uint8_t *name, size_t len)
{
	unsigned labels = dns_name_labels(name);
	size_t at = 0;
	for (;; labels--) {
		const struct zone *zone = of_name(z, name + at, len - at, labels);
		if (zone)
			return zone;
		if (!name[at])
			return NULL;
		at += 1u + name[at];
	}
}

static int free_zone(const void *key, size_t len, void *value, void *arg)
{
	(void)key;
	(void)len;
	(void)arg;
	free(value);
	return 0;
}

void zones_free(struct zones **z)
{
	if (!*z)
		return;
	map_each((*z)->by_name, free_zone, NULL);
	map_free(&(*z)->by_name);
	free(*z);
	*z = NULL;
}
