/* pick: which of a zone's servers is asked next. Pure. */
#ifndef DNSD_PICK_H
#define DNSD_PICK_H
#include <stdbool.h>
#include <stdint.h>

enum {
	PICK_TRIES = 2,  /* of one address for one question */
	PICK_BAND = 30,  /* ms slower than the best, or half as slow again, is as good */
	PICK_AGAIN = 400 /* ms that each try before adds */
};
struct pick {
	uint32_t expect; /* ms, upstream_expect() */
	uint8_t tries;
	bool busy; /* it is being asked */
	bool lame; /* only when there is no other */
	bool bad;  /* not again for this question */
};
/* At random (lot) among those that are about as fast as the best; -1: none is left. */
int pick_server(const struct pick *p, unsigned n, uint32_t lot);
#endif
