/* What is in others' catalogs, and the file of what was taken from them. Pure. */
#include "dnsd/catalog/catalog_int.h"

enum place {
	PLACE_OTHER, /* of no meaning here: RFC 9432 5.1 */
	PLACE_VERSION,
	PLACE_MEMBER,
	PLACE_COO, /* change of ownership */
};

void catalog_list_free(struct catalog_list *l)
{
	pool_free(&l->pool);
	*l = (struct catalog_list){0};
}

static bool label_is(const uint8_t *at, const char *word)
{
	return *at == strlen(word) && memcmp(at + 1, word, *at) == 0;
}

static enum place place_of(const uint8_t *name, const uint8_t *catalog)
{
	unsigned depth = dns_name_labels(name) - dns_name_labels(catalog);
	const uint8_t *second = name + 1 + *name;
	if (depth == 1 && label_is(name, "version"))
		return PLACE_VERSION;
	if (depth == 2 && label_is(second, "zones"))
		return PLACE_MEMBER;
	if (depth == 3 && label_is(name, "coo") && label_is(second + 1 + *second, "zones"))
		return PLACE_COO;
	return PLACE_OTHER;
}

static const uint8_t *copy(struct catalog_list *l, const uint8_t *name)
{
	uint8_t *out = pool_dup(l->pool, name, dns_name_len(name));
	dns_name_lower(out);
	return out;
}

/* The first label of the name, as a name of its own. */
static const uint8_t *copy_label(struct catalog_list *l, const uint8_t *name)
{
	uint8_t label[DNS_LABEL_MAX + 2] = {0};
	memcpy(label, name, 1u + *name);
	return copy(l, label);
}

static struct catalog_entry *add(struct catalog_list *l)
{
	l->entry = pool_grow(l->pool, l->entry, l->n, &l->cap, sizeof(*l->entry));
	l->entry[l->n] = (struct catalog_entry){0};
	return &l->entry[l->n++];
}

struct found { /* at a name */
	unsigned txt, ptr;
	bool version_2;
	const uint8_t *target;
};

static struct found records_of(struct image_walk *w, struct catalog_list *l)
{
	struct found f = {0};
	struct zone_rr rr;
	while (image_walk_rr(w, &rr)) {
		f.txt += rr.type == DNS_TXT;
		f.ptr += rr.type == DNS_PTR;
		if (rr.type == DNS_TXT)
			f.version_2 = rr.rdlen == 2 && memcmp(rr.rdata,
							      "\1"
							      "2",
							      2) == 0;
		if (rr.type == DNS_PTR)
			f.target = copy(l, rr.rdata);
	}
	return f;
}

/* NULL, or why the catalog is broken. */
static const char *take_member(struct catalog_list *l, const uint8_t *name, const struct found *f)
{
	if (f->ptr > 1)
		return "a member has several PTR records";
	if (l->n == CATALOG_MEMBERS)
		return "it has too many members";
	if (f->ptr) {
		struct catalog_entry *e = add(l);
		e->zone = f->target;
		e->label = copy_label(l, name);
	}
	return NULL;
}

/* It comes right behind its member, in canonical order. */
static const char *take_coo(struct catalog_list *l, const uint8_t *member, const struct found *f)
{
	struct catalog_entry *e = l->n ? &l->entry[l->n - 1] : NULL;
	if (f->ptr > 1)
		return "a member has several coo properties";
	if (f->ptr && e && *e->label == *member && memcmp(e->label, member, 1u + *member) == 0)
		e->coo = f->target;
	return NULL;
}

const char *catalog_read(const struct image *image, struct catalog_list *out)
{
	const uint8_t *zone = image_zone(image);
	const char *why = NULL;
	bool version = false;
	struct image_walk w;
	*out = (struct catalog_list){.pool = pool_new(0)};
	image_walk_begin(&w, image);
	while (!why && image_walk_name(&w)) {
		enum place at = place_of(w.m.name, zone);
		if (at == PLACE_OTHER)
			continue;
		struct found f = records_of(&w, out);
		if (at == PLACE_VERSION)
			version = f.txt == 1 && f.version_2;
		else if (at == PLACE_MEMBER)
			why = take_member(out, w.m.name, &f);
		else
			why = take_coo(out, w.m.name + 1 + *w.m.name, &f);
	}
	if (!why && w.bad)
		why = "its image is damaged";
	if (!why && !version)
		why = "it is not of version 2";
	if (why)
		catalog_list_free(out);
	return why;
}

/* --- the file: ZONE LABEL a line
 * ------------------------------------------------------------------
 */

static const uint8_t *name_of(struct catalog_list *l, struct slice word)
{
	uint8_t name[DNS_NAME_MAX];
	return dns_name_from_text(word, name) ? copy(l, name) : NULL;
}

void catalog_parse(struct slice text, struct catalog_list *out)
{
	*out = (struct catalog_list){.pool = pool_new(0)};
	while (text.len && out->n < CATALOG_MEMBERS) {
		struct slice line = slice_cut(&text, '\n');
		const uint8_t *zone = name_of(out, slice_word(&line));
		const uint8_t *label = name_of(out, slice_word(&line));
		if (!zone || !label || dns_name_labels(label) != 1)
			continue;
		struct catalog_entry *e = add(out);
		e->zone = zone;
		e->label = label;
	}
}

void catalog_print(const struct catalog_entry *e, struct buf *out)
{
	char text[DNS_NAME_TEXT];
	dns_name_text(text, e->zone);
	buf_printf(out, "%s ", text);
	dns_name_text(text, e->label);
	buf_printf(out, "%s\n", text);
}
