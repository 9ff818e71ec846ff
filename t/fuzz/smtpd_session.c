/* A client that sends anything, to a session whose store is a stub. The first octet chooses the
 * service ('L': a local user's); octets 0xff cut the rest into pieces. Every line that comes back
 * is a well-formed reply, and the session lets go of everything. */
#include <ctype.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"
#include "smtpd/smtpd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* --- the stub: answers in the next turn of the loop ---------------------------------------- */

struct answer {
	enum msg_type type;
	peer_reply_fn *fn;
	void *arg;
	uint32_t rcpts;
	bool bad;
};

static void answer_now(void *arg)
{
	struct answer *a = arg;
	struct msg_ok ok = {0};
	struct msg_rcpt_ok rcpt = {.kind = RCPT_LOCAL, .canonical = SLICE("x@a.test")};
	struct msg_auth_ok auth = {.grant = SLICE("g"), .address = SLICE("x@a.test")};
	struct msg_error bad = {.code = ERR_AUTH, .text = SLICE("no")};
	struct row_rcpt_result each[64] = {{0}};
	struct msg_delivered delivered = {.results = each, .results_n = a->rcpts};
	if (a->bad)
		a->fn(a->arg, MSG_error, &bad);
	else if (a->type == MSG_rcpt_check)
		a->fn(a->arg, MSG_rcpt_ok, &rcpt);
	else if (a->type == MSG_deliver)
		a->fn(a->arg, MSG_delivered, &delivered);
	else if (a->type == MSG_local_login || a->type == MSG_auth_start ||
		 a->type == MSG_auth_step)
		a->fn(a->arg, MSG_auth_ok, &auth);
	else
		a->fn(a->arg, MSG_ok, &ok);
	free(a);
}

static uint32_t stub(struct peer *p, enum msg_type t, const void *msg, peer_reply_fn *fn, void *arg)
{
	struct answer *a = mem_alloc(sizeof(*a));
	const struct msg_rcpt_check *rcpt = msg;
	const struct msg_deliver *deliver = msg;
	(void)p;
	*a = (struct answer){.type = t, .fn = fn, .arg = arg};
	if (t == MSG_rcpt_check)
		a->bad = slice_starts(rcpt->rcpt, "no");
	if (t == MSG_deliver) {
		a->rcpts = deliver->rcpts_n;
		a->bad = a->rcpts > 64;
	}
	loop_defer(answer_now, a);
	return 1;
}

/* --- the client ------------------------------------------------------------------------------ */

static void turn(void)
{
	for (int i = 0; i < 8; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
}

/* Replies: digits, then blank or '-', then text, CRLF. */
static void check_replies(int fd)
{
	char in[65536];
	ssize_t n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
	for (ssize_t i = 0, at = 0; i < n; i++) {
		if (in[i] == '\n') {
			if (i - at < 5 || in[i - 1] != '\r' || !isdigit(in[at]) ||
			    (in[at + 3] != ' ' && in[at + 3] != '-'))
				abort();
			at = i + 1;
		} else if (in[i] == 0) {
			abort();
		}
	}
}

static void setup(void)
{
	static bool done;
	if (done)
		return;
	done = true;
	log_init("fuzz", LOG_TO_STDERR, LOG_LV_ERROR);
	conf = (struct smtpd_conf){.hostname = "mx.a.test",
				   .postmaster = "postmaster@a.test",
				   .local_domain = "a.test",
				   .local_users = "/dev/null",
				   .max_size = 100000,
				   .max_recipients = 60,
				   .max_messages = 100,
				   .max_errors = 200,
				   .max_idle_commands = 200,
				   .max_auth_failures = 3,
				   .max_line = 1000,
				   .max_hops = 100,
				   .command_timeout = 300000,
				   .data_timeout = 300000,
				   .message_timeout = 300000,
				   .store_timeout = 1000};
	uplink_use(stub);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct service SERVICES[] = {{.name = "smtp"},
						  {.name = "submission", .submission = true},
						  {.name = "lmtp", .lmtp = true}};
	static const struct service LOCAL = {.name = "local", .local = true};
	struct sockaddr_local user = {.family = AF_UNIX, .uid = 1000};
	struct sockaddr_in peer = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	static struct listen_spec spec = {.name = "fuzz"};
	int pair[2];
	if (len < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
		return 0;
	setup();
	bool local = data[0] == 'L';
	const struct sockaddr *from = local ? (void *)&user : (void *)&peer;
	spec.arg = (void *)(uintptr_t)(local ? &LOCAL : &SERVICES[data[0] % 3]);
	session_listen_ops.on_accept(pair[0], from, from, &spec);
	turn();
	for (size_t at = 1; at < len;) {
		const uint8_t *cut = memchr(data + at, 0xff, len - at);
		size_t n = cut ? (size_t)(cut - data) - at : len - at;
		ssize_t w = send(pair[1], data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		turn();
		check_replies(pair[1]);
		at += w > 0 && (size_t)w < n ? (size_t)w : n + 1;
	}
	shutdown(pair[1], SHUT_WR);
	turn();
	check_replies(pair[1]);
	close(pair[1]);
	turn();
	if (stats.sessions != 0)
		abort();
	return 0;
}
