/* What relay_work.c and relay_store.c share. */
#ifndef SMTPD_RELAY_WORK_H
#define SMTPD_RELAY_WORK_H
#include "libcommon/base/id.h"
#include "smtpd/relay.h"

/* A letter with its lease, from the claim until the store has its result.
 *
 *   claimed -> (content asked for -> here) -> verdicts -> result sent -> gone
 *
 * The content of a small letter comes with the claim. */
struct held {
	struct letter l;   /* first: the destination's pointer is ours */
	struct list link;  /* of all */
	struct list queue; /* of those whose content is to be asked for, or whose result is */
	const struct route *route;
	uint64_t renew_at; /* clock_mono() */
	uint64_t asked_at; /* ... when the lease was last asked for */
	uint64_t until;    /* ... up to when it is ours, whatever the store does */
	bool renewing;     /* a renewal is under way */
	bool lost;         /* the lease, or it may be */
	uint64_t memory;   /* octets of content */
	bool ahead;        /* ... which the destination has not asked for yet */
	unsigned asked;    /* questions under way: it stays until they are answered */
	bool settled;      /* its verdicts are there: content that comes is not wanted */
	bool over;         /* the store has its result: freed when asked is 0 */
	/* The result. */
	struct row_rcpt_done *row; /* NULL: given back untried */
	struct row_leased *back;
	bool sent; /* ... and not yet answered */
	bool
	    one_by_one; /* a lease of some recipient was lost: those of the others are told apart */
	size_t at;      /* ... the next of them */
};

/* --- relay_store.c --- */
/* Chooses the worker's name. */
void relay_store_start(void);
/* Asks for a claim: relay_claimed() answers. False: it cannot be asked now. */
bool relay_claim(uint32_t max, uint32_t per_domain, uint64_t content,
		 struct row_domain_limit *limit, uint32_t n);
/* Asks for the content: relay_read_done() answers. False: not now. */
bool relay_read(struct held *h);
/* Asks for a longer lease: relay_renewed() answers. False: not now. */
bool relay_renew(struct held *h);
/* Brings the result to the store, again and again until it is acknowledged or of no use any more;
 * then relay_result_done(). */
void relay_result(struct held *h);
/* Watches the queue (again) and repeats what the store did not acknowledge. */
void relay_store_again(void);

/* --- relay_work.c, called by relay_store.c --- */
/* An administrator wants what waits to be tried now: who was not there, or not in the DNS, may be.
 */
void relay_flush(void);
/* NULL: the store could not say. */
void relay_claimed(const struct msg_queue_items *m);
enum read_end { READ_OK, READ_LATER /* the store is away */, READ_NOT };
/* The body is the callee's to copy or, by setting fd to -1, to take. */
void relay_read_done(struct held *h, enum read_end end, struct body *body);
/* INUSE: the lease of some recipient is another's. */
void relay_renewed(struct held *h, enum ipc_err e);
void relay_result_done(struct held *h);

struct relay_stats {
	uint64_t held, memory;                              /* now */
	uint64_t claims, claimed, returned, repeated, lost; /* results repeated, leases lost */
};
extern struct relay_stats relay_stats;

/* --- relay_stats.c --- */
/* A recipient's mail was delivered, so long after it came. */
void relay_stats_queued(uint64_t ms);

#endif
