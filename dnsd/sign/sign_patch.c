/* The chain of a signed zone of which some names have changed: theirs, and their neighbours' in it.
 * All else has its proofs and signatures as it had them. */
#include <stdlib.h>
#include "dnsd/sign/sign_int.h"
#include "libcommon/base/mem.h"

struct link { /* a name whose records are looked at */
	uint32_t name;
	bool was, is; /* in the chain */
};
struct chain {
	struct image_maker *m;
	const struct image *before;
	uint32_t ttl;
	struct link *link;
	size_t n, cap;
};

static void take(struct chain *c, uint32_t name, bool was, bool is)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 64;
		c->link = mem_realloc(c->link, c->cap * sizeof(*c->link));
	}
	c->link[c->n++] = (struct link){name, was, is};
}

/* Its records are other ones, or whether they are the zone's own. */
static bool is_touched(const struct image_maker *m, const struct made_name *n)
{
	const struct node *old = patch_old(m, n);
	uint8_t flags = old ? old->flags : 0;
	if (!(n->patch & PATCH_LAID))
		return false;
	return n->patch & (PATCH_CHANGED | PATCH_GONE) || !old ||
	       ((flags ^ n->flags) & (NODE_BELOW | NODE_CUT));
}

/* RFC 9077: all proofs would have another TTL. */
static bool ttl_differs(const struct chain *c)
{
	struct image_soa soa;
	if (!image_soa(c->before, &soa))
		return true;
	uint32_t minimum = dns_ttl(dns_u32(soa.rdata + soa.len - 4));
	return (soa.ttl < minimum ? soa.ttl : minimum) != c->ttl;
}

/* --- NSEC ---------------------------------------------------------------------------------------
 */

static bool in_chain(const struct made_name *n)
{
	return n->count && !(n->patch & PATCH_GONE) && !(n->flags & NODE_BELOW);
}

/* A name of the chain before that is not in it any more. */
static bool has_left(const struct chain *c, const struct image_match *found)
{
	uint32_t id = maker_raw(c->m, found->name, found->name_len);
	return id != NONE && c->m->name[id].patch & PATCH_SIGNED && !in_chain(&c->m->name[id]);
}

/* Who comes before one that came or went has another next name. */
static void neighbour(struct chain *c, const uint8_t *name)
{
	struct image_match found;
	bool some = image_chain_before(c->before, name, &found);
	while (some && has_left(c, &found))
		some = image_chain_before(c->before, found.name, &found);
	uint32_t id = some ? patch_need(c->m, found.name, found.name_len) : NONE;
	if (id == NONE || c->m->name[id].patch & PATCH_SIGNED)
		return;
	patch_strip(c->m, id);
	take(c, id, true, true);
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct image_maker *m = arg;
	return dns_name_cmp(m->name[((const struct link *)a)->name].wire,
			    m->name[((const struct link *)b)->name].wire);
}

/* The next name of the chain after the k'th of ours. */
static uint32_t next_name(struct chain *c, size_t k)
{
	const struct image_maker *m = c->m;
	struct image_match found;
	size_t own = k + 1;
	while (own < c->n && !c->link[own].is)
		own++;
	bool some = image_chain_after(c->before, m->name[c->link[k].name].wire, &found);
	while (some && has_left(c, &found))
		some = image_chain_after(c->before, found.name, &found);
	uint32_t mine = own < c->n ? c->link[own].name : NONE;
	if (some && (mine == NONE || dns_name_cmp(found.name, m->name[mine].wire) < 0))
		return patch_need(c->m, found.name, found.name_len);
	return mine == NONE ? 0 : mine; /* the last one's is the zone's own name */
}

static bool nsec(struct chain *c)
{
	struct image_maker *m = c->m;
	for (size_t k = 0, n = c->n; k < n; k++) {
		struct link *l = &c->link[k];
		const struct made_name *name = &m->name[l->name];
		const struct node *old = patch_old(m, name);
		struct piece p;
		l->is = in_chain(name);
		l->was = old && !(old->flags & NODE_BELOW) &&
			 image_piece(c->before, old, PART_ANSWER, DNS_NSEC, &p);
	}
	for (size_t k = 0, n = c->n; k < n; k++)
		if (c->link[k].was != c->link[k].is)
			neighbour(c, m->name[c->link[k].name].wire);
	if (c->n)
		qsort_r(c->link, c->n, sizeof(*c->link), by_name, m);
	maker_sort(m); /* neighbours have lost their records of that kind */
	maker_mark(m);
	for (size_t k = 0; k < c->n; k++) {
		uint32_t next = c->link[k].is ? next_name(c, k) : NONE;
		if (c->link[k].is && next == NONE)
			return false;
		if (next != NONE)
			sign_nsec(m, c->link[k].name, next, c->ttl);
	}
	return true;
}

/* --- NSEC3 --------------------------------------------------------------------------------------
 */

struct hashed {
	uint8_t hash[NSEC3_HASH];
	uint32_t name; /* NONE: of a neighbour, which has another next hash and else is as it was */
	bool was, is;
};
struct circle {
	struct chain *c;
	struct hashed *h;
	size_t n, sorted, cap; /* sorted: the first so many are */
};

static void take_hash(struct circle *r, const uint8_t hash[NSEC3_HASH], uint32_t name, bool was,
		      bool is)
{
	if (r->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 64;
		r->h = mem_realloc(r->h, r->cap * sizeof(*r->h));
	}
	struct hashed *h = &r->h[r->n++];
	*h = (struct hashed){.name = name, .was = was, .is = is};
	memcpy(h->hash, hash, NSEC3_HASH);
}

static int by_hash(const void *a, const void *b)
{
	return memcmp(((const struct hashed *)a)->hash, ((const struct hashed *)b)->hash,
		      NSEC3_HASH);
}

/* Sorts them, each once: a neighbour may have been found several times. */
static void sort_hashes(struct circle *r)
{
	size_t n = 0;
	if (r->n)
		qsort(r->h, r->n, sizeof(*r->h), by_hash);
	for (size_t i = 0; i < r->n; i++)
		if (!n || by_hash(&r->h[n - 1], &r->h[i]) != 0)
			r->h[n++] = r->h[i];
	r->n = r->sorted = n;
}

static const struct hashed *known(const struct circle *r, const uint8_t hash[NSEC3_HASH])
{
	struct hashed key = {0};
	memcpy(key.hash, hash, NSEC3_HASH);
	return bsearch(&key, r->h, r->sorted, sizeof(*r->h), by_hash);
}

static bool collect(struct circle *r)
{
	const struct image_maker *m = r->c->m;
	for (size_t k = 0; k < r->c->n; k++) {
		uint32_t id = r->c->link[k].name;
		const struct made_name *n = &m->name[id];
		const struct node *old = patch_old(m, n);
		bool was = old && !(old->flags & (NODE_BELOW | NODE_NSEC3));
		bool is = !(n->patch & PATCH_GONE) && !(n->flags & (NODE_BELOW | NODE_NSEC3));
		uint8_t hash[NSEC3_HASH];
		nsec3_hash(n->wire, n->len, (const uint8_t *)"", 0, 0, hash);
		if (was || is)
			take_hash(r, hash, id, was, is);
	}
	sort_hashes(r);
	return r->n > 0;
}

/* Who comes before one that came or went. */
static void neighbours(struct circle *r)
{
	for (size_t k = 0; k < r->sorted; k++) {
		uint8_t hash[NSEC3_HASH];
		struct image_match found;
		const struct hashed *have = NULL;
		if (r->h[k].was == r->h[k].is)
			continue;
		memcpy(hash, r->h[k].hash, NSEC3_HASH);
		bool some = image_circle_before(r->c->before, hash, &found, hash);
		for (size_t i = 0; some && (have = known(r, hash)) && !have->is && i < r->n; i++)
			some = image_circle_before(r->c->before, hash, &found, hash);
		if (some && !have)
			take_hash(r, hash, NONE, true, true);
	}
	sort_hashes(r);
}

/* The next hash after the k'th of ours. */
static bool next_hash(const struct circle *r, size_t k, uint8_t out[NSEC3_HASH])
{
	const uint8_t *from = r->h[k].hash;
	const struct hashed *have, *own = NULL;
	struct image_match found;
	for (size_t i = 1; i <= r->n && !own; i++)
		if (r->h[(k + i) % r->n].is)
			own = &r->h[(k + i) % r->n];
	bool some = image_circle_after(r->c->before, from, &found, out);
	for (size_t i = 0; some && (have = known(r, out)) && !have->is && i <= r->n; i++)
		some = image_circle_after(r->c->before, out, &found, out);
	if (!own)
		return some;
	/* Who comes first when one goes on after `from`, and begins again after the end. */
	bool wraps = some && memcmp(out, from, NSEC3_HASH) <= 0;
	bool own_wraps = memcmp(own->hash, from, NSEC3_HASH) <= 0;
	if (!some || own_wraps < wraps ||
	    (own_wraps == wraps && memcmp(own->hash, out, NSEC3_HASH) < 0))
		memcpy(out, own->hash, NSEC3_HASH);
	return true;
}

/* The data that a neighbour has now; its octets, 0: none. */
static size_t data_before(const struct image *i, const uint8_t *owner, size_t len, uint8_t *out)
{
	struct image_match m;
	struct image_rr rr;
	struct piece p;
	size_t at = 0;
	bool ok;
	if (!image_exact(i, owner, len, &m) || !(m.node->flags & NODE_NSEC3) ||
	    !image_piece(i, m.node, PART_ANSWER, DNS_NSEC3, &p) || p.records != 1 ||
	    !image_rr(&m, &p, &p, &at, &rr) || rr.rdata_end - rr.rdata > SIGN_NSEC3)
		return 0;
	size_t n = image_rdata(&m, &p, &p, &rr, out, &ok);
	return ok && n >= SIGN_NEXT + NSEC3_HASH && out[SIGN_NEXT - 1] == NSEC3_HASH ? n : 0;
}

static bool put_hash(struct circle *r, size_t k)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	struct image_maker *m = r->c->m;
	const struct hashed *h = &r->h[k];
	uint8_t owner[DNS_NAME_MAX];
	size_t owner_len = sign_owner(m, h->hash, owner);
	size_t before = data_before(r->c->before, owner, owner_len, rdata);
	uint32_t id = patch_need(m, owner, owner_len);
	/* A name of the zone that looks like a hash, or an image that is not as it should be. */
	if ((id != NONE) != h->was || (h->was && !before))
		return false;
	if (id == NONE) {
		id = maker_name(m, owner, owner_len);
		patch_come(m, id, false);
	}
	patch_strip(m, id);
	if (!h->is) {
		patch_come(m, id, true);
		return m->name[id].list == NONE;
	}
	size_t len = h->name == NONE ? before : sign_nsec3(m, h->name, rdata);
	if (!next_hash(r, k, rdata + SIGN_NEXT))
		return false;
	maker_record(m, id, DNS_NSEC3, r->c->ttl, maker_keep(m, rdata, len), len);
	return true;
}

static bool nsec3(struct chain *c)
{
	struct circle r = {.c = c};
	bool ok = collect(&r);
	if (ok)
		neighbours(&r);
	for (size_t k = 0; k < r.n && ok; k++)
		ok = put_hash(&r, k);
	free(r.h);
	return ok;
}

/* ------------------------------------------------------------------------------------------------
 */

bool sign_patch(struct signer *w, uint32_t ttl)
{
	struct image_maker *m = w->m;
	struct chain c = {.m = m, .before = m->patch->before, .ttl = ttl};
	if (ttl_differs(&c))
		return false;
	for (uint32_t i = 0; i < m->names; i++) {
		if (!is_touched(m, &m->name[i]))
			continue;
		if (!(m->name[i].patch & PATCH_CHANGED))
			patch_strip(m, i);
		m->name[i].patch |= PATCH_SIGNED | PATCH_MUST;
		take(&c, i, false, false);
	}
	maker_sort(m);
	maker_mark(m);
	bool ok = w->s->nsec3 ? nsec3(&c) : nsec(&c);
	free(c.link);
	return ok && !m->patch->failed;
}
