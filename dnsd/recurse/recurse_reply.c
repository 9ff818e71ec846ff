/* A response of what was found: records front to back, names by pointers where that is cheap. */
#include "dnsd/answer/answer_int.h"
#include "dnsd/recurse/recurse.h"

enum {
	HEAD = 12,  /* octets of a record whose owner is a pointer, before its data */
	FIXED = 10, /* ... of any, behind its owner */
	POINTER = 0xc000,
	REACH = 0x4000,
	SOA_NUMBERS = 20,
};

/* How much of the data of a type is names that may be compressed (RFC 3597 4): `before` octets,
 * then so many names, then `after`. */
struct shape {
	uint8_t before, names, after;
};

static struct shape shape_of(uint16_t type)
{
	switch (type) {
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		return (struct shape){0, 1, 0};
	case DNS_SOA:
		return (struct shape){0, 2, SOA_NUMBERS};
	case DNS_MX:
		return (struct shape){2, 1, 0};
	default:
		return (struct shape){0, 0, 0};
	}
}

/* Where the owner of records stands; 0: nowhere yet, as far as is known. */
static size_t owner_at(const struct work *w, const uint8_t *owner)
{
	size_t len = dns_name_len(owner);
	if (len == w->q->name_len && !memcmp(owner, w->q->name, len))
		return DNS_HEADER;
	if (w->hops && w->name_at < REACH && dns_name_eq(owner, w->name))
		return w->name_at;
	return 0;
}

static bool write_data(struct work *w, uint16_t type, struct slice rdata)
{
	struct dns_out *o = &w->out;
	struct shape s = shape_of(type);
	if (s.names)
		put_question_names(w);
	size_t start = o->len, at = s.before;
	dns_out_bytes(o, rdata.p, s.names ? s.before : rdata.len);
	for (unsigned i = 0; i < s.names && at < rdata.len; i++) {
		const uint8_t *name = (const uint8_t *)rdata.p + at;
		dns_out_name(o, name, true);
		at += dns_name_len(name);
	}
	if (s.names && at < rdata.len)
		dns_out_bytes(o, rdata.p + at, rdata.len - at);
	if (o->full)
		return false;
	put_u16(o->p + start - 2, o->len - start);
	return true;
}

/* place: of the owner's name, or 0. */
static bool write_record(struct work *w, enum dns_section s, size_t place, const uint8_t *owner,
			 uint16_t type, uint32_t ttl, struct slice rdata)
{
	struct dns_out *o = &w->out;
	if (!place) {
		put_question_names(w);
		dns_out_name(o, owner, true);
	}
	if (o->full || o->cap - o->len < HEAD)
		return false;
	uint8_t *p = o->p + o->len;
	if (place) {
		put_u16(p, POINTER | place);
		p += 2;
	}
	put_u16(p, type);
	put_u16(p + 2, DNS_IN);
	put_u16(p + 4, ttl >> 16);
	put_u16(p + 6, ttl & 0xffff);
	o->len = (size_t)(p - o->p) + FIXED;
	w->count[s]++;
	return write_data(w, type, rdata);
}

/* What does not fit is the end of it: the response is truncated. */
static void put_record(struct work *w, enum dns_section s, size_t place, const uint8_t *owner,
		       uint16_t type, uint32_t ttl, struct slice rdata)
{
	if (!write_record(w, s, place, owner, type, ttl, rdata)) {
		w->truncated = true;
		w->out.full = false;
	}
}

/* What the alias leads to is the next name. */
static void follow(struct work *w, const uint8_t *target, size_t at)
{
	w->name = target;
	w->name_at = at;
	w->hops++;
}

static void put_set(struct work *w, const struct rrset *set)
{
	struct slice data = set->data, rdata;
	size_t place = owner_at(w, set->owner);
	for (unsigned i = 0; !w->truncated && rrset_next(&data, &rdata); i++) {
		bool sig = i >= set->n;
		if (sig && !w->q->dnssec_ok)
			break;
		size_t start = w->out.len;
		put_record(w, DNS_ANSWER, place, set->owner, sig ? DNS_RRSIG : set->type, set->ttl,
			   rdata);
		if (!place && start < REACH) /* the others have it where the first has */
			place = start;
	}
}

static void put_cname_set(struct work *w, const struct rrset *set)
{
	struct slice data = set->data, rdata;
	size_t start = w->out.len, at = start;
	put_set(w, set);
	if (w->truncated || !rrset_next(&data, &rdata) || !dns_name_skip(w->out.p, w->out.len, &at))
		return;
	follow(w, (const uint8_t *)rdata.p, at + FIXED);
}

/* The next of whole records; false: no more. */
static bool next_record(struct slice *extra, struct dns_rr *rr, const uint8_t **owner,
			struct slice *rdata)
{
	const uint8_t *p = (const uint8_t *)extra->p;
	size_t len = dns_name_check(p, extra->len);
	if (!len || extra->len - len < FIXED)
		return false;
	*owner = p;
	p += len;
	*rr = (struct dns_rr){.type = dns_u16(p), .ttl = dns_u32(p + 4), .rdlen = dns_u16(p + 8)};
	size_t all = len + FIXED + rr->rdlen;
	if (extra->len < all)
		return false;
	*rdata = (struct slice){extra->p + len + FIXED, rr->rdlen};
	extra->p += all;
	extra->len -= all;
	return true;
}

/* What proves it; without DO the SOA alone, which says how long it is so. */
static void put_authority(struct work *w, const struct cached *c)
{
	struct slice extra = c->extra, rdata;
	struct dns_rr rr;
	const uint8_t *owner;
	while (!w->truncated && next_record(&extra, &rr, &owner, &rdata)) {
		bool soa = rr.type == DNS_SOA && c->kind != CACHE_RRSET;
		if (!soa && !w->q->dnssec_ok)
			continue;
		uint32_t ttl = rr.ttl < c->set.ttl ? rr.ttl : c->set.ttl;
		put_record(w, DNS_AUTHORITY, owner_at(w, owner), owner, rr.type, ttl, rdata);
	}
}

static void put_parts(struct work *w, const struct resolved *found)
{
	for (unsigned i = 0; i < found->n && !w->truncated; i++) {
		const struct cached *c = &found->part[i];
		if (c->kind != CACHE_RRSET)
			continue;
		if (c->set.type == DNS_CNAME)
			put_cname_set(w, &c->set);
		else
			put_set(w, &c->set);
	}
	for (unsigned i = 0; i < found->n && !w->truncated; i++) {
		const struct cached *c = &found->part[i];
		bool proof = c->kind == CACHE_RRSET
				 ? w->q->dnssec_ok
				 : c->kind == CACHE_NODATA || c->kind == CACHE_NXDOMAIN;
		if (proof && c->extras)
			put_authority(w, c);
	}
}

static void begin(struct work *w, const struct answer_conf *about, const struct query *q,
		  const struct answer_way *way, uint8_t *out, size_t cap, struct answer_info *info)
{
	*info = (struct answer_info){0};
	answer_begin(w, about, q, way, info, out, cap);
	w->flags |= DNS_RA | (q->flags & DNS_CD);
}

size_t recurse_reply(const struct answer_conf *about, const struct query *q,
		     const struct answer_way *way, const struct resolved *found, uint8_t *out,
		     size_t cap, struct answer_info *info)
{
	struct work w;
	begin(&w, about, q, way, out, cap, info);
	if (!answer_bad_cookie(&w)) {
		w.rcode = found->rcode;
		put_parts(&w, found);
		info->nxdomain = w.rcode == DNS_NXDOMAIN;
		/* RFC 6840 5.7, 5.8: who understands the bit has said so. */
		if (found->security == RRSET_SECURE && (q->dnssec_ok || q->flags & DNS_AD))
			w.flags |= DNS_AD;
		if (found->ede != RESOLVE_NO_EDE) {
			w.ede = found->ede;
			w.ede_text = slice_of(found->why);
		}
	}
	size_t n = answer_end(&w);
	info->truncated = w.truncated;
	return n;
}

size_t recurse_refuse(const struct answer_conf *about, const struct query *q,
		      const struct answer_way *way, uint16_t rcode, uint16_t ede, const char *why,
		      uint8_t *out, size_t cap, struct answer_info *info)
{
	struct work w;
	begin(&w, about, q, way, out, cap, info);
	if (rcode == DNS_REFUSED)
		w.flags &= (uint16_t)~DNS_RA;
	if (!answer_bad_cookie(&w)) {
		w.rcode = rcode;
		w.ede = ede;
		w.ede_text = slice_of(why);
	}
	return answer_end(&w);
}
