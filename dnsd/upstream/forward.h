/* forward: zones whose names are not looked up from the root, but at servers that are named for
 * them: forwarders, which resolve for us (RD), or the zone's own content servers (stub). Filled at
 * start, by conf. */
#ifndef DNSD_FORWARD_H
#define DNSD_FORWARD_H
#include <netinet/in.h>
#include "dnsd/upstream/upstream.h"

struct forward_server {
	struct sockaddr_storage addr; /* its port too */
	const char *tls;              /* the name in its certificate; NULL: by UDP and TCP */
};
struct forward {
	uint8_t zone[DNS_NAME_MAX]; /* lower case */
	bool stub;                  /* content servers: without RD, referrals below are followed */
	bool first;                 /* when none of them is of use, it is tried the usual way */
	unsigned n;
	struct forward_server *server;
};
/* space: of a view (cache.h) whose clients alone have it; 0: all. f and what it points to live
 * until forward_forget(). */
void forward_add(unsigned space, const struct forward *f);
/* That of the longest zone at or above the name, and of these that of the space; NULL: none. */
const struct forward *forward_find(unsigned space, const uint8_t *name);
/* The space that questions of the view's clients are resolved in: its own when it has forwards. */
unsigned forward_space(unsigned view);
void forward_forget(void);
#endif
