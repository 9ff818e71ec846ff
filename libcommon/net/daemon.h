/* daemon: the skeleton of every program that hamletd starts. main() fills one `struct daemon`
 * and returns daemon_main(). Exit codes are those of sysexits.h. Flags:
 *   -f FILE  the configuration      -N NAME  the instance's name (default: the daemon's)
 *   -n       check it and exit      -nn      print what was understood and exit
 *   -L       print the listeners, paths and sockets that hamletd prepares, and exit
 *   -M       print the directives for the man page (mdoc) and exit
 *   -d       foreground: log on stderr, listeners bound here when none are inherited
 *   -v       more log               -V       version
 * -L prints lines of five fields with tabs between them, "-" where one is empty:
 *   listen  NAME   tcp|udp|unix     ADDRESS  OWNER   a listener
 *   path    ro|rw  /abs/path        -        -       what it reads or writes
 *   socket  -      /abs/path.sock   -        -       a socket that it connects to
 * OWNER, of a Unix socket: the role whose user may connect, or "*": every user.
 *
 * The life of a process, in this order: configuration read; start(); inherited fds taken, or
 * listeners bound (-d); sandbox; fds handed to inherit(); run(); the loop. Nothing starts a
 * thread before the sandbox: threads belong into run(). Accepting begins at daemon_ready(),
 * which tells NOTIFY_SOCKET READY=1. WATCHDOG=1 goes there twice per WATCHDOG_USEC from the
 * loop. SIGTERM (SIGINT too with -d) closes the listeners, sends STOPPING=1 and calls drain();
 * a second one ends at once. When the pipe named by HAMLET_LIFE_FD closes, the daemon exits at
 * once: hamletd has died.
 *
 * The control socket ("ctl" among LISTEN_FDNAMES; with -d RUNDIR/ctl/INSTANCE.PROC.sock)
 * answers by the protocol of control.h: ping, stats, loglevel LEVEL, and the daemon's own. */
#ifndef NET_DAEMON_H
#define NET_DAEMON_H
#include <stdbool.h>
#include <stdio.h>
#include "libcommon/base/conf.h"
#include "libcommon/base/buf.h"
#include "libcommon/net/control.h"
#include "libcommon/net/limits.h"
#include "libcommon/net/listen.h"
#include "libcommon/net/sandbox.h"

struct daemon {
	const char *name;                   /* "smtpd" */
	const char *conf_file;              /* "/etc/hamlet/smtpd.conf" */
	const struct conf_directive *table; /* of the config file; `conf` is filled from it */
	void *conf;
	conf_check *check;
	/* Fills the listeners of the configuration; called after it was read (also for -L, where
	 * nothing else is called but sandbox()). Returns how many. NULL: none. The array lives in
	 * pool, which lives as long as the process. */
	size_t (*listeners)(struct pool *pool, struct listen_spec **out);
	const struct listen_ops *listen_ops;
	/* Before the sandbox: open files, connect. Start-up code: may call fatal(). */
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
	/* The same for a command that may take its time: true when it is ours, and control_done()
	 * is called for it. Asked first. NULL: none. */
	bool (*command)(struct control_call *call);
	/* Listening fds of `raw` listeners, those of datagrams among them, by name ("store-smtpd"
	 * ...), inherited or bound here: yours. */
	void (*inherit)(const char *fdname, int fd);
	/* Octets, at most LIMITS_AREA, of what the processes of the service count together. */
	size_t shared;
};

int daemon_main(int argc, char **argv, const struct daemon *d);
/* All is well: start accepting. Calling it again does nothing. */
void daemon_ready(void);
/* Leaves the loop; daemon_main returns `code`. */
void daemon_exit(int code);
bool daemon_draining(void);
/* The shared table of this service's limits. */
struct limits *daemon_limits(void);
/* Memory of d->shared octets, zero at first, that all processes of this service see, also those
 * that come later; of another version of the program, too. NULL before inherit(). */
void *daemon_shared(void);
/* Folder of the suite's sockets: HAMLET_RUNDIR or /run/hamlet. */
const char *daemon_rundir(void);

#endif
