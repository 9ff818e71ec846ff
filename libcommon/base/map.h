/* map: a hash table from bytes to a pointer; keyed SipHash, so that a peer cannot choose
 * colliding keys. Keys are copied. */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include <stddef.h>
#include <stdint.h>

struct map;

struct map *map_new(void);
void map_free(struct map **m); /* values are the caller's */
void *map_get(const struct map *m, const void *key, size_t len);
/* Sets the value (not NULL); returns the value that was there before, or NULL. */
void *map_set(struct map *m, const void *key, size_t len, void *value);
/* Removes the key; returns its value, or NULL. */
void *map_del(struct map *m, const void *key, size_t len);
size_t map_count(const struct map *m);
/* Calls fn for every entry; fn may not change the map. Stops when fn returns non-zero. */
int map_each(const struct map *m, int (*fn)(const void *key, size_t len, void *value, void *arg),
	     void *arg);
/* SipHash-2-4 under the process's random key. */
uint64_t map_hash(const void *p, size_t len);

#endif
