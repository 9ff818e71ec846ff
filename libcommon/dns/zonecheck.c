#include "libcommon/dns/zonecheck.h"

enum {
	TYPE_KEY = 25,  /* may stand beside a CNAME (RFC 2181 10.1) */
	RR_OCTETS = 12, /* of a record in a message beside its data, the owner as a pointer */
};

void zone_check_init(struct zone_check *c, const uint8_t *zone, bool strict)
{
	*c = (struct zone_check){.zone = zone, .strict = strict};
}

static bool wildcard(const uint8_t *owner)
{
	return owner[0] == 1 && owner[1] == '*';
}

static void begin_name(struct zone_check *c, const uint8_t *owner)
{
	memcpy(c->owner, owner, dns_name_len(owner));
	c->any = true;
	c->apex = dns_name_eq(owner, c->zone);
	c->cname = c->dname = c->ns = c->addresses = c->last_was_alias = false;
	c->others = 0;
	c->octets = c->set_octets = 0;
	c->last_type = c->last_covers = 0;
	c->other_type = 0;
	if (c->walled && (!dns_name_under(owner, c->wall) || dns_name_eq(owner, c->wall)))
		c->walled = false;
}

static void build_wall(struct zone_check *c, bool dname)
{
	if (c->walled)
		return;
	c->walled = true;
	c->wall_dname = dname;
	memcpy(c->wall, c->owner, dns_name_len(c->owner));
}

/* What an administrator is told, and of others' zones taken as it is. */
static const char *strictly(struct zone_check *c, uint16_t type)
{
	bool address = type == DNS_A || type == DNS_AAAA;
	bool inside = c->walled && !dns_name_eq(c->owner, c->wall);
	if (type == DNS_SOA && !c->apex)
		return "a SOA below the zone's own name";
	if (type == DNS_DS && c->apex)
		return "the DS of a zone stands in the zone above";
	if (inside && c->wall_dname)
		return "nothing may stand below a DNAME";
	if (inside && !address)
		return "only addresses of servers may stand below a delegation";
	if (wildcard(c->owner) && !c->apex && (type == DNS_NS || type == DNS_DNAME))
		return "it has no meaning at a wildcard";
	if (type == DNS_ALIAS && (c->addresses || c->last_was_alias))
		return c->addresses ? "an ALIAS stands in place of addresses: the name has such"
				    : "more than one ALIAS";
	c->addresses |= address;
	c->last_was_alias = type == DNS_ALIAS;
	if (c->apex)
		return NULL;
	if (type == DNS_DNAME && c->ns)
		return "NS and DNAME at one name";
	bool own = type == DNS_NS || type == DNS_DS || type == DNS_NSEC || type == DNS_RRSIG;
	if (!address && !own)
		c->other_type = type;
	return c->ns && c->other_type ? "beside the NS of a delegation only DS may stand" : NULL;
}

static const char *by_itself(struct zone_check *c, const struct zone_rr *rr)
{
	bool again = c->last_type == rr->type;
	uint16_t covers = rr->type == DNS_RRSIG ? dns_u16(rr->rdata) : 0;
	if (!again || covers != c->last_covers)
		c->set_octets = 0;
	c->octets += rr->rdlen + RR_OCTETS;
	c->set_octets += rr->rdlen + RR_OCTETS;
	if (c->octets > ZONE_OWNER_OCTETS)
		return "too many records at one name";
	if (c->set_octets > ZONE_SET_OCTETS)
		return "so many records of a type at one name fit in no message (64 KiB)";
	c->last_type = rr->type;
	c->last_covers = covers;
	if (rr->type == DNS_SOA && c->apex) {
		if (again)
			return "more than one SOA record";
		c->soa = true;
		c->serial = dns_u32(rr->rdata + zone_soa_serial_at(rr->rdlen));
	}
	if (rr->type == DNS_CNAME) {
		if (again)
			return "more than one CNAME";
		c->cname = true;
	} else if (rr->type != DNS_RRSIG && rr->type != DNS_NSEC && rr->type != TYPE_KEY) {
		c->others++;
	}
	if (c->cname && c->others)
		return "a CNAME stands alone: the name has other data";
	if (rr->type == DNS_DNAME && again)
		return "more than one DNAME";
	return NULL;
}

bool zone_check_rr(struct zone_check *c, const struct zone_rr *rr, const char **why)
{
	if (!c->any || !dns_name_eq(rr->owner, c->owner))
		begin_name(c, rr->owner);
	*why = by_itself(c, rr);
	if (!*why && rr->type == DNS_NS) {
		c->ns = true;
		c->apex_ns |= c->apex;
	}
	if (!*why && c->strict)
		*why = strictly(c, rr->type);
	if (rr->type == DNS_DNAME && !wildcard(c->owner))
		build_wall(c, true);
	if (rr->type == DNS_NS && !c->apex && !wildcard(c->owner))
		build_wall(c, false);
	return !*why;
}

bool zone_check_end(const struct zone_check *c, const char **why)
{
	*why = !c->soa ? "no SOA record" : !c->apex_ns ? "no NS records" : NULL;
	return !*why;
}
