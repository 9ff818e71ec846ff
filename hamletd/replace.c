/* The steps of opening, starting and replacing a service:
 *
 *   -L: what it listens on -> -nn: is its configuration good -> bind what is new (waiting for an
 *   address that a predecessor still holds) -> then, process by process:
 *     overlap:    start the new one, wait until it is ready, let the old one drain
 *     stop-first: let the old one end, start the new one, wait until it is ready
 *
 * Until the first new process is ready (stop-first: until the first old one is told to end) any
 * mistake leaves everything as it was. */
#include "hamletd/hamletd.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"

enum { BIND_AGAIN_MS = 100 };

static void replace_next(struct service *s);

/* The last line on stderr says best what is wrong; a log line's head is cut off. */
static const char *probe_error(struct pool *pool, const char *what, int status, struct buf *err)
{
	struct slice text = buf_slice(err), line, all = {NULL, 0};
	char *out;
	while (text.len) {
		line = slice_cut(&text, '\n');
		lines_log(line, &line);
		if (!line.len)
			continue;
		all = slice_of(pool_printf(pool, "%.*s%s%.*s", SLICE_FMT(all), all.len ? "; " : "",
					   SLICE_FMT(line)));
		if (all.len > 400)
			break;
	}
	if (!all.len)
		return pool_printf(pool, "%s: ended with status %d", what,
				   WIFEXITED(status) ? WEXITSTATUS(status)
						     : 128 + WTERMSIG(status));
	out = pool_printf(pool, "%.*s", all.len > 500 ? 500 : (int)all.len, all.p);
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < 32 || *c == 127)
			*c = '?';
	return out;
}

/* Changes with the configuration as the daemon understands it and with its binary. */
static uint64_t fingerprint(const struct conf_daemon *d, const struct buf *dump)
{
	struct stat st;
	uint64_t v[5] = {map_hash(dump->p, dump->len)};
	if (stat(d->binary, &st) == 0) {
		v[1] = (uint64_t)st.st_ino;
		v[2] = (uint64_t)st.st_size;
		v[3] = (uint64_t)st.st_mtim.tv_sec;
		v[4] = (uint64_t)st.st_mtim.tv_nsec;
	}
	return map_hash(v, sizeof(v));
}

/* A socket that is not there cannot be mounted into the jail. */
static void note_missed(struct service *s)
{
	s->missed = false;
	for (const struct jail_path *p = s->sockets->connect; p->path; p++) {
		if (access(p->path, F_OK) == 0)
			continue;
		s->missed = true;
		log_event(LOG_LV_WARN, NULL, "socket-missing", LS("instance", s->conf->name),
			  LS("path", p->path));
	}
}

void service_adopt(struct service *s)
{
	struct hamlet_conf *suite = s->suite;
	struct sockets *old = s->sockets;
	s->sockets = s->op.sockets;
	s->op.sockets = NULL;
	s->suite = s->op.suite;
	s->op.suite = NULL;
	s->conf = s->op.conf;
	s->print = s->op.print;
	s->opened = true;
	sockets_drop(&old, s->sockets);
	/* Whatever is started from now on, in whichever slot, is of the new kind. */
	for (int i = 0; i < LIMITS_PROCS; i++) {
		struct worker *w[2] = {s->slot[i].now, s->slot[i].next};
		for (int k = 0; k < 2; k++) {
			if (w[k]) {
				w[k]->sockets = s->sockets;
				w[k]->conf = s->conf;
			}
		}
	}
	list_each(it, &s->old)
	{
		struct worker *w = list_entry(it, struct worker, link);
		w->sockets = s->sockets;
		w->conf = s->conf;
	}
	conf_unref(&suite);
}

static void opened(struct service *s)
{
	service_done *done = s->op.done;
	void *arg = s->op.arg;
	if (s->op.op == OP_OPEN) {
		service_adopt(s);
		service_finish(s, NULL);
	} else if (!service_runs(s)) {
		service_adopt(s);
		note_missed(s);
		s->op.done = NULL;
		service_finish(s, NULL);
		service_start(s, done, arg);
	} else {
		s->op.at = 0;
		if (s->op.conf->replace == REPLACE_STOP_FIRST)
			service_adopt(s);
		replace_next(s);
	}
}

static void bind_try(struct timer *t)
{
	struct operation *op = list_entry(t, struct operation, bind_timer);
	struct service *s = list_entry(op, struct service, op);
	const struct socket *which = NULL;
	int err = sockets_bind(op->sockets, op->suite, op->conf, &which);
	if (err == EADDRINUSE && clock_mono() < op->bind_until) {
		timer_set(t, BIND_AGAIN_MS, bind_try);
		return;
	}
	if (err) {
		str_fmt(op->why, sizeof(op->why), "%s %s: %s", which->name, which->addr.text,
			strerror(err));
		service_finish(s, op->why);
		return;
	}
	opened(s);
}

static void on_checked(void *arg, int status, struct buf *out, struct buf *err)
{
	struct service *s = arg;
	s->op.probe = NULL;
	if (status != 0) {
		struct pool *pool = pool_new(0);
		service_finish(s, probe_error(pool, "checking the configuration", status, err));
		pool_free(&pool);
		return;
	}
	s->op.print = fingerprint(s->op.conf, out);
	if (s->op.only_if_changed && s->op.print == s->print &&
	    conf_daemon_same(s->conf, s->op.conf)) {
		/* Time-outs may be new. The sockets are the same, or the answer would differ. */
		service_adopt(s);
		service_finish(s, NULL);
		return;
	}
	s->op.bind_until = clock_mono() + s->op.suite->start_timeout;
	bind_try(&s->op.bind_timer);
}

static void check(struct service *s)
{
	struct pool *pool = pool_new(0);
	struct jail jail = service_jail(pool, s->op.suite, s->op.conf, s->op.sockets);
	s->op.probe = probe_start(s->op.conf, "-nn", &jail, on_checked, s);
	pool_free(&pool);
}

static void on_listed(void *arg, int status, struct buf *out, struct buf *err)
{
	struct service *s = arg;
	struct pool *pool = pool_new(0);
	struct list_lines *lines = pool_alloc(pool, sizeof(*lines));
	const char *why = NULL;
	s->op.probe = NULL;
	if (status != 0)
		why = probe_error(pool, "asking for its listeners", status, err);
	else if (lines_list(pool, buf_slice(out), lines, &why))
		s->op.sockets = sockets_new(lines, (unsigned)s->op.conf->processes, s->sockets);
	if (s->op.sockets)
		check(s);
	else
		service_finish(s, why);
	pool_free(&pool);
}

void replace_begin(struct service *s)
{
	struct pool *pool = pool_new(0);
	struct jail jail = service_jail(pool, s->op.suite, s->op.conf, NULL);
	s->op.probe = probe_start(s->op.conf, "-L", &jail, on_listed, s);
	pool_free(&pool);
}

/* All slots have new processes: what is left are those of slots that are not there any more. */
static void replaced(struct service *s)
{
	if (s->op.sockets)
		service_adopt(s);
	note_missed(s);
	for (unsigned i = (unsigned)s->conf->processes; i < LIMITS_PROCS; i++)
		service_retire(s, &s->slot[i].now);
	service_finish(s, NULL);
}

static bool old_has(const struct service *s, unsigned index)
{
	list_each(it, &s->old) if (list_entry(it, struct worker, link)->index == index) return true;
	return false;
}

/* stop-first: the slot's old process is gone. */
static void start_in_place(struct service *s)
{
	struct slot *slot = &s->slot[s->op.at];
	s->op.waiting = false;
	s->op.pending = UINT64_C(1) << s->op.at;
	slot->now = worker_new(s, s->op.at, s->conf, s->sockets);
	worker_event(slot->now, EV_START);
}

static void replace_next(struct service *s)
{
	unsigned i = s->op.at;
	struct slot *slot = &s->slot[i];
	if (i >= s->op.conf->processes) {
		replaced(s);
	} else if (s->op.conf->replace == REPLACE_STOP_FIRST) {
		s->op.waiting = true;
		service_retire(s, &slot->now);
		/* When it is gone at once, replace_worker_gone has gone on already. */
		if (s->op.waiting && !old_has(s, i))
			start_in_place(s);
	} else {
		slot->next = worker_new(s, i, s->op.conf, s->op.sockets);
		worker_event(slot->next, EV_TRY);
	}
}

void replace_worker_up(struct worker *w)
{
	struct service *s = w->svc;
	struct slot *slot = &s->slot[w->index];
	if (slot->next == w) {
		struct worker *old = slot->now;
		slot->now = w;
		slot->next = NULL;
		if (old)
			old->ctl_named = false; /* the name is the new one's */
		service_retire(s, &old);
	} else if (!(s->op.pending & UINT64_C(1) << w->index)) {
		return; /* the old one was restarted meanwhile */
	}
	s->op.pending = 0;
	s->op.at++;
	replace_next(s);
}

/* More processes than before were wanted, and not all were reached. */
static void start_missing(struct service *s)
{
	for (unsigned i = 0; i < s->conf->processes; i++) {
		if (s->slot[i].now)
			continue;
		s->slot[i].now = worker_new(s, i, s->conf, s->sockets);
		worker_event(s->slot[i].now, EV_START);
	}
}

void replace_worker_failed(struct worker *w)
{
	struct service *s = w->svc;
	struct slot *slot = &s->slot[w->index];
	bool trial = slot->next == w;
	if (!trial && !(s->op.pending & UINT64_C(1) << w->index))
		return;
	str_fmt(s->op.why, sizeof(s->op.why), "process %u: %s", w->index, w->why);
	if (trial) {
		slot->next = NULL;
		list_add_tail(&s->old, &w->link); /* it may have to be killed first */
		/* Some are of the new kind already: the others become so when they are restarted.
		 */
		if (s->op.at > 0) {
			service_adopt(s);
			start_missing(s);
		} else {
			w->sockets = s->sockets;
			w->conf = s->conf;
		}
	}
	service_finish(s, s->op.why);
}

void replace_worker_gone(struct service *s)
{
	if (s->op.waiting && !old_has(s, s->op.at))
		start_in_place(s);
}
