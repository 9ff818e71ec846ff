/* Zones of the store as a source, in the builder: a blocking client of its own. */
#include "dnsd/dnsd.h"
#include "dnsd/image.h"
#include "libcommon/base/list.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/zonechunk.h"
#include "libcommon/ipc/peer.h"

enum {
	ASK_MS = 30000,
	TRIES = 2,        /* a connection may have broken long ago */
	READ_TRIES = 20,  /* of a zone that changes while it is read */
	PIECES = 64 << 10 /* of one portion of chunks */
};

struct store_link {
	char *path;
	struct peer_sync *sync; /* NULL: to be opened */
	char why[200];
};

struct store_link *store_link_new(const char *path)
{
	struct store_link *l = mem_alloc(sizeof(*l));
	l->path = mem_strdup(path);
	return l;
}

/* The answer, in pool; NULL with l->why. */
static const void *ask(struct store_link *l, struct pool *pool, enum msg_type t, const void *msg,
		       enum msg_type want)
{
	enum ipc_err e = ERR_LOST;
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
	*why = r ? "an answer that is none" : c->store->why;
	if (ok) {
		*out =
		    (struct image_origin){.id = r->zone->id, .version = store_version_of(r->zone)};
		c->secondary = r->zone->source == ZONE_SECONDARY;
	}
	pool_free(&pool);
	return ok;
}

/* --- the records ------------------------------------------------------------------------------ */

struct portion {
	struct list link;
	struct pool *pool;
	const struct msg_zone_chunks *chunks;
};

static void drop(struct list *portions)
{
	while (!list_empty(portions)) {
		struct portion *p = list_entry(list_pop(portions), struct portion, link);
		struct pool *pool = p->pool;
		pool_free(&pool);
	}
}

/* All chunks, of one serial. *moved: it became another one meanwhile. */
static bool fetch(struct compile *c, struct list *portions, struct image_origin *origin,
		  bool *moved)
{
	struct msg_zone_read m = {name_of(c), SLICE(""), UINT32_MAX};
	const struct msg_zone_chunks *r;
	*moved = false;
	do {
		struct pool *pool = pool_new(PIECES);
		struct portion *p = pool_alloc(pool, sizeof(*p));
		p->pool = pool;
		list_add_tail(portions, &p->link);
		p->chunks = r = ask(c->store, pool, MSG_zone_read, &m, MSG_zone_chunks);
		if (!r || r->zone_n != 1) {
			compile_failed(c, "store", r ? "an answer that is none" : c->store->why);
			return false;
		}
		uint64_t version = store_version_of(r->zone);
		*moved = m.from.len && (r->zone->id != origin->id || version != origin->version);
		origin->id = r->zone->id;
		origin->version = version;
		m.from = r->next;
	} while (r->more && !*moved);
	return true;
}

static bool add_chunk(struct compile *c, struct image_maker *m, struct slice data)
{
	struct zone_chunk_in in;
	struct zone_rr rr;
	const char *why = "a chunk cannot be read";
	zone_chunk_open(&in, data);
	while (zone_chunk_next(&in, &rr)) {
		if (image_add(m, rr.owner, rr.type, rr.ttl, rr.rdata, rr.rdlen, &why))
			continue;
		compile_failed(c, "store", why);
		return false;
	}
	if (in.bad)
		compile_failed(c, "store", why);
	return !in.bad;
}

/* Fetched first, then taken in: the shorter it takes, the less comes in between. */
bool store_read(struct compile *c, struct image_maker *m, struct image_origin *origin)
{
	struct list portions;
	bool moved = true, ok = true;
	list_init(&portions);
	for (int i = 0; i < READ_TRIES && moved && ok; i++) {
		drop(&portions);
		ok = fetch(c, &portions, origin, &moved);
	}
	if (ok && moved)
		compile_failed(c, "store", "the zone changes all the time");
	ok = ok && !moved;
	while (ok && !list_empty(&portions)) {
		struct portion *p = list_entry(portions.next, struct portion, link);
		struct pool *pool = p->pool;
		for (uint32_t i = 0; i < p->chunks->chunks_n && ok; i++)
			ok = add_chunk(c, m, p->chunks->chunks[i].data);
		list_del(&p->link);
		pool_free(&pool);
	}
	drop(&portions);
	return ok;
}
