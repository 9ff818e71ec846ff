/* Copies pieces into the message. The pointers of a piece count on the question's name being the
 * node's; where it ends as the node's they are shifted. Else (behind an alias) the names are
 * written anew. */
#include "dnsd/answer/answer_int.h"

enum {
	POINTER = 0xc000,
	FIXED = 10,       /* octets between owner and data */
	SHORT = 12,       /* ... and the owner, when that is a pointer */
	REACH = 0x4000,   /* of pointers */
	SHIFT_MAX = 0x780 /* places in a piece are that far from where pointers end to reach */
};

void put_u16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void add_count(struct work *w, enum dns_section s, unsigned n)
{
	w->count[s] = (uint16_t)(w->count[s] + n);
}

/* The question's name ends in the node's name, or for a wildcard in what is above it. */
static bool shares(const struct work *w, const struct image_match *m)
{
	if (w->hops == 0)
		return true;
	const uint8_t *p = w->q->name;
	size_t left = w->q->name_len;
	for (; left > m->name_len; p += 1u + *p)
		left -= 1u + *p;
	return left == m->name_len && !memcmp(p, m->name, left);
}

/* Where the piece's pointers lead in this message. */
static void shift(const struct work *w, const struct image_match *m, size_t main_at,
		  const struct piece *p, uint8_t *to)
{
	size_t after = DNS_HEADER + m->name_len + 4; /* where the main piece was thought to be */
	size_t by_name = w->q->name_len - m->name_len, by_main = main_at - after;
	for (unsigned i = 0; i < p->pointers; i++) {
		size_t at = p->pointer[i];
		if (at + 2 > p->len)
			return;
		size_t lead = dns_u16(p->bytes + at) & 0x3fffu;
		lead += lead < after ? by_name : by_main;
		put_u16(to + at, POINTER | (lead & 0x3fff));
	}
}

static bool copy(struct work *w, const struct image_match *m, size_t main_at, const struct piece *p)
{
	struct dns_out *o = &w->out;
	if (o->cap - o->len < p->len)
		return false;
	memcpy(o->p + o->len, p->bytes, p->len);
	if (p->pointers &&
	    (w->q->name_len != m->name_len || main_at != DNS_HEADER + m->name_len + 4))
		shift(w, m, main_at, p, o->p + o->len);
	o->len += p->len;
	return true;
}

static bool fast(const struct work *w, const struct image_match *m, size_t main_at,
		 const struct piece *p)
{
	if (!p->pointers)
		return true;
	return shares(w, m) && main_at < SHIFT_MAX;
}

void put_question_names(struct work *w)
{
	size_t at = DNS_HEADER;
	if (w->indexed)
		return;
	w->indexed = true;
	for (; w->out.p[at] && w->out.names < DNS_OUT_NAMES; at += 1u + w->out.p[at])
		w->out.name_at[w->out.names++] = (uint16_t)at;
}

/* After a write that did not fit nothing of it is left. */
static bool whole(struct work *w, size_t start, unsigned names)
{
	if (!w->out.full)
		return true;
	w->out.full = false;
	w->out.len = start;
	w->out.names = names;
	return false;
}

static void write_data(struct work *w, const struct image_match *m, const struct piece *main,
		       const struct piece *p, const struct image_rr *rr)
{
	uint8_t name[DNS_NAME_MAX];
	size_t from = rr->rdata;
	for (unsigned i = rr->pointer; i < p->pointers && p->pointer[i] < rr->rdata_end; i++) {
		size_t at = p->pointer[i];
		if (at < from || !image_pointed(m, main, p, at, name))
			break;
		dns_out_bytes(&w->out, p->bytes + from, at - from);
		dns_out_name(&w->out, name, true);
		from = at + 2;
	}
	if (from <= rr->rdata_end)
		dns_out_bytes(&w->out, p->bytes + from, rr->rdata_end - from);
}

/* Record by record; owner NULL: each has its own. */
static bool slow(struct work *w, enum dns_section s, const struct image_match *m,
		 const struct piece *main, const struct piece *p, const uint8_t *owner)
{
	struct dns_out *o = &w->out;
	struct image_rr rr;
	put_question_names(w);
	size_t start = o->len, at = 0;
	unsigned names = o->names, n = 0;
	for (; image_rr(m, main, p, &at, &rr); n++) {
		dns_out_name(o, owner ? owner : rr.owner, true);
		dns_out_bytes(o, p->bytes + rr.rdata - FIXED, FIXED);
		size_t data = o->len;
		write_data(w, m, main, p, &rr);
		if (!o->full)
			put_u16(o->p + data - 2, o->len - data);
	}
	if (!whole(w, start, names))
		return false;
	add_count(w, s, n);
	return true;
}

/* The owners of the records from `at` on, all of two octets, become pointers to owner_at. */
static void own(struct work *w, size_t at, size_t owner_at)
{
	struct dns_out *o = &w->out;
	while (o->len - at >= SHORT) {
		put_u16(o->p + at, POINTER | owner_at);
		size_t next = at + SHORT + dns_u16(o->p + at + SHORT - 2);
		if (next > o->len)
			return;
		at = next;
	}
}

bool put_answer(struct work *w, enum dns_section s, const struct image_match *m,
		const struct piece *p, size_t owner_at)
{
	size_t start = w->out.len;
	if (!fast(w, m, start, p) || owner_at >= REACH)
		return slow(w, s, m, p, p, owner_at == w->name_at ? w->name : m->name);
	if (!copy(w, m, start, p))
		return false;
	if (owner_at != DNS_HEADER)
		own(w, start, owner_at);
	add_count(w, s, p->records);
	return true;
}

bool put_piece(struct work *w, enum dns_section s, const struct image_match *m,
	       const struct piece *main, size_t main_at, const struct piece *p)
{
	if (!fast(w, m, main_at, p))
		return slow(w, s, m, main, p, NULL);
	if (!copy(w, m, main_at, p))
		return false;
	add_count(w, s, p->records);
	return true;
}

/* Shortens the piece to whole rrsets within `room`. */
static void shorten(struct piece *p, size_t room)
{
	size_t at = 0, owner = 0, owner_len = 0, len = 0;
	unsigned n = 0, records = 0;
	uint16_t type = 0;
	for (size_t start = 0; at < p->len; start = at, n++) {
		if (!dns_name_skip(p->bytes, p->len, &at) || p->len - at < FIXED)
			break;
		bool same = n > 0 && dns_u16(p->bytes + at) == type && at - start == owner_len &&
			    !memcmp(p->bytes + start, p->bytes + owner, owner_len);
		if (!same) { /* all before it is whole */
			len = start;
			records = n;
		}
		owner = start;
		owner_len = at - start;
		type = dns_u16(p->bytes + at);
		at += FIXED + dns_u16(p->bytes + at + FIXED - 2);
		if (at > room)
			break;
	}
	p->len = (uint16_t)len;
	p->records = (uint16_t)records;
	while (p->pointers > 0 && p->pointer[p->pointers - 1] >= len)
		p->pointers--;
}

void put_optional(struct work *w, const struct image_match *m, const struct piece *main,
		  size_t main_at, const struct piece *p)
{
	struct piece part = *p;
	size_t room = w->out.cap - w->out.len;
	if (part.len > room)
		shorten(&part, room);
	if (part.records)
		put_piece(w, DNS_ADDITIONAL, m, main, main_at, &part);
}

bool put_owned(struct work *w, enum dns_section s, const struct image_match *m,
	       const struct piece *p)
{
	struct dns_out *o = &w->out;
	put_question_names(w);
	size_t start = o->len;
	unsigned names = o->names;
	if (p->len < SHORT)
		return true;
	dns_out_name(o, m->name, true);
	size_t body = o->len;
	dns_out_bytes(o, p->bytes + 2, p->len - 2u);
	if (!whole(w, start, names))
		return false;
	/* The first owner is written, those behind it point to it. */
	size_t first = body + FIXED + dns_u16(o->p + body + FIXED - 2);
	if (p->records > 1 && first <= o->len)
		own(w, first, start < REACH ? start : DNS_HEADER);
	add_count(w, s, p->records);
	return true;
}

size_t put_cname(struct work *w, uint32_t ttl, const uint8_t *target)
{
	struct dns_out *o = &w->out;
	put_question_names(w);
	size_t start = o->len;
	unsigned names = o->names;
	if (w->name_at < REACH)
		dns_out_u16(o, (uint16_t)(POINTER | w->name_at));
	else
		dns_out_name(o, w->name, true);
	dns_out_u16(o, DNS_CNAME);
	dns_out_u16(o, DNS_IN);
	dns_out_u32(o, ttl);
	dns_out_u16(o, 0);
	size_t data = o->len;
	dns_out_name(o, target, true);
	if (!whole(w, start, names))
		return 0;
	dns_out_rr_end(o, data);
	add_count(w, DNS_ANSWER, 1);
	return data;
}
