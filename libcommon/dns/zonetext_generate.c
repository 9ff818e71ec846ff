/* $GENERATE FIRST-LAST[/STEP] NAME [TTL] [CLASS] TYPE DATA: the record once for each number, a $ in
 * its words standing for the number, ${OFFSET[,WIDTH[,BASE]]} for it plus OFFSET, padded with zeros
 * to WIDTH, in base d, o, x, X, or n and N: its hex digits from the last to the first with dots
 * between them, as ip6.arpa has them, WIDTH counting the dots, too. $$ and \$ are a dollar. */
#include <stdio.h>
#include "libcommon/dns/zonetext_int.h"

enum { WORDS = 64, NUMBER = 256 /* octets of a number as text */ };

struct range {
	uint32_t first, last, step;
};

/* What stands between ${ and }. */
struct format {
	int64_t offset;
	uint32_t width;
	char base;
};

struct expansion {
	struct zone_reader *r;
	size_t len; /* of r->scratch in use */
	uint32_t n;
	const char *why;
};

static bool range(struct slice text, struct range *out)
{
	struct slice rest = text, last, first = slice_cut(&rest, '-');
	last = slice_cut(&rest, '/');
	out->step = 1;
	if (first.p + first.len == text.p + text.len || (rest.len && !str_u32(rest, &out->step)))
		return false;
	if (!rest.len && text.p[text.len - 1] == '/')
		return false;
	return str_u32(first, &out->first) && str_u32(last, &out->last) && out->step > 0 &&
	       out->first <= out->last && out->last <= INT32_MAX;
}

static bool format(struct slice text, struct format *f)
{
	struct slice rest = text, offset = slice_cut(&rest, ','), width = slice_cut(&rest, ',');
	bool minus = offset.len && *offset.p == '-';
	uint32_t v = 0;
	*f = (struct format){.base = 'd'};
	if (offset.len && (minus || *offset.p == '+')) {
		offset.p++;
		offset.len--;
	}
	if (!str_u32(offset, &v) || v > INT32_MAX)
		return false;
	f->offset = minus ? -(int64_t)v : (int64_t)v;
	if (width.len && (!str_u32(width, &f->width) || f->width >= NUMBER))
		return false;
	if (rest.len > 1 || (rest.len && !strchr("doxXnN", *rest.p)))
		return false;
	if (rest.len)
		f->base = *rest.p;
	return true;
}

static bool put(struct expansion *e, const char *p, size_t n)
{
	if (sizeof(e->r->scratch) - e->len < n) {
		e->why = "the record becomes too long";
		return false;
	}
	memcpy(e->r->scratch + e->len, p, n);
	e->len += n;
	return true;
}

static size_t nibbles(char out[NUMBER], uint64_t v, const struct format *f)
{
	const char *digit = f->base == 'n' ? "0123456789abcdef" : "0123456789ABCDEF";
	size_t n = 0;
	do {
		if (n)
			out[n++] = '.';
		if (n < NUMBER)
			out[n++] = digit[v & 15];
		v >>= 4;
	} while ((v || n < f->width) && n < NUMBER - 1);
	return n;
}

static bool number(struct expansion *e, const struct format *f)
{
	char text[NUMBER + 1];
	int64_t v = (int64_t)e->n + f->offset;
	int n, width = (int)f->width;
	if (v < 0) {
		e->why = "the number becomes negative";
		return false;
	}
	if (f->base == 'n' || f->base == 'N')
		n = (int)nibbles(text, (uint64_t)v, f);
	else if (f->base == 'd')
		n = snprintf(text, sizeof(text), "%0*lld", width, (long long)v);
	else
		n = snprintf(text, sizeof(text),
			     f->base == 'o'   ? "%0*llo"
			     : f->base == 'x' ? "%0*llx"
					      : "%0*llX",
			     width, (unsigned long long)v);
	return put(e, text, (size_t)n);
}

/* What a dollar at *i stands for; moves *i behind it. */
static bool dollar(struct expansion *e, struct slice text, size_t *i)
{
	struct format f = {.base = 'd'};
	size_t at = ++*i;
	if (at < text.len && text.p[at] == '$') {
		++*i;
		return put(e, "\\$", 2);
	}
	if (at < text.len && text.p[at] == '{') {
		const char *end = memchr(text.p + at, '}', text.len - at);
		e->why = "${OFFSET,WIDTH,BASE} is wanted, as in ${0,3,d}; bases are d o x X n N";
		if (!end ||
		    !format((struct slice){text.p + at + 1, (size_t)(end - text.p) - at - 1}, &f))
			return false;
		*i = (size_t)(end - text.p) + 1;
	}
	return number(e, &f);
}

static bool expand(struct expansion *e, const struct dns_word *from, struct dns_word *to)
{
	struct slice text = from->text;
	size_t start = e->len;
	for (size_t i = 0; i < text.len;) {
		if (text.p[i] == '$') {
			if (!dollar(e, text, &i))
				return false;
			continue;
		}
		size_t n = text.p[i] == '\\' && i + 1 < text.len ? 2 : 1;
		if (!put(e, text.p + i, n))
			return false;
		i += n;
	}
	*to = (struct dns_word){{e->r->scratch + start, e->len - start}, from->quoted};
	return true;
}

/* The record for one number; false: a mistake was told. */
static bool one(struct zone_reader *r, const struct dns_word *w, size_t words, uint32_t n)
{
	struct dns_word made[WORDS];
	struct expansion e = {.r = r, .n = n};
	unsigned errors = r->errors;
	r->generated = n;
	for (size_t i = 0; i < words; i++)
		if (!expand(&e, &w[i], &made[i])) {
			zone_error_word(r, &w[i], NULL, e.why);
			return false;
		}
	zone_record(r, made, words, false);
	return r->errors == errors;
}

void zone_generate(struct zone_reader *r)
{
	struct range g;
	if (!range(r->word[1].text, &g)) {
		zone_error_word(r, &r->word[1], NULL, "FIRST-LAST or FIRST-LAST/STEP is wanted");
		return;
	}
	if ((g.last - g.first) / g.step >= ZONETEXT_GENERATE) {
		zone_error_word(r, &r->word[1], NULL, "these are more than a million records");
		return;
	}
	r->generating = true;
	for (uint64_t n = g.first; n <= g.last && !r->stop; n += g.step)
		if (!one(r, r->word + 2, r->words - 2, (uint32_t)n))
			break;
	r->generating = false;
}
