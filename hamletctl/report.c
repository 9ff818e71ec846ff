#include "hamletctl/hamletctl.h"
#include <stdarg.h>

struct options options;

int complain(int code, const char *fmt, ...)
{
	char text[8192];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* What a terminal would obey may come from anywhere. */
	for (char *p = text; *p; p++)
		if (((unsigned char)*p < 32 && *p != '\n' && *p != '\t') || *p == 127)
			*p = '?';
	fprintf(stderr, "hamletctl: %s\n", text);
	return code;
}
