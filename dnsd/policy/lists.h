/* lists: block lists, and response policy zones (draft-vixie-dnsop-dns-rpz): triggers, and what is
 * done when one is met. */
#ifndef DNSD_LISTS_H
#define DNSD_LISTS_H
#include <sys/socket.h>
#include "dnsd/policy/local.h"

enum list_action { /* in this order the words of conf */
		   LIST_NXDOMAIN,
		   LIST_NODATA,
		   LIST_DROP,
		   LIST_TCP,
		   LIST_PASS,
		   LIST_DATA, /* the list's own, of the key that was met */
};
enum list_trigger {
	LIST_CLIENT = 'c',
	LIST_NAME = 'q',
	LIST_ADDRESS = 'i',
	LIST_NS = 'd',
	LIST_NS_ADDRESS = 'n'
};
struct list_hit {
	enum list_action action;
	uint8_t key[DNS_NAME_MAX]; /* of LIST_DATA: where the data stand */
};
struct list;
/* name: kept by reference. */
struct list *list_new(const char *name);
void list_free(struct list **l);
const char *list_name(const struct list *l);
/* How many triggers it has. */
size_t list_count(const struct list *l);
/* Some of its triggers need an answer: addresses in it, servers that gave it. */
bool list_waits(const struct list *l);
/* A line of a plain list: a name, that stands for all names under it as well, or "*.name", for
 * these alone; of a hosts file: an address and names, exactly these. Comments begin with # or !.
 * False: something else stands there. */
bool list_line(struct list *l, struct slice line, enum list_action action);
/* A record of a response policy zone whose owner has lost the zone's name. What the zone has for
 * itself (SOA, NS) is left out. False: *why is a static text. */
bool list_rr(struct list *l, const struct zone_rr *rr, const char **why);
/* The name (lower case) as a question's (LIST_NAME) or a server's (LIST_NS). */
bool list_has_name(const struct list *l, enum list_trigger t, const uint8_t *name,
		   struct list_hit *hit);
/* The longest network that has the address: of 4 or 16 octets. */
bool list_has_address(const struct list *l, enum list_trigger t, const uint8_t *addr, size_t len,
		      struct list_hit *hit);
/* As local_find() does, of a hit with LIST_DATA. target: of LOCAL_CNAME, where it goes on; a
 * CNAME to "*.x" goes to the name under x. */
enum local_found list_data(const struct list *l, const struct list_hit *hit, const uint8_t *name,
			   uint16_t type, struct cached *out, uint8_t target[DNS_NAME_MAX]);
#endif
