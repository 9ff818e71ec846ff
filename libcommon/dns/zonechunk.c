/* The form: each record is
 *
 *   u8 flags
 *   [owner]  u8 shared, u8 new, `new` octets: the name is these and the last `shared` octets of the
 *            name before
 *   [type]   u16
 *   [ttl]    u32
 *   length   7 bits an octet, lowest first, the high bit: more follows
 *   data
 *
 * the parts in brackets only where they differ from the record before (the flag is then clear).
 * Numbers are big endian as on the wire. */
#include "libcommon/dns/zonecheck.h"

enum { SAME_OWNER = 1, SAME_TYPE = 2, SAME_TTL = 4, FLAGS = 7, KEY_LABELS = 128 };

/* --- order ------------------------------------------------------------------------------------ */

size_t zone_key(const uint8_t *owner, size_t zone_len, uint8_t out[ZONE_KEY_MAX])
{
	uint8_t at[KEY_LABELS] = {0};
	unsigned labels = 0;
	size_t len = 0, end = dns_name_len(owner) - zone_len;
	for (size_t i = 0; i < end; i += 1u + owner[i])
		at[labels++] = (uint8_t)i;
	/* A zero ends a label; octets 0 and 1 in one become 1 1 and 1 2. */
	while (labels-- > 0) {
		const uint8_t *label = owner + at[labels];
		for (unsigned i = 1; i <= label[0]; i++) {
			uint8_t c = label[i];
			if (c >= 'A' && c <= 'Z')
				c |= 0x20;
			if (c <= 1)
				out[len++] = 1;
			out[len++] = c <= 1 ? (uint8_t)(c + 1) : c;
		}
		out[len++] = 0;
	}
	return len;
}

int zone_key_cmp(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int r = n ? memcmp(a.p, b.p, n) : 0;
	return r ? r : a.len < b.len ? -1 : a.len > b.len;
}

static void one_name(void *arg, size_t at, bool lower, bool compress)
{
	(void)at;
	(void)compress;
	*(bool *)arg |= lower;
}

int zone_rdata_cmp(uint16_t type, const uint8_t *a, size_t alen, const uint8_t *b, size_t blen)
{
	uint8_t la[DNS_RDATA_MAX], lb[DNS_RDATA_MAX];
	bool names = false;
	int r = dns_rdata_cmp(a, alen, b, blen);
	if (r == 0 || type == DNS_A || type == DNS_AAAA || type == DNS_TXT)
		return r;
	dns_rdata_names(type, a, alen, one_name, &names);
	if (!names)
		return r;
	memcpy(la, a, alen);
	memcpy(lb, b, blen);
	dns_rdata_canonical(type, la, alen);
	dns_rdata_canonical(type, lb, blen);
	return dns_rdata_cmp(la, alen, lb, blen);
}

int zone_rr_cmp(const struct zone_rr *a, const struct zone_rr *b)
{
	int r = dns_name_eq(a->owner, b->owner) ? 0 : dns_name_cmp(a->owner, b->owner);
	if (r)
		return r;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return zone_rdata_cmp(a->type, a->rdata, a->rdlen, b->rdata, b->rdlen);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Octets that two names have in common at their ends. */
static size_t shared_end(const uint8_t *a, size_t alen, const uint8_t *b, size_t blen)
{
	size_t n = 0;
	while (n < alen && n < blen && a[alen - 1 - n] == b[blen - 1 - n])
		n++;
	return n;
}

static uint8_t *put_owner(uint8_t *p, struct zone_chunk_out *c, const uint8_t *owner, size_t len)
{
	size_t shared = shared_end(c->owner, c->owner_len, owner, len);
	*p++ = (uint8_t)shared;
	*p++ = (uint8_t)(len - shared);
	memcpy(p, owner, len - shared);
	memcpy(c->owner, owner, len);
	c->owner_len = len;
	return p + len - shared;
}

void zone_chunk_add(struct zone_chunk_out *c, const struct zone_rr *rr)
{
	size_t len = dns_name_len(rr->owner), left = rr->rdlen;
	uint8_t *start = (uint8_t *)buf_reserve(&c->data, rr->rdlen + DNS_NAME_MAX + 12),
		*p = start;
	bool first = c->records == 0;
	*p = 0;
	if (!first && len == c->owner_len && memcmp(rr->owner, c->owner, len) == 0)
		*p |= SAME_OWNER;
	if (!first && rr->type == c->type)
		*p |= SAME_TYPE;
	if (!first && rr->ttl == c->ttl)
		*p |= SAME_TTL;
	uint8_t flags = *p++;
	if (!(flags & SAME_OWNER))
		p = put_owner(p, c, rr->owner, len);
	if (!(flags & SAME_TYPE)) {
		*p++ = (uint8_t)(rr->type >> 8);
		*p++ = (uint8_t)rr->type;
	}
	for (int shift = 24; !(flags & SAME_TTL) && shift >= 0; shift -= 8)
		*p++ = (uint8_t)(rr->ttl >> shift);
	for (; left >= 0x80; left >>= 7)
		*p++ = (uint8_t)(left | 0x80);
	*p++ = (uint8_t)left;
	if (rr->rdlen)
		memcpy(p, rr->rdata, rr->rdlen);
	c->type = rr->type;
	c->ttl = rr->ttl;
	c->data.len += (size_t)(p - start) + rr->rdlen;
	c->records++;
}

bool zone_chunk_ends(const struct zone_chunk_out *c, const uint8_t *next)
{
	enum { ONE_IN = 512 };    /* names */
	uint32_t h = 2166136261u; /* FNV-1a, its high bits */
	if (c->data.len < ZONE_CHUNK_LEAST || dns_name_eq(next, c->owner))
		return false;
	if (c->data.len >= ZONE_CHUNK_SPLIT)
		return true;
	for (const uint8_t *p = next, *end = next + dns_name_len(next); p < end; p++)
		h = (h ^ (*p >= 'A' && *p <= 'Z' ? *p | 0x20u : *p)) * 16777619u;
	return (h >> 16) % ONE_IN == 0;
}

void zone_chunk_clear(struct zone_chunk_out *c)
{
	buf_clear(&c->data);
	c->records = 0;
	c->owner_len = 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

void zone_chunk_open(struct zone_chunk_in *c, struct slice data)
{
	c->p = (const uint8_t *)data.p;
	c->end = data.len ? c->p + data.len : c->p;
	c->bad = data.len > ZONE_CHUNK_OCTETS;
	c->type = 0;
	c->owner_len = 0;
}

static size_t left_of(const struct zone_chunk_in *c)
{
	return (size_t)(c->end - c->p);
}

static bool get_owner(struct zone_chunk_in *c)
{
	if (left_of(c) < 2)
		return false;
	size_t shared = c->p[0], fresh = c->p[1], len = shared + fresh;
	c->p += 2;
	if (shared > c->owner_len || len > DNS_NAME_MAX || left_of(c) < fresh)
		return false;
	memmove(c->owner + fresh, c->owner + c->owner_len - shared, shared);
	memcpy(c->owner, c->p, fresh);
	c->p += fresh;
	c->owner_len = len;
	return len && dns_name_check(c->owner, len) == len;
}

static bool get_length(struct zone_chunk_in *c, size_t *len)
{
	*len = 0;
	for (unsigned shift = 0; shift <= 14; shift += 7) {
		if (c->p == c->end)
			return false;
		uint8_t o = *c->p++;
		*len |= (size_t)(o & 0x7f) << shift;
		if (!(o & 0x80))
			return *len <= DNS_RDATA_MAX;
	}
	return false;
}

static bool get(struct zone_chunk_in *c, struct zone_rr *rr)
{
	uint8_t flags = *c->p++;
	bool first = c->owner_len == 0;
	if (flags & ~FLAGS || (first && flags))
		return false;
	if (!(flags & SAME_OWNER) && !get_owner(c))
		return false;
	if (!(flags & SAME_TYPE)) {
		if (left_of(c) < 2)
			return false;
		c->type = dns_u16(c->p);
		c->p += 2;
	}
	if (!(flags & SAME_TTL)) {
		if (left_of(c) < 4)
			return false;
		c->ttl = dns_u32(c->p);
		c->p += 4;
	}
	size_t len;
	if (!get_length(c, &len) || left_of(c) < len)
		return false;
	*rr = (struct zone_rr){
	    .owner = c->owner, .type = c->type, .ttl = c->ttl, .rdata = c->p, .rdlen = len};
	c->p += len;
	return true;
}

bool zone_chunk_next(struct zone_chunk_in *c, struct zone_rr *rr)
{
	if (c->bad || c->p == c->end)
		return false;
	c->bad = !get(c, rr);
	return !c->bad;
}

/* --- checking --------------------------------------------------------------------------------- */

struct before { /* the record before, of the same name */
	uint16_t type;
	const uint8_t *rdata;
	size_t rdlen;
};

/* A new name: behind the last one. */
static const char *next_name(struct zone_run *run, const struct zone_rr *rr)
{
	uint8_t key[ZONE_KEY_MAX];
	if (!dns_name_under(rr->owner, run->zone))
		return "it is not in the zone";
	size_t len = zone_key(rr->owner, run->zone_len, key);
	if (run->begun && zone_key_cmp((struct slice){(const char *)key, len},
				       (struct slice){(const char *)run->last, run->last_len}) <= 0)
		return "the records are not in order";
	memcpy(run->last, key, len);
	run->last_len = len;
	run->begun = true;
	return NULL;
}

static const char *one_record(const struct zone_rr *rr, const struct before *b)
{
	if (dns_type_is_meta(rr->type))
		return "no zone has records of this type";
	if (rr->ttl > INT32_MAX)
		return "its TTL is over 2147483647";
	if (!dns_rdata_check(rr->type, rr->rdata, rr->rdlen))
		return "its data is malformed";
	if (b->rdata && (rr->type < b->type ||
			 (rr->type == b->type &&
			  zone_rdata_cmp(rr->type, b->rdata, b->rdlen, rr->rdata, rr->rdlen) >= 0)))
		return "the records are not in order";
	return NULL;
}

bool zone_chunk_check(struct zone_run *run, struct slice data, struct zone_check *check,
		      uint32_t *records, size_t *first_len, uint8_t first[ZONE_KEY_MAX],
		      struct zone_fault *fault)
{
	struct zone_chunk_in in;
	struct zone_rr rr;
	struct before before = {0};
	uint8_t owner[DNS_NAME_MAX];
	const char *why = NULL;
	const uint8_t *name_at = NULL;
	*records = 0;
	zone_chunk_open(&in, data);
	while (!why && zone_chunk_next(&in, &rr)) {
		bool same = *records && dns_name_eq(owner, rr.owner);
		if (!same) {
			why = next_name(run, &rr);
			memcpy(owner, rr.owner, in.owner_len);
			before = (struct before){0};
			name_at = rr.rdata;
		} else if (rr.rdata - name_at > ZONE_OWNER_OCTETS) {
			why = "too many records at one name";
		}
		if (*records == 0 && !why) {
			memcpy(first, run->last, run->last_len);
			*first_len = run->last_len;
		}
		if (!why)
			why = one_record(&rr, &before);
		if (!why && check)
			zone_check_rr(check, &rr, &why);
		before = (struct before){rr.type, rr.rdata, rr.rdlen};
		++*records;
	}
	fault->type = 0;
	if (why) {
		memcpy(fault->owner, rr.owner, in.owner_len);
		fault->type = rr.type;
	} else if (in.bad || *records == 0) {
		memcpy(fault->owner, run->zone, run->zone_len);
		why = in.bad ? "a chunk of it is malformed" : "a chunk of it is empty";
	}
	fault->why = why;
	return !why;
}

void zone_fault_text(const struct zone_fault *f, char *out, size_t cap)
{
	char name[DNS_NAME_TEXT], type[DNS_TYPE_TEXT] = "";
	dns_name_text(name, f->owner);
	if (f->type)
		dns_type_text(f->type, type);
	str_fmt(out, cap, "%s%s%s: %s", name, f->type ? " " : "", type, f->why);
}
