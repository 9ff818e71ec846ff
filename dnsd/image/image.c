/* Finds names in an image. */
#include "dnsd/image/image_int.h"
#include "libcommon/base/mem.h"

enum {
	LABELS = 128,
	HINTS = 8, /* slots that are looked at ahead of time */
	LINE = 64, /* octets of memory that come at once */
};

uint64_t image_sum(const struct image_head *h)
{
	static const uint8_t key[SIP_KEY] = "an image's head";
	return sip24(key, h, offsetof(struct image_head, sum));
}

/* The places are in the file, one behind the other. */
static bool in_order(const struct image_head *h, size_t size)
{
	uint64_t at[] = {image_pad(sizeof(*h), IMAGE_UNIT) / IMAGE_UNIT,
			 h->nodes,
			 h->nodes_end,
			 h->nsec,
			 h->nsec + (uint64_t)h->nsec_n,
			 h->nsec3,
			 h->nsec3 + 2ull * h->nsec3_n,
			 h->targets,
			 h->targets + 2ull * h->targets_n,
			 h->sorted,
			 h->sorted + (uint64_t)h->sorted_n,
			 h->slots,
			 h->slots + 2ull * h->slots_n,
			 size / IMAGE_UNIT};
	for (size_t i = 1; i < sizeof(at) / sizeof(at[0]); i++)
		if (at[i] < at[i - 1])
			return false;
	return h->slots_n > 0 && h->apex >= h->nodes && h->apex < h->nodes_end;
}

static const char *head_wrong(const struct image_head *h, size_t size)
{
	if (size < sizeof(*h) || memcmp(h->magic, IMAGE_MAGIC, sizeof(h->magic)) != 0)
		return "no image of a zone";
	if (h->version != IMAGE_VERSION)
		return "an image of another version";
	if (h->order != IMAGE_ORDER)
		return "an image of another kind of machine";
	if (h->sum != image_sum(h) || h->size != size || !in_order(h, size) ||
	    dns_name_check(h->zone, sizeof(h->zone)) != h->zone_len ||
	    dns_name_labels(h->zone) != h->zone_labels || h->iterations > IMAGE_ITERATIONS)
		return "a damaged image";
	return NULL;
}

static struct layer layer_of(const void *p, size_t len)
{
	struct layer l = {.p = p, .size = len, .head = p};
	l.slots = (const struct slot *)(const void *)(l.p + (size_t)l.head->slots * IMAGE_UNIT);
	return l;
}

struct image *image_from(const void *p, size_t len, const char **why)
{
	if ((*why = head_wrong(p, len)))
		return NULL;
	if (((const struct image_head *)p)->over) {
		*why = "an overlay without its image";
		return NULL;
	}
	struct image *i = mem_alloc(sizeof(*i));
	i->base = layer_of(p, len);
	return i;
}

bool image_cover(struct image *i, const void *p, size_t len, const char **why)
{
	const struct image_head *h = p, *b = i->base.head;
	if ((*why = head_wrong(p, len)))
		return false;
	*why = "an overlay of another image";
	if (h->over != b->sum || memcmp(h->key, b->key, sizeof(h->key)) != 0 ||
	    h->zone_len != b->zone_len || memcmp(h->zone, b->zone, h->zone_len) != 0)
		return false;
	i->over = layer_of(p, len);
	*why = NULL;
	return true;
}

const uint8_t *image_zone(const struct image *i)
{
	return i->base.head->zone;
}

uint32_t image_serial(const struct image *i)
{
	return image_top(i)->head->serial;
}

const struct image_origin *image_origin(const struct image *i)
{
	return &image_top(i)->head->origin;
}

void image_numbers(const struct image *i, struct image_stats *out)
{
	const struct image_head *h = image_top(i)->head;
	*out = (struct image_stats){.records = h->records,
				    .names = h->names,
				    .octets = i->base.size + i->over.size,
				    .serial = h->serial};
}

uint32_t image_overlaid(const struct image *i)
{
	return i->over.p ? i->over.head->sorted_n : 0;
}

const struct node *image_node(const struct layer *l, uint32_t at)
{
	const struct image_head *h = l->head;
	if (at < h->nodes || at >= h->nodes_end)
		return NULL;
	size_t left = (size_t)(h->nodes_end - at) * IMAGE_UNIT;
	const struct node *n = (const void *)(l->p + (size_t)at * IMAGE_UNIT);
	if (left < sizeof(*n) || (size_t)n->size * IMAGE_UNIT > left)
		return NULL;
	size_t front = sizeof(*n) + n->entries * sizeof(struct entry) + n->name_len;
	return (size_t)n->size * IMAGE_UNIT < front ? NULL : n;
}

bool image_is_alias(const struct node *n)
{
	return n->flags & NODE_CNAME;
}

/* Looks for the name, of which the first rel octets are not the zone's. False: damaged. */
static bool probe_layer(const struct layer *l, const uint8_t *name, size_t rel, uint64_t hash,
			const struct node **out)
{
	const struct image_head *h = l->head;
	uint32_t at = image_slot(hash, h->slots_n);
	*out = NULL;
	for (uint32_t n = 0; n <= h->probes && n < h->slots_n; n++) {
		const struct slot *s = &l->slots[at];
		if (!s->at)
			return true;
		if (s->tag == (uint32_t)hash) {
			const struct node *node = image_node(l, s->at);
			if (!node)
				return false;
			if (node->name_len == rel + h->zone_len &&
			    !memcmp(image_name(node), name, rel)) {
				*out = node;
				return true;
			}
		}
		at = at + 1 == h->slots_n ? 0 : at + 1;
	}
	return true;
}

/* The same in both layers, for somebody who asks. */
static bool probe_hash(const struct image *i, const uint8_t *name, size_t rel, uint64_t hash,
		       const struct node **out)
{
	if (i->over.p) {
		if (!probe_layer(&i->over, name, rel, hash, out))
			return false;
		if (*out) {
			if ((*out)->flags & (NODE_GONE | NODE_NSEC3))
				*out = NULL;
			return true;
		}
	}
	return probe_layer(&i->base, name, rel, hash, out);
}

static bool probe(const struct image *i, const uint8_t *name, size_t rel, const struct node **out)
{
	return probe_hash(i, name, rel, image_hash(i->base.head->key, name, rel), out);
}

/* The name's labels, those of the zone not counted. */
struct labels {
	const uint8_t *name;
	size_t rel; /* octets before the zone's name */
	unsigned n; /* labels before it */
	uint8_t at[LABELS];
};

static void split(struct labels *l, const struct image *i, const uint8_t *name, size_t len)
{
	l->name = name;
	l->rel = len - i->base.head->zone_len;
	l->n = 0;
	for (size_t at = 0; at < l->rel && l->n < LABELS; at += 1u + name[at])
		l->at[l->n++] = (uint8_t)at;
}

/* The node of the longest existing name that has fewer labels than the name asked, which does not
 * exist: names exist down to one depth, and that is sought by halving. *cut is how many labels are
 * to be taken off for it. NULL: damaged. */
static const struct node *encloser(const struct image *i, const struct labels *l, unsigned *cut)
{
	unsigned missing = 0; /* with so many labels off it does not exist */
	const struct node *best = NULL, *n;
	*cut = l->n;
	while (*cut - missing > 1) {
		/* Mostly it is one label, of a name that somebody made up. */
		unsigned half = missing == 0 ? 1 : missing + (*cut - missing) / 2;
		if (!probe(i, l->name + l->at[half], l->rel - l->at[half], &n))
			return NULL;
		if (n) {
			best = n;
			*cut = half;
		} else {
			missing = half;
		}
	}
	return best ? best : image_node(image_top(i), image_top(i)->head->apex);
}

/* The node's name is the end of the name asked; a damaged one is that of no label. */
static void set(const struct image *i, struct image_match *out, enum image_found found,
		const struct node *n, const uint8_t *name, size_t len)
{
	*out = (struct image_match){.found = found, .node = n};
	size_t at = 0;
	while (len - at > n->name_len)
		at += 1u + name[at];
	if (len - at != n->name_len || n->name_len < i->base.head->zone_len) {
		out->found = IMAGE_DAMAGED;
		return;
	}
	out->name = name + at;
	out->name_len = n->name_len;
}

/* The node of the cut or the DNAME that is above it. */
static const struct node *link_at(const struct image *i, const struct node *n, uint32_t at)
{
	const struct node *to = NULL;
	const uint8_t *name = image_name(n);
	size_t len = n->name_len, zone = i->base.head->zone_len;
	if (image_layer(i, n) == &i->over) {
		if (at >= len)
			return NULL;
		name += at;
		len -= at;
	} else {
		to = image_node(&i->base, at);
		if (!i->over.p || !to)
			return to;
		/* The overlay may have another one for it. */
		name = image_name(to);
		len = to->name_len;
	}
	return len >= zone && probe(i, name, len - zone, &to) ? to : NULL;
}

static const struct node *linked(const struct image *i, const struct node *n)
{
	for (unsigned e = 0; e < n->entries; e++)
		if (n->entry[e].part == PART_LINK)
			return link_at(i, n, n->entry[e].at);
	return NULL;
}

/* The name is at the node (below: or somewhere below it), where a zone or a tree ends. */
static bool ends(const struct image *i, const struct node *n, bool below, const uint8_t *name,
		 size_t len, struct image_match *out)
{
	if (n->flags & NODE_BELOW) {
		below = true;
		n = linked(i, n);
		if (!n || n->flags & NODE_BELOW)
			return false;
	}
	if (n->flags & NODE_CUT) {
		set(i, out, IMAGE_CUT, n, name, len);
		out->at_cut = !below;
	} else if (below && n->flags & NODE_DNAME) {
		set(i, out, IMAGE_DNAME, n, name, len);
	} else {
		set(i, out, n->entries ? IMAGE_NAME : IMAGE_EMPTY, n, name, len);
	}
	return true;
}

static bool wildcard(const struct image *i, const struct labels *l, unsigned cut,
		     struct image_match *out)
{
	uint8_t name[2 + DNS_NAME_MAX] = {1, '*'};
	size_t at = cut < l->n ? l->at[cut] : l->rel;
	const struct node *n;
	memcpy(name + 2, l->name + at, l->rel - at);
	if (!probe(i, name, 2 + l->rel - at, &n) || !n ||
	    dns_name_check(image_name(n), n->name_len) != n->name_len)
		return false;
	*out = (struct image_match){
	    .found = IMAGE_WILDCARD, .node = n, .name = image_name(n), .name_len = n->name_len};
	return true;
}

static bool find(const struct image *i, const uint8_t *name, size_t len, uint64_t hash,
		 struct image_match *out)
{
	struct labels l;
	unsigned cut;
	const struct node *n;
	if (len < i->base.head->zone_len ||
	    !probe_hash(i, name, len - i->base.head->zone_len, hash, &n))
		return false;
	if (n)
		return ends(i, n, false, name, len, out);
	split(&l, i, name, len);
	n = encloser(i, &l, &cut);
	if (!n)
		return false;
	if (n->flags & (NODE_BELOW | NODE_CUT | NODE_DNAME))
		return ends(i, n, true, name, len, out);
	if (n->flags & NODE_WILD)
		return wildcard(i, &l, cut, out);
	set(i, out, IMAGE_NONE, n, name, len);
	return true;
}

uint64_t image_hint(const struct image *i, const uint8_t *name, size_t len)
{
	const struct image_head *h = i->base.head;
	if (len < h->zone_len)
		return 0;
	uint64_t hash = image_hash(h->key, name, len - h->zone_len);
	__builtin_prefetch(&i->base.slots[image_slot(hash, h->slots_n)]);
	if (i->over.p)
		__builtin_prefetch(&i->over.slots[image_slot(hash, i->over.head->slots_n)]);
	return hash;
}

static bool hint_layer(const struct layer *l, uint64_t hint)
{
	uint32_t at = image_slot(hint, l->head->slots_n);
	for (unsigned n = 0; n < HINTS && at < l->head->slots_n; n++, at++) {
		const struct slot *s = &l->slots[at];
		if (!s->at)
			return false;
		if (s->tag == (uint32_t)hint && s->at < l->head->nodes_end) {
			const uint8_t *p = l->p + (size_t)s->at * IMAGE_UNIT;
			__builtin_prefetch(p);
			__builtin_prefetch(p + LINE);
			return true;
		}
	}
	return false;
}

void image_hint_node(const struct image *i, uint64_t hint)
{
	if (!i->over.p || !hint_layer(&i->over, hint))
		hint_layer(&i->base, hint);
}

void image_find_hint(const struct image *i, const uint8_t *name, size_t len, uint64_t hint,
		     struct image_match *out)
{
	if (!find(i, name, len, hint, out))
		*out = (struct image_match){.found = IMAGE_DAMAGED};
}

void image_find(const struct image *i, const uint8_t *name, size_t len, struct image_match *out)
{
	image_find_hint(i, name, len, image_hint(i, name, len), out);
}

bool image_apex(const struct image *i, struct image_match *out)
{
	const struct image_head *h = image_top(i)->head;
	const struct node *n = image_node(image_top(i), h->apex);
	if (!n)
		return false;
	set(i, out, IMAGE_NAME, n, h->zone, h->zone_len);
	return out->found == IMAGE_NAME && out->name_len == h->zone_len;
}

bool image_layer_find(const struct image *i, const struct layer *l, const uint8_t *name, size_t len,
		      const struct node **out)
{
	size_t zone = i->base.head->zone_len;
	*out = NULL;
	return len >= zone && l->p &&
	       probe_layer(l, name, len - zone, image_hash(l->head->key, name, len - zone), out);
}
