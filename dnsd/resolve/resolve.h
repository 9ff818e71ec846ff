/* resolve: a question, resolved: from the cache, or from the servers that the delegations lead to,
 * and validated. Questions that are alike are one. Loop thread only.
 *
 *	recurse (clients) --> resolve.c --> task.h: step.c, ask.c, prove.c
 *	                                             |        |        |
 *	                                           cache  upstream  validate
 */
#ifndef DNSD_RESOLVE_H
#define DNSD_RESOLVE_H
#include "dnsd/cache/cache.h"

enum {
	RESOLVE_HOPS =
	    16, /* CNAMEs and DNAMEs that an answer goes along (a DNAME counts with its CNAME) */
	RESOLVE_NO_EDE = 0xffff,
};
struct explain;   /* explain.h: what happened, as lines; NULL: nobody wants to know */
struct resolved { /* the parts of an answer, in order: CNAMEs (and DNAMEs), then the last one */
	uint16_t rcode;
	enum rrset_security security; /* of the least secure part */
	uint16_t ede;                 /* RFC 8914 */
	char why[192];                /* of a failure: "ns1.example.org (192.0.2.1): ..." */
	bool stale, prefetch;
	unsigned n;
	struct cached part[RESOLVE_HOPS + 1];
};
struct resolve_ask {
	const uint8_t *name; /* lower case; copied */
	uint16_t type;
	unsigned space;         /* of the cache: of the client's view */
	bool checking_disabled; /* a bogus answer is wanted, too */
	bool renew; /* what the cache has is not taken: it soon expires (cached.prefetch) */
	struct explain *explain;
	bool apart; /* with a cache of its own, which is empty: all of the way is gone */
};
struct resolution;
/* Lives during the call. */
typedef void resolve_fn(void *arg, const struct resolved *r);
void resolve_start(struct cache *cache);
void resolve_stop(void);
/* The root's servers, to begin with: text of a zone file; NULL: IANA's list, which is there without
 * a call, too. False: *why is a text that lives until the next call. */
bool resolve_hints(const char *text, const char **why);
/* Where trust begins; they are kept by reference, and may change. NULL, as at first: nothing is
 * validated. */
struct anchors;
void resolve_anchors(const struct anchors *a);
/* Zones that this process serves itself are asked without a network; kept by reference. NULL, as
 * at first: none. */
struct resolve_own {
	/* The closest of them at or above the name, lower case; NULL: there is none. */
	const uint8_t *(*zone)(const uint8_t *name);
	/* The response to a query; its octets. */
	size_t (*answer)(const uint8_t *query, size_t len, uint8_t *out, size_t cap);
};
void resolve_own(const struct resolve_own *own);
/* Names are answered by proofs that are known (RFC 8198), of which so many octets are kept; 0, as
 * at first: they are not. After resolve_start(). */
void resolve_aggressive(size_t octets);
/* cache_flush() of the name, with or without what is below, is not all that is known of it. */
void resolve_flush(const uint8_t *name);
/* Which addresses of servers are used: those that this host can reach. Both at first. */
void resolve_families(bool v4, bool v6);
/* The whole answer is in the cache; *out is valid until the cache changes, or the next call. */
bool resolve_cached(const struct resolve_ask *q, uint64_t now, bool stale, struct resolved *out);
/* fn is called once, never before this returns; the handle is gone then. NULL: too many. */
struct resolution *resolve(const struct resolve_ask *q, resolve_fn *fn, void *arg);
/* fn will not be called; what was begun may go on for the cache. */
void resolve_cancel(struct resolution **r);
#endif
