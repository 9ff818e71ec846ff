/* An administrator's PEM, whatever is in it: refused with a text, or whole and usable. */
#include <stdlib.h>
#include <string.h>
#include "keyd/keyd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct why w = {0};
	struct pair p, again;
	struct slice pem = {(const char *)data, len};
	if (!pair_parse(pem, &p, &w)) {
		if (!w.text[0] || p.n || p.key)
			abort();
		return 0;
	}
	struct buf out = {0};
	pair_pem(&p, &out, &out);
	if (!p.n || p.n > CHAIN_MAX || !pair_parse(buf_slice(&out), &again, &w))
		abort();
	pair_free(&again);
	pair_free(&p);
	buf_free(&out);
	return 0;
}
