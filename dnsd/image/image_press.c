/* Compiles records into the pieces of a response, compressed against the question's name. */
#include "dnsd/image/image_maker.h"

enum {
	QUESTION = DNS_HEADER, /* where the base name stands */
	POINTER = 0xc000,
	REACH = 0x3800, /* pointers lead before it: they may be shifted by some more */
	PIECE_MAX = DNS_MSG_MAX - DNS_HEADER - DNS_NAME_MAX - 4,
	RDATA_NAMES = 8,
};

void press_base(struct press *p, const uint8_t *name, size_t len)
{
	p->base = name;
	p->base_len = len;
	/* A wildcard's answers are for other names: they share what is above it. */
	p->shared = name[0] == 1 && name[1] == '*' ? 2 : 0;
	p->known_n = 0;
	press_begin(p, true);
}

void press_begin(struct press *p, bool main)
{
	p->main = main;
	p->full = false;
	p->records = p->pointers = 0;
	p->len = 0;
}

static void put(struct press *p, const void *bytes, size_t n)
{
	if (p->full || PIECE_MAX - p->len < n) {
		p->full = true;
		return;
	}
	if (n)
		memcpy(p->bytes + p->len, bytes, n);
	p->len += n;
}

static void put_u16(struct press *p, size_t v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
	put(p, b, sizeof(b));
}

static void put_u32(struct press *p, uint32_t v)
{
	put_u16(p, v >> 16);
	put_u16(p, v & 0xffff);
}

static void put_pointer(struct press *p, size_t to)
{
	p->pointer[p->pointers++] = (uint16_t)p->len;
	put_u16(p, POINTER | to);
}

/* Where the name (not the root) stands in the message; 0: nowhere. */
static size_t known_at(const struct press *p, const uint8_t *name)
{
	size_t len = dns_name_len(name), at = p->shared;
	if (p->pointers == PRESS_POINTERS)
		return 0;
	while (p->base_len - at > len)
		at += 1u + p->base[at];
	if (p->base_len - at == len && dns_name_eq(p->base + at, name))
		return QUESTION + at;
	for (unsigned i = 0; i < p->known_n; i++)
		if (dns_name_eq(p->known[i].name, name))
			return p->known[i].at;
	return 0;
}

static void put_name(struct press *p, const uint8_t *name)
{
	for (; *name; name += 1u + *name) {
		size_t at = known_at(p, name), here = QUESTION + p->base_len + 4 + p->len;
		if (at) {
			put_pointer(p, at);
			return;
		}
		if (p->main && here < REACH && p->known_n < PRESS_NAMES) {
			p->known[p->known_n].name = name;
			p->known[p->known_n++].at = (uint16_t)here;
		}
		put(p, name, 1u + *name);
	}
	put(p, "", 1);
}

struct name_places {
	unsigned n;
	size_t at[RDATA_NAMES];
};

static void packed(void *arg, size_t at, bool lower, bool compress)
{
	struct name_places *f = arg;
	(void)lower;
	if (compress && f->n < RDATA_NAMES)
		f->at[f->n++] = at;
}

static void put_rdata(struct press *p, const struct record *r)
{
	struct name_places f = {0};
	size_t at = 0;
	if (r->type != DNS_A && r->type != DNS_AAAA)
		dns_rdata_names(r->type, r->data, r->len, packed, &f);
	for (unsigned i = 0; i < f.n; i++) {
		put(p, r->data + at, f.at[i] - at);
		put_name(p, r->data + f.at[i]);
		at = f.at[i] + dns_name_len(r->data + f.at[i]);
	}
	put(p, r->data + at, r->len - at);
}

void press_rrset(struct press *p, const struct image_maker *m, const struct rrset *s,
		 const uint8_t *owner, uint32_t ttl)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const struct record *r = &m->record[s->record[i]];
		if (owner)
			put_name(p, owner);
		else
			put_u16(p, OWNER_QUESTION);
		put_u16(p, s->type);
		put_u16(p, DNS_IN);
		put_u32(p, ttl);
		size_t start = p->len;
		put_u16(p, 0);
		put_rdata(p, r);
		if (p->full)
			return;
		size_t len = p->len - start - 2;
		p->bytes[start] = (uint8_t)(len >> 8);
		p->bytes[start + 1] = (uint8_t)len;
		p->records++;
	}
}

struct any_names {
	void (*fn)(void *arg, const uint8_t *name);
	void *arg;
	const uint8_t *data;
};

static void any_name(void *arg, size_t at, bool lower, bool compress)
{
	const struct any_names *a = arg;
	(void)lower;
	(void)compress;
	a->fn(a->arg, a->data + at);
}

void rrset_names(const struct image_maker *m, const struct rrset *s,
		 void (*fn)(void *arg, const uint8_t *name), void *arg)
{
	struct any_names a = {fn, arg, NULL};
	for (uint32_t i = 0; i < s->n; i++) {
		const struct record *r = &m->record[s->record[i]];
		a.data = r->data;
		dns_rdata_names(r->type, r->data, r->len, any_name, &a);
	}
}
