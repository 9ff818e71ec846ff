/* What of a zone's source decides about its serial, and the serial itself. */
#include "dnsd/image/image_maker.h"

/* Where the serial stands in a SOA's data. */
enum { SERIAL_FROM_END = 20 };

static struct record *soa(const struct image_maker *m)
{
	struct rrset s;
	if (!maker_rrset(m, &m->name[0], DNS_SOA, 0, &s))
		return NULL;
	return &m->record[s.record[0]];
}

static void store_u32(uint8_t *p, uint32_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

bool maker_serial(const struct image_maker *m, uint32_t *serial)
{
	const struct record *r = soa(m);
	if (r)
		*serial = dns_u32(r->data + r->len - SERIAL_FROM_END);
	return r != NULL;
}

void maker_set_serial(struct image_maker *m, uint32_t serial)
{
	struct record *r = soa(m);
	if (!r)
		return;
	uint8_t *data = (uint8_t *)(uintptr_t)r->data;
	store_u32(data + r->len - SERIAL_FROM_END, serial);
	if (r->canon)
		store_u32(data + 2u * r->len - SERIAL_FROM_END, serial);
}

static const uint8_t key[SIP_KEY] = "zone's contents";

uint64_t maker_content_owner(const uint8_t *lower, size_t len)
{
	return sip24(key, lower, len);
}

uint64_t maker_content_of(uint64_t owner, uint16_t type, uint32_t ttl, const uint8_t *data,
			  size_t all)
{
	size_t len = type == DNS_SOA ? all - SERIAL_FROM_END : all;
	uint64_t part[] = {owner, (uint64_t)type << 32 | ttl, sip24(key, data, len), 0};
	if (len < all) /* refresh, retry, expire, minimum */
		part[3] = sip24(key, data + len + 4, all - len - 4);
	return sip24(key, part, sizeof(part));
}

uint64_t maker_content_name(const struct image_maker *m, const struct made_name *n)
{
	uint64_t sum = 0, owner = n->count ? maker_content_owner(n->wire, n->len) : 0;
	struct rrset s;
	for (uint32_t at = 0; maker_next(m, n, &at, &s);) {
		for (uint32_t i = 0; i < s.n; i++) {
			const struct record *r = &m->record[s.record[i]];
			const uint8_t *canonical = r->data + (r->canon ? r->len : 0);
			sum += maker_content_of(owner, r->type, s.ttl, canonical, r->len);
		}
	}
	return sum;
}

/* A sum of hashes, so that the order does not matter, and what has changed can be exchanged. */
uint64_t maker_content(const struct image_maker *m)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < m->names; i++)
		sum += maker_content_name(m, &m->name[i]);
	for (uint32_t i = 0; i < m->aliases; i++) {
		const struct made_alias *a = &m->alias[i];
		const struct made_name *n = &m->name[a->name];
		const uint64_t part[] = {sip24(key, n->wire, n->len),
					 (uint64_t)DNS_ALIAS << 32 | a->ttl,
					 sip24(key, a->target, dns_name_len(a->target)), 0};
		sum += sip24(key, part, sizeof(part));
	}
	return sum;
}
