/* cache_file: what the cache has, as octets that another process can take up: the entries that have
 * not expired and are no failures, each with the moment of its end. Whoever reads them trusts their
 * source as he trusts the cache, but not their form: all of it is checked. */
#ifndef DNSD_CACHE_FILE_H
#define DNSD_CACHE_FILE_H
#include "dnsd/cache/cache.h"
#include "libcommon/base/buf.h"

/* False: fn did not take a piece. */
typedef bool cache_write_fn(void *arg, struct slice piece);
bool cache_save(struct cache *c, uint64_t now, cache_write_fn *fn, void *arg);
/* Puts what has not expired. False: it is damaged; what stood before that is there. *n: entries. */
bool cache_load(struct cache *c, struct slice saved, uint64_t now, size_t *n);
#endif
