/* pop3d: users fetch mail by POP3 (RFC 1939 and its extensions). Prototypes by file.
 *
 *   listen -> stream -> session -> cmd (table) -> cmd_*.c -> backend -> stored
 *                          ^                                    |
 *                        reply <-------- completion ------------'
 *
 * A session asks the store one thing at a time and reads no further command meanwhile, so that
 * pipelined commands stay in order. It is small while it is idle: what a login needs (struct login)
 * and what an open mailbox needs (struct box) exist only as long as they are used. */
#ifndef POP3D_POP3D_H
#define POP3D_POP3D_H
#include "libcommon/base/conf.h"
#include "libcommon/base/id.h"
#include "libcommon/base/list.h"
#include "libcommon/ipc/login.h"
#include "libcommon/ipc/peer.h"
#include "libcommon/net/listen.h"
#include "libcommon/net/loop.h"
#include "libcommon/net/stream.h"

/* --- conf.c ---------------------------------------------------------------------------- */
struct pop3d_conf {
	const char *hostname;
	struct conf_list pop3, pop3s; /* struct conf_addr */
	struct conf_list proxy_from;  /* struct conf_net */
	uint64_t connections;
	uint64_t connections_per_address;
	uint64_t max_auth_failures;
	uint64_t max_errors;
	uint64_t max_login_commands; /* before login */
	uint64_t max_login_bytes;
	uint64_t login_timeout, idle_timeout, store_timeout; /* ms */
};
extern struct pop3d_conf conf;
extern const struct conf_directive conf_table[];
conf_check conf_verify;
/* What a listener speaks; the arg of its listen_spec. */
struct service {
	const char *name;
	bool tls; /* from the first byte */
};
size_t conf_listeners(struct pool *pool, struct listen_spec **out);
/* What to set in a mail program so that the password goes encrypted. */
const char *conf_tls_advice(void);

/* --- session.c: alone changes the state of a session -------------------------------------- */
enum state { STATE_AUTH = 1, STATE_TRANS = 2, STATE_UPDATE = 4 }; /* bits for the table */

struct box;
struct session {
	struct list link;
	struct stream *stream; /* NULL when closed; the session stays while the store is asked */
	const struct listen_spec *spec;
	struct timer timer;
	char *name;          /* of USER; else NULL */
	struct login *login; /* an exchange under way; else NULL */
	struct box *box;     /* NULL before the login is complete */
	uint64_t began;      /* clock_mono() */
	uint64_t bytes;      /* sent */
	const char *why;     /* why it ended, for the log; static */
	unsigned refs;       /* one for the stream, one for each question to the store */
	uint32_t login_bytes;
	uint16_t login_commands, errors, failures;
	uint8_t state;
	bool busy;     /* the store is asked: the next command waits */
	bool choked;   /* the client does not read its replies */
	bool closing;  /* stream_finish was called */
	bool eof;      /* the client sends nothing more */
	bool skipping; /* the rest of an over-long line */
	bool pumping, tls, loopback, greeted, utf8;
	char sid[ID_LEN + 1];
};
extern const struct listen_ops session_listen_ops;
/* --- for cmd_*.c and backend.c: */
void session_enter(struct session *s, enum state state);
void session_pump(struct session *s); /* goes on with what the client sent */
void session_hold(struct session *s); /* a reference */
void session_drop(struct session *s);
/* Ends it after what was written. why: static, for the log. */
void session_close(struct session *s, const char *why);
void session_starttls(struct session *s);
/* --- for main.c: */
void session_drain(void);

/* --- cmd.c: the command table ------------------------------------------------------------- */
enum cmd_result { CMD_DONE, CMD_WAIT /* session_pump() goes on */, CMD_CLOSE };
enum { ARGS_MAX = 2 };
struct args {
	unsigned n;
	struct slice v[ARGS_MAX];
};
#define COMMAND_MAX 255u   /* octets of a line with CRLF (RFC 2449) */
#define LOGIN_MAX   1024u  /* ... of USER and PASS */
#define AUTH_MAX    12288u /* ... of AUTH and its responses (RFC 5034) */
typedef enum cmd_result cmd_fn(struct session *s, const struct args *a);
/* Runs a line; it may be changed by the caller afterwards. */
enum cmd_result cmd_run(struct session *s, struct slice line);
/* A wrong command or line: answers and counts it. */
enum cmd_result cmd_wrong(struct session *s, const char *text);

/* cmd_auth.c */
cmd_fn cmd_user, cmd_pass, cmd_auth, cmd_stls;
/* A client's line inside an exchange. */
enum cmd_result auth_line(struct session *s, struct slice line);
/* Passwords may be sent on this connection: TLS, or from this machine. */
bool auth_allowed(const struct session *s);
void auth_free(struct session *s); /* the exchange, and the name of USER */

/* cmd_misc.c */
cmd_fn cmd_capa, cmd_lang, cmd_noop, cmd_quit, cmd_utf8, cmd_foreign;
/* What logins have shown of the accounts' policies, for CAPA before login. */
void capa_learn(uint64_t login_delay_ms, uint64_t expire_ms);

/* cmd_mailbox.c */
cmd_fn cmd_stat, cmd_list, cmd_uidl, cmd_retr, cmd_top, cmd_dele, cmd_rset;
struct message {
	uint64_t uid, size;
	uint32_t uidl; /* offset in box.uidls */
	uint8_t uidl_len;
	bool deleted, retrieved;
};
/* Dot-stuffing and line ends of a body that goes out in pieces. */
struct dots {
	bool mid;  /* inside a line */
	char last; /* the octet before, then */
};
enum out { OUT_NONE, OUT_LIST, OUT_UIDL, OUT_MESSAGE };
struct transfer { /* what is being sent */
	enum out out;
	uint32_t index;  /* of the message, of the next line of a list */
	bool top;        /* up to lines_left lines of the body only */
	bool started;    /* +OK was sent */
	bool in_body;    /* behind the header */
	bool line_start; /* TOP's scan */
	uint64_t lines_left;
	uint64_t off, size; /* what comes next of the message, and all of it */
	struct body body;   /* owned descriptor, mapped: map from pos on is to be sent */
	struct slice map;
	size_t pos;
	struct dots dots;
};
enum ask { ASK_NONE, ASK_OPEN, ASK_READ, ASK_AHEAD, ASK_QUIT };
struct box {
	struct list link; /* of backend.c */
	struct session *s;
	struct message *message;
	uint32_t n;
	char *uidls;
	struct login_user *user; /* owned */
	uint64_t mailbox, uidvalidity;
	uint32_t retrieved; /* messages sent by RETR */
	uint32_t deleted;   /* marks; after QUIT: what was deleted */
	struct transfer t;
	struct ahead *ahead; /* NULL: nothing was read ahead */
	uint32_t next;       /* index after the last RETR's */
	uint32_t window;     /* messages of the last read ahead */
	unsigned char lock[16];
	/* backend.c: */
	enum ask ask;
	bool locked;    /* the store granted the lock once */
	bool stale;     /* ... on a connection that is gone */
	bool reopening; /* its answer is awaited */
	bool sent;      /* the question is under way */
	bool repeated;  /* it was sent before, outcome unknown */
	uint64_t read_off, read_len, until;
	uint64_t *ahead_uid; /* of an ASK_AHEAD; owned */
	uint32_t ahead_n;
	struct timer retry;
};
struct box *mailbox_new(struct session *s, struct login_user *u); /* takes u */
void mailbox_free(struct box **b);                                /* *b may be NULL */
/* Goes on sending what is under way. False: nothing can be done now. */
bool mailbox_output(struct session *s);
/* The store's answers. */
void mailbox_opened(struct session *s, const struct msg_pop_list *m);
void mailbox_refused(struct session *s, enum ipc_err e, struct slice text);
void mailbox_data(struct session *s, struct msg_message_data *m);
/* What was read ahead, or NULL: it could not be. */
void mailbox_ahead(struct session *s, const struct msg_messages_data *m);
void mailbox_unread(struct session *s, enum ipc_err e, struct slice text);
void mailbox_updated(struct session *s, enum ipc_err e, struct slice text);

/* ahead.c: messages that are read before they are asked for. Most clients fetch one after the
 * other; a question to the store costs more than a small message. */
enum { AHEAD_MAX = 32, AHEAD_BYTES = 128 << 10 };
/* The messages to read with the one at `index`, itself first; 0 or 1: no more than itself. */
uint32_t ahead_plan(struct box *b, uint32_t index, uint64_t uid[AHEAD_MAX]);
void ahead_take(struct box *b, const struct msg_messages_data *m);
/* The message when it is here; valid until the next ahead_*(). */
bool ahead_find(struct box *b, uint64_t uid, struct slice *out);
void ahead_free(struct box *b);

/* --- reply.c: alone formats what goes on the wire --------------------------------------- */
void reply_ok(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* code: "AUTH", "SYS/TEMP" ... or NULL (RFC 2449, RFC 3206). */
void reply_err(struct session *s, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* What an error of the store is to the client. text: the store's words, may be empty. */
void reply_refused(struct session *s, enum ipc_err e, struct slice text);
void reply_line(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void reply_raw(struct session *s, const char *p, size_t n);
void reply_challenge(struct session *s, const char *base64);
void reply_end(struct session *s); /* the dot of a multi-line reply */
/* A piece of a message: lines that start with a dot get another, lone CR and LF become CRLF. */
void reply_body(struct session *s, struct dots *d, struct slice piece);
void reply_body_end(struct session *s, struct dots *d); /* its last line end, and the dot */

/* --- backend.c: alone knows stored's messages ----------------------------------------------- */
void backend_start(void);
/* Each sets s->busy, answers later by the functions named above, and then session_pump(). A
 * store that restarts is waited for (store-timeout); the mailbox's lock is taken again first. */
void backend_open(struct session *s);
void backend_read(struct session *s, uint64_t off, uint64_t len);
/* The message at t.index, and those that are likely to follow. */
void backend_read_ahead(struct session *s, const uint64_t *uid, uint32_t n);
void backend_quit(struct session *s);
/* The session is over without QUIT: the lock is given back. */
void backend_close(struct box *b);
/* The store's connection was made (again). */
void backend_store_up(void);

/* --- stats.c ---------------------------------------------------------------------------------- */
struct stats {
	uint64_t sessions, connections, tls, tls_failed, logins, logins_failed, refused_clear,
	    delayed, in_use, retrieved, retrieved_bytes, read_ahead, deleted, store_retries;
};
extern struct stats stats;
void stats_write(struct buf *out);
#endif
