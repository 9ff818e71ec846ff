/* key: the client of keyd. Keeps the certificates and the ticket key of this role up to date by
 * keyd's pushes and signs handshakes by short synchronous calls (200 ms at most; after a
 * time-out handshakes fail at once for a second). */
#ifndef IPC_KEY_H
#define IPC_KEY_H
#include "libcommon/ipc/msg.h"
#include "libcommon/net/tls.h"

/* path: RUNDIR/key/ROLE.sock. on_change (may be NULL) at every push, the first included. */
struct tls_keys *key_client(const char *path, enum role role, void (*on_change)(void *arg),
			    void *arg);
bool key_client_ready(const struct tls_keys *k); /* at least one certificate is here */
void key_client_free(struct tls_keys **k);
#endif
