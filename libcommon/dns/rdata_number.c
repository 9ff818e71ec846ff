/* Numbers, times, mnemonics that stand for numbers, and addresses. */
#include "libcommon/dns/rdata_int.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <time.h>

/* A decimal number of at most max. */
static bool number(struct rdata_in *in, uint32_t max, const char *wanted, uint32_t *out)
{
	const struct dns_word *w = rdata_word(in, wanted);
	if (!w)
		return false;
	if (!str_u32(w->text, out) || *out > max)
		return rdata_fail(in, wanted);
	in->at++;
	return true;
}

static bool put_u8(struct rdata_in *in, uint32_t v)
{
	uint8_t b = (uint8_t)v;
	return rdata_put(in, &b, 1);
}

bool rdata_parse_u8(struct rdata_in *in)
{
	uint32_t v;
	return number(in, UINT8_MAX, "a number from 0 to 255 is wanted", &v) && put_u8(in, v);
}

bool rdata_parse_u16(struct rdata_in *in)
{
	uint32_t v;
	return number(in, UINT16_MAX, "a number from 0 to 65535 is wanted", &v) &&
	       rdata_put_u16(in, (uint16_t)v);
}

bool rdata_parse_u32(struct rdata_in *in)
{
	uint32_t v;
	return number(in, UINT32_MAX, "a number from 0 to 4294967295 is wanted", &v) &&
	       rdata_put_u32(in, v);
}

static uint32_t unit(char c)
{
	switch (str_lower(c)) {
	case 'w':
		return 7 * 86400;
	case 'd':
		return 86400;
	case 'h':
		return 3600;
	case 'm':
		return 60;
	default:
		return c == 's' || c == 'S';
	}
}

bool rdata_ttl(struct slice text, uint32_t *out)
{
	uint64_t sum = 0, v = 0;
	uint32_t last = 8 * 86400; /* units go down, so that none comes twice */
	bool digit = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];
		if (c >= '0' && c <= '9') {
			v = v * 10 + (uint64_t)(c - '0');
			digit = true;
			if (v > INT32_MAX)
				return false;
			continue;
		}
		uint32_t u = unit(c);
		if (!u || u >= last || !digit)
			return false;
		sum += v * u;
		last = u;
		v = 0;
		digit = false;
	}
	/* Digits without a unit are seconds, but not behind units: 1h30 is a mistake. */
	if (text.len == 0 || (digit && last != 8 * 86400) || sum + v > INT32_MAX)
		return false;
	*out = (uint32_t)(sum + v);
	return true;
}

bool rdata_parse_ttl(struct rdata_in *in)
{
	static const char wanted[] = "a time in seconds or as 1h30m is wanted";
	const struct dns_word *w = rdata_word(in, wanted);
	uint32_t v;
	if (!w)
		return false;
	/* SOA's and RRSIG's may use all 32 bits. */
	if (!str_u32(w->text, &v) && !rdata_ttl(w->text, &v))
		return rdata_fail(in, wanted);
	in->at++;
	return rdata_put_u32(in, v);
}

static void time_text(uint32_t v, char out[20])
{
	time_t t = v;
	struct tm tm;
	gmtime_r(&t, &tm);
	strftime(out, 20, "%Y%m%d%H%M%S", &tm);
}

/* YYYYMMDDHHMMSS, of 1970 to 2106. */
static bool date(struct slice s, uint32_t *out)
{
	char digits[15], again[20];
	struct tm tm = {0};
	memcpy(digits, s.p, 14);
	digits[14] = 0;
	if (!strptime(digits, "%Y%m%d%H%M%S", &tm))
		return false;
	time_t t = timegm(&tm);
	if (t < 0 || t > UINT32_MAX)
		return false;
	*out = (uint32_t)t;
	time_text(*out, again);
	return !strcmp(digits, again); /* not so on February 30th */
}

bool rdata_parse_time(struct rdata_in *in)
{
	static const char wanted[] = "a time as YYYYMMDDHHMMSS is wanted";
	const struct dns_word *w = rdata_word(in, wanted);
	uint32_t v;
	if (!w)
		return false;
	if (w->text.len == 14 ? !date(w->text, &v) : !str_u32(w->text, &v))
		return rdata_fail(in, wanted);
	in->at++;
	return rdata_put_u32(in, v);
}

/* DNSSEC's algorithms (RFC 4034 A.1 and IANA's registry). */
static const struct {
	const char *name;
	uint8_t n;
} algos[] = {
    {"RSAMD5", 1},
    {"DH", 2},
    {"DSA", 3},
    {"RSASHA1", 5},
    {"DSA-NSEC3-SHA1", 6},
    {"RSASHA1-NSEC3-SHA1", 7},
    {"RSASHA256", 8},
    {"RSASHA512", 10},
    {"ECC-GOST", 12},
    {"ECDSAP256SHA256", 13},
    {"ECDSAP384SHA384", 14},
    {"ED25519", 15},
    {"ED448", 16},
    {"INDIRECT", 252},
    {"PRIVATEDNS", 253},
    {"PRIVATEOID", 254},
};

bool rdata_parse_algo(struct rdata_in *in)
{
	const struct dns_word *w = rdata_word(in, "an algorithm is wanted");
	if (!w)
		return false;
	for (size_t i = 0; i < sizeof(algos) / sizeof(algos[0]); i++)
		if (slice_ieqs(w->text, algos[i].name)) {
			in->at++;
			return put_u8(in, algos[i].n);
		}
	uint32_t v;
	return number(in, UINT8_MAX, "an algorithm (13, ECDSAP256SHA256) is wanted", &v) &&
	       put_u8(in, v);
}

bool rdata_parse_type(struct rdata_in *in)
{
	const struct dns_word *w = rdata_word(in, "a record type is wanted");
	if (!w)
		return false;
	uint16_t type = dns_type_from_text(w->text);
	if (!type && !slice_ieqs(w->text, "TYPE0"))
		return rdata_fail(in, "a record type is wanted");
	in->at++;
	return rdata_put_u16(in, type);
}

/* inet_pton() would do; this is the field that zones have most of. */
static bool ipv4(struct slice s, uint8_t *out)
{
	size_t i = 0;
	for (int k = 0; k < 4; k++) {
		unsigned v = 0;
		if (k && (i >= s.len || s.p[i++] != '.'))
			return false;
		size_t start = i;
		for (; i < s.len && i - start < 4 && s.p[i] >= '0' && s.p[i] <= '9'; i++)
			v = v * 10 + (unsigned)(s.p[i] - '0');
		/* A leading zero may have been meant as octal. */
		if (i == start || v > 255 || (i - start > 1 && s.p[start] == '0'))
			return false;
		out[k] = (uint8_t)v;
	}
	return i == s.len;
}

bool rdata_address(struct slice text, bool v6, uint8_t *out)
{
	char z[INET6_ADDRSTRLEN];
	if (!v6)
		return ipv4(text, out);
	if (text.len >= sizeof(z))
		return false;
	memcpy(z, text.p, text.len);
	z[text.len] = 0;
	return inet_pton(AF_INET6, z, out) == 1;
}

static bool address(struct rdata_in *in, bool v6, const char *wanted)
{
	uint8_t addr[16];
	const struct dns_word *w = rdata_word(in, wanted);
	if (!w)
		return false;
	if (!rdata_address(w->text, v6, addr))
		return rdata_fail(in, wanted);
	in->at++;
	return rdata_put(in, addr, v6 ? 16 : 4);
}

bool rdata_parse_a(struct rdata_in *in)
{
	return address(in, false, "an IPv4 address is wanted");
}

bool rdata_parse_aaaa(struct rdata_in *in)
{
	return address(in, true, "an IPv6 address is wanted");
}

void rdata_print_number(const uint8_t *p, size_t n, struct buf *out)
{
	buf_printf(out, "%u", n == 1 ? *p : n == 2 ? dns_u16(p) : dns_u32(p));
}

void rdata_print_time(const uint8_t *p, size_t n, struct buf *out)
{
	char text[20];
	(void)n;
	time_text(dns_u32(p), text);
	buf_adds(out, text);
}

void rdata_print_type(const uint8_t *p, size_t n, struct buf *out)
{
	char text[DNS_TYPE_TEXT];
	(void)n;
	buf_adds(out, dns_type_text(dns_u16(p), text));
}

void rdata_print_address(const uint8_t *p, size_t n, struct buf *out)
{
	char text[INET6_ADDRSTRLEN];
	if (inet_ntop(n == 4 ? AF_INET : AF_INET6, p, text, sizeof(text)))
		buf_adds(out, text);
}
