#include "libcommon/net/daemon.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/fatal.h"
#include "libcommon/base/log.h"
#include "libcommon/net/daemon_int.h"
#include "libcommon/net/loop.h"

enum { LIMIT_SLOTS = 65536, LIMIT_SLOTS_ALONE = 4096 };

static struct {
	const struct daemon *d;
	struct daemon_opts opts;
	struct pool *pool;
	struct listen_spec *spec;
	size_t specs;
	struct daemon_fds fds;
	struct listener **listener; /* of spec, once ready */
	struct limits *limits;
	void *shared;
	unsigned proc;
	bool ready, draining;
	int code;
	uv_signal_t term, intr;
} self;

bool daemon_draining(void)
{
	return self.draining;
}

struct limits *daemon_limits(void)
{
	return self.limits;
}

void *daemon_shared(void)
{
	return self.shared;
}

const char *daemon_rundir(void)
{
	const char *dir = getenv("HAMLET_RUNDIR");
	return dir && *dir ? dir : "/run/hamlet";
}

void daemon_exit(int code)
{
	self.code = code;
	loop_stop();
}

/* --- life ------------------------------------------------------------------------------ */

void daemon_ready(void)
{
	if (self.ready || self.draining)
		return;
	self.ready = true;
	for (size_t i = 0; i < self.specs; i++) {
		if (self.spec[i].raw)
			continue;
		self.listener[i] = listen_start(self.fds.listener[i], &self.spec[i], self.limits,
						self.d->listen_ops);
		self.fds.listener[i] = -1;
		if (!self.listener[i]) {
			daemon_exit(EX_OSERR);
			return;
		}
	}
	log_event(LOG_LV_INFO, NULL, "ready", LS("version", HAMLET_VERSION),
		  LU("listeners", self.specs));
	daemon_notify("READY=1");
}

static void close_listeners(void)
{
	for (size_t i = 0; i < self.specs; i++) {
		if (self.listener[i])
			listen_stop(self.listener[i]);
		else if (self.fds.listener[i] >= 0)
			close(self.fds.listener[i]);
		self.listener[i] = NULL;
		self.fds.listener[i] = -1;
	}
}

static void on_term(uv_signal_t *h, int signum)
{
	(void)h;
	(void)signum;
	if (self.draining) {
		log_event(LOG_LV_WARN, NULL, "ended", LS("reason", "asked twice"));
		daemon_exit(EX_OK);
		return;
	}
	self.draining = true;
	close_listeners();
	log_event(LOG_LV_INFO, NULL, "draining", LS("instance", self.opts.instance));
	daemon_notify("STOPPING=1");
	if (self.d->drain)
		self.d->drain();
	else
		daemon_exit(EX_OK);
}

/* Under hamletd a Ctrl-C at the terminal is hamletd's business: it drains its children. */
static void signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	uv_signal_init(loop_get(), &self.term);
	uv_signal_start(&self.term, on_term, SIGTERM);
	if (self.opts.debug) {
		uv_signal_init(loop_get(), &self.intr);
		uv_signal_start(&self.intr, on_term, SIGINT);
	} else {
		signal(SIGINT, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
	}
}

/* --- start-up -------------------------------------------------------------------------- */

static void load_config(void)
{
	const struct daemon *d = self.d;
	int mistakes =
	    conf_load(self.pool, self.opts.conf_file, d->table, d->conf, d->check, stderr);
	if (mistakes) {
		fflush(stderr);
		fatal(EX_CONFIG, "%s: %d mistake%s in the configuration", self.opts.conf_file,
		      mistakes, mistakes == 1 ? "" : "s");
	}
	if (d->listeners)
		self.specs = d->listeners(self.pool, &self.spec);
	self.listener = pool_alloc(self.pool, (self.specs + 1) * sizeof(struct listener *));
}

static void open_limits(void)
{
	int fd = self.fds.limits;
	unsigned slots = fd < 0 ? LIMIT_SLOTS_ALONE : LIMIT_SLOTS;
	self.limits = limits_open(fd, slots, self.proc);
	if (self.d->shared)
		self.shared = limits_area(fd, slots, self.d->shared);
	if (!self.limits || (self.d->shared && !self.shared))
		fatal(EX_OSERR, "no memory for the table of limits");
	if (fd >= 0)
		close(fd);
}

static void raise_descriptors(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void hand_over_raw(void)
{
	for (size_t i = 0; i < self.specs; i++) {
		if (!self.spec[i].raw)
			continue;
		if (self.d->inherit)
			self.d->inherit(self.spec[i].name, self.fds.listener[i]);
		self.fds.listener[i] = -1;
	}
}

static void serve(const struct sandbox *sb)
{
	const struct daemon *d = self.d;
	raise_descriptors();
	signals();
	daemon_notify_open();
	if (d->start)
		d->start();
	if (!daemon_fds_take(self.pool, self.spec, self.specs, self.opts.debug, self.opts.instance,
			     self.proc, &self.fds))
		exit(EX_OSERR);
	open_limits();
	sandbox_enter(sb);
	daemon_notify_watch();
	daemon_control_start(self.fds.ctl, d);
	hand_over_raw();
	if (d->run)
		d->run();
	else
		daemon_ready();
	loop_run(); /* until daemon_exit(): the signal handles keep it alive */
	daemon_notify_close();
	limits_close(&self.limits);
}

int daemon_main(int argc, char **argv, const struct daemon *d)
{
	self.d = d;
	if (!daemon_opts_read(argc, argv, d, &self.opts))
		return EX_USAGE;
	if (self.opts.version) {
		printf("hamlet %s %s\n", d->name, HAMLET_VERSION);
		return EX_OK;
	}
	if (self.opts.mdoc) {
		conf_mdoc(stdout, d->table);
		return EX_OK;
	}
	log_init(self.opts.instance, self.opts.log_here ? LOG_TO_STDERR : LOG_TO_SYSLOG,
		 self.opts.verbose ? LOG_LV_DEBUG : LOG_LV_INFO);
	clock_init();
	tzset();
	const char *proc = getenv("HAMLET_PROC");
	uint32_t number = 0;
	if (proc && str_u32(slice_of(proc), &number))
		self.proc = number;
	self.pool = pool_new(0);
	load_config();
	struct sandbox sb = {0};
	if (d->sandbox)
		d->sandbox(self.pool, &sb);
	if (self.opts.check > 1)
		conf_dump(stdout, d->table, d->conf);
	if (self.opts.list)
		daemon_opts_list(stdout, self.spec, self.specs, &sb);
	if (!self.opts.check && !self.opts.list)
		serve(&sb);
	pool_free(&self.pool);
	return fflush(stdout) == 0 ? self.code : EX_IOERR;
}
