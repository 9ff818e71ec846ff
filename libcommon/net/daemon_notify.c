#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>
#include "libcommon/base/log.h"
#include "libcommon/net/daemon_int.h"
#include "libcommon/net/loop.h"

static int sock = -1, life_fd = -1;
static uint64_t watchdog_ms; /* half of what the supervisor waits; 0: none */
static uv_timer_t watchdog;
static uv_poll_t life;

static uint64_t number_of(const char *name)
{
	const char *text = getenv(name);
	uint64_t n = 0;
	return text && str_u64(slice_of(text), &n) ? n : 0;
}

static int connect_notify(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	if (len < 2 || len >= sizeof(un.sun_path) || (path[0] != '/' && path[0] != '@'))
		return -1;
	memcpy(un.sun_path, path, len);
	if (path[0] == '@') /* abstract */
		un.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&un, size) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void daemon_notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	if (path) {
		sock = connect_notify(path);
		if (sock < 0)
			log_event(LOG_LV_WARN, NULL, "no-notify-socket", LS("path", path),
				  LS("reason", strerror(errno)));
		unsetenv("NOTIFY_SOCKET");
	}
	uint64_t pid = number_of("WATCHDOG_PID");
	if (pid == 0 || pid == (uint64_t)getpid())
		watchdog_ms = number_of("WATCHDOG_USEC") / 2000;
	life_fd = getenv("HAMLET_LIFE_FD") ? (int)number_of("HAMLET_LIFE_FD") : -1;
	if (life_fd >= 0)
		fcntl(life_fd, F_SETFD, FD_CLOEXEC);
}

void daemon_notify(const char *text)
{
	if (sock >= 0)
		send(sock, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void on_watchdog(uv_timer_t *t)
{
	(void)t;
	daemon_notify("WATCHDOG=1");
}

static void on_life(uv_poll_t *p, int status, int events)
{
	char byte;
	(void)events;
	if (status == 0 && read(life_fd, &byte, 1) != 0)
		return;
	uv_poll_stop(p);
	log_event(LOG_LV_ERROR, NULL, "ended", LS("reason", "the supervisor is gone"));
	daemon_exit(EX_UNAVAILABLE);
}

void daemon_notify_watch(void)
{
	if (sock >= 0 && watchdog_ms) {
		uv_timer_init(loop_get(), &watchdog);
		uv_timer_start(&watchdog, on_watchdog, 0, watchdog_ms);
		uv_unref((uv_handle_t *)&watchdog);
	}
	if (life_fd >= 0 && uv_poll_init(loop_get(), &life, life_fd) == 0) {
		uv_poll_start(&life, UV_READABLE | UV_DISCONNECT, on_life);
		uv_unref((uv_handle_t *)&life);
	}
}

void daemon_notify_close(void)
{
	if (sock >= 0)
		close(sock);
	if (life_fd >= 0)
		close(life_fd);
	sock = life_fd = -1;
}
