#include "libcommon/mail/meta.h"
#include "libcommon/mail/header.h"
#include "libcommon/mail/preview.h"

enum { FLAG_CUT = 1, PART_MESSAGE = 4, PART_DIGEST = 8 };

/* --- encoding --- */

static void put_number(struct buf *out, uint64_t v)
{
	char b[10];
	size_t n = 0;
	do {
		b[n++] = (char)((v & 127) | (v > 127 ? 128 : 0));
		v >>= 7;
	} while (v);
	buf_add(out, b, n);
}

static void put_bytes(struct buf *out, struct slice s)
{
	put_number(out, s.len);
	buf_add_slice(out, s);
}

/* The unfolded value of f and, for lists, of the later fields of its id. */
static struct slice value_of(struct buf *tmp, const struct mime_field *f)
{
	enum mime_id id = f->id;
	buf_clear(tmp);
	for (; f; f = mime_is_list(id) ? f->next : NULL) {
		if (f->id != id)
			continue;
		if (tmp->len && tmp->len + 2 < META_VALUE_MAX)
			buf_adds(tmp, ", ");
		size_t room = META_VALUE_MAX - tmp->len;
		char *at = buf_reserve(tmp, f->raw.len < room ? f->raw.len : room);
		tmp->len += header_unfold(at, f->raw.len < room ? f->raw.len : room, f->raw);
	}
	return buf_slice(tmp);
}

static void put_part(struct buf *out, struct buf *tmp, const struct mime_part *p)
{
	uint64_t base = p->parent ? p->parent->body : 0;
	uint32_t seen = 0;
	unsigned children = 0;
	buf_addc(out, (char)((unsigned)p->kind | (p->is_message ? PART_MESSAGE : 0) |
			     (p->digest_child ? PART_DIGEST : 0)));
	put_number(out, p->head - base);
	put_number(out, p->body - p->head);
	put_number(out, p->end - p->body);
	put_number(out, p->lines);
	for (const struct mime_field *f = p->field; f; f = f->next) {
		if (seen >> f->id & 1)
			continue;
		seen |= 1u << f->id;
		buf_addc(out, (char)f->id);
		put_bytes(out, value_of(tmp, f));
	}
	buf_addc(out, MIME_NONE);
	for (const struct mime_part *c = p->child; c; c = c->next)
		children++;
	put_number(out, children);
}

void meta_encode(struct buf *out, struct slice message)
{
	struct pool *pool = pool_new(4096);
	struct mime mime;
	struct buf tmp;
	buf_init(&tmp, 0);
	mime_parse(pool, message, &mime);
	preview_make(&tmp, pool, message, mime.root);
	put_number(out, META_VERSION);
	put_number(out, mime.cut ? FLAG_CUT : 0);
	put_number(out, message.len);
	put_bytes(out, buf_slice(&tmp));
	const struct mime_part *p = mime.root;
	while (p) {
		put_part(out, &tmp, p);
		if (p->child) {
			p = p->child;
			continue;
		}
		while (p && !p->next)
			p = p->parent;
		p = p ? p->next : NULL;
	}
	buf_free(&tmp);
	pool_free(&pool);
}

/* --- decoding --- */

struct reader {
	struct pool *pool;
	struct slice rest;
	struct meta *out;
	bool bad;
};

static uint64_t get_number(struct reader *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 63 && r->rest.len; shift += 7) {
		unsigned char c = (unsigned char)r->rest.p[0];
		r->rest = (struct slice){r->rest.p + 1, r->rest.len - 1};
		v |= (uint64_t)(c & 127) << shift;
		if (c < 128)
			return v;
	}
	r->bad = true;
	return 0;
}

static struct slice get_bytes(struct reader *r)
{
	uint64_t n = get_number(r);
	if (n > r->rest.len) {
		r->bad = true;
		n = 0;
	}
	struct slice s = {r->rest.p, n};
	r->rest = (struct slice){r->rest.p + n, r->rest.len - n};
	return s;
}

/* A number that may not bring the sum over `limit`. */
static uint64_t get_offset(struct reader *r, uint64_t from, uint64_t limit)
{
	uint64_t v = get_number(r);
	if (from > limit || v > limit - from) {
		r->bad = true;
		return from;
	}
	return from + v;
}

static void get_fields(struct reader *r, struct mime_part *p)
{
	struct mime_field **last = &p->field;
	for (unsigned n = 0; !r->bad; n++) {
		uint64_t id = get_number(r);
		if (id == MIME_NONE)
			return;
		if (id >= MIME_ID_COUNT || n >= MIME_PART_FIELDS) {
			r->bad = true;
			return;
		}
		struct mime_field *f = pool_alloc(r->pool, sizeof(*f));
		f->id = (enum mime_id)id;
		f->raw = get_bytes(r);
		*last = f;
		last = &f->next;
	}
}

static struct mime_part *get_part(struct reader *r, struct mime_part *parent, uint64_t *children)
{
	struct mime_part *p = pool_alloc(r->pool, sizeof(*p));
	uint64_t limit = parent ? parent->end : r->out->size;
	uint64_t bits = get_number(r);
	p->parent = parent;
	p->depth = parent ? parent->depth + 1 : 0;
	p->kind = (enum mime_kind)(bits & 3);
	p->is_message = bits & PART_MESSAGE;
	p->digest_child = bits & PART_DIGEST;
	p->head = get_offset(r, parent ? parent->body : 0, limit);
	p->body = get_offset(r, p->head, limit);
	p->end = get_offset(r, p->body, limit);
	p->lines = get_number(r);
	get_fields(r, p);
	*children = get_number(r);
	/* A multipart at the greatest depth has no children: its parts have one more. */
	r->bad = r->bad || bits > 15 || p->kind > MIME_MESSAGE || p->depth > MIME_DEPTH ||
		 ++r->out->parts > MIME_PARTS || *children > MIME_PARTS ||
		 (p->kind == MIME_LEAF && *children) || (p->kind == MIME_MESSAGE && *children != 1);
	return p;
}

/* The tree below a part; recursion is bounded by MIME_DEPTH. */
static void get_children(struct reader *r, struct mime_part *parent, uint64_t n)
{
	struct mime_part **link = &parent->child;
	for (; n && !r->bad; n--) {
		uint64_t children;
		struct mime_part *p = get_part(r, parent, &children);
		*link = p;
		link = &p->next;
		get_children(r, p, children);
	}
}

bool meta_decode(struct pool *pool, struct slice blob, struct meta *out)
{
	struct reader r = {.pool = pool, .rest = blob, .out = out};
	uint64_t children;
	*out = (struct meta){.size = 0};
	if (blob.len > META_MAX || get_number(&r) != META_VERSION)
		return false;
	uint64_t flags = get_number(&r);
	out->cut = flags & FLAG_CUT;
	out->size = get_number(&r);
	out->preview = get_bytes(&r);
	out->root = get_part(&r, NULL, &children);
	get_children(&r, out->root, children);
	return !r.bad && r.rest.len == 0 && flags <= FLAG_CUT && str_utf8(out->preview);
}
