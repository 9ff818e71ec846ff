/* Fields of the rarer types: gateways of IPSECKEY (RFC 4025 2) and AMTRELAY (RFC 8777 4), CERT's
 * type (RFC 4398 2.1), hex in groups for NID and L64 (RFC 6742) and EUI48, EUI64 (RFC 7043), and
 * NSAP (RFC 1706). */
#include "libcommon/dns/rdata_int.h"

enum gateway { NONE, V4, V6, NAME };

static long gateway_size(enum gateway type, const uint8_t *p, size_t left)
{
	static const enum rdata_kind kind[] = {[V4] = K_A, [V6] = K_AAAA, [NAME] = K_NAME};
	if (type == NONE)
		return 0;
	return type <= NAME ? rdata_size(kind[type], p, left) : -1;
}

/* What stands before the gateway included; type: where its type stands. */
static long with_head(const uint8_t *p, size_t left, size_t head, uint8_t type)
{
	long n = left < head ? -1 : gateway_size((enum gateway)type, p + head, left - head);
	return n < 0 ? -1 : (long)head + n;
}

long rdata_size_ipsec(const uint8_t *p, size_t left)
{
	return with_head(p, left, 3, left < 3 ? 0 : p[1]);
}

long rdata_size_relay(const uint8_t *p, size_t left)
{
	return with_head(p, left, 2, left < 2 ? 0 : p[1] & 0x7f);
}

static bool parse_gateway(struct rdata_in *in, uint8_t type)
{
	switch ((enum gateway)type) {
	case V4:
		return rdata_parse_a(in);
	case V6:
		return rdata_parse_aaaa(in);
	case NAME:
		return rdata_parse_name(in);
	case NONE:
		break;
	}
	const struct dns_word *w = rdata_word(in, "\".\" is wanted: the record has no gateway");
	if (!w || !slice_eqs(w->text, "."))
		return rdata_fail(in, "\".\" is wanted: the record has no gateway");
	in->at++;
	return true;
}

/* The octet that tells the type. */
static bool parse_type(struct rdata_in *in)
{
	if (!rdata_parse_u8(in))
		return false;
	if (in->out[in->len - 1] <= NAME)
		return true;
	in->at--;
	return rdata_fail(in, "a type of gateway is wanted: 0 none, 1 IPv4, 2 IPv6, 3 name");
}

bool rdata_parse_ipsec(struct rdata_in *in)
{
	size_t start = in->len;
	return rdata_parse_u8(in) && parse_type(in) && rdata_parse_algo(in) &&
	       parse_gateway(in, in->out[start + 1]);
}

/* In the octet of the type, too: discovery is optional. */
static bool parse_optional(struct rdata_in *in, uint8_t *bit)
{
	const struct dns_word *w = rdata_word(in, "0 or 1 (discovery is optional) is wanted");
	if (!w || (!slice_eqs(w->text, "0") && !slice_eqs(w->text, "1")))
		return rdata_fail(in, "0 or 1 (discovery is optional) is wanted");
	*bit = *w->text.p == '1' ? 0x80 : 0;
	in->at++;
	return true;
}

bool rdata_parse_relay(struct rdata_in *in)
{
	size_t start = in->len;
	uint8_t bit = 0;
	if (!rdata_parse_u8(in) || !parse_optional(in, &bit) || !parse_type(in) ||
	    !parse_gateway(in, in->out[start + 1]))
		return false;
	in->out[start + 1] |= bit;
	return true;
}

static void print_gateway(uint8_t type, const uint8_t *p, size_t n, struct buf *out)
{
	if (type == NONE)
		buf_addc(out, '.');
	else if (type == NAME)
		rdata_print_name(p, n, out);
	else
		rdata_print_address(p, n, out);
}

void rdata_print_ipsec(const uint8_t *p, size_t n, struct buf *out)
{
	buf_printf(out, "%u %u %u ", p[0], p[1], p[2]);
	print_gateway(p[1], p + 3, n - 3, out);
}

void rdata_print_relay(const uint8_t *p, size_t n, struct buf *out)
{
	buf_printf(out, "%u %u %u ", p[0], p[1] >> 7, p[1] & 0x7f);
	print_gateway(p[1] & 0x7f, p + 2, n - 2, out);
}

bool rdata_parse_cert(struct rdata_in *in)
{
	static const struct {
		const char *name;
		uint16_t n;
	} type[] = {{"PKIX", 1}, {"SPKI", 2},   {"PGP", 3},     {"IPKIX", 4}, {"ISPKI", 5},
		    {"IPGP", 6}, {"ACPKIX", 7}, {"IACPKIX", 8}, {"URI", 253}, {"OID", 254}};
	const struct dns_word *w = rdata_word(in, "a type of certificate (PKIX, 1) is wanted");
	for (size_t i = 0; w && i < sizeof(type) / sizeof(type[0]); i++)
		if (slice_ieqs(w->text, type[i].name)) {
			in->at++;
			return rdata_put_u16(in, type[i].n);
		}
	return w && rdata_parse_u16(in);
}

/* Octets in hex, `group` of them between two separators. */
static bool groups(struct rdata_in *in, size_t octets, size_t group, char sep, const char *wanted)
{
	const struct dns_word *w = rdata_word(in, wanted);
	struct slice rest = w ? w->text : SLICE("");
	if (!w)
		return false;
	for (size_t i = 0; i < octets; i += group) {
		struct slice digits = slice_cut(&rest, sep);
		uint32_t v = 0;
		/* The groups of two octets may leave zeros out, as IPv6 addresses do. */
		if (digits.len == 0 || digits.len > 2 * group || (group == 1 && digits.len != 2))
			return rdata_fail(in, wanted);
		for (size_t k = 0; k < digits.len; k++) {
			unsigned d = rdata_hex_digit(digits.p[k]);
			if (d > 15)
				return rdata_fail(in, wanted);
			v = v << 4 | d;
		}
		uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
		if (!rdata_put(in, b + 2 - group, group))
			return false;
		/* A separator behind every group but the last. */
		if ((i + group < octets) != (rest.p > w->text.p && rest.p[-1] == sep))
			return rdata_fail(in, wanted);
	}
	if (rest.len)
		return rdata_fail(in, wanted);
	in->at++;
	return true;
}

bool rdata_parse_locator(struct rdata_in *in)
{
	return groups(in, 8, 2, ':',
		      "four groups of hexadecimal digits (14:4fff:ff20:ee64) are wanted");
}

bool rdata_parse_eui48(struct rdata_in *in)
{
	return groups(in, 6, 1, '-', "an address as 00-00-5e-00-53-2a is wanted");
}

bool rdata_parse_eui64(struct rdata_in *in)
{
	return groups(in, 8, 1, '-', "an address as 00-00-5e-ef-10-00-00-2a is wanted");
}

void rdata_print_locator(const uint8_t *p, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i += 2)
		buf_printf(out, "%s%04x", i ? ":" : "", (unsigned)dns_u16(p + i));
}

void rdata_print_eui(const uint8_t *p, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%02x", i ? "-" : "", p[i]);
}

bool rdata_parse_nsap(struct rdata_in *in)
{
	static const char wanted[] = "0x and hexadecimal digits are wanted";
	const struct dns_word *w = rdata_word(in, wanted);
	bool half = false;
	uint8_t b = 0;
	if (!w || !slice_istarts(w->text, "0x") || w->text.len == 2)
		return rdata_fail(in, wanted);
	for (size_t i = 2; i < w->text.len; i++) {
		unsigned d = rdata_hex_digit(w->text.p[i]);
		if (w->text.p[i] == '.')
			continue;
		if (d > 15)
			return rdata_fail(in, wanted);
		b = (uint8_t)(b << 4 | d);
		half = !half;
		if (!half && !rdata_put(in, &b, 1))
			return false;
	}
	if (half || in->len == 0)
		return rdata_fail(in, wanted);
	in->at++;
	return true;
}

void rdata_print_nsap(const uint8_t *p, size_t n, struct buf *out)
{
	buf_adds(out, "0x");
	rdata_print_hex(p, n, out);
}
