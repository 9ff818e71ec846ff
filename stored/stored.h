/* stored: mailboxes, queue, accounts and zones. Prototypes by file. The loop's thread owns
 * connections and sessions; databases are touched on their own threads only (work.h). */
#ifndef STORED_STORED_H
#define STORED_STORED_H
#include "libcommon/base/conf.h"
#include "libcommon/ipc/peer.h"
#include "stored/work.h"

/* conf.c */
struct stored_conf {
	const char *state_dir;
	uint64_t shards;
	uint64_t readers;
	uint64_t auth_threads;
	uint64_t auth_queue;
	uint64_t scram_iterations;
	uint64_t grant_life;        /* ms */
	uint64_t auth_remember;     /* ms a success is remembered under a keyed hash */
	uint64_t auth_delay;        /* ms after a failed login, doubled by each further one */
	uint64_t auth_failures;     /* per account or address before logins are refused */
	uint64_t auth_window;       /* ms in which they count */
	uint64_t expunged_keep;     /* ms that deleted mail can be restored */
	uint64_t quota;             /* bytes of a new account, 0: none */
	uint64_t send_limit;        /* recipients per account and send_window, 0: none */
	uint64_t send_window;       /* ms */
	bool local_submission;      /* smtpd may ask for grants of the machine's users */
	uint64_t small_body;        /* bodies up to this live in rows */
	uint64_t segment_size;      /* bytes after which a new segment file starts */
	uint64_t delay_notice;      /* ms after which a sender is told of a delay, 0: never */
	const char *plus_separator; /* "+", "" for none */
	const char *srs_domain;     /* lower case; NULL: forwarded mail keeps its sender */
	uint64_t srs_lifetime;      /* ms */
};
extern struct stored_conf conf;
extern const struct conf_directive conf_table[];
conf_check conf_verify;

/* Set by main.c: answers what is being worked on, then leaves to be started again. */
extern void (*stored_restart)(void);

/* server.c: the op table: message, function; role rights are in msg.def */
struct request { /* what an op function gets; lives until request_reply / request_error */
	struct conn *conn;
	uint32_t id;
	enum msg_type type;
	const void *msg;   /* struct msg_* */
	struct pool *pool; /* lives as long as the request */
	struct conn_kept *kept;
};
typedef void op_fn(struct request *rq); /* answers now or later, exactly once */
void request_reply(struct request *rq, enum msg_type t, const void *msg);
void request_error(struct request *rq, enum ipc_err e, const char *text);
void server_listen(const char *fdname, int fd); /* "store-ROLE" */
size_t server_busy(void);                       /* requests that are not answered yet */
void server_drain(void);                        /* further requests are not begun */

/* dir_*.c: the directory (domains, accounts, aliases). Run on a directory thread. */
struct account {
	uint64_t id;
	struct slice address; /* canonical */
	unsigned shard;       /* 1.. */
	uint64_t epoch;       /* raised by a changed password: old grants end */
	bool enabled;
	uint64_t quota;          /* bytes, 0: none */
	uint64_t login_delay_ms; /* effective: account's, else domain's, else 0 */
	uint64_t expire_ms;      /* CONF_NEVER, 0 at once, else ms after retrieval */
};
/* ERR_OK, ERR_NOTFOUND, or an engine error. Slices in pool. */
enum ipc_err dir_account_by_id(struct base *b, struct pool *pool, uint64_t id, struct account *out);
enum ipc_err dir_account_by_address(struct base *b, struct pool *pool, struct slice addr,
				    struct account *out);
/* Resolves an envelope recipient: plus-addressing, aliases (nested up to 10, loops cut, several
 * targets, outside addresses), catch-all. */
struct target {
	uint64_t account; /* 0: outside address */
	unsigned shard;
	struct slice address; /* delivered to, or the outside address */
	struct slice detail;  /* plus-addressing's detail, may be empty */
};
struct targets {
	struct target *t;
	size_t n;
	enum rcpt_kind kind;
	struct slice canonical;
};
/* ERR_OK; ERR_NOTFOUND (our domain, no such user); ERR_NOTLOCAL (no domain of ours). */
enum ipc_err dir_resolve(struct base *b, struct pool *pool, struct slice rcpt, struct targets *out);
/* May the account send from the address: its own, plus-forms of it, aliases that lead to it. What a
 * user of the machine may is smtpd's to say (local-trusted): it alone knows their names. */
enum ipc_err dir_may_send(struct base *b, struct pool *pool, uint64_t account, struct slice from);
/* Directory cache generation: raised at every committed change of domains, accounts, aliases. */
uint64_t dir_generation(void);

/* A user of the machine stands where an account's id does, in grants and in the queue. */
#define LOCAL_USER (1ull << 62) /* | uid */
static inline bool is_local_user(uint64_t account)
{
	return account & LOCAL_USER;
}

/* grant.c (loop thread): account, role, expiry, epoch, MACed under a key kept in the directory. */
struct grant {
	uint64_t account;
	uint64_t epoch;
	uint64_t expires_ms;
	enum role role;
	unsigned shard;
};
#define GRANT_LEN 72
size_t grant_make(const struct grant *g, unsigned char out[GRANT_LEN]);
/* False: forged, expired, another role, or an older epoch than the account has now. */
bool grant_check(struct slice s, enum role role, struct grant *out);
/* The account's epoch changed: grants below it end. */
void grant_epoch(uint64_t account, uint64_t epoch);

/* op_auth.c, op_local.c, op_smtp.c, op_queue.c, op_pop.c, op_ctl.c, watch.c */
op_fn op_auth_start, op_auth_step, op_local_login;
op_fn op_rcpt_check, op_sender_check, op_deliver;
op_fn op_queue_claim, op_queue_read, op_queue_result, op_queue_renew, op_queue_return;
op_fn op_notice_claim, op_queue_notice;
op_fn op_pop_open, op_pop_quit, op_pop_close, op_message_read, op_messages_read;
op_fn op_watch, op_unwatch, op_ctl;
/* A committed change for whoever watches it. */
void watch_notify(enum watch_kind kind, uint64_t object, uint64_t value);
/* ... of QUEUE_WATCH_NOTICE, if the operation, which is over, came to owe one. */
struct op;
void watch_owed(const struct op *op);
/* The connection is gone: drop its watches, locks, logins under way. */
void watch_closed(struct conn *c);
void op_pop_closed(struct conn *c);
void op_auth_closed(struct conn *c);

#endif
