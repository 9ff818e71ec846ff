/* Response rate limiting. Spoofed questions come with the address of a victim, which gets all the
 * answers: what one network gets is limited. Each slot is of a network and a class; a set of WAYS
 * slots is chosen by a keyed hash, and the one whose debt was paid first gives way. The slots are
 * shared by the processes: a slot's only number is changed in one step, and two that take the same
 * slot for different networks at the same moment do no harm. Nothing here allocates or blocks. */
#include <stdlib.h>
#include "dnsd/dnsd.h"
#include "dnsd/wire/shared.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/wire.h"

enum {
	WAYS = 4,
	PREFIX4 = 3,
	PREFIX6 = 7 /* octets */,
	PREFIX_MAX = 8,
	SECOND = 1000000000,
	MS = 1000000
};

struct rrl {
	uint32_t slip;
	unsigned octets4, octets6;
	uint64_t cost, most_debt; /* ns */
	struct shared *table;
};

struct rrl *rrl_new(uint32_t rate, uint32_t slip, uint64_t window_ms, struct shared *table)
{
	struct rrl *r = mem_alloc(sizeof(*r));
	*r = (struct rrl){slip, PREFIX4, PREFIX6, SECOND / rate, window_ms * MS, table};
	return r;
}

void rrl_by(struct rrl *r, unsigned octets4, unsigned octets6)
{
	r->octets4 = octets4;
	r->octets6 = octets6;
}

void rrl_free(struct rrl **r)
{
	free(*r);
	*r = NULL;
}

/* The network of the client and the class; IPv4 in IPv6 is IPv4. */
static uint64_t key_of(const struct rrl *r, const struct sockaddr *client, enum rrl_class class)
{
	struct {
		uint8_t family, class, net[PREFIX_MAX];
	} key = {.class = (uint8_t) class};
	if (client->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)client;
		key.family = 6;
		memcpy(key.net, &in6->sin6_addr, r->octets6);
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
			key.family = 4;
			memset(key.net, 0, sizeof(key.net));
			memcpy(key.net, in6->sin6_addr.s6_addr + 12, r->octets4);
		}
	} else if (client->sa_family == AF_INET) {
		key.family = 4;
		memcpy(key.net, &((const struct sockaddr_in *)(const void *)client)->sin_addr,
		       r->octets4);
	}
	return sip24(r->table->key, &key, sizeof(key));
}

static struct rrl_slot *find(struct rrl *r, uint64_t hash)
{
	struct rrl_slot *set = &r->table->rrl[hash % (RRL_SLOTS / WAYS) * WAYS], *oldest = set;
	uint32_t tag = (uint32_t)(hash >> 32);
	uint64_t least = UINT64_MAX;
	for (int i = 0; i < WAYS; i++) {
		uint64_t paid = atomic_load_explicit(&set[i].paid, memory_order_relaxed);
		if (paid && atomic_load_explicit(&set[i].tag, memory_order_relaxed) == tag)
			return &set[i];
		if (paid < least) {
			least = paid;
			oldest = &set[i];
		}
	}
	atomic_store_explicit(&oldest->tag, tag, memory_order_relaxed);
	atomic_store_explicit(&oldest->over, 0, memory_order_relaxed);
	atomic_store_explicit(&oldest->paid, 0, memory_order_relaxed);
	return oldest;
}

enum rrl_verdict rrl_count(struct rrl *r, const struct sockaddr *client, enum rrl_class class,
			   uint64_t now)
{
	struct rrl_slot *s = find(r, key_of(r, client, class));
	uint64_t at = now * MS + 2ull * SECOND, next; /* no time is before the first second */
	uint64_t paid = atomic_load_explicit(&s->paid, memory_order_relaxed);
	do { /* unused time of one second at most is left to it */
		next = (paid < at - SECOND ? at - SECOND : paid) + r->cost;
		if (next > at + r->most_debt)
			next = at + r->most_debt;
	} while (!atomic_compare_exchange_weak_explicit(&s->paid, &paid, next, memory_order_relaxed,
							memory_order_relaxed));
	if (next <= at) {
		atomic_store_explicit(&s->over, 0, memory_order_relaxed);
		return RRL_PASS;
	}
	uint32_t over = atomic_fetch_add_explicit(&s->over, 1, memory_order_relaxed) + 1;
	return r->slip && over % r->slip == 0 ? RRL_SLIP : RRL_DROP;
}

size_t rrl_slip(uint8_t *response, size_t len)
{
	struct dns_header h;
	struct dns_iter it;
	struct dns_question q;
	struct dns_rr rr;
	size_t opt = 0, opt_len = 0;
	if (!dns_iter_init(&it, response, len, &h))
		return 0;
	while (dns_iter_question(&it, &q))
		;
	size_t end = it.at;
	while (!opt && dns_iter_rr(&it, &rr)) {
		if (rr.type == DNS_OPT) {
			opt = rr.owner;
			opt_len = rr.rdata + rr.rdlen - opt;
		}
	}
	if (it.bad)
		return 0;
	memmove(response + end, response + opt, opt_len);
	response[2] |= DNS_TC >> 8;
	memset(response + 6, 0, 6);
	response[11] = opt_len > 0;
	return end + opt_len;
}
