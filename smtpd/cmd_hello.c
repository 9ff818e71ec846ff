/* EHLO, HELO, LHLO, STARTTLS. */
#include "smtpd/smtpd.h"
#include "libcommon/base/clock.h"
#include "libcommon/ipc/uplink.h"

enum { NAME_MAX_OCTETS = 255 };

/* Names that clients really send: domains, [literals], and a few liberties (underscores). What
 * could break a Received field is refused. */
static bool name_ok(struct slice n)
{
	if (!n.len || n.len > NAME_MAX_OCTETS)
		return false;
	for (size_t i = 0; i < n.len; i++) {
		unsigned char c = (unsigned char)n.p[i];
		if (c <= ' ' || c == 127 || strchr("()<>,;\\\"", c))
			return false;
	}
	return str_utf8(n);
}

static bool hello(struct session *s, struct slice args, bool esmtp)
{
	struct slice name = slice_word(&args);
	if (!name_ok(name)) {
		reply(s, 501, "5.5.4", "tell your host name");
		return false;
	}
	session_hello(s, name, esmtp);
	return true;
}

bool hold_allowed(const struct session *s)
{
	return (s->service->submission || s->local) && conf.max_hold;
}

/* What says until when, and by when, mail is delivered. */
static void extensions_time(struct session *s)
{
	char until[32];
	if (hold_allowed(s)) {
		clock_iso(until, sizeof(until), clock_ms() + conf.max_hold);
		reply_line(s, 250, false, "FUTURERELEASE %llu %.19sZ",
			   (unsigned long long)conf.max_hold / 1000, until);
	}
	if (conf.min_deliver_by)
		reply_line(s, 250, false, "DELIVERBY %llu",
			   (unsigned long long)(conf.min_deliver_by + 999) / 1000);
	else
		reply_line(s, 250, false, "DELIVERBY");
}

static void extensions(struct session *s)
{
	bool starttls = !s->tls && !s->local && uplink_tls_ready();
	reply_line(s, 250, false, "%s", conf.hostname);
	reply_line(s, 250, false, "PIPELINING");
	reply_line(s, 250, false, "SIZE %llu", (unsigned long long)conf.max_size);
	reply_line(s, 250, false, "8BITMIME");
	reply_line(s, 250, false, "SMTPUTF8");
	reply_line(s, 250, false, "DSN");
	reply_line(s, 250, false, "CHUNKING");
	reply_line(s, 250, false, "BINARYMIME");
	extensions_time(s);
	if (starttls)
		reply_line(s, 250, false, "STARTTLS");
	if (s->tls || s->local)
		reply_line(s, 250, false, "REQUIRETLS");
	if (auth_allowed(s))
		reply_line(s, 250, false, "AUTH %sSCRAM-SHA-256 PLAIN LOGIN",
			   s->tls ? "SCRAM-SHA-256-PLUS " : "");
	if (conf.max_messages)
		reply_line(s, 250, false, "LIMITS MAILMAX=%llu RCPTMAX=%llu",
			   (unsigned long long)conf.max_messages,
			   (unsigned long long)conf.max_recipients);
	else
		reply_line(s, 250, false, "LIMITS RCPTMAX=%llu",
			   (unsigned long long)conf.max_recipients);
	if (s->local)
		reply_line(s, 250, false, "XLOCAL %s", s->local->address);
	reply_line(s, 250, false, "HELP");
	reply_line(s, 250, true, "ENHANCEDSTATUSCODES");
}

enum cmd_result cmd_helo(struct session *s, struct slice args)
{
	if (hello(s, args, false))
		reply(s, 250, NULL, "%s", conf.hostname);
	return CMD_DONE;
}

enum cmd_result cmd_ehlo(struct session *s, struct slice args)
{
	if (hello(s, args, true))
		extensions(s);
	return CMD_DONE;
}

enum cmd_result cmd_lhlo(struct session *s, struct slice args)
{
	return cmd_ehlo(s, args);
}

enum cmd_result cmd_starttls(struct session *s, struct slice args)
{
	(void)args;
	if (s->local) {
		reply(s, 503, "5.5.1", "no TLS here: nobody is between us");
	} else if (s->tls) {
		reply(s, 503, "5.5.1", "TLS is in use already");
	} else if (!uplink_tls_ready()) {
		reply(s, 454, "4.7.0", "TLS is not available now");
	} else {
		reply(s, 220, "2.0.0", "go ahead");
		session_starttls(s);
	}
	return CMD_DONE;
}
