/* What came from the network, made fit to stand in a notice. */
#include "libcommon/mail/addr.h"
#include "smtpd/notice.h"
#include "smtpd/out.h"

enum {
	COLUMNS = 76,
	WORD_MAX = 900,   /* octets of a word; longer ones are broken */
	ADDR_TEXT = 1000, /* of an address */
	REPLY_MAX = 2000, /* of a server's words */
};

/* --- text from the network -------------------------------------------------------------------- */

struct slice notice_clean(struct pool *pool, struct slice s, size_t max, bool ascii)
{
	size_t n = s.len < max ? s.len : max, to = 0;
	for (int i = 0; i < 3 && n && n < s.len && ((unsigned char)s.p[n] & 0xc0) == 0x80; i++)
		n--;
	char *p = pool_strndup(pool, s.len ? s.p : "", n);
	for (size_t i = 0; i < n; i++)
		if (p[i] == '\n' || p[i] == '\r')
			p[i] = ' ';
	out_printable(p, n);
	if (!ascii)
		return (struct slice){p, n};
	for (size_t i = 0; i < n; i++) { /* a ? for each character */
		unsigned char c = (unsigned char)p[i];
		if (c < 0x80)
			p[to++] = p[i];
		else if (c >= 0xc0)
			p[to++] = '?';
	}
	return (struct slice){p, to};
}

/* Cuts the next word off; a longer one than WORD_MAX in pieces, between characters. */
static struct slice next_word(struct slice *rest)
{
	struct slice w = slice_word(rest);
	if (w.len <= WORD_MAX)
		return w;
	size_t n = WORD_MAX;
	while (n > WORD_MAX - 4 && ((unsigned char)w.p[n] & 0xc0) == 0x80)
		n--;
	*rest = (struct slice){w.p + n, (size_t)(rest->p + rest->len - (w.p + n))};
	return (struct slice){w.p, n};
}

void notice_words(struct buf *out, size_t col, const char *indent, struct slice s)
{
	bool first = true;
	for (struct slice w = next_word(&s); w.len; w = next_word(&s)) {
		if (!first && col + 1 + w.len > COLUMNS) {
			buf_printf(out, "\r\n%s", indent);
			col = strlen(indent);
		} else if (!first) {
			buf_addc(out, ' ');
			col++;
		}
		buf_add_slice(out, w);
		col += w.len;
		first = false;
	}
	buf_adds(out, "\r\n");
}

/* The status code in a reply. Of a delivery that was given up after many delays the class is ours,
 * and 5.4.7 is altogether (relay_retry.c): then that of the reply, or none. */
static struct slice said_status(struct pool *pool, const struct row_owed_rcpt *r)
{
	struct slice status = notice_clean(pool, r->status, 16, true);
	char class = (char)('0' + r->code / 100 % 10);
	if (status.len == 0 || status.p[0] == class)
		return status;
	if (slice_eqs(status, "5.4.7"))
		return SLICE("");
	char *s = pool_strndup(pool, status.p, status.len);
	s[0] = class;
	return (struct slice){s, status.len};
}

struct slice notice_reply(struct pool *pool, const struct row_owed_rcpt *r, struct slice line)
{
	line = notice_clean(pool, line, REPLY_MAX, false);
	if (r->code == 0)
		return line;
	struct slice status = said_status(pool, r);
	return slice_of(pool_printf(pool, "%03u %.*s%s%.*s", r->code % 1000, SLICE_FMT(status),
				    status.len ? " " : "", SLICE_FMT(line)));
}

/* --- addresses -------------------------------------------------------------------------------- */

/* The code point of "\x{HEX}" at the beginning of s, in UTF-8; *used gets its octets. 0: none. */
static size_t embedded(struct slice s, char out[4], size_t *used)
{
	uint32_t c = 0;
	size_t i = 3;
	if (!slice_starts(s, "\\x{"))
		return 0;
	for (; i < s.len && i < 9 && s.p[i] != '}'; i++) {
		static const char HEX[] = "0123456789ABCDEF";
		const char *at = s.p[i] ? strchr(HEX, s.p[i]) : NULL;
		if (!at)
			return 0;
		c = c << 4 | (uint32_t)(at - HEX);
	}
	if (i == 3 || i == s.len || s.p[i] != '}' || c > 0x10ffff)
		return 0;
	*used = i + 1;
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t k = n; k-- > 1; c >>= 6)
		out[k] = (char)(0x80 | (c & 0x3f));
	static const unsigned char LEAD[] = {0, 0, 0xc0, 0xe0, 0xf0};
	out[0] = (char)(LEAD[n] | c);
	return n;
}

/* RFC 6533 3: utf-8-addr-xtext and -unitext become the address itself. */
static struct slice from_unitext(struct pool *pool, struct slice s)
{
	char *p = pool_alloc(pool, s.len + 1);
	size_t to = 0, used, n;
	while (s.len) {
		char c[4];
		n = embedded(s, c, &used);
		if (n == 0) {
			c[0] = *s.p;
			n = used = 1;
		}
		memcpy(p + to, c, n); /* never longer than what it stands for */
		to += n;
		s = (struct slice){s.p + used, s.len - used};
	}
	return (struct slice){p, to};
}

struct slice notice_original_rcpt(struct pool *pool, const struct row_owed_rcpt *r,
				  struct slice *type)
{
	struct slice addr = r->orcpt, kind = slice_cut(&addr, ';');
	if (type)
		*type = kind;
	if (slice_ieqs(kind, "utf-8"))
		return notice_clean(pool, from_unitext(pool, addr), ADDR_TEXT, false);
	char *p = pool_alloc(pool, addr.len + 1);
	long n = addr.len ? xtext_decode(p, addr) : 0;
	if (n >= 0)
		addr = (struct slice){p, (size_t)n};
	return notice_clean(pool, addr, ADDR_TEXT, true);
}
