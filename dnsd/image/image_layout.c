/* Writes the image of a zone, front to back, or its overlay. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "dnsd/image/image_layout.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"

enum {
	SHEET = 1 << 20, /* octets written at once */
	TARGETS = 64,    /* names of an rrset that bring their addresses along */
	NODE_ENTRIES = UINT16_MAX,
	FILE_UNITS_MAX = UINT32_MAX - DNS_MSG_MAX,
};

static void flush(struct layout *l)
{
	for (size_t at = 0; at < l->sheet.len && !l->err;) {
		ssize_t n = write(l->fd, l->sheet.p + at, l->sheet.len - at);
		if (n < 0 && errno != EINTR)
			l->err = errno;
		else if (n > 0)
			at += (size_t)n;
	}
	buf_clear(&l->sheet);
}

void layout_out(struct layout *l, const void *p, size_t n)
{
	buf_add(&l->sheet, p, n);
	l->at += n;
	if (l->sheet.len >= SHEET)
		flush(l);
}

void layout_pad(struct layout *l)
{
	static const uint8_t zero[IMAGE_UNIT];
	layout_out(l, zero, image_pad(l->at, IMAGE_UNIT) - l->at);
}

uint32_t layout_place(struct layout *l)
{
	if (l->at / IMAGE_UNIT > FILE_UNITS_MAX)
		l->err = EFBIG;
	return (uint32_t)(l->at / IMAGE_UNIT);
}

/* at: a place, or for a piece its offset among the node's pieces. */
static void add_entry(struct layout *l, uint16_t part, uint16_t type, uint32_t at)
{
	struct entry e = {type, part, at};
	buf_add(&l->entries, &e, sizeof(e));
}

/* The piece that the press has; an empty one is none. */
static void add_piece(struct layout *l, enum image_part part, uint16_t type)
{
	const struct press *p = &l->press;
	struct piece_head h = {(uint16_t)p->len, (uint16_t)p->records, (uint16_t)p->pointers, 0};
	static const uint8_t zero[IMAGE_UNIT];
	struct buf *b = &l->pieces;
	if (!p->records)
		return;
	add_entry(l, (uint16_t)part, type, (uint32_t)(b->len / IMAGE_UNIT));
	buf_add(b, &h, sizeof(h));
	buf_add(b, p->bytes, p->len);
	buf_add(b, zero, image_pad(b->len, 2) - b->len);
	buf_add(b, p->pointer, p->pointers * sizeof(*p->pointer));
	buf_add(b, zero, image_pad(b->len, IMAGE_UNIT) - b->len);
}

/* --- additional records --------------------------------------------------------------------- */
struct wanted {
	struct layout *l;
	bool servers; /* of NS: glue will do */
	unsigned n;
	uint32_t id[TARGETS];
	const uint8_t *name[TARGETS]; /* as it stands in the rrset */
};

static void want(void *arg, const uint8_t *name)
{
	struct wanted *w = arg;
	const struct image_maker *m = w->l->m;
	uint8_t lower[DNS_NAME_MAX];
	size_t len = dns_name_len(name);
	memcpy(lower, name, len);
	dns_name_lower(lower);
	if (!dns_name_under(lower, m->zone))
		return;
	uint32_t hash = (uint32_t)image_hash(m->key, lower, len - m->zone_len);
	buf_add(&w->l->wanted, &hash, sizeof(hash));
	if (w->n == TARGETS)
		return;
	uint32_t id = maker_find(m, lower, len);
	if (id == NONE || (!w->servers && m->name[id].flags & (NODE_BELOW | NODE_CUT)))
		return;
	for (unsigned i = 0; i < w->n; i++)
		if (w->id[i] == id)
			return;
	w->id[w->n] = id;
	w->name[w->n++] = name;
}

/* Whether the name is the cut's or below it: then its addresses are needed to get there. */
static bool in_domain(const struct layout *l, uint32_t id)
{
	return l->name->flags & NODE_CUT && dns_name_under(l->m->name[id].wire, l->name->wire);
}

/* Presses the addresses of the names wanted: those that are needed, or the others. */
static void press_addresses(struct layout *l, const struct wanted *w, bool needed, bool signatures)
{
	static const uint16_t types[] = {DNS_A, DNS_AAAA};
	struct image_maker *m = l->m;
	struct rrset s;
	press_begin(&l->press, false);
	for (unsigned i = 0; i < w->n; i++) {
		const struct made_name *n = &m->name[w->id[i]];
		for (unsigned t = 0; t < 2 && in_domain(l, w->id[i]) == needed; t++)
			if (signatures ? maker_rrset(m, n, DNS_RRSIG, types[t], &s)
				       : maker_rrset(m, n, types[t], 0, &s))
				press_rrset(&l->press, m, &s, w->name[i], s.ttl);
	}
}

static void additional(struct layout *l, const struct rrset *s)
{
	bool referral = s->type == DNS_NS && l->name->flags & NODE_CUT;
	struct wanted w = {.l = l, .servers = s->type == DNS_NS};
	if (s->type != DNS_NS && s->type != DNS_MX && s->type != DNS_SRV && s->type != DNS_SVCB &&
	    s->type != DNS_HTTPS)
		return;
	if (l->name->flags & NODE_BELOW)
		return;
	rrset_names(l->m, s, want, &w);
	if (!w.n)
		return;
	if (referral) {
		press_addresses(l, &w, true, false);
		add_piece(l, PART_GLUE, s->type);
	}
	press_addresses(l, &w, false, false);
	add_piece(l, PART_ADDITIONAL, s->type);
	press_addresses(l, &w, false, true);
	add_piece(l, PART_ADDITIONAL_SIGNATURES, s->type);
}

/* --- nodes ------------------------------------------------------------------------------------ */
static void add_rrset(struct layout *l, const struct rrset *s)
{
	struct press *p = &l->press;
	bool sign = s->type == DNS_RRSIG;
	bool referral = s->type == DNS_NS && l->name->flags & NODE_CUT;
	char type[DNS_TYPE_TEXT];
	press_base(p, l->name->wire, l->name->len);
	press_rrset(p, l->m, s, referral ? l->name->wire : NULL, s->ttl);
	if (p->full)
		maker_report(l->m, true, l->name, "the %s records fit in no message",
			     dns_type_text(s->type, type));
	add_piece(l,
		  sign       ? PART_SIGNATURES
		  : referral ? PART_REFERRAL
			     : PART_ANSWER,
		  sign ? s->covered : s->type);
	if (!sign)
		additional(l, s);
}

/* The SOA of negative answers, which also limits how long these are kept (RFC 2308 5). */
static void add_negative(struct layout *l)
{
	struct press *p = &l->press;
	struct rrset s;
	if (!maker_rrset(l->m, l->name, DNS_SOA, 0, &s))
		return;
	const struct record *r = &l->m->record[s.record[0]];
	uint32_t minimum = dns_ttl(dns_u32(r->data + r->len - 4));
	uint32_t ttl = s.ttl < minimum ? s.ttl : minimum;
	press_base(p, l->name->wire, l->name->len);
	press_rrset(p, l->m, &s, l->name->wire, ttl);
	add_piece(l, PART_SOA, DNS_SOA);
	if (!maker_rrset(l->m, l->name, DNS_RRSIG, DNS_SOA, &s))
		return;
	press_base(p, l->name->wire, l->name->len);
	press_rrset(p, l->m, &s, l->name->wire, s.ttl < ttl ? s.ttl : ttl);
	add_piece(l, PART_SOA_SIGNATURES, DNS_SOA);
}

/* The hash of a name that is one, under the zone's own parameters. */
static bool own_nsec3(const struct layout *l, const uint8_t *name, const uint8_t *data,
		      uint8_t hash[NSEC3_HASH])
{
	const struct image_head *h = &l->head;
	return nsec3_label(name, hash) && data[0] == 1 && dns_u16(data + 2) == h->iterations &&
	       data[4] == h->salt_len && !memcmp(data + 5, h->salt, h->salt_len);
}

void layout_nsec(struct layout *l, uint32_t at)
{
	buf_add(&l->nsec, &at, sizeof(at));
	l->head.nsec_n++;
}

void layout_nsec3(struct layout *l, const uint8_t *name, const uint8_t *data, uint32_t at)
{
	uint8_t hash[NSEC3_HASH];
	if (!own_nsec3(l, name, data, hash))
		return;
	struct hash_slot h = {dns_u32(hash), at};
	buf_add(&l->nsec3, &h, sizeof(h));
	l->head.nsec3_n++;
}

void layout_slot(struct layout *l, uint64_t hash, uint32_t at)
{
	uint32_t slot = image_slot(hash, l->head.slots_n), probes = 0;
	for (; l->slots[slot].at; probes++)
		slot = slot + 1 == l->head.slots_n ? 0 : slot + 1;
	l->slots[slot] = (struct slot){(uint32_t)hash, at};
	if (probes > l->head.probes)
		l->head.probes = probes;
}

static void index_node(struct layout *l, uint32_t at)
{
	const struct made_name *n = l->name;
	struct rrset s;
	const uint32_t *hash = (const void *)l->wanted.p;
	if (!(n->flags & NODE_BELOW) && n->has & HAS_NSEC)
		layout_nsec(l, at);
	if (n->has & HAS_NSEC3 && n->labels == l->m->zone_labels + 1u &&
	    maker_rrset(l->m, n, DNS_NSEC3, 0, &s))
		layout_nsec3(l, n->wire, l->m->record[s.record[0]].data, at);
	for (size_t i = 0; i < l->wanted.len / sizeof(*hash); i++) {
		const struct target_slot t = {hash[i], at};
		buf_add(&l->targets, &t, sizeof(t));
	}
	if (!(n->flags & NODE_NSEC3) || l->m->patch)
		layout_slot(l, n->hash, at);
}

static void out_node(struct layout *l, struct made_name *n)
{
	size_t entries = l->entries.len / sizeof(struct entry);
	size_t front = image_pad(sizeof(struct node) + l->entries.len + n->len, IMAGE_UNIT);
	size_t size = (front + l->pieces.len) / IMAGE_UNIT;
	if (entries > NODE_ENTRIES || size > UINT32_MAX) {
		maker_report(l->m, true, n, "too many records");
		return;
	}
	n->at = layout_place(l);
	struct node node = {(uint32_t)size, n->flags, n->len, (uint16_t)entries};
	struct entry *e = (struct entry *)(void *)l->entries.p;
	for (size_t i = 0; i < entries; i++)
		if (e[i].part != PART_LINK)
			e[i].at += n->at + (uint32_t)(front / IMAGE_UNIT);
	layout_out(l, &node, sizeof(node));
	layout_out(l, l->entries.p, l->entries.len);
	layout_out(l, n->wire, n->len);
	layout_pad(l);
	layout_out(l, l->pieces.p, l->pieces.len);
	index_node(l, n->at);
}

/* In an overlay: where the name of the other one begins in the node's. */
static uint32_t link_to(const struct layout *l, const struct made_name *n)
{
	const struct made_name *above = &l->m->name[n->above];
	return l->m->patch ? (uint32_t)(n->len - above->len) : above->at;
}

void layout_node(struct layout *l, struct made_name *n)
{
	struct rrset s;
	l->name = n;
	buf_clear(&l->entries);
	buf_clear(&l->pieces);
	buf_clear(&l->wanted);
	for (uint32_t at = 0; maker_next(l->m, n, &at, &s);)
		add_rrset(l, &s);
	if (n->parent == NONE)
		add_negative(l);
	if (n->flags & NODE_BELOW)
		add_entry(l, PART_LINK, 0, link_to(l, n));
	out_node(l, n);
}

/* --- the file --------------------------------------------------------------------------------- */
static void nsec3_param(struct layout *l)
{
	struct image_head *h = &l->head;
	struct rrset s;
	if (!maker_rrset(l->m, &l->m->name[0], DNS_NSEC3PARAM, 0, &s))
		return;
	const struct record *r = &l->m->record[s.record[0]];
	h->iterations = dns_u16(r->data + 2);
	h->salt_len = r->data[4];
	memcpy(h->salt, r->data + 5, h->salt_len);
	if (h->iterations > IMAGE_ITERATIONS)
		maker_report(l->m, true, NULL, "NSEC3 with %u iterations: %d at most",
			     h->iterations, IMAGE_ITERATIONS);
}

static void begin(struct layout *l)
{
	struct image_maker *m = l->m;
	struct image_head *h = &l->head;
	memcpy(h->magic, IMAGE_MAGIC, sizeof(h->magic));
	memcpy(h->key, m->key, sizeof(h->key));
	memcpy(h->zone, m->zone, m->zone_len);
	h->version = IMAGE_VERSION;
	h->order = IMAGE_ORDER;
	h->serial = m->stats.serial;
	h->names = (uint32_t)m->stats.names;
	h->records = m->stats.records;
	h->over = m->patch ? m->patch->before->base.head->sum : 0;
	h->origin = m->origin;
	h->zone_len = (uint8_t)m->zone_len;
	h->zone_labels = (uint8_t)m->zone_labels;
	/* Seven of ten slots are taken: a probe seldom meets another name. */
	uint32_t names = m->patch ? overlay_names(m) : m->names;
	h->slots_n = (uint32_t)(names + names * 3ull / 7 + 1);
	l->slots = mem_alloc(h->slots_n * sizeof(*l->slots));
	nsec3_param(l);
	layout_out(l, h, sizeof(*h));
	layout_pad(l);
	h->nodes = layout_place(l);
}

static int by_target(const void *a, const void *b)
{
	const struct target_slot *x = a, *y = b;
	return x->hash != y->hash ? (x->hash < y->hash ? -1 : 1)
				  : (x->at > y->at) - (x->at < y->at);
}

/* One half of the hashes at a time. */
static void sort_targets(struct target_slot *t, size_t n)
{
	enum { BITS = 16, SIZE = 1 << BITS, FEW = 4096 };
	if (n < FEW) {
		if (n)
			qsort(t, n, sizeof(*t), by_target);
		return;
	}
	struct target_slot *other = mem_realloc(NULL, n * sizeof(*t)), *from = t, *to = other;
	uint32_t *first = mem_realloc(NULL, SIZE * sizeof(*first));
	for (unsigned shift = 0; shift < 2 * BITS; shift += BITS) {
		uint32_t sum = 0;
		memset(first, 0, SIZE * sizeof(*first));
		for (size_t i = 0; i < n; i++)
			first[from[i].hash >> shift & (SIZE - 1)]++;
		for (size_t i = 0; i < SIZE; i++) {
			uint32_t here = first[i];
			first[i] = sum;
			sum += here;
		}
		for (size_t i = 0; i < n; i++)
			to[first[from[i].hash >> shift & (SIZE - 1)]++] = from[i];
		struct target_slot *swap = from;
		from = to;
		to = swap;
	}
	free(first);
	free(other);
}

static void end(struct layout *l)
{
	struct image_head *h = &l->head;
	h->nodes_end = h->nsec = layout_place(l);
	h->apex = l->m->name[0].at;
	layout_out(l, l->nsec.p, l->nsec.len);
	h->nsec3 = layout_place(l);
	layout_out(l, l->nsec3.p, l->nsec3.len);
	h->targets = layout_place(l);
	h->targets_n = (uint32_t)(l->targets.len / sizeof(struct target_slot));
	sort_targets((struct target_slot *)(void *)l->targets.p, h->targets_n);
	layout_out(l, l->targets.p, l->targets.len);
	h->sorted = layout_place(l);
	h->sorted_n = (uint32_t)(l->order.len / sizeof(uint32_t));
	layout_out(l, l->order.p, l->order.len);
	h->slots = layout_place(l);
	layout_out(l, l->slots, h->slots_n * sizeof(*l->slots));
	flush(l);
	l->m->stats.octets = h->size = l->at;
	h->sum = image_sum(h);
	if (!l->err && pwrite(l->fd, h, sizeof(*h), 0) != (ssize_t)sizeof(*h))
		l->err = errno;
}

bool maker_write(struct image_maker *m, int fd)
{
	struct layout *l = mem_alloc(sizeof(*l));
	l->m = m;
	l->fd = fd;
	begin(l);
	if (m->patch)
		overlay_nodes(l);
	for (uint32_t i = 0; i < m->names && !m->patch && !l->err; i++)
		layout_node(l, &m->name[m->order[i]]);
	end(l);
	int err = l->err;
	buf_free(&l->sheet);
	buf_free(&l->entries);
	buf_free(&l->pieces);
	buf_free(&l->wanted);
	buf_free(&l->nsec);
	buf_free(&l->nsec3);
	buf_free(&l->targets);
	buf_free(&l->order);
	free(l->slots);
	free(l);
	errno = err;
	return err == 0;
}
