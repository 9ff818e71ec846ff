/* Who may change what of a zone by dynamic update. */
#include "dnsd/update/update.h"
#include "libcommon/dns/rdata.h"

#define F(field) offsetof(struct update_conf, field)

enum { TYPE_CDS = 59, TYPE_CDNSKEY = 60, TYPE_NSEC3PARAM = 51, TYPE_ZONEMD = 63 };

const struct conf_directive conf_update_table[] = {
    {.name = "key",
     .type = CONF_STRING,
     .offset = F(key),
     .help = "Updates that this key has signed."},
    {.name = "clients",
     .type = CONF_NET,
     .offset = F(clients),
     .flags = CONF_MULTI,
     .help = "Updates from these networks.\nWith a key, both must hold.\nWithout one, whoever can "
	     "send packets that bear such an address can change the zone."},
    {.name = "names",
     .type = CONF_WORDS,
     .offset = F(names_given),
     .flags = CONF_MULTI,
     .help = "The names whose records may be changed: host.example.org, that name; "
	     "*.dyn.example.org, what is below dyn.example.org; self, the name that the key has.\n"
	     "All of the zone, unless given."},
    {.name = "types",
     .type = CONF_WORDS,
     .offset = F(types_given),
     .flags = CONF_MULTI,
     .help = "The types that may be changed; ANY: all.\nUnless ANY stands here or nothing, all "
	     "records of a name cannot be "
	     "deleted at once.\nUnless given, all but those of the zone itself: SOA, NS, DNSKEY, "
	     "CDS, CDNSKEY, NSEC3PARAM and ZONEMD at its own name."},
    {0}};

/* --- what it says ----------------------------------------------------------------------------- */

static size_t words(const struct conf_list *l)
{
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++)
		n += ((const struct conf_words *)l->item[i])->n;
	return n;
}

static const char *read_name(struct pool *pool, const struct update_conf *u, const char *text,
			     const uint8_t *zone, struct update_name *out)
{
	uint8_t wire[DNS_NAME_MAX];
	out->self = strcmp(text, "self") == 0;
	if (out->self)
		return u->key ? NULL : "self is the name of a key: give one";
	out->below = strncmp(text, "*.", 2) == 0;
	size_t len = dns_name_from_text(slice_of(text + (out->below ? 2 : 0)), wire);
	if (!len)
		return "is not a domain name";
	dns_name_lower(wire);
	out->wire = pool_dup(pool, wire, len);
	return dns_name_under(wire, zone) ? NULL : "is not in the zone";
}

static void read_names(struct conf_errors *e, struct pool *pool, struct update_conf *u,
		       const uint8_t *zone)
{
	const struct conf_list *l = &u->names_given;
	u->names = pool_alloc(pool, (words(l) + 1) * sizeof(*u->names));
	for (size_t i = 0; i < l->n; i++) {
		const struct conf_words *w = l->item[i];
		for (size_t k = 0; k < w->n; k++) {
			const char *why =
			    read_name(pool, u, w->w[k], zone, &u->names[u->names_n++]);
			if (why)
				conf_error(e, &w->where, "update: names: %s: %s", w->w[k], why);
		}
	}
}

static void read_types(struct conf_errors *e, struct pool *pool, struct update_conf *u)
{
	const struct conf_list *l = &u->types_given;
	u->types = pool_alloc(pool, (words(l) + 1) * sizeof(*u->types));
	for (size_t i = 0; i < l->n; i++) {
		const struct conf_words *w = l->item[i];
		for (size_t k = 0; k < w->n; k++) {
			uint16_t type = dns_type_from_text(slice_of(w->w[k]));
			if (!type || (dns_type_is_meta(type) && type != DNS_ANY))
				conf_error(e, &w->where, "update: types: no zone has records of %s",
					   w->w[k]);
			u->types[u->types_n++] = type;
		}
	}
}

void conf_update_verify(struct conf_errors *e, struct pool *pool, const struct conf_list *updates,
			const uint8_t *zone)
{
	for (size_t i = 0; i < updates->n; i++) {
		struct update_conf *u = updates->item[i];
		const struct conf_where *at = &u->block.where;
		if (!u->key && !u->clients.n)
			conf_error(e, at, "update: by whom? Give a key");
		u->signer = u->key ? conf_key(u->key) : NULL;
		if (u->key && !u->signer)
			conf_error(e, at, "update: there is no key %s", u->key);
		read_names(e, pool, u, zone);
		read_types(e, pool, u);
	}
}

/* --- what it allows --------------------------------------------------------------------------- */

static bool is_about(const struct update_conf *u, const struct update_who *who)
{
	return (!u->key || (u->signer && u->signer == who->key)) &&
	       (!u->clients.n || conf_has(&u->clients, who->client));
}

static bool has_name(const struct update_conf *u, const uint8_t *name)
{
	for (size_t i = 0; i < u->names_n; i++) {
		const struct update_name *n = &u->names[i];
		const uint8_t *wire = n->self ? u->signer->name : n->wire;
		bool same = dns_name_eq(name, wire);
		if (n->below ? dns_name_under(name, wire) && !same : same)
			return true;
	}
	return u->names_n == 0;
}

/* Types that the zone itself has at its own name. */
static bool is_zones(uint16_t type)
{
	return type == DNS_SOA || type == DNS_NS || type == DNS_DNSKEY || type == TYPE_CDS ||
	       type == TYPE_CDNSKEY || type == TYPE_NSEC3PARAM || type == TYPE_ZONEMD;
}

static bool has_type(const struct update_conf *u, const uint8_t *zone, const uint8_t *name,
		     uint16_t type)
{
	for (size_t i = 0; i < u->types_n; i++)
		if (u->types[i] == type || u->types[i] == DNS_ANY)
			return true;
	return u->types_n == 0 && !(is_zones(type) && dns_name_eq(name, zone)) &&
	       !(type == DNS_ANY && dns_name_eq(name, zone));
}

bool conf_update_known(const struct conf_list *updates, const struct update_who *who)
{
	for (size_t i = 0; i < updates->n; i++)
		if (is_about(updates->item[i], who))
			return true;
	return false;
}

bool conf_update_may(const struct conf_list *updates, const struct update_who *who,
		     const uint8_t *zone, const uint8_t *name, uint16_t type)
{
	for (size_t i = 0; i < updates->n; i++) {
		const struct update_conf *u = updates->item[i];
		if (is_about(u, who) && has_name(u, name) && has_type(u, zone, name, type))
			return true;
	}
	return false;
}
