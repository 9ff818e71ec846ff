#include "dnsd/resolve/deleg.h"
#include <stdio.h>
#include "dnsd/upstream/upstream.h"
#include "libcommon/net/stream.h"

enum { PORT = 53 };

/* The names, from a place by lot on: of many not always the same are looked at. */
static void load_names(struct deleg *d, const struct cached *c, uint32_t lot)
{
	struct slice data = c->set.data, rdata;
	unsigned skip = c->set.n > DELEG_NAMES ? lot % (c->set.n - DELEG_NAMES + 1) : 0;
	for (unsigned i = 0; i < c->set.n && d->names < DELEG_NAMES && rrset_next(&data, &rdata);
	     i++) {
		if (i < skip)
			continue;
		struct deleg_name *n = &d->name[d->names++];
		memcpy(n->name, rdata.p, rdata.len);
		dns_name_lower(n->name);
	}
}

static bool same(const union address *a, const union address *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	return a->sa.sa_family == AF_INET
		   ? a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr
		   : IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr) != 0;
}

/* Nobody can be there whom strangers may have us ask. */
static bool forbidden(const union address *a, struct deleg_families f)
{
	if (a->sa.sa_family == AF_INET) {
		uint32_t ip = ntohl(a->v4.sin_addr.s_addr);
		return ip >> 24 == 0 || ip >> 29 == 7 || (ip >> 24 == 127 && !f.loopback);
	}
	const struct in6_addr *ip = &a->v6.sin6_addr;
	return IN6_IS_ADDR_UNSPECIFIED(ip) || IN6_IS_ADDR_MULTICAST(ip) ||
	       IN6_IS_ADDR_V4MAPPED(ip) || IN6_IS_ADDR_V4COMPAT(ip) ||
	       (IN6_IS_ADDR_LOOPBACK(ip) && !f.loopback);
}

static void add(struct deleg *d, unsigned name, uint16_t type, const uint8_t *rdata, size_t len,
		struct deleg_families f)
{
	struct deleg_server *s = &d->server[d->servers];
	if (d->servers == DELEG_SERVERS)
		return;
	*s = (struct deleg_server){.name = (uint8_t)name};
	if (type == DNS_A && len == 4 && f.v4) {
		s->to.v4.sin_family = AF_INET;
		s->to.v4.sin_port = htons(PORT);
		memcpy(&s->to.v4.sin_addr, rdata, 4);
	} else if (type == DNS_AAAA && len == 16 && f.v6) {
		s->to.v6.sin6_family = AF_INET6;
		s->to.v6.sin6_port = htons(PORT);
		memcpy(&s->to.v6.sin6_addr, rdata, 16);
	} else {
		return;
	}
	if (forbidden(&s->to, f))
		return;
	for (unsigned i = 0; i < d->servers; i++)
		if (same(&d->server[i].to, &s->to))
			return; /* two names of one server */
	d->servers++;
}

static void load_glue(struct deleg *d, struct slice records, struct deleg_families f)
{
	const uint8_t *p = (const uint8_t *)records.p, *end = records.len ? p + records.len : p;
	while (p < end) {
		const uint8_t *h = p + dns_name_len(p);
		uint16_t type = dns_u16(h), len = dns_u16(h + 8);
		for (unsigned i = 0; (type == DNS_A || type == DNS_AAAA) && i < d->names; i++) {
			if (!dns_name_eq(d->name[i].name, p))
				continue;
			add(d, i, type, h + 10, len, f);
			d->name[i].known = true;
		}
		p = h + 10 + len;
	}
}

static void begin(struct deleg *d, const uint8_t *zone)
{
	d->names = d->servers = d->lookups = 0;
	d->forward = NULL;
	d->own = false;
	memset(d->name, 0, sizeof(d->name));
	memcpy(d->zone, zone, dns_name_len(zone));
}

void deleg_load(struct deleg *d, const struct cached *c, struct deleg_families f, uint32_t lot)
{
	begin(d, c->set.owner);
	load_names(d, c, lot);
	load_glue(d, c->extra, f);
}

void deleg_load_forward(struct deleg *d, const struct forward *f)
{
	begin(d, f->zone);
	d->forward = f;
	memcpy(d->name[d->names++].name, f->zone, dns_name_len(f->zone));
	for (unsigned i = 0; i < f->n && d->servers < DELEG_SERVERS; i++) {
		struct deleg_server *s = &d->server[d->servers++];
		*s = (struct deleg_server){.tls = f->server[i].tls};
		memcpy(&s->to, &f->server[i].addr, sizeof(s->to));
	}
}

void deleg_load_own(struct deleg *d, const uint8_t *zone)
{
	begin(d, zone);
	d->own = true;
}

bool deleg_recursive(const struct deleg *d)
{
	return d->forward && !d->forward->stub;
}

void deleg_addresses(struct deleg *d, unsigned name, const struct rrset *set,
		     struct deleg_families f)
{
	struct slice data = set->data, rdata;
	for (unsigned i = 0; i < set->n && rrset_next(&data, &rdata); i++)
		add(d, name, set->type, (const uint8_t *)rdata.p, rdata.len, f);
	d->name[name].known = true;
}

int deleg_lookup(const struct deleg *d)
{
	if (d->lookups == DELEG_LOOKUPS)
		return -1;
	for (unsigned i = 0; i < d->names; i++)
		if (!d->name[i].known && !d->name[i].looked &&
		    !dns_name_under(d->name[i].name, d->zone))
			return (int)i;
	return -1;
}

int deleg_pick(const struct deleg *d, uint32_t lot)
{
	struct pick p[DELEG_SERVERS];
	for (unsigned i = 0; i < d->servers; i++) {
		const struct deleg_server *s = &d->server[i];
		p[i] = (struct pick){.expect = upstream_expect(&s->to.sa),
				     .tries = s->tries,
				     .busy = s->busy,
				     .bad = s->bad,
				     .lame = upstream_is_lame(&s->to.sa, d->zone)};
	}
	return pick_server(p, d->servers, lot);
}

const char *deleg_text(const struct deleg *d, unsigned server, char out[DELEG_TEXT])
{
	const struct deleg_server *s = &d->server[server];
	char name[DNS_NAME_TEXT], ip[INET6_ADDRSTRLEN];
	dns_name_text(name, d->name[s->name].name);
	stream_ip_text(&s->to.sa, ip);
	snprintf(out, DELEG_TEXT, "%s (%s)", name, ip);
	return out;
}
