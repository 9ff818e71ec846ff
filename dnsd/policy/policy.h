/* policy: what clients get in place of, or in spite of, what the world says: local data, block
 * lists and response policy zones, DNS64, no private addresses from strangers. Pure functions on
 * names and answers; what they need to know is filled in at start.
 *
 *	struct policy_query q = {.client = ..., .name = ..., .type = ...};
 *	v = policy_before(&q, &out);
 *	while (v == POLICY_RESOLVE)
 *		v = policy_after(&q, [what q.ask and q.ask_type resolve to], &out);
 */
#ifndef DNSD_POLICY_H
#define DNSD_POLICY_H
#include <sys/socket.h>
#include "dnsd/resolve/resolve.h"

enum policy_verdict {
	POLICY_RESOLVE, /* q->ask, q->ask_type, then policy_after() */
	POLICY_AS_IS,   /* of policy_after(): what it was given is the answer */
	POLICY_ANSWER,  /* *out is: valid until the next call of a function of policy, or a change
			 * of the cache */
	POLICY_DROP,    /* no answer at all */
	POLICY_TCP,     /* by UDP an empty answer with TC, by TCP it would be POLICY_RESOLVE */
};
enum policy_stage { POLICY_BEGUN, POLICY_ASKED, POLICY_ASKED_A };
struct policy_query {
	const struct sockaddr *client;
	const uint8_t *name; /* lower case; lives as long as the query */
	uint16_t type;
	unsigned view;
	bool stream;    /* it came by TCP or TLS */
	bool dnssec_ok; /* DO */
	bool checking_disabled;
	/* Set by policy. */
	const uint8_t *ask;
	uint16_t ask_type;
	enum policy_stage stage;
	bool listed; /* lists had nothing to say of the client and the name */
	uint8_t buf[DNS_NAME_MAX];
};
/* There is some policy: when not, the others need not be called. */
bool policy_is_on(void);
enum policy_verdict policy_before(struct policy_query *q, struct resolved *out);
/* out is not r. */
enum policy_verdict policy_after(struct policy_query *q, const struct resolved *r,
				 struct resolved *out);
/* For NS triggers: where delegations are looked up; NULL: nowhere. */
void policy_start(struct cache *cache);
/* ours: says whether a zone that is served here has the name; it is asked before names that the
 * world has nothing of are said not to be there. NULL: there is none. */
void policy_ours(bool (*ours)(const uint8_t *name));
void policy_forget(void);

struct policy_stats {
	uint64_t local, blocked, passed, dropped, tcp, dns64, rebinding;
};
extern struct policy_stats policy_stats;
#endif
