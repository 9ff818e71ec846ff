/* explain: what was done to answer a question, as lines for a human: each server that was asked and
 * what it said, each signature that was checked, the reason of a failure. Bounded. */
#ifndef DNSD_EXPLAIN_H
#define DNSD_EXPLAIN_H
#include "libcommon/base/buf.h"

enum { EXPLAIN_LINES = 1000, EXPLAIN_LINE = 2048, EXPLAIN_OCTETS = 400000 };
struct explain {
	struct buf text; /* lines */
	unsigned lines;
};
void explain_begin(struct explain *e);
void explain_end(struct explain *e);
/* A line; e may be NULL. What comes from others is in text form (dns_name_text()) already. */
void explain_line(struct explain *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#endif
