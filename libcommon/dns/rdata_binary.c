/* Octets as hex, base64 and base32hex (RFC 4648). */
#include "libcommon/dns/rdata_int.h"

enum { BAD = 64 };

/* The value of a digit; BAD: it is none. */
unsigned rdata_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c = str_lower(c);
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : BAD;
}

static unsigned base32_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c = str_lower(c);
	return c >= 'a' && c <= 'v' ? (unsigned)(c - 'a' + 10) : BAD;
}

static unsigned base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0' + 52);
	return c == '+' ? 62 : c == '/' ? 63 : BAD;
}

/* Digits that become octets, over the borders of words. */
struct digits {
	unsigned (*value)(char c);
	unsigned width; /* bits of a digit */
	unsigned pads;  /* '=' seen */
	uint32_t bits;  /* the last `have` of them are not yet written */
	unsigned have;
	size_t count; /* digits and '=' */
};

/* False: a character that is no digit, or stands behind the padding. */
static bool take(struct digits *d, struct rdata_in *in, struct slice text)
{
	for (size_t i = 0; i < text.len; i++, d->count++) {
		if (d->width == 6 && text.p[i] == '=') {
			d->pads++;
			continue;
		}
		unsigned v = d->value(text.p[i]);
		if (v == BAD || d->pads)
			return false;
		d->bits = d->bits << d->width | v;
		d->have += d->width;
		if (d->have >= 8) {
			uint8_t b = (uint8_t)(d->bits >> (d->have -= 8));
			if (!rdata_put(in, &b, 1))
				return false;
		}
	}
	return true;
}

/* No digit is half used, and the bits that belong to no octet are 0. */
static bool finished(const struct digits *d)
{
	if (d->have >= d->width || (d->bits & ((1u << d->have) - 1)))
		return false;
	return d->width != 6 || (d->count % 4 == 0 && d->pads <= 2 && d->pads * 2 == d->have);
}

/* All words that are left. */
static bool rest(struct rdata_in *in, struct digits *d, const char *wanted)
{
	size_t start = in->at;
	if (!rdata_word(in, wanted))
		return false;
	for (; in->at < in->words; in->at++) {
		in->why = NULL;
		if (!take(d, in, in->word[in->at].text))
			return in->why ? false : rdata_fail(in, wanted);
	}
	if (d->count && finished(d))
		return true;
	in->at = start;
	return rdata_fail(in, wanted);
}

bool rdata_parse_hex(struct rdata_in *in)
{
	struct digits d = {.value = rdata_hex_digit, .width = 4};
	return rest(in, &d, "hexadecimal digits, two an octet, are wanted");
}

bool rdata_parse_base64(struct rdata_in *in)
{
	struct digits d = {.value = base64_digit, .width = 6};
	return rest(in, &d, "base64 is wanted, padded to groups of four with =");
}

bool rdata_parse_key(struct rdata_in *in)
{
	return in->at == in->words || rdata_parse_base64(in);
}

/* One word, with the length of its octets before them. */
static bool counted(struct rdata_in *in, struct digits *d, bool none, const char *wanted)
{
	const struct dns_word *w = rdata_word(in, wanted);
	size_t start = in->len;
	if (!w || !rdata_put(in, "", 1))
		return false;
	if (none && slice_eqs(w->text, "-")) {
		in->at++;
		return true;
	}
	if (w->text.len == 0 || w->text.len > 2 * 255 || !take(d, in, w->text) || !finished(d))
		return rdata_fail(in, wanted);
	if (in->len - start - 1 > 255)
		return rdata_fail(in, "at most 255 octets are wanted");
	in->out[start] = (uint8_t)(in->len - start - 1);
	in->at++;
	return true;
}

bool rdata_parse_salt(struct rdata_in *in)
{
	struct digits d = {.value = rdata_hex_digit, .width = 4};
	return counted(in, &d, true, "a salt (\"-\" or hexadecimal digits) is wanted");
}

bool rdata_parse_hash(struct rdata_in *in)
{
	struct digits d = {.value = base32_digit, .width = 5};
	return counted(in, &d, false, "a hash in base32hex is wanted");
}

void rdata_print_hex(const uint8_t *p, size_t n, struct buf *out)
{
	char *to = buf_reserve(out, 2 * n + 1);
	if (!to)
		return;
	str_hex(to, p, n);
	out->len += 2 * n;
}

void rdata_print_generic(const uint8_t *p, size_t n, struct buf *out)
{
	buf_printf(out, "\\# %zu", n);
	if (n) {
		buf_addc(out, ' ');
		rdata_print_hex(p, n, out);
	}
}

void rdata_print_base64(const uint8_t *p, size_t n, struct buf *out)
{
	char *to = buf_reserve(out, 4 * ((n + 2) / 3) + 1);
	if (to)
		out->len += str_base64(to, p, n);
}

void rdata_print_salt(const uint8_t *p, size_t n, struct buf *out)
{
	if (n > 1)
		rdata_print_hex(p + 1, n - 1, out);
	else
		buf_addc(out, '-');
}

void rdata_print_hash(const uint8_t *p, size_t n, struct buf *out)
{
	static const char digit[] = "0123456789abcdefghijklmnopqrstuv";
	uint32_t bits = 0;
	unsigned have = 0;
	for (size_t i = 1; i < n; i++) {
		bits = bits << 8 | p[i];
		have += 8;
		while (have >= 5)
			buf_addc(out, digit[bits >> (have -= 5) & 31]);
	}
	if (have)
		buf_addc(out, digit[bits << (5 - have) & 31]);
}
