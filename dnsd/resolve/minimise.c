#include "dnsd/resolve/minimise.h"

uint16_t minimise_next(const struct minimise *m, const uint8_t *zone, const uint8_t *name,
		       uint16_t type, const uint8_t **out)
{
	unsigned all = dns_name_labels(name), from = dns_name_labels(zone), more = 1;
	if (m->known > from)
		from = m->known;
	*out = name;
	if (m->off || m->asked >= MINIMISE_MOST || from + 1 >= all)
		return type;
	/* Names of many labels, as in ip6.arpa: what is left is shared by the steps left. */
	if (m->asked >= MINIMISE_SINGLE) {
		unsigned steps = MINIMISE_MOST - m->asked;
		more = (all - from + steps - 1) / steps;
	}
	if (from + more >= all)
		return type;
	for (unsigned skip = all - from - more; skip; skip--)
		*out += 1u + **out;
	return DNS_A;
}

void minimise_exists(struct minimise *m, const uint8_t *part)
{
	m->known = dns_name_labels(part);
}
