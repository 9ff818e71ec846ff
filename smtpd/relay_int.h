/* relay_int: destinations among their own files. Prototypes by file.
 *
 * A letter's way through its destination:
 *
 *   waiting --fetch--> fetching --dest_fetched()--> ready --a connection--> under way --> done()
 *                                     |               ^                        |
 *                                     '-> special ----|----- a connection of --'
 *                                                           its own
 *
 * Special is a letter that may not go by just any connection: one for REQUIRETLS, or one that is
 * to go on at another host. Every change of a destination ends in dest_touch(), and
 * relay_dest_run.c, once a turn of the loop, decides what is next: so nothing recurs, and no list
 * changes under somebody who walks over it. */
#ifndef SMTPD_RELAY_INT_H
#define SMTPD_RELAY_INT_H
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"
#include "libcommon/net/loop.h"
#include "smtpd/relay.h"

/* --- relay_dest_host.c: the hosts of a destination, and what is known of each ---------------- */
struct host_state {
	uint64_t down_until;  /* it failed: others first */
	uint64_t plain_until; /* its STARTTLS is broken: without, where the policy may */
	unsigned up;          /* connections that are ready or busy */
};
/* Shared by the destination, its connections, and special letters, since the answers of the DNS
 * change while mail is under way. */
struct hostset {
	unsigned refs;
	struct hosts *h;
	struct host_state *state;
	size_t n; /* at most 64: as many as a set of them, a uint64_t, has bits */
	unsigned turn;
};
struct hostset *hostset_new(struct hosts *h);
struct hostset *hostset_ref(struct hostset *hs);
void hostset_drop(struct hostset **hs);
/* The next host for a connection that has tried those: the best preference that is not down,
 * hosts of the same one in turn, and then those that are down. False: none is left. */
bool hostset_next(struct hostset *hs, uint64_t tried, size_t *out);
void hostset_failed(struct hostset *hs, size_t host);
/* The first host behind this one; other_preference: whose preference is not the same. */
bool hostset_after(const struct hostset *hs, size_t host, bool other_preference, size_t *out);

/* --- relay_dest.c ---------------------------------------------------------------------------- */
struct dest {
	const struct route *route;
	struct slice key;
	struct slice domain; /* asked for */
	struct map *domains; /* of a route that names its hosts: domain to its letters; or NULL */
	struct list link, todo;                        /* of all; of those that are due to run */
	struct list hungry, starved;                   /* of those that want a connection, memory */
	struct list waiting, fetching, ready, special; /* letters */
	struct list strict;                            /* those that will be special, waiting */
	struct list over; /* those that are to be given back in the next run */
	size_t n_waiting, n_strict, n_ready, n_special;
	size_t n_fetching; /* that will be ready */
	size_t letters;    /* all */
	uint64_t memory;   /* octets that its letters have */
	uint64_t wanted;   /* ... that of the next one */
	struct list conns, idle;
	size_t n_conns, n_idle;
	size_t n_setup;    /* without a letter of their own */
	size_t n_coming;   /* in setup, all */
	uint64_t ticket;   /* its place among those that want a connection */
	unsigned probing;  /* of its connections, those begun when it was not proven */
	unsigned limit;    /* connections that it bears */
	unsigned good;     /* letters since the limit changed */
	unsigned patience; /* as many times the limit are to go well before it grows */
	unsigned bad;      /* connections lost in a row */
	uint64_t cut_ms;
	bool proven; /* its hosts took a connection since it was last closed */
	bool stale;  /* domains has some without letters */
	struct hostset *hosts;
	struct hosts_ask *ask;
	uint64_t closed_until, pause;
	struct pool *why_pool;
	struct out_verdict why; /* it is closed */
	struct timer timer;
};
struct dests {
	struct stub *stub;
	const struct dest_ops *ops;
	struct map *map; /* key to struct dest */
	struct list all, todo;
	bool run_due;
};
extern struct dests dests;
extern struct dest_stats dest_counts;
extern bool dest_draining;
bool dest_closed(const struct dest *d);
/* For logs: its domain, or the first of those that its route names hosts for. */
struct slice dest_name(const struct dest *d);
/* No host takes mail now: its letters come back with v, and it is closed for a pause. */
void dest_dead(struct dest *d, const struct out_verdict *v);
/* A letter leaves its list, or the connection, with verdicts for all: counts, and done(). */
void dest_done(struct letter *l);
/* The same for a letter that waits, or for all that are in no connection and in no fetch. */
void dest_send_back(struct letter *l, const struct out_verdict *v, uint64_t wait_ms);
void dest_send_all_back(struct dest *d, const struct out_verdict *v, uint64_t wait_ms);
/* To the end of a list of its destination, or to its head; n: counts that list, or NULL. */
void dest_put(struct letter *l, struct list *where, size_t *n, bool first);
void dest_take(struct letter *l); /* from where it was put */
/* Domains without letters that were kept while it was closed are forgotten. */
void dest_drop_domains(struct dest *d);
void dest_rest(struct dest *d); /* forgotten after a while, when nothing is left */

/* --- relay_dest_run.c: what is next ---------------------------------------------------------- */
void dest_touch(struct dest *d); /* what is next is decided this turn, or the next */

/* --- relay_limit.c: how many connections, and how much memory -------------------------------- */
void limit_init(struct dest *d);
void limit_good(struct dest *d);    /* a letter went well */
void limit_cut(struct dest *d);     /* the peer has had too much */
void limit_refused(struct dest *d); /* ... and takes no more connections than are ready */
/* One of the process's connections; false: d is told (dest_touch) when its turn comes. */
bool limit_take(struct dest *d);
void limit_give(struct dest *d);
void limit_proven(struct dest *d); /* a host of it has answered: sets d->proven */
/* Others wait, and d has more than its part, or had it for long: close the connection. */
bool limit_yield(const struct dest *d, unsigned letters);
/* Memory for a letter's content; false as with limit_take(), or that one of its letters must be
 * over first. */
bool limit_memory(struct dest *d, uint64_t size);
void limit_memory_give(struct dest *d, uint64_t size);
/* What is free is offered to the next who waits. */
void limit_offer(void);
void limit_no_conn(struct dest *d); /* d waits for none any more */
void limit_no_memory(struct dest *d);

/* --- relay_dest_conn.c: a connection of a destination ---------------------------------------- */
enum conn_state { CONN_SETUP, CONN_IDLE, CONN_BUSY, CONN_OVER };
struct conn {
	struct list link, idle, all_idle; /* of the destination, its idle ones, all idle ones */
	struct dest *d;
	enum conn_state state;
	struct hostset *hosts;
	size_t host;
	uint64_t tried; /* hosts, a bit each */
	unsigned tries;
	struct dial *dial;
	struct out *out;
	struct letter *l;
	unsigned letters; /* begun */
	unsigned sent;    /* transactions */
	bool bound;       /* opened for a special letter */
	bool detour;    /* ... and for such ones only: it may be at a host of a worse preference */
	bool strict;    /* TLS verified, for REQUIRETLS */
	bool plain;     /* TLS of this host is broken */
	bool up;        /* counted in the host's state */
	bool all_perm;  /* each host so far has refused for good */
	bool unreached; /* a host failed for another reason than a policy of ours */
	struct timer timer;
	struct pool *pool;
	struct out_verdict why; /* the last host's failure */
};
/* l NULL: for any letter; else for this special one. The slot of limit_take() is its. */
void conn_open(struct dest *d, struct letter *l);
/* An idle one goes on with the letter, or with what waits. */
void conn_begin(struct conn *c, struct letter *l);
bool conn_fits(const struct conn *c, const struct letter *l);
void conn_close(struct conn *c);
/* The connection that has been idle for longest is closed; false: there is none. */
bool conn_close_idle(void);
bool conn_any_idle(void);

/* --- relay_dest_mail.c: a letter under way --------------------------------------------------- */
enum mark { MARK_OPEN, MARK_DONE, MARK_LATER /* has a verdict, but another host may say better */ };
struct errand {
	struct dest *d;
	struct conn *conn; /* it is under way there; NULL: it is in a list */
	size_t *count;     /* ... which is counted here; may be NULL */
	uint8_t *mark;     /* enum mark of each recipient */
	size_t open, later;
	size_t from; /* no recipient before it is open */
	struct out_mail mail;
	struct out_rcpt *rcpt; /* of the transaction, when it has not all of them */
	size_t *index;         /* ... and their places in the letter */
	size_t batch;
	bool part;             /* rcpt and index are used */
	uint64_t held;         /* octets of memory */
	struct hostset *hosts; /* where a special one goes on; NULL: any host */
	size_t host;
	unsigned tries; /* hosts that it was sent to */
	bool strict;    /* REQUIRETLS */
	bool fresh;     /* wants a new connection: the old one was closed under it */
	bool refreshed; /* ... which it gets once */
	bool deferred;  /* 4xx: goes to one other host */
	bool host_next; /* `next` is where it goes on */
	size_t next;
};
enum errand_next { ERRAND_DONE, ERRAND_MORE, ERRAND_SPECIAL };
void errand_new(struct dest *d, struct letter *l);
/* The mail of the next transaction, of at most rcpt_max recipients (0: any). */
const struct out_mail *errand_mail(struct letter *l, uint64_t rcpt_max);
/* What the server said of it. reused: the connection had a transaction before. */
enum errand_next errand_result(struct letter *l, const struct conn *c, bool reused,
			       const struct out_verdict *v, size_t n);
/* All recipients without a verdict get this one. */
void errand_fail(struct letter *l, const struct out_verdict *v);
bool errand_untried(const struct letter *l); /* nobody has a verdict */
#endif
