/* conf_peer: what may follow the address of another server in a directive: `port 5353`, `key
 * xfr`, ... */
#ifndef DNSD_CONF_PEER_H
#define DNSD_CONF_PEER_H
#include "libcommon/base/conf.h"
#include "libcommon/dns/tsig.h"

enum peer_may { /* a set of them */
		PEER_PORT = 1,
		PEER_KEY = 2,
		PEER_TLS = 4,      /* by TLS */
		PEER_TLS_NAME = 8, /* likewise, and the name that its certificate must have */
		PEER_CATALOG = 16,
};
struct peer_words {
	uint16_t port;              /* 0: not given */
	const struct tsig_key *key; /* NULL: not given, likewise the others */
	const char *tls;            /* the name; "" of PEER_TLS */
	const char *catalog;
};
/* Reads the words from `at` on; strings live as long as they. The keys were read before. False: a
 * mistake was reported, of `what`, at `where`. */
bool conf_peer_words(struct conf_errors *e, const struct conf_where *where,
		     const struct conf_words *w, size_t at, const char *what, unsigned may,
		     struct peer_words *out);
#endif
