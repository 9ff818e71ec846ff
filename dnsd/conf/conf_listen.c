/* The listeners: each address once, whatever is answered there. */
#include "dnsd/dnsd.h"

static struct {
	struct listen_spec *spec;
	size_t n;
} listeners;

static bool has(const struct conf_list *l, const struct conf_addr *a)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct conf_addr *b = l->item[i];
		if (a->len == b->len && !memcmp(&a->sa, &b->sa, a->len))
			return true;
	}
	return false;
}

/* Those of `all` that are (not) in `other`, in pool. */
static struct conf_list those(struct pool *p, const struct conf_list *all,
			      const struct conf_list *other, bool in)
{
	struct conf_list out = {.item = pool_alloc(p, (all->n + 1) * sizeof(void *))};
	for (size_t i = 0; i < all->n; i++)
		if (has(other, all->item[i]) == in)
			out.item[out.n++] = all->item[i];
	return out;
}

static void add(struct pool *p, const char *name, bool udp, const struct conf_list *addrs,
		const struct listener_kind *kind)
{
	/* How many connections there are in all is tcp.c's business, which makes room. */
	const struct listen_spec like = {.name = name,
					 .arg = (void *)(uintptr_t)kind,
					 .raw = udp,
					 .udp = udp,
					 .max_per_address =
					     udp ? 0 : (uint32_t)conf.tcp.per_address};
	listen_add(p, listeners.spec, &listeners.n, addrs, &like);
}

/* content alone, both, cache alone. */
static void add_kinds(struct pool *p, const char *const *name, bool udp, bool tls)
{
	static const struct listener_kind kinds[2][3] = {
	    {{false, SERVES_CONTENT}, {false, SERVES_BOTH}, {false, SERVES_CACHE}},
	    {{true, SERVES_CONTENT}, {true, SERVES_BOTH}, {true, SERVES_CACHE}}};
	const struct conf_list *content = tls ? &conf.content_tls : &conf.content;
	const struct conf_list *cache = tls ? &conf.cache_tls : &conf.cache;
	const struct conf_list list[] = {those(p, content, cache, false),
					 those(p, content, cache, true),
					 those(p, cache, content, false)};
	for (unsigned i = 0; i < 3; i++)
		add(p, name[i == 2], udp, &list[i], &kinds[tls][i]);
}

size_t conf_listeners(struct pool *p, struct listen_spec **out)
{
	static const char *const udp[] = {"dns-udp", "cache-udp"};
	static const char *const tcp[] = {"dns-tcp", "cache-tcp"};
	static const char *const tls[] = {"dns-tls", "cache-tls"};
	size_t n = 2 * (conf.content.n + conf.cache.n) + conf.content_tls.n + conf.cache_tls.n;
	listeners.spec = pool_alloc(p, (n + 1) * sizeof(*listeners.spec));
	listeners.n = 0;
	add_kinds(p, udp, true, false);
	add_kinds(p, tcp, false, false);
	add_kinds(p, tls, false, true);
	*out = listeners.spec;
	return listeners.n;
}

enum serves conf_listener_serves(const char *name)
{
	for (size_t i = 0; i < listeners.n; i++) {
		const struct listener_kind *kind = listeners.spec[i].arg;
		if (!strcmp(listeners.spec[i].name, name))
			return kind->serves;
	}
	return SERVES_CONTENT;
}
