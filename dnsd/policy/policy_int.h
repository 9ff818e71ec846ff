/* What the files of policy share.
 *
 *	policy.c --> local.c: our data            --> keys.c
 *	         --> lists.c: block lists, RPZ    --> keys.c
 *	         --> dns64.c, rebind.c
 */
#ifndef DNSD_POLICY_INT_H
#define DNSD_POLICY_INT_H
#include "dnsd/policy/lists.h"
#include "dnsd/policy/policy.h"

struct net { /* of IPv6 addresses; those of IPv4 as ::ffff:0:0/96 has them */
	uint8_t addr[16];
	unsigned bits;
};
bool net_has(const struct net *nets, size_t n, const uint8_t addr[16]);
/* An address of 4 or 16 octets as such. */
void net_addr(const uint8_t *addr, size_t len, uint8_t out[16]);
/* That of a client. */
void net_client(const struct sockaddr *sa, uint8_t out[16]);

/* --- dns64.c: RFC 6147, RFC 6052 2.2 ------------------------------------------------------------
 */
struct dns64 {
	struct net prefix; /* 32, 40, 48, 56, 64 or 96 bits; 0: there is none */
	struct net *clients, *exclude, *not_of;
	size_t clients_n; /* 0: all of them */
	size_t exclude_n; /* AAAA records that are as if they were not there */
	size_t not_of_n;  /* IPv4 addresses that none is made of */
};
/* AAAA records are made for the client when it asks for them and r has none. */
bool dns64_wanted(const struct dns64 *d, const struct policy_query *q, const struct resolved *r);
/* The last part of *out becomes AAAA records, of the A records that it is. False: it is none. */
bool dns64_make(const struct dns64 *d, struct resolved *out);
/* The name is the reverse name of such an address: that of its IPv4 address. */
bool dns64_reverse(const struct dns64 *d, const uint8_t *name, uint8_t out[DNS_NAME_MAX]);
/* Where the IPv4 address stands in one of the prefix. */
void dns64_embed(const struct net *prefix, const uint8_t v4[4], uint8_t out[16]);

/* --- rebind.c -----------------------------------------------------------------------------------
 */
struct rebind {
	bool on;
	struct net *nets, *fine; /* private; nevertheless allowed */
	size_t nets_n, fine_n;
	const uint8_t *const *names; /* whose addresses may be private, and all below */
	size_t names_n;
	bool (*ours)(const uint8_t *name); /* policy_ours() */
};
/* Takes the private addresses out; false: there are none. */
bool rebind_filter(const struct rebind *b, const struct policy_query *q, const struct resolved *r,
		   struct resolved *out);

/* --- special.c ---------------------------------------------------------------------------------
 */
void special_fill(struct local *l);

/* --- policy.c: filled by conf ------------------------------------------------------------------
 */
/* Of a view; 0: of all, which counts where the view's has nothing. Made at the first call. */
struct local *policy_local(unsigned view);
/* Takes l over; the first that has something to say is heard. */
size_t policy_add_list(struct list *l);
/* In place of the one that was added as the at-th. */
void policy_replace_list(size_t at, struct list *l);
/* The caller's memory lives on. */
void policy_set_dns64(const struct dns64 *d);
void policy_set_rebind(const struct rebind *b);
/* localhost, the reverse names of private addresses and the like are answered here. */
void policy_special_names(void);
#endif
