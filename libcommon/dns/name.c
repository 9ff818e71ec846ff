#include "libcommon/dns/name.h"

enum { POINTER = 0xc0 }; /* the two high bits of a length octet: a compression pointer */

/* A length octet is at most 63 and so no letter: a whole wire name may be lowered octet by octet.
 */
static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool same(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] && lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

size_t dns_name_len(const uint8_t *name)
{
	size_t n = 0;
	while (name[n])
		n += 1u + name[n];
	return n + 1;
}

unsigned dns_name_labels(const uint8_t *name)
{
	unsigned n = 0;
	for (; *name; name += 1u + *name)
		n++;
	return n;
}

size_t dns_name_check(const uint8_t *p, size_t len)
{
	size_t n = 0;
	while (n < len && n < DNS_NAME_MAX) {
		if (p[n] == 0)
			return n + 1;
		if (p[n] > DNS_LABEL_MAX)
			return 0;
		n += 1u + p[n];
	}
	return 0;
}

/* Walks over the labels of a name in a packet. */
struct walk {
	const uint8_t *pkt;
	size_t len, at;
	size_t start; /* of the run of labels being read: a pointer leads before it */
	size_t after; /* behind the name where it stands; 0: no pointer was met yet */
	unsigned jumps;
};

/* The next label with its length octet, of length 1 at the root; NULL: malformed. */
static const uint8_t *next_label(struct walk *w)
{
	while (w->at < w->len) {
		uint8_t c = w->pkt[w->at];
		if (c <= DNS_LABEL_MAX) {
			const uint8_t *label = w->pkt + w->at;
			if (w->len - w->at < 1u + c)
				return NULL;
			w->at += 1u + c;
			return label;
		}
		if (c < POINTER || w->len - w->at < 2 || ++w->jumps > DNS_JUMPS_MAX)
			return NULL;
		size_t to = (size_t)(c & ~POINTER) << 8 | w->pkt[w->at + 1];
		/* Each jump leads before the run that it left: there is no way round. */
		if (to >= w->start)
			return NULL;
		if (!w->after)
			w->after = w->at + 2;
		w->at = w->start = to;
	}
	return NULL;
}

size_t dns_name_read(const uint8_t *pkt, size_t len, size_t *at, uint8_t out[DNS_NAME_MAX])
{
	struct walk w = {.pkt = pkt, .len = len, .at = *at, .start = *at};
	size_t n = 0;
	for (;;) {
		const uint8_t *label = next_label(&w);
		if (!label || n + 1u + *label > DNS_NAME_MAX)
			return 0;
		memcpy(out + n, label, 1u + *label);
		n += 1u + *label;
		if (*label == 0)
			break;
	}
	*at = w.after ? w.after : w.at;
	return n;
}

bool dns_name_skip(const uint8_t *pkt, size_t len, size_t *at)
{
	size_t n = *at;
	while (n < len && n - *at < DNS_NAME_MAX) {
		uint8_t c = pkt[n];
		if (c >= POINTER) {
			if (len - n < 2)
				return false;
			*at = n + 2;
			return true;
		}
		if (c > DNS_LABEL_MAX)
			return false;
		n += 1u + c;
		if (c == 0) {
			*at = n;
			return true;
		}
	}
	return false;
}

bool dns_name_at_is(const uint8_t *pkt, size_t len, size_t at, const uint8_t *name)
{
	struct walk w = {.pkt = pkt, .len = len, .at = at, .start = at};
	for (;;) {
		const uint8_t *label = next_label(&w);
		if (!label || *label != *name || !same(label + 1, name + 1, *label))
			return false;
		if (*label == 0)
			return true;
		name += 1u + *name;
	}
}

/* An octet of a label from its text: itself, \X or \DDD. Returns the characters used, 0: bad. */
static size_t octet(struct slice text, size_t i, uint8_t *out)
{
	const char *p = text.p + i;
	size_t left = text.len - i;
	if (*p != '\\') {
		*out = (uint8_t)*p;
		return 1;
	}
	if (left < 2)
		return 0;
	if (p[1] < '0' || p[1] > '9') {
		*out = (uint8_t)p[1];
		return 2;
	}
	unsigned v = 0;
	if (left < 4)
		return 0;
	for (int k = 1; k <= 3; k++) {
		if (p[k] < '0' || p[k] > '9')
			return 0;
		v = v * 10 + (unsigned)(p[k] - '0');
	}
	*out = (uint8_t)v;
	return v <= 255 ? 4 : 0;
}

size_t dns_name_from_text(struct slice text, uint8_t out[DNS_NAME_MAX])
{
	size_t n = 1, label = 0; /* label: where the length octet of the current one stands */
	if (text.len == 0)
		return 0;
	if (slice_eqs(text, "."))
		text.len = 0;
	for (size_t i = 0; i < text.len;) {
		if (text.p[i] == '.') {
			if (n - label == 1)
				return 0; /* an empty label */
			out[label] = (uint8_t)(n - label - 1);
			label = n++;
			i++;
		} else {
			uint8_t c = 0;
			size_t used = octet(text, i, &c);
			/* One octet is kept for the root. */
			if (!used || n - label > DNS_LABEL_MAX || n >= DNS_NAME_MAX - 1)
				return 0;
			out[n++] = c;
			i += used;
		}
		if (n > DNS_NAME_MAX)
			return 0;
	}
	if (n - label > 1) { /* no dot at the end */
		out[label] = (uint8_t)(n - label - 1);
		label = n++;
	}
	out[label] = 0;
	return n;
}

size_t dns_name_text(char out[DNS_NAME_TEXT], const uint8_t *name)
{
	size_t n = 0;
	if (!*name)
		out[n++] = '.';
	for (; *name; name += 1u + *name) {
		if (n)
			out[n++] = '.';
		for (size_t i = 1; i <= *name; i++) {
			uint8_t c = name[i];
			if (c <= ' ' || c >= 0x7f) {
				out[n++] = '\\';
				out[n++] = (char)('0' + c / 100);
				out[n++] = (char)('0' + c / 10 % 10);
				out[n++] = (char)('0' + c % 10);
				continue;
			}
			if (strchr(".\\\"();@$", c))
				out[n++] = '\\';
			out[n++] = (char)c;
		}
	}
	out[n] = 0;
	return n;
}

bool dns_name_eq(const uint8_t *a, const uint8_t *b)
{
	size_t n = dns_name_len(a);
	return n == dns_name_len(b) && same(a, b, n);
}

bool dns_name_under(const uint8_t *name, const uint8_t *zone)
{
	unsigned have = dns_name_labels(name), want = dns_name_labels(zone);
	for (; have > want; have--)
		name += 1u + *name;
	return have == want && dns_name_eq(name, zone);
}

void dns_name_lower(uint8_t *name)
{
	for (size_t i = 0, n = dns_name_len(name); i < n; i++)
		name[i] = lower(name[i]);
}
