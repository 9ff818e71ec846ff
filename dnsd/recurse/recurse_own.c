/* The zones of the content half, as servers that the resolver asks without a network. What they say
 * goes the way of every answer; nothing goes back. */
#include "dnsd/catalog/catalog.h"
#include "dnsd/recurse/recurse_int.h"
#include "libcommon/base/clock.h"

/* Catalogs are not for clients. */
static const uint8_t *own_zone(const uint8_t *name)
{
	const struct zone *z = zones_find(load_zones(0), name, dns_name_len(name));
	return z && !load_zone(z->number)->conf->catalog ? z->name : NULL;
}

static size_t own_answer(const uint8_t *query, size_t len, uint8_t *out, size_t cap)
{
	const struct answer_way way = {.now = (uint32_t)clock_sec(), .stream = true};
	struct answer_info info;
	struct query q;
	query_read(&q, query, len);
	return answer_query(load_zones(0), recurse_self.about, &q, &way, out, cap, &info);
}

const struct resolve_own recurse_own = {own_zone, own_answer};
