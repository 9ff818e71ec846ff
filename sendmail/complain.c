/* What is wrong, on standard error. */
#include <stdarg.h>
#include "sendmail/sendmail.h"

static const char *program = "sendmail";

void complain_as(const char *name)
{
	program = name;
}

int complain(int code, const char *fmt, ...)
{
	struct buf line = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	/* What a server or a header said may not play with the terminal. */
	struct slice s = buf_slice(&line);
	for (size_t i = 0; i < s.len; i++)
		if (str_control_at(s, i))
			line.p[i] = ' ';
	fflush(stdout);
	fprintf(stderr, "%s: %.*s\n", program, (int)line.len, line.p);
	buf_free(&line);
	return code;
}
