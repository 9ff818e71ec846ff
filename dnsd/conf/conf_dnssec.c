/* The directive dnssec of dnsd.conf: for all zones, or in a zone's block. */
#include "dnsd/dnsd.h"

#define F(field) offsetof(struct dnssec_conf, field)
#define HOUR     3600000ull
#define DAY      (24 * HOUR)

const struct conf_directive conf_dnssec_table[] = {
    {.name = "nsec3",
     .type = CONF_BOOL,
     .offset = F(nsec3),
     .def = "off",
     .help = "Names that are not there are denied by hashes (NSEC3, without salt and iterations), "
	     "so that the zone's names cannot be listed; else by NSEC."},
    {.name = "zonemd",
     .type = CONF_BOOL,
     .offset = F(zonemd),
     .def = "off",
     .help = "The zone has a digest of itself (RFC 8976)."},
    {.name = "signature-lifetime",
     .type = CONF_DURATION,
     .offset = F(lifetime),
     .def = "14d",
     .min = HOUR,
     .max = 365 * DAY,
     .help = "How long signatures are good; up to a quarter of it less, so that they do not end "
	     "all at once."},
    {.name = "signature-refresh",
     .type = CONF_DURATION,
     .offset = F(refresh),
     .def = "5d",
     .min = HOUR / 4,
     .max = 180 * DAY,
     .help = "What a signature has left when it is renewed; at most half of its lifetime."},
    {.name = "rollover-interval",
     .type = CONF_DURATION,
     .offset = F(interval),
     .flags = CONF_OKNEVER,
     .def = "never",
     .min = 7 * DAY,
     .max = 3650 * DAY,
     .help = "How old a key becomes before it is replaced; the parent must replace its DS then."},
    {0}};

static const char *const words[] = {"off", "on", "no", "yes"};

/* dnssec on|off { ... } */
void conf_dnssec_verify(struct conf_errors *e, struct dnssec_conf *d, const char *what)
{
	const struct conf_words *w = &d->block.args;
	const struct conf_where *at = &d->block.where;
	unsigned i = 0;
	while (w->n == 1 && i < 4 && strcmp(w->w[0], words[i]) != 0)
		i++;
	if (w->n != 1 || i == 4)
		conf_error(e, at, "%sdnssec: on or off is wanted", what);
	d->on = i & 1;
	if (d->refresh > d->lifetime / 2)
		conf_error(e, at, "%ssignature-refresh: is more than half of signature-lifetime",
			   what);
}

void conf_dnssec_inherit(struct dnssec_conf *zone)
{
	if (!zone->block.present)
		*zone = conf.dnssec;
	else if (conf.dnssec.block.present)
		conf_inherit(conf_dnssec_table, zone, &conf.dnssec);
}
