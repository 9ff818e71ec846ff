/* body: message bodies, one interface whether they lie in a row or in a segment file. A body is
 * known by its id, unique in its database (the directory's queue, a shard), and counted: whoever
 * stores rows that name it counts them in `refs`; at 0 it is gone. All of it is part of the
 * transaction of the operation that calls, so it is durable with the commit and undone with the
 * operation. Errors are returned as they go to run()'s caller: ERR_FULL, ERR_TEMP ...
 *
 * A table that names bodies: `body BIGINT NOT NULL REFERENCES bodies (id)` with an index on it;
 * delete its row first, then body_refs(-1). A CHECK_ statement (sql.h) proves its counts. */
#ifndef STORED_BODY_H
#define STORED_BODY_H
#include "stored/work.h"

/* Writer: stores the body (inline bytes or a sealed memfd) with `refs` references. Gives its id.
 * The bytes (or fd) must stay until the op is done. ERR_BAD: a memfd that may still change. */
enum ipc_err body_put(struct base *b, const struct body *body, unsigned refs, uint64_t *id);
/* Writer: adds to the count, or takes from it; a body whose count falls to 0 is removed.
 * ERR_NOTFOUND: no such body. */
enum ipc_err body_refs(struct base *b, uint64_t id, int add);
/* Reads `len` bytes (0: all) from `off` on, cut at the body's end: up to IPC_INLINE_BODY into
 * `pool` (bytes), above it into a new memfd that the caller owns. *size (may be NULL): of the
 * whole body. A read of the whole is checked against its checksum; ERR_TEMP with a log line when
 * it is wrong. ERR_NOTFOUND: no such body. */
enum ipc_err body_read(struct base *b, struct pool *pool, uint64_t id, uint64_t off, uint64_t len,
		       struct body *out, uint64_t *size);
/* The same, always into pool; for small ranges and for what is parsed here. */
enum ipc_err body_get(struct base *b, struct pool *pool, uint64_t id, uint64_t off, uint64_t len,
		      struct slice *out, uint64_t *size);

/* The same of the whole body, for a statement of the caller's that joins `bodies b`: of the row
 * that it has just read, whose columns from `col` on are BODY_COLUMNS (sql.h). ERR_SIZE: larger
 * than `most`. */
enum ipc_err body_here(struct base *b, struct pool *pool, int col, uint64_t most,
		       struct slice *out);

/* The rest is for base.c, batch.c, work.c and the care of the store. */
struct segments;
/* Opens the segment files in `dir` for a base whose database is open. */
struct bodies *bodies_open(struct base *b, const char *dir, const char **why);
void bodies_close(struct bodies **bodies);
/* Bodies over `small` bytes go to segments of about `segment` bytes. */
void bodies_limits(uint64_t small, uint64_t segment);
struct segments *bodies_segments(struct bodies *s);
/* Before an operation (or a batch), and to undo what it did to the segments. */
struct bodies_mark {
	uint64_t segment, at, next;
};
struct bodies_mark bodies_mark(const struct bodies *s);
void bodies_undo(struct bodies *s, struct bodies_mark m);
/* Makes the segments durable: before the commit. False: stop and recover. */
bool bodies_sync(struct base *b);
/* One step of giving back the space of removed bodies, in a transaction of its own; run on the
 * writer when it is idle. False: nothing is left to do for now. */
bool bodies_compact(struct base *b);
/* While pinned, no segment file is removed (a backup copies them). Any thread. */
void bodies_pin(struct bodies *s, int add);

#endif
