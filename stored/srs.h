/* srs: the sender rewriting scheme. A message that an alias sends on to another host leaves from an
 * address of ours, so that the host that takes it can check who sends it; what is returned to that
 * address is sent on to the first sender. The address says who that was, the day, and a keyed hash,
 * so that nobody else can have mail passed on:
 *
 *   SRS0=hash=day=domain=local@ours         of local@domain
 *   SRS1=hash=domain=rest@ours              of SRS0rest@domain, which a forwarder before us made
 *
 * Lower and upper case are the same to the hash. Pure but for the key; any thread. */
#ifndef STORED_SRS_H
#define STORED_SRS_H
#include "libcommon/base/pool.h"
#include "libcommon/base/str.h"

#define SRS_KEY_LEN   32
#define SRS_LOCAL_MAX 64 /* octets before the @ (RFC 5321 4.5.3.1.1) */

/* Set once, before the threads that ask. */
void srs_key(const unsigned char key[SRS_KEY_LEN]);

/* The address at `domain` (ours) for mail from `sender`, in the pool. False: none can be made of
 * it (a quoted local part, or too long), *out is unchanged. */
bool srs_forward(struct pool *pool, struct slice sender, struct slice domain, uint64_t now_ms,
		 struct slice *out);

enum srs {
	SRS_NONE,   /* not at `domain`, or no such address */
	SRS_GOOD,   /* *out: where mail to it goes, in the pool */
	SRS_FORGED, /* not made by us */
	SRS_OLD,    /* ... longer ago than life_ms */
};
enum srs srs_back(struct pool *pool, struct slice addr, struct slice domain, uint64_t now_ms,
		  uint64_t life_ms, struct slice *out);

#endif
