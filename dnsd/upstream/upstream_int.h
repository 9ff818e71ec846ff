/* What the files of upstream share.
 *
 *	upstream.c: exchanges --> upstream_udp.c, upstream_conn.c (sockets)
 *	     |    '--> upstream_message.c: queries and replies (pure)
 *	     '--> upstream_server.c: what is known of servers
 *
 * An exchange waits for a datagram (it has a `sock`), or for a connection's message (it has a
 * `conn`), or only for its timer, to tell why nothing came of it. */
#ifndef DNSD_UPSTREAM_INT_H
#define DNSD_UPSTREAM_INT_H
#include <uv.h>
#include "dnsd/upstream/upstream.h"
#include "libcommon/base/list.h"

/* --- upstream_message.c ------------------------------------------------------------------------
 */

enum {
	COOKIE_CLIENT = 8, /* octets: RFC 7873 4 */
	COOKIE_MOST = 40,  /* with the server's */
	QUERY_MOST = 512,  /* octets of a query: name, cookie, padding */
	DNS_BADCOOKIE = 23,
};
struct asked { /* a query, and what a reply to it must have */
	uint16_t id, type;
	uint16_t flags;     /* DNS_RD, DNS_CD */
	uint16_t edns_size; /* 0: without EDNS */
	bool stream;        /* by TCP or TLS: nobody else could have written the reply */
	bool padded;        /* RFC 8467: by TLS */
	bool any_case;      /* the server is known not to keep it */
	bool again;         /* after BADCOOKIE */
	uint8_t cookie_len; /* 0: none; COOKIE_CLIENT; more: the server is known to give them */
	uint8_t cookie[COOKIE_MOST];
	uint8_t name_len;
	uint8_t name[DNS_NAME_MAX]; /* in the case that is sent */
};
size_t upstream_query(uint8_t out[QUERY_MOST], const struct asked *a);

enum verdict {
	VERDICT_ANSWER,
	VERDICT_NEAR,      /* not the reply to this query: wait on */
	VERDICT_CASE,      /* it would be, but for the case of letters: ask by TCP */
	VERDICT_TCP,       /* truncated, or without the cookie that this server always gives */
	VERDICT_BAD,       /* the reply, but malformed */
	VERDICT_COOKIE,    /* BADCOOKIE: once more, with reply.cookie */
	VERDICT_NO_COOKIE, /* once more, without cookie */
	VERDICT_NO_EDNS,   /* once more, without EDNS */
};
struct reply {
	uint16_t rcode; /* extended */
	bool edns;      /* it has an OPT record */
	bool bare;      /* without the question: anybody might have written it */
	bool case_lost; /* by TCP: the question's case is not that of the query */
	bool truncated;
	struct slice cookie; /* with the client's; empty: none */
};
enum verdict upstream_verdict(const struct asked *a, const uint8_t *pkt, size_t len,
			      struct reply *r);

/* --- upstream_server.c --------------------------------------------------------------------------
 */

struct server {
	uint8_t addr[16];
	in_port_t port;
	sa_family_t family;                  /* 0: the place is free */
	uint16_t under_way;                  /* exchanges: it stays where it is */
	uint8_t fails;                       /* in a row */
	bool no_edns, no_cookie, plain_case; /* until `until` */
	uint32_t srtt, var;                  /* microseconds; srtt 0: not known */
	uint64_t used, failed, until;        /* clock_mono() */
	uint8_t cookie_len;
	uint8_t cookie[COOKIE_MOST - COOKIE_CLIENT]; /* the server's */
};
/* The place of the server, made when there is none; NULL: every place that it could have is held by
 * an exchange. */
struct server *server_get(const struct sockaddr *sa, uint64_t now);
void server_answered(struct server *v, uint32_t us);
void server_failed(struct server *v, uint64_t now);
/* One of no_edns, no_cookie and plain_case is so. */
void server_note(struct server *v, bool *fact, uint64_t now);
void server_cookie(struct server *v, struct slice cookie);
/* Milliseconds that an answer is waited for before another server is to be asked. */
uint32_t server_patience(const struct server *v, uint64_t now);
/* Our cookie for it: the same for as long as the process lives, different for each server. */
void server_client_cookie(const struct sockaddr *sa, uint8_t out[COOKIE_CLIENT]);
/* The address and port of sa as octets to hash or compare: returns how many. */
enum { SERVER_KEY = 20 };
size_t server_key(const struct sockaddr *sa, uint8_t out[SERVER_KEY]);

/* --- upstream.c
 * -------------------------------------------------------------------------------- */

struct sock;
struct conn;
struct upstream {
	struct list link; /* of those that are used, or not */
	uv_timer_t timer; /* these two are made once */
	struct list ask;  /* in conn->asks */
	upstream_fn *fn;
	void *arg;
	struct sockaddr_storage to;
	const char *tls;
	struct asked asked;
	struct server *server;
	struct server unknown; /* the server's, when the table has no place for it */
	struct sock *sock;
	struct conn *conn;
	uint64_t began, sent; /* clock_ns() */
	uint64_t by;          /* clock_mono(): the end of the time for datagrams, or for TCP */
	enum upstream_outcome outcome; /* to be told by the timer, when there is neither */
	const char *why;
	uint8_t near;
	bool late_told, plain, no_cookie, lower, reconnected;
	bool case_lost; /* its reply came in other letters */
	bool warm;      /* asked by a connection that had answered before */
	bool bare;      /* that it knows no EDNS was said by a reply without question */
};
extern struct upstream_conf upstream_conf;
/* Octets that nobody guesses, from the kernel's. */
void upstream_random(void *out, size_t n);
/* A reply came for it. */
void upstream_take(struct upstream *x, const uint8_t *pkt, size_t len);
/* Nothing comes of it by the way that it is on. */
void upstream_fail(struct upstream *x, enum upstream_outcome outcome, const char *why);
socklen_t upstream_addr_len(const struct sockaddr *sa);

/* --- upstream_udp.c
 * ---------------------------------------------------------------------------- */

void udp_pool_start(void);
void udp_pool_stop(void);
/* Sends it from a port of its own; x->sock is set. False: errno. */
bool udp_pool_send(struct upstream *x, const uint8_t *query, size_t n);
void udp_pool_release(struct upstream *x);

/* --- upstream_conn.c
 * --------------------------------------------------------------------------- */

void conns_start(void);
void conns_stop(void);
/* Asks by the server's connection, which is made when there is none; x->conn is set, x->asked.id
 * drawn. False: none can be made. */
bool conns_ask(struct upstream *x);
/* x does not wait any longer; slow: for it took too long. */
void conns_leave(struct upstream *x, bool slow);
#endif
