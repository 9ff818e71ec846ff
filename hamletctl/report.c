#include "hamletctl/hamletctl.h"
#include <stdarg.h>

struct options options;

int complain(int code, const char *fmt, ...)
{
	va_list ap;
	fputs("hamletctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}
