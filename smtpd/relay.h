/* relay: mail leaves. The worker leases what is due in stored's queue, hands it to the
 * destinations, and brings back what became of each recipient. Prototypes by file. Loop thread
 * only.
 *
 *   stored --queue_claim--> relay_work --dest_add--> relay_dest -> relay_hosts (who? by DNS)
 *      ^                        ^                        |  \----> relay_dial  (connect)
 *      '-----queue_result--- relay_retry <--done---------'   \---> out.h       (a connection)
 *
 * A destination is a domain, or all domains of a route that names its hosts. It has the letters
 * that wait for it, its connections, and how many of them it bears. */
#ifndef SMTPD_RELAY_H
#define SMTPD_RELAY_H
#include "libcommon/base/conf.h"
#include "libcommon/base/list.h"
#include "libcommon/dns/stub.h"
#include "libcommon/ipc/msg.h"
#include "smtpd/out.h"

/* --- relay_conf.c: `relay { }`, `dns { }` and `route DOMAIN ... { }` of smtpd.conf ------------ */
enum route_protocol { ROUTE_SMTP, ROUTE_SUBMISSIONS /* TLS from the first octet */, ROUTE_LMTP };
struct route_host {
	const char *name; /* a host name, looked up, or an address (without brackets) */
	uint16_t port;    /* 0: the protocol's own: 25, 465, 24 */
	bool mx;          /* the name is a domain whose MX records count */
};
/* How mail for some domains goes. What a block does not say is what `route *` says, and else the
 * default. Lives as long as the configuration. */
struct route {
	struct conf_block block;       /* its words: b.test, .b.test (what is below it), * (all) */
	const struct route_host *host; /* empty: the domain's MX */
	size_t hosts;
	int protocol;            /* enum route_protocol */
	int tls;                 /* enum out_tls */
	const char *tls_name;    /* NULL: the host's */
	struct tls_ctx *tls_ctx; /* of tls-ca, or of the system's trust; made before the sandbox */
	const char *user, *password;                  /* the password from a file; NULL: no AUTH */
	struct in_addr source4;                       /* 0: the kernel chooses */
	struct in6_addr source6;                      /* likewise */
	uint64_t connections;                         /* most at once */
	uint64_t messages;                            /* of a connection */
	uint64_t recipients;                          /* of a transaction */
	uint64_t hosts_tried;                         /* of one attempt */
	uint64_t retry_first, retry_longest, give_up; /* ms */
	uint64_t connect_timeout;                     /* ms, of one address */
	uint64_t idle_timeout;                        /* ms that an unused connection is kept */
	struct out_times times;
};
struct relay_conf {
	bool on;
	uint64_t letters;     /* leased at once by a process */
	uint64_t memory;      /* octets of message content at once */
	uint64_t connections; /* of a process, all destinations together */
	uint64_t lease;       /* ms */
	const char *helo;     /* NULL: hostname */
	struct stub_conf dns;
};
extern struct relay_conf relay_conf;
/* The route of a domain (lower case, A-labels or UTF-8): the most particular that matches. */
const struct route *route_of(struct slice domain);

/* --- relay_hosts.c: which hosts take a domain's mail (RFC 5321 5.1, RFC 7505) ---------------- */
struct host {
	const char *name;
	uint16_t preference, port;
	bool secure; /* every answer that led here was authenticated by DNSSEC */
	const struct sockaddr_storage *addr; /* with the port; in the order of the answers */
	size_t addrs;                        /* 0: none could be found just now */
};
/* When n is 0 the verdict (OUT_TEMP or OUT_PERM) says why no host takes it. */
struct hosts {
	struct pool *pool;
	const struct host *host; /* by preference, equal ones in random order */
	size_t n;
	uint64_t until; /* clock_mono() up to which it is good */
	struct out_verdict verdict;
};
struct hosts_ask;
typedef void hosts_fn(struct hosts *h, void *arg); /* owns h */
/* Asks the stub. A host that is ourselves (the name of the configuration, or an address that we
 * listen on) and those after it are left out: 5.4.6 when none is left. fn is called once, never
 * from inside this call. Cancel it before the stub is freed. */
struct hosts_ask *hosts_find(struct stub *s, const struct route *r, struct slice domain,
			     hosts_fn *fn, void *arg);
void hosts_cancel(struct hosts_ask **a); /* fn is not called; *a may be NULL */
void hosts_free(struct hosts **h);

/* --- relay_dial.c: a connection to one of a host's addresses (RFC 8305) ---------------------- */
struct dial;
/* fd: connected, non-blocking, yours; -1: why says it ("192.0.2.1: Connection refused; ..."). */
typedef void dial_fn(int fd, const struct sockaddr *to, const char *why, void *arg);
/* Tries the addresses, families in turn, the next one after 250 ms or a failure, and keeps the
 * first that connects. They stay until fn, which is called once, never from inside this call. */
struct dial *dial_open(const struct host *h, const struct route *r, dial_fn *fn, void *arg);
void dial_cancel(struct dial **d);

/* --- relay_dest.c: destinations ---------------------------------------------------------------
 * A letter is a queued message with its recipients of one domain. */
#define LETTER_UNTRIED UINT64_C(1)
struct letter {
	struct list link;  /* the destination's */
	struct pool *pool; /* of the letter and what it points to */
	uint64_t item;
	struct slice id, domain;
	struct out_mail mail; /* mail.body is set by the fetch */
	struct body body;
	uint64_t size;
	uint64_t created_ms, deliver_by_ms; /* clock_ms(); deliver_by_ms 0: none */
	uint64_t *rcpt;                     /* the store's number of each recipient */
	uint32_t *attempts;                 /* ... before this one */
	bool fetched;                       /* the body is here */
	struct errand *errand;              /* the destination's */
	/* The outcome: a verdict for each recipient of mail.rcpt, copied into the pool. */
	struct out_verdict *verdict;
	/* Do not try this destination again before; 0: as the back-off says. LETTER_UNTRIED: no
	 * attempt was made, and none counts. */
	uint64_t wait_ms;
};
/* The destination needs the content of a letter: answers by dest_fetched(). Begun for the letters
 * at the head before a connection is free, so that it need not wait. */
struct dest_ops {
	void (*fetch)(struct letter *l);
	void (*done)(
	    struct letter *l); /* all verdicts are there; the letter is the caller's again */
};
void dest_start(struct stub *s, const struct dest_ops *ops);
/* Takes a letter over until done(), which is never called from inside. */
void dest_add(struct letter *l);
/* ok false: the store did not give it: the letter is done with OUT_TEMP. */
void dest_fetched(struct letter *l, bool ok);
/* The letter's lease is lost: done() comes soon, with OUT_TEMP for those who have no verdict, and
 * with LETTER_UNTRIED when nobody has; a transaction is broken off. False: all of its content is
 * out, so that the server may have it: the letter goes on to its verdict. */
bool dest_withdraw(struct letter *l);
/* How many letters more of the domain are worth leasing now: what its connections could begin. */
unsigned dest_room(struct slice domain);
/* Calls fn for each destination that is not idle: for the claim's limits. */
void dest_each(void (*fn)(struct slice domain, unsigned room, void *arg), void *arg);
/* When the first of the closed destinations opens, clock_mono(); UINT64_MAX: none is closed. */
uint64_t dest_opens(void);
/* The pauses of closed destinations are over: each is tried when it has a letter. The hosts of
 * those, and of domains that had none, are asked for again. */
void dest_reopen(void);
/* No new transactions; connections close when their letter is over; letters that wait come back
 * with OUT_TEMP and LETTER_UNTRIED (due at once). */
void dest_drain(void);
/* Forgets all destinations, when no letter and no connection is left. */
void dest_stop(void);
struct dest_stats { /* since the start, and now */
	uint64_t connects, connect_failures, transactions, tls, reused, delivered, deferred, failed;
	uint64_t destinations, connections, letters;
};
void dest_stats(struct dest_stats *out);

/* --- relay_retry.c: what a verdict is to the queue; pure ------------------------------------- */
/* Delivered: QUEUE_PASSED when the server was told which notices are wanted (out_verdict.dsn; RFC
 * 3461 5.2.2), over LMTP too; else QUEUE_DONE over LMTP, and QUEUE_RELAYED. OUT_PERM: QUEUE_FAILED.
 *
 * OUT_TEMP and OUT_LOST: QUEUE_DUE, the back-off of the route later (doubling from first to
 * longest, spread by a fifth so that not all come at once; not before wait_ms). When that is past
 * the limit, nine tenths of what is left of it later, so that a last attempt is made, unless even
 * that is not retry_first away: then QUEUE_FAILED. The limit is created_ms and give_up, or
 * deliver_by_ms if that is earlier and without DELIVER_BY_NOTIFY (RFC 2852 4.1: by-mode R; with N
 * the sender is told and the attempts go on). created_ms is when the message came, or up to when
 * its sender held it (FUTURERELEASE): that time does not count; the time that an administrator held
 * it does.
 *
 * The reply stays the last one, with its code and text; the class of the status of what is given up
 * becomes 5 (RFC 3464 2.3.4 wants that of a failure; 4.4.1 -> 5.4.1), and that of a reply which
 * says nothing (4.0.0) 5.4.7. now_ms and the letter's times: clock_ms(). random: any number. Texts
 * are the letter's, in its pool. */
void retry_result(const struct letter *l, size_t rcpt, const struct route *r, uint64_t now_ms,
		  uint32_t random, struct row_rcpt_done *out);

/* --- relay_work.c: the worker; relay_store.c: its questions to the store -----------------------
 */
/* From the start hook. Nothing is leased when relay is off. */
void relay_start(void);
/* The connection to the store was made, the first time or again. */
void relay_store_up(void);
/* The queue has something due. */
void relay_wake(void);
/* What its DNS client did; all zero when relay is off. */
void relay_dns_stats(struct stub_stats *out);
/* No more claims; done() is called when the last lease was given back (at once when there is none).
 */
void relay_drain(void (*done)(void));
/* relay_stats.c: counters, as stats_write() has them. */
void relay_stats_write(struct buf *out);

#endif
