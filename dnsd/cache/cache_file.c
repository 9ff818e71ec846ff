/* The cache as octets: MAGIC, then for each entry a head of HEAD octets, its numbers most
 * significant octet first, and owner, data, extra.
 *
 *	 0  octets behind the head     16  n        24  kind      28  octets of data
 *	 4  end (seconds since 1970)   18  sigs     25  trust     32  labels
 *	 8  space                      20  extras   26  security  33  nothing
 *	12  type, 14 nothing           22  ede      27  octets of the owner
 */
#include "dnsd/cache/cache_file.h"
#include "libcommon/dns/rdata.h"

#define MAGIC "hamlet cache 1\n"
enum {
	HEAD = 36,
	PIECE = 1 << 16,
	LEFT_MOST = 7 * 86400, /* seconds: nothing is kept for longer */
	FIXED = 10,            /* octets of a record between owner and data */
};

struct writer {
	cache_write_fn *fn;
	void *arg;
	uint64_t now;
	struct buf piece;
	bool ok;
};

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static bool flush(struct writer *w)
{
	w->ok = w->ok && w->fn(w->arg, buf_slice(&w->piece));
	buf_clear(&w->piece);
	return w->ok;
}

static bool save_one(void *arg, unsigned space, const struct cached *e)
{
	struct writer *w = arg;
	uint8_t h[HEAD] = {0};
	size_t name = dns_name_len(e->set.owner);
	if (e->kind == CACHE_FAILURE || e->set.ttl == 0)
		return true;
	put32(h, (uint32_t)(name + e->set.data.len + e->extra.len));
	put32(h + 4, (uint32_t)w->now + e->set.ttl);
	put32(h + 8, space);
	put16(h + 12, e->set.type);
	put16(h + 16, e->set.n);
	put16(h + 18, e->set.sigs);
	put16(h + 20, e->extras);
	put16(h + 22, e->ede);
	h[24] = (uint8_t)e->kind;
	h[25] = (uint8_t)e->trust;
	h[26] = (uint8_t)e->security;
	h[27] = (uint8_t)name;
	put32(h + 28, (uint32_t)e->set.data.len);
	h[32] = e->labels;
	buf_add(&w->piece, h, HEAD);
	buf_add(&w->piece, e->set.owner, name);
	buf_add_slice(&w->piece, e->set.data);
	buf_add_slice(&w->piece, e->extra);
	return w->piece.len < PIECE || flush(w);
}

bool cache_save(struct cache *c, uint64_t now, cache_write_fn *fn, void *arg)
{
	struct writer w = {.fn = fn, .arg = arg, .now = now, .ok = true};
	buf_adds(&w.piece, MAGIC);
	cache_each(c, now, save_one, &w);
	flush(&w);
	buf_free(&w.piece);
	return w.ok;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static bool name_ok(const uint8_t *p, size_t len)
{
	if (!len || dns_name_check(p, len) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			return false;
	return true;
}

static bool data_ok(const struct rrset *set)
{
	struct slice data = set->data, rdata;
	unsigned n = 0, all = (unsigned)set->n + set->sigs;
	while (data.len >= 2) {
		if (data.len - 2 < dns_u16((const uint8_t *)data.p) || n == all)
			return false;
		rrset_next(&data, &rdata);
		uint16_t type = n++ < set->n ? set->type : DNS_RRSIG;
		if (!dns_rdata_check(type, (const uint8_t *)rdata.p, rdata.len))
			return false;
	}
	return data.len == 0 && n == all;
}

/* Glue and proofs: whole records, as many as there are said to be. */
static bool extra_ok(struct slice extra, unsigned records)
{
	for (; records > 0; records--) {
		const uint8_t *p = (const uint8_t *)extra.p;
		size_t name = dns_name_check(p, extra.len);
		if (!name || extra.len - name < FIXED)
			return false;
		size_t len = dns_u16(p + name + FIXED - 2), all = name + FIXED + len;
		if (extra.len < all || !dns_rdata_check(dns_u16(p + name), p + name + FIXED, len))
			return false;
		extra.p += all;
		extra.len -= all;
	}
	return extra.len == 0;
}

/* Cuts the next entry off. False: it is damaged. */
static bool read_one(struct slice *in, unsigned *space, uint32_t *end, struct cached *e)
{
	const uint8_t *h = (const uint8_t *)in->p;
	if (in->len < HEAD || in->len - HEAD < dns_u32(h))
		return false;
	size_t all = dns_u32(h), name = h[27], data = dns_u32(h + 28);
	if (all < name || all - name < data || h[24] > CACHE_DELEGATION || h[25] > CACHE_LOCAL ||
	    h[26] > RRSET_SECURE)
		return false;
	const char *p = in->p + HEAD;
	*space = dns_u32(h + 8);
	*end = dns_u32(h + 4);
	*e = (struct cached){.kind = h[24],
			     .trust = h[25],
			     .security = h[26],
			     .set = {.owner = (const uint8_t *)p,
				     .type = dns_u16(h + 12),
				     .n = dns_u16(h + 16),
				     .sigs = dns_u16(h + 18),
				     .data = {p + name, data}},
			     .extra = {p + name + data, all - name - data},
			     .extras = dns_u16(h + 20),
			     .ede = dns_u16(h + 22),
			     .labels = h[32]};
	in->p += HEAD + all;
	in->len -= HEAD + all;
	return e->kind != CACHE_FAILURE && name_ok(e->set.owner, name) && data_ok(&e->set) &&
	       extra_ok(e->extra, e->extras);
}

bool cache_load(struct cache *c, struct slice saved, uint64_t now, size_t *n)
{
	struct cached e;
	unsigned space;
	uint32_t end;
	*n = 0;
	if (saved.len < sizeof(MAGIC) - 1 || memcmp(saved.p, MAGIC, sizeof(MAGIC) - 1) != 0)
		return false;
	saved.p += sizeof(MAGIC) - 1;
	saved.len -= sizeof(MAGIC) - 1;
	while (saved.len) {
		if (!read_one(&saved, &space, &end, &e))
			return false;
		int32_t left = (int32_t)(end - (uint32_t)now);
		if (left <= 0 || left > LEFT_MOST)
			continue;
		e.set.ttl = (uint32_t)left;
		*n += cache_put(c, space, &e, now);
	}
	return true;
}
