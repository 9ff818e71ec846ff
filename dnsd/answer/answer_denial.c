/* Proofs that a name or a type is not there (RFC 4035 3.1.3, RFC 5155 7.2). */
#include "dnsd/answer/answer_int.h"

/* Puts the record that matches or covers the name, once. False: no room. */
static bool prove(struct work *w, const uint8_t *name, size_t len, bool *matches)
{
	struct image_match m;
	struct piece p;
	uint16_t type = image_denial_type(w->image);
	*matches = false;
	if (!image_denial(w->image, name, len, matches, &m))
		return true;
	for (unsigned i = 0; i < w->proofs; i++)
		if (w->proved[i] == m.node)
			return true;
	if (w->proofs < PROOFS)
		w->proved[w->proofs++] = m.node;
	if (!image_piece(w->image, m.node, PART_ANSWER, type, &p))
		return true;
	if (!put_owned(w, DNS_AUTHORITY, &m, &p))
		return false;
	return !image_piece(w->image, m.node, PART_SIGNATURES, type, &p) ||
	       put_owned(w, DNS_AUTHORITY, &m, &p);
}

/* The name with one label more than its encloser of that length. */
static const uint8_t *next_closer(const uint8_t *name, size_t len, size_t encloser, size_t *out)
{
	while (*name && len - (1u + *name) > encloser) {
		len -= 1u + *name;
		name += 1u + *name;
	}
	*out = len;
	return name;
}

static bool prove_below(struct work *w, size_t encloser)
{
	bool matches;
	size_t len;
	const uint8_t *next = next_closer(w->name, w->name_len, encloser, &len);
	return prove(w, next, len, &matches);
}

static bool prove_star(struct work *w, const uint8_t *encloser, size_t len)
{
	uint8_t name[2 + DNS_NAME_MAX] = {1, '*'};
	bool matches;
	memcpy(name + 2, encloser, len);
	return len + 2 > DNS_NAME_MAX || prove(w, name, len + 2, &matches);
}

/* With opt-out (RFC 5155 6) names above delegations without DS may have no NSEC3: the nearest that
 * has one is taken for the closest encloser (7.2.1). The zone's own name has one. */
static const uint8_t *provable(const struct work *w, const uint8_t *name, size_t *len)
{
	struct image_match m;
	bool matches;
	size_t zone = dns_name_len(image_zone(w->image));
	while (*len > zone && !(image_denial(w->image, name, *len, &matches, &m) && matches)) {
		*len -= 1u + *name;
		name += 1u + *name;
	}
	return name;
}

bool prove_nxdomain(struct work *w, const struct image_match *m)
{
	const uint8_t *name = m->name;
	size_t len = m->name_len;
	bool matches;
	switch (image_denial_type(w->image)) {
	case DNS_NSEC:
		return prove(w, w->name, w->name_len, &matches) && prove_star(w, name, len);
	case DNS_NSEC3:
		name = provable(w, name, &len);
		return prove(w, name, len, &matches) && prove_below(w, len) &&
		       prove_star(w, name, len);
	default:
		return true;
	}
}

bool prove_nodata(struct work *w, const uint8_t *name, size_t len)
{
	bool matches;
	if (image_denial_type(w->image) != DNS_NSEC3)
		return prove(w, name, len, &matches);
	size_t up_len = len, next_len;
	const uint8_t *up = provable(w, name, &up_len);
	if (!prove(w, up, up_len, &matches))
		return false;
	if (up_len == len)
		return true;
	/* The name itself has none: nothing signed is between the two. */
	const uint8_t *next = next_closer(name, len, up_len, &next_len);
	return prove(w, next, next_len, &matches);
}

bool prove_wildcard(struct work *w, const struct image_match *m)
{
	bool matches;
	switch (image_denial_type(w->image)) {
	case DNS_NSEC:
		return prove(w, w->name, w->name_len, &matches);
	case DNS_NSEC3:
		return prove_below(w, m->name_len - 2);
	default:
		return true;
	}
}

bool prove_wildcard_nodata(struct work *w, const struct image_match *m)
{
	bool matches;
	switch (image_denial_type(w->image)) {
	case DNS_NSEC:
		return prove(w, w->name, w->name_len, &matches) &&
		       prove(w, m->name, m->name_len, &matches);
	case DNS_NSEC3:
		return prove(w, m->name + 2, m->name_len - 2, &matches) &&
		       prove_below(w, m->name_len - 2) && prove(w, m->name, m->name_len, &matches);
	default:
		return true;
	}
}
