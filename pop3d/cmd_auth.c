/* USER and PASS, AUTH (RFC 5034), STLS. All logins are SASL exchanges of the store's; here are
 * their framing and the rules of when. A login is complete when its mailbox is open. */
#include <stdlib.h>
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"
#include "pop3d/pop3d.h"

bool auth_allowed(const struct session *s)
{
	return login_private(s->tls, s->loopback);
}

void auth_free(struct session *s)
{
	login_free(&s->login);
	free(s->name);
	s->name = NULL;
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

/* --- the exchange ------------------------------------------------------------------------ */

static void on_wait(void *arg, bool on)
{
	struct session *s = arg;
	s->busy = on;
}

static void on_go_on(void *arg)
{
	session_pump(arg);
}

static void on_challenge(void *arg, const char *base64)
{
	reply_challenge(arg, base64);
}

/* The credentials are right; now the mailbox. */
static void on_granted(void *arg, struct login_user *u)
{
	struct session *s = arg;
	auth_free(s);
	capa_learn(u->login_delay_ms, u->expire_ms);
	s->box = mailbox_new(s, u);
	backend_open(s);
}

static void on_failed(void *arg, enum ipc_err e, struct slice text)
{
	struct session *s = arg;
	auth_free(s);
	stats.logins_failed++;
	if (login_wrong(e)) /* who exists is not told */
		reply_err(s, "AUTH", "wrong user or password");
	else
		reply_refused(s, e, text);
	if (login_wrong(e) && ++s->failures >= conf.max_auth_failures)
		session_close(s, "failed logins");
}

static enum cmd_result start(struct session *s, const char *mech, struct slice initial)
{
	static const struct login_ops OPS = {
	    .service = "pop3",
	    .retries = &stats.store_retries,
	    .wait = on_wait,
	    .go_on = on_go_on,
	    .challenge = on_challenge,
	    .granted = on_granted,
	    .failed = on_failed,
	};
	struct login_from from = {
	    .sid = s->sid,
	    .peer = stream_peer_ip(s->stream),
	    .user = s->name,
	    .stream = s->stream,
	    .tls = s->tls,
	    .loopback = s->loopback,
	};
	login_start(&s->login, &from, &OPS, s, mech, initial, s->name != NULL);
	return CMD_WAIT;
}

enum cmd_result auth_line(struct session *s, struct slice line)
{
	switch (login_line(&s->login, line)) {
	case LOGIN_CANCELLED:
		reply_err(s, NULL, "cancelled");
		return CMD_DONE;
	case LOGIN_MALFORMED:
		return cmd_wrong(s, "that is not base64");
	case LOGIN_NOT_EMPTY:
		return cmd_wrong(s, "an empty response was awaited");
	case LOGIN_WAIT:
	case LOGIN_GRANTED:
		break;
	}
	return CMD_WAIT;
}

/* --- commands ---------------------------------------------------------------------------- */

enum cmd_result cmd_user(struct session *s, const struct args *a)
{
	struct slice name = slice_trim(a->v[0]);
	if (refused_clear(s))
		return CMD_DONE;
	if (!name.len || !str_utf8(name))
		return cmd_wrong(s, "that is no user name");
	auth_free(s);
	s->name = mem_strndup(name.p, name.len);
	reply_ok(s, "now the password");
	return CMD_DONE;
}

enum cmd_result cmd_pass(struct session *s, const struct args *a)
{
	char initial[2 * LOGIN_MAX];
	struct slice pass = a->v[0];
	if (refused_clear(s))
		return CMD_DONE;
	if (!s->name)
		return cmd_wrong(s, "USER first");
	size_t n = strlen(s->name);
	initial[0] = 0;
	memcpy(initial + 1, s->name, n + 1);
	memcpy(initial + n + 2, pass.p, pass.len);
	start(s, "PLAIN", (struct slice){initial, n + 2 + pass.len});
	explicit_bzero(initial, n + 2 + pass.len);
	return CMD_WAIT;
}

static enum cmd_result list_mechs(struct session *s)
{
	reply_ok(s, "mechanisms follow");
	for (const char *const *m = login_mechs(s->tls); *m; m++)
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
	const char *mech = login_mech(s->tls, a->v[0]);
	if (!mech)
		return cmd_wrong(s, "unknown mechanism");
	if (a->n > 1 && !login_decode(a->v[1], true, bytes, &len))
		return cmd_wrong(s, "that is not base64");
	auth_free(s);
	start(s, mech, (struct slice){a->n > 1 ? bytes : NULL, len});
	explicit_bzero(bytes, len);
	return CMD_WAIT;
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
