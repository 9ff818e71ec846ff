#include "libcommon/net/control.h"
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/mem.h"
#include "libcommon/net/listen.h"
#include "libcommon/net/loop.h"
#include "libcommon/net/stream.h"

enum { LINE_BYTES = 4096, LINE_MS = 10000, SEND_MS = 10000, CLIENTS = 16, REPLY_BYTES = 1 << 20 };

struct control {
	struct listen_spec spec;
	struct listener *listener; /* NULL: stopped */
	control_fn *fn;
	void *arg;
	unsigned refs; /* clients, and the owner's */
};

struct client {
	struct control *control;
	struct stream *stream; /* NULL: gone */
	struct timer timer;    /* until the line is here */
	bool asked;            /* fn has the call */
	struct control_call call;
};

static void unref(struct control *c)
{
	if (--c->refs == 0)
		free(c);
}

static void client_free(struct client *cl)
{
	pool_free(&cl->call.pool);
	buf_free(&cl->call.out);
	unref(cl->control);
	free(cl);
}

static void on_close(void *arg)
{
	struct client *cl = arg;
	struct sockaddr nobody = {.sa_family = AF_UNIX};
	listen_done(&cl->control->spec, NULL, &nobody);
	timer_clear(&cl->timer);
	cl->stream = NULL;
	if (!cl->asked)
		client_free(cl);
}

static void answer(struct client *cl, const char *why)
{
	struct buf *out = &cl->call.out;
	if (!why && out->failed)
		why = "the answer is too long";
	struct stream *s = cl->stream;
	stream_write(s, out->p, out->len);
	if (why)
		stream_printf(s, "! %s\n", why);
	else
		stream_writes(s, ".\n");
	stream_finish(s, SEND_MS);
}

void control_done(struct control_call *call, const char *why)
{
	struct client *cl = list_entry(call, struct client, call);
	cl->asked = false;
	if (cl->stream)
		answer(cl, why);
	else
		client_free(cl);
}

static void on_data(struct stream *s, void *arg)
{
	struct client *cl = arg;
	struct slice in = stream_data(s), line = in;
	const char *lf = memchr(in.p, '\n', in.len);
	if (cl->asked || (!lf && in.len < LINE_BYTES)) {
		if (cl->asked)
			stream_consume(s, in.len);
		return;
	}
	timer_clear(&cl->timer);
	line.len = lf ? (size_t)(lf - in.p) : in.len;
	bool good = lf && line.len < LINE_BYTES &&
		    conf_line(cl->call.pool, line.p, line.len, &cl->call.words);
	stream_consume(s, in.len);
	if (!good) {
		answer(cl, "not a line of words");
		return;
	}
	cl->asked = true;
	cl->control->fn(&cl->call);
}

static void on_end(struct stream *s, void *arg, enum stream_end why)
{
	struct client *cl = arg;
	if (why != STREAM_EOF || !cl->asked) /* a client may close its sending side and wait */
		stream_close(s);
}

static void on_late(struct timer *t)
{
	stream_close(list_entry(t, struct client, timer)->stream);
}

static void on_drain(struct stream *s, void *arg)
{
	(void)s;
	(void)arg;
}

static void on_accept(int fd, const struct sockaddr *peer, const struct sockaddr *local,
		      const struct listen_spec *spec)
{
	static const struct stream_ops OPS = {
	    .on_data = on_data, .on_end = on_end, .on_drain = on_drain, .on_close = on_close};
	static const struct stream_conf CONF = {.write_high = REPLY_BYTES * 2};
	(void)peer;
	(void)local;
	struct client *cl = mem_alloc(sizeof(*cl));
	cl->control = spec->arg;
	cl->control->refs++;
	cl->call.pool = pool_new(0);
	cl->call.arg = cl->control->arg;
	buf_init(&cl->call.out, REPLY_BYTES);
	timer_set(&cl->timer, LINE_MS, on_late);
	cl->stream = stream_new(fd, &CONF, &OPS, cl);
	if (!cl->stream) {
		close(fd);
		on_close(cl);
	}
}

struct control *control_serve(int fd, control_fn *fn, void *arg)
{
	static const struct listen_ops OPS = {.on_accept = on_accept};
	struct control *c = mem_alloc(sizeof(*c));
	c->spec = (struct listen_spec){.name = "ctl", .arg = c, .max_total = CLIENTS};
	c->spec.addr.text = "ctl";
	c->fn = fn;
	c->arg = arg;
	c->refs = 1;
	c->listener = listen_start(fd, &c->spec, NULL, &OPS);
	if (!c->listener) {
		free(c);
		return NULL;
	}
	return c;
}

void control_stop(struct control **c)
{
	if (!*c)
		return;
	listen_stop((*c)->listener);
	unref(*c);
	*c = NULL;
}
