/* serial: the serial numbers of zones (RFC 1982). Pure. */
#ifndef DNS_SERIAL_H
#define DNS_SERIAL_H
#include <stdbool.h>
#include <stdint.h>

/* a is later than b: less than half the circle ahead of it. */
bool zone_serial_above(uint32_t a, uint32_t b);
/* The next one: one more; where it is a date (YYYYMMDDnn) today's, if that is above. Never 0. */
uint32_t zone_serial_next(uint32_t serial, uint64_t now_ms);
/* One that is above those which zone_serial_next() has made of it until now, as far as can be
 * guessed: the one that was served is not known any more. A date becomes tomorrow's, another one
 * the seconds since 1970. */
uint32_t zone_serial_lost(uint32_t serial, uint64_t now_ms);
#endif
