/* NSEC3: as NSEC, of the hashes of names (RFC 5155). Which of the names above is there must be
 * found by hashing them: each hash is counted, and remembered. */
#include <gnutls/crypto.h>
#include "dnsd/validate/denial_int.h"

enum { SHA1 = 1, OPT_OUT = 1, HEAD = 5, LETTERS = 32 };

bool nsec3_owner_hash(const uint8_t *owner, const uint8_t *zone, uint8_t out[DENIAL_HASH])
{
	uint32_t bits = 0;
	unsigned have = 0, n = 0;
	if (owner[0] != LETTERS || !dns_name_eq(owner + 1 + LETTERS, zone))
		return false;
	for (unsigned i = 1; i <= LETTERS; i++) {
		uint8_t c = owner[i], lower = c | 0x20;
		bool digit = c >= '0' && c <= '9';
		if (!digit && (lower < 'a' || lower > 'v'))
			return false;
		bits = bits << 5 | (uint32_t)(digit ? c - '0' : lower - 'a' + 10);
		have += 5;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
		}
	}
	return true;
}

/* One record; false: it is not one that can be used. */
static bool add_record(struct denial *d, const uint8_t *owner, struct slice rdata)
{
	const uint8_t *p = octets_of(rdata);
	struct denial_record *r = &d->nsec3[d->n3];
	if (d->n3 == DENIAL_RECORDS || rdata.len < HEAD || p[0] != SHA1 || p[1] & ~OPT_OUT ||
	    rdata.len < HEAD + p[4] + 1u + DENIAL_HASH || p[HEAD + p[4]] != DENIAL_HASH ||
	    !nsec3_owner_hash(owner, d->zone, r->from))
		return false;
	struct slice salt = {rdata.p + HEAD, p[4]};
	uint16_t iterations = dns_u16(p + 2);
	size_t head = HEAD + salt.len + 1 + DENIAL_HASH;
	if (iterations > VALIDATE_NSEC3_ROUNDS) {
		d->rounds = true;
		return true;
	}
	if (d->n3 && (iterations != d->iterations || !slice_eq(salt, d->salt)))
		return false;
	d->iterations = iterations;
	d->salt = salt;
	r->opt_out = p[1] & OPT_OUT;
	memcpy(r->to, p + head - DENIAL_HASH, DENIAL_HASH);
	r->types = (struct slice){rdata.p + head, rdata.len - head};
	d->n3++;
	return true;
}

bool nsec3_add(struct denial *d, const struct rrset *set)
{
	struct slice data = set->data, rdata;
	bool any = false;
	for (unsigned i = 0; i < set->n && rrset_next(&data, &rdata); i++)
		any |= add_record(d, set->owner, rdata);
	return any;
}

static void hash(const struct denial *d, const uint8_t *name, uint8_t out[DENIAL_HASH])
{
	uint8_t in[DNS_NAME_MAX + UINT8_MAX];
	size_t len = dns_name_len(name);
	memcpy(in, name, len);
	for (unsigned i = 0; i <= d->iterations; i++) {
		if (d->salt.len)
			memcpy(in + len, d->salt.p, d->salt.len);
		gnutls_hash_fast(GNUTLS_DIG_SHA1, in, len + d->salt.len, out);
		memcpy(in, out, DENIAL_HASH);
		len = DENIAL_HASH;
	}
}

const uint8_t *nsec3_hash_of(struct denial *d, const uint8_t *name, bool wildcard,
			     struct validate_work *w)
{
	uint8_t longer[DNS_NAME_MAX];
	for (unsigned i = 0; i < d->hashes; i++)
		if (d->hashed[i].name == name && d->hashed[i].wildcard == wildcard)
			return d->hashed[i].hash;
	if (!w->hashes)
		return NULL;
	w->hashes--;
	if (d->hashes == DENIAL_HASHES)
		d->hashes--; /* the last place is used again and again */
	struct denial_hashed *h = &d->hashed[d->hashes++];
	h->name = name;
	h->wildcard = wildcard;
	if (wildcard)
		name_wildcard(name, longer);
	hash(d, wildcard ? longer : name, h->hash);
	return h->hash;
}

static const struct denial_record *match(const struct denial *d, const uint8_t *h)
{
	for (unsigned i = 0; h && i < d->n3; i++)
		if (!memcmp(d->nsec3[i].from, h, DENIAL_HASH))
			return &d->nsec3[i];
	return NULL;
}

static const struct denial_record *cover(const struct denial *d, const uint8_t *h)
{
	for (unsigned i = 0; h && i < d->n3; i++) {
		const struct denial_record *r = &d->nsec3[i];
		bool after = memcmp(r->from, h, DENIAL_HASH) < 0;
		bool before = memcmp(h, r->to, DENIAL_HASH) < 0;
		if (memcmp(r->from, r->to, DENIAL_HASH) < 0 ? after && before : after || before)
			if (memcmp(r->from, h, DENIAL_HASH) != 0)
				return r;
	}
	return NULL;
}

/* What is known of a name: the record at it; or the closest encloser, and the record that covers
 * the name one label longer (RFC 5155 8.3). */
struct place {
	const struct denial_record *at, *closer;
	const uint8_t *encloser;
};

static bool locate(struct denial *d, const uint8_t *name, struct validate_work *w,
		   struct place *out, struct proof *p)
{
	const uint8_t *closer = NULL, *h;
	*out = (struct place){0};
	for (const uint8_t *n = name; dns_name_under(n, d->zone); n += 1u + *n) {
		if (!(h = nsec3_hash_of(d, n, false, w))) {
			proof_fails(p, "too many NSEC3 hashes in one answer");
			return false;
		}
		const struct denial_record *r = match(d, h);
		if (r && n == name) {
			out->at = r;
			return true;
		}
		if (r && types_end_there(r->types)) {
			proof_fails(p, "the closest encloser by NSEC3 is at a cut or a DNAME");
			return false;
		}
		if (r) {
			out->encloser = p->encloser = n;
			out->closer = cover(d, nsec3_hash_of(d, closer, false, w));
			if (!out->closer)
				proof_fails(p, "no NSEC3 record covers the next closer name");
			return out->closer != NULL;
		}
		if (!*n)
			break;
		closer = n;
	}
	proof_fails(p, "no NSEC3 record is of a closest encloser");
	return false;
}

/* Opt-out: there may be delegations that nobody signed. */
static enum rrset_security unless_opt_out(const struct denial_record *r)
{
	return r->opt_out ? RRSET_INSECURE : RRSET_SECURE;
}

enum rrset_security nsec3_nxdomain(struct denial *d, const uint8_t *name, struct validate_work *w,
				   struct proof *out)
{
	struct place at;
	if (!locate(d, name, w, &at, out))
		return RRSET_BOGUS;
	if (at.at)
		return proof_fails(out, "an NSEC3 record shows that the name is there");
	if (!cover(d, nsec3_hash_of(d, at.encloser, true, w)))
		return proof_fails(out, "no NSEC3 record covers the wildcard in its place");
	return unless_opt_out(at.closer);
}

enum rrset_security nsec3_nodata(struct denial *d, const uint8_t *name, uint16_t type,
				 struct validate_work *w, struct proof *out)
{
	struct place at;
	if (!locate(d, name, w, &at, out))
		return RRSET_BOGUS;
	if (at.at)
		return types_deny(at.at->types, name, type)
			   ? RRSET_SECURE
			   : proof_fails(out,
					 "the NSEC3 record of the name does not deny the type");
	const struct denial_record *wildcard = match(d, nsec3_hash_of(d, at.encloser, true, w));
	if (wildcard) /* its name only matters when it is the root's */
		return types_deny(wildcard->types, (const uint8_t *)"\1*", type)
			   ? unless_opt_out(at.closer)
			   : proof_fails(out, "the wildcard has that type");
	/* An unsigned delegation, or a name that is there because one is below it (8.6). */
	if (at.closer->opt_out)
		return RRSET_INSECURE;
	return proof_fails(out, "no NSEC3 record is of the name or the wildcard in its place");
}

enum rrset_security nsec3_expansion(struct denial *d, const uint8_t *name, unsigned labels,
				    struct validate_work *w, struct proof *out)
{
	const uint8_t *h = nsec3_hash_of(d, name_end(name, labels + 1), false, w);
	if (!h)
		return proof_fails(out, "too many NSEC3 hashes in one answer");
	const struct denial_record *r = cover(d, h);
	if (!r)
		return proof_fails(out, "no NSEC3 record proves that nothing is closer than the "
					"wildcard");
	out->encloser = name_end(name, labels);
	return unless_opt_out(r);
}

const uint8_t *nsec3_absent(struct denial *d, const uint8_t *name, struct validate_work *w)
{
	struct place at;
	struct proof p;
	return locate(d, name, w, &at, &p) && !at.at && !at.closer->opt_out ? at.encloser : NULL;
}

enum denial_cut nsec3_ds(struct denial *d, const uint8_t *name, struct validate_work *w,
			 struct proof *out)
{
	struct place at;
	if (!locate(d, name, w, &at, out))
		return DENIAL_UNPROVEN;
	if (!at.at)
		return at.closer->opt_out ? DENIAL_INSECURE : DENIAL_NO_CUT;
	if (!types_have(at.at->types, DNS_DS) && !types_have(at.at->types, DNS_SOA))
		return types_have(at.at->types, DNS_NS) ? DENIAL_INSECURE : DENIAL_NO_CUT;
	proof_fails(out, "the NSEC3 record of the name does not deny a DS record");
	return DENIAL_UNPROVEN;
}
