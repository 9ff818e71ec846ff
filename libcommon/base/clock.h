/* clock: the one source of time.
 * Tests move it: when HAMLET_CLOCK names a file, its first 8 bytes (a little-endian signed
 * number of milliseconds, mapped shared and read at every call) are added to the real time. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
#include <stddef.h>
#include <stdint.h>

void clock_init(void);     /* call once at start, before the jail */
uint64_t clock_ms(void);   /* milliseconds since 1970, moved by tests */
uint64_t clock_sec(void);  /* clock_ms() / 1000 */
uint64_t clock_mono(void); /* monotonic milliseconds, never moved: for time-outs */
uint64_t clock_ns(void);   /* monotonic nanoseconds: for measuring */
/* RFC 5322 date-time in local time, e.g. "Mon, 23 Nov 2026 21:07:00 +0000"; needs 40 bytes. */
void clock_rfc5322(char *out, size_t cap, uint64_t ms);
/* ISO 8601 UTC with milliseconds, "2026-11-23T21:07:00.000Z"; needs 32 bytes. */
void clock_iso(char *out, size_t cap, uint64_t ms);

#endif
