/* What tests of calls that fail (stored/fault.h) begin and end with: a folder of their own, the
 * calls to fail one after the other, a child that dies in one. */
#ifndef T_STORED_FAULTY_H
#define T_STORED_FAULTY_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libcommon/base/log.h"
#include "libcommon/net/loop.h"
#include "stored/fault.h"
#include "stored/work.h"

static char dir[64];

static inline void clean(void)
{
	char cmd[128];
	snprintf(cmd, sizeof(cmd), "rm -rf %s/*", dir);
	assert_int_equal(system(cmd), 0);
}

/* The next call to fail: every one in a long run, else a sample. */
static inline unsigned next(unsigned at)
{
	return at + (getenv("HAMLET_LONG") || at < 4 ? 1 : at / 2);
}

/* Starts the store; nothing fails yet. */
static inline void store_begin(void)
{
	const char *why = NULL;
	assert_true(fault_set("off"));
	if (!work_start(dir, 1, 1, &why))
		fail_msg("%s", why);
}

static inline void store_end(void)
{
	work_stop();
	uv_run(loop_get(), UV_RUN_NOWAIT);
	assert_true(fault_set("off"));
}

/* Lets a child do `work` and die before its Nth write or sync, N = 1, 2 ..., and then `prove`,
 * until it does not live to that many. */
static inline void kill_at_each_call(void (*work)(const char *spec), void (*prove)(const char *),
				     unsigned least, unsigned most)
{
	unsigned at = 1;
	for (; at < most; at = next(at)) {
		char spec[64];
		int status = 0;
		snprintf(spec, sizeof(spec), "kill:%u", at);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			uv_loop_fork(loop_get());
			work(spec);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		prove(spec);
		clean();
		if (WIFEXITED(status))
			break;
	}
	assert_in_range(at, least, most - 1);
}

static inline int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/stored_fault.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static inline int teardown(void **state)
{
	(void)state;
	char cmd[128];
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

/* Memory that a killed child leaves behind; NULL: it does not work here. */
static inline void *faulty_init(const char *name)
{
	setenv("HAMLET_FAULT", "on", 1);
	if (!fault_init())
		return NULL;
	log_init(name, LOG_TO_STDERR, LOG_LV_ERROR);
	if (!getenv("HAMLET_FAULT_LOG") && !freopen("/dev/null", "w", stderr))
		return NULL; /* every failure is logged, and they are hundreds */
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}
#endif
