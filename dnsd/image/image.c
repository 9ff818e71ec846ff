/* Maps an image and finds names in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
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

struct image *image_from(const void *p, size_t len, const char **why)
{
	if ((*why = head_wrong(p, len)))
		return NULL;
	struct image *i = mem_alloc(sizeof(*i));
	i->p = p;
	i->size = len;
	i->head = p;
	i->slots = (const struct slot *)(const void *)(i->p + (size_t)i->head->slots * IMAGE_UNIT);
	return i;
}

struct image *image_open(int folder, const char *path, const char **why)
{
	struct image *i = NULL;
	struct stat st;
	int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) != 0) {
		*why = errno == ENOENT ? "there is no image" : "the image cannot be read";
	} else if ((size_t)st.st_size < sizeof(struct image_head)) {
		*why = "no image of a zone";
	} else {
		size_t size = (size_t)st.st_size;
		void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
		*why = "the image cannot be mapped";
		if (p != MAP_FAILED) {
			i = image_from(p, size, why);
			if (i)
				i->mapped = true;
			else
				munmap(p, size);
		}
	}
	if (fd >= 0)
		close(fd);
	return i;
}

void image_close(struct image **i)
{
	struct image *it = *i;
	*i = NULL;
	if (!it || atomic_fetch_sub(&it->held, 1) > 0)
		return;
	if (it->mapped)
		munmap((void *)(uintptr_t)it->p, it->size);
	free(it);
}

struct image *image_hold(const struct image *i)
{
	struct image *it = (struct image *)(uintptr_t)i;
	atomic_fetch_add(&it->held, 1);
	return it;
}

const uint8_t *image_zone(const struct image *i)
{
	return i->head->zone;
}

uint32_t image_serial(const struct image *i)
{
	return i->head->serial;
}

const struct image_origin *image_origin(const struct image *i)
{
	return &i->head->origin;
}

void image_numbers(const struct image *i, struct image_stats *out)
{
	*out = (struct image_stats){.records = i->head->records,
				    .names = i->head->names,
				    .octets = i->size,
				    .serial = i->head->serial};
}

const struct node *image_node(const struct image *i, uint32_t at)
{
	const struct image_head *h = i->head;
	if (at < h->nodes || at >= h->nodes_end)
		return NULL;
	size_t left = (size_t)(h->nodes_end - at) * IMAGE_UNIT;
	const struct node *n = (const void *)(i->p + (size_t)at * IMAGE_UNIT);
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
static bool probe_hash(const struct image *i, const uint8_t *name, size_t rel, uint64_t hash,
		       const struct node **out)
{
	const struct image_head *h = i->head;
	uint32_t at = image_slot(hash, h->slots_n);
	*out = NULL;
	for (uint32_t n = 0; n <= h->probes && n < h->slots_n; n++) {
		const struct slot *s = &i->slots[at];
		if (!s->at)
			return true;
		if (s->tag == (uint32_t)hash) {
			const struct node *node = image_node(i, s->at);
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

static bool probe(const struct image *i, const uint8_t *name, size_t rel, const struct node **out)
{
	return probe_hash(i, name, rel, image_hash(i->head->key, name, rel), out);
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
	l->rel = len - i->head->zone_len;
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
	return best ? best : image_node(i, i->head->apex);
}

/* The node's name is the end of the name asked; a damaged one is that of no label. */
static void set(const struct image *i, struct image_match *out, enum image_found found,
		const struct node *n, const uint8_t *name, size_t len)
{
	*out = (struct image_match){.found = found, .node = n};
	size_t at = 0;
	while (len - at > n->name_len)
		at += 1u + name[at];
	if (len - at != n->name_len || n->name_len < i->head->zone_len) {
		out->found = IMAGE_DAMAGED;
		return;
	}
	out->name = name + at;
	out->name_len = n->name_len;
}

static const struct node *linked(const struct image *i, const struct node *n)
{
	for (unsigned e = 0; e < n->entries; e++)
		if (n->entry[e].part == PART_LINK)
			return image_node(i, n->entry[e].at);
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
	if (len < i->head->zone_len || !probe_hash(i, name, len - i->head->zone_len, hash, &n))
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
	if (len < i->head->zone_len)
		return 0;
	uint64_t hash = image_hash(i->head->key, name, len - i->head->zone_len);
	__builtin_prefetch(&i->slots[image_slot(hash, i->head->slots_n)]);
	return hash;
}

void image_hint_node(const struct image *i, uint64_t hint)
{
	uint32_t at = image_slot(hint, i->head->slots_n);
	for (unsigned n = 0; n < HINTS && at < i->head->slots_n; n++, at++) {
		const struct slot *s = &i->slots[at];
		if (!s->at)
			return;
		if (s->tag == (uint32_t)hint && s->at < i->head->nodes_end) {
			const uint8_t *p = i->p + (size_t)s->at * IMAGE_UNIT;
			__builtin_prefetch(p);
			__builtin_prefetch(p + LINE);
			return;
		}
	}
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
	const struct node *n = image_node(i, i->head->apex);
	if (!n)
		return false;
	set(i, out, IMAGE_NAME, n, i->head->zone, i->head->zone_len);
	return out->found == IMAGE_NAME && out->name_len == i->head->zone_len;
}

bool image_next(const struct image *i, size_t *at, struct image_match *out)
{
	uint32_t place = *at ? (uint32_t)*at : i->head->nodes;
	const struct node *n = image_node(i, place);
	*out = (struct image_match){.found = IMAGE_DAMAGED, .node = n};
	if (place == i->head->nodes_end)
		out->found = IMAGE_NONE;
	if (!n || dns_name_check(image_name(n), n->name_len) != n->name_len)
		return false;
	out->found = n->entries ? IMAGE_NAME : IMAGE_EMPTY;
	out->name = image_name(n);
	out->name_len = n->name_len;
	*at = (size_t)place + n->size;
	return true;
}
