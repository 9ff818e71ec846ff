/* The third part of a notice: what the sender had sent. */
#include "smtpd/notice.h"
#include "libcommon/mail/header.h"
#include "smtpd/out.h"

enum { FIELD_MAX = 1000, PIECE = 900 };

/* --- all of it -------------------------------------------------------------------------------- */

static bool wanted(const struct notice_item *n)
{
	uint32_t flags = n->item->flags;
	/* RFC 8689 5: of a message that requires TLS never more than the header. */
	return (flags & DELIVER_RET_FULL) && !(flags & (DELIVER_REQUIRETLS | DELIVER_BINARY)) &&
	       notice_has(n, NOTICE_FAILED) && n->original.len && n->original.len <= n->full_size &&
	       !memchr(n->original.p, 0, n->original.len);
}

/* No line is longer than SMTP has them. */
static bool short_lines(struct slice text)
{
	while (text.len) {
		struct slice line = slice_cut(&text, '\n');
		if (line.len > NOTICE_LINE + 1) /* with its CR */
			return false;
	}
	return true;
}

static bool full(const struct notice_item *n, struct notice_part *out)
{
	struct out_text t = {.in = n->original};
	while (out_text_next(&t, &out->text, 65536))
		;
	struct slice text = buf_slice(&out->text);
	if (!short_lines(text)) {
		buf_clear(&out->text);
		return false;
	}
	struct slice head = {text.p, header_end(text)};
	bool global = !str_ascii(head) && str_utf8(head);
	out->type = global ? "message/global" : "message/rfc822";
	out->eight = !str_ascii(text);
	return true;
}

/* --- its header ------------------------------------------------------------------------------- */

/* Where a line of more than PIECE octets is broken: between characters. */
static size_t piece(struct slice s)
{
	size_t n = s.len < PIECE ? s.len : PIECE;
	while (n < s.len && n > PIECE - 4 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static void add_line(struct buf *out, struct pool *pool, struct slice line)
{
	while (line.len && line.p[line.len - 1] == '\r')
		line.len--;
	line = notice_clean(pool, line, line.len, false);
	if (slice_trim(line).len == 0) /* no empty line inside */
		return;
	for (size_t n; line.len; line = (struct slice){line.p + n, line.len - n}) {
		n = piece(line);
		buf_add(out, line.p, n);
		buf_adds(out, n < line.len ? "\r\n " : "\r\n");
	}
}

static void header(const struct notice_item *n, struct pool *pool, struct notice_part *out)
{
	struct header_iter it;
	struct header_field f;
	size_t max = n->full_size < HEADER_MAX ? n->full_size : HEADER_MAX;
	header_begin(&it, n->original, max);
	while (header_next(&it, &f)) {
		if (f.name.len == 0)
			continue;
		struct slice field = {n->original.p + f.off, f.len};
		while (field.len)
			add_line(&out->text, pool, slice_cut(&field, '\n'));
	}
	out->eight = !str_ascii(buf_slice(&out->text));
	out->type = out->eight ? "message/global-headers" : "text/rfc822-headers";
}

bool notice_original(const struct notice_item *n, struct pool *pool, struct notice_part *out)
{
	if (wanted(n) && full(n, out))
		return true;
	header(n, pool, out);
	return false;
}

struct slice notice_field(const struct notice_item *n, struct pool *pool, const char *name)
{
	struct header_field f;
	if (!header_find(n->original, 0, name, &f))
		return (struct slice){"", 0};
	char *p = pool_alloc(pool, FIELD_MAX + 1);
	return (struct slice){p, header_unfold(p, FIELD_MAX, f.raw)};
}
