/* batch: one group of operations, one transaction, one commit. */
#ifndef STORED_BATCH_H
#define STORED_BATCH_H
#include "stored/work.h"

enum { BATCH_MAX = 64 };
struct batch_result {
	bool stopped;       /* the database failed: no further operation may be run on it */
	unsigned ops;       /* that were committed */
	uint64_t commit_ns; /* of the syncs and the commit */
};
/* Runs and commits the operations of the list (none is taken off) and sets each one's err. */
struct batch_result batch_run(struct base *b, struct list *ops);
#endif
