/* work: the threads of stored. Each database (the directory, each shard) has one writer thread,
 * which groups what waits into one transaction (a savepoint per operation, one commit, then all
 * answers), and reader threads with read-only connections. Operations are made on the loop's
 * thread, run on theirs, and finish on the loop's again.
 *
 *   loop: op_new, work_write / work_read  ->  thread: op->run(db, op)  ->  loop: op->done(op)
 *
 * run() may be called a second time, its first changes undone (a batch that did not fit on the
 * disk is tried again one by one): it sets its results anew each time. It returns an ipc_err:
 * anything but ERR_OK undoes the operation's own changes (savepoint). done() comes after the
 * commit; a failed commit turns every op of the batch into ERR_FULL or ERR_TEMP. DB_FAILED on a
 * writer stops the database: ops are answered ERR_TEMP, the daemon logs, exits, and is restarted to
 * recover. */
#ifndef STORED_WORK_H
#define STORED_WORK_H
#include <stdbool.h>
#include <stdint.h>
#include "libcommon/base/list.h"
#include "libcommon/base/pool.h"
#include "libcommon/ipc/msg.h"
#include "stored/db.h"

struct bodies; /* body.h */
struct base {  /* one database with its threads; what run() gets */
	struct db *db;
	struct bodies *bodies; /* body_put, body_get ...: never NULL in run() */
	unsigned shard;        /* 0: the directory */
	bool writer;
	const char *path; /* of the database */
	bool own_bodies;  /* base.c's */
	uint64_t owed_ms; /* of the op that runs: see there */
};

/* A base without threads, on the caller's: what the threads are made of, and what unit tests use.
 * The writer makes and migrates what is missing in state_dir, recovers, and prepares every
 * statement; a reader belongs to its writer and goes before it. NULL with *why. */
struct base *base_open(const char *state_dir, unsigned shard, const char **why);
struct base *base_reader(struct base *writer, const char **why);
/* A base out of a backup's folder, which nobody writes: for reading alone. */
struct base *base_frozen(const char *dir, unsigned shard, const char **why);
void base_close(struct base **b);
/* How many shards the folder has. */
unsigned base_shards(const char *dir);

struct op {
	struct list link;
	struct pool *pool; /* of this op: arguments, results, run()'s memory */
	enum ipc_err err;  /* run()'s result, or the commit's */
	const char *text;  /* for people, in pool or static; may be NULL */
	enum ipc_err (*run)(struct base *b, struct op *op);
	void (*done)(struct op *op); /* frees the op with op_free() at the end */
	void *arg;
	uint64_t owed_ms;   /* when a notice is due that it came to owe (clock_ms()); 0: none */
	uint64_t queued_ns; /* clock_ns() of work_write / work_read: for the histograms */
	/* Of a writer's: nobody waits for it at once. It goes with the commit of one that cannot
	 * wait, or, when none comes, by itself so much later. 0: it cannot wait. */
	unsigned patience_ms;
};
/* `size` is that of your struct, whose first member is a struct op (0: just the op). Zeroed. */
struct op *op_new(size_t size);
void op_free(struct op *op);

#define WORK_DIRECTORY 0u /* shards are 1..N */
/* False when the queue is full: answer ERR_TEMP. */
bool work_write(unsigned base, struct op *op);
bool work_read(unsigned base, struct op *op);
/* Opens all databases, migrates, verifies, starts the threads. False with *why (start-up). */
bool work_start(const char *state_dir, unsigned shards, unsigned readers, const char **why);
void work_stop(void); /* waits for what is queued */
unsigned work_shards(void);
/* A reader of one's own, for long work on a thread of libuv's pool while the store runs (a backup,
 * a check); base_close() it there. NULL with *why. */
struct base *work_reader(unsigned base, const char **why);
/* Bodies above `small_body` bytes go to segment files, each up to about `segment_size`. Before
 * work_start; without it: 16 KiB, 128 MiB. */
void work_limits(uint64_t small_body, uint64_t segment_size);
/* Called on the loop's thread, once, when a writer had to stop (DB_FAILED): leave the process. */
void work_on_stop(void (*fn)(const char *why));
/* "name value\n" lines: batches, operations, commit times, WAL sizes, queue lengths. */
struct buf;
void work_stats(struct buf *out);
/* Maps an error of the engine to the answer; logs what an administrator must know. */
enum ipc_err work_err(struct base *b, enum db_result r);

#endif
