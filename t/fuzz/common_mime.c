/* Messages from anybody: parts lie inside their parents and do not overlap, limits hold, values
 * become well-formed UTF-8. */
#include <stdlib.h>
#include "libcommon/mail/addrlist.h"
#include "libcommon/mail/date.h"
#include "libcommon/mail/mime.h"
#include "libcommon/mail/word.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void inside(struct slice s, struct slice text)
{
	if (s.len && (s.p < text.p || s.p + s.len > text.p + text.len))
		abort();
}

static void values(struct pool *pool, const struct mime_field *f, struct slice text)
{
	struct buf b;
	struct date d;
	struct params params;
	struct slice name, value;
	bool cut;
	inside(f->raw, text);
	buf_init(&b, 0);
	word_decode(&b, f->raw);
	if (!str_utf8(buf_slice(&b)))
		abort();
	buf_free(&b);
	if (date_parse(f->raw, &d) && (d.zone > 1499 || d.zone < -1499))
		abort();
	params_begin(&params, f->raw);
	while (params_next(&params, &name, &value)) {
		inside(name, f->raw);
		inside(value, f->raw);
	}
	if (params_find(pool, f->raw, "filename", &value) && !str_utf8(value))
		abort();
	addrlist_parse(pool, f->raw, &cut);
}

static unsigned part(struct pool *pool, const struct mime_part *p, struct slice text)
{
	unsigned n = 1;
	uint64_t at = p->body;
	if (p->head > p->body || p->body > p->end || p->end > text.len || p->depth > MIME_DEPTH ||
	    p->lines > p->end - p->body)
		abort();
	for (const struct mime_field *f = p->field; f; f = f->next)
		values(pool, f, text);
	for (const struct mime_part *c = p->child; c; c = c->next) {
		if (c->head < at || c->end > p->end || c->parent != p)
			abort();
		at = c->end;
		n += part(pool, c, text);
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pool *pool = pool_new(0);
	struct slice text = {(const char *)data, len};
	struct mime m;
	mime_parse(pool, text, &m);
	if (part(pool, m.root, text) != m.parts || m.parts > MIME_PARTS || m.root->end != len)
		abort();
	pool_free(&pool);
	return 0;
}
