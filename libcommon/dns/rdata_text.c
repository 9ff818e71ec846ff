/* Words with escapes: names, strings, and what all parsers of fields share. */
#include "libcommon/dns/rdata_int.h"

bool rdata_fail(struct rdata_in *in, const char *why)
{
	in->why = why;
	return false;
}

const struct dns_word *rdata_word(struct rdata_in *in, const char *wanted)
{
	if (in->at < in->words)
		return &in->word[in->at];
	in->why = wanted;
	return NULL;
}

bool rdata_put(struct rdata_in *in, const void *p, size_t n)
{
	if (DNS_RDATA_MAX - in->len < n)
		return rdata_fail(in, "the data is longer than 65535 octets");
	memcpy(in->out + in->len, p, n);
	in->len += n;
	return true;
}

bool rdata_put_u16(struct rdata_in *in, uint16_t v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
	return rdata_put(in, b, sizeof(b));
}

bool rdata_put_u32(struct rdata_in *in, uint32_t v)
{
	return rdata_put_u16(in, (uint16_t)(v >> 16)) && rdata_put_u16(in, (uint16_t)v);
}

bool rdata_octet(struct slice text, size_t *i, uint8_t *out)
{
	const char *p = text.p + *i;
	size_t left = text.len - *i;
	unsigned v = 0;
	if (*p != '\\') {
		*out = (uint8_t)*p;
		++*i;
		return true;
	}
	if (left >= 2 && (p[1] < '0' || p[1] > '9')) {
		*out = (uint8_t)p[1];
		*i += 2;
		return true;
	}
	if (left < 4)
		return false;
	for (int k = 1; k <= 3; k++) {
		if (p[k] < '0' || p[k] > '9')
			return false;
		v = v * 10 + (unsigned)(p[k] - '0');
	}
	*out = (uint8_t)v;
	*i += 4;
	return v <= 255;
}

static const char bad_escape[] = "an escape is \\ and one character, or \\ and three digits to 255";
static const char bad_quote[] = "there is a quote inside of the word: write \\\"";

size_t dns_name_from_zone(struct slice text, const uint8_t *origin, uint8_t out[DNS_NAME_MAX],
			  const char **why)
{
	size_t n = 1, label = 0; /* label: where the length octet of the current one stands */
	bool absolute = false;
	*why = "a domain name is wanted";
	if (text.len == 0)
		return 0;
	if (text.len == 1 && (*text.p == '.' || *text.p == '@')) {
		absolute = *text.p == '.';
		text.len = 0;
		n = 0;
	}
	for (size_t i = 0; i < text.len;) {
		uint8_t c = (uint8_t)text.p[i];
		if (c == '.') {
			*why = "a label of the name is empty: there is a dot too many";
			if (n - label == 1)
				return 0;
			out[label] = (uint8_t)(n - label - 1);
			label = n++;
			absolute = ++i == text.len;
		} else {
			*why = c == '"' ? bad_quote : bad_escape;
			if (c == '"' || !rdata_octet(text, &i, &c))
				return 0;
			*why = "a label of the name is longer than 63 octets";
			if (n - label > DNS_LABEL_MAX)
				return 0;
			out[n++] = c;
		}
		/* One octet is kept for the root. */
		*why = "the name is longer than 255 octets";
		if (n + !absolute > DNS_NAME_MAX)
			return 0;
	}
	if (absolute) {
		out[label] = 0;
		return label + 1;
	}
	if (n)
		out[label] = (uint8_t)(n - label - 1);
	size_t tail = dns_name_len(origin);
	*why = "the name, with the origin behind it, is longer than 255 octets";
	if (n + tail > DNS_NAME_MAX)
		return 0;
	memcpy(out + n, origin, tail);
	return n + tail;
}

bool rdata_parse_name(struct rdata_in *in)
{
	const struct dns_word *w = rdata_word(in, "a domain name is wanted");
	uint8_t name[DNS_NAME_MAX];
	if (!w)
		return false;
	size_t n = dns_name_from_zone(w->text, in->origin, name, &in->why);
	if (!n)
		return false;
	in->at++;
	return rdata_put(in, name, n);
}

long rdata_unescape(struct rdata_in *in, const struct dns_word *w, uint8_t *out, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < w->text.len;) {
		uint8_t c;
		if (w->text.p[i] == '"') {
			in->why = bad_quote;
			return -1;
		}
		if (!rdata_octet(w->text, &i, &c)) {
			in->why = bad_escape;
			return -1;
		}
		if (n == max) {
			in->why = max == 255 ? "a string has at most 255 octets: cut it in several"
					     : "the text is too long";
			return -1;
		}
		out[n++] = c;
	}
	return (long)n;
}

bool rdata_parse_string(struct rdata_in *in)
{
	const struct dns_word *w = rdata_word(in, "a text is wanted");
	uint8_t s[256];
	long n = w ? rdata_unescape(in, w, s + 1, 255) : -1;
	if (n < 0)
		return false;
	s[0] = (uint8_t)n;
	if (!rdata_put(in, s, 1 + (size_t)n))
		return false;
	in->at++;
	return true;
}

bool rdata_parse_strings(struct rdata_in *in)
{
	do
		if (!rdata_parse_string(in))
			return false;
	while (in->at < in->words);
	return true;
}

bool rdata_parse_tag(struct rdata_in *in)
{
	size_t start = in->len;
	if (!rdata_parse_string(in))
		return false;
	if (rdata_size(K_TAG, in->out + start, in->len - start) > 0)
		return true;
	in->at--;
	return rdata_fail(in, "a tag of letters and digits (issue, issuewild, iodef) is wanted");
}

bool rdata_parse_text(struct rdata_in *in)
{
	const struct dns_word *w = rdata_word(in, "a text is wanted");
	long n = w ? rdata_unescape(in, w, in->out + in->len, DNS_RDATA_MAX - in->len) : -1;
	if (n < 0)
		return false;
	in->len += (size_t)n;
	in->at++;
	return true;
}

void rdata_print_name(const uint8_t *p, size_t n, struct buf *out)
{
	char text[DNS_NAME_TEXT];
	size_t len = dns_name_text(text, p);
	buf_add(out, text, len);
	if (n > 1)
		buf_addc(out, '.');
}

void rdata_print_quoted(const uint8_t *p, size_t n, struct buf *out)
{
	char *to = buf_reserve(out, 4 * n + 2);
	size_t at = 0;
	if (!to)
		return;
	to[at++] = '"';
	for (size_t i = 0; i < n; i++) {
		uint8_t c = p[i];
		if (c < ' ' || c >= 0x7f) {
			to[at++] = '\\';
			to[at++] = (char)('0' + c / 100);
			to[at++] = (char)('0' + c / 10 % 10);
			to[at++] = (char)('0' + c % 10);
			continue;
		}
		if (c == '"' || c == '\\')
			to[at++] = '\\';
		to[at++] = (char)c;
	}
	to[at++] = '"';
	out->len += at;
}

void rdata_print_strings(const uint8_t *p, size_t n, struct buf *out)
{
	for (size_t at = 0; at < n; at += 1u + p[at]) {
		if (at)
			buf_addc(out, ' ');
		rdata_print_quoted(p + at + 1, p[at], out);
	}
}

void rdata_print_tag(const uint8_t *p, size_t n, struct buf *out)
{
	buf_add(out, p + 1, n - 1);
}

/* Labels of a name, where each starts. */
static size_t labels(const uint8_t *name, uint8_t at[DNS_NAME_MAX / 2 + 1])
{
	size_t n = 0;
	for (size_t i = 0; name[i]; i += 1u + name[i])
		at[n++] = (uint8_t)i;
	return n;
}

static int label_cmp(const uint8_t *a, const uint8_t *b)
{
	size_t n = *a < *b ? *a : *b;
	for (size_t i = 1; i <= n; i++) {
		int d = (uint8_t)str_lower((char)a[i]) - (uint8_t)str_lower((char)b[i]);
		if (d)
			return d;
	}
	return *a - *b;
}

int dns_name_cmp(const uint8_t *a, const uint8_t *b)
{
	uint8_t at_a[DNS_NAME_MAX / 2 + 1], at_b[DNS_NAME_MAX / 2 + 1];
	size_t na = labels(a, at_a), nb = labels(b, at_b);
	while (na && nb) {
		int d = label_cmp(a + at_a[--na], b + at_b[--nb]);
		if (d)
			return d;
	}
	return (na > 0) - (nb > 0);
}
