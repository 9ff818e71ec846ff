/* The kinds of fields: how many octets one has, and who reads and writes it. */
#include "libcommon/dns/rdata_int.h"

static long fixed(size_t n, size_t left)
{
	return left < n ? -1 : (long)n;
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
    [K_U8] = {rdata_parse_u8, rdata_print_number, .octets = 1},
    [K_U16] = {rdata_parse_u16, rdata_print_number, .octets = 2},
    [K_U32] = {rdata_parse_u32, rdata_print_number, .octets = 4},
    [K_TTL] = {rdata_parse_ttl, rdata_print_number, .octets = 4},
    [K_TIME] = {rdata_parse_time, rdata_print_time, .octets = 4},
    [K_ALGO] = {rdata_parse_algo, rdata_print_number, .octets = 1},
    [K_TYPE] = {rdata_parse_type, rdata_print_type, .octets = 2},
    [K_A] = {rdata_parse_a, rdata_print_address, .octets = 4},
    [K_AAAA] = {rdata_parse_aaaa, rdata_print_address, .octets = 16},
    [K_NAME] = {rdata_parse_name, rdata_print_name, .size = size_name},
    [K_NAME_LOWER] = {rdata_parse_name, rdata_print_name, .size = size_name},
    [K_NAME_PACKED] = {rdata_parse_name, rdata_print_name, .size = size_name},
    [K_STRING] = {rdata_parse_string, rdata_print_strings, .size = size_string},
    [K_STRINGS] = {rdata_parse_strings, rdata_print_strings, .size = size_strings},
    [K_TAG] = {rdata_parse_tag, rdata_print_tag, .size = size_tag},
    [K_TEXT] = {rdata_parse_text, rdata_print_quoted, .size = size_rest},
    [K_HEX] = {rdata_parse_hex, rdata_print_hex, .size = size_some},
    [K_BASE64] = {rdata_parse_base64, rdata_print_base64, .size = size_some},
    [K_KEY] = {rdata_parse_key, rdata_print_base64, .size = size_rest},
    [K_SALT] = {rdata_parse_salt, rdata_print_salt, .size = size_string},
    [K_HASH] = {rdata_parse_hash, rdata_print_hash, .size = size_hash},
    [K_TYPES] = {rdata_parse_types, rdata_print_types, .size = rdata_size_types},
    [K_PARAMS] = {rdata_parse_params, rdata_print_params, .size = rdata_size_params},
    [K_IPSEC] = {rdata_parse_ipsec, rdata_print_ipsec, .size = rdata_size_ipsec},
    [K_RELAY] = {rdata_parse_relay, rdata_print_relay, .size = rdata_size_relay},
    [K_CERT] = {rdata_parse_cert, rdata_print_number, .octets = 2},
    [K_LOCATOR] = {rdata_parse_locator, rdata_print_locator, .octets = 8},
    [K_EUI48] = {rdata_parse_eui48, rdata_print_eui, .octets = 6},
    [K_EUI64] = {rdata_parse_eui64, rdata_print_eui, .octets = 8},
    [K_NSAP] = {rdata_parse_nsap, rdata_print_nsap, .size = size_some},
};

long rdata_size(enum rdata_kind k, const uint8_t *p, size_t left)
{
	const struct rdata_ops *ops = &rdata_ops[k];
	return ops->octets ? fixed(ops->octets, left) : ops->size(p, left);
}
