#include "dnsd/update/update.h"
#include "libcommon/dns/rdata.h"

enum { CLASS_NONE = 254, CLASS_ANY = 255 };

struct reading {
	struct pool *pool;
	const struct query *q;
	struct update *out;
	size_t needs_cap, ops_cap;
	/* The record at hand. */
	struct dns_rr rr;
	struct slice owner, rdata;
};

static bool is_plain(uint16_t type)
{
	return !dns_type_is_meta(type);
}

static uint16_t read_owner(struct reading *r)
{
	uint8_t name[DNS_NAME_MAX];
	size_t at = r->rr.owner, n = dns_name_read(r->q->pkt, r->q->len, &at, name);
	if (!n)
		return DNS_FORMERR;
	if (!dns_name_under(name, r->q->name))
		return DNS_NOTZONE;
	r->owner = (struct slice){pool_dup(r->pool, name, n), n};
	return DNS_NOERROR;
}

static bool read_data(struct reading *r)
{
	static uint8_t data[DNS_RDATA_MAX];
	size_t n;
	if (!is_plain(r->rr.type) || !dns_rdata_read(r->q->pkt, r->q->len, &r->rr, data, &n))
		return false;
	r->rdata = (struct slice){pool_dup(r->pool, data, n), n};
	return true;
}

/* --- what must be so (RFC 2136 2.4) ----------------------------------------------------------- */

static bool need_kind(struct reading *r, enum zone_need_kind *kind)
{
	bool any = r->rr.type == DNS_ANY, not = r->rr.class == CLASS_NONE;
	if (r->rr.ttl != 0)
		return false;
	if (r->rr.class == DNS_IN) {
		*kind = ZONE_NEED_RR;
		return read_data(r);
	}
	*kind = any ? (not ? ZONE_NEED_NO_NAME : ZONE_NEED_NAME)
		    : (not ? ZONE_NEED_NO_SET : ZONE_NEED_SET);
	return (not || r->rr.class == CLASS_ANY) && r->rr.rdlen == 0 &&
	       (any || is_plain(r->rr.type));
}

static uint16_t need(struct reading *r)
{
	enum zone_need_kind kind;
	struct update *u = r->out;
	if (!need_kind(r, &kind))
		return DNS_FORMERR;
	if (u->needs_n == UPDATE_NEEDS_MAX)
		return DNS_REFUSED;
	u->needs = pool_grow(r->pool, u->needs, u->needs_n, &r->needs_cap, sizeof(*u->needs));
	u->needs[u->needs_n++] = (struct row_zone_need){kind, r->owner, r->rr.type, r->rdata};
	return DNS_NOERROR;
}

/* --- what is to be changed (RFC 2136 2.5) ----------------------------------------------------- */

static bool op_kind(struct reading *r, enum zone_change_kind *kind)
{
	bool any = r->rr.type == DNS_ANY;
	switch (r->rr.class) {
	case DNS_IN:
		*kind = ZONE_ADD;
		return read_data(r);
	case CLASS_NONE:
		*kind = ZONE_DELETE_RR;
		return r->rr.ttl == 0 && read_data(r);
	case CLASS_ANY:
		*kind = any ? ZONE_DELETE_NAME : ZONE_DELETE_SET;
		return r->rr.ttl == 0 && r->rr.rdlen == 0 && (any || is_plain(r->rr.type));
	default:
		return false;
	}
}

static uint16_t op(struct reading *r)
{
	enum zone_change_kind kind;
	struct update *u = r->out;
	uint16_t type = r->rr.type;
	if (!op_kind(r, &kind))
		return DNS_FORMERR;
	if (kind == ZONE_ADD && (type == DNS_RRSIG || type == DNS_NSEC || type == DNS_NSEC3))
		return DNS_REFUSED;
	u->ops = pool_grow(r->pool, u->ops, u->ops_n, &r->ops_cap, sizeof(*u->ops));
	u->ops[u->ops_n++] =
	    (struct row_zone_op){kind, r->owner, type, dns_ttl(r->rr.ttl), r->rdata};
	return DNS_NOERROR;
}

uint16_t update_read(struct pool *pool, const struct query *q, struct update *out)
{
	struct reading r = {.pool = pool, .q = q, .out = out};
	struct dns_iter it;
	struct dns_header h;
	uint16_t rcode = DNS_NOERROR;
	*out = (struct update){0};
	if (!q->question_len || !dns_iter_init(&it, q->pkt, q->len, &h) || q->type != DNS_SOA)
		return DNS_FORMERR;
	if (dns_u16(q->pkt + DNS_HEADER + q->question_len - 2) != DNS_IN)
		return DNS_NOTAUTH;
	while (rcode == DNS_NOERROR && dns_iter_rr(&it, &r.rr)) {
		if (r.rr.section == DNS_ADDITIONAL)
			break;
		r.rdata = SLICE("");
		rcode = read_owner(&r);
		if (rcode == DNS_NOERROR)
			rcode = r.rr.section == DNS_ANSWER ? need(&r) : op(&r);
	}
	return it.bad ? DNS_FORMERR : rcode;
}
