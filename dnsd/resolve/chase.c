#include "dnsd/resolve/chase.h"

enum chase chase_dname(const struct rrset *dname, const uint8_t *name, uint8_t target[DNS_NAME_MAX])
{
	struct slice data = dname->data, rdata;
	if (!rrset_next(&data, &rdata))
		return CHASE_TOO_LONG;
	size_t before = dns_name_len(name) - dns_name_len(dname->owner);
	if (before + rdata.len > DNS_NAME_MAX)
		return CHASE_TOO_LONG;
	memcpy(target, name, before);
	memcpy(target + before, rdata.p, rdata.len);
	dns_name_lower(target);
	return CHASE_ON;
}

enum chase chase_next(const uint8_t *name, uint16_t type, const struct cached *part,
		      uint8_t target[DNS_NAME_MAX])
{
	struct slice data = part->set.data, rdata;
	if (part->kind != CACHE_RRSET || part->set.type == type)
		return CHASE_END;
	if (part->set.type == DNS_DNAME)
		return chase_dname(&part->set, name, target);
	if (part->set.type != DNS_CNAME || !rrset_next(&data, &rdata))
		return CHASE_END;
	memcpy(target, rdata.p, rdata.len);
	dns_name_lower(target);
	return CHASE_ON;
}

void chase_cname(const struct cached *dname, const uint8_t *name, const uint8_t *target,
		 uint8_t *room, struct cached *out)
{
	size_t len = dns_name_len(target);
	room[0] = 0;
	room[1] = (uint8_t)len;
	memcpy(room + 2, target, len);
	*out = *dname;
	out->set = (struct rrset){.owner = name,
				  .type = DNS_CNAME,
				  .ttl = dname->set.ttl,
				  .n = 1,
				  .data = {(const char *)room, 2 + len}};
	out->extra = (struct slice){NULL, 0};
	out->extras = 0;
	out->labels = 0;
}
