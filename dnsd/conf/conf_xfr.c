/* Who gets our zones, and who is told of changes. */
#include "dnsd/conf/conf_xfr.h"
#include <netinet/in.h>
#include <string.h>
#include "dnsd/wire/serve.h"

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

static bool set_port(struct xfr_peer *p, const char *text)
{
	uint16_t port;
	if (!conf_port(text, &port))
		return false;
	conf_ip_port(&p->net.sa, port);
	return true;
}

/* A word with a value. NULL, or what is wrong; "": there is no such word. */
static const char *read_pair(struct xfr_peer *out, const char *word, const char *value, bool port)
{
	if (strcmp(word, "key") == 0) {
		out->key = conf_key(value);
		return out->key ? NULL : "there is no such key";
	}
	if (port && strcmp(word, "catalog") == 0) {
		out->catalog = value;
		return NULL;
	}
	return port && strcmp(word, "port") == 0 && set_port(out, value) ? NULL : "";
}

/* The words behind the address. */
static bool read_rest(struct conf_errors *e, const struct conf_words *w, size_t at,
		      const char *what, bool port, struct xfr_peer *out)
{
	while (at < w->n) {
		const char *word = w->w[at], *value = at + 1 < w->n ? w->w[at + 1] : NULL;
		if (strcmp(word, "tls") == 0) {
			out->tls = true;
			at++;
			continue;
		}
		const char *why = value ? read_pair(out, word, value, port) : "";
		if (why && *why)
			conf_error(e, &w->where, "%s: there is no key \"%s\"", what, value);
		else if (why)
			conf_error(e, &w->where, "%s: \"%s\": %s[key NAME] [tls] may follow here",
				   what, word, port ? "[port N] " : "");
		if (why)
			return false;
		at += 2;
	}
	return true;
}

bool conf_xfr_peer(struct conf_errors *e, const struct conf_words *w, const char *what,
		   struct xfr_peer *out)
{
	*out = (struct xfr_peer){.words = w};
	if (!w->n || !read_net(out, w->w[0], false)) {
		conf_error(e, &w->where, "%s: \"%s\" is not an address (try 192.0.2.1)", what,
			   w->n ? w->w[0] : "");
		return false;
	}
	return read_rest(e, w, 1, what, true, out);
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
	return read_rest(e, w, any ? 0 : 1, what, false, out);
}

void conf_xfr_verify(struct conf_errors *e, struct pool *pool, struct xfr_conf *x)
{
	struct xfr_peers *may = &x->may, *told = &x->told;
	may->peer = pool_alloc(pool, (x->secondary.n + x->allow.n + 1) * sizeof(*may->peer));
	told->peer = pool_alloc(pool, (x->secondary.n + x->notify.n + 1) * sizeof(*told->peer));
	may->n = told->n = 0;
	for (size_t i = 0; i < x->secondary.n; i++) {
		struct xfr_peer *p = &may->peer[may->n];
		if (conf_xfr_peer(e, x->secondary.item[i], "secondary", p)) {
			told->peer[told->n++] = *p;
			may->n++;
		}
	}
	for (size_t i = 0; i < x->allow.n; i++)
		may->n += read_allowed(e, x->allow.item[i], &may->peer[may->n]);
	for (size_t i = 0; i < x->notify.n; i++) {
		const struct conf_words *w = x->notify.item[i];
		struct xfr_peer *p = &told->peer[told->n];
		bool good = conf_xfr_peer(e, w, "notify", p);
		if (good && p->tls)
			conf_error(e, &w->where, "notify: notices go by UDP, without TLS");
		if (good && p->catalog)
			conf_error(e, &w->where, "notify: a catalog is for secondaries");
		told->n += good;
	}
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
