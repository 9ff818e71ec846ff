/* smtpd: mail in by SMTP (port 25), submission (587, 465) and LMTP. Prototypes by file.
 *
 *   listen -> stream -> session -> cmd (table) -> cmd_*.c -> backend -> stored
 *                          ^  \-> data (the body)                |
 *                        reply <------- completion --------------'
 *
 * One id follows a message from MAIL on: log lines, the Received field, the 250 reply, stored.
 * Answers that the store must give are slots in a queue of the transaction, so that pipelined
 * recipients are one round trip and still answered in order. */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H
#include <netinet/in.h>
#include "libcommon/base/conf.h"
#include "libcommon/base/id.h"
#include "libcommon/base/list.h"
#include "libcommon/ipc/login.h"
#include "libcommon/ipc/peer.h"
#include "libcommon/mail/addr.h"
#include "libcommon/net/listen.h"
#include "libcommon/net/loop.h"
#include "libcommon/net/stream.h"
#include "smtpd/relay_conf.h"

/* --- conf.c ---------------------------------------------------------------------------- */
struct smtpd_conf {
	const char *hostname;
	const char *postmaster;
	struct notice_conf { /* notice_conf.c */
		struct conf_block block;
		const char *from;
		uint64_t full_size;
	} notices;
	struct conf_list smtp, submission, submissions, lmtp, local; /* struct conf_addr */
	struct conf_list proxy_from;                                 /* struct conf_net */
	const char *local_domain;                                    /* of the machine's users */
	struct conf_words local_trusted;                             /* names and uids */
	const char *local_users;                                     /* in the form of passwd(5) */
	uint64_t local_rate; /* messages of a user and minute; 0: no limit */
	bool smtp_auth;
	int early_talkers; /* enum early */
	uint64_t banner_delay;
	uint64_t max_size;
	uint64_t max_recipients;
	uint64_t max_messages; /* 0: no limit */
	uint64_t max_errors;
	uint64_t max_idle_commands;
	uint64_t max_auth_failures;
	uint64_t max_line;
	uint64_t message_memory; /* octets of large messages under way, of all sessions */
	uint64_t max_hops;
	uint64_t max_hold;       /* ms that submitted mail may be held; 0: not offered */
	uint64_t min_deliver_by; /* ms */
	uint64_t connections;
	uint64_t connections_per_address;
	uint64_t command_timeout, data_timeout, message_timeout, store_timeout; /* ms */
	struct relay_blocks out;
};
enum early { EARLY_ACCEPT, EARLY_REFUSE };
extern struct smtpd_conf conf;
extern const struct conf_directive conf_table[];
conf_check conf_verify;
/* What a listener speaks; the arg of its listen_spec. */
struct service {
	const char *name; /* of the directive, the log and LISTEN_FDNAMES */
	bool lmtp;        /* LHLO, a reply for each recipient */
	bool submission;  /* AUTH before MAIL */
	bool tls;         /* from the first byte */
	bool local;       /* for users of this machine: the kernel says who it is */
};
size_t conf_listeners(struct pool *pool, struct listen_spec **out);

/* --- reply.c: alone formats what goes on the wire --------------------------------------- */
struct reply {
	unsigned code;
	const char *status; /* enhanced status code "5.1.1"; NULL: none (RFC 2034: 220, 354, 334) */
	const char *text;
};
struct session;
void reply_send(struct session *s, const struct reply *r);
/* status may be NULL. Text over 900 octets is cut. */
void reply(struct session *s, unsigned code, const char *status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* One line of a reply of several; the last one with last = true. */
void reply_line(struct session *s, unsigned code, bool last, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* What an error of the store is to the client. text: the store's words, may be empty. */
enum question { ASK_SENDER, ASK_RCPT, ASK_DELIVER, ASK_COUNT };
struct reply reply_of(struct pool *pool, enum question q, enum ipc_err e, struct slice text);

/* --- data.c: the body receiver ----------------------------------------------------------- */
enum data_mode {
	DATA_DOTS,   /* after DATA: dot-stuffed lines up to CRLF . CRLF */
	DATA_LINES,  /* BDAT: lines, no dots */
	DATA_BINARY, /* BDAT with BODY=BINARYMIME: any octets */
};
enum data_bad { /* why the message is refused; the rest of it is read and thrown away */
		DATA_GOOD,
		DATA_BARE_LF,
		DATA_BARE_CR,
		DATA_NUL,
		DATA_LONG_LINE,
		DATA_TOO_BIG,
		DATA_NO_SPACE, /* no memory file, or message-memory is used up */
};
enum data_state { DATA_BOL, DATA_LOOSE, DATA_DOT, DATA_DOT_CR, DATA_LOOSE_DOT, DATA_MID, DATA_CR };
/* Writes the fields that go before the message; `head` is its beginning, header included unless
 * that is absurdly long. Called once. */
typedef void data_prefix(void *arg, struct slice head, struct buf *out);
struct data {
	enum data_mode mode;
	enum data_state state;
	enum data_bad bad;
	bool eight;      /* octets over 127 were seen */
	uint64_t size;   /* octets of the message so far, without the added fields */
	uint64_t max;    /* ... and their limit */
	size_t line;     /* octets of the line under way */
	size_t max_line; /* with CRLF */
	char *p;         /* the first DATA_HEADROOM octets are for the added fields */
	size_t len, cap;
	int fd;        /* memory file of what is larger than an inline body; -1 */
	uint64_t held; /* octets in it */
	data_prefix *prefix;
	void *arg;
};
#define DATA_HEADROOM 2048
enum data_result {
	DATA_MORE,
	DATA_END,       /* CRLF . CRLF was read */
	DATA_LOOKALIKE, /* something that others take for the end: close the connection */
};
/* hint: expected size, 0 when not known. */
void data_init(struct data *d, enum data_mode mode, uint64_t max, size_t max_line, uint64_t hint,
	       data_prefix *prefix, void *arg);
/* Takes octets; returns how many belong to the message (all of them unless DATA_END). */
size_t data_feed(struct data *d, struct slice in, enum data_result *result);
/* The message is complete: its body with the added fields, owned by d. False: d->bad tells. */
bool data_finish(struct data *d, struct body *out);
void data_free(struct data *d);
/* What all messages under way have in memory files: bounded by message-memory. */
uint64_t data_held(void);

/* --- session.c: alone changes the state of a session -------------------------------------- */
enum input { INPUT_COMMAND, INPUT_DATA, INPUT_CHUNK };

struct rcpt {
	struct slice addr;  /* canonical, as the store answered */
	struct slice given; /* as the client wrote it */
	struct slice orcpt; /* "type;xtext" as it came */
	uint32_t notify;    /* NOTIFY_* */
	uint32_t kind;      /* enum rcpt_kind */
};
/* An answer that is to come, in the order of the commands. */
struct slot {
	struct slot *next;
	struct session *s;
	bool done;
	bool is_rcpt;
	struct reply r;
	struct rcpt rcpt;
};
struct author { /* of a From field */
	struct author *next;
	struct slice addr; /* canonical; empty: cannot be read */
};
struct txn { /* a mail transaction: from MAIL to its end */
	struct pool *pool;
	char id[ID_LEN + 1];
	struct slice sender;                   /* canonical; empty: <> */
	struct slice envid;                    /* xtext as it came */
	uint64_t size;                         /* of the SIZE parameter */
	uint32_t flags;                        /* DELIVER_* */
	uint64_t hold_until_ms, deliver_by_ms; /* clock_ms(); 0: none */
	bool utf8, binary;
	bool refused;              /* MAIL was: so is what was pipelined behind it */
	bool chunked;              /* BDAT was used */
	bool chunk_failed;         /* ... and one was refused: only RSET helps (RFC 3030 4.2) */
	bool receiving;            /* data is initialized */
	struct slot *head, **tail; /* answers to come */
	unsigned pending;          /* ... how many */
	unsigned pending_rcpts;    /* ... of RCPT */
	unsigned asked_rcpts;      /* RCPT commands so far, refused ones too */
	struct rcpt *rcpt;         /* accepted */
	uint32_t rcpt_n;
	size_t rcpt_cap;
	unsigned hops;          /* Received fields that it has */
	struct author *authors; /* of a submitted message, still to be checked */
	bool foreign;           /* a local user's message whose From is not their own */
	struct body body;       /* complete, owned by data */
	struct buf meta;        /* of the complete message, see mail/meta.h */
	struct data data;
	uint64_t asked_ns; /* when the store was asked to deliver */
};
struct session {
	struct list link;
	struct stream *stream; /* NULL when closed; the session stays while the store is asked */
	const struct listen_spec *spec;
	const struct service *service;
	struct timer timer;
	enum input input;
	unsigned refs; /* one for the stream, one for each question to the store */
	unsigned busy; /* questions that the next command must wait for */
	uint64_t last_input, message_until; /* inside a message: clock_mono() */
	uint32_t errors, idle_commands, messages, auth_failures;
	bool esmtp; /* EHLO or LHLO */
	bool tls;
	bool greeted; /* the banner was sent */
	bool loopback;
	bool closing;  /* stream_finish was called */
	bool eof;      /* the peer sends nothing more */
	bool choked;   /* it does not read its replies */
	bool skipping; /* the rest of an over-long line */
	bool pumping;
	bool chunk_last;                   /* BDAT: the chunk under way is the last */
	uint64_t chunk_left;               /* ... octets that are still to come */
	const struct reply *chunk_refused; /* ... and thrown away, for this reason */
	char *helo;                        /* NULL before EHLO */
	struct login_user *user;           /* NULL: not authenticated */
	struct local_user *local;          /* who is at a local socket; NULL: a network client */
	struct login *login;               /* an exchange under way */
	struct txn *txn;
	char sid[ID_LEN + 1];
	char ip[INET6_ADDRSTRLEN + 8];
};
extern const struct listen_ops session_listen_ops;
/* --- for cmd_*.c: */
void session_hello(struct session *s, struct slice name, bool esmtp);
/* A new transaction (with its id); the old one is gone. */
struct txn *session_begin(struct session *s);
void session_reset(struct session *s); /* drops the transaction */
/* The answer to the current command is to come: session_answer() gives it. */
struct slot *session_slot(struct session *s, bool is_rcpt);
void session_answer(struct slot *slot, const struct reply *r);
void session_input(struct session *s, enum input in);
/* The next command waits until session_go_on(). */
void session_wait(struct session *s);
void session_go_on(struct session *s);
void session_starttls(struct session *s);
/* Ends it after what was written. */
void session_close(struct session *s);
void session_set_user(struct session *s, struct login_user *u); /* takes u */
void session_hold(struct session *s);                           /* a reference */
void session_drop(struct session *s);
/* The store's answer about the local user: their session begins (takes u), or ends (u NULL). */
void session_local(struct session *s, struct login_user *u, const struct reply *no);
/* --- for main.c: */
/* Sends idle sessions home; done() is called when none is left (perhaps at once). */
void session_drain(void (*done)(void));

/* --- cmd.c: the command table ------------------------------------------------------------- */
enum cmd_result { CMD_DONE, CMD_WAIT /* session_go_on() goes on */, CMD_CLOSE };
#define COMMAND_MAX 2048  /* octets of a line with CRLF (RFC 5321 512, and the extensions') */
#define AUTH_MAX    12288 /* ... of AUTH and its responses (RFC 4954 4.3) */
typedef enum cmd_result cmd_fn(struct session *s, struct slice args);
/* True when the line may run while answers are to come. */
bool cmd_pipes(struct slice line);
enum cmd_result cmd_run(struct session *s, struct slice line);
cmd_fn cmd_help, cmd_noop, cmd_rset, cmd_quit, cmd_vrfy, cmd_expn, cmd_foreign;
/* cmd_hello.c */
cmd_fn cmd_helo, cmd_ehlo, cmd_lhlo, cmd_starttls;
/* FUTURERELEASE is offered: to users who submit mail. */
bool hold_allowed(const struct session *s);
/* cmd_auth.c */
cmd_fn cmd_auth, cmd_auth_line;
/* AUTH may be used now. */
bool auth_allowed(const struct session *s);
/* cmd_mail.c */
cmd_fn cmd_mail, cmd_rcpt;
/* params.c */
struct mail_params { /* of MAIL and RCPT */
	unsigned seen;
	uint64_t size;
	uint32_t flags; /* DELIVER_* */
	uint32_t notify;
	bool utf8, binary, has_by;
	uint64_t hold_for_ms, hold_until_ms; /* one of both, or 0 and 0 */
	int64_t by_ms;                       /* with has_by: from now on */
	uint64_t deliver_by_ms;              /* ... clock_ms() */
	struct slice envid, orcpt;           /* into the command line */
};
#define PARAM_MAIL 1u
#define PARAM_RCPT 2u
/* NULL, or the refusal. which: PARAM_MAIL or PARAM_RCPT. */
const struct reply *params_parse(struct slice args, unsigned which, struct mail_params *out);
/* cmd_data.c */
cmd_fn cmd_data, cmd_bdat;
/* Message octets have come; returns how many were taken (0: nothing can be done now). */
size_t data_input(struct session *s, struct slice in);
size_t chunk_input(struct session *s, struct slice in);
/* All octets are here: asks the store. */
void message_complete(struct session *s);
/* lmtp.c: one reply for each recipient. */
void lmtp_reply_all(struct session *s, const struct reply *r);
void lmtp_reply_each(struct session *s, const struct msg_delivered *m);

/* --- local.c: users of this machine ----------------------------------------------------------- */
struct local_user {
	uid_t uid;
	char *name;                   /* of local-users, or uid-N */
	char *address;                /* name@local-domain */
	bool trusted;                 /* any sender may be given */
	struct msg_local_login login; /* backend's */
};
/* Reads local-users. From the start hook. */
void local_start(void);
/* Never NULL. A user that is not known is looked for in the file again. */
struct local_user *local_user_new(uid_t uid);
void local_user_free(struct local_user **u); /* *u may be NULL */
/* Gives an address without a domain local-domain; false: too long then. */
bool local_complete(struct addr *a);
/* The canonical address is the user's own. */
bool local_own(const struct local_user *u, struct slice addr);
/* NULL, or the refusal of the (completed) sender. */
const struct reply *local_sender(struct session *s, const struct addr *a);
/* NULL, or the refusal of one message more now. */
const struct reply *local_rate(const struct session *s);

/* --- received.c: the fields that are added -------------------------------------------------- */
/* A data_prefix; arg is the session. */
void received_prefix(void *arg, struct slice head, struct buf *out);

/* --- backend.c: alone knows stored's messages ----------------------------------------------- */
void backend_start(void);
/* Each answers later; requests that the store lost are repeated within store-timeout. */
void backend_sender(struct slot *slot);
void backend_rcpt(struct slot *slot);
void backend_author(struct session *s, struct slice addr); /* message_author() answers */
void backend_local(struct session *s);                     /* session_local() answers */
void backend_deliver(struct session *s, const struct body *body);
/* The outcome of a deliver: one result a recipient, or an error for all. */
void message_delivered(struct session *s, const struct msg_delivered *m);
void message_refused(struct session *s, enum ipc_err e, struct slice text);
/* Whether a submitted message's From may be used by the user. */
void message_author(struct session *s, enum ipc_err e);

/* --- stats.c ---------------------------------------------------------------------------------- */
struct stats {
	uint64_t sessions, connections, tls, tls_failed, accepted, accepted_bytes, recipients,
	    refused, refused_rcpts, auth_ok, auth_failed, retries;
	uint64_t notices;
};
extern struct stats stats;
void stats_deliver(uint64_t ns); /* how long the store took */
void stats_write(struct buf *out);
/* A refusal, with what is known of the message. what: "rcpt", "mail", "message" ... */
void log_refused(const struct session *s, const char *what, struct slice to, const struct reply *r);
void log_accepted(const struct session *s, unsigned n, uint64_t size);
#endif
