/* uplink: what every protocol daemon has behind it: one connection to stored, one to keyd, and the
 * TLS context whose certificates follow keyd's. One of each per process. */
#ifndef IPC_UPLINK_H
#define IPC_UPLINK_H
#include "libcommon/ipc/peer.h"
#include "libcommon/net/sandbox.h"
#include "libcommon/net/tls.h"

/* From the start hook. Connects to both and calls daemon_ready() when a client would find all of
 * it, a store and a certificate; or after 3 s, so that clients are told of a temporary failure at
 * least. alpn: the protocol's names, NULL-terminated, static. on_store (may be NULL): the
 * connection to the store was made, the first time or again. */
void uplink_start(enum role role, const char *const *alpn, void (*on_store)(void));
/* The same with keyd alone, for a daemon that says itself when it is ready: on_keys (may be NULL)
 * is called at every change of the certificates. */
void uplink_tls_start(enum role role, const char *const *alpn, void (*on_keys)(void));
/* Likewise with stored alone; both may be called. */
void uplink_store_start(enum role role, void (*on_store)(void));
/* NULL before uplink_start(): unit tests have none. */
struct peer *uplink_store(void);
/* peer_call() to the store. */
uint32_t uplink_call(enum msg_type t, const void *msg, peer_reply_fn *fn, void *arg);
/* For tests: what stands in for peer_call(). */
typedef uint32_t uplink_call_fn(struct peer *p, enum msg_type t, const void *msg, peer_reply_fn *fn,
				void *arg);
void uplink_use(uplink_call_fn *call);
struct tls_ctx *uplink_tls(void);
bool uplink_tls_ready(void); /* a certificate is here */
/* The sandbox hook of a daemon that needs nothing else; and the sockets of one that has keyd alone.
 */
void uplink_sandbox(struct pool *pool, enum role role, struct sandbox *out);
void uplink_tls_sandbox(struct pool *pool, enum role role, struct sandbox *out);
#endif
