/* relay_conf: the blocks of smtpd.conf that are about mail going out, as they are read. What they
 * come to is relay_conf and route_of() of relay.h. Included by smtpd.h for struct smtpd_conf. */
#ifndef SMTPD_RELAY_CONF_H
#define SMTPD_RELAY_CONF_H
#include "smtpd/relay.h"

enum { ROUTE_HOSTS_MAX = 32 /* that a route names, or MX records lead to */ };

struct relay_block {
	struct conf_block block;
	bool on;
	uint64_t letters, memory, connections, lease;
	const char *helo;
};
struct dns_block {
	struct conf_block block;
	struct conf_list server; /* struct conf_words */
	const char *resolv_conf;
	bool trust_ad, cache;
	uint64_t timeout, attempts, deadline, parallel, queue, cache_entries, ttl_max, negative_max;
};
struct timeouts_block {
	struct conf_block block;
	struct out_times times;
};
struct route_block {
	struct route r;                 /* its block, and what is read straight into it */
	struct conf_list host, mx;      /* struct conf_words */
	bool direct;                    /* the domain's own MX, whatever `route *` says */
	struct conf_words auth, source; /* user and file; addresses */
	const char *tls_ca;             /* a file */
	struct timeouts_block timeouts;
};
/* All of a file's. */
struct relay_blocks {
	struct relay_block relay;
	struct dns_block dns;
	struct conf_list routes; /* struct route_block */
};
extern const struct conf_directive relay_table[], dns_table[], route_table[];

/* Checks the blocks and makes relay_conf and the routes of them; from conf_verify(). What was made
 * of a file before is freed. */
void relay_conf_check(struct conf_errors *e, struct relay_blocks *b);
/* Gives the routes their TLS contexts: reads the system's certificate authorities. Before the
 * sandbox. Does nothing when relay is off. */
void relay_conf_start(void);

/* --- relay_name.c ---
 * A domain as DNS knows it: lower case, A-labels, no dot at the end. False: not a domain name.
 * IDNA 2008 (RFC 5891) for what is not ASCII; names of ASCII letters are not looked into. */
#define DOMAIN_TEXT 256
bool domain_ascii(struct slice domain, char out[DOMAIN_TEXT]);
/* What domain_ascii() made is no address: its last label is not of digits alone (RFC 3696 2). */
bool domain_is_host(struct slice ascii);

/* --- relay_self.c ---
 * A host of this name, with these addresses, is this process or one beside it, when its port is one
 * of the smtp listeners'. The name counts on port 25, too, in front of which may be another host.
 */
bool self_is(const char *name, uint16_t port, const struct sockaddr_storage *addr, size_t n);

#endif
