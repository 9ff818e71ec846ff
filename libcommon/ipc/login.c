#include "libcommon/ipc/login.h"
#include <stdlib.h>
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"

struct login {
	struct login **at; /* NULL: the session is gone, an answer is to come */
	struct login_from from;
	const struct login_ops *ops;
	void *arg;
	const char *mech;
	struct slice initial; /* owned; until the store's first answer */
	uint64_t id;          /* the store's, while the client is to answer; else 0 */
	bool mute, has_initial, starting, repeated, asked;
	/* The store had something to say with its success (SCRAM's proof): it was sent as a
	 * challenge, and the empty response to it is awaited. */
	struct login_user *user;
};

static void ask_start(struct login *l);

/* --- users and mechanisms ---------------------------------------------------------------- */

void login_user_free(struct login_user **at)
{
	struct login_user *u = *at;
	if (!u)
		return;
	*at = NULL;
	mem_wipe((void *)(uintptr_t)u->grant.p, u->grant.len);
	free(u->address);
	free(u);
}

struct login_user *login_user_new(const struct msg_auth_ok *m, const char *mech)
{
	struct login_user *u = mem_alloc(sizeof(*u));
	u->grant =
	    (struct slice){mem_strndup(m->grant.len ? m->grant.p : "", m->grant.len), m->grant.len};
	u->account = m->account;
	u->address = mem_strndup(m->address.p, m->address.len);
	u->mech = mech;
	u->login_delay_ms = m->login_delay_ms;
	u->expire_ms = m->expire_ms;
	return u;
}

const char *const *login_mechs(bool tls)
{
	static const char *const ALL[] = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN",
					  NULL};
	return tls ? ALL : ALL + 1;
}

const char *login_mech(bool tls, struct slice name)
{
	for (const char *const *m = login_mechs(tls); *m; m++)
		if (slice_ieqs(name, *m))
			return *m;
	return NULL;
}

bool login_wrong(enum ipc_err e)
{
	return e == ERR_AUTH || e == ERR_DENIED || e == ERR_NOTFOUND || e == ERR_BAD;
}

/* --- life -------------------------------------------------------------------------------- */

static void ignore(void *arg, enum msg_type t, const void *msg)
{
	(void)arg;
	(void)t;
	(void)msg;
}

static void cancel(uint64_t id)
{
	struct msg_auth_step m = {.auth = id, .cancel = 1, .response = {"", 0}};
	uplink_call(MSG_auth_step, &m, ignore, NULL);
}

static void forget_initial(struct login *l)
{
	if (l->initial.p)
		mem_wipe((void *)(uintptr_t)l->initial.p, l->initial.len);
	l->initial.p = NULL;
}

void login_free(struct login **at)
{
	struct login *l = *at;
	if (!l)
		return;
	*at = NULL;
	if (l->id)
		cancel(l->id);
	login_user_free(&l->user);
	forget_initial(l);
	if (l->asked)
		l->at = NULL; /* the answer frees it */
	else
		free(l);
}

/* --- the store's answers ----------------------------------------------------------------- */

static void send_challenge(struct login *l, struct slice c)
{
	char *text = mem_alloc(4 * ((c.len + 2) / 3) + 1);
	size_t n = str_base64(text, c.p, c.len);
	l->ops->challenge(l->arg, text);
	mem_wipe(text, n);
}

static void failed(struct login *l, enum ipc_err e, struct slice text)
{
	const struct login_ops *ops = l->ops;
	void *arg = l->arg;
	log_event(LOG_LV_WARN, l->from.sid, "login-failed", LS("user", l->from.user),
		  LS("peer", l->from.peer), LS("mech", l->mech), LS("error", ipc_err_name(e)),
		  LSL("reason", text));
	login_free(l->at);
	ops->failed(arg, e, text);
}

static void granted(struct login *l, struct login_user *u)
{
	const struct login_ops *ops = l->ops;
	void *arg = l->arg;
	login_free(l->at);
	ops->granted(arg, u);
}

static void more(struct login *l, const struct msg_auth_more *m)
{
	l->id = m->auth;
	if (l->mute) /* PLAIN with all it needs asked for more */
		failed(l, ERR_TEMP, (struct slice){"", 0});
	else
		send_challenge(l, m->challenge);
}

static void ok(struct login *l, const struct msg_auth_ok *m)
{
	struct login_user *u = login_user_new(m, l->mech);
	if (!m->final.len || l->mute) {
		granted(l, u);
		return;
	}
	l->user = u;
	send_challenge(l, m->final);
}

/* Nobody is there any more. */
static void unheard(struct login *l, enum msg_type t, const struct msg_auth_more *m)
{
	if (t == MSG_auth_more)
		cancel(m->auth);
	free(l);
}

static void on_answer(void *arg, enum msg_type t, const void *msg)
{
	struct login *l = arg;
	const struct login_ops *ops = l->ops;
	void *owner = l->arg;
	struct slice text = {"", 0};
	enum ipc_err e = peer_error(t, msg, &text);
	l->asked = false;
	if (!l->at) {
		unheard(l, t, msg);
		return;
	}
	if (e == ERR_LOST && l->starting && !l->repeated) {
		l->repeated = true;
		++*ops->retries;
		ask_start(l); /* in the queue for the new store; the owner waits already */
		return;
	}
	l->starting = false;
	forget_initial(l);
	ops->wait(owner, false);
	if (t == MSG_auth_more)
		more(l, msg);
	else if (t == MSG_auth_ok)
		ok(l, msg);
	else
		failed(l, e == ERR_OK ? ERR_TEMP : e, text);
	ops->go_on(owner);
}

/* --- questions --------------------------------------------------------------------------- */

/* The queue to the store is full: told from the loop, as every answer is. */
static void on_full(void *arg)
{
	struct msg_error busy = {.code = ERR_TEMP, .text = {"", 0}};
	on_answer(arg, MSG_error, &busy);
}

static void ask(struct login *l, enum msg_type t, const void *msg)
{
	l->asked = true;
	if (!uplink_call(t, msg, on_answer, l))
		loop_defer(on_full, l);
}

static void ask_start(struct login *l)
{
	const struct login_from *f = &l->from;
	unsigned char cb[64];
	const char *cb_type = "";
	size_t cb_len = f->tls ? stream_binding(f->stream, cb, &cb_type) : 0;
	struct msg_auth_start m = {
	    .sid = slice_of(f->sid),
	    .mech = slice_of(l->mech),
	    .has_initial = l->has_initial,
	    .initial = l->initial,
	    .service = slice_of(l->ops->service),
	    .peer = slice_of(f->peer),
	    .tls = login_private(f->tls, f->loopback),
	    .cb_type = slice_of(cb_type),
	    .cb_data = {(const char *)cb, cb_len},
	};
	ask(l, MSG_auth_start, &m);
}

void login_start(struct login **at, const struct login_from *from, const struct login_ops *ops,
		 void *arg, const char *mech, struct slice initial, bool mute)
{
	struct login *l = mem_alloc(sizeof(*l));
	l->at = at;
	l->from = *from;
	l->ops = ops;
	l->arg = arg;
	l->mech = mech;
	l->mute = mute;
	l->has_initial = initial.p != NULL;
	l->initial =
	    (struct slice){mem_strndup(initial.p ? initial.p : "", initial.len), initial.len};
	l->starting = true;
	*at = l;
	ops->wait(arg, true);
	ask_start(l);
}

/* --- the client's lines ------------------------------------------------------------------ */

bool login_decode(struct slice line, bool initial, char *out, size_t *len)
{
	long n = initial && slice_eqs(line, "=") ? 0 : str_base64_decode(out, line);
	*len = n < 0 ? 0 : (size_t)n;
	return n >= 0;
}

static enum login_step over(struct login **at, enum login_step why)
{
	login_free(at);
	return why;
}

/* The response to what came with the success. */
static enum login_step last(struct login *l, bool empty)
{
	struct login_user *u = l->user;
	if (!empty)
		return over(l->at, LOGIN_NOT_EMPTY);
	l->user = NULL;
	granted(l, u);
	return LOGIN_GRANTED;
}

enum login_step login_line(struct login **at, struct slice line)
{
	struct login *l = *at;
	size_t len;
	if (slice_eqs(line, "*"))
		return over(at, LOGIN_CANCELLED);
	char *bytes = mem_alloc(line.len + 1);
	bool good = login_decode(line, false, bytes, &len);
	enum login_step r = LOGIN_WAIT;
	if (!good) {
		r = over(at, LOGIN_MALFORMED);
	} else if (l->user) {
		r = last(l, len == 0);
	} else {
		struct msg_auth_step m = {.auth = l->id, .response = {bytes, len}};
		l->id = 0;
		l->ops->wait(l->arg, true);
		ask(l, MSG_auth_step, &m);
	}
	mem_wipe(bytes, line.len + 1);
	return r;
}
