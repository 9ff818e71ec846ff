/* The keys stand one behind the other, a table of where they begin beside them: with some bits of
 * the hash, so that what is not there is seen to be so in the table alone. */
#include "dnsd/policy/keys.h"
#include <stdlib.h>
#include <string.h>
#include "libcommon/base/mem.h"
#include "libcommon/base/map.h"

enum { FIRST = 64, HEAD = 6 /* of an entry: its number and its length */, TAG = 40 };

struct keys {
	uint8_t *bytes;
	size_t len, cap;
	uint64_t *slot; /* where the entry begins, and 1; above TAG bits of the hash */
	size_t slots, n;
};

struct keys *keys_new(void)
{
	struct keys *k = mem_alloc(sizeof(*k));
	k->slots = FIRST;
	k->slot = mem_alloc(FIRST * sizeof(*k->slot));
	return k;
}

void keys_free(struct keys **p)
{
	struct keys *k = *p;
	if (!k)
		return;
	free(k->bytes);
	free(k->slot);
	free(k);
	*p = NULL;
}

static uint64_t place_of(uint64_t slot)
{
	return (slot & ((1ull << TAG) - 1)) - 1;
}

static const uint8_t *entry_key(const struct keys *k, uint64_t slot, size_t *len)
{
	const uint8_t *e = k->bytes + place_of(slot);
	uint16_t n;
	memcpy(&n, e + 4, sizeof(n));
	*len = n;
	return e + HEAD;
}

/* Its slot, or the free one where it would stand. */
static uint64_t *slot_of(const struct keys *k, const void *key, size_t len, uint64_t hash)
{
	size_t i = hash & (k->slots - 1), n;
	for (;; i = (i + 1) & (k->slots - 1)) {
		if (!k->slot[i])
			return &k->slot[i];
		if (k->slot[i] >> TAG != hash >> TAG)
			continue;
		const uint8_t *have = entry_key(k, k->slot[i], &n);
		if (n == len && memcmp(have, key, len) == 0)
			return &k->slot[i];
	}
}

static void grow(struct keys *k)
{
	uint64_t *old = k->slot;
	size_t n = k->slots, len;
	k->slots *= 2;
	k->slot = mem_alloc(k->slots * sizeof(*k->slot));
	for (size_t i = 0; i < n; i++) {
		if (!old[i])
			continue;
		const uint8_t *key = entry_key(k, old[i], &len);
		*slot_of(k, key, len, map_hash(key, len)) = old[i];
	}
	free(old);
}

bool keys_put(struct keys *k, const void *key, size_t len, uint32_t value)
{
	uint64_t hash = map_hash(key, len), *slot = slot_of(k, key, len, hash);
	uint16_t n = (uint16_t)len;
	if (*slot)
		return false;
	if (k->cap - k->len < HEAD + len) {
		k->cap = k->cap * 2 + HEAD + len;
		k->bytes = mem_realloc(k->bytes, k->cap);
	}
	*slot = hash >> TAG << TAG | (k->len + 1);
	memcpy(k->bytes + k->len, &value, sizeof(value));
	memcpy(k->bytes + k->len + 4, &n, sizeof(n));
	memcpy(k->bytes + k->len + HEAD, key, len);
	k->len += HEAD + len;
	if (++k->n > k->slots / 4 * 3)
		grow(k);
	return true;
}

uint32_t keys_get(const struct keys *k, const void *key, size_t len)
{
	uint64_t slot = *slot_of(k, key, len, map_hash(key, len));
	uint32_t value = 0;
	if (slot)
		memcpy(&value, k->bytes + place_of(slot), sizeof(value));
	return value;
}

size_t keys_count(const struct keys *k)
{
	return k->n;
}
