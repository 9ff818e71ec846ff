/* pop3d: lets users fetch their mail by POP3. */
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/daemon.h"
#include "pop3d/pop3d.h"

/* backend_start() reports readiness when the store and a certificate are there. */
static void run(void)
{
}

/* No files; the sockets of the store and of the key daemon. */
static void sandbox(struct pool *pool, struct sandbox *out)
{
	uplink_sandbox(pool, ROLE_POP3D, out);
}

int main(int argc, char **argv)
{
	static const struct daemon d = {
	    .name = "pop3d",
	    .conf_file = "/etc/hamlet/pop3d.conf",
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
