#include "libcommon/mail/word.h"
#include "libcommon/mail/charset.h"
#include "libcommon/mail/cte.h"

enum { CHARSET_MAX = 64, SECTIONS_MAX = 64, VALUE_MAX = 16 << 10 };

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* --- encoded words --- */

struct word {
	struct slice charset, text;
	char encoding; /* 'q' or 'b' */
	size_t len;    /* of the whole =?...?= */
};

static bool word_at(struct slice in, struct word *w)
{
	if (in.len < 8 || in.p[0] != '=' || in.p[1] != '?')
		return false;
	size_t max = in.len < CHARSET_MAX ? in.len : CHARSET_MAX;
	const char *q = memchr(in.p + 2, '?', max - 2);
	if (!q || q == in.p + 2 || q + 3 >= in.p + in.len || q[2] != '?')
		return false;
	w->encoding = str_lower(q[1]);
	if (w->encoding != 'q' && w->encoding != 'b')
		return false;
	w->charset = (struct slice){in.p + 2, (size_t)(q - in.p - 2)};
	const char *star = memchr(w->charset.p, '*', w->charset.len);
	if (star) /* a language follows (RFC 2231 section 5) */
		w->charset.len = (size_t)(star - w->charset.p);
	const char *text = q + 3, *end = in.p + in.len;
	for (const char *p = text; p + 1 < end; p++) {
		if (p[0] == '?' && p[1] == '=') {
			w->text = (struct slice){text, (size_t)(p - text)};
			w->len = (size_t)(p + 2 - in.p);
			return true;
		}
		if (*p == '\n' || *p == '?' || (w->encoding == 'b' && blank(*p)))
			return false;
	}
	return false;
}

/* Bytes of neighbouring words in one charset, converted together: some mailers cut inside a
 * character. */
struct run {
	struct buf bytes;
	struct slice charset;
};

static bool run_flush(struct run *r, struct buf *out)
{
	size_t start = out->len;
	bool ok = charset_utf8(out, buf_slice(&r->bytes), r->charset);
	buf_clear(&r->bytes);
	r->charset.len = 0;
	for (size_t i = start; i < out->len; i++)
		if ((unsigned char)out->p[i] < 32 || out->p[i] == 127)
			out->p[i] = ' ';
	return ok;
}

/* Plain text: 8-bit octets by guess, control characters as spaces. */
static bool add_plain(struct buf *out, struct slice s)
{
	size_t start = out->len;
	if (!charset_utf8(out, s, SLICE("")))
		return false;
	size_t n = start;
	for (size_t i = start; i < out->len; i++) {
		char c = out->p[i];
		if (c == '\r' || c == '\n')
			continue;
		out->p[n++] = (unsigned char)c < 32 || c == 127 ? ' ' : c;
	}
	out->len = n;
	return true;
}

bool word_decode(struct buf *out, struct slice in)
{
	struct run run = {.charset = {"", 0}};
	bool ok = true, open = false; /* open: a word ended just before `plain` */
	size_t i = 0, plain = 0;      /* plain: start of text not yet written */
	while (ok && i < in.len) {
		struct word w;
		const char *eq = memchr(in.p + i, '=', in.len - i);
		if (!eq)
			break;
		i = (size_t)(eq - in.p);
		if (!word_at((struct slice){eq, in.len - i}, &w)) {
			i++;
			continue;
		}
		struct slice between = {in.p + plain, i - plain};
		bool only_blank = open;
		for (size_t k = 0; k < between.len && only_blank; k++)
			only_blank = blank(between.p[k]);
		if (!only_blank || !slice_ieq(run.charset, w.charset))
			ok = run_flush(&run, out);
		if (ok && !only_blank)
			ok = add_plain(out, between);
		run.charset = w.charset;
		ok = ok && (w.encoding == 'q' ? cte_decode_q(&run.bytes, w.text)
					      : cte_decode(&run.bytes, w.text, CTE_BASE64));
		i += w.len;
		plain = i;
		open = true;
	}
	ok = ok && run_flush(&run, out) &&
	     add_plain(out, (struct slice){in.p + plain, in.len - plain});
	buf_free(&run.bytes);
	return ok;
}

/* --- parameters --- */

/* Skips blanks and comments. */
static void skip(struct slice *s)
{
	size_t i = 0;
	unsigned depth = 0;
	for (; i < s->len; i++) {
		char c = s->p[i];
		if (c == '(')
			depth++;
		else if (depth && c == ')')
			depth--;
		else if (depth && c == '\\')
			i++;
		else if (!depth && !blank(c))
			break;
	}
	if (i > s->len)
		i = s->len;
	*s = (struct slice){s->p + i, s->len - i};
}

/* Cuts up to one of the stop characters, blanks or a comment off s. */
static struct slice token(struct slice *s, const char *stop)
{
	size_t n = 0;
	while (n < s->len && !blank(s->p[n]) && (!s->p[n] || !strchr(stop, s->p[n])))
		n++;
	struct slice out = {s->p, n};
	*s = (struct slice){s->p + n, s->len - n};
	return out;
}

/* Drops up to the next semicolon that is not quoted. */
static void skip_rest(struct slice *s)
{
	size_t i = 0;
	bool quoted = false;
	for (; i < s->len && (quoted || s->p[i] != ';'); i++) {
		if (s->p[i] == '"')
			quoted = !quoted;
		else if (quoted && s->p[i] == '\\' && i + 1 < s->len)
			i++;
	}
	*s = (struct slice){s->p + i, s->len - i};
}

struct slice params_begin(struct params *p, struct slice raw)
{
	skip(&raw);
	struct slice v = token(&raw, ";(");
	*p = (struct params){.rest = raw};
	return v;
}

/* A quoted string from its opening quote: the contents. One that never ends goes to the end. */
static struct slice quoted(struct slice *s)
{
	size_t i = 1;
	while (i < s->len && s->p[i] != '"')
		i += s->p[i] == '\\' && i + 1 < s->len ? 2 : 1;
	struct slice out = {s->p + 1, i - 1};
	if (i < s->len)
		i++;
	*s = (struct slice){s->p + i, s->len - i};
	return out;
}

bool params_next(struct params *p, struct slice *name, struct slice *value)
{
	struct slice s = p->rest;
	if (!p->begun)
		skip_rest(&s);
	p->begun = true;
	while (s.len) {
		if (s.p[0] == ';') {
			s.p++;
			s.len--;
			continue;
		}
		skip(&s);
		*name = token(&s, ";=(\"");
		skip(&s);
		if (name->len && s.len && s.p[0] == '=') {
			s.p++;
			s.len--;
			skip(&s);
			*value = s.len && s.p[0] == '"' ? quoted(&s) : token(&s, ";(\"");
			/* An unquoted value with blanks: take it all, as its writer meant. */
			const char *end = value->p + value->len;
			if (s.len && s.p == end && blank(s.p[0])) {
				struct slice more = s;
				skip(&more);
				if (more.len && more.p[0] != ';' &&
				    !memchr(s.p, '(', (size_t)(more.p - s.p))) {
					skip_rest(&s);
					value->len = (size_t)(s.p - value->p);
					while (value->len && blank(value->p[value->len - 1]))
						value->len--;
				}
			}
			skip_rest(&s);
			p->rest = s;
			return true;
		}
		skip_rest(&s);
	}
	p->rest = s;
	return false;
}

struct slice params_clean(struct pool *pool, struct slice value)
{
	size_t i = 0, n = 0;
	while (i < value.len && value.p[i] != '\\' && value.p[i] != '\r' && value.p[i] != '\n')
		i++;
	if (i == value.len)
		return value;
	char *out = pool_alloc(pool, value.len);
	for (i = 0; i < value.len; i++) {
		if (value.p[i] == '\r' || value.p[i] == '\n')
			continue;
		if (value.p[i] == '\\' && i + 1 < value.len)
			i++;
		out[n++] = value.p[i];
	}
	return (struct slice){out, n};
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = str_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool add_percent(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		int hi = s.p[i] == '%' && s.len - i > 2 ? hex_value(s.p[i + 1]) : -1;
		int lo = hi < 0 ? -1 : hex_value(s.p[i + 2]);
		if (!buf_addc(out, lo < 0 ? s.p[i] : (char)(hi << 4 | lo)))
			return false;
		if (lo >= 0)
			i += 2;
	}
	return true;
}

/* The pieces name*0, name*1* ... of one parameter. */
struct sections {
	struct slice text[SECTIONS_MAX];
	bool encoded[SECTIONS_MAX];
	unsigned n; /* one past the highest number */
};

/* "*", "*0", "*1*" after a parameter's name: where it goes. */
static void section_add(struct sections *s, struct slice suffix, struct slice value)
{
	bool encoded = suffix.p[suffix.len - 1] == '*';
	uint32_t n = 0;
	struct slice digits = {suffix.p + 1, suffix.len - 1};
	if (encoded && digits.len)
		digits.len--;
	if (digits.len && !str_u32(digits, &n))
		return;
	if (n >= SECTIONS_MAX || s->text[n].p)
		return;
	s->text[n] = value;
	s->encoded[n] = encoded;
	if (n >= s->n)
		s->n = n + 1;
}

static struct slice sections_join(struct pool *pool, const struct sections *s)
{
	struct buf bytes, out;
	struct slice charset = {"", 0};
	buf_init(&bytes, VALUE_MAX);
	buf_init(&out, 0);
	for (unsigned i = 0; i < s->n && s->text[i].p; i++) {
		struct slice t = params_clean(pool, s->text[i]);
		if (i == 0 && s->encoded[0] && t.len) {
			const char *a = memchr(t.p, '\'', t.len);
			const char *b =
			    a ? memchr(a + 1, '\'', (size_t)(t.p + t.len - a - 1)) : NULL;
			if (b) {
				charset = (struct slice){t.p, (size_t)(a - t.p)};
				t = (struct slice){b + 1, (size_t)(t.p + t.len - b - 1)};
			}
		}
		if (!(s->encoded[i] ? add_percent(&bytes, t) : buf_add_slice(&bytes, t)))
			break;
	}
	charset_utf8(&out, buf_slice(&bytes), charset);
	struct slice r = {pool_strndup(pool, buf_slice(&out).p, out.len), out.len};
	buf_free(&bytes);
	buf_free(&out);
	return r;
}

static struct slice plain_value(struct pool *pool, struct slice value)
{
	struct slice v = params_clean(pool, value);
	if (str_ascii(v) && !(v.len > 7 && memmem(v.p, v.len, "=?", 2)))
		return v;
	struct buf out;
	buf_init(&out, VALUE_MAX);
	word_decode(&out, v);
	v = (struct slice){pool_strndup(pool, buf_slice(&out).p, out.len), out.len};
	buf_free(&out);
	return v;
}

bool params_find(struct pool *pool, struct slice raw, const char *name, struct slice *out)
{
	struct params p;
	struct slice n, v, plain = {NULL, 0};
	struct sections sections = {.n = 0};
	size_t len = strlen(name);
	params_begin(&p, raw);
	while (params_next(&p, &n, &v)) {
		if (!slice_istarts(n, name))
			continue;
		if (n.len == len && !plain.p)
			plain = v;
		else if (n.len > len && n.p[len] == '*')
			section_add(&sections, (struct slice){n.p + len, n.len - len}, v);
	}
	if (sections.n && sections.text[0].p)
		*out = sections_join(pool, &sections);
	else if (plain.p)
		*out = plain_value(pool, plain);
	else
		return false;
	return true;
}
