/* check: proves what a database promises. */
#ifndef STORED_CHECK_H
#define STORED_CHECK_H
#include "stored/work.h"

typedef void check_fn(void *arg, const char *finding);
struct check_sums {
	uint64_t bodies, bytes; /* that were read */
	unsigned findings;
};
/* The engine's own integrity and foreign keys, every CHECK_ statement, and every body, read and
 * compared with its checksum. Reports each finding by fn, which names the database. Takes as
 * long as reading all of it; on any thread that the base belongs to. */
void check_base(struct base *b, check_fn *fn, void *arg, struct check_sums *sums);
#endif
