/* An update from anybody: what is read of it is in the zone, well formed, and limited. */
#include <stdlib.h>
#include "dnsd/update/update.h"
#include "libcommon/dns/rdata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_name(const struct query *q, struct slice name)
{
	const uint8_t *wire = (const uint8_t *)name.p;
	check(name.len && dns_name_check(wire, name.len) == name.len &&
	      dns_name_under(wire, q->name));
}

static void check_data(uint32_t type, struct slice data, bool wanted)
{
	check(wanted ? dns_rdata_check((uint16_t)type, (const uint8_t *)data.p, data.len)
		     : data.len == 0);
	check(!wanted || !dns_type_is_meta((uint16_t)type));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct query q;
	struct update u;
	uint8_t *pkt = malloc(len ? len : 1); /* as long as it is, so that nobody reads on */
	if (!pkt)
		return 0;
	if (len)
		memcpy(pkt, data, len);
	query_read(&q, pkt, len);
	struct pool *pool = pool_new(0);
	if (q.kind == QUERY_UPDATE && update_read(pool, &q, &u) == DNS_NOERROR) {
		check(u.needs_n <= UPDATE_NEEDS_MAX && u.needs_n + u.ops_n <= len / 11);
		for (uint32_t i = 0; i < u.needs_n; i++) {
			check_name(&q, u.needs[i].owner);
			check_data(u.needs[i].type, u.needs[i].rdata,
				   u.needs[i].kind == ZONE_NEED_RR);
		}
		for (uint32_t i = 0; i < u.ops_n; i++) {
			check_name(&q, u.ops[i].owner);
			check_data(u.ops[i].type, u.ops[i].rdata,
				   u.ops[i].kind == ZONE_ADD || u.ops[i].kind == ZONE_DELETE_RR);
		}
	}
	pool_free(&pool);
	free(pkt);
	return 0;
}
