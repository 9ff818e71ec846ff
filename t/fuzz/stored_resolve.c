/* An address is refused, or has one canonical form that reads as itself; and so have domains. The
 * counters' keys are made of any name and peer. */
#include <stdlib.h>
#include "stored/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void domain(struct pool *pool, struct slice in)
{
	struct slice once, twice;
	if (!dir_domain_name(pool, in, &once))
		return;
	if (!dir_domain_name(pool, once, &twice) || !slice_eq(once, twice))
		abort();
	dir_domain_shown(pool, once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice in = {(const char *)data, len}, detail;
	struct pool *pool = pool_new(0);
	struct addr a, again, base;
	conf.plus_separator = "+";
	/* Quoted local parts have no canonical form that needs no quotes: only new ones do. */
	if (dir_addr(pool, in, &a) && dir_addr_new(&a)) {
		if (!dir_addr(pool, a.full, &again) || !slice_eq(a.full, again.full))
			abort();
		if (dir_plus(pool, &a, &base, &detail) &&
		    base.local.len + detail.len + 1 != a.local.len)
			abort();
	}
	domain(pool, in);
	struct slice peer = in;
	struct slice name = slice_cut(&peer, '\n');
	struct guard g = guard_for(name, peer);
	(void)g;
	pool_free(&pool);
	return 0;
}
