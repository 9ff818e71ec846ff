/* From the blocks of smtpd.conf to relay_conf and the routes.
 *
 * Each block of a route is read by itself, then takes from that of `route *` what it does not give.
 * Where mail goes, and how one logs in there, belongs together: a block that says where (host, mx,
 * direct) takes none of that from `route *`, so that no password goes to a host that it is not
 * for. */
#include "smtpd/relay_conf.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/mail/addr.h"
#include "libcommon/net/tls.h"

enum { PASSWORD_MAX = 1000 };

struct relay_conf relay_conf;

/* A file of certificate authorities, for all routes that name it. */
struct ca {
	struct ca *next;
	const char *file;
	struct tls_ctx *ctx;
};
static struct {
	struct pool *pool;
	struct map *routes; /* "b.test", ".b.test", "*" to struct route_block */
	struct route_block *rest;
	struct ca *ca;
	struct tls_ctx *system;
} made;

static void clear(void)
{
	for (struct ca *c = made.ca; c; c = c->next)
		tls_ctx_free(&c->ctx);
	tls_ctx_free(&made.system);
	map_free(&made.routes);
	pool_free(&made.pool);
	memset(&made, 0, sizeof(made));
	made.pool = pool_new(0);
	made.routes = map_new();
}

/* --- addresses --- */

/* "192.0.2.1", "2001:db8::1", either in brackets too. */
static bool address(struct slice text, uint16_t port, struct sockaddr_storage *out)
{
	char s[INET6_ADDRSTRLEN];
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	if (text.len > 2 && text.p[0] == '[' && text.p[text.len - 1] == ']')
		text = (struct slice){text.p + 1, text.len - 2};
	*out = (struct sockaddr_storage){0};
	if (!str_fmt(s, sizeof(s), "%.*s", SLICE_FMT(text)))
		return false;
	if (inet_pton(AF_INET, s, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return true;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return inet_pton(AF_INET6, s, &v6->sin6_addr) == 1;
}

static bool port_read(const char *text, uint16_t *out)
{
	uint32_t port;
	if (!str_u32(slice_of(text), &port) || port < 1 || port > 65535)
		return false;
	*out = (uint16_t)port;
	return true;
}

/* With a port or without. */
static bool server_read(const char *text, struct sockaddr_storage *out)
{
	const char *colon = strrchr(text, ':');
	uint16_t port;
	if (address(slice_of(text), 53, out))
		return true;
	return colon && port_read(colon + 1, &port) &&
	       address((struct slice){text, (size_t)(colon - text)}, port, out);
}

/* --- relay and dns --- */

static void dns_make(struct conf_errors *e, const struct dns_block *b)
{
	struct stub_conf *c = &relay_conf.dns;
	*c = (struct stub_conf){
	    .resolv_conf = b->resolv_conf,
	    .timeout_ms = (uint32_t)b->timeout,
	    .attempts = (uint32_t)b->attempts,
	    .deadline_ms = (uint32_t)b->deadline,
	    .parallel = (uint32_t)b->parallel,
	    .queue = (uint32_t)b->queue,
	    .cache_entries = (uint32_t)b->cache_entries,
	    .no_cache = !b->cache,
	    .ttl_max = (uint32_t)(b->ttl_max / 1000),
	    .negative_max = (uint32_t)(b->negative_max / 1000),
	    .trust_ad = b->trust_ad,
	};
	for (size_t i = 0; i < b->server.n; i++) {
		const struct conf_words *w = b->server.item[i];
		for (size_t k = 0; k < w->n; k++) {
			if (c->servers == STUB_SERVERS) {
				conf_error(e, &w->where, "server: more than %d", STUB_SERVERS);
				return;
			}
			if (server_read(w->w[k], &c->server[c->servers]))
				c->servers++;
			else
				conf_error(e, &w->where,
					   "server: \"%s\" is not an address (try 192.0.2.1 or "
					   "[2001:db8::1]:5353)",
					   w->w[k]);
		}
	}
}

static void relay_make(struct conf_errors *e, const struct relay_block *b)
{
	struct addr a;
	relay_conf.on = b->on;
	relay_conf.letters = b->letters;
	relay_conf.memory = b->memory;
	relay_conf.connections = b->connections;
	relay_conf.lease = b->lease;
	relay_conf.helo = b->helo;
	if (b->helo &&
	    addr_mailbox(slice_of(pool_printf(made.pool, "x@%s", b->helo)), 0, &a) != ADDR_OK)
		conf_error(e, conf_given(&b->block, relay_table, "helo"),
			   "helo: \"%s\" is neither a host name nor [an address]", b->helo);
}

/* --- a route by itself --- */

/* Where a mistake of the directive is: there, or where its block begins. */
static const struct conf_where *place(const struct route_block *b, const char *name)
{
	const struct conf_where *w = conf_given(&b->r.block, route_table, name);
	return w ? w : &b->r.block.where;
}

static bool host_name(struct conf_errors *e, const struct conf_words *w, bool mx,
		      struct route_host *out)
{
	struct sockaddr_storage sa;
	char name[DOMAIN_TEXT], text[INET6_ADDRSTRLEN];
	struct slice word = slice_of(w->w[0]);
	const char *what = mx ? "mx" : "host";
	if (address(word, 0, &sa)) {
		const void *ip = sa.ss_family == AF_INET
				     ? (void *)&((struct sockaddr_in *)&sa)->sin_addr
				     : (void *)&((struct sockaddr_in6 *)&sa)->sin6_addr;
		if (mx)
			conf_error(e, &w->where,
				   "mx: \"%s\" is an address, not a domain (try host)", w->w[0]);
		inet_ntop(sa.ss_family, ip, text, sizeof(text));
		out->name = pool_strdup(made.pool, text);
		return !mx;
	}
	if (!domain_ascii(word, name) || !addr_domain_ok(slice_of(name), 0) ||
	    !domain_is_host(slice_of(name))) {
		conf_error(e, &w->where, "%s: \"%s\" is not a %s name", what, w->w[0],
			   mx ? "domain" : "host");
		return false;
	}
	out->name = pool_strdup(made.pool, name);
	return true;
}

static void hosts_read(struct conf_errors *e, struct route_block *b)
{
	size_t n = 0, all = b->host.n + b->mx.n;
	struct route_host *host = pool_alloc(made.pool, (all + 1) * sizeof(*host));
	if (all > ROUTE_HOSTS_MAX)
		conf_error(e, &b->r.block.where, "route: more than %d hosts", ROUTE_HOSTS_MAX);
	for (size_t i = 0; i < all; i++) {
		bool mx = i >= b->host.n;
		const struct conf_words *w = mx ? b->mx.item[i - b->host.n] : b->host.item[i];
		const char *what = mx ? "mx" : "host";
		host[n].mx = mx;
		if (w->n > 2)
			conf_error(e, &w->where, "%s: takes a name and a port", what);
		else if (w->n == 2 && !port_read(w->w[1], &host[n].port))
			conf_error(e, &w->where, "%s: \"%s\" is not a port", what, w->w[1]);
		else if (host_name(e, w, mx, &host[n]))
			n++;
	}
	b->r.host = host;
	b->r.hosts = n;
}

/* The first line of the file; NULL and *why set. */
static const char *password_line(int fd, const char **why)
{
	char text[PASSWORD_MAX + 2];
	struct stat st;
	*why = NULL;
	if (fd < 0 || fstat(fd, &st) != 0)
		*why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		*why = "is not a file";
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		*why = "others than its owner have rights to it (chmod 600)";
	ssize_t n = *why ? 0 : read(fd, text, sizeof(text));
	if (n < 0)
		*why = strerror(errno);
	if (*why)
		return NULL;
	struct slice rest = {text, (size_t)n}, line = slice_cut(&rest, '\n');
	if (line.len && line.p[line.len - 1] == '\r')
		line.len--;
	if (!line.len)
		*why = "its first line is empty";
	else if (line.len > PASSWORD_MAX)
		*why = "its first line is longer than 1000 octets";
	else if (!str_print(line))
		*why = "its first line has control characters";
	const char *password = *why ? NULL : pool_strndup(made.pool, line.p, line.len);
	explicit_bzero(text, sizeof(text));
	return password;
}

static void auth_read(struct conf_errors *e, struct route_block *b)
{
	const struct conf_where *w = &b->auth.where;
	const char *why;
	if (b->auth.n == 0)
		return;
	if (b->auth.n != 2 || !b->auth.w[0][0]) {
		conf_error(e, w, "auth: takes a user and the file of the password");
		return;
	}
	b->auth.w[1] = conf_path(made.pool, w, b->auth.w[1]);
	int fd = open(b->auth.w[1], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	b->r.user = b->auth.w[0];
	b->r.password = password_line(fd, &why);
	if (!b->r.password)
		conf_error(e, w, "auth: %s: %s", b->auth.w[1], why);
	if (fd >= 0)
		close(fd);
}

static void source_read(struct conf_errors *e, struct route_block *b)
{
	bool four = false, six = false;
	for (size_t i = 0; i < b->source.n; i++) {
		struct sockaddr_storage sa;
		const char *word = b->source.w[i];
		if (!address(slice_of(word), 0, &sa)) {
			conf_error(e, &b->source.where, "source: \"%s\" is not an address", word);
			continue;
		}
		bool *seen = sa.ss_family == AF_INET ? &four : &six;
		if (*seen)
			conf_error(e, &b->source.where, "source: \"%s\" is a second one of IPv%c",
				   word, seen == &four ? '4' : '6');
		*seen = true;
		if (sa.ss_family == AF_INET)
			b->r.source4 = ((struct sockaddr_in *)&sa)->sin_addr;
		else
			b->r.source6 = ((struct sockaddr_in6 *)&sa)->sin6_addr;
	}
}

static struct tls_ctx *ca_read(const char *file)
{
	for (struct ca *c = made.ca; c; c = c->next)
		if (strcmp(c->file, file) == 0)
			return c->ctx;
	struct ca *c = pool_alloc(made.pool, sizeof(*c));
	*c = (struct ca){made.ca, file, tls_client_ctx(file, NULL)};
	made.ca = c;
	return c->ctx;
}

static void tls_read(struct conf_errors *e, struct route_block *b)
{
	char name[DOMAIN_TEXT];
	const struct route *r = &b->r;
	const char *of_no_use = b->tls_ca ? "tls-ca" : r->tls_name ? "tls-name" : NULL;
	if (b->tls_ca) {
		b->r.tls_ctx = ca_read(b->tls_ca);
		if (!tls_ctx_trusted(r->tls_ctx))
			conf_error(e, place(b, "tls-ca"), "tls-ca: %s: no certificates in it",
				   b->tls_ca);
	}
	if (r->tls_name &&
	    (!domain_ascii(slice_of(r->tls_name), name) || !addr_domain_ok(slice_of(name), 0)))
		conf_error(e, place(b, "tls-name"), "tls-name: \"%s\" is not a host name",
			   r->tls_name);
	else if (r->tls_name)
		b->r.tls_name = pool_strdup(made.pool, name);
	if (of_no_use && r->tls == OUT_TLS_NONE)
		conf_error(e, place(b, of_no_use), "%s: of no use with tls none", of_no_use);
}

/* The domains of the block. */
static void words_read(struct conf_errors *e, struct route_block *b)
{
	const struct conf_block *k = &b->r.block;
	for (size_t i = 0; i < k->args.n; i++) {
		struct slice word = slice_of(k->args.w[i]);
		char key[DOMAIN_TEXT + 1] = ".";
		size_t dot = slice_starts(word, ".") ? 1 : 0;
		struct slice name = {word.p + dot, word.len - dot};
		char *text = key + dot;
		if (slice_eqs(word, "*")) {
			strcpy(key, "*");
			made.rest = b;
		} else if (!domain_ascii(name, text) || !addr_domain_ok(slice_of(text), 0) ||
			   !domain_is_host(slice_of(text))) {
			conf_error(e, &k->where,
				   "route: \"%s\" is not a domain (try b.test, .b.test or *)",
				   word.p);
			continue;
		}
		const struct route_block *other = map_get(made.routes, key, strlen(key));
		if (other)
			conf_error(e, &k->where, "route: %s already has one, in line %u", word.p,
				   other->r.block.where.line);
		else
			map_set(made.routes, key, strlen(key), b);
	}
}

/* --- a route as a whole --- */

static bool says_where(const struct route_block *b)
{
	return conf_given(&b->r.block, route_table, "host") ||
	       conf_given(&b->r.block, route_table, "mx") ||
	       conf_given(&b->r.block, route_table, "direct");
}

/* A copy that gives nothing that belongs to the hosts. */
static struct route_block *without_hosts(const struct route_block *b)
{
	static const char *const WITH_HOSTS[] = {"host", "mx",       "direct", "protocol",
						 "auth", "tls-name", "tls-ca"};
	struct route_block *copy = pool_dup(made.pool, b, sizeof(*b));
	size_t n = 0;
	while (route_table[n].name)
		n++;
	copy->r.block.given = pool_dup(made.pool, b->r.block.given, n * sizeof(struct conf_where));
	for (size_t i = 0; i < sizeof(WITH_HOSTS) / sizeof(WITH_HOSTS[0]); i++)
		for (size_t k = 0; k < n; k++)
			if (strcmp(route_table[k].name, WITH_HOSTS[i]) == 0)
				copy->r.block.given[k].line = 0;
	return copy;
}

/* What was made of directives is inherited with them. */
static void inherit(struct route_block *b, const struct route_block *rest,
		    const struct route_block *rest_elsewhere)
{
	struct route *r = &b->r;
	if (!conf_given(&r->block, route_table, "source")) {
		r->source4 = rest->r.source4;
		r->source6 = rest->r.source6;
	}
	if (says_where(b)) {
		conf_inherit(route_table, b, rest_elsewhere);
		return;
	}
	r->host = rest->r.host;
	r->hosts = rest->r.hosts;
	if (!r->user) {
		r->user = rest->r.user;
		r->password = rest->r.password;
	}
	if (!r->tls_ctx)
		r->tls_ctx = rest->r.tls_ctx;
	conf_inherit(route_table, b, rest);
}

/* False: a mistake was told. */
static bool whole_check(struct conf_errors *e, const struct route_block *b)
{
	const struct route *r = &b->r;
	const char *needs = r->user ? "auth" : r->protocol != ROUTE_SMTP ? "protocol" : NULL;
	if (b->direct && r->hosts)
		conf_error(e, place(b, "direct"), "direct: and hosts are named too");
	else if (needs && !r->hosts)
		conf_error(e, place(b, needs), "%s: needs a host or mx", needs);
	else if (r->protocol == ROUTE_SUBMISSIONS && r->tls == OUT_TLS_NONE)
		conf_error(e, place(b, "tls"), "tls: protocol submissions is never without TLS");
	else if (r->user && r->tls == OUT_TLS_MAY)
		conf_error(e, place(b, "auth"),
			   "auth: needs tls verify (or must, or none): who is on the way could "
			   "undo tls may");
	else if (r->retry_first > r->retry_longest)
		conf_error(e, place(b, "retry-first"), "retry-first: is longer than retry-longest");
	else if (r->retry_longest > r->give_up)
		conf_error(e, place(b, "give-up"), "give-up: is shorter than retry-longest");
	else
		return true;
	return false;
}

/* The route of all domains that have none, when the file has no `route *`. */
static struct route_block *rest_make(void)
{
	static const struct conf_directive table[] = {{.name = "route",
						       .type = CONF_BLOCK,
						       .flags = CONF_MULTI | CONF_ARGS,
						       .block = route_table,
						       .block_size = sizeof(struct route_block)},
						      {0}};
	static const char text[] = "version 1\nroute * {\n}\n";
	struct conf_list list = {0};
	if (conf_parse(made.pool, "default", text, sizeof(text) - 1, table, &list, NULL, stderr))
		abort(); /* a constant */
	struct route_block *b = list.item[0];
	b->r.times = b->timeouts.times;
	return b;
}

static void routes_make(struct conf_errors *e, struct conf_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct route_block *b = l->item[i];
		words_read(e, b);
		hosts_read(e, b);
		auth_read(e, b);
		source_read(e, b);
		tls_read(e, b);
	}
	if (!made.rest)
		made.rest = rest_make();
	made.rest->r.times = made.rest->timeouts.times;
	/* Its mistakes would be told again for all that take after it. */
	if (!whole_check(e, made.rest))
		return;
	struct route_block *elsewhere = without_hosts(made.rest);
	for (size_t i = 0; i < l->n; i++) {
		struct route_block *b = l->item[i];
		if (b == made.rest)
			continue;
		inherit(b, made.rest, elsewhere);
		b->r.times = b->timeouts.times;
		whole_check(e, b);
	}
}

void relay_conf_check(struct conf_errors *e, struct relay_blocks *b)
{
	clear();
	relay_make(e, &b->relay);
	dns_make(e, &b->dns);
	routes_make(e, &b->routes);
}

/* --- afterwards --- */

static int give_ctx(const void *key, size_t len, void *value, void *arg)
{
	struct route *r = &((struct route_block *)value)->r;
	(void)key;
	(void)len;
	(void)arg;
	if (!r->tls_ctx)
		r->tls_ctx = made.system;
	return 0;
}

void relay_conf_start(void)
{
	if (!relay_conf.on || made.system)
		return;
	made.system = tls_client_ctx(NULL, NULL);
	if (!tls_ctx_trusted(made.system))
		log_event(LOG_LV_WARN, NULL, "no authorities",
			  LS("text", "the system has no certificate authorities: no server can be "
				     "verified"));
	map_each(made.routes, give_ctx, NULL);
	give_ctx(NULL, 0, made.rest, NULL);
}

const struct route *route_of(struct slice domain)
{
	char name[DOMAIN_TEXT];
	const struct route_block *b = NULL;
	if (!made.rest) { /* no file was read: a test */
		clear();
		made.rest = rest_make();
	}
	if (domain_ascii(domain, name)) {
		size_t len = strlen(name);
		b = map_get(made.routes, name, len);
		for (size_t i = 0; !b && i < len; i++)
			if (name[i] == '.')
				b = map_get(made.routes, name + i, len - i);
	}
	return b ? &b->r : &made.rest->r;
}
