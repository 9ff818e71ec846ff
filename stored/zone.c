/* Zones: their rows, chunks and generations. */
#include "stored/zone.h"
#include <stdarg.h>
#include <stdio.h>
#include "stored/dir.h"
#include "stored/sql.h"

enum ipc_err zone_say(struct zone_tx *t, enum ipc_err e, const char *fmt, ...)
{
	char text[DNS_NAME_TEXT + 300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	t->why = pool_strdup(t->pool, text);
	return e;
}

const char *zone_text(struct pool *pool, struct slice name)
{
	char text[DNS_NAME_TEXT];
	dns_name_text(text, (const uint8_t *)name.p);
	return pool_strdup(pool, text);
}

bool zone_name(struct pool *pool, struct slice wire, struct slice *out)
{
	if (!wire.len || dns_name_check((const uint8_t *)wire.p, wire.len) != wire.len)
		return false;
	uint8_t *name = pool_dup(pool, wire.p, wire.len);
	dns_name_lower(name);
	*out = (struct slice){(const char *)name, wire.len};
	return true;
}

/* --- rows ------------------------------------------------------------------------------------- */

static struct zone row(struct zone_tx *t)
{
	struct db *d = t->b->db;
	return (struct zone){.id = db_col_u64(d, 0),
			     .name = slice_copy(t->pool, db_col(d, 1)),
			     .source = db_col_u64(d, 2),
			     .serial = (uint32_t)db_col_u64(d, 3),
			     .generation = db_col_u64(d, 4),
			     .records = db_col_u64(d, 5),
			     .chunks = db_col_u64(d, 6),
			     .bytes = db_col_u64(d, 7),
			     .created_ms = db_col_u64(d, 8),
			     .changed_ms = db_col_u64(d, 9)};
}

enum ipc_err zone_get(struct zone_tx *t, struct slice name, struct zone *out)
{
	enum db_result r;
	db_start(t->b->db, SQL_ZONE_BY_NAME);
	db_bytes(t->b->db, name);
	enum ipc_err e = dir_one(t->b, &r);
	if (e == ERR_OK)
		*out = row(t);
	db_reset(t->b->db);
	return e == ERR_NOTFOUND
		   ? zone_say(t, e, "no zone %s in the store", zone_text(t->pool, name))
		   : e;
}

enum ipc_err zone_list(struct zone_tx *t, uint64_t after, struct zone *out, size_t max, size_t *n)
{
	enum db_result r = DB_DONE;
	*n = 0;
	db_start(t->b->db, SQL_ZONE_LIST);
	db_u64(t->b->db, after);
	db_u64(t->b->db, max);
	while (*n < max && (r = db_step(t->b->db)) == DB_ROW)
		out[(*n)++] = row(t);
	db_reset(t->b->db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(t->b, r);
}

enum ipc_err zone_save(struct zone_tx *t, const struct zone *z)
{
	struct db *d = t->b->db;
	db_start(d, SQL_ZONE_PUT);
	db_u64(d, z->id);
	db_bytes(d, z->name);
	db_u64(d, z->source);
	db_u64(d, z->serial);
	db_u64(d, z->generation);
	db_u64(d, z->records);
	db_u64(d, z->chunks);
	db_u64(d, z->bytes);
	db_u64(d, z->created_ms);
	db_u64(d, z->changed_ms);
	return dir_run(t->b);
}

enum ipc_err zone_delete(struct zone_tx *t, const struct zone *z)
{
	db_start(t->b->db, SQL_ZONE_DELETE);
	db_u64(t->b->db, z->id);
	enum ipc_err e = dir_run(t->b);
	return e == ERR_OK ? zone_gone(t, z->generation, false) : e;
}

/* --- chunks ----------------------------------------------------------------------------------- */

static enum ipc_err piece(struct zone_tx *t, unsigned stmt, uint64_t generation, struct slice key,
			  struct zone_piece *out)
{
	struct db *d = t->b->db;
	enum db_result r;
	db_start(d, stmt);
	db_u64(d, generation);
	db_bytes(d, key);
	enum ipc_err e = dir_one(t->b, &r);
	if (e == ERR_OK)
		*out = (struct zone_piece){.first = slice_copy(t->pool, db_col(d, 0)),
					   .last = slice_copy(t->pool, db_col(d, 1)),
					   .records = db_col_u64(d, 2),
					   .data = slice_copy(t->pool, db_col(d, 3))};
	db_reset(d);
	return e;
}

enum ipc_err zone_piece_at(struct zone_tx *t, uint64_t generation, struct slice key,
			   struct zone_piece *out)
{
	return piece(t, SQL_ZONE_CHUNK_AT, generation, key, out);
}

enum ipc_err zone_piece_after(struct zone_tx *t, uint64_t generation, struct slice key,
			      struct zone_piece *out)
{
	return piece(t, SQL_ZONE_CHUNK_AFTER, generation, key, out);
}

enum ipc_err zone_piece_put(struct zone_tx *t, uint64_t generation, const struct zone_piece *p)
{
	struct db *d = t->b->db;
	db_start(d, SQL_ZONE_CHUNK_PUT);
	db_u64(d, generation);
	db_bytes(d, p->first);
	db_bytes(d, p->last);
	db_u64(d, p->records);
	db_bytes(d, p->data);
	return dir_run(t->b);
}

enum ipc_err zone_piece_delete(struct zone_tx *t, uint64_t generation, struct slice first)
{
	db_start(t->b->db, SQL_ZONE_CHUNK_DELETE);
	db_u64(t->b->db, generation);
	db_bytes(t->b->db, first);
	return dir_run(t->b);
}

enum ipc_err zone_pieces(struct zone_tx *t, const struct zone *z, struct slice from, uint32_t max,
			 struct row_zone_chunk **out, uint32_t *n, bool *more, struct slice *next)
{
	struct db *d = t->b->db;
	struct zone_piece begin = {.first = SLICE("")};
	size_t cap = 0, octets = 0;
	enum db_result r = DB_DONE;
	*out = NULL;
	*n = 0;
	*more = false;
	*next = SLICE("");
	if (max == 0)
		return ERR_OK;
	enum ipc_err e = zone_piece_at(t, z->generation, from, &begin);
	if (e != ERR_OK && e != ERR_NOTFOUND)
		return e;
	db_start(d, SQL_ZONE_CHUNKS_FROM);
	db_u64(d, z->generation);
	db_bytes(d, begin.first);
	while (!*more && (r = db_step(d)) == DB_ROW) {
		if (octets >= ZONE_READ_OCTETS || *n == max) {
			*more = true;
			*next = slice_copy(t->pool, db_col(d, 0));
			break;
		}
		*out = pool_grow(t->pool, *out, *n, &cap, sizeof(**out));
		(*out)[*n].data = slice_copy(t->pool, db_col(d, 1));
		octets += (*out)[(*n)++].data.len;
	}
	db_reset(d);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(t->b, r);
}

/* --- generations ------------------------------------------------------------------------------ */

enum ipc_err zone_gone(struct zone_tx *t, uint64_t generation, bool open)
{
	db_start(t->b->db, SQL_ZONE_GONE_PUT);
	db_u64(t->b->db, generation);
	db_u64(t->b->db, open);
	return dir_run(t->b);
}

enum ipc_err zone_not_gone(struct zone_tx *t, uint64_t generation)
{
	db_start(t->b->db, SQL_ZONE_GONE_DELETE);
	db_u64(t->b->db, generation);
	return dir_run(t->b);
}

enum ipc_err zone_gone_all(struct zone_tx *t)
{
	db_start(t->b->db, SQL_ZONE_GONE_CLOSE);
	return dir_run(t->b);
}

enum ipc_err zone_clean(struct zone_tx *t, bool *more)
{
	struct db *d = t->b->db;
	enum db_result r;
	db_start(d, SQL_ZONE_GONE_NEXT);
	enum ipc_err e = dir_one(t->b, &r);
	uint64_t generation = e == ERR_OK ? db_col_u64(d, 0) : 0;
	db_reset(d);
	*more = e == ERR_OK;
	if (e != ERR_OK)
		return e == ERR_NOTFOUND ? ERR_OK : e;
	db_start(d, SQL_ZONE_GONE_CHUNKS);
	db_u64(d, generation);
	db_u64(d, generation);
	e = dir_run(t->b);
	return e == ERR_OK && db_changes(d) == 0 ? zone_not_gone(t, generation) : e;
}
