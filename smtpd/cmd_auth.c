/* AUTH (RFC 4954) with the mechanisms that stored knows; the exchange is stored's, here are its
 * framing in base64 and the rules of when. */
#include "smtpd/smtpd.h"
#include <stdlib.h>
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

struct auth {
	uint64_t id;      /* stored's; 0 before its first answer */
	const char *mech; /* static */
	/* The server had something to say with its success (SCRAM's proof): it was sent as a
	 * challenge, and the empty response to it is awaited. */
	struct user *user;
};

static bool offered(const struct session *s)
{
	return s->service->submission || (conf.smtp_auth && !s->service->lmtp);
}

bool auth_allowed(const struct session *s)
{
	return offered(s) && (s->tls || s->loopback);
}

void user_free(struct user **u)
{
	if (!*u)
		return;
	mem_wipe((void *)(uintptr_t)(*u)->grant.p, (*u)->grant.len);
	free((void *)(uintptr_t)(*u)->address);
	free(*u);
	*u = NULL;
}

void auth_free(struct session *s)
{
	if (!s->auth)
		return;
	if (s->auth->id)
		backend_auth_cancel(s->auth->id);
	user_free(&s->auth->user);
	free(s->auth);
	s->auth = NULL;
}

/* The exchange is over; the next line is a command again. */
static void finish(struct session *s)
{
	auth_free(s);
	if (s->stream)
		session_input(s, INPUT_COMMAND);
}

static const char *mech_known(const struct session *s, struct slice name)
{
	static const char *const MECHS[] = {"PLAIN", "LOGIN", "SCRAM-SHA-256",
					    "SCRAM-SHA-256-PLUS"};
	for (size_t i = 0; i < 3u + s->tls; i++)
		if (slice_ieqs(name, MECHS[i]))
			return MECHS[i];
	return NULL;
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

/* base64 of a response; "=" stands for the empty initial one. False: not base64. */
static bool decode(struct slice in, char *out, size_t *len)
{
	long n = str_base64_decode(out, in);
	*len = n < 0 ? 0 : (size_t)n;
	return n >= 0;
}

enum cmd_result cmd_auth(struct session *s, struct slice args)
{
	char bytes[AUTH_MAX];
	size_t len = 0;
	struct slice name = slice_word(&args), initial = slice_word(&args);
	const char *mech = mech_known(s, name);
	const struct reply *no = forbidden(s);
	if (no) {
		if (no->code == 538)
			log_event(LOG_LV_WARN, s->sid, "auth-in-the-clear", LS("peer", s->ip));
		reply_send(s, no);
	} else if (!name.len || slice_trim(args).len) {
		reply(s, 501, "5.5.4", "AUTH mechanism [initial-response]");
	} else if (!mech) {
		reply(s, 504, "5.5.4", "unknown mechanism");
	} else if (initial.len && !slice_eqs(initial, "=") && !decode(initial, bytes, &len)) {
		reply(s, 501, "5.5.2", "that is not base64");
	} else {
		s->auth = mem_alloc(sizeof(*s->auth));
		s->auth->mech = mech;
		session_input(s, INPUT_AUTH);
		session_wait(s);
		backend_auth_start(s, slice_of(mech),
				   (struct slice){initial.len ? bytes : NULL, len});
		explicit_bzero(bytes, len);
		return CMD_WAIT;
	}
	return CMD_DONE;
}

static void success(struct session *s, struct user *u)
{
	session_set_user(s, u);
	s->errors = 0;
	stats.auth_ok++;
	log_event(LOG_LV_INFO, s->sid, "login", LS("user", u->address), LS("peer", s->ip),
		  LS("mech", u->mech), LU("tls", s->tls));
	reply(s, 235, "2.7.0", "welcome");
	finish(s);
}

/* A line of the client's inside the exchange. */
enum cmd_result cmd_auth_line(struct session *s, struct slice line)
{
	char bytes[AUTH_MAX];
	size_t len;
	if (slice_eqs(line, "*")) {
		reply(s, 501, "5.7.0", "AUTH cancelled");
		finish(s);
	} else if (!decode(line, bytes, &len)) {
		reply(s, 501, "5.5.2", "that is not base64");
		finish(s);
	} else if (s->auth->user) {
		struct user *u = s->auth->user;
		s->auth->user = NULL;
		if (len) {
			user_free(&u);
			reply(s, 501, "5.5.2", "an empty response was awaited");
			finish(s);
		} else {
			success(s, u);
		}
	} else {
		session_wait(s);
		backend_auth_step(s, s->auth->id, (struct slice){bytes, len});
		explicit_bzero(bytes, len);
		return CMD_WAIT;
	}
	return CMD_DONE;
}

static void send_challenge(struct session *s, struct slice c)
{
	char *text = mem_alloc(4 * ((c.len + 2) / 3) + 1);
	str_base64(text, c.p, c.len);
	reply(s, 334, NULL, "%s", text);
	free(text);
}

void auth_more(struct session *s, uint64_t id, struct slice challenge)
{
	if (!s->auth || !s->stream) {
		backend_auth_cancel(id);
		return;
	}
	s->auth->id = id;
	send_challenge(s, challenge);
}

void auth_ok(struct session *s, const struct msg_auth_ok *m)
{
	if (!s->auth || !s->stream)
		return;
	struct user *u = mem_alloc(sizeof(*u));
	char *grant = mem_alloc(m->grant.len + 1);
	memcpy(grant, m->grant.p, m->grant.len);
	u->grant = (struct slice){grant, m->grant.len};
	u->account = m->account;
	u->address = mem_strndup(m->address.p, m->address.len);
	u->mech = s->auth->mech;
	s->auth->id = 0;
	if (!m->final.len) {
		success(s, u);
		return;
	}
	s->auth->user = u;
	send_challenge(s, m->final);
}

void auth_failed(struct session *s, enum ipc_err e, struct slice text)
{
	bool wrong = e == ERR_AUTH || e == ERR_DENIED || e == ERR_NOTFOUND;
	if (!s->auth)
		return;
	s->auth->id = 0;
	log_event(LOG_LV_WARN, s->sid, "login-failed", LS("peer", s->ip), LS("mech", s->auth->mech),
		  LS("error", ipc_err_name(e)), LSL("reason", text));
	stats.auth_failed++;
	finish(s);
	if (wrong)
		reply(s, 535, "5.7.8", "wrong user or password");
	else if (e == ERR_LIMIT)
		reply(s, 454, "4.7.0", "too many failed logins, try again later");
	else if (e == ERR_BAD)
		reply(s, 501, "5.5.2", "the exchange was malformed");
	else
		reply(s, 454, "4.7.0", "login is not possible now, try again later");
	if ((wrong || e == ERR_BAD) && ++s->auth_failures >= conf.max_auth_failures) {
		reply(s, 421, "4.7.0", "%s too many failed logins", conf.hostname);
		session_close(s);
	}
}
