/* dir: the directory's inner contracts: addresses, domains, accounts, aliases, their cache.
 * Functions that take a struct base run on a directory thread, the others on the loop's. */
#ifndef STORED_DIR_H
#define STORED_DIR_H
#include "stored/stored.h"

/* dir_addr.c: addresses as the directory keeps them: the domain in lower case and A-labels; the
 * local part in lower case too (ASCII, and the simple pairs of Latin, Greek and Cyrillic), in
 * NFC, without needless quotes. */
struct addr {
	struct slice local, domain;
	struct slice full; /* local@domain */
};
/* False when it is no address: no @, empty or over-long parts, bad UTF-8, controls. Address
 * literals are taken: they are no domain of ours. */
bool dir_addr(struct pool *pool, struct slice in, struct addr *out);
/* May it be the name of a new account or alias? Stricter: a dot-atom (RFC 5322, RFC 6531). */
bool dir_addr_new(const struct addr *a);
/* Lower case A-labels; false: not a host name. */
bool dir_domain_name(struct pool *pool, struct slice in, struct slice *out);
/* What a person types for it (U-labels). */
struct slice dir_domain_shown(struct pool *pool, struct slice name);

/* dir_start.c. Loads the grant key (made at the first start) and the accounts' epochs, starts the
 * login threads; needs work_start(). Calls ready(NULL), or ready(reason) when it cannot. */
void dir_start(void (*ready)(const char *why));
void dir_stop(void);
/* A change was committed: raises dir_generation(). Before the change is answered. */
void dir_changed(void);

/* dir_cache.c: what delivery asks again and again, answered without another thread. Valid for one
 * generation, bounded. Only what was found is kept. False: not known here, ask the directory. */
bool dir_cache_resolve(struct slice rcpt, struct pool *pool, struct targets *out);
bool dir_cache_account(uint64_t id, struct pool *pool, struct account *out);
/* generation: dir_generation() when the read was queued; an older one is not kept. */
void dir_cache_put_resolve(struct slice rcpt, uint64_t generation, const struct targets *t);
void dir_cache_put_account(uint64_t generation, const struct account *a);
void dir_cache_free(void);

/* dir_send.c: takes `recipients` from what the account may send in send_window; ERR_LIMIT when it
 * has no more (then nothing is taken). Any thread. */
enum ipc_err dir_send_take(uint64_t account, unsigned recipients);

void dir_targets_copy(struct pool *pool, const struct targets *t, struct targets *out);
/* Steps the statement: ERR_OK (a row), ERR_NOTFOUND (none), or an engine error. */
enum ipc_err dir_one(struct base *b, enum db_result *r);
/* Runs the statement to its end; ERR_EXISTS for a broken rule. */
enum ipc_err dir_run(struct base *b);
enum ipc_err dir_next_id(struct base *b, const char *counter, uint64_t *id);
/* A setting that may be NULL: DIR_UNSET. */
#define DIR_UNSET (UINT64_MAX - 1)
uint64_t dir_col_setting(struct base *b, int col);
void dir_bind_setting(struct base *b, uint64_t v);
/* Is it an account's or an alias's? *e: an engine error. */
bool dir_taken(struct base *b, struct slice address, enum ipc_err *e);

/* dir_domain.c. All of these and those below: ERR_OK, ERR_EXISTS, ERR_NOTFOUND, ERR_INUSE, or an
 * engine error; those that change run on the directory's writer. */
struct domain {
	uint64_t id;
	struct slice name;
	struct slice catch_all; /* "": none */
	uint64_t created_ms;
	uint64_t quota, login_delay_ms, expire_ms; /* defaults of its accounts, or DIR_UNSET */
};
enum ipc_err dir_domain_get(struct base *b, struct pool *pool, struct slice name,
			    struct domain *out);
enum ipc_err dir_domain_add(struct base *b, struct slice name); /* by dir_domain_name() */
enum ipc_err dir_domain_set(struct base *b, const struct domain *d);
enum ipc_err dir_domain_counts(struct base *b, uint64_t id, uint64_t *accounts, uint64_t *aliases);
/* Its aliases go too; ERR_INUSE while it has accounts. */
enum ipc_err dir_domain_delete(struct base *b, uint64_t id);

/* dir_account.c */
struct account_row {
	struct account a; /* effective values */
	uint64_t created_ms;
	uint64_t quota, login_delay_ms, expire_ms; /* its own, or DIR_UNSET */
};
enum ipc_err dir_account_row(struct base *b, struct pool *pool, struct slice addr,
			     struct account_row *out);
/* The first account of a domain gets its postmaster, abuse and root. */
enum ipc_err dir_account_add(struct base *b, struct pool *pool, const struct domain *d,
			     const struct addr *a, uint64_t *id);
enum ipc_err dir_account_set(struct base *b, const struct account_row *row);
/* These two raise the epoch: give it to grant_epoch() once committed. */
enum ipc_err dir_account_enable(struct base *b, uint64_t id, bool enabled, uint64_t *epoch);
enum ipc_err dir_account_epoch(struct base *b, uint64_t id, uint64_t *epoch);
/* Aliases lose it as their target; those left without one go, but postmaster, abuse and root
 * pass to the domain's next account. What the shard keeps is listed in account_gone. */
enum ipc_err dir_account_delete(struct base *b, struct pool *pool, const struct account *a);

/* dir_alias.c. Addresses in the form of dir_addr(). */
enum ipc_err dir_alias_add(struct base *b, uint64_t domain, struct slice address,
			   const struct slice *target, size_t n);
enum ipc_err dir_alias_get(struct base *b, struct slice address, uint64_t *id,
			   uint64_t *created_ms);
enum ipc_err dir_alias_delete(struct base *b, uint64_t id);
enum ipc_err dir_alias_roles(struct base *b, struct pool *pool, uint64_t domain,
			     const struct addr *first);
/* Aliases that have the address as a target. */
size_t dir_alias_leading(struct base *b, struct pool *pool, struct slice address,
			 struct slice **out, enum ipc_err *e);
enum ipc_err dir_alias_target_gone(struct base *b, struct pool *pool, struct slice target,
				   struct slice heir);

/* dir_resolve.c: cuts plus-addressing's detail off; false: there is none. */
bool dir_plus(struct pool *pool, const struct addr *a, struct addr *base, struct slice *detail);
#endif
