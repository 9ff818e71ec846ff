/* stub: an asynchronous DNS client that asks recursive servers.
 * A question goes out by UDP from a random port with a random id; a truncated answer is asked for
 * again by TCP; servers are tried by how they answered before. Identical questions under way are
 * asked once; answers are kept for as long as their TTL allows. Loop thread only. */
#ifndef DNS_STUB_H
#define DNS_STUB_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "libcommon/base/str.h"
#include "libcommon/dns/wire.h"

enum { STUB_SERVERS = 8, STUB_HOPS = 8 /* CNAMEs that an answer may lead over */ };

/* Zero is the default everywhere; other values are moved into their range. */
struct stub_conf {
	/* Recursive servers; none: those of resolv_conf, and without any there 127.0.0.1. */
	struct sockaddr_storage server[STUB_SERVERS];
	unsigned servers;
	const char *resolv_conf; /* read by stub_new(); NULL: /etc/resolv.conf, "": none */
	uint32_t timeout_ms;     /* of one try, longer in each round: 100 to 30000, 2000 */
	uint32_t attempts;       /* rounds over all servers: 1 to 10, 2 */
	uint32_t deadline_ms;    /* of a question in all: 200 to 300000, 20000 */
	uint32_t parallel;       /* questions (each a socket) at once: 1 to 4096, 256 */
	uint32_t queue;          /* questions waiting for a socket: 1 to 1000000, 10000 */
	uint32_t cache_entries;  /* answers kept, of 16 KiB at most: 1 to 1000000, 4096 */
	bool no_cache;
	uint32_t ttl_max;      /* seconds an answer is kept: 1 to 604800, 86400 */
	uint32_t negative_max; /* seconds NODATA and NXDOMAIN are kept: 1 to 86400, 900 */
	bool dnssec_ok;        /* ask for signatures */
	/* Believe the AD bit of every server: the way to it is safe. Servers on loopback are
	 * believed anyway, as are all of a resolv.conf with "options trust-ad". */
	bool trust_ad;
};

enum stub_kind {
	STUB_OK,
	STUB_NODATA,   /* the name exists, records of this type do not */
	STUB_NXDOMAIN, /* the name does not exist, nor does one below it */
	STUB_SERVFAIL, /* no server had an answer: see rcode */
	STUB_TIMEOUT,  /* no server answered */
	STUB_BOGUS,    /* a server found the DNSSEC signatures wrong (RFC 8914 codes 6 to 12) */
	STUB_LOOP,     /* over STUB_HOPS CNAMEs */
	STUB_BADNAME,  /* not a name that is asked for: nothing was sent */
	STUB_BUSY,     /* the queue is full */
};
const char *stub_kind_text(enum stub_kind k);
/* Asking again later may help. */
bool stub_kind_temporary(enum stub_kind k);

/* A record. Which members are set depends on the type. */
struct stub_rr {
	uint16_t preference;   /* MX; the priority of SRV */
	uint16_t weight, port; /* SRV */
	const char *name;      /* MX, SRV, PTR, CNAME, NS: dns_name_text(), "." is the root */
	struct in_addr a;
	struct in6_addr aaaa;
	uint8_t usage, selector, matching; /* TLSA */
	/* TXT: its strings joined; TLSA: the association data; types not named here: the rdata. */
	struct slice data;
};

struct stub_answer {
	enum stub_kind kind;
	uint16_t rcode, type;
	bool ad;      /* a believed server says that all of it is authenticated */
	bool cached;  /* nothing was sent for it */
	uint32_t ttl; /* seconds that it is good for: the smallest of its records, or by the SOA */
	const char *owner; /* whose records they are: the name asked, or where its CNAMEs lead */
	size_t n;
	const struct stub_rr *rr; /* as the server ordered them */
};

struct stub;
struct stub_ask;
/* Lives during the call; it may ask, cancel, and free the stub. */
typedef void stub_fn(const struct stub_answer *a, void *arg);

/* conf (NULL: all defaults) is copied. */
struct stub *stub_new(const struct stub_conf *conf);
/* Questions under way are cancelled. *s may be NULL and is set to NULL. */
void stub_free(struct stub **s);
/* Asks for the records of an absolute name of letters, digits, - _ and / (a dot at the end
 * allowed; for IDNs the A-label form). fn is called once, never before stub_ask() returns; the
 * handle is gone when it is called. Not for SOA. */
struct stub_ask *stub_ask(struct stub *s, struct slice name, uint16_t type, stub_fn *fn, void *arg);
/* The same for the name under which an address has its PTR records (RFC 1035 3.5, RFC 3596 2.5);
 * ::ffff:192.0.2.1 is 192.0.2.1.
 */
struct stub_ask *stub_ask_ptr(struct stub *s, const struct sockaddr *addr, stub_fn *fn, void *arg);
/* fn will not be called. Sets *a to NULL, which it may be. */
void stub_cancel(struct stub_ask **a);

/* Answers that are kept are forgotten. */
void stub_forget(struct stub *s);

struct stub_stats {
	uint64_t asked, cached, merged; /* questions; answered from the cache; joined to another */
	uint64_t sent, tcp, timeouts;   /* by UDP; by TCP; tries without an answer */
	uint64_t ignored;               /* datagrams that answered nothing that was asked */
	uint64_t entries;               /* of the cache, now */
};
void stub_stats(const struct stub *s, struct stub_stats *out);

/* Reads the text of a resolv.conf(5): nameserver, options timeout: attempts: trust-ad. What conf
 * has already stays. Lines that it does not understand are passed over. */
void stub_resolv_conf(struct stub_conf *conf, struct slice text);
#endif
