/* dnssec: whether a zone is signed, by which keys, and what comes next: rollover.h and sign.h over
 * keyd and dnsd.conf. In the builder's process. */
#ifndef DNSD_DNSSEC_H
#define DNSD_DNSSEC_H
#include "dnsd/dnsd.h"
#include "dnsd/image/image.h"

/* What a request to the builder may ask for beside an image (struct compile: dnssec). */
enum {
	DNSSEC_TELL = 1,      /* nothing is compiled: lines about the keys */
	DNSSEC_ROWS = 2,      /* ... for programs */
	DNSSEC_REPLACE = 4,   /* the key is to be replaced */
	DNSSEC_EMERGENCY = 8, /* ... in a hurry */
	DNSSEC_PARENT = 16,   /* the parent has done what CDS asks for */
};

/* socket: keyd's for this role; NULL: there is none. */
void dnssec_start(const char *socket);

struct dnssec;
/* Before a zone is compiled; before: its image so far, NULL: none. NULL: it is not signed, or that
 * cannot be said now (then c has a mistake). */
struct dnssec *dnssec_begin(struct compile *c, const struct image *before);
image_sign_fn dnssec_sign; /* arg: struct dnssec */
void dnssec_end(struct dnssec **d);
/* d may be NULL. The zone was signed before, by keyd's keys, but there is no image of that: which
 * serial secondaries have is not known. */
bool dnssec_lost(const struct dnssec *d);

/* Lines about a zone's keys, into c->errors. */
void dnssec_tell(struct compile *c, const struct image *served);

/* The settings in force, as a number; 0: not to be signed. */
uint64_t dnssec_settings(const struct zone_conf *z);
/* The image must be made again, whatever its source: signatures end, keys go on, other settings. */
bool dnssec_is_due(const struct zone_conf *z, const struct image *i);
#endif
