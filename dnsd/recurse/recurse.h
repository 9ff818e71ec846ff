/* recurse: the client side of the cache server: who may ask, what is answered from the cache, who
 * waits for what is not there yet, and how what was found becomes a response.
 *
 *	serve.c --> recurse.c --------------------------------> recurse_reply.c --> a response
 *	              |   (who may, limits, from the cache)          ^
 *	              '--> recurse_wait.c: resolve(), stale data ----'
 */
#ifndef DNSD_RECURSE_H
#define DNSD_RECURSE_H
#include "dnsd/answer/answer.h"
#include "dnsd/dnsd.h"
#include "dnsd/resolve/resolve.h"
#include "libcommon/dns/tsig.h"

/* A question of a client (QUERY_ASK). Valid until recurse() returns. */
struct recurse_question {
	const struct query_from *from;
	const struct query *q;
	const struct answer_way *way;
	const struct tsig *tsig; /* as struct asked has it (serve.h) */
	bool allowed;            /* the client is in recursion-for */
};
struct shared;
/* about: of the responses; shared: for the limits; state: the state folder's fd; all of them as
 * long as the process. Nothing without a cache server in the configuration. */
void recurse_start(const struct answer_conf *about, struct shared *shared, int state);
/* Nobody is waited for any more; the cache is saved. */
void recurse_stop(void);
/* Queries that came together and are going to be answered: a chance to get ready for all of them.
 */
void recurse_ahead(const struct query *q, unsigned n);
/* Writes the response, without TSIG. Returns its octets; 0: none, or it comes later. */
size_t recurse(const struct recurse_question *r, uint8_t *out, size_t cap,
	       struct answer_info *info);
/* recurse_ctl.c: `dns lookup|flush|dump|stats ...`; false: not a command of this file. */
bool recurse_command(struct control_call *call);
/* recurse_rpz.c: response policy zones that are served here. After load_start(). */
void recurse_rpz_start(void);
/* recurse_stats.c */
void recurse_stats_write(struct buf *out);

/* --- recurse_reply.c: responses; pure ----------------------------------------------------------
 */
/* What was found, as the response to q. */
size_t recurse_reply(const struct answer_conf *about, const struct query *q,
		     const struct answer_way *way, const struct resolved *found, uint8_t *out,
		     size_t cap, struct answer_info *info);
/* A response without records; ede (RFC 8914) and why tell the reason. */
size_t recurse_refuse(const struct answer_conf *about, const struct query *q,
		      const struct answer_way *way, uint16_t rcode, uint16_t ede, const char *why,
		      uint8_t *out, size_t cap, struct answer_info *info);
#endif
