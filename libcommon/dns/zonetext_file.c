/* Files and messages of the zone file reader. */
#include "libcommon/dns/zonetext_int.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libcommon/base/mem.h"

enum { MESSAGE = 1024, SHOWN = 48 /* octets of a word in a message */ };

/* The line and the column of a place in the entry; elsewhere the entry's line and column 0. */
static unsigned place(const struct zone_reader *r, const char *at, unsigned *column)
{
	unsigned line = r->line;
	const char *start = r->entry;
	*column = 0;
	if (!start || at < start || at > r->text->end)
		return line;
	for (const char *p = start; p < at; p++)
		if (*p == '\n') {
			line++;
			start = p + 1;
		}
	*column = (unsigned)(at - start) + 1;
	return line;
}

static void tell(struct zone_reader *r, char *line)
{
	for (char *p = line; *p; p++)
		if (str_control_at(slice_of(line), (size_t)(p - line)))
			*p = '?';
	if (r->z->on_error)
		r->z->on_error(r->z->arg, line);
}

void zone_error(struct zone_reader *r, const char *at, const char *fmt, ...)
{
	char line[MESSAGE];
	unsigned column, row = place(r, at, &column);
	va_list ap;
	if (r->stop)
		return;
	int n = snprintf(line, sizeof(line), "%.400s:", r->text->name);
	if (row)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "%u:", row);
	if (column)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "%u:", column);
	line[n++] = ' ';
	if (r->generating)
		n +=
		    snprintf(line + n, sizeof(line) - (size_t)n, "$GENERATE at %u: ", r->generated);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	tell(r, line);
	if (++r->errors < ZONETEXT_ERRORS)
		return;
	snprintf(line, sizeof(line), "%.400s: that many mistakes: the rest was not read",
		 r->text->name);
	tell(r, line);
	r->stop = true;
}

void zone_error_word(struct zone_reader *r, const struct dns_word *w, const char *type,
		     const char *why)
{
	bool cut = w->text.len > SHOWN;
	zone_error(r, w->text.p, "%s%s\"%.*s%s\": %s", type ? type : "", type ? ": " : "",
		   cut ? SHOWN : (int)w->text.len, w->text.p, cut ? "..." : "", why);
}

/* All of the file, *text to be freed; false: errno tells. */
static bool slurp(const char *path, char **text, size_t *len)
{
	struct stat st;
	size_t cap;
	/* Not to wait for somebody who writes into a pipe. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool ok = fd >= 0 && fstat(fd, &st) == 0 && fcntl(fd, F_SETFL, 0) == 0;
	*text = NULL;
	*len = 0;
	if (ok && (size_t)st.st_size > ZONETEXT_FILE) {
		errno = EFBIG;
		ok = false;
	}
	cap = ok ? (size_t)st.st_size + 1 : 0;
	if (ok)
		ok = (*text = malloc(cap)) != NULL;
	while (ok) {
		ssize_t n = read(fd, *text + *len, cap - *len);
		if (n == 0)
			break;
		ok = n > 0 || errno == EINTR;
		*len += n > 0 ? (size_t)n : 0;
		if (!ok || *len < cap)
			continue;
		/* It grows, or is no file. */
		char *more = cap > ZONETEXT_FILE ? NULL : realloc(*text, cap *= 2);
		ok = more != NULL;
		if (ok)
			*text = more;
		else
			errno = EFBIG;
	}
	int err = errno;
	if (fd >= 0)
		close(fd);
	errno = err;
	return ok;
}

/* Some editors begin a text with a byte order mark. */
static struct zone_text text_of(const char *name, struct slice s)
{
	if (slice_starts(s, "\xef\xbb\xbf")) {
		s.p += 3;
		s.len -= 3;
	}
	return (struct zone_text){.name = name, .p = s.p, .end = s.p + s.len, .line = 1};
}

void zone_include(struct zone_reader *r, const char *path, const char *at)
{
	struct zone_text *up = r->text;
	char *p;
	size_t len;
	if (!slurp(path, &p, &len)) {
		const char *why = strerror(errno);
		if (r->depth)
			zone_error(r, at, "%.400s: %s", path, why);
		else
			zone_error(r, at, "%s", why);
		free(p);
		return;
	}
	struct zone_text t = text_of(path, (struct slice){p, len});
	r->text = &t;
	r->depth++;
	zone_read(r);
	r->depth--;
	r->text = up;
	free(p);
}

static struct zone_reader *reader_new(const struct zonetext *z, struct zone_text *t)
{
	struct zone_reader *r = mem_alloc(sizeof(*r));
	r->z = z;
	r->text = t;
	zone_set_origin(r, z->origin);
	return r;
}

static unsigned reader_free(struct zone_reader *r)
{
	unsigned errors = r->errors;
	free(r->word);
	free(r);
	return errors;
}

unsigned zonetext_file(const struct zonetext *z, const char *file)
{
	struct zone_text none = {.name = file, .line = 1};
	struct zone_reader *r = reader_new(z, &none);
	zone_include(r, file, NULL);
	return reader_free(r);
}

unsigned zonetext_memory(const struct zonetext *z, const char *name, struct slice text)
{
	struct zone_text t = text_of(name, text);
	struct zone_reader *r = reader_new(z, &t);
	r->depth = 1;
	zone_read(r);
	return reader_free(r);
}
