/* sendmail: the command by which programs of this machine hand in mail, in the form that they
 * expect; mailq and newaliases by its name. No rights of its own: smtpd's local socket is open to
 * every user, and asks the kernel who it is. Prototypes by file.
 *
 *   arguments -> opts    standard input -> text -> head (fields, recipients)
 *                                                    \-> smtp -> smtpd's local socket */
#ifndef SENDMAIL_SENDMAIL_H
#define SENDMAIL_SENDMAIL_H
#include <stdio.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/pool.h"

#define RCPTS_MAX   100000u
#define MESSAGE_MAX (1ull << 30) /* octets; smtpd's own limit is below */

/* --- opts.c: the command line; pure ---------------------------------------------------------- */
enum mode {
	MODE_DELIVER, /* -bm, and what is not known to mean anything else */
	MODE_SMTP,    /* -bs: SMTP on standard input and output */
	MODE_VERIFY,  /* -bv */
	MODE_QUEUE,   /* -bp, mailq */
	MODE_ALIASES, /* -bi, newaliases */
	MODE_FLUSH,   /* -q */
	MODE_REFUSED, /* -bd and the like: error says it */
};
struct opts {
	enum mode mode;
	bool extract;     /* -t */
	bool ignore_dots; /* -i */
	bool verbose;     /* -v */
	bool eight;       /* -B 8BITMIME */
	bool has_sender;
	const char *sender; /* -f, -r: as given */
	const char *name;   /* -F; NULL: none */
	const char *notify; /* -N in SMTP's form; NULL: none */
	const char *ret;    /* -R: "FULL", "HDRS"; NULL: none */
	const char *envid;  /* -V; NULL: none */
	const char **to;    /* the other arguments; NULL-terminated */
	const char *error;  /* what is wrong with them; NULL: nothing */
};
/* Strings are argv's or pool's. False: a mistake, told by error. */
bool opts_read(struct pool *pool, char **argv, struct opts *out);

/* --- text.c: what comes in; pure but for text_read ------------------------------------------- */
/* Lines of any system become lines of SMTP: CRLF. A CR that ends none is a blank (it could end
 * one to somebody behind us), NULs are dropped, and unless ignore_dots a lone dot is the end. */
struct text {
	struct buf out;
	bool ignore_dots, ended;
	bool eight;   /* octets over 127 were seen */
	size_t line;  /* where the line under way begins */
	unsigned crs; /* CRs that came last */
};
void text_init(struct text *t, bool ignore_dots);
void text_add(struct text *t, struct slice in);
/* The last line gets its end. False: larger than MESSAGE_MAX. */
bool text_finish(struct text *t);
/* All of fd. False: errno tells, or 0: too large. */
bool text_read(struct text *t, int fd);

/* --- names.c: addresses; pure ---------------------------------------------------------------- */
/* Envelope recipients, each once, in canonical form; those without a domain stay so. */
struct rcpts {
	struct pool *pool;
	const char **addr;
	size_t n, cap;
	struct map *seen;
	const char *bad; /* the first that is no address, or "too many"; NULL: all are */
};
void rcpts_init(struct rcpts *r, struct pool *pool);
/* Adds those of a list, as a field or an argument has it. */
void rcpts_add(struct rcpts *r, struct slice list);
void rcpts_free(struct rcpts *r);
/* "Full Name <a@b>" or "a@b" or "<>": the address in canonical form ("" for the null sender), and
 * its name when it has one. False: no single address. */
bool sender_parse(struct pool *pool, const char *given, const char **addr, const char **name);
/* Appends a name as a field of addresses may have it: quoted or encoded where it must be. */
void phrase_add(struct buf *out, struct slice name);
/* With @domain when the address has none. */
const char *qualified(struct pool *pool, const char *addr, const char *domain);

/* --- head.c: the header of the message; pure ------------------------------------------------- */
struct head {
	bool resent;    /* it has recipients of a resending: theirs it is */
	size_t body;    /* where the body begins in the text */
	bool separated; /* an empty line is there */
	bool from, resent_from, resent_date;
};
struct head_ask {
	struct slice text; /* of text.c */
	bool extract;      /* recipients from To, Cc, Bcc, or of the latest resending */
	struct rcpts *rcpts;
};
/* Reads the header: what it has, and whom it is to. */
void head_read(const struct head_ask *ask, struct head *out);
struct head_write {
	struct slice text;
	const char *domain; /* for addresses without one */
	const char *from;   /* of a From field that is missing, with a domain ... */
	const char *name;   /* ... and its name; NULL: none */
	const char *date;   /* of a Resent-Date field that is missing */
};
/* Writes the header anew, with the empty line: no Bcc fields, no mbox line; missing fields added;
 * fields whose addresses all have a domain stay as they are. */
void head_write(struct pool *pool, const struct head *h, const struct head_write *w,
		struct buf *out);

/* --- smtp.c: the client of smtpd's local socket ----------------------------------------------- */
struct client; /* a connection */
/* Waits up to 10 s for the socket to be there. NULL: errno tells. */
struct client *client_open(const char *path, bool verbose);
int client_fd(const struct client *c);
void client_close(struct client **c); /* *c may be NULL */
/* The last reply: its code (0: the connection broke) and its text, all lines. */
unsigned client_reply(struct client *c);
unsigned client_ask(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *client_text(const struct client *c);
/* Greeting and EHLO. 0 or an exit code. */
int client_hello(struct client *c);
/* Who smtpd says that we are; after the hello, "" before. */
const char *client_self(const struct client *c);
bool client_send(struct client *c, struct slice s);

/* --- deliver.c ------------------------------------------------------------------------------- */
int deliver(struct pool *pool, const struct opts *o, const char *socket);
int verify(struct pool *pool, const struct opts *o, const char *socket);
int relay_smtp(const char *socket);

/* --- complain.c ------------------------------------------------------------------------------ */
void complain_as(const char *name); /* of the program; stays the caller's */
/* Says it on standard error, without control characters, behind the name of the program; returns
 * code. */
int complain(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#endif
