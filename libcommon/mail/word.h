/* word: encoded words (RFC 2047) and the parameters of MIME fields (RFC 2045, RFC 2231). */
#ifndef MAIL_WORD_H
#define MAIL_WORD_H
#include "libcommon/base/buf.h"
#include "libcommon/base/pool.h"
#include "libcommon/base/str.h"

/* Appends a field's value (folded or not) as UTF-8: encoded words decoded, line ends of folds
 * dropped, control characters as spaces. Words are decoded wherever they stand, as clients that
 * put them into quotes or glue them to text expect. False only when out is full. */
bool word_decode(struct buf *out, struct slice in);

/* A value of the form "token; name=value; ...", read in place, folds and comments skipped. */
struct params {
	struct slice rest;
	bool begun; /* rest is behind the first semicolon */
};
/* What stands before the parameters: "text/plain", "attachment", "base64"; may be empty. Looks
 * no further than that. */
struct slice params_begin(struct params *p, struct slice raw);
/* The next parameter. A quoted value comes without its quotes, its escapes and folds kept (see
 * params_clean). Garbage between semicolons is skipped. */
bool params_next(struct params *p, struct slice *name, struct slice *value);
/* Without escapes and line ends; in itself when it has none, else in pool. */
struct slice params_clean(struct pool *pool, struct slice value);
/* The parameter `name` of a raw value in UTF-8, RFC 2231's continuations and charsets and (as
 * the wild has it) encoded words undone. In pool or in raw. False when it is not there. */
bool params_find(struct pool *pool, struct slice raw, const char *name, struct slice *out);

#endif
