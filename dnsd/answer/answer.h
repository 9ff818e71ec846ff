/* answer: a query in, a response out. No allocation, no system call, no state but what is given. */
#ifndef DNSD_ANSWER_H
#define DNSD_ANSWER_H
#include <sys/socket.h>
#include "dnsd/image/image.h"

/* --- zones.c: the zones that are served: the closest one above a name ------------------------ */
struct zones;
struct zone {
	uint8_t name[DNS_NAME_MAX];
	size_t name_len;
	const struct image *image; /* NULL: not loaded, or expired: SERVFAIL */
	unsigned number;           /* for counters */
	bool expired;              /* that is why there is no image */
};
struct zones *zones_new(void);
/* Zones in front of others, which must outlive them: of two with the same name these count. */
struct zones *zones_over(const struct zones *under);
/* A zone with this name, or another image for it; the old one is the caller's again (NULL: there
 * was none). */
const struct image *zones_set(struct zones *z, const uint8_t *name, const struct image *image,
			      unsigned number);
/* Why the zone has no image. */
void zones_expire(struct zones *z, const uint8_t *name, bool expired);
/* It is served no longer; its image is the caller's again. */
const struct image *zones_remove(struct zones *z, const uint8_t *name);
/* name: lower case, len octets. NULL: it is in none of our zones. */
const struct zone *zones_find(const struct zones *z, const uint8_t *name, size_t len);
void zones_free(struct zones **z); /* images stay the caller's */

/* --- query.c: what was asked ---------------------------------------------------------------- */
enum query_kind {
	QUERY_ASK,   /* opcode QUERY, one question, class IN */
	QUERY_CHAOS, /* the same of class CH: version.bind, hostname.bind, id.server ... */
	QUERY_NOTIFY,
	QUERY_UPDATE,
	QUERY_TRANSFER, /* AXFR, IXFR */
	QUERY_DROP,     /* not a query: no answer at all */
	QUERY_BAD,      /* rcode says why */
};
struct query {
	enum query_kind kind;
	uint16_t id, flags, type, rcode; /* rcode: extended */
	const uint8_t *pkt;
	size_t len, question_len;   /* octets of name, type and class; 0: no question was read */
	uint8_t name[DNS_NAME_MAX]; /* lower case */
	size_t name_len;
	unsigned labels;
	bool edns, dnssec_ok, nsid, padding, keepalive;
	uint16_t udp_size;   /* what the client takes; 512 without EDNS */
	struct slice cookie; /* option data: 8, or 16 to 40 octets; empty: none */
	struct slice subnet;
	size_t tsig;               /* where the TSIG record begins; 0: none */
	const struct zones *zones; /* the client's, for answer_prepare(); NULL: those of the call */
	/* Of answer_prepare(). */
	bool prepared;
	const struct zone *zone;
	uint64_t hint;
};
/* Reads the header, one question (its name not compressed), and all records to the last octet.
 * Never fails: q->kind tells. Names in pkt are kept by reference. */
void query_read(struct query *q, const uint8_t *pkt, size_t len);

/* --- answer.c --------------------------------------------------------------------------------- */
enum {
	ANSWER_HOPS = 16,     /* CNAMEs and DNAMEs that a response goes along */
	ANSWER_NSID = 128,    /* octets at most */
	ANSWER_PADDING = 468, /* responses have a multiple of it (RFC 8467) */
	COOKIE_SECRET = 16,   /* octets */
	COOKIE_LIFE = 3600,   /* seconds that a server cookie is good for (RFC 9018 4.3) */
	COOKIE_FUTURE = 300,  /* ... and that another server's clock may be ahead */
	COOKIE_RENEW = 1800,  /* one older than that is replaced */
};
struct answer_conf {                    /* of the server */
	uint16_t udp_size;              /* most octets of a UDP response (1232) */
	struct slice nsid;              /* empty: none */
	bool minimal_any;               /* RFC 8482, by UDP: ANY is answered with one rrset */
	bool additional;                /* addresses that are not needed */
	const char *version, *identity; /* CHAOS; NULL: refused */
	const uint8_t (*cookie_secret)[COOKIE_SECRET]; /* the present one and the one before;
							* NULL: no cookies */
	bool bad_cookie; /* by UDP, a client with cookies but without a good one of ours gets
			  * BADCOOKIE and that cookie */
};
/* How the query came. */
struct answer_way {
	const struct sockaddr *client; /* for the cookie */
	uint32_t now;                  /* seconds since 1970 */
	bool stream;                   /* TCP or TLS */
	bool encrypted;                /* TLS: pad if asked to */
	uint16_t keepalive;            /* of a stream: 100 ms each (RFC 7828); 0: not told */
	uint16_t reserve;              /* octets to leave free, for TSIG */
};
struct answer_info {             /* for logs, counters and limits */
	uint16_t rcode;          /* extended */
	const struct zone *zone; /* NULL: none of ours */
	bool cookie_ok;          /* the client showed a good server cookie */
	bool truncated, referral, nxdomain;
	bool outside; /* it ends with an alias for a name that is in none of our zones */
};
/* For queries that came together: looks up the zones of all of them and asks the memory for what
 * their answers will read, so that they do not wait for it one by one. Neither zones nor images may
 * change until they are answered. Optional. */
void answer_prepare(const struct zones *z, struct query *q, size_t n);
/* Writes the response to q (of the kinds ASK, CHAOS and BAD; the others are refused) into out. cap
 * is at least 512 and at most 65535; by UDP the limits of conf and of the client hold, too. Returns
 * its octets; 0: no response. The question is repeated as it came, its case too. */
size_t answer_query(const struct zones *z, const struct answer_conf *c, const struct query *q,
		    const struct answer_way *way, uint8_t *out, size_t cap,
		    struct answer_info *info);
#endif
