/* catalog_int: catalogs of others; what the files catalog*.c share. */
#ifndef DNSD_CATALOG_INT_H
#define DNSD_CATALOG_INT_H
#include "dnsd/catalog/catalog.h"

/* --- catalog_read.c ------------------------------------------------------------------------------
 */
enum {
	CATALOG_MEMBERS = 250000, /* of a catalog */
	CATALOG_FILE = 64 << 20,  /* octets of IMAGE.members */
};
struct catalog_entry { /* names in lower case */
	const uint8_t *zone;
	const uint8_t *label; /* by which it is listed, a name of this one label */
	const uint8_t *coo;   /* the catalog that may take it; NULL: none */
};
struct catalog_list {
	struct pool *pool;
	struct catalog_entry *entry;
	size_t n, cap;
};
/* The members that an image tells. NULL; or why it cannot be used (RFC 9432 5.1), out is then
 * empty. */
const char *catalog_read(const struct image *image, struct catalog_list *out);
/* Lines of another form are passed over. */
void catalog_parse(struct slice text, struct catalog_list *out);
void catalog_print(const struct catalog_entry *e, struct buf *out);
void catalog_list_free(struct catalog_list *l);

/* --- catalog.c: which zones are secondaries because of them; in every process --------------------
 */
struct catalog {
	const struct zone_conf *conf;
	const char *image_name;
	struct catalog_list list; /* as it was when it was good last */
	bool known;               /* that was at some time */
};
struct member {
	struct pool *pool;
	struct zone_conf conf;
	const uint8_t *label;
	const struct catalog *of;
};
/* NULL: it is none. */
const struct member *catalog_member(const uint8_t *zone);
void catalog_each(int (*fn)(const void *key, size_t len, void *member, void *arg), void *arg);

/* --- catalog_book.c: the leader's work -----------------------------------------------------------
 * IMAGE.members has the zones that are in the store because of the catalog, each with the label
 * that it was fetched under: what it has and the catalog has not any more is deleted from the
 * store; what has another label there is fetched whole. So nothing of that is forgotten while the
 * store, a primary or this process is away. */
/* The file is read into each catalog's list. */
void book_start(int state, struct catalog *c, size_t n);
/* The catalog that the zone is in the store because of, as the file had it; NULL: none. */
const struct catalog *book_owner(const uint8_t *zone);
/* Members have changed. */
void book_look(void);
#endif
