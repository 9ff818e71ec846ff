/* smtpd: receives mail by SMTP, submission and LMTP and hands it to the store. */
#include "libcommon/net/daemon.h"
#include "smtpd/smtpd.h"

static void run(void)
{
	/* backend_start() reports readiness when the store and a certificate are there. */
}

/* No files; the sockets of the store and of the key daemon. */
static void sandbox(struct pool *pool, struct sandbox *out)
{
	const char **sockets = pool_alloc(pool, 3 * sizeof(*sockets));
	sockets[0] = pool_printf(pool, "%s/store/smtpd.sock", daemon_rundir());
	sockets[1] = pool_printf(pool, "%s/key/smtpd.sock", daemon_rundir());
	out->sockets = sockets;
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
	    .start = backend_start,
	    .sandbox = sandbox,
	    .run = run,
	    .drain = session_drain,
	    .stats = stats_write,
	};
	return daemon_main(argc, argv, &d);
}
