/* What a change of some names does to others, so that an overlay has all of them. */
#include "dnsd/image/image_patch.h"
#include <stdlib.h>
#include "dnsd/image/image_maker.h"
#include "libcommon/base/mem.h"

enum {
	HIDES = NODE_CUT | NODE_DNAME, /* such a name says what those below it are */
	CONTEXT = 16, /* names that are looked at for each that is laid out, at most */
};

struct image_maker *image_patch(int folder, const char *path, const struct image *before,
				const struct image_options *o, uint32_t most, struct buf *changed)
{
	struct image_maker *m =
	    maker_make(folder, path, image_zone(before), o, before->base.head->key);
	m->patch = mem_alloc(sizeof(*m->patch));
	*m->patch = (struct image_patch){.before = before,
					 .most = most,
					 .changed = changed,
					 .content = image_origin(before)->content,
					 .records = image_origin(before)->records};
	image_walk_begin(&m->patch->walk, before);
	return m;
}

void patch_name(struct image_maker *m, uint32_t name)
{
	m->name[name].patch |= PATCH_CHANGED;
}

bool image_patch_name(struct image_maker *m, const uint8_t *owner)
{
	uint8_t lower[DNS_NAME_MAX];
	size_t len = dns_name_len(owner);
	memcpy(lower, owner, len);
	dns_name_lower(lower);
	if (!dns_name_under(lower, m->zone))
		return false;
	patch_name(m, maker_name(m, lower, len));
	return true;
}

const struct node *patch_old(const struct image_maker *m, const struct made_name *n)
{
	struct image_match found;
	return n->patch & PATCH_OLD && image_exact(m->patch->before, n->wire, n->len, &found)
		   ? found.node
		   : NULL;
}

/* --- what is known -----------------------------------------------------------------------------
 */

/* Takes what the source had of a name out of the sums. */
static void forget(struct image_patch *p, const struct image_maker *m, struct zone_rr *rr,
		   uint8_t *rdata)
{
	if (m->o.sign && image_is_signers(rr->type))
		return;
	memcpy(rdata, rr->rdata, rr->rdlen);
	dns_rdata_canonical(rr->type, rdata, rr->rdlen);
	p->content -= maker_content_of(maker_content_owner(rr->owner, dns_name_len(rr->owner)),
				       rr->type, rr->ttl, rdata, rr->rdlen);
	p->records--;
}

/* Reads what the image has of the name. What it has is checked: nobody else has. */
static void know_one(struct image_maker *m, uint32_t id)
{
	struct image_patch *p = m->patch;
	struct made_name *n = &m->name[id];
	struct zone_rr rr;
	n->patch |= PATCH_KNOWN;
	if (!image_walk_to(&p->walk, n->wire, n->len))
		return;
	n->patch |= PATCH_OLD;
	while (image_walk_rr(&p->walk, &rr)) {
		if (dns_type_is_meta(rr.type) || !dns_rdata_check(rr.type, rr.rdata, rr.rdlen)) {
			p->failed = true;
			return;
		}
		if (n->patch & PATCH_CHANGED)
			forget(p, m, &rr, m->scratch);
		else
			maker_add(m, id, rr.type, rr.ttl, rr.rdata, rr.rdlen);
	}
	p->failed |= p->walk.bad;
	if (p->settled)
		n->patch |= PATCH_LIVES;
}

static void know(struct image_maker *m, uint32_t id)
{
	for (; id != NONE && !(m->name[id].patch & PATCH_KNOWN); id = m->name[id].parent)
		know_one(m, id);
}

uint32_t patch_need(struct image_maker *m, const uint8_t *lower, size_t len)
{
	struct image_match found;
	uint32_t id = maker_raw(m, lower, len);
	if (id == NONE && image_exact(m->patch->before, lower, len, &found)) {
		id = maker_name(m, lower, len);
		know(m, id);
	}
	m->patch->failed |= m->names / CONTEXT > m->patch->most;
	return id == NONE || m->name[id].patch & PATCH_GONE ? NONE : id;
}

/* --- which names there are ---------------------------------------------------------------------
 */

static void live(struct image_maker *m, uint32_t id)
{
	for (; id != NONE && !(m->name[id].patch & PATCH_LIVES); id = m->name[id].parent)
		m->name[id].patch |= PATCH_LIVES;
}

/* Below a name without records: one that nothing happens to. */
static bool others_below(struct image_maker *m, uint32_t id)
{
	const struct made_name *n = &m->name[id];
	const struct image *before = m->patch->before;
	struct image_match found;
	uint64_t at;
	if (!(n->patch & PATCH_OLD) || !image_seek(before, n->wire, n->len, &at))
		return false;
	while (image_next(before, &at, &found) && dns_name_under(found.name, n->wire)) {
		uint32_t below = maker_raw(m, found.name, found.name_len);
		if (below == NONE || m->name[below].patch & PATCH_LIVES)
			return true;
	}
	return false;
}

static void come_and_go(struct image_maker *m)
{
	live(m, 0);
	for (uint32_t i = 0; i < m->names; i++)
		if (m->name[i].list != NONE)
			live(m, i);
	for (uint32_t i = 0; i < m->names; i++)
		if (!(m->name[i].patch & PATCH_LIVES) && others_below(m, i))
			live(m, i);
	for (uint32_t i = 0; i < m->names; i++)
		if (!(m->name[i].patch & PATCH_LIVES))
			m->name[i].patch |= PATCH_GONE;
}

void patch_come(struct image_maker *m, uint32_t name, bool gone)
{
	struct made_name *n = &m->name[name];
	n->patch = (uint8_t)(n->patch & ~(PATCH_LIVES | PATCH_GONE));
	n->patch |= PATCH_KNOWN | (gone ? PATCH_GONE : PATCH_LIVES);
}

void patch_strip(struct image_maker *m, uint32_t name)
{
	uint32_t *at = &m->name[name].list;
	while (*at != NONE) {
		struct record *r = &m->record[*at];
		if (image_is_signers(r->type))
			*at = r->next;
		else
			at = &r->next;
	}
	m->name[name].patch |= PATCH_MUST | PATCH_SIGNED;
	m->name[name].has = 0;
	m->sorted_of = NONE; /* not any more */
}

/* --- which nodes are other ones ----------------------------------------------------------------
 */

static void must(struct image_maker *m, const uint8_t *name, size_t len)
{
	uint32_t id = patch_need(m, name, len);
	if (id != NONE)
		m->name[id].patch |= PATCH_MUST;
}

/* Those that are answered with this one's addresses. */
static void referrers(struct image_maker *m, const struct layer *l, uint32_t hash)
{
	const struct image *before = m->patch->before;
	if (!l->p)
		return;
	const struct target_slot *t = (const void *)(l->p + (size_t)l->head->targets * IMAGE_UNIT);
	uint32_t low = 0, high = l->head->targets_n;
	while (low < high) {
		uint32_t half = low + (high - low) / 2;
		if (t[half].hash < hash)
			low = half + 1;
		else
			high = half;
	}
	for (; low < l->head->targets_n && t[low].hash == hash && !m->patch->failed; low++) {
		const struct node *n = image_node(l, t[low].at), *over = NULL;
		struct image_match found;
		if (!image_match_of(n, &found) ||
		    (l == &before->base && before->over.p &&
		     (!image_layer_find(before, &before->over, found.name, found.name_len, &over) ||
		      over)))
			continue;
		must(m, found.name, found.name_len);
	}
}

static void below(struct image_maker *m, const struct made_name *n)
{
	const struct image *before = m->patch->before;
	struct image_match found;
	uint64_t at;
	const uint8_t *wire = n->wire; /* the names move */
	if (!image_seek(before, wire, n->len, &at))
		return;
	while (!m->patch->failed && image_next(before, &at, &found) &&
	       dns_name_under(found.name, wire))
		must(m, found.name, found.name_len);
}

static void need_target(void *arg, const uint8_t *name)
{
	struct image_maker *m = arg;
	uint8_t lower[DNS_NAME_MAX];
	size_t len = dns_name_len(name);
	memcpy(lower, name, len);
	dns_name_lower(lower);
	if (dns_name_under(lower, m->zone))
		patch_need(m, lower, len);
}

/* The addresses that its own answers bring along. */
static void targets(struct image_maker *m, uint32_t id)
{
	struct rrset s;
	for (uint32_t at = 0; maker_next(m, &m->name[id], &at, &s);)
		if (s.type == DNS_NS || s.type == DNS_MX || s.type == DNS_SRV ||
		    s.type == DNS_SVCB || s.type == DNS_HTTPS)
			rrset_names(m, &s, need_target, m);
}

static bool is_other(const struct image_maker *m, const struct made_name *n, uint8_t *old_flags)
{
	const struct node *old = patch_old(m, n);
	bool gone = n->patch & PATCH_GONE;
	*old_flags = old ? old->flags : 0;
	if (n->patch & (PATCH_CHANGED | PATCH_MUST))
		return true;
	return gone ? old != NULL : !old || old->flags != n->flags;
}

static void lay(struct image_maker *m, uint32_t id, uint8_t old_flags)
{
	struct made_name *n = &m->name[id];
	const struct image *before = m->patch->before;
	uint32_t hash = (uint32_t)n->hash;
	bool gone = n->patch & PATCH_GONE;
	n->patch |= PATCH_LAID;
	m->patch->failed |= ++m->patch->laid > m->patch->most;
	if ((gone ? 0 : n->flags & HIDES) != (old_flags & HIDES) && n->patch & PATCH_OLD)
		below(m, n);
	referrers(m, &before->base, hash);
	referrers(m, &before->over, hash);
	if (!gone)
		targets(m, id);
}

/* A wildcard below it need not be known. */
static void mark_wild(struct image_maker *m)
{
	for (uint32_t i = 0; i < m->names; i++) {
		struct made_name *n = &m->name[i];
		uint8_t star[2 + DNS_NAME_MAX] = {1, '*'};
		struct image_match found;
		bool wild = false;
		if (n->len + 2 <= DNS_NAME_MAX) {
			memcpy(star + 2, n->wire, n->len);
			uint32_t id = maker_raw(m, star, 2u + n->len);
			wild = id == NONE ? image_exact(m->patch->before, star, 2u + n->len, &found)
					  : !(m->name[id].patch & PATCH_GONE);
		}
		n->flags = (uint8_t)(wild ? n->flags | NODE_WILD : n->flags & ~NODE_WILD);
	}
}

/* With those of the overlay before that stay. */
static bool too_many(const struct image_maker *m)
{
	const struct image *before = m->patch->before;
	uint32_t all = m->patch->laid + image_overlaid(before);
	for (uint32_t i = 0; i < m->names && before->over.p; i++) {
		const struct made_name *n = &m->name[i];
		const struct node *over;
		all -= n->patch & PATCH_LAID &&
		       image_layer_find(before, &before->over, n->wire, n->len, &over) && over;
	}
	return all > m->patch->most;
}

void patch_settle(struct image_maker *m)
{
	bool more = true;
	while (more && !m->patch->failed) {
		maker_sort(m);
		maker_mark(m);
		mark_wild(m);
		more = false;
		for (uint32_t i = 0, n = m->names; i < n && !m->patch->failed; i++) {
			uint8_t old_flags;
			if (m->name[i].patch & PATCH_LAID || !is_other(m, &m->name[i], &old_flags))
				continue;
			lay(m, i, old_flags);
			more = true;
		}
	}
	m->patch->failed |= too_many(m);
}

/* --- all of it ---------------------------------------------------------------------------------
 */

bool patch_proofs_differ(const struct image_maker *m)
{
	const struct image_head *h = m->patch->before->base.head;
	struct rrset s;
	bool param = maker_rrset(m, &m->name[0], DNS_NSEC3PARAM, 0, &s);
	const struct record *r = param ? &m->record[s.record[0]] : NULL;
	if (param != (h->nsec3_n > 0) || (bool)(m->name[0].has & HAS_NSEC) != (h->nsec_n > 0))
		return true;
	return param && (dns_u16(r->data + 2) != h->iterations || r->data[4] != h->salt_len ||
			 memcmp(r->data + 5, h->salt, h->salt_len) != 0);
}

bool image_patch_ready(struct image_maker *m)
{
	struct image_patch *p = m->patch;
	if (m->aliases || !(m->name[0].patch & PATCH_CHANGED) || m->names / CONTEXT > p->most)
		return false;
	for (uint32_t i = 0; i < m->names; i++)
		know(m, i);
	if (p->failed)
		return false;
	come_and_go(m);
	p->settled = true;
	maker_sort(m);
	for (uint32_t i = 0; i < m->names; i++) {
		if (!(m->name[i].patch & PATCH_CHANGED))
			continue;
		p->content += maker_content_name(m, &m->name[i]);
		p->records += m->name[i].count;
	}
	patch_settle(m);
	return !p->failed && (m->o.sign || !patch_proofs_differ(m));
}

uint64_t image_patch_content(const struct image_maker *m)
{
	return m->patch->content;
}

uint64_t image_patch_records(const struct image_maker *m)
{
	return m->patch->records;
}

/* Of a node: its own, not those that only go along with answers. */
static uint64_t records_of(const struct image *i, const struct node *n)
{
	static const uint16_t part[] = {PART_ANSWER, PART_REFERRAL, PART_SIGNATURES};
	uint64_t sum = 0;
	struct piece p;
	for (unsigned k = 0; n && k < n->entries; k++)
		for (size_t t = 0; t < sizeof(part) / sizeof(part[0]); t++)
			if (n->entry[k].part == part[t] &&
			    image_piece(i, n, (enum image_part)part[t], n->entry[k].type, &p))
				sum += p.records;
	return sum;
}

/* Those of the whole zone, in place of those of the names at hand. */
void patch_numbers(struct image_maker *m)
{
	const struct image_patch *p = m->patch;
	struct image_stats all;
	image_numbers(p->before, &all);
	for (uint32_t i = 0; i < m->names; i++) {
		const struct made_name *n = &m->name[i];
		if (!(n->patch & PATCH_LAID))
			continue;
		const struct node *old = patch_old(m, n);
		bool gone = n->patch & PATCH_GONE;
		all.names = all.names + !gone - (old != NULL);
		all.records = all.records + (gone ? 0 : n->count) - records_of(p->before, old);
	}
	m->stats.names = all.names;
	m->stats.records = all.records;
}

void patch_told(struct image_maker *m)
{
	struct buf *b = m->patch->changed;
	for (uint32_t i = 0; b && i < m->names; i++) {
		const struct made_name *n = &m->name[m->order[i]];
		if (n->patch & (PATCH_CHANGED | PATCH_SIGNED))
			buf_add(b, n->wire, n->len);
	}
}
