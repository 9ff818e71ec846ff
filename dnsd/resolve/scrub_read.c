#include "dnsd/resolve/scrub.h"

struct scrub_rr {
	struct scrub_rr *next;
	const uint8_t *rdata;
	uint16_t len;
	bool signature;
};

static struct scrub_set *set_of(struct scrub_sets *s, enum dns_section section,
				const uint8_t *owner, uint16_t type)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct scrub_set *x = &s->set[i];
		if (x->section == section && x->set.type == type &&
		    dns_name_eq(x->set.owner, owner))
			return x;
	}
	if (s->n == SCRUB_SETS)
		return NULL;
	struct scrub_set *x = &s->set[s->n++];
	*x = (struct scrub_set){.section = section};
	x->set.owner = pool_dup(s->pool, owner, dns_name_len(owner));
	x->set.type = type;
	x->set.ttl = UINT32_MAX;
	return x;
}

static bool repeated(const struct scrub_set *x, bool signature, const uint8_t *rdata, size_t len)
{
	for (const struct scrub_rr *r = x->first; r; r = r->next)
		if (r->signature == signature && r->len == len &&
		    (!len || memcmp(r->rdata, rdata, len) == 0))
			return true;
	return false;
}

bool scrub_add(struct scrub_sets *s, enum dns_section section, const uint8_t *owner, uint16_t type,
	       uint32_t ttl, const uint8_t *rdata, size_t len)
{
	bool signature = type == DNS_RRSIG;
	struct scrub_set *x = set_of(s, section, owner, signature ? dns_u16(rdata) : type);
	if (!x) {
		s->why = "too many rrsets";
		return false;
	}
	if (repeated(x, signature, rdata, len))
		return true;
	if (s->records == SCRUB_RECORDS || s->octets + len > SCRUB_OCTETS) {
		s->why = "too many records";
		return false;
	}
	struct scrub_rr *r = pool_alloc(s->pool, sizeof(*r));
	*r = (struct scrub_rr){
	    .rdata = pool_dup(s->pool, rdata, len), .len = (uint16_t)len, .signature = signature};
	if (x->last)
		x->last->next = r;
	else
		x->first = r;
	x->last = r;
	x->octets += 2 + len;
	if (signature)
		x->set.sigs++;
	else
		x->set.n++;
	if (!signature && ttl < x->set.ttl)
		x->set.ttl = ttl;
	s->records++;
	s->octets += len;
	return true;
}

static uint8_t *lay_some(const struct scrub_set *x, bool signature, uint8_t *p)
{
	for (const struct scrub_rr *r = x->first; r; r = r->next) {
		if (r->signature != signature)
			continue;
		p[0] = (uint8_t)(r->len >> 8);
		p[1] = (uint8_t)r->len;
		if (r->len)
			memcpy(p + 2, r->rdata, r->len);
		p += 2 + r->len;
	}
	return p;
}

void scrub_lay(struct scrub_sets *s)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < s->n; i++) {
		struct scrub_set *x = &s->set[i];
		if (!x->set.n)
			continue;
		uint8_t *data = pool_alloc(s->pool, x->octets);
		lay_some(x, true, lay_some(x, false, data));
		x->set.data = (struct slice){(const char *)data, x->octets};
		s->set[kept++] = *x;
	}
	s->n = kept;
}
