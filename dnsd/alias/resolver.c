#include "dnsd/alias/resolver.h"
#include "dnsd/dnsd.h"

static struct stub *stub;

void resolver_start(void)
{
	/* Who asks does so because it wants to know what there is now. */
	struct stub_conf c = {.no_cache = true};
	for (size_t i = 0; i < conf.resolvers.n && i < STUB_SERVERS; i++) {
		const struct conf_addr *a = conf.resolvers.item[i];
		c.server[c.servers++] = a->sa;
	}
	stub = stub_new(&c);
}

struct stub *resolver(void)
{
	return stub;
}
