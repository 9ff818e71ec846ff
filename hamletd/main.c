/* hamletd: supervises the daemons of hamlet. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <sys/wait.h>
#include <unistd.h>
#include "hamletd/hamletd.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fatal.h"
#include "libcommon/base/folder.h"
#include "libcommon/base/log.h"

struct options {
	const char *file, *single;
	int check; /* -n, -nn */
	bool foreground, verbose;
};

static int pid_fd = -1;
static int parent_fd = -1; /* the process that was started waits for a byte here */
static uv_signal_t signals[3];

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: hamletd [-dMnvV] [-f FILE] [-s DAEMON]\n");
	exit(EX_USAGE);
}

static struct options options_read(int argc, char **argv)
{
	struct options o = {.file = "/etc/hamlet/hamlet.conf"};
	int c;
	while ((c = getopt(argc, argv, "df:Mns:vV")) != -1) {
		switch (c) {
		case 'd':
			o.foreground = true;
			break;
		case 'f':
			o.file = optarg;
			break;
		case 'M':
			conf_mdoc(stdout, HAMLET_CONF);
			exit(EX_OK);
		case 'n':
			o.check++;
			break;
		case 's':
			o.single = optarg;
			break;
		case 'v':
			o.verbose = true;
			break;
		case 'V':
			printf("hamletd %s\n", HAMLET_VERSION);
			exit(EX_OK);
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	return o;
}

/* Absolute, because relative paths in it start at its folder and daemons may be elsewhere. */
static const char *absolute(const char *file)
{
	static char path[PATH_MAX];
	char here[PATH_MAX];
	if (realpath(file, path))
		return path;
	if (file[0] == '/' || !getcwd(here, sizeof(here)))
		return file;
	str_fmt(path, sizeof(path), "%s/%s", here, file);
	return path;
}

/* -n: also each daemon's own check, as it is done before a start. */
static int daemons_check(const struct hamlet_conf *c, const char *single)
{
	int code = EX_OK;
	for (size_t i = 0; i < c->daemons.n; i++) {
		const struct conf_daemon *d = c->daemons.item[i];
		int status = 0;
		if (!d->enabled || (single && strcmp(single, d->name) != 0))
			continue;
		pid_t pid = fork();
		if (pid == 0) {
			execl(d->binary, d->binary, "-n", "-f", d->config, "-N", d->name,
			      (char *)NULL);
			_exit(EX_OSERR);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			code = EX_CONFIG;
	}
	return code;
}

/* One hamletd per run-dir, or per run-dir and daemon with -s. A POSIX lock: children have none of
 * it, and it ends with us. */
static void pid_file(const struct hamlet_conf *c, const char *single)
{
	char path[PATH_MAX];
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	str_fmt(path, sizeof(path), "%s/hamletd%s%s.pid", c->run_dir, single ? "." : "",
		single ? single : "");
	pid_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (pid_fd < 0)
		fatal(EX_CANTCREAT, "%s: %s", path, strerror(errno));
	if (fcntl(pid_fd, F_SETLK, &l) != 0) {
		l.l_pid = 0;
		fcntl(pid_fd, F_GETLK, &l);
		fatal(EX_TEMPFAIL, "%s: hamletd runs already, with pid %d", path, (int)l.l_pid);
	}
	if (ftruncate(pid_fd, 0) != 0 || dprintf(pid_fd, "%d\n", (int)getpid()) < 0)
		fatal(EX_IOERR, "%s: %s", path, strerror(errno));
}

/* Into the background; the process that was started ends when all is up, with an exit code that
 * says so. Not under a supervisor that waits for a READY=1. */
static void background(void)
{
	int fds[2];
	unsigned char code = EX_SOFTWARE;
	if (getenv("NOTIFY_SOCKET"))
		return;
	if (pipe2(fds, O_CLOEXEC) != 0)
		fatal(EX_OSERR, "pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid < 0)
		fatal(EX_OSERR, "fork: %s", strerror(errno));
	if (pid > 0) {
		close(fds[1]);
		ssize_t n = read(fds[0], &code, 1);
		_exit(n == 1 ? code : EX_SOFTWARE);
	}
	close(fds[0]);
	parent_fd = fds[1];
	setsid();
}

static void background_done(int code)
{
	unsigned char byte = (unsigned char)code;
	if (parent_fd < 0)
		return;
	ssize_t n = write(parent_fd, &byte, 1);
	(void)n; /* nobody waits any more */
	close(parent_fd);
	parent_fd = -1;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (strcmp(logfile_path(), "syslog") == 0)
		dup2(null, STDERR_FILENO);
	close(null);
}

static void on_up(void)
{
	notify_parent("READY=1");
	background_done(EX_OK);
}

static void on_signal(uv_signal_t *h, int sig)
{
	(void)h;
	if (sig == SIGHUP)
		super_reload(NULL, NULL);
	else
		super_shutdown(NULL, NULL);
}

static void signals_start(void)
{
	static const int number[] = {SIGTERM, SIGINT, SIGHUP};
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 3; i++) {
		uv_signal_init(loop_get(), &signals[i]);
		uv_signal_start(&signals[i], on_signal, number[i]);
	}
}

/* The folders of the suite's sockets. */
static void run_dir_make(const struct hamlet_conf *c)
{
	static const char *const sub[] = {"", "/store", "/key", "/ctl"};
	char path[PATH_MAX];
	for (int i = 0; i < 4; i++) {
		str_fmt(path, sizeof(path), "%s%s", c->run_dir, sub[i]);
		mode_t mode = geteuid() == 0 ? 0755 : 0700;
		int err = folder_make(path, mode, mode);
		if (err)
			fatal(EX_CANTCREAT, "%s: %s", path, strerror(err));
	}
}

static void supervise(struct hamlet_conf *c, const struct options *o)
{
	char path[PATH_MAX];
	str_fmt(path, sizeof(path), "%s/jail", c->run_dir);
	jail_init(path);
	proc_init();
	notify_start();
	signals_start();
	str_fmt(path, sizeof(path), "%s/hamletd%s%s.sock", c->run_dir, o->single ? "." : "",
		o->single ? o->single : "");
	if (!control_listen(path))
		exit(EX_CANTCREAT);
	super_start(c, o->single, on_up);
	uv_run(loop_get(), UV_RUN_DEFAULT);
	control_close();
	notify_stop();
	super_free();
	for (int i = 0; i < 3; i++)
		uv_close((uv_handle_t *)&signals[i], NULL);
	proc_end();
	loop_run(); /* lets the handles close */
}

int main(int argc, char **argv)
{
	struct options o = options_read(argc, argv);
	clock_init();
	log_init("hamletd", LOG_TO_STDERR, o.verbose ? LOG_LV_DEBUG : LOG_LV_INFO);
	struct hamlet_conf *c = conf_read(absolute(o.file), o.single, stderr);
	if (!c)
		return EX_CONFIG;
	/* For whatever we start: a daemon's own sockets (-L) are in this folder too. */
	setenv("HAMLET_RUNDIR", c->run_dir, 1);
	if (o.check) {
		if (o.check > 1)
			conf_dump(stdout, HAMLET_CONF, c);
		fflush(stdout);
		int code = daemons_check(c, o.single);
		conf_unref(&c);
		return code;
	}
	if (!o.foreground)
		background();
	run_dir_make(c);
	pid_file(c, o.single);
	logfile_start(c, o.foreground);
	if (o.verbose)
		log_set_level(LOG_LV_DEBUG);
	supervise(c, &o);
	/* The pid may be another's soon. The file itself carries the lock of whoever comes next. */
	if (ftruncate(pid_fd, 0) != 0)
		log_text(LOG_LV_WARN, "the pid file: %s", strerror(errno));
	background_done(super_exit_code());
	return super_exit_code();
}
