/* Zones of the store as a source, in the builder: a blocking client of its own. */
#include "dnsd/dnsd.h"
#include "dnsd/image/image_patch.h"
#include "libcommon/base/list.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/zonechunk.h"
#include "libcommon/ipc/peer.h"

enum {
	ASK_MS = 30000,
	TRIES = 2,         /* a connection may have broken long ago */
	READ_TRIES = 5,    /* of a zone whose changes while it is read the store does not know */
	CATCH_TRIES = 100, /* to read what changed; this takes a moment */
	NAMES_MAX = 10000, /* that changed; if more have, it is read anew */
	PIECES = 16 << 10  /* of one portion of chunks */
};

struct store_link {
	char *path;
	struct peer_sync *sync; /* NULL: to be opened */
	char why[200];
	bool away;
	bool not_found; /* that was why the last question failed */
};

struct store_link *store_link_new(const char *path)
{
	struct store_link *l = mem_alloc(sizeof(*l));
	l->path = mem_strdup(path);
	return l;
}

void store_link_away(struct store_link *l, bool away)
{
	l->away = away;
}

/* The answer, in pool; NULL with l->why. */
static const void *ask(struct store_link *l, struct pool *pool, enum msg_type t, const void *msg,
		       enum msg_type want)
{
	enum ipc_err e = ERR_LOST;
	l->not_found = false;
	if (l->away) {
		str_fmt(l->why, sizeof(l->why), "the store is away");
		return NULL;
	}
	for (int i = 0; i < TRIES && e == ERR_LOST; i++) {
		const char *no = NULL;
		enum msg_type type;
		struct slice text;
		if (!l->sync)
			l->sync = peer_sync_open(l->path, ROLE_DNSD, ASK_MS, &no);
		if (!l->sync) {
			str_fmt(l->why, sizeof(l->why), "%s", no);
			return NULL;
		}
		const void *m = peer_sync_call(l->sync, pool, t, msg, &type, NULL);
		if (type == want)
			return m;
		text = SLICE("an answer that is none");
		e = peer_error(type, m, &text);
		l->not_found = e == ERR_NOTFOUND;
		str_fmt(l->why, sizeof(l->why), "%.*s", SLICE_FMT(text));
		if (e == ERR_LOST || e == ERR_TEMP)
			peer_sync_close(&l->sync);
	}
	return NULL;
}

static struct slice name_of(const struct compile *c)
{
	return (struct slice){(const char *)c->zone, dns_name_len(c->zone)};
}

uint64_t store_version_of(const struct row_zone *z)
{
	return z->changed_ms << 16 | (z->serial & 0xffff);
}

bool store_version(struct compile *c, struct image_origin *out, const char **why)
{
	struct pool *pool = pool_new(0);
	const struct msg_zone_read m = {name_of(c), SLICE(""), 0};
	const struct msg_zone_chunks *r = ask(c->store, pool, MSG_zone_read, &m, MSG_zone_chunks);
	bool ok = r && r->zone_n == 1;
	c->gone = !r && c->store->not_found;
	*why = r ? "an answer that is none" : c->store->why;
	if (ok) {
		*out =
		    (struct image_origin){.id = r->zone->id, .version = store_version_of(r->zone)};
		c->secondary = r->zone->source == ZONE_SECONDARY;
	}
	pool_free(&pool);
	return ok;
}

bool store_rows(struct store_link *l, store_row_fn *fn, void *arg, const char **why)
{
	struct msg_zone_list m = {0};
	uint32_t n = 1;
	while (n) {
		struct pool *pool = pool_new(0);
		const struct msg_zones *z = ask(l, pool, MSG_zone_list, &m, MSG_zones);
		n = z ? z->zones_n : 0;
		for (uint32_t i = 0; i < n; i++)
			fn(arg, &z->zones[i]);
		if (n)
			m.after = z->zones[n - 1].id;
		pool_free(&pool);
		if (!z) {
			*why = l->why;
			return false;
		}
	}
	return true;
}

/* --- all chunks ------------------------------------------------------------------------------- */

struct portion {
	struct list link;
	struct pool *pool;
	uint8_t owner[DNS_NAME_MAX]; /* of a name that changed: only its records count */
	const struct msg_zone_chunks *chunks;
};

/* A zone may change while it is read. What was read before is not read again then, but the names
 * that have changed since are, and of them the last records count. */
struct version {
	uint64_t id, version;
	uint32_t serial;
};
struct reading {
	struct compile *c;
	struct list whole;      /* portions of the whole zone, in which it may have been changing */
	struct list after;      /* the names that have changed, as they are now */
	struct map *names;      /* these names */
	struct version version; /* of what was read last */
	uint64_t records;       /* of the zone, likewise */
	size_t most;            /* names that may have changed */
};

static struct version version_of(const struct row_zone *z)
{
	return (struct version){z->id, store_version_of(z), z->serial};
}

static bool same(const struct version *a, const struct version *b)
{
	return a->id == b->id && a->version == b->version && a->serial == b->serial;
}

static void drop(struct list *portions)
{
	while (!list_empty(portions)) {
		struct portion *p = list_entry(list_pop(portions), struct portion, link);
		struct pool *pool = p->pool;
		pool_free(&pool);
	}
}

/* Reads a portion from the key on, which goes to the list. NULL: it failed, and *why. */
static const struct msg_zone_chunks *get(struct reading *r, struct list *list, struct slice from,
					 uint32_t max, struct portion **out)
{
	struct pool *pool = pool_new(PIECES);
	struct portion *p = pool_alloc(pool, sizeof(*p));
	const struct msg_zone_read m = {name_of(r->c), from, max};
	p->pool = pool;
	p->chunks = ask(r->c->store, pool, MSG_zone_read, &m, MSG_zone_chunks);
	list_add_tail(list, &p->link);
	if (p->chunks && p->chunks->zone_n != 1) {
		str_fmt(r->c->store->why, sizeof(r->c->store->why), "an answer that is none");
		return NULL;
	}
	if (out)
		*out = p;
	return p->chunks;
}

/* All portions. *began: the version that the first one was of; r->version: the last one's. */
static bool fetch(struct reading *r, struct version *began)
{
	const struct msg_zone_chunks *m = NULL;
	struct slice from = SLICE("");
	do {
		bool first = m == NULL;
		m = get(r, &r->whole, from, UINT32_MAX, NULL);
		if (!m)
			return false;
		r->version = version_of(m->zone);
		if (first)
			*began = r->version;
		from = m->next;
	} while (m->more);
	return true;
}

/* --- what changed meanwhile ------------------------------------------------------------------- */

static void note_names(struct reading *r, struct slice chunk)
{
	struct zone_chunk_in in;
	struct zone_rr rr;
	uint8_t name[DNS_NAME_MAX];
	zone_chunk_open(&in, chunk);
	while (zone_chunk_next(&in, &rr)) {
		size_t len = dns_name_len(rr.owner);
		memcpy(name, rr.owner, len);
		dns_name_lower(name);
		map_set(r->names, name, len, r);
	}
}

/* Notes the names that changed since *serial, which becomes the present one. False: the store does
 * not know. */
static bool note_changes(struct reading *r, uint32_t *serial)
{
	struct pool *pool = pool_new(0);
	const struct msg_zone_steps *m;
	bool ok;
	do {
		const struct msg_zone_changes ask_for = {name_of(r->c), *serial};
		pool_clear(pool);
		m = ask(r->c->store, pool, MSG_zone_changes, &ask_for, MSG_zone_steps);
		ok = m && (m->steps_n || m->serial == *serial);
		for (uint32_t i = 0; ok && i < m->steps_n; i++) {
			note_names(r, m->steps[i].deleted);
			note_names(r, m->steps[i].added);
			*serial = m->steps[i].after;
		}
	} while (ok && m->serial != *serial && map_count(r->names) <= r->most);
	pool_free(&pool);
	return ok && map_count(r->names) <= r->most;
}

/* Not 0: it is of another version, or failed. */
static int read_name(const void *key, size_t len, void *value, void *arg)
{
	struct reading *r = value;
	struct portion *p;
	uint8_t place[ZONE_KEY_MAX];
	struct slice from = {(const char *)place, zone_key(key, dns_name_len(r->c->zone), place)};
	const struct msg_zone_chunks *m = get(r, &r->after, from, 1, &p);
	(void)arg;
	if (!m)
		return 1;
	const struct version v = version_of(m->zone);
	if (!r->version.version)
		r->version.version = v.version;
	if (!same(&v, &r->version))
		return 1;
	memcpy(p->owner, key, len);
	r->records = m->zone->records;
	return 0;
}

/* Reads all names that have changed since a serial. False: nobody knows, or there is no end. */
static bool read_names(struct reading *r, uint64_t id, uint32_t serial)
{
	for (int i = 0; i < CATCH_TRIES; i++) {
		if (!note_changes(r, &serial))
			return false;
		drop(&r->after);
		r->version = (struct version){.id = id, .serial = serial};
		if (map_each(r->names, read_name, NULL) == 0)
			return true;
	}
	return false;
}

/* From the version that the reading began with to one of all names that changed since. */
static bool catch_up(struct reading *r, const struct version *began)
{
	/* Another zone, maybe with the same serial: no change leads to it. */
	if (began->id != r->version.id || began->serial == r->version.serial)
		return false;
	return read_names(r, began->id, began->serial);
}

/* --- the records ------------------------------------------------------------------------------ */

/* What of a chunk counts: all but the names that are in `but`, or `only` one. */
static bool add_chunk(struct reading *r, struct image_maker *m, struct slice data,
		      const struct map *but, const uint8_t *only)
{
	struct zone_chunk_in in;
	struct zone_rr rr;
	const char *why;
	uint8_t lower[DNS_NAME_MAX];
	bool some = but && map_count(but);
	zone_chunk_open(&in, data);
	while (zone_chunk_next(&in, &rr)) {
		size_t len = dns_name_len(rr.owner);
		if (some) {
			memcpy(lower, rr.owner, len);
			dns_name_lower(lower);
		}
		if ((some && map_get(but, lower, len)) || (only && !dns_name_eq(rr.owner, only)) ||
		    image_add(m, rr.owner, rr.type, rr.ttl, rr.rdata, rr.rdlen, &why))
			continue;
		compile_failed(r->c, "store", why);
		return false;
	}
	if (in.bad)
		compile_failed(r->c, "store", "a chunk cannot be read");
	return !in.bad;
}

/* Each portion's memory goes as it was taken in. */
static bool add_all(struct reading *r, struct image_maker *m, struct list *list, bool whole)
{
	bool ok = true;
	while (ok && !list_empty(list)) {
		struct portion *p = list_entry(list_pop(list), struct portion, link);
		struct pool *pool = p->pool;
		for (uint32_t i = 0; i < p->chunks->chunks_n && ok; i++)
			ok = add_chunk(r, m, p->chunks->chunks[i].data, whole ? r->names : NULL,
				       whole ? NULL : p->owner);
		pool_free(&pool);
	}
	return ok;
}

bool store_read(struct compile *c, struct image_maker *m, struct image_origin *origin)
{
	struct reading r = {.c = c, .names = map_new(), .most = NAMES_MAX};
	struct version began = {0};
	bool ok = true, whole = false;
	list_init(&r.whole);
	list_init(&r.after);
	for (int i = 0; i < READ_TRIES && ok && !whole; i++) {
		drop(&r.whole);
		drop(&r.after);
		map_free(&r.names);
		r.names = map_new();
		ok = fetch(&r, &began);
		whole = ok && (same(&began, &r.version) || catch_up(&r, &began));
	}
	if (!whole)
		compile_failed(c, "store", ok ? "the zone changes all the time" : c->store->why);
	ok = whole && add_all(&r, m, &r.whole, true) && add_all(&r, m, &r.after, false);
	origin->id = r.version.id;
	origin->version = r.version.version;
	drop(&r.whole);
	drop(&r.after);
	map_free(&r.names);
	return ok;
}

/* --- what changed since an image ---------------------------------------------------------------
 */

static int name_changed(const void *key, size_t len, void *value, void *arg)
{
	(void)len;
	(void)value;
	return !image_patch_name(arg, key);
}

bool store_changes(struct compile *c, struct image_maker *m, const struct image_origin *since,
		   uint32_t most, struct image_origin *now, uint64_t *records)
{
	struct reading r = {.c = c, .names = map_new(), .most = most};
	list_init(&r.after);
	bool ok = read_names(&r, since->id, (uint32_t)since->serial) &&
		  map_each(r.names, name_changed, m) == 0 && add_all(&r, m, &r.after, false);
	now->id = r.version.id;
	now->version = r.version.version;
	now->serial = r.version.serial;
	*records = r.records;
	drop(&r.after);
	map_free(&r.names);
	return ok;
}
