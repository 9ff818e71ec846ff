/* Who gets our zones, and who is told of changes. */
#include "dnsd/conf/conf_xfr.h"
#include <netinet/in.h>
#include <string.h>
#include "dnsd/conf/conf_peer.h"
#include "dnsd/dnsd.h"

enum { PORT = 53 };

/* ADDRESS or, when nets are wanted, ADDRESS/BITS. */
static bool read_net(struct xfr_peer *out, const char *text, bool nets)
{
	char host[INET6_ADDRSTRLEN];
	struct slice rest = slice_of(text), head = slice_cut(&rest, '/');
	bool slash = head.len < strlen(text);
	uint32_t bits = 0;
	if ((slash && !nets) || !str_fmt(host, sizeof(host), "%.*s", SLICE_FMT(head)))
		return false;
	if (!conf_ip(host, &out->net.sa, &out->len))
		return false;
	conf_ip_port(&out->net.sa, PORT);
	out->net.bits = out->net.sa.ss_family == AF_INET ? 32 : 128;
	if (slash && (!str_u32(rest, &bits) || bits > out->net.bits))
		return false;
	out->net.bits = slash ? bits : out->net.bits;
	return true;
}

/* The words behind the address, or in its place. */
static bool read_rest(struct conf_errors *e, const struct conf_words *w, size_t at,
		      const char *what, unsigned may, struct xfr_peer *out)
{
	struct peer_words p;
	if (!conf_peer_words(e, &w->where, w, at, what, may, &p))
		return false;
	if (p.port)
		conf_ip_port(&out->net.sa, p.port);
	out->key = p.key;
	out->tls = p.tls;
	out->catalog = p.catalog;
	return true;
}

static bool read_peer(struct conf_errors *e, const struct conf_words *w, const char *what,
		      unsigned may, struct xfr_peer *out)
{
	*out = (struct xfr_peer){.words = w};
	if (!w->n || !read_net(out, w->w[0], false)) {
		conf_error(e, &w->where, "%s: \"%s\" is not an address (try 192.0.2.1)", what,
			   w->n ? w->w[0] : "");
		return false;
	}
	return read_rest(e, w, 1, what, may, out);
}

/* NETWORK ... or key NAME ... */
static bool read_allowed(struct conf_errors *e, const struct conf_words *w, struct xfr_peer *out)
{
	static const char what[] = "allow-transfer";
	*out = (struct xfr_peer){.words = w};
	bool any = w->n && strcmp(w->w[0], "key") == 0;
	if (!any && (!w->n || !read_net(out, w->w[0], true))) {
		conf_error(e, &w->where,
			   "%s: \"%s\" is not a network (try 192.0.2.0/24, or key NAME)", what,
			   w->n ? w->w[0] : "");
		return false;
	}
	return read_rest(e, w, any ? 0 : 1, what, PEER_KEY | PEER_TLS, out);
}

void conf_xfr_verify(struct conf_errors *e, struct pool *pool, struct xfr_conf *x)
{
	struct xfr_peers *may = &x->may, *told = &x->told;
	may->peer = pool_alloc(pool, (x->secondary.n + x->allow.n + 1) * sizeof(*may->peer));
	told->peer = pool_alloc(pool, (x->secondary.n + x->notify.n + 1) * sizeof(*told->peer));
	may->n = told->n = 0;
	for (size_t i = 0; i < x->secondary.n; i++) {
		struct xfr_peer *p = &may->peer[may->n];
		if (read_peer(e, x->secondary.item[i], "secondary",
			      PEER_PORT | PEER_KEY | PEER_TLS | PEER_CATALOG, p)) {
			told->peer[told->n++] = *p;
			may->n++;
		}
	}
	for (size_t i = 0; i < x->allow.n; i++)
		may->n += read_allowed(e, x->allow.item[i], &may->peer[may->n]);
	for (size_t i = 0; i < x->notify.n; i++) /* by UDP, without TLS */
		told->n += read_peer(e, x->notify.item[i], "notify", PEER_PORT | PEER_KEY,
				     &told->peer[told->n]);
}

bool conf_xfr_may(const struct xfr_conf *zone, const struct xfr_conf *all,
		  const struct sockaddr *client, const struct tsig_key *key, bool tls)
{
	const struct xfr_conf *x = zone->secondary.n || zone->allow.n ? zone : all;
	for (size_t i = 0; i < x->may.n; i++) {
		const struct xfr_peer *p = &x->may.peer[i];
		bool here = p->net.sa.ss_family == AF_UNSPEC || conf_net_has(&p->net, client);
		if (here && (!p->key || p->key == key) && (!p->tls || tls))
			return true;
	}
	return false;
}

struct xfr_peers conf_xfr_told(const struct xfr_conf *zone, const struct xfr_conf *all)
{
	return (zone->secondary.n || zone->notify.n ? zone : all)->told;
}
