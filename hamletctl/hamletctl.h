/* hamletctl: the admin tool. A command is a row in cmd.c; services do the work. */
#ifndef HAMLETCTL_HAMLETCTL_H
#define HAMLETCTL_HAMLETCTL_H
#include <stdbool.h>
#include <stdio.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/pool.h"
#include "libcommon/ipc/msg.h"

/* report.c: what the options said, filled by main, and errors. */
struct options {
	const char *run_dir; /* -r, else rundir_find() */
	bool json;
	bool password_stdin;
};
extern struct options options;
/* Prints "hamletctl: ..." on stderr; returns `code`, for `return complain(...)`. */
int complain(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* cmd.c: the one table of commands: parser, dispatcher, help and completion at once. */
enum shape {               /* how cells are printed as text; JSON is one object a line for all */
	     SHAPE_TABLE,  /* a header and a line a record */
	     SHAPE_RECORD, /* "name: value" lines, an empty line between records */
	     SHAPE_RAW,    /* the texts alone */
};
enum cmd_flags {
	CMD_PASSWORD = 1,  /* asks for a password: sent as the secret */
	CMD_NEW = 2,       /* ... twice, for a new one */
	CMD_PEM = 4,       /* last argument: a file (- stdin) that is sent as the secret */
	CMD_FILE = 8,      /* last argument: a file (- stdin) that is sent as the body */
	CMD_BODY = 16,     /* the body of the answer goes to standard output */
	CMD_FINDINGS = 32, /* exit status 1 when there is any record */
	CMD_PAGES = 64     /* may be very long: printed page by page, none is kept */
};
struct cmd {
	const char *noun, *verb; /* verb NULL: a bare verb over the suite, named by noun */
	const char *args;        /* for people */
	int min, max;            /* number of arguments; max -1: any */
	enum role service;       /* ROLE_STORED, ROLE_KEYD, or ROLE_NONE: run() does it */
	enum shape shape;
	unsigned flags;
	int (*run)(const struct cmd *c, int argc, const char *const *argv);
	const char *help; /* one line */
};
extern const struct cmd cmd_table[]; /* ends with noun NULL */
/* Finds the row for argv and runs it. Returns the exit status. */
int cmd_run(int argc, const char *const *argv);
void cmd_help(FILE *f, const char *noun); /* noun NULL: all */

/* service.c: a command sent to stored or keyd as typed; prints what comes back. */
int service_run(const struct cmd *c, int argc, const char *const *argv);
/* A connection to stored or keyd; NULL after a line on stderr. */
struct peer_sync;
struct peer_sync *service_open(struct pool *pool, enum role service);
/* The exit status that an error of theirs is told by. */
int service_status(enum ipc_err e);

/* line.c: the line protocol of hamletd's and the daemons' control sockets. Reply lines go to
 * out without the final "."; false with the reason in *why (pool's) when it failed. */
bool line_call(struct pool *pool, const char *path, const char *const *words, size_t n,
	       struct buf *out, const char **why);
/* RUNDIR/hamletd.sock. */
const char *line_hamletd(struct pool *pool);

/* run_*.c: commands that talk to hamletd and the daemons, or to several services. */
int run_daemon(const struct cmd *c, int argc, const char *const *argv);
int run_daemon_status(const struct cmd *c, int argc, const char *const *argv);
int run_daemon_stats(const struct cmd *c, int argc, const char *const *argv);
int run_metrics(const struct cmd *c, int argc, const char *const *argv);
int run_status(const struct cmd *c, int argc, const char *const *argv);
int run_trace(const struct cmd *c, int argc, const char *const *argv);
int run_zone_list(const struct cmd *c, int argc, const char *const *argv);
int run_zone_reload(const struct cmd *c, int argc, const char *const *argv);
int run_zone_refresh(const struct cmd *c, int argc, const char *const *argv);
int run_zone_notify(const struct cmd *c, int argc, const char *const *argv);
int run_zone_dnssec(const struct cmd *c, int argc, const char *const *argv);
/* The control sockets of the dnsd processes that serve, in pool; how many, 0 with *why when there
 * is none. */
int dnsd_sockets(struct pool *pool, const char *paths[], int max, const char **why);
int run_dns(const struct cmd *c, int argc, const char *const *argv);
/* zone_*.c: those about zones in the store. */
int run_zone_stored(const struct cmd *c, int argc, const char *const *argv);
int run_zone_show(const struct cmd *c, int argc, const char *const *argv);
int run_zone_import(const struct cmd *c, int argc, const char *const *argv);
int run_zone_export(const struct cmd *c, int argc, const char *const *argv);
int run_zone_check(const struct cmd *c, int argc, const char *const *argv);
int run_zone_add(const struct cmd *c, int argc, const char *const *argv);
int run_zone_set(const struct cmd *c, int argc, const char *const *argv);
int run_zone_delete(const struct cmd *c, int argc, const char *const *argv);
int run_zone_key(const struct cmd *c, int argc, const char *const *argv);
int run_completion(const struct cmd *c, int argc, const char *const *argv);
int run_help(const struct cmd *c, int argc, const char *const *argv);

/* print.c */
void print_cells(const struct row_cell *cells, uint32_t n, enum shape shape);
/* A page of a table: columns are as wide as this page needs; the header with `first` alone. */
void print_page(const struct row_cell *cells, uint32_t n, bool first);
/* Lines of 'key=value "key=v w" ...' (as in status replies, quoted as in config files) as cells of
 * one record a line; their texts are in the pool. */
size_t cells_of_lines(struct pool *pool, struct slice lines, struct row_cell **out);

/* secret.c: a password from the terminal (no echo) or, with --password-stdin, the first line of
 * standard input. False after a line on stderr. */
bool secret_password(struct pool *pool, bool fresh, struct slice *out);
/* Contents of a file, "-" standard input; at most max bytes. False after a line on stderr. */
bool secret_file(struct pool *pool, const char *path, size_t max, struct slice *out);

#endif
