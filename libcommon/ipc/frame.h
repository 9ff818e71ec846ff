/* frame: messages over a Unix stream socket, with at most one descriptor each (SCM_RIGHTS). The
 * transport under peer.h; loop thread only. */
#ifndef IPC_FRAME_H
#define IPC_FRAME_H
#include <sys/types.h>
#include "libcommon/ipc/msg.h"

struct frame_io;
struct frame_ops {
	/* A whole frame. fd (-1: none) belongs to the callee. payload lives during the call. */
	void (*on_frame)(void *arg, enum msg_type t, uint32_t request, struct slice payload,
			 int fd);
	/* The connection is over; call frame_close(). why: one line for people. */
	void (*on_end)(void *arg, const char *why);
	/* Last call. */
	void (*on_close)(void *arg);
};
/* Takes over the connected fd. NULL when it cannot be watched (fd is then still the caller's). */
struct frame_io *frame_open(int fd, const struct frame_ops *ops, void *arg);
/* No more callbacks but on_close; what is queued is tried once. Allowed in callbacks. */
void frame_close(struct frame_io *io);
/* Queues a message; its body's descriptor is sealed and dup'ed. False when it is too large. */
bool frame_send(struct frame_io *io, enum msg_type t, uint32_t request, const void *msg);
/* Queues a frame that msg_encode made; fd (-1: none) is sealed and dup'ed. */
void frame_send_wire(struct frame_io *io, struct slice wire, int fd);
/* Stop and go on reading. */
void frame_pause(struct frame_io *io, bool paused);
/* Bytes not yet sent; a descriptor counts as FRAME_FD_WEIGHT. */
size_t frame_queued(const struct frame_io *io);
#define FRAME_FD_WEIGHT 65536u

/* The parts that the blocking client shares. */
/* One sendmsg/recvmsg; fd -1: none (send) or set to -1 (receive). Like send(2) / recv(2). */
ssize_t frame_sendmsg(int sock, const void *p, size_t n, int fd);
ssize_t frame_recvmsg(int sock, void *p, size_t n, int *fd);
/* Header of a frame. False when its length is over the limit. */
struct frame_head {
	uint32_t len;
	enum msg_type type;
	bool has_fd;
	uint32_t request;
};
bool frame_head(const void *p, struct frame_head *out);
/* Seals a body's memfd against every change. */
void frame_seal(int fd);
#endif
