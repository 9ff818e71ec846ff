#include "libcommon/mail/header.h"

void header_begin(struct header_iter *it, struct slice text, size_t max)
{
	*it = (struct header_iter){.text = text, .max = max ? max : HEADER_MAX};
	if (it->max > text.len)
		it->max = text.len;
}

/* Length of the line at pos with its end, within the limit; 0: its end is not within. */
static size_t line_at(const struct header_iter *it, size_t pos)
{
	const char *nl = memchr(it->text.p + pos, '\n', it->max - pos);
	if (nl)
		return (size_t)(nl + 1 - (it->text.p + pos));
	return it->max == it->text.len ? it->max - pos : 0;
}

static void finish(struct header_iter *it, size_t body, bool cut)
{
	it->done = true;
	it->cut = cut;
	it->body = body;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The name before the colon of a field's first line; empty when it is no field. Obsolete blanks
 * before the colon are taken. */
static struct slice field_name(struct slice line, size_t *colon)
{
	const char *at = memchr(line.p, ':', line.len);
	struct slice name = {line.p, at ? (size_t)(at - line.p) : 0};
	*colon = name.len;
	while (name.len && blank(name.p[name.len - 1]))
		name.len--;
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] <= 32 || name.p[i] == 127)
			name.len = 0;
	return name;
}

bool header_next(struct header_iter *it, struct header_field *out)
{
	if (it->done)
		return false;
	size_t start = it->pos, pos = start;
	if (start == it->text.len) {
		finish(it, start, false);
		return false;
	}
	size_t n = start < it->max ? line_at(it, start) : 0;
	const char *p = it->text.p + start;
	if (n && (p[0] == '\n' || (n == 2 && p[0] == '\r' && p[1] == '\n'))) {
		finish(it, start + n, false);
		return false;
	}
	size_t first = n;
	while (n) {
		pos += n;
		if (pos >= it->text.len || (pos < it->max && !blank(it->text.p[pos])))
			break;
		n = pos < it->max ? line_at(it, pos) : 0;
	}
	if (n == 0) {
		finish(it, it->text.len, true);
		return false;
	}
	it->pos = pos;
	*out = (struct header_field){.off = start, .len = pos - start};
	size_t colon, end = pos;
	out->name = field_name((struct slice){p, first}, &colon);
	if (end > start && it->text.p[end - 1] == '\n')
		end--;
	if (end > start && it->text.p[end - 1] == '\r')
		end--;
	size_t from = out->name.len ? start + colon + 1 : start;
	out->raw = (struct slice){it->text.p + from, end > from ? end - from : 0};
	return true;
}

bool header_find(struct slice text, size_t max, const char *name, struct header_field *out)
{
	struct header_iter it;
	header_begin(&it, text, max);
	while (header_next(&it, out))
		if (slice_ieqs(out->name, name))
			return true;
	return false;
}

size_t header_end(struct slice text)
{
	size_t pos = 0;
	while (pos < text.len) {
		const char *nl = memchr(text.p + pos, '\n', text.len - pos);
		if (!nl)
			break;
		size_t n = (size_t)(nl - (text.p + pos));
		bool empty = n == 0 || (n == 1 && text.p[pos] == '\r');
		pos += n + 1;
		if (empty)
			return pos;
	}
	return text.len;
}

size_t header_unfold(char *out, size_t cap, struct slice raw)
{
	size_t n = 0, i = 0;
	while (i < raw.len && (blank(raw.p[i]) || raw.p[i] == '\r' || raw.p[i] == '\n'))
		i++;
	for (; i < raw.len && n < cap; i++) {
		char c = raw.p[i];
		if (c == '\n' || c == 0 || (c == '\r' && i + 1 < raw.len && raw.p[i + 1] == '\n'))
			continue;
		out[n++] = c;
	}
	if (i < raw.len) /* cut: not inside a character */
		for (size_t k = 0; k < 3 && n && ((unsigned char)raw.p[i] & 0xC0) == 0x80; k++) {
			i--;
			n--;
		}
	while (n && (blank(out[n - 1]) || out[n - 1] == '\r'))
		n--;
	return n;
}
