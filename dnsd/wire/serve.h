/* serve: what serve.c asks of those that answer more than questions. */
#ifndef DNSD_SERVE_H
#define DNSD_SERVE_H
#include "dnsd/answer/answer.h"
#include "dnsd/dnsd.h"
#include "libcommon/dns/tsig.h"

/* A query that came, its client allowed to ask, its signature checked. Valid until the handler
 * returns. */
struct asked {
	const struct query_from *from;
	const struct query *q;
	const struct tsig_key *key; /* that signed it; NULL: it is not signed */
	/* The state that the response is signed with. Who answers later copies it, and calls
	 * tsig_sign(&copy, message, len, cap, clock_sec()) for each message, with TSIG_ROOM free in
	 * cap; without a key that changes nothing. */
	const struct tsig *tsig;
};
/* Writes the response, without TSIG, for which cap leaves room: by UDP cap is what the client
 * takes. Returns its octets; 0: none now. */
typedef size_t asked_fn(const struct asked *a, uint8_t *out, size_t cap);
asked_fn notify_serve;   /* notify_in.c */
asked_fn update_serve;   /* update.c */
asked_fn transfer_serve; /* xfr_out.c */

/* --- serve.c: for the handlers -----------------------------------------------------------------
 */

/* A response that is an rcode (extended ones need EDNS in the query) with the question. */
size_t serve_rcode(const struct asked *a, uint16_t rcode, uint8_t *out, size_t cap);
/* The zone whose name was asked; NULL: it is none of ours. */
const struct zone *serve_zone(const struct asked *a);

/* --- conf_key.c: keys that sign requests and responses -----------------------------------------
 */

struct key_conf {
	struct conf_block block;
	const char *algorithm, *file;
	/* conf_keys_verify() sets these. */
	const char *path;    /* its file, wherever that is named */
	struct tsig_key key; /* no name: it was not good */
};
extern const struct conf_directive conf_key_table[];
/* Reads the keys' files into conf.keys; mistakes are reported. The first thing that conf_verify()
 * does. pool: as long-lived as conf. */
void conf_keys_verify(struct conf_errors *e, struct pool *pool);
/* The key of that name, as text; NULL: there is none. It lives as long as conf. */
const struct tsig_key *conf_key(const char *name);
tsig_find_fn conf_key_find;
/* Overwrites them all, in a process that signs nothing. */
void conf_keys_wipe(void);
#endif
