/* control: the line protocol of the control sockets (every daemon's, and hamletd's). A client
 * sends one line of words with the quoting of configuration files; the server sends reply lines,
 * then a line "." or "! reason", and closes. Bounds: a line of 4 KiB that arrives within 10 s,
 * 16 connections, 1 MiB of reply. Who may connect is the socket file's mode. Loop thread only. */
#ifndef NET_CONTROL_H
#define NET_CONTROL_H
#include "libcommon/base/buf.h"
#include "libcommon/base/conf.h"

/* One command; lives until control_done(). */
struct control_call {
	struct pool *pool;
	struct conf_words words; /* at least one */
	struct buf out;          /* reply lines, each with its \n */
	void *arg;               /* of control_serve() */
	void *data;              /* the callee's own */
};
/* Answers now or later, by control_done(), exactly once. */
typedef void control_fn(struct control_call *call);

struct control;
/* Serves the listening fd, which is taken over. NULL (logged) when it cannot be watched. */
struct control *control_serve(int fd, control_fn *fn, void *arg);
/* Sends call->out and the end: why NULL is success. Also when the client has gone meanwhile. */
void control_done(struct control_call *call, const char *why);
/* Closes the listener; calls in progress go on. */
void control_stop(struct control **c);

#endif
