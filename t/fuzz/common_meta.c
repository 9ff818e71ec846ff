/* Metadata blobs: any message makes one that reads back; any bytes read as one are either refused
 * or a tree within its limits. */
#include <stdlib.h>
#include "libcommon/mail/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned count(const struct mime_part *p, uint64_t limit)
{
	unsigned n = 1;
	if (p->head > p->body || p->body > p->end || p->end > limit || p->depth > MIME_DEPTH)
		abort();
	for (const struct mime_part *c = p->child; c; c = c->next)
		n += count(c, p->end);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pool *pool = pool_new(0);
	struct slice in = {(const char *)data, len};
	struct meta meta;
	struct mime mime;
	struct buf blob;
	if (meta_decode(pool, in, &meta) && count(meta.root, meta.size) != meta.parts)
		abort();
	buf_init(&blob, 0);
	meta_encode(&blob, in);
	mime_parse(pool, in, &mime);
	if (!meta_decode(pool, buf_slice(&blob), &meta) || meta.parts != mime.parts ||
	    meta.size != len || count(meta.root, meta.size) != meta.parts)
		abort();
	buf_free(&blob);
	pool_free(&pool);
	return 0;
}
