/* AUTH (RFC 4954) with the mechanisms that stored knows; the exchange is stored's, here are its
 * framing in base64 and the rules of when. */
#include "smtpd/smtpd.h"
#include <stdlib.h>
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

static bool offered(const struct session *s)
{
	return s->service->submission || (conf.smtp_auth && !s->service->lmtp);
}

bool auth_allowed(const struct session *s)
{
	return offered(s) && login_private(s->tls, s->loopback);
}

/* NULL when AUTH may go on, else the refusal. */
static const struct reply *forbidden(const struct session *s)
{
	/* Whoever tries a password here is told where it may go. */
	static const struct reply NOT_HERE = {
	    503, "5.5.1",
	    "no AUTH on this port: use port 465 with SSL/TLS, or port 587 with STARTTLS"};
	static const struct reply NO_TLS = {
	    538, "5.7.11",
	    "encryption required: use port 465 with SSL/TLS, or port 587 with STARTTLS"};
	static const struct reply NO_EHLO = {503, "5.5.1", "EHLO first"};
	static const struct reply AGAIN = {503, "5.5.1", "you are logged in already"};
	static const struct reply IN_MAIL = {503, "5.5.1", "not inside a mail transaction"};
	if (!offered(s))
		return &NOT_HERE;
	if (!auth_allowed(s))
		return &NO_TLS;
	if (!s->esmtp)
		return &NO_EHLO;
	if (s->user)
		return &AGAIN;
	return s->txn ? &IN_MAIL : NULL;
}

/* --- the exchange ------------------------------------------------------------------------ */

static void on_wait(void *arg, bool on)
{
	if (on)
		session_wait(arg);
}

static void on_go_on(void *arg)
{
	session_go_on(arg);
}

static void on_challenge(void *arg, const char *base64)
{
	reply(arg, 334, NULL, "%s", base64);
}

static void on_granted(void *arg, struct login_user *u)
{
	struct session *s = arg;
	session_set_user(s, u);
	s->errors = 0;
	stats.auth_ok++;
	log_event(LOG_LV_INFO, s->sid, "login", LS("user", u->address), LS("peer", s->ip),
		  LS("mech", u->mech), LU("tls", s->tls));
	reply(s, 235, "2.7.0", "welcome");
}

static void on_failed(void *arg, enum ipc_err e, struct slice text)
{
	struct session *s = arg;
	(void)text;
	stats.auth_failed++;
	if (e == ERR_BAD)
		reply(s, 501, "5.5.2", "the exchange was malformed");
	else if (login_wrong(e))
		reply(s, 535, "5.7.8", "wrong user or password");
	else if (e == ERR_LIMIT)
		reply(s, 454, "4.7.0", "too many failed logins, try again later");
	else
		reply(s, 454, "4.7.0", "login is not possible now, try again later");
	if (login_wrong(e) && ++s->auth_failures >= conf.max_auth_failures) {
		reply(s, 421, "4.7.0", "%s too many failed logins", conf.hostname);
		session_close(s);
	}
}

static void start(struct session *s, const char *mech, struct slice initial)
{
	static const struct login_ops OPS = {
	    .service = "smtp",
	    .retries = &stats.retries,
	    .wait = on_wait,
	    .go_on = on_go_on,
	    .challenge = on_challenge,
	    .granted = on_granted,
	    .failed = on_failed,
	};
	struct login_from from = {
	    .sid = s->sid,
	    .peer = s->ip,
	    .stream = s->stream,
	    .tls = s->tls,
	    .loopback = s->loopback,
	};
	login_start(&s->login, &from, &OPS, s, mech, initial, false);
}

enum cmd_result cmd_auth_line(struct session *s, struct slice line)
{
	switch (login_line(&s->login, line)) {
	case LOGIN_WAIT:
		return CMD_WAIT;
	case LOGIN_CANCELLED:
		reply(s, 501, "5.7.0", "AUTH cancelled");
		break;
	case LOGIN_MALFORMED:
		reply(s, 501, "5.5.2", "that is not base64");
		break;
	case LOGIN_NOT_EMPTY:
		reply(s, 501, "5.5.2", "an empty response was awaited");
		break;
	case LOGIN_GRANTED:
		break;
	}
	return CMD_DONE;
}

/* --- the command ------------------------------------------------------------------------- */

enum cmd_result cmd_auth(struct session *s, struct slice args)
{
	char bytes[AUTH_MAX];
	size_t len = 0;
	struct slice name = slice_word(&args), initial = slice_word(&args);
	const char *mech = login_mech(s->tls, name);
	const struct reply *no = forbidden(s);
	if (no) {
		if (no->code == 538)
			log_event(LOG_LV_WARN, s->sid, "auth-in-the-clear", LS("peer", s->ip));
		reply_send(s, no);
	} else if (!name.len || slice_trim(args).len) {
		reply(s, 501, "5.5.4", "AUTH mechanism [initial-response]");
	} else if (!mech) {
		reply(s, 504, "5.5.4", "unknown mechanism");
	} else if (initial.len && !login_decode(initial, true, bytes, &len)) {
		reply(s, 501, "5.5.2", "that is not base64");
	} else {
		start(s, mech, (struct slice){initial.len ? bytes : NULL, len});
		explicit_bzero(bytes, len);
		return CMD_WAIT;
	}
	return CMD_DONE;
}
