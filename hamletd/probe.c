/* Runs a daemon's binary for an answer (-L, -nn): as its user, in its jail, for a limited time and
 * a limited number of bytes. */
#include "hamletd/hamletd.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/mem.h"

struct pipe_end {
	uv_poll_t poll;
	int fd;
	bool open;
	struct buf text;
	struct probe *probe;
};
struct probe {
	struct child child;
	struct timer timer;
	struct pipe_end end[2]; /* stdout, stderr */
	int status;
	bool exited, too_much;
	unsigned handles; /* not closed yet */
	void (*done)(void *arg, int status, struct buf *out, struct buf *err);
	void *arg;
};

static void on_closed(uv_handle_t *h)
{
	struct pipe_end *e = h->data;
	struct probe *p = e->probe;
	if (--p->handles)
		return;
	buf_free(&p->end[0].text);
	buf_free(&p->end[1].text);
	free(p);
}

static void release(struct probe *p)
{
	timer_clear(&p->timer);
	if (p->child.pid) {
		proc_signal(&p->child, SIGKILL);
		proc_forget(&p->child);
	}
	for (int i = 0; i < 2; i++) {
		uv_poll_stop(&p->end[i].poll);
		close(p->end[i].fd);
		uv_close((uv_handle_t *)&p->end[i].poll, on_closed);
	}
}

void probe_cancel(struct probe **p)
{
	if (*p)
		release(*p);
	*p = NULL;
}

static void finish(struct probe *p)
{
	p->done(p->arg, p->too_much ? -1 : p->status, &p->end[0].text, &p->end[1].text);
	release(p);
}

/* The answer is whole when the process has ended and its pipes are empty; something that it left
 * behind may hold them open, so the end of the process is enough. */
static void end_read(struct pipe_end *e)
{
	char text[4096];
	ssize_t n;
	while (e->open && (n = read(e->fd, text, sizeof(text))) != 0) {
		if (n < 0) {
			if (errno != EINTR)
				return;
			continue;
		}
		if (e->text.len + (size_t)n > LIST_BYTES) {
			e->probe->too_much = true;
			return;
		}
		buf_add(&e->text, text, (size_t)n);
	}
	e->open = false;
	uv_poll_stop(&e->poll);
}

static void on_readable(uv_poll_t *h, int status, int events)
{
	struct pipe_end *e = h->data;
	(void)status;
	(void)events;
	end_read(e);
	if (e->probe->too_much) {
		buf_clear(&e->probe->end[1].text);
		buf_printf(&e->probe->end[1].text, "it writes more than %d bytes", LIST_BYTES);
		finish(e->probe);
	}
}

static void on_child_exit(struct child *c, int status)
{
	struct probe *p = list_entry(c, struct probe, child);
	p->status = status;
	end_read(&p->end[0]);
	end_read(&p->end[1]);
	finish(p);
}

static void on_timeout(struct timer *t)
{
	struct probe *p = list_entry(t, struct probe, timer);
	p->too_much = true;
	buf_clear(&p->end[1].text);
	buf_printf(&p->end[1].text, "it takes longer than %d ms", PROBE_MS);
	finish(p);
}

/* The process could not be made: said from the loop, as everything else. */
static void on_no_process(struct timer *t)
{
	struct probe *p = list_entry(t, struct probe, timer);
	p->too_much = true;
	finish(p);
}

struct probe *probe_start(const struct conf_daemon *d, const char *flag, struct jail *jail,
			  void (*done)(void *arg, int status, struct buf *out, struct buf *err),
			  void *arg)
{
	struct probe *p = mem_alloc(sizeof(*p));
	int w[2] = {-1, -1};
	p->done = done;
	p->arg = arg;
	p->child.on_exit = on_child_exit;
	p->handles = 2;
	for (int i = 0; i < 2; i++) {
		int fds[2] = {-1, -1};
		struct pipe_end *e = &p->end[i];
		if (pipe2(fds, O_CLOEXEC) == 0)
			fcntl(fds[0], F_SETFL, O_NONBLOCK);
		else
			fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		*e = (struct pipe_end){.fd = fds[0], .open = fds[1] >= 0, .probe = p};
		w[i] = fds[1];
		e->poll.data = e;
		uv_poll_init(loop_get(), &e->poll, e->fd);
		uv_poll_start(&e->poll, UV_READABLE, on_readable);
	}
	const char *argv[] = {d->binary, flag, "-f", d->config, "-N", d->name, NULL};
	struct spawn s = {.argv = argv, .out = w[0], .err = w[1], .jail = jail};
	bool ok = w[0] >= 0 && w[1] >= 0 && proc_spawn(&p->child, &s);
	if (!ok)
		buf_printf(&p->end[1].text, "cannot be run: %s", strerror(errno));
	timer_set(&p->timer, ok ? PROBE_MS : 0, ok ? on_timeout : on_no_process);
	for (int i = 0; i < 2; i++)
		if (w[i] >= 0)
			close(w[i]);
	return p;
}
