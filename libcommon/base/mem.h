/* mem: malloc that never returns NULL. On exhaustion the process writes one line and aborts;
 * hamletd restarts it, and nothing acknowledged is lost because nothing is acknowledged
 * before it is durable. */
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include <stddef.h>

void *mem_alloc(size_t n); /* zeroed */
void *mem_realloc(void *p, size_t n);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
/* Overwrites before freeing: for passwords and keys. */
void mem_wipe(void *p, size_t n);

#endif
