/* A session, from accept to the last reference. It alone changes its state.
 *
 * pump() takes one step at a time: it goes on with what is being sent, else runs the next command.
 * It stops while the store is asked (busy), while the client does not read its replies (choked),
 * and at the end. Whatever ends a wait calls pump() again.
 *
 * The stream holds one reference and each question to the store one: a QUIT whose client went away
 * is still carried out. */
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/daemon.h"
#include "libcommon/net/line.h"
#include "pop3d/pop3d.h"

enum {
	FINISH_MS = 5000,
	SLOW_MS = 60000,
	DRAIN_MS = 10000,
	FRESH_MS = 3000, /* to log in, of a session that a drain meets before that */
	LEAVE_MS = 2000,
	BUSY_MS = 1000,
	READ_MAX = AUTH_MAX + 4096
};

static struct list sessions = {&sessions, &sessions};

/* --- life ------------------------------------------------------------------------------- */

void session_hold(struct session *s)
{
	s->refs++;
}

void session_drop(struct session *s)
{
	if (--s->refs)
		return;
	auth_free(s);
	mailbox_free(&s->box);
	free(s);
}

/* Daemon-wide: the last session of a draining process lets it go. */
static void drained(void)
{
	if (daemon_draining() && list_empty(&sessions))
		daemon_exit(0);
}

static void log_end(const struct session *s)
{
	const struct box *b = s->box;
	if (!b && !log_wants(LOG_LV_DEBUG))
		return;
	log_event(b ? LOG_LV_INFO : LOG_LV_DEBUG, s->sid, "session",
		  LS("user", b ? b->user->address : NULL), LS("peer", stream_peer_ip(s->stream)),
		  LU("retrieved", b ? b->retrieved : 0),
		  LU("deleted", b && s->state == STATE_UPDATE ? b->deleted : 0),
		  LU("bytes", s->bytes), LU("tls", s->tls), LU("ms", clock_mono() - s->began),
		  LS("end", s->why ? s->why : "closed by the client"));
}

static void on_close(void *arg)
{
	struct session *s = arg;
	log_end(s);
	listen_done(s->spec, daemon_limits(), stream_peer(s->stream));
	s->stream = NULL;
	timer_clear(&s->timer);
	auth_free(s);
	if (s->box && s->state != STATE_UPDATE)
		backend_close(s->box);
	list_del(&s->link);
	stats.sessions--;
	session_drop(s);
	drained();
}

void session_close(struct session *s, const char *why)
{
	if (s->closing || !s->stream)
		return;
	s->closing = true;
	s->why = s->why ? s->why : why;
	timer_clear(&s->timer);
	/* Who has mail to take yet may be slow; who has all of it just closes. */
	stream_finish(s->stream, s->choked || stream_queued(s->stream) > COMMAND_MAX ? SLOW_MS
				 : daemon_draining()                                 ? LEAVE_MS
										     : FINISH_MS);
}

/* --- time ------------------------------------------------------------------------------- */

/* Nothing is lost when it is sent home now. */
static bool idle(const struct session *s)
{
	return !s->busy && s->state == STATE_AUTH && !s->login && !s->name && s->greeted;
}

static void say_goodbye(struct session *s)
{
	reply_err(s, "SYS/TEMP", "%s is being restarted, connect again", conf.hostname);
	session_close(s, "restart");
}

/* Ends it where it stands, nothing more is said. */
static void end(struct session *s, const char *why)
{
	s->closing = true;
	s->why = s->why ? s->why : why;
	timer_clear(&s->timer);
	stream_close(s->stream);
}

static void tls_failed(struct session *s, const char *why)
{
	log_event(LOG_LV_INFO, s->sid, "tls-failed", LS("peer", stream_peer_ip(s->stream)),
		  LS("reason", why));
	stats.tls_failed++;
	end(s, "TLS failed");
}

static void on_timer(struct timer *t)
{
	struct session *s = list_entry(t, struct session, timer);
	if (stream_in_handshake(s->stream)) {
		tls_failed(s, "the handshake took too long");
		return;
	}
	if (s->busy) { /* the store has its own time-out */
		timer_set(t, BUSY_MS, on_timer);
		return;
	}
	if (daemon_draining() && idle(s)) {
		say_goodbye(s);
		return;
	}
	if (s->choked && !daemon_draining()) {
		/* It took nothing in all that time: its mailbox is not kept any longer. */
		end(s, "timeout");
		return;
	}
	if (s->greeted && !s->choked)
		reply_err(s, daemon_draining() ? "SYS/TEMP" : NULL, "%s",
			  "you were silent for too long");
	session_close(s, "timeout");
}

/* Before login all of it has one limit; afterwards each silence. */
static void touch(struct session *s)
{
	if (s->state != STATE_AUTH)
		timer_set(&s->timer, daemon_draining() ? DRAIN_MS : conf.idle_timeout, on_timer);
}

void session_enter(struct session *s, enum state state)
{
	s->state = (uint8_t)state;
	if (s->stream && !s->closing)
		touch(s);
}

/* --- input --------------------------------------------------------------------------------- */

static void bad_line(struct session *s, enum line_result r)
{
	reply_err(s, NULL, "%s received: lines end in CRLF only", line_why(r));
	session_close(s, "bad line");
}

/* Drops what is left of a line that was too long; answers at its end. */
static bool skip_line(struct session *s, struct slice in)
{
	bool ended;
	size_t n = line_skip(in, &ended);
	s->login_bytes += (uint32_t)n;
	stream_consume(s->stream, n);
	if (ended) {
		s->skipping = false;
		auth_free(s);
		cmd_wrong(s, "line too long");
	}
	return true;
}

static void run_line(struct session *s, struct slice line)
{
	struct slice word = slice_trim(line);
	bool secret = s->login || slice_istarts(word, "PASS") || slice_istarts(word, "AUTH");
	touch(s);
	if (s->state == STATE_AUTH)
		s->login_commands++;
	if (s->login)
		auth_line(s, line);
	else
		cmd_run(s, line);
	if (secret)
		explicit_bzero((void *)(uintptr_t)line.p, line.len);
}

static bool take_line(struct session *s, struct slice in)
{
	char copy[AUTH_MAX];
	struct slice line;
	size_t used;
	if (s->skipping)
		return skip_line(s, in);
	enum line_result r = line_next(in, AUTH_MAX, &line, &used);
	if (r == LINE_MORE)
		return false;
	if (r == LINE_LONG) {
		s->skipping = true;
		return true;
	}
	if (r != LINE_OK) {
		bad_line(s, r);
		return false;
	}
	/* The line's place in the stream may not outlive the first reply. */
	memcpy(copy, line.p, line.len);
	line.p = copy;
	s->login_bytes += (uint32_t)used;
	stream_consume(s->stream, used);
	run_line(s, line);
	return true;
}

/* Too many mistakes, or too much before the login: ends the session. */
static bool overdone(struct session *s)
{
	const char *why = NULL;
	if (s->errors > conf.max_errors)
		why = "too many errors";
	else if (s->state == STATE_AUTH && (s->login_commands > conf.max_login_commands ||
					    s->login_bytes > conf.max_login_bytes))
		why = "too much before the login";
	if (!why)
		return false;
	log_event(LOG_LV_WARN, s->sid, "overdone", LS("peer", stream_peer_ip(s->stream)),
		  LS("reason", why));
	reply_err(s, NULL, "%s", why);
	session_close(s, why);
	return true;
}

/* One step; false when nothing can be done now. */
static bool step(struct session *s)
{
	if (s->busy || s->choked || s->closing || !s->stream || !s->greeted)
		return false;
	if (s->box && s->box->t.out != OUT_NONE)
		return mailbox_output(s);
	if (overdone(s))
		return false;
	struct slice in = stream_data(s->stream);
	return in.len && take_line(s, in);
}

void session_pump(struct session *s)
{
	if (s->pumping)
		return;
	s->pumping = true;
	session_hold(s);
	while (step(s))
		;
	s->pumping = false;
	if (s->stream && !s->closing && s->eof && !s->busy && !s->choked)
		session_close(s, "closed by the client");
	session_drop(s);
}

/* --- the stream's calls ---------------------------------------------------------------------- */

static void on_data(struct stream *st, void *arg)
{
	(void)st;
	session_pump(arg);
}

static void on_end(struct stream *st, void *arg, enum stream_end why)
{
	struct session *s = arg;
	if (why == STREAM_EOF && !s->closing) {
		s->eof = true;
		session_pump(s);
		return;
	}
	if (why == STREAM_TLS_FAIL)
		tls_failed(s, stream_why(st));
	else
		end(s, "connection lost");
}

static void on_drain(struct stream *st, void *arg)
{
	struct session *s = arg;
	(void)st;
	s->choked = false;
	touch(s);
	session_pump(s);
}

static void greet(struct session *s)
{
	s->greeted = true;
	reply_ok(s, "%s hamlet POP3", conf.hostname);
}

static void on_tls(struct stream *st, void *arg)
{
	struct session *s = arg;
	(void)st;
	s->tls = true;
	s->busy = false;
	stats.tls++;
	if (!s->greeted)
		greet(s);
	session_pump(s);
}

static const struct stream_ops stream_ops = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_tls = on_tls,
    .on_close = on_close,
};

void session_starttls(struct session *s)
{
	/* What was said so far, anybody may have said (RFC 2595 section 4). */
	auth_free(s);
	s->utf8 = false;
	s->busy = true;
	stream_starttls(s->stream, uplink_tls(), NULL, false);
}

/* --- accepting ------------------------------------------------------------------------------ */

static void on_accept(int fd, const struct sockaddr *peer, const struct sockaddr *local,
		      const struct listen_spec *spec)
{
	static const struct stream_conf sc = {.read_max = READ_MAX};
	const struct service *service = spec->arg;
	struct session *s = mem_alloc(sizeof(*s));
	s->spec = spec;
	s->refs = 1;
	s->state = STATE_AUTH;
	s->began = clock_mono();
	s->stream = stream_new(fd, &sc, &stream_ops, s);
	if (!s->stream) {
		listen_done(spec, daemon_limits(), peer);
		close(fd);
		free(s);
		return;
	}
	stream_set_addrs(s->stream, peer, local);
	s->loopback = stream_loopback(s->stream);
	id_new(s->sid);
	list_add_tail(&sessions, &s->link);
	stats.sessions++;
	stats.connections++;
	timer_set(&s->timer, conf.login_timeout, on_timer);
	if (log_wants(LOG_LV_DEBUG))
		log_event(LOG_LV_DEBUG, s->sid, "connected", LS("peer", stream_peer_ip(s->stream)),
			  LS("listener", spec->name));
	if (service->tls)
		stream_starttls(s->stream, uplink_tls(), NULL, false);
	else
		greet(s);
}

static void on_refuse(int fd, const struct listen_spec *spec, const char *why)
{
	char text[256];
	const struct service *service = spec->arg;
	if (service->tls)
		return; /* a plain line would only be taken for a broken handshake */
	str_fmt(text, sizeof(text), "-ERR [SYS/TEMP] %s\r\n", why);
	(void)!send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

const struct listen_ops session_listen_ops = {.on_accept = on_accept, .on_refuse = on_refuse};

/* Whoever has a mailbox open may go on, but not rest; whoever has just come may log in. */
void session_drain(void)
{
	list_each_safe(it, nx, &sessions)
	{
		struct session *s = list_entry(it, struct session, link);
		if (s->closing && stream_queued(s->stream) == 0)
			stream_timeout(s->stream, LEAVE_MS);
		else if (s->closing)
			continue;
		else
			timer_set(&s->timer, idle(s) ? FRESH_MS : DRAIN_MS, on_timer);
	}
	drained();
}
