/* zone: the transactions of zones, in the directory. A zone's records are a generation of chunks
 * (dns/zonechunk.h) in canonical order: the zone's own name in the first, all records of a name in
 * one. An edit writes the chunks of the names that it changes; an import writes a generation of its
 * own, a draft, which then takes the other's place: what is left of that, or of drafts that came to
 * nothing, is removed bit by bit. Each change is a step of the journal, up to a size.
 *
 * Functions run on a directory thread, those that change something on the writer's. */
#ifndef STORED_ZONE_H
#define STORED_ZONE_H
#include "libcommon/dns/serial.h"
#include "libcommon/dns/zonecheck.h"
#include "stored/stored.h"

enum {
	ZONE_LIST_MAX = 1000,
	ZONE_READ_OCTETS = 1 << 20,    /* of one answer, about */
	ZONE_STEP_OCTETS = 3 << 20,    /* of one step of the journal: larger ones are not kept */
	ZONE_JOURNAL_OCTETS = 8 << 20, /* of a zone's whole journal */
	ZONE_EDIT_OPS = 10000,
	ZONE_EDIT_OCTETS = 4 << 20, /* of records that an edit holds at a time, about */
	ZONE_UPDATE_NEEDS = 1000,
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
struct zone_owner {
	const uint8_t *name;
	struct zone_rrs rrs;
};
struct zone_look { /* the chunk that was looked at last; all zero is none */
	struct pool *pool;
	struct zone_piece p;
};
/* An empty list where the name has none. The data stays in pool. The chunk stays in `l` for the
 * next name, which is likely to stand there, too; when chunks are written, let go of it. */
enum ipc_err zone_owner_get(struct zone_tx *t, const struct zone *z, const uint8_t *owner,
			    struct zone_look *l, struct zone_rrs *out);
void zone_look_end(struct zone_look *l);
/* Writes the records of n names, which are in canonical order, in place of those that are there;
 * each chunk once. It is cut in two when it becomes large, and joined with the next one when it
 * becomes small. The zone's numbers are set, not saved. */
enum ipc_err zone_owners_put(struct zone_tx *t, struct zone *z, const struct zone_owner *o,
			     size_t n);
/* The zone's own name. */
enum ipc_err zone_apex_get(struct zone_tx *t, const struct zone *z, struct zone_rrs *out);
enum ipc_err zone_apex_put(struct zone_tx *t, struct zone *z, const struct zone_rrs *rrs);
/* The same data as a serial of its own; in pool. */
struct zone_rr zone_soa_with(struct pool *pool, const struct zone_rr *soa, uint32_t serial);

enum zone_rules {
	ZONE_RULES_EDIT,   /* what cannot be done is an error */
	ZONE_RULES_UPDATE, /* RFC 2136 3.4.2: what cannot stand beside what is there is left out */
	ZONE_RULES_EXACT,  /* RFC 1995: a record that goes is there, one that comes is not */
};
/* zone_apply.c: one operation on the records of its name; pure. */
struct zone_apply {
	struct pool *pool;
	enum zone_rules rules;
	const uint8_t *apex;
	uint32_t serial;    /* the zone's */
	struct zone_rr soa; /* the zone's; an added one takes its place */
	bool soa_raised;    /* ... and has a higher serial */
};
/* The operation was checked by itself. NULL, or why it cannot be done. */
const char *zone_apply(struct zone_apply *a, struct zone_rrs *rrs, const struct row_zone_op *op);

/* zone_edit.c: changes of single records, all or none; then the zone keeps to its rules. */
enum ipc_err zone_edit(struct zone_tx *t, struct zone *z, enum zone_rules rules,
		       const struct row_zone_op *op, uint32_t n, struct zone_result *out);

/* zone_need.c: what an update wants to find (RFC 2136 3.2). *rcode: an enum dns_rcode; the first
 * that is not so decides, sets of records (ZONE_NEED_RR) come last. */
enum ipc_err zone_need(struct zone_tx *t, const struct zone *z, const struct row_zone_need *need,
		       uint32_t n, uint32_t *rcode);

/* zone_once.c: updates that were done lately, by the names that their requests have; on the loop.
 * Memory is bounded: when there are too many, the oldest is forgotten. */
enum { ZONE_ONCE_MS = 600000, ZONE_ONCE_MAX = 16384, ZONE_ONCE_OCTETS = 64 };
enum zone_once { ZONE_ONCE_NEW, ZONE_ONCE_BUSY, ZONE_ONCE_DONE };
/* NEW: it is under way from now on, until zone_once_end(). DONE: *out is what it was answered. */
enum zone_once zone_once_begin(struct slice once, struct msg_zone_updated *out);
/* done NULL: it failed; it may be tried again. */
void zone_once_end(struct slice once, const struct msg_zone_updated *done);

/* zone_verify.c: for `hamletctl check`: every chunk of every zone; tells what is wrong by fn. */
void zone_verify(struct base *b, void (*fn)(void *arg, const char *finding), void *arg);

/* op_zone.c */
op_fn op_zone_list, op_zone_read, op_zone_changes, op_zone_begin, op_zone_put, op_zone_commit,
    op_zone_abort, op_zone_edit, op_zone_delete;
void op_zone_closed(struct conn *c);
/* Tells the log and those who watch. */
void zone_changed(struct pool *pool, struct slice name, const struct zone_result *r);
/* Removes what an earlier process left half-done. */
void zone_start(void);

/* op_zone_update.c */
op_fn op_zone_update;
#endif
