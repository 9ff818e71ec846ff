/* upstream: an exchange of one question with one server: over UDP from a random port of its own,
 * with a random id and the case of letters drawn by lot (0x20), EDNS and a cookie; over TCP when
 * the answer is truncated, or replies came that nearly were answers; or over TLS. And what servers
 * were like: round trip times, which do not speak EDNS, which are lame. Loop thread only. */
#ifndef DNSD_UPSTREAM_H
#define DNSD_UPSTREAM_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include "libcommon/dns/wire.h"

struct upstream_conf {
	uint32_t parallel;       /* exchanges at a time (sockets) */
	uint32_t per_server;     /* of them to one server */
	uint16_t udp_size;       /* that we say that we take */
	uint32_t timeout_ms;     /* of an exchange by UDP, at most */
	uint32_t tcp_timeout_ms; /* of one by TCP or TLS, to the last octet */
	uint32_t near_misses;    /* wrong replies to a socket until it is asked by TCP: 3 */
	bool case_random, cookies;
	const struct sockaddr *source4, *source6; /* NULL: any */
};
extern const struct upstream_conf upstream_defaults;
struct upstream_question {
	const struct sockaddr *to; /* its port too */
	const uint8_t *name;       /* copied */
	uint16_t type;
	bool recursive;         /* RD: to a forwarder */
	bool checking_disabled; /* CD likewise */
	bool tcp;               /* from the start */
	const char *tls;        /* by TLS, and this is the name in its certificate; NULL: not */
};
enum upstream_outcome {
	UPSTREAM_ANSWER, /* a whole response to the question, checked: id, question, address, case;
			  * the rcode may be any. Names in it may have the case that was sent */
	UPSTREAM_LATE,   /* told once, and the exchange goes on: it takes longer than the server is
			  * used to; ask another one beside */
	UPSTREAM_TIMEOUT,
	UPSTREAM_UNREACHABLE, /* ICMP said so, or the connection was refused or cut */
	UPSTREAM_UNTRUSTED,   /* TLS: its certificate is not good */
	UPSTREAM_BAD,         /* it speaks no DNS */
	UPSTREAM_FULL,        /* too many exchanges at once: nothing was sent */
};
const char *upstream_outcome_text(enum upstream_outcome o);
struct upstream_answer {
	enum upstream_outcome outcome;
	const uint8_t *pkt; /* of UPSTREAM_ANSWER: during the call */
	size_t len;
	bool tcp;
	uint32_t ms;
	const char *why; /* unless it is an answer, what happened, for people: static text */
};
struct upstream;
typedef void upstream_fn(void *arg, const struct upstream_answer *a);
/* Whom certificates of servers are checked by: a file of authorities; NULL: the system's. Read now:
 * before the sandbox closes. Without it nobody can be asked by TLS. */
void upstream_trust(const char *ca_file);
void upstream_start(const struct upstream_conf *conf);
void upstream_stop(void);
/* One datagram is sent (another one only where the server has it so: cookies, EDNS): who does not
 * want to wait longer asks again at UPSTREAM_LATE. fn is called once with the outcome, perhaps with
 * UPSTREAM_LATE before; never before this returns; then the handle is gone. */
struct upstream *upstream_ask(const struct upstream_question *q, upstream_fn *fn, void *arg);
void upstream_cancel(struct upstream **u);

/* --- upstream_server.c: what is known of a server, for a quarter of an hour
 * -----------------------------
 */
/* What an answer of the server is expected to take, in ms, with what it failed lately added: a
 * server that is unknown gets a middling value, so that it is tried. */
uint32_t upstream_expect(const struct sockaddr *server);
/* It does not answer for the zone (lame, or its answers are malformed): not asked again for `ms`
 * unless there is no other. */
void upstream_lame(const struct sockaddr *server, const uint8_t *zone, uint32_t ms);
bool upstream_is_lame(const struct sockaddr *server, const uint8_t *zone);
void upstream_forget(void);

struct upstream_stats {
	uint64_t sent, tcp, tls, answers, timeouts, near_misses, case_wrong, no_edns, truncated,
	    full;
	uint64_t servers;
};
extern struct upstream_stats upstream_stats;
#endif
