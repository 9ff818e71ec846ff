#include "libcommon/net/job.h"
#include <stdlib.h>
#include <uv.h>
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"

struct job {
	uv_work_t work;
	void (*run)(void *arg);
	void (*done)(void *arg, bool cancelled);
	void *arg;
};

static unsigned waiting;

static void on_thread(uv_work_t *w)
{
	struct job *j = w->data;
	j->run(j->arg);
}

static void on_loop(uv_work_t *w, int status)
{
	struct job *j = w->data;
	waiting--;
	j->done(j->arg, status == UV_ECANCELED);
	free(j);
}

bool job_start(void (*run)(void *arg), void (*done)(void *arg, bool cancelled), void *arg)
{
	if (waiting >= JOB_MAX)
		return false;
	struct job *j = mem_alloc(sizeof(*j));
	*j = (struct job){.run = run, .done = done, .arg = arg};
	j->work.data = j;
	if (uv_queue_work(loop_get(), &j->work, on_thread, on_loop) != 0) {
		free(j);
		return false;
	}
	waiting++;
	return true;
}
