/* ALIAS: what a CNAME does not do at a zone's own name. Addresses that others look up stand in its
 * place, so that all which comes after (signatures, transfers, answers) sees plain A and AAAA. */
#include <stdlib.h>
#include "dnsd/image/image_maker.h"

enum { HOPS = 16 /* of ALIAS and CNAME records in the zone */ };

static int by_name(const void *a, const void *b)
{
	const struct made_alias *x = a, *y = b;
	return x->name < y->name ? -1 : x->name > y->name;
}

/* What is wrong with it; NULL: nothing. */
static const char *mistake(const struct image_maker *m, uint32_t i)
{
	const struct made_name *n = &m->name[m->alias[i].name];
	struct rrset s;
	if (i > 0 && m->alias[i - 1].name == m->alias[i].name)
		return "more than one ALIAS";
	if (n->flags & NODE_CNAME)
		return "CNAME and other data";
	if (n->flags & (NODE_CUT | NODE_BELOW))
		return "ALIAS at or below a delegation or a DNAME";
	if (maker_rrset(m, n, DNS_A, 0, &s) || maker_rrset(m, n, DNS_AAAA, 0, &s))
		return "ALIAS and addresses";
	return NULL;
}

/* --- circles ---------------------------------------------------------------------------------- */

/* The name, or the wildcard that answers for it; NONE: neither. */
static uint32_t answers_for(const struct image_maker *m, const uint8_t *name)
{
	uint8_t star[2 + DNS_NAME_MAX] = {1, '*'};
	size_t len = dns_name_len(name), at = 0;
	uint32_t id = maker_find(m, name, len);
	if (id != NONE)
		return id;
	while (id == NONE && len - at > m->zone_len) {
		at += 1u + name[at];
		id = maker_find(m, name + at, len - at);
	}
	if (id == NONE || len - at + 2 > DNS_NAME_MAX)
		return NONE;
	memcpy(star + 2, name + at, len - at);
	return maker_find(m, star, 2 + len - at);
}

/* Where the name's ALIAS or CNAME leads; NULL: it has none. */
static const uint8_t *leads_to(const struct image_maker *m, uint32_t id)
{
	const struct made_alias key = {.name = id};
	const struct made_alias *a =
	    bsearch(&key, m->alias, m->aliases, sizeof(*m->alias), by_name);
	struct rrset s;
	if (a)
		return a->target;
	return m->name[id].flags & NODE_CNAME && maker_rrset(m, &m->name[id], DNS_CNAME, 0, &s)
		   ? m->record[s.record[0]].data
		   : NULL;
}

/* Such addresses would be those of nobody: each would have what the others had before. */
static bool in_circle(const struct image_maker *m, const struct made_alias *a)
{
	uint8_t name[DNS_NAME_MAX];
	const uint8_t *to = a->target;
	for (unsigned hop = 0; hop < HOPS; hop++) {
		memcpy(name, to, dns_name_len(to));
		dns_name_lower(name);
		uint32_t id = dns_name_under(name, m->zone) ? answers_for(m, name) : NONE;
		to = id == NONE ? NULL : leads_to(m, id);
		if (!to)
			return false;
	}
	return true;
}

static void add_addresses(struct image_maker *m, const struct made_alias *a,
			  const struct image_addresses *found)
{
	uint32_t ttl = found->ttl < a->ttl ? found->ttl : a->ttl;
	for (unsigned i = 0; i < found->a_n; i++)
		maker_record(m, a->name, DNS_A, ttl, maker_keep(m, found->a[i], 4), 4);
	for (unsigned i = 0; i < found->aaaa_n; i++)
		maker_record(m, a->name, DNS_AAAA, ttl, maker_keep(m, found->aaaa[i], 16), 16);
}

void maker_alias(struct image_maker *m)
{
	if (m->aliased || !m->aliases)
		return;
	m->aliased = true;
	qsort(m->alias, m->aliases, sizeof(*m->alias), by_name);
	for (uint32_t i = 0; i < m->aliases; i++) {
		struct made_alias *a = &m->alias[i];
		struct image_addresses found = {0};
		a->mistake = mistake(m, i);
		a->circle = !a->mistake && in_circle(m, a);
		if (!a->mistake && !a->circle && m->o.alias)
			m->o.alias(m->o.alias_arg, m->name[a->name].wire, a->target, &found);
		add_addresses(m, a, &found);
	}
}

void maker_alias_check(struct image_maker *m)
{
	for (uint32_t i = 0; i < m->aliases; i++) {
		const struct made_alias *a = &m->alias[i];
		if (a->mistake)
			maker_report(m, true, &m->name[a->name], "%s", a->mistake);
		else if (a->circle)
			maker_report(m, false, &m->name[a->name],
				     "ALIAS leads back to itself, or too far: no addresses");
	}
}
