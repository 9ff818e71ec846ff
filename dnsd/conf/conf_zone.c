/* The zone blocks of dnsd.conf. */
#include "dnsd/catalog/catalog.h"
#include "dnsd/secondary/secondary.h"
#include "dnsd/update/update.h"
#include "libcommon/base/map.h"
#include "libcommon/net/stream.h"

const struct conf_directive conf_zone_table[] = {
    {.name = "file",
     .type = CONF_PATH,
     .offset = offsetof(struct zone_conf, file),
     .help = "The zone's text (RFC 1035), read when it is newer than what was compiled of it."},
    CONF_XFR(offsetof(struct zone_conf, xfr)),
    {.name = "primary",
     .type = CONF_WORDS,
     .offset = offsetof(struct zone_conf, primary),
     .flags = CONF_MULTI,
     .arg = "ADDRESS [port N] [key NAME] [tls NAME]",
     .help =
	 "The zone is a secondary: it is transferred from this server, or from the next one "
	 "where that is of no use.\nkey: requests are signed, and responses have to be (TSIG).\n"
	 "tls: by TLS (RFC 9103, port 853) from a server that has a certificate for the name.\n"
	 "What is transferred is kept in the store."},
    {.name = "forward-updates",
     .type = CONF_BOOL,
     .offset = offsetof(struct zone_conf, forward),
     .def = "off",
     .help = "Of a secondary: dynamic updates (RFC 2136) that are signed are passed on to its "
	     "primary as they are, which decides."},
    {.name = "update",
     .type = CONF_BLOCK,
     .offset = offsetof(struct zone_conf, updates),
     .flags = CONF_MULTI,
     .block = conf_update_table,
     .block_size = sizeof(struct update_conf),
     .help = "Dynamic updates (RFC 2136) of a zone in the store that are allowed; several blocks "
	     "allow together.\nNone is, unless given."},
    {.name = "dnssec",
     .type = CONF_BLOCK,
     .offset = offsetof(struct zone_conf, dnssec),
     .flags = CONF_ARGS | CONF_OPTBLK,
     .block = conf_dnssec_table,
     .block_size = sizeof(struct dnssec_conf),
     .arg = "on|off",
     .help = "Whether this zone is signed; what is not said here is as in dnssec outside."},
    {.name = "catalog",
     .type = CONF_BOOL,
     .offset = offsetof(struct zone_conf, listed),
     .def = "on",
     .help = "The zone is listed in the catalogs that are made here."},
    {0}};

static struct zone_conf without_block; /* of a zone of the store that has none */
static struct map **by_name;           /* by view */
static size_t maps;
static struct zone_conf **all;
static size_t all_n;

static bool wire_of(struct pool *pool, struct zone_conf *z)
{
	uint8_t name[DNS_NAME_MAX];
	size_t len = dns_name_from_text(slice_of(z->name), name);
	if (!len)
		return false;
	dns_name_lower(name);
	z->wire = pool_dup(pool, name, len);
	return true;
}

static bool has_word(const struct conf_words *w, const char *word)
{
	return w->n >= 3 && strcmp(w->w[1], word) == 0;
}

/* zone NAME [file PATH | from ADDRESS ...] */
static void zone_verify(struct conf_errors *e, struct pool *pool, struct zone_conf *z)
{
	const struct conf_words *w = &z->block.args;
	const struct conf_where *at = &z->block.where;
	z->name = w->n ? w->w[0] : "";
	if (!w->n || !wire_of(pool, z)) {
		conf_error(e, at, "zone: \"%s\" is not a domain name", z->name);
		return;
	}
	z->text = z->file;
	bool in_line = w->n == 3 && has_word(w, "file") && !z->file, from = has_word(w, "from");
	if (in_line)
		z->text = conf_path(pool, at, w->w[2]);
	conf_primaries_verify(e, z, from ? 2 : 0, pool);
	if (w->n != 1 && !in_line && !from)
		conf_error(e, at,
			   "zone %s: only `file PATH` or `from ADDRESS` may follow the name, once",
			   z->name);
	else if (z->text && (from || z->primary.n))
		conf_error(e, at, "zone %s: it has a file and a primary", z->name);
	else if (z->text && strstr(z->text, "/../"))
		conf_error(e, at, "zone %s: %s: give the path without `..`", z->name, z->text);
	else if (!z->text && z->view)
		conf_error(e, at, "zone %s: a zone of a view is from a file: give it", z->name);
	else if (!z->text && !from && !z->primary.n && !conf.store)
		conf_error(e, at, "zone %s: where is it from? Give its file", z->name);
	if (z->text && z->updates.n)
		conf_error(e, at, "zone %s: its file says what it is: no update can change it",
			   z->name);
	if (z->primaries_n && z->updates.n)
		conf_error(e, at, "zone %s: a secondary is updated at its primary", z->name);
	if (z->forward && !z->primaries_n)
		conf_error(e, at, "zone %s: forward-updates: it has no primary", z->name);
	conf_update_verify(e, pool, &z->updates, z->wire);
}

static void take(struct conf_errors *e, struct zone_conf *z)
{
	all[all_n++] = z;
	if (z->wire && map_set(by_name[z->view], z->wire, dns_name_len(z->wire), z))
		conf_error(e, &z->block.where, "zone %s: is there twice", z->name);
}

/* A catalog lists all zones: it is not for one of them. */
static void no_catalog(struct conf_errors *e, const struct zone_conf *z)
{
	for (size_t i = 0; i < z->xfr.may.n; i++)
		if (z->xfr.may.peer[i].catalog)
			conf_error(e, &z->block.where,
				   "zone %s: a secondary gets a catalog by a line outside of "
				   "blocks",
				   z->name);
}

/* A secondary gets the zone as it sees it. */
static void see_it(struct conf_errors *e, const struct zone_conf *z)
{
	char text[INET6_ADDRSTRLEN];
	for (size_t i = 0; z->view && i < z->xfr.told.n; i++) {
		const struct sockaddr *to = (const struct sockaddr *)&z->xfr.told.peer[i].net.sa;
		if (conf_view_of(to) == z->view)
			continue;
		stream_ip_text(to, text);
		conf_error(e, &z->block.where, "zone %s: %s is no client of view %s", z->name, text,
			   conf_view_name(z->view));
	}
}

static void dnssec_verify(struct conf_errors *e, struct zone_conf *z)
{
	char what[DNS_NAME_TEXT];
	str_fmt(what, sizeof(what), "zone %s: ", z->name);
	bool own = z->dnssec.block.present;
	conf_dnssec_inherit(&z->dnssec);
	if (own)
		conf_dnssec_verify(e, &z->dnssec, what);
	if (own && z->dnssec.on && z->primaries_n)
		conf_error(e, &z->dnssec.block.where, "%sa secondary is signed by its primary",
			   what);
	if (z->primaries_n)
		z->dnssec.on = false;
}

static void zones_verify(struct conf_errors *e, struct pool *pool, unsigned view,
			 const struct conf_list *zones)
{
	for (size_t i = 0; i < zones->n; i++) {
		struct zone_conf *z = zones->item[i];
		z->view = view;
		zone_verify(e, pool, z);
		conf_xfr_verify(e, pool, &z->xfr);
		dnssec_verify(e, z);
		see_it(e, z);
		no_catalog(e, z);
		take(e, z);
	}
}

void conf_zones_verify(struct conf_errors *e, struct pool *pool)
{
	struct zone_conf *z;
	size_t n = conf.zones.n;
	without_block = (struct zone_conf){.listed = true, .dnssec = conf.dnssec};
	for (size_t i = 0; i < maps; i++)
		map_free(&by_name[i]);
	maps = conf.views.n + 1;
	by_name = pool_alloc(pool, maps * sizeof(struct map *));
	for (size_t i = 0; i < maps; i++)
		by_name[i] = map_new();
	for (size_t i = 0; i < conf.views.n; i++)
		n += ((const struct view_conf *)conf.views.item[i])->zones.n;
	conf_catalogs_verify(e, pool);
	for (size_t i = 0; conf_catalog_at(i); i++)
		n++;
	all = pool_alloc(pool, (n + 1) * sizeof(struct zone_conf *));
	all_n = 0;
	zones_verify(e, pool, 0, &conf.zones);
	for (unsigned i = 0; i < conf.views.n; i++)
		zones_verify(e, pool, i + 1,
			     &((const struct view_conf *)conf.views.item[i])->zones);
	for (size_t i = 0; (z = conf_catalog_at(i)); i++)
		take(e, z);
}

const struct zone_conf *conf_zone_in(unsigned view, const uint8_t *wire)
{
	const struct zone_conf *z =
	    view < maps ? map_get(by_name[view], wire, dns_name_len(wire)) : NULL;
	return z ? z : &without_block;
}

const struct zone_conf *conf_zone(const uint8_t *wire)
{
	return conf_zone_in(0, wire);
}

void conf_zone_put(struct zone_conf *z)
{
	map_set(by_name[0], z->wire, dns_name_len(z->wire), z);
}

void conf_zone_remove(const struct zone_conf *z)
{
	map_del(by_name[0], z->wire, dns_name_len(z->wire));
}

const struct zone_conf *conf_zone_at(size_t i)
{
	return i < all_n ? all[i] : NULL;
}

bool conf_uses_store(void)
{
	return conf.store || conf_has_secondaries(false);
}
