/* Whatever bytes come to a service, the worst is the end of that connection; what reaches its
 * requests was decoded and allowed. Answers go out while more comes in. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "libcommon/base/log.h"
#include "libcommon/ipc/frame.h"
#include "libcommon/ipc/peer.h"
#include "libcommon/net/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool over;
static unsigned requests;

static void on_request(struct conn *c, uint32_t request, enum msg_type t, const void *msg)
{
	const struct msg_info *info = msg_info(t);
	if (!info || !(info->roles & R_SMTPD) || !msg)
		abort();
	if (++requests % 3)
		conn_error(c, request, ERR_NOTFOUND, NULL);
	else if (requests % 2)
		conn_drop(conn_keep(c)); /* never answered */
}
static void on_close(struct conn *c)
{
	(void)c;
	over = true;
}
static const struct conn_ops OPS = {on_request, on_close};

/* A listening socket without a name, and its address. */
static struct sockaddr_un where;
static socklen_t where_len;

static void start(void)
{
	log_init("fuzz", LOG_TO_STDERR, LOG_LV_ERROR);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	where.sun_family = AF_UNIX;
	where_len = sizeof(where);
	if (bind(fd, (struct sockaddr *)&where, sizeof(sa_family_t)) != 0 || listen(fd, 8) != 0 ||
	    getsockname(fd, (struct sockaddr *)&where, &where_len) != 0)
		abort();
	conn_serve(fd, ROLE_SMTPD, (long)getuid(), 4096, 1, &OPS);
}

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&where, where_len) != 0)
		abort();
	struct msg_hello m = {.version = IPC_VERSION, .role = ROLE_SMTPD};
	struct buf wire = {0};
	int none;
	if (!msg_encode(&wire, MSG_hello, 0, &m, &none) ||
	    frame_sendmsg(fd, wire.p, wire.len, -1) != (ssize_t)wire.len)
		abort();
	buf_free(&wire);
	fcntl(fd, F_SETFL, O_NONBLOCK); /* the service may have stopped to read */
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!where_len)
		start();
	int fd = dial();
	/* A descriptor goes along now and then when the first byte says so */
	bool fds = len && (data[0] & 1);
	over = false;
	for (size_t i = 1; i < len && !over; i += 64) {
		size_t n = len - i < 64 ? len - i : 64;
		if (frame_sendmsg(fd, data + i, n, fds && i % 512 == 1 ? fd : -1) < 0)
			break;
		if (i % 1024 == 1)
			uv_run(loop_get(), UV_RUN_NOWAIT);
	}
	close(fd);
	for (int i = 0; i < 20 && !over; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	return 0;
}
