/* Data to sign, for the tests of keyd: an RRSIG's rdata and an rrset in canonical form. */
#ifndef T_KEYD_ZONE_H
#define T_KEYD_ZONE_H
#include <string.h>
#include "keyd/keyd.h"

enum { TTL = 3600, T_A = 1, T_TXT = 16, T_CDS = 59, T_CDNSKEY = 60, T_DNSKEY = 48 };

struct form {
	uint8_t b[2048];
	size_t len;
	size_t owner_at; /* where the first record begins */
};

static inline void form_u16(struct form *f, unsigned v)
{
	f->b[f->len++] = (uint8_t)(v >> 8);
	f->b[f->len++] = (uint8_t)v;
}

static inline void form_u32(struct form *f, uint32_t v)
{
	form_u16(f, v >> 16);
	form_u16(f, v & 0xffff);
}

static inline void form_name(struct form *f, const char *text)
{
	uint8_t name[DNS_NAME_MAX];
	size_t n = dns_name_from_text(slice_of(text), name);
	memcpy(f->b + f->len, name, n);
	f->len += n;
}

/* The RRSIG without its signature, made at `now` for a week. */
static inline void form_begin(struct form *f, unsigned type, unsigned algorithm, unsigned labels,
			      uint64_t now, unsigned tag, const char *zone)
{
	f->len = 0;
	form_u16(f, type);
	f->b[f->len++] = (uint8_t)algorithm;
	f->b[f->len++] = (uint8_t)labels;
	form_u32(f, TTL);
	form_u32(f, (uint32_t)now + 7 * 24 * 3600);
	form_u32(f, (uint32_t)now - 3600);
	form_u16(f, tag);
	form_name(f, zone);
	f->owner_at = f->len;
}

static inline void form_rr(struct form *f, const char *owner, unsigned type, const void *rdata,
			   size_t len)
{
	form_name(f, owner);
	form_u16(f, type);
	form_u16(f, 1);
	form_u32(f, TTL);
	form_u16(f, (unsigned)len);
	memcpy(f->b + f->len, rdata, len);
	f->len += len;
}

static inline struct slice form_slice(const struct form *f)
{
	return (struct slice){(const char *)f->b, f->len};
}
#endif
