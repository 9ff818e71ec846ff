/* sandbox: in a child of its own, what is refused and what still works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/base/log.h"
#include "libcommon/net/sandbox.h"

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static unsigned n;
	char *p = path[n++ % 4];
	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

/* Runs fn in a sandboxed child: what it returns (0..255). */
static int inside(const struct sandbox *s, int (*fn)(void))
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		log_set_level(LOG_LV_ERROR);
		sandbox_enter(s);
		_exit(fn());
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int try_exec(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return errno;
}
static int try_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return result(pid);
}
static int try_ptrace(void)
{
	return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int try_uring(void)
{
	return result(syscall(SYS_io_uring_setup, 1, NULL));
}
static int try_unknown(void)
{
	return result(syscall(SYS_semget, 1, 1, 0));
}
static int try_executable(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	return p == MAP_FAILED ? errno : 0;
}
static int try_passwd(void)
{
	return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}
static int try_inet(void)
{
	return result(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}
static int try_limits(void)
{
	struct rlimit r = {64, 64}, core;
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0)
		return 255;
	return result(setrlimit(RLIMIT_NOFILE, &r));
}

static void dangerous_calls_are_refused(void **state)
{
	(void)state;
	struct sandbox none = {0};
	assert_int_equal(inside(&none, try_exec), EPERM);
	assert_int_equal(inside(&none, try_fork), EPERM);
	assert_int_equal(inside(&none, try_ptrace), EPERM);
	assert_int_equal(inside(&none, try_uring), EPERM);
	assert_int_equal(inside(&none, try_executable), EPERM);
	assert_int_equal(inside(&none, try_limits), EPERM);
	assert_int_equal(inside(&none, try_unknown), ENOSYS);
}

static void without_paths_no_file_opens(void **state)
{
	(void)state;
	struct sandbox none = {0};
	assert_int_equal(inside(&none, try_passwd), EACCES);
}

static int try_read(void)
{
	char c;
	int fd = open(in_dir("ro/file"), O_RDONLY | O_CLOEXEC);
	return fd < 0 ? errno : result(read(fd, &c, 1));
}
static int try_write_ro(void)
{
	return result(open(in_dir("ro/file"), O_WRONLY | O_CLOEXEC));
}
static int try_create_ro(void)
{
	return result(open(in_dir("ro/new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
static int try_write_rw(void)
{
	int fd = open(in_dir("rw/new"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) != 0)
		return errno;
	if (mkdir(in_dir("rw/sub"), 0700) != 0 ||
	    rename(in_dir("rw/new"), in_dir("rw/sub/moved")) != 0)
		return errno;
	return result(unlink(in_dir("rw/sub/moved")) | rmdir(in_dir("rw/sub")));
}
static int try_outside(void)
{
	return result(open(in_dir("other"), O_RDONLY | O_CLOEXEC));
}

static void files_as_configured(void **state)
{
	(void)state;
	struct sandbox_path paths[] = {{in_dir("ro"), false}, {in_dir("rw"), true}, {NULL, false}};
	struct sandbox s = {.paths = paths};
	assert_int_equal(inside(&s, try_read), 0);
	assert_int_equal(inside(&s, try_write_rw), 0);
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1) {
		print_message("this kernel has no Landlock\n");
		return;
	}
	assert_int_equal(inside(&s, try_write_ro), EACCES);
	assert_int_equal(inside(&s, try_create_ro), EACCES);
	assert_int_equal(inside(&s, try_outside), EACCES);
	assert_int_equal(inside(&s, try_passwd), EACCES);
}

static void *thread(void *arg)
{
	return arg;
}
static int try_thread(void)
{
	pthread_t t;
	int r = pthread_create(&t, NULL, thread, NULL);
	return r ? r : pthread_join(t, NULL);
}

static void threads_only_where_wanted(void **state)
{
	(void)state;
	struct sandbox none = {0}, some = {.threads = true};
	assert_int_equal(inside(&none, try_thread), EPERM);
	assert_int_equal(inside(&some, try_thread), 0);
	assert_int_equal(inside(&some, try_fork), EPERM);
}

static int try_unix(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", in_dir("sock"));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? errno : result(connect(fd, (struct sockaddr *)&un, sizeof(un)));
}
static int try_abstract(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(dir) + 1);
	memcpy(un.sun_path + 1, dir, strlen(dir));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? errno : result(connect(fd, (struct sockaddr *)&un, len));
}
static int inet_port;
static int try_connect(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)inet_port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? errno : result(connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

static int try_sctp(void)
{
	return result(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP));
}
static int try_raw(void)
{
	return result(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 0));
}
static int try_datagram(void)
{
	return result(socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0));
}
static int try_netlink(void)
{
	return result(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static void internet_only_where_wanted(void **state)
{
	(void)state;
	struct sandbox none = {0}, some = {.connect_inet = true};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", in_dir("sock"));
	int u = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int i = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(u, (struct sockaddr *)&un, sizeof(un)) | listen(u, 5), 0);
	assert_int_equal(bind(i, (struct sockaddr *)&in, sizeof(in)) | listen(i, 5), 0);
	getsockname(i, (struct sockaddr *)&in, &len);
	inet_port = ntohs(in.sin_port);
	assert_int_equal(inside(&none, try_inet), EPERM);
	assert_int_equal(inside(&none, try_unix), 0);
	assert_int_equal(inside(&some, try_connect), 0);
	assert_int_equal(inside(&some, try_datagram), 0);
	assert_int_equal(inside(&some, try_sctp), ENOSYS);
	assert_int_equal(inside(&some, try_raw), ENOSYS);
	assert_int_equal(inside(&some, try_netlink), ENOSYS);
	close(u);
	close(i);
}

static void abstract_sockets_of_others_are_out_of_reach(void **state)
{
	(void)state;
	struct sandbox none = {0};
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 6) {
		print_message("this kernel's Landlock knows no scopes\n");
		return;
	}
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(dir) + 1);
	memcpy(un.sun_path + 1, dir, strlen(dir));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, len) | listen(fd, 5), 0);
	assert_int_equal(inside(&none, try_abstract), EPERM);
	close(fd);
}

static void touch(const char *path)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fputs("text", f);
	fclose(f);
}

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/hamlet-sandbox.%d", (int)getpid());
	assert_int_equal(mkdir(dir, 0700) | mkdir(in_dir("ro"), 0700) | mkdir(in_dir("rw"), 0700),
			 0);
	touch(in_dir("ro/file"));
	touch(in_dir("other"));
	return 0;
}
static int remove_dir(void **state)
{
	(void)state;
	static const char *const NAMES[] = {"ro/file", "ro/new", "rw/new", "other", "sock"};
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		unlink(in_dir(NAMES[i]));
	rmdir(in_dir("ro"));
	rmdir(in_dir("rw"));
	rmdir(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(dangerous_calls_are_refused),
	    cmocka_unit_test(without_paths_no_file_opens),
	    cmocka_unit_test(files_as_configured),
	    cmocka_unit_test(threads_only_where_wanted),
	    cmocka_unit_test(internet_only_where_wanted),
	    cmocka_unit_test(abstract_sockets_of_others_are_out_of_reach),
	};
	return cmocka_run_group_tests_name("sandbox", tests, make_dir, remove_dir);
}
