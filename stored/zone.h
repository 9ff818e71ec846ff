/* zone: the transactions of zones, in the directory. A zone's records are a generation of chunks
 * (dns/zonechunk.h) in canonical order: the zone's own name in the first, all records of a name in
 * one. An edit writes the chunks of the names that it changes; an import writes a generation of its
 * own, a draft, which then takes the other's place: what is left of that, or of drafts that came to
 * nothing, is removed bit by bit. Each change is a step of the journal, up to a size.
 *
 * Functions run on a directory thread, those that change something on the writer's. */
#ifndef STORED_ZONE_H
#define STORED_ZONE_H
#include "libcommon/dns/zonecheck.h"
#include "stored/stored.h"

enum {
	ZONE_LIST_MAX = 1000,
	ZONE_READ_OCTETS = 1 << 20,    /* of one answer, about */
	ZONE_STEP_OCTETS = 3 << 20,    /* of one step of the journal: larger ones are not kept */
	ZONE_JOURNAL_OCTETS = 8 << 20, /* of a zone's whole journal */
	ZONE_EDIT_OPS = 10000,
};

struct zone_tx { /* of one operation */
	struct base *b;
	struct pool *pool; /* of results and texts */
	uint64_t now_ms;
	const char *why; /* of an error, for people; in pool or static */
};
/* Sets why; returns e. */
enum ipc_err zone_say(struct zone_tx *t, enum ipc_err e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The zone's name as text, in pool, without a dot at the end. */
const char *zone_text(struct pool *pool, struct slice name);

/* zone.c */
struct zone {
	uint64_t id;
	struct slice name; /* wire form, lower case */
	uint64_t source;   /* enum zone_source */
	uint32_t serial;
	uint64_t generation, records, chunks, bytes;
	uint64_t created_ms, changed_ms;
};
/* The name of a message, in lower case; false: it is no name. */
bool zone_name(struct pool *pool, struct slice wire, struct slice *out);
enum ipc_err zone_get(struct zone_tx *t, struct slice name, struct zone *out);
enum ipc_err zone_list(struct zone_tx *t, uint64_t after, struct zone *out, size_t max, size_t *n);
enum ipc_err zone_save(struct zone_tx *t, const struct zone *z);
enum ipc_err zone_delete(struct zone_tx *t, const struct zone *z);

struct zone_piece { /* a chunk as it is kept */
	struct slice first, last, data;
	uint64_t records;
};
/* The chunk where the key is or would be; the next one behind the key. Slices in pool.
 * ERR_NOTFOUND: there is none. */
enum ipc_err zone_piece_at(struct zone_tx *t, uint64_t generation, struct slice key,
			   struct zone_piece *out);
enum ipc_err zone_piece_after(struct zone_tx *t, uint64_t generation, struct slice key,
			      struct zone_piece *out);
enum ipc_err zone_piece_put(struct zone_tx *t, uint64_t generation, const struct zone_piece *p);
enum ipc_err zone_piece_delete(struct zone_tx *t, uint64_t generation, struct slice first);
/* Chunks from the one where the key is, ZONE_READ_OCTETS of them or a little more; *next: the first
 * key of the one behind, *more: there is one. */
enum ipc_err zone_pieces(struct zone_tx *t, const struct zone *z, struct slice from, uint32_t max,
			 struct row_zone_chunk **out, uint32_t *n, bool *more, struct slice *next);

/* Generations that are nobody's: marks one as a draft's (open) or to be removed; takes that back.
 */
enum ipc_err zone_gone(struct zone_tx *t, uint64_t generation, bool open);
enum ipc_err zone_not_gone(struct zone_tx *t, uint64_t generation);
/* After a start no draft is anybody's any more. */
enum ipc_err zone_gone_all(struct zone_tx *t);
/* Removes a few chunks of what is gone. */
enum ipc_err zone_clean(struct zone_tx *t, bool *more);

/* zone_serial.c (RFC 1982; pure) */
bool zone_serial_above(uint32_t a, uint32_t b);
/* The next one: one more; where it is a date (YYYYMMDDnn) today's, if that is above. Never 0. */
uint32_t zone_serial_next(uint32_t serial, uint64_t now_ms);

/* zone_journal.c */
struct zone_step { /* all zero is an empty one */
	struct zone_chunk_out deleted, added;
	uint64_t deletions, additions; /* SOA records do not count */
	bool over;                     /* larger than is kept */
};
void zone_step_note(struct zone_step *s, bool added, const struct zone_rr *rr);
void zone_step_free(struct zone_step *s);
/* Keeps the step from the old SOA to the new one, or, over, forgets all: there is no way from an
 * earlier serial to this one. */
enum ipc_err zone_step_keep(struct zone_tx *t, uint64_t zone, struct zone_step *s,
			    const struct zone_rr *old_soa, const struct zone_rr *new_soa);
enum ipc_err zone_steps_forget(struct zone_tx *t, uint64_t zone);
/* Steps from the serial on, as many as an answer takes. ERR_NOTFOUND: it is not known. */
enum ipc_err zone_steps(struct zone_tx *t, const struct zone *z, uint32_t serial,
			struct row_zone_step **out, uint32_t *n);

struct zone_result { /* of a change */
	uint64_t id;
	uint32_t before, serial; /* equal: nothing was to be changed; of a new zone before is 0 */
	bool fresh;              /* a new zone */
	bool known;              /* the numbers of records are */
	uint64_t deleted, added, records;
};

/* zone_draft.c */
struct zone_draft {
	uint64_t generation;
	struct slice name;
	uint64_t source;
	struct zone_run run;
	struct zone_check check;
	uint64_t records, chunks, bytes;
};
/* d: name and source are set, the rest zero; the name outlives it. */
enum ipc_err zone_draft_begin(struct zone_tx *t, struct zone_draft *d);
enum ipc_err zone_draft_put(struct zone_tx *t, struct zone_draft *d,
			    const struct row_zone_chunk *chunk, uint32_t n);
enum ipc_err zone_draft_commit(struct zone_tx *t, const struct zone_draft *d,
			       struct zone_result *out);

/* zone_owner.c: the records of one name. */
struct zone_rrs {
	struct zone_rr *rr; /* by type, then data */
	size_t n, cap;
};
/* An empty list where the name has none. The data stays in pool. */
enum ipc_err zone_owner_get(struct zone_tx *t, const struct zone *z, const uint8_t *owner,
			    struct zone_rrs *out);
/* Writes them in place of those that are there; the chunk is cut in two when it becomes large, and
 * joined with the next one when it becomes small. The zone's numbers are set, not saved. */
enum ipc_err zone_owner_put(struct zone_tx *t, struct zone *z, const uint8_t *owner,
			    const struct zone_rrs *rrs);
/* The same data as a serial of its own; in pool. */
struct zone_rr zone_soa_with(struct pool *pool, const struct zone_rr *soa, uint32_t serial);

/* zone_edit.c: changes of single records, all or none. */
enum ipc_err zone_edit(struct zone_tx *t, struct zone *z, const struct row_zone_op *op, uint32_t n,
		       struct zone_result *out);

/* zone_verify.c: for `hamletctl check`: every chunk of every zone; tells what is wrong by fn. */
void zone_verify(struct base *b, void (*fn)(void *arg, const char *finding), void *arg);

/* op_zone.c */
op_fn op_zone_list, op_zone_read, op_zone_changes, op_zone_begin, op_zone_put, op_zone_commit,
    op_zone_abort, op_zone_edit, op_zone_delete;
void op_zone_closed(struct conn *c);
/* Removes what an earlier process left half-done. */
void zone_start(void);
#endif
