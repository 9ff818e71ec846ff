/* The cache server's directives. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include "dnsd/dnsd.h"
#include "dnsd/resolve/resolve.h"
#include "dnsd/validate/anchor.h"

enum { TEXT_MAX = 1 << 18 /* octets of a file of hints or anchors */ };

#define F(field) offsetof(struct recursion_conf, field)
#define SECOND   1000ull
#define DAY      (24 * 3600 * SECOND)

const struct conf_directive conf_recursion_table[] = {
    {.name = "size",
     .type = CONF_SIZE,
     .offset = F(size),
     .def = "64M",
     .min = 1 << 20,
     .max = 1ull << 34,
     .help = "Octets of memory for what is kept, of each process; what nobody asks for gives way.\n"
	     "An entry takes about 40 more than its name and data."},
    {.name = "ttl-least",
     .type = CONF_DURATION,
     .offset = F(ttl_least),
     .def = "0",
     .max = 3600 * SECOND,
     .help = "Nothing is kept for less, whatever its TTL."},
    {.name = "ttl-most",
     .type = CONF_DURATION,
     .offset = F(ttl_most),
     .def = "1d",
     .min = SECOND,
     .max = 7 * DAY,
     .help = "Nothing is kept for longer."},
    {.name = "negative-ttl",
     .type = CONF_DURATION,
     .offset = F(negative_ttl),
     .def = "1h",
     .max = DAY,
     .help = "That a name or type does not exist is not kept for longer (RFC 2308)."},
    {.name = "failure-ttl",
     .type = CONF_DURATION,
     .offset = F(failure_ttl),
     .def = "5s",
     .min = SECOND,
     .max = 300 * SECOND,
     .help = "How long a name that could not be found out is not tried again (RFC 9520)."},
    {.name = "serve-stale",
     .type = CONF_DURATION,
     .offset = F(serve_stale),
     .def = "1d",
     .max = 7 * DAY,
     .help = "What has expired is kept for so long, and served when its servers do not answer "
	     "(RFC 8767).\n0: it is not."},
    {.name = "prefetch",
     .type = CONF_INT,
     .offset = F(prefetch),
     .def = "10",
     .max = 50,
     .help = "What is asked for when less than this percentage of its TTL is left is renewed "
	     "beforehand; 0: it is not."},
    {.name = "waiting",
     .type = CONF_INT,
     .offset = F(waiting),
     .def = "5000",
     .min = 1,
     .max = 10000,
     .help = "Most questions of clients that a process is finding out."},
    {.name = "waiting-per-client",
     .type = CONF_INT,
     .offset = F(waiting_per_client),
     .def = "500",
     .min = 1,
     .max = 10000,
     .help = "Of them of one address (IPv6: of a /64)."},
    {.name = "queries-per-second",
     .type = CONF_INT,
     .offset = F(queries_per_second),
     .def = "2000",
     .max = 10000000,
     .help = "Most questions of one address (IPv6: of a /64) that a process answers; 0: no "
	     "limit.\nThis machine has none."},
    {.name = "exempt",
     .type = CONF_NET,
     .offset = F(exempt),
     .flags = CONF_MULTI,
     .help = "Clients without the last two limits."},
    {.name = "outgoing",
     .type = CONF_INT,
     .offset = F(outgoing),
     .def = "1000",
     .min = 10,
     .max = 50000,
     .help = "Most questions to other servers that a process waits for at a time; each needs a "
	     "socket."},
    {.name = "root-hints",
     .type = CONF_PATH,
     .offset = F(root_hints),
     .flags = CONF_EXISTS,
     .help = "A zone file with the root's servers and their addresses, in place of IANA's."},
    {.name = "tls-ca",
     .type = CONF_PATH,
     .offset = F(tls_ca),
     .flags = CONF_EXISTS,
     .help = "Certificate authorities (PEM) that are trusted, instead of the system's, of servers "
	     "that are asked by TLS (forward)."},
    {.name = "ipv4",
     .type = CONF_BOOL,
     .offset = F(ipv4),
     .def = "on",
     .help = "Other servers are asked at their IPv4 addresses."},
    {.name = "ipv6",
     .type = CONF_BOOL,
     .offset = F(ipv6),
     .def = "on",
     .help = "Likewise; where this machine has no way to IPv6, off saves time."},
    {.name = "save",
     .type = CONF_BOOL,
     .offset = F(save),
     .def = "on",
     .help = "The cache is written to state-dir at the end and read at the start."},
    {.name = "query-log",
     .type = CONF_BOOL,
     .offset = F(query_log),
     .def = "off",
     .help = "Each question of a client is logged, and what became of it."},
    {0}};

/* --- where it begins: the root's servers and keys ----------------------------------------------
 */
static struct anchors *anchors;

/* NULL, or why it could not be read. */
static const char *read_file(const char *path, struct buf *text)
{
	char piece[4096];
	FILE *f = fopen(path, "re");
	buf_init(text, TEXT_MAX);
	if (!f)
		return strerror(errno);
	for (size_t n; (n = fread(piece, 1, sizeof(piece), f)) > 0;)
		buf_add(text, piece, n);
	const char *why = ferror(f) ? "it cannot be read" : text->failed ? "it is too long" : NULL;
	fclose(f);
	return why;
}

static void verify_hints(struct conf_errors *e, const struct recursion_conf *r)
{
	struct buf text;
	const char *why = read_file(r->root_hints, &text);
	if (!why)
		resolve_hints(buf_cstr(&text), &why);
	if (why)
		conf_error(e, &r->block.where, "root-hints: %s: %s", r->root_hints, why);
	buf_free(&text);
}

static void verify_anchors(struct conf_errors *e)
{
	static const uint8_t root[] = {0};
	struct anchor a;
	const char *why = NULL;
	anchors_free(&anchors);
	anchors = anchors_new();
	for (size_t i = 0; i < conf.trust_anchors.n; i++) {
		const char *text = *(const char **)conf.trust_anchors.item[i];
		if (!anchors_add_text(anchors, slice_of(text), &why))
			conf_error(e, NULL, "trust-anchor: %s", why);
	}
	for (size_t i = 0; i < conf.trust_anchor_files.n; i++) {
		const char *path = *(const char **)conf.trust_anchor_files.item[i];
		struct buf text;
		why = read_file(path, &text);
		if (why || !anchors_add_text(anchors, buf_slice(&text), &why))
			conf_error(e, NULL, "trust-anchor-file: %s: %s", path, why);
		buf_free(&text);
	}
	if (!anchors_find(anchors, root, &a))
		anchors_add_root(anchors);
	for (size_t i = 0; i < conf.negative_anchors.n; i++) {
		const char *text = *(const char **)conf.negative_anchors.item[i];
		uint8_t zone[DNS_NAME_MAX];
		if (!dns_name_from_text(slice_of(text), zone)) {
			conf_error(e, NULL, "negative-trust-anchor: %s is no domain name", text);
			continue;
		}
		dns_name_lower(zone);
		anchors_add_negative(anchors, zone);
	}
}

struct anchors *conf_anchors(void)
{
	return anchors;
}

void conf_cache_verify(struct conf_errors *e)
{
	const struct recursion_conf *r = &conf.recursion;
	const struct conf_where *at = &r->block.where;
	if (!conf_recurses()) {
		if (r->block.present || conf.recursion_for.n)
			conf_error(e, r->block.present ? at : NULL,
				   "%s: there is no cache server: give cache or cache-tls an "
				   "address",
				   r->block.present ? "recursion" : "recursion-for");
		return;
	}
	if (r->ttl_least > r->ttl_most)
		conf_error(e, at, "recursion: ttl-least is more than ttl-most");
	if (!r->ipv4 && !r->ipv6)
		conf_error(e, at, "recursion: one of ipv4 and ipv6 has to be on");
	if (r->root_hints)
		verify_hints(e, r);
	verify_anchors(e);
}

bool conf_recurses(void)
{
	return conf.cache.n > 0 || conf.cache_tls.n > 0;
}

static bool is_loopback(const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
	if (sa->sa_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return sa->sa_family == AF_INET6 && (IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
					     (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) &&
					      in6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET));
}

bool conf_recursion_for(const struct sockaddr *client)
{
	if (!conf.recursion_for.n)
		return is_loopback(client);
	return conf_has(&conf.recursion_for, client);
}

bool conf_recursion_unlimited(const struct sockaddr *client)
{
	return is_loopback(client) || conf_has(&conf.recursion.exempt, client);
}
