/* meta: a message's metadata as one compact blob. smtpd makes it at delivery, stored keeps it
 * without looking inside, and envelope, structure and preview are answered from it alone.
 *
 * Blob, version 1 (numbers are LEB128): version, flags (1: cut), message size, preview (length
 * and UTF-8), then the parts, each before its children: kind and flags (bits 0-1 enum mime_kind,
 * 2 is_message, 3 digest_child), head (from the parent's body), body (from head), end (from
 * body), lines, fields (id, length, unfolded value; id 0 ends), number of children. */
#ifndef MAIL_META_H
#define MAIL_META_H
#include "libcommon/base/buf.h"
#include "libcommon/mail/mime.h"

#define META_VERSION   1
#define META_VALUE_MAX (64u << 10) /* octets of a field's value; longer ones are cut */
#define META_MAX       (1u << 20)  /* octets of a blob */

struct meta {
	uint64_t size; /* octets of the message */
	bool cut;      /* a limit was reached: some parts or fields are missing */
	struct slice preview;
	/* As mime_parse() makes it, but field values are unfolded, several lists of one id
	 * are joined, and the slices point into the blob. */
	struct mime_part *root;
	unsigned parts;
};

/* Appends the blob of the message: one pass over it. Works for any text. */
void meta_encode(struct buf *out, struct slice message);
/* False when the blob is malformed or of a version that is not known. */
bool meta_decode(struct pool *pool, struct slice blob, struct meta *out);

#endif
