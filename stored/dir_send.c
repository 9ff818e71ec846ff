/* How much each account has sent in this window. In memory: a restart of stored forgives, which
 * no sender can bring about. Windows are those of the clock, one for all accounts, so that a
 * new window is one cleared table. */
#include <pthread.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"
#include "stored/dir.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map *sent[2]; /* of this window, and of the one before */
static uint64_t window;

static uint64_t count(const struct map *m, uint64_t account)
{
	return m ? (uint64_t)(uintptr_t)map_get(m, &account, sizeof(account)) : 0;
}

static void turn(uint64_t now_window)
{
	if (now_window == window)
		return;
	map_free(&sent[1]);
	if (now_window == window + 1) {
		sent[1] = sent[0];
		sent[0] = NULL;
	} else {
		map_free(&sent[0]);
	}
	window = now_window;
}

enum ipc_err dir_send_take(uint64_t account, unsigned recipients)
{
	enum ipc_err e = ERR_LIMIT;
	if (conf.send_limit == 0 || conf.send_window == 0)
		return ERR_OK;
	uint64_t now = clock_ms(), into = now % conf.send_window;
	pthread_mutex_lock(&lock);
	turn(now / conf.send_window);
	uint64_t mine = count(sent[0], account);
	/* The part of the last window that the sliding one still covers. */
	uint64_t before = count(sent[1], account) * (conf.send_window - into) / conf.send_window;
	if (mine + before + recipients <= conf.send_limit) {
		if (!sent[0])
			sent[0] = map_new();
		map_set(sent[0], &account, sizeof(account), (void *)(uintptr_t)(mine + recipients));
		e = ERR_OK;
	}
	pthread_mutex_unlock(&lock);
	return e;
}
