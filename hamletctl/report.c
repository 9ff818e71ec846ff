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
	struct slice s = slice_of(text);
	for (size_t i = 0; i < s.len; i++)
		if (str_control_at(s, i) && text[i] != '\n' && text[i] != '\t')
			text[i] = '?';
	fprintf(stderr, "hamletctl: %s\n", text);
	return code;
}
