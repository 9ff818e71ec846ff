/* conf_policy: what the cache server's clients are told in place of what the world says, and whom
 * else it asks: the directives forward, stub, local, rpz, block, dns64, rebinding. */
#ifndef DNSD_CONF_POLICY_H
#define DNSD_CONF_POLICY_H
#include "libcommon/base/conf.h"

struct forward_conf { /* its words are zones */
	struct conf_block block;
	struct conf_list servers; /* of struct conf_words */
	bool first;
};
struct local_conf {
	struct conf_block block;
	struct conf_list records; /* of const char * */
	struct conf_list zones;   /* of struct conf_words: a name, perhaps a file */
	uint64_t ttl;             /* ms */
	bool reverse;
};
struct names_conf {                       /* of all clients, or those of a view */
	struct conf_list forwards, stubs; /* of struct forward_conf */
	struct local_conf local;
};
struct rpz_conf { /* its word is the zone's name */
	struct conf_block block;
	const char *file; /* NULL: it is served here */
	size_t list;      /* its place among the lists of policy; conf_verify() sets it */
};
struct block_conf { /* its words are files */
	struct conf_block block;
	int action; /* enum list_action */
};
struct dns64_conf { /* its word is the prefix */
	struct conf_block block;
	struct conf_list clients, exclude, not_of; /* of struct conf_net */
};
struct rebind_conf {
	struct conf_block block;
	struct conf_list nets, fine; /* of struct conf_net */
	struct conf_list names;      /* of struct conf_words */
};
struct policy_conf {
	struct names_conf names;
	struct conf_list rpzs;   /* of struct rpz_conf */
	struct conf_list blocks; /* of struct block_conf */
	struct dns64_conf dns64;
	struct rebind_conf rebinding;
	bool special_names;
};

/* --- conf_forward.c --- */
extern const struct conf_directive conf_forward_table[], conf_stub_table[];
/* Fills upstream's table (forward.h). space: of the view; 0: of all clients. */
void conf_forwards_verify(struct conf_errors *e, struct pool *pool, unsigned space,
			  const struct names_conf *n);
/* Some of them are asked by TLS. */
bool conf_forwards_by_tls(void);

/* --- conf_policy.c --- */
extern const struct conf_directive conf_local_table[], conf_rpz_table[], conf_block_table[],
    conf_dns64_table[], conf_rebind_table[];
/* Reads the files, and fills policy's tables (policy.h). */
void conf_names_verify(struct conf_errors *e, unsigned view, const struct names_conf *n);
void conf_policy_verify(struct conf_errors *e, struct pool *pool, const struct policy_conf *p);
#endif
