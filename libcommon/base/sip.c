#include "libcommon/base/sip.h"
#include <endian.h>
#include <string.h>

struct sip {
	uint64_t a, b, c, d;
};

static inline uint64_t load(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

/* Of a constant number of rounds each, or the loops are not unrolled. */
#define INLINE static inline __attribute__((always_inline))

INLINE void rounds(struct sip *s, int n)
{
	while (n-- > 0) {
		s->a += s->b;
		s->b = rotl(s->b, 13) ^ s->a;
		s->a = rotl(s->a, 32);
		s->c += s->d;
		s->d = rotl(s->d, 16) ^ s->c;
		s->a += s->d;
		s->d = rotl(s->d, 21) ^ s->a;
		s->c += s->b;
		s->b = rotl(s->b, 17) ^ s->c;
		s->c = rotl(s->c, 32);
	}
}

INLINE void word(struct sip *s, uint64_t m, int n)
{
	s->d ^= m;
	rounds(s, n);
	s->a ^= m;
}

INLINE uint64_t hash(const uint8_t *key, const uint8_t *p, size_t len, int each, int last)
{
	uint64_t k0 = load(key), k1 = load(key + 8), m = (uint64_t)len << 56;
	struct sip s = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
			k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
	for (; len >= 8; len -= 8, p += 8)
		word(&s, load(p), each);
	for (size_t i = 0; i < len; i++)
		m |= (uint64_t)p[i] << (8 * i);
	word(&s, m, each);
	s.c ^= 0xff;
	rounds(&s, last);
	return s.a ^ s.b ^ s.c ^ s.d;
}

uint64_t sip24(const uint8_t key[SIP_KEY], const void *p, size_t len)
{
	return hash(key, p, len, 2, 4);
}

uint64_t sip13(const uint8_t key[SIP_KEY], const void *p, size_t len)
{
	return hash(key, p, len, 1, 3);
}
