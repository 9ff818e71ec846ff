#include "libcommon/mail/addrlist.h"

/* A list is cut into entries at the commas (and semicolons) that stand outside of quotes,
 * comments and angle brackets. An entry is a few pieces: with an angle bracket the words before
 * it are the name; without one all of it is the address and a comment is the name. */

/* What an entry is made of, gathered in one pass over its pieces. */
struct entry {
	char *text;      /* words before the angle bracket, one space between them */
	size_t len, at;  /* at: 1 + position of the last @ outside of quotes, 0: none */
	bool gap;        /* blanks came since the last word */
	bool open_quote; /* a quote that never ends was seen: no later one ends either */
	struct slice comment, angle;
	bool has_angle;
};

struct list {
	struct pool *pool;
	struct addrlist *first, **last;
	unsigned n;
	bool cut;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void advance(struct slice *s, size_t n)
{
	*s = (struct slice){s->p + n, s->len - n};
}

/* Length of a comment from its ( on; one that never ends goes to the end. */
static size_t comment_len(struct slice s)
{
	unsigned depth = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\\' && i + 1 < s.len)
			i++;
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return s.len;
}

/* Length of a quoted string with both quotes; 0: it never ends (the quote is then a letter). */
static size_t quoted_len(struct slice s)
{
	for (size_t i = 1; i < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return 0;
}

/* Length of an encoded word, in which commas and parentheses are no separators; 0: none. */
static size_t word_len(struct slice s)
{
	unsigned marks = 0;
	if (s.len < 8 || s.p[1] != '?')
		return 0;
	for (size_t i = 2; i < s.len && i < 998 && !blank(s.p[i]); i++)
		if (s.p[i] == '?' && ++marks > 2)
			return i + 1 < s.len && s.p[i + 1] == '=' ? i + 2 : 0;
	return 0;
}

/* Copies without escapes and line ends. */
static size_t clean(char *out, struct slice s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\r' || s.p[i] == '\n')
			continue;
		if (s.p[i] == '\\' && i + 1 < s.len)
			i++;
		out[n++] = s.p[i];
	}
	return n;
}

static struct slice cleaned(struct pool *pool, struct slice s)
{
	char *out = pool_alloc(pool, s.len + 1);
	return (struct slice){out, clean(out, s)};
}

static struct slice trim(struct slice s)
{
	while (s.len && blank(s.p[0]))
		advance(&s, 1);
	while (s.len && blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

static struct addrlist *add(struct list *l, enum addrlist_kind kind)
{
	static const struct slice none = {"", 0};
	if (l->n >= ADDRLIST_MAX) {
		l->cut = true;
		return NULL;
	}
	struct addrlist *a = pool_alloc(l->pool, sizeof(*a));
	*a = (struct addrlist){.kind = kind, none, none, none, none};
	a->name = a->route = a->local = a->domain = none;
	l->n++;
	*l->last = a;
	l->last = &a->next;
	return a;
}

/* "@a,@b:local@domain" -> route, local, domain. The text is clean; at: as in struct entry. */
static void split(struct addrlist *a, struct slice s, size_t at)
{
	if (s.len && s.p[0] == '@') {
		const char *colon = memchr(s.p, ':', s.len);
		if (colon) {
			size_t n = (size_t)(colon - s.p);
			a->route = (struct slice){s.p, n};
			advance(&s, n + 1);
			at = at > n + 1 ? at - n - 1 : 0;
		}
	}
	if (at && at <= s.len) {
		a->local = (struct slice){s.p, at - 1};
		a->domain = (struct slice){s.p + at, s.len - at};
	} else {
		a->local = s;
	}
}

static void put(struct entry *e, struct slice s, bool address, bool quoted)
{
	/* Blanks part words, but around @ and dots they mean nothing. */
	bool joint = address && e->len &&
		     (s.p[0] == '@' || s.p[0] == '.' || e->text[e->len - 1] == '@' ||
		      e->text[e->len - 1] == '.');
	if (e->gap && e->len && !joint)
		e->text[e->len++] = ' ';
	e->gap = false;
	if (quoted) {
		e->len += clean(e->text + e->len, s);
		return;
	}
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '@')
			e->at = e->len + 1;
		e->text[e->len++] = s.p[i];
	}
}

static size_t take_comment(struct entry *e, struct slice s)
{
	size_t n = comment_len(s);
	e->comment = (struct slice){s.p + 1, n - 1};
	if (e->comment.len && s.p[n - 1] == ')')
		e->comment.len--;
	e->gap = true;
	return n;
}

static size_t take_angle(struct entry *e, struct slice s)
{
	const char *end = memchr(s.p, '>', s.len);
	size_t n = end ? (size_t)(end - s.p) : s.len;
	e->angle = (struct slice){s.p + 1, n - 1};
	while (e->angle.len && e->angle.p[0] == '<')
		advance(&e->angle, 1);
	e->has_angle = true;
	return n;
}

/* A run of letters, or an encoded word. */
static size_t take_atom(struct entry *e, struct slice s, bool address)
{
	size_t n = s.p[0] == '=' ? word_len(s) : 0;
	if (n == 0)
		n = 1;
	while (n < s.len && !blank(s.p[n]) && !strchr("(\"<=", s.p[n]))
		n++;
	if (!e->has_angle)
		put(e, (struct slice){s.p, n}, address, false);
	return n;
}

/* Pieces of an entry; address: it has no name and angle brackets mean nothing. What follows an
 * angle bracket counts only when it is a comment or another bracket. */
static struct entry gather(struct pool *pool, struct slice s, bool address)
{
	struct entry e = {.text = pool_alloc(pool, s.len + 1)};
	while (s.len) {
		char c = s.p[0];
		size_t n = 1, q = c == '"' && !e.open_quote ? quoted_len(s) : 0;
		if (blank(c)) {
			e.gap = true;
		} else if (c == '(') {
			n = take_comment(&e, s);
		} else if (q) {
			n = q;
			if (!e.has_angle)
				put(&e, (struct slice){s.p + 1, n - 2}, address, true);
		} else if (c == '<' && !address) {
			n = take_angle(&e, s);
		} else {
			e.open_quote = e.open_quote || c == '"';
			n = take_atom(&e, s, address);
		}
		advance(&s, n);
	}
	return e;
}

/* An angle bracket's contents, or an entry without one: an address. */
static void take_address(struct list *l, struct addrlist *a, struct slice s)
{
	struct entry e = gather(l->pool, s, true);
	split(a, (struct slice){e.text, e.len}, e.at);
	if (a->name.len == 0 && e.comment.p)
		a->name = cleaned(l->pool, trim(e.comment));
}

static void take_entry(struct list *l, struct slice s)
{
	s = trim(s);
	if (s.len == 0)
		return;
	struct addrlist *a;
	if (!memchr(s.p, '<', s.len)) {
		if ((a = add(l, ADDRLIST_MAILBOX)) != NULL)
			take_address(l, a, s);
		return;
	}
	struct entry e = gather(l->pool, s, false);
	if ((a = add(l, ADDRLIST_MAILBOX)) == NULL)
		return;
	if (!e.has_angle) { /* the < stood in quotes or a comment */
		take_address(l, a, s);
		return;
	}
	a->name = (struct slice){e.text, e.len};
	if (e.len == 0 && e.comment.p)
		a->name = cleaned(l->pool, trim(e.comment));
	take_address(l, a, e.angle);
}

/* Where the list is being read. */
struct scan {
	struct slice rest;
	bool in_group;
	bool no_quote, no_angle; /* no quote / bracket that follows has an end: each end is
				  * looked for once only */
};

/* Length of the quoted string at `here`; 1 when it never ends. */
static size_t quote_or_one(struct scan *sc, struct slice here)
{
	size_t n = sc->no_quote ? 0 : quoted_len(here);
	sc->no_quote = n == 0;
	return n ? n : 1;
}

/* Length of the next entry: up to a separator, the end, or a group's colon. */
static size_t entry_len(struct scan *sc, char *stop)
{
	size_t i = 0, n;
	bool angle = false;
	*stop = 0;
	while (i < sc->rest.len) {
		struct slice here = {sc->rest.p + i, sc->rest.len - i};
		char c = here.p[0];
		n = 1;
		if (c == '(') {
			n = comment_len(here);
		} else if (c == '"') {
			n = quote_or_one(sc, here);
		} else if (c == '=' && !angle) {
			n = word_len(here);
		} else if (c == '<' && !angle && !sc->no_angle) {
			angle = memchr(here.p, '>', here.len) != NULL;
			sc->no_angle = !angle;
		} else if (c == '>') {
			angle = false;
		} else if (!angle && (c == ',' || c == ';' || (c == ':' && !sc->in_group))) {
			*stop = c;
			return i;
		}
		i += n ? n : 1;
	}
	return sc->rest.len;
}

struct addrlist *addrlist_parse(struct pool *pool, struct slice raw, bool *cut)
{
	struct list l = {.pool = pool};
	struct scan sc = {.rest = raw};
	l.last = &l.first;
	while (sc.rest.len && !l.cut) {
		char stop;
		size_t n = entry_len(&sc, &stop);
		struct slice entry = {sc.rest.p, n};
		if (stop == ':') {
			struct addrlist *g = add(&l, ADDRLIST_GROUP);
			if (g) {
				struct entry e = gather(pool, trim(entry), false);
				g->name = (struct slice){e.text, e.len};
			}
			sc.in_group = true;
		} else {
			take_entry(&l, entry);
			if (stop == ';' && sc.in_group) {
				add(&l, ADDRLIST_END);
				sc.in_group = false;
			}
		}
		advance(&sc.rest, n < sc.rest.len ? n + 1 : n);
	}
	if (sc.in_group)
		add(&l, ADDRLIST_END);
	if (cut)
		*cut = l.cut;
	return l.first;
}
