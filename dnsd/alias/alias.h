/* alias: the addresses that stand in place of ALIAS records. Who compiles a zone notes what names
 *its ALIAS records lead to, and takes the addresses of these that are known; one process, the
 *leader, looks them up, in our own zones or by recursive servers, again and again as their TTLs
 *pass, and has the zone compiled anew when they have changed. These are files beside the image:
 *
 *	IMAGE.targets     a name a line
 *	IMAGE.aliases     a line a record: NAME TARGET
 *	IMAGE.addresses   a line a name: NAME TTL ADDRESS ...
 *
 * so that a restart begins with the addresses that were known before it. */
#ifndef DNSD_ALIAS_H
#define DNSD_ALIAS_H
#include "dnsd/image/beside.h"
#include "dnsd/dnsd.h"
#include "dnsd/image/image.h"

enum {
	ALIAS_TARGETS = 1000, /* of a zone; the records of further ones have no addresses */
	ALIAS_FILE = 1 << 20, /* octets of each file, at most */
};

struct alias_target {
	uint8_t name[DNS_NAME_MAX]; /* lower case */
	bool known;
	struct image_addresses found;
	uint8_t to[DNS_NAME_MAX]; /* where it leads to; of lists of ALIAS records */
};
struct alias_list {
	struct alias_target *target; /* in an order of their own */
	size_t n, cap;
};
void alias_list_free(struct alias_list *l);
/* NULL: it is not there. */
struct alias_target *alias_list_find(const struct alias_list *l, const uint8_t *name);
/* The target, put in where it is new. NULL: there are ALIAS_TARGETS. */
struct alias_target *alias_list_add(struct alias_list *l, const uint8_t *name);

/* --- alias_file.c ------------------------------------------------------------------------------
 */
/* Lines that are not of this form are passed over. */
void alias_parse_targets(struct slice text, struct alias_list *out);
void alias_parse_addresses(struct slice text, struct alias_list *out);
void alias_parse_records(struct slice text, struct alias_list *out);
void alias_text_targets(const struct alias_list *l, struct buf *out);
void alias_text_records(const struct alias_list *l, struct buf *out);
void alias_text_addresses(const struct alias_list *l, struct buf *out); /* of those known */
/* What tells one IMAGE.addresses from another; 0: there is none. */
uint64_t alias_version(int folder, const char *image);

/* --- alias_book.c: for who compiles --------------------------------------------------------------
 */
struct alias_book {
	int folder;
	const char *image;
	struct alias_list known, asked;
	struct alias_list records; /* ALIAS_TARGETS of them: circles of others are not seen */
};
/* Reads IMAGE.addresses. image: kept by reference. */
void alias_book_open(struct alias_book *b, int folder, const char *image);
image_alias_fn alias_book_find; /* arg: the book */
/* Writes IMAGE.targets and IMAGE.aliases: what was asked for. False: errno. */
bool alias_book_close(struct alias_book *b);

/* --- alias_watch.c: the leader's work ------------------------------------------------------------
 */
/* state: the fd of the state folder. */
void alias_start(int state);
#endif
