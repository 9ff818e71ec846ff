/* NOTIFY_SOCKET: datagrams by which daemons say that they are ready and alive. The socket has an
 * abstract name, so that it needs no file in a jail; who sent a datagram is known by the kernel's
 * word (SCM_CREDENTIALS), and only a child of ours counts. */
#include "hamletd/hamletd.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "libcommon/base/fatal.h"
#include "libcommon/base/id.h"
#include "libcommon/base/log.h"

enum { PER_TURN = 64 };

static uv_poll_t poll_handle;
static int notify_fd = -1;
static char path[64];

static bool receive(char *text, size_t cap, size_t *len, pid_t *pid)
{
	union {
		char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 8)];
		struct cmsghdr align;
	} control;
	struct iovec iov = {text, cap};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(notify_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return false;
	*len = (size_t)n;
	*pid = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred who;
			memcpy(&who, CMSG_DATA(c), sizeof(who));
			*pid = who.pid;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			/* Nobody asked for descriptors: they must not pile up here. */
			size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			for (size_t i = 0; i < count; i++) {
				int fd;
				memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
				close(fd);
			}
		}
	}
	return true;
}

static void on_readable(uv_poll_t *h, int status, int events)
{
	(void)h;
	(void)status;
	(void)events;
	char text[LINE_BYTES];
	size_t len;
	pid_t pid;
	for (int i = 0; i < PER_TURN && receive(text, sizeof(text), &len, &pid); i++) {
		struct notify_msg m = lines_notify((struct slice){text, len});
		struct worker *w = pid ? super_find_pid(pid) : NULL;
		if (w)
			worker_notify(w, &m);
		else
			log_event(LOG_LV_DEBUG, NULL, "notify-stranger", LI("pid", pid));
	}
}

void notify_start(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char id[ID_LEN + 1];
	int one = 1;
	id_new(id);
	str_fmt(path, sizeof(path), "@hamlet-%d-%s", (int)getpid(), id);
	size_t len = strlen(path);
	memcpy(un.sun_path + 1, path + 1, len - 1);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (notify_fd < 0 ||
	    setsockopt(notify_fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) != 0 ||
	    bind(notify_fd, (struct sockaddr *)&un,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0)
		fatal(71, "the notify socket: %s", strerror(errno));
	uv_poll_init(loop_get(), &poll_handle, notify_fd);
	uv_poll_start(&poll_handle, UV_READABLE, on_readable);
}

void notify_stop(void)
{
	uv_poll_stop(&poll_handle);
	uv_close((uv_handle_t *)&poll_handle, NULL);
	close(notify_fd);
	notify_fd = -1;
}

const char *notify_path(void)
{
	return path;
}

void notify_parent(const char *text)
{
	const char *to = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t len = to ? strlen(to) : 0;
	if (len < 2 || len >= sizeof(un.sun_path))
		return;
	memcpy(un.sun_path, to, len);
	if (to[0] == '@')
		un.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&un,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}
