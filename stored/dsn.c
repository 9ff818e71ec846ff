/* What aliases do to the DSN options of a recipient (RFC 3461 5.2.7). */
#include "libcommon/mail/addr.h"
#include "stored/mail.h"

struct slice dsn_orcpt(struct pool *pool, struct slice addr)
{
	struct buf b;
	if (!str_ascii(addr))
		return SLICE("");
	buf_init(&b, 0);
	buf_adds(&b, "rfc822;");
	xtext_encode(&b, addr);
	struct slice out = slice_copy(pool, buf_slice(&b));
	buf_free(&b);
	return out;
}

uint32_t dsn_notify(uint32_t notify)
{
	notify &= ~NOTIFY_SUCCESS;
	return notify ? notify : NOTIFY_NEVER;
}
