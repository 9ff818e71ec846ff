/* sendmail, mailq, newaliases: local programs hand in mail. Runs with its caller's rights. */
#include <errno.h>
#include <signal.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/rundir.h"
#include "sendmail/sendmail.h"

/* The queue is the administrator's: hamletctl, which lies beside this program, shows it. arg: NULL:
 * none. */
static int hamletctl(struct pool *pool, const char *verb, const char *arg)
{
	char self[4096];
	if (geteuid() != 0)
		return complain(EX_NOPERM, "the queue is the administrator's: hamletctl queue %s",
				verb);
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = 0;
	const char *slash = strrchr(self, '/');
	if (!slash)
		return complain(EX_OSERR, "where this program lies cannot be found");
	const char *path = pool_printf(pool, "%.*s/hamletctl", (int)(slash - self), self);
	execl(path, "hamletctl", "queue", verb, arg, (char *)NULL);
	return complain(EX_OSFILE, "%s: %s", path, strerror(errno));
}

static int usage(void)
{
	fprintf(stderr, "usage: sendmail [-itv] [-f sender] [-F name] [-N dsn] [-R full|hdrs] "
			"[-V id] [address ...]\n"
			"       sendmail -bs | -bv address ... | -bp | -q\n");
	return EX_USAGE;
}

static int run(struct pool *pool, char **argv)
{
	struct opts o;
	if (!opts_read(pool, argv, &o)) {
		complain(EX_USAGE, "%s", o.error);
		return usage();
	}
	const char *socket =
	    pool_printf(pool, "%s/local/smtp.sock", rundir_find(pool, "/etc/hamlet"));
	switch (o.mode) {
	case MODE_DELIVER:
		if (!o.extract && !o.to[0] && isatty(STDIN_FILENO))
			return usage();
		return deliver(pool, &o, socket);
	case MODE_VERIFY:
		return verify(pool, &o, socket);
	case MODE_SMTP:
		return relay_smtp(socket);
	case MODE_QUEUE:
		return hamletctl(pool, "list", NULL);
	case MODE_FLUSH:
		return hamletctl(pool, "flush", "--all");
	case MODE_ALIASES:
		printf("Aliases are in the store, and in force at once: see hamletctl alias.\n");
		return EX_OK;
	case MODE_REFUSED:
		break;
	}
	return usage();
}

int main(int argc, char **argv)
{
	if (argc > 0) {
		const char *slash = strrchr(argv[0], '/');
		complain_as(slash ? slash + 1 : argv[0]);
	}
	signal(SIGPIPE, SIG_IGN);
	clock_init();
	tzset();
	struct pool *pool = pool_new(0);
	int code = run(pool, argv);
	pool_free(&pool);
	return fflush(stdout) == 0 ? code : EX_IOERR;
}
