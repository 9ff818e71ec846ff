/* zone: the commands about zones of the store. hamletctl reads and writes the text of zones, the
 * store takes and gives records (dns/zonechunk.h). */
#ifndef HAMLETCTL_ZONE_H
#define HAMLETCTL_ZONE_H
#include "hamletctl/hamletctl.h"
#include "libcommon/dns/zonecheck.h"
#include "libcommon/ipc/peer.h"

enum { ZONE_TTL = 3600 }; /* of records whose TTL nobody tells, seconds */

/* zone_talk.c: one command's conversation. */
struct zone_talk {
	struct pool *pool;
	struct peer_sync *sync;
	struct slice name; /* wire form, lower case */
	int status;        /* exit status, when something failed */
};
/* Reads the name, connects (with `connect`). False after a line on stderr; end it in any case. */
bool zone_talk(struct zone_talk *t, const char *name, bool connect);
int zone_talk_end(struct zone_talk *t);
/* The answer, in pool; NULL after a line on stderr. */
const void *zone_ask(struct zone_talk *t, struct pool *pool, enum msg_type type, const void *msg,
		     enum msg_type want);
/* A name as it is typed: "@", what stands below the zone, or a whole name, with or without a dot at
 * its end. NULL after a line on stderr. */
const uint8_t *zone_owner(struct zone_talk *t, const char *text);
/* All records of the zone, chunk by chunk; from the start again when it changes meanwhile. */
struct zone_text {
	struct row_zone_chunk *chunk;
	size_t n, cap;
};
bool zone_fetch(struct zone_talk *t, struct zone_text *out);

/* run_zone.c: what dnsd tells of the zone, in pool; how many cells, 0: it does not serve it, or
 * does not run. */
size_t zone_served(struct pool *pool, const char *zone, struct row_cell **cells);
/* The file that it serves the zone from, in pool; NULL: none. */
const char *zone_file(struct pool *pool, const char *zone);

/* zone_show.c: each record of a name, until fn gives false. False after a line on stderr. */
bool zone_each_of(struct zone_talk *t, const uint8_t *owner, zone_rr_fn *fn, void *arg);
/* zone_edit.c: a type that zones have; 0 after a line on stderr. */
uint16_t zone_type(struct zone_talk *t, const char *text);

/* What print_cells() prints. */
struct zone_cells {
	struct pool *pool;
	struct row_cell *cell;
	size_t n, cap;
	uint32_t record;
};
void zone_cell(struct zone_cells *c, enum cell_kind kind, const char *name, struct slice text);
void zone_number(struct zone_cells *c, const char *name, uint64_t v);
/* The zone's name, its serial, what went and came. */
void zone_told(struct zone_cells *c, const struct zone_talk *t, const struct msg_zone_changed *m);
#endif
