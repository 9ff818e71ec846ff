/* minimise: which name a server is told: no more labels than it needs to refer us on (RFC 9156).
 * Relaxed: whatever looks odd ends it (`off`), and the whole name is asked. Pure. */
#ifndef DNSD_MINIMISE_H
#define DNSD_MINIMISE_H
#include "libcommon/dns/wire.h"

enum {
	MINIMISE_MOST = 10,  /* questions for a part of a name */
	MINIMISE_SINGLE = 4, /* of these go one label further, the others many */
};
struct minimise {
	unsigned asked; /* questions so far */
	unsigned known; /* labels of the longest part that is known to exist */
	bool off;
};
/* zone: the one whose servers are asked, at or above the name. *out points into the name. Returns
 * the type to ask for; the type given when *out is the whole name. */
uint16_t minimise_next(const struct minimise *m, const uint8_t *zone, const uint8_t *name,
		       uint16_t type, const uint8_t **out);
/* The server has said that this part of the name exists. */
void minimise_exists(struct minimise *m, const uint8_t *part);
#endif
