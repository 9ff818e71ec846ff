/* The canonical order of a zone's names (RFC 4034 6.1): each name has a key, whose octets sort as
 * the names do, and eight octets of the keys are sorted at a time, so that memory is gone through a
 * few times and not once a comparison. Zone files are often sorted already: then nothing moves. */
#include <endian.h>
#include <stdlib.h>
#include "dnsd/image/image_maker.h"
#include "libcommon/base/mem.h"

enum { WORD = 8, FEW = 12 };

struct item {
	uint64_t word; /* of the key, at the depth being sorted */
	uint32_t name;
};

struct keys {
	uint8_t *bytes;
	size_t *at; /* by name, and the end */
	struct item *spare;
};

/* The labels from the zone's down, each with a zero behind it; octets 0 and 1 become 1 1 and 1 2:
 * no label has a zero in it, and a label sorts before its own prolongations. */
static size_t key_of(const struct image_maker *m, const struct made_name *n, uint8_t *out)
{
	const uint8_t *label[128];
	unsigned labels = 0;
	size_t len = 0;
	label[0] = n->wire;
	for (const uint8_t *l = n->wire; labels < n->labels - m->zone_labels; l += 1u + *l)
		label[labels++] = l;
	while (labels-- > 0) {
		for (unsigned i = 1; i <= label[labels][0]; i++) {
			uint8_t c = label[labels][i];
			if (c <= 1)
				out[len++] = 1;
			out[len++] = c <= 1 ? (uint8_t)(c + 1) : c;
		}
		out[len++] = 0;
	}
	return len;
}

static void keys_make(const struct image_maker *m, struct keys *k)
{
	size_t size = 0;
	for (uint32_t i = 0; i < m->names; i++)
		size += 2u * (m->name[i].len - m->zone_len);
	k->bytes = mem_realloc(NULL, size + 1);
	k->at = mem_realloc(NULL, (m->names + 1u) * sizeof(*k->at));
	k->spare = mem_realloc(NULL, m->names * sizeof(*k->spare));
	size_t at = 0;
	for (uint32_t i = 0; i < m->names; i++) {
		k->at[i] = at;
		at += key_of(m, &m->name[i], k->bytes + at);
	}
	k->at[m->names] = at;
}

static uint64_t word_at(const struct keys *k, uint32_t name, size_t depth)
{
	uint64_t w = 0;
	size_t left = k->at[name + 1] - k->at[name];
	if (left > depth)
		memcpy(&w, k->bytes + k->at[name] + depth,
		       left - depth < WORD ? left - depth : WORD);
	return be64toh(w);
}

static void merge(struct item *a, struct item *spare, size_t n)
{
	if (n <= FEW) {
		for (size_t i = 1; i < n; i++) {
			struct item x = a[i];
			size_t j = i;
			for (; j > 0 && a[j - 1].word > x.word; j--)
				a[j] = a[j - 1];
			a[j] = x;
		}
		return;
	}
	size_t half = n / 2, i = 0, j = half, out = 0;
	merge(a, spare, half);
	merge(a + half, spare, n - half);
	if (a[half - 1].word <= a[half].word)
		return;
	memcpy(spare, a, half * sizeof(*a));
	while (i < half && j < n)
		a[out++] = spare[i].word <= a[j].word ? spare[i++] : a[j++];
	memcpy(a + out, spare + i, (half - i) * sizeof(*a));
}

/* Keys differ, so that the depth ends where the longest does. */
static void sort(const struct keys *k, struct item *a, size_t n, size_t depth)
{
	for (size_t i = 0; i < n; i++)
		a[i].word = word_at(k, a[i].name, depth);
	merge(a, k->spare, n);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && a[end].word == a[i].word; end++)
			;
		if (end - i > 1)
			sort(k, a + i, end - i, depth + WORD);
	}
}

static int by_kind(const struct record *a, const struct record *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->type != DNS_RRSIG || dns_u16(a->data) == dns_u16(b->data))
		return 0;
	return dns_u16(a->data) < dns_u16(b->data) ? -1 : 1;
}

static int by_data(const void *pa, const void *pb, void *arg)
{
	const struct image_maker *m = arg;
	const struct record *a = &m->record[*(const uint32_t *)pa];
	const struct record *b = &m->record[*(const uint32_t *)pb];
	int r = by_kind(a, b);
	return r ? r
		 : dns_rdata_cmp(a->data + (a->canon ? a->len : 0), a->len,
				 b->data + (b->canon ? b->len : 0), b->len);
}

static int by_arrival(const void *pa, const void *pb, void *arg)
{
	const struct image_maker *m = arg;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	int r = by_kind(&m->record[a], &m->record[b]);
	return r ? r : a < b ? -1 : 1;
}

/* Puts the n records at `set` in order; returns how many of them there are. */
static uint32_t sort_records(struct image_maker *m, uint32_t *set, uint32_t n)
{
	if (n < 2)
		return n;
	uint32_t left = 1;
	qsort_r(set, n, sizeof(*set), by_data, m);
	for (uint32_t i = 1; i < n; i++) {
		struct record *last = &m->record[set[left - 1]], *r = &m->record[set[i]];
		if (by_data(&set[left - 1], &set[i], m) != 0)
			set[left++] = set[i];
		else if (r->ttl < last->ttl)
			last->ttl = r->ttl;
	}
	if (m->o.keep_order)
		qsort_r(set, left, sizeof(*set), by_arrival, m);
	return left;
}

static void sort_names(struct image_maker *m)
{
	struct keys k;
	struct item *a = mem_realloc(NULL, m->names * sizeof(*a));
	keys_make(m, &k);
	for (uint32_t i = 0; i < m->names; i++)
		a[i].name = i;
	sort(&k, a, m->names, 0);
	m->order = mem_realloc(m->order, m->names * sizeof(*m->order));
	for (uint32_t i = 0; i < m->names; i++)
		m->order[i] = a[i].name;
	m->ordered = m->names;
	free(a);
	free(k.spare);
	free(k.at);
	free(k.bytes);
}

void maker_sort(struct image_maker *m)
{
	if (m->sorted && m->sorted_of == m->records && m->ordered == m->names)
		return;
	if (m->ordered != m->names)
		sort_names(m);
	m->sorted = mem_realloc(m->sorted, (m->records + 1u) * sizeof(*m->sorted));
	m->sorted_of = m->records;
	uint32_t at = 0;
	for (uint32_t i = 0; i < m->names; i++) {
		struct made_name *n = &m->name[m->order[i]];
		uint32_t start = at;
		for (uint32_t r = n->list; r != NONE; r = m->record[r].next)
			m->sorted[at++] = r;
		n->first = start;
		n->count = sort_records(m, m->sorted + start, at - start);
		at = start + n->count;
	}
	m->stats.records = at;
	m->stats.names = m->names;
}
