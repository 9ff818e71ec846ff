/* proxyproto: PROXY protocol v1 and v2 headers (in from trusted peers, out by proxyd). */
#ifndef NET_PROXYPROTO_H
#define NET_PROXYPROTO_H
#include <stdbool.h>
#include <sys/socket.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

struct proxyproto {
	bool local; /* LOCAL / UNKNOWN: keep the connection's own addresses */
	struct sockaddr_storage peer, self;
	bool tls;      /* v2 PP2_TYPE_SSL: the client came over TLS */
	char alpn[32]; /* v2 PP2_TYPE_ALPN */
	char sni[256]; /* v2 PP2_TYPE_AUTHORITY */
};
#define PROXYPROTO_MAX 4096
/* Returns bytes used, 0 when more are needed, -1 when it is no valid header. */
long proxyproto_parse(struct slice in, struct proxyproto *out);
bool proxyproto_write_v2(struct buf *out, const struct sockaddr *peer, const struct sockaddr *self);
bool proxyproto_write_v1(struct buf *out, const struct sockaddr *peer, const struct sockaddr *self);
#endif
