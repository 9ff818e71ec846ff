/* A session, from accept to the last reference. It alone changes its state.
 *
 * Input is taken from the stream by pump(), one step at a time, by what is expected:
 * a command, a line of AUTH, message octets, a chunk. pump() stops while the store is asked
 * (busy, or answers to come and the next command may not overtake them), while the peer does not
 * read its replies (choked), and at the end. Whatever ends a wait calls pump() again.
 *
 * The stream holds one reference and each question to the store one: a message whose sender
 * went away in the wrong moment is still stored and logged. */
#include "smtpd/smtpd.h"
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/daemon.h"
#include "libcommon/net/line.h"

enum { FINISH_MS = 10000, FRESH_MS = 3000, REFUSE_MAX = 256 };

static struct list sessions = {&sessions, &sessions};
static const struct stream_ops stream_ops;

static void pump(struct session *s);

/* --- life ------------------------------------------------------------------------------- */

static void txn_free(struct session *s)
{
	struct txn *t = s->txn;
	if (!t)
		return;
	s->txn = NULL;
	if (t->receiving)
		data_free(&t->data);
	buf_free(&t->meta);
	struct pool *pool = t->pool; /* t itself lives there */
	pool_free(&pool);
}

void session_hold(struct session *s)
{
	s->refs++;
}

void session_drop(struct session *s)
{
	if (--s->refs)
		return;
	txn_free(s);
	login_user_free(&s->user);
	local_user_free(&s->local);
	free(s->helo);
	free(s);
}

static void (*on_drained)(void);

/* Daemon-wide: the last session of a draining process says so. */
static void drained(void)
{
	void (*done)(void) = on_drained;
	if (!done || !list_empty(&sessions))
		return;
	on_drained = NULL;
	done();
}

static void on_close(void *arg)
{
	struct session *s = arg;
	listen_done(s->spec, daemon_limits(), stream_peer(s->stream));
	s->stream = NULL;
	timer_clear(&s->timer);
	login_free(&s->login);
	list_del(&s->link);
	stats.sessions--;
	if (log_wants(LOG_LV_DEBUG))
		log_event(LOG_LV_DEBUG, s->sid, "closed", LS("peer", s->ip));
	session_drop(s);
	drained();
}

void session_close(struct session *s)
{
	if (s->closing || !s->stream)
		return;
	s->closing = true;
	timer_clear(&s->timer);
	stream_finish(s->stream, FINISH_MS);
}

static bool answers_pending(const struct session *s)
{
	return s->txn && s->txn->pending;
}

/* Behind the refusal of a flood of recipients nothing is read: its slots would pile up. */
static bool flooded(const struct session *s)
{
	return answers_pending(s) && s->txn->asked_rcpts > 2 * conf.max_recipients;
}

static bool in_message(const struct session *s)
{
	return s->input == INPUT_DATA || s->input == INPUT_CHUNK;
}

/* Milliseconds that the client still has; 0: none. Inside a message a pause has its limit, and so
 * has the whole, or a byte now and then could hold a session for ever. */
static uint64_t time_left(const struct session *s)
{
	uint64_t now = clock_mono(), until = s->message_until;
	if (!in_message(s))
		return 0;
	if (s->last_input + conf.data_timeout < until)
		until = s->last_input + conf.data_timeout;
	return until > now ? until - now : 0;
}

/* Nothing of the peer's is under way: it may be sent home. */
static bool idle(const struct session *s)
{
	return !s->busy && !s->txn && !s->login && s->input == INPUT_COMMAND;
}

static void say_goodbye(struct session *s)
{
	reply(s, 421, "4.3.2", "%s is being restarted, connect again", conf.hostname);
	session_close(s);
}

/* Nothing can be said to the client: it would be taken for a broken handshake. */
static void tls_failed(struct session *s, const char *why)
{
	log_event(LOG_LV_INFO, s->sid, "tls-failed", LS("peer", s->ip), LS("reason", why));
	stats.tls_failed++;
	s->closing = true;
	stream_close(s->stream);
}

static void on_timer(struct timer *t)
{
	struct session *s = list_entry(t, struct session, timer);
	if (stream_in_handshake(s->stream)) {
		tls_failed(s, "the handshake took too long");
		return;
	}
	bool waits = s->busy || answers_pending(s); /* the store has its own time-out */
	uint64_t left = waits ? conf.command_timeout : time_left(s);
	if (left) {
		timer_set(t, left, on_timer);
		return;
	}
	if (daemon_draining() && idle(s)) {
		say_goodbye(s);
		return;
	}
	log_event(LOG_LV_INFO, s->txn ? s->txn->id : s->sid, "timeout", LS("peer", s->ip));
	reply(s, 421, "4.4.2", "%s you were silent for too long", conf.hostname);
	session_close(s);
}

/* --- transactions and answers -------------------------------------------------------------- */

struct txn *session_begin(struct session *s)
{
	txn_free(s);
	struct pool *pool = pool_new(0);
	struct txn *t = pool_alloc(pool, sizeof(*t));
	t->pool = pool;
	t->tail = &t->head;
	id_new(t->id);
	s->txn = t;
	return t;
}

void session_reset(struct session *s)
{
	txn_free(s);
	session_input(s, INPUT_COMMAND);
}

struct slot *session_slot(struct session *s, bool is_rcpt)
{
	struct txn *t = s->txn;
	struct slot *slot = pool_alloc(t->pool, sizeof(*slot));
	slot->s = s;
	slot->is_rcpt = is_rcpt;
	t->asked_rcpts += is_rcpt;
	t->pending_rcpts += is_rcpt;
	*t->tail = slot;
	t->tail = &slot->next;
	t->pending++;
	return slot;
}

static void accept_rcpt(struct txn *t, const struct rcpt *r)
{
	t->rcpt = pool_grow(t->pool, t->rcpt, t->rcpt_n, &t->rcpt_cap, sizeof(*t->rcpt));
	t->rcpt[t->rcpt_n++] = *r;
}

/* Sends one answer and lets it have its effect. */
static void give_answer(struct session *s, struct slot *slot)
{
	static const struct reply NO_MAIL = {503, "5.5.1", "MAIL first: it was refused"};
	struct txn *t = s->txn;
	bool refused = t->refused && slot->is_rcpt;
	const struct reply *r = refused ? &NO_MAIL : &slot->r;
	bool good = r->code < 400;
	reply_send(s, r);
	if (good && slot->is_rcpt)
		accept_rcpt(t, &slot->rcpt);
	if (good || refused)
		return;
	log_refused(s, slot->is_rcpt ? "rcpt" : "mail", slot->rcpt.given, r);
	if (!slot->is_rcpt)
		t->refused = true;
	if (r->code == 421)
		session_close(s);
}

void session_answer(struct slot *slot, const struct reply *r)
{
	struct session *s = slot->s;
	struct txn *t = s->txn;
	slot->r = *r;
	slot->done = true;
	if (t->head != slot)
		return;
	while (t->head && t->head->done) {
		t->pending_rcpts -= t->head->is_rcpt;
		give_answer(s, t->head);
		t->head = t->head->next;
		t->pending--;
	}
	if (!t->head)
		t->tail = &t->head;
	if (t->refused && !t->pending)
		txn_free(s);
	pump(s);
}

/* --- state changes for the commands ---------------------------------------------------------- */

void session_hello(struct session *s, struct slice name, bool esmtp)
{
	session_reset(s);
	free(s->helo);
	s->helo = mem_strndup(name.p, name.len);
	s->esmtp = esmtp;
}

void session_input(struct session *s, enum input in)
{
	bool was = in_message(s);
	s->input = in;
	if (!s->stream || s->closing || in_message(s) == was)
		return;
	if (!was) {
		s->last_input = clock_mono();
		s->message_until = s->last_input + conf.message_timeout;
	}
	timer_set(&s->timer, was ? conf.command_timeout : time_left(s), on_timer);
}

void session_wait(struct session *s)
{
	s->busy++;
}

void session_go_on(struct session *s)
{
	s->busy--;
	pump(s);
}

void session_set_user(struct session *s, struct login_user *u)
{
	login_user_free(&s->user);
	s->user = u;
}

void session_starttls(struct session *s)
{
	/* What was said so far, anybody may have said (RFC 3207 4.2). */
	session_reset(s);
	login_user_free(&s->user);
	free(s->helo);
	s->helo = NULL;
	s->esmtp = false;
	stream_starttls(s->stream, uplink_tls(), NULL, false);
}

/* --- input --------------------------------------------------------------------------------- */

static void bad_line(struct session *s, enum line_result r)
{
	reply(s, 500, "5.5.2", "%s received: lines end in CRLF only", line_why(r));
	log_event(LOG_LV_WARN, s->sid, "bad-line", LS("peer", s->ip), LS("reason", line_why(r)));
	session_close(s);
}

/* Drops what is left of a line that was too long; answers at its end. */
static bool skip_line(struct session *s, struct slice in)
{
	bool ended;
	stream_consume(s->stream, line_skip(in, &ended));
	if (!ended)
		return true;
	s->skipping = false;
	reply(s, 500, "5.5.2", "line too long");
	login_free(&s->login);
	return true;
}

static void run_line(struct session *s, struct slice line)
{
	timer_set(&s->timer, conf.command_timeout, on_timer);
	enum cmd_result r = s->login ? cmd_auth_line(s, line) : cmd_run(s, line);
	if (r == CMD_CLOSE)
		session_close(s);
}

static bool take_line(struct session *s, struct slice in)
{
	char copy[AUTH_MAX];
	struct slice line;
	size_t used;
	if (s->skipping)
		return skip_line(s, in);
	enum line_result r = line_next(in, AUTH_MAX, &line, &used);
	/* Only some commands may be looked at while answers are to come; mistakes may not. */
	if (r == LINE_MORE || (answers_pending(s) && (r != LINE_OK || !cmd_pipes(line))))
		return false;
	if (r == LINE_LONG) {
		stream_consume(s->stream, used);
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
	stream_consume(s->stream, used);
	bool secret = s->login || slice_istarts(line, "AUTH");
	run_line(s, line);
	if (secret)
		explicit_bzero(copy, line.len);
	return true;
}

/* Too many mistakes, or commands that lead nowhere: ends the session. */
static bool overdone(struct session *s)
{
	if (answers_pending(s))
		return false;
	if (s->errors <= conf.max_errors && s->idle_commands <= conf.max_idle_commands)
		return false;
	log_event(LOG_LV_WARN, s->sid, "too-many-errors", LS("peer", s->ip));
	reply(s, 421, "4.7.0", "%s too many errors", conf.hostname);
	session_close(s);
	return true;
}

/* One step; false when nothing can be done now. */
static bool step(struct session *s)
{
	if (s->busy || s->choked || s->closing || !s->stream || !s->greeted || flooded(s) ||
	    overdone(s))
		return false;
	struct slice in = stream_data(s->stream);
	if (!in.len)
		return false;
	if (!in_message(s))
		return take_line(s, in);
	s->last_input = clock_mono();
	size_t n = s->input == INPUT_DATA ? data_input(s, in) : chunk_input(s, in);
	if (s->stream)
		stream_consume(s->stream, n);
	return true;
}

/* Between two transactions a session can end; one that has had none yet has come in vain then, so
 * it may begin, if it does so soon. */
static void drain(struct session *s)
{
	if (s->closing || !s->greeted || !idle(s))
		return;
	if (s->messages)
		say_goodbye(s);
	else
		timer_set(&s->timer, FRESH_MS, on_timer);
}

static void pump(struct session *s)
{
	if (s->pumping)
		return;
	s->pumping = true;
	session_hold(s);
	while (step(s))
		;
	s->pumping = false;
	if (s->stream && !s->closing) {
		bool waits = s->busy || s->choked || answers_pending(s);
		if (s->eof && !waits)
			session_close(s);
		else if (daemon_draining())
			drain(s);
	}
	session_drop(s);
}

/* --- the stream's calls ---------------------------------------------------------------------- */

static void early_talker(struct session *s)
{
	log_event(LOG_LV_WARN, s->sid, "early-talker", LS("peer", s->ip));
	reply(s, 554, "5.5.1", "%s you spoke before the banner", conf.hostname);
	session_close(s);
}

static void on_data(struct stream *st, void *arg)
{
	struct session *s = arg;
	(void)st;
	if (s->greeted)
		pump(s);
	else if (!s->service->tls && !s->local) /* a local one may wait for its grant */
		early_talker(s);
}

static void on_end(struct stream *st, void *arg, enum stream_end why)
{
	struct session *s = arg;
	if (why == STREAM_EOF && !s->closing) {
		s->eof = true;
		pump(s);
		return;
	}
	if (why == STREAM_TLS_FAIL) {
		tls_failed(s, stream_why(st));
		return;
	}
	s->closing = true;
	stream_close(st);
}

static void on_drain(struct stream *st, void *arg)
{
	struct session *s = arg;
	(void)st;
	s->choked = false;
	pump(s);
}

static void greet(struct session *s)
{
	s->greeted = true;
	reply(s, 220, NULL, "%s %s hamlet", conf.hostname, s->service->lmtp ? "LMTP" : "ESMTP");
	timer_set(&s->timer, daemon_draining() ? FRESH_MS : conf.command_timeout, on_timer);
}

static void on_tls(struct stream *st, void *arg)
{
	struct session *s = arg;
	(void)st;
	s->tls = true;
	stats.tls++;
	if (!s->greeted)
		greet(s);
}

void session_local(struct session *s, struct login_user *u, const struct reply *no)
{
	session_set_user(s, u);
	if (s->stream && !s->closing && u) {
		greet(s);
	} else if (!u) {
		reply_send(s, no);
		session_close(s);
	}
	session_go_on(s);
}

static const struct stream_ops stream_ops = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_tls = on_tls,
    .on_close = on_close,
};

/* --- accepting ------------------------------------------------------------------------------ */

static void on_banner_due(struct timer *t)
{
	greet(list_entry(t, struct session, timer));
}

/* Bytes that came before the banner: in the socket, since nothing was read yet. */
static bool spoke_early(int fd)
{
	char c;
	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void start(struct session *s)
{
	bool checks = !s->service->submission && !s->service->lmtp && !s->local &&
		      conf.early_talkers == EARLY_REFUSE;
	if (s->local) {
		session_wait(s);
		backend_local(s);
	} else if (s->service->tls) {
		stream_starttls(s->stream, uplink_tls(), NULL, false);
		timer_set(&s->timer, conf.command_timeout, on_timer);
	} else if (checks && spoke_early(stream_fd(s->stream))) {
		early_talker(s);
	} else if (checks && conf.banner_delay) {
		timer_set(&s->timer, conf.banner_delay, on_banner_due);
	} else {
		greet(s);
	}
}

static void on_accept(int fd, const struct sockaddr *peer, const struct sockaddr *local,
		      const struct listen_spec *spec)
{
	struct session *s = mem_alloc(sizeof(*s));
	s->spec = spec;
	s->service = spec->arg;
	s->refs = 1;
	s->stream = stream_new(fd, NULL, &stream_ops, s);
	if (!s->stream) {
		listen_done(spec, daemon_limits(), peer);
		close(fd);
		free(s);
		return;
	}
	stream_set_addrs(s->stream, peer, local);
	s->loopback = stream_loopback(s->stream);
	str_fmt(s->ip, sizeof(s->ip), "%s", stream_peer_ip(s->stream));
	if (s->service->local) {
		const void *user = peer; /* of a Unix socket: see listen.h */
		s->local = local_user_new(((const struct sockaddr_local *)user)->uid);
	}
	id_new(s->sid);
	list_add_tail(&sessions, &s->link);
	stats.sessions++;
	stats.connections++;
	if (log_wants(LOG_LV_DEBUG))
		log_event(LOG_LV_DEBUG, s->sid, "connected", LS("peer", s->ip),
			  LS("listener", spec->name));
	start(s);
}

static void on_refuse(int fd, const struct listen_spec *spec, const char *why)
{
	char text[REFUSE_MAX];
	const struct service *sv = spec->arg;
	if (sv->tls)
		return; /* a plain line would only be taken for a broken handshake */
	str_fmt(text, sizeof(text), "421 4.7.0 %s %s\r\n", conf.hostname, why);
	(void)!send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

const struct listen_ops session_listen_ops = {.on_accept = on_accept, .on_refuse = on_refuse};

void session_drain(void (*done)(void))
{
	on_drained = done;
	list_each_safe(it, nx, &sessions) drain(list_entry(it, struct session, link));
	drained();
}
