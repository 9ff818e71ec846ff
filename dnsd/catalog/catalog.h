/* catalog: zones that list zones (RFC 9432), so that a secondary needs no line for each zone.
 *
 *	ours:    zones come and go --> source_catalog.c (in the builder) --> an image as any other
 *	theirs:  transferred as any secondary --> catalog_read.c --> catalog.c: its members are
 *	         secondaries, of the same primaries
 *
 * Both are transferred to who may transfer them; nobody else is answered about them: they tell
 * which zones there are. */
#ifndef DNSD_CATALOG_H
#define DNSD_CATALOG_H
#include "dnsd/dnsd.h"
#include "dnsd/image/image.h"

/* --- conf_catalog.c: the directive `catalog`, and the word in `secondary` ----------------------
 */
extern const struct conf_directive conf_catalog_table[];
/* After conf_xfr_verify() of the top. pool: as long-lived as conf. */
void conf_catalogs_verify(struct conf_errors *e, struct pool *pool);
/* All that there are; NULL: there are not so many. */
struct zone_conf *conf_catalog_at(size_t i);

/* --- source_catalog.c: what is in ours, from dnsd.conf and the store; in the builder ------------
 */
/* image_origin.id of such an image. */
#define CATALOG_ORIGIN UINT64_MAX
bool catalog_version(struct compile *c, struct image_origin *out, const char **why);
bool catalog_records(struct compile *c, struct image_maker *m, struct image_origin *origin);

/* --- catalog.c: what they do ------------------------------------------------------------------
 */
/* After load_start(). state: the fd of the state folder. */
void catalog_start(int state);
/* What all catalogs of others list was known at some time, perhaps before this start. */
bool catalogs_known(void);
#endif
