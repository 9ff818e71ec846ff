/* Sockets of keyd in a folder of their own, kept open as hamletd does, and what serves them in
 * another process. */
#ifndef T_KEYD_RUN_H
#define T_KEYD_RUN_H
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "libcommon/base/log.h"
#include "libcommon/net/loop.h"
#include "t/unit/keyd_make.h"

enum { ROLES_N = 3 };
static const enum role ROLES[ROLES_N]; /* the test's */
static char dir[64];
static int listener[ROLES_N];

static inline const char *socket_of(enum role role)
{
	static char path[100];
	snprintf(path, sizeof(path), "%s/%s.sock", dir, role_name(role));
	return path;
}

/* False: errno tells. */
static inline bool sockets_open(void)
{
	log_init("test", LOG_TO_STDERR, LOG_LV_ERROR);
	snprintf(dir, sizeof(dir), "/tmp/hamlet-keyd-XXXXXX");
	if (!mkdtemp(dir))
		return false;
	for (size_t i = 0; i < ROLES_N; i++) {
		struct sockaddr_un sa = {.sun_family = AF_UNIX};
		snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", socket_of(ROLES[i]));
		listener[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(listener[i], (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
		    listen(listener[i], 64) != 0)
			return false;
	}
	return true;
}

static inline int sockets_close(void)
{
	for (size_t i = 0; i < ROLES_N; i++)
		close(listener[i]);
	return state_remove(dir);
}

/* keyd, in a process of its own. */
static inline _Noreturn void keyd_serve(const char *certs)
{
	struct why w = {0};
	char name[32];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!state_conf(pool_new(0), dir, certs) || !set_open(&w) || !zone_open(&w)) {
		fprintf(stderr, "%s\n", w.text);
		_exit(1);
	}
	for (size_t i = 0; i < ROLES_N; i++) {
		snprintf(name, sizeof(name), "key-%s", role_name(ROLES[i]));
		server_listen(name, listener[i]);
	}
	loop_run();
	_exit(0);
}
#endif
