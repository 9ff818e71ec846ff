/* daemon_int: the parts of daemon.c among themselves. */
#ifndef NET_DAEMON_INT_H
#define NET_DAEMON_INT_H
#include "libcommon/net/daemon.h"

/* daemon_opts.c */
struct daemon_opts {
	const char *conf_file;
	const char *instance;
	int check;     /* -n: 1, -nn: 2 */
	bool debug;    /* -d */
	bool list;     /* -L */
	bool mdoc;     /* -M */
	bool verbose;  /* -v */
	bool version;  /* -V */
	bool log_here; /* the log goes to stderr */
};
/* False after a usage message. */
bool daemon_opts_read(int argc, char **argv, const struct daemon *d, struct daemon_opts *out);
/* -L */
void daemon_opts_list(FILE *f, const struct listen_spec *spec, size_t n, const struct sandbox *sb);

/* daemon_fds.c: the sockets, inherited or bound here. */
struct daemon_fds {
	int *listener; /* one per listen_spec */
	int ctl;       /* -1: none */
	int limits;    /* -1: none */
};
/* Takes what LISTEN_FDS offers, or binds (bind). False after logging what is missing. */
bool daemon_fds_take(struct pool *pool, const struct listen_spec *spec, size_t n, bool bind,
		     const char *instance, unsigned proc, struct daemon_fds *out);

/* daemon_notify.c: the supervisor's side: NOTIFY_SOCKET, the watchdog, the life pipe. */
void daemon_notify_open(void); /* before the sandbox */
void daemon_notify(const char *text);
void daemon_notify_watch(void); /* starts the watchdog's timer and the life pipe's watcher */
void daemon_notify_close(void);

/* daemon_control.c */
void daemon_control_start(int fd, const struct daemon *d); /* -1: does nothing */

#endif
