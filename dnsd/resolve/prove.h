/* prove: the validation of one reply, as a task does it: which zone has to have signed it, whether
 * that is signed at all, its keys, its signatures, and proofs of what is not there. What it needs
 *of other zones (DS, DNSKEY) other tasks bring.
 *
 *	prove_chain.c   from the trust anchor to the zone's keys, or to an insecure delegation
 *	prove_sets.c    the reply's rrsets by these keys
 *	prove.c         one after the other, and what comes of it
 */
#ifndef DNSD_PROVE_H
#define DNSD_PROVE_H
#include "dnsd/resolve/task.h"
#include "dnsd/validate/anchor.h"
#include "dnsd/validate/denial.h"

enum {
	PROVE_SLICE = 4,  /* checks of signatures until others have their turn */
	PROVE_SKEW = 300, /* seconds that clocks may differ */
	PROVE_RETRIES = 1 /* replies of other servers that are looked at after a bogus one */
};
enum prove_phase {
	PHASE_BEGIN,
	PHASE_WALK, /* unsigned: is there an insecure delegation above it? */
	PHASE_DS,   /* of the signer */
	PHASE_KEYS,
	PHASE_SETS,
	PHASE_DENIAL,
};
enum prove_got { GOT_WAIT, GOT_IT, GOT_NOTHING /* t->why, t->ede */ };
struct prove {
	enum prove_phase phase;
	struct pool *pool;
	struct wait wait;
	bool answered;
	struct result got;
	uint8_t anchored[DNS_NAME_MAX]; /* the zone of the trust anchor */
	struct anchor anchor;           /* in the pool */
	uint8_t signer[DNS_NAME_MAX];
	unsigned labels; /* PHASE_WALK: of the name that is looked at */
	struct rrset ds, keys;

	struct validate_work work;
	struct validate v;
	struct denial denial;
	const struct rrset *set[SCRUB_PROOFS + 1]; /* to check: main first, when there is one */
	unsigned sets, at, proofs;                 /* proofs: of the reply's, that are good */
	bool begun;                                /* set[at] is being checked */
	uint32_t ttl;                              /* the least that signatures leave */
	uint8_t expanded;                          /* labels of the wildcard; 0: none */
	bool cut;                                  /* of DS: there is a delegation, and no DS */
	uint16_t ede; /* of a proof that is not good: why the denial fails */
	char why[WHY];
};
/* What a step of a phase says. */
enum prove_verdict {
	VERDICT_NONE, /* another phase */
	VERDICT_WAIT,
	VERDICT_LATER,
	VERDICT_INDETERMINATE,
	VERDICT_INSECURE,
	VERDICT_SECURE,
	VERDICT_BOGUS,  /* t->why, t->ede */
	VERDICT_BROKEN, /* what it depends on could not be had: another server will not help */
};

/* --- prove_chain.c --- */
enum prove_verdict chain_begin(struct task *t, struct prove *p);
enum prove_verdict chain_walk(struct task *t, struct prove *p);
enum prove_verdict chain_ds(struct task *t, struct prove *p);
/* Of the zone that is to be asked for DS: VERDICT_NONE: it is signed, as far as one can tell. */
enum prove_verdict chain_above(struct task *t, struct prove *p);
enum prove_verdict chain_keys(struct task *t, struct prove *p);
/* --- prove_sets.c --- */
enum prove_verdict sets_check(struct task *t, struct prove *p);
enum prove_verdict sets_denial(struct task *t, struct prove *p);
/* Says why in the reply's name. */
enum prove_verdict bogus(struct task *t, uint16_t ede, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
extern const struct anchors *prove_anchors;
#endif
