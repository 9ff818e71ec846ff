/* Queries to servers, and what a reply is worth. Pure. */
#include "dnsd/upstream/upstream_int.h"

enum {
	OPT_COOKIE = 10,
	OPT_PADDING = 12,
	PAD_TO = 128, /* RFC 8467 4.1 */
	OPT_HEAD = 11,
	OPTION_HEAD = 4,
	COOKIE_LEAST = 16, /* octets of both cookies */
};

static void put_u16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint8_t *put_option(uint8_t *p, uint16_t code, const void *data, size_t n)
{
	put_u16(p, code);
	put_u16(p + 2, (unsigned)n);
	if (data)
		memcpy(p + OPTION_HEAD, data, n);
	else
		memset(p + OPTION_HEAD, 0, n);
	return p + OPTION_HEAD + n;
}

static uint8_t *put_opt(uint8_t *out, uint8_t *p, const struct asked *a)
{
	static const uint8_t DO[4] = {0, 0, 0x80, 0};
	uint8_t *opt = p;
	*p = 0;
	put_u16(p + 1, DNS_OPT);
	put_u16(p + 3, a->edns_size);
	memcpy(p + 5, DO, sizeof(DO));
	p += OPT_HEAD;
	if (a->cookie_len)
		p = put_option(p, OPT_COOKIE, a->cookie, a->cookie_len);
	if (a->padded) {
		size_t over = (size_t)(p - out + OPTION_HEAD) % PAD_TO;
		p = put_option(p, OPT_PADDING, NULL, over ? PAD_TO - over : 0);
	}
	put_u16(opt + 9, (unsigned)(p - opt) - OPT_HEAD);
	return p;
}

size_t upstream_query(uint8_t out[QUERY_MOST], const struct asked *a)
{
	uint8_t *p = out;
	memset(p, 0, DNS_HEADER);
	put_u16(p, a->id);
	put_u16(p + 2, a->flags);
	p[5] = 1;
	p[11] = a->edns_size != 0;
	p += DNS_HEADER;
	memcpy(p, a->name, a->name_len);
	p += a->name_len;
	put_u16(p, a->type);
	put_u16(p + 2, DNS_IN);
	p += 4;
	if (a->edns_size)
		p = put_opt(out, p, a);
	return (size_t)(p - out);
}

/* The question is ours, but perhaps for the case of its letters. */
static bool same_question(const struct asked *a, const uint8_t *pkt, size_t len, bool *other_case)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_question q;
	dns_iter_init(&it, pkt, len, &h);
	if (!dns_iter_question(&it, &q) || q.type != a->type || q.class != DNS_IN)
		return false;
	/* A first name cannot be compressed: it stands there as it was sent. */
	if (it.at == DNS_HEADER + a->name_len + 4u &&
	    memcmp(pkt + DNS_HEADER, a->name, a->name_len) == 0)
		return true;
	*other_case = true;
	return dns_name_at_is(pkt, len, q.name, a->name);
}

/* False: it is not the one that goes with our query. */
static bool read_cookie(const struct asked *a, struct slice options, struct reply *r)
{
	uint16_t code;
	struct slice data;
	while (dns_edns_option(&options, &code, &data)) {
		if (code != OPT_COOKIE || !a->cookie_len)
			continue;
		if (data.len > COOKIE_MOST || data.len < COOKIE_CLIENT ||
		    (data.len > COOKIE_CLIENT && data.len < COOKIE_LEAST) ||
		    memcmp(data.p, a->cookie, COOKIE_CLIENT) != 0)
			return false;
		r->cookie = data;
		return true; /* RFC 7873 5.2: the first counts */
	}
	return true;
}

/* The records, as far as it takes to know that they are whole. */
static enum verdict read_records(const struct asked *a, const uint8_t *pkt, size_t len,
				 struct reply *r)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	struct dns_edns e;
	dns_iter_init(&it, pkt, len, &h);
	while (dns_iter_rr(&it, &rr)) {
		if (rr.type != DNS_OPT)
			continue;
		if (r->edns || !dns_edns_read(pkt, &rr, &e))
			return VERDICT_BAD;
		r->edns = true;
		r->rcode |= e.rcode;
		if (!read_cookie(a, e.options, r))
			return VERDICT_NEAR;
	}
	return it.bad ? VERDICT_BAD : VERDICT_ANSWER;
}

/* What the server did not like about the query's EDNS. */
static enum verdict judge_edns(const struct asked *a, const struct reply *r)
{
	if (r->rcode == DNS_BADCOOKIE && a->cookie_len) {
		if (!a->again && r->cookie.len > COOKIE_CLIENT)
			return VERDICT_COOKIE;
		return a->stream ? VERDICT_NO_COOKIE : VERDICT_TCP;
	}
	if (r->rcode == DNS_BADVERS)
		return VERDICT_NO_EDNS;
	if (r->rcode != DNS_FORMERR && r->rcode != DNS_NOTIMP)
		return VERDICT_ANSWER;
	if (!r->edns)
		return VERDICT_NO_EDNS;
	/* It knows EDNS: then it may be the option. */
	return r->rcode == DNS_FORMERR && a->cookie_len ? VERDICT_NO_COOKIE : VERDICT_ANSWER;
}

enum verdict upstream_verdict(const struct asked *a, const uint8_t *pkt, size_t len,
			      struct reply *r)
{
	struct dns_iter it;
	struct dns_header h;
	bool other_case = false;
	*r = (struct reply){0};
	if (!dns_iter_init(&it, pkt, len, &h) || h.id != a->id || !(h.flags & DNS_QR) ||
	    (h.flags & DNS_OPCODE))
		return VERDICT_NEAR;
	r->rcode = h.flags & DNS_RCODE;
	r->truncated = (h.flags & DNS_TC) != 0;
	r->bare = h.count[DNS_QUESTION] == 0;
	/* A server that cannot read a query may not be able to repeat it. */
	if (r->bare && r->rcode != DNS_FORMERR && r->rcode != DNS_NOTIMP)
		return VERDICT_NEAR;
	if (!r->bare && (h.count[DNS_QUESTION] != 1 || !same_question(a, pkt, len, &other_case)))
		return VERDICT_NEAR;
	if (other_case && !a->stream && !a->any_case)
		return VERDICT_CASE;
	r->case_lost = other_case;
	/* What stands in a truncated answer is not looked at (RFC 2181 9). */
	if (r->truncated && !a->stream)
		return VERDICT_TCP;
	enum verdict v = read_records(a, pkt, len, r);
	if (v != VERDICT_ANSWER)
		return v == VERDICT_NEAR && a->stream ? VERDICT_BAD : v;
	/* RFC 7873 5.3: a server that gave cookies gives them always. It is asked by TCP, lest one
	 * that gives them no longer is lost. */
	if (a->cookie_len > COOKIE_CLIENT && !r->cookie.len && !a->stream && !r->bare &&
	    r->rcode != DNS_FORMERR)
		return VERDICT_TCP;
	return a->edns_size ? judge_edns(a, r) : VERDICT_ANSWER;
}
