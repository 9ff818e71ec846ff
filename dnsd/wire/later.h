/* later: a response that comes when the serve_fn has long returned, and one that is more than one
 * message. The serve_fn calls later_keep(), returns 0, and whoever kept it answers once, or goes on
 * answering. Nobody need know whether the client is still there. Loop thread only. */
#ifndef DNSD_LATER_H
#define DNSD_LATER_H
#include "dnsd/dnsd.h"
#include "libcommon/base/list.h"

enum { LATER_MAX = 10000 /* of a process, at a time */ };

struct later;
/* For the query that is being served: from is its own. NULL: too many wait already, or there is
 * nothing to answer by; the query is answered at once then (SERVFAIL). */
struct later *later_keep(const struct query_from *from);
/* Sends the response, of len octets (by UDP: of those that the client takes); 0: there is none.
 * Ends *l, and makes it NULL. */
void later_reply(struct later **l, const uint8_t *p, size_t len);

/* By TCP and TLS: messages one by one, as the client takes them, in between other responses. next
 * writes one and returns its octets; 0: that was the last. end is called once, after it or when the
 * client is gone: frees arg. Both may come before this returns. Ends *l, and makes it NULL. */
typedef size_t later_next_fn(void *arg, uint8_t *out, size_t cap);
typedef void later_end_fn(void *arg);
void later_go_on(struct later **l, later_next_fn *next, later_end_fn *end, void *arg);

/* --- for udp.c and tcp.c: what they keep begins with it ----------------------------------------
 */
struct later {
	struct list link; /* of its socket or connection; alone when that is gone */
	bool gone;
	void (*reply)(struct later *l, const uint8_t *p, size_t len);
	void (*go_on)(struct later *l); /* NULL: cannot be done */
	/* Of later_go_on(). */
	later_next_fn *next;
	later_end_fn *end;
	void *arg;
};
/* A zeroed struct of `size` octets that begins with a struct later, in the list. NULL: too many. */
void *later_new(struct list *list, size_t size);
void later_free(struct later *l);
/* The socket or the connection ends. */
void later_gone(struct list *list);
#endif
