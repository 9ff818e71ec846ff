/* One instance of a program: its sockets and its N processes. The operations on it (open, start,
 * replace, stop) go on one at a time; their steps are in replace.c. */
#include "hamletd/hamletd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

enum { LIMITS_SLOTS = 65536, RETRY_MIN_MS = 1000, RETRY_MAX_MS = 30000 };

/* Counters per client address, shared by the processes and kept over restarts. None of them may
 * shrink it: the others would crash. */
static int limits_new(void)
{
	int fd = memfd_create("hamlet-limits", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)limits_size(LIMITS_SLOTS)) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		log_event(LOG_LV_ERROR, NULL, "limits-failed", LS("reason", strerror(errno)));
	return fd;
}

struct service *service_new(struct hamlet_conf *suite, const struct conf_daemon *conf)
{
	struct service *s = mem_alloc(sizeof(*s));
	list_init(&s->link);
	list_init(&s->old);
	s->suite = conf_ref(suite);
	s->conf = conf;
	s->wanted = true;
	s->limits_fd = limits_new();
	return s;
}

void service_free(struct service **ps)
{
	struct service *s = *ps;
	*ps = NULL;
	s->op.done = NULL;
	service_finish(s, "hamletd ends");
	timer_clear(&s->retry);
	for (int i = 0; i < LIMITS_PROCS; i++) {
		worker_free(&s->slot[i].now);
		worker_free(&s->slot[i].next);
	}
	list_each_safe(it, nx, &s->old)
	{
		struct worker *w = list_entry(it, struct worker, link);
		worker_free(&w);
	}
	sockets_drop(&s->sockets, NULL);
	conf_unref(&s->suite);
	if (s->limits_fd >= 0)
		close(s->limits_fd);
	list_del(&s->link);
	free(s);
}

static const char *folder_of(struct pool *pool, const char *file)
{
	const char *slash = strrchr(file, '/');
	return slash == file ? "/" : pool_strndup(pool, file, (size_t)(slash - file));
}

/* Alone (hamletd -s), the sockets belong to another hamletd and may be made anew while we run: the
 * jail then holds their folder. Each is still its role's only, by its owner and mode. */
static const char *connect_path(struct pool *pool, const char *socket)
{
	return super_single() ? folder_of(pool, socket) : socket;
}

struct jail service_jail(struct pool *pool, const struct hamlet_conf *suite,
			 const struct conf_daemon *conf, const struct sockets *sockets)
{
	size_t n = 0, max = sockets ? sockets->n + 2 : 2;
	for (size_t i = 0; sockets && sockets->paths[i].path; i++)
		max++;
	for (size_t i = 0; sockets && sockets->connect[i].path; i++)
		max++;
	struct jail_path *paths = pool_alloc(pool, max * sizeof(*paths));
	const char *clock = getenv("HAMLET_CLOCK"); /* tests move the time */
	if (clock && clock[0] == '/')
		paths[n++] = (struct jail_path){clock, false, false};
	for (size_t i = 0; sockets && sockets->paths[i].path; i++)
		paths[n++] = sockets->paths[i];
	for (size_t i = 0; sockets && sockets->connect[i].path; i++)
		paths[n++] =
		    (struct jail_path){connect_path(pool, sockets->connect[i].path), false, false};
	return (struct jail){.tree = conf->jail && jail_can_tree(),
			     .ids = jail_can_ids(),
			     .root = pool_printf(pool, "%s/jail", suite->run_dir),
			     .binary = conf->binary,
			     .conf_dir = folder_of(pool, conf->config),
			     .paths = paths,
			     .uid = conf->uid,
			     .gid = conf->gid,
			     .rlimits = &conf->rlimits};
}

static void on_retry(struct timer *t)
{
	struct service *s = list_entry(t, struct service, retry);
	if (s->wanted && s->op.op == OP_NONE && !service_runs(s))
		service_replace(s, s->suite, s->conf, false, NULL, NULL);
}

/* What was not even started is tried again: an address may come, a file be mended. */
static void retry_later(struct service *s)
{
	uint64_t ms = table_backoff(RETRY_MIN_MS, RETRY_MAX_MS, s->retries++);
	timer_set(&s->retry, ms, on_retry);
}

/* A replacement that is not ready yet, when its operation ends. */
static void trials_end(struct service *s)
{
	for (int i = 0; i < LIMITS_PROCS; i++) {
		struct worker *w = s->slot[i].next;
		if (!w)
			continue;
		w->sockets = s->sockets;
		w->conf = s->conf;
		service_retire(s, &s->slot[i].next);
	}
}

void service_finish(struct service *s, const char *why)
{
	static const char *const name[] = {"", "open", "start", "replace", "stop"};
	char text[sizeof(s->op.why)] = "";
	if (why)
		str_fmt(text, sizeof(text), "%s", why);
	struct operation op = s->op;
	s->op.op = OP_NONE;
	trials_end(s);
	probe_cancel(&s->op.probe);
	timer_clear(&s->op.bind_timer);
	sockets_drop(&s->op.sockets, s->sockets);
	conf_unref(&s->op.suite);
	memset(&s->op, 0, sizeof(s->op));
	if (op.op == OP_NONE)
		return;
	str_fmt(s->error, sizeof(s->error), "%s", text);
	if (why)
		log_event(LOG_LV_ERROR, NULL, "failed", LS("instance", s->conf->name),
			  LS("what", name[op.op]), LS("why", text));
	else
		s->retries = 0;
	if (why && s->wanted && !service_runs(s))
		retry_later(s);
	if (op.done)
		op.done(s, why ? text : NULL, op.arg);
}

static bool begin(struct service *s, enum service_op what, service_done *done, void *arg)
{
	/* What goes on for nobody, a retry, gives way to somebody's wish. */
	if (s->op.op != OP_NONE && !s->op.done && s->op.op != OP_STOP)
		service_finish(s, "is begun anew");
	if (s->op.op != OP_NONE) {
		if (done)
			done(s, "is busy with another change", arg);
		return false;
	}
	timer_clear(&s->retry);
	s->op = (struct operation){.op = what, .done = done, .arg = arg};
	return true;
}

void service_configure(struct service *s, struct hamlet_conf *suite, const struct conf_daemon *conf)
{
	struct hamlet_conf *old = s->suite;
	s->suite = conf_ref(suite);
	s->conf = conf;
	list_each(it, &s->old) list_entry(it, struct worker, link)->conf = conf;
	conf_unref(&old);
}

void service_open(struct service *s, service_done *done, void *arg)
{
	if (!begin(s, OP_OPEN, done, arg))
		return;
	s->op.suite = conf_ref(s->suite);
	s->op.conf = s->conf;
	replace_begin(s);
}

void service_replace(struct service *s, struct hamlet_conf *suite, const struct conf_daemon *conf,
		     bool only_if_changed, service_done *done, void *arg)
{
	if (!begin(s, OP_REPLACE, done, arg))
		return;
	s->wanted = true;
	s->op.suite = conf_ref(suite);
	s->op.conf = conf;
	s->op.only_if_changed = only_if_changed && service_runs(s) && !s->missed;
	replace_begin(s);
}

static void spawn_all(struct service *s)
{
	s->op.waiting = false;
	for (unsigned i = 0; i < s->conf->processes; i++)
		s->op.pending |= UINT64_C(1) << i;
	for (unsigned i = 0; i < s->conf->processes; i++) {
		s->slot[i].now = worker_new(s, i, s->conf, s->sockets);
		worker_event(s->slot[i].now, EV_START);
	}
}

void service_start(struct service *s, service_done *done, void *arg)
{
	if (!begin(s, OP_START, done, arg))
		return;
	s->wanted = true;
	/* One that must not run twice at a time waits for its predecessor. */
	s->op.waiting = s->conf->replace == REPLACE_STOP_FIRST && !list_empty(&s->old);
	if (!s->op.waiting)
		spawn_all(s);
}

void service_retire(struct service *s, struct worker **pw)
{
	struct worker *w = *pw;
	*pw = NULL;
	if (!w)
		return;
	list_add_tail(&s->old, &w->link);
	worker_event(w, EV_STOP);
}

void service_stop(struct service *s, service_done *done, void *arg)
{
	if (s->op.op != OP_NONE)
		service_finish(s, "was stopped");
	timer_clear(&s->retry);
	s->wanted = false;
	s->op = (struct operation){.op = OP_STOP, .done = done, .arg = arg};
	for (int i = 0; i < LIMITS_PROCS; i++) {
		service_retire(s, &s->slot[i].now);
		service_retire(s, &s->slot[i].next);
	}
	if (s->sockets)
		sockets_close_inet(s->sockets);
	s->opened = false;
	if (service_is_over(s))
		service_finish(s, NULL);
}

void service_kill(struct service *s)
{
	list_each_safe(it, nx, &s->old) worker_event(list_entry(it, struct worker, link), EV_KILL);
	for (int i = 0; i < LIMITS_PROCS; i++) {
		struct worker *w[2] = {s->slot[i].now, s->slot[i].next};
		for (int k = 0; k < 2; k++)
			if (w[k])
				worker_event(w[k], EV_KILL);
	}
}

bool service_runs(const struct service *s)
{
	for (int i = 0; i < LIMITS_PROCS; i++)
		if (s->slot[i].now)
			return true;
	return false;
}

bool service_is_over(const struct service *s)
{
	for (int i = 0; i < LIMITS_PROCS; i++)
		if (s->slot[i].now || s->slot[i].next)
			return false;
	return list_empty(&s->old);
}

struct worker *service_find_pid(struct service *s, pid_t pid)
{
	for (int i = 0; i < LIMITS_PROCS; i++) {
		struct worker *w[2] = {s->slot[i].now, s->slot[i].next};
		for (int k = 0; k < 2; k++)
			if (w[k] && w[k]->child.pid == pid)
				return w[k];
	}
	list_each(it, &s->old)
	{
		struct worker *w = list_entry(it, struct worker, link);
		if (w->child.pid == pid)
			return w;
	}
	return NULL;
}

static void pending_done(struct worker *w, const char *why)
{
	struct service *s = w->svc;
	uint64_t bit = UINT64_C(1) << w->index;
	if (!(s->op.pending & bit))
		return;
	s->op.pending &= ~bit;
	if (why)
		str_fmt(s->op.why, sizeof(s->op.why), "process %u: %s", w->index, why);
	if (!s->op.pending)
		service_finish(s, s->op.why[0] ? s->op.why : NULL);
}

void service_worker_up(struct worker *w)
{
	if (w->svc->op.op == OP_START)
		pending_done(w, NULL);
	else if (w->svc->op.op == OP_REPLACE)
		replace_worker_up(w);
}

void service_worker_failed(struct worker *w)
{
	if (w->svc->op.op == OP_START)
		pending_done(w, w->why);
	else if (w->svc->op.op == OP_REPLACE)
		replace_worker_failed(w);
}

void service_worker_lost(struct worker *w)
{
	struct service *s = w->svc;
	s->slot[w->index].restarts++;
	/* Datagrams for a socket that nobody reads would be lost: without it they go to the other
	 * processes. */
	sockets_udp_close(w->sockets, s->op.sockets, w->index);
}

void service_worker_gone(struct worker *w)
{
	struct service *s = w->svc;
	struct slot *slot = &s->slot[w->index];
	if (slot->now == w)
		slot->now = NULL;
	if (slot->next == w)
		slot->next = NULL;
	log_event(LOG_LV_INFO, NULL, "ended", LS("instance", w->conf->name), LU("index", w->index),
		  LS("how", w->why));
	worker_free(&w);
	if (s->op.op == OP_REPLACE)
		replace_worker_gone(s);
	else if (s->op.op == OP_START && s->op.waiting && list_empty(&s->old))
		spawn_all(s);
	else if (s->op.op == OP_STOP && service_is_over(s))
		service_finish(s, NULL);
}

const char *service_state(const struct service *s)
{
	unsigned ready = 0, processes = (unsigned)s->conf->processes;
	for (unsigned i = 0; i < processes; i++)
		ready += s->slot[i].now && s->slot[i].now->state == ST_READY;
	if (!s->wanted)
		return list_empty(&s->old) ? "stopped" : "draining";
	if (ready == processes)
		return "ready";
	if (s->op.op == OP_OPEN || s->op.op == OP_START || s->op.op == OP_REPLACE)
		return "starting";
	return ready ? "degraded" : "failed";
}

static void status_line(const struct service *s, const struct worker *w, unsigned index,
			struct buf *out)
{
	char path[PATH_MAX] = "";
	bool serves = w && w == s->slot[index].now;
	if (w && w->ctl_named)
		worker_ctl_path(w, path, sizeof(path));
	const char *state = w ? table_state_name(w->state) : service_state(s);
	lines_put(out, "instance", s->conf->name);
	lines_put(out, "program", s->conf->program);
	lines_put_u64(out, "index", index);
	lines_put_u64(out, "pid", w ? (uint64_t)w->child.pid : 0);
	lines_put(out, "state", state);
	lines_put_u64(out, "ready_since_ms", w ? w->ready_ms : 0);
	lines_put_u64(out, "restarts", serves || !w ? s->slot[index].restarts : 0);
	lines_put(out, "config", s->conf->config);
	lines_put(out, "ctl", path);
	lines_put_u64(out, "uid", s->conf->uid);
	lines_put(out, "status", w ? w->status : "");
	lines_put(out, "error", w && w->state != ST_READY && w->why[0] ? w->why : s->error);
	buf_addc(out, '\n');
}

void service_status(const struct service *s, struct buf *out)
{
	bool any = false;
	for (unsigned i = 0; i < LIMITS_PROCS; i++) {
		const struct worker *w[2] = {s->slot[i].now, s->slot[i].next};
		for (int k = 0; k < 2; k++) {
			if (w[k])
				status_line(s, w[k], i, out);
			any = any || w[k];
		}
	}
	list_each(it, &s->old)
	{
		const struct worker *w = list_entry(it, struct worker, link);
		status_line(s, w, w->index, out);
		any = true;
	}
	if (!any)
		status_line(s, NULL, 0, out);
}
