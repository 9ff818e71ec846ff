/* The chain of a signed zone: which names there are and what types each one has, so that what is
 * not there can be proved (RFC 4034 4, RFC 5155 7.1). */
#include <stdlib.h>
#include "dnsd/sign/sign_int.h"
#include "libcommon/base/mem.h"

enum {
	WINDOW = 32, /* octets of a window of the bitmap */
	BITMAP = 256 * (2 + WINDOW),
	NSEC3_FIXED = 6, /* algorithm, flags, iterations, lengths */
	SHA1 = 1,
};

struct bitmap {
	size_t len, window; /* where the last window begins */
	uint8_t bytes[BITMAP];
};

/* Types come in ascending order. */
static void set(struct bitmap *b, uint16_t type)
{
	uint8_t number = (uint8_t)(type >> 8), octet = (type & 0xff) / 8;
	if (!b->len || b->bytes[b->window] != number) {
		b->window = b->len;
		b->bytes[b->len] = number;
		b->bytes[b->len + 1] = 0;
		b->len += 2;
	}
	uint8_t *have = &b->bytes[b->window + 1];
	while (*have <= octet) {
		b->bytes[b->len++] = 0;
		++*have;
	}
	b->bytes[b->window + 2 + octet] |= (uint8_t)(0x80 >> type % 8);
}

/* The types of a name, with `more` of them (ascending). Of a cut those that are ours: what else is
 * there is glue. */
static void types(const struct image_maker *m, const struct made_name *n, const uint16_t *more,
		  size_t more_n, struct bitmap *b)
{
	struct rrset s;
	size_t k = 0;
	b->len = 0;
	for (uint32_t at = 0; maker_next(m, n, &at, &s);) {
		if (n->flags & NODE_CUT && s.type != DNS_NS && s.type != DNS_DS)
			continue;
		while (k < more_n && more[k] < s.type)
			set(b, more[k++]);
		set(b, s.type);
	}
	while (k < more_n)
		set(b, more[k++]);
}

void sign_nsec(struct image_maker *m, uint32_t name, uint32_t next, uint32_t ttl)
{
	static const uint16_t own[] = {DNS_RRSIG, DNS_NSEC};
	struct bitmap b;
	uint8_t rdata[DNS_NAME_MAX + BITMAP];
	size_t len = m->name[next].len;
	types(m, &m->name[name], own, 2, &b);
	memcpy(rdata, m->name[next].wire, len);
	memcpy(rdata + len, b.bytes, b.len);
	len += b.len;
	maker_record(m, name, DNS_NSEC, ttl, maker_keep(m, rdata, len), len);
}

static void nsec(struct image_maker *m, uint32_t ttl)
{
	uint32_t last = 0;
	for (uint32_t i = 1; i < m->names; i++) {
		uint32_t id = m->order[i];
		const struct made_name *n = &m->name[id];
		if (!n->count || n->flags & NODE_BELOW)
			continue;
		sign_nsec(m, last, id, ttl);
		last = id;
	}
	sign_nsec(m, last, 0, ttl);
}

/* --- NSEC3 -------------------------------------------------------------------------------------
 */
struct hashed {
	uint8_t hash[NSEC3_HASH];
	uint32_t name;
};

static int by_hash(const void *a, const void *b)
{
	return memcmp(((const struct hashed *)a)->hash, ((const struct hashed *)b)->hash,
		      NSEC3_HASH);
}

/* The hash as a label, with its length before it. */
static void label_of(const uint8_t hash[NSEC3_HASH], uint8_t out[1 + SIGN_LABEL])
{
	static const char digit[] = "0123456789abcdefghijklmnopqrstuv";
	uint32_t bits = 0;
	unsigned have = 0, n = 0;
	out[n++] = SIGN_LABEL;
	for (unsigned i = 0; i < NSEC3_HASH; i++) {
		bits = bits << 8 | hash[i];
		for (have += 8; have >= 5; have -= 5)
			out[n++] = (uint8_t)digit[bits >> (have - 5) & 31];
	}
}

size_t sign_owner(const struct image_maker *m, const uint8_t hash[NSEC3_HASH],
		  uint8_t out[DNS_NAME_MAX])
{
	if (1 + SIGN_LABEL + m->zone_len > DNS_NAME_MAX)
		return 0;
	label_of(hash, out);
	memcpy(out + 1 + SIGN_LABEL, m->zone, m->zone_len);
	return 1 + SIGN_LABEL + m->zone_len;
}

size_t sign_nsec3(const struct image_maker *m, uint32_t name, uint8_t out[SIGN_NSEC3])
{
	static const uint16_t own[] = {DNS_RRSIG};
	struct bitmap b;
	const struct made_name *n = &m->name[name];
	const uint8_t fixed[NSEC3_FIXED] = {SHA1, 0, 0, 0, 0, NSEC3_HASH};
	/* A delegation without DS has nothing that is signed, an empty name has nothing. */
	bool bare = n->flags & NODE_CUT ? !(n->has & HAS_DS) : !n->count;
	types(m, n, own, bare ? 0 : 1, &b);
	memcpy(out, fixed, NSEC3_FIXED);
	memcpy(out + NSEC3_FIXED + NSEC3_HASH, b.bytes, b.len);
	return NSEC3_FIXED + NSEC3_HASH + b.len;
}

static void add_nsec3(struct image_maker *m, const struct hashed *h, const struct hashed *next,
		      uint32_t ttl)
{
	uint8_t rdata[SIGN_NSEC3], owner[DNS_NAME_MAX];
	size_t len = sign_nsec3(m, h->name, rdata), owner_len = sign_owner(m, h->hash, owner);
	memcpy(rdata + SIGN_NEXT, next->hash, NSEC3_HASH);
	uint32_t id = maker_name(m, owner, owner_len);
	maker_record(m, id, DNS_NSEC3, ttl, maker_keep(m, rdata, len), len);
}

static bool nsec3(struct image_maker *m, uint32_t ttl)
{
	uint32_t n = 0;
	if (1 + SIGN_LABEL + m->zone_len > DNS_NAME_MAX) {
		maker_report(m, true, NULL, "the name is too long for NSEC3");
		return false;
	}
	struct hashed *h = mem_realloc(NULL, m->names * sizeof(*h));
	for (uint32_t i = 0; i < m->names; i++) {
		const struct made_name *name = &m->name[m->order[i]];
		if (name->flags & NODE_BELOW)
			continue;
		nsec3_hash(name->wire, name->len, (const uint8_t *)"", 0, 0, h[n].hash);
		h[n++].name = m->order[i];
	}
	qsort(h, n, sizeof(*h), by_hash);
	for (uint32_t i = 0; i < n; i++)
		add_nsec3(m, &h[i], &h[i + 1 < n ? i + 1 : 0], ttl);
	free(h);
	return true;
}

bool sign_chain(struct image_maker *m, bool with_nsec3, uint32_t ttl)
{
	if (with_nsec3)
		return nsec3(m, ttl);
	nsec(m, ttl);
	return true;
}
