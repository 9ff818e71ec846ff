#include "dnsd/resolve/scrub.h"
#include "dnsd/resolve/chase.h"
#include "libcommon/dns/rdata.h"

enum { EDE_NONE_TOLD = 0xffff, SIGNATURE_MIN = 18 };

/* A response being read. */
struct reading {
	const struct scrub_question *q;
	const uint8_t *pkt;
	size_t len;
	uint16_t flags;
	struct scrub_sets sets;
	struct scrubbed *out;
};

static void verdict(struct scrubbed *out, enum scrub_kind kind, const char *why)
{
	out->kind = kind;
	out->why = why;
	out->main = NULL;
}

/* Types that have a meaning for us there. */
static bool wanted(const struct scrub_question *q, enum dns_section section, uint16_t type)
{
	switch (section) {
	case DNS_ANSWER:
		return type == q->type || type == DNS_CNAME || type == DNS_DNAME;
	case DNS_AUTHORITY:
		return type == DNS_NS || type == DNS_SOA || type == DNS_DS || type == DNS_NSEC ||
		       type == DNS_NSEC3;
	case DNS_ADDITIONAL:
		return type == DNS_A || type == DNS_AAAA;
	default:
		return false;
	}
}

static void read_edns(struct reading *r, const struct dns_rr *rr)
{
	struct dns_edns e;
	struct slice data;
	uint16_t code;
	if (!dns_edns_read(r->pkt, rr, &e))
		return;
	r->out->rcode |= e.rcode;
	while (dns_edns_option(&e.options, &code, &data))
		if (code == DNS_OPT_EDE && data.len >= 2 && r->out->ede == EDE_NONE_TOLD)
			r->out->ede = dns_u16((const uint8_t *)data.p);
}

/* False: malformed. */
static bool read_rr(struct reading *r, const struct dns_rr *rr)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	uint8_t owner[DNS_NAME_MAX];
	size_t at = rr->owner, len;
	uint16_t type = rr->type;
	if (rr->type == DNS_OPT) {
		read_edns(r, rr);
		return true;
	}
	if (type == DNS_RRSIG && rr->rdlen > SIGNATURE_MIN && rr->section != DNS_ADDITIONAL)
		type = dns_u16(r->pkt + rr->rdata);
	if (rr->class != DNS_IN || !wanted(r->q, rr->section, type)) {
		r->out->dropped++;
		return true;
	}
	if (!dns_name_read(r->pkt, r->len, &at, owner))
		return false;
	dns_name_lower(owner);
	if (!dns_name_under(owner, r->q->zone)) {
		r->out->dropped++;
		return true;
	}
	return dns_rdata_read(r->pkt, r->len, rr, rdata, &len) &&
	       scrub_add(&r->sets, rr->section, owner, rr->type, dns_ttl(rr->ttl), rdata, len);
}

static bool read_all(struct reading *r)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	if (!dns_iter_init(&it, r->pkt, r->len, &h))
		return false;
	r->flags = h.flags;
	r->out->rcode = h.flags & DNS_RCODE;
	while (dns_iter_rr(&it, &rr))
		if (!read_rr(r, &rr))
			return false;
	scrub_lay(&r->sets);
	return !it.bad && !(h.flags & DNS_TC);
}

static const struct rrset *find(const struct reading *r, enum dns_section section,
				const uint8_t *owner, uint16_t type)
{
	for (unsigned i = 0; i < r->sets.n; i++) {
		const struct scrub_set *x = &r->sets.set[i];
		if (x->section == section && x->set.type == type &&
		    dns_name_eq(x->set.owner, owner))
			return &x->set;
	}
	return NULL;
}

/* The one of an ancestor of the name that stands closest to the root: it is the one that counts, as
 * nothing is below it. */
static const struct rrset *find_dname(const struct reading *r)
{
	const struct rrset *best = NULL;
	for (unsigned i = 0; i < r->sets.n; i++) {
		const struct scrub_set *x = &r->sets.set[i];
		if (x->section == DNS_ANSWER && x->set.type == DNS_DNAME &&
		    dns_name_under(r->q->name, x->set.owner) &&
		    !dns_name_eq(r->q->name, x->set.owner) &&
		    (!best || dns_name_under(best->owner, x->set.owner)))
			best = &x->set;
	}
	return best;
}

/* The CNAME that came with a DNAME is what it makes of the name (RFC 6672 3.1), if there is one. */
static bool synthesis_holds(const struct reading *r, const struct rrset *dname)
{
	const struct rrset *cname = find(r, DNS_ANSWER, r->q->name, DNS_CNAME);
	uint8_t want[DNS_NAME_MAX];
	struct slice data, rdata;
	if (!cname)
		return true;
	data = cname->data;
	return cname->n == 1 && rrset_next(&data, &rdata) &&
	       chase_dname(dname, r->q->name, want) == CHASE_ON &&
	       dns_name_eq((const uint8_t *)rdata.p, want);
}

/* False: the answer section says nothing about the name. */
static bool from_answer(struct reading *r)
{
	struct scrubbed *out = r->out;
	const struct rrset *dname = find_dname(r);
	if (dname) {
		out->kind = SCRUB_DNAME;
		out->main = dname;
		if (dname->n != 1)
			verdict(out, SCRUB_MALFORMED, "more than one DNAME");
		else if (!synthesis_holds(r, dname))
			verdict(out, SCRUB_MALFORMED, "the CNAME is not what the DNAME makes");
		return true;
	}
	if ((out->main = find(r, DNS_ANSWER, r->q->name, r->q->type))) {
		out->kind = SCRUB_ANSWER;
		if (r->q->type == DNS_CNAME && out->main->n != 1)
			verdict(out, SCRUB_MALFORMED, "more than one CNAME");
		return true;
	}
	if (!(out->main = find(r, DNS_ANSWER, r->q->name, DNS_CNAME)))
		return false;
	out->kind = SCRUB_CNAME;
	if (out->main->n != 1)
		verdict(out, SCRUB_MALFORMED, "more than one CNAME");
	return true;
}

/* The deepest one above the name, or at it. */
static const struct rrset *authority(const struct reading *r, uint16_t type)
{
	const struct rrset *best = NULL;
	for (unsigned i = 0; i < r->sets.n; i++) {
		const struct scrub_set *x = &r->sets.set[i];
		if (x->section == DNS_AUTHORITY && x->set.type == type &&
		    dns_name_under(r->q->name, x->set.owner) &&
		    (!best || dns_name_under(x->set.owner, best->owner)))
			best = &x->set;
	}
	return best;
}

/* What has no answer: a referral, or that there is none. */
static void from_authority(struct reading *r)
{
	struct scrubbed *out = r->out;
	const struct rrset *soa = authority(r, DNS_SOA), *ns = authority(r, DNS_NS);
	if (out->rcode == DNS_NXDOMAIN) {
		out->kind = SCRUB_NXDOMAIN;
		out->main = soa;
		if (!soa && !(r->flags & DNS_AA) && !r->q->recursive)
			verdict(out, SCRUB_LAME, "NXDOMAIN without authority");
		return;
	}
	if (soa || r->q->recursive || !ns) {
		out->kind = SCRUB_NODATA;
		out->main = soa;
		if (!soa && !(r->flags & DNS_AA) && !r->q->recursive)
			verdict(out, SCRUB_LAME, "it does not serve the zone");
		return;
	}
	out->kind = SCRUB_REFERRAL;
	out->main = ns;
	if (dns_name_eq(ns->owner, r->q->zone))
		verdict(out, SCRUB_LAME, "it refers to the zone that it was asked for");
	else if (r->q->type == DNS_DS && dns_name_eq(ns->owner, r->q->name))
		verdict(out, SCRUB_LAME, "it refers a question for DS to the child");
}

static bool has_target(const struct rrset *ns, const uint8_t *name)
{
	struct slice data = ns->data, rdata;
	for (unsigned i = 0; i < ns->n && rrset_next(&data, &rdata); i++)
		if (dns_name_eq((const uint8_t *)rdata.p, name))
			return true;
	return false;
}

/* What comes with main: proofs, and addresses of servers. */
static void beside(struct reading *r)
{
	struct scrubbed *out = r->out;
	for (unsigned i = 0; i < r->sets.n; i++) {
		const struct scrub_set *x = &r->sets.set[i];
		bool proof = x->set.type == DNS_NSEC || x->set.type == DNS_NSEC3 ||
			     (x->set.type == DNS_DS && out->kind == SCRUB_REFERRAL &&
			      dns_name_eq(x->set.owner, out->main->owner));
		if (x->section == DNS_AUTHORITY && proof && out->proofs < SCRUB_PROOFS)
			out->proof[out->proofs++] = &x->set;
		if (x->section == DNS_ADDITIONAL && out->main && out->main->type == DNS_NS &&
		    out->addresses < SCRUB_ADDRESSES && has_target(out->main, x->set.owner))
			out->address[out->addresses++] = &x->set;
	}
}

static const char *rcode_why(uint16_t rcode)
{
	switch (rcode) {
	case DNS_FORMERR:
		return "FORMERR";
	case DNS_SERVFAIL:
		return "SERVFAIL";
	case DNS_NOTIMP:
		return "NOTIMP";
	case DNS_REFUSED:
		return "REFUSED";
	case DNS_NOTAUTH:
		return "NOTAUTH";
	default:
		return "an unexpected rcode";
	}
}

void scrub(struct pool *pool, const struct scrub_question *q, const uint8_t *pkt, size_t len,
	   struct scrubbed *out)
{
	struct reading *r = pool_alloc(pool, sizeof(*r));
	*out = (struct scrubbed){.ede = EDE_NONE_TOLD};
	r->q = q;
	r->pkt = pkt;
	r->len = len;
	r->out = out;
	r->sets.pool = pool;
	if (!read_all(r)) {
		verdict(out, SCRUB_MALFORMED, r->sets.why ? r->sets.why : "malformed");
		return;
	}
	/* YXDOMAIN comes with the DNAME that made the name too long. */
	if (out->rcode == DNS_REFUSED || out->rcode == DNS_NOTAUTH) {
		verdict(out, SCRUB_LAME, rcode_why(out->rcode));
	} else if (out->rcode != DNS_NOERROR && out->rcode != DNS_NXDOMAIN &&
		   out->rcode != DNS_YXDOMAIN) {
		verdict(out, SCRUB_FAILED, rcode_why(out->rcode));
	} else if (!from_answer(r)) {
		if (out->rcode == DNS_YXDOMAIN)
			verdict(out, SCRUB_FAILED, "YXDOMAIN without a DNAME");
		else
			from_authority(r);
	} else if (out->kind != SCRUB_MALFORMED && !q->recursive && !(r->flags & DNS_AA) &&
		   (r->flags & DNS_RA)) {
		verdict(out, SCRUB_LAME, "it is a resolver, without authority");
	}
	if (out->kind > SCRUB_LAME)
		beside(r);
}

unsigned scrub_records(struct pool *pool, struct slice records, const struct rrset **out,
		       unsigned max)
{
	struct scrub_sets *s = pool_alloc(pool, sizeof(*s));
	const uint8_t *p = (const uint8_t *)records.p;
	size_t left = records.len;
	unsigned n = 0;
	s->pool = pool;
	while (left) {
		size_t name = dns_name_check(p, left);
		if (!name || left - name < 10)
			break;
		const uint8_t *h = p + name;
		size_t len = dns_u16(h + 8);
		uint16_t type = dns_u16(h);
		if (left - name - 10 < len || (type == DNS_RRSIG && len < SIGNATURE_MIN) ||
		    !scrub_add(s, DNS_AUTHORITY, p, type, dns_u32(h + 4), h + 10, len))
			break;
		p += name + 10 + len;
		left -= name + 10 + len;
	}
	scrub_lay(s);
	for (unsigned i = 0; i < s->n && n < max; i++)
		out[n++] = &s->set[i].set;
	return n;
}
