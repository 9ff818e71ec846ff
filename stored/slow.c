/* Threads that stretch passwords: their own, bounded, so that a wave of logins holds up neither
 * the loop nor the databases. */
#include <pthread.h>
#include <signal.h>
#include <uv.h>
#include "libcommon/base/fatal.h"
#include "libcommon/net/loop.h"
#include "stored/auth.h"

enum { THREADS_MAX = 64 };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct list todo, done; /* under the lock */
	unsigned waiting, max;  /* under the lock */
	bool stop;              /* under the lock */
	pthread_t thread[THREADS_MAX];
	unsigned threads;
	uv_async_t wake;
} slow = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void *thread_main(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&slow.lock);
	for (;;) {
		struct list *e = list_pop(&slow.todo);
		if (!e && slow.stop)
			break;
		if (!e) {
			pthread_cond_wait(&slow.more, &slow.lock);
			continue;
		}
		slow.waiting--;
		pthread_mutex_unlock(&slow.lock);
		struct slow *s = list_entry(e, struct slow, link);
		s->run(s);
		pthread_mutex_lock(&slow.lock);
		list_add_tail(&slow.done, &s->link);
		uv_async_send(&slow.wake);
	}
	pthread_mutex_unlock(&slow.lock);
	return NULL;
}

static void on_wake(uv_async_t *a)
{
	(void)a;
	for (;;) {
		pthread_mutex_lock(&slow.lock);
		struct list *e = list_pop(&slow.done);
		pthread_mutex_unlock(&slow.lock);
		if (!e)
			return;
		struct slow *s = list_entry(e, struct slow, link);
		s->done(s);
	}
}

void slow_open(unsigned threads, unsigned queue)
{
	list_init(&slow.todo);
	list_init(&slow.done);
	slow.max = queue;
	slow.stop = false;
	if (uv_async_init(loop_get(), &slow.wake, on_wake) != 0)
		fatal(71, "stored: no way to wake the loop");
	sigset_t all, before; /* signals are the loop's */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (slow.threads = 0; slow.threads < threads && slow.threads < THREADS_MAX; slow.threads++)
		if (pthread_create(&slow.thread[slow.threads], NULL, thread_main, NULL) != 0)
			fatal(71, "stored: no thread for logins");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void slow_close(void)
{
	if (!slow.threads)
		return;
	pthread_mutex_lock(&slow.lock);
	slow.stop = true;
	pthread_cond_broadcast(&slow.more);
	pthread_mutex_unlock(&slow.lock);
	while (slow.threads)
		pthread_join(slow.thread[--slow.threads], NULL);
	uv_close((uv_handle_t *)&slow.wake, NULL);
}

bool slow_submit(struct slow *s)
{
	pthread_mutex_lock(&slow.lock);
	bool room = slow.waiting < slow.max && !slow.stop;
	if (room) {
		slow.waiting++;
		list_add_tail(&slow.todo, &s->link);
		pthread_cond_signal(&slow.more);
	}
	pthread_mutex_unlock(&slow.lock);
	return room;
}

unsigned slow_waiting(void)
{
	pthread_mutex_lock(&slow.lock);
	unsigned n = slow.waiting;
	pthread_mutex_unlock(&slow.lock);
	return n;
}
