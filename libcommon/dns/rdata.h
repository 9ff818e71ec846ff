/* rdata: the data of resource records: from text, to text, and in the order that DNSSEC wants
 * (RFC 4034 6). A table (rdata_type.c) says of which fields each type's data is made; parsing,
 * printing, checking, and finding names all follow it. ldns converts the rarest types. Any type
 * can be written as \# LENGTH HEX (RFC 3597), a type that nobody knows is written so. Nothing here
 * trusts its input; only ldns allocates. */
#ifndef DNS_RDATA_H
#define DNS_RDATA_H
#include "libcommon/base/buf.h"
#include "libcommon/dns/wire.h"

enum {
	DNS_RDATA_MAX = 65535, /* octets */
	DNS_TYPE_TEXT = 16,    /* room for any type as text, with its NUL */
};

/* "AAAA", "TYPE65400", case ignored; 0: no such type. Meta types ("ANY", "AXFR") are found, too. */
uint16_t dns_type_from_text(struct slice text);
/* Its mnemonic, or TYPEnnn. Returns out. */
const char *dns_type_text(uint16_t type, char out[DNS_TYPE_TEXT]);
/* The mnemonic nearest to what was mistyped; NULL: none is near. */
const char *dns_type_like(struct slice text);
/* Questions and messages only have it, zones do not: OPT and 128 to 255 (RFC 6895 3.1), and 0. */
bool dns_type_is_meta(uint16_t type);

/* A name as a zone file has it: "@" is the origin, what does not end in a dot is below it. Returns
 * its octets; 0: *why is a static text. */
size_t dns_name_from_zone(struct slice text, const uint8_t *origin, uint8_t out[DNS_NAME_MAX],
			  const char **why);

/* A word of a record as a zone file has it: comments and the quotes around a quoted word are gone,
 * escapes kept, and the quotes inside a word, too (alpn="h2,h3"). */
struct dns_word {
	struct slice text;
	bool quoted;
};
/* The words of a record's data to wire form; origin: of its relative names. False: *why is a static
 * text ("an IPv4 address is wanted") and *bad_word which word it is about; that is `words` when the
 * data ends too early. */
bool dns_rdata_from_text(uint16_t type, const struct dns_word *word, size_t words,
			 const uint8_t *origin, uint8_t out[DNS_RDATA_MAX], size_t *len,
			 const char **why, size_t *bad_word);
/* Appends the data as a zone file has it; names absolute, with a dot at the end. Reading it gives
 * the same data; what did not pass dns_rdata_check() is written as \# LENGTH HEX. */
void dns_rdata_text(uint16_t type, const uint8_t *rdata, size_t len, struct buf *out);
/* The data is well formed: fields, lengths, names whole and uncompressed. Every rdata from a
 * packet or from the store passes here once (dns_rdata_read() does it). */
bool dns_rdata_check(uint16_t type, const uint8_t *rdata, size_t len);
/* The data of a record of a packet, its names decompressed where the type may have them
 * compressed (RFC 3597 4), checked. False: malformed. */
bool dns_rdata_read(const uint8_t *pkt, size_t pktlen, const struct dns_rr *rr,
		    uint8_t out[DNS_RDATA_MAX], size_t *len);
/* The names in a type's data, which was checked: calls fn with the offset of each, in order; lower:
 * it is one that the canonical form writes in lower case; compress: one that messages may compress.
 * The types that ldns converts have neither, their names are not told. */
void dns_rdata_names(uint16_t type, const uint8_t *rdata, size_t len,
		     void (*fn)(void *arg, size_t at, bool lower, bool compress), void *arg);
/* Lower-cases in place what the canonical form wants (RFC 4034 6.2, RFC 6840 5.1). */
void dns_rdata_canonical(uint16_t type, uint8_t *rdata, size_t len);
/* Order of canonical data (RFC 4034 6.3): <0, 0, >0. */
int dns_rdata_cmp(const uint8_t *a, size_t alen, const uint8_t *b, size_t blen);
/* Canonical order of names (RFC 4034 6.1), ASCII case ignored. */
int dns_name_cmp(const uint8_t *a, const uint8_t *b);
#endif
