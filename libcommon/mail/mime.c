#include "libcommon/mail/mime.h"
#include "libcommon/mail/cte.h"
#include "libcommon/mail/word.h"

/* The text is read line by line. A line that starts with "--" is held against the boundaries of
 * the open multiparts, innermost first; what matches closes everything inside. All other lines
 * belong to the header or the body of the innermost open part. */

enum { BOUNDARY_MAX = 200 };

struct level {
	struct mime_part *part;
	struct slice boundary;
};

struct parser {
	struct pool *pool;
	struct mime *out;
	struct slice text;
	size_t pos;            /* start of the line that is read */
	uint64_t newlines;     /* before pos */
	struct mime_part *cur; /* innermost open part */
	bool in_header;
	size_t header_left;       /* of MIME_HEADERS */
	struct mime_field **last; /* where cur's next field goes */
	struct mime_field *open;  /* field that the next fold continues, NULL: none kept */
	unsigned fields;          /* kept of cur */
	uint32_t seen;            /* bits of mime_id */
	struct level level[MIME_DEPTH];
	unsigned depth;
};

static const char *const names[MIME_ID_COUNT] = {
    [MIME_NONE] = "",
    [MIME_CONTENT_TYPE] = "content-type",
    [MIME_ENCODING] = "content-transfer-encoding",
    [MIME_DISPOSITION] = "content-disposition",
    [MIME_CONTENT_ID] = "content-id",
    [MIME_DESCRIPTION] = "content-description",
    [MIME_LANGUAGE] = "content-language",
    [MIME_LOCATION] = "content-location",
    [MIME_MD5] = "content-md5",
    [MIME_DATE] = "date",
    [MIME_SUBJECT] = "subject",
    [MIME_FROM] = "from",
    [MIME_SENDER] = "sender",
    [MIME_REPLY_TO] = "reply-to",
    [MIME_TO] = "to",
    [MIME_CC] = "cc",
    [MIME_BCC] = "bcc",
    [MIME_IN_REPLY_TO] = "in-reply-to",
    [MIME_MESSAGE_ID] = "message-id",
    [MIME_REFERENCES] = "references",
};

bool mime_is_list(enum mime_id id)
{
	return id == MIME_FROM || (id >= MIME_REPLY_TO && id <= MIME_BCC);
}

static enum mime_id id_of(struct slice name, bool message)
{
	static const unsigned char length[MIME_ID_COUNT] = {0, 12, 25, 19, 10, 19, 16, 16, 11, 4,
							    7, 4,  6,  8,  2,  2,  3,  11, 10, 10};
	unsigned end = message ? MIME_ID_COUNT : MIME_DATE;
	if (name.len > 25)
		return MIME_NONE;
	for (unsigned i = MIME_CONTENT_TYPE; i < end; i++)
		if (length[i] == name.len && slice_ieqs(name, names[i]))
			return (enum mime_id)i;
	return MIME_NONE;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Octets of a line's end. */
static size_t eol_len(struct slice line)
{
	if (line.len == 0 || line.p[line.len - 1] != '\n')
		return 0;
	return line.len > 1 && line.p[line.len - 2] == '\r' ? 2 : 1;
}

static struct mime_part *new_part(struct parser *ps, struct mime_part *parent, bool message)
{
	struct mime_part *p = pool_alloc(ps->pool, sizeof(*p));
	p->parent = parent;
	p->is_message = message;
	p->head = p->body = ps->pos;
	p->depth = parent ? parent->depth + 1 : 0;
	ps->out->parts++;
	ps->cur = p;
	ps->in_header = true;
	ps->last = &p->field;
	ps->open = NULL;
	ps->fields = 0;
	ps->seen = 0;
	return p;
}

/* newlines: before the body. */
static void start_body(struct parser *ps, size_t at, uint64_t newlines)
{
	ps->cur->body = at;
	ps->cur->lines = newlines; /* until close_part */
	ps->in_header = false;
}

static void open_multipart(struct parser *ps, struct mime_part *p, struct slice type)
{
	struct slice boundary;
	if (ps->depth >= MIME_DEPTH || p->depth >= MIME_DEPTH) {
		ps->out->cut = true;
		return;
	}
	if (!params_find(ps->pool, type, "boundary", &boundary) || boundary.len == 0 ||
	    boundary.len > BOUNDARY_MAX)
		return;
	while (boundary.len && blank(boundary.p[boundary.len - 1]))
		boundary.len--;
	p->kind = MIME_MULTIPART;
	ps->level[ps->depth++] = (struct level){p, boundary};
}

/* The empty line after a header: what kind of part is it? */
static void end_header(struct parser *ps, size_t body)
{
	struct mime_part *p = ps->cur;
	struct slice type, subtype;
	start_body(ps, body, ps->newlines + 1);
	mime_type(p, &type, &subtype);
	if (slice_ieqs(type, "multipart")) {
		open_multipart(ps, p, mime_get(p, MIME_CONTENT_TYPE));
	} else if (slice_ieqs(type, "message") &&
		   (slice_ieqs(subtype, "rfc822") || slice_ieqs(subtype, "global")) &&
		   cte_kind(mime_get(p, MIME_ENCODING)) == CTE_IDENTITY) {
		if (p->depth >= MIME_DEPTH || ps->out->parts >= MIME_PARTS) {
			ps->out->cut = true;
			return;
		}
		p->kind = MIME_MESSAGE;
		ps->pos = body;
		p->child = new_part(ps, p, true);
	}
}

/* A field's first line. */
static void keep_field(struct parser *ps, struct slice line)
{
	const char *colon = memchr(line.p, ':', line.len < 64 ? line.len : 64);
	ps->open = NULL;
	if (!colon)
		return;
	struct slice name = {line.p, (size_t)(colon - line.p)};
	while (name.len && blank(name.p[name.len - 1]))
		name.len--;
	enum mime_id id = id_of(name, ps->cur->is_message);
	if (id == MIME_NONE || (ps->seen >> id & 1 && !mime_is_list(id)))
		return;
	if (ps->fields >= MIME_PART_FIELDS) {
		ps->out->cut = true;
		return;
	}
	struct mime_field *f = pool_alloc(ps->pool, sizeof(*f));
	f->id = id;
	f->raw = (struct slice){colon + 1, (size_t)(line.p + line.len - colon - 1)};
	*ps->last = f;
	ps->last = &f->next;
	ps->open = f;
	ps->fields++;
	ps->seen |= 1u << id;
}

static void header_line(struct parser *ps, struct slice line)
{
	size_t eol = eol_len(line);
	if (line.len == eol && eol) {
		end_header(ps, ps->pos + line.len);
		return;
	}
	if (line.len > ps->header_left) {
		ps->header_left = 0;
		ps->open = NULL;
		ps->out->cut = true;
		return;
	}
	ps->header_left -= line.len;
	line.len -= eol;
	if (!blank(line.p[0]))
		keep_field(ps, line);
	else if (ps->open)
		ps->open->raw.len = (size_t)(line.p + line.len - ps->open->raw.p);
}

static void close_part(struct parser *ps, size_t end, uint64_t newlines)
{
	struct mime_part *p = ps->cur;
	if (ps->in_header) /* never ended: no body */
		start_body(ps, end, newlines);
	p->end = end > p->body ? end : p->body;
	p->lines = newlines > p->lines ? newlines - p->lines : 0;
	if (p->end > p->body && ps->text.p[p->end - 1] != '\n')
		p->lines++;
	ps->in_header = false;
	ps->cur = p->parent;
}

/* Which open multipart the line delimits: its level + 1, 0 none. *last: its end. */
static unsigned match(const struct parser *ps, struct slice line, bool *last)
{
	line.len -= eol_len(line);
	for (unsigned i = ps->depth; i > 0; i--) {
		struct slice b = ps->level[i - 1].boundary;
		if (line.len < b.len + 2 || memcmp(line.p + 2, b.p, b.len) != 0)
			continue;
		struct slice rest = {line.p + 2 + b.len, line.len - 2 - b.len};
		*last = rest.len >= 2 && rest.p[0] == '-' && rest.p[1] == '-';
		if (*last)
			rest = (struct slice){rest.p + 2, rest.len - 2};
		if (slice_trim(rest).len == 0)
			return i;
	}
	return 0;
}

/* A delimiter of level i: closes what is open inside and starts the next part. */
static void delimiter(struct parser *ps, unsigned i, bool last, size_t line_len)
{
	struct mime_part *multi = ps->level[i].part, *prev = NULL;
	size_t end = ps->pos;
	uint64_t newlines = ps->newlines;
	if (!ps->in_header && end > ps->cur->body && ps->text.p[end - 1] == '\n') {
		end--;
		newlines--;
		if (end > ps->cur->body && ps->text.p[end - 1] == '\r')
			end--;
	}
	while (ps->cur != multi) {
		prev = ps->cur;
		close_part(ps, end, newlines);
	}
	ps->depth = last ? i : i + 1;
	if (last)
		return;
	if (ps->out->parts >= MIME_PARTS) {
		ps->out->cut = true;
		return;
	}
	ps->pos += line_len; /* where the part's header starts */
	struct mime_part *p = new_part(ps, multi, false);
	p->digest_child = mime_is(multi, "multipart", "digest");
	*(prev ? &prev->next : &multi->child) = p;
}

void mime_parse(struct pool *pool, struct slice text, struct mime *out)
{
	struct parser ps = {.pool = pool, .out = out, .text = text, .header_left = MIME_HEADERS};
	*out = (struct mime){.root = NULL};
	out->root = new_part(&ps, NULL, true);
	while (ps.pos < text.len) {
		const char *p = text.p + ps.pos;
		const char *nl = memchr(p, '\n', text.len - ps.pos);
		struct slice line = {p, nl ? (size_t)(nl + 1 - p) : text.len - ps.pos};
		bool last = false;
		unsigned hit = 0;
		size_t next = ps.pos + line.len;
		if (ps.depth && line.len > 2 && p[0] == '-' && p[1] == '-')
			hit = match(&ps, line, &last);
		if (hit)
			delimiter(&ps, hit - 1, last, line.len);
		else if (ps.in_header)
			header_line(&ps, line);
		ps.pos = next;
		ps.newlines += nl != NULL;
	}
	while (ps.cur)
		close_part(&ps, text.len, ps.newlines);
}

struct slice mime_get(const struct mime_part *p, enum mime_id id)
{
	for (const struct mime_field *f = p ? p->field : NULL; f; f = f->next)
		if (f->id == id)
			return f->raw;
	return (struct slice){"", 0};
}

void mime_type(const struct mime_part *p, struct slice *type, struct slice *subtype)
{
	struct params params;
	struct slice v = params_begin(&params, mime_get(p, MIME_CONTENT_TYPE));
	*type = slice_trim(slice_cut(&v, '/'));
	*subtype = slice_trim(v);
	if (type->len && subtype->len)
		return;
	*type = p && p->digest_child ? SLICE("message") : SLICE("text");
	*subtype = p && p->digest_child ? SLICE("rfc822") : SLICE("plain");
}

bool mime_is(const struct mime_part *p, const char *type, const char *subtype)
{
	struct slice t, s;
	mime_type(p, &t, &s);
	return slice_ieqs(t, type) && slice_ieqs(s, subtype);
}
