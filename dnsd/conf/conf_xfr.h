/* conf_xfr: who gets our zones and who is told of changes (`secondary`, `allow-transfer`,
 * `notify`), at the top of dnsd.conf for all zones, in a zone's block instead for it. */
#ifndef DNSD_CONF_XFR_H
#define DNSD_CONF_XFR_H
#include "libcommon/base/conf.h"
#include "libcommon/dns/tsig.h"

struct xfr_peer {
	struct conf_net net;            /* .sa AF_UNSPEC: any address */
	socklen_t len;                  /* of net.sa as an address to send to */
	const struct tsig_key *key;     /* NULL: none */
	bool tls;                       /* by TLS alone */
	const char *catalog;            /* that it gets; NULL: none */
	const struct conf_words *words; /* of the directive */
};
struct xfr_peers {
	struct xfr_peer *peer;
	size_t n;
};
struct xfr_conf {
	struct conf_list secondary, allow, notify; /* of struct conf_words */
	/* Set by conf_xfr_verify(): who may transfer; who is notified. */
	struct xfr_peers may, told;
};
/* The rows of a table whose struct has a struct xfr_conf at `at`. */
#define CONF_XFR(at)                                                                               \
	{.name = "secondary",                                                                      \
	 .type = CONF_WORDS,                                                                       \
	 .offset = (at) + offsetof(struct xfr_conf, secondary),                                    \
	 .flags = CONF_MULTI,                                                                      \
	 .arg = "address [port N] [key NAME] [tls] [catalog NAME]",                                \
	 .help = "A secondary server: it is notified of changes, and may transfer the zone; only " \
		 "with requests that the key has signed, where one is named, and only by TLS "     \
		 "where that is said.\ncatalog: it also gets the catalog of that name, which "     \
		 "lists all zones (not in a block)."},                                             \
	    {.name = "allow-transfer",                                                             \
	     .type = CONF_WORDS,                                                                   \
	     .offset = (at) + offsetof(struct xfr_conf, allow),                                    \
	     .flags = CONF_MULTI,                                                                  \
	     .arg = "network [key NAME] [tls] | key NAME [tls]",                                   \
	     .help = "Who else may transfer the zone; nobody, unless given."},                     \
	{                                                                                          \
		.name = "notify", .type = CONF_WORDS,                                              \
		.offset = (at) + offsetof(struct xfr_conf, notify), .flags = CONF_MULTI,           \
		.arg = "address [port N] [key NAME]", .help = "Who else is notified of changes."   \
	}
/* Reads the lines; pool: as long-lived as conf. The keys were read before. */
void conf_xfr_verify(struct conf_errors *e, struct pool *pool, struct xfr_conf *x);
/* Of a zone: what it has itself, else what is there for all. */
bool conf_xfr_may(const struct xfr_conf *zone, const struct xfr_conf *all,
		  const struct sockaddr *client, const struct tsig_key *key, bool tls);
struct xfr_peers conf_xfr_told(const struct xfr_conf *zone, const struct xfr_conf *all);
#endif
