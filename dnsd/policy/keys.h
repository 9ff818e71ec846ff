/* keys: many short keys in little memory, each with a number: a block list has a million names.
 * Hashed under a random key. */
#ifndef DNSD_KEYS_H
#define DNSD_KEYS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keys;
struct keys *keys_new(void);
void keys_free(struct keys **k);
/* len: at most 255 + 1. value: not 0. A key that is there keeps its value: false. */
bool keys_put(struct keys *k, const void *key, size_t len, uint32_t value);
/* 0: it is not there. */
uint32_t keys_get(const struct keys *k, const void *key, size_t len);
size_t keys_count(const struct keys *k);
#endif
