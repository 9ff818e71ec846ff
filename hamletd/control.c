/* hamletd.sock: what hamletctl asks of the supervisor. Only root and the user that we run as may
 * connect, by the mode of the socket. */
#include "hamletd/hamletd.h"
#include <errno.h>
#include <unistd.h>
#include "libcommon/base/log.h"
#include "libcommon/net/control.h"

static struct control *control;
static char path[PATH_MAX];

/* The end of a command. Several lines: the last one is the reason. */
static void done(void *arg, const char *why)
{
	struct control_call *call = arg;
	const char *last = why ? strrchr(why, '\n') : NULL;
	if (last)
		buf_add(&call->out, why, (size_t)(last + 1 - why));
	control_done(call, last ? last + 1 : why);
}

static void cmd_status(struct control_call *c)
{
	list_each(it, super_services())
	    service_status(list_entry(it, struct service, link), &c->out);
	done(c, NULL);
}

static void cmd_list(struct control_call *c)
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
	done(c, NULL);
}

static void cmd_stats(struct control_call *c)
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
	done(c, NULL);
}

static void cmd_log(struct control_call *c)
{
	buf_printf(&c->out, "%s\n", logfile_path());
	done(c, NULL);
}

static void cmd_ping(struct control_call *c)
{
	done(c, NULL);
}

static void cmd_reload(struct control_call *c)
{
	super_reload(done, c);
}

static void cmd_shutdown(struct control_call *c)
{
	super_shutdown(done, c);
}

static void cmd_restart(struct control_call *c)
{
	super_restart(c->words.w[1], done, c);
}

static void cmd_stop(struct control_call *c)
{
	super_stop(c->words.w[1], done, c);
}

static void cmd_start(struct control_call *c)
{
	super_begin(c->words.w[1], done, c);
}

static void cmd_loglevel(struct control_call *c)
{
	static const char *const level[] = {"error", "warning", "info", "debug"};
	for (int i = 0; i < 4; i++) {
		if (strcmp(c->words.w[1], level[i]) == 0) {
			log_set_level((enum log_level)i);
			done(c, NULL);
			return;
		}
	}
	done(c, "the levels are error, warning, info and debug");
}

static const struct {
	const char *word;
	size_t words; /* this one included */
	control_fn *fn;
} COMMANDS[] = {
    {"status", 1, cmd_status},     {"list", 1, cmd_list},         {"stats", 1, cmd_stats},
    {"log", 1, cmd_log},           {"ping", 1, cmd_ping},         {"reload", 1, cmd_reload},
    {"restart", 2, cmd_restart},   {"stop", 2, cmd_stop},         {"start", 2, cmd_start},
    {"loglevel", 2, cmd_loglevel}, {"shutdown", 1, cmd_shutdown},
};

static void dispatch(struct control_call *c)
{
	for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
		if (strcmp(COMMANDS[i].word, c->words.w[0]) != 0)
			continue;
		if (c->words.n == COMMANDS[i].words)
			COMMANDS[i].fn(c);
		else
			done(c, COMMANDS[i].words == 1 ? "takes no more words"
						       : "takes one more word");
		return;
	}
	done(c, "unknown command");
}

bool control_listen(const char *where)
{
	int fd = sockets_unix(where, geteuid(), (gid_t)-1, 0600);
	if (fd < 0) {
		log_event(LOG_LV_ERROR, NULL, "control-failed", LS("path", where),
			  LS("reason", strerror(errno)));
		return false;
	}
	str_fmt(path, sizeof(path), "%s", where);
	control = control_serve(fd, dispatch, NULL);
	return control != NULL;
}

void control_close(void)
{
	unlink(path);
	control_stop(&control);
}
