/* body: message bodies, one interface whether they lie in a row or in a segment file. A body is
 * known by its id, unique in its database (the directory's queue, a shard), and counted: whoever
 * stores rows that name it counts them in `refs`; at 0 it is gone. All of it is part of the
 * transaction of the operation that calls, so it is durable with the commit and undone with the
 * operation. Errors are returned as they go to run()'s caller: ERR_FULL, ERR_TEMP ... */
#ifndef STORED_BODY_H
#define STORED_BODY_H
#include "stored/work.h"

struct buf;

/* Writer: stores the body (inline bytes or a sealed memfd) with `refs` references. Gives its id.
 * The bytes (or fd) must stay until the op is done. ERR_BAD: a memfd that may still shrink. */
enum ipc_err body_put(struct base *b, const struct body *body, unsigned refs, uint64_t *id);
/* Writer: adds to the count, or takes from it; a body whose count falls to 0 is removed.
 * ERR_NOTFOUND: no such body. */
enum ipc_err body_refs(struct base *b, uint64_t id, int add);
/* Reads `len` bytes (0: all) from `off` on, cut at the body's end: up to IPC_INLINE_BODY into
 * `pool` (bytes), above it into a new memfd that the caller owns. *size: of the whole body. A
 * read of the whole is checked against its checksum; ERR_TEMP with a log line when it is wrong.
 * ERR_NOTFOUND: no such body. */
enum ipc_err body_read(struct base *b, struct pool *pool, uint64_t id, uint64_t off, uint64_t len,
		       struct body *out, uint64_t *size);
/* The same, always into pool; for small ranges and for what is parsed here. */
enum ipc_err body_get(struct base *b, struct pool *pool, uint64_t id, uint64_t off, uint64_t len,
		      struct slice *out, uint64_t *size);

/* The rest is for base.c, work.c and the care of the store. */
/* Opens (makes) the segment files in `dir` for a writer whose database is open. */
struct bodies *bodies_open(struct base *writer, const char *dir, const char **why);
void bodies_close(struct bodies **bodies);
/* Bodies over `small` bytes go to segments of about `segment` bytes. */
void bodies_limits(uint64_t small, uint64_t segment);

#endif
