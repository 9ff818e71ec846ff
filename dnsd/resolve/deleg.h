/* deleg: a zone's servers as a task sees them: their names, and the addresses that are known. */
#ifndef DNSD_DELEG_H
#define DNSD_DELEG_H
#include <netinet/in.h>
#include "dnsd/cache/cache.h"
#include "dnsd/resolve/pick.h"
#include "dnsd/upstream/forward.h"

enum {
	DELEG_NAMES = 16,   /* servers of a zone that are looked at, drawn by lot */
	DELEG_SERVERS = 32, /* addresses of them */
	DELEG_LOOKUPS = 6,  /* names whose addresses are looked up (NXNSAttack) */
	DELEG_AT_ONCE = 2,  /* of them at a time */
};
union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};
struct deleg_server {
	union address to;
	const char *tls; /* the name in its certificate; NULL: by UDP */
	uint8_t name;    /* whose it is */
	uint8_t tries;
	bool busy, bad;
};
struct deleg_name {
	uint8_t name[DNS_NAME_MAX];
	bool known;  /* has an address */
	bool looked; /* its addresses were looked up, or are being */
};
struct deleg {
	uint8_t zone[DNS_NAME_MAX];
	struct deleg_name name[DELEG_NAMES];
	struct deleg_server server[DELEG_SERVERS];
	unsigned names, servers, lookups;
	const struct forward *forward; /* whose servers these are; NULL: of a delegation */
	bool own;                      /* this process serves the zone: there are no servers */
};
/* Addresses that are not asked: of a family that this host does not have, and its own. */
struct deleg_families {
	bool v4, v6, loopback;
};
/* From a delegation as the cache has it; lot: random. */
void deleg_load(struct deleg *d, const struct cached *c, struct deleg_families f, uint32_t lot);
void deleg_load_forward(struct deleg *d, const struct forward *f);
void deleg_load_own(struct deleg *d, const uint8_t *zone);
/* They resolve for us. */
bool deleg_recursive(const struct deleg *d);
/* Adds the records of the set, A or AAAA, as the server's. */
void deleg_addresses(struct deleg *d, unsigned name, const struct rrset *set,
		     struct deleg_families f);
/* A name whose addresses are to be looked up next; -1: none is left. One at or below the zone is
 * none: without an address of it the way to it is the one that is missing. */
int deleg_lookup(const struct deleg *d);
/* The server to ask now; -1: none. */
int deleg_pick(const struct deleg *d, uint32_t lot);
/* "ns1.example.org (192.0.2.1)". */
enum { DELEG_TEXT = 1100 };
const char *deleg_text(const struct deleg *d, unsigned server, char out[DELEG_TEXT]);
#endif
