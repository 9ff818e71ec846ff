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
	return i->head->nsec3_n ? DNS_NSEC3 : i->head->nsec_n ? DNS_NSEC : 0;
}

static bool node_at(const struct image *i, uint32_t at, struct image_match *out)
{
	const struct node *n = image_node(i, at);
	if (!n || dns_name_check(image_name(n), n->name_len) != n->name_len)
		return false;
	*out = (struct image_match){
	    .found = IMAGE_NAME, .node = n, .name = image_name(n), .name_len = n->name_len};
	return true;
}

static bool nsec(const struct image *i, const uint8_t *name, bool *matches, struct image_match *out)
{
	const uint32_t *at =
	    (const uint32_t *)(const void *)(i->p + (size_t)i->head->nsec * IMAGE_UNIT);
	uint32_t low = 0, high = i->head->nsec_n; /* the one sought is in [low, high) */
	while (high - low > 1) {
		uint32_t half = low + (high - low) / 2;
		if (!node_at(i, at[half], out))
			return false;
		if (dns_name_cmp(out->name, name) <= 0)
			low = half;
		else
			high = half;
	}
	if (!node_at(i, at[low], out))
		return false;
	*matches = dns_name_eq(out->name, name);
	return true;
}

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

static bool nsec3(const struct image *i, const uint8_t *name, size_t len, bool *matches,
		  struct image_match *out)
{
	const struct image_head *h = i->head;
	const struct hash_slot *s = (const void *)(i->p + (size_t)h->nsec3 * IMAGE_UNIT);
	uint8_t want[NSEC3_HASH], have[NSEC3_HASH];
	nsec3_hash(name, len, h->salt, h->salt_len, h->iterations, want);
	uint32_t n = by_top(s, h->nsec3_n, dns_u32(want));
	/* Some may have the same first octets; before the first one is the last. */
	for (uint32_t tries = 0; tries < h->nsec3_n && tries < TOGETHER; tries++) {
		n = n ? n - 1 : h->nsec3_n - 1;
		if (!node_at(i, s[n].at, out) || !nsec3_label(out->name, have))
			return false;
		int order = memcmp(have, want, NSEC3_HASH);
		*matches = order == 0;
		if (order <= 0 || s[n].top != dns_u32(want))
			return true;
	}
	return false;
}

bool image_denial(const struct image *i, const uint8_t *name, size_t len, bool *matches,
		  struct image_match *out)
{
	if (i->head->nsec3_n)
		return nsec3(i, name, len, matches, out);
	return i->head->nsec_n && nsec(i, name, matches, out);
}
