#include "libcommon/base/fatal.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "libcommon/base/log.h"

void fatal(int code, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_text(LOG_LV_ERROR, "%s", text);
	exit(code);
}
