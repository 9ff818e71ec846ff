/* hamlet.conf: its one table of directives, and the checks that a table cannot say. */
#include "hamletd/hamletd.h"
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/mem.h"

/* It locks all its memory, the stacks of its threads included. */
#define KEYD_MEMLOCK (UINT64_C(1) << 30)

static const char *const LOG_NAMES[] = {"syslog", "stderr", "file", NULL};
static const char *const REPLACE_NAMES[] = {"overlap", "stop-first", "default", NULL};

#define FIELD(s, f) .offset = offsetof(struct s, f)

static const struct conf_directive RLIMITS[] = {
    {.name = "nofile",
     .type = CONF_INT,
     FIELD(conf_rlimits, nofile),
     .def = "65536",
     .help = "Open files and connections."},
    {.name = "core",
     .type = CONF_SIZE,
     FIELD(conf_rlimits, core),
     .def = "0",
     .help = "Size of a core file; with 0 none is written."},
    {.name = "memlock",
     .type = CONF_SIZE,
     FIELD(conf_rlimits, memlock),
     .help = "Memory that may be locked; left alone when not given, but 1G for keyd."},
    {.name = "memory",
     .type = CONF_SIZE,
     FIELD(conf_rlimits, memory),
     .help = "Address space; left alone when not given."},
    {0}};

static const struct conf_directive DAEMON[] = {
    {.name = "program",
     .type = CONF_STRING,
     FIELD(conf_daemon, program),
     .help = "The program: a name beside hamletd's own binary or in ../libexec/hamlet, or an "
	     "absolute path.\nBy default the name of the block."},
    {.name = "config",
     .type = CONF_PATH,
     FIELD(conf_daemon, config),
     .help = "Its configuration file; by default the name of the block with .conf, beside "
	     "hamlet.conf.\nThe daemon sees the folder of this file."},
    {.name = "processes",
     .type = CONF_INT,
     FIELD(conf_daemon, processes),
     .def = "1",
     .min = 1,
     .max = LIMITS_PROCS,
     .help = "How many processes share the work."},
    {.name = "user",
     .type = CONF_STRING,
     FIELD(conf_daemon, user),
     .help = "The user it runs as: a name, or UID or UID:GID in numbers.\nBy default hamlet- and "
	     "the name of the program.\nWithout effect when hamletd is not root."},
    {.name = "enabled",
     .type = CONF_BOOL,
     FIELD(conf_daemon, enabled),
     .def = "on",
     .help = "Whether it is started."},
    {.name = "jail",
     .type = CONF_BOOL,
     FIELD(conf_daemon, jail),
     .def = "on",
     .help = "Whether it gets a file tree of its own, with only what it needs."},
    {.name = "replace",
     .type = CONF_ENUM,
     FIELD(conf_daemon, replace),
     .def = "default",
     .names = REPLACE_NAMES,
     .help = "How a process is replaced: overlap starts the new one first and ends the old one "
	     "when it is ready; stop-first ends the old one first, while connections wait.\nThe "
	     "default is stop-first for stored and overlap for the others."},
    {.name = "drain-timeout",
     .type = CONF_DURATION,
     FIELD(conf_daemon, drain_timeout),
     .help = "How long its sessions may go on when it is replaced or stopped; by default the "
	     "suite's drain-timeout."},
    {.name = "rlimits",
     .type = CONF_BLOCK,
     FIELD(conf_daemon, rlimits),
     .block = RLIMITS,
     .block_size = sizeof(struct conf_rlimits),
     .help = "Limits of the kernel for each process."},
    {0}};

const struct conf_directive HAMLET_CONF[] = {
    {.name = "run-dir",
     .type = CONF_PATH,
     FIELD(hamlet_conf, run_dir),
     .def = "/run/hamlet",
     .help = "The folder of the suite's sockets.\nCan only be changed by a new start."},
    {.name = "log",
     .type = CONF_ENUM,
     FIELD(hamlet_conf, log),
     .def = "syslog",
     .names = LOG_NAMES,
     .help = "Where the log of all daemons goes."},
    {.name = "log-file",
     .type = CONF_PATH,
     FIELD(hamlet_conf, log_file),
     .help = "The log file; naming one means that the log goes to it."},
    {.name = "log-size",
     .type = CONF_SIZE,
     FIELD(hamlet_conf, log_size),
     .def = "100M",
     .help = "The log file is set aside when it has reached this size; 0 means never."},
    {.name = "log-keep",
     .type = CONF_INT,
     FIELD(hamlet_conf, log_keep),
     .def = "5",
     .max = 1000,
     .help = "How many old log files are kept."},
    {.name = "drain-timeout",
     .type = CONF_DURATION,
     FIELD(hamlet_conf, drain_timeout),
     .def = "1h",
     .min = 100,
     .help = "How long the sessions of a replaced or stopped process may go on; then it is "
	     "killed."},
    {.name = "start-timeout",
     .type = CONF_DURATION,
     FIELD(hamlet_conf, start_timeout),
     .def = "30s",
     .min = 100,
     .help = "How long a daemon may take until it is ready, and how long hamletd waits for an "
	     "address that is still in use."},
    {.name = "shutdown-timeout",
     .type = CONF_DURATION,
     FIELD(hamlet_conf, shutdown_timeout),
     .def = "1m",
     .min = 100,
     .help = "How long the daemons may drain when hamletd itself is told to end."},
    {.name = "watchdog",
     .type = CONF_DURATION,
     FIELD(hamlet_conf, watchdog),
     .def = "30s",
     .min = 200,
     .flags = CONF_OKNEVER,
     .help = "A daemon that gives no sign of life for so long is killed and started again."},
    {.name = "backoff-min",
     .type = CONF_DURATION,
     FIELD(hamlet_conf, backoff_min),
     .def = "100ms",
     .min = 10,
     .help = "The pause before a crashed daemon is started again; it doubles with each crash."},
    {.name = "backoff-max",
     .type = CONF_DURATION,
     FIELD(hamlet_conf, backoff_max),
     .def = "30s",
     .min = 10,
     .help = "The longest such pause."},
    {.name = "backoff-reset",
     .type = CONF_DURATION,
     FIELD(hamlet_conf, backoff_reset),
     .def = "10s",
     .help = "After being ready for so long, a daemon starts with the shortest "
	     "pause again."},
    {.name = "daemon",
     .type = CONF_BLOCK,
     FIELD(hamlet_conf, daemons),
     .flags = CONF_MULTI | CONF_ARGS | CONF_OPTBLK,
     .arg = "name",
     .block = DAEMON,
     .block_size = sizeof(struct conf_daemon),
     .help = "A daemon to run, under a name of its own: one program may run several times with "
	     "different names and configurations."},
    {0}};

/* The pool of the file that is being read: the check has no other way to it. Start-up and
 * reload, loop thread only. */
static struct pool *check_pool;
static const char *check_file, *check_single;

static bool name_ok(const char *s)
{
	size_t n = strlen(s);
	if (n == 0 || n > 32 || s[0] == '.' || s[0] == '-' || strcmp(s, "all") == 0)
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

/* Beside our own binary (in build/), or where it is installed. */
static const char *binary_find(struct pool *pool, const char *program)
{
	char self[4096];
	if (program[0] == '/')
		return access(program, X_OK) == 0 ? program : NULL;
	if (strchr(program, '/'))
		return NULL;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return NULL;
	self[n] = 0;
	char *slash = strrchr(self, '/');
	*slash = 0;
	const char *path = pool_printf(pool, "%s/%s", self, program);
	if (access(path, X_OK) == 0)
		return path;
	slash = strrchr(self, '/');
	if (slash) {
		*slash = 0;
		path = pool_printf(pool, "%s/libexec/hamlet/%s", self, program);
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

/* A user's name, or UID[:GID]. */
static bool user_find(const char *text, uid_t *uid, gid_t *gid)
{
	struct slice rest = slice_of(text), first = slice_cut(&rest, ':');
	uint32_t u, g;
	if (str_u32(first, &u)) {
		const struct passwd *pw = getpwuid(u);
		bool has_gid = strchr(text, ':') != NULL;
		if (has_gid && !str_u32(rest, &g))
			return false;
		*uid = u;
		*gid = has_gid ? g : pw ? pw->pw_gid : u;
		return true;
	}
	const struct passwd *pw = getpwnam(text);
	if (!pw)
		return false;
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return true;
}

static const char *folder_of(struct pool *pool, const char *file)
{
	const char *slash = strrchr(file, '/');
	return slash == file ? "/" : pool_strndup(pool, file, (size_t)(slash - file));
}

static void daemon_defaults(struct conf_daemon *d)
{
	d->name = d->block.args.w[0];
	if (!d->program)
		d->program = d->name;
	if (!d->config)
		d->config = pool_printf(check_pool, "%s/%s.conf", folder_of(check_pool, check_file),
					d->name);
	if (d->replace == REPLACE_DEFAULT) {
		const char *slash = strrchr(d->program, '/');
		bool stored = strcmp(slash ? slash + 1 : d->program, "stored") == 0;
		d->replace = stored ? REPLACE_STOP_FIRST : REPLACE_OVERLAP;
	}
	if (!d->rlimits.memlock && conf_stage(d) == 0)
		d->rlimits.memlock = KEYD_MEMLOCK;
}

static void daemon_check(struct conf_errors *e, struct conf_daemon *d)
{
	const struct conf_where *w = d->block.where.file ? &d->block.where : NULL;
	daemon_defaults(d);
	if (d->block.args.n != 1 || !name_ok(d->name)) {
		conf_error(e, w, "daemon: needs one name of letters, digits, '-', '_' and '.'");
		return;
	}
	const char *slash = strrchr(d->program, '/');
	const char *base = slash ? slash + 1 : d->program;
	const char *user = d->user ? d->user : pool_printf(check_pool, "hamlet-%s", base);
	d->uid = getuid();
	d->gid = getgid();
	d->user_known = getuid() != 0 || user_find(user, &d->uid, &d->gid);
	if (!d->enabled || (check_single && strcmp(d->name, check_single) != 0))
		return;
	d->binary = binary_find(check_pool, d->program);
	if (!d->binary)
		conf_error(e, w, "daemon %s: program %s: no such program", d->name, d->program);
	if (access(d->config, R_OK) != 0)
		conf_error(e, w, "daemon %s: config %s: cannot be read", d->name, d->config);
	if (!d->user_known)
		conf_error(e, w, "daemon %s: user %s: no such user", d->name, user);
}

static void check(struct conf_errors *e, void *root)
{
	struct hamlet_conf *c = root;
	if (c->log_file)
		c->log = CONF_LOG_FILE;
	else if (c->log == CONF_LOG_FILE)
		c->log_file = "/var/log/hamlet.log";
	if (strlen(c->run_dir) > 60) /* a socket's path has 107 bytes */
		conf_error(e, NULL, "run-dir: is longer than 60 bytes");
	for (size_t i = 0; i < c->daemons.n; i++) {
		struct conf_daemon *d = c->daemons.item[i];
		daemon_check(e, d);
		for (size_t k = 0; k < i; k++) {
			const struct conf_daemon *o = c->daemons.item[k];
			if (strcmp(o->name, d->name) == 0)
				conf_error(e, &d->block.where, "daemon %s: is there twice",
					   d->name);
		}
	}
}

/* The block of `hamletd -s NAME` when the file has none: all defaults. */
static void single_add(struct hamlet_conf *c, const char *single, FILE *err, int *mistakes)
{
	for (size_t i = 0; i < c->daemons.n; i++)
		if (strcmp(((struct conf_daemon *)c->daemons.item[i])->name, single) == 0)
			return;
	struct hamlet_conf made = {0};
	const char *text = pool_printf(c->pool, "version 1\ndaemon \"%s\"\n", single);
	*mistakes +=
	    conf_parse(c->pool, single, text, strlen(text), HAMLET_CONF, &made, check, err);
	if (*mistakes)
		return;
	void **more = pool_alloc(c->pool, (c->daemons.n + 1) * sizeof(*more));
	if (c->daemons.n)
		memcpy(more, c->daemons.item, c->daemons.n * sizeof(*more));
	more[c->daemons.n++] = made.daemons.item[0];
	c->daemons.item = more;
}

struct hamlet_conf *conf_read(const char *file, const char *single, FILE *err)
{
	struct pool *pool = pool_new(0);
	struct hamlet_conf *c = pool_alloc(pool, sizeof(*c));
	int mistakes;
	c->pool = pool;
	c->refs = 1;
	c->file = pool_strdup(pool, file);
	check_pool = pool;
	check_file = c->file;
	check_single = single;
	if (single && access(file, F_OK) != 0)
		mistakes = conf_parse(pool, file, "version 1\n", 10, HAMLET_CONF, c, check, err);
	else
		mistakes = conf_load(pool, c->file, HAMLET_CONF, c, check, err);
	if (single && !mistakes)
		single_add(c, single, err, &mistakes);
	if (!mistakes)
		return c;
	pool_free(&pool);
	return NULL;
}

struct hamlet_conf *conf_ref(struct hamlet_conf *c)
{
	c->refs++;
	return c;
}

void conf_unref(struct hamlet_conf **c)
{
	struct hamlet_conf *old = *c;
	*c = NULL;
	if (!old || --old->refs)
		return;
	struct pool *pool = old->pool; /* the struct itself lives in it */
	pool_free(&pool);
}

uid_t conf_role_uid(const struct hamlet_conf *c, const char *role)
{
	if (getuid() != 0)
		return getuid();
	for (size_t i = 0; i < c->daemons.n; i++) {
		const struct conf_daemon *d = c->daemons.item[i];
		const char *slash = strrchr(d->program, '/');
		if (d->user_known && strcmp(slash ? slash + 1 : d->program, role) == 0)
			return d->uid;
	}
	char name[64];
	const struct passwd *pw = NULL;
	if (str_fmt(name, sizeof(name), "hamlet-%s", role))
		pw = getpwnam(name);
	return pw ? pw->pw_uid : getuid();
}

bool conf_daemon_same(const struct conf_daemon *a, const struct conf_daemon *b)
{
	const struct conf_rlimits *x = &a->rlimits, *y = &b->rlimits;
	return strcmp(a->binary, b->binary) == 0 && strcmp(a->config, b->config) == 0 &&
	       a->processes == b->processes && a->jail == b->jail && a->uid == b->uid &&
	       a->gid == b->gid && x->nofile == y->nofile && x->core == y->core &&
	       x->memlock == y->memlock && x->memory == y->memory;
}

unsigned conf_stage(const struct conf_daemon *d)
{
	const char *slash = strrchr(d->program, '/');
	const char *base = slash ? slash + 1 : d->program;
	return strcmp(base, "keyd") == 0 ? 0 : strcmp(base, "stored") == 0 ? 1 : 2;
}
