#include "dnsd/resolve/explain.h"

void explain_begin(struct explain *e)
{
	*e = (struct explain){0};
	buf_init(&e->text, EXPLAIN_OCTETS);
}

void explain_end(struct explain *e)
{
	buf_free(&e->text);
	e->lines = 0;
}

void explain_line(struct explain *e, const char *fmt, ...)
{
	va_list ap;
	if (!e || e->lines >= EXPLAIN_LINES)
		return;
	if (++e->lines == EXPLAIN_LINES) {
		buf_adds(&e->text, "... (more than is told)\n");
		return;
	}
	va_start(ap, fmt);
	buf_vprintf(&e->text, fmt, ap);
	va_end(ap);
	buf_addc(&e->text, '\n');
}
