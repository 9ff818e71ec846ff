/* The ring of entries, and which of them give way. */
#include "dnsd/cache/cache_int.h"

enum { CHANCES = 64 /* entries that are written again for the sake of one that comes */ };

/* Units in a row that are free at the head. */
static uint32_t gap(const struct cache *c)
{
	if (c->filled == c->size)
		return 0;
	return c->head < c->tail ? c->tail - c->head : c->size - c->head;
}

static uint32_t ahead(const struct cache *c, uint32_t at, uint32_t units)
{
	at += units;
	return at == c->size ? 0 : at;
}

/* The oldest goes in front. What lies between is free, or nothing lies there: it may be moved onto
 * itself. */
static void renew(struct cache *c, struct entry *e)
{
	uint32_t units = entry_units(e), to = c->head;
	e->head &= ~(uint32_t)ENTRY_ASKED;
	if (to != c->tail) {
		index_moved(c, e, c->tail, to);
		memmove(c->ring + to, e, (size_t)units * UNIT);
	}
	c->head = ahead(c, c->head, units);
	c->tail = ahead(c, c->tail, units);
}

/* Returns whether it was given another chance. */
static bool pass_oldest(struct cache *c, uint64_t now, bool chance)
{
	struct entry *e = entry_at(c, c->tail);
	uint32_t units = entry_units(e);
	if (e->head & ENTRY_LIVE) {
		bool over = entry_over(c, e, now);
		if (!over && chance && e->head & ENTRY_ASKED) {
			renew(c, e);
			return true;
		}
		index_drop_entry(c, c->tail);
		c->stats.expired += over;
		c->stats.evicted += !over;
	}
	c->tail = ahead(c, c->tail, units);
	c->filled -= units;
	return false;
}

/* The end of the ring is too short: nothing stands there. */
static void skip_end(struct cache *c, uint32_t units)
{
	c->ring[c->head] = units;
	c->filled += units;
	c->head = 0;
}

void ring_room(struct cache *c, uint32_t units, uint64_t now)
{
	unsigned chances = CHANCES;
	for (;;) {
		uint32_t free_units = gap(c);
		if (free_units >= units)
			return;
		if (c->filled == 0) {
			c->head = c->tail = 0;
		} else if (c->filled < c->size && c->head >= c->tail) {
			skip_end(c, free_units);
		} else if (pass_oldest(c, now, chances > 0)) {
			chances--;
		}
	}
}

uint32_t ring_take(struct cache *c, uint32_t units)
{
	uint32_t at = c->head;
	c->head = ahead(c, c->head, units);
	c->filled += units;
	return at;
}

struct entry *ring_next(const struct cache *c, uint32_t *at, uint32_t *passed)
{
	if (*passed == c->filled)
		return NULL;
	struct entry *e = entry_at(c, *at);
	*passed += entry_units(e);
	*at = ahead(c, *at, entry_units(e));
	return e;
}
