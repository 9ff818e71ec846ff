/* What the files of the stub share. A question is in one of these states: waiting (in
 * stub->waiting, no slot), asking (holds a slot; has a UDP socket or a TCP stream and the timer of
 * the try). When it is over, its askers go to stub->ready with the answer, and every callback is
 * made from one place, stub_run(), which is also where questions start. */
#ifndef DNS_STUB_INT_H
#define DNS_STUB_INT_H
#include "libcommon/base/list.h"
#include "libcommon/base/map.h"
#include "libcommon/base/pool.h"
#include "libcommon/dns/stub.h"
#include "libcommon/net/loop.h"

struct server {
	struct sockaddr_storage addr;
	uint32_t srtt;        /* smoothed round trip, ms; 0: it never answered */
	uint32_t penalty;     /* ms, as it was at penalty_at: it halves every 30 s */
	uint64_t penalty_at;  /* clock_ms() */
	uint64_t plain_until; /* clock_ms(): it refused EDNS */
	bool trust_ad;
};

struct stub {
	struct stub_conf conf;
	struct server server[STUB_SERVERS];
	struct map *flying; /* struct question by its key */
	struct list waiting, ready;
	size_t nwaiting, nready, active;
	struct map *cache; /* struct answer by its key */
	struct list lru;   /* the most recently used last */
	struct stub_stats stats;
	bool deferred; /* stub_run() is going to be called */
	bool running, dead;
};

/* The type, then the name in lower case. */
struct key {
	size_t len;
	uint8_t b[2 + DNS_NAME_MAX];
};

/* An answer and its memory; kept by the cache and by askers. */
struct answer {
	struct pool *pool;
	unsigned refs;
	struct stub_answer a;
	struct key key;
	struct list lru;
	uint64_t from, until; /* clock_ms() while in the cache */
};

struct udp;
struct tcp;

/* How far a question is on its way over CNAMEs. */
struct chain {
	uint8_t name[DNS_NAME_MAX]; /* asked now */
	unsigned hops;
	uint32_t ttl; /* the smallest so far */
	bool ad;      /* all so far was authenticated */
};

struct question {
	struct stub *stub;
	struct key key;
	struct chain at;
	uint16_t type;
	struct list link; /* in stub->waiting */
	struct list askers;
	bool active;

	/* The try. */
	struct server *server;
	unsigned tried, round; /* tried: a bit for each server of the round */
	uint16_t id;
	bool edns;
	uint64_t sent_at; /* clock_mono() */
	struct udp *udp;
	struct tcp *tcp;
	struct timer try, deadline;
	enum stub_kind kind; /* what it is when no server is left */
	uint16_t rcode;
};

struct stub_ask {
	struct list link;
	struct stub *stub;
	struct question *q;    /* NULL when the answer is there */
	struct answer *answer; /* may be set when q is NULL */
	bool cached;
	stub_fn *fn;
	void *arg;
};

/* stub.c */
void stub_finish(struct question *q, struct answer *a); /* takes a over; q is freed */

/* stub_conf.c */
void stub_conf_range(struct stub_conf *c);
socklen_t stub_addr_len(const struct sockaddr_storage *ss);
void stub_servers(struct stub *s); /* from s->conf */
/* The one that is likely to answer first among those not tried in this round; NULL: none left. */
struct server *stub_server_pick(struct stub *s, unsigned tried);
void stub_server_good(struct server *v, uint64_t rtt_ms);
void stub_server_bad(struct server *v, uint32_t ms);

/* stub_try.c: the exchange with the servers */
void stub_try_next(struct question *q); /* may end in stub_finish() */
void stub_try_stop(struct question *q);

/* stub_answer.c */
enum verdict {
	VERDICT_DONE, /* *out is the answer */
	VERDICT_MORE, /* q->at.name is to be asked now */
	VERDICT_LOOP,
	VERDICT_BAD, /* malformed, or not an answer */
};
struct reply {
	const uint8_t *pkt;
	size_t len;
	struct dns_header h;
	uint16_t rcode; /* extended */
	bool bogus;     /* says so by an extended error */
};
/* It answers what q asked: id, question, and the QR bit. */
bool stub_reply_is_for(const struct question *q, const uint8_t *pkt, size_t len);
/* Looks over the whole message; false: malformed. */
bool stub_reply_read(struct reply *r, const uint8_t *pkt, size_t len);
enum verdict stub_reply_answer(struct question *q, const struct reply *r, struct answer **out);
struct answer *stub_answer_new(const struct key *key);
struct answer *stub_answer_error(const struct question *q, enum stub_kind kind);
void stub_answer_unref(struct answer **a);

/* stub_cache.c */
struct answer *stub_cache_get(struct stub *s, const struct key *key); /* with its ttl now */
void stub_cache_put(struct stub *s, struct answer *a);
void stub_cache_free(struct stub *s);
#endif
