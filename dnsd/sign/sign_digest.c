/* The digest of a zone (RFC 8976): its records in canonical order, one hash over all of them. */
#include <gnutls/crypto.h>
#include "dnsd/sign/sign_int.h"

enum { SHEET = 1 << 16 };

static void add_u16(struct buf *b, uint16_t v)
{
	const uint8_t p[] = {(uint8_t)(v >> 8), (uint8_t)v};
	buf_add(b, p, sizeof(p));
}

/* 3.3.1: the digest itself and its signatures are left out. */
static bool left_out(const struct made_name *n, const struct rrset *s)
{
	return n->parent == NONE && (s->type == DNS_ZONEMD || s->covered == DNS_ZONEMD);
}

static void add_rrset(struct buf *b, const struct image_maker *m, const struct made_name *n,
		      const struct rrset *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const struct record *r = &m->record[s->record[i]];
		buf_add(b, n->wire, n->len);
		add_u16(b, r->type);
		add_u16(b, DNS_IN);
		add_u16(b, (uint16_t)(s->ttl >> 16));
		add_u16(b, (uint16_t)s->ttl);
		add_u16(b, r->len);
		buf_add(b, sign_canonical(r), r->len);
	}
}

void sign_digest(const struct image_maker *m, uint8_t out[SIGN_DIGEST])
{
	gnutls_hash_hd_t hash;
	struct buf b;
	memset(out, 0, SIGN_DIGEST);
	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA384) != 0)
		return;
	buf_init(&b, 0);
	for (uint32_t i = 0; i < m->names; i++) {
		const struct made_name *n = &m->name[m->order[i]];
		struct rrset s;
		for (uint32_t at = 0; maker_next(m, n, &at, &s);)
			if (!left_out(n, &s))
				add_rrset(&b, m, n, &s);
		if (b.len >= SHEET) {
			gnutls_hash(hash, b.p, b.len);
			buf_clear(&b);
		}
	}
	if (b.len)
		gnutls_hash(hash, b.p, b.len);
	gnutls_hash_deinit(hash, out);
	buf_free(&b);
}
