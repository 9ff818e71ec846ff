/* The catalogs of dnsd.conf: blocks of their own, and those that `secondary` lines name. */
#include "dnsd/catalog/catalog.h"
#include "dnsd/secondary/secondary.h"
#include "libcommon/base/mem.h"

enum { BELOW = 16 + 1 + 5 + 1 /* octets of a member's own labels (source_catalog.c) */ };

const struct conf_directive conf_catalog_table[] = {
    CONF_XFR(offsetof(struct zone_conf, xfr)),
    {.name = "primary",
     .type = CONF_WORDS,
     .offset = offsetof(struct zone_conf, primary),
     .flags = CONF_MULTI,
     .arg = "ADDRESS [port N] [key NAME] [tls NAME]",
     .help = "Likewise, where there are several."},
    {0}};

static struct zone_conf **all;
static size_t all_n;

struct zone_conf *conf_catalog_at(size_t i)
{
	return i < all_n ? all[i] : NULL;
}

static struct zone_conf *find(const uint8_t *wire)
{
	for (size_t i = 0; i < all_n; i++)
		if (all[i]->wire && dns_name_eq(all[i]->wire, wire))
			return all[i];
	return NULL;
}

static bool set_name(struct conf_errors *e, const struct conf_where *at, struct pool *pool,
		     struct zone_conf *z, const char *name)
{
	uint8_t wire[DNS_NAME_MAX];
	size_t len = dns_name_from_text(slice_of(name), wire);
	z->name = name;
	if (!len || len > DNS_NAME_MAX - BELOW) {
		conf_error(e, at, "catalog: \"%s\" is not a name that a catalog may have", name);
		return false;
	}
	dns_name_lower(wire);
	z->wire = pool_dup(pool, wire, len);
	return true;
}

/* catalog NAME [from ADDRESS ...] */
static void verify(struct conf_errors *e, struct pool *pool, struct zone_conf *z)
{
	const struct conf_words *w = &z->block.args;
	bool from = w->n >= 3 && strcmp(w->w[1], "from") == 0;
	all[all_n++] = z;
	if (!w->n || !set_name(e, &z->block.where, pool, z, w->w[0]))
		return;
	conf_primaries_verify(e, z, from ? 2 : 0, pool);
	if (w->n != 1 && !from)
		conf_error(e, &z->block.where,
			   "catalog %s: only `from ADDRESS` may follow the name", z->name);
}

/* The secondary gets the catalog that its line names, which needs no block. */
static void add_secondary(struct conf_errors *e, struct pool *pool, const struct xfr_peer *p)
{
	struct zone_conf named = {0};
	if (!set_name(e, &p->words->where, pool, &named, p->catalog))
		return;
	struct zone_conf *z = find(named.wire);
	if (!z) {
		z = pool_dup(pool, &named, sizeof(named));
		z->block.where = p->words->where;
		all[all_n++] = z;
	}
	struct conf_list *l = &z->xfr.secondary;
	void **item = pool_alloc(pool, (l->n + 1) * sizeof(*item));
	for (size_t i = 0; i < l->n; i++)
		item[i] = l->item[i];
	item[l->n] = (void *)(uintptr_t)p->words;
	*l = (struct conf_list){.item = item, .n = l->n + 1};
}

void conf_catalogs_verify(struct conf_errors *e, struct pool *pool)
{
	const struct xfr_peers *may = &conf.xfr.may;
	all = pool_alloc(pool, (conf.catalogs.n + may->n + 1) * sizeof(struct zone_conf *));
	all_n = 0;
	for (size_t i = 0; i < conf.catalogs.n; i++)
		verify(e, pool, conf.catalogs.item[i]);
	for (size_t i = 0; i < may->n; i++)
		if (may->peer[i].catalog)
			add_secondary(e, pool, &may->peer[i]);
	for (size_t i = 0; i < all_n; i++) {
		all[i]->catalog = all[i]->primaries_n ? CATALOG_THEIRS : CATALOG_OURS;
		conf_xfr_verify(e, pool, &all[i]->xfr);
	}
}
