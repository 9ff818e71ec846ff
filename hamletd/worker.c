/* One process of a service. What happens next is the table's decision; here it is done. */
#include "hamletd/hamletd.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

/* The last grace of a watchdog: when we ourselves were stopped for a while, the daemons' signs of
 * life wait in the socket and are read before it is over. */
enum { GRACE_MS = 300 };

static void on_child_exit(struct child *c, int status);

struct worker *worker_new(struct service *svc, unsigned index, const struct conf_daemon *conf,
			  struct sockets *sockets)
{
	static unsigned serial;
	struct worker *w = mem_alloc(sizeof(*w));
	list_init(&w->link);
	w->serial = serial++;
	w->svc = svc;
	w->index = index;
	w->conf = conf;
	w->sockets = sockets;
	w->child.on_exit = on_child_exit;
	return w;
}

bool worker_ctl_path(const struct worker *w, char *out, size_t cap)
{
	return str_fmt(out, cap, "%s/ctl/%s.%u.sock", w->svc->suite->run_dir, w->conf->name,
		       w->index);
}

/* The name that it has until its process is ready and takes the public one. */
static bool ctl_path_new(const struct worker *w, char *out, size_t cap)
{
	return str_fmt(out, cap, "%s/ctl/.%d.%u.new", w->svc->suite->run_dir, (int)getpid(),
		       w->serial);
}

static void ctl_remove(struct worker *w)
{
	char path[PATH_MAX];
	if (ctl_path_new(w, path, sizeof(path)))
		unlink(path);
	if (w->ctl_named && worker_ctl_path(w, path, sizeof(path)))
		unlink(path);
	w->ctl_named = false;
}

void worker_free(struct worker **pw)
{
	struct worker *w = *pw;
	*pw = NULL;
	if (!w)
		return;
	list_del(&w->link);
	timer_clear(&w->timer);
	timer_clear(&w->watchdog);
	proc_forget(&w->child);
	log_pipe_end(&w->log, NULL, 0);
	ctl_remove(w);
	free(w);
}

static void on_start_timeout(struct timer *t)
{
	struct worker *w = list_entry(t, struct worker, timer);
	str_fmt(w->why, sizeof(w->why), "not ready after %llu ms",
		(unsigned long long)w->svc->suite->start_timeout);
	worker_event(w, EV_TIMEOUT);
}

static void on_drain_timeout(struct timer *t)
{
	worker_event(list_entry(t, struct worker, timer), EV_TIMEOUT);
}

static void on_backoff_over(struct timer *t)
{
	worker_event(list_entry(t, struct worker, timer), EV_BACKOFF_OVER);
}

static void on_not_spawned(struct timer *t)
{
	worker_event(list_entry(t, struct worker, timer), EV_CRASH);
}

static void on_watchdog(struct timer *t)
{
	struct worker *w = list_entry(t, struct worker, watchdog);
	if (!w->late) {
		w->late = true;
		timer_set(&w->watchdog, GRACE_MS, on_watchdog);
		return;
	}
	str_fmt(w->why, sizeof(w->why), "no sign of life for %llu ms",
		(unsigned long long)w->svc->suite->watchdog);
	worker_event(w, EV_HUNG);
}

static void watchdog_feed(struct worker *w)
{
	w->late = false;
	if (w->svc->suite->watchdog != CONF_NEVER)
		timer_set(&w->watchdog, w->svc->suite->watchdog, on_watchdog);
}

/* The fds of LISTEN_FDS in pool; the last ones are "ctl" and "limits". The control socket is to be
 * closed by the caller. */
static bool fds_collect(struct worker *w, struct pool *pool, struct spawn *s, int *ctl)
{
	const struct sockets *k = w->sockets;
	int *fd = pool_alloc(pool, (k->n + 2) * sizeof(*fd));
	const char **name = pool_alloc(pool, (k->n + 2) * sizeof(*name));
	char path[PATH_MAX];
	size_t n = 0;
	int err = sockets_udp_open(w->sockets, w->index);
	if (err) {
		str_fmt(w->why, sizeof(w->why), "UDP: %s", strerror(err));
		return false;
	}
	for (size_t i = 0; i < k->n; i++) {
		name[n] = k->item[i].name;
		fd[n++] = k->item[i].proto == PROTO_UDP ? k->item[i].udp[w->index] : k->item[i].fd;
	}
	ctl_path_new(w, path, sizeof(path));
	unlink(path);
	*ctl = sockets_unix(path, geteuid(), (gid_t)-1, 0600);
	if (*ctl < 0) {
		str_fmt(w->why, sizeof(w->why), "%s: %s", path, strerror(errno));
		return false;
	}
	name[n] = "ctl";
	fd[n++] = *ctl;
	if (w->svc->limits_fd >= 0) {
		name[n] = "limits";
		fd[n++] = w->svc->limits_fd;
	}
	s->fd = fd;
	s->fd_name = name;
	s->fds = n;
	return true;
}

static void env_add(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "%s=%s", name, value);
	buf_addc(b, 0);
}

static void env_build(const struct worker *w, struct buf *b)
{
	const struct hamlet_conf *c = w->svc->suite;
	char number[24];
	env_add(b, "NOTIFY_SOCKET", notify_path());
	str_fmt(number, sizeof(number), "%u", w->index);
	env_add(b, "HAMLET_PROC", number);
	if (c->watchdog != CONF_NEVER) {
		str_fmt(number, sizeof(number), "%llu", (unsigned long long)c->watchdog * 1000);
		env_add(b, "WATCHDOG_USEC", number);
	}
}

static bool process_start(struct worker *w)
{
	struct pool *pool = pool_new(0);
	struct buf env = {0};
	const char *argv[] = {w->conf->binary, "-f", w->conf->config, "-N", w->conf->name, NULL};
	struct jail jail = service_jail(pool, w->svc->suite, w->conf, w->sockets);
	struct spawn s = {.argv = argv, .out = -1, .err = -1, .env = &env, .jail = &jail};
	int ctl = -1;
	bool ok = fds_collect(w, pool, &s, &ctl);
	if (ok) {
		log_pipe_end(&w->log, NULL, 0);
		w->log = log_pipe_new(w->conf->name, &s.err);
		env_build(w, &env);
		ok = w->log && proc_spawn(&w->child, &s);
		if (ok)
			log_pipe_pid(w->log, w->child.pid);
		else
			str_fmt(w->why, sizeof(w->why), "cannot be run: %s", strerror(errno));
	}
	if (s.err >= 0)
		close(s.err);
	if (ctl >= 0)
		close(ctl);
	buf_free(&env);
	pool_free(&pool);
	return ok;
}

static void do_spawn(struct worker *w)
{
	w->ready_ms = 0;
	w->status[0] = 0;
	w->tries++;
	if (process_start(w)) {
		timer_set(&w->timer, w->svc->suite->start_timeout, on_start_timeout);
		log_event(LOG_LV_INFO, NULL, "started", LS("instance", w->conf->name),
			  LU("index", w->index), LI("pid", w->child.pid));
	} else {
		timer_set(&w->timer, 0, on_not_spawned);
	}
}

static void do_term(struct worker *w)
{
	const struct hamlet_conf *c = w->svc->suite;
	uint64_t ms = w->conf->drain_timeout ? w->conf->drain_timeout : c->drain_timeout;
	/* Its successor waits for it, and everybody for its successor. */
	if (w->conf->replace == REPLACE_STOP_FIRST && ms > c->start_timeout)
		ms = c->start_timeout;
	proc_signal(&w->child, SIGTERM);
	/* A stopped process could not even die. */
	proc_signal(&w->child, SIGCONT);
	timer_set(&w->timer, ms, on_drain_timeout);
	log_event(LOG_LV_INFO, NULL, "draining", LS("instance", w->conf->name),
		  LU("index", w->index), LI("pid", w->child.pid));
}

static void do_kill(struct worker *w)
{
	timer_clear(&w->timer);
	proc_signal(&w->child, SIGKILL);
	log_event(LOG_LV_WARN, NULL, "killed", LS("instance", w->conf->name), LU("index", w->index),
		  LI("pid", w->child.pid),
		  LS("why", w->why[0] ? w->why : "it did not end in time"));
}

static void do_backoff(struct worker *w)
{
	const struct hamlet_conf *c = w->svc->suite;
	if (w->ready_ms && clock_mono() - w->ready_mono >= c->backoff_reset)
		w->tries = 1;
	uint64_t ms = table_backoff(c->backoff_min, c->backoff_max, w->tries ? w->tries - 1 : 0);
	w->ready_ms = 0;
	timer_set(&w->timer, ms, on_backoff_over);
	log_event(LOG_LV_ERROR, NULL, "crashed", LS("instance", w->conf->name),
		  LU("index", w->index), LS("why", w->why), LU("again-after-ms", ms));
}

static void do_up(struct worker *w)
{
	char from[PATH_MAX], to[PATH_MAX];
	timer_clear(&w->timer);
	w->ready_ms = clock_ms();
	w->ready_mono = clock_mono();
	w->why[0] = 0;
	watchdog_feed(w);
	if (ctl_path_new(w, from, sizeof(from)) && worker_ctl_path(w, to, sizeof(to)))
		w->ctl_named = rename(from, to) == 0;
	log_event(LOG_LV_INFO, NULL, "ready", LS("instance", w->conf->name), LU("index", w->index),
		  LI("pid", w->child.pid));
	service_worker_up(w);
}

void worker_event(struct worker *w, enum event e)
{
	struct step step = table_step(w->state, e);
	w->state = step.next;
	if (step.act & ACT_SPAWN)
		do_spawn(w);
	if (step.act & ACT_TERM)
		do_term(w);
	if (step.act & ACT_KILL)
		do_kill(w);
	if (step.act & ACT_LOST) {
		ctl_remove(w);
		service_worker_lost(w);
	}
	if (step.act & ACT_BACKOFF)
		do_backoff(w);
	if (step.act & ACT_UP)
		do_up(w);
	if (step.act & ACT_FAILED)
		service_worker_failed(w);
	if (step.act & ACT_GONE)
		service_worker_gone(w); /* frees it */
}

static void on_child_exit(struct child *c, int status)
{
	struct worker *w = list_entry(c, struct worker, child);
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	char last[200];
	timer_clear(&w->timer);
	timer_clear(&w->watchdog);
	log_pipe_end(&w->log, last, sizeof(last));
	/* A killed one is known by what was wrong with it, a failed one by its own last words. */
	if (w->state == ST_HANGING || w->state == ST_KILLING)
		last[0] = 0;
	else if (WIFSIGNALED(status))
		str_fmt(w->why, sizeof(w->why), "signal %s", sigabbrev_np(WTERMSIG(status)));
	else
		str_fmt(w->why, sizeof(w->why), "exit status %d", WEXITSTATUS(status));
	if (last[0] && !clean && !WIFSIGNALED(status)) {
		size_t n = strlen(w->why);
		str_fmt(w->why + n, sizeof(w->why) - n, ": %s", last);
	}
	worker_event(w, clean ? EV_EXIT : EV_CRASH);
}

void worker_notify(struct worker *w, const struct notify_msg *m)
{
	if (m->status.p)
		str_fmt(w->status, sizeof(w->status), "%.*s", SLICE_FMT(m->status));
	if (m->ready)
		worker_event(w, EV_READY);
	if (m->watchdog && timer_is_set(&w->watchdog))
		watchdog_feed(w);
}
