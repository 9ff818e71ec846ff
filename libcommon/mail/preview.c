#include "libcommon/mail/preview.h"
#include "libcommon/mail/charset.h"
#include "libcommon/mail/cte.h"
#include "libcommon/mail/word.h"

/* Octets of a body that are looked at: markup may have much in front of its words. */
enum { READ_PLAIN = 2 << 10, READ_HTML = 32 << 10 };

static bool is_text(const struct mime_part *p)
{
	struct slice type, subtype, how;
	struct params params;
	mime_type(p, &type, &subtype);
	if (p->kind != MIME_LEAF || !slice_ieqs(type, "text") ||
	    !(slice_ieqs(subtype, "plain") || slice_ieqs(subtype, "html")))
		return false;
	how = params_begin(&params, mime_get(p, MIME_DISPOSITION));
	return !slice_ieqs(how, "attachment");
}

static const struct mime_part *following(const struct mime_part *p)
{
	if (p->child)
		return p->child;
	while (p && !p->next)
		p = p->parent;
	return p ? p->next : NULL;
}

/* The first text part; of alternatives the plain one. */
static const struct mime_part *choose(const struct mime_part *root)
{
	const struct mime_part *p = root;
	while (p && !is_text(p))
		p = following(p);
	if (p && p->parent && mime_is(p->parent, "multipart", "alternative"))
		for (const struct mime_part *a = p; a; a = a->next)
			if (is_text(a) && mime_is(a, "text", "plain"))
				return a;
	return p;
}

/* Where the words go: white space is one space, none at the start. */
struct sink {
	struct buf *out;
	unsigned chars;
	bool gap;
};

static bool full(const struct sink *k)
{
	return k->chars >= PREVIEW_CHARS;
}

static size_t char_len(char c)
{
	unsigned char u = (unsigned char)c;
	return u < 0x80 ? 1 : u >= 0xF0 ? 4 : u >= 0xE0 ? 3 : 2;
}

/* One character of well-formed UTF-8 at the start of s; returns its octets. */
static size_t emit(struct sink *k, struct slice s)
{
	size_t n = char_len(s.p[0]);
	bool invisible = n == 3 && (memcmp(s.p, "\xE2\x80\x8B", 3) == 0 || /* zero width space */
				    memcmp(s.p, "\xE2\x80\x8C", 3) == 0 || /* ... non-joiner */
				    memcmp(s.p, "\xEF\xBB\xBF", 3) == 0);  /* byte order mark */
	if (invisible || full(k))
		return n;
	if ((unsigned char)s.p[0] <= 32 || s.p[0] == 127 ||
	    (n == 2 && memcmp(s.p, "\xC2\xA0", 2) == 0)) { /* no-break space */
		k->gap = k->chars > 0;
		return n;
	}
	if (k->gap && k->chars + 1 < PREVIEW_CHARS) {
		buf_addc(k->out, ' ');
		k->chars++;
	}
	k->gap = false;
	buf_add(k->out, s.p, n);
	k->chars++;
	return n;
}

static void plain(struct sink *k, struct slice s)
{
	bool start = true, quoted = false;
	while (s.len && !full(k)) {
		if (start)
			quoted = s.p[0] == '>';
		start = s.p[0] == '\n';
		size_t n = quoted && !start ? char_len(s.p[0]) : emit(k, s);
		s = (struct slice){s.p + n, s.len - n};
	}
}

static void drop(struct slice *s, size_t n)
{
	*s = n < s->len ? (struct slice){s->p + n, s->len - n} : (struct slice){s->p + s->len, 0};
}

/* Skips to behind the next `end` (case ignored); to the end of s when there is none. */
static void skip_past(struct slice *s, const char *end)
{
	while (s->len && !slice_istarts(*s, end))
		drop(s, 1);
	drop(s, strlen(end));
}

static void tag(struct sink *k, struct slice *s)
{
	static const char *const hidden[][2] = {{"<style", "</style"},
						{"<script", "</script"},
						{"<head>", "</head"},
						{"<title", "</title"}};
	if (slice_starts(*s, "<!--")) {
		skip_past(s, "-->");
		return;
	}
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (slice_istarts(*s, hidden[i][0]))
			skip_past(s, hidden[i][1]);
	skip_past(s, ">");
	k->gap = k->chars > 0;
}

static void emit_code(struct sink *k, uint32_t c)
{
	char b[4];
	size_t n;
	if (c < 0x80) {
		b[0] = (char)c;
		n = 1;
	} else if (c < 0x800) {
		b[0] = (char)(0xC0 | c >> 6);
		n = 2;
	} else if (c < 0x10000) {
		b[0] = (char)(0xE0 | c >> 12);
		n = 3;
	} else {
		b[0] = (char)(0xF0 | c >> 18);
		n = 4;
	}
	for (size_t i = 1; i < n; i++)
		b[i] = (char)(0x80 | (c >> 6 * (n - 1 - i) & 63));
	if (c && c < 0x110000 && (c < 0xD800 || c > 0xDFFF))
		emit(k, (struct slice){b, n});
}

/* "#65" "#x41" */
static bool numeric(struct sink *k, struct slice name)
{
	uint32_t v = 0;
	bool hex = name.len > 1 && str_lower(name.p[1]) == 'x';
	if (name.len < 2 || name.p[0] != '#')
		return false;
	for (size_t i = hex ? 2 : 1; i < name.len; i++) {
		char c = str_lower(name.p[i]);
		int d = c >= '0' && c <= '9' ? c - '0' : hex && c >= 'a' && c <= 'f' ? c - 87 : -1;
		if (d < 0)
			return false;
		v = v * (hex ? 16 : 10) + (uint32_t)d;
	}
	emit_code(k, v);
	return true;
}

static size_t entity(struct sink *k, struct slice s)
{
	static const struct {
		const char *name;
		uint32_t code;
	} known[] = {{"amp", '&'},    {"lt", '<'},     {"gt", '>'},      {"quot", '"'},
		     {"apos", '\''},  {"nbsp", 0xA0},  {"zwnj", 0},      {"shy", 0},
		     {"ndash", 8211}, {"mdash", 8212}, {"hellip", 8230}, {"rsquo", 8217},
		     {"lsquo", 8216}, {"rdquo", 8221}, {"ldquo", 8220},  {"auml", 228},
		     {"ouml", 246},   {"uuml", 252},   {"szlig", 223},   {"eacute", 233},
		     {"copy", 169},   {"euro", 8364}};
	const char *semi = memchr(s.p, ';', s.len < 10 ? s.len : 10);
	if (!semi)
		return emit(k, s);
	struct slice name = {s.p + 1, (size_t)(semi - s.p - 1)};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_eqs(name, known[i].name)) {
			emit_code(k, known[i].code);
			return name.len + 2;
		}
	return numeric(k, name) ? name.len + 2 : emit(k, s);
}

static void html(struct sink *k, struct slice s)
{
	while (s.len && !full(k)) {
		if (s.p[0] == '<')
			tag(k, &s);
		else
			drop(&s, s.p[0] == '&' ? entity(k, s) : emit(k, s));
	}
}

void preview_make(struct buf *out, struct pool *pool, struct slice text,
		  const struct mime_part *root)
{
	const struct mime_part *p = choose(root);
	if (!p || p->end > text.len)
		return;
	bool markup = !mime_is(p, "text", "plain");
	struct slice body = {text.p + p->body, p->end - p->body}, charset = {"", 0};
	size_t max = markup ? READ_HTML : READ_PLAIN;
	bool cut = body.len > max;
	if (cut)
		body.len = max;
	struct buf raw, utf8;
	buf_init(&raw, 0);
	buf_init(&utf8, 0);
	enum cte cte = cte_kind(mime_get(p, MIME_ENCODING));
	if (cte == CTE_BASE64 || cte == CTE_QUOTED_PRINTABLE) {
		cte_decode(&raw, body, cte);
		body = buf_slice(&raw);
	}
	params_find(pool, mime_get(p, MIME_CONTENT_TYPE), "charset", &charset);
	charset_utf8(&utf8, body, charset);
	body = buf_slice(&utf8);
	/* What was cut inside a character is no part of the text. */
	while (cut && body.len >= 3 && memcmp(body.p + body.len - 3, "\xEF\xBF\xBD", 3) == 0)
		body.len -= 3;
	struct sink sink = {.out = out};
	if (markup)
		html(&sink, body);
	else
		plain(&sink, body);
	buf_free(&raw);
	buf_free(&utf8);
}
