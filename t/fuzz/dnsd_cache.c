/* A saved cache of a hostile writer: whatever is taken from it is well formed, can be found again,
 * and is saved as it is. */
#include <stdlib.h>
#include "dnsd/cache/cache_file.h"
#include "libcommon/dns/rdata.h"

enum { NOW = 1790000000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static bool whole(void *arg, unsigned space, const struct cached *e)
{
	struct slice data = e->set.data, rdata;
	struct cached found;
	unsigned n = 0;
	check(dns_name_check(e->set.owner, DNS_NAME_MAX) > 0 && e->set.ttl > 0);
	for (; rrset_next(&data, &rdata); n++)
		check(dns_rdata_check(n < e->set.n ? e->set.type : DNS_RRSIG,
				      (const uint8_t *)rdata.p, rdata.len));
	check(n == (unsigned)e->set.n + e->set.sigs);
	check(cache_find_kind(arg, space, e->set.owner, e->kind, e->set.type, NOW, &found));
	return true;
}

static bool add(void *arg, struct slice piece)
{
	return buf_add_slice(arg, piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct cache_conf conf = {
	    .octets = 1 << 20, .ttl_most = 86400, .negative_most = 3600};
	struct cache *c = cache_new(&conf), *again = cache_new(&conf);
	struct buf saved = {0};
	size_t n;
	check(c && again);
	cache_load(c, (struct slice){(const char *)data, len}, NOW, &n);
	cache_each(c, NOW, whole, c);
	check(cache_save(c, NOW, add, &saved));
	check(cache_load(again, buf_slice(&saved), NOW, &n));
	buf_free(&saved);
	cache_free(&c);
	cache_free(&again);
	return 0;
}
