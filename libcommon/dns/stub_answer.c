/* From a message to an answer. */
#include <stdlib.h>
#include "libcommon/base/mem.h"
#include "libcommon/dns/stub_int.h"

struct answer *stub_answer_new(const struct key *key)
{
	struct answer *a = mem_alloc(sizeof(*a));
	a->pool = pool_new(512);
	a->refs = 1;
	a->key = *key;
	a->a.type = dns_u16(key->b);
	list_init(&a->lru);
	return a;
}

void stub_answer_unref(struct answer **a)
{
	if (*a && --(*a)->refs == 0) {
		pool_free(&(*a)->pool);
		free(*a);
	}
	*a = NULL;
}

static const char *text_of(struct pool *pool, const uint8_t *name)
{
	char text[DNS_NAME_TEXT];
	size_t n = dns_name_text(text, name);
	return pool_strndup(pool, text, n);
}

struct answer *stub_answer_error(const struct question *q, enum stub_kind kind)
{
	struct answer *a = stub_answer_new(&q->key);
	a->a.kind = kind;
	a->a.rcode = q->rcode;
	a->a.owner = text_of(a->pool, q->at.name);
	return a;
}

bool stub_reply_is_for(const struct question *q, const uint8_t *pkt, size_t len)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_question asked;
	if (!dns_iter_init(&it, pkt, len, &h) || h.id != q->id || !(h.flags & DNS_QR) ||
	    (h.flags & DNS_OPCODE))
		return false;
	unsigned rcode = h.flags & DNS_RCODE;
	/* A server that cannot read a query may not be able to repeat it. */
	if (h.count[DNS_QUESTION] == 0)
		return rcode == DNS_FORMERR || rcode == DNS_NOTIMP;
	return h.count[DNS_QUESTION] == 1 && dns_iter_question(&it, &asked) &&
	       asked.type == q->type && asked.class == DNS_IN &&
	       dns_name_at_is(pkt, len, asked.name, q->at.name);
}

/* DNSSEC Bogus, Signature Expired, Signature Not Yet Valid, DNSKEY Missing, RRSIGs Missing, No Zone
 * Key Bit Set, NSEC Missing (RFC 8914 4.7 to 4.13). */
static bool says_bogus(struct slice options)
{
	uint16_t code;
	struct slice data;
	while (dns_edns_option(&options, &code, &data)) {
		unsigned v = data.len >= 2 ? dns_u16((const uint8_t *)data.p) : 0;
		if (code == DNS_OPT_EDE && v >= 6 && v <= 12)
			return true;
	}
	return false;
}

bool stub_reply_read(struct reply *r, const uint8_t *pkt, size_t len)
{
	struct dns_iter it;
	struct dns_rr rr;
	struct dns_edns e;
	*r = (struct reply){.pkt = pkt, .len = len};
	if (!dns_iter_init(&it, pkt, len, &r->h))
		return false;
	r->rcode = r->h.flags & DNS_RCODE;
	while (dns_iter_rr(&it, &rr))
		if (dns_edns_read(pkt, &rr, &e)) {
			r->rcode |= e.rcode;
			r->bogus = says_bogus(e.options);
		}
	return !it.bad;
}

/* The name at `at` must end with the rdata. */
static const char *name_at(struct pool *pool, const struct reply *r, const struct dns_rr *rr,
			   size_t at)
{
	uint8_t name[DNS_NAME_MAX];
	size_t end = rr->rdata + rr->rdlen;
	if (!dns_name_read(r->pkt, end, &at, name) || at != end)
		return NULL;
	return text_of(pool, name);
}

/* The strings of a TXT record, one behind the other. */
static bool read_txt(struct pool *pool, const uint8_t *p, size_t len, struct slice *out)
{
	char *to = pool_alloc(pool, len + 1);
	size_t n = 0;
	for (size_t i = 0; i < len; i += 1u + p[i]) {
		if (len - i < 1u + p[i])
			return false;
		memcpy(to + n, p + i + 1, p[i]);
		n += p[i];
	}
	*out = (struct slice){to, n};
	return len > 0;
}

static struct slice copy(struct pool *pool, const uint8_t *p, size_t n)
{
	return slice_copy(pool, (struct slice){(const char *)p, n});
}

static bool read_rdata(struct pool *pool, const struct reply *r, const struct dns_rr *rr,
		       struct stub_rr *out)
{
	const uint8_t *p = r->pkt + rr->rdata;
	size_t len = rr->rdlen;
	switch (rr->type) {
	case DNS_A:
		if (len == 4)
			memcpy(&out->a, p, 4);
		return len == 4;
	case DNS_AAAA:
		if (len == 16)
			memcpy(&out->aaaa, p, 16);
		return len == 16;
	case DNS_MX:
		if (len < 3)
			return false;
		out->preference = dns_u16(p);
		return (out->name = name_at(pool, r, rr, rr->rdata + 2)) != NULL;
	case DNS_SRV:
		if (len < 7)
			return false;
		out->preference = dns_u16(p);
		out->weight = dns_u16(p + 2);
		out->port = dns_u16(p + 4);
		return (out->name = name_at(pool, r, rr, rr->rdata + 6)) != NULL;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		return (out->name = name_at(pool, r, rr, rr->rdata)) != NULL;
	case DNS_TXT:
		return read_txt(pool, p, len, &out->data);
	case DNS_TLSA:
		if (len < 4)
			return false;
		out->usage = p[0];
		out->selector = p[1];
		out->matching = p[2];
		out->data = copy(pool, p + 3, len - 3);
		return true;
	default:
		out->data = copy(pool, p, len);
		return true;
	}
}

static void lower_ttl(uint32_t *ttl, uint32_t to)
{
	if (dns_ttl(to) < *ttl)
		*ttl = dns_ttl(to);
}

/* The next record of `owner` and the type in the answer section. */
static bool next_of(struct dns_iter *it, const uint8_t *owner, uint16_t type, struct dns_rr *rr)
{
	while (dns_iter_rr(it, rr) && rr->section == DNS_ANSWER)
		if (rr->type == type && rr->class == DNS_IN &&
		    dns_name_at_is(it->pkt, it->len, rr->owner, owner))
			return true;
	return false;
}

/* Goes one CNAME on from q->at.name. Returns 1: done, 0: there is none, -1: malformed. */
static int follow(struct question *q, const struct reply *r)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	dns_iter_init(&it, r->pkt, r->len, &h);
	if (!next_of(&it, q->at.name, DNS_CNAME, &rr))
		return 0;
	size_t at = rr.rdata, end = rr.rdata + rr.rdlen;
	uint8_t to[DNS_NAME_MAX];
	size_t n = dns_name_read(r->pkt, end, &at, to);
	if (!n || at != end)
		return -1;
	memcpy(q->at.name, to, n);
	lower_ttl(&q->at.ttl, rr.ttl);
	q->at.hops++;
	return 1;
}

/* The records of q->at.name. False: one is malformed. */
static bool gather(struct question *q, const struct reply *r, struct answer *a)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	struct stub_rr *list = NULL;
	size_t cap = 0;
	dns_iter_init(&it, r->pkt, r->len, &h);
	while (next_of(&it, q->at.name, q->type, &rr)) {
		list = pool_grow(a->pool, list, a->a.n, &cap, sizeof(*list));
		list[a->a.n] = (struct stub_rr){0};
		if (!read_rdata(a->pool, r, &rr, &list[a->a.n++]))
			return false;
		lower_ttl(&q->at.ttl, rr.ttl);
	}
	a->a.rr = list;
	return true;
}

/* How long there is nothing: the SOA's TTL or its last number, whichever is less (RFC 2308 5).
 * False: there is no SOA. */
static bool negative_ttl(const struct reply *r, uint32_t *ttl)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	dns_iter_init(&it, r->pkt, r->len, &h);
	while (dns_iter_rr(&it, &rr)) {
		if (rr.section != DNS_AUTHORITY || rr.type != DNS_SOA || rr.rdlen < 22)
			continue;
		lower_ttl(ttl, rr.ttl);
		lower_ttl(ttl, dns_u32(r->pkt + rr.rdata + rr.rdlen - 4));
		return true;
	}
	return false;
}

/* The chain is at its end and nothing of the type is there. */
static enum verdict nothing(struct question *q, const struct reply *r, struct answer *a, bool moved)
{
	bool soa = negative_ttl(r, &q->at.ttl);
	if (r->rcode == DNS_NXDOMAIN)
		a->a.kind = STUB_NXDOMAIN;
	else if (moved && !soa)
		return VERDICT_MORE;
	else if (!soa && !(r->h.flags & (DNS_AA | DNS_RA)))
		return VERDICT_BAD; /* a server that does not resolve and sends us elsewhere */
	else
		a->a.kind = STUB_NODATA;
	if (!soa)
		q->at.ttl = 0;
	return VERDICT_DONE;
}

static enum verdict read_answer(struct question *q, const struct reply *r, struct answer *a)
{
	unsigned hops = q->at.hops;
	for (int more = q->type != DNS_CNAME; more;) {
		more = follow(q, r);
		if (more < 0)
			return VERDICT_BAD;
		if (q->at.hops > STUB_HOPS)
			return VERDICT_LOOP;
	}
	if (!gather(q, r, a))
		return VERDICT_BAD;
	q->at.ad = q->at.ad && q->server->trust_ad && (r->h.flags & DNS_AD);
	if (a->a.n == 0)
		return nothing(q, r, a, q->at.hops > hops);
	a->a.kind = STUB_OK;
	return VERDICT_DONE;
}

enum verdict stub_reply_answer(struct question *q, const struct reply *r, struct answer **out)
{
	struct answer *a = stub_answer_new(&q->key);
	struct chain before = q->at;
	enum verdict v = read_answer(q, r, a);
	if (v == VERDICT_BAD)
		q->at = before; /* the next server starts from where this one did */
	if (v != VERDICT_DONE) {
		stub_answer_unref(&a);
		return v;
	}
	a->a.rcode = r->rcode;
	a->a.ad = q->at.ad;
	a->a.ttl = q->at.ttl;
	a->a.owner = text_of(a->pool, q->at.name);
	*out = a;
	return v;
}
