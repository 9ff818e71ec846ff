/* pool: memory that lives as long as one request or session and is freed at once.
 * Memory is taken from chunks; single allocations are never freed. */
#ifndef BASE_POOL_H
#define BASE_POOL_H
#include <stddef.h>

struct pool;

/* A new pool whose first chunk holds `first` bytes (0: 1 KiB). Never NULL: when memory is
 * gone the process logs and aborts (see mem.h). */
struct pool *pool_new(size_t first);
/* Forgets all allocations, keeps the first chunk. */
void pool_clear(struct pool *p);
/* Frees the pool and sets *p to NULL; *p may be NULL. */
void pool_free(struct pool **p);
/* Zeroed, 16-byte aligned memory. */
void *pool_alloc(struct pool *p, size_t n);
void *pool_dup(struct pool *p, const void *src, size_t n);
/* Copies n bytes and adds a NUL. */
char *pool_strndup(struct pool *p, const char *s, size_t n);
char *pool_strdup(struct pool *p, const char *s);
char *pool_printf(struct pool *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for one more item behind the n that stand in `items`: as they are while n < *cap, else
 * copied to where twice as many fit. `size` is that of an item. */
void *pool_grow(struct pool *p, void *items, size_t n, size_t *cap, size_t size);
/* Bytes taken from the system. */
size_t pool_size(const struct pool *p);

#endif
