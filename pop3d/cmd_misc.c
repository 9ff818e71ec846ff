/* CAPA, LANG, UTF8, NOOP, QUIT. */
#include "libcommon/base/log.h"
#include "libcommon/ipc/uplink.h"
#include "pop3d/pop3d.h"

enum { DAY_MS = 86400000 };

/* The strictest policies that logins have shown (RFC 2449 6.6, 6.7: before login the largest delay
 * and the shortest expiry of any user). */
static uint64_t most_delay_ms, least_expire_ms = CONF_NEVER;

void capa_learn(uint64_t login_delay_ms, uint64_t expire_ms)
{
	if (login_delay_ms > most_delay_ms)
		most_delay_ms = login_delay_ms;
	if (expire_ms < least_expire_ms)
		least_expire_ms = expire_ms;
}

static void policies(struct session *s)
{
	const struct box *b = s->box;
	uint64_t delay = b ? b->user->login_delay_ms : most_delay_ms;
	uint64_t expire = b ? b->user->expire_ms : least_expire_ms;
	const char *user = b ? "" : " USER";
	reply_line(s, "LOGIN-DELAY %llu%s", (unsigned long long)((delay + 999) / 1000), user);
	if (expire == CONF_NEVER)
		reply_line(s, "EXPIRE NEVER%s", user);
	else
		reply_line(s, "EXPIRE %llu%s", (unsigned long long)(expire / DAY_MS), user);
}

static void logins(struct session *s)
{
	char line[128] = "SASL";
	size_t n = 4;
	if (!s->tls && uplink_tls_ready())
		reply_line(s, "STLS");
	if (!auth_allowed(s))
		return;
	reply_line(s, "USER");
	for (const char *const *m = login_mechs(s->tls); *m; m++) {
		str_fmt(line + n, sizeof(line) - n, " %s", *m);
		n += strlen(line + n);
	}
	reply_line(s, "%s", line);
}

enum cmd_result cmd_capa(struct session *s, const struct args *a)
{
	(void)a;
	reply_ok(s, "capabilities follow");
	if (s->state == STATE_AUTH)
		logins(s);
	reply_line(s, "TOP");
	reply_line(s, "UIDL");
	reply_line(s, "RESP-CODES");
	reply_line(s, "AUTH-RESP-CODE");
	reply_line(s, "PIPELINING");
	reply_line(s, "UTF8 USER");
	reply_line(s, "LANG");
	policies(s);
	reply_line(s, "IMPLEMENTATION hamlet-%s", HAMLET_VERSION);
	reply_end(s);
	return CMD_DONE;
}

/* All texts are English (RFC 6856 section 3). */
enum cmd_result cmd_lang(struct session *s, const struct args *a)
{
	if (a->n == 0) {
		reply_ok(s, "languages follow");
		reply_line(s, "en English");
		reply_end(s);
	} else if (slice_ieqs(a->v[0], "en") || slice_istarts(a->v[0], "en-") ||
		   slice_eqs(a->v[0], "*") || slice_ieqs(a->v[0], "i-default")) {
		reply_ok(s, "en English it is");
	} else {
		reply_err(s, NULL, "no such language");
	}
	return CMD_DONE;
}

enum cmd_result cmd_utf8(struct session *s, const struct args *a)
{
	(void)a;
	s->utf8 = true;
	reply_ok(s, "UTF-8 it is");
	return CMD_DONE;
}

enum cmd_result cmd_noop(struct session *s, const struct args *a)
{
	(void)a;
	reply_ok(s, "%s", "");
	return CMD_DONE;
}

enum cmd_result cmd_quit(struct session *s, const struct args *a)
{
	(void)a;
	if (!s->box) {
		reply_ok(s, "bye");
		session_close(s, "quit");
		return CMD_CLOSE;
	}
	session_enter(s, STATE_UPDATE);
	backend_quit(s);
	return CMD_WAIT;
}

enum cmd_result cmd_foreign(struct session *s, const struct args *a)
{
	(void)a;
	log_event(LOG_LV_WARN, s->sid, "foreign-protocol",
		  LS("peer", s->stream ? stream_peer_ip(s->stream) : NULL));
	reply_err(s, NULL, "this is a mail server");
	session_close(s, "foreign protocol");
	return CMD_CLOSE;
}
