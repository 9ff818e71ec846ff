/* What comes in, with the line ends of any system, becomes the lines of SMTP. */
#include <errno.h>
#include <unistd.h>
#include "sendmail/sendmail.h"

enum { READ = 65536 };

void text_init(struct text *t, bool ignore_dots)
{
	*t = (struct text){.ignore_dots = ignore_dots};
	buf_init(&t->out, MESSAGE_MAX);
}

/* The line under way has ended; CRs right before its LF belong to the end. */
static void end_line(struct text *t)
{
	t->crs = 0;
	if (!t->ignore_dots && t->out.len == t->line + 1 && t->out.p[t->line] == '.') {
		t->out.len = t->line;
		t->ended = true;
		return;
	}
	buf_add(&t->out, "\r\n", 2);
	t->line = t->out.len;
}

/* Octets of one line, without CR, LF and NUL. */
static void add_run(struct text *t, const char *p, size_t n)
{
	for (; t->crs; t->crs--)
		buf_addc(&t->out, ' ');
	if (!t->eight && !str_ascii((struct slice){p, n}))
		t->eight = true;
	buf_add(&t->out, p, n);
}

void text_add(struct text *t, struct slice in)
{
	size_t i = 0;
	while (i < in.len && !t->ended) {
		size_t from = i;
		while (i < in.len && in.p[i] != '\n' && in.p[i] != '\r' && in.p[i])
			i++;
		if (i > from)
			add_run(t, in.p + from, i - from);
		if (i == in.len)
			return;
		if (in.p[i] == '\n')
			end_line(t);
		else if (in.p[i] == '\r' && t->crs < READ)
			t->crs++;
		i++;
	}
}

bool text_finish(struct text *t)
{
	if (t->out.len > t->line || t->crs)
		end_line(t);
	return !t->out.failed;
}

bool text_read(struct text *t, int fd)
{
	char piece[READ];
	while (!t->ended) {
		ssize_t n = read(fd, piece, sizeof(piece));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		text_add(t, (struct slice){piece, (size_t)n});
		if (t->out.failed)
			break;
	}
	errno = 0;
	return text_finish(t);
}
