/* id: short unique names for sessions and messages. */
#ifndef BASE_ID_H
#define BASE_ID_H
#include <stddef.h>

#define ID_LEN 16 /* characters, without the NUL */

/* Time-ordered and unique over hosts and processes: 48 bits of ms, 32 random; base32 lower
 * case. out needs ID_LEN + 1 bytes. */
void id_new(char *out);
/* Random bytes of the kernel; never fails. */
void id_random(void *out, size_t n);

#endif
