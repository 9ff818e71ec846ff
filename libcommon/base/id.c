#include "libcommon/base/id.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include "libcommon/base/clock.h"

void id_random(void *out, size_t n)
{
	unsigned char *p = out;
	while (n) {
		ssize_t r = getrandom(p, n, 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			abort(); /* no randomness: nothing that follows would be safe */
		p += r;
		n -= (size_t)r;
	}
}

void id_new(char *out)
{
	static const char digit[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint32_t r;
	id_random(&r, sizeof(r));
	/* 48 bits of time, 32 random: 80 bits are 16 digits. */
	uint64_t ms = clock_ms() & 0xffffffffffffu;
	for (int i = 0; i < ID_LEN; i++) {
		int bit = 75 - 5 * i; /* lowest bit of this digit */
		uint64_t v = bit >= 32 ? ms >> (bit - 32)
				       : (bit > 27 ? ms << (32 - bit) | r >> bit : r >> bit);
		out[i] = digit[v & 31];
	}
	out[ID_LEN] = 0;
}
