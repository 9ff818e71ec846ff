#include "libcommon/base/str.h"
#include <stdarg.h>
#include <stdio.h>
#include "libcommon/base/pool.h"

char str_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

void str_lowern(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s[i] = str_lower(s[i]);
}

bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool slice_ieq(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (str_lower(a.p[i]) != str_lower(b.p[i]))
			return false;
	return true;
}

bool slice_eqs(struct slice a, const char *s)
{
	return slice_eq(a, slice_of(s));
}

bool slice_ieqs(struct slice a, const char *s)
{
	return slice_ieq(a, slice_of(s));
}

bool slice_starts(struct slice a, const char *prefix)
{
	size_t n = strlen(prefix);
	return a.len >= n && slice_eq((struct slice){a.p, n}, (struct slice){prefix, n});
}

bool slice_istarts(struct slice a, const char *prefix)
{
	size_t n = strlen(prefix);
	return a.len >= n && slice_ieq((struct slice){a.p, n}, (struct slice){prefix, n});
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_copy(struct pool *pool, struct slice s)
{
	return (struct slice){pool_strndup(pool, s.p ? s.p : "", s.len), s.len};
}

void slice_wipe(struct slice s)
{
	if (s.len)
		explicit_bzero((void *)(uintptr_t)s.p, s.len);
}

struct slice slice_trim(struct slice s)
{
	while (s.len && blank(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len && blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

struct slice slice_word(struct slice *rest)
{
	struct slice w = slice_trim(*rest);
	size_t n = 0;
	while (n < w.len && !blank(w.p[n]))
		n++;
	*rest = (struct slice){w.p + n, w.len - n};
	w.len = n;
	return w;
}

struct slice slice_cut(struct slice *rest, char sep)
{
	const char *at = rest->len ? memchr(rest->p, sep, rest->len) : NULL;
	struct slice out = *rest;
	if (!at) {
		*rest = (struct slice){rest->p + rest->len, 0};
		return out;
	}
	out.len = (size_t)(at - rest->p);
	*rest = (struct slice){at + 1, rest->len - out.len - 1};
	return out;
}

bool str_u64(struct slice s, uint64_t *out)
{
	uint64_t v = 0;
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

bool str_u32(struct slice s, uint32_t *out)
{
	uint64_t v;
	if (!str_u64(s, &v) || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static bool with_unit(struct slice s, const struct unit *units, uint64_t *out)
{
	size_t digits = 0;
	while (digits < s.len && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	uint64_t v;
	if (!str_u64((struct slice){s.p, digits}, &v))
		return false;
	struct slice suffix = {s.p + digits, s.len - digits};
	for (; units->name; units++)
		if (slice_eqs(suffix, units->name))
			return !__builtin_mul_overflow(v, units->factor, out);
	return false;
}

bool str_size(struct slice s, uint64_t *out)
{
	static const struct unit units[] = {{"", 1},         {"K", 1u << 10},   {"M", 1u << 20},
					    {"G", 1u << 30}, {"T", 1ull << 40}, {NULL, 0}};
	return with_unit(s, units, out);
}

bool str_duration(struct slice s, uint64_t *ms)
{
	static const struct unit units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
					    {"h", 3600000}, {"d", 86400000}, {"w", 604800000},
					    {NULL, 0}};
	if (slice_eqs(s, "0")) {
		*ms = 0;
		return true;
	}
	return with_unit(s, units, ms);
}

bool str_utf8(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i = 0;
	while (i < s.len) {
		unsigned char c = p[i];
		uint64_t eight;
		if (s.len - i >= sizeof(eight)) { /* mostly it is ASCII */
			memcpy(&eight, p + i, sizeof(eight));
			if (!(eight & 0x8080808080808080u)) {
				i += sizeof(eight);
				continue;
			}
		}
		if (c < 0x80) {
			i++;
			continue;
		}
		unsigned more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
		if (c < 0xC2 || c > 0xF4 || s.len - i <= more)
			return false;
		for (unsigned k = 1; k <= more; k++)
			if ((p[i + k] & 0xC0) != 0x80)
				return false;
		unsigned char d = p[i + 1];
		if ((c == 0xE0 && d < 0xA0) || (c == 0xED && d > 0x9F) || (c == 0xF0 && d < 0x90) ||
		    (c == 0xF4 && d > 0x8F))
			return false;
		i += more + 1;
	}
	return true;
}

bool str_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] > 127)
			return false;
	return true;
}

bool str_print(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
			return false;
	return true;
}

bool str_control_at(struct slice s, size_t i)
{
	unsigned char c = (unsigned char)s.p[i];
	bool c1 = c == 0xC2 && i + 1 < s.len && (unsigned char)s.p[i + 1] >= 0x80 &&
		  (unsigned char)s.p[i + 1] < 0xA0;
	bool c1_end = i > 0 && (unsigned char)s.p[i - 1] == 0xC2 && c >= 0x80 && c < 0xA0;
	return c < 32 || c == 127 || c1 || c1_end;
}

void str_hex(char *out, const void *p, size_t n)
{
	static const char digit[] = "0123456789abcdef";
	const unsigned char *b = p;
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digit[b[i] >> 4];
		out[2 * i + 1] = digit[b[i] & 15];
	}
	out[2 * n] = 0;
}

static const char B64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t str_base64(char *out, const void *p, size_t n)
{
	const unsigned char *b = p;
	size_t o = 0;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)b[i] << 16;
		if (i + 1 < n)
			v |= (uint32_t)b[i + 1] << 8;
		if (i + 2 < n)
			v |= b[i + 2];
		out[o++] = B64[v >> 18];
		out[o++] = B64[v >> 12 & 63];
		out[o++] = i + 1 < n ? B64[v >> 6 & 63] : '=';
		out[o++] = i + 2 < n ? B64[v & 63] : '=';
	}
	out[o] = 0;
	return o;
}

static int b64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

long str_base64_decode(void *out, struct slice in)
{
	unsigned char *o = out;
	long n = 0;
	if (in.len % 4)
		return -1;
	for (size_t i = 0; i < in.len; i += 4) {
		unsigned pad = 0;
		uint32_t v = 0;
		if (i + 4 == in.len)
			pad = in.p[i + 3] != '=' ? 0 : in.p[i + 2] == '=' ? 2 : 1;
		for (unsigned k = 0; k < 4; k++) {
			int d = k >= 4 - pad ? 0 : b64_value(in.p[i + k]);
			if (d < 0)
				return -1;
			v = v << 6 | (uint32_t)d;
		}
		/* Bits behind the last byte must be zero: one encoding for one value. */
		if ((pad == 1 && (v & 0xFF)) || (pad == 2 && (v & 0xFFFF)))
			return -1;
		for (unsigned k = 0; k < 3 - pad; k++)
			o[n++] = (unsigned char)(v >> (16 - 8 * k));
	}
	return n;
}

bool str_fmt(char *out, size_t cap, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(out, cap, fmt, ap);
	va_end(ap);
	return n >= 0 && (size_t)n < cap;
}

bool str_eq_secret(const void *a, const void *b, size_t n)
{
	const volatile unsigned char *x = a, *y = b;
	unsigned char diff = 0;
	for (size_t i = 0; i < n; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}

unsigned str_distance(const char *a, const char *b, unsigned max)
{
	enum { LONGEST = 64 };
	size_t la = strlen(a), lb = strlen(b);
	if (la >= LONGEST || lb >= LONGEST)
		return max + 1;
	unsigned row[3][LONGEST + 1]; /* two back, one back, current */
	for (size_t j = 0; j <= lb; j++)
		row[1][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		row[2][0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = row[1][j - 1] + (a[i - 1] != b[j - 1]);
			if (row[1][j] + 1 < best)
				best = row[1][j] + 1;
			if (row[2][j - 1] + 1 < best)
				best = row[2][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    row[0][j - 2] + 1 < best)
				best = row[0][j - 2] + 1;
			row[2][j] = best;
		}
		memcpy(row[0], row[1], sizeof(row[0]));
		memcpy(row[1], row[2], sizeof(row[1]));
	}
	return row[1][lb] > max ? max + 1 : row[1][lb];
}
