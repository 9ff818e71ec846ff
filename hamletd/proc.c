/* One child process: fork, descriptors, environment, jail, exec; and the end of each. */
#include "hamletd/hamletd.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libcommon/base/fatal.h"
#include "libcommon/base/mem.h"

extern char **environ;

enum { FIRST_FD = 3 };

static struct list children = {&children, &children};
static uv_signal_t sigchld;
/* Its write end is ours alone: when we are gone, however, the daemons read an end of file. */
static int life[2] = {-1, -1};

static void on_sigchld(uv_signal_t *h, int sig)
{
	(void)h;
	(void)sig;
	for (bool again = true; again;) { /* a callback may change the list: start anew */
		again = false;
		list_each(it, &children)
		{
			struct child *c = list_entry(it, struct child, link);
			int status;
			if (waitpid(c->pid, &status, WNOHANG) != c->pid)
				continue;
			c->pid = 0;
			list_del(&c->link);
			c->on_exit(c, status);
			again = true;
			break;
		}
	}
}

void proc_init(void)
{
	if (pipe2(life, O_CLOEXEC) != 0)
		fatal(71, "pipe: %s", strerror(errno));
	uv_signal_init(loop_get(), &sigchld);
	uv_signal_start(&sigchld, on_sigchld, SIGCHLD);
}

void proc_end(void)
{
	uv_close((uv_handle_t *)&sigchld, NULL);
	close(life[0]);
	close(life[1]);
}

void proc_signal(const struct child *c, int sig)
{
	/* CAP_KILL: the daemon has another user. The pid cannot be another's: we reap it. */
	if (c->pid)
		kill(c->pid, sig);
}

/* Nobody waits for it any more; it is reaped all the same. */
static void reap_only(struct child *c, int status)
{
	(void)status;
	free(c);
}

void proc_forget(struct child *c)
{
	if (!c->pid)
		return;
	struct child *left = mem_alloc(sizeof(*left));
	left->pid = c->pid;
	left->on_exit = reap_only;
	list_del(&c->link);
	list_add_tail(&children, &left->link);
	c->pid = 0;
}

/* What the daemons get of our own environment: tests' settings, the time zone, sanitizers'. */
static bool env_passes(const char *v)
{
	static const char *const own[] = {
	    "HAMLET_LIFE_FD=", "HAMLET_PROC=", "HAMLET_LOG_CHILD=", NULL};
	static const char *const others[] = {
	    "TZ=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=", "HAMLET_", NULL};
	for (int i = 0; own[i]; i++)
		if (strncmp(v, own[i], strlen(own[i])) == 0)
			return false;
	for (int i = 0; others[i]; i++)
		if (strncmp(v, others[i], strlen(others[i])) == 0)
			return true;
	return false;
}

static void env_add(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "%s=%s", name, value);
	buf_addc(b, 0);
}

static void env_build(struct buf *b, const struct spawn *s)
{
	char number[24];
	env_add(b, "PATH", "/usr/bin:/bin");
	for (char **v = environ; *v; v++)
		if (env_passes(*v))
			buf_add(b, *v, strlen(*v) + 1);
	env_add(b, "HAMLET_LOG_CHILD", "1");
	snprintf(number, sizeof(number), "%d", FIRST_FD + (int)s->fds);
	env_add(b, "HAMLET_LIFE_FD", number);
	if (s->fds) {
		snprintf(number, sizeof(number), "%d", (int)getpid());
		env_add(b, "LISTEN_PID", number);
		snprintf(number, sizeof(number), "%zu", s->fds);
		env_add(b, "LISTEN_FDS", number);
		buf_adds(b, "LISTEN_FDNAMES=");
		for (size_t i = 0; i < s->fds; i++)
			buf_printf(b, "%s%s", i ? ":" : "", s->fd_name[i]);
		buf_addc(b, 0);
	}
	if (s->env)
		buf_add(b, s->env->p, s->env->len);
}

static char **env_array(struct buf *b)
{
	size_t n = 0, i = 0;
	for (size_t k = 0; k < b->len; k++)
		n += b->p[k] == 0;
	char **env = mem_alloc((n + 1) * sizeof(*env));
	for (char *p = b->p; i < n; p += strlen(p) + 1)
		env[i++] = p;
	return env;
}

/* Puts the descriptors where LISTEN_FDS wants them. First all out of the way, then each to its
 * place; the rest is closed at exec. */
static bool fds_place(const struct spawn *s)
{
	int n = (int)s->fds, base = FIRST_FD + n + 1;
	int *moved = mem_alloc(((size_t)n + 3) * sizeof(*moved));
	for (int i = 0; i <= n; i++)
		moved[i] = fcntl(i < n ? s->fd[i] : life[0], F_DUPFD, base);
	moved[n + 1] = s->out < 0 ? open("/dev/null", O_RDWR) : fcntl(s->out, F_DUPFD, base);
	moved[n + 2] = fcntl(s->err, F_DUPFD, base);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < n + 3; i++)
		if (moved[i] < 0)
			return false;
	for (int i = 0; i <= n; i++)
		dup2(moved[i], FIRST_FD + i);
	dup2(null, 0);
	dup2(moved[n + 1], 1);
	dup2(moved[n + 2], 2);
	free(moved);
	return true;
}

static _Noreturn void child_main(const struct spawn *s)
{
	struct buf env = {0};
	sigset_t none;
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Ctrl-C in our terminal is for us, who then end the daemons in their order. */
	setsid();
	env_build(&env, s);
	if (!fds_place(s) || close_range(FIRST_FD + (unsigned)s->fds + 1, ~0U, CLOSE_RANGE_CLOEXEC))
		_exit(71);
	if (!jail_enter(s->jail))
		_exit(71);
	execve(s->argv[0], (char *const *)s->argv, env_array(&env));
	dprintf(STDERR_FILENO, "<3>hamletd[%d]: exec %s: %s\n", (int)getpid(), s->argv[0],
		strerror(errno));
	_exit(errno == ENOENT ? 72 : 71);
}

bool proc_spawn(struct child *c, const struct spawn *s)
{
	/* A signal between fork and exec would run our handlers in the child. */
	sigset_t all, old;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid_t pid = fork();
	if (pid == 0)
		child_main(s);
	int err = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0) {
		errno = err;
		return false;
	}
	c->pid = pid;
	list_add_tail(&children, &c->link);
	return true;
}
