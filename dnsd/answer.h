/* answer: a query in, a response out. No allocation, no system call, no state but what is given. */
#ifndef DNSD_ANSWER_H
#define DNSD_ANSWER_H
#include <sys/socket.h>
#include "dnsd/image.h"

/* --- zones.c: the zones that are served: the closest one above a name ------------------------ */
struct zones;
struct zone {
	const struct image
	    *image; /* NULL: not loaded or expired: SERVFAIL with an extended error */
	const char *name;
	unsigned number; /* for counters */
};
struct zones *zones_new(void);
/* Takes the place of the one with that name. The old image is the caller's again. */
const struct image *zones_set(struct zones *z, const struct zone *zone);
const struct zone *zones_find(const struct zones *z, const uint8_t *name, size_t len);
void zones_free(struct zones **z);

/* --- query.c: what was asked -------------------------------------------------------------------
 */
enum query_kind {
	QUERY_ASK,   /* opcode QUERY, one question, class IN */
	QUERY_CHAOS, /* version.bind, hostname.bind, id.server ... */
	QUERY_NOTIFY,
	QUERY_UPDATE,
	QUERY_TRANSFER /* AXFR, IXFR */,
	QUERY_DROP, /* not a query: no answer at all */
	QUERY_BAD,  /* rcode says why */
};
struct query {
	enum query_kind kind;
	uint16_t id, flags, type, rcode;
	const uint8_t *pkt;
	size_t len, question_len;   /* octets of name, type and class */
	uint8_t name[DNS_NAME_MAX]; /* lower case */
	size_t name_len;
	unsigned labels;
	bool edns, dnssec_ok, nsid, padding, keepalive;
	uint16_t udp_size;   /* at least 512 */
	struct slice cookie; /* option data; empty: none */
	struct slice subnet;
	size_t tsig; /* where the TSIG record begins; 0: none */
};
/* Never fails: q->kind tells. */
void query_read(struct query *q, const uint8_t *pkt, size_t len);

/* --- answer.c ------------------------------------------------------------------------------------
 */
struct answer_conf {       /* of the server */
	uint16_t udp_size; /* most octets of a UDP response (1232) */
	struct slice nsid;
	bool minimal_any;                   /* RFC 8482 */
	bool additional;                    /* addresses that are not needed */
	const char *version, *identity;     /* CHAOS; NULL: refused */
	const uint8_t (*cookie_secret)[16]; /* the present and the one before; NULL: no cookies */
};
struct answer_info { /* for logs, counters and limits */
	uint16_t rcode;
	const struct zone *zone; /* NULL: none of ours */
	bool cookie_ok;          /* the client showed a good server cookie */
	bool truncated, referral, nxdomain;
};
/* Writes the response to q into out (cap at least 512, at most 65535; what is given for UDP is its
 * limit). Returns its octets; 0: no response. The question's case is kept. client: for the cookie.
 * now: seconds. */
size_t answer_query(const struct zones *z, const struct answer_conf *c, const struct query *q,
		    const struct sockaddr *client, uint32_t now, bool stream, uint8_t *out,
		    size_t cap, struct answer_info *info);
#endif
