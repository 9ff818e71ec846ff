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

enum ipc_err zone_owner_get(struct zone_tx *t, const struct zone *z, const uint8_t *owner,
			    struct zone_rrs *out)
{
	uint8_t key[ZONE_KEY_MAX];
	struct zone_piece p;
	struct zone_chunk_in in = {0};
	struct zone_rr rr;
	struct zone_tx scratch = *t; /* for the chunk */
	*out = (struct zone_rrs){0};
	scratch.pool = pool_new(ZONE_CHUNK_SPLIT);
	enum ipc_err e = zone_piece_at(&scratch, z->generation, key_of(z, owner, key), &p);
	zone_chunk_open(&in, e == ERR_OK ? p.data : SLICE(""));
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
	pool_free(&scratch.pool);
	/* The first chunk begins with the key "": every name has one. */
	return in.bad || e == ERR_NOTFOUND ? damaged(t, z) : e;
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

/* The chunk with the name's records replaced. */
static bool merge(struct rewrite *w, struct slice data, const uint8_t *owner,
		  const struct zone_rrs *rrs)
{
	struct zone_chunk_in in;
	struct zone_rr rr;
	bool done = false;
	zone_chunk_open(&in, data);
	while (zone_chunk_next(&in, &rr)) {
		int r = dns_name_eq(rr.owner, owner) ? 0 : dns_name_cmp(rr.owner, owner);
		if (r >= 0 && !done) {
			emit_all(w, rrs);
			done = true;
		}
		if (r != 0)
			emit(w, &rr);
	}
	if (!done)
		emit_all(w, rrs);
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
static void join_next(struct rewrite *w, const struct zone_piece *p)
{
	struct zone_piece next;
	struct zone_chunk_in in;
	struct zone_rr rr;
	if (w->e != ERR_OK || w->out.data.len >= ZONE_CHUNK_SMALL || w->out.records == 0)
		return;
	enum ipc_err e = zone_piece_after(w->t, w->z->generation, p->last, &next);
	if (e != ERR_OK || next.data.len + w->out.data.len > ZONE_CHUNK_FULL) {
		w->e = e == ERR_NOTFOUND ? ERR_OK : e;
		return;
	}
	take_out(w, &next);
	zone_chunk_open(&in, next.data);
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

enum ipc_err zone_owner_put(struct zone_tx *t, struct zone *z, const uint8_t *owner,
			    const struct zone_rrs *rrs)
{
	uint8_t key[ZONE_KEY_MAX];
	struct zone_piece p;
	if (octets(rrs) > ZONE_OWNER_OCTETS)
		return zone_say(t, ERR_LIMIT, "too many records at one name");
	struct zone_tx scratch = *t; /* for chunks */
	scratch.pool = pool_new(ZONE_CHUNK_SPLIT);
	enum ipc_err e = zone_piece_at(&scratch, z->generation, key_of(z, owner, key), &p);
	if (e != ERR_OK) {
		pool_free(&scratch.pool);
		return e == ERR_NOTFOUND ? damaged(t, z) : e;
	}
	struct rewrite *w = mem_alloc(sizeof(*w));
	*w = (struct rewrite){.t = &scratch, .z = z};
	w->cut = p.data.len + octets(rrs) > ZONE_CHUNK_SPLIT;
	take_out(w, &p);
	bool whole = merge(w, p.data, owner, rrs);
	join_next(w, &p);
	flush(w);
	e = whole ? w->e : damaged(t, z);
	pool_free(&scratch.pool);
	buf_free(&w->out.data);
	free(w);
	return e;
}
