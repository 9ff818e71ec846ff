/* Who sent an update by UDP and heard nothing sends it again: it is done once. So is what somebody
 * else recorded and plays again (RFC 8945 10: a signature is good for some minutes). */
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/list.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "stored/zone.h"

struct entry {
	struct list link; /* by age */
	bool done;
	struct msg_zone_updated answer;
	uint64_t until_ms;
	size_t len;
	char once[ZONE_ONCE_OCTETS];
};
static struct map *entries;
static struct list age = {&age, &age};

static void drop(struct entry *e)
{
	map_del(entries, e->once, e->len);
	list_del(&e->link);
	free(e);
}

static void forget(void)
{
	while (!list_empty(&age)) {
		struct entry *e = list_entry(age.next, struct entry, link);
		if (e->until_ms > clock_ms() && map_count(entries) < ZONE_ONCE_MAX)
			break;
		drop(e);
	}
}

enum zone_once zone_once_begin(struct slice once, struct msg_zone_updated *out)
{
	if (!entries)
		entries = map_new();
	forget();
	struct entry *e = map_get(entries, once.p, once.len);
	if (e && !e->done)
		return ZONE_ONCE_BUSY;
	if (e) {
		*out = e->answer;
		return ZONE_ONCE_DONE;
	}
	e = mem_alloc(sizeof(*e));
	e->until_ms = clock_ms() + ZONE_ONCE_MS;
	e->len = once.len;
	memcpy(e->once, once.p, once.len);
	list_add_tail(&age, &e->link);
	map_set(entries, e->once, e->len, e);
	return ZONE_ONCE_NEW;
}

void zone_once_end(struct slice once, const struct msg_zone_updated *done)
{
	struct entry *e = entries ? map_get(entries, once.p, once.len) : NULL;
	if (!e)
		return;
	e->done = done != NULL;
	if (done)
		e->answer = *done;
	else
		drop(e);
}
