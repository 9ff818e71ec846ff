/* preview: the first words of a message for lists of messages (RFC 8970): plain UTF-8 text on one
 * line, taken from the first text part that is no attachment. */
#ifndef MAIL_PREVIEW_H
#define MAIL_PREVIEW_H
#include "libcommon/base/buf.h"
#include "libcommon/mail/mime.h"

#define PREVIEW_CHARS 200 /* at most; 4 octets each */

/* Appends the preview of the parsed text. May be empty. */
void preview_make(struct buf *out, struct pool *pool, struct slice text,
		  const struct mime_part *root);
#endif
