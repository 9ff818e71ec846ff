/* USER and PASS, AUTH (RFC 5034), STLS. All logins are SASL exchanges of the store's; here are
 * their framing and the rules of when. A login is complete when its mailbox is open. */
#include <stdlib.h>
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"
#include "pop3d/pop3d.h"

struct login {
	char *user;       /* of USER; NULL */
	const char *mech; /* static; NULL: no exchange */
	uint64_t id;      /* the store's; 0 before its first answer and after its last */
	/* The store had something to say with its success (SCRAM's proof): it was sent as a
	 * challenge, and the empty response to it is awaited. */
	struct box *box;
};

bool auth_allowed(const struct session *s)
{
	return s->tls || s->loopback;
}

const char *const *auth_mechs(const struct session *s)
{
	static const char *const ALL[] = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN",
					  NULL};
	return s->tls ? ALL : ALL + 1;
}

static const char *mech_known(const struct session *s, struct slice name)
{
	for (const char *const *m = auth_mechs(s); *m; m++)
		if (slice_ieqs(name, *m))
			return *m;
	return NULL;
}

void auth_free(struct session *s)
{
	struct login *l = s->login;
	if (!l)
		return;
	if (l->id)
		backend_auth_cancel(l->id);
	mailbox_free(&l->box);
	free(l->user);
	free(l);
	s->login = NULL;
	s->input = INPUT_COMMAND;
}

static struct login *login_new(struct session *s, const char *mech)
{
	auth_free(s);
	s->login = mem_alloc(sizeof(*s->login));
	s->login->mech = mech;
	return s->login;
}

/* Whoever is about to send a password in the clear is told what to set instead. */
static bool refused_clear(struct session *s)
{
	if (auth_allowed(s))
		return false;
	stats.refused_clear++;
	log_event(LOG_LV_WARN, s->sid, "login-in-the-clear", LS("peer", stream_peer_ip(s->stream)));
	reply_err(s, NULL, "passwords are not taken without encryption: %s", conf_tls_advice());
	s->errors++;
	return true;
}

enum cmd_result cmd_user(struct session *s, const struct args *a)
{
	struct slice name = slice_trim(a->v[0]);
	if (refused_clear(s))
		return CMD_DONE;
	if (!name.len || !str_utf8(name))
		return cmd_wrong(s, "that is no user name");
	login_new(s, NULL)->user = mem_strndup(name.p, name.len);
	reply_ok(s, "now the password");
	return CMD_DONE;
}

enum cmd_result cmd_pass(struct session *s, const struct args *a)
{
	char initial[2 * LOGIN_MAX];
	struct slice pass = a->v[0];
	if (refused_clear(s))
		return CMD_DONE;
	if (!s->login || !s->login->user)
		return cmd_wrong(s, "USER first");
	size_t n = strlen(s->login->user);
	initial[0] = 0;
	memcpy(initial + 1, s->login->user, n + 1);
	memcpy(initial + n + 2, pass.p, pass.len);
	s->login->mech = "PLAIN";
	backend_auth_start(s, "PLAIN", (struct slice){initial, n + 2 + pass.len});
	explicit_bzero(initial, n + 2 + pass.len);
	return CMD_WAIT;
}

/* base64 of a response; "=" stands for the empty initial one. */
static bool decode(struct slice in, char *out, size_t *len)
{
	long n = slice_eqs(in, "=") ? 0 : str_base64_decode(out, in);
	*len = n < 0 ? 0 : (size_t)n;
	return n >= 0;
}

static enum cmd_result list_mechs(struct session *s)
{
	reply_ok(s, "mechanisms follow");
	for (const char *const *m = auth_mechs(s); *m; m++)
		reply_line(s, "%s", *m);
	reply_end(s);
	return CMD_DONE;
}

enum cmd_result cmd_auth(struct session *s, const struct args *a)
{
	char bytes[AUTH_MAX];
	size_t len = 0;
	if (refused_clear(s))
		return CMD_DONE;
	if (a->n == 0)
		return list_mechs(s);
	const char *mech = mech_known(s, a->v[0]);
	if (!mech)
		return cmd_wrong(s, "unknown mechanism");
	if (a->n > 1 && !decode(a->v[1], bytes, &len))
		return cmd_wrong(s, "that is not base64");
	login_new(s, mech);
	s->input = INPUT_AUTH;
	backend_auth_start(s, mech, (struct slice){a->n > 1 ? bytes : NULL, len});
	explicit_bzero(bytes, len);
	return CMD_WAIT;
}

/* The credentials are right; now the mailbox. */
static enum cmd_result enter(struct session *s, struct box *b)
{
	auth_free(s);
	s->box = b;
	backend_open(s);
	return CMD_WAIT;
}

enum cmd_result auth_line(struct session *s, struct slice line)
{
	char bytes[AUTH_MAX];
	size_t len;
	struct login *l = s->login;
	if (slice_eqs(line, "*")) {
		auth_free(s);
		reply_err(s, NULL, "cancelled");
		return CMD_DONE;
	}
	if (slice_eqs(line, "=") || !decode(line, bytes, &len)) {
		auth_free(s);
		return cmd_wrong(s, "that is not base64");
	}
	if (l->box) {
		struct box *b = l->box;
		l->box = NULL;
		if (len == 0)
			return enter(s, b);
		mailbox_free(&b);
		auth_free(s);
		return cmd_wrong(s, "an empty response was awaited");
	}
	uint64_t id = l->id;
	l->id = 0;
	backend_auth_step(s, id, (struct slice){bytes, len});
	explicit_bzero(bytes, len);
	return CMD_WAIT;
}

void auth_more(struct session *s, uint64_t auth, struct slice challenge)
{
	if (!s->stream || !s->login || s->input != INPUT_AUTH) {
		/* nobody is there any more, or PLAIN with all it needs asked for more */
		backend_auth_cancel(auth);
		if (s->stream)
			auth_failed(s, ERR_TEMP, (struct slice){"", 0});
		return;
	}
	s->login->id = auth;
	reply_challenge(s, challenge);
}

void auth_ok(struct session *s, const struct msg_auth_ok *m)
{
	if (!s->stream || !s->login)
		return;
	struct box *b = mailbox_new(s, m);
	capa_learn(m->login_delay_ms, m->expire_ms);
	if (!m->final.len || s->input != INPUT_AUTH) {
		enter(s, b);
		return;
	}
	s->login->box = b;
	reply_challenge(s, m->final);
}

void auth_failed(struct session *s, enum ipc_err e, struct slice text)
{
	bool wrong = e == ERR_AUTH || e == ERR_DENIED || e == ERR_NOTFOUND || e == ERR_BAD;
	if (!s->stream || !s->login)
		return;
	stats.logins_failed++;
	log_event(LOG_LV_WARN, s->sid, "login-failed", LS("user", s->login->user),
		  LS("peer", stream_peer_ip(s->stream)), LS("mech", s->login->mech),
		  LS("error", ipc_err_name(e)), LSL("reason", text));
	auth_free(s);
	if (wrong) /* who exists is not told */
		reply_err(s, "AUTH", "wrong user or password");
	else
		reply_refused(s, e, text);
	if (wrong && ++s->failures >= conf.max_auth_failures)
		session_close(s, "failed logins");
}

enum cmd_result cmd_stls(struct session *s, const struct args *a)
{
	(void)a;
	if (s->tls)
		return cmd_wrong(s, "TLS is on already");
	if (!uplink_tls_ready()) {
		reply_err(s, "SYS/TEMP", "no certificate at the moment");
		return CMD_DONE;
	}
	reply_ok(s, "begin TLS");
	session_starttls(s);
	return CMD_WAIT;
}
