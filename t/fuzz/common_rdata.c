/* The data of a record of any type, from the wire and from words: what check() takes has a text
 * that gives the same data, what from_text() makes is accepted, and nothing is ever read beyond.
 * The first two octets are the type, the third tells which way. */
#include <stdlib.h>
#include "libcommon/dns/rdata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { WORDS = 4096 };
static const uint8_t origin[] = "\1o";

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* Words as the zone reader makes them, of text that has no more than blanks and quotes. */
static size_t cut(struct slice text, struct dns_word *w)
{
	size_t n = 0, i = 0;
	while (n < WORDS) {
		while (i < text.len && text.p[i] == ' ')
			i++;
		if (i == text.len)
			break;
		bool quoted = text.p[i] == '"', inside = quoted;
		size_t start = i += quoted;
		for (; i < text.len && (inside || text.p[i] != ' '); i++) {
			if (text.p[i] == '\\' && i + 1 < text.len)
				i++;
			else if (text.p[i] == '"' && quoted)
				break;
			else if (text.p[i] == '"')
				inside = !inside;
		}
		w[n++] = (struct dns_word){{text.p + start, i - start}, quoted};
		if (quoted && i < text.len)
			i++;
	}
	return n;
}

struct names {
	const uint8_t *rdata;
	size_t len, last;
};

static void name(void *arg, size_t at, bool lower, bool compress)
{
	struct names *n = arg;
	check(at >= n->last && at < n->len && dns_name_check(n->rdata + at, n->len - at) > 0);
	check(lower || !compress);
	n->last = at + 1;
}

/* Well-formed data: its text gives it again, and its canonical form is as well formed. */
static void good(uint16_t type, uint8_t *rdata, size_t len)
{
	static uint8_t again[DNS_RDATA_MAX];
	static struct dns_word w[WORDS];
	struct buf text = {0};
	size_t n, bad;
	const char *why;
	struct names seen = {rdata, len, 0};
	check(dns_rdata_check(type, rdata, len));
	dns_rdata_names(type, rdata, len, name, &seen);
	dns_rdata_text(type, rdata, len, &text);
	size_t words = cut(buf_slice(&text), w);
	if (words < WORDS) {
		check(dns_rdata_from_text(type, w, words, origin, again, &n, &why, &bad));
		check(dns_rdata_cmp(rdata, len, again, n) == 0);
	}
	dns_rdata_canonical(type, rdata, len);
	check(dns_rdata_check(type, rdata, len));
	buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t out[DNS_RDATA_MAX];
	static struct dns_word w[WORDS];
	size_t n = 0, bad = 0;
	const char *why = NULL;
	if (len < 3 || len > DNS_MSG_MAX)
		return 0;
	uint16_t type = dns_u16(data);
	struct dns_rr rr = {.type = type, .rdata = 3, .rdlen = (uint16_t)(len - 3)};
	if (data[2] & 1) {
		size_t words = cut((struct slice){(const char *)data + 3, len - 3}, w);
		if (dns_rdata_from_text(type, w, words, origin, out, &n, &why, &bad))
			good(type, out, n);
		else
			check(why && bad <= words);
		return 0;
	}
	struct buf text = {0};
	dns_rdata_text(type, data + 3, len - 3, &text);
	buf_free(&text);
	if (dns_rdata_read(data, len, &rr, out, &n))
		good(type, out, n);
	return 0;
}
