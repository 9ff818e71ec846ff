/* task: one name and type that is being resolved, without what a CNAME leads to. Whoever needs it
 * waits for it: clients' questions (resolve.c), and other tasks: for the addresses of servers, for
 * DS and DNSKEY of the zones above. Tasks that are alike are one.
 *
 *	task.c   life, who waits for whom, what it may cost
 *	step.c   from the cache, or from delegation to delegation
 *	ask.c    the servers of one zone: which, in parallel, what they say
 *	prove.c  the validation of what they said
 */
#ifndef DNSD_TASK_H
#define DNSD_TASK_H
#include "dnsd/resolve/deleg.h"
#include "dnsd/resolve/explain.h"
#include "dnsd/resolve/minimise.h"
#include "dnsd/resolve/put.h"
#include "dnsd/resolve/resolve.h"
#include "dnsd/upstream/upstream.h"
#include "libcommon/base/list.h"

enum {
	TASK_EXCHANGES = 3, /* with servers of a zone at a time */
	TASK_DEPTH = 24,    /* referrals */
	TASK_WAITS = 2 * DELEG_AT_ONCE,
	TASK_ASKED = 10,   /* servers of a zone that are asked one question, at most */
	TASK_MOST = 20000, /* at a time */
	TASK_LAME_MS = 900000,
	RUN_QUERIES = 100, /* to servers, for one client's question */
	RUN_LOOKUPS = 24,  /* names of servers looked up for it */
	RUN_MS = 15000,    /* after that nothing more is asked */
	WHY = sizeof(((struct resolved *)0)->why),
};
enum task_ede { EDE_OTHER = 0, EDE_NO_REACHABLE_AUTHORITY = 22, EDE_NETWORK_ERROR = 23 };

/* --- task.c ------------------------------------------------------------------------------------
 */
/* What a client's question may cost: all tasks that it starts draw from it. */
struct apart { /* a cache for one question; it lives until the last task for it is done */
	unsigned refs;
	struct cache *cache;
};
struct run {
	unsigned refs;
	struct cache *cache;
	struct apart *apart; /* whose that is; NULL: everybody's */
	unsigned space;
	struct explain *explain;   /* whose it is may be gone: then NULL */
	unsigned queries, lookups; /* left */
	uint64_t until;            /* clock_mono() */
	bool renew;                /* tasks that the client waits for take nothing from the cache */
};
struct run *run_new(struct cache *cache, unsigned space);
/* With an empty cache; NULL: there is no memory for one. */
struct run *run_new_apart(unsigned space);
/* Of the same cache, with a budget of its own. */
struct run *run_like(const struct run *r);
void run_release(struct run **r);

/* Calls fn in this turn of the loop, or the next one. */
struct ready {
	struct list at;
	void (*fn)(struct ready *r);
};
void ready_set(struct ready *r, void (*fn)(struct ready *r));
/* Not before the loop has looked at its events. */
void ready_set_later(struct ready *r, void (*fn)(struct ready *r));
void ready_clear(struct ready *r);

enum task_mode {
	TASK_CHECKED,
	TASK_CHAIN,    /* DS, to learn whether the zone is signed: ends early when what is above it
			* is not */
	TASK_UNCHECKED /* not validated: addresses of servers, and clients who said CD */
};
struct result {
	struct cached c;
	char why[WHY];
};
struct wait {
	struct list at, mine; /* of the task waited for; of the one that waits */
	struct task *on, *by; /* by NULL: a client's question */
	/* The task is done; *r lives during the call, in which the wait is over. */
	void (*fn)(struct wait *w, const struct result *r);
	void *arg;
	unsigned which;
};
/* Waits for the task, which is started when there is none. False: there would be a circle, or there
 * are too many tasks. fn is not called before this returns. */
bool task_wait(struct wait *w, struct run *run, const uint8_t *name, uint16_t type,
	       enum task_mode mode);
void task_unwait(struct wait *w);
bool wait_is_on(const struct wait *w);
/* Starts one that nobody waits for. */
void task_start(struct run *run, const uint8_t *name, uint16_t type, enum task_mode mode);
void tasks_stop(void);

enum task_state {
	TASK_BEGIN,
	TASK_ZONE, /* the servers of deleg.zone are to be asked: is it signed at all? */
	TASK_ASK,
	TASK_REPLY,
	TASK_PROVE,
	TASK_DONE,
};
struct asking {
	struct task *task;
	struct upstream *u;
	unsigned server;
	const uint8_t *name; /* a part of the task's */
	uint16_t type;
};
struct task {
	struct ready ready;
	struct list all;
	struct run *run;
	size_t key_len; /* in the table of tasks */
	uint8_t key[32 + DNS_NAME_MAX];
	const uint8_t *name; /* in key */
	uint16_t type;
	enum task_mode mode;
	enum task_state state;
	struct list waiters, waits;
	unsigned seen; /* by a search for circles */

	struct deleg deleg;
	unsigned depth;
	struct minimise minimise;
	struct asking asking[TASK_EXCHANGES];
	unsigned exchanges, asked;
	bool another; /* a server is late: ask one more */
	bool full;    /* no exchange could be begun */
	bool direct;  /* forwarders were of no use */
	bool renew;   /* its own entry in the cache is not taken */
	struct wait address[TASK_WAITS];

	struct pool *pool; /* of the reply */
	struct scrubbed reply;
	const uint8_t *reply_name; /* that was asked for: t->name, or the end of it */
	unsigned reply_server;
	char why[WHY];
	uint16_t ede;
	bool is_bogus;
	/* A bogus reply: what is said when others are no better. */
	unsigned retried;
	uint16_t bogus_ede;
	char bogus_why[WHY];
	bool referred; /* the reply is what a referral had with it */
	struct prove *prove;
};
/* All three end it, and tell all that wait for it. The cache had it: */
void task_known(struct task *t, const struct cached *c);
/* It was found out, and goes into the cache. */
void task_finish(struct task *t, const struct cached *c);
/* t->why says why; again: this is not remembered. */
void task_fail(struct task *t, uint16_t ede, bool again);
void task_wake(struct task *t);
void task_wake_later(struct task *t); /* after the events that are there */
/* A line for `explain`, after the task's name and type. */
void task_say(const struct task *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint64_t task_now(void); /* seconds */
uint32_t task_lot(void); /* random */

/* --- step.c ------------------------------------------------------------------------------------
 */
void task_step(struct task *t);
/* What is known without asking anybody: an entry for the name, or an ancestor's DNAME. False:
 * nothing. */
bool step_known(struct cache *cache, unsigned space, const uint8_t *name, uint16_t type,
		enum task_mode mode, uint64_t now, bool stale, struct cached *out);
/* The zone of the name that is asked for at servers of ours, or in this process, and not where the
 * delegations lead: proofs of the zones above it say nothing of it. NULL: there is none. */
const uint8_t *step_apart(unsigned space, const uint8_t *name, uint16_t type);
extern struct deleg_families task_families;
extern const struct resolve_own *task_own; /* NULL: none */
/* The name whose zone is responsible: of DS the one above. */
static inline const uint8_t *task_place(const struct task *t)
{
	return t->type == DNS_DS && *t->name ? t->name + 1 + *t->name : t->name;
}

/* --- ask.c -------------------------------------------------------------------------------------
 */
enum ask_next {
	ASK_WAIT,
	ASK_FAILED, /* t->why, t->ede say why */
};
/* Asks a server of t->deleg, or looks for addresses; an answer worth looking at sets TASK_REPLY. */
enum ask_next ask_step(struct task *t);
/* Asks the zone that this process serves itself; false: t->why, t->ede. */
bool ask_own(struct task *t);
void ask_end(struct task *t);
/* Questions to forwarders say CD: what is bogus is found out here. */
extern bool ask_checking_disabled;

/* --- prove.c -----------------------------------------------------------------------------------
 */
enum proven {
	PROVE_WAIT,
	PROVE_LATER,  /* it has worked for long: let others do something */
	PROVE_AGAIN,  /* it is bogus: another server may have a better one */
	PROVE_BOGUS,  /* t->why, t->ede */
	PROVE_BROKEN, /* likewise: DS or DNSKEY of a zone above it could not be had */
	PROVE_DONE,
};
/* Validates t->reply; PROVE_DONE: *c is what the cache gets. */
enum proven prove_step(struct task *t, struct cached *c);
void prove_end(struct task *t);
enum above {
	ABOVE_WAIT,
	ABOVE_SIGNED,
	ABOVE_INSECURE, /* no use asking */
	ABOVE_BROKEN,
};
/* TASK_CHAIN: whether t->deleg.zone is signed. */
enum above prove_above(struct task *t);
#endif
