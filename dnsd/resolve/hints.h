/* hints: the servers of the root, to begin with (RFC 8109). */
#ifndef DNSD_HINTS_H
#define DNSD_HINTS_H
#include "dnsd/cache/cache.h"

enum { HINTS_RECORDS = 128 };
/* Text of a zone file with the root's NS records and addresses; NULL: IANA's list. False: *why is a
 * text that lives until the next call, and the hints are as they were. */
bool hints_set(const char *text, const char **why);
/* As a delegation; those built in when none were set. */
const struct cached *hints(void);
/* One of them is on this host, as in tests: then others may be, too. */
bool hints_on_loopback(void);
void hints_forget(void);
#endif
