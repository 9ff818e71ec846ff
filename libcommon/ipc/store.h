/* store: the client of stored. Messages are those of msg.def, sent through peer.h; this module
 * finds the socket and keeps one connection per process. A grant goes with every request, so
 * that a restarted stored breaks no session. */
#ifndef IPC_STORE_H
#define IPC_STORE_H
#include "libcommon/ipc/peer.h"

/* RUNDIR/store/ROLE.sock, in pool. */
const char *store_socket(struct pool *pool, enum role role);
struct peer *store_client(enum role role, void (*on_up)(struct peer *p, void *arg), void *arg);
/* A memfd for a growing body, and its end: pos back to 0. -1 with errno on failure. */
int body_memfd(const char *name);
/* Maps a body read-only (inline: its bytes; fd: mmap). False on failure. body_unmap afterwards. */
bool body_map(const struct body *b, struct slice *out);
void body_unmap(const struct body *b, struct slice *map);
#endif
