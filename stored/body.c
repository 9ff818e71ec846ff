/* Bodies: small ones in rows, larger ones in segment files. */
#include "stored/body.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "stored/crc.h"
#include "stored/segment.h"
#include "stored/sql.h"

static const char *const versions[] = {
    "CREATE TABLE bodies ("
    " id BIGINT PRIMARY KEY,"
    " size BIGINT NOT NULL,"
    " refs BIGINT NOT NULL CHECK (refs >= 0),"
    " crc BIGINT NOT NULL,"
    " segment BIGINT NOT NULL," /* 0: in data */
    " place BIGINT NOT NULL,"   /* of its record in the segment */
    " data BYTEA);"
    "CREATE INDEX bodies_segment ON bodies (segment, place) WHERE segment > 0;",
};
const struct schema schema_body = {"body", versions, sizeof(versions) / sizeof(versions[0])};

/* A removed segment's file stays this long: a reader may still be in a transaction that began
 * before its bodies were moved. */
enum { GRACE_MS = 60000, DROPS_MAX = 16 };

struct bodies {
	struct segments *segments;
	uint64_t next;  /* id of the next body */
	uint64_t freed; /* bytes of segment bodies removed or undone since the last compaction */
	atomic_int pins;
	uint64_t compacting; /* the segment being emptied, 0: none */
	uint64_t place;      /* bodies before it are done */
	bool surveyed;       /* what is worth emptying was looked for since `freed` was 0 */
	struct {
		uint64_t segment, since;
	} drop[DROPS_MAX]; /* emptied, to be removed after the grace */
	size_t drops;
};

static uint64_t small_body = 16 << 10;
static uint64_t segment_size = 128 << 20;

void bodies_limits(uint64_t small, uint64_t segment)
{
	small_body = small;
	segment_size = segment;
}

struct bodies *bodies_open(struct base *b, const char *dir, const char **why)
{
	struct bodies *s = mem_alloc(sizeof(*s));
	struct place last = {0};
	uint64_t last_len = 0;
	db_start(b->db, SQL_BODY_LAST);
	if (db_step(b->db) == DB_ROW)
		s->next = db_col_u64(b->db, 0) + 1;
	db_start(b->db, SQL_BODY_END);
	if (db_step(b->db) == DB_ROW) {
		last = (struct place){db_col_u64(b->db, 0), db_col_u64(b->db, 1)};
		last_len = db_col_u64(b->db, 2);
	}
	db_reset(b->db);
	if (s->next)
		s->segments = segments_open(dir, segment_size, last, last_len, !b->writer, why);
	else
		*why = db_why(b->db);
	if (!s->segments)
		bodies_close(&s);
	return s;
}

void bodies_close(struct bodies **sp)
{
	struct bodies *s = *sp;
	*sp = NULL;
	if (!s)
		return;
	segments_close(&s->segments);
	free(s);
}

struct segments *bodies_segments(struct bodies *s)
{
	return s->segments;
}

void bodies_pin(struct bodies *s, int add)
{
	atomic_fetch_add(&s->pins, add);
}

struct bodies_mark bodies_mark(const struct bodies *s)
{
	struct place p = segments_mark(s->segments);
	return (struct bodies_mark){p.segment, p.at, s->next};
}

void bodies_undo(struct bodies *s, struct bodies_mark m)
{
	segments_undo(s->segments, (struct place){m.segment, m.at});
	s->next = m.next;
}

static enum ipc_err io_failed(struct base *b, const char *what, int e)
{
	log_event(LOG_LV_ERROR, NULL, what, LS("dir", segments_dir(b->bodies->segments)),
		  LS("error", strerror(e)));
	if (e == ENOSPC || e == EDQUOT)
		return ERR_FULL;
	db_fail(b->db, strerror(e));
	return ERR_TEMP;
}

bool bodies_sync(struct base *b)
{
	int e = segments_sync(b->bodies->segments);
	if (!e)
		return true;
	/* Whatever the error is: after a failed sync the kernel may have dropped the pages. */
	log_event(LOG_LV_ERROR, NULL, "segment-sync-failed",
		  LS("dir", segments_dir(b->bodies->segments)), LS("error", strerror(e)));
	db_fail(b->db, "a segment could not be synced");
	return false;
}

/* --- storing ----------------------------------------------------------------------------- */

static enum ipc_err put_bytes(struct base *b, struct slice bytes, unsigned refs, uint64_t *id)
{
	struct place at = {0};
	uint32_t crc = 0;
	bool row = bytes.len <= small_body;
	uint64_t next = b->bodies->next;
	if (row) {
		crc = crc32c(0, bytes.p, bytes.len);
	} else {
		int e = segments_append(b->bodies->segments, next, bytes, &at, &crc);
		if (e)
			return io_failed(b, "segment-write-failed", e);
	}
	db_start(b->db, SQL_BODY_ADD);
	db_u64(b->db, next);
	db_u64(b->db, bytes.len);
	db_u64(b->db, refs);
	db_u64(b->db, crc);
	db_u64(b->db, at.segment);
	db_u64(b->db, at.at);
	if (row)
		db_bytes(b->db, bytes);
	else
		db_null(b->db);
	enum db_result r = db_run(b->db);
	if (r != DB_DONE)
		return work_err(b, r);
	b->bodies->next++;
	*id = next;
	return ERR_OK;
}

static enum ipc_err put_memfd(struct base *b, const struct body *body, unsigned refs, uint64_t *id)
{
	int need = F_SEAL_SHRINK | F_SEAL_WRITE;
	int seals = fcntl(body->fd, F_GET_SEALS);
	off_t size = lseek(body->fd, 0, SEEK_END);
	/* Unsealed, its owner could shrink it under us, which is a SIGBUS. */
	if (seals < 0 || (seals & need) != need || size < 0 || (uint64_t)size != body->size)
		return ERR_BAD;
	if (size == 0)
		return put_bytes(b, SLICE(""), refs, id);
	void *p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED | MAP_POPULATE, body->fd, 0);
	if (p == MAP_FAILED)
		return ERR_TEMP;
	enum ipc_err e = put_bytes(b, (struct slice){p, (size_t)size}, refs, id);
	munmap(p, (size_t)size);
	return e;
}

enum ipc_err body_put(struct base *b, const struct body *body, unsigned refs, uint64_t *id)
{
	return body->fd > 0 ? put_memfd(b, body, refs, id) : put_bytes(b, body->bytes, refs, id);
}

/* The last reference goes with the row, which need not be written once more before. ERR_NOTFOUND:
 * there are others. */
static enum ipc_err drop_last(struct base *b, uint64_t id)
{
	db_start(b->db, SQL_BODY_DROP);
	db_u64(b->db, id);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_NOTFOUND : work_err(b, r);
	b->bodies->freed += db_col_u64(b->db, 0) ? db_col_u64(b->db, 1) : 0;
	db_reset(b->db);
	return ERR_OK;
}

enum ipc_err body_refs(struct base *b, uint64_t id, int add)
{
	if (add == -1) {
		enum ipc_err e = drop_last(b, id);
		if (e != ERR_NOTFOUND)
			return e;
	}
	db_start(b->db, SQL_BODY_REFS);
	db_i64(b->db, add);
	db_u64(b->db, id);
	enum db_result r = db_step(b->db);
	if (r == DB_DONE)
		return ERR_NOTFOUND;
	if (r != DB_ROW)
		return work_err(b, r);
	uint64_t refs = db_col_u64(b->db, 0);
	uint64_t dead = db_col_u64(b->db, 1) ? db_col_u64(b->db, 2) : 0;
	db_reset(b->db);
	if (refs > 0)
		return ERR_OK;
	db_start(b->db, SQL_BODY_DEL);
	db_u64(b->db, id);
	b->bodies->freed += dead;
	return work_err(b, db_run(b->db));
}

/* --- reading ----------------------------------------------------------------------------- */

struct found {
	uint64_t size;
	uint32_t crc;
	struct place at;
};

static void cut(const struct found *f, uint64_t *off, uint64_t *len)
{
	if (*off > f->size)
		*off = f->size;
	if (*len == 0 || *len > f->size - *off)
		*len = f->size - *off;
}

static enum ipc_err damaged(struct base *b, uint64_t id, const char *what)
{
	log_event(LOG_LV_ERROR, NULL, "body-damaged", LS("database", b->path), LU("body", id),
		  LS("what", what));
	return ERR_TEMP;
}

static enum ipc_err from_segment(struct base *b, uint64_t id, const struct found *f, uint64_t off,
				 uint64_t len, void *out)
{
	switch (segments_read(b->bodies->segments, f->at, id, f->size, off, len, out)) {
	case SEG_OK:
		return ERR_OK;
	case SEG_GONE:
		return damaged(b, id, "its segment file is missing");
	case SEG_BAD:
		return damaged(b, id, "its checksum is wrong");
	default:
		return damaged(b, id, "its segment cannot be read");
	}
}

/* The body of the row that was read, whose columns from `col` on are BODY_COLUMNS. */
static struct found found_at(struct base *b, int col, uint64_t *id)
{
	*id = db_col_u64(b->db, col);
	return (struct found){
	    .size = db_col_u64(b->db, col + 1),
	    .crc = (uint32_t)db_col_u64(b->db, col + 2),
	    .at = {db_col_u64(b->db, col + 3), db_col_u64(b->db, col + 4)},
	};
}

/* Of one that lies in its row: the range (off, len), copied to pool. */
static enum ipc_err from_row(struct base *b, struct pool *pool, int col, uint64_t id,
			     const struct found *f, uint64_t off, uint64_t len, struct slice *out)
{
	struct slice data = db_col(b->db, col + 5);
	if (data.len != f->size || crc32c(0, data.p, data.len) != f->crc)
		return damaged(b, id, "its checksum is wrong");
	cut(f, &off, &len);
	*out = (struct slice){pool_dup(pool, data.p + off, len), len};
	return ERR_OK;
}

/* Finds the body; one that lies in its row is copied to `row` at once (range off, len). */
static enum ipc_err find(struct base *b, struct pool *pool, uint64_t id, uint64_t off, uint64_t len,
			 struct found *f, struct slice *row)
{
	db_start(b->db, SQL_BODY_GET);
	db_u64(b->db, id);
	enum db_result r = db_step(b->db);
	if (r == DB_DONE)
		return ERR_NOTFOUND;
	if (r != DB_ROW)
		return work_err(b, r);
	*f = found_at(b, 0, &id);
	enum ipc_err e = f->at.segment ? ERR_OK : from_row(b, pool, 0, id, f, off, len, row);
	db_reset(b->db);
	return e;
}

enum ipc_err body_here(struct base *b, struct pool *pool, int col, uint64_t most, struct slice *out)
{
	uint64_t id;
	struct found f = found_at(b, col, &id);
	if (f.size > most)
		return ERR_SIZE;
	if (!f.at.segment)
		return from_row(b, pool, col, id, &f, 0, 0, out);
	char *p = pool_alloc(pool, f.size ? f.size : 1);
	*out = (struct slice){p, f.size};
	return from_segment(b, id, &f, 0, f.size, p);
}

enum ipc_err body_get(struct base *b, struct pool *pool, uint64_t id, uint64_t off, uint64_t len,
		      struct slice *out, uint64_t *size)
{
	struct found f = {0};
	enum ipc_err e = find(b, pool, id, off, len, &f, out);
	if (e != ERR_OK)
		return e;
	if (size)
		*size = f.size;
	if (!f.at.segment)
		return ERR_OK;
	cut(&f, &off, &len);
	char *p = pool_alloc(pool, len ? len : 1);
	*out = (struct slice){p, len};
	return len ? from_segment(b, id, &f, off, len, p) : ERR_OK;
}

static enum ipc_err to_memfd(struct base *b, uint64_t id, const struct found *f, uint64_t off,
			     uint64_t len, struct body *out)
{
	int fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p = MAP_FAILED;
	if (fd >= 0 && ftruncate(fd, (off_t)len) == 0)
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	enum ipc_err e = ERR_TEMP;
	if (p != MAP_FAILED) {
		e = from_segment(b, id, f, off, len, p);
		munmap(p, len);
	}
	if (e == ERR_OK)
		*out = (struct body){.fd = fd, .size = len};
	else if (fd >= 0)
		close(fd);
	return e;
}

enum ipc_err body_read(struct base *b, struct pool *pool, uint64_t id, uint64_t off, uint64_t len,
		       struct body *out, uint64_t *size)
{
	struct found f = {0};
	struct slice row = SLICE("");
	*out = BODY_NONE;
	enum ipc_err e = find(b, pool, id, off, len, &f, &row);
	if (e != ERR_OK)
		return e;
	if (size)
		*size = f.size;
	cut(&f, &off, &len);
	if (f.at.segment && len > IPC_INLINE_BODY)
		return to_memfd(b, id, &f, off, len, out);
	if (f.at.segment) {
		char *p = pool_alloc(pool, len ? len : 1);
		row = (struct slice){p, len};
		e = len ? from_segment(b, id, &f, off, len, p) : ERR_OK;
	}
	*out = (struct body){.bytes = row, .fd = -1, .size = len};
	return e;
}

/* --- giving space back ------------------------------------------------------------------- */

struct survey {
	struct base *b;
	uint64_t found; /* the first segment whose live bytes are less than half; 0: none */
};

static void look_at(void *arg, uint64_t segment, uint64_t bytes)
{
	struct survey *v = arg;
	struct bodies *s = v->b->bodies;
	uint64_t live = 0;
	if (segment >= segments_mark(s->segments).segment || v->found)
		return;
	for (size_t i = 0; i < s->drops; i++)
		if (s->drop[i].segment == segment)
			return;
	db_start(v->b->db, SQL_BODY_LIVE);
	db_u64(v->b->db, segment);
	if (db_step(v->b->db) == DB_ROW)
		live = db_col_u64(v->b->db, 0);
	db_reset(v->b->db);
	if (live < bytes / 2)
		v->found = segment;
}

static void drop_old(struct bodies *s)
{
	size_t left = 0;
	for (size_t i = 0; i < s->drops; i++) {
		bool ripe = clock_mono() - s->drop[i].since >= GRACE_MS;
		if (ripe && atomic_load(&s->pins) == 0)
			segments_remove(s->segments, s->drop[i].segment);
		else
			s->drop[left++] = s->drop[i];
	}
	s->drops = left;
}

/* Copies one body to the end of the last segment. ERR_NOTFOUND: it is damaged and stays. */
static enum ipc_err move(struct base *b, struct pool *pool, uint64_t id, uint64_t size,
			 struct place from)
{
	struct bodies *s = b->bodies;
	struct place to;
	uint32_t crc;
	char *p = pool_alloc(pool, size);
	if (segments_read(s->segments, from, id, size, 0, size, p) != SEG_OK) {
		damaged(b, id, "cannot be moved to a new segment");
		return ERR_NOTFOUND;
	}
	int e = segments_append(s->segments, id, (struct slice){p, size}, &to, &crc);
	if (e)
		return io_failed(b, "segment-write-failed", e);
	db_start(b->db, SQL_BODY_MOVE);
	db_u64(b->db, to.segment);
	db_u64(b->db, to.at);
	db_u64(b->db, id);
	return work_err(b, db_run(b->db));
}

struct moving {
	uint64_t id, size, place;
};

/* The next bodies of the segment, up to a few MiB of them. */
static size_t gather(struct base *b, struct moving *m, size_t max)
{
	size_t n = 0;
	uint64_t bytes = 0;
	db_start(b->db, SQL_BODY_IN_SEGMENT);
	db_u64(b->db, b->bodies->compacting);
	db_u64(b->db, b->bodies->place);
	while (n < max && bytes < (4u << 20) && db_step(b->db) == DB_ROW) {
		m[n] = (struct moving){db_col_u64(b->db, 0), db_col_u64(b->db, 1),
				       db_col_u64(b->db, 2)};
		bytes += m[n++].size;
	}
	db_reset(b->db);
	return n;
}

static enum ipc_err move_some(struct base *b, size_t *moved)
{
	struct bodies *s = b->bodies;
	struct moving m[64];
	size_t n = gather(b, m, sizeof(m) / sizeof(m[0]));
	*moved = n;
	for (size_t i = 0; i < n; i++) {
		struct pool *pool = pool_new(0);
		struct place from = {s->compacting, m[i].place};
		enum ipc_err e = move(b, pool, m[i].id, m[i].size, from);
		pool_free(&pool);
		if (e != ERR_OK && e != ERR_NOTFOUND)
			return e;
		s->place = m[i].place;
	}
	return ERR_OK;
}

static bool choose(struct base *b)
{
	struct bodies *s = b->bodies;
	struct survey v = {b, 0};
	if (s->freed >= segment_size / 4)
		s->surveyed = false;
	if (s->surveyed || s->drops == DROPS_MAX)
		return false;
	s->freed = 0;
	segments_each(s->segments, look_at, &v);
	s->surveyed = v.found == 0;
	s->compacting = v.found;
	s->place = 0;
	return v.found != 0;
}

static void emptied(struct base *b)
{
	struct bodies *s = b->bodies;
	uint64_t live = 0;
	db_start(b->db, SQL_BODY_LIVE);
	db_u64(b->db, s->compacting);
	if (db_step(b->db) == DB_ROW)
		live = db_col_u64(b->db, 0);
	db_reset(b->db);
	if (live == 0) {
		s->drop[s->drops].segment = s->compacting;
		s->drop[s->drops++].since = clock_mono();
	} else {
		s->surveyed = true; /* a damaged body keeps it: do not come back at once */
	}
	s->compacting = 0;
}

bool bodies_compact(struct base *b)
{
	struct bodies *s = b->bodies;
	size_t moved = 0;
	drop_old(s);
	if (!s->compacting && !choose(b))
		return false;
	struct bodies_mark mark = bodies_mark(s);
	uint64_t place = s->place;
	bool ok = db_begin(b->db) == DB_DONE && move_some(b, &moved) == ERR_OK && bodies_sync(b) &&
		  db_commit(b->db) == DB_DONE;
	if (!ok) {
		db_rollback(b->db);
		bodies_undo(s, mark);
		s->place = place;
		s->compacting = 0;
		s->surveyed = true;
		return false;
	}
	if (moved == 0)
		emptied(b);
	return true;
}
