/* listen: listeners, inherited (LISTEN_FDS) or bound here, and accepting from them. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H
#include <stdbool.h>
#include "libcommon/base/conf.h"
#include "libcommon/net/limits.h"
#include "libcommon/net/stream.h"

#define LISTEN_ALL "*"

/* One listener of a daemon's configuration. */
struct listen_spec {
	const char *name;      /* unique in the daemon: "smtp-127.0.0.1:2525"; no ':' goes to
				* LISTEN_FDNAMES (listen_name makes one) */
	struct conf_addr addr; /* TCP or unix */
	void *arg;             /* the daemon's: which kind of listener this is */
	const struct conf_list *proxy_from; /* conf_net items that must send a PROXY header; NULL */
	uint32_t max_per_address;           /* connections; 0: no limit */
	uint32_t max_total;                 /* connections of this process; 0: no limit */
	int backlog;                        /* 0: 1024 */
	const char *owner; /* unix: role whose user may connect ("smtpd"), LISTEN_ALL: every
			    * user of the machine; NULL: nobody else */
	bool raw;          /* not accepted from here: the fd goes to the daemon's inherit() */
	bool udp;          /* datagrams, by listen_bind_udp(); raw as well */
};
/* The address of a Unix socket; false when the path is too long or not absolute. */
bool listen_unix(struct pool *pool, const char *path, struct conf_addr *out);
/* "smtp" and 127.0.0.1:2525 -> "smtp-127.0.0.1-2525", in pool. */
const char *listen_name(struct pool *pool, const char *kind, const struct conf_addr *addr);

/* Appends a listener for each address (struct conf_addr) of a directive to at[*n] on. `like` has
 * what they share; its name is their kind ("smtp"). */
void listen_add(struct pool *pool, struct listen_spec *at, size_t *n, const struct conf_list *addrs,
		const struct listen_spec *like);

struct listener;
struct listen_ops {
	/* A connection; the fd is yours. peer/local are the real ones after a PROXY header; the
	 * peer of a Unix socket is a struct sockaddr_local. */
	void (*on_accept)(int fd, const struct sockaddr *peer, const struct sockaddr *local,
			  const struct listen_spec *spec);
	/* Over a limit: send the protocol's refusal (blocking is not allowed; one send(2) of a
	 * short text). The fd is closed afterwards. why: "too many connections ..." */
	void (*on_refuse)(int fd, const struct listen_spec *spec, const char *why);
};
/* Starts accepting. fd -1: binds here. Returns NULL and logs on failure. At most 64 accepts a
 * loop turn; on EMFILE it rests 100 ms and logs once a minute. Connections awaiting a PROXY
 * header are bounded in number and time (5 s). */
struct listener *listen_start(int fd, const struct listen_spec *spec, struct limits *limits,
			      const struct listen_ops *ops);
/* Call once per accepted connection when it ends: gives its counts back. */
void listen_done(const struct listen_spec *spec, struct limits *limits,
		 const struct sockaddr *peer);
void listen_stop(struct listener *l); /* closes it; connections go on */
/* Binds and listens: the fd, or -1 with errno. Unix sockets are unlinked first, mode 0660. */
int listen_bind(const struct conf_addr *addr, int backlog);
/* A socket for datagrams to the address, one of several that share it (SO_REUSEPORT): the fd, or -1
 * with errno. Each datagram comes with the address that it was sent to: IP_PKTINFO, or
 * IPV6_PKTINFO on an IPv6 socket. */
int listen_bind_udp(const struct conf_addr *addr);

#endif
