/* recurse_int: what the files of the client side share. */
#ifndef DNSD_RECURSE_INT_H
#define DNSD_RECURSE_INT_H
#include "dnsd/policy/policy.h"
#include "dnsd/recurse/recurse.h"

enum { /* RFC 8914 4 */
       RECURSE_OTHER = 0,
       RECURSE_CACHED_ERROR = 13,
       RECURSE_PROHIBITED = 18,
       RECURSE_NOT_AUTHORITATIVE = 20,
       RECURSE_NO_ANSWER = 22,
};
enum recurse_how {
	HOW_CACHE,
	HOW_STALE,
	HOW_RESOLVED,
	HOW_REFUSED,
	HOW_LIMITED,
	HOW_POLICY,
	HOW_COUNT
};

struct recurse_stats {
	uint64_t how[HOW_COUNT];
	uint64_t waiting, waited, prefetched, too_many, failed, bogus, secure, late;
};
extern struct recurse_stats recurse_stats;

/* --- recurse.c --- */
struct recurse_self {
	struct cache *cache; /* NULL: there is no cache server */
	const struct answer_conf *about;
	int state;
};
extern struct recurse_self recurse_self;
/* What is to be resolved for the client now. */
struct resolve_ask recurse_ask_of(const struct query *q, const struct policy_query *p);
/* The response that policy wants; found: of POLICY_ANSWER. Returns its octets; 0: none. */
size_t recurse_policy(enum policy_verdict v, const struct query *q, const struct answer_way *way,
		      const struct resolved *found, bool udp, uint8_t *out, size_t cap,
		      struct answer_info *info);
/* The query log, and counters. ms: that it took; found may be NULL. */
void recurse_note(const struct sockaddr *client, const struct query *q, enum recurse_how how,
		  uint64_t ms, const struct answer_info *info, const struct resolved *found);
/* The expired answer, where that may be given in place of a failure. */
bool recurse_stale(const struct resolve_ask *ask, const struct resolved *failed,
		   struct resolved *out);

/* --- recurse_own.c: zones that this process serves itself --- */
extern const struct resolve_own recurse_own;

/* --- recurse_anchor.c: trust anchors, and their successors (RFC 5011) --- */
void recurse_anchors_start(void);
void recurse_anchors_stop(void);

/* --- recurse_save.c: the cache across restarts --- */
void recurse_load(void);
void recurse_save(void);

/* --- recurse_wait.c --- */
/* The client waits until it is found out. True: a response comes later; else *why says why not. */
bool recurse_wait(const struct recurse_question *r, const struct policy_query *p, const char **why);
/* Somebody has asked for what soon expires. */
void recurse_renew(const struct resolve_ask *ask);
/* Nobody waits any more. */
void recurse_forget(void);

#endif
