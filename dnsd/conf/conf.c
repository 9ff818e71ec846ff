/* The directives of dnsd.conf. */
#include "dnsd/catalog/catalog.h"
#include "dnsd/policy/policy.h"
#include "dnsd/upstream/forward.h"
#include "dnsd/wire/serve.h"

struct dnsd_conf conf;

#define F(field) offsetof(struct dnsd_conf, field)
#define N(field) offsetof(struct dnsd_conf, policy.names.field)
#define SECOND   1000ull
#define WEEK     (7 * 24 * 3600 * SECOND)

static const struct conf_directive TCP[] = {
    {.name = "connections",
     .type = CONF_INT,
     .offset = offsetof(struct tcp_conf, connections),
     .def = "1000",
     .min = 1,
     .max = 1000000,
     .help = "Most connections of a process; when they are reached, the one that has been silent "
	     "for longest makes room."},
    {.name = "connections-per-address",
     .type = CONF_INT,
     .offset = offsetof(struct tcp_conf, per_address),
     .def = "50",
     .max = 1000000,
     .help = "Most connections of a client address (IPv6: of a /64); 0: no limit."},
    {.name = "idle-timeout",
     .type = CONF_DURATION,
     .offset = offsetof(struct tcp_conf, idle_timeout),
     .def = "10s",
     .min = SECOND,
     .max = 3600 * SECOND,
     .help = "How long a connection may be silent; clients that ask are told (RFC 7828)."},
    {0}};

static const struct conf_directive RRL[] = {
    {.name = "responses-per-second",
     .type = CONF_INT,
     .offset = offsetof(struct rrl_conf, responses_per_second),
     .def = "200",
     .max = 1000000,
     .help = "Most responses of a kind (answer, referral, no such name, error) to a network of "
	     "clients, an IPv4 /24 or an IPv6 /56, from all processes together; 0: no limit."},
    {.name = "slip",
     .type = CONF_INT,
     .offset = offsetof(struct rrl_conf, slip),
     .def = "2",
     .max = 100,
     .help = "Of the responses over the limit every so manieth is sent without its answer, so that "
	     "a real client comes by TCP; the others are not sent.\n0: none is sent."},
    {.name = "window",
     .type = CONF_DURATION,
     .offset = offsetof(struct rrl_conf, window),
     .def = "15s",
     .min = SECOND,
     .max = 3600 * SECOND,
     .help = "How long a network that asks for much too much stays limited after it has stopped."},
    {.name = "exempt",
     .type = CONF_NET,
     .offset = offsetof(struct rrl_conf, exempt),
     .flags = CONF_MULTI,
     .help = "Clients without this limit.\nThose with a DNS cookie of ours have none either."},
    {0}};

static const struct conf_directive TRANSFER[] = {
    {.name = "refresh-least",
     .type = CONF_DURATION,
     .offset = offsetof(struct transfer_conf, refresh_least),
     .def = "1m",
     .min = SECOND,
     .max = WEEK,
     .help = "Primaries are not asked more often, whatever a zone's SOA says."},
    {.name = "refresh-most",
     .type = CONF_DURATION,
     .offset = offsetof(struct transfer_conf, refresh_most),
     .def = "1d",
     .min = SECOND,
     .max = 4 * WEEK,
     .help = "They are asked at least as often as that."},
    {.name = "retry-least",
     .type = CONF_DURATION,
     .offset = offsetof(struct transfer_conf, retry_least),
     .def = "30s",
     .min = SECOND,
     .max = WEEK,
     .help = "The same for the time between attempts, when a primary was of no use."},
    {.name = "retry-most",
     .type = CONF_DURATION,
     .offset = offsetof(struct transfer_conf, retry_most),
     .def = "1h",
     .min = SECOND,
     .max = 4 * WEEK,
     .help = "Likewise."},
    {.name = "max-records",
     .type = CONF_INT,
     .offset = offsetof(struct transfer_conf, max_records),
     .def = "5000000",
     .min = 2,
     .max = UINT32_MAX,
     .help = "A zone with more is not taken, nor changes that make it one."},
    {.name = "max-size",
     .type = CONF_SIZE,
     .offset = offsetof(struct transfer_conf, max_octets),
     .def = "512M",
     .min = 1024,
     .help = "Likewise for the octets of its names and data."},
    {.name = "max-time",
     .type = CONF_DURATION,
     .offset = offsetof(struct transfer_conf, max_time),
     .def = "2h",
     .min = SECOND,
     .max = WEEK,
     .help = "A transfer that takes longer is given up, as is one whose primary is silent for 30 "
	     "seconds."},
    {.name = "parallel",
     .type = CONF_INT,
     .offset = offsetof(struct transfer_conf, parallel),
     .def = "10",
     .min = 1,
     .max = 1000,
     .help = "Zones that are asked for at once."},
    {.name = "tls-ca",
     .type = CONF_PATH,
     .offset = offsetof(struct transfer_conf, tls_ca),
     .flags = CONF_EXISTS,
     .help = "Certificate authorities (PEM) that are trusted instead of the system's."},
    {0}};

const struct conf_directive conf_table[] = {
    {.name = "content",
     .type = CONF_ADDR,
     .offset = F(content),
     .flags = CONF_MULTI,
     .help = "Answers for our zones here, by UDP and TCP (port 53)."},
    {.name = "content-tls",
     .type = CONF_ADDR,
     .offset = F(content_tls),
     .flags = CONF_MULTI,
     .help = "Answers for our zones here, by TLS (RFC 7858; port 853)."},
    {.name = "cache",
     .type = CONF_ADDR,
     .offset = F(cache),
     .flags = CONF_MULTI,
     .help = "Finds out what clients ask for, whoever has it, and keeps that: the cache server, by "
	     "UDP and TCP (port 53).\nAt an address of content, too: our zones are answered with "
	     "authority to everybody, other names to the clients of recursion-for."},
    {.name = "cache-tls",
     .type = CONF_ADDR,
     .offset = F(cache_tls),
     .flags = CONF_MULTI,
     .help = "The same by TLS (RFC 7858; port 853)."},
    {.name = "recursion-for",
     .type = CONF_NET,
     .offset = F(recursion_for),
     .flags = CONF_MULTI,
     .help = "Networks of the cache server's clients; others are refused.\nUnless given: this "
	     "machine alone."},
    {.name = "recursion",
     .type = CONF_BLOCK,
     .offset = F(recursion),
     .flags = CONF_OPTBLK,
     .block = conf_recursion_table,
     .block_size = sizeof(struct recursion_conf),
     .help = "How much the cache server keeps, and does."},
    {.name = "trust-anchor",
     .type = CONF_STRING,
     .offset = F(trust_anchors),
     .flags = CONF_MULTI,
     .help = "A DS or DNSKEY record of a zone, in quotes, from which the cache server begins to "
	     "validate what is at and below it.\nThe root's are known, unless one is given; their "
	     "successors are followed (RFC 5011)."},
    {.name = "trust-anchor-file",
     .type = CONF_PATH,
     .offset = F(trust_anchor_files),
     .flags = CONF_MULTI | CONF_EXISTS,
     .help = "The same, a file of such records."},
    {.name = "negative-trust-anchor",
     .type = CONF_STRING,
     .offset = F(negative_anchors),
     .flags = CONF_MULTI,
     .help = "A zone that is not validated, nor what is below it, because its signatures are "
	     "known to be wrong for the time being (RFC 7646)."},
    {.name = "zone",
     .type = CONF_BLOCK,
     .offset = F(zones),
     .flags = CONF_MULTI | CONF_ARGS | CONF_OPTBLK,
     .block = conf_zone_table,
     .block_size = sizeof(struct zone_conf),
     .arg = "name",
     .help =
	 "A zone that is served.\nIts file can follow in the same line: "
	 "zone example.org file zones/example.org\nOne without a file is a zone of the store "
	 "that has settings of its own.\nA secondary likewise: zone example.org from 192.0.2.1"},
    {.name = "view",
     .type = CONF_BLOCK,
     .offset = F(views),
     .flags = CONF_MULTI | CONF_ARGS,
     .block = conf_view_table,
     .block_size = sizeof(struct view_conf),
     .arg = "name",
     .help =
	 "What clients of some networks see: the zones in it, in place of those outside that "
	 "have the same name, and all others.\nOf several views the first that has the client's "
	 "address counts."},
    {.name = "catalog",
     .type = CONF_BLOCK,
     .offset = F(catalogs),
     .flags = CONF_MULTI | CONF_ARGS | CONF_OPTBLK,
     .block = conf_catalog_table,
     .block_size = sizeof(struct zone_conf),
     .arg = "name [from ADDRESS [port N] [key NAME] [tls NAME]]",
     .help = "A zone that lists zones (RFC 9432).\nWith from: what the server there lists are "
	     "secondaries here, of the same server; they come and go with the list.\nWithout: it "
	     "lists our zones, for the servers that the block or the lines outside name as "
	     "secondaries.\nOnly who may transfer it gets answers about it."},
    {.name = "key",
     .type = CONF_BLOCK,
     .offset = F(keys),
     .flags = CONF_MULTI | CONF_ARGS | CONF_OPTBLK,
     .block = conf_key_table,
     .block_size = sizeof(struct key_conf),
     .arg = "name",
     .help = "A key that others sign requests with and we our responses (TSIG, RFC 8945); both "
	     "sides call it by the same name.\nIts file can follow in the same line: key "
	     "ns1-ns2.example.org file keys/ns2"},
    {.name = "dnssec",
     .type = CONF_BLOCK,
     .offset = F(dnssec),
     .flags = CONF_ARGS | CONF_OPTBLK,
     .block = conf_dnssec_table,
     .block_size = sizeof(struct dnssec_conf),
     .arg = "on|off",
     .help = "Zones are signed with keys that keyd makes and holds; in a zone's block: that one.\n"
	     "What must be done for it elsewhere is told by hamletctl zone dnssec NAME."},
    {.name = "resolver",
     .type = CONF_ADDR,
     .offset = F(resolvers),
     .flags = CONF_MULTI,
     .help = "A recursive server that is asked what the names of ALIAS records lead to, and what "
	     "the parents of signed zones have; unless given, those of /etc/resolv.conf."},
    {.name = "store",
     .type = CONF_BOOL,
     .offset = F(store),
     .def = "on",
     .help = "All zones of the store are served, as soon as they are there."},
    CONF_XFR(F(xfr)),
    {.name = "transfers",
     .type = CONF_INT,
     .offset = F(transfers),
     .def = "20",
     .min = 1,
     .max = 1000,
     .help = "Most transfers of zones larger than a message that a process sends at a time; who "
	     "comes then has to come again."},
    {.name = "source",
     .type = CONF_WORDS,
     .offset = F(sources),
     .flags = CONF_MULTI,
     .arg = "address",
     .help =
	 "The address of this machine that other servers of our zones are asked and notified "
	 "from, and zones fetched; one of IPv4 and one of IPv6.\nUnless given, what the routing "
	 "table says; NOTIFY comes from the first address of content."},
    {.name = "state-dir",
     .type = CONF_PATH,
     .offset = F(state_dir),
     .def = "/var/lib/hamlet/dnsd",
     .help = "Folder of the compiled zones and of the cookies' secret."},
    {.name = "overlay",
     .type = CONF_INT,
     .offset = F(overlay),
     .def = "10000",
     .max = 1000000,
     .help = "Most names that may differ from the image of a large zone of the store before it is "
	     "compiled anew; until then a change costs what it changes.\n"
	     "At most a quarter of the zone's names; 0: each change compiles the whole zone."},
    {.name = "overlay-time",
     .type = CONF_DURATION,
     .offset = F(overlay_time),
     .def = "10m",
     .min = 1000,
     .max = 86400000,
     .help = "A zone that has not changed for so long is compiled anew, in the background."},
    {.name = "udp-size",
     .type = CONF_INT,
     .offset = F(udp_size),
     .def = "1232",
     .min = 512,
     .max = UDP_MAX,
     .help = "Most octets of a response by UDP; what is longer is fetched by TCP."},
    {.name = "minimal-any",
     .type = CONF_BOOL,
     .offset = F(minimal_any),
     .def = "on",
     .help = "Questions for ANY by UDP get the records of one type (RFC 8482)."},
    {.name = "additional",
     .type = CONF_BOOL,
     .offset = F(additional),
     .def = "on",
     .help = "Addresses of the names in an answer go along with it where they fit."},
    {.name = "cookies",
     .type = CONF_BOOL,
     .offset = F(cookies),
     .def = "on",
     .help = "DNS cookies (RFC 7873, RFC 9018)."},
    {.name = "bad-cookie",
     .type = CONF_BOOL,
     .offset = F(bad_cookie),
     .def = "off",
     .help = "By UDP, clients that know cookies are answered when they show a good one of ours; "
	     "others of them get one to come back with (BADCOOKIE)."},
    {.name = "cookie-secret-file",
     .type = CONF_PATH,
     .offset = F(cookie_secret_file),
     .help = "The secret of cookies for several servers behind one address, which are given the "
	     "same file: 32 hexadecimal digits; in a second line, while it changes, another one "
	     "that is good.\nOnly its owner and group may have rights to it.\nWithout it each "
	     "server has its own, another one every day."},
    {.name = "nsid",
     .type = CONF_STRING,
     .offset = F(nsid),
     .help = "What this server is called towards those who ask for it (RFC 5001)."},
    {.name = "identity",
     .type = CONF_STRING,
     .offset = F(identity),
     .help = "The answer to id.server and hostname.bind, class CH; refused unless given."},
    {.name = "version",
     .type = CONF_STRING,
     .offset = F(version),
     .help = "The answer to version.server and version.bind, class CH; refused unless given."},
    {.name = "allow",
     .type = CONF_NET,
     .offset = F(allow),
     .flags = CONF_MULTI,
     .help = "Only clients from these networks are answered; all, unless given."},
    {.name = "refuse",
     .type = CONF_NET,
     .offset = F(refuse),
     .flags = CONF_MULTI,
     .help = "Clients from these networks get REFUSED, whatever allow says."},
    {.name = "tcp",
     .type = CONF_BLOCK,
     .offset = F(tcp),
     .flags = CONF_OPTBLK,
     .block = TCP,
     .block_size = sizeof(struct tcp_conf),
     .help = "Connections, with and without TLS."},
    {.name = "rrl",
     .type = CONF_BLOCK,
     .offset = F(rrl),
     .flags = CONF_OPTBLK,
     .block = RRL,
     .block_size = sizeof(struct rrl_conf),
     .help = "Response rate limiting, by UDP: what keeps this server from being used to flood "
	     "others with answers to questions that bear their address."},
    {.name = "forward",
     .type = CONF_BLOCK,
     .offset = N(forwards),
     .flags = CONF_MULTI | CONF_ARGS,
     .block = conf_forward_table,
     .block_size = sizeof(struct forward_conf),
     .arg = "zone ...",
     .help = "Names at and below these zones (\".\": all) are not looked up from the root, but "
	     "asked of servers that resolve for us."},
    {.name = "stub",
     .type = CONF_BLOCK,
     .offset = N(stubs),
     .flags = CONF_MULTI | CONF_ARGS,
     .block = conf_stub_table,
     .block_size = sizeof(struct forward_conf),
     .arg = "zone ...",
     .help =
	 "Likewise asked of the content servers of the zone, which the world does not know of."},
    {.name = "local",
     .type = CONF_BLOCK,
     .offset = N(local),
     .block = conf_local_table,
     .block_size = sizeof(struct local_conf),
     .help = "Names that the cache server has data for itself."},
    {.name = "rpz",
     .type = CONF_BLOCK,
     .offset = F(policy.rpzs),
     .flags = CONF_MULTI | CONF_ARGS | CONF_OPTBLK,
     .block = conf_rpz_table,
     .block_size = sizeof(struct rpz_conf),
     .arg = "name",
     .help = "A response policy zone; the first that has something to say is heard, then those "
	     "of block."},
    {.name = "block",
     .type = CONF_BLOCK,
     .offset = F(policy.blocks),
     .flags = CONF_MULTI | CONF_ARGS | CONF_OPTBLK,
     .block = conf_block_table,
     .block_size = sizeof(struct block_conf),
     .arg = "file ...",
     .help = "Lists of names that clients are not to find: one a line, for itself and all below "
	     "it (*.name: those alone), or as hosts files have them."},
    {.name = "dns64",
     .type = CONF_BLOCK,
     .offset = F(policy.dns64),
     .flags = CONF_ARGS | CONF_OPTBLK,
     .block = conf_dns64_table,
     .block_size = sizeof(struct dns64_conf),
     .arg = "prefix",
     .help = "Hosts that have only IPv4 get an IPv6 address under the prefix (RFC 6147), for "
	     "clients behind a NAT64."},
    {.name = "rebinding",
     .type = CONF_BLOCK,
     .offset = F(policy.rebinding),
     .flags = CONF_OPTBLK,
     .block = conf_rebind_table,
     .block_size = sizeof(struct rebind_conf),
     .help = "Private addresses are taken out of answers about names of strangers."},
    {.name = "special-names",
     .type = CONF_BOOL,
     .offset = F(policy.special_names),
     .def = "on",
     .help = "localhost, the reverse names of private addresses and others of which the world has "
	     "nothing (RFC 6303, RFC 6761) are answered by the cache server itself, unless they "
	     "are local, ours, or forwarded."},
    {.name = "transfer-in",
     .type = CONF_BLOCK,
     .offset = F(transfer),
     .flags = CONF_OPTBLK,
     .block = TRANSFER,
     .block_size = sizeof(struct transfer_conf),
     .help = "How zones are fetched from their primaries."},
    {0}};

/* What strings of the configuration need that the tables do not make; lives as long as conf. */
static struct pool *pool;

static void no_unix(struct conf_errors *e, const struct conf_list *l, const char *what)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct conf_addr *a = l->item[i];
		if (a->sa.ss_family == AF_UNIX)
			conf_error(e, NULL, "%s: %s is no address of a network", what, a->text);
	}
}

void conf_verify(struct conf_errors *e, void *root)
{
	(void)root;
	if (!pool)
		pool = pool_new(0);
	conf_keys_verify(e, pool);
	const char *why = conf.cookie_secret_file ? cookie_shared(conf.cookie_secret_file) : NULL;
	if (why)
		conf_error(e, NULL, "cookie-secret-file: %s: %s", conf.cookie_secret_file, why);
	if (!conf.content.n && !conf.content_tls.n && !conf_recurses())
		conf_error(e, NULL,
			   "nothing to listen on: give one of content, content-tls, cache, "
			   "cache-tls");
	no_unix(e, &conf.content, "content");
	no_unix(e, &conf.content_tls, "content-tls");
	no_unix(e, &conf.cache, "cache");
	no_unix(e, &conf.cache_tls, "cache-tls");
	no_unix(e, &conf.resolvers, "resolver");
	conf_cache_verify(e);
	if (conf.nsid && strlen(conf.nsid) > 128)
		conf_error(e, NULL, "nsid: has more than 128 octets");
	conf_source_verify(e);
	conf_xfr_verify(e, pool, &conf.xfr);
	if (conf.dnssec.block.present)
		conf_dnssec_verify(e, &conf.dnssec, "");
	conf_views_verify(e);
	policy_forget();
	forward_forget();
	if (conf_recurses())
		conf_policy_verify(e, pool, &conf.policy);
	for (size_t i = 0; i < conf.views.n && conf_recurses(); i++) {
		const struct view_conf *v = conf.views.item[i];
		conf_forwards_verify(e, pool, (unsigned)i + 1, &v->names);
		conf_names_verify(e, (unsigned)i + 1, &v->names);
	}
	conf_zones_verify(e, pool);
}

bool conf_has(const struct conf_list *nets, const struct sockaddr *sa)
{
	for (size_t i = 0; i < nets->n; i++)
		if (conf_net_has(nets->item[i], sa))
			return true;
	return false;
}

static const char *folder_of(struct pool *p, const char *file)
{
	const char *slash = strrchr(file, '/');
	return slash == file ? "/" : pool_strndup(p, file, (size_t)(slash - file));
}

/* Folders, because a text may include other files; each once. */
static void add_folder(struct pool *p, struct sandbox_path *paths, size_t *n, const char *file)
{
	const char *folder = folder_of(p, file);
	size_t k = 0;
	while (k < *n && strcmp(paths[k].path, folder) != 0)
		k++;
	if (k == *n)
		paths[(*n)++] = (struct sandbox_path){folder, false};
}

void conf_sandbox(struct pool *p, struct sandbox *out)
{
	const struct zone_conf *z;
	size_t n = 0, most = conf.trust_anchor_files.n + 3;
	while (conf_zone_at(n))
		n++;
	struct sandbox_path *paths = pool_alloc(p, (n + most) * sizeof(*paths));
	n = 0;
	paths[n++] = (struct sandbox_path){conf.state_dir, true};
	for (size_t i = 0; (z = conf_zone_at(i)); i++)
		if (z->text)
			add_folder(p, paths, &n, z->text);
	for (size_t i = 0; i < conf.trust_anchor_files.n; i++)
		add_folder(p, paths, &n, *(const char **)conf.trust_anchor_files.item[i]);
	if (conf.recursion.root_hints)
		add_folder(p, paths, &n, conf.recursion.root_hints);
	out->paths = paths;
	out->threads = true;
	out->connect_inet = true; /* resolvers, other servers */
}
