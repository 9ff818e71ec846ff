#include "keyd/keyd.h"
#include <errno.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include "libcommon/base/fatal.h"
#include "libcommon/base/log.h"
#include "libcommon/net/daemon.h"
#include "libcommon/net/loop.h"

enum { TICK_MS = 5000, LOCK_ROOM = 1 << 30 };

static const enum role ROLES[] = {ROLE_SMTPD, ROLE_POP3D, ROLE_IMAPD, ROLE_DNSD,  ROLE_PROXYD,
				  ROLE_HTTPD, ROLE_FTPD,  ROLE_CTL,   ROLE_STORED};
static struct timer tick;

static bool lock_room(void)
{
	struct rlimit r;
	cap_flag_value_t v = CAP_CLEAR;
	cap_t caps = cap_get_proc();
	if (caps) {
		cap_get_flag(caps, CAP_IPC_LOCK, CAP_EFFECTIVE, &v);
		cap_free(caps);
	}
	return v == CAP_SET || (getrlimit(RLIMIT_MEMLOCK, &r) == 0 && r.rlim_cur >= LOCK_ROOM);
}

/* Keys are to be found in this process's memory only: not in swap, not in a core file, not by
 * another process of the same user. */
static void harden(void)
{
	const struct rlimit none = {0, 0};
	umask(077);
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	/* Locking what comes later makes any allocation over the limit fail, so it is done only
	 * where it is far away. */
	errno = EPERM;
	if (!lock_room() || mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		log_event(LOG_LV_INFO, NULL, "memory-not-locked", LS("reason", strerror(errno)),
			  LS("means", "keys may reach the swap space"));
}

static void start(void)
{
	struct why w = {0};
	harden();
	if (!set_open(&w) || !zone_open(&w))
		fatal(EX_CONFIG, "%s", w.text);
}

static size_t listeners(struct pool *pool, struct listen_spec **out)
{
	size_t n = 0;
	*out = pool_alloc(pool, sizeof(ROLES) / sizeof(ROLES[0]) * sizeof(**out));
	for (size_t i = 0; i < sizeof(ROLES) / sizeof(ROLES[0]); i++) {
		const char *role = role_name(ROLES[i]);
		struct listen_spec *s = &(*out)[n++];
		const char *path = pool_printf(pool, "%s/key/%s.sock", daemon_rundir(), role);
		s->name = pool_printf(pool, "key-%s", role);
		s->owner = role;
		s->raw = true;
		if (!listen_unix(pool, path, &s->addr))
			fatal(EX_CONFIG, "%s: too long for a socket, or not absolute", path);
	}
	return n;
}

static void sandbox(struct pool *pool, struct sandbox *out)
{
	struct sandbox_path *p = pool_alloc(pool, 2 * sizeof(*p));
	p[0] = (struct sandbox_path){conf.state_dir, true};
	out->paths = p;
}

static void on_tick(struct timer *t)
{
	timer_set(t, TICK_MS, on_tick);
	set_tick();
	unsigned roles = ticket_rotate();
	if (roles)
		server_push(roles);
}

static void run(void)
{
	timer_set(&tick, TICK_MS, on_tick);
	daemon_ready();
}

/* Nothing to wait for: a request is answered in the turn in which it came, and who asked for many
 * signatures of a zone asks the next process again. */
static void drain(void)
{
	conn_serve_end();
	daemon_exit(EX_OK);
}

int main(int argc, char **argv)
{
	const struct daemon d = {
	    .name = "keyd",
	    .conf_file = "/etc/hamlet/keyd.conf",
	    .table = conf_table,
	    .conf = &conf,
	    .check = conf_check_all,
	    .listeners = listeners,
	    .start = start,
	    .sandbox = sandbox,
	    .run = run,
	    .drain = drain,
	    .stats = server_stats,
	    .inherit = server_listen,
	};
	int code = daemon_main(argc, argv, &d);
	if (set_certs.next)
		set_close();
	zone_close();
	ticket_close();
	return code;
}
