/* ALIAS: what a CNAME does not do at a zone's own name. Addresses that others look up stand in its
 * place, so that all which comes after (signatures, transfers, answers) sees plain A and AAAA. */
#include <stdlib.h>
#include "dnsd/image_maker.h"

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
		if (!a->mistake && m->o.alias)
			m->o.alias(m->o.alias_arg, m->name[a->name].wire, a->target, &found);
		add_addresses(m, a, &found);
	}
}

void maker_alias_check(struct image_maker *m)
{
	for (uint32_t i = 0; i < m->aliases; i++)
		if (m->alias[i].mistake)
			maker_report(m, true, &m->name[m->alias[i].name], "%s",
				     m->alias[i].mistake);
}
