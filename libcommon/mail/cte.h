/* cte: content transfer encodings (RFC 2045), decoded as mail in the wild needs it: what is not
 * of the alphabet is skipped, a wrong escape stands for itself. */
#ifndef MAIL_CTE_H
#define MAIL_CTE_H
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

enum cte { CTE_IDENTITY, CTE_QUOTED_PRINTABLE, CTE_BASE64, CTE_UNKNOWN };

/* Of a Content-Transfer-Encoding value; empty: CTE_IDENTITY (7bit). */
enum cte cte_kind(struct slice value);
/* Appends what `in` decodes to (CTE_UNKNOWN: as it is). False only when out is full. */
bool cte_decode(struct buf *out, struct slice in, enum cte kind);
/* The Q encoding of RFC 2047: as quoted-printable, _ is a space. */
bool cte_decode_q(struct buf *out, struct slice in);

#endif
