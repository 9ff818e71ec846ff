/* Addresses of IPv6 for hosts that have only IPv4, for clients that have only IPv6 (and a NAT64 on
 * their way). */
#include <netinet/in.h>
#include "dnsd/policy/policy_int.h"

enum { TTL_MOST = 600, MADE_MOST = 2000 };

bool net_has(const struct net *nets, size_t n, const uint8_t addr[16])
{
	for (size_t i = 0; i < n; i++) {
		unsigned octets = nets[i].bits / 8, rest = nets[i].bits % 8;
		uint8_t last = (uint8_t)(0xff00u >> rest);
		if (memcmp(nets[i].addr, addr, octets) == 0 &&
		    (!rest || ((nets[i].addr[octets] ^ addr[octets]) & last) == 0))
			return true;
	}
	return false;
}

void net_addr(const uint8_t *addr, size_t len, uint8_t out[16])
{
	memset(out, 0, 16);
	out[10] = out[11] = len == 4 ? 0xff : 0;
	memcpy(out + 16 - len, addr, len);
}

void net_client(const struct sockaddr *sa, uint8_t out[16])
{
	if (sa->sa_family == AF_INET6)
		net_addr(
		    (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr,
		    16, out);
	else
		net_addr((const uint8_t *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr,
			 4, out);
}

/* Octet 8 is always 0: the address goes around it. */
void dns64_embed(const struct net *prefix, const uint8_t v4[4], uint8_t out[16])
{
	unsigned at = prefix->bits / 8;
	memset(out, 0, 16);
	memcpy(out, prefix->addr, at);
	for (unsigned i = 0; i < 4; i++, at++) {
		at += at == 8;
		out[at] = v4[i];
	}
}

bool dns64_wanted(const struct dns64 *d, const struct policy_query *q, const struct resolved *r)
{
	uint8_t client[16], addr[16];
	if (!d->prefix.bits || q->type != DNS_AAAA || r->rcode == DNS_NXDOMAIN)
		return false;
	/* Who checks signatures himself makes them himself, too (RFC 6147 5.5). */
	if (q->dnssec_ok && q->checking_disabled)
		return false;
	net_client(q->client, client);
	if (d->clients_n && !net_has(d->clients, d->clients_n, client))
		return false;
	/* What is bogus is not covered up by something else. */
	if (r->security == RRSET_BOGUS)
		return false;
	if (!r->n || r->part[r->n - 1].kind != CACHE_RRSET)
		return true;
	struct slice data = r->part[r->n - 1].set.data, one;
	if (r->part[r->n - 1].set.type != DNS_AAAA)
		return true;
	for (unsigned i = 0; i < r->part[r->n - 1].set.n && rrset_next(&data, &one); i++) {
		if (one.len != 16)
			continue;
		net_addr((const uint8_t *)one.p, 16, addr);
		if (!net_has(d->exclude, d->exclude_n, addr))
			return false;
	}
	return true;
}

bool dns64_make(const struct dns64 *d, struct resolved *out)
{
	static uint8_t made[MADE_MOST * 18];
	struct cached *last = out->n ? &out->part[out->n - 1] : NULL;
	uint8_t addr[16];
	size_t len = 0;
	uint16_t n = 0;
	if (out->rcode != DNS_NOERROR || !last || last->kind != CACHE_RRSET ||
	    last->set.type != DNS_A)
		return false;
	struct slice data = last->set.data, one;
	for (unsigned i = 0; i < last->set.n && n < MADE_MOST && rrset_next(&data, &one); i++) {
		if (one.len != 4)
			continue;
		net_addr((const uint8_t *)one.p, 4, addr);
		if (net_has(d->not_of, d->not_of_n, addr))
			continue;
		made[len] = 0;
		made[len + 1] = 16;
		dns64_embed(&d->prefix, (const uint8_t *)one.p, made + len + 2);
		len += 18;
		n++;
	}
	if (!n)
		return false;
	last->set.type = DNS_AAAA;
	last->set.n = n;
	last->set.sigs = 0;
	last->set.data = (struct slice){(const char *)made, len};
	if (last->set.ttl > TTL_MOST)
		last->set.ttl = TTL_MOST;
	last->extra.len = last->extras = last->labels = 0;
	last->security = RRSET_INSECURE;
	if (out->security > RRSET_INSECURE)
		out->security = RRSET_INSECURE;
	return true;
}

bool dns64_reverse(const struct dns64 *d, const uint8_t *name, uint8_t out[DNS_NAME_MAX])
{
	static const uint8_t end[] = "\3ip6\4arpa";
	uint8_t addr[16] = {0}, whole[16];
	if (!d->prefix.bits)
		return false;
	for (unsigned i = 0; i < 32; i++, name += 2) {
		uint8_t c = name[0] == 1 ? name[1] : 0;
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		uint8_t v = (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
		addr[15 - i / 2] |= (uint8_t)(i % 2 ? v << 4 : v);
	}
	if (memcmp(name, end, sizeof(end)) != 0 || !net_has(&d->prefix, 1, addr))
		return false;
	uint8_t v4[4];
	unsigned at = d->prefix.bits / 8;
	for (unsigned i = 0; i < 4; i++, at++) {
		at += at == 8;
		v4[i] = addr[at];
	}
	dns64_embed(&d->prefix, v4, whole);
	return memcmp(whole, addr, 16) == 0 && local_reverse_name(v4, 4, out) > 0;
}
