/* conf: the one grammar of all configuration files, read by the schema that each program
 * declares. A line is a directive and its words; "..." quotes (with \" and \\), # comments,
 * { opens a block of further directives up to }, `include FILE-or-glob`; the first directive
 * is `version 1`. All mistakes of a file are reported in one run, one line each:
 *   smtpd.conf:12:10: max-size: "10Q" is not a size (try 10M)
 * Limits: 1 MiB a file, 16 levels of blocks and includes, 256 words a line. */
#ifndef BASE_CONF_H
#define BASE_CONF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include "libcommon/base/pool.h"

enum conf_type {
	CONF_BOOL,     /* bool: on | off | yes | no */
	CONF_INT,      /* uint64_t in min..max */
	CONF_SIZE,     /* uint64_t bytes in min..max (max 0: no upper limit) */
	CONF_DURATION, /* uint64_t milliseconds in min..max; `never` gives CONF_NEVER if NEVER flag
			*/
	CONF_STRING,   /* const char * */
	CONF_ENUM,     /* int: index in names[] */
	CONF_WORDS,    /* struct conf_words: one or more words */
	CONF_ADDR,     /* struct conf_addr: 127.0.0.1:25 [::1]:25 unix:/path *:25 */
	CONF_NET,      /* struct conf_net: 192.0.2.0/24, 2001:db8::/32 or a single address; with
			* MULTI several in a line */
	CONF_PATH,  /* const char *: absolute, or relative to the config file's folder (resolved) */
	CONF_BLOCK, /* a block with its own schema; see struct conf_directive.block */
};

#define CONF_NEVER   UINT64_MAX
#define CONF_MULTI   1u  /* may be given again: the field is a struct conf_list of the type */
#define CONF_NEEDED  2u  /* an error when missing */
#define CONF_OKNEVER 4u  /* CONF_DURATION: the word `never` is taken */
#define CONF_ARGS    8u  /* CONF_BLOCK: takes words before its { */
#define CONF_OPTBLK  16u /* CONF_BLOCK: the { } may be left out */
#define CONF_EXISTS  32u /* CONF_PATH: must exist and be readable */

struct conf_where {
	const char *file;
	unsigned line, col;
};
struct conf_words {
	const char **w; /* NULL-terminated as well */
	size_t n;
	struct conf_where where; /* of the first word, of a CONF_WORDS */
};
struct conf_addr {
	struct sockaddr_storage sa;
	socklen_t len;
	const char *text; /* as written */
};
struct conf_net {
	struct sockaddr_storage sa;
	unsigned bits;
};
/* The field of a CONF_MULTI directive: items of the type, in file order. For CONF_BLOCK each
 * item is the block's struct. The first member of any block's struct is struct conf_block. */
struct conf_list {
	void **item;
	size_t n;
};
struct conf_block {
	struct conf_words args;
	struct conf_where where;
	bool present;
	struct conf_where *given; /* of each directive of the block's table; line 0: not given */
};

struct conf_directive {
	const char *name; /* NULL ends a table */
	enum conf_type type;
	size_t offset; /* of the field in the schema's struct */
	unsigned flags;
	const char *def; /* default in config text, NULL: zero */
	uint64_t min, max;
	const char *const *names;           /* CONF_ENUM: NULL-terminated */
	const struct conf_directive *block; /* CONF_BLOCK: its table ... */
	size_t block_size;                  /* ... and the size of its struct */
	const char *arg;                    /* what its words are called, for docs */
	const char *help;                   /* one sentence, goes to the man page */
};

/* Checks what a table cannot say (references, combinations). Reports by conf_error and goes
 * on. `root` is the filled struct. */
struct conf_errors;
typedef void conf_check(struct conf_errors *e, void *root);

/* Reads `file` into `out` (zeroed by the caller; defaults are filled in). Strings live in
 * `pool`. Returns the number of mistakes; each was written to `err` as one line. */
int conf_load(struct pool *pool, const char *file, const struct conf_directive *table, void *out,
	      conf_check *check, FILE *err);
/* The same from memory; `name` stands in messages. Includes are refused. */
int conf_parse(struct pool *pool, const char *name, const char *text, size_t len,
	       const struct conf_directive *table, void *out, conf_check *check, FILE *err);
void conf_error(struct conf_errors *e, const struct conf_where *w, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Where the directive stands in the block (the first, of several); NULL: it is not given. */
const struct conf_where *conf_given(const struct conf_block *b, const struct conf_directive *table,
				    const char *name);
/* What `to` does not give and `from`, a block of the same table, does is copied, and counts as
 * given there. Blocks inside are taken directive by directive. */
void conf_inherit(const struct conf_directive *table, void *to, const void *from);
/* A path as CONF_PATH takes it: a relative one starts at the folder of the file `where`. */
const char *conf_path(struct pool *pool, const struct conf_where *where, const char *path);
/* -nn: prints what was understood, as config text that reads back the same. */
void conf_dump(FILE *f, const struct conf_directive *table, const void *conf);
/* The directive table as mdoc list items, for the man page. */
void conf_mdoc(FILE *f, const struct conf_directive *table);

/* One line of words with a file's quoting (the control protocol): its words, in pool. False: no
 * word, a block, or a mistake of quoting. */
bool conf_line(struct pool *pool, const char *line, size_t len, struct conf_words *out);

/* True when the address lies in the network (IPv4-mapped IPv6 counts as IPv4). */
bool conf_net_has(const struct conf_net *n, const struct sockaddr *sa);

#endif
