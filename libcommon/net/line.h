/* line: cuts CRLF-ended lines off a stream. Bare CR, bare LF and NUL are refused where they
 * stand (SMTP smuggling): the caller sends the protocol's error and closes. */
#ifndef NET_LINE_H
#define NET_LINE_H
#include "libcommon/base/str.h"

enum line_result {
	LINE_OK,      /* *line is the line without CRLF; *used bytes are to be consumed */
	LINE_MORE,    /* no end yet */
	LINE_LONG,    /* over max: skip to its end with line_skip, then answer */
	LINE_BARE_CR, /* CR not followed by LF */
	LINE_BARE_LF,
	LINE_NUL,
};

/* max counts the CRLF. On errors *used is how far the bad line is known (at least 1). */
enum line_result line_next(struct slice in, size_t max, struct slice *line, size_t *used);
/* "bare CR" ...: what is wrong with a line that is refused. */
const char *line_why(enum line_result r);
/* Bytes to drop of an over-long line; *ended when its LF is among them. */
size_t line_skip(struct slice in, bool *ended);

#endif
