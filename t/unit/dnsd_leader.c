/* Which of several processes leads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "dnsd/leader.h"
#include "libcommon/base/clock.h"
#include "libcommon/net/loop.h"

enum { DEADLINE_MS = 30000 };

static unsigned called;

static void became(void)
{
	called++;
}

static void wait_called(unsigned n)
{
	for (uint64_t until = clock_mono() + DEADLINE_MS; called < n && clock_mono() < until;)
		uv_run(loop_get(), UV_RUN_ONCE);
	assert_int_equal(called, n);
}

static void the_next_one_leads_when_the_first_has_ended(void **state)
{
	(void)state;
	char folder[] = "/tmp/leader.XXXXXX", name[64];
	assert_non_null(mkdtemp(folder));
	int dir = open(folder, O_RDONLY | O_DIRECTORY), up[2];
	assert_int_equal(pipe(up), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = openat(dir, "leader.lock", O_RDWR | O_CREAT, 0600);
		if (flock(fd, LOCK_EX) == 0 && write(up[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(up[0], name, 1), 1);
	leader_watch(became);
	leader_start(dir);
	assert_false(leader());
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	wait_called(1);
	assert_true(leader());
	leader_watch(became); /* one that comes late is told, too */
	assert_int_equal(called, 1);
	wait_called(2);
	leader_stop();
	assert_false(leader());
	int fd = openat(dir, "leader.lock", O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	unlinkat(dir, "leader.lock", 0);
	close(dir);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_next_one_leads_when_the_first_has_ended),
	};
	clock_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
