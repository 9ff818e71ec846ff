/* What the asynchronous and the blocking client share. */
#ifndef IPC_PEER_INT_H
#define IPC_PEER_INT_H
#include "libcommon/ipc/peer.h"

/* A connected, non-blocking socket; -1 with errno. Waits at most timeout_ms (0: not at all). */
int peer_socket(const char *path, unsigned timeout_ms);
/* The hello of this process, in wire form. */
void peer_hello(struct buf *out, enum role role);
/* NULL: the answer to the hello is right; else what is wrong with it. */
const char *peer_welcome(enum msg_type t, const struct msg_hello_ok *m);
#endif
