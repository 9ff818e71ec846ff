/* Servers as directives name them, and the primaries of zones. */
#include "dnsd/conf/conf_peer.h"
#include "dnsd/secondary/secondary.h"

enum { PORT = 53, TLS_PORT = 853 };

bool conf_server(struct conf_errors *e, const struct conf_where *where, const struct conf_words *w,
		 size_t at, const char *what, struct pool *pool, struct dns_server *out)
{
	struct peer_words p;
	*out = (struct dns_server){0};
	if (at >= w->n || !conf_ip(w->w[at], &out->sa, &out->sa_len)) {
		conf_error(e, where, "%s: \"%s\" is not an address", what,
			   at < w->n ? w->w[at] : "");
		return false;
	}
	if (!conf_peer_words(e, where, w, at + 1, what, PEER_PORT | PEER_KEY | PEER_TLS_NAME, &p))
		return false;
	out->key = p.key;
	out->tls = p.tls;
	out->text = p.port ? pool_printf(pool, "%s port %u", w->w[at], p.port) : w->w[at];
	conf_ip_port(&out->sa, p.port ? p.port : p.tls ? TLS_PORT : PORT);
	return true;
}

void conf_primaries_verify(struct conf_errors *e, struct zone_conf *z, size_t from,
			   struct pool *pool)
{
	size_t n = 0;
	z->primaries = pool_alloc(pool, (z->primary.n + 1) * sizeof(*z->primaries));
	if (from &&
	    conf_server(e, &z->block.where, &z->block.args, from, "from", pool, &z->primaries[n]))
		n++;
	for (size_t i = 0; i < z->primary.n; i++) {
		const struct conf_words *w = z->primary.item[i];
		if (conf_server(e, &w->where, w, 0, "primary", pool, &z->primaries[n]))
			n++;
	}
	z->primaries_n = n;
}

bool conf_has_secondaries(bool tls)
{
	const struct zone_conf *z;
	for (size_t i = 0; (z = conf_zone_at(i)); i++)
		for (size_t k = 0; k < z->primaries_n; k++)
			if (!tls || z->primaries[k].tls)
				return true;
	return false;
}
