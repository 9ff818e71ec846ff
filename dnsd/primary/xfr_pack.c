/* Packs records into messages. */
#include "dnsd/primary/xfr_pack.h"

enum { POINTER = 0xc000, FIXED = 10 /* type, class, TTL, length */ };

static void u16(struct xfr_pack *k, size_t v)
{
	k->p[k->len++] = (uint8_t)(v >> 8);
	k->p[k->len++] = (uint8_t)v;
}

static void bytes(struct xfr_pack *k, const uint8_t *p, size_t n)
{
	memcpy(k->p + k->len, p, n);
	k->len += n;
}

void xfr_pack_begin(struct xfr_pack *k, uint8_t *out, size_t cap, uint16_t id, uint16_t flags,
		    const uint8_t *question, size_t question_len, const uint8_t *zone)
{
	*k = (struct xfr_pack){.p = out, .cap = cap, .zone = zone, .zone_len = question_len - 4};
	u16(k, id);
	u16(k, flags);
	u16(k, 1);
	memset(out + k->len, 0, DNS_HEADER - k->len);
	k->len = DNS_HEADER;
	bytes(k, question, question_len);
}

/* Octets before the zone's name; all of them when it is not under it. */
static size_t relative(const struct xfr_pack *k, const uint8_t *name, size_t len)
{
	size_t at = 0;
	if (len < k->zone_len || memcmp(name + len - k->zone_len, k->zone, k->zone_len) != 0)
		return len;
	while (at < len - k->zone_len)
		at += 1u + name[at];
	return at == len - k->zone_len ? at : len;
}

/* Octets that the name will take, at most. */
static size_t size_of(const struct xfr_pack *k, const uint8_t *name, size_t len)
{
	size_t rel = relative(k, name, len);
	return rel == len ? len : rel + 2;
}

static void put_name(struct xfr_pack *k, const uint8_t *name, size_t len, struct xfr_name *known)
{
	if (len == known->len && memcmp(name, known->name, len) == 0) {
		u16(k, POINTER | known->at);
		return;
	}
	size_t rel = relative(k, name, len);
	if (k->len < POINTER >> 2 && rel > 0) {
		known->at = (uint16_t)k->len;
		known->len = len;
		memcpy(known->name, name, len);
	}
	bytes(k, name, rel);
	if (rel < len)
		u16(k, POINTER | DNS_HEADER);
}

struct names {
	struct xfr_pack *k;
	const uint8_t *rdata;
	size_t done; /* octets of it that are written */
};

static void put_target(void *arg, size_t at, bool lower, bool compress)
{
	struct names *n = arg;
	(void)lower;
	if (!compress)
		return;
	size_t len = dns_name_len(n->rdata + at);
	bytes(n->k, n->rdata + n->done, at - n->done);
	put_name(n->k, n->rdata + at, len, &n->k->target);
	n->done = at + len;
}

/* The types of RFC 1035 whose names may be compressed (RFC 3597 4), as far as anybody has them. */
static bool has_names(uint16_t type)
{
	return type == DNS_NS || type == DNS_CNAME || type == DNS_SOA || type == DNS_PTR ||
	       type == DNS_MX;
}

bool xfr_pack_add(struct xfr_pack *k, const struct zone_rr *rr)
{
	size_t len = dns_name_len(rr->owner);
	size_t need = size_of(k, rr->owner, len) + FIXED + rr->rdlen;
	if (k->len + need > k->cap || (k->records && k->len + need > XFR_SOFT))
		return false;
	put_name(k, rr->owner, len, &k->owner);
	u16(k, rr->type);
	u16(k, DNS_IN);
	u16(k, rr->ttl >> 16);
	u16(k, rr->ttl & 0xffff);
	size_t length = k->len;
	struct names n = {k, rr->rdata, 0};
	u16(k, 0);
	if (has_names(rr->type))
		dns_rdata_names(rr->type, rr->rdata, rr->rdlen, put_target, &n);
	if (rr->rdlen > n.done)
		bytes(k, rr->rdata + n.done, rr->rdlen - n.done);
	size_t n_octets = k->len - length - 2;
	k->p[length] = (uint8_t)(n_octets >> 8);
	k->p[length + 1] = (uint8_t)n_octets;
	k->records++;
	return true;
}

size_t xfr_pack_end(struct xfr_pack *k, uint16_t udp_size)
{
	const uint8_t opt[XFR_OPT] = {0, 0, DNS_OPT, (uint8_t)(udp_size >> 8), (uint8_t)udp_size};
	k->p[6] = (uint8_t)(k->records >> 8);
	k->p[7] = (uint8_t)k->records;
	if (udp_size) {
		bytes(k, opt, sizeof(opt));
		k->p[DNS_HEADER - 1] = 1;
	}
	return k->len;
}
