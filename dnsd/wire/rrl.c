/* Response rate limiting. Spoofed questions come with the address of a victim, which gets all the
 * answers: what one network gets is limited. Each slot is a token bucket of a network and a class;
 * a set of WAYS slots is chosen by a keyed hash, and the one that was not used for longest gives
 * way. Nothing here allocates or blocks. */
#include <stdlib.h>
#include "dnsd/dnsd.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/wire.h"

enum { WAYS = 4, PREFIX4 = 3, PREFIX6 = 7 /* octets */ };

struct slot {
	uint32_t tag;   /* of the hash: two networks that share it share the bucket */
	uint32_t over;  /* responses over the limit, for slip */
	int64_t credit; /* thousandths of a response */
	uint64_t last;  /* ms; 0: unused */
};
struct rrl {
	uint32_t rate, slip;
	int64_t most_debt;
	struct slot slot[RRL_SLOTS];
};

struct rrl *rrl_new(uint32_t rate, uint32_t slip, uint64_t window_ms)
{
	struct rrl *r = mem_alloc(sizeof(*r));
	r->rate = rate;
	r->slip = slip;
	r->most_debt = (int64_t)rate * (int64_t)window_ms;
	return r;
}

void rrl_free(struct rrl **r)
{
	free(*r);
	*r = NULL;
}

/* The network of the client and the class; IPv4 in IPv6 is IPv4. */
static uint64_t key_of(const struct sockaddr *client, enum rrl_class class)
{
	struct {
		uint8_t family, class, net[PREFIX6];
	} key = {.class = (uint8_t) class};
	if (client->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)client;
		key.family = 6;
		memcpy(key.net, &in6->sin6_addr, PREFIX6);
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
			key.family = 4;
			memset(key.net, 0, sizeof(key.net));
			memcpy(key.net, in6->sin6_addr.s6_addr + 12, PREFIX4);
		}
	} else if (client->sa_family == AF_INET) {
		key.family = 4;
		memcpy(key.net, &((const struct sockaddr_in *)(const void *)client)->sin_addr,
		       PREFIX4);
	}
	return map_hash(&key, sizeof(key));
}

static struct slot *find(struct rrl *r, uint64_t hash)
{
	struct slot *set = &r->slot[hash % (RRL_SLOTS / WAYS) * WAYS], *oldest = set;
	uint32_t tag = (uint32_t)(hash >> 32);
	for (int i = 0; i < WAYS; i++) {
		if (set[i].last && set[i].tag == tag)
			return &set[i];
		if (set[i].last < oldest->last)
			oldest = &set[i];
	}
	*oldest = (struct slot){.tag = tag, .credit = (int64_t)r->rate * 1000};
	return oldest;
}

enum rrl_verdict rrl_count(struct rrl *r, const struct sockaddr *client, enum rrl_class class,
			   uint64_t now)
{
	struct slot *s = find(r, key_of(client, class));
	int64_t most = (int64_t)r->rate * 1000;
	uint64_t passed = s->last && now > s->last ? now - s->last : 0;
	if (passed > 3600 * 1000) /* no debt lasts longer; and the product stays small */
		passed = 3600 * 1000;
	s->last = now ? now : 1;
	s->credit += (int64_t)passed * r->rate - 1000;
	if (s->credit > most - 1000)
		s->credit = most - 1000;
	if (s->credit >= 0) {
		s->over = 0;
		return RRL_PASS;
	}
	if (s->credit < -r->most_debt)
		s->credit = -r->most_debt;
	return r->slip && ++s->over % r->slip == 0 ? RRL_SLIP : RRL_DROP;
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
