/* dnsd: answers for the zones that are ours. */
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include "dnsd/alias/alias.h"
#include "dnsd/catalog/catalog.h"
#include "dnsd/dnsd.h"
#include "dnsd/alias/resolver.h"
#include "dnsd/leader.h"
#include "dnsd/recurse/recurse.h"
#include "dnsd/secondary/secondary.h"
#include "dnsd/upstream/upstream.h"
#include "dnsd/wire/shared.h"
#include "libcommon/base/fatal.h"
#include "libcommon/base/folder.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"

/* How long clients wait for zones that were never compiled, and for a certificate; then what there
 * is, is served. */
enum { ZONES_MS = 10000, KEYS_MS = 3000 };

static struct {
	struct {
		char *name;
		int fd;
	} * udp;
	unsigned udps;
	struct timer late, keys_late;
	bool zones, keys, ready;
} self;

/* Datagrams are taken from here on: until now another process may be answering them. */
static void be_ready(void)
{
	if (self.ready || daemon_draining())
		return;
	self.ready = true;
	timer_clear(&self.late);
	timer_clear(&self.keys_late);
	for (unsigned i = 0; i < self.udps; i++)
		if (!udp_start(self.udp[i].fd, self.udp[i].name,
			       conf_listener_serves(self.udp[i].name), UDP_MAX, serve, serve_ahead))
			daemon_exit(EX_OSERR);
	daemon_ready();
}

static void check_ready(void)
{
	if (self.zones && self.keys)
		be_ready();
}

static void on_zones(void)
{
	self.zones = true;
	check_ready();
}

static void on_late(struct timer *t)
{
	if (t == &self.late) {
		log_event(LOG_LV_WARN, NULL, "starting-without", LS("missing", "some zones"));
		self.zones = true;
	} else {
		log_event(LOG_LV_WARN, NULL, "starting-without", LS("missing", "a certificate"));
		self.keys = true;
	}
	check_ready();
}

static void on_keys(void)
{
	self.keys = uplink_tls_ready() || self.keys;
	check_ready();
}

static void start(void)
{
	static const char *const ALPN[] = {"dot", NULL};
	int err = folder_make(conf.state_dir, 0755, 0700);
	if (err)
		fatal(EX_CANTCREAT, "state-dir %s: %s", conf.state_dir, strerror(err));
	builder_start();
	xfr_in_init();
	if (conf_forwards_by_tls())
		upstream_trust(conf.recursion.tls_ca);
	if (conf_uses_store())
		uplink_store_start(ROLE_DNSD, load_store_up);
	resolver_start();
	self.keys = conf.content_tls.n == 0 && conf.cache_tls.n == 0;
	if (self.keys)
		return;
	timer_set(&self.keys_late, KEYS_MS, on_late);
	uplink_tls_start(ROLE_DNSD, ALPN, on_keys);
}

static void sandbox(struct pool *pool, struct sandbox *out)
{
	conf_sandbox(pool, out);
	/* keyd also for zones that are not signed any more, but still have keys. */
	if (conf_uses_store())
		uplink_sandbox(pool, ROLE_DNSD, out);
	else
		uplink_tls_sandbox(pool, ROLE_DNSD, out);
}

static void inherit(const char *name, int fd)
{
	self.udp = mem_realloc(self.udp, (self.udps + 1) * sizeof(*self.udp));
	self.udp[self.udps].name = mem_strdup(name);
	self.udp[self.udps++].fd = fd;
}

static void run(void)
{
	int state = open(conf.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state < 0) {
		log_event(LOG_LV_ERROR, NULL, "state-dir", LS("path", conf.state_dir),
			  LS("reason", strerror(errno)));
		daemon_exit(EX_CANTCREAT);
		return;
	}
	serve_start(state);
	tcp_start(serve);
	timer_set(&self.late, ZONES_MS, on_late);
	transfer_start(state);
	load_start(state, on_zones);
	notify_out_start(state);
	leader_start(state);
	serial_ask_start(state);
	recurse_rpz_start();
	refresh_start(state);
	catalog_start(state);
	alias_start(state);
	parent_start();
}

static void write_stats(struct buf *out)
{
	stats_write(out);
	load_stats(out);
	refresh_stats(out);
	recurse_stats_write(out);
}

static bool command(struct control_call *call)
{
	return recurse_command(call) || refresh_command(call) || notify_command(call) ||
	       load_command(call);
}

static void gone(void)
{
	recurse_stop();
	daemon_exit(EX_OK);
}

static void drain(void)
{
	leader_stop();
	udp_stop();
	tcp_drain(gone);
}

int main(int argc, char **argv)
{
	static const struct daemon d = {
	    .name = "dnsd",
	    .conf_file = "/etc/hamlet/dnsd.conf",
	    .table = conf_table,
	    .conf = &conf,
	    .check = conf_verify,
	    .listeners = conf_listeners,
	    .listen_ops = &tcp_listen_ops,
	    .start = start,
	    .sandbox = sandbox,
	    .inherit = inherit,
	    .run = run,
	    .drain = drain,
	    .stats = write_stats,
	    .command = command,
	    .shared = sizeof(struct shared),
	};
	return daemon_main(argc, argv, &d);
}
