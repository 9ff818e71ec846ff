/* Cookies (RFC 7873) whose server part is that of RFC 9018: servers that share the secret take each
 * other's. */
#include <netinet/in.h>
#include "dnsd/answer/answer_int.h"
#include "libcommon/base/sip.h"

enum {
	CLIENT = 8, /* octets of the client's part; then version, 3 reserved, time, hash */
	TIME = 12,
	HASH = 16,
	VERSION = 1,
};

/* The client's address as it is hashed. */
static size_t address(const struct sockaddr *sa, uint8_t out[16])
{
	if (sa && sa->sa_family == AF_INET) {
		memcpy(out, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
		return 4;
	}
	if (!sa || sa->sa_family != AF_INET6)
		return 0;
	const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	bool mapped = IN6_IS_ADDR_V4MAPPED(a);
	memcpy(out, a->s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
	return mapped ? 4 : 16;
}

static void hash(const struct work *w, const uint8_t *secret, const uint8_t *cookie, uint8_t out[8])
{
	uint8_t in[HASH + 16];
	memcpy(in, cookie, HASH);
	uint64_t h = sip24(secret, in, HASH + address(w->way->client, in + HASH));
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(h >> (8 * i));
}

/* It is ours and not too old. *fresh: it need not be replaced yet. */
static bool good(const struct work *w, bool *fresh)
{
	const uint8_t *c = (const uint8_t *)w->q->cookie.p;
	uint8_t want[8];
	*fresh = false;
	if (w->q->cookie.len != COOKIE_ALL || c[CLIENT] != VERSION)
		return false;
	int32_t age = (int32_t)(w->way->now - dns_u32(c + TIME)); /* serial arithmetic */
	if (age > COOKIE_LIFE || age < -COOKIE_FUTURE)
		return false;
	for (int i = 0; i < 2; i++) {
		hash(w, w->conf->cookie_secret[i], c, want);
		if (str_eq_secret(want, c + HASH, sizeof(want))) {
			*fresh = i == 0 && age <= COOKIE_RENEW;
			return true;
		}
	}
	return false;
}

void cookie_read(struct work *w)
{
	bool fresh;
	const uint8_t *c = (const uint8_t *)w->q->cookie.p;
	w->cookie = w->conf->cookie_secret && w->q->cookie.len > 0;
	if (!w->cookie)
		return;
	w->info->cookie_ok = good(w, &fresh);
	if (fresh) {
		memcpy(w->cookie_data, c, COOKIE_ALL);
		return;
	}
	uint8_t *out = w->cookie_data;
	memcpy(out, c, CLIENT);
	memcpy(out + CLIENT, (uint8_t[]){VERSION, 0, 0, 0}, 4);
	put_u16(out + TIME, w->way->now >> 16);
	put_u16(out + TIME + 2, w->way->now & 0xffff);
	hash(w, w->conf->cookie_secret[0], out, out + HASH);
}
