/* xfr_tell: which transfers are written down. Who may transfer zones may do so a thousand times a
 * second: of each peer and kind so many lines are written in a while, of all of them some more;
 * how many were left out is told when the while is over (event transfers-untold). */
#ifndef DNSD_XFR_TELL_H
#define DNSD_XFR_TELL_H
#include <stdbool.h>
#include <stdint.h>

enum {
	XFR_TELL_MS = 10000,
	XFR_TELL_LINES = 100, /* of a peer and kind in so long */
	XFR_TELL_ALL = 500,   /* of all of them */
	XFR_TELL_PEERS = 64,  /* and kinds that are told apart; the others share what is left */
};
/* One more of the kind (static) with the peer. False: it is counted only. */
bool xfr_tell(const char *peer, const char *kind);
/* The while is over: tells what was left out, and returns how many. A timer calls it. */
uint64_t xfr_tell_over(void);
#endif
