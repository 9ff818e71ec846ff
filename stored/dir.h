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
 * has no more (then nothing is taken). Any thread. b is not used yet: the counts live in memory. */
enum ipc_err dir_send_take(struct base *b, uint64_t account, unsigned recipients);

/* dir_domain.c, dir_account.c, dir_alias.c: what the commands do. ERR_OK, ERR_EXISTS,
 * ERR_NOTFOUND, ERR_INUSE, ERR_BAD, or an engine error. */
struct domain {
	uint64_t id;
	struct slice name;
	struct slice catch_all; /* "": none */
	uint64_t created_ms;
	/* Defaults of its accounts; DIR_UNSET: the suite's. */
	uint64_t quota, login_delay_ms, expire_ms;
};
#define DIR_UNSET (UINT64_MAX - 1)
enum ipc_err dir_domain_get(struct base *b, struct pool *pool, struct slice name,
			    struct domain *out);
#endif
