/* Proofs that something is not there: by NSEC, then by NSEC3. */
#include "dnsd/validate/denial_int.h"

void denial_init(struct denial *d, const uint8_t *zone)
{
	d->zone = zone;
	d->n = d->n3 = d->hashes = 0;
	d->rounds = false;
}

bool types_have(struct slice types, uint16_t type)
{
	const uint8_t *p = octets_of(types);
	for (size_t left = types.len; left >= 2 && left >= 2u + p[1];) {
		unsigned octet = (type & 0xff) / 8;
		if (p[0] == type >> 8)
			return octet < p[1] && p[2 + octet] & 0x80 >> (type & 7);
		left -= 2u + p[1];
		p += 2 + p[1];
	}
	return false;
}

bool types_end_there(struct slice types)
{
	return types_have(types, DNS_DNAME) ||
	       (types_have(types, DNS_NS) && !types_have(types, DNS_SOA));
}

bool types_deny(struct slice types, const uint8_t *name, uint16_t type)
{
	bool soa = types_have(types, DNS_SOA);
	if (type == DNS_ANY || types_have(types, type) || types_have(types, DNS_CNAME))
		return false;
	if (type == DNS_DS)
		return !soa || !*name; /* the child's apex says nothing of the DS above it */
	return soa || !types_have(types, DNS_NS);
}

void name_wildcard(const uint8_t *name, uint8_t out[DNS_NAME_MAX])
{
	out[0] = 1;
	out[1] = '*';
	memcpy(out + 2, name, dns_name_len(name));
}

enum rrset_security proof_fails(struct proof *out, const char *what)
{
	out->ede = EDE_NO_PROOF;
	out->encloser = NULL;
	str_fmt(out->why, sizeof(out->why), "%s", what);
	return RRSET_BOGUS;
}

static bool nsec_add(struct denial *d, const struct rrset *set)
{
	struct slice data = set->data, rdata;
	if (set->n != 1 || d->n == DENIAL_RECORDS || !rrset_next(&data, &rdata) ||
	    !dns_name_under(set->owner, d->zone))
		return false;
	size_t len = dns_name_check(octets_of(rdata), rdata.len);
	if (!len || !dns_name_under(octets_of(rdata), d->zone))
		return false;
	d->nsec[d->n++] = (struct denial_record){.owner = set->owner,
						 .next = octets_of(rdata),
						 .types = {rdata.p + len, rdata.len - len}};
	return true;
}

bool denial_add_secure(struct denial *d, const struct rrset *set)
{
	return set->type == DNS_NSEC    ? nsec_add(d, set)
	       : set->type == DNS_NSEC3 ? nsec3_add(d, set)
					: false;
}

bool denial_add(struct denial *d, const struct validate *v)
{
	return v->security == RRSET_SECURE && !v->expanded &&
	       dns_name_eq(v->keys->owner, d->zone) && denial_add_secure(d, v->set);
}

/* --- the questions ---------------------------------------------------------------------------- */

static void proof_init(struct proof *out)
{
	out->ede = EDE_NONE;
	out->why[0] = 0;
	out->encloser = NULL;
}

/* Nothing was proven by NSEC: NSEC3 is next, unless that would take too long or is not there. */
static bool next_is_nsec3(const struct denial *d, struct proof *out, enum rrset_security *r)
{
	if (d->rounds) {
		out->ede = EDE_NSEC3_ROUNDS;
		str_fmt(out->why, sizeof(out->why), "NSEC3 with more than %d iterations",
			VALIDATE_NSEC3_ROUNDS);
		*r = RRSET_INSECURE;
		return false;
	}
	if (!d->n3 && !d->n)
		*r = proof_fails(out, "no signed NSEC or NSEC3 records");
	return d->n3 > 0;
}

enum rrset_security denial_nxdomain(struct denial *d, const uint8_t *name, struct validate_work *w,
				    struct proof *out)
{
	proof_init(out);
	enum rrset_security r = d->n ? nsec_nxdomain(d, name, out) : RRSET_BOGUS;
	if (r == RRSET_BOGUS && next_is_nsec3(d, out, &r))
		r = nsec3_nxdomain(d, name, w, out);
	return r;
}

enum rrset_security denial_nodata(struct denial *d, const uint8_t *name, uint16_t type,
				  struct validate_work *w, struct proof *out)
{
	proof_init(out);
	if (!validate_may_sign(d->zone, name, type == DNS_DNSKEY ? DNS_A : type))
		return proof_fails(out, "another zone would have to prove that");
	enum rrset_security r = d->n ? nsec_nodata(d, name, type, out) : RRSET_BOGUS;
	if (r == RRSET_BOGUS && next_is_nsec3(d, out, &r))
		r = nsec3_nodata(d, name, type, w, out);
	return r;
}

enum rrset_security denial_expansion(struct denial *d, const uint8_t *name, unsigned labels,
				     struct validate_work *w, struct proof *out)
{
	proof_init(out);
	if (labels >= dns_name_labels(name) || labels < dns_name_labels(d->zone))
		return proof_fails(out, "no wildcard can have been expanded to that");
	enum rrset_security r = d->n ? nsec_expansion(d, name, labels, out) : RRSET_BOGUS;
	if (r == RRSET_BOGUS && next_is_nsec3(d, out, &r))
		r = nsec3_expansion(d, name, labels, w, out);
	return r;
}

enum denial_cut denial_ds(struct denial *d, const uint8_t *name, struct validate_work *w,
			  struct proof *out)
{
	enum rrset_security r = RRSET_BOGUS;
	proof_init(out);
	if (!dns_name_under(name, d->zone) || dns_name_eq(name, d->zone)) {
		proof_fails(out, "another zone would have to prove that");
		return DENIAL_UNPROVEN;
	}
	enum denial_cut cut = d->n ? nsec_ds(d, name, out) : DENIAL_UNPROVEN;
	if (cut == DENIAL_UNPROVEN && next_is_nsec3(d, out, &r))
		return nsec3_ds(d, name, w, out);
	return r == RRSET_INSECURE ? DENIAL_INSECURE : cut;
}
