/* What delivery and logins ask again and again. One generation at a time: the first look after a
 * change of the directory empties the cache; a full one is emptied as well, which costs one read
 * per address and needs no bookkeeping of age. */
#include "libcommon/base/map.h"
#include "stored/dir.h"

enum { CACHE_MAX = 8192, TARGETS_KEPT = 16 };

static struct {
	uint64_t generation; /* of the directory now */
	uint64_t filled;     /* of what the maps hold */
	struct map *resolved, *accounts;
	struct pool *pool; /* of everything in the maps */
} cache = {.generation = 1};

uint64_t dir_generation(void)
{
	return cache.generation;
}

void dir_changed(void)
{
	cache.generation++;
}

void dir_cache_free(void)
{
	map_free(&cache.resolved);
	map_free(&cache.accounts);
	pool_free(&cache.pool);
}

static bool fresh(void)
{
	return cache.pool && cache.filled == cache.generation;
}

/* Room for one more entry of this generation; false: the entry is older. */
static bool room(uint64_t generation)
{
	if (generation != cache.generation)
		return false;
	if (fresh() && map_count(cache.resolved) + map_count(cache.accounts) < CACHE_MAX)
		return true;
	dir_cache_free();
	cache.pool = pool_new(64 << 10);
	cache.resolved = map_new();
	cache.accounts = map_new();
	cache.filled = generation;
	return true;
}

/* rcpt as typed: most peers type an address as it is; the others miss the cache. */
bool dir_cache_resolve(struct slice rcpt, struct pool *pool, struct targets *out)
{
	const struct targets *t = fresh() ? map_get(cache.resolved, rcpt.p, rcpt.len) : NULL;
	if (!t)
		return false;
	dir_targets_copy(pool, t, out);
	return true;
}

void dir_targets_copy(struct pool *pool, const struct targets *t, struct targets *out)
{
	*out = *t;
	out->canonical = slice_copy(pool, t->canonical);
	out->t = pool_dup(pool, t->t, t->n * sizeof(*t->t));
	for (size_t i = 0; i < t->n; i++) {
		out->t[i].address = slice_copy(pool, t->t[i].address);
		out->t[i].detail = slice_copy(pool, t->t[i].detail);
	}
}

void dir_cache_put_resolve(struct slice rcpt, uint64_t generation, const struct targets *t)
{
	if (t->n == 0 || t->n > TARGETS_KEPT || rcpt.len == 0 || !room(generation))
		return;
	struct targets *kept = pool_alloc(cache.pool, sizeof(*kept));
	dir_targets_copy(cache.pool, t, kept);
	map_set(cache.resolved, rcpt.p, rcpt.len, kept);
}

bool dir_cache_account(uint64_t id, struct pool *pool, struct account *out)
{
	const struct account *a = fresh() ? map_get(cache.accounts, &id, sizeof(id)) : NULL;
	if (!a)
		return false;
	*out = *a;
	out->address = slice_copy(pool, a->address);
	return true;
}

void dir_cache_put_account(uint64_t generation, const struct account *a)
{
	if (!room(generation))
		return;
	struct account *kept = pool_dup(cache.pool, a, sizeof(*a));
	kept->address = slice_copy(cache.pool, a->address);
	map_set(cache.accounts, &a->id, sizeof(a->id), kept);
}
