/* NOTIFY from a primary (RFC 1996). It only makes us ask the primaries, so that its address or a
 * key of theirs is enough; when many come, we still ask one after the other. */
#include "dnsd/secondary/refresh_int.h"
#include "dnsd/wire/serve.h"
#include "libcommon/base/log.h"

static const void *ip_of(const struct sockaddr *sa, size_t *len)
{
	if (sa->sa_family == AF_INET6) {
		const struct in6_addr *a =
		    &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
		bool mapped = IN6_IS_ADDR_V4MAPPED(a);
		*len = mapped ? 4 : 16;
		return a->s6_addr + (mapped ? 12 : 0);
	}
	*len = 4;
	return &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
}

static bool same_ip(const struct sockaddr *a, const struct sockaddr *b)
{
	size_t an, bn;
	const void *x = ip_of(a, &an), *y = ip_of(b, &bn);
	return an == bn && memcmp(x, y, an) == 0;
}

static const struct dns_server *sender(const struct asked *a, const struct secondary *z)
{
	for (size_t i = 0; i < z->servers_n; i++) {
		const struct dns_server *s = &z->server[i];
		if ((s->key && s->key == a->key) ||
		    same_ip((const struct sockaddr *)&s->sa, a->from->client))
			return s;
	}
	return NULL;
}

/* The serial that the message tells, which may be of any age: it is only good for doing nothing. */
static bool is_known(const struct asked *a, const struct zone *z)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	size_t n;
	if (!z || !z->image || !dns_iter_init(&it, a->q->pkt, a->q->len, &h))
		return false;
	while (dns_iter_rr(&it, &rr) && rr.section == DNS_ANSWER)
		if (rr.type == DNS_SOA && dns_name_at_is(a->q->pkt, a->q->len, rr.owner, z->name) &&
		    dns_rdata_read(a->q->pkt, a->q->len, &rr, rdata, &n))
			return zone_soa_of(rdata, n).serial == image_serial(z->image);
	return false;
}

size_t notify_serve(const struct asked *a, uint8_t *out, size_t cap)
{
	struct secondary *own = refresh_find(a->q->name);
	const struct zone *z = serve_zone(a);
	if (!z)
		return serve_rcode(a, DNS_NOTAUTH, out, cap);
	const struct dns_server *from = own ? sender(a, own) : NULL;
	if (!from)
		return serve_rcode(a, DNS_REFUSED, out, cap);
	if (a->q->type != DNS_SOA)
		return serve_rcode(a, DNS_NOTIMP, out, cap);
	bool known = is_known(a, z);
	log_event(LOG_LV_DEBUG, NULL, "notified", LS("zone", own->name), LS("from", from->text),
		  LU("known", known));
	if (!known)
		refresh_notified(own, from);
	size_t n = serve_rcode(a, DNS_NOERROR, out, cap);
	if (n)
		out[2] |= DNS_AA >> 8;
	return n;
}
