/* The kinds of fields: how many octets one has, and who reads and writes it. */
#include "libcommon/dns/rdata_int.h"

static long fixed(size_t n, size_t left)
{
	return left < n ? -1 : (long)n;
}

static long size_1(const uint8_t *p, size_t left)
{
	(void)p;
	return fixed(1, left);
}

static long size_2(const uint8_t *p, size_t left)
{
	(void)p;
	return fixed(2, left);
}

static long size_4(const uint8_t *p, size_t left)
{
	(void)p;
	return fixed(4, left);
}

static long size_6(const uint8_t *p, size_t left)
{
	(void)p;
	return fixed(6, left);
}

static long size_8(const uint8_t *p, size_t left)
{
	(void)p;
	return fixed(8, left);
}

static long size_16(const uint8_t *p, size_t left)
{
	(void)p;
	return fixed(16, left);
}

static long size_name(const uint8_t *p, size_t left)
{
	size_t n = dns_name_check(p, left);
	return n ? (long)n : -1;
}

static long size_string(const uint8_t *p, size_t left)
{
	return left == 0 ? -1 : fixed(1u + *p, left);
}

static long size_strings(const uint8_t *p, size_t left)
{
	size_t at = 0;
	while (at < left)
		at += 1u + p[at];
	return left > 0 && at == left ? (long)left : -1;
}

static long size_tag(const uint8_t *p, size_t left)
{
	long n = size_string(p, left);
	for (long i = 1; i < n; i++) {
		uint8_t c = p[i] | 0x20;
		if (!(c >= 'a' && c <= 'z') && !(p[i] >= '0' && p[i] <= '9'))
			return -1;
	}
	return n > 1 ? n : -1;
}

static long size_rest(const uint8_t *p, size_t left)
{
	(void)p;
	return (long)left;
}

static long size_some(const uint8_t *p, size_t left)
{
	(void)p;
	return left == 0 ? -1 : (long)left;
}

static long size_hash(const uint8_t *p, size_t left)
{
	return left > 0 && *p == 0 ? -1 : size_string(p, left);
}

const struct rdata_ops rdata_ops[K_KINDS] = {
    [K_U8] = {size_1, rdata_parse_u8, rdata_print_number},
    [K_U16] = {size_2, rdata_parse_u16, rdata_print_number},
    [K_U32] = {size_4, rdata_parse_u32, rdata_print_number},
    [K_TTL] = {size_4, rdata_parse_ttl, rdata_print_number},
    [K_TIME] = {size_4, rdata_parse_time, rdata_print_time},
    [K_ALGO] = {size_1, rdata_parse_algo, rdata_print_number},
    [K_TYPE] = {size_2, rdata_parse_type, rdata_print_type},
    [K_A] = {size_4, rdata_parse_a, rdata_print_address},
    [K_AAAA] = {size_16, rdata_parse_aaaa, rdata_print_address},
    [K_NAME] = {size_name, rdata_parse_name, rdata_print_name},
    [K_NAME_LOWER] = {size_name, rdata_parse_name, rdata_print_name},
    [K_NAME_PACKED] = {size_name, rdata_parse_name, rdata_print_name},
    [K_STRING] = {size_string, rdata_parse_string, rdata_print_strings},
    [K_STRINGS] = {size_strings, rdata_parse_strings, rdata_print_strings},
    [K_TAG] = {size_tag, rdata_parse_tag, rdata_print_tag},
    [K_TEXT] = {size_rest, rdata_parse_text, rdata_print_quoted},
    [K_HEX] = {size_some, rdata_parse_hex, rdata_print_hex},
    [K_BASE64] = {size_some, rdata_parse_base64, rdata_print_base64},
    [K_KEY] = {size_rest, rdata_parse_key, rdata_print_base64},
    [K_SALT] = {size_string, rdata_parse_salt, rdata_print_salt},
    [K_HASH] = {size_hash, rdata_parse_hash, rdata_print_hash},
    [K_TYPES] = {rdata_size_types, rdata_parse_types, rdata_print_types},
    [K_PARAMS] = {rdata_size_params, rdata_parse_params, rdata_print_params},
    [K_IPSEC] = {rdata_size_ipsec, rdata_parse_ipsec, rdata_print_ipsec},
    [K_RELAY] = {rdata_size_relay, rdata_parse_relay, rdata_print_relay},
    [K_CERT] = {size_2, rdata_parse_cert, rdata_print_number},
    [K_LOCATOR] = {size_8, rdata_parse_locator, rdata_print_locator},
    [K_EUI48] = {size_6, rdata_parse_eui48, rdata_print_eui},
    [K_EUI64] = {size_8, rdata_parse_eui64, rdata_print_eui},
    [K_NSAP] = {size_some, rdata_parse_nsap, rdata_print_nsap},
};
