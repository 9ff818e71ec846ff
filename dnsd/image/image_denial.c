/* Which record of a signed zone proves that a name or a type is not there. */
#include <gnutls/crypto.h>
#include "dnsd/image/image_int.h"

enum { TOGETHER = 8 /* steps by guess before the halving begins */ };

bool nsec3_label(const uint8_t *label, uint8_t out[NSEC3_HASH])
{
	if (label[0] != NSEC3_HASH * 8 / 5)
		return false;
	uint32_t bits = 0;
	unsigned have = 0, n = 0;
	for (unsigned i = 1; i <= label[0]; i++) {
		uint8_t c = label[i], v;
		if (c >= '0' && c <= '9')
			v = (uint8_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'v')
			v = (uint8_t)((c | 0x20) - 'a' + 10);
		else
			return false;
		bits = bits << 5 | v;
		have += 5;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
		}
	}
	return true;
}

void nsec3_hash(const uint8_t *name, size_t len, const uint8_t *salt, size_t salt_len,
		unsigned iterations, uint8_t out[NSEC3_HASH])
{
	uint8_t in[DNS_NAME_MAX + IMAGE_SALT];
	memcpy(in, name, len);
	for (unsigned i = 0; i <= iterations; i++) {
		memcpy(in + len, salt, salt_len);
		gnutls_hash_fast(GNUTLS_DIG_SHA1, in, len + salt_len, out);
		memcpy(in, out, NSEC3_HASH);
		len = NSEC3_HASH;
	}
}

uint16_t image_denial_type(const struct image *i)
{
	const struct image_head *h = i->base.head; /* an overlay never has another kind */
	return h->nsec3_n ? DNS_NSEC3 : h->nsec_n ? DNS_NSEC : 0;
}

static bool node_at(const struct layer *l, uint32_t at, struct image_match *out)
{
	if (!image_match_of(image_node(l, at), out))
		return false;
	out->found = IMAGE_NAME;
	return true;
}

/* The overlay has another node for the name of this one, which is the other layer's. */
static bool is_masked(const struct image *i, const struct layer *l, const struct image_match *m)
{
	const struct node *n;
	return i->over.p && l == &i->base &&
	       image_layer_find(i, &i->over, m->name, m->name_len, &n) && n;
}

/* --- NSEC --------------------------------------------------------------------------------------
 */

static const uint32_t *nsec_places(const struct layer *l)
{
	return (const void *)(l->p + (size_t)l->head->nsec * IMAGE_UNIT);
}

/* How many of the layer's are not behind the name, or (before) are before it. False: damaged. */
static bool nsec_count(const struct layer *l, const uint8_t *name, bool before, uint32_t *n)
{
	const uint32_t *at = nsec_places(l);
	struct image_match m;
	uint32_t low = 0, high = l->head->nsec_n;
	while (low < high) {
		uint32_t half = low + (high - low) / 2;
		if (!node_at(l, at[half], &m))
			return false;
		if (dns_name_cmp(m.name, name) <= -(int)before)
			low = half + 1;
		else
			high = half;
	}
	*n = low;
	return true;
}

/* The last one of the layer that is not behind the name, or is before it; *none: there is none.
 * False: damaged. */
static bool nsec_in(const struct image *i, const struct layer *l, const uint8_t *name, bool before,
		    bool *none, struct image_match *out)
{
	const uint32_t *at = nsec_places(l);
	uint32_t low;
	if (!nsec_count(l, name, before, &low))
		return false;
	for (*none = true; low > 0 && *none; low--) {
		if (!node_at(l, at[low - 1], out))
			return false;
		*none = is_masked(i, l, out);
	}
	return true;
}

/* That of both layers. */
static bool nsec_up_to(const struct image *i, const uint8_t *name, bool before,
		       struct image_match *out)
{
	struct image_match over;
	bool none, none_over = true;
	if (!nsec_in(i, &i->base, name, before, &none, out) ||
	    (i->over.p && !nsec_in(i, &i->over, name, before, &none_over, &over)))
		return false;
	if (!none_over && (none || dns_name_cmp(over.name, out->name) > 0))
		*out = over;
	return !none || !none_over;
}

static bool nsec(const struct image *i, const uint8_t *name, bool *matches, struct image_match *out)
{
	if (!nsec_up_to(i, name, false, out))
		return false;
	*matches = dns_name_eq(out->name, name);
	return true;
}

bool image_chain_before(const struct image *i, const uint8_t *name, struct image_match *out)
{
	return nsec_up_to(i, name, true, out);
}

/* The first one of the layer that is behind the name; the same. */
static bool nsec_behind(const struct image *i, const struct layer *l, const uint8_t *name,
			bool *none, struct image_match *out)
{
	const uint32_t *at = nsec_places(l);
	uint32_t n;
	if (!nsec_count(l, name, false, &n))
		return false;
	for (*none = true; n < l->head->nsec_n && *none; n++) {
		if (!node_at(l, at[n], out))
			return false;
		*none = is_masked(i, l, out);
	}
	return true;
}

bool image_chain_after(const struct image *i, const uint8_t *name, struct image_match *out)
{
	struct image_match over;
	bool none, none_over = true;
	if (!nsec_behind(i, &i->base, name, &none, out) ||
	    (i->over.p && !nsec_behind(i, &i->over, name, &none_over, &over)))
		return false;
	if (!none_over && (none || dns_name_cmp(over.name, out->name) < 0))
		*out = over;
	return !none || !none_over;
}

/* --- NSEC3 -------------------------------------------------------------------------------------
 */

/* Of the hashes in [low, high) the last whose first octets are not over `top`; the one before low
 * when all are. Hashes are spread evenly: where it is can be guessed. */
static uint32_t by_top(const struct hash_slot *s, uint32_t n, uint32_t top)
{
	uint32_t low = 0, high = n;
	for (unsigned step = 0; low < high; step++) {
		uint32_t half = low + (high - low) / 2;
		if (step < TOGETHER && high - low > TOGETHER) {
			uint64_t from = low ? s[low - 1].top : 0;
			uint64_t to = high < n ? s[high].top : UINT32_MAX;
			if (top >= from && top < to)
				half =
				    low + (uint32_t)((top - from) * (high - low) / (to - from + 1));
		}
		if (s[half].top <= top)
			low = half + 1;
		else
			high = half;
	}
	return low;
}

struct closest { /* a record, by its hash; found.node NULL: none */
	struct image_match found;
	uint8_t hash[NSEC3_HASH];
};

/* The last of the layer that is not behind the hash, or with none the last one at all. */
static bool nsec3_in(const struct image *i, const struct layer *l, const uint8_t *want,
		     struct closest *out)
{
	const struct hash_slot *s = (const void *)(l->p + (size_t)l->head->nsec3 * IMAGE_UNIT);
	uint32_t n = l->head->nsec3_n;
	out->found.node = NULL;
	/* Some may have the same first octets. */
	for (n = want ? by_top(s, n, dns_u32(want)) : n; n > 0; n--) {
		struct image_match m;
		if (!node_at(l, s[n - 1].at, &m) || !nsec3_label(m.name, out->hash))
			return false;
		if ((want && memcmp(out->hash, want, NSEC3_HASH) > 0) || is_masked(i, l, &m))
			continue;
		out->found = m;
		return true;
	}
	return true;
}

/* The later one of both layers'. */
static bool nsec3_before(const struct image *i, const uint8_t *want, struct closest *out)
{
	struct closest over = {0};
	if (!nsec3_in(i, &i->base, want, out) || (i->over.p && !nsec3_in(i, &i->over, want, &over)))
		return false;
	if (over.found.node && (!out->found.node || memcmp(over.hash, out->hash, NSEC3_HASH) > 0))
		*out = over;
	return true;
}

static bool nsec3(const struct image *i, const uint8_t *name, size_t len, bool *matches,
		  struct image_match *out)
{
	const struct image_head *h = image_top(i)->head;
	uint8_t want[NSEC3_HASH];
	struct closest c;
	nsec3_hash(name, len, h->salt, h->salt_len, h->iterations, want);
	if (!nsec3_before(i, want, &c))
		return false;
	*matches = c.found.node && memcmp(c.hash, want, NSEC3_HASH) == 0;
	/* Before the first one is the last. */
	if (!c.found.node && (!nsec3_before(i, NULL, &c) || !c.found.node))
		return false;
	*out = c.found;
	return true;
}

static bool found_at(const struct closest *c, struct image_match *out, uint8_t found[NSEC3_HASH])
{
	if (!c->found.node)
		return false;
	*out = c->found;
	memcpy(found, c->hash, NSEC3_HASH);
	return true;
}

bool image_circle_before(const struct image *i, const uint8_t hash[NSEC3_HASH],
			 struct image_match *out, uint8_t found[NSEC3_HASH])
{
	uint8_t want[NSEC3_HASH];
	struct closest c = {0};
	int k = NSEC3_HASH - 1;
	memcpy(want, hash, NSEC3_HASH);
	while (k >= 0 && want[k]-- == 0)
		k--;
	if (k >= 0 && !nsec3_before(i, want, &c)) /* else it is the first of all hashes */
		return false;
	if (!c.found.node && !nsec3_before(i, NULL, &c))
		return false;
	return found_at(&c, out, found);
}

/* The first of the layer behind the hash, or with none the first one. False: damaged. */
static bool nsec3_behind(const struct image *i, const struct layer *l, const uint8_t *want,
			 struct closest *out)
{
	const struct hash_slot *s = (const void *)(l->p + (size_t)l->head->nsec3 * IMAGE_UNIT);
	uint32_t top = want ? dns_u32(want) : 0, n = top ? by_top(s, l->head->nsec3_n, top - 1) : 0;
	out->found.node = NULL;
	for (; n < l->head->nsec3_n; n++) {
		struct image_match m;
		if (!node_at(l, s[n].at, &m) || !nsec3_label(m.name, out->hash))
			return false;
		if ((want && memcmp(out->hash, want, NSEC3_HASH) <= 0) || is_masked(i, l, &m))
			continue;
		out->found = m;
		return true;
	}
	return true;
}

static bool nsec3_after(const struct image *i, const uint8_t *want, struct closest *out)
{
	struct closest over = {0};
	if (!nsec3_behind(i, &i->base, want, out) ||
	    (i->over.p && !nsec3_behind(i, &i->over, want, &over)))
		return false;
	if (over.found.node && (!out->found.node || memcmp(over.hash, out->hash, NSEC3_HASH) < 0))
		*out = over;
	return true;
}

bool image_circle_after(const struct image *i, const uint8_t hash[NSEC3_HASH],
			struct image_match *out, uint8_t found[NSEC3_HASH])
{
	struct closest c = {0};
	if (!nsec3_after(i, hash, &c) || (!c.found.node && !nsec3_after(i, NULL, &c)))
		return false;
	return found_at(&c, out, found);
}

bool image_denial(const struct image *i, const uint8_t *name, size_t len, bool *matches,
		  struct image_match *out)
{
	switch (image_denial_type(i)) {
	case DNS_NSEC3:
		return nsec3(i, name, len, matches, out);
	case DNS_NSEC:
		return nsec(i, name, matches, out);
	default:
		return false;
	}
}

/* --- names as they are -------------------------------------------------------------------------
 */

/* A name that only has NSEC3 has no slot in an image: its hash leads to it. */
static bool nsec3_exact(const struct layer *l, const uint8_t *name, size_t len,
			struct image_match *out)
{
	const struct hash_slot *s = (const void *)(l->p + (size_t)l->head->nsec3 * IMAGE_UNIT);
	uint8_t hash[NSEC3_HASH];
	if (!l->head->nsec3_n || !nsec3_label(name, hash))
		return false;
	uint32_t top = dns_u32(hash);
	for (uint32_t n = by_top(s, l->head->nsec3_n, top); n > 0 && s[n - 1].top == top; n--)
		if (node_at(l, s[n - 1].at, out) && out->name_len == len &&
		    !memcmp(out->name, name, len))
			return true;
	return false;
}

bool image_exact(const struct image *i, const uint8_t *name, size_t len, struct image_match *out)
{
	const struct node *n;
	if (i->over.p && image_layer_find(i, &i->over, name, len, &n) && n)
		return !(n->flags & NODE_GONE) && image_match_of(n, out);
	if (image_layer_find(i, &i->base, name, len, &n) && n)
		return image_match_of(n, out);
	return nsec3_exact(&i->base, name, len, out);
}
