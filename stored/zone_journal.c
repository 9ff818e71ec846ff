/* The journal: what each change took away and brought, from which IXFR is answered. A step's chunks
 * begin with the SOA record of their side (RFC 1995 4), the rest is in no order. */
#include "stored/dir.h"
#include "stored/sql.h"
#include "stored/zone.h"

void zone_step_note(struct zone_step *s, bool added, const struct zone_rr *rr)
{
	struct zone_chunk_out *to = added ? &s->added : &s->deleted;
	if (added)
		s->additions++;
	else
		s->deletions++;
	if (s->over)
		return;
	zone_chunk_add(to, rr);
	s->over = s->added.data.len + s->deleted.data.len > ZONE_STEP_OCTETS;
}

void zone_step_free(struct zone_step *s)
{
	buf_free(&s->deleted.data);
	buf_free(&s->added.data);
}

static enum ipc_err forget(struct zone_tx *t, uint64_t zone, uint64_t n)
{
	db_start(t->b->db, SQL_ZONE_STEPS_FORGET);
	db_u64(t->b->db, zone);
	db_u64(t->b->db, n);
	return dir_run(t->b);
}

enum ipc_err zone_steps_forget(struct zone_tx *t, uint64_t zone)
{
	return forget(t, zone, INT64_MAX);
}

/* The oldest steps go when all are too large together. */
static enum ipc_err trim(struct zone_tx *t, uint64_t zone)
{
	enum db_result r;
	uint64_t octets = 0, n = 0;
	db_start(t->b->db, SQL_ZONE_STEP_SIZES);
	db_u64(t->b->db, zone);
	while ((r = db_step(t->b->db)) == DB_ROW) {
		octets += db_col_u64(t->b->db, 1);
		if (octets > ZONE_JOURNAL_OCTETS) {
			n = db_col_u64(t->b->db, 0);
			break;
		}
	}
	db_reset(t->b->db);
	if (r != DB_ROW && r != DB_DONE)
		return work_err(t->b, r);
	return n ? forget(t, zone, n) : ERR_OK;
}

/* A chunk begins with nothing assumed: two behind each other are one. */
static struct slice behind(const struct zone_rr *soa, struct zone_chunk_out *rest,
			   struct zone_chunk_out *all)
{
	zone_chunk_add(all, soa);
	buf_add_slice(&all->data, buf_slice(&rest->data));
	return buf_slice(&all->data);
}

enum ipc_err zone_step_keep(struct zone_tx *t, uint64_t zone, struct zone_step *s,
			    const struct zone_rr *old_soa, const struct zone_rr *new_soa)
{
	struct zone_chunk_out deleted = {0}, added = {0};
	struct db *d = t->b->db;
	if (s->over)
		return zone_steps_forget(t, zone);
	db_start(d, SQL_ZONE_STEP_PUT);
	db_u64(d, zone);
	db_u64(d, dns_u32(old_soa->rdata + zone_soa_serial_at(old_soa->rdlen)));
	db_u64(d, dns_u32(new_soa->rdata + zone_soa_serial_at(new_soa->rdlen)));
	db_bytes(d, behind(old_soa, &s->deleted, &deleted));
	db_bytes(d, behind(new_soa, &s->added, &added));
	db_u64(d, t->now_ms);
	db_u64(d, zone);
	enum ipc_err e = dir_run(t->b);
	buf_free(&deleted.data);
	buf_free(&added.data);
	return e == ERR_OK ? trim(t, zone) : e;
}

enum ipc_err zone_steps(struct zone_tx *t, const struct zone *z, uint32_t serial,
			struct row_zone_step **out, uint32_t *n)
{
	struct db *d = t->b->db;
	enum db_result r = DB_DONE;
	size_t cap = 0, octets = 0;
	*out = NULL;
	*n = 0;
	if (serial == z->serial)
		return ERR_OK;
	db_start(d, SQL_ZONE_STEP_FROM);
	db_u64(d, z->id);
	db_u64(d, serial);
	enum ipc_err e = dir_one(t->b, &r);
	bool known = e == ERR_OK && !db_col_null(d, 0);
	uint64_t from = known ? db_col_u64(d, 0) : 0;
	db_reset(d);
	if (e != ERR_OK || !known)
		return e != ERR_OK
			   ? e
			   : zone_say(t, ERR_NOTFOUND, "serial %u is not in the journal", serial);
	db_start(d, SQL_ZONE_STEPS);
	db_u64(d, z->id);
	db_u64(d, from);
	while (octets < ZONE_READ_OCTETS && (r = db_step(d)) == DB_ROW) {
		struct slice deleted = db_col(d, 2), added = db_col(d, 3);
		octets += deleted.len + added.len;
		if (*n && octets > ZONE_STEP_OCTETS) /* what a frame takes */
			break;
		*out = pool_grow(t->pool, *out, *n, &cap, sizeof(**out));
		(*out)[(*n)++] = (struct row_zone_step){.before = (uint32_t)db_col_u64(d, 0),
							.after = (uint32_t)db_col_u64(d, 1),
							.deleted = slice_copy(t->pool, deleted),
							.added = slice_copy(t->pool, added)};
	}
	db_reset(d);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(t->b, r);
}
