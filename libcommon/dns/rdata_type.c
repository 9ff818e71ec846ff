/* The types (IANA's registry) and the fields of their data. */
#include "libcommon/dns/rdata_int.h"
#include <stdio.h>

/* Types up to 109: the index is the type. A row with a name alone is a type that we know and whose
 * data we do not look at. */
static const struct rdata_type low[] = {
    [1] = {"A", {K_A}},
    [2] = {"NS", {K_NAME_PACKED}},
    [3] = {"MD", {K_NAME_PACKED}},
    [4] = {"MF", {K_NAME_PACKED}},
    [5] = {"CNAME", {K_NAME_PACKED}},
    [6] = {"SOA", {K_NAME_PACKED, K_NAME_PACKED, K_U32, K_TTL, K_TTL, K_TTL, K_TTL}},
    [7] = {"MB", {K_NAME_PACKED}},
    [8] = {"MG", {K_NAME_PACKED}},
    [9] = {"MR", {K_NAME_PACKED}},
    [10] = {"NULL", {K_END}},
    [11] = {"WKS", {K_LDNS}},
    [12] = {"PTR", {K_NAME_PACKED}},
    [13] = {"HINFO", {K_STRING, K_STRING}},
    [14] = {"MINFO", {K_NAME_PACKED, K_NAME_PACKED}},
    [15] = {"MX", {K_U16, K_NAME_PACKED}},
    [16] = {"TXT", {K_STRINGS}},
    [17] = {"RP", {K_NAME_LOWER, K_NAME_LOWER}},
    [18] = {"AFSDB", {K_U16, K_NAME_LOWER}},
    [19] = {"X25", {K_STRING}},
    [20] = {"ISDN", {K_STRINGS}},
    [21] = {"RT", {K_U16, K_NAME_LOWER}},
    [22] = {"NSAP", {K_NSAP}},
    [23] = {"NSAP-PTR", {K_NAME}},
    [24] = {"SIG", {K_TYPE, K_ALGO, K_U8, K_TTL, K_TIME, K_TIME, K_U16, K_NAME_LOWER, K_BASE64}},
    [25] = {"KEY", {K_U16, K_U8, K_ALGO, K_KEY}},
    [26] = {"PX", {K_U16, K_NAME_LOWER, K_NAME_LOWER}},
    [27] = {"GPOS", {K_STRING, K_STRING, K_STRING}},
    [28] = {"AAAA", {K_AAAA}},
    [29] = {"LOC", {K_LDNS}},
    [30] = {"NXT", {K_END}},
    [31] = {"EID", {K_HEX}},
    [32] = {"NIMLOC", {K_HEX}},
    [33] = {"SRV", {K_U16, K_U16, K_U16, K_NAME_LOWER}},
    [34] = {"ATMA", {K_LDNS}},
    [35] = {"NAPTR", {K_U16, K_U16, K_STRING, K_STRING, K_STRING, K_NAME_LOWER}},
    [36] = {"KX", {K_U16, K_NAME_LOWER}},
    [37] = {"CERT", {K_CERT, K_U16, K_ALGO, K_BASE64}},
    [38] = {"A6", {K_END}},
    [39] = {"DNAME", {K_NAME_LOWER}},
    [40] = {"SINK", {K_END}},
    [41] = {"OPT", {K_END}},
    [42] = {"APL", {K_LDNS}},
    [43] = {"DS", {K_U16, K_ALGO, K_U8, K_HEX}},
    [44] = {"SSHFP", {K_U8, K_U8, K_HEX}},
    [45] = {"IPSECKEY", {K_IPSEC, K_KEY}},
    [46] = {"RRSIG", {K_TYPE, K_ALGO, K_U8, K_TTL, K_TIME, K_TIME, K_U16, K_NAME_LOWER, K_BASE64}},
    [47] = {"NSEC", {K_NAME, K_TYPES}},
    [48] = {"DNSKEY", {K_U16, K_U8, K_ALGO, K_BASE64}},
    [49] = {"DHCID", {K_BASE64}},
    [50] = {"NSEC3", {K_U8, K_U8, K_U16, K_SALT, K_HASH, K_TYPES}},
    [51] = {"NSEC3PARAM", {K_U8, K_U8, K_U16, K_SALT}},
    [52] = {"TLSA", {K_U8, K_U8, K_U8, K_HEX}},
    [53] = {"SMIMEA", {K_U8, K_U8, K_U8, K_HEX}},
    [55] = {"HIP", {K_LDNS}},
    [56] = {"NINFO", {K_STRINGS}},
    [57] = {"RKEY", {K_U16, K_U8, K_ALGO, K_BASE64}},
    [58] = {"TALINK", {K_NAME, K_NAME}},
    [59] = {"CDS", {K_U16, K_ALGO, K_U8, K_HEX}},
    [60] = {"CDNSKEY", {K_U16, K_U8, K_ALGO, K_BASE64}},
    [61] = {"OPENPGPKEY", {K_BASE64}},
    [62] = {"CSYNC", {K_U32, K_U16, K_TYPES}},
    [63] = {"ZONEMD", {K_U32, K_U8, K_U8, K_HEX}},
    [64] = {"SVCB", {K_U16, K_NAME, K_PARAMS}},
    [65] = {"HTTPS", {K_U16, K_NAME, K_PARAMS}},
    [66] = {"DSYNC", {K_TYPE, K_U8, K_U16, K_NAME}},
    [99] = {"SPF", {K_STRINGS}},
    [100] = {"UINFO", {K_END}},
    [101] = {"UID", {K_END}},
    [102] = {"GID", {K_END}},
    [103] = {"UNSPEC", {K_END}},
    [104] = {"NID", {K_U16, K_LOCATOR}},
    [105] = {"L32", {K_U16, K_A}},
    [106] = {"L64", {K_U16, K_LOCATOR}},
    [107] = {"LP", {K_U16, K_NAME}},
    [108] = {"EUI48", {K_EUI48}},
    [109] = {"EUI64", {K_EUI64}},
};

static const struct rdata_type high[] = {
    {"NXNAME", {K_END}, 128},
    {"TKEY", {K_END}, 249},
    {"TSIG", {K_END}, 250},
    {"IXFR", {K_END}, 251},
    {"AXFR", {K_END}, 252},
    {"MAILB", {K_END}, 253},
    {"MAILA", {K_END}, 254},
    {"ANY", {K_END}, 255},
    {"URI", {K_U16, K_U16, K_TEXT}, 256},
    {"CAA", {K_U8, K_TAG, K_TEXT}, 257},
    {"AVC", {K_STRINGS}, 258},
    {"DOA", {K_END}, 259},
    {"AMTRELAY", {K_RELAY}, 260},
    {"RESINFO", {K_STRINGS}, 261},
    {"WALLET", {K_STRINGS}, 262},
    {"TA", {K_U16, K_ALGO, K_U8, K_HEX}, 32768},
    {"DLV", {K_U16, K_ALGO, K_U8, K_HEX}, 32769},
    {"ALIAS", {K_NAME_LOWER}, DNS_ALIAS}, /* of private use; several servers have it */
};

enum {
	LOW = sizeof(low) / sizeof(low[0]),
	HIGH = sizeof(high) / sizeof(high[0]),
	NAME = sizeof(low[0].name),
};

const struct rdata_type *rdata_type(uint16_t type)
{
	if (type < LOW)
		return *low[type].name ? &low[type] : NULL;
	for (size_t i = 0; i < HIGH; i++)
		if (high[i].type == type)
			return &high[i];
	return NULL;
}

/* In capitals, with zeros behind it; false: longer than any mnemonic. */
static bool padded(struct slice text, char out[NAME])
{
	if (text.len == 0 || text.len >= NAME)
		return false;
	memset(out, 0, NAME);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];
		out[i] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
	}
	return true;
}

uint16_t dns_type_from_text(struct slice text)
{
	char name[NAME];
	uint32_t v;
	if (!padded(text, name))
		return 0;
	for (size_t i = 0; i < LOW; i++)
		if (!memcmp(low[i].name, name, NAME))
			return (uint16_t)i;
	for (size_t i = 0; i < HIGH; i++)
		if (!memcmp(high[i].name, name, NAME))
			return high[i].type;
	if (!memcmp(name, "TYPE", 4) && str_u32((struct slice){text.p + 4, text.len - 4}, &v) &&
	    v <= UINT16_MAX)
		return (uint16_t)v;
	return 0;
}

const char *dns_type_text(uint16_t type, char out[DNS_TYPE_TEXT])
{
	const struct rdata_type *t = rdata_type(type);
	if (t)
		memcpy(out, t->name, NAME);
	else
		snprintf(out, DNS_TYPE_TEXT, "TYPE%u", (unsigned)type);
	return out;
}

const char *dns_type_like(struct slice text)
{
	char name[NAME];
	const char *best = NULL;
	unsigned least = 2;
	/* In a word of two letters a slip changes too much for a guess. */
	if (text.len < 3 || !padded(text, name))
		return NULL;
	for (size_t i = 0; i < LOW + HIGH; i++) {
		const struct rdata_type *t = i < LOW ? &low[i] : &high[i - LOW];
		unsigned d = *t->name ? str_distance(name, t->name, 1) : least;
		if (d < least) {
			least = d;
			best = t->name;
		}
	}
	return best;
}

bool dns_type_is_meta(uint16_t type)
{
	return type == 0 || type == DNS_OPT || (type >= 128 && type <= 255);
}
