/* smtpd: receives mail by SMTP, submission and LMTP and hands it to the store. */
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/daemon.h"
#include "smtpd/notice.h"
#include "smtpd/smtpd.h"

static void start(void)
{
	relay_conf_start();
	local_start();
	backend_start();
	if (relay_conf.on)
		notice_start();
}

static void run(void)
{
	/* backend_start() reports readiness when the store and a certificate are there. */
}

/* The sockets of the store and of the key daemon, and the names of local users. */
static void sandbox(struct pool *pool, struct sandbox *out)
{
	uplink_sandbox(pool, ROLE_SMTPD, out);
	if (conf.local.n) {
		struct sandbox_path *p = pool_alloc(pool, 2 * sizeof(*p));
		p[0].path = conf.local_users;
		out->paths = p;
	}
}

int main(int argc, char **argv)
{
	static const struct daemon d = {
	    .name = "smtpd",
	    .conf_file = "/etc/hamlet/smtpd.conf",
	    .table = conf_table,
	    .conf = &conf,
	    .check = conf_verify,
	    .listeners = conf_listeners,
	    .listen_ops = &session_listen_ops,
	    .start = start,
	    .sandbox = sandbox,
	    .run = run,
	    .drain = session_drain,
	    .stats = stats_write,
	};
	return daemon_main(argc, argv, &d);
}
