/* The directives of pop3d.conf. */
#include <netinet/in.h>
#include <unistd.h>
#include "libcommon/mail/addr.h"
#include "pop3d/pop3d.h"

struct pop3d_conf conf;

#define F(field) offsetof(struct pop3d_conf, field)
#define SECOND   1000u
#define HOUR     3600000u

const struct conf_directive conf_table[] = {
    {"hostname", CONF_STRING, F(hostname), 0, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Name in the greeting; the host's own unless given."},
    {"pop3", CONF_ADDR, F(pop3), CONF_MULTI, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Listens for POP3 (port 110); passwords are taken after STLS, or from loopback."},
    {"pop3s", CONF_ADDR, F(pop3s), CONF_MULTI, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Listens for POP3 over TLS (port 995)."},
    {"proxy-from", CONF_NET, F(proxy_from), CONF_MULTI, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Connections from here must start with a PROXY protocol header, which is believed."},
    {"connections", CONF_INT, F(connections), 0, "10000", 1, 1000000, NULL, NULL, 0, NULL,
     "Most connections of a listener and process."},
    {"connections-per-address", CONF_INT, F(connections_per_address), 0, "250", 0, 1000000, NULL,
     NULL, 0, NULL, "Most connections of a client address (IPv6: of a /64); 0: no limit."},
    {"max-auth-failures", CONF_INT, F(max_auth_failures), 0, "3", 1, 100, NULL, NULL, 0, NULL,
     "Failed logins that end the connection."},
    {"max-errors", CONF_INT, F(max_errors), 0, "20", 1, 10000, NULL, NULL, 0, NULL,
     "Wrong commands that end the connection."},
    {"max-login-commands", CONF_INT, F(max_login_commands), 0, "50", 5, 10000, NULL, NULL, 0, NULL,
     "Commands before a login that end the connection."},
    {"max-login-bytes", CONF_SIZE, F(max_login_bytes), 0, "64K", 4096, 1 << 20, NULL, NULL, 0, NULL,
     "Octets before a login that end the connection."},
    {"login-timeout", CONF_DURATION, F(login_timeout), 0, "1m", SECOND, HOUR, NULL, NULL, 0, NULL,
     "How long a client may take from connecting to its login."},
    {"idle-timeout", CONF_DURATION, F(idle_timeout), 0, "10m", SECOND, 24 * HOUR, NULL, NULL, 0,
     NULL, "How long a client may be silent after its login (RFC 1939 asks for 10m at least)."},
    {"store-timeout", CONF_DURATION, F(store_timeout), 0, "1m", SECOND, HOUR, NULL, NULL, 0, NULL,
     "How long a command waits for a store that restarts before it is answered [SYS/TEMP]."},
    {NULL, CONF_BOOL, 0, 0, NULL, 0, 0, NULL, NULL, 0, NULL, NULL},
};

static const struct service POP3 = {.name = "pop3"};
static const struct service POP3S = {.name = "pop3s", .tls = true};

static char host_name[256], advice[128]; /* live as long as conf */

static unsigned port_of(const struct conf_list *l)
{
	const struct conf_addr *a = l->item[0];
	struct sockaddr_in in;
	if (a->sa.ss_family != AF_INET && a->sa.ss_family != AF_INET6)
		return 0;
	memcpy(&in, &a->sa, sizeof(in)); /* the port is at one place in both families */
	return ntohs(in.sin_port);
}

static void make_advice(void)
{
	if (conf.pop3s.n && port_of(&conf.pop3s))
		str_fmt(advice, sizeof(advice),
			"choose SSL/TLS and port %u in your mail program, or STARTTLS on this port",
			port_of(&conf.pop3s));
	else
		str_fmt(advice, sizeof(advice),
			"choose STARTTLS on this port in your mail program");
}

const char *conf_tls_advice(void)
{
	return advice;
}

void conf_verify(struct conf_errors *e, void *root)
{
	(void)root;
	if (!conf.hostname) {
		if (gethostname(host_name, sizeof(host_name) - 1) != 0 || !host_name[0])
			str_fmt(host_name, sizeof(host_name), "localhost");
		conf.hostname = host_name;
	} else if (!addr_domain_ok(slice_of(conf.hostname), 0)) {
		conf_error(e, NULL, "hostname: \"%s\" is not a host name", conf.hostname);
	}
	if (!conf.pop3.n && !conf.pop3s.n)
		conf_error(e, NULL, "nothing to listen on: give one of pop3, pop3s");
	make_advice();
}

static void add(struct pool *pool, struct listen_spec *at, size_t *n, const struct conf_list *l,
		const struct service *sv)
{
	const struct listen_spec like = {
	    .name = sv->name,
	    .arg = (void *)(uintptr_t)sv,
	    .proxy_from = conf.proxy_from.n ? &conf.proxy_from : NULL,
	    .max_per_address = (uint32_t)conf.connections_per_address,
	    .max_total = (uint32_t)conf.connections,
	};
	listen_add(pool, at, n, l, &like);
}

size_t conf_listeners(struct pool *pool, struct listen_spec **out)
{
	size_t n = 0;
	struct listen_spec *specs = pool_alloc(pool, (conf.pop3.n + conf.pop3s.n) * sizeof(*specs));
	add(pool, specs, &n, &conf.pop3, &POP3);
	add(pool, specs, &n, &conf.pop3s, &POP3S);
	*out = specs;
	return n;
}
