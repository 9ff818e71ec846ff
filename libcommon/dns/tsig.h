/* tsig: transaction signatures (RFC 8945). A message and what answers it, one message or a stream
 * of them, are signed with a secret that both sides have; each signature covers the one before.
 *
 *	server                                    client
 *	                                          tsig_ask(&t, key, query ...)
 *	tsig_check(&t, query ...)
 *	tsig_sign(&t, response ...)
 *	  again for each message of a stream      tsig_answer(&t, response ...) for each of them
 *	                                          tsig_whole(&t): the last one was signed
 *	                                          tsig_end(&t)
 *
 * `now` is clock_sec(). A server's struct tsig has no memory of its own: it may be copied, to sign
 * later what answers that query. */
#ifndef DNS_TSIG_H
#define DNS_TSIG_H
#include "libcommon/dns/wire.h"
#include "libcommon/base/buf.h"

enum tsig_algorithm {
	TSIG_SHA1, /* for keys that are there already: no new ones */
	TSIG_SHA224,
	TSIG_SHA256,
	TSIG_SHA384,
	TSIG_SHA512,
	TSIG_ALGORITHMS,
};

enum {
	DNS_TSIG = 250,
	/* In the record of a request whose signature is not good; its rcode is NOTAUTH. */
	TSIG_BADSIG = 16,
	TSIG_BADKEY = 17,
	TSIG_BADTIME = 18,
	TSIG_BADTRUNC = 22,
	TSIG_FUDGE = 300,      /* seconds that clocks may differ */
	TSIG_SECRET_MAX = 256, /* octets */
	TSIG_SECRET_MIN = 8,
	TSIG_MAC_MAX = 64,
	TSIG_NAME_MAX = 64, /* octets of a key's name: TSIG_ROOM is to leave space in 512 octets */
	TSIG_ROOM = TSIG_NAME_MAX + 10 + 13 + 16 + TSIG_MAC_MAX + 6, /* of any key's record */
	TSIG_GAP_MAX = 99, /* unsigned messages in a row in a stream (RFC 8945 5.3.1) */
	TSIG_TEXT = 1024,  /* room for a key's text, with its NUL */
};

struct tsig_key {
	uint8_t name[TSIG_NAME_MAX]; /* lower case */
	size_t name_len;
	enum tsig_algorithm algorithm;
	unsigned mac_len; /* octets of a signature: all of them, or so many of the first */
	uint8_t secret[TSIG_SECRET_MAX];
	size_t secret_len;
};

/* "hmac-sha256", or "hmac-sha256-128" for signatures cut to 128 bits (at least 80 and half of what
 * there is); a dot may stand at the end. False: none that we know. */
bool tsig_algorithm(struct slice text, enum tsig_algorithm *out, unsigned *mac_len);
/* As tsig_algorithm() reads it. */
void tsig_algorithm_text(char out[32], const struct tsig_key *key);
/* Reads "[ALGORITHM:]NAME:BASE64", as dig -y takes it, or BASE64 alone; what is not there stays as
 * it is in *key, which is to be zero or to say what is expected. NULL, or what is wrong with it. */
const char *tsig_key_read(struct tsig_key *key, struct slice text);
/* Sets name and algorithm; NULL, or what is wrong. */
const char *tsig_key_name(struct tsig_key *key, struct slice name);
/* A new secret, as long as the algorithm's hash. */
void tsig_key_make(struct tsig_key *key);
/* "ALGORITHM:NAME:BASE64"; the caller wipes it. Returns its length. */
size_t tsig_key_text(char out[TSIG_TEXT], const struct tsig_key *key);
void tsig_key_wipe(struct tsig_key *key);

struct tsig {
	const struct tsig_key *key; /* NULL: there is no signature, or one by no key of ours */
	uint16_t error;             /* in the TSIG record; 0: none */
	uint16_t fudge;             /* of the request */
	uint64_t time;              /* when that was signed; BADTIME, client: the server's time */
	bool stream;                /* a message of the response was signed already */
	uint8_t gap;                /* messages without a signature since then */
	uint8_t mac_len, mac[TSIG_MAC_MAX]; /* of the message before, as it was sent */
	void *run;                          /* a client's, over the messages of the gap */
	/* A request by a key that is not ours: its names, which the response repeats. */
	uint8_t owner_len, algorithm_len;
	uint8_t owner[DNS_NAME_MAX], algorithm[DNS_NAME_MAX];
};

/* The key of that name (lower case); NULL: there is none. */
typedef const struct tsig_key *tsig_find_fn(const uint8_t *name);

/* --- server ---------------------------------------------------------------------------------- */

/* Checks a request whose last record, which begins at `at`, is TSIG. Returns an rcode:
 * DNS_NOERROR: t->key has signed it; DNS_NOTAUTH: its signature is not good, t->error says why, and
 * tsig_sign() adds that to the response; DNS_FORMERR: the record is malformed, t is zero. */
uint16_t tsig_check(struct tsig *t, const uint8_t *pkt, size_t len, size_t at, tsig_find_fn *find,
		    uint64_t now);
/* Octets that tsig_sign() will add; 0: none. At most TSIG_ROOM where t->key is set. */
size_t tsig_room(const struct tsig *t);
/* Adds the TSIG record to a whole message of `len` octets and counts it. Returns the octets with
 * it: `len` when there is nothing to add; 0: cap has no room. What the request's errors forbid to
 * sign gets an unsigned record. */
size_t tsig_sign(struct tsig *t, uint8_t *msg, size_t len, size_t cap, uint64_t now);

/* --- client ---------------------------------------------------------------------------------- */

/* Signs a request; t is set anew. Returns the octets; 0: cap has no room. */
size_t tsig_ask(struct tsig *t, const struct tsig_key *key, uint8_t *msg, size_t len, size_t cap,
		uint64_t now);

enum tsig_verdict {
	TSIG_GOOD,     /* signed, or of a stream and covered by a signature that is to come */
	TSIG_UNSIGNED, /* not signed, and it would have to be */
	TSIG_FORGED,   /* malformed, by another key, or it does not fit the message */
	TSIG_LATE,     /* the signature fits, but was made at another time */
	TSIG_REFUSED,  /* the server says why it does not take the request: t->error; proved only
			* of BADTIME, where t->time is its clock, and of BADTRUNC */
};
/* Checks a message of the response. What comes by UDP and is neither GOOD nor proved may be
 * anybody's: the right one may follow, t is as it was. */
enum tsig_verdict tsig_answer(struct tsig *t, const uint8_t *pkt, size_t len, uint64_t now);
/* All messages up to the last are covered by a signature: no stream may end otherwise. */
bool tsig_whole(const struct tsig *t);
/* Frees what a client's messages took; t is zero. */
void tsig_end(struct tsig *t);
#endif
