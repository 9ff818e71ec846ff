/* hamletd: the supervisor. It owns the listening sockets of all daemons, makes their jails,
 * starts, watches and replaces them. Prototypes are grouped under the name of their file. */
#ifndef HAMLETD_HAMLETD_H
#define HAMLETD_HAMLETD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/conf.h"
#include "libcommon/base/list.h"
#include "libcommon/base/pool.h"
#include "libcommon/base/str.h"
#include "libcommon/net/limits.h"
#include "libcommon/net/loop.h"

/* --- conf.c: hamlet.conf ------------------------------------------------ */

enum conf_log { CONF_LOG_SYSLOG, CONF_LOG_STDERR, CONF_LOG_FILE };
enum conf_replace { REPLACE_OVERLAP, REPLACE_STOP_FIRST, REPLACE_DEFAULT };

struct conf_rlimits {
	struct conf_block block;
	uint64_t nofile, core, memlock, memory; /* 0: left alone (core: none) */
};
struct conf_daemon {
	struct conf_block block; /* its one word is the instance's name */
	const char *program, *config, *user;
	uint64_t processes;
	bool enabled, jail;
	bool user_known;
	int replace;            /* enum conf_replace */
	uint64_t drain_timeout; /* 0: the suite's */
	struct conf_rlimits rlimits;
	/* Worked out by the check: */
	const char *name, *binary;
	uid_t uid; /* of the daemon; our own when we are not root */
	gid_t gid;
};
struct hamlet_conf {
	const char *run_dir;
	int log; /* enum conf_log */
	const char *log_file;
	uint64_t log_size, log_keep;
	uint64_t drain_timeout, start_timeout, shutdown_timeout, watchdog;
	uint64_t backoff_min, backoff_max, backoff_reset;
	struct conf_list daemons; /* of struct conf_daemon */
	/* Not in the file: */
	struct pool *pool;
	const char *file; /* absolute path of hamlet.conf */
	unsigned refs;
};
extern const struct conf_directive HAMLET_CONF[];

/* Reads `file` (absolute) and checks it; mistakes go to err, one a line. single: the one service
 * of hamletd -s, for which a block is made up when the file has none or is not there; NULL: all.
 * NULL after mistakes. */
struct hamlet_conf *conf_read(const char *file, const char *single, FILE *err);
struct hamlet_conf *conf_ref(struct hamlet_conf *c);
void conf_unref(struct hamlet_conf **c);
/* The uid that a role's daemon runs as: of the first instance of that program, else of the user
 * hamlet-ROLE, else ours. */
uid_t conf_role_uid(const struct hamlet_conf *c, const char *role);
/* True when both say the same about an instance. */
bool conf_daemon_same(const struct conf_daemon *a, const struct conf_daemon *b);
/* 0: keyd, 1: stored, 2: the others; the order of starting. */
enum { STAGES = 3 };
unsigned conf_stage(const struct conf_daemon *d);

/* --- table.c: what happens to one process ------------------------------- */

enum state {
	ST_DOWN,     /* not started yet */
	ST_STARTING, /* runs, has not said READY=1 yet */
	ST_TRIAL,    /* the same for a replacement: its failure is reported, not repeated */
	ST_READY,
	ST_DRAINING, /* got SIGTERM, finishes its sessions */
	ST_KILLING,  /* got SIGKILL, is not wanted any more */
	ST_HANGING,  /* got SIGKILL because it hung, starts again */
	ST_BACKOFF,  /* no process; starts again when the time is over */
	ST_STOPPED,  /* over; the worker is freed */
	ST_COUNT
};
enum event {
	EV_START, /* wanted */
	EV_TRY,   /* wanted as a replacement */
	EV_READY,
	EV_EXIT,    /* ended with status 0 */
	EV_CRASH,   /* ended in any other way, or could not be started */
	EV_STOP,    /* not wanted any more, may drain */
	EV_TIMEOUT, /* of starting or of draining */
	EV_HUNG,    /* the watchdog was not fed */
	EV_BACKOFF_OVER,
	EV_KILL, /* not wanted any more, now */
	EV_COUNT
};
/* What to do on the way into the next state, in this order. */
enum {
	ACT_SPAWN = 1,    /* start the process, with the time-out of starting */
	ACT_TERM = 2,     /* SIGTERM, with the time-out of draining */
	ACT_KILL = 4,     /* SIGKILL */
	ACT_LOST = 8,     /* it ended although it was wanted: its own sockets are closed */
	ACT_BACKOFF = 16, /* set the time of the next start */
	ACT_UP = 32,      /* tell the service: ready */
	ACT_FAILED = 64,  /* tell the service: this start failed */
	ACT_GONE = 128,   /* tell the service: over; the worker may be freed then */
};
struct step {
	enum state next;
	unsigned act;
};
struct step table_step(enum state s, enum event e);
const char *table_state_name(enum state s);
const char *table_event_name(enum event e);
/* The pause before start number n (0, 1 ...) after a crash. */
uint64_t table_backoff(uint64_t min, uint64_t max, unsigned n);

/* --- lines.c: parsers of what other processes say; pure ------------------ */

enum { LINES_MAX = 256, LINE_BYTES = 4096, LIST_BYTES = 65536 };
enum line_kind { LINE_LISTEN, LINE_PATH, LINE_SOCKET };
enum line_proto { PROTO_TCP, PROTO_UDP, PROTO_UNIX };

/* One line of `PROGRAM -L`. */
struct list_line {
	enum line_kind kind;
	enum line_proto proto; /* LINE_LISTEN */
	bool write;            /* LINE_PATH */
	const char *name;      /* LINE_LISTEN: for LISTEN_FDNAMES */
	const char *address;   /* LINE_LISTEN: as written; else the absolute path */
	const char *owner;     /* LINE_LISTEN: a role, NULL: none */
	struct conf_addr addr; /* LINE_LISTEN */
};
struct list_lines {
	struct list_line line[LINES_MAX];
	size_t n;
};
/* Reads the whole output. Strings live in pool. False with *why (in pool) at the first line that
 * is not as it should be. */
bool lines_list(struct pool *pool, struct slice text, struct list_lines *out, const char **why);

/* What a datagram to NOTIFY_SOCKET says. */
struct notify_msg {
	bool ready, stopping, watchdog;
	struct slice status; /* p NULL: none; at most 200 bytes, printable */
};
struct notify_msg lines_notify(struct slice text);

/* "<N>NAME[PID]: text" of a child's stderr: the syslog priority (4, warning, when it has none) and
 * the text without this head. */
int lines_log(struct slice line, struct slice *text);

/* Adds " key=value", quoted as a whole word when needed. */
void lines_put(struct buf *out, const char *key, const char *value);
void lines_put_u64(struct buf *out, const char *key, uint64_t value);

/* --- jail.c: the file tree that a daemon sees; user, limits, rights ------- */

struct jail_path {
	const char *path; /* NULL ends the list */
	bool write, need; /* need: a missing one is an error, else it is left out */
};
struct jail {
	bool tree;            /* make the private file tree */
	bool ids;             /* change user and group */
	const char *root;     /* an empty folder that the tree is mounted on */
	const char *binary;   /* absolute */
	const char *conf_dir; /* absolute; NULL: none */
	const struct jail_path *paths;
	uid_t uid;
	gid_t gid;
	const struct conf_rlimits *rlimits;
};
/* What this process is able to do for its children; logs one line naming what it cannot.
 * root: as in struct jail, made here. Start-up only. */
void jail_init(const char *root);
bool jail_can_tree(void);
bool jail_can_ids(void);
/* In the child, before exec: all of it. False after a line on stderr. */
bool jail_enter(const struct jail *j);

/* --- proc.c: one child process ------------------------------------------- */

struct child {
	struct list link;
	pid_t pid; /* 0: none */
	void (*on_exit)(struct child *c, int status);
};
struct spawn {
	const char *const *argv;    /* argv[0]: absolute path; NULL-terminated */
	const char *const *fd_name; /* LISTEN_FDNAMES of the fds; no NULL */
	const int *fd;              /* placed from 3 on */
	size_t fds;
	int out, err;    /* stdout (-1: /dev/null) and stderr */
	struct buf *env; /* more variables, "NAME=value" each ended by a NUL */
	struct jail *jail;
};
/* Once: SIGCHLD, the life pipe. */
void proc_init(void);
void proc_end(void);
/* Forks; c->on_exit is called once, from the loop. False with errno when it cannot. */
bool proc_spawn(struct child *c, const struct spawn *s);
void proc_signal(const struct child *c, int sig);
/* Forgets the child: its end is not reported any more. */
void proc_forget(struct child *c);

/* --- probe.c: run a daemon's binary for an answer ------------------------ */

struct probe;
enum { PROBE_MS = 10000 };
/* Runs `PROGRAM flag -f CONF -N INSTANCE` in its jail without sockets and paths, for at most
 * PROBE_MS and LIST_BYTES of output. done is called once from the loop: status is of waitpid, or
 * -1 when it took too long or said too much; out and err are what it wrote. */
struct probe *probe_start(const struct conf_daemon *d, const char *flag, struct jail *jail,
			  void (*done)(void *arg, int status, struct buf *out, struct buf *err),
			  void *arg);
/* Kills it; done is not called. */
void probe_cancel(struct probe **p);

/* --- sockets.c: the listening sockets of one service ---------------------- */

struct socket {
	enum line_proto proto;
	const char *name, *owner;
	struct conf_addr addr;
	int fd;   /* TCP, Unix; -1: not bound */
	int *udp; /* UDP: one per process, -1: not bound */
};
struct sockets {
	struct pool *pool;
	struct socket *item;
	size_t n;
	unsigned processes; /* length of each udp */
	/* The lines of -L that are for the jail; both end with a NULL path. */
	struct jail_path *paths;
	struct jail_path *connect; /* Unix sockets that it connects to */
};
/* A set as the lines say, nothing bound yet. What has the same protocol and address in `old`
 * (NULL: none) has the same descriptors. */
struct sockets *sockets_new(const struct list_lines *lines, unsigned processes,
			    const struct sockets *old);
/* Binds what is not bound yet but UDP. 0, or an errno with *which set; EADDRINUSE: try again
 * later. */
int sockets_bind(struct sockets *s, const struct hamlet_conf *c, const struct conf_daemon *d,
		 const struct socket **which);
/* Closes what `s` has and `keep` (NULL: nothing) has not, and frees `s`. */
void sockets_drop(struct sockets **s, const struct sockets *keep);
/* Opens or closes the UDP sockets of one process; other: a set that may share them, NULL. */
int sockets_udp_open(struct sockets *s, unsigned index);
void sockets_udp_close(struct sockets *s, struct sockets *other, unsigned index);
/* Closes what internet clients use; Unix sockets stay, because jails hold them. */
void sockets_close_inet(struct sockets *s);
/* A Unix listener at `path`, owned by uid:gid (left alone when we may not change it) with the
 * mode; replaces a dead socket, refuses a live one (EADDRINUSE). The fd, or -1 with errno. */
int sockets_unix(const char *path, uid_t uid, gid_t gid, mode_t mode);

/* --- worker.c: one process of a service, driven by the table -------------- */

struct worker {
	struct list link; /* in service.old, when it is on its way out */
	struct service *svc;
	unsigned index, serial;
	enum state state;
	struct child child;
	struct timer timer;    /* of the state: start, drain, back-off */
	struct timer watchdog; /* since it is ready */
	bool late;             /* the watchdog's time is over, its last grace runs */
	bool ctl_named;        /* its control socket has the public name */
	unsigned tries;        /* starts since it was ready for long enough */
	uint64_t ready_ms;     /* clock_ms() of READY=1; 0: not ready */
	uint64_t ready_mono;
	struct log_pipe *log;
	char status[204]; /* of STATUS= */
	char why[256];    /* how it ended last */
	/* What it is started with. */
	struct sockets *sockets;
	const struct conf_daemon *conf;
};
struct worker *worker_new(struct service *svc, unsigned index, const struct conf_daemon *conf,
			  struct sockets *sockets);
/* Its process is gone, or is left to itself (at the end of hamletd). */
void worker_free(struct worker **w);
void worker_event(struct worker *w, enum event e);
void worker_notify(struct worker *w, const struct notify_msg *m);
/* Path of its control socket, as clients know it. */
bool worker_ctl_path(const struct worker *w, char *out, size_t cap);

/* --- service.c, replace.c: one instance = N workers ------------------------ */

struct slot {
	struct worker *now, *next; /* the serving one; its replacement on trial */
	uint64_t restarts;         /* after crashes */
};
struct service;
/* The end of an operation: why is NULL on success. */
typedef void service_done(struct service *s, const char *why, void *arg);
enum service_op { OP_NONE, OP_OPEN, OP_START, OP_REPLACE, OP_STOP };
/* The operation that goes on: at most one at a time. */
struct operation {
	enum service_op op;
	service_done *done;
	void *arg;
	bool only_if_changed;
	/* What is to be, until it is adopted. */
	struct hamlet_conf *suite;
	const struct conf_daemon *conf;
	struct sockets *sockets;
	uint64_t print;
	struct probe *probe;
	struct timer bind_timer;
	uint64_t bind_until;
	unsigned at;      /* slot that is being replaced */
	bool waiting;     /* for older processes to end */
	uint64_t pending; /* slots that are neither ready nor failed, one bit each */
	char why[600];
};
struct service {
	struct list link;
	struct hamlet_conf *suite;
	const struct conf_daemon *conf;
	bool wanted;  /* false: stopped by the operator, or removed */
	bool removed; /* not in hamlet.conf any more */
	bool missed;  /* a socket that its jail should have was not there */
	bool opened;  /* `sockets` are bound */
	struct sockets *sockets;
	struct slot slot[LIMITS_PROCS];
	struct list old; /* workers on their way out */
	int limits_fd;
	uint64_t print; /* of the configuration as understood and of the binary */
	struct operation op;
	struct timer retry; /* of a start that failed before there was a process */
	unsigned retries;
	char error[600]; /* of the last operation, "" when it went well */
};
struct service *service_new(struct hamlet_conf *suite, const struct conf_daemon *conf);
/* Ends what it does without a word to its processes; closes its sockets. */
void service_free(struct service **s);
/* Another configuration, for one that does not run. */
void service_configure(struct service *s, struct hamlet_conf *suite,
		       const struct conf_daemon *conf);
/* Asks for its listeners, checks its configuration, binds. */
void service_open(struct service *s, service_done *done, void *arg);
/* After a good service_open: starts its processes; done when each is ready or has failed once. */
void service_start(struct service *s, service_done *done, void *arg);
/* Replaces its processes by new ones under the conf (of suite); starts it when it does not run.
 * only_if_changed: does nothing when neither its block, its configuration nor its binary did. */
void service_replace(struct service *s, struct hamlet_conf *suite, const struct conf_daemon *conf,
		     bool only_if_changed, service_done *done, void *arg);
/* Lets it drain; done when the last process is gone. An operation that goes on is ended. */
void service_stop(struct service *s, service_done *done, void *arg);
/* SIGKILL to all of it. */
void service_kill(struct service *s);
/* It has at least one process, or is going to have one again. */
bool service_runs(const struct service *s);
/* No process is left. */
bool service_is_over(const struct service *s);
struct worker *service_find_pid(struct service *s, pid_t pid);
/* One line per process for hamletctl. */
void service_status(const struct service *s, struct buf *out);
const char *service_state(const struct service *s);
/* From the workers. */
void service_worker_up(struct worker *w);
void service_worker_failed(struct worker *w);
void service_worker_gone(struct worker *w);
void service_worker_lost(struct worker *w);
/* The jail of a service's processes; strings live in pool. sockets NULL: of a probe that asks for
 * them. */
struct jail service_jail(struct pool *pool, const struct hamlet_conf *suite,
			 const struct conf_daemon *conf, const struct sockets *sockets);
/* replace.c: the operations' steps. */
void replace_begin(struct service *s);
void replace_worker_up(struct worker *w);
void replace_worker_failed(struct worker *w);
void replace_worker_gone(struct service *s);
/* What the operation prepared becomes what is. */
void service_adopt(struct service *s);
/* Ends the operation: frees what was not adopted, calls its done. */
void service_finish(struct service *s, const char *why);
/* Moves a worker among those on their way out, and lets it drain. */
void service_retire(struct service *s, struct worker **w);

/* --- supervise.c, batch.c: all services -------------------------------------- */

/* The end of a command: why is NULL on success, else lines. */
typedef void super_done(void *arg, const char *why);
/* Takes over the reference to conf and starts all. single: the name of hamletd -s, or NULL. up is
 * called once, when each service is ready or has failed. */
void super_start(struct hamlet_conf *conf, const char *single, void (*up)(void));
struct hamlet_conf *super_conf(void);
bool super_single(void);
struct list *super_services(void);
struct service *super_find(const char *name);
/* The daemon's block in the present hamlet.conf; NULL when it is not there or not enabled. */
const struct conf_daemon *super_conf_daemon(const char *name);
struct worker *super_find_pid(pid_t pid);
void super_restart(const char *name, super_done *done, void *arg); /* "all": each that runs */
void super_stop(const char *name, super_done *done, void *arg);
void super_begin(const char *name, super_done *done, void *arg); /* starts a stopped one */
void super_reload(super_done *done, void *arg);
void super_batch_over(void); /* from batch.c */
/* Lets all drain in reverse order, then ends the loop; a second call kills. done: NULL, or called
 * at the end. */
void super_shutdown(super_done *done, void *arg);
bool super_ending(void);
int super_exit_code(void); /* of sysexits.h */
void super_free(void);

/* The same step for every service, stage by stage in the order of starting. */
enum batch_kind { BATCH_BOOT, BATCH_RESTART, BATCH_RELOAD };
/* conf: for BATCH_RELOAD. False when another one goes on: done is not called then. */
bool batch_start(enum batch_kind kind, super_done *done, void *arg);
bool batch_runs(void);

/* --- notify.c -------------------------------------------------------------- */

void notify_start(void);
void notify_stop(void);
const char *notify_path(void); /* for NOTIFY_SOCKET */
/* To the one who started us, when it asked for it. */
void notify_parent(const char *text);

/* --- logfile.c --------------------------------------------------------------- */

/* Where our log and the children's go. foreground: stderr whatever the configuration says. */
void logfile_start(const struct hamlet_conf *c, bool foreground);
/* The file in use, or "stderr" or "syslog". */
const char *logfile_path(void);
struct log_pipe;
/* Reads a child's stderr until log_pipe_end. The write end for the child goes to *write_fd. NULL
 * with errno. */
struct log_pipe *log_pipe_new(const char *instance, int *write_fd);
void log_pipe_pid(struct log_pipe *p, pid_t pid);
/* Takes what is left, closes, frees. The text of its last line goes to `last` ("": none) when cap
 * is not 0. */
void log_pipe_end(struct log_pipe **p, char *last, size_t cap);

/* --- control.c ----------------------------------------------------------------- */

/* Listens at `path`; false with a line in the log. */
bool control_listen(const char *path);
void control_close(void);

#endif
