/* login: the SASL exchange (RFC 4422) of a client of a protocol daemon: its lines in base64, and
 * stored's auth_start and auth_step behind them. The protocol's own words are the daemon's:
 * parsing the command, replies, and what a failure costs.
 *
 *   login_start() -> wait -> challenge -> login_line() -> wait ... -> granted, or failed
 *
 * A start that the store lost (it was restarted) is sent once more; a step cannot be: the state of
 * the exchange went with the connection. */
#ifndef IPC_LOGIN_H
#define IPC_LOGIN_H
#include "libcommon/ipc/msg.h"
#include "libcommon/net/stream.h"

/* Whom a client has proved to be. All of it is owned. */
struct login_user {
	struct slice grant;
	uint64_t account;
	char *address;
	const char *mech;                   /* static */
	uint64_t login_delay_ms, expire_ms; /* see auth_ok in msg.def */
};
/* Of a grant that just came; copies. */
struct login_user *login_user_new(const struct msg_auth_ok *m, const char *mech);
void login_user_free(struct login_user **u); /* *u may be NULL */

/* A password may be sent: nobody on the way can read it. */
static inline bool login_private(bool tls, bool loopback)
{
	return tls || loopback;
}
/* The mechanisms offered, NULL-terminated, the best first. Channel binding needs TLS. */
const char *const *login_mechs(bool tls);
/* Static; NULL: not one of them. */
const char *login_mech(bool tls, struct slice name);

/* The connection. What it points to lives as long as the exchange. */
struct login_from {
	const char *sid, *peer;
	const char *user; /* for the log, when it is known already; else NULL */
	struct stream *stream;
	bool tls, loopback;
};
/* Before each but wait and go_on, for granted and failed, the exchange is over. */
struct login_ops {
	const char *service;              /* "smtp" ... */
	uint64_t *retries;                /* counts the starts that were sent once more */
	void (*wait)(void *arg, bool on); /* the store is asked; it has answered. Once a
					   * line of the client's, repeated or not */
	void (*go_on)(void *arg);         /* after the answer had its effect */
	/* NULL-terminated, valid during the call. */
	void (*challenge)(void *arg, const char *base64);
	void (*granted)(void *arg, struct login_user *u); /* u is the callee's */
	/* It was logged. text: the store's words, may be empty. */
	void (*failed)(void *arg, enum ipc_err e, struct slice text);
};
struct login;
/* Begins an exchange; *at is NULL, and set until it is over. mech: of login_mech(). initial: p
 * NULL: there is none; copied. mute: the client cannot be asked anything (POP3's PASS). */
void login_start(struct login **at, const struct login_from *from, const struct login_ops *ops,
		 void *arg, const char *mech, struct slice initial, bool mute);
/* Decodes a response; "=" is the empty one where `initial`. out has room for the line's length;
 * the caller wipes it. False: not base64. */
bool login_decode(struct slice line, bool initial, char *out, size_t *len);
enum login_step {
	LOGIN_WAIT,      /* the store is asked */
	LOGIN_GRANTED,   /* granted was called */
	LOGIN_CANCELLED, /* this and all behind it: the exchange is over, say why */
	LOGIN_MALFORMED, /* not base64 */
	LOGIN_NOT_EMPTY, /* the last response had to be */
};
/* The client's line (the answer to a challenge; without its CRLF). */
enum login_step login_line(struct login **at, struct slice line);
/* Ends it. *at may be NULL. */
void login_free(struct login **at);
/* The failure was the client's, not the store's: it counts as a wrong password. */
bool login_wrong(enum ipc_err e);
#endif
