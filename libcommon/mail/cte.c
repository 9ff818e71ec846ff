#include "libcommon/mail/cte.h"

enum cte cte_kind(struct slice value)
{
	size_t n = 0;
	while (value.len && (value.p[0] <= ' ' && value.p[0] >= 0)) {
		value.p++;
		value.len--;
	}
	while (n < value.len && value.p[n] > ' ' && value.p[n] != ';' && value.p[n] != '(')
		n++;
	value.len = n;
	if (n == 0 || slice_ieqs(value, "7bit") || slice_ieqs(value, "8bit") ||
	    slice_ieqs(value, "binary"))
		return CTE_IDENTITY;
	if (slice_ieqs(value, "base64"))
		return CTE_BASE64;
	return slice_ieqs(value, "quoted-printable") ? CTE_QUOTED_PRINTABLE : CTE_UNKNOWN;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = str_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The octet of "XX" at i, -1: none there. */
static int hex_at(struct slice in, size_t i)
{
	int hi = in.len - i >= 2 ? hex_value(in.p[i]) : -1;
	int lo = hi < 0 ? -1 : hex_value(in.p[i + 1]);
	return lo < 0 ? -1 : hi << 4 | lo;
}

/* Length of a soft line break after the = before i; 0: none there. */
static size_t soft_break(struct slice in, size_t i)
{
	size_t start = i;
	while (i < in.len && (in.p[i] == ' ' || in.p[i] == '\t'))
		i++;
	if (i < in.len && in.p[i] == '\r')
		i++;
	if (i < in.len && in.p[i] == '\n')
		return i + 1 - start;
	return i == in.len ? i - start : 0;
}

static bool decode_quoted(struct buf *out, struct slice in, bool q)
{
	char *o = buf_reserve(out, in.len);
	size_t n = 0;
	if (!o)
		return false;
	for (size_t i = 0; i < in.len; i++) {
		char c = in.p[i];
		if (c == '=') {
			int x = hex_at(in, i + 1);
			if (x >= 0) {
				c = (char)x;
				i += 2;
			} else if (!q) {
				size_t skip = soft_break(in, i + 1);
				if (skip || i + 1 == in.len) {
					i += skip;
					continue;
				}
			}
		} else if (q && c == '_') {
			c = ' ';
		}
		o[n++] = c;
	}
	out->len += n;
	return true;
}

static bool decode_base64(struct buf *out, struct slice in)
{
	static const signed char value[256] = {
#define V(c, n) [c] = (n) + 1
	    V('A', 0),  V('B', 1),  V('C', 2),  V('D', 3),  V('E', 4),  V('F', 5),  V('G', 6),
	    V('H', 7),  V('I', 8),  V('J', 9),  V('K', 10), V('L', 11), V('M', 12), V('N', 13),
	    V('O', 14), V('P', 15), V('Q', 16), V('R', 17), V('S', 18), V('T', 19), V('U', 20),
	    V('V', 21), V('W', 22), V('X', 23), V('Y', 24), V('Z', 25), V('a', 26), V('b', 27),
	    V('c', 28), V('d', 29), V('e', 30), V('f', 31), V('g', 32), V('h', 33), V('i', 34),
	    V('j', 35), V('k', 36), V('l', 37), V('m', 38), V('n', 39), V('o', 40), V('p', 41),
	    V('q', 42), V('r', 43), V('s', 44), V('t', 45), V('u', 46), V('v', 47), V('w', 48),
	    V('x', 49), V('y', 50), V('z', 51), V('0', 52), V('1', 53), V('2', 54), V('3', 55),
	    V('4', 56), V('5', 57), V('6', 58), V('7', 59), V('8', 60), V('9', 61), V('+', 62),
	    V('/', 63),
#undef V
	};
	char *o = buf_reserve(out, in.len / 4 * 3 + 3);
	size_t n = 0;
	unsigned acc = 0, bits = 0;
	if (!o)
		return false;
	for (size_t i = 0; i < in.len; i++) {
		int v = value[(unsigned char)in.p[i]] - 1;
		if (in.p[i] == '=') /* the end of one encoded piece; another may follow */
			bits = 0;
		if (v < 0)
			continue;
		acc = acc << 6 | (unsigned)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			o[n++] = (char)(acc >> bits);
		}
	}
	out->len += n;
	return true;
}

bool cte_decode(struct buf *out, struct slice in, enum cte kind)
{
	if (kind == CTE_QUOTED_PRINTABLE)
		return decode_quoted(out, in, false);
	return kind == CTE_BASE64 ? decode_base64(out, in) : buf_add_slice(out, in);
}

bool cte_decode_q(struct buf *out, struct slice in)
{
	return decode_quoted(out, in, true);
}
