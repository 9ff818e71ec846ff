#include "libcommon/base/conf_tree.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libcommon/base/mem.h"

enum { FILE_MAX = 1 << 20, DEPTH_MAX = 16, WORDS_MAX = 256 };

struct reader {
	struct pool *pool;
	struct conf_errors *e;
	const char *name;
	const char *folder;
	const char *p, *end;
	const char *line_start;
	unsigned line;
	unsigned includes; /* depth of files */
};

enum token { TOKEN_WORD, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_LINE, TOKEN_END, TOKEN_BAD };

void conf_error(struct conf_errors *e, const struct conf_where *w, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (w && w->file)
		fprintf(e->out, "%s:%u:%u: ", w->file, w->line, w->col);
	else
		fprintf(e->out, "%s: ", e->file);
	vfprintf(e->out, fmt, ap);
	fputc('\n', e->out);
	va_end(ap);
	e->count++;
}

static struct conf_where here(const struct reader *r, const char *at)
{
	return (struct conf_where){r->name, r->line, (unsigned)(at - r->line_start) + 1};
}

static void skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r'))
		r->p++;
	if (r->p < r->end && *r->p == '#')
		while (r->p < r->end && *r->p != '\n')
			r->p++;
}

/* After a mistake in a line: go on with the next one. */
static void skip_line(struct reader *r)
{
	while (r->p < r->end && *r->p != '\n')
		r->p++;
}

static enum token quoted(struct reader *r, const char **word, const struct conf_where *w)
{
	const char *start = ++r->p;
	char *out, *o;
	const char *q = start;
	while (q < r->end && *q != '"' && *q != '\n')
		q += *q == '\\' && q + 1 < r->end && q[1] != '\n' ? 2 : 1;
	if (q >= r->end || *q != '"') {
		conf_error(r->e, w, "a quote is not closed on its line");
		skip_line(r);
		return TOKEN_BAD;
	}
	if (memchr(start, 0, (size_t)(q - start))) {
		conf_error(r->e, w, "a NUL byte");
		skip_line(r);
		return TOKEN_BAD;
	}
	o = out = pool_alloc(r->pool, (size_t)(q - start) + 1);
	for (; r->p < q; r->p++) {
		if (*r->p == '\\')
			r->p++;
		*o++ = *r->p;
	}
	r->p = q + 1;
	*word = out;
	return TOKEN_WORD;
}

static enum token next(struct reader *r, const char **word, struct conf_where *w)
{
	skip_blanks(r);
	*w = here(r, r->p);
	if (r->p >= r->end)
		return TOKEN_END;
	switch (*r->p) {
	case '\n':
		r->p++;
		r->line++;
		r->line_start = r->p;
		return TOKEN_LINE;
	case '{':
		r->p++;
		return TOKEN_OPEN;
	case '}':
		r->p++;
		return TOKEN_CLOSE;
	case '"':
		return quoted(r, word, w);
	default:
		break;
	}
	const char *start = r->p;
	while (r->p < r->end && !strchr(" \t\r\n{}\"#", *r->p) && *r->p)
		r->p++;
	if (r->p == start) {
		conf_error(r->e, w, "a NUL byte");
		skip_line(r);
		return TOKEN_BAD;
	}
	*word = pool_strndup(r->pool, start, (size_t)(r->p - start));
	return TOKEN_WORD;
}

static struct conf_node *nodes(struct reader *r, unsigned depth, bool top);

static struct conf_node *include(struct reader *r, const struct conf_node *n)
{
	struct conf_node *first = NULL, **tail = &first;
	if (n->n != 2 || n->block) {
		conf_error(r->e, &n->where, "include: takes one file name or pattern");
		return NULL;
	}
	if (!r->folder) {
		conf_error(r->e, &n->where, "include: is not possible here");
		return NULL;
	}
	const char *pattern = n->word[1];
	if (pattern[0] != '/')
		pattern = pool_printf(r->pool, "%s/%s", r->folder, pattern);
	glob_t g;
	int rc = glob(pattern, 0, NULL, &g);
	if (rc == GLOB_NOMATCH && !strpbrk(pattern, "*?["))
		conf_error(r->e, &n->where, "include: %s: no such file", pattern);
	else if (rc != 0 && rc != GLOB_NOMATCH)
		conf_error(r->e, &n->where, "include: %s: cannot be read", pattern);
	for (size_t i = 0; rc == 0 && i < g.gl_pathc; i++) {
		*tail = conf_tree_file(r->pool, r->e, pool_strdup(r->pool, g.gl_pathv[i]),
				       &n->where, r->includes + 1);
		while (*tail)
			tail = &(*tail)->next;
	}
	if (rc == 0)
		globfree(&g);
	return first;
}

static struct conf_node *block(struct reader *r, const struct conf_where *at, unsigned depth)
{
	if (depth < DEPTH_MAX)
		return nodes(r, depth + 1, false);
	conf_error(r->e, at, "more than %d blocks inside each other", DEPTH_MAX);
	r->p = r->end;
	return NULL;
}

/* The words of one directive and its block. *end: the token that ended the line. */
static struct conf_node *directive(struct reader *r, const char *first, struct conf_where w,
				   unsigned depth, enum token *end)
{
	const char *words[WORDS_MAX];
	unsigned cols[WORDS_MAX];
	struct conf_node *n = pool_alloc(r->pool, sizeof(*n));
	n->where = w;
	words[0] = first;
	cols[0] = w.col;
	n->n = 1;
	enum token t;
	struct conf_where at;
	const char *word;
	bool too_many = false;
	while ((t = next(r, &word, &at)) == TOKEN_WORD) {
		if (n->n < WORDS_MAX) {
			cols[n->n] = at.col;
			words[n->n++] = word;
		} else if (!too_many) {
			conf_error(r->e, &at, "more than %d words", WORDS_MAX);
			too_many = true;
		}
	}
	n->word = pool_dup(r->pool, words, n->n * sizeof(words[0]));
	n->col = pool_dup(r->pool, cols, n->n * sizeof(cols[0]));
	if (t == TOKEN_OPEN) {
		n->block = true;
		n->child = block(r, &at, depth);
	}
	*end = t;
	return n;
}

static struct conf_node *nodes(struct reader *r, unsigned depth, bool top)
{
	struct conf_node *first = NULL, **tail = &first;
	struct conf_where w, open = here(r, r->p);
	const char *word;
	for (;;) {
		enum token t = next(r, &word, &w), end = TOKEN_LINE;
		if (t == TOKEN_END) {
			if (!top)
				conf_error(r->e, &open, "a { is not closed");
			return first;
		}
		if (t == TOKEN_CLOSE) {
			if (!top)
				return first;
			conf_error(r->e, &w, "a } without its {");
		} else if (t == TOKEN_OPEN) {
			conf_error(r->e, &w, "a { without a directive before it");
			block(r, &w, depth);
		} else if (t == TOKEN_WORD) {
			struct conf_node *n = directive(r, word, w, depth, &end);
			*tail = strcmp(n->word[0], "include") == 0 ? include(r, n) : n;
			while (*tail)
				tail = &(*tail)->next;
			if (end == TOKEN_CLOSE && !top)
				return first;
			if (end == TOKEN_CLOSE)
				conf_error(r->e, &n->where, "a } without its {");
		}
	}
}

struct conf_node *conf_tree_text(struct pool *pool, struct conf_errors *e, const char *name,
				 struct slice text, const char *folder, unsigned depth)
{
	struct reader r = {.pool = pool,
			   .e = e,
			   .name = name,
			   .folder = folder,
			   .p = text.p,
			   .end = text.p + text.len,
			   .line_start = text.p,
			   .line = 1,
			   .includes = depth};
	if (text.len > FILE_MAX) {
		conf_error(e, &(struct conf_where){name, 1, 1}, "is longer than 1M");
		return NULL;
	}
	return nodes(&r, 0, true);
}

bool conf_line(struct pool *pool, const char *line, size_t len, struct conf_words *out)
{
	char *unread = NULL;
	size_t unread_len = 0;
	struct conf_errors e = {.out = open_memstream(&unread, &unread_len), .file = "line"};
	if (!e.out)
		return false;
	struct reader r = {.pool = pool,
			   .e = &e,
			   .name = "line",
			   .p = line,
			   .end = line + len,
			   .line_start = line,
			   .line = 1};
	const char *word;
	struct conf_where w;
	enum token t = next(&r, &word, &w), end = TOKEN_BAD;
	const struct conf_node *n = t == TOKEN_WORD ? directive(&r, word, w, 0, &end) : NULL;
	fclose(e.out);
	free(unread);
	if (!n || end != TOKEN_END || e.count)
		return false;
	out->w = pool_alloc(pool, (n->n + 1) * sizeof(char *));
	memcpy(out->w, n->word, n->n * sizeof(char *));
	out->n = n->n;
	return true;
}

/* The whole file into pool; NULL with errno. */
static char *slurp(struct pool *pool, const char *path, size_t *len)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	char *text = NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX) {
		text = pool_alloc(pool, (size_t)st.st_size + 1);
		ssize_t n = read(fd, text, (size_t)st.st_size);
		*len = n > 0 ? (size_t)n : 0;
		if (n < 0)
			text = NULL;
	} else {
		errno = S_ISREG(st.st_mode) ? EFBIG : S_ISDIR(st.st_mode) ? EISDIR : ENODEV;
	}
	close(fd);
	return text;
}

struct conf_node *conf_tree_file(struct pool *pool, struct conf_errors *e, const char *path,
				 const struct conf_where *from, unsigned depth)
{
	size_t len = 0;
	if (depth > DEPTH_MAX) {
		conf_error(e, from, "include: more than %d files inside each other", DEPTH_MAX);
		return NULL;
	}
	char *text = slurp(pool, path, &len);
	if (!text) {
		if (from)
			conf_error(e, from, "%s: %s", path, strerror(errno));
		else /* the main file, whose name stands before it */
			conf_error(e, NULL, "%s", strerror(errno));
		return NULL;
	}
	const char *slash = strrchr(path, '/');
	const char *folder = slash ? pool_strndup(pool, path, (size_t)(slash - path)) : ".";
	return conf_tree_text(pool, e, path, (struct slice){text, len}, folder, depth);
}
