/* peer: one end of a connection that carries the suite's messages.
 * Client: asynchronous, pipelined, reconnecting (100 ms doubling to 5 s); requests made while
 * disconnected wait (bounded), and those in flight when the connection breaks get ERR_LOST.
 * Server: one struct per accepted connection; role checked against the message table.
 * A malformed or forbidden message ends the connection, is logged, and never more than that. */
#ifndef IPC_PEER_H
#define IPC_PEER_H
#include <stdbool.h>
#include "libcommon/ipc/msg.h"

/* Client */
struct peer;
/* `type` is what came back (MSG_error with struct msg_error for errors, ERR_LOST included).
 * msg and its slices are valid during the call only. */
typedef void peer_reply_fn(void *arg, enum msg_type type, const void *msg);

/* path: the role's socket. on_up (may be NULL) is called at each (re)connect after the hello. */
struct peer *peer_connect(const char *path, enum role role,
			  void (*on_up)(struct peer *p, void *arg), void *arg);
/* No callback is called any more. Allowed in callbacks. */
void peer_free(struct peer **p);
bool peer_up(const struct peer *p);
/* Sends a request; fn is called once (for watches: at every message under this id). Never calls
 * fn before it returns. Returns the request id, 0 when too much waits or the message is too
 * large (then fn is not called: answer "busy"). Bodies are copied or dup'ed. A request that
 * could not be sent for PEER_WAIT_MS gets ERR_TEMP. A watch whose connection breaks gets ERR_LOST
 * and is over: on_up is the place to send it (again). A body's descriptor in a reply is closed
 * after fn unless fn took it by setting it to -1. */
#define PEER_WAIT_MS    30000u
#define PEER_WAIT_MAX   4096u         /* requests that wait to be sent */
#define PEER_WAIT_BYTES (64ull << 20) /* and their bytes */
uint32_t peer_call(struct peer *p, enum msg_type t, const void *msg, peer_reply_fn *fn, void *arg);
/* Forget the request: its answer is dropped. Ends a watch. */
void peer_cancel(struct peer *p, uint32_t request);
/* Text for people out of a MSG_error message. */
enum ipc_err peer_error(enum msg_type type, const void *msg, struct slice *text);

/* A blocking call with its own connection and time limit: keyd's signatures, hamletctl.
 * The reply lives in pool. MSG_error with ERR_LOST or ERR_TEMP made here when it fails. */
struct peer_sync;
/* fd may be NULL (then closed); else the reply's descriptor is the caller's, -1: none. After a
 * time-out the connection is of no more use: every further call fails at once. */
struct peer_sync *peer_sync_open(const char *path, enum role role, unsigned timeout_ms,
				 const char **why);
const void *peer_sync_call(struct peer_sync *p, struct pool *pool, enum msg_type t, const void *msg,
			   enum msg_type *type, int *fd);
/* The time limit of further calls. */
void peer_sync_limit(struct peer_sync *p, unsigned timeout_ms);
void peer_sync_close(struct peer_sync **p);

/* Server */
struct conn;
struct conn_ops {
	/* A request whose sender's role may send it. pool lives until this returns; copy what you
	 * keep, or call conn_keep() to own pool, frame and msg until conn_drop(). A body's
	 * descriptor is closed with them unless taken by setting it to -1. */
	void (*on_request)(struct conn *c, uint32_t request, enum msg_type t, const void *msg);
	/* Answer nothing any more; conn is freed after this (or at the last conn_release). Only for
	 * connections whose hello was right. */
	void (*on_close)(struct conn *c);
};
struct conn_kept; /* a request's memory, kept beyond on_request */
/* Starts serving connections on the listening fd; the role is the socket's. allow_uid: what
 * SO_PEERCRED must say (root always may; -1: nobody else). Credit: request bytes that one
 * connection may have unanswered. */
void conn_serve(int listen_fd, enum role role, long allow_uid, uint64_t credit, uint64_t epoch,
		const struct conn_ops *ops);
/* The user that may connect to a listening Unix socket: the owner of its file, or, where that
 * cannot be seen (in a jail), of the descriptor itself, to which hamletd gives the same owner.
 * -1: not a socket. */
long conn_socket_owner(int listen_fd);
/* Closes all listening sockets and connections (on_close is called for each, from the loop). */
void conn_serve_end(void);
enum role conn_role(const struct conn *c);
void *conn_data(const struct conn *c);
void conn_set_data(struct conn *c, void *data);
struct conn_kept *conn_keep(struct conn *c); /* only inside on_request; once per request */
struct pool *conn_kept_pool(struct conn_kept *k);
void conn_drop(struct conn_kept *k);
/* A reference that outlives the connection: conn_hold() now, conn_reply() later is safe even
 * when the peer has gone; conn_release() at the end. Loop thread only. */
void conn_hold(struct conn *c);
void conn_release(struct conn *c);
/* Answers (or pushes under a watch's id). */
void conn_reply(struct conn *c, uint32_t request, enum msg_type t, const void *msg);
void conn_error(struct conn *c, uint32_t request, enum ipc_err code, const char *text);

#endif
