/* daemon: the skeleton of every program that hamletd starts. main() fills one `struct daemon`
 * and returns daemon_main(). Flags: -f FILE, -n check and exit, -nn print what was understood,
 * -d foreground with the log on stderr, -L print the listeners, -v more log, -V version,
 * -N NAME instance name. Exit codes of sysexits.h. SIGTERM drains; a second one ends at once.
 * READY=1 goes to NOTIFY_SOCKET when start() is done and `ready` was called; WATCHDOG=1 twice per
 * WATCHDOG_USEC from the loop. When the pipe named by HAMLET_LIFE_FD closes, the daemon exits.
 * A control socket ("ctl" among LISTEN_FDNAMES) answers hamletctl: see daemon_stats. */
#ifndef NET_DAEMON_H
#define NET_DAEMON_H
#include <stdbool.h>
#include <stdio.h>
#include "libcommon/base/conf.h"
#include "libcommon/base/buf.h"
#include "libcommon/net/limits.h"
#include "libcommon/net/listen.h"
#include "libcommon/net/sandbox.h"

struct daemon {
	const char *name;                   /* "smtpd" */
	const char *conf_file;              /* "/etc/hamlet/smtpd.conf" */
	const struct conf_directive *table; /* of the config file; `conf` is filled from it */
	void *conf;
	conf_check *check;
	/* Fills the listeners of the configuration; called after it was read. Returns how many.
	 * NULL: none. The array lives in pool. */
	size_t (*listeners)(struct pool *pool, struct listen_spec **out);
	const struct listen_ops *listen_ops;
	/* Before the jail's last step (sandbox): open files, connect. */
	void (*start)(void);
	/* Fill what the sandbox allows; NULL: nothing but the inherited sockets. */
	void (*sandbox)(struct pool *pool, struct sandbox *out);
	/* After the sandbox, in the loop: call daemon_ready() when (or once) all is well. NULL:
	 * ready at once. */
	void (*run)(void);
	/* SIGTERM: listeners are closed already; end idle sessions, let others finish, call
	 * daemon_exit() when none is left. Bounded by drain-timeout, which hamletd enforces. NULL:
	 * exit. */
	void (*drain)(void);
	/* Adds lines "name value\n" (Prometheus names without the hamlet_ prefix) to out. */
	void (*stats)(struct buf *out);
	/* A command of hamletctl other than stats; the words after "daemon NAME". Adds reply lines.
	 * False: unknown. NULL: none */
	bool (*control)(struct conf_words words, struct buf *out);
	/* Inherited fds by name that are not listeners ("store-smtpd" ...): optional, for stored
	 * and keyd. */
	void (*inherit)(const char *fdname, int fd);
};

int daemon_main(int argc, char **argv, const struct daemon *d);
void daemon_ready(void);
/* Leaves the loop; daemon_main returns `code`. */
void daemon_exit(int code);
bool daemon_draining(void);
/* The shared table of this service's limits. */
struct limits *daemon_limits(void);
/* Folder of the suite's sockets: HAMLET_RUNDIR or /run/hamlet. */
const char *daemon_rundir(void);
const char *daemon_instance(void); /* -N, or the daemon's name */

/* The control protocol: one line of words in; reply lines, then a line "." or, on error,
 * "! reason"; connection closed. Known to all: "stats", "ping", "loglevel LEVEL". */
#endif
