/* stored: keeps mailboxes, the queue, accounts and zones; serves the other daemons over one
 * socket a role, and never the network. */
#include <errno.h>
#include <sys/stat.h>
#include <sysexits.h>
#include "libcommon/base/fatal.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/daemon.h"
#include "libcommon/net/loop.h"
#include "stored/auth.h"
#include "stored/backup.h"
#include "stored/dir.h"
#include "stored/fault.h"
#include "stored/mail.h"
#include "stored/zone.h"

enum { LISTENERS_MAX = 16, DRAIN_MS = 10000, DRAIN_STEP_MS = 100 };

/* Who may speak to stored, each over a socket of its own. */
static const enum role roles[] = {ROLE_SMTPD, ROLE_POP3D, ROLE_IMAPD, ROLE_DNSD, ROLE_PROXYD,
				  ROLE_HTTPD, ROLE_FTPD,  ROLE_CTL,   ROLE_KEYD};
enum { ROLES = sizeof(roles) / sizeof(roles[0]) };

static struct {
	const char *name;
	int fd;
} inherited[LISTENERS_MAX];
static size_t inherited_n;
static bool serving, restarting;
static uint64_t drained_ms;

static size_t listeners(struct pool *pool, struct listen_spec **out)
{
	*out = pool_alloc(pool, ROLES * sizeof(**out));
	for (size_t i = 0; i < ROLES; i++) {
		const char *role = role_name(roles[i]);
		struct listen_spec *l = &(*out)[i];
		*l = (struct listen_spec){.owner = role, .raw = true};
		l->name = pool_printf(pool, "store-%s", role);
		const char *path = pool_printf(pool, "%s/store/%s.sock", daemon_rundir(), role);
		if (!listen_unix(pool, path, &l->addr))
			fatal(EX_CONFIG, "%s: too long for a socket's path", path);
	}
	return ROLES;
}

static void sandbox(struct pool *pool, struct sandbox *out)
{
	struct sandbox_path *paths = pool_alloc(pool, 2 * sizeof(*paths));
	paths[0] = (struct sandbox_path){conf.state_dir, true};
	*out = (struct sandbox){.paths = paths, .threads = true};
}

static void start(void)
{
	if (!fault_init())
		fatal(EX_USAGE, "HAMLET_FAULT is malformed");
	if (mkdir(conf.state_dir, 0700) != 0 && errno != EEXIST)
		fatal(EX_CANTCREAT, "state-dir %s: %s", conf.state_dir, strerror(errno));
	db_init();
}

static void inherit(const char *fdname, int fd)
{
	if (inherited_n == LISTENERS_MAX)
		fatal(EX_USAGE, "too many listeners");
	inherited[inherited_n].name = mem_strdup(fdname);
	inherited[inherited_n++].fd = fd;
}

/* --- stopping ---------------------------------------------------------------------------- */

static void leave(int code)
{
	if (serving) {
		expire_stop();
		fanout_stop();
		dir_stop();
	}
	work_stop();
	conn_serve_end();
	daemon_exit(code);
}

/* What is being worked on is answered; what arrives meanwhile is left to the next stored, which
 * the clients ask again. */
static void drain_step(struct timer *t)
{
	drained_ms += DRAIN_STEP_MS;
	if (server_busy() > 0 && drained_ms < DRAIN_MS)
		timer_set(t, DRAIN_STEP_MS, drain_step);
	else
		leave(restarting ? EX_TEMPFAIL : EX_OK);
}

static void drain(void)
{
	static struct timer again;
	server_drain();
	drain_step(&again);
}

/* A restored store waits: start anew with it. */
static void restart(void)
{
	restarting = true;
	drain();
}

static void give_up(void *arg)
{
	(void)arg;
	leave(EX_IOERR);
}

static void on_stop(const char *why)
{
	log_event(LOG_LV_ERROR, NULL, "stopping",
		  LS("why", "a database failed; the next start recovers it"), LS("error", why));
	loop_defer(give_up, NULL);
}

/* --- starting ---------------------------------------------------------------------------- */

static void ready(const char *why)
{
	if (why) {
		log_event(LOG_LV_ERROR, NULL, "start-failed", LS("error", why));
		leave(EX_IOERR);
		return;
	}
	serving = true;
	fanout_start();
	expire_start();
	zone_start();
	for (size_t i = 0; i < inherited_n; i++)
		server_listen(inherited[i].name, inherited[i].fd);
	daemon_ready();
}

static void run(void)
{
	const char *why = NULL;
	const char *store = backup_store(conf.state_dir);
	work_limits(conf.small_body, conf.segment_size);
	work_on_stop(on_stop);
	stored_restart = restart;
	bool ok = backup_take_over(conf.state_dir, &why);
	unsigned shards = ok ? base_shards(store) : 0; /* fewer than that would hide mailboxes */
	if (shards < conf.shards)
		shards = (unsigned)conf.shards;
	if (!ok || !work_start(store, shards, (unsigned)conf.readers, &why)) {
		log_event(LOG_LV_ERROR, NULL, "start-failed", LS("error", why));
		daemon_exit(EX_IOERR);
		return;
	}
	dir_start(ready);
}

static bool control(struct conf_words words, struct buf *out)
{
	if (words.n == 2 && strcmp(words.w[0], "fault") == 0 && fault_enabled()) {
		buf_adds(out, fault_set(words.w[1]) ? "set\n" : "malformed\n");
		return true;
	}
	return false;
}

static void stats(struct buf *out)
{
	work_stats(out);
	op_auth_stats(out);
	mail_stats(out);
	buf_printf(out, "stored_requests_running %zu\n", server_busy());
}

int main(int argc, char **argv)
{
	static const struct daemon d = {
	    .name = "stored",
	    .conf_file = "/etc/hamlet/stored.conf",
	    .table = conf_table,
	    .conf = &conf,
	    .check = conf_verify,
	    .listeners = listeners,
	    .start = start,
	    .sandbox = sandbox,
	    .run = run,
	    .drain = drain,
	    .stats = stats,
	    .control = control,
	    .inherit = inherit,
	};
	return daemon_main(argc, argv, &d);
}
