#include "dnsd/wire/shared.h"
#include <sched.h>
#include "libcommon/base/id.h"
#include "libcommon/base/mem.h"

enum { LAYOUT = 1 /* goes up with each change of struct shared */, WAYS = 8 };

struct shared *shared_open(void *mem)
{
	struct shared *s = mem;
	uint32_t layout = 0, fresh = 0;
	if (!s ||
	    (!atomic_compare_exchange_strong(&s->layout, &layout, LAYOUT) && layout != LAYOUT))
		s = mem_alloc(sizeof(*s));
	if (atomic_compare_exchange_strong(&s->ready, &fresh, 1)) {
		id_random(s->key, sizeof(s->key));
		atomic_store(&s->ready, 2);
	}
	while (atomic_load(&s->ready) != 2)
		sched_yield();
	return s;
}

/* The slot of the key; a new one takes the place of that whose time is the longest ago. */
static struct signed_slot *find(struct shared *s, uint64_t hash)
{
	struct signed_slot *set = &s->last[hash % (SIGNED_SLOTS / WAYS) * WAYS], *oldest = set;
	uint64_t least = UINT64_MAX, who = hash | 1;
	for (int i = 0; i < WAYS; i++) {
		uint64_t last = atomic_load(&set[i].last);
		if (atomic_load(&set[i].who) == who)
			return &set[i];
		if (last < least) {
			least = last;
			oldest = &set[i];
		}
	}
	atomic_store(&oldest->last, 0);
	atomic_store(&oldest->who, who);
	return oldest;
}

bool shared_signed(struct shared *s, const struct tsig_key *key, unsigned kind, uint64_t time)
{
	uint8_t id[TSIG_NAME_MAX + 1] = {(uint8_t)kind};
	memcpy(id + 1, key->name, key->name_len);
	struct signed_slot *slot = find(s, sip24(s->key, id, 1 + key->name_len));
	uint64_t last = atomic_load(&slot->last);
	while (time > last && !atomic_compare_exchange_weak(&slot->last, &last, time))
		;
	return time + SIGNED_OVERTAKEN >= last;
}
