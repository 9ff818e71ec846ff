/* out_int: the sending side among its own files. */
#ifndef SMTPD_OUT_INT_H
#define SMTPD_OUT_INT_H
#include "libcommon/base/pool.h"
#include "libcommon/net/loop.h"
#include "smtpd/out.h"

/* What the connection waits for. */
enum out_step {
	/* setup: out_smtp.c */
	OUT_GREETING,
	OUT_EHLO,
	OUT_HELO,
	OUT_STARTTLS,
	OUT_HANDSHAKE,
	OUT_AUTH, /* out_smtp_auth.c */
	OUT_READY,
	/* a transaction, in this order: out_smtp_mail.c */
	OUT_RSET,
	OUT_MAIL,
	OUT_RCPT,
	OUT_DATA,
	OUT_BODY, /* for the socket to take the content; a reply now is an early refusal */
	OUT_DOT,  /* for the reply to all of the content */
};

/* Mechanisms of AUTH, the better first. */
#define OUT_AUTH_SCRAM_SHA256_PLUS 1u
#define OUT_AUTH_SCRAM_SHA256      2u
#define OUT_AUTH_SCRAM_SHA1        4u
#define OUT_AUTH_PLAIN             8u
#define OUT_AUTH_LOGIN             16u

enum out_mark { OUT_OPEN, OUT_ACCEPTED, OUT_DECIDED };

struct out_txn {
	struct pool *pool;
	const struct out_mail *mail;
	struct out_verdict *verdict;
	enum out_mark *mark; /* of each recipient */
	bool *asked;         /* RCPT is said for it */
	size_t at;           /* the recipient whose reply is awaited */
	size_t accepted;     /* recipients marked so */
	uint64_t size;       /* of the content on the wire, without doubled dots */
	bool eight;          /* it has octets over 127 */
	bool utf8;           /* SMTPUTF8 is needed */
	bool binary;         /* BODY=BINARYMIME */
	bool pipelined, chunked;
	bool refused;  /* by us: nothing was sent */
	bool end_sent; /* the end of the content is in the stream's queue */
	struct slice map;
	struct out_text text;
	struct buf block;
};

struct out_auth;
struct out {
	struct stream *stream;
	const struct out_ops *ops;
	void *arg;
	struct pool *pool; /* the options' texts */
	struct out_options opt;
	enum out_step step;
	unsigned refs; /* the stream, deferred calls, jobs */
	bool over;     /* the connection is of no use any more */
	bool gone;     /* the caller knows us no more */
	bool greeted;
	bool said;      /* something to the server since the last reply: the next cannot be here */
	bool dirty;     /* the server may be inside a transaction: RSET first */
	uint64_t mails; /* transactions so far */
	struct timer timer, total;
	struct out_reply reply;
	struct out_caps caps;
	struct out_auth *auth;
	struct out_txn *txn; /* NULL between transactions */
};

/* --- out_smtp.c */
/* Waits for `ms` for the reply of the step. */
void out_wait(struct out *o, enum out_step step, uint64_t ms);
void out_total(struct out *o, uint64_t ms); /* all of a transaction */
void out_command(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The connection is over: closes it, tells on_done of a transaction, and on_end. */
void out_over(struct out *o, enum out_why why, const struct out_verdict *v);
/* ... by the reply just read, ... or by our own words (status "4.4.2", OUT_LOST). */
void out_over_reply(struct out *o, enum out_why why);
void out_over_text(struct out *o, enum out_why why, const char *status, const char *text);
/* The verdict of the reply just read. Its text in pool. */
struct out_verdict out_verdict_of(struct out *o, struct pool *pool);
struct out_verdict out_verdict_own(struct out *o, enum out_state state, const char *status,
				   const char *text);
void out_hold(struct out *o);
void out_drop(struct out *o);
/* All of the setup is done. */
void out_ready(struct out *o);

/* --- out_smtp_caps.c: the reply to EHLO; a step's name and time */
void out_caps_read(struct slice text, struct out_caps *caps);
const char *out_step_name(enum out_step step);
void out_times_default(struct out_times *t);

/* --- out_smtp_auth.c */
void out_auth_start(struct out *o);
void out_auth_reply(struct out *o);
void out_auth_free(struct out *o);

/* --- out_smtp_mail.c */
void out_mail_reply(struct out *o);
void out_mail_drain(struct out *o); /* the stream takes octets again */
/* The connection has ended: `v` is the verdict of those who have none yet. */
void out_mail_lost(struct out *o, const struct out_verdict *v);
void out_mail_free(struct out *o);
#endif
