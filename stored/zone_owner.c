/* The records of one name, taken out of their chunk and put back. */
#include <stdlib.h>
#include "libcommon/base/mem.h"
#include "stored/dir.h"
#include "stored/zone.h"

static struct slice key_of(const struct zone *z, const uint8_t *owner, uint8_t out[ZONE_KEY_MAX])
{
	return (struct slice){(const char *)out, zone_key(owner, z->name.len, out)};
}

static enum ipc_err damaged(struct zone_tx *t, const struct zone *z)
{
	return zone_say(t, ERR_TEMP, "zone %s is damaged in the store (hamletctl check)",
			zone_text(t->pool, z->name));
}

/* The chunk where the key is: the one at hand, or another one that is at hand from now on. */
static enum ipc_err look(struct zone_tx *t, const struct zone *z, struct slice key,
			 struct zone_look *l)
{
	struct zone_tx scratch = *t;
	if (l->pool && zone_key_cmp(l->p.first, key) <= 0 && zone_key_cmp(key, l->p.last) <= 0)
		return ERR_OK;
	zone_look_end(l);
	l->pool = scratch.pool = pool_new(ZONE_CHUNK_SPLIT);
	enum ipc_err e = zone_piece_at(&scratch, z->generation, key, &l->p);
	if (e != ERR_OK)
		zone_look_end(l);
	/* The first chunk begins with the key "": every name has one. */
	return e == ERR_NOTFOUND ? damaged(t, z) : e;
}

void zone_look_end(struct zone_look *l)
{
	if (l->pool)
		pool_free(&l->pool);
}

enum ipc_err zone_owner_get(struct zone_tx *t, const struct zone *z, const uint8_t *owner,
			    struct zone_look *l, struct zone_rrs *out)
{
	uint8_t key[ZONE_KEY_MAX];
	struct zone_chunk_in in = {0};
	struct zone_rr rr;
	*out = (struct zone_rrs){0};
	enum ipc_err e = look(t, z, key_of(z, owner, key), l);
	zone_chunk_open(&in, e == ERR_OK ? l->p.data : SLICE(""));
	while (zone_chunk_next(&in, &rr)) {
		if (!dns_name_eq(rr.owner, owner)) {
			if (out->n)
				break;
			continue;
		}
		out->rr = pool_grow(t->pool, out->rr, out->n, &out->cap, sizeof(*out->rr));
		out->rr[out->n] = rr;
		out->rr[out->n].rdata = pool_dup(t->pool, rr.rdata, rr.rdlen);
		out->rr[out->n++].owner = pool_dup(t->pool, rr.owner, in.owner_len);
	}
	return in.bad ? damaged(t, z) : e;
}

struct zone_rr zone_soa_with(struct pool *pool, const struct zone_rr *soa, uint32_t serial)
{
	struct zone_rr rr = *soa;
	uint8_t *data = pool_dup(pool, soa->rdata, soa->rdlen);
	uint8_t *at = data + zone_soa_serial_at(soa->rdlen);
	for (int shift = 24; shift >= 0; shift -= 8)
		*at++ = (uint8_t)(serial >> shift);
	rr.rdata = data;
	return rr;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Chunks being made, cut between two names once they are large enough. */
struct rewrite {
	struct zone_tx *t;
	struct zone *z;
	struct zone_chunk_out out;
	bool cut; /* it is too large for one */
	uint8_t first[ZONE_KEY_MAX], last[DNS_NAME_MAX];
	size_t first_len;
	enum ipc_err e;
};

static void flush(struct rewrite *w)
{
	uint8_t last[ZONE_KEY_MAX];
	if (w->out.records == 0 || w->e != ERR_OK)
		return;
	struct zone_piece p = {.first = {(const char *)w->first, w->first_len},
			       .last = key_of(w->z, w->last, last),
			       .data = buf_slice(&w->out.data),
			       .records = w->out.records};
	w->e = zone_piece_put(w->t, w->z->generation, &p);
	w->z->chunks++;
	w->z->records += p.records;
	w->z->bytes += p.data.len;
	zone_chunk_clear(&w->out);
}

static void emit(struct rewrite *w, const struct zone_rr *rr)
{
	bool same = w->out.records && dns_name_eq(w->last, rr->owner);
	if (!same && w->cut && w->out.data.len >= ZONE_CHUNK_FULL)
		flush(w);
	if (w->out.records == 0)
		w->first_len = zone_key(rr->owner, w->z->name.len, w->first);
	if (!same)
		memcpy(w->last, rr->owner, dns_name_len(rr->owner));
	zone_chunk_add(&w->out, rr);
}

static void emit_all(struct rewrite *w, const struct zone_rrs *rrs)
{
	for (size_t i = 0; i < rrs->n; i++)
		emit(w, &rrs->rr[i]);
}

/* The chunk with the records of the names replaced. */
static bool merge(struct rewrite *w, struct slice data, const struct zone_owner *o, size_t n)
{
	struct zone_chunk_in in;
	struct zone_rr rr;
	size_t i = 0;
	zone_chunk_open(&in, data);
	while (zone_chunk_next(&in, &rr)) {
		int r = 1;
		while (i < n && (r = dns_name_cmp(o[i].name, rr.owner)) < 0)
			emit_all(w, &o[i++].rrs);
		if (i == n || r != 0)
			emit(w, &rr);
	}
	while (i < n)
		emit_all(w, &o[i++].rrs);
	return !in.bad;
}

static void take_out(struct rewrite *w, const struct zone_piece *p)
{
	if (w->e == ERR_OK)
		w->e = zone_piece_delete(w->t, w->z->generation, p->first);
	w->z->chunks--;
	w->z->records -= p->records;
	w->z->bytes -= p->data.len;
}

/* What became small takes its neighbour in, if that is not too large. */
static void join(struct rewrite *w, const struct zone_piece *next)
{
	struct zone_chunk_in in;
	struct zone_rr rr;
	if (w->e != ERR_OK || w->out.data.len >= ZONE_CHUNK_SMALL || w->out.records == 0 ||
	    next->data.len + w->out.data.len > ZONE_CHUNK_FULL)
		return;
	take_out(w, next);
	zone_chunk_open(&in, next->data);
	while (zone_chunk_next(&in, &rr))
		emit(w, &rr);
	if (in.bad)
		w->e = ERR_TEMP;
}

static size_t octets(const struct zone_rrs *rrs)
{
	size_t n = 0;
	for (size_t i = 0; i < rrs->n; i++)
		n += rrs->rr[i].rdlen + 12;
	return n;
}

/* Those of the names that stand in the chunk of the first of them; returns how many. */
static size_t put_chunk(struct rewrite *w, const struct zone_owner *o, size_t n)
{
	uint8_t key[ZONE_KEY_MAX];
	struct zone_piece p, next = {0};
	size_t of_it = 0, size = 0;
	w->e = zone_piece_at(w->t, w->z->generation, key_of(w->z, o->name, key), &p);
	if (w->e != ERR_OK) {
		w->e = w->e == ERR_NOTFOUND ? damaged(w->t, w->z) : w->e;
		return 0;
	}
	enum ipc_err e = zone_piece_after(w->t, w->z->generation, p.first, &next);
	do
		size += octets(&o[of_it++].rrs);
	while (of_it < n &&
	       (e != ERR_OK || zone_key_cmp(key_of(w->z, o[of_it].name, key), next.first) < 0));
	w->e = e == ERR_NOTFOUND ? ERR_OK : e;
	w->cut = p.data.len + size > ZONE_CHUNK_SPLIT;
	take_out(w, &p);
	bool whole = merge(w, p.data, o, of_it);
	if (e == ERR_OK)
		join(w, &next);
	flush(w);
	if (!whole)
		w->e = damaged(w->t, w->z);
	return of_it;
}

enum ipc_err zone_owners_put(struct zone_tx *t, struct zone *z, const struct zone_owner *o,
			     size_t n)
{
	struct zone_tx scratch = *t; /* for chunks */
	enum ipc_err e;
	for (size_t i = 0; i < n; i++)
		if (octets(&o[i].rrs) > ZONE_OWNER_OCTETS)
			return zone_say(t, ERR_LIMIT, "too many records at one name");
	scratch.pool = pool_new(2 * ZONE_CHUNK_SPLIT);
	struct rewrite *w = mem_alloc(sizeof(*w));
	w->t = &scratch;
	w->z = z;
	for (size_t i = 0; i < n && w->e == ERR_OK;) {
		pool_clear(scratch.pool);
		i += put_chunk(w, o + i, n - i);
	}
	e = w->e;
	if (e != ERR_OK && scratch.why)
		t->why = pool_strdup(t->pool, scratch.why);
	pool_free(&scratch.pool);
	buf_free(&w->out.data);
	free(w);
	return e;
}

enum ipc_err zone_apex_get(struct zone_tx *t, const struct zone *z, struct zone_rrs *out)
{
	struct zone_look l = {0};
	enum ipc_err e = zone_owner_get(t, z, (const uint8_t *)z->name.p, &l, out);
	zone_look_end(&l);
	return e;
}

enum ipc_err zone_apex_put(struct zone_tx *t, struct zone *z, const struct zone_rrs *rrs)
{
	const struct zone_owner o = {(const uint8_t *)z->name.p, *rrs};
	return zone_owners_put(t, z, &o, 1);
}
