/* What is accepted for signing is, byte for byte but for hash, randoms and point, a form written
 * down here a second time. */
#include <stdlib.h>
#include <string.h>
#include "keyd/keyd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The head, and so many bytes of any value. */
static bool like(const uint8_t *data, size_t len, const char *head, size_t head_len, size_t any)
{
	return len == head_len + any && memcmp(data, head, head_len) == 0;
}

static bool tls13(const uint8_t *data, size_t len)
{
	static const char HEAD[] = "                                "
				   "                                "
				   "TLS 1.3, server CertificateVerify";
	return like(data, len, HEAD, sizeof(HEAD), 32) || like(data, len, HEAD, sizeof(HEAD), 48);
}

static bool tls12(const uint8_t *data, size_t len)
{
	if (len < 64)
		return false;
	data += 64;
	len -= 64;
	return like(data, len, "\3\0\x1d\x20", 4, 32) || like(data, len, "\3\0\x17\x41\4", 5, 64) ||
	       like(data, len, "\3\0\x18\x61\4", 5, 96);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	bool yes = sign_shape((struct slice){(const char *)data, len});
	if (yes != (tls13(data, len) || tls12(data, len)))
		abort();
	return 0;
}
