/* Replies of servers. A line is collected (what is over its limit is dropped), judged when it is
 * complete, and its text kept; the last line has a blank, or nothing, behind its code. */
#include "smtpd/out.h"

void out_reply_clear(struct out_reply *r)
{
	r->code = r->lines = 0;
	r->status[0] = 0;
	r->why = NULL;
	r->total = r->line_len = 0;
	buf_clear(&r->text);
}

void out_reply_free(struct out_reply *r)
{
	buf_free(&r->text);
	*r = (struct out_reply){0};
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Octets of the UTF-8 character at p that stands whole within n and is well-formed; 0: none. */
static size_t utf8_char(const char *p, size_t n)
{
	unsigned char c = (unsigned char)p[0];
	size_t len = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
	if (len == 0 || len > n || !str_utf8((struct slice){p, len}))
		return 0;
	unsigned d = (unsigned char)p[1], e = len > 2 ? (unsigned char)p[2] : 0;
	/* The controls U+0080 to U+009F, and those that turn the direction of what stands behind
	 * them, U+202A to U+202E and U+2066 to U+2069. */
	bool control = (c == 0xc2 && d < 0xa0) ||
		       (c == 0xe2 && d == 0x80 && e >= 0xaa && e <= 0xae) ||
		       (c == 0xe2 && d == 0x81 && e >= 0xa6 && e <= 0xa9);
	return control ? 0 : len;
}

void out_printable(char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)p[i];
		size_t len = c < 0x80 ? 1 : utf8_char(p + i, n - i);
		if (len == 0 || c == 0x7f || (c < ' ' && c != '\t')) {
			p[i] = '?';
			len = 1;
		} else if (c == '\t') {
			p[i] = ' ';
		}
		i += len;
	}
}

/* "5.1.1" and a blank or the end, of the class `class`: its octets without the blank, or 0. */
static size_t status_len(struct slice s, char class)
{
	size_t at = 1;
	if (s.len < 5 || s.p[0] != class)
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;
		if (at == s.len || s.p[at++] != '.')
			return 0;
		for (; at < s.len && digit(s.p[at]); at++)
			digits++;
		if (digits == 0 || digits > 3)
			return 0;
	}
	return at == s.len || s.p[at] == ' ' ? at : 0;
}

static void text_add(struct out_reply *r, char class, struct slice s)
{
	size_t n = status_len(s, class);
	if (n && !r->status[0]) {
		memcpy(r->status, s.p, n);
		r->status[n] = 0;
	}
	if (n) {
		s.p += n;
		s.len -= n;
	}
	s = slice_trim(s);
	if (r->lines > 1)
		buf_addc(&r->text, '\n');
	size_t at = r->text.len;
	if (buf_add_slice(&r->text, s) && s.len)
		out_printable(r->text.p + at, s.len);
}

static enum out_reply_result bad(struct out_reply *r, const char *why)
{
	r->why = why;
	return OUT_REPLY_BAD;
}

/* A complete line without its end. */
static enum out_reply_result line_done(struct out_reply *r)
{
	struct slice s = {r->line, r->line_len};
	if (s.len < 3 || s.p[0] < '2' || s.p[0] > '5' || !digit(s.p[1]) || !digit(s.p[2]))
		return bad(r, "no reply code");
	bool last = s.len == 3 || s.p[3] == ' ';
	if (!last && s.p[3] != '-')
		return bad(r, "no blank behind the reply code");
	unsigned code = (unsigned)(s.p[0] - '0') * 100 + (unsigned)(s.p[1] - '0') * 10 +
			(unsigned)(s.p[2] - '0');
	if (r->lines && code / 100 != r->code / 100)
		return bad(r, "reply codes that contradict each other");
	r->code = code;
	if (++r->lines > OUT_REPLY_LINES)
		return bad(r, "reply of too many lines");
	size_t skip = s.len == 3 ? 3 : 4;
	text_add(r, s.p[0], (struct slice){s.p + skip, s.len - skip});
	r->line_len = 0;
	return last ? OUT_REPLY_DONE : OUT_REPLY_MORE;
}

static void line_add(struct out_reply *r, struct slice s)
{
	size_t room = sizeof(r->line) - r->line_len;
	size_t n = s.len < room ? s.len : room;
	memcpy(r->line + r->line_len, s.p, n);
	r->line_len += n;
}

enum out_reply_result out_reply_feed(struct out_reply *r, struct slice in, size_t *used)
{
	enum out_reply_result result = OUT_REPLY_MORE;
	*used = 0;
	while (*used < in.len && result == OUT_REPLY_MORE) {
		struct slice rest = {in.p + *used, in.len - *used};
		const char *lf = memchr(rest.p, '\n', rest.len);
		if (lf)
			rest.len = (size_t)(lf - rest.p);
		*used += rest.len + (lf ? 1 : 0);
		r->total += rest.len + (lf ? 1 : 0);
		if (r->total > OUT_REPLY_TOTAL)
			return bad(r, "reply too long");
		line_add(r, rest);
		if (!lf)
			break;
		if (r->line_len && r->line[r->line_len - 1] == '\r')
			r->line_len--;
		result = line_done(r);
	}
	return result;
}

const char *out_reply_status(const struct out_reply *r, char out[12])
{
	if (r->status[0])
		str_fmt(out, 12, "%s", r->status);
	else
		str_fmt(out, 12, "%u.0.0", r->code / 100 % 10);
	return out;
}
