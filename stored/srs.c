#include "stored/srs.h"
#include <gnutls/crypto.h>
#include <string.h>

enum { TAG_LEN = 4, HASH_LEN = 6, DAY_LEN = 2, MAC_LEN = 32, DAYS = 1024 };
#define DAY_MS  UINT64_C(86400000)
#define SRS0    "SRS0"
#define SRS1    "SRS1"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" /* RFC 4648 6 */

static unsigned char mac_key[SRS_KEY_LEN];

void srs_key(const unsigned char key[SRS_KEY_LEN])
{
	memcpy(mac_key, key, SRS_KEY_LEN);
}

/* --- parts ------------------------------------------------------------------ */

/* 30 bits of a MAC over the tag and what is behind the hash, in lower case. False: no MAC. */
static bool hash(struct pool *pool, const char *tag, struct slice text, char out[HASH_LEN])
{
	unsigned char mac[MAC_LEN];
	char *p = pool_printf(pool, "%s=%.*s", tag, SLICE_FMT(text));
	size_t len = strlen(p);
	str_lowern(p, len);
	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, mac_key, sizeof(mac_key), p, len, mac) != 0)
		return false;
	for (size_t i = 0; i < HASH_LEN; i++)
		out[i] = LETTERS[mac[i] & 31];
	return true;
}

static bool hash_ok(struct pool *pool, const char *tag, struct slice text, struct slice given)
{
	char good[HASH_LEN], have[HASH_LEN];
	if (given.len != HASH_LEN || !hash(pool, tag, text, good))
		return false;
	memcpy(have, given.p, HASH_LEN);
	str_lowern(have, HASH_LEN);
	str_lowern(good, HASH_LEN);
	return str_eq_secret(have, good, HASH_LEN);
}

static int letter(char c)
{
	const char *at =
	    c ? strchr(LETTERS,
		       str_lower(c) >= 'a' && str_lower(c) <= 'z' ? str_lower(c) - 'a' + 'A' : c)
	      : NULL;
	return at ? (int)(at - LETTERS) : -1;
}

/* -1: no day. */
static int day_of(struct slice s)
{
	int hi = s.len == DAY_LEN ? letter(s.p[0]) : -1, lo = hi < 0 ? -1 : letter(s.p[1]);
	return lo < 0 ? -1 : hi << 5 | lo;
}

/* What may stand before the @ without quotes (RFC 5321 Dot-string). */
static bool plain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= ' ' || c == 127 || strchr("\"(),:;<>@[\\]", c))
			return false;
	}
	return s.len > 0;
}

static bool split(struct slice addr, struct slice *local, struct slice *domain)
{
	const char *at = addr.len ? memrchr(addr.p, '@', addr.len) : NULL;
	if (!at)
		return false;
	*local = (struct slice){addr.p, (size_t)(at - addr.p)};
	*domain = (struct slice){at + 1, addr.len - local->len - 1};
	return plain(*local) && plain(*domain);
}

/* "SRS0", then a separator: = as we write it, + or - as others may. */
static bool tagged(struct slice local, const char *tag)
{
	return slice_istarts(local, tag) && local.len > TAG_LEN && local.p[TAG_LEN] &&
	       strchr("=+-", local.p[TAG_LEN]);
}

static struct slice from(struct slice s, size_t n)
{
	return (struct slice){s.p + n, s.len - n};
}

/* Cuts the first forwarder's domain off the text of a SRS1 address. False: there is none. */
static bool first_of(struct slice text, struct slice *rest)
{
	struct slice domain = slice_cut(&text, '=');
	*rest = text;
	return domain.len && text.len > 1 && text.p[0] && strchr("=+-", text.p[0]);
}

/* --- forth ------------------------------------------------------------------ */

/* Writes tag=hash=text@domain. */
static bool put(struct pool *pool, const char *tag, const char *text, struct slice domain,
		struct slice *out)
{
	char h[HASH_LEN];
	if (TAG_LEN + HASH_LEN + 2 + strlen(text) > SRS_LOCAL_MAX ||
	    !hash(pool, tag, slice_of(text), h))
		return false;
	*out = slice_of(
	    pool_printf(pool, "%s=%.*s=%s@%.*s", tag, HASH_LEN, h, text, SLICE_FMT(domain)));
	return true;
}

bool srs_forward(struct pool *pool, struct slice sender, struct slice domain, uint64_t now_ms,
		 struct slice *out)
{
	struct slice local, host;
	if (!split(sender, &local, &host) || memchr(host.p, '=', host.len))
		return false;
	struct slice made = from(local, tagged(local, SRS1) ? TAG_LEN + 1 : local.len);
	slice_cut(&made, '='); /* the hash of the forwarder before us gives way to ours */
	if (first_of(made, &(struct slice){0}))
		return put(pool, SRS1, pool_printf(pool, "%.*s", SLICE_FMT(made)), domain, out);
	if (tagged(local, SRS0) && local.len > TAG_LEN + 1) {
		struct slice rest = from(local, TAG_LEN);
		return put(pool, SRS1,
			   pool_printf(pool, "%.*s=%.*s", SLICE_FMT(host), SLICE_FMT(rest)), domain,
			   out);
	}
	unsigned day = (unsigned)(now_ms / DAY_MS % DAYS);
	const char *text = pool_printf(pool, "%c%c=%.*s=%.*s", LETTERS[day >> 5], LETTERS[day & 31],
				       SLICE_FMT(host), SLICE_FMT(local));
	return put(pool, SRS0, text, domain, out);
}

/* --- back ------------------------------------------------------------------- */

static bool too_old(int day, uint64_t now_ms, uint64_t life_ms)
{
	unsigned today = (unsigned)(now_ms / DAY_MS % DAYS);
	unsigned age = (today + DAYS - (unsigned)day) % DAYS;
	return age > life_ms / DAY_MS;
}

static enum srs back0(struct pool *pool, struct slice text, uint64_t now_ms, uint64_t life_ms,
		      struct slice *out)
{
	struct slice rest = text;
	int day = day_of(slice_cut(&rest, '='));
	struct slice domain = slice_cut(&rest, '=');
	if (day < 0 || !domain.len || !rest.len)
		return SRS_FORGED;
	if (too_old(day, now_ms, life_ms))
		return SRS_OLD;
	*out = slice_of(pool_printf(pool, "%.*s@%.*s", SLICE_FMT(rest), SLICE_FMT(domain)));
	return SRS_GOOD;
}

/* The first forwarder knows the day. */
static enum srs back1(struct pool *pool, struct slice text, struct slice *out)
{
	struct slice rest;
	if (!first_of(text, &rest))
		return SRS_FORGED;
	struct slice domain = {text.p, text.len - rest.len - 1};
	*out = slice_of(pool_printf(pool, SRS0 "%.*s@%.*s", SLICE_FMT(rest), SLICE_FMT(domain)));
	return SRS_GOOD;
}

enum srs srs_back(struct pool *pool, struct slice addr, struct slice domain, uint64_t now_ms,
		  uint64_t life_ms, struct slice *out)
{
	struct slice text, host;
	if (!split(addr, &text, &host) || !slice_ieq(host, domain))
		return SRS_NONE;
	bool zero = tagged(text, SRS0);
	if (!zero && !tagged(text, SRS1))
		return SRS_NONE;
	text = from(text, TAG_LEN + 1);
	struct slice given = slice_cut(&text, '=');
	if (!hash_ok(pool, zero ? SRS0 : SRS1, text, given))
		return SRS_FORGED;
	return zero ? back0(pool, text, now_ms, life_ms, out) : back1(pool, text, out);
}
