/* smtpd: takes mail by SMTP, submission and LMTP for the store, and sends what is in its queue. */
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/daemon.h"
#include "smtpd/notice.h"
#include "smtpd/relay.h"
#include "smtpd/smtpd.h"

static void start(void)
{
	relay_conf_start();
	local_start();
	relay_start(); /* reads resolv.conf */
	backend_start();
	if (relay_conf.on)
		notice_start();
}

static void run(void)
{
	/* backend_start() reports readiness when the store and a certificate are there. */
}

/* The names of local users; certificate authorities and resolv.conf were read at the start. The
 * sockets of the store and of the key daemon; other mail servers, and those of the DNS, when mail
 * is sent. */
static void sandbox(struct pool *pool, struct sandbox *out)
{
	uplink_sandbox(pool, ROLE_SMTPD, out);
	out->connect_inet = relay_conf.on;
	out->threads = relay_conf.on; /* SCRAM with a smarthost */
	if (conf.local.n) {
		struct sandbox_path *p = pool_alloc(pool, 2 * sizeof(*p));
		p[0].path = conf.local_users;
		out->paths = p;
	}
}

/* The halves that still work on something. */
static unsigned draining;

static void drained(void)
{
	if (--draining == 0)
		daemon_exit(0);
}

static void drain(void)
{
	draining = 3;
	session_drain(drained);
	relay_drain(drained);
	notice_drain(drained);
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
	    .drain = drain,
	    .stats = stats_write,
	};
	return daemon_main(argc, argv, &d);
}
