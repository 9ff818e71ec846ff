/* Finds the name's records, along CNAMEs and DNAMEs (RFC 1034 4.3.2, RFC 6672 3.2). */
#include "dnsd/answer/answer_int.h"

static void fail(struct work *w, int ede)
{
	w->rcode = DNS_SERVFAIL;
	w->ede = ede;
}

/* What was put fitted, or the response is truncated. */
static bool fits(struct work *w, bool put)
{
	if (!put)
		w->truncated = true;
	return put;
}

static void want_more(struct work *w, const struct image_match *m, uint16_t type, size_t main_at)
{
	w->more.wanted = true;
	w->more.glue = m->found == IMAGE_CUT && type == DNS_NS;
	w->more.match = *m;
	w->more.type = type;
	w->more.main_at = main_at;
}

/* An rrset of the node as the answer for the name at owner_at, with its signatures. False: it is
 * not there, or does not fit. */
static bool put_rrset(struct work *w, const struct image_match *m, uint16_t type, size_t owner_at)
{
	struct piece p;
	if (!image_piece(w->image, m->node, PART_ANSWER, type, &p) ||
	    !fits(w, put_answer(w, DNS_ANSWER, m, &p, owner_at)))
		return false;
	if (w->q->dnssec_ok && image_piece(w->image, m->node, PART_SIGNATURES, type, &p))
		fits(w, put_answer(w, DNS_ANSWER, m, &p, owner_at));
	return true;
}

/* The node has the type, and yet its piece was not to be had. */
static bool damaged(struct work *w, const struct image_match *m, uint16_t type)
{
	uint16_t have;
	for (size_t at = 0; image_next_type(w->image, m->node, &at, &have);)
		if (have == type)
			return true;
	return false;
}

static void put_soa(struct work *w)
{
	struct image_match apex;
	struct piece p;
	if (!image_apex(w->image, &apex) ||
	    !image_piece(w->image, apex.node, PART_SOA, DNS_SOA, &p)) {
		fail(w, EDE_OTHER);
		return;
	}
	if (fits(w, put_piece(w, DNS_AUTHORITY, &apex, &p, w->out.len, &p)) && w->q->dnssec_ok &&
	    image_piece(w->image, apex.node, PART_SOA_SIGNATURES, DNS_SOA, &p))
		fits(w, put_piece(w, DNS_AUTHORITY, &apex, &p, w->out.len, &p));
}

static void expanded(struct work *w, const struct image_match *m)
{
	if (m->found == IMAGE_WILDCARD && w->q->dnssec_ok)
		w->expanded[w->expansions++] =
		    (struct expanded){w->image, *m, w->name, w->name_len};
}

static void prove_expanded(struct work *w)
{
	const struct image *last = w->image;
	for (unsigned i = 0; i < w->expansions && !w->truncated; i++) {
		const struct expanded *e = &w->expanded[i];
		w->image = e->image;
		w->name = e->name;
		w->name_len = e->name_len;
		fits(w, prove_wildcard(w, &e->match));
	}
	w->image = last;
}

static void nodata(struct work *w, const struct image_match *m)
{
	if (w->truncated)
		return;
	if (damaged(w, m, w->q->type)) {
		fail(w, EDE_OTHER);
		return;
	}
	put_soa(w);
	if (w->q->dnssec_ok && !w->truncated)
		fits(w, m->found == IMAGE_WILDCARD ? prove_wildcard_nodata(w, m)
						   : prove_nodata(w, w->name, w->name_len));
}

static void nxdomain(struct work *w, const struct image_match *m)
{
	w->rcode = DNS_NXDOMAIN;
	w->info->nxdomain = true;
	put_soa(w);
	if (w->q->dnssec_ok && !w->truncated)
		fits(w, prove_nxdomain(w, m));
}

/* ANY, and RRSIG: what there is, or by UDP one rrset of it (RFC 8482 4.1). */
static void any(struct work *w, const struct image_match *m)
{
	bool one = w->conf->minimal_any && !w->way->stream, found = false;
	uint16_t type;
	struct piece p;
	for (size_t at = 0;
	     !w->truncated && !(one && found) && image_next_type(w->image, m->node, &at, &type);) {
		if (w->q->type == DNS_ANY)
			found |= put_rrset(w, m, type, w->name_at);
		else if (image_piece(w->image, m->node, PART_SIGNATURES, type, &p))
			found |= fits(w, put_answer(w, DNS_ANSWER, m, &p, w->name_at));
	}
	if (found)
		expanded(w, m);
	else
		nodata(w, m);
}

/* The answer goes on with another name, which stands in the message at `at`. */
static bool follow(struct work *w, const uint8_t *name, size_t len, size_t at)
{
	uint8_t *to = w->chain[w->hops];
	if (w->truncated)
		return false;
	memcpy(to, name, len);
	dns_name_lower(to);
	for (unsigned i = 0; i <= w->hops; i++)
		if (dns_name_eq(i ? w->chain[i - 1] : w->q->name, to))
			return false; /* they go round */
	w->name = to;
	w->name_len = len;
	w->name_at = at;
	return ++w->hops < ANSWER_HOPS;
}

/* Where the data of the record at `at` of the message stands. */
static size_t data_at(const struct work *w, size_t at)
{
	return dns_name_skip(w->out.p, w->out.len, &at) ? at + 10 : DNS_HEADER;
}

static bool cname(struct work *w, const struct image_match *m)
{
	uint8_t target[DNS_NAME_MAX];
	size_t start = w->out.len;
	for (unsigned i = 0; i < w->hops; i++)
		if (w->seen[i] == m->node)
			return false; /* they go round */
	size_t len = image_target(w->image, m, DNS_CNAME, target);
	if (!len) {
		fail(w, EDE_OTHER);
		return false;
	}
	w->seen[w->hops] = m->node;
	if (!put_rrset(w, m, DNS_CNAME, w->name_at) || w->truncated)
		return false;
	size_t at = data_at(w, start);
	expanded(w, m);
	return follow(w, target, len, at);
}

/* Where the name stands when its first `skip` octets are taken off. */
static size_t suffix_at(const struct work *w, size_t skip)
{
	size_t at = w->name_at;
	for (unsigned jumps = 0; at + 1 < w->out.len && jumps < DNS_JUMPS_MAX;) {
		uint8_t c = w->out.p[at];
		if (c > DNS_LABEL_MAX) {
			at = dns_u16(w->out.p + at) & 0x3fff;
			jumps++;
		} else if (skip == 0) {
			return at;
		} else {
			skip -= skip < 1u + c ? skip : 1u + c;
			at += 1u + c;
		}
	}
	return w->name_at;
}

static bool dname(struct work *w, const struct image_match *m)
{
	uint8_t target[DNS_NAME_MAX], name[2 * DNS_NAME_MAX];
	size_t len = image_target(w->image, m, DNS_DNAME, target);
	size_t prefix = w->name_len - m->name_len;
	struct piece p;
	w->seen[w->hops] = NULL;
	if (!len || !image_piece(w->image, m->node, PART_ANSWER, DNS_DNAME, &p) || p.len < 10) {
		fail(w, EDE_OTHER);
		return false;
	}
	size_t owner_at = suffix_at(w, prefix);
	if (!put_rrset(w, m, DNS_DNAME, owner_at) || w->truncated)
		return false;
	if (prefix + len > DNS_NAME_MAX) {
		w->rcode = DNS_YXDOMAIN;
		return false;
	}
	memcpy(name, w->name, prefix);
	memcpy(name + prefix, target, len);
	size_t at = put_cname(w, dns_u32(p.bytes + 6), name);
	if (!fits(w, at != 0) || w->q->type == DNS_CNAME || w->q->type == DNS_ANY)
		return false;
	return follow(w, name, prefix + len, at);
}

/* Records that are at the name. True: it is an alias, go on. */
static bool at_node(struct work *w, const struct image_match *m)
{
	uint16_t type = w->q->type;
	size_t start = w->out.len;
	if (type == DNS_ANY || type == DNS_RRSIG) {
		any(w, m);
		return false;
	}
	if (put_rrset(w, m, type, w->name_at)) {
		expanded(w, m);
		want_more(w, m, type, start);
		return false;
	}
	/* NSEC stands beside a CNAME where it exists (RFC 4035 2.5). */
	if (!w->truncated && type != DNS_NSEC && image_is_alias(m->node))
		return cname(w, m);
	nodata(w, m);
	return false;
}

/* Whether the cut leads to a signed zone, or that it does not. */
static bool security(struct work *w, const struct image_match *m)
{
	struct piece p;
	if (!image_piece(w->image, m->node, PART_ANSWER, DNS_DS, &p))
		return prove_nodata(w, m->name, m->name_len);
	if (!put_owned(w, DNS_AUTHORITY, m, &p))
		return false;
	return !image_piece(w->image, m->node, PART_SIGNATURES, DNS_DS, &p) ||
	       put_owned(w, DNS_AUTHORITY, m, &p);
}

static void referral(struct work *w, const struct image_match *m)
{
	struct piece p;
	size_t start = w->out.len;
	if (!image_piece(w->image, m->node, PART_REFERRAL, DNS_NS, &p)) {
		fail(w, EDE_OTHER);
		return;
	}
	w->info->referral = true;
	if (w->hops == 0)
		w->flags &= (uint16_t)~DNS_AA;
	if (!fits(w, put_piece(w, DNS_AUTHORITY, m, &p, start, &p)))
		return;
	if (w->q->dnssec_ok && !fits(w, security(w, m)))
		return;
	want_more(w, m, DNS_NS, start);
}

/* The zone of a name. DS is the parent's, where that is ours, too (RFC 4035 3.1.4.1). */
static const struct zone *zone_of(const struct work *w)
{
	const struct zone *z = w->hops == 0 && w->q->prepared
				   ? w->q->zone
				   : zones_find(w->zones, w->name, w->name_len);
	if (!z || w->q->type != DNS_DS || z->name_len != w->name_len || w->name_len == 1)
		return z;
	size_t first = 1u + w->name[0];
	const struct zone *parent = zones_find(w->zones, w->name + first, w->name_len - first);
	return parent ? parent : z;
}

/* One name. True: it is an alias, go on with the next. */
static bool step(struct work *w)
{
	struct image_match m;
	if (w->hops == 0 && w->q->prepared && w->image == w->q->zone->image)
		image_find_hint(w->image, w->name, w->name_len, w->q->hint, &m);
	else
		image_find(w->image, w->name, w->name_len, &m);
	switch (m.found) {
	case IMAGE_NAME:
	case IMAGE_WILDCARD:
		return at_node(w, &m);
	case IMAGE_EMPTY:
		nodata(w, &m);
		return false;
	case IMAGE_CUT:
		if (m.at_cut && w->q->type == DNS_DS)
			return at_node(w, &m);
		referral(w, &m);
		return false;
	case IMAGE_DNAME:
		return dname(w, &m);
	case IMAGE_NONE:
		nxdomain(w, &m);
		return false;
	case IMAGE_DAMAGED:
		break;
	}
	fail(w, EDE_OTHER);
	return false;
}

void answer_resolve(struct work *w)
{
	const struct zone *z = zone_of(w);
	w->info->zone = z;
	if (!z || !z->image) {
		w->rcode = z ? DNS_SERVFAIL : DNS_REFUSED;
		w->ede = !z ? EDE_NOT_AUTHORITATIVE : z->expired ? EDE_INVALID_DATA : EDE_NOT_READY;
		return;
	}
	w->flags |= DNS_AA;
	/* What an alias leads to outside is not ours to tell. */
	for (bool on = true; on && z && z->image; z = on ? zone_of(w) : z) {
		w->image = z->image;
		on = step(w);
	}
	w->info->outside = !z;
	prove_expanded(w);
}
