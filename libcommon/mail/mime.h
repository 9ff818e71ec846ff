/* mime: the structure of a message (RFC 5322, RFC 2045..2046) with byte offsets of every part, in
 * one linear pass over a mapped text. Never fails: what is malformed or over a limit is seen as
 * the plain text that it also is. Lines may end in CRLF or LF. */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H
#include <stdbool.h>
#include <stdint.h>
#include "libcommon/base/pool.h"
#include "libcommon/base/str.h"

#define MIME_DEPTH       32           /* of parts inside parts */
#define MIME_PARTS       1000         /* of a message */
#define MIME_HEADERS     (256u << 10) /* octets of all headers together whose fields are kept */
#define MIME_PART_FIELDS 64           /* fields kept of one part */

/* Fields that are kept; the numbers are those of the metadata blob and never change. */
enum mime_id {
	MIME_NONE,
	MIME_CONTENT_TYPE,
	MIME_ENCODING,
	MIME_DISPOSITION,
	MIME_CONTENT_ID,
	MIME_DESCRIPTION,
	MIME_LANGUAGE,
	MIME_LOCATION,
	MIME_MD5,
	/* of messages only */
	MIME_DATE,
	MIME_SUBJECT,
	MIME_FROM,
	MIME_SENDER,
	MIME_REPLY_TO,
	MIME_TO,
	MIME_CC,
	MIME_BCC,
	MIME_IN_REPLY_TO,
	MIME_MESSAGE_ID,
	MIME_REFERENCES,
	MIME_ID_COUNT
};

struct mime_field {
	struct mime_field *next; /* in the order of the header */
	enum mime_id id;
	struct slice raw; /* after the colon; from a text with folds, from a blob without */
};

enum mime_kind {
	MIME_LEAF,
	MIME_MULTIPART, /* children are its parts; none when no delimiter came */
	MIME_MESSAGE,   /* message/rfc822 or message/global: one child, the message inside */
};

struct mime_part {
	struct mime_part *parent, *next, *child;
	struct mime_field *field;
	enum mime_kind kind;
	bool is_message;          /* the root, or the child of a MIME_MESSAGE: has an envelope */
	bool digest_child;        /* its default type is message/rfc822 */
	unsigned depth;           /* 0: the root */
	uint64_t head, body, end; /* offsets: header, body, after the body (the line end before
				   * a delimiter belongs to the delimiter) */
	uint64_t lines;           /* of the body; one without a line end counts */
};

struct mime {
	struct mime_part *root;
	unsigned parts;
	bool cut; /* a limit was reached */
};

/* Parts and fields live in pool; their slices point into text. */
void mime_parse(struct pool *pool, struct slice text, struct mime *out);
/* First field of the id; empty when there is none. */
struct slice mime_get(const struct mime_part *p, enum mime_id id);
/* Type and subtype with the defaults of RFC 2045 and 2046 filled in. */
void mime_type(const struct mime_part *p, struct slice *type, struct slice *subtype);
bool mime_is(const struct mime_part *p, const char *type, const char *subtype);
/* True for lists of addresses, of which several fields count as one. */
bool mime_is_list(enum mime_id id);

#endif
