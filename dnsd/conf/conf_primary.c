/* Servers as directives name them, and the primaries of zones. */
#include "dnsd/secondary/secondary.h"
#include "dnsd/wire/serve.h"

enum { PORT = 53, TLS_PORT = 853 };

/* A pair of words. NULL, or what is wrong. */
static const char *option(struct dns_server *s, const char *name, const char *value, uint16_t *port)
{
	if (strcmp(name, "port") == 0)
		return conf_port(value, port) ? NULL : "is not a port";
	if (strcmp(name, "key") == 0) {
		s->key = conf_key(value);
		return s->key ? NULL : "is no key that is given here";
	}
	if (strcmp(name, "tls") == 0) {
		s->tls = value;
		return NULL;
	}
	return "";
}

bool conf_server(struct conf_errors *e, const struct conf_where *where, const struct conf_words *w,
		 size_t at, const char *what, struct pool *pool, struct dns_server *out)
{
	uint16_t port = 0;
	*out = (struct dns_server){0};
	if (at >= w->n || !conf_ip(w->w[at], &out->sa, &out->sa_len)) {
		conf_error(e, where, "%s: \"%s\" is not an address", what,
			   at < w->n ? w->w[at] : "");
		return false;
	}
	for (size_t i = at + 1; i < w->n; i += 2) {
		const char *value = i + 1 < w->n ? w->w[i + 1] : "";
		const char *why = option(out, w->w[i], value, &port);
		if (!why)
			continue;
		if (*why)
			conf_error(e, where, "%s: %s \"%s\" %s", what, w->w[i], value, why);
		else
			conf_error(e, where,
				   "%s: after the address only port N, key NAME and tls NAME are "
				   "known, not \"%s\"",
				   what, w->w[i]);
		return false;
	}
	out->text = port ? pool_printf(pool, "%s port %u", w->w[at], port) : w->w[at];
	conf_ip_port(&out->sa, port ? port : out->tls ? TLS_PORT : PORT);
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
