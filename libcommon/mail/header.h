/* header: the fields of a message's header (RFC 5322) where they stand in its text. Lines may end
 * in CRLF or LF. The header ends at the first empty line, at the end of the text, or at a limit.
 * No allocation; nothing past the limits is read. */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H
#include <stdbool.h>
#include <stddef.h>
#include "libcommon/base/str.h"

#define HEADER_MAX (256u << 10) /* octets of a header that are looked at, unless told else */

struct header_field {
	struct slice name; /* empty: a line that is no field (a stray "From " line, garbage) */
	struct slice raw;  /* what follows the colon, folds kept, without the last line end */
	size_t off, len;   /* of the whole field in the text, last line end included */
};

struct header_iter {
	struct slice text;
	size_t pos; /* of the next field; at the end: where the header ended */
	size_t max;
	bool done;
	bool cut;    /* ended at the limit */
	size_t body; /* when done: where the body starts (after the empty line) */
};

/* max 0: HEADER_MAX. A field that crosses the limit is not shown. */
void header_begin(struct header_iter *it, struct slice text, size_t max);
bool header_next(struct header_iter *it, struct header_field *out);
/* First field of the name (case ignored). */
bool header_find(struct slice text, size_t max, const char *name, struct header_field *out);
/* Where the body starts: after the first empty line; text.len when there is none. Looks at the
 * whole text, at memchr's speed. */
size_t header_end(struct slice text);

/* Removes the line ends of folds and trims blanks at both ends; NULs are dropped. Writes at most
 * cap octets (no NUL added) and returns how many; a longer value is cut, between UTF-8
 * characters. */
size_t header_unfold(char *out, size_t cap, struct slice raw);

#endif
