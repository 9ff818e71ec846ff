/* hamletd.sock: one line of words in, reply lines, then "." or "! reason". Only our own user and
 * root are answered. */
#include "hamletd/hamletd.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

enum { CLIENTS_MAX = 32, READ_MS = 10000, BACKLOG = 16 };

struct client {
	struct list link;
	uv_pipe_t pipe;
	uv_write_t write;
	struct timer timer;
	char line[LINE_BYTES];
	size_t len;
	bool running; /* a command has still to answer */
	bool closed;  /* the handle is */
	bool closing;
	struct buf out;
};

static uv_pipe_t server;
static bool started;
static char path[PATH_MAX];
static struct list clients = {&clients, &clients};
static unsigned count;

static void release(struct client *c)
{
	if (!c->closed || c->running)
		return;
	buf_free(&c->out);
	free(c);
}

static void on_closed(uv_handle_t *h)
{
	struct client *c = h->data;
	c->closed = true;
	count--;
	list_del(&c->link);
	release(c);
}

static void client_close(struct client *c)
{
	timer_clear(&c->timer);
	if (!c->closing)
		uv_close((uv_handle_t *)&c->pipe, on_closed);
	c->closing = true;
}

static void on_timeout(struct timer *t)
{
	client_close(list_entry(t, struct client, timer));
}

static void on_written(uv_write_t *w, int status)
{
	(void)status;
	client_close(w->data);
}

static void on_command_done(void *arg, const char *why)
{
	struct client *c = arg;
	c->running = false;
	if (c->closing) { /* it has hung up meanwhile */
		release(c);
		return;
	}
	struct slice all = slice_of(why);
	while (all.len) { /* several lines: the last one is the reason */
		struct slice line = slice_cut(&all, '\n');
		buf_printf(&c->out, "%s%.*s\n", all.len ? "" : "! ", SLICE_FMT(line));
	}
	if (!why)
		buf_adds(&c->out, ".\n");
	uv_buf_t b = uv_buf_init(c->out.p, (unsigned)c->out.len);
	c->write.data = c;
	timer_set(&c->timer, READ_MS, on_timeout);
	if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &b, 1, on_written) != 0)
		client_close(c);
}

static void cmd_status(struct client *c)
{
	list_each(it, super_services())
	    service_status(list_entry(it, struct service, link), &c->out);
	on_command_done(c, NULL);
}

static void cmd_list(struct client *c)
{
	list_each(it, super_services())
	{
		const struct service *s = list_entry(it, struct service, link);
		lines_put(&c->out, "instance", s->conf->name);
		lines_put(&c->out, "program", s->conf->program);
		lines_put(&c->out, "state", service_state(s));
		lines_put_u64(&c->out, "processes", s->conf->processes);
		lines_put(&c->out, "config", s->conf->config);
		buf_addc(&c->out, '\n');
	}
	on_command_done(c, NULL);
}

static void cmd_stats(struct client *c)
{
	list_each(it, super_services())
	{
		const struct service *s = list_entry(it, struct service, link);
		uint64_t restarts = 0, ready = 0;
		for (int i = 0; i < LIMITS_PROCS; i++) {
			restarts += s->slot[i].restarts;
			ready += s->slot[i].now && s->slot[i].now->state == ST_READY;
		}
		buf_printf(&c->out, "processes_ready{instance=\"%s\"} %llu\n", s->conf->name,
			   (unsigned long long)ready);
		buf_printf(&c->out, "process_crashes_total{instance=\"%s\"} %llu\n", s->conf->name,
			   (unsigned long long)restarts);
	}
	on_command_done(c, NULL);
}

static void cmd_log(struct client *c)
{
	buf_printf(&c->out, "%s\n", logfile_path());
	on_command_done(c, NULL);
}

static void cmd_ping(struct client *c)
{
	on_command_done(c, NULL);
}

static void cmd_reload(struct client *c)
{
	super_reload(on_command_done, c);
}

static void cmd_shutdown(struct client *c)
{
	super_shutdown(on_command_done, c);
}

static void cmd_restart(struct client *c, const char *name)
{
	super_restart(name, on_command_done, c);
}

static void cmd_stop(struct client *c, const char *name)
{
	super_stop(name, on_command_done, c);
}

static void cmd_start(struct client *c, const char *name)
{
	super_begin(name, on_command_done, c);
}

static void cmd_loglevel(struct client *c, const char *name)
{
	static const char *const level[] = {"error", "warning", "info", "debug"};
	for (int i = 0; i < 4; i++) {
		if (strcmp(name, level[i]) == 0) {
			log_set_level((enum log_level)i);
			on_command_done(c, NULL);
			return;
		}
	}
	on_command_done(c, "the levels are error, warning, info and debug");
}

static const struct {
	const char *word;
	void (*plain)(struct client *c);
	void (*named)(struct client *c, const char *name);
} COMMANDS[] = {
    {"status", cmd_status, NULL},     {"list", cmd_list, NULL},
    {"stats", cmd_stats, NULL},       {"log", cmd_log, NULL},
    {"ping", cmd_ping, NULL},         {"reload", cmd_reload, NULL},
    {"restart", NULL, cmd_restart},   {"stop", NULL, cmd_stop},
    {"start", NULL, cmd_start},       {"loglevel", NULL, cmd_loglevel},
    {"shutdown", cmd_shutdown, NULL},
};

static void dispatch(struct client *c, struct conf_words words)
{
	for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
		if (strcmp(COMMANDS[i].word, words.w[0]) != 0)
			continue;
		if (words.n != (COMMANDS[i].plain ? 1 : 2))
			on_command_done(c, COMMANDS[i].plain ? "takes no more words"
							     : "takes one more word");
		else if (COMMANDS[i].plain)
			COMMANDS[i].plain(c);
		else
			COMMANDS[i].named(c, words.w[1]);
		return;
	}
	on_command_done(c, "unknown command");
}

static void on_line(struct client *c, struct slice line)
{
	struct pool *pool = pool_new(0);
	struct conf_words words;
	uv_read_stop((uv_stream_t *)&c->pipe);
	timer_clear(&c->timer); /* a restart may take long */
	c->running = true;
	if (line.len && line.p[line.len - 1] == '\r')
		line.len--;
	if (!lines_words(pool, line, &words) || words.n == 0)
		on_command_done(c, "malformed line");
	else
		dispatch(c, words);
	pool_free(&pool);
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct client *c = h->data;
	(void)want;
	*b = uv_buf_init(c->line + c->len, (unsigned)(sizeof(c->line) - c->len));
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
	struct client *c = h->data;
	(void)b;
	if (n < 0) {
		client_close(c);
		return;
	}
	c->len += (size_t)n;
	const char *end = memchr(c->line, '\n', c->len);
	if (end)
		on_line(c, (struct slice){c->line, (size_t)(end - c->line)});
	else if (c->len == sizeof(c->line))
		client_close(c);
}

/* The mode of the socket says the same; this is for the day when it does not. */
static bool may_talk(uv_pipe_t *p)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	uv_os_fd_t fd;
	return uv_fileno((uv_handle_t *)p, &fd) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

static void on_connection(uv_stream_t *s, int status)
{
	if (status != 0)
		return;
	struct client *c = mem_alloc(sizeof(*c));
	list_init(&c->link);
	list_add_tail(&clients, &c->link);
	count++;
	uv_pipe_init(loop_get(), &c->pipe, 0);
	c->pipe.data = c;
	if (uv_accept(s, (uv_stream_t *)&c->pipe) != 0 || count > CLIENTS_MAX ||
	    !may_talk(&c->pipe) || uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) != 0)
		client_close(c);
	else
		timer_set(&c->timer, READ_MS, on_timeout);
}

bool control_start(const char *where)
{
	int fd = sockets_unix(where, geteuid(), (gid_t)-1, 0600);
	if (fd < 0) {
		log_event(LOG_LV_ERROR, NULL, "control-failed", LS("path", where),
			  LS("reason", strerror(errno)));
		return false;
	}
	str_fmt(path, sizeof(path), "%s", where);
	uv_pipe_init(loop_get(), &server, 0);
	uv_pipe_open(&server, fd);
	started = true;
	return uv_listen((uv_stream_t *)&server, BACKLOG, on_connection) == 0;
}

void control_stop(void)
{
	if (!started)
		return;
	unlink(path);
	uv_close((uv_handle_t *)&server, NULL);
	list_each_safe(it, nx, &clients)
	{
		struct client *c = list_entry(it, struct client, link);
		c->running = false;
		client_close(c);
	}
}
