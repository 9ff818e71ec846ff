/* A whole zone, put chunk by chunk into a generation of its own, which then becomes the zone's. */
#include <stdlib.h>
#include "stored/dir.h"
#include "stored/zone.h"

enum ipc_err zone_draft_begin(struct zone_tx *t, struct zone_draft *d)
{
	const uint8_t *name = (const uint8_t *)d->name.p;
	d->run = (struct zone_run){.zone = name, .zone_len = d->name.len};
	zone_check_init(&d->check, name, d->source == ZONE_STORE);
	d->records = d->chunks = d->bytes = 0;
	enum ipc_err e = dir_next_id(t->b, "zone_generation", &d->generation);
	return e == ERR_OK ? zone_gone(t, d->generation, true) : e;
}

static enum ipc_err put_one(struct zone_tx *t, struct zone_draft *d, struct slice data)
{
	struct zone_fault fault;
	uint8_t first[ZONE_KEY_MAX];
	size_t first_len = 0;
	uint32_t records;
	char why[DNS_NAME_TEXT + 200];
	if (!zone_chunk_check(&d->run, data, &d->check, &records, &first_len, first, &fault)) {
		zone_fault_text(&fault, why, sizeof(why));
		return zone_say(t, ERR_BAD, "%s", why);
	}
	struct zone_piece p = {.first = {(const char *)first, first_len},
			       .last = {(const char *)d->run.last, d->run.last_len},
			       .data = data,
			       .records = records};
	d->records += records;
	d->bytes += data.len;
	d->chunks++;
	return zone_piece_put(t, d->generation, &p);
}

enum ipc_err zone_draft_put(struct zone_tx *t, struct zone_draft *d,
			    const struct row_zone_chunk *chunk, uint32_t n)
{
	enum ipc_err e = ERR_OK;
	for (uint32_t i = 0; i < n && e == ERR_OK; i++)
		e = put_one(t, d, chunk[i].data);
	return e;
}

/* --- what is different ------------------------------------------------------------------------ */

/* One generation, gone through in order; a pool of its own holds the chunk at hand. */
struct walk {
	struct zone_tx t;
	uint64_t generation;
	struct zone_piece piece;
	struct zone_chunk_in in;
	struct zone_rr rr;
	bool begun, have;    /* rr is a record */
	struct zone_rr *soa; /* in the pool of the transaction */
};

static enum ipc_err next_piece(struct walk *w, bool *end)
{
	uint8_t key[ZONE_KEY_MAX];
	struct slice at = {(const char *)key, w->piece.first.len};
	if (at.len)
		memcpy(key, w->piece.first.p, at.len);
	pool_clear(w->t.pool);
	enum ipc_err e = w->begun ? zone_piece_after(&w->t, w->generation, at, &w->piece)
				  : zone_piece_at(&w->t, w->generation, SLICE(""), &w->piece);
	w->begun = true;
	*end = e == ERR_NOTFOUND;
	if (e == ERR_OK)
		zone_chunk_open(&w->in, w->piece.data);
	return *end ? ERR_OK : e;
}

static bool at_chunk_end(const struct walk *w)
{
	return !w->begun || w->in.p == w->in.end;
}

static struct zone_rr *copy(struct pool *pool, const struct zone_rr *rr)
{
	struct zone_rr *c = pool_dup(pool, rr, sizeof(*rr));
	c->owner = pool_dup(pool, rr->owner, dns_name_len(rr->owner));
	c->rdata = pool_dup(pool, rr->rdata, rr->rdlen);
	return c;
}

/* The next record of the chunk at hand; the SOA is set aside. */
static bool next_rr(struct walk *w, struct pool *keep)
{
	while ((w->have = zone_chunk_next(&w->in, &w->rr)) && w->rr.type == DNS_SOA && !w->soa)
		w->soa = copy(keep, &w->rr);
	return w->have;
}

static enum ipc_err load(struct walk *w, struct pool *keep, bool *end)
{
	enum ipc_err e = ERR_OK;
	while (e == ERR_OK && !*end && !next_rr(w, keep))
		e = w->in.bad ? ERR_TEMP : next_piece(w, end);
	return e;
}

/* Both are between two chunks: where the next ones are the same nothing is to be compared. */
static enum ipc_err skip_same(struct walk *a, struct walk *b, bool *a_end, bool *b_end)
{
	enum ipc_err e = ERR_OK;
	bool same = true;
	while (e == ERR_OK && same && !*a_end && !*b_end) {
		e = next_piece(a, a_end);
		if (e == ERR_OK)
			e = next_piece(b, b_end);
		same = e == ERR_OK && !*a_end && !*b_end && a->piece.first.len &&
		       slice_eq(a->piece.data, b->piece.data);
	}
	return e;
}

static enum ipc_err compare(struct walk *a, struct walk *b, struct pool *keep, struct zone_step *s)
{
	bool a_end = false, b_end = false;
	enum ipc_err e = skip_same(a, b, &a_end, &b_end);
	a->have = b->have = false;
	while (e == ERR_OK && !s->over) {
		if (!a->have && !b->have && a->begun && !a_end && !b_end && at_chunk_end(a) &&
		    at_chunk_end(b))
			e = skip_same(a, b, &a_end, &b_end);
		if (e == ERR_OK && !a->have)
			e = load(a, keep, &a_end);
		if (e == ERR_OK && !b->have)
			e = load(b, keep, &b_end);
		if (e != ERR_OK || (!a->have && !b->have))
			break;
		int r = !a->have ? 1 : !b->have ? -1 : zone_rr_cmp(&a->rr, &b->rr);
		bool differ = r != 0 || a->rr.ttl != b->rr.ttl;
		if (differ && r <= 0)
			zone_step_note(s, false, &a->rr);
		if (differ && r >= 0)
			zone_step_note(s, true, &b->rr);
		a->have = a->have && r > 0;
		b->have = b->have && r < 0;
	}
	return e;
}

/* --- commit ----------------------------------------------------------------------------------- */

struct commit {
	const struct zone_draft *d;
	struct zone old, z;
	struct zone_rr *old_soa, *soa;
	struct zone_step step;
};

static enum ipc_err find_changes(struct zone_tx *t, struct commit *c)
{
	struct walk w[2] = {{.t = *t, .generation = c->old.generation},
			    {.t = *t, .generation = c->d->generation}};
	for (int i = 0; i < 2; i++)
		w[i].t.pool = pool_new(64 << 10);
	enum ipc_err e = compare(&w[0], &w[1], t->pool, &c->step);
	for (int i = 0; i < 2; i++)
		pool_free(&w[i].t.pool);
	c->old_soa = w[0].soa;
	c->soa = w[1].soa;
	if (e == ERR_OK && (!c->soa || !c->old_soa))
		return zone_say(t, ERR_TEMP, "the zone in the store is damaged");
	return e;
}

static bool soa_differs(const struct zone_rr *a, const struct zone_rr *b)
{
	struct pool *pool = pool_new(1024);
	struct zone_rr x = zone_soa_with(pool, a, 0), y = zone_soa_with(pool, b, 0);
	bool differs = a->ttl != b->ttl || zone_rr_cmp(&x, &y) != 0;
	pool_free(&pool);
	return differs;
}

static enum ipc_err set_serial(struct zone_tx *t, struct commit *c, uint32_t serial)
{
	struct zone_rrs apex;
	enum ipc_err e = zone_apex_get(t, &c->z, &apex);
	for (size_t i = 0; i < apex.n && e == ERR_OK; i++)
		if (apex.rr[i].type == DNS_SOA)
			*c->soa = apex.rr[i] = zone_soa_with(t->pool, &apex.rr[i], serial);
	return e == ERR_OK ? zone_apex_put(t, &c->z, &apex) : e;
}

/* The zone becomes the draft. */
static enum ipc_err replace(struct zone_tx *t, struct commit *c)
{
	const struct zone_draft *d = c->d;
	bool above = zone_serial_above(d->check.serial, c->old.serial);
	bool changed = c->step.additions || c->step.deletions || soa_differs(c->old_soa, c->soa);
	enum ipc_err e = ERR_OK;
	c->z = c->old;
	if (!changed && (d->check.serial == c->old.serial || (d->source == ZONE_STORE && !above)))
		return zone_gone(t, d->generation, false);
	c->z.generation = d->generation;
	c->z.records = d->records;
	c->z.chunks = d->chunks;
	c->z.bytes = d->bytes;
	c->z.changed_ms = t->now_ms;
	c->z.serial = d->check.serial;
	if (d->source == ZONE_STORE && !above) {
		c->z.serial = zone_serial_next(c->old.serial, t->now_ms);
		e = set_serial(t, c, c->z.serial);
	} else if (!above) { /* its primary went back: nobody can be led from there to here */
		c->step.over = true;
	}
	if (e == ERR_OK)
		e = zone_not_gone(t, d->generation);
	if (e == ERR_OK)
		e = zone_save(t, &c->z);
	if (e == ERR_OK)
		e = zone_gone(t, c->old.generation, false);
	return e == ERR_OK ? zone_step_keep(t, c->z.id, &c->step, c->old_soa, c->soa) : e;
}

static enum ipc_err create(struct zone_tx *t, const struct zone_draft *d, struct zone_result *out)
{
	struct zone z = {.name = d->name,
			 .source = d->source,
			 .serial = d->check.serial,
			 .generation = d->generation,
			 .records = d->records,
			 .chunks = d->chunks,
			 .bytes = d->bytes,
			 .created_ms = t->now_ms,
			 .changed_ms = t->now_ms};
	enum ipc_err e = dir_next_id(t->b, "zone", &z.id);
	if (e == ERR_OK)
		e = zone_not_gone(t, d->generation);
	if (e == ERR_OK)
		e = zone_save(t, &z);
	*out = (struct zone_result){
	    .id = z.id, .serial = z.serial, .fresh = true, .records = z.records};
	return e;
}

enum ipc_err zone_draft_commit(struct zone_tx *t, const struct zone_draft *d,
			       struct zone_result *out)
{
	struct commit c = {.d = d};
	const char *why;
	if (!zone_check_end(&d->check, &why))
		return zone_say(t, ERR_BAD, "%s: %s", zone_text(t->pool, d->name), why);
	enum ipc_err e = zone_get(t, d->name, &c.old);
	if (e == ERR_NOTFOUND)
		return create(t, d, out);
	if (e == ERR_OK && c.old.source != d->source)
		return zone_say(t, ERR_INUSE, "zone %s is %s: delete it first",
				zone_text(t->pool, d->name),
				c.old.source == ZONE_STORE ? "edited here" : "a secondary");
	if (e == ERR_OK)
		e = find_changes(t, &c);
	if (e == ERR_OK)
		e = replace(t, &c);
	*out = (struct zone_result){.id = c.old.id,
				    .before = c.old.serial,
				    .serial = c.z.serial,
				    .known = !c.step.over,
				    .deleted = c.step.deletions,
				    .added = c.step.additions,
				    .records = c.z.records};
	zone_step_free(&c.step);
	return e;
}
