/* charset: text of the charsets that mail uses into UTF-8. What comes out is always well-formed;
 * what cannot be converted becomes U+FFFD. US-ASCII, UTF-8 and the Western ones are converted
 * here, an allowlist of others by iconv. */
#ifndef MAIL_CHARSET_H
#define MAIL_CHARSET_H
#include <stdbool.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

/* Loads iconv's modules and keeps them: call before the sandbox, where files cannot be opened
 * any more. Without it text in those charsets may come out as if it were Western. */
void charset_init(void);
/* Appends `in` as UTF-8. An unknown or empty name: UTF-8 when it is that, else Windows-1252.
 * False only when out is full. */
bool charset_utf8(struct buf *out, struct slice in, struct slice name);

#endif
