/* ctl: the administrator's commands that stored answers (MSG_ctl). A row of a table names the
 * words, the arguments, and the function; op_ctl.c finds the row, checks the number of
 * arguments and says the right form when it is not met. Adding a command: a row in a table, a
 * function, a paragraph in hamletctl(8).
 *
 * The function runs on the loop's thread. Most start one operation with ctl_read() or
 * ctl_write(), whose run() adds cells, and are done: the answer follows by itself. */
#ifndef STORED_CTL_H
#define STORED_CTL_H
#include "stored/stored.h"

struct ctl;
struct ctl_cmd {
	const char *words; /* "account add"; NULL ends a table */
	const char *args;  /* "ADDR [KEY=VALUE...]", for people */
	unsigned min,
	    max; /* words after the command's own; max CTL_MANY: no limit but the frame's */
	bool needs_secret; /* a password or the like must come along */
	void (*fn)(struct ctl *c);
};
#define CTL_MANY UINT32_MAX
/* One table per file; op_ctl.c lists them. */
extern const struct ctl_cmd ctl_dir_commands[], ctl_store_commands[];
extern const struct ctl_cmd ctl_mailbox_commands[];
extern const struct ctl_cmd ctl_queue_commands[];
extern const struct ctl_cmd ctl_restore_commands[];

/* A command under way; all in the request's pool. */
struct ctl {
	struct request *rq;
	struct pool *pool;
	const struct ctl_cmd *cmd;
	struct slice *arg; /* the words after the command's own */
	size_t n;
	struct slice secret; /* wiped when the command ends */
	struct slice cursor; /* of the request, empty at first */
	const struct body *body_in;
	/* The answer, gathered by whichever thread has the command now. */
	struct row_cell *cells;
	uint32_t cells_n;
	size_t cells_cap;
	uint32_t record;         /* number of the next record */
	struct slice cursor_out; /* "": nothing more */
	struct body body_out;
	const char *text; /* of the error */
	/* Of ctl_read and ctl_write. */
	enum ipc_err (*run)(struct base *b, struct ctl *c);
	void (*after)(struct ctl *c); /* on the loop's thread, once committed; then answers */
	void *data;                   /* the function's own */
};

/* Runs `run` in the directory (WORK_DIRECTORY) or a shard, then `after` (may be NULL) when it gave
 * ERR_OK, then answers: with the cells, or with the error and c->text. Exactly one of these four
 * ends a command. */
void ctl_read(struct ctl *c, unsigned base, enum ipc_err (*run)(struct base *b, struct ctl *c),
	      void (*after)(struct ctl *c));
void ctl_write(struct ctl *c, unsigned base, enum ipc_err (*run)(struct base *b, struct ctl *c),
	       void (*after)(struct ctl *c));
void ctl_done(struct ctl *c);
void ctl_fail(struct ctl *c, enum ipc_err e, const char *text); /* text in pool or static */
/* ctl_fail with "usage: hamletctl ..." of the command. */
void ctl_usage(struct ctl *c);

/* Cells of the record at hand; ctl_next() begins the next one. Values are copied. */
void ctl_text(struct ctl *c, const char *name, struct slice v);
void ctl_number(struct ctl *c, const char *name, uint64_t v);
void ctl_size(struct ctl *c, const char *name, uint64_t v);
void ctl_time(struct ctl *c, const char *name, uint64_t ms);
void ctl_bool(struct ctl *c, const char *name, bool v);
void ctl_next(struct ctl *c);
/* For run(): sets the text that goes with the error and returns the error. */
enum ipc_err ctl_err(struct ctl *c, enum ipc_err e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "key=value" cut in two; false when there is no '='. */
bool ctl_pair(struct slice word, struct slice *key, struct slice *value);

#endif
