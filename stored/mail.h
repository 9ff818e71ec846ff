/* mail: the inner contracts of the mail half of stored: mailboxes, delivery, the queue. Functions
 * that take a struct base run on that database's thread (a writer's unless said otherwise), the
 * others on the loop's. Engine errors come back as run() returns them. */
#ifndef STORED_MAIL_H
#define STORED_MAIL_H
#include "stored/stored.h"

/* Outside its shard a mailbox is known by shard and number together. */
static inline uint64_t mailbox_global(unsigned shard, uint64_t n)
{
	return (uint64_t)shard << 40 | n;
}
static inline unsigned mailbox_shard(uint64_t global)
{
	return (unsigned)(global >> 40);
}
static inline uint64_t mailbox_number(uint64_t global)
{
	return global & ((UINT64_C(1) << 40) - 1);
}

/* messages.flags: system flags; bits 16 to 62 are the mailbox's keywords. */
#define FLAG_SEEN     1u
#define FLAG_ANSWERED 2u
#define FLAG_FLAGGED  4u
#define FLAG_DELETED  8u
#define FLAG_DRAFT    16u

enum mailbox_special {
	MAILBOX_PLAIN,
	MAILBOX_INBOX,
	MAILBOX_DRAFTS,
	MAILBOX_SENT,
	MAILBOX_TRASH,
	MAILBOX_JUNK,
	MAILBOX_ARCHIVE,
};

/* A change to a mailbox, for those who watch it once it is committed. */
struct change {
	uint64_t mailbox; /* global; 0: nothing changed */
	uint64_t modseq;
};
void change_notify(const struct change *c);

/* op_smtp.c: "name value\n" lines of what was delivered, queued and refused. */
struct buf;
void mail_stats(struct buf *out);

/* route.c: where recipients lead, from the directory or its cache on the loop's thread. */
struct route_rcpt {
	struct slice addr; /* in */
	enum ipc_err err;
	const char *text;
	struct targets to;
	struct account *account; /* one a target; id 0: outside */
	bool known;
	struct slice look; /* where it is looked for: addr, or the sender that mail returns to */
	bool returned;     /* ... who may be outside (srs.h) */
};
struct route {
	struct pool *pool; /* lives until done() */
	struct route_rcpt *rcpt;
	size_t n;
	uint64_t submitter;  /* account of the grant; 0: none, who may not relay */
	struct slice sender; /* when check_sender: must be the submitter's, or empty */
	bool check_sender;
	bool may_relay;   /* a notice of ours */
	bool bounce;      /* from the null sender */
	enum ipc_err err; /* of the whole: engine, sender */
	const char *text;
	void (*done)(struct route *r); /* perhaps before route_start() returns */
	void *arg;
	uint64_t generation;
};
void route_start(struct route *r);

/* mailbox.c */
/* The account's INBOX, made when it is not there (a mailbox begins with its first use). */
enum ipc_err mailbox_inbox(struct base *b, uint64_t account, uint64_t *inbox);
/* Expunges, in one go, the live messages among `uid` (any order, repeated ones and those that are
 * gone already do no harm; sorted here). They stay restorable. ERR_NOTFOUND: not the account's
 * mailbox. n 0: nothing is done. */
enum ipc_err mailbox_expunge(struct base *b, uint64_t account, uint64_t mailbox, uint64_t *uid,
			     size_t n, uint64_t now_ms, struct change *change);
/* Notes when messages were first retrieved; likewise. */
enum ipc_err mailbox_retrieved(struct base *b, uint64_t mailbox, uint64_t *uid, size_t n,
			       uint64_t now_ms);
/* Brings an expunged message back under a new UID. ERR_NOTFOUND: no such message. */
enum ipc_err mailbox_restore(struct base *b, uint64_t account, uint64_t mailbox, uint64_t uid,
			     uint64_t *new_uid, struct change *change);
/* Forgets up to `max` messages that were expunged at or before `until_ms`; *n: how many. */
enum ipc_err mailbox_purge(struct base *b, uint64_t until_ms, unsigned max, unsigned *n);
/* Removes a deleted account's mail, up to `max` messages a call; *more: call again. */
enum ipc_err mailbox_drop(struct base *b, uint64_t account, unsigned max, bool *more);
/* Reader: where a live message of the account lies. */
enum ipc_err mailbox_message(struct base *b, uint64_t account, uint64_t mailbox, uint64_t uid,
			     uint64_t *body, uint64_t *size);
/* deliver.c: a message into the INBOXes of a shard. */
struct drop {
	uint64_t account;
	uint64_t quota; /* bytes, 0: none */
	unsigned shard;
	uint64_t n; /* the caller's own */
	/* results */
	enum ipc_err err;
	bool before;  /* was delivered by an earlier attempt */
	bool charged; /* counts in the quota, has a place */
	uint64_t inbox;
	uint64_t uid;
	struct change change;
};
/* Drops that succeed or fail together: one recipient's. */
struct drop_group {
	const uint32_t *drop; /* indices */
	size_t n;
	enum ipc_err err; /* result */
};
struct delivery {
	struct slice id; /* 1 to DELIVERY_ID_MAX bytes: with an account the token of the delivery */
	struct body body;
	struct slice meta;
	uint64_t size;
	uint64_t now_ms;
	uint64_t internal_ms; /* 0: now */
	uint64_t flags;
	struct drop *drop; /* accounts differ */
	size_t n;
	struct drop_group *group; /* NULL: each drop by itself */
	size_t groups;
	bool one_fate; /* any failure fails all */
	bool careful;  /* look for what an earlier attempt delivered */
};
#define DELIVERY_ID_MAX 64
/* ERR_EXISTS: some of it was delivered before; nothing was done: try again carefully. */
enum ipc_err deliver_run(struct base *b, struct delivery *d);
/* deliver_run in the shard, carefully when needed, then done(d) on the loop's thread with the
 * result; tells the watches. The delivery and what it points to stay until then. */
void deliver_start(unsigned shard, struct delivery *d,
		   void (*done)(struct delivery *d, enum ipc_err e, void *arg), void *arg);
#define TOKEN_MAX (DELIVERY_ID_MAX + 8)
struct slice deliver_token(unsigned char out[TOKEN_MAX], struct slice id, uint64_t account);

/* queue.c: the queue's transactions. */
struct queue_to { /* one place of delivery */
	struct slice addr;
	uint32_t notify;
	struct slice orcpt;
	bool outside;
	bool expanded;    /* an alias of which the sender is told; it is no place of delivery */
	uint64_t account; /* inside */
	unsigned shard;
};
struct queue_add {
	struct slice id, sid, sender, envid, meta;
	struct slice relay_sender; /* of what goes outside; empty: sender */
	uint64_t account;
	uint32_t flags;
	uint64_t now_ms, hold_until_ms, deliver_by_ms;
	struct body body;
	uint64_t size;
	struct queue_to *to;
	size_t n;
	uint64_t item; /* result */
};
/* ERR_EXISTS: a message of this id is (or was) there. */
enum ipc_err queue_add(struct base *b, struct queue_add *q);
struct queue_outcome {
	uint64_t n;
	enum queue_state state;
	uint64_t next_ms; /* QUEUE_DUE */
	uint32_t code;    /* the last reply: 0 none; long texts are cut */
	struct slice status, host, text;
	bool untried; /* no attempt led to it: none is counted */
};
/* Outcomes of a worker's recipients (worker given: those whose lease was lost are ERR_INUSE, then
 * nothing is changed) or of local ones (worker empty). Finishes the item after the last one. */
enum ipc_err queue_outcomes(struct base *b, uint64_t item, struct slice worker,
			    const struct queue_outcome *o, size_t n, uint64_t now_ms);
/* Something of the sender's is due at due_ms for a domain (lower case): its turn comes. */
enum ipc_err queue_due(struct base *b, uint64_t submitter, struct slice domain, uint64_t due_ms);
/* Owes a notice of `kind` for recipient n, which is due, unless that was told or is not wanted. */
enum ipc_err queue_owe(struct base *b, uint64_t item, uint64_t n, enum notice kind,
		       uint64_t now_ms);
/* Nobody waits for it any more: lets the body go. */
enum ipc_err queue_finish(struct base *b, uint64_t item, uint64_t body, uint64_t now_ms);
/* `closed` recipients are done with, `failures` of them without success. */
enum ipc_err queue_closed(struct base *b, uint64_t item, uint64_t closed, uint64_t failures,
			  uint64_t now_ms);
/* Forgets up to `max` items finished at or before until_ms. */
enum ipc_err queue_purge(struct base *b, uint64_t until_ms, unsigned max, unsigned *n);

/* queue_claim.c: leases what is due, in turns. */
struct queue_claim {
	struct pool *pool; /* of the results */
	struct slice worker;
	uint64_t now_ms, until_ms;
	uint32_t max, per_domain; /* as in queue_claim's message */
	uint64_t content;         /* likewise; what is left of it */
	const struct row_domain_limit *limit;
	uint32_t limits;
	/* results */
	struct row_queued *item; /* room for max */
	uint32_t n;
	uint64_t next_due_ms;
};
enum ipc_err queue_claim(struct base *b, struct queue_claim *c);
/* Ends leases without an attempt; recipients that are not the worker's are passed over. */
struct queue_return {
	struct slice worker;
	uint64_t item, now_ms;
	const struct row_leased *rcpt;
	uint32_t rcpts;
	uint64_t n; /* result: how many were */
};
enum ipc_err queue_return(struct base *b, struct queue_return *q);

/* queue_notice.c: what senders are owed. */
struct queue_notices {
	struct pool *pool; /* of the results */
	struct slice worker;
	uint64_t now_ms, until_ms;
	uint32_t max;
	/* results */
	struct row_owed *item; /* room for max */
	uint32_t n;
	uint64_t next_due_ms;
};
/* Leases items whose senders are to be told. */
enum ipc_err queue_notices(struct base *b, struct queue_notices *q);
/* Reader or writer: the item's sender. ERR_INUSE: its notice is not this worker's. */
enum ipc_err queue_notice_of(struct base *b, struct pool *pool, uint64_t item, struct slice worker,
			     struct slice *sender);
struct queue_told {
	uint64_t item;
	struct slice worker;
	const struct row_told *rcpt;
	uint32_t rcpts;
	struct queue_add *add; /* the notice; NULL: nobody can be told */
	uint64_t now_ms;
};
/* Stores the notice and marks the recipients told. ERR_INUSE as above; ERR_NOTFOUND: none of them
 * owes that; ERR_EXISTS: the notice's id was used before. Then nothing is changed. */
enum ipc_err queue_notice(struct base *b, struct pool *pool, struct queue_told *t);

/* queue_change.c: what an administrator does to many recipients at once, a slice a call, each a
 * small operation, so that no delivery waits long behind it. Recipients that a worker has leased
 * are left as they are: whether it delivers them is not known yet. */
enum queue_action {
	QUEUE_ACT_FLUSH,   /* due now, but never before the time its sender asked for */
	QUEUE_ACT_HOLD,    /* until released */
	QUEUE_ACT_RELEASE, /* held ones: due */
	QUEUE_ACT_DELETE,  /* nobody is told */
};
struct queue_change {
	enum queue_action action;
	uint64_t item;       /* only this one; 0: all */
	struct slice domain; /* of recipients, lower case; "": all */
	struct slice sender; /* with by_sender: only this one's */
	bool by_sender;
	uint64_t now_ms;
	uint64_t at_item, at_n; /* where to go on; 0, 0 at first */
	/* results, added to */
	uint64_t changed, under_way;
	bool more;
};
enum ipc_err queue_change(struct base *b, struct queue_change *q);

/* dsn.c: ORCPT for what an alias leads to, so that a notice says what the sender wrote: addr in
 * the form of the parameter, in the pool; empty when it is not ASCII (RFC 3461 5.2.7.1). */
struct slice dsn_orcpt(struct pool *pool, struct slice addr);
/* NOTIFY of the targets of an alias that has several, when its expansion is all that the sender is
 * told of success. */
uint32_t dsn_notify(uint32_t notify);

/* fanout.c: local recipients of queued messages go to their shards. */
void fanout_start(void); /* takes up what was left */
void fanout_kick(void);  /* something new was queued */
void fanout_stop(void);

/* expire.c: the clock's work: expired and purged messages, old queue items. */
void expire_start(void);
void expire_stop(void);

#endif
