/* Whatever a client sends, cut wherever: the session answers, ends when the client does, and the
 * maildrop's lock is given back. The first octet chooses what the store answers. */
#include <fcntl.h>
#include "libcommon/base/log.h"
#include "libcommon/base/pool.h"
#include "t/lib/pop3d_stub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct fuzz_client {
	struct slice in;
	size_t pos, step;
	struct stream *s;
} client;

static void feed(void *arg)
{
	struct fuzz_client *c = arg;
	size_t n = c->in.len - c->pos;
	if (!c->s)
		return;
	if (n > c->step)
		n = c->step;
	stream_write(c->s, c->in.p + c->pos, n);
	c->pos += n;
	if (c->pos < c->in.len)
		loop_defer(feed, c);
	else
		stream_shutdown(c->s);
}

static void on_data(struct stream *s, void *arg)
{
	(void)arg;
	stream_consume(s, stream_data(s).len);
}

static void on_end(struct stream *s, void *arg, enum stream_end why)
{
	(void)arg;
	(void)why;
	client.s = NULL;
	stream_close(s);
}

static void stop_when_gone(void *arg)
{
	unsigned *turns = arg;
	if (stats.sessions == 0)
		loop_stop();
	else if (++*turns > 10000000)
		abort();
	else
		loop_defer(stop_when_gone, turns);
}

static void on_close(void *arg)
{
	static unsigned turns;
	(void)arg;
	turns = 0;
	loop_defer(stop_when_gone, &turns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct stream_ops ops = {on_data, on_end, NULL, NULL, on_close};
	static struct pool *pool;
	if (!pool) {
		pool = pool_new(0);
		log_init("fuzz", LOG_TO_STDERR, LOG_LV_ERROR);
		stub_start(pool);
		conf.store_timeout = 0;
	}
	if (len < 1)
		return 0;
	memset(&stub, 0, sizeof(stub));
	stub.text[0] = SLICE("A: b\r\n\r\n.x\r\n");
	stub.text[1] = SLICE(".\n\r\r\n\n.");
	stub.n = 2;
	stub.memfd = data[0] & 1;
	stub.lose = data[0] >> 1 & 1;
	stub.read = data[0] & 4 ? ERR_NOTFOUND : ERR_OK;
	stub.open = data[0] & 8 ? ERR_INUSE : ERR_OK;
	stub.quit = data[0] & 16 ? ERR_FULL : ERR_OK;
	client = (struct fuzz_client){.in = {(const char *)data + 1, len - 1},
				      .step = data[0] & 32 ? 1 + (data[0] >> 6) * 7 : len};
	client.s =
	    stream_new(stub_connect(data[0] & 128 ? "192.0.2.1" : "127.0.0.1"), NULL, &ops, NULL);
	loop_defer(feed, &client);
	loop_run();
	if (stub.opens - stub.agains >
	    stub.quits + stub.closes + stub.opens * (stub.open != ERR_OK))
		abort();
	return 0;
}
