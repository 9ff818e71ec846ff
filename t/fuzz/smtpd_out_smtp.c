/* A server that sends anything to a client with two mails. The first octet chooses the protocol and
 * the mails; octets 0xff cut the rest into pieces, 0xfe closes. However it goes, each transaction
 * has one verdict for each recipient, nothing is delivered without a positive reply behind the end
 * of the content, and the connection ends once. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "smtpd/out.h"
#include "libcommon/net/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct out_rcpt RCPTS[] = {
    {.addr = {"b@b.test", 8}}, {.addr = {"c@b.test", 8}}, {.addr = {"d@b.test", 8}}};
static const struct body BODY = {.bytes = {".x\n.\r\ny", 7}, .fd = -1, .size = 7};

static struct out *out;
static struct out_mail mails[2];
static unsigned sent, done, ended;

static void next(struct out *o)
{
	if (ended || !out_usable(o))
		return;
	if (sent < 2) {
		if (!out_send(o, &mails[sent]) || out_usable(o))
			abort();
		sent++;
	} else {
		out = NULL;
		out_close(o);
	}
}

static void on_ready(struct out *o, void *arg)
{
	(void)arg;
	next(o);
}

static void on_done(struct out *o, void *arg, const struct out_verdict *v, size_t n)
{
	(void)arg;
	if (done >= sent || n != mails[done].rcpt_n)
		abort();
	for (size_t i = 0; i < n; i++)
		if (!v[i].text || !v[i].at || !v[i].status[0] || !str_utf8(slice_of(v[i].text)) ||
		    (v[i].state == OUT_DELIVERED && v[i].code / 100 != 2) ||
		    (v[i].state == OUT_PERM && v[i].code && v[i].code / 100 != 5) ||
		    (v[i].maybe && v[i].state != OUT_LOST))
			abort();
	done++;
	next(o);
}

static void on_end(struct out *o, void *arg, const struct out_end *end)
{
	(void)o;
	(void)arg;
	if (ended++ || done != sent || !end->verdict.text)
		abort();
	out = NULL;
}

static void turn(int fd)
{
	char waste[4096];
	for (int i = 0; i < 6; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	while (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct out_ops OPS = {on_ready, on_done, on_end};
	struct out_options opt = {.host = "mx.b.test", .helo = "a.test"};
	int fd[2];
	if (len < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) != 0)
		return 0;
	opt.lmtp = data[0] & 1;
	opt.user = data[0] & 2 ? "user" : NULL;
	opt.password = "pass";
	for (unsigned i = 0; i < 2; i++)
		mails[i] = (struct out_mail){.sender = SLICE("a@a.test"),
					     .flags = i && (data[0] & 4) ? DELIVER_BINARY : 0,
					     .body = &BODY,
					     .rcpt = RCPTS,
					     .rcpt_n = 1 + (data[0] >> 3) % 3};
	sent = done = ended = 0;
	out = out_open(fd[0], &opt, &OPS, NULL);
	for (size_t at = 1; at < len;) {
		size_t n = 0;
		while (at + n < len && data[at + n] < 0xfe)
			n++;
		if (send(fd[1], data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && n)
			break;
		if (at + n < len && data[at + n] == 0xfe)
			shutdown(fd[1], SHUT_WR);
		turn(fd[1]);
		at += n + 1;
	}
	shutdown(fd[1], SHUT_WR);
	turn(fd[1]);
	close(fd[1]);
	turn(fd[1]);
	if (out) /* AUTH is on the pool */
		out_close(out);
	else if (!ended && done != 2)
		abort();
	for (int i = 0; i < 6; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	return 0;
}
