/* A PROXY header from anybody: used never exceeds what came, and no cut of a good header is bad. */
#include <stdlib.h>
#include "libcommon/net/line.h"
#include "libcommon/net/proxyproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct proxyproto pp;
	struct slice in = {(const char *)data, len}, line = {0};
	size_t used = 0;
	long n = proxyproto_parse(in, &pp);
	if (n > (long)len)
		abort();
	for (long i = 0; i < n && i < 300; i++)
		if (proxyproto_parse((struct slice){in.p, (size_t)i}, &pp) != 0)
			abort();
	enum line_result r = line_next(in, 512, &line, &used);
	if (used > len || (r != LINE_MORE && used == 0) || (r == LINE_OK && line.len + 2 != used))
		abort();
	return 0;
}
