/* secondary: zones that are fetched from their primaries and live in the store as ZONE_SECONDARY.
 *
 *	notify_in.c --.              .--> soa_poll.c: is there a newer serial? by UDP
 *	               +--> refresh.c
 *	time ---------'   (when?)    '--> xfr_in.c: a connection, by TCP or TLS: SOA, IXFR, AXFR
 *	                                     |  xfr_read.c (pure)
 *	                                     '--> xfr_put.c: into the store
 *
 * What the store then holds is compiled by every process as any zone of the store is. */
#ifndef DNSD_SECONDARY_H
#define DNSD_SECONDARY_H
#include "dnsd/dnsd.h"
#include "dnsd/secondary/xfr_read.h"
#include "libcommon/dns/tsig.h"

struct zone_soa {
	uint32_t serial, refresh, retry, expire; /* seconds */
};
/* rdata passed dns_rdata_check(). */
struct zone_soa zone_soa_of(const uint8_t *rdata, size_t len);

/* --- conf_primary.c: servers as directives name them ------------------------------------------ */

struct dns_server {
	struct sockaddr_storage sa; /* with the port */
	socklen_t sa_len;
	const char *text;           /* "192.0.2.1", "192.0.2.1 port 5353" */
	const struct tsig_key *key; /* NULL: none */
	const char *tls;            /* the name that its certificate has to have; NULL: no TLS */
};
/* ADDRESS [port N] [key NAME] [tls NAME], the words from `at` on; strings live as long as they.
 * False: a mistake was reported, of `what`. */
bool conf_server(struct conf_errors *e, const struct conf_where *where, const struct conf_words *w,
		 size_t at, const char *what, struct pool *pool, struct dns_server *out);
/* The primaries of a zone's block, of `from` in its line and of `primary` in the block. */
void conf_primaries_verify(struct conf_errors *e, struct zone_conf *z, size_t from,
			   struct pool *pool);
/* A zone has a primary; one is reached by TLS. */
bool conf_has_secondaries(bool tls);

/* --- soa_poll.c: the serial that a server has ------------------------------------------------- */

enum soa_verdict {
	SOA_HERE,
	SOA_TCP,  /* truncated, or no answer at all: try by TCP */
	SOA_NONE, /* why tells */
};
/* Writes the question; its octets, signed when t has a key. */
size_t soa_ask(uint8_t *out, size_t cap, uint16_t id, const uint8_t *zone, struct tsig *t,
	       const struct tsig_key *key);
/* Reads the answer (RFC 1035; the server must be authoritative). why: static, or in text. */
enum soa_verdict soa_answer(const uint8_t *pkt, size_t len, uint16_t id, const uint8_t *zone,
			    struct zone_soa *out, char why[80]);
typedef void soa_poll_fn(void *arg, enum soa_verdict v, const struct zone_soa *soa,
			 const char *why);
/* Asks by UDP, three times at most; fn is called once, not before this returns. zone and server
 * live as long. */
void soa_poll(const uint8_t *zone, const struct dns_server *server, soa_poll_fn *fn, void *arg);

/* --- xfr_put.c: into the store ------------------------------------------------------------------
 */

struct xfr_put;
/* serial, records, octets: of the zone in the store, that changes are for; a whole zone takes the
 * place of any. */
struct xfr_put *xfr_put_new(const uint8_t *zone, uint32_t serial, uint64_t records,
			    uint64_t octets);
/* arg: the xfr_put. False: there are more changes than the store takes in one. */
xfr_rr_fn xfr_put_rr;
struct msg_zone_changed;
/* What changes make of the zone; octets: at most. */
uint64_t xfr_put_records(const struct xfr_put *p);
uint64_t xfr_put_octets(const struct xfr_put *p);
/* changed NULL: `why` tells why not; the store has what it had. ours: whatever the primary had
 * said, it could not be stored now. */
typedef void xfr_put_fn(void *arg, const struct msg_zone_changed *changed, const char *why,
			bool ours);
/* What was told becomes the zone, whole, or not at all. fn is called once, not before this returns;
 * xfr_put is freed then. */
void xfr_put_commit(struct xfr_put *p, xfr_put_fn *fn, void *arg);
void xfr_put_free(struct xfr_put *p); /* instead of commit; may be NULL */

/* --- xfr_in.c: a transfer ------------------------------------------------------------------------
 */

struct xfr_ask {
	const uint8_t *zone; /* this and server live as long as the transfer */
	const struct dns_server *server;
	bool have; /* the store has the zone, with `serial`, so many records and octets */
	uint32_t serial;
	uint64_t records, octets;
	bool whole; /* by AXFR, whatever the serials */
	bool poll;  /* ask for the serial first, by the same connection */
};
enum xfr_end {
	XFR_NEW,     /* the store has it now */
	XFR_CURRENT, /* the server has the same serial */
	XFR_OLDER,   /* ... or an older one */
	XFR_NOT,     /* `why` tells */
};
struct xfr_done {
	enum xfr_end end;
	const char *why, *how; /* how: "AXFR", "IXFR" */
	struct zone_soa soa;   /* of the server, unless XFR_NOT */
	bool unreached;        /* XFR_NOT: there was no connection */
	bool ours;             /* XFR_NOT: it is not the server's fault */
	uint64_t records, octets, messages, foreign, ms;
};
typedef void xfr_done_fn(void *arg, const struct xfr_done *d);
/* fn is called once, not before this returns. IXFR where there is a serial, else, or when that does
 * not work, AXFR. */
void xfr_in(const struct xfr_ask *ask, xfr_done_fn *fn, void *arg);
/* That of servers with a certificate to be checked; NULL: there is none of them. */
struct tls_ctx *xfr_in_tls(void);
/* Start-up, before the sandbox: the authorities that certificates are checked by. */
void xfr_in_init(void);

/* --- refresh.c: when ------------------------------------------------------------------------- */

/* After load_start(). state: the fd of the state folder. */
void refresh_start(int state);
/* A zone of a catalog is one from now on. z's primaries live on. */
void refresh_add(const struct zone_conf *z);
/* It is none any more; what goes on comes to nothing. */
void refresh_remove(const uint8_t *wire);
/* It is fetched whole, whatever its serial, however often that has to be tried; not so any more. */
void refresh_reset(const uint8_t *wire);
bool refresh_resets(const uint8_t *wire);
/* fn is called after each time that a zone was found good. */
void refresh_watch(void (*fn)(const uint8_t *wire));
/* While the fd is open no process asks for the zone. -1: one does. */
int refresh_lock(const uint8_t *wire);
/* refresh_ctl.c: `zone transfer NAME [force]`; false: not a command of this file. */
bool refresh_command(struct control_call *call);
/* Columns of `zone list`: primary=, refreshed=, expires=; they are empty where it is none. */
void refresh_list(const struct served *s, struct buf *out);
void refresh_stats(struct buf *out);

/* refresh_time.c: how long; pure. */
struct refresh_limits {
	uint64_t refresh_least, refresh_most, retry_least, retry_most; /* ms */
};
/* ms until the next look at the primary after a good one, after the n-th that failed in a row
 * (have: there is a zone), and until the zone expires. random: any number, for jitter: a tenth
 * earlier at most. */
uint64_t refresh_next(const struct zone_soa *s, const struct refresh_limits *l, uint32_t random);
uint64_t refresh_retry(const struct zone_soa *s, bool have, unsigned failed,
		       const struct refresh_limits *l, uint32_t random);
uint64_t refresh_expire(const struct zone_soa *s, const struct refresh_limits *l);
#endif
