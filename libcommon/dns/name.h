/* name: domain names (RFC 1035 3.1, 4.1.4; RFC 4343). In memory a name is its uncompressed wire
 * form: labels with their length before them, the root's empty label last, at most 255 octets.
 * Nothing here allocates. Functions that take a `const uint8_t *name` alone trust it to be whole:
 * it came from dns_name_read(), dns_name_from_text() or dns_name_check(). */
#ifndef DNS_NAME_H
#define DNS_NAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libcommon/base/str.h"

enum {
	DNS_NAME_MAX = 255,   /* octets of a wire name */
	DNS_LABEL_MAX = 63,   /* octets of a label */
	DNS_NAME_TEXT = 1024, /* room for any name as text, with its NUL */
	DNS_JUMPS_MAX = 32,   /* compression pointers that one name may go through */
};

/* Octets of the name, the root label included. */
size_t dns_name_len(const uint8_t *name);
/* Labels of the name, without the root's. */
unsigned dns_name_labels(const uint8_t *name);
/* Length of the uncompressed name that the bytes start with; 0: they start with none. */
size_t dns_name_check(const uint8_t *p, size_t len);

/* Reads the name that stands at *at in the packet, follows compression pointers (backwards only,
 * DNS_JUMPS_MAX at most) and moves *at behind it. Returns its octets; 0: malformed, *at is then
 * unchanged. */
size_t dns_name_read(const uint8_t *pkt, size_t len, size_t *at, uint8_t out[DNS_NAME_MAX]);
/* Moves *at behind the name without looking where its pointer leads; false: malformed. */
bool dns_name_skip(const uint8_t *pkt, size_t len, size_t *at);
/* The name at `at` of the packet is `name`, ASCII case ignored; false when it is malformed. */
bool dns_name_at_is(const uint8_t *pkt, size_t len, size_t at, const uint8_t *name);

/* Text as in zone files: labels separated by dots, one dot at the end allowed, "." is the root;
 * \DDD and \X are octets without a meaning of their own (RFC 1035 5.1). Returns the octets
 * written; 0: not a name. */
size_t dns_name_from_text(struct slice text, uint8_t out[DNS_NAME_MAX]);
/* The text with escapes, without a dot at the end (the root is "."). Returns its length. */
size_t dns_name_text(char out[DNS_NAME_TEXT], const uint8_t *name);

/* Equal, ASCII case ignored. */
bool dns_name_eq(const uint8_t *a, const uint8_t *b);
/* The name is the zone's own or below it. */
bool dns_name_under(const uint8_t *name, const uint8_t *zone);
/* A to Z become a to z in place: the form to hash. */
void dns_name_lower(uint8_t *name);
#endif
