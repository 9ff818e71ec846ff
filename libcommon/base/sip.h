/* sip: SipHash (Aumasson, Bernstein): a keyed hash whose collisions cannot be found without the
 * key. 2-4 is the one that protocols name (RFC 9018); 1-3 is for hash tables. */
#ifndef BASE_SIP_H
#define BASE_SIP_H
#include <stddef.h>
#include <stdint.h>

enum { SIP_KEY = 16 };
/* The hash's octets in little-endian order are what other implementations write. */
uint64_t sip24(const uint8_t key[SIP_KEY], const void *p, size_t len);
uint64_t sip13(const uint8_t key[SIP_KEY], const void *p, size_t len);
#endif
