/* backup: copies of the whole store, made while it runs, in STATE-DIR/backups/NAME:
 *   manifest                             what is there, with sizes and checksums
 *   directory.db shard-1.db ...          consistent copies, each of one moment; the directory's
 *                                        first: what was fanned out after it is in a shard too,
 *                                        and its token keeps a restored queue from doubling it
 *   directory.seg/ shard-1.seg/ ...      the segment files
 * The store itself is STATE-DIR/store. A whole restore is staged beside it, verified, and takes
 * its place at the next start by one rename; what was there stays in STATE-DIR/replaced-TIME.
 *
 * Functions but the first two run on a thread of libuv's pool. False with *why (in pool). */
#ifndef STORED_BACKUP_H
#define STORED_BACKUP_H
#include "stored/check.h"

/* STATE-DIR/store, in memory that stays. */
const char *backup_store(const char *state_dir);
/* At start-up: makes the store's folder, or puts a staged restore in its place. */
bool backup_take_over(const char *state_dir, const char **why);

struct backup_info {
	const char *name;
	uint64_t created_ms;
	uint64_t bytes;
	unsigned shards;
	unsigned files;
};
/* The folder of a backup: for base_frozen(). NULL: no such backup. */
const char *backup_dir(struct pool *pool, const char *state_dir, struct slice name);
bool backup_create(struct pool *pool, const char *state_dir, struct slice name,
		   struct backup_info *out, const char **why);
/* In the order of their names; *n of them, in pool. */
struct backup_info *backup_list(struct pool *pool, const char *state_dir, size_t *n);
/* Files against the manifest, then check_base() on every database. */
bool backup_verify(struct pool *pool, const char *state_dir, struct slice name, check_fn *fn,
		   void *arg, struct check_sums *sums, const char **why);
/* Stages it: the next start runs on it. */
bool backup_restore(struct pool *pool, const char *state_dir, struct slice name,
		    struct backup_info *out, const char **why);
#endif
