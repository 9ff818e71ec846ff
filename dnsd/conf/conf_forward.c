/* The directives forward and stub: whom names are asked of that are not looked up from the root. */
#include "dnsd/conf/conf_peer.h"
#include "dnsd/dnsd.h"
#include "dnsd/upstream/forward.h"

enum { PORT = 53, PORT_TLS = 853 };

#define F(field) offsetof(struct forward_conf, field)
#define FIRST                                                                                 \
	{                                                                                     \
		.name = "first", .type = CONF_BOOL, .offset = F(first), .def = "off",         \
		.help = "When none of them is of use, the names are looked up the usual way." \
	}

const struct conf_directive conf_forward_table[] = {
    {.name = "server",
     .type = CONF_WORDS,
     .offset = F(servers),
     .flags = CONF_MULTI | CONF_NEEDED,
     .arg = "address [port N] [tls NAME]",
     .help = "A server that resolves for us, by UDP and TCP.\n"
	     "tls: by TLS (port 853), and this is the name that its certificate must have."},
    FIRST,
    {0}};

const struct conf_directive conf_stub_table[] = {{.name = "server",
						  .type = CONF_WORDS,
						  .offset = F(servers),
						  .flags = CONF_MULTI | CONF_NEEDED,
						  .arg = "address [port N]",
						  .help = "A content server of the zone."},
						 FIRST,
						 {0}};

static bool by_tls;

static bool read_server(struct conf_errors *e, const struct conf_words *w, const char *what,
			bool stub, struct forward_server *out)
{
	struct peer_words peer = {0};
	socklen_t len;
	if (!conf_ip(w->w[0], &out->addr, &len)) {
		conf_error(e, &w->where, "%s: server: \"%s\" is no IP address", what, w->w[0]);
		return false;
	}
	if (!conf_peer_words(e, &w->where, w, 1, what, stub ? PEER_PORT : PEER_PORT | PEER_TLS_NAME,
			     &peer))
		return false;
	out->tls = peer.tls;
	by_tls = by_tls || peer.tls;
	conf_ip_port(&out->addr, peer.port ? peer.port : peer.tls ? PORT_TLS : PORT);
	return true;
}

static void add(struct conf_errors *e, struct pool *pool, unsigned space,
		const struct forward_conf *c, bool stub)
{
	const char *what = stub ? "stub" : "forward";
	struct forward_server *server = pool_alloc(pool, (c->servers.n + 1) * sizeof(*server));
	unsigned n = 0;
	for (size_t i = 0; i < c->servers.n; i++)
		n += read_server(e, c->servers.item[i], what, stub, &server[n]);
	if (!c->block.args.n)
		conf_error(e, &c->block.where, "%s: needs the name of a zone (\".\": all)", what);
	for (size_t i = 0; i < c->block.args.n; i++) {
		struct forward *f = pool_alloc(pool, sizeof(*f));
		*f = (struct forward){.stub = stub, .first = c->first, .n = n, .server = server};
		if (!dns_name_from_text(slice_of(c->block.args.w[i]), f->zone)) {
			conf_error(e, &c->block.where, "%s: \"%s\" is no domain name", what,
				   c->block.args.w[i]);
			continue;
		}
		dns_name_lower(f->zone);
		if (n)
			forward_add(space, f);
	}
}

void conf_forwards_verify(struct conf_errors *e, struct pool *pool, unsigned space,
			  const struct names_conf *n)
{
	for (size_t i = 0; i < n->forwards.n; i++)
		add(e, pool, space, n->forwards.item[i], false);
	for (size_t i = 0; i < n->stubs.n; i++)
		add(e, pool, space, n->stubs.item[i], true);
}

bool conf_forwards_by_tls(void)
{
	return by_tls;
}
