/* out: mail out by SMTP and LMTP, the client's side. smtpd.h is the receiving side; the two share
 * nothing. Prototypes by file. Loop thread only. */
#ifndef SMTPD_OUT_H
#define SMTPD_OUT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

/* --- out_reply.c: what a server answers (RFC 5321 4.2, RFC 2034, RFC 3463) ----------------- */
#define OUT_REPLY_LINES 100   /* lines of one reply */
#define OUT_REPLY_LINE  1000  /* octets kept of a line; what is longer is read and dropped */
#define OUT_REPLY_TOTAL 32768 /* octets of one reply, dropped ones and line ends too */

struct out_reply {
	unsigned code;   /* 200 to 599, of the last line */
	char status[12]; /* enhanced status code "5.1.1" that fits the code; "": none */
	/* The lines without code, status and line end, with \n between them; printable UTF-8:
	 * whatever else the peer sent stands as '?'. */
	struct buf text;
	const char *why; /* OUT_REPLY_BAD: what is wrong with it */
	/* The parser's own: */
	unsigned lines;
	size_t total, line_len;
	char line[OUT_REPLY_LINE];
};
enum out_reply_result {
	OUT_REPLY_MORE,
	OUT_REPLY_DONE,
	OUT_REPLY_BAD, /* no reply of this protocol, or over a limit: nothing can follow */
};
/* All zero is a reply that has not begun. */
void out_reply_clear(struct out_reply *r); /* for the next one; keeps memory */
void out_reply_free(struct out_reply *r);
/* Takes octets up to the end of one reply; *used gets how many. Lines end in CRLF, or in LF alone:
 * some servers do, and no message stands in this direction that could be smuggled. The lines of a
 * reply may differ in their code but not in its first digit. */
enum out_reply_result out_reply_feed(struct out_reply *r, struct slice in, size_t *used);
/* The enhanced status code, or what the code alone says ("5.0.0"). */
const char *out_reply_status(const struct out_reply *r, char out[12]);
/* A text as a reply's: control octets and what is no UTF-8 become '?', a tab a blank. In place. */
void out_printable(char *p, size_t n);

#endif
