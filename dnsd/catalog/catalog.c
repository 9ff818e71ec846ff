/* Catalogs at work: ours are compiled again when zones come or go; what others list are
 * secondaries here. */
#include <stdlib.h>
#include "dnsd/catalog/catalog_int.h"
#include "dnsd/secondary/secondary.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"

enum { GATHER_MS = 200 /* zones that come and go together */ };

static struct {
	struct catalog *catalog;
	size_t n;
	struct map *members, *wanted;
	struct timer ours, theirs;
	bool tells; /* a catalog is new: what it has that cannot be is logged */
} self;

const struct member *catalog_member(const uint8_t *zone)
{
	return map_get(self.members, zone, dns_name_len(zone));
}

void catalog_each(int (*fn)(const void *key, size_t len, void *member, void *arg), void *arg)
{
	map_each(self.members, fn, arg);
}

/* --- members come and go -----------------------------------------------------------------------
 */

static void member_add(const struct catalog *c, const struct catalog_entry *e)
{
	struct pool *pool = pool_new(0);
	struct member *m = pool_alloc(pool, sizeof(*m));
	char text[DNS_NAME_TEXT];
	size_t len = dns_name_len(e->zone);
	dns_name_text(text, e->zone);
	m->pool = pool;
	m->of = c;
	m->label = pool_dup(pool, e->label, dns_name_len(e->label));
	m->conf = (struct zone_conf){.name = pool_strdup(pool, text),
				     .wire = pool_dup(pool, e->zone, len),
				     .xfr = c->conf->xfr,
				     .dnssec = conf.dnssec, /* as the builder, who does not know
							     * of it, has it */
				     .primaries = c->conf->primaries,
				     .primaries_n = c->conf->primaries_n};
	map_set(self.members, e->zone, len, m);
	conf_zone_put(&m->conf);
	load_named(m->conf.wire);
	refresh_add(&m->conf);
}

static void member_free(struct member *m)
{
	struct pool *pool = m->pool;
	refresh_remove(m->conf.wire);
	map_del(self.members, m->conf.wire, dns_name_len(m->conf.wire));
	conf_zone_remove(&m->conf);
	load_named(m->conf.wire);
	pool_free(&pool);
}

/* --- what is wanted ----------------------------------------------------------------------------
 */

struct want {
	const struct catalog *of;
	const struct catalog_entry *entry;
};

static void say(enum log_level level, const char *event, const struct catalog *c,
		const uint8_t *zone, const char *why)
{
	char text[DNS_NAME_TEXT];
	dns_name_text(text, zone);
	log_event(level, NULL, event, LS("catalog", c->conf->name), LS("zone", text),
		  LS("reason", why));
}

/* NULL, or why the zone cannot be a member. */
static const char *clash(const uint8_t *zone)
{
	const struct served *s = load_find(zone);
	if (!catalog_member(zone) && conf_zone(zone)->name)
		return "dnsd.conf has it";
	return s && s->id && !s->secondary ? "it is edited here" : NULL;
}

static bool gives(const struct want *w, const struct catalog *to)
{
	return w->entry->coo && dns_name_eq(w->entry->coo, to->conf->wire);
}

/* Of two catalogs that list it: who has it keeps it, unless it says that the other one may have it
 * (RFC 9432 4.3.1). */
static bool takes_over(const struct want *old, const struct want *new)
{
	const struct member *m = catalog_member(old->entry->zone);
	const struct catalog *owner = m ? m->of : book_owner(old->entry->zone);
	return owner == old->of ? gives(old, new->of) : owner == new->of && !gives(new, old->of);
}

static void want(const struct catalog *c, const struct catalog_entry *e)
{
	size_t len = dns_name_len(e->zone);
	const char *why = clash(e->zone);
	const struct want this = {.of = c, .entry = e};
	struct want *there = map_get(self.wanted, e->zone, len);
	if (!there && !why) {
		there = mem_alloc(sizeof(*there));
		*there = this;
		map_set(self.wanted, e->zone, len, there);
		return;
	}
	if (!why && there->of != c && takes_over(there, &this)) {
		*there = this;
		return;
	}
	if (!why)
		why = there->of == c ? "it is there twice" : there->of->conf->name;
	if (self.tells)
		say(LOG_LV_WARN, "catalog-clash", c, e->zone, why);
}

struct leaving {
	struct member **member;
	size_t n;
};

/* Also those that come again, of another catalog or by another label. */
static int leaves(const void *key, size_t len, void *value, void *arg)
{
	const struct want *w = map_get(self.wanted, key, len);
	struct leaving *l = arg;
	struct member *m = value;
	if (!w || w->of != m->of || !dns_name_eq(w->entry->label, m->label))
		l->member[l->n++] = m;
	return 0;
}

static void leave(void)
{
	struct leaving l = {mem_alloc((map_count(self.members) + 1) * sizeof(struct member *)), 0};
	map_each(self.members, leaves, &l);
	for (size_t i = 0; i < l.n; i++) {
		struct member *m = l.member[i];
		const struct catalog *of = m->of;
		uint8_t zone[DNS_NAME_MAX];
		size_t len = dns_name_len(m->conf.wire);
		memcpy(zone, m->conf.wire, len);
		member_free(m);
		if (!map_get(self.wanted, zone, len))
			say(LOG_LV_INFO, "member-gone", of, zone, NULL);
	}
	free(l.member);
}

static int enter(const void *key, size_t len, void *value, void *arg)
{
	struct want *w = value;
	(void)arg;
	if (!map_get(self.members, key, len)) {
		say(LOG_LV_INFO, "member", w->of, w->entry->zone, NULL);
		member_add(w->of, w->entry);
	}
	free(w);
	return 0;
}

static void settle(void)
{
	self.wanted = map_new();
	for (size_t i = 0; i < self.n; i++)
		for (size_t k = 0; k < self.catalog[i].list.n; k++)
			want(&self.catalog[i], &self.catalog[i].list.entry[k]);
	leave();
	map_each(self.wanted, enter, NULL);
	map_free(&self.wanted);
	self.tells = false;
	load_named_all();
	book_look();
}

bool catalogs_known(void)
{
	for (size_t i = 0; i < self.n; i++)
		if (!self.catalog[i].known)
			return false;
	return true;
}

static void on_theirs(struct timer *t)
{
	(void)t;
	settle();
}

static void settle_soon(void)
{
	if (self.n && !timer_is_set(&self.theirs))
		timer_set(&self.theirs, GATHER_MS, on_theirs);
}

/* --- what catalogs say -------------------------------------------------------------------------
 */

/* What cannot be used changes nothing. */
static void look(struct catalog *c, const struct image *image)
{
	struct catalog_list list;
	const char *why = catalog_read(image, &list);
	if (why) {
		log_event(LOG_LV_ERROR, NULL, "catalog-broken", LS("catalog", c->conf->name),
			  LU("serial", image_serial(image)), LS("reason", why));
		return;
	}
	catalog_list_free(&c->list);
	c->list = list;
	c->known = true;
	self.tells = true;
	settle_soon();
}

static void on_changed(unsigned zone, uint32_t before, uint32_t serial)
{
	const struct served *s = load_zone(zone);
	(void)before;
	(void)serial;
	for (size_t i = 0; s && s->image && i < self.n; i++)
		if (self.catalog[i].conf == s->conf)
			look(&self.catalog[i], s->image);
}

/* --- ours ----------------------------------------------------------------------------------------
 */

static void compile_ours(struct timer *t)
{
	(void)t;
	for (unsigned i = 0; i < load_end(); i++) {
		const struct served *s = load_zone(i);
		if (s && s->conf->catalog == CATALOG_OURS)
			load_again(i, false);
	}
}

/* One that is edited here no longer can be theirs. */
static void on_zones(void)
{
	if (!timer_is_set(&self.ours))
		timer_set(&self.ours, GATHER_MS, compile_ours);
	settle_soon();
}

/* --- the start -----------------------------------------------------------------------------------
 */

static void start_theirs(int state)
{
	struct zone_conf *z;
	for (size_t i = 0; (z = conf_catalog_at(i)); i++) {
		if (z->catalog != CATALOG_THEIRS)
			continue;
		const struct served *s = load_find(z->wire);
		self.catalog = mem_realloc(self.catalog, (self.n + 1) * sizeof(*self.catalog));
		self.catalog[self.n++] = (struct catalog){.conf = z, .image_name = s->image_name};
	}
	if (!self.n)
		return;
	book_start(state, self.catalog, self.n);
	for (size_t i = 0; i < self.n; i++) {
		const struct served *s = load_find(self.catalog[i].conf->wire);
		if (s->image)
			look(&self.catalog[i], s->image);
	}
	load_changed(on_changed);
	settle();
}

void catalog_start(int state)
{
	if (!conf_catalog_at(0))
		return;
	self.members = map_new();
	start_theirs(state);
	load_watch(on_zones);
}
