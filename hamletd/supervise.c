/* All services: starting them, the commands of the operator, the end. */
#include "hamletd/hamletd.h"
#include <stdlib.h>
#include <sysexits.h>
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

enum { LAST_KILL_MS = 5000 };

static struct list services = {&services, &services};
static struct hamlet_conf *suite;
static const char *single;
static void (*on_up)(void);
static int exit_code;
static bool again; /* a SIGHUP came while a change of all went on */

/* The end. */
static bool ending;
static unsigned end_stage; /* counts down; those above it have ended */
static unsigned end_pending;
static struct timer end_timer;
static super_done *end_done;
static void *end_arg;

/* A command for one service, on its way. */
struct command {
	super_done *done;
	void *arg;
};

struct hamlet_conf *super_conf(void)
{
	return suite;
}

bool super_single(void)
{
	return single != NULL;
}

struct list *super_services(void)
{
	return &services;
}

bool super_ending(void)
{
	return ending;
}

int super_exit_code(void)
{
	return exit_code;
}

struct service *super_find(const char *name)
{
	list_each(it, &services)
	{
		struct service *s = list_entry(it, struct service, link);
		if (!s->removed && strcmp(s->conf->name, name) == 0)
			return s;
	}
	return NULL;
}

struct worker *super_find_pid(pid_t pid)
{
	struct worker *w = NULL;
	list_each(it, &services)
	{
		w = service_find_pid(list_entry(it, struct service, link), pid);
		if (w)
			break;
	}
	return w;
}

const struct conf_daemon *super_conf_daemon(const char *name)
{
	for (size_t i = 0; i < suite->daemons.n; i++) {
		const struct conf_daemon *d = suite->daemons.item[i];
		if (d->enabled && strcmp(d->name, name) == 0 &&
		    (!single || strcmp(name, single) == 0))
			return d;
	}
	return NULL;
}

static void services_add(void)
{
	for (size_t i = 0; i < suite->daemons.n; i++) {
		const struct conf_daemon *d = suite->daemons.item[i];
		if (super_conf_daemon(d->name) == d && !super_find(d->name))
			list_add_tail(&services, &service_new(suite, d)->link);
	}
}

static void on_booted(void *arg, const char *why)
{
	(void)arg;
	const struct service *s = single ? super_find(single) : NULL;
	if (ending)
		return;
	/* Alone, there is nothing else to keep up: the one who started us is told. */
	if (s && !service_runs(s)) {
		exit_code = EX_CONFIG;
		super_shutdown(NULL, NULL);
		return;
	}
	log_event(LOG_LV_INFO, NULL, "up", LS("failed", why));
	on_up();
}

void super_start(struct hamlet_conf *conf, const char *only, void (*up)(void))
{
	suite = conf;
	single = only;
	on_up = up;
	services_add();
	batch_start(BATCH_BOOT, on_booted, NULL);
}

void super_free(void)
{
	list_each_safe(it, nx, &services)
	{
		struct service *s = list_entry(it, struct service, link);
		service_free(&s);
	}
	timer_clear(&end_timer);
	conf_unref(&suite);
}

static void answer(super_done *done, void *arg, const char *why)
{
	if (done)
		done(arg, why);
}

static void on_command(struct service *s, const char *why, void *arg)
{
	struct command c = *(struct command *)arg;
	(void)s;
	free(arg);
	answer(c.done, c.arg, why);
}

/* The service, or NULL after answering. */
static struct service *target(const char *name, super_done *done, void *arg)
{
	struct service *s = ending ? NULL : super_find(name);
	if (ending)
		answer(done, arg, "hamletd is being shut down");
	else if (!s)
		answer(done, arg, "there is no such daemon");
	return s;
}

static struct command *command_new(super_done *done, void *arg)
{
	struct command *c = mem_alloc(sizeof(*c));
	*c = (struct command){done, arg};
	return c;
}

void super_restart(const char *name, super_done *done, void *arg)
{
	if (strcmp(name, "all") == 0) {
		if (ending || !batch_start(BATCH_RESTART, done, arg))
			answer(done, arg, "another change of all daemons goes on");
		return;
	}
	struct service *s = target(name, done, arg);
	const struct conf_daemon *d = s ? super_conf_daemon(name) : NULL;
	if (d)
		service_replace(s, suite, d, false, on_command, command_new(done, arg));
	else if (s)
		answer(done, arg, "it is being removed");
}

void super_stop(const char *name, super_done *done, void *arg)
{
	struct service *s = target(name, done, arg);
	if (s)
		service_stop(s, on_command, command_new(done, arg));
}

void super_begin(const char *name, super_done *done, void *arg)
{
	struct service *s = target(name, done, arg);
	if (s && service_runs(s))
		answer(done, arg, "it runs already");
	else if (s)
		super_restart(name, done, arg);
}

static void free_removed(void *arg)
{
	(void)arg;
	list_each_safe(it, nx, &services)
	{
		struct service *s = list_entry(it, struct service, link);
		if (s->removed && service_is_over(s) && s->op.op == OP_NONE)
			service_free(&s);
	}
}

static void on_removed(struct service *s, const char *why, void *arg)
{
	(void)s;
	(void)why;
	(void)arg;
	loop_defer(free_removed, NULL);
}

/* The new hamlet.conf, or NULL after answering. */
static struct hamlet_conf *conf_again(super_done *done, void *arg)
{
	char *said = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&said, &n);
	if (!f)
		abort();
	struct hamlet_conf *c = conf_read(suite->file, single, f);
	if (c && strcmp(c->run_dir, suite->run_dir) != 0) {
		fprintf(f, "run-dir: can only be changed by a new start of hamletd\n");
		conf_unref(&c);
	}
	fclose(f);
	if (!c) {
		if (n)
			said[n - 1] = 0;
		log_event(LOG_LV_ERROR, NULL, "reload-failed", LS("why", said));
		answer(done, arg, said);
	}
	free(said);
	return c;
}

void super_batch_over(void)
{
	if (!again || ending)
		return;
	again = false;
	super_reload(NULL, NULL);
}

void super_reload(super_done *done, void *arg)
{
	if (!ending && batch_runs() && !done) { /* a signal cannot be told to come back later */
		again = true;
		return;
	}
	if (ending || batch_runs()) {
		answer(done, arg,
		       ending ? "hamletd is being shut down"
			      : "another change of all daemons goes on");
		return;
	}
	struct hamlet_conf *c = conf_again(done, arg);
	if (!c)
		return;
	conf_unref(&suite);
	suite = c;
	log_event(LOG_LV_INFO, NULL, "reload", LS("file", suite->file));
	list_each_safe(it, nx, &services)
	{
		struct service *s = list_entry(it, struct service, link);
		if (!s->removed && !super_conf_daemon(s->conf->name)) {
			s->removed = true;
			service_stop(s, on_removed, NULL);
		}
	}
	services_add();
	batch_start(BATCH_RELOAD, done, arg);
}

/* --- the end --------------------------------------------------------------- */

static void end_next(void);

static void on_ended(struct service *s, const char *why, void *arg)
{
	(void)s;
	(void)why;
	(void)arg;
	if (--end_pending == 0)
		end_next();
}

/* Those of the stage that goes on took too long; the ones below get a short time each. */
static void on_end_timeout(struct timer *t)
{
	list_each_safe(it, nx, &services)
	{
		struct service *s = list_entry(it, struct service, link);
		if (conf_stage(s->conf) >= end_stage)
			service_kill(s);
	}
	timer_set(t, LAST_KILL_MS, on_end_timeout);
}

static void leave(void *arg)
{
	(void)arg;
	loop_stop();
}

static void end_next(void)
{
	while (end_stage > 0) {
		end_stage--;
		end_pending = 1;
		list_each_safe(it, nx, &services)
		{
			struct service *s = list_entry(it, struct service, link);
			if (conf_stage(s->conf) != end_stage)
				continue;
			end_pending++;
			service_stop(s, on_ended, NULL);
		}
		if (--end_pending)
			return;
	}
	timer_clear(&end_timer);
	answer(end_done, end_arg, NULL);
	end_done = NULL;
	loop_defer(leave, NULL);
}

void super_shutdown(super_done *done, void *arg)
{
	if (ending) {
		answer(done, arg, "hamletd is being shut down already: killing what is left");
		list_each_safe(it, nx, &services)
		    service_kill(list_entry(it, struct service, link));
		return;
	}
	ending = true;
	end_done = done;
	end_arg = arg;
	end_stage = STAGES;
	log_event(LOG_LV_INFO, NULL, "shutdown", LU("exit", (uint64_t)exit_code));
	notify_parent("STOPPING=1");
	timer_set(&end_timer, suite->shutdown_timeout, on_end_timeout);
	end_next();
}
