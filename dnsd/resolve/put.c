#include "dnsd/resolve/put.h"

enum { RR_FIXED = 10 }; /* type, class, TTL, length */

static size_t room(const struct rrset *s)
{
	return (size_t)(s->n + s->sigs) * (dns_name_len(s->owner) + RR_FIXED) + s->data.len;
}

static uint8_t *put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put_set(uint8_t *p, const struct rrset *s)
{
	struct slice data = s->data, rdata;
	size_t owner = dns_name_len(s->owner);
	for (unsigned i = 0; rrset_next(&data, &rdata); i++) {
		memcpy(p, s->owner, owner);
		p = put_u16(p + owner, i < s->n ? s->type : DNS_RRSIG);
		p = put_u16(p, DNS_IN);
		p = put_u16(p, (uint16_t)(s->ttl >> 16));
		p = put_u16(p, (uint16_t)s->ttl);
		p = put_u16(p, (uint16_t)rdata.len);
		if (rdata.len)
			memcpy(p, rdata.p, rdata.len);
		p += rdata.len;
	}
	return p;
}

struct slice put_records(struct pool *pool, const struct rrset *const *set, unsigned n,
			 uint16_t *records)
{
	size_t octets = 0;
	*records = 0;
	for (unsigned i = 0; i < n; i++) {
		octets += room(set[i]);
		*records = (uint16_t)(*records + set[i]->n + set[i]->sigs);
	}
	if (!octets)
		return (struct slice){NULL, 0};
	uint8_t *start = pool_alloc(pool, octets), *p = start;
	for (unsigned i = 0; i < n; i++)
		p = put_set(p, set[i]);
	return (struct slice){(const char *)start, (size_t)(p - start)};
}

/* RFC 2308 5: the SOA's own TTL, and the last number in it. */
static uint32_t negative_ttl(const struct rrset *soa)
{
	struct slice data, rdata;
	if (!soa)
		return 0;
	data = soa->data;
	if (!rrset_next(&data, &rdata) || rdata.len < 4)
		return 0;
	uint32_t least = dns_u32((const uint8_t *)rdata.p + rdata.len - 4);
	return least < soa->ttl ? least : soa->ttl;
}

static void put_negative(struct pool *pool, const struct scrubbed *s, struct cached *out)
{
	const struct rrset *set[SCRUB_PROOFS + 1];
	struct rrset soa;
	unsigned n = 0;
	out->set.ttl = negative_ttl(s->main);
	if (s->main) {
		soa = *s->main;
		soa.ttl = out->set.ttl;
		set[n++] = &soa;
	}
	for (unsigned i = 0; i < s->proofs; i++)
		set[n++] = s->proof[i];
	out->extra = put_records(pool, set, n, &out->extras);
}

void put_cached(struct pool *pool, const struct scrubbed *s, const uint8_t *name, uint16_t type,
		uint8_t labels, struct cached *out)
{
	const struct rrset *set[SCRUB_PROOFS + SCRUB_ADDRESSES];
	unsigned n = 0;
	*out = (struct cached){.trust = CACHE_ANSWER, .ede = 0xffff, .labels = labels};
	switch (s->kind) {
	case SCRUB_NODATA:
	case SCRUB_NXDOMAIN:
		out->kind = s->kind == SCRUB_NODATA ? CACHE_NODATA : CACHE_NXDOMAIN;
		out->trust = CACHE_AUTHORITY;
		out->set.owner = name;
		out->set.type = type;
		put_negative(pool, s, out);
		return;
	case SCRUB_REFERRAL:
		out->kind = CACHE_DELEGATION;
		out->trust = CACHE_AUTHORITY;
		break;
	default:
		out->kind = CACHE_RRSET;
	}
	out->set = *s->main;
	if (labels || out->kind == CACHE_DELEGATION)
		for (unsigned i = 0; i < s->proofs; i++)
			set[n++] = s->proof[i];
	if (out->kind == CACHE_DELEGATION)
		for (unsigned i = 0; i < s->addresses; i++)
			set[n++] = s->address[i];
	out->extra = put_records(pool, set, n, &out->extras);
}

static struct slice copy(struct pool *pool, struct slice s)
{
	return s.len ? (struct slice){pool_dup(pool, s.p, s.len), s.len} : (struct slice){NULL, 0};
}

struct cached put_copy(struct pool *pool, const struct cached *c)
{
	struct cached out = *c;
	out.set.owner = pool_dup(pool, c->set.owner, dns_name_len(c->set.owner));
	out.set.data = copy(pool, c->set.data);
	out.extra = copy(pool, c->extra);
	return out;
}
