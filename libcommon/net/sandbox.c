#include "libcommon/net/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"

#ifdef __SANITIZE_ADDRESS__
/* The leak check at exit traces its own process, which the filter refuses, and needs /proc, which a
 * jail has not. */
static int entered;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return entered || access("/proc/self/task", R_OK) != 0;
}
#endif

/* What could not be done, "a; b; c". */
static void missing(struct buf *b, const char *what, int err)
{
	buf_printf(b, "%s%s: %s", b->len ? "; " : "", what, strerror(err));
}

/* --- Landlock -------------------------------------------------------------------------- */

/* The kernel's structure up to ABI 6; the headers here end at 2. */
struct ruleset {
	uint64_t fs;
	uint64_t net;    /* since ABI_NET */
	uint64_t scoped; /* since ABI_SCOPE */
};
enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NET = 4, ABI_IOCTL = 5, ABI_SCOPE = 6 };
#define FS_FIRST     ((1ULL << 13) - 1) /* ABI 1: execute ... make symbolic links */
#define FS_REFER     (1ULL << 13)
#define FS_TRUNCATE  (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define NET_ALL      3ULL /* bind and connect TCP */
#define SCOPE_ALL    3ULL /* no abstract sockets of others (but those connected), no signals */
#define FS_READ      (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* Neither execute nor devices: nothing of the suite needs them. */
#define FS_WRITE                                                                            \
	(FS_FIRST & ~(uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
				LANDLOCK_ACCESS_FS_MAKE_BLOCK))
#define FS_OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

static void add_path(int ruleset, const struct sandbox_path *p, uint64_t handled, struct buf *lost)
{
	struct landlock_path_beneath_attr rule = {0};
	struct stat st;
	rule.parent_fd = open(p->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0) {
		missing(lost, p->path, errno);
		return;
	}
	rule.allowed_access = p->write ? FS_READ | FS_WRITE | FS_REFER | FS_TRUNCATE : FS_READ;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_OF_FILES;
	rule.allowed_access &= handled;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
		missing(lost, p->path, errno);
	close(rule.parent_fd);
}

/* The ABI that is in force, 0: none. */
static int landlock_enter(const struct sandbox *s, struct buf *lost)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1) {
		missing(lost, "landlock", errno);
		return 0;
	}
	struct ruleset r = {.fs = FS_FIRST};
	if (abi >= ABI_REFER)
		r.fs |= FS_REFER;
	if (abi >= ABI_TRUNCATE)
		r.fs |= FS_TRUNCATE;
	if (abi >= ABI_IOCTL)
		r.fs |= FS_IOCTL_DEV;
	if (abi >= ABI_NET && !s->connect_inet)
		r.net = NET_ALL;
	if (abi >= ABI_SCOPE)
		r.scoped = SCOPE_ALL;
	size_t size = abi >= ABI_SCOPE ? sizeof(r)
		      : abi >= ABI_NET ? offsetof(struct ruleset, scoped)
				       : offsetof(struct ruleset, net);
	int fd = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
	if (fd < 0) {
		missing(lost, "landlock", errno);
		return 0;
	}
	for (const struct sandbox_path *p = s->paths; p && p->path; p++)
		add_path(fd, p, r.fs, lost);
	if (syscall(SYS_landlock_restrict_self, fd, 0) != 0) {
		missing(lost, "landlock", errno);
		abi = 0;
	}
	close(fd);
	return (int)abi;
}

/* --- seccomp --------------------------------------------------------------------------- */

#define CALL(name) SCMP_SYS(name)

static const int ALLOWED[] = {
    /* descriptors */
    CALL(read),
    CALL(write),
    CALL(readv),
    CALL(writev),
    CALL(pread64),
    CALL(pwrite64),
    CALL(preadv),
    CALL(pwritev),
    CALL(preadv2),
    CALL(pwritev2),
    CALL(close),
    CALL(close_range),
    CALL(dup),
    CALL(dup2),
    CALL(dup3),
    CALL(fcntl),
    CALL(lseek),
    CALL(fstat),
    CALL(pipe),
    CALL(pipe2),
    CALL(sendfile),
    CALL(splice),
    CALL(tee),
    CALL(copy_file_range),
    CALL(memfd_create),
    CALL(ftruncate),
    CALL(fallocate),
    CALL(fsync),
    CALL(fdatasync),
    CALL(sync_file_range),
    CALL(fadvise64),
    CALL(flock),
    CALL(getdents64),
    CALL(fstatfs),
    CALL(fchmod),
    CALL(fchown),
    CALL(newfstatat),
    CALL(statx),
    /* sockets and waiting */
    CALL(connect),
    CALL(accept),
    CALL(accept4),
    CALL(sendto),
    CALL(recvfrom),
    CALL(sendmsg),
    CALL(recvmsg),
    CALL(sendmmsg),
    CALL(recvmmsg),
    CALL(shutdown),
    CALL(getsockname),
    CALL(getpeername),
    CALL(getsockopt),
    CALL(setsockopt),
    CALL(socketpair),
    CALL(poll),
    CALL(ppoll),
    CALL(select),
    CALL(pselect6),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(eventfd2),
    /* memory (mmap and mprotect have rules of their own) */
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(brk),
    CALL(msync),
    CALL(mlock),
    CALL(mlock2),
    CALL(munlock),
    CALL(mincore),
    /* threads, signals, time, facts */
    CALL(futex),
    CALL(set_robust_list),
    CALL(get_robust_list),
    CALL(rseq),
    CALL(membarrier),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(sched_getparam),
    CALL(sched_getscheduler),
    CALL(gettid),
    CALL(getpid),
    CALL(getppid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(rt_sigpending),
    CALL(rt_sigtimedwait),
    CALL(sigaltstack),
    CALL(restart_syscall),
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(time),
    CALL(getcpu),
    CALL(getrandom),
    CALL(getrusage),
    CALL(getrlimit),
    CALL(times),
    CALL(uname),
    CALL(sysinfo),
    CALL(exit),
    CALL(exit_group),
};

/* Only with files; Landlock says which. */
static const int FILE_CALLS[] = {
    CALL(open),       CALL(openat),   CALL(openat2),   CALL(creat),      CALL(stat),
    CALL(lstat),      CALL(access),   CALL(faccessat), CALL(faccessat2), CALL(readlink),
    CALL(readlinkat), CALL(unlink),   CALL(unlinkat),  CALL(rename),     CALL(renameat),
    CALL(renameat2),  CALL(mkdir),    CALL(mkdirat),   CALL(rmdir),      CALL(link),
    CALL(linkat),     CALL(truncate), CALL(chmod),     CALL(fchmodat),   CALL(utimensat),
    CALL(statfs),     CALL(getcwd),   CALL(umask),     CALL(getdents),
};

static const int DENIED[] = {
    CALL(execve),
    CALL(execveat),
    CALL(fork),
    CALL(vfork),
    CALL(ptrace),
    CALL(process_vm_readv),
    CALL(process_vm_writev),
    CALL(bpf),
    CALL(io_uring_setup),
    CALL(io_uring_enter),
    CALL(io_uring_register),
    CALL(mount),
    CALL(umount2),
    CALL(pivot_root),
    CALL(chroot),
    CALL(move_mount),
    CALL(open_tree),
    CALL(fsopen),
    CALL(fsconfig),
    CALL(fsmount),
    CALL(fspick),
    CALL(mount_setattr),
    CALL(unshare),
    CALL(setns),
    CALL(keyctl),
    CALL(add_key),
    CALL(request_key),
    CALL(userfaultfd),
    CALL(init_module),
    CALL(finit_module),
    CALL(delete_module),
    CALL(kexec_load),
    CALL(kexec_file_load),
    CALL(perf_event_open),
    CALL(open_by_handle_at),
    CALL(name_to_handle_at),
    CALL(swapon),
    CALL(swapoff),
    CALL(reboot),
    CALL(acct),
    CALL(quotactl),
    CALL(syslog),
    CALL(personality),
    CALL(setuid),
    CALL(setgid),
    CALL(setreuid),
    CALL(setregid),
    CALL(setresuid),
    CALL(setresgid),
    CALL(setgroups),
    CALL(capset),
    CALL(kill),
    CALL(pidfd_open),
    CALL(pidfd_getfd),
    CALL(pidfd_send_signal),
    CALL(kcmp),
    CALL(listen),
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The first error is kept; later ones follow from it. */
static void rules(scmp_filter_ctx f, const int *call, size_t n, uint32_t action, int *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = seccomp_rule_add(f, action, call[i], 0);
		/* -EDOM: a call that this architecture has no number for */
		if (r != 0 && r != -EDOM && *err == 0)
			*err = -r;
	}
}

static void rule_if(scmp_filter_ctx f, uint32_t action, int call, struct scmp_arg_cmp arg, int *err)
{
	int r = seccomp_rule_add_array(f, action, call, 1, &arg);
	if (r != 0 && *err == 0)
		*err = -r;
}

/* TCP and UDP: no raw sockets, and none of the protocols whose modules a socket would load. */
static void inet_sockets(scmp_filter_ctx f, int *err)
{
	static const int FAMILY[] = {AF_INET, AF_INET6}, TYPE[] = {SOCK_STREAM, SOCK_DGRAM};
	const scmp_datum_t flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
	for (size_t i = 0; i < COUNT(FAMILY); i++)
		for (size_t k = 0; k < COUNT(TYPE); k++) {
			const struct scmp_arg_cmp arg[] = {
			    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)FAMILY[i]),
			    SCMP_A1(SCMP_CMP_MASKED_EQ, ~flags, (scmp_datum_t)TYPE[k]),
			    SCMP_A2(SCMP_CMP_EQ, 0)};
			int r = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, CALL(socket), COUNT(arg),
						       arg);
			if (r != 0 && *err == 0)
				*err = -r;
		}
}

/* Calls that depend on an argument. */
static void rules_by_argument(scmp_filter_ctx f, const struct sandbox *s, int *err)
{
	const uint32_t allow = SCMP_ACT_ALLOW, deny = SCMP_ACT_ERRNO(EPERM);
	static const int BIND[] = {CALL(bind)};
	static const int MEMORY[] = {CALL(mmap), CALL(mprotect)};
	for (size_t i = 0; i < COUNT(MEMORY); i++) {
		rule_if(f, allow, MEMORY[i], SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0), err);
		rule_if(f, deny, MEMORY[i], SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC), err);
	}
	/* Threads share everything; a new process would be one. clone3 hides its flags in memory:
	 * as an unknown call it makes the C library fall back to clone. */
	rule_if(f, s->threads ? allow : deny, CALL(clone),
		SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD), err);
	rule_if(f, deny, CALL(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0), err);
	rule_if(f, allow, CALL(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX), err);
	if (s->connect_inet)
		inet_sockets(f, err);
	else
		rule_if(f, deny, CALL(socket), SCMP_A0(SCMP_CMP_NE, AF_UNIX), err);
	rules(f, BIND, COUNT(BIND), s->connect_inet ? allow : deny, err); /* a source address */
	/* abort() and raise() only. */
	rule_if(f, allow, CALL(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()), err);
	static const int PRCTLS[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE};
	for (size_t i = 0; i < COUNT(PRCTLS); i++)
		rule_if(f, allow, CALL(prctl), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)PRCTLS[i]), err);
	static const unsigned IOCTLS[] = {FIONBIO, FIONREAD, FIOCLEX, FIONCLEX, TCGETS, TIOCGWINSZ};
	for (size_t i = 0; i < COUNT(IOCTLS); i++)
		rule_if(f, allow, CALL(ioctl), SCMP_A1(SCMP_CMP_EQ, IOCTLS[i]), err);
	/* Reading limits is harmless, raising them is not wanted. */
	rule_if(f, allow, CALL(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0), err);
	rule_if(f, deny, CALL(prlimit64), SCMP_A2(SCMP_CMP_NE, 0), err);
}

static bool seccomp_enter(const struct sandbox *s, struct buf *lost)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int err = f ? 0 : ENOMEM;
	if (f) {
		/* A foreign ABI (32-bit calls) kills: its numbers mean other calls. */
		seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
		seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
		rules(f, ALLOWED, COUNT(ALLOWED), SCMP_ACT_ALLOW, &err);
		rules(f, FILE_CALLS, COUNT(FILE_CALLS),
		      s->paths ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EACCES), &err);
		rules(f, DENIED, COUNT(DENIED), SCMP_ACT_ERRNO(EPERM), &err);
		rules_by_argument(f, s, &err);
		int r = err ? 0 : seccomp_load(f);
		if (r != 0)
			err = -r;
		seccomp_release(f);
	}
	if (err)
		missing(lost, "seccomp", err);
	return err == 0;
}

void sandbox_enter(const struct sandbox *s)
{
	struct buf lost;
	buf_init(&lost, 2048);
	struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		missing(&lost, "no core files", errno);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		missing(&lost, "no_new_privs", errno);
#ifdef __SANITIZE_ADDRESS__
	entered = 1;
#endif
	int abi = landlock_enter(s, &lost);
	bool filter = seccomp_enter(s, &lost);
	log_event(lost.len ? LOG_LV_WARN : LOG_LV_DEBUG, NULL, "sandbox", LI("landlock", abi),
		  LS("seccomp", filter ? "on" : "off"),
		  LS("missing", lost.len ? buf_cstr(&lost) : NULL));
	buf_free(&lost);
}
