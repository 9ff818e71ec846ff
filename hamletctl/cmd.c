#include "hamletctl/hamletctl.h"
#include <string.h>
#include <sysexits.h>

#define STORED(noun, verb, args, min, max, shape, flags, help)                           \
	{                                                                                \
		noun, verb, args, min, max, ROLE_STORED, shape, flags, service_run, help \
	}
#define KEYD(noun, verb, args, min, max, shape, flags, help)                           \
	{                                                                              \
		noun, verb, args, min, max, ROLE_KEYD, shape, flags, service_run, help \
	}
#define LOCAL(noun, verb, args, min, max, shape, run, help)                \
	{                                                                  \
		noun, verb, args, min, max, ROLE_NONE, shape, 0, run, help \
	}

#define PICK "ID | --to DOMAIN | --from ADDRESS | --all"

const struct cmd cmd_table[] = {
    /* directory */
    STORED("domain", "add", "NAME", 1, 1, SHAPE_RECORD, 0, "makes a domain of ours"),
    STORED("domain", "list", "", 0, 0, SHAPE_TABLE, 0, "lists the domains"),
    STORED("domain", "show", "NAME", 1, 1, SHAPE_RECORD, 0, "shows a domain and its settings"),
    STORED("domain", "set", "NAME KEY=VALUE ...", 2, -1, SHAPE_RECORD, 0,
	   "sets login-delay, expire-retrieved, catch-all, quota"),
    STORED("domain", "delete", "NAME", 1, 1, SHAPE_RECORD, 0, "removes a domain without accounts"),
    STORED("account", "add", "ADDRESS", 1, 1, SHAPE_RECORD, CMD_PASSWORD | CMD_NEW,
	   "makes an account; asks for its password"),
    STORED("account", "list", "[DOMAIN]", 0, 1, SHAPE_TABLE, 0, "lists the accounts"),
    STORED("account", "show", "ADDRESS", 1, 1, SHAPE_RECORD, 0, "shows an account"),
    STORED("account", "set", "ADDRESS KEY=VALUE ...", 2, -1, SHAPE_RECORD, 0,
	   "sets login-delay, expire-retrieved, quota"),
    STORED("account", "password", "ADDRESS", 1, 1, SHAPE_RECORD, CMD_PASSWORD | CMD_NEW,
	   "changes the password; ends what is logged in"),
    STORED("account", "enable", "ADDRESS", 1, 1, SHAPE_RECORD, 0, "lets the account log in again"),
    STORED("account", "disable", "ADDRESS", 1, 1, SHAPE_RECORD, 0, "no logins, no new mail"),
    STORED("account", "delete", "ADDRESS", 1, 1, SHAPE_RECORD, 0,
	   "removes an account and its mail"),
    STORED("account", "app-password", "ADDRESS add NAME | list | delete NAME", 2, 3, SHAPE_TABLE, 0,
	   "passwords for single devices"),
    STORED("alias", "add", "ADDRESS TARGET ...", 2, -1, SHAPE_RECORD, 0,
	   "mail for ADDRESS goes to the targets"),
    STORED("alias", "list", "[DOMAIN]", 0, 1, SHAPE_TABLE, 0, "lists the aliases"),
    STORED("alias", "show", "ADDRESS", 1, 1, SHAPE_RECORD, 0, "shows where an alias leads"),
    STORED("alias", "delete", "ADDRESS", 1, 1, SHAPE_RECORD, 0, "removes an alias"),
    /* mail */
    STORED("mailbox", "list", "[ACCOUNT]", 0, 1, SHAPE_TABLE, 0, "lists mailboxes"),
    STORED("mailbox", "show", "ACCOUNT [MAILBOX]", 1, 2, SHAPE_TABLE, 0, "lists messages"),
    STORED("mailbox", "expunged", "ACCOUNT", 1, 1, SHAPE_TABLE, 0,
	   "lists deleted messages that can be restored"),
    STORED("mailbox", "restore", "ACCOUNT [UID ...]", 1, -1, SHAPE_RECORD, 0,
	   "restores deleted messages (all, or those named)"),
    STORED("mailbox", "export", "ACCOUNT UID", 2, 2, SHAPE_RAW, CMD_BODY,
	   "writes a message to standard output"),
    STORED("mailbox", "import", "ACCOUNT FILE", 2, 2, SHAPE_RECORD, CMD_FILE,
	   "puts a message (- standard input) into INBOX"),
    STORED("queue", "list", "[--to DOMAIN | --from ADDRESS]", 0, 2, SHAPE_TABLE, CMD_PAGES,
	   "lists what waits to be delivered"),
    STORED("queue", "show", "ID", 1, 1, SHAPE_TABLE, 0, "shows the recipients of a queued message"),
    STORED("queue", "flush", PICK, 1, 2, SHAPE_RECORD, 0, "tries to deliver now"),
    STORED("queue", "hold", PICK, 1, 2, SHAPE_RECORD, 0, "does not deliver until released"),
    STORED("queue", "release", PICK, 1, 2, SHAPE_RECORD, 0, "delivers what was held"),
    STORED("queue", "delete", PICK, 1, 2, SHAPE_RECORD, 0, "forgets it; its sender is not told"),
    STORED("queue", "stats", "", 0, 0, SHAPE_RECORD, 0, "counts the queue"),
    STORED("backup", "create", "NAME", 1, 1, SHAPE_RECORD, 0, "makes a backup while running"),
    STORED("backup", "list", "", 0, 0, SHAPE_TABLE, 0, "lists the backups"),
    STORED("backup", "verify", "NAME", 1, 1, SHAPE_TABLE, CMD_FINDINGS, "proves a backup"),
    STORED("backup", "restore", "NAME", 1, 1, SHAPE_RECORD, 0, "puts everything back"),
    STORED("backup", "restore-mailbox", "NAME ACCOUNT", 2, 2, SHAPE_RECORD, 0,
	   "puts back the messages of an account that are missing"),
    STORED("backup", "restore-message", "NAME ACCOUNT UID", 3, 3, SHAPE_RECORD, 0,
	   "puts back one message"),
    /* zones */
    LOCAL("zone", "list", "[NAME]", 0, 1, SHAPE_TABLE, run_zone_list,
	  "lists the zones that dnsd serves"),
    LOCAL("zone", "reload", "[NAME]", 0, 1, SHAPE_RAW, run_zone_reload,
	  "serves the zone files as they are now"),
    LOCAL("zone", "refresh", "NAME [--force]", 1, 2, SHAPE_RAW, run_zone_refresh,
	  "fetches a secondary from its primary"),
    LOCAL("zone", "notify", "[NAME]", 0, 1, SHAPE_RAW, run_zone_notify,
	  "notifies the secondaries of zones again"),
    LOCAL("zone", "dnssec", "NAME [--roll | --emergency | --ds-seen]", 1, 2, SHAPE_RECORD,
	  run_zone_dnssec, "tells the keys of a signed zone and what is to be done next"),
    LOCAL("zone", "stored", "", 0, 0, SHAPE_TABLE, run_zone_stored, "lists the zones in the store"),
    LOCAL("zone", "show", "ZONE [NAME [TYPE]]", 1, 3, SHAPE_TABLE, run_zone_show,
	  "shows a zone, or the records of a name"),
    LOCAL("zone", "import", "ZONE [FILE]", 1, 2, SHAPE_RECORD, run_zone_import,
	  "makes a zone what a zone file says"),
    LOCAL("zone", "check", "ZONE FILE", 2, 2, SHAPE_RECORD, run_zone_check,
	  "reads a zone file as import does"),
    LOCAL("zone", "export", "ZONE", 1, 1, SHAPE_RAW, run_zone_export,
	  "writes a zone file to standard output"),
    LOCAL("zone", "add", "ZONE NAME TYPE DATA ... [--ttl TTL]", 4, -1, SHAPE_RECORD, run_zone_add,
	  "adds a record"),
    LOCAL("zone", "set", "ZONE NAME TYPE DATA ... [--ttl TTL]", 4, -1, SHAPE_RECORD, run_zone_set,
	  "puts a record in the place of all of its type"),
    LOCAL("zone", "delete", "ZONE [NAME [TYPE [DATA ...]]]", 1, -1, SHAPE_RECORD, run_zone_delete,
	  "removes records; the zone with --yes"),
    LOCAL("zone", "key", "NAME [--algorithm ALGORITHM]", 1, 3, SHAPE_RAW, run_zone_key,
	  "makes a key for transfers and updates, prints it"),
    /* the cache server */
    LOCAL("dns", "lookup", "NAME [TYPE]", 1, 2, SHAPE_TABLE, run_dns,
	  "asks the cache server, and tells why when there is no answer"),
    LOCAL("dns", "explain", "NAME [TYPE]", 1, 2, SHAPE_RAW, run_dns,
	  "the way from the root to the answer, or to the mistake"),
    LOCAL("dns", "flush", "NAME [TYPE | --below]", 1, 2, SHAPE_RECORD, run_dns,
	  "forgets what the cache has of a name"),
    LOCAL("dns", "dump", "[DOMAIN]", 0, 1, SHAPE_TABLE, run_dns,
	  "what the cache has at and below a name"),
    LOCAL("dns", "stats", "", 0, 0, SHAPE_RECORD, run_dns, "counts the cache"),
    /* certificates */
    KEYD("cert", "list", "", 0, 0, SHAPE_TABLE, 0, "lists the certificates"),
    KEYD("cert", "show", "NAME", 1, 1, SHAPE_RECORD, 0, "shows a certificate"),
    KEYD("cert", "issue", "NAME HOST ...", 2, -1, SHAPE_RECORD, 0,
	 "issues a certificate by the local CA"),
    KEYD("cert", "import", "NAME FILE", 2, 2, SHAPE_RECORD, CMD_PEM,
	 "takes a PEM chain and its key (- standard input)"),
    KEYD("cert", "renew", "NAME", 1, 1, SHAPE_RECORD, 0, "issues a certificate anew"),
    KEYD("cert", "delete", "NAME", 1, 1, SHAPE_RECORD, 0, "removes a certificate"),
    KEYD("cert", "ca", "", 0, 0, SHAPE_RAW, 0, "prints the certificate of the local CA"),
    /* daemons */
    LOCAL("daemon", "status", "", 0, 0, SHAPE_TABLE, run_daemon_status, "lists the processes"),
    LOCAL("daemon", "restart", "NAME | all", 1, 1, SHAPE_RAW, run_daemon,
	  "replaces the processes without refusing a connection"),
    LOCAL("daemon", "stop", "NAME", 1, 1, SHAPE_RAW, run_daemon, "stops a daemon"),
    LOCAL("daemon", "start", "NAME", 1, 1, SHAPE_RAW, run_daemon, "starts a stopped daemon"),
    LOCAL("daemon", "reload", "", 0, 0, SHAPE_RAW, run_daemon, "reads hamlet.conf again"),
    LOCAL("daemon", "shutdown", "", 0, 0, SHAPE_RAW, run_daemon, "stops the suite"),
    LOCAL("daemon", "stats", "[NAME]", 0, 1, SHAPE_TABLE, run_daemon_stats,
	  "counters of the processes"),
    /* the suite */
    LOCAL("status", NULL, "", 0, 0, SHAPE_TABLE, run_status, "the suite at a glance"),
    LOCAL("trace", NULL, "ID", 1, 1, SHAPE_RAW, run_trace,
	  "every log line of a message or session"),
    {"check", NULL, "", 0, 0, ROLE_STORED, SHAPE_TABLE, CMD_FINDINGS, service_run,
     "proves every invariant of the store"},
    LOCAL("metrics", NULL, "", 0, 0, SHAPE_RAW, run_metrics,
	  "all counters in the Prometheus text format"),
    LOCAL("completion", NULL, "bash", 0, 1, SHAPE_RAW, run_completion,
	  "prints a completion script for the shell"),
    LOCAL("help", NULL, "[NOUN]", 0, 1, SHAPE_RAW, run_help, "lists the commands"),
    {0},
};

static bool noun_known(const char *noun)
{
	for (const struct cmd *c = cmd_table; c->noun; c++)
		if (strcmp(c->noun, noun) == 0)
			return true;
	return false;
}

static void line(FILE *f, const struct cmd *c)
{
	char left[80];
	str_fmt(left, sizeof(left), "%s%s%s %s", c->noun, c->verb ? " " : "",
		c->verb ? c->verb : "", c->args);
	fprintf(f, "  %-52s %s\n", left, c->help);
}

void cmd_help(FILE *f, const char *noun)
{
	if (!noun)
		fputs("usage: hamletctl [-c CONFDIR] [-r RUNDIR] [--json] [--password-stdin] "
		      "NOUN VERB ...\n",
		      f);
	for (const struct cmd *c = cmd_table; c->noun; c++)
		if (!noun || strcmp(c->noun, noun) == 0)
			line(f, c);
}

int run_help(const struct cmd *c, int argc, const char *const *argv)
{
	(void)c;
	if (argc > 1 && !noun_known(argv[1]))
		return complain(EX_USAGE, "%s: no such command", argv[1]);
	cmd_help(stdout, argc > 1 ? argv[1] : NULL);
	return 0;
}

/* The row whose words argv starts with; a noun that is a bare verb takes no second word. */
static const struct cmd *find(int argc, const char *const *argv)
{
	for (const struct cmd *c = cmd_table; c->noun; c++) {
		if (strcmp(c->noun, argv[0]) != 0)
			continue;
		if (!c->verb || (argc > 1 && strcmp(c->verb, argv[1]) == 0))
			return c;
	}
	return NULL;
}

int cmd_run(int argc, const char *const *argv)
{
	if (argc == 0) {
		cmd_help(stderr, NULL);
		return EX_USAGE;
	}
	const struct cmd *c = find(argc, argv);
	if (!c) {
		bool known = noun_known(argv[0]);
		if (known && argc > 1)
			complain(EX_USAGE, "%s %s: no such command", argv[0], argv[1]);
		else if (!known)
			complain(EX_USAGE, "%s: no such command (hamletctl help lists them)",
				 argv[0]);
		if (known)
			cmd_help(stderr, argv[0]);
		return EX_USAGE;
	}
	int args = argc - (c->verb ? 2 : 1);
	if (args < c->min || (c->max >= 0 && args > c->max)) {
		fprintf(stderr, "usage: hamletctl %s%s%s %s\n", c->noun, c->verb ? " " : "",
			c->verb ? c->verb : "", c->args);
		return EX_USAGE;
	}
	return c->run(c, argc, argv);
}
