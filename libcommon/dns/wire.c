#include "libcommon/dns/wire.h"

static void set_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

bool dns_iter_init(struct dns_iter *it, const uint8_t *pkt, size_t len, struct dns_header *h)
{
	*it = (struct dns_iter){.pkt = pkt, .len = len, .at = DNS_HEADER};
	*h = (struct dns_header){0};
	if (len < DNS_HEADER) {
		it->bad = true;
		return false;
	}
	h->id = dns_u16(pkt);
	h->flags = dns_u16(pkt + 2);
	for (int i = 0; i < 4; i++)
		it->left[i] = h->count[i] = dns_u16(pkt + 4 + 2 * i);
	return true;
}

bool dns_iter_question(struct dns_iter *it, struct dns_question *q)
{
	if (it->bad || !it->left[DNS_QUESTION])
		return false;
	q->name = it->at;
	if (!dns_name_skip(it->pkt, it->len, &it->at) || it->len - it->at < 4) {
		it->bad = true;
		return false;
	}
	q->type = dns_u16(it->pkt + it->at);
	q->class = dns_u16(it->pkt + it->at + 2);
	it->at += 4;
	it->left[DNS_QUESTION]--;
	return true;
}

bool dns_iter_rr(struct dns_iter *it, struct dns_rr *rr)
{
	struct dns_question q;
	while (dns_iter_question(it, &q))
		;
	int s = DNS_ANSWER;
	while (s <= DNS_ADDITIONAL && !it->left[s])
		s++;
	if (it->bad || s > DNS_ADDITIONAL)
		return false;
	rr->section = (enum dns_section)s;
	rr->owner = it->at;
	it->bad = true; /* until it is whole */
	if (!dns_name_skip(it->pkt, it->len, &it->at) || it->len - it->at < 10)
		return false;
	const uint8_t *p = it->pkt + it->at;
	rr->type = dns_u16(p);
	rr->class = dns_u16(p + 2);
	rr->ttl = dns_u32(p + 4);
	rr->rdlen = dns_u16(p + 8);
	rr->rdata = it->at + 10;
	if (it->len - rr->rdata < rr->rdlen)
		return false;
	it->at = rr->rdata + rr->rdlen;
	it->left[s]--;
	it->bad = false;
	return true;
}

bool dns_edns_option(struct slice *options, uint16_t *code, struct slice *data)
{
	const uint8_t *p = (const uint8_t *)options->p;
	if (options->len < 4 || options->len - 4 < dns_u16(p + 2))
		return false;
	*code = dns_u16(p);
	*data = (struct slice){options->p + 4, dns_u16(p + 2)};
	options->p += 4 + data->len;
	options->len -= 4 + data->len;
	return true;
}

bool dns_edns_read(const uint8_t *pkt, const struct dns_rr *rr, struct dns_edns *out)
{
	if (rr->type != DNS_OPT || rr->section != DNS_ADDITIONAL || pkt[rr->owner] != 0)
		return false;
	*out = (struct dns_edns){
	    .size = rr->class < 512 ? 512 : rr->class,
	    .rcode = (uint16_t)(rr->ttl >> 24 << 4),
	    .version = (uint8_t)(rr->ttl >> 16),
	    .dnssec_ok = (rr->ttl & 0x8000) != 0,
	    .options = {(const char *)pkt + rr->rdata, rr->rdlen},
	};
	struct slice rest = out->options, data;
	uint16_t code;
	while (dns_edns_option(&rest, &code, &data))
		;
	return rest.len == 0;
}

void dns_out_init(struct dns_out *o, void *p, size_t cap, uint16_t id, uint16_t flags)
{
	o->p = p;
	o->len = 0;
	o->cap = cap < DNS_MSG_MAX ? cap : DNS_MSG_MAX;
	o->full = false;
	o->names = 0;
	dns_out_u16(o, id);
	dns_out_u16(o, flags);
	dns_out_u32(o, 0); /* counts */
	dns_out_u32(o, 0);
}

void dns_out_bytes(struct dns_out *o, const void *p, size_t n)
{
	if (o->full || o->cap - o->len < n) {
		o->full = true;
		return;
	}
	if (n)
		memcpy(o->p + o->len, p, n);
	o->len += n;
}

void dns_out_u16(struct dns_out *o, uint16_t v)
{
	uint8_t b[2];
	set_u16(b, v);
	dns_out_bytes(o, b, sizeof(b));
}

void dns_out_u32(struct dns_out *o, uint32_t v)
{
	uint8_t b[4];
	set_u16(b, (uint16_t)(v >> 16));
	set_u16(b + 2, (uint16_t)v);
	dns_out_bytes(o, b, sizeof(b));
}

/* Where the name stands already; 0: nowhere. */
static uint16_t written_at(const struct dns_out *o, const uint8_t *name)
{
	for (unsigned i = 0; i < o->names; i++)
		if (dns_name_at_is(o->p, o->len, o->name_at[i], name))
			return o->name_at[i];
	return 0;
}

void dns_out_name(struct dns_out *o, const uint8_t *name, bool compress)
{
	for (; *name && !o->full; name += 1u + *name) {
		uint16_t at = compress ? written_at(o, name) : 0;
		if (at) {
			dns_out_u16(o, (uint16_t)(0xc000 | at));
			return;
		}
		size_t here = o->len;
		dns_out_bytes(o, name, 1u + *name);
		/* A pointer has 14 bits. The labels behind this one stand in its own name. */
		if (!o->full && here < 0x4000 && o->names < DNS_OUT_NAMES)
			o->name_at[o->names++] = (uint16_t)here;
	}
	dns_out_bytes(o, "", 1);
}

/* One more in the section's count. */
static void count(struct dns_out *o, enum dns_section s)
{
	uint8_t *p = o->p + 4 + 2 * s;
	if (!o->full)
		set_u16(p, (uint16_t)(dns_u16(p) + 1));
}

void dns_out_question(struct dns_out *o, const uint8_t *name, uint16_t type)
{
	dns_out_name(o, name, true);
	dns_out_u16(o, type);
	dns_out_u16(o, DNS_IN);
	count(o, DNS_QUESTION);
}

size_t dns_out_rr(struct dns_out *o, enum dns_section s, const uint8_t *owner, uint16_t type,
		  uint32_t ttl)
{
	dns_out_name(o, owner, true);
	dns_out_u16(o, type);
	dns_out_u16(o, DNS_IN);
	dns_out_u32(o, ttl);
	dns_out_u16(o, 0);
	count(o, s);
	return o->len;
}

void dns_out_rr_end(struct dns_out *o, size_t rr)
{
	if (!o->full)
		set_u16(o->p + rr - 2, (uint16_t)(o->len - rr));
}

void dns_out_edns(struct dns_out *o, uint16_t size, uint16_t rcode, bool dnssec_ok)
{
	dns_out_bytes(o, "", 1);
	dns_out_u16(o, DNS_OPT);
	dns_out_u16(o, size);
	dns_out_u32(o, (uint32_t)(rcode >> 4) << 24 | (dnssec_ok ? 0x8000 : 0));
	dns_out_u16(o, 0);
	count(o, DNS_ADDITIONAL);
}

size_t dns_query(uint8_t out[DNS_QUERY_MAX], const uint8_t *name, const struct dns_query *q)
{
	struct dns_out o;
	dns_out_init(&o, out, DNS_QUERY_MAX, q->id, q->flags);
	dns_out_question(&o, name, q->type);
	if (q->edns_size)
		dns_out_edns(&o, q->edns_size, 0, q->dnssec_ok);
	return o.len;
}
