/* NSEC: a record at a name says which types are there, and which name is the next one. */
#include "dnsd/validate/denial_int.h"
#include "libcommon/dns/rdata.h"

enum cover {
	COVER_NONE,
	COVER_ABSENT,
	COVER_EMPTY, /* the name is there, as there are names below it, but has no records */
};

/* The name is between the record's two (RFC 4034 4.1.1); the last record's next one is the apex. */
static bool spans(const struct denial *d, const struct denial_record *r, const uint8_t *name)
{
	if (dns_name_cmp(r->owner, name) >= 0)
		return false;
	return dns_name_eq(r->next, d->zone) || dns_name_cmp(name, r->next) < 0;
}

/* by: the record that does; of COVER_NONE it is none of use. */
static enum cover cover(const struct denial *d, const uint8_t *name,
			const struct denial_record **by)
{
	for (unsigned i = 0; i < d->n && dns_name_under(name, d->zone); i++) {
		const struct denial_record *r = *by = &d->nsec[i];
		if (!spans(d, r, name) ||
		    (dns_name_under(name, r->owner) && types_end_there(r->types)))
			continue;
		return dns_name_under(r->next, name) ? COVER_EMPTY : COVER_ABSENT;
	}
	return COVER_NONE;
}

static const struct denial_record *match(const struct denial *d, const uint8_t *name)
{
	for (unsigned i = 0; i < d->n; i++)
		if (dns_name_eq(d->nsec[i].owner, name))
			return &d->nsec[i];
	return NULL;
}

/* The longest ancestor of the name that is also one of the record's names, or of those above them:
 * it is there. */
static const uint8_t *encloser(const struct denial_record *r, const uint8_t *name)
{
	for (;; name += 1u + *name)
		if (dns_name_under(r->owner, name) || dns_name_under(r->next, name))
			return name;
}

enum rrset_security nsec_nxdomain(struct denial *d, const uint8_t *name, struct proof *out)
{
	const struct denial_record *r, *other;
	uint8_t wildcard[DNS_NAME_MAX];
	if (cover(d, name, &r) != COVER_ABSENT)
		return proof_fails(out, "no NSEC record covers the name");
	out->encloser = encloser(r, name);
	name_wildcard(out->encloser, wildcard);
	if (cover(d, wildcard, &other) != COVER_ABSENT)
		return proof_fails(out, "no NSEC record covers the wildcard in its place");
	return RRSET_SECURE;
}

enum rrset_security nsec_nodata(struct denial *d, const uint8_t *name, uint16_t type,
				struct proof *out)
{
	uint8_t wildcard[DNS_NAME_MAX];
	const struct denial_record *r = match(d, name);
	if (r)
		return types_deny(r->types, name, type)
			   ? RRSET_SECURE
			   : proof_fails(out, "the NSEC record of the name does not deny the type");
	enum cover c = cover(d, name, &r);
	if (c != COVER_ABSENT)
		return c == COVER_EMPTY
			   ? RRSET_SECURE
			   : proof_fails(out, "no NSEC record is of the name or covers it");
	out->encloser = encloser(r, name);
	name_wildcard(out->encloser, wildcard);
	r = match(d, wildcard);
	/* One at a cut, or at a DNAME, is none that is expanded. */
	if (!r || !types_deny(r->types, wildcard, type))
		return proof_fails(out, "no NSEC record denies the wildcard the type");
	return RRSET_SECURE;
}

enum rrset_security nsec_expansion(struct denial *d, const uint8_t *name, unsigned labels,
				   struct proof *out)
{
	const struct denial_record *r;
	const uint8_t *closer = name_end(name, labels + 1);
	if (cover(d, closer, &r) != COVER_ABSENT)
		return proof_fails(out, "no NSEC record proves that nothing is closer than the "
					"wildcard");
	out->encloser = name_end(name, labels);
	return RRSET_SECURE;
}

const uint8_t *nsec_absent(const struct denial *d, const uint8_t *name)
{
	const struct denial_record *r;
	return cover(d, name, &r) == COVER_ABSENT ? encloser(r, name) : NULL;
}

enum denial_cut nsec_ds(struct denial *d, const uint8_t *name, struct proof *out)
{
	const struct denial_record *r = match(d, name), *by;
	if (!r && cover(d, name, &by) != COVER_NONE)
		return DENIAL_NO_CUT;
	if (r && !types_have(r->types, DNS_DS) && !types_have(r->types, DNS_SOA))
		return types_have(r->types, DNS_NS) ? DENIAL_INSECURE : DENIAL_NO_CUT;
	proof_fails(out, "no NSEC record denies a DS record");
	return DENIAL_UNPROVEN;
}
