/* The types that a name has, as NSEC, NSEC3 and CSYNC list them (RFC 4034 4.1.2): windows of 256
 * types, each with its number, its length and a bit per type. */
#include "libcommon/dns/rdata_int.h"

enum { WINDOW = 32 }; /* octets at most */

long rdata_size_types(const uint8_t *p, size_t left)
{
	int last = -1;
	for (size_t at = 0; at < left; at += 2u + p[at + 1]) {
		if (left - at < 3 || p[at] <= last || p[at + 1] == 0 || p[at + 1] > WINDOW ||
		    left - at < 2u + p[at + 1])
			return -1;
		/* A window ends with its last type. */
		if (p[at + 1u + p[at + 1]] == 0)
			return -1;
		last = p[at];
	}
	return (long)left;
}

/* One window of the types that the words name; nothing when it would be empty. */
static bool put_window(struct rdata_in *in, const uint8_t *bits, uint8_t number)
{
	uint8_t len = WINDOW;
	while (len > 0 && bits[len - 1] == 0)
		len--;
	uint8_t head[2] = {number, len};
	return len == 0 || (rdata_put(in, head, sizeof(head)) && rdata_put(in, bits, len));
}

bool rdata_parse_types(struct rdata_in *in)
{
	uint8_t bits[256 * WINDOW] = {0};
	unsigned top = 0;
	for (; in->at < in->words; in->at++) {
		struct slice text = in->word[in->at].text;
		uint16_t type = dns_type_from_text(text);
		if (!type && !slice_ieqs(text, "TYPE0"))
			return rdata_fail(in, "a record type is wanted");
		bits[type / 8] |= (uint8_t)(0x80 >> type % 8);
		if (type / 256u > top)
			top = type / 256u;
	}
	for (unsigned i = 0; i <= top; i++)
		if (!put_window(in, bits + i * WINDOW, (uint8_t)i))
			return false;
	return true;
}

void rdata_print_types(const uint8_t *p, size_t n, struct buf *out)
{
	bool first = true;
	for (size_t at = 0; at < n; at += 2u + p[at + 1]) {
		for (unsigned bit = 0; bit < 8u * p[at + 1]; bit++) {
			if (!(p[at + 2 + bit / 8] & 0x80 >> bit % 8))
				continue;
			char text[DNS_TYPE_TEXT];
			if (!first)
				buf_addc(out, ' ');
			first = false;
			buf_adds(out, dns_type_text((uint16_t)(p[at] * 256u + bit), text));
		}
	}
}
