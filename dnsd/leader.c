/* One of several processes, by a lock in the state folder. */
#include "dnsd/leader.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "libcommon/base/log.h"
#include "libcommon/net/loop.h"

enum { TRY_MS = 1000 };

static struct {
	int fd; /* of the lock's file; -1: there is none */
	bool leads;
	struct timer again;
	void (*watcher[LEADER_WATCHERS])(void);
	unsigned watchers;
} self = {.fd = -1};

static void try(struct timer *t)
{
	if (flock(self.fd, LOCK_EX | LOCK_NB) != 0) {
		timer_set(t, TRY_MS, try);
		return;
	}
	self.leads = true;
	for (unsigned i = 0; i < self.watchers; i++)
		self.watcher[i]();
}

void leader_start(int state)
{
	self.fd = openat(state, "leader.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (self.fd < 0)
		log_event(LOG_LV_ERROR, NULL, "leader-lock", LS("reason", strerror(errno)));
	else
		try(&self.again);
}

bool leader(void)
{
	return self.leads;
}

static void call(void *arg)
{
	void (*fn)(void);
	memcpy(&fn, arg, sizeof(fn));
	if (self.leads)
		fn();
}

void leader_watch(void (*fn)(void))
{
	if (self.watchers == LEADER_WATCHERS)
		return;
	self.watcher[self.watchers++] = fn;
	if (self.leads)
		loop_defer(call, &self.watcher[self.watchers - 1]);
}

void leader_stop(void)
{
	timer_clear(&self.again);
	if (self.fd >= 0)
		close(self.fd);
	self.fd = -1;
	self.leads = false;
}
