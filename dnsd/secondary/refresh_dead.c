/* Servers that were not reached a moment ago: of many zones with one primary only a few wait for it
 * to answer, the others fail at once. */
#include "dnsd/secondary/refresh_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"

enum { DEAD_MS = 20000 };

static struct map *dead; /* by address and port: until when (clock_mono()) */

void refresh_dead_set(const struct dns_server *v, bool is_dead)
{
	uint64_t *until = dead ? map_get(dead, &v->sa, v->sa_len) : NULL;
	if (!until && !is_dead)
		return;
	if (!until) { /* as many as there are primaries */
		if (!dead)
			dead = map_new();
		until = mem_alloc(sizeof(*until));
		map_set(dead, &v->sa, v->sa_len, until);
	}
	*until = is_dead ? clock_mono() + DEAD_MS : 0;
}

bool refresh_dead(const struct dns_server *v)
{
	const uint64_t *until = dead ? map_get(dead, &v->sa, v->sa_len) : NULL;
	return until && clock_mono() < *until;
}
