/* rdata_int: what the parts of rdata share. A type's data is a row of fields; every kind of field
 * has three functions. */
#ifndef DNS_RDATA_INT_H
#define DNS_RDATA_INT_H
#include "libcommon/dns/rdata.h"

enum rdata_kind {
	K_END, /* behind the last field; a type with no field at all is written as \# LENGTH HEX */
	K_U8,
	K_U16,
	K_U32,
	K_TTL,  /* u32, units allowed: 1h30m */
	K_TIME, /* u32, YYYYMMDDHHMMSS */
	K_ALGO, /* u8, mnemonics of DNSSEC's algorithms allowed */
	K_TYPE, /* u16, a type's mnemonic */
	K_A,
	K_AAAA,
	K_NAME,        /* never compressed, its case kept */
	K_NAME_LOWER,  /* lower case in the canonical form; read, but not written, compressed */
	K_NAME_PACKED, /* of RFC 1035: lower case in the canonical form, compressed */
	K_STRING,      /* with its length before it */
	K_STRINGS,     /* one or more of these, to the end */
	K_TAG,         /* a string of letters and digits */
	K_TEXT,        /* to the end, in quotes */
	K_HEX,         /* to the end, words joined; not empty */
	K_BASE64,      /* likewise */
	K_KEY,         /* base64, may be empty */
	K_SALT,        /* hex with its length before it, "-" when empty */
	K_HASH,        /* base32hex with its length before it */
	K_TYPES,       /* a bitmap of types (RFC 4034 4.1.2) */
	K_PARAMS,      /* of SVCB (RFC 9460) */
	K_IPSEC,       /* up to the gateway of IPSECKEY */
	K_RELAY,       /* all of AMTRELAY */
	K_CERT,        /* u16, mnemonics of CERT's types allowed */
	K_LOCATOR,     /* eight octets as 0014:4fff:ff20:ee64 */
	K_EUI48,       /* octets as 00-00-5e-00-53-2a */
	K_EUI64,
	K_NSAP, /* to the end, 0x and hex */
	K_LDNS, /* all of the data is left to ldns */
	K_KINDS
};

enum { RDATA_FIELDS = 10 };
struct rdata_type {
	char name[12];
	uint8_t field[RDATA_FIELDS]; /* enum rdata_kind, K_END behind the last */
	uint16_t type;               /* only where the index does not tell */
};
/* NULL: not in the table. */
const struct rdata_type *rdata_type(uint16_t type);

/* Words being read into wire form. */
struct rdata_in {
	const struct dns_word *word;
	size_t words, at;
	const uint8_t *origin;
	uint8_t *out; /* DNS_RDATA_MAX octets */
	size_t len;
	const char *why;
};
/* What a field of a kind does. octets: all of them are as long; 0: size() tells. parse reads one
 * word, or all that are left; false: in->why and in->at tell. print appends the field, which
 * rdata_size() accepted. */
struct rdata_ops {
	bool (*parse)(struct rdata_in *in);
	void (*print)(const uint8_t *p, size_t n, struct buf *out);
	uint8_t octets;
	long (*size)(const uint8_t *p, size_t left);
};
extern const struct rdata_ops rdata_ops[K_KINDS];
/* The octets of the field that p starts with, of at most `left`; -1: malformed. */
long rdata_size(enum rdata_kind k, const uint8_t *p, size_t left);

/* The word to read next; NULL (and in->why set): there is none. */
const struct dns_word *rdata_word(struct rdata_in *in, const char *wanted);
bool rdata_fail(struct rdata_in *in, const char *why); /* always false */
bool rdata_put(struct rdata_in *in, const void *p, size_t n);
bool rdata_put_u16(struct rdata_in *in, uint16_t v);
bool rdata_put_u32(struct rdata_in *in, uint32_t v);
/* An octet of text at *i: itself, \X or \DDD. Moves *i behind it; false: a bad escape. */
bool rdata_octet(struct slice text, size_t *i, uint8_t *out);
/* Decodes a word with escapes to at most max octets; -1: in->why tells. */
long rdata_unescape(struct rdata_in *in, const struct dns_word *w, uint8_t *out, size_t max);
/* Seconds: digits, or digits with the units w d h m s, each once (1h30m); at most 2^31 - 1 (RFC
 * 2181 8). */
bool rdata_ttl(struct slice text, uint32_t *out);
/* Appends octets as a string in quotes. */
void rdata_print_quoted(const uint8_t *p, size_t n, struct buf *out);
/* Appends `\# LENGTH HEX`. */
void rdata_print_generic(const uint8_t *p, size_t n, struct buf *out);

/* rdata_number.c */
bool rdata_parse_u8(struct rdata_in *in);
bool rdata_parse_u16(struct rdata_in *in);
bool rdata_parse_u32(struct rdata_in *in);
bool rdata_parse_ttl(struct rdata_in *in);
bool rdata_parse_time(struct rdata_in *in);
bool rdata_parse_algo(struct rdata_in *in);
bool rdata_parse_type(struct rdata_in *in);
bool rdata_parse_a(struct rdata_in *in);
bool rdata_parse_aaaa(struct rdata_in *in);
void rdata_print_number(const uint8_t *p, size_t n, struct buf *out);
void rdata_print_time(const uint8_t *p, size_t n, struct buf *out);
void rdata_print_type(const uint8_t *p, size_t n, struct buf *out);
void rdata_print_address(const uint8_t *p, size_t n, struct buf *out);
/* An address from text of at most 45 octets; false: none. */
bool rdata_address(struct slice text, bool v6, uint8_t *out);

/* rdata_text.c */
bool rdata_parse_name(struct rdata_in *in);
bool rdata_parse_string(struct rdata_in *in);
bool rdata_parse_strings(struct rdata_in *in);
bool rdata_parse_tag(struct rdata_in *in);
bool rdata_parse_text(struct rdata_in *in);
void rdata_print_name(const uint8_t *p, size_t n, struct buf *out);
void rdata_print_strings(const uint8_t *p, size_t n, struct buf *out);
void rdata_print_tag(const uint8_t *p, size_t n, struct buf *out);

/* rdata_binary.c */
bool rdata_parse_hex(struct rdata_in *in);
bool rdata_parse_base64(struct rdata_in *in);
bool rdata_parse_key(struct rdata_in *in);
unsigned rdata_hex_digit(char c); /* its value; over 15: it is none */
bool rdata_parse_salt(struct rdata_in *in);
bool rdata_parse_hash(struct rdata_in *in);
void rdata_print_hex(const uint8_t *p, size_t n, struct buf *out);
void rdata_print_base64(const uint8_t *p, size_t n, struct buf *out);
void rdata_print_salt(const uint8_t *p, size_t n, struct buf *out);
void rdata_print_hash(const uint8_t *p, size_t n, struct buf *out);

/* rdata_bitmap.c */
long rdata_size_types(const uint8_t *p, size_t left);
bool rdata_parse_types(struct rdata_in *in);
void rdata_print_types(const uint8_t *p, size_t n, struct buf *out);

/* rdata_params.c */
long rdata_size_params(const uint8_t *p, size_t left);
/* The mandatory keys are there, and alpn is where there is no default for it: without that their
 * text would not be read again. */
bool rdata_params_consistent(const uint8_t *p, size_t n);
bool rdata_parse_params(struct rdata_in *in);
void rdata_print_params(const uint8_t *p, size_t n, struct buf *out);

/* rdata_rare.c */
long rdata_size_ipsec(const uint8_t *p, size_t left);
long rdata_size_relay(const uint8_t *p, size_t left);
bool rdata_parse_ipsec(struct rdata_in *in);
bool rdata_parse_relay(struct rdata_in *in);
bool rdata_parse_cert(struct rdata_in *in);
bool rdata_parse_locator(struct rdata_in *in);
bool rdata_parse_eui48(struct rdata_in *in);
bool rdata_parse_eui64(struct rdata_in *in);
bool rdata_parse_nsap(struct rdata_in *in);
void rdata_print_ipsec(const uint8_t *p, size_t n, struct buf *out);
void rdata_print_relay(const uint8_t *p, size_t n, struct buf *out);
void rdata_print_locator(const uint8_t *p, size_t n, struct buf *out);
void rdata_print_eui(const uint8_t *p, size_t n, struct buf *out);
void rdata_print_nsap(const uint8_t *p, size_t n, struct buf *out);

/* rdata_ldns.c: a whole type */
bool rdata_ldns_parse(uint16_t type, struct rdata_in *in);
bool rdata_ldns_check(uint16_t type, const uint8_t *p, size_t n);
/* False: nothing was appended. */
bool rdata_ldns_print(uint16_t type, const uint8_t *p, size_t n, struct buf *out);
#endif
