/* Content for the wire, a piece of a line at a time. */
#include "smtpd/out.h"

enum { LINE_MAX_OCTETS = 998 }; /* RFC 5321 4.5.3.1.6 */

struct piece {
	struct slice text; /* goes out as it is */
	bool end;          /* ... and CRLF behind it */
	size_t used;       /* octets of the input */
};

/* The next piece, of `room` octets of text at most; there is input left. */
static struct piece cut(struct slice in, size_t room)
{
	struct piece p = {.text = {in.p, in.len < room ? in.len : room}};
	const char *lf = memchr(in.p, '\n', p.text.len);
	if (lf)
		p.text.len = (size_t)(lf - in.p);
	const char *cr = memchr(in.p, '\r', p.text.len);
	if (cr)
		p.text.len = (size_t)(cr - in.p);
	p.used = p.text.len;
	p.end = lf || cr || p.used == in.len;
	if (cr && ++p.used < in.len && in.p[p.used] == '\n')
		p.used++;
	else if (!cr && lf)
		p.used++;
	return p;
}

/* The field, in a header or in that of a part; folded as it may be. Comments count as bad. */
static bool says_binary(struct slice in)
{
	static const char FIELD[] = "Content-Transfer-Encoding:";
	size_t n = sizeof(FIELD) - 1;
	if (in.len < n || !slice_ieqs((struct slice){in.p, n}, FIELD))
		return false;
	while (n < in.len && strchr(" \t\r\n", in.p[n]))
		n++;
	struct slice value = {in.p + n, in.len - n < 6 ? in.len - n : 6};
	return slice_ieqs(value, "binary") || (value.len && *value.p == '(');
}

bool out_text_plain(struct slice in)
{
	if (in.len && memchr(in.p, 0, in.len))
		return false;
	for (size_t at = 0; at < in.len;) {
		struct slice rest = {in.p + at, in.len - at};
		struct piece p = cut(rest, rest.len);
		bool crlf = p.used == p.text.len + 2;
		if (!crlf || p.text.len > LINE_MAX_OCTETS || says_binary(rest))
			return false;
		at += p.used;
	}
	return true;
}

uint64_t out_text_size(struct slice in, bool raw)
{
	uint64_t size = 0;
	if (raw)
		return in.len;
	for (size_t at = 0; at < in.len;) {
		struct piece p = cut((struct slice){in.p + at, in.len - at}, in.len);
		size += p.text.len + (p.end ? 2 : 0);
		at += p.used;
	}
	return size;
}

bool out_text_next(struct out_text *t, struct buf *out, size_t room)
{
	size_t from = out->len;
	while (t->at < t->in.len && out->len - from < room) {
		struct slice in = {t->in.p + t->at, t->in.len - t->at};
		size_t left = room - (out->len - from);
		struct piece p = {{in.p, in.len < left ? in.len : left}, false, 0};
		if (t->raw)
			p.used = p.text.len;
		else
			p = cut(in, left);
		if (t->dots && !t->mid && *in.p == '.')
			buf_addc(out, '.');
		buf_add_slice(out, p.text);
		if (p.end)
			buf_adds(out, "\r\n");
		t->mid = !p.end;
		t->at += p.used;
	}
	return t->at < t->in.len;
}
