/* Where the log goes: ours and the children's. Each child writes its stderr into a pipe of its
 * own; a line gets the time and the name and pid that we know it by, whatever it says itself. */
#include "hamletd/hamletd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

enum {
	PIPE_BYTES = 1 << 20, /* what a child may write while we are busy */
	READ_BYTES = 16384
};

struct log_pipe {
	uv_poll_t poll;
	int fd;
	pid_t pid;
	char instance[40];
	bool skip; /* the rest of a line that was too long */
	size_t len;
	char line[LINE_BYTES];
	char last[200]; /* text of the last line */
};

static enum conf_log dest = CONF_LOG_STDERR;
static char file[PATH_MAX];
static uint64_t file_max;
static unsigned file_keep;

/* Opens the file as our stderr: what log.c writes goes there as well. */
static bool file_open(void)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return false;
	dup2(fd, STDERR_FILENO);
	close(fd);
	return true;
}

static void rotate(void)
{
	char from[PATH_MAX + 16], to[PATH_MAX + 16];
	for (unsigned i = file_keep; i > 0; i--) {
		str_fmt(to, sizeof(to), "%s.%u", file, i);
		str_fmt(from, sizeof(from), i > 1 ? "%s.%u" : "%s", file, i - 1);
		rename(from, to);
	}
	if (!file_keep)
		unlink(file);
	file_open();
}

static void rotate_when_due(void)
{
	struct stat st;
	if (dest == CONF_LOG_FILE && file_max && fstat(STDERR_FILENO, &st) == 0 &&
	    (uint64_t)st.st_size >= file_max)
		rotate();
}

void logfile_start(const struct hamlet_conf *c, bool foreground)
{
	dest = foreground ? CONF_LOG_STDERR : (enum conf_log)c->log;
	file_max = c->log_size;
	file_keep = (unsigned)c->log_keep;
	if (dest == CONF_LOG_FILE) {
		str_fmt(file, sizeof(file), "%s", c->log_file);
		if (!file_open()) {
			log_event(LOG_LV_ERROR, NULL, "log-file-failed", LS("file", file),
				  LS("reason", strerror(errno)));
			dest = CONF_LOG_SYSLOG;
		}
	}
	log_init("hamletd", dest == CONF_LOG_SYSLOG ? LOG_TO_SYSLOG : LOG_TO_STDERR, LOG_LV_INFO);
}

const char *logfile_path(void)
{
	return dest == CONF_LOG_FILE ? file : dest == CONF_LOG_SYSLOG ? "syslog" : "stderr";
}

static void write_line(struct log_pipe *p, struct slice raw)
{
	static const char *const level[] = {"error",   "error", "error", "error",
					    "warning", "info",  "info",  "debug"};
	struct slice text;
	int priority = lines_log(raw, &text);
	char out[LINE_BYTES + 128], iso[32];
	if (!text.len)
		return;
	str_fmt(p->last, sizeof(p->last), "%.*s", SLICE_FMT(text));
	if (dest == CONF_LOG_SYSLOG) {
		syslog(priority, "%s[%d]: %.*s", p->instance, (int)p->pid, SLICE_FMT(text));
		return;
	}
	clock_iso(iso, sizeof(iso), clock_ms());
	str_fmt(out, sizeof(out) - 1, "%s %s[%d] %s: %.*s", iso, p->instance, (int)p->pid,
		level[priority], SLICE_FMT(text));
	size_t n = strlen(out);
	out[n++] = '\n';
	ssize_t w = write(STDERR_FILENO, out, n);
	(void)w; /* nowhere to complain */
	rotate_when_due();
}

static void line_end(struct log_pipe *p)
{
	if (!p->skip)
		write_line(p, (struct slice){p->line, p->len});
	p->len = 0;
}

static void take(struct log_pipe *p, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c == '\n') {
			line_end(p);
			p->skip = false;
			continue;
		}
		if (p->len == sizeof(p->line)) { /* what fits is written, the rest is dropped */
			line_end(p);
			p->skip = true;
		}
		/* Control bytes could rewrite what an administrator's terminal shows. */
		if (!p->skip)
			p->line[p->len++] = (char)(c < 32 || c == 127 ? '?' : c);
	}
}

/* One turn's worth; false at the end. */
static bool read_some(struct log_pipe *p)
{
	char text[READ_BYTES];
	ssize_t n = read(p->fd, text, sizeof(text));
	if (n > 0)
		take(p, text, (size_t)n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void on_readable(uv_poll_t *h, int status, int events)
{
	struct log_pipe *p = h->data;
	(void)events;
	if (status != 0 || !read_some(p))
		uv_poll_stop(h);
}

struct log_pipe *log_pipe_new(const char *instance, int *write_fd)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) != 0)
		return NULL;
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	/* A log that does not move may not stop the service: see log.c. */
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
	struct log_pipe *p = mem_alloc(sizeof(*p));
	p->fd = fds[0];
	str_fmt(p->instance, sizeof(p->instance), "%s", instance);
	p->poll.data = p;
	uv_poll_init(loop_get(), &p->poll, p->fd);
	uv_poll_start(&p->poll, UV_READABLE, on_readable);
	*write_fd = fds[1];
	return p;
}

void log_pipe_pid(struct log_pipe *p, pid_t pid)
{
	p->pid = pid;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void log_pipe_end(struct log_pipe **pp, char *last, size_t cap)
{
	struct log_pipe *p = *pp;
	*pp = NULL;
	if (cap)
		last[0] = 0;
	if (!p)
		return;
	/* What the pipe has now is read, a writer that goes on is not. */
	for (int i = 0; i <= PIPE_BYTES / READ_BYTES; i++) {
		errno = 0;
		if (!read_some(p) || errno == EAGAIN)
			break;
	}
	if (p->len)
		line_end(p);
	if (cap)
		str_fmt(last, cap, "%s", p->last);
	uv_poll_stop(&p->poll);
	close(p->fd);
	uv_close((uv_handle_t *)&p->poll, on_closed);
}
