/* What a signature is over: its own data, then the records in canonical form and order (RFC 4034
 * 3.1.8.1 and 6). */
#include <stdlib.h>
#include "dnsd/validate/validate_int.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/rdata.h"

enum { ON_STACK = 16 /* records that need no memory for their order */, RR_HEAD = 10 };

static void add_u16(struct buf *b, uint16_t v)
{
	const uint8_t p[] = {(uint8_t)(v >> 8), (uint8_t)v};
	buf_add(b, p, sizeof(p));
}

static void add_u32(struct buf *b, uint32_t v)
{
	add_u16(b, (uint16_t)(v >> 16));
	add_u16(b, (uint16_t)v);
}

static int by_rdata(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	return dns_rdata_cmp(octets_of(*x), x->len, octets_of(*y), y->len);
}

/* The records' data in canonical form, in copy, and where each is; returns how many. */
static unsigned canonical(const struct rrset *set, uint8_t *copy, struct slice *order)
{
	struct slice data = set->data, rdata;
	unsigned n = 0;
	for (; n < set->n && rrset_next(&data, &rdata); n++) {
		if (rdata.len) /* memcpy from nothing */
			memcpy(copy, rdata.p, rdata.len);
		dns_rdata_canonical(set->type, copy, rdata.len);
		order[n] = (struct slice){(const char *)copy, rdata.len};
		copy += rdata.len;
	}
	qsort(order, n, sizeof(*order), by_rdata);
	return n;
}

/* The owner that was signed: with fewer labels it is the wildcard's. */
static size_t signed_owner(const uint8_t *owner, unsigned labels, uint8_t out[DNS_NAME_MAX])
{
	const uint8_t *end = name_end(owner, labels);
	bool whole = end == owner;
	size_t len = dns_name_len(end);
	out[0] = 1;
	out[1] = '*';
	memcpy(whole ? out : out + 2, end, len);
	return whole ? len : len + 2;
}

static void add_head(const struct sig *s, struct buf *out)
{
	uint8_t head[SIG_HEAD + DNS_NAME_MAX];
	memcpy(head, s->rdata.p, s->head);
	dns_name_lower(head + SIG_HEAD);
	buf_add(out, head, s->head);
}

bool signed_data(const struct rrset *set, const struct sig *s, struct buf *out)
{
	struct slice few[ON_STACK];
	uint8_t owner[DNS_NAME_MAX];
	size_t owner_len = signed_owner(set->owner, s->labels, owner);
	struct slice *order = set->n <= ON_STACK ? few : mem_alloc(set->n * sizeof(*order));
	uint8_t *copy = mem_alloc(set->data.len + 1);
	unsigned n = canonical(set, copy, order);
	buf_reserve(out, s->head + set->data.len + n * (owner_len + RR_HEAD));
	add_head(s, out);
	for (unsigned i = 0; i < n; i++) {
		if (i && slice_eq(order[i - 1], order[i]))
			continue; /* they differed in the case of a name */
		buf_add(out, owner, owner_len);
		add_u16(out, set->type);
		add_u16(out, DNS_IN);
		add_u32(out, s->ttl);
		add_u16(out, (uint16_t)order[i].len);
		buf_add_slice(out, order[i]);
	}
	if (order != few)
		free(order);
	free(copy);
	return !out->failed;
}
