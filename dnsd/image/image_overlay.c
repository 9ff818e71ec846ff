/* Writes the nodes of an overlay, in order: those that were made anew, and as they are those of the
 * overlay before it that were not. */
#include <errno.h>
#include <stdlib.h>
#include "dnsd/image/image_layout.h"
#include "libcommon/base/mem.h"

struct moved { /* a node that was copied */
	uint32_t from, to;
};

uint32_t overlay_names(const struct image_maker *m)
{
	return m->patch->laid + image_overlaid(m->patch->before);
}

/* What layout_node() does beside, for a node that is now at that place. */
static void index_copy(struct layout *l, const struct node *n, uint32_t to)
{
	enum { RDATA = 12, NSEC3_FIXED = 6 }; /* RDATA: behind c00c and the fixed fields */
	const uint8_t *name = image_name(n);
	struct piece p;
	layout_slot(l, image_hash(l->m->key, name, n->name_len - l->m->zone_len), to);
	for (unsigned k = 0; k < n->entries; k++) {
		const struct entry *e = &n->entry[k];
		if (e->part != PART_ANSWER || n->flags & NODE_BELOW)
			continue;
		if (e->type == DNS_NSEC)
			layout_nsec(l, to);
		else if (e->type == DNS_NSEC3 && dns_name_labels(name) == l->m->zone_labels + 1u &&
			 image_piece(l->m->patch->before, n, PART_ANSWER, DNS_NSEC3, &p) &&
			 p.len >= RDATA + NSEC3_FIXED + l->head.salt_len)
			layout_nsec3(l, name, p.bytes + RDATA, to);
	}
}

/* The places of its pieces move with it. */
static void copy(struct layout *l, const struct node *n, uint32_t from)
{
	uint32_t to = layout_place(l);
	size_t size = (size_t)n->size * IMAGE_UNIT;
	buf_clear(&l->pieces);
	buf_add(&l->pieces, n, size);
	struct node *own = (struct node *)(void *)l->pieces.p;
	for (unsigned k = 0; k < own->entries; k++)
		if (own->entry[k].part != PART_LINK)
			own->entry[k].at += to - from;
	layout_out(l, own, size);
	buf_add(&l->order, &to, sizeof(to));
	index_copy(l, n, to);
}

static int by_from(const void *a, const void *b)
{
	const struct moved *x = a, *y = b;
	return (x->from > y->from) - (x->from < y->from);
}

static void copy_targets(struct layout *l, const struct layer *old, const struct moved *moved,
			 size_t n)
{
	const struct target_slot *t =
	    (const void *)(old->p + (size_t)old->head->targets * IMAGE_UNIT);
	for (uint32_t i = 0; i < old->head->targets_n; i++) {
		const struct moved key = {.from = t[i].at};
		const struct moved *m = bsearch(&key, moved, n, sizeof(*moved), by_from);
		const struct target_slot now = {t[i].hash, m ? m->to : 0};
		if (m)
			buf_add(&l->targets, &now, sizeof(now));
	}
}

/* The next name that has a node of its own in the overlay. A mark for what the image never had is
 * none. */
static struct made_name *next_new(struct layout *l, uint32_t *at)
{
	struct image_maker *m = l->m;
	const struct node *base;
	while (*at < m->names) {
		struct made_name *n = &m->name[m->order[(*at)++]];
		struct image_match found;
		if (!(n->patch & PATCH_LAID))
			continue;
		if (!(n->patch & PATCH_GONE))
			return n;
		const struct image bare = {.base = m->patch->before->base};
		if (image_layer_find(&bare, &bare.base, n->wire, n->len, &base) &&
		    (base || image_exact(&bare, n->wire, n->len, &found)))
			return n;
	}
	return NULL;
}

static void lay(struct layout *l, struct made_name *n)
{
	uint32_t at = layout_place(l);
	if (n->patch & PATCH_GONE)
		n->flags = NODE_GONE;
	layout_node(l, n);
	buf_add(&l->order, &at, sizeof(at));
}

void overlay_nodes(struct layout *l)
{
	const struct layer *old = &l->m->patch->before->over;
	const uint32_t *order =
	    old->p ? (const void *)(old->p + (size_t)old->head->sorted * IMAGE_UNIT) : NULL;
	uint32_t at = 0, k = 0, end = old->p ? old->head->sorted_n : 0;
	struct moved *moved = mem_realloc(NULL, (end + 1u) * sizeof(*moved));
	size_t copied = 0;
	struct made_name *n = next_new(l, &at);
	while (!l->err && (n || k < end)) {
		struct image_match o = {0};
		if (k < end && (!image_match_of(image_node(old, order[k]), &o) ||
				o.name_len < l->m->zone_len)) {
			l->err = EBADMSG;
			break;
		}
		int r = k == end ? -1 : !n ? 1 : dns_name_cmp(n->wire, o.name);
		const struct made_name *known = NULL;
		if (r > 0) {
			/* One that has gone, and was nowhere but in that overlay. */
			uint32_t raw = maker_raw(l->m, o.name, o.name_len);
			known = raw == NONE ? NULL : &l->m->name[raw];
		}
		if (r > 0 && !(known && known->patch & PATCH_LAID)) {
			moved[copied] = (struct moved){order[k], layout_place(l)};
			copied++;
			copy(l, o.node, order[k]);
		}
		if (r <= 0) {
			lay(l, n);
			n = next_new(l, &at);
		}
		k += r >= 0;
	}
	if (!l->err && old->p)
		copy_targets(l, old, moved, copied);
	free(moved);
}
