/* Reads queries. Strict: what is not a whole, well-formed query is FORMERR. */
#include "dnsd/answer/answer.h"

enum {
	OP_QUERY = 0,
	OP_NOTIFY = 4,
	OP_UPDATE = 5,
	TYPE_TKEY = 249,
	TYPE_TSIG = 250,
	TYPE_IXFR = 251,
	TYPE_AXFR = 252,
	TYPE_MAILB = 253,
	TYPE_MAILA = 254,
	CLASS_CHAOS = 3,
	OPT_NSID = 3,
	OPT_SUBNET = 8,
	OPT_COOKIE = 10,
	OPT_KEEPALIVE = 11,
	OPT_PADDING = 12,
	CLIENT_COOKIE = 8,
	SERVER_COOKIE_MIN = 8,
	SERVER_COOKIE_MAX = 32,
};

static void bad(struct query *q, uint16_t rcode)
{
	q->kind = QUERY_BAD;
	q->rcode = rcode;
}

/* Eight octets at a time: to those from A to Z 0x20 is added. Length octets are no letters. */
static uint64_t lower(uint64_t v)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
	uint64_t low = v & ~high;
	uint64_t from_a = low + (0x80 - 'A') * ones, past_z = low + (0x7f - 'Z') * ones;
	return v + ((from_a & ~past_z & ~v & high) >> 2);
}

/* The name behind the header, uncompressed: there is nothing that it could point to. */
static bool read_name(struct query *q)
{
	const uint8_t *p = q->pkt + DNS_HEADER;
	size_t len = 0, left = q->len - DNS_HEADER, at = 0;
	while (len < left && p[len] > 0 && p[len] <= DNS_LABEL_MAX) {
		len += 1u + p[len];
		q->labels++;
	}
	if (len >= left || p[len] != 0 || ++len > DNS_NAME_MAX || left - len < 4)
		return false;
	uint64_t v;
	for (; at + sizeof(v) <= len; at += sizeof(v)) {
		memcpy(&v, p + at, sizeof(v));
		v = lower(v);
		memcpy(q->name + at, &v, sizeof(v));
	}
	v = 0;
	memcpy(&v, p + at, len - at);
	v = lower(v);
	memcpy(q->name + at, &v, len - at);
	q->name_len = len;
	q->question_len = len + 4;
	return true;
}

static bool cookie(struct query *q, struct slice data)
{
	if (data.len != CLIENT_COOKIE && (data.len < CLIENT_COOKIE + SERVER_COOKIE_MIN ||
					  data.len > CLIENT_COOKIE + SERVER_COOKIE_MAX))
		return false;
	if (!q->cookie.len)
		q->cookie = data;
	return true;
}

static bool options(struct query *q, struct slice rest)
{
	uint16_t code;
	struct slice data;
	while (dns_edns_option(&rest, &code, &data)) {
		if (code == OPT_NSID)
			q->nsid = true;
		else if (code == OPT_PADDING)
			q->padding = true;
		else if (code == OPT_KEEPALIVE)
			q->keepalive = true;
		else if (code == OPT_SUBNET)
			q->subnet = data;
		else if (code == OPT_COOKIE && !cookie(q, data))
			return false;
	}
	return true;
}

static bool read_opt(struct query *q, const struct dns_rr *rr)
{
	struct dns_edns e;
	if (q->edns || !dns_edns_read(q->pkt, rr, &e))
		return false;
	q->edns = true;
	q->udp_size = e.size;
	q->dnssec_ok = e.dnssec_ok;
	if (e.version > 0)
		q->rcode = DNS_BADVERS;
	/* Options of a later version may mean something else. */
	return e.version > 0 || options(q, e.options);
}

/* Everything behind the question. */
static bool read_records(struct query *q, struct dns_iter *it)
{
	struct dns_rr rr;
	while (dns_iter_rr(it, &rr)) {
		if (q->tsig) /* which is the last record (RFC 8945 5.1) */
			return false;
		if (rr.type == DNS_OPT && !read_opt(q, &rr))
			return false;
		if (rr.type == TYPE_TSIG) {
			if (rr.section != DNS_ADDITIONAL)
				return false;
			q->tsig = rr.owner;
		}
	}
	return !it->bad && it->at == it->len;
}

/* What the type and the class make of a question. */
static void classify(struct query *q, uint16_t class)
{
	if (q->type == DNS_OPT || q->type == TYPE_TSIG || q->type == 0)
		bad(q, DNS_FORMERR);
	else if (q->type == TYPE_MAILA || q->type == TYPE_MAILB || q->type == TYPE_TKEY)
		bad(q, DNS_NOTIMP);
	else if (class == CLASS_CHAOS)
		q->kind = QUERY_CHAOS;
	else if (class != DNS_IN)
		bad(q, DNS_REFUSED);
	else
		q->kind = q->type == TYPE_AXFR || q->type == TYPE_IXFR ? QUERY_TRANSFER : QUERY_ASK;
}

static void read_question(struct query *q, struct dns_iter *it, const struct dns_header *h)
{
	unsigned op = (h->flags & DNS_OPCODE) >> 11;
	if (op != OP_QUERY && op != OP_NOTIFY && op != OP_UPDATE) {
		bad(q, DNS_NOTIMP);
		return;
	}
	if (h->count[DNS_QUESTION] != 1 || !read_name(q)) {
		bad(q, DNS_FORMERR);
		return;
	}
	const uint8_t *p = q->pkt + DNS_HEADER + q->name_len;
	q->type = dns_u16(p);
	it->at = DNS_HEADER + q->question_len;
	it->left[DNS_QUESTION] = 0;
	if (!read_records(q, it)) {
		bad(q, DNS_FORMERR);
		return;
	}
	if (q->rcode == DNS_BADVERS) {
		q->kind = QUERY_BAD;
		return;
	}
	bool records =
	    h->count[DNS_ANSWER] > 0 || (h->count[DNS_AUTHORITY] > 0 && q->type != TYPE_IXFR);
	if (op != OP_QUERY)
		q->kind = op == OP_NOTIFY ? QUERY_NOTIFY : QUERY_UPDATE;
	else if (records)
		bad(q, DNS_FORMERR);
	else
		classify(q, dns_u16(p + 2));
}

void query_read(struct query *q, const uint8_t *pkt, size_t len)
{
	struct dns_iter it;
	struct dns_header h;
	memset(q, 0, offsetof(struct query, name));
	memset((char *)q + offsetof(struct query, name_len), 0,
	       sizeof(*q) - offsetof(struct query, name_len));
	q->pkt = pkt;
	q->len = len;
	q->udp_size = 512;
	q->kind = QUERY_DROP;
	if (!dns_iter_init(&it, pkt, len, &h) || h.flags & DNS_QR)
		return;
	q->id = h.id;
	q->flags = h.flags;
	read_question(q, &it, &h);
}
