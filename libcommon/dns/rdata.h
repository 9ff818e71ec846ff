/* rdata: the data of resource records: from text, to text, and in the order that DNSSEC wants
 * (RFC 4034 6). The commonest types are done here, ldns does the rest; any type can be written as
 * \# LENGTH HEX (RFC 3597). Nothing here trusts its input. */
#ifndef DNS_RDATA_H
#define DNS_RDATA_H
#include "libcommon/base/buf.h"
#include "libcommon/dns/wire.h"

enum { DNS_RDATA_MAX = 65535 };

/* "AAAA", "TYPE65400", case ignored; 0: no such type. */
uint16_t dns_type_from_text(struct slice text);
/* Its mnemonic, or TYPEnnn. Returns out. */
const char *dns_type_text(uint16_t type, char out[16]);

/* The words of a record's data as a zone file has them (quotes and comments gone, escapes kept,
 * `quoted` tells which were in quotes) to wire form. Names that do not end in a dot get `origin`.
 * False: *why is a static text ("an IPv4 address is wanted") and *word which word it is about. */
struct dns_word {
	struct slice text;
	bool quoted;
};
bool dns_rdata_from_text(uint16_t type, const struct dns_word *word, size_t words,
			 const uint8_t *origin, uint8_t out[DNS_RDATA_MAX], size_t *len,
			 const char **why, size_t *bad_word);
/* Appends the data as a zone file has it; names absolute, with a dot at the end. */
void dns_rdata_text(uint16_t type, const uint8_t *rdata, size_t len, struct buf *out);
/* The data is well formed: fields, lengths, names whole and uncompressed. Every rdata from a
 * packet or from the store passes here once (dns_rdata_read() does it). */
bool dns_rdata_check(uint16_t type, const uint8_t *rdata, size_t len);
/* The data of a record of a packet, its names decompressed where the type may have them
 * compressed (RFC 3597 4), checked. False: malformed. */
bool dns_rdata_read(const uint8_t *pkt, size_t pktlen, const struct dns_rr *rr,
		    uint8_t out[DNS_RDATA_MAX], size_t *len);
/* The names in a type's data: calls fn with the offset of each, in order; lower: it is one that
 * the canonical form writes in lower case; compress: one that messages may compress. */
void dns_rdata_names(uint16_t type, const uint8_t *rdata, size_t len,
		     void (*fn)(void *arg, size_t at, bool lower, bool compress), void *arg);
/* Lower-cases in place what the canonical form wants (RFC 4034 6.2, RFC 6840 5.1). */
void dns_rdata_canonical(uint16_t type, uint8_t *rdata, size_t len);
/* Order of canonical data (RFC 4034 6.3): <0, 0, >0. */
int dns_rdata_cmp(const uint8_t *a, size_t alen, const uint8_t *b, size_t blen);
/* Canonical order of names (RFC 4034 6.1), ASCII case ignored. */
int dns_name_cmp(const uint8_t *a, const uint8_t *b);
#endif
