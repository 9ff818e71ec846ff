#include "libcommon/base/buf.h"
#include "stored/zone.h"

enum { TYPE_KEY = 25, DATA_TEXT = 100 };

static bool is_it(const struct zone_rr *rr, const struct row_zone_op *op)
{
	return rr->type == op->type &&
	       zone_rdata_cmp(rr->type, rr->rdata, rr->rdlen, (const uint8_t *)op->rdata.p,
			      op->rdata.len) == 0;
}

static bool at_apex(const struct zone_apply *a, const struct row_zone_op *op)
{
	return dns_name_eq((const uint8_t *)op->owner.p, a->apex);
}

static size_t count(const struct zone_rrs *rrs, uint32_t type)
{
	size_t n = 0;
	for (size_t i = 0; i < rrs->n; i++)
		n += rrs->rr[i].type == type;
	return n;
}

/* --- deleting --------------------------------------------------------------------------------- */

static bool goes(const struct zone_apply *a, const struct zone_rr *rr, const struct row_zone_op *op)
{
	switch (op->kind) {
	case ZONE_DELETE_RR:
		return is_it(rr, op);
	case ZONE_DELETE_SET:
		return rr->type == op->type;
	default:
		return !(at_apex(a, op) && (rr->type == DNS_SOA || rr->type == DNS_NS));
	}
}

/* RFC 2136 3.4.2.3, 3.4.2.4: the zone's own servers stay, the last of them at least. */
static bool update_spares(const struct zone_apply *a, const struct zone_rrs *rrs,
			  const struct row_zone_op *op)
{
	if (a->rules != ZONE_RULES_UPDATE || op->type != DNS_NS || !at_apex(a, op))
		return false;
	return op->kind == ZONE_DELETE_SET ||
	       (op->kind == ZONE_DELETE_RR && count(rrs, DNS_NS) == 1);
}

static void delete (struct zone_apply *a, struct zone_rrs *rrs, const struct row_zone_op *op)
{
	size_t n = 0;
	if (update_spares(a, rrs, op))
		return;
	for (size_t i = 0; i < rrs->n; i++)
		if (rrs->rr[i].type == DNS_SOA || !goes(a, &rrs->rr[i], op))
			rrs->rr[n++] = rrs->rr[i];
	rrs->n = n;
}

/* --- adding ----------------------------------------------------------------------------------- */

/* There is one SOA: the new one takes the old one's place, its serial counts where it is higher. */
static void add_soa(struct zone_apply *a, struct zone_rrs *rrs, const struct row_zone_op *op)
{
	const uint8_t *data = (const uint8_t *)op->rdata.p;
	uint32_t serial = dns_u32(data + zone_soa_serial_at(op->rdata.len));
	bool above = zone_serial_above(serial, a->serial);
	if (!above && a->rules == ZONE_RULES_UPDATE)
		return;
	for (size_t i = 0; i < rrs->n; i++) {
		struct zone_rr *rr = &rrs->rr[i];
		if (rr->type != DNS_SOA)
			continue;
		rr->ttl = op->ttl;
		rr->rdata = data;
		rr->rdlen = op->rdata.len;
		a->soa_raised = above;
		if (!above)
			*rr = zone_soa_with(a->pool, rr, a->serial);
		const uint8_t *owner = a->soa.owner;
		a->soa = *rr;
		a->soa.owner = owner; /* which outlives the list */
	}
}

/* RFC 2136 3.4.2.2: what is no CNAME stays away from one, and a CNAME from what is none. */
static bool update_ignores(const struct zone_rrs *rrs, const struct row_zone_op *op)
{
	bool beside = op->type == DNS_RRSIG || op->type == DNS_NSEC || op->type == TYPE_KEY;
	size_t alias = count(rrs, DNS_CNAME),
	       may = count(rrs, DNS_RRSIG) + count(rrs, DNS_NSEC) + count(rrs, TYPE_KEY);
	return op->type == DNS_CNAME ? rrs->n > alias + may : alias && !beside;
}

static void append(struct zone_apply *a, struct zone_rrs *rrs, const struct row_zone_op *op)
{
	/* Spelled as it was. */
	const uint8_t *owner = rrs->n ? rrs->rr[0].owner : (const uint8_t *)op->owner.p;
	rrs->rr = pool_grow(a->pool, rrs->rr, rrs->n, &rrs->cap, sizeof(*rrs->rr));
	rrs->rr[rrs->n++] = (struct zone_rr){.owner = owner,
					     .type = (uint16_t)op->type,
					     .ttl = op->ttl,
					     .rdata = (const uint8_t *)op->rdata.p,
					     .rdlen = op->rdata.len};
}

static const char *add(struct zone_apply *a, struct zone_rrs *rrs, const struct row_zone_op *op)
{
	bool update = a->rules == ZONE_RULES_UPDATE, there = false;
	if (op->type == DNS_SOA && at_apex(a, op)) {
		add_soa(a, rrs, op);
		return NULL;
	}
	if (op->type == DNS_SOA)
		return update ? NULL : "a SOA below the zone's own name";
	if (update && update_ignores(rrs, op))
		return NULL;
	if (update && (op->type == DNS_CNAME || op->type == DNS_DNAME)) {
		struct row_zone_op all = *op;
		all.kind = ZONE_DELETE_SET;
		delete (a, rrs, &all);
	}
	for (size_t i = 0; i < rrs->n; i++) {
		if (rrs->rr[i].type != op->type)
			continue;
		there |= is_it(&rrs->rr[i], op);
		rrs->rr[i].ttl = op->ttl;
	}
	if (!there)
		append(a, rrs, op);
	return NULL;
}

/* --- changes of a zone that is the same elsewhere ----------------------------------------------
 */

static bool is_there(const struct zone_rrs *rrs, const struct row_zone_op *op)
{
	for (size_t i = 0; i < rrs->n; i++)
		if (is_it(&rrs->rr[i], op))
			return true;
	return false;
}

/* NULL: the change fits the zone. */
static const char *misfit(const struct zone_apply *a, const struct zone_rrs *rrs,
			  const struct row_zone_op *op)
{
	bool adds = op->kind == ZONE_ADD;
	if (a->rules != ZONE_RULES_EXACT || op->type == DNS_SOA || is_there(rrs, op) != adds)
		return NULL;
	struct buf text = {0};
	dns_rdata_text((uint16_t)op->type, (const uint8_t *)op->rdata.p, op->rdata.len, &text);
	const char *why = pool_printf(a->pool, "%s %.*s, which is %s", adds ? "adds" : "deletes",
				      (int)(text.len < DATA_TEXT ? text.len : DATA_TEXT),
				      buf_cstr(&text), adds ? "there" : "not there");
	buf_free(&text);
	return why;
}

const char *zone_apply(struct zone_apply *a, struct zone_rrs *rrs, const struct row_zone_op *op)
{
	const char *why = misfit(a, rrs, op);
	if (why)
		return why;
	if (op->kind == ZONE_ADD)
		return add(a, rrs, op);
	delete (a, rrs, op);
	return NULL;
}
