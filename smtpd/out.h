/* out: mail out by SMTP and LMTP, the client's side. smtpd.h is the receiving side; the two share
 * nothing. Prototypes by file. Loop thread only. */
#ifndef SMTPD_OUT_H
#define SMTPD_OUT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"
#include "libcommon/ipc/msg.h"
#include "libcommon/net/stream.h"

/* --- out_reply.c: what a server answers (RFC 5321 4.2, RFC 2034, RFC 3463) ----------------- */
#define OUT_REPLY_LINES 100   /* lines of one reply */
#define OUT_REPLY_LINE  1000  /* octets kept of a line; what is longer is read and dropped */
#define OUT_REPLY_TOTAL 32768 /* octets of one reply, dropped ones and line ends too */

struct out_reply {
	unsigned code;   /* 200 to 599, of the last line */
	char status[12]; /* enhanced status code "5.1.1" that fits the code; "": none */
	/* The lines without code, status and line end, with \n between them; printable UTF-8:
	 * whatever else the peer sent stands as '?'. */
	struct buf text;
	const char *why; /* OUT_REPLY_BAD: what is wrong with it */
	/* The parser's own: */
	unsigned lines;
	size_t total, line_len;
	char line[OUT_REPLY_LINE];
};
enum out_reply_result {
	OUT_REPLY_MORE,
	OUT_REPLY_DONE,
	OUT_REPLY_BAD, /* no reply of this protocol, or over a limit: nothing can follow */
};
/* All zero is a reply that has not begun. */
void out_reply_clear(struct out_reply *r); /* for the next one; keeps memory */
void out_reply_free(struct out_reply *r);
/* Takes octets up to the end of one reply; *used gets how many. Lines end in CRLF, or in LF alone:
 * some servers do, and no message stands in this direction that could be smuggled. The lines of a
 * reply may differ in their code but not in its first digit. */
enum out_reply_result out_reply_feed(struct out_reply *r, struct slice in, size_t *used);
/* The enhanced status code, or what the code alone says ("5.0.0"). */
const char *out_reply_status(const struct out_reply *r, char out[12]);
/* A text as a reply's: control octets and what is no UTF-8 become '?', a tab a blank. In place. */
void out_printable(char *p, size_t n);

/* --- out_text.c: a message's content as it goes out ---------------------------------------- */
/* Lines end in CRLF only: a bare CR or LF becomes CRLF, a last line without an end gets one, so
 * that no server can see an end of the message where we see none. Long lines stay as they are. */
struct out_text {
	struct slice in;
	size_t at; /* octets of in that are out */
	bool raw;  /* BINARYMIME: nothing is changed */
	bool dots; /* DATA: a dot at the beginning of a line is doubled (RFC 5321 4.5.2) */
	bool mid;  /* inside a line */
};
/* Binary content (BINARYMIME) that is text all the same: lines of at most 998 octets that end in
 * CRLF, no other CR or LF and no NUL, and nothing in it says of a part that it is binary. It can go
 * to a host that does not take binary content, as it is (RFC 3030 3). */
bool out_text_plain(struct slice in);
/* Octets that the text will be without doubled dots: what SIZE and BDAT tell. */
uint64_t out_text_size(struct slice in, bool raw);
/* Appends at least one and about `room` octets to out. False when nothing is left. */
bool out_text_next(struct out_text *t, struct buf *out, size_t room);

/* --- out_smtp.c: a connection ----------------------------------------------------------------
 * out_open() -> on_ready -> out_send() -> on_done -> out_send() ... -> out_close()
 * One transaction at a time; on_end comes instead of what else would when the connection is of no
 * use any more, and behind on_done when it broke in a transaction. */
enum out_tls {
	OUT_TLS_NONE,
	OUT_TLS_MAY,    /* when offered, whatever the certificate; see try_plain below */
	OUT_TLS_MUST,   /* or no mail, whatever the certificate */
	OUT_TLS_VERIFY, /* or no mail, with a certificate that the context trusts, for the name */
};
/* Milliseconds; 0 is the default in brackets (RFC 5321 4.5.3.2). Each is the time for a whole
 * reply: octets that trickle in do not prolong it. */
struct out_times {
	uint64_t greeting; /* [5 min] */
	uint64_t hello;    /* EHLO, HELO, LHLO, STARTTLS, RSET [5 min] */
	uint64_t auth;     /* each step of AUTH [2 min] */
	uint64_t mail;     /* [5 min] */
	uint64_t rcpt;     /* [5 min] */
	uint64_t data;     /* [2 min] */
	uint64_t block;    /* of the content, about 64 KiB, until it is taken [3 min] */
	uint64_t dot;      /* from the end of the content to its reply [10 min] */
	uint64_t setup;    /* up to on_ready, all together [10 min] */
	uint64_t mail_all; /* a transaction, all together [1 h], and one second for each ... */
	uint64_t min_rate; /* octets of content [1000] */
};
struct out_options {      /* copied, the texts too */
	const char *host; /* the server's name: SNI, and what its certificate must be for */
	const char *name; /* the certificate is to be for this name instead; NULL: host */
	const char *helo; /* our name, or address literal */
	bool lmtp;
	bool tls_now; /* TLS from the first octet (submissions) */
	enum out_tls tls;
	struct tls_ctx *ctx; /* tls_client_ctx(), outlives the connection; unless OUT_TLS_NONE */
	const char *user, *password; /* AUTH must succeed; NULL: none */
	struct out_times times;
};

enum out_state {
	OUT_DELIVERED,
	OUT_TEMP,
	OUT_PERM,
	OUT_LOST, /* no reply came, or none that can be understood */
};
struct out_verdict {
	enum out_state state;
	bool maybe;       /* OUT_LOST: all of the message was sent, the server may have it */
	bool dsn;         /* OUT_DELIVERED: the server was told of the notices that are wanted */
	unsigned code;    /* 0: not the server's words but ours */
	char status[12];  /* enhanced status code, never empty */
	const char *at;   /* what was answered: "RCPT TO", "end of DATA" ... */
	const char *text; /* printable, a line or several with \n between them */
	const char *host; /* of the options */
};
enum out_why {
	OUT_CLOSED,  /* by the server, between transactions; or it said 421 */
	OUT_FULL,    /* by us: the server takes no more transactions (LIMITS MAILMAX) */
	OUT_REFUSED, /* greeting, EHLO or RSET: verdict tells */
	OUT_GONE,    /* broken, or no answer in time */
	OUT_GARBAGE, /* it does not speak the protocol */
	OUT_NO_TLS,  /* the policy wants TLS, which is not offered */
	OUT_BAD_TLS, /* STARTTLS was offered and then refused, or the handshake failed */
	OUT_NO_AUTH, /* AUTH failed, or no mechanism fits */
};
struct out_end {
	enum out_why why;
	bool try_plain; /* OUT_BAD_TLS with OUT_TLS_MAY: a new connection may go without TLS */
	struct out_verdict verdict;
};

#define OUT_CAP_PIPELINING 1u
#define OUT_CAP_SIZE       2u
#define OUT_CAP_8BITMIME   4u
#define OUT_CAP_SMTPUTF8   8u
#define OUT_CAP_CHUNKING   16u
#define OUT_CAP_BINARYMIME 32u
#define OUT_CAP_DSN        64u
#define OUT_CAP_STATUS     128u /* ENHANCEDSTATUSCODES */
#define OUT_CAP_REQUIRETLS 256u
#define OUT_CAP_LIMITS     512u
#define OUT_CAP_STARTTLS   1024u
#define OUT_CAP_AUTH       2048u
#define OUT_CAP_DELIVERBY  4096u
struct out_caps {
	unsigned flags;    /* OUT_CAP_* */
	uint64_t size;     /* largest message; 0: not told */
	uint64_t mail_max; /* LIMITS (RFC 9422): transactions of a connection; 0: not told */
	uint64_t rcpt_max; /* ... recipients of a transaction */
	uint64_t by_min;   /* DELIVERBY (RFC 2852): seconds */
	unsigned auth;     /* mechanisms, out_int.h */
};

struct out_rcpt {
	struct slice addr;  /* canonical */
	struct slice orcpt; /* "type;xtext"; empty: none */
	uint32_t notify;    /* NOTIFY_*; 0: not given */
};
struct out_mail {               /* all of it stays until on_done */
	struct slice sender;    /* canonical; empty: <> */
	struct slice envid;     /* xtext; empty: none */
	uint32_t flags;         /* DELIVER_SMTPUTF8, _BINARY, _REQUIRETLS, _RET_*, _BY_* */
	uint64_t deliver_by_ms; /* clock_ms(); 0: none */
	const struct body *body;
	const struct out_rcpt *rcpt;
	size_t rcpt_n; /* at least 1 */
};

struct out;
struct out_ops {
	/* The server is ready for mail: out_send() or out_close(). */
	void (*on_ready)(struct out *o, void *arg);
	/* The transaction is over: one verdict for each recipient, in their order. They and their
	 * texts live until the callback returns. out_send() may be called when out_usable();
	 * when not, on_end follows at once. */
	void (*on_done)(struct out *o, void *arg, const struct out_verdict *v, size_t n);
	/* Last call: o is gone. Not called after out_close(). */
	void (*on_end)(struct out *o, void *arg, const struct out_end *end);
};
/* Takes over the connected fd. NULL (fd closed) when it cannot be watched. */
struct out *out_open(int fd, const struct out_options *opt, const struct out_ops *ops, void *arg);
/* Begins a transaction; on_done follows, never from inside this call. False: not out_usable(). What
 * the server cannot take is not sent: 5.6.3 (8-bit or binary content), 5.6.7 (SMTPUTF8), 5.7.30
 * (REQUIRETLS), 5.3.4 (too large), 5.3.3 (DELIVERBY
 * without _BY_NOTIFY), 4.5.3 (recipients over rcpt_max: the next transaction's). */
bool out_send(struct out *o, const struct out_mail *m);
/* In a transaction whose content is out to the last octet: the server may have the message. */
bool out_ended(const struct out *o);
/* Ready for a transaction now. */
bool out_usable(const struct out *o);
/* QUIT between transactions, else at once; one under way has no on_done. o is gone. */
void out_close(struct out *o);
const struct out_caps *out_caps(const struct out *o);
gnutls_session_t out_session(const struct out *o); /* NULL without TLS */
const char *out_address(const struct out *o);      /* of the server, as text */

#endif
