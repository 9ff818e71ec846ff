/* All names and records of an image, one behind the other. */
#include "dnsd/image/image_int.h"

/* --- names: a cursor is a place in the image, and over it how many of the overlay are past ------
 */

static const struct node *over_node(const struct image *i, uint32_t k)
{
	const struct layer *l = &i->over;
	const uint32_t *at = (const void *)(l->p + (size_t)l->head->sorted * IMAGE_UNIT);
	return image_node(l, at[k]);
}

bool image_next(const struct image *i, uint64_t *at, struct image_match *out)
{
	const struct image_head *h = i->base.head;
	uint32_t place = (uint32_t)*at ? (uint32_t)*at : h->nodes, k = (uint32_t)(*at >> 32);
	struct image_match b, o;
	for (;;) {
		bool base = place != h->nodes_end, over = i->over.p && k < i->over.head->sorted_n;
		*out = (struct image_match){.found = base || over ? IMAGE_DAMAGED : IMAGE_NONE};
		if ((!base && !over) ||
		    (base && !image_match_of(image_node(&i->base, place), &b)) ||
		    (over && !image_match_of(over_node(i, k), &o)))
			return false;
		int r = !over ? -1 : !base ? 1 : dns_name_cmp(b.name, o.name);
		if (r <= 0)
			place += b.node->size;
		k += r >= 0;
		*out = r < 0 ? b : o;
		*at = (uint64_t)k << 32 | place;
		if (!(out->node->flags & NODE_GONE))
			return true;
	}
}

bool image_seek(const struct image *i, const uint8_t *name, size_t len, uint64_t *at)
{
	const struct node *n;
	struct image_match o;
	uint32_t low = 0, high = i->over.p ? i->over.head->sorted_n : 0;
	uint32_t place = i->base.head->nodes_end;
	if (!image_layer_find(i, &i->base, name, len, &n))
		return false;
	if (n)
		place = (uint32_t)(((const uint8_t *)n - i->base.p) / IMAGE_UNIT);
	while (low < high) {
		uint32_t half = low + (high - low) / 2;
		if (!image_match_of(over_node(i, half), &o))
			return false;
		if (dns_name_cmp(o.name, name) < 0)
			low = half + 1;
		else
			high = half;
	}
	*at = (uint64_t)low << 32 | place;
	return true;
}

/* --- records -----------------------------------------------------------------------------------
 */

void image_walk_begin(struct image_walk *w, const struct image *i)
{
	w->i = i;
	w->at = 0;
	w->entry = 0;
	w->open = w->bad = false;
}

bool image_walk_name(struct image_walk *w)
{
	w->open = false;
	w->entry = 0;
	if (image_next(w->i, &w->at, &w->m))
		return true;
	w->bad = w->m.found != IMAGE_NONE;
	return false;
}

bool image_walk_to(struct image_walk *w, const uint8_t *name, size_t len)
{
	w->open = false;
	w->entry = 0;
	return image_exact(w->i, name, len, &w->m);
}

static bool is_own(const struct entry *e)
{
	return e->part == PART_ANSWER || e->part == PART_REFERRAL || e->part == PART_SIGNATURES;
}

/* The next piece with records of the zone itself, not those that only go along with answers. */
static bool next_piece(struct image_walk *w)
{
	const struct node *n = w->m.node;
	while (w->entry < n->entries) {
		const struct entry *e = &n->entry[w->entry++];
		if (!is_own(e))
			continue;
		w->rr_at = 0;
		w->open = image_piece(w->i, n, e->part, e->type, &w->p);
		w->bad = !w->open;
		return w->open;
	}
	return false;
}

bool image_walk_rr(struct image_walk *w, struct zone_rr *out)
{
	bool ok;
	while (!w->open || w->rr_at >= w->p.len)
		if (w->bad || !next_piece(w))
			return false;
	if (!image_rr(&w->m, &w->p, &w->p, &w->rr_at, &w->rr)) {
		w->bad = true;
		return false;
	}
	size_t len = image_rdata(&w->m, &w->p, &w->p, &w->rr, w->rdata, &ok);
	w->bad = !ok || w->rr.owner_len != w->m.name_len;
	*out = (struct zone_rr){.owner = w->m.name,
				.type = w->rr.type,
				.ttl = w->rr.ttl,
				.rdata = w->rdata,
				.rdlen = len};
	return !w->bad;
}

bool image_same_records(const struct image_walk *a, const struct image_walk *b)
{
	const struct node *n = a->m.node, *o = b->m.node;
	unsigned k = 0, l = 0;
	for (;; k++, l++) {
		struct piece p, q;
		while (k < n->entries && !is_own(&n->entry[k]))
			k++;
		while (l < o->entries && !is_own(&o->entry[l]))
			l++;
		if (k == n->entries || l == o->entries)
			return k == n->entries && l == o->entries;
		const struct entry *e = &n->entry[k], *f = &o->entry[l];
		if (e->part != f->part || e->type != f->type ||
		    !image_piece(a->i, n, e->part, e->type, &p) ||
		    !image_piece(b->i, o, f->part, f->type, &q) || p.len != q.len ||
		    memcmp(p.bytes, q.bytes, p.len) != 0)
			return false;
	}
}

bool image_soa(const struct image *i, struct image_soa *out)
{
	struct image_match m;
	struct image_rr rr;
	struct piece p;
	uint8_t rdata[DNS_RDATA_MAX];
	size_t at = 0;
	bool ok;
	if (!image_apex(i, &m) || !image_piece(i, m.node, PART_ANSWER, DNS_SOA, &p) ||
	    !image_rr(&m, &p, &p, &at, &rr))
		return false;
	out->len = image_rdata(&m, &p, &p, &rr, rdata, &ok);
	if (!ok || out->len > sizeof(out->rdata) || !dns_rdata_check(DNS_SOA, rdata, out->len))
		return false;
	memcpy(out->rdata, rdata, out->len);
	out->ttl = rr.ttl;
	return true;
}
