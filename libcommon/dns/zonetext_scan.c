/* Entries and words (RFC 1035 5.1): an entry ends with its line, or with the line of the
 * parenthesis that closes the last one. */
#include "libcommon/base/mem.h"
#include "libcommon/dns/zonetext_int.h"

enum { PLAIN, BLANK, NEWLINE, RETURN, COMMENT, OPEN, CLOSE, QUOTE, ESCAPE, NUL };

static const uint8_t class[256] = {
    [0] = NUL,       [' '] = BLANK, ['\t'] = BLANK, ['\n'] = NEWLINE, ['\r'] = RETURN,
    [';'] = COMMENT, ['('] = OPEN,  [')'] = CLOSE,  ['"'] = QUOTE,    ['\\'] = ESCAPE,
};

struct scan {
	struct zone_reader *r;
	const char *p, *end;
	bool bad; /* a mistake of this entry was told */
};

static void wrong(struct scan *s, const char *at, const char *why)
{
	if (!s->bad)
		zone_error(s->r, at, "%s", why);
	s->bad = true;
}

/* Over a backslash and the character behind it. */
static void escape(struct scan *s)
{
	const char *at = s->p++;
	int c = s->p < s->end ? class[(uint8_t)*s->p] : NEWLINE;
	if (c == NEWLINE || c == RETURN || c == NUL)
		wrong(s, at, "a backslash with nothing behind it");
	else
		s->p++;
}

/* Over what stands in quotes, from behind the first to behind the second. */
static void quoted(struct scan *s)
{
	const char *at = s->p - 1;
	while (s->p < s->end) {
		int c = class[(uint8_t)*s->p];
		if (c == ESCAPE) {
			escape(s);
			continue;
		}
		if (c == NEWLINE)
			break;
		if (c == NUL || (c == RETURN && s->end - s->p > 1 && s->p[1] != '\n'))
			wrong(s, s->p, "a control character in quotes: write it as \\DDD");
		s->p++;
		if (c == QUOTE)
			return;
	}
	wrong(s, at, "the quote is not closed in its line");
}

/* Room for as many words as a record ever had, doubled now and then. */
static bool has_room(struct zone_reader *r)
{
	enum { FIRST = 64 };
	if (r->words < r->room)
		return true;
	if (r->room == ZONETEXT_WORDS)
		return false;
	r->room = r->room ? 2 * r->room : FIRST;
	r->word = mem_realloc(r->word, r->room * sizeof(*r->word));
	return true;
}

static void add(struct scan *s, const char *p, const char *end, bool in_quotes)
{
	struct zone_reader *r = s->r;
	if (end - p > ZONETEXT_WORD)
		wrong(s, p, "the word is too long");
	else if (!has_room(r))
		wrong(s, p, "the record has too many words");
	else
		r->word[r->words++] =
		    (struct dns_word){.text = {p, (size_t)(end - p)}, .quoted = in_quotes};
}

static void word(struct scan *s)
{
	const char *start = s->p;
	for (;;) {
		while (s->p < s->end && class[(uint8_t)*s->p] == PLAIN)
			s->p++;
		int c = s->p < s->end ? class[(uint8_t)*s->p] : NEWLINE;
		if (c == ESCAPE) {
			escape(s);
		} else if (c == QUOTE) {
			s->p++;
			quoted(s);
		} else {
			break;
		}
	}
	add(s, start, s->p, false);
}

static void quoted_word(struct scan *s)
{
	const char *start = ++s->p;
	quoted(s);
	add(s, start, s->p - 1, true);
}

/* Reads to the end of the entry. */
static void entry(struct scan *s)
{
	struct zone_text *t = s->r->text;
	const char *open = NULL;
	unsigned depth = 0;
	while (s->p < s->end) {
		const char *next;
		switch (class[(uint8_t)*s->p]) {
		case BLANK:
			s->p++;
			break;
		case NEWLINE:
			s->p++;
			t->line++;
			if (!depth)
				return;
			break;
		case RETURN:
			if (s->end - s->p > 1 && s->p[1] != '\n')
				wrong(s, s->p, "a carriage return inside of a line");
			s->p++;
			break;
		case COMMENT:
			next = memchr(s->p, '\n', (size_t)(s->end - s->p));
			s->p = next ? next : s->end;
			break;
		case OPEN:
			open = s->p++;
			depth++;
			break;
		case CLOSE:
			if (!depth)
				wrong(s, s->p, "there is no open parenthesis to close");
			depth -= depth > 0;
			s->p++;
			break;
		case NUL:
			wrong(s, s->p, "a NUL octet: this is no text");
			s->p++;
			break;
		case QUOTE:
			quoted_word(s);
			break;
		default:
			word(s);
		}
	}
	if (depth)
		wrong(s, open, "the parenthesis is never closed");
}

bool zone_scan(struct zone_reader *r)
{
	struct zone_text *t = r->text;
	while (t->p < t->end && !r->stop) {
		struct scan s = {.r = r, .p = t->p, .end = t->end};
		r->entry = t->p;
		r->line = t->line;
		r->blank = *t->p == ' ' || *t->p == '\t';
		r->words = 0;
		entry(&s);
		t->p = s.p;
		if (r->words && !s.bad)
			return true;
	}
	return false;
}
