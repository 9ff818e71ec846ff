/* sandbox: what a daemon may still do after start-up: Landlock (file tree, TCP), seccomp (calls),
 * no_new_privs, no core files. Call on the main thread before any other is started. What the
 * kernel or the user's rights do not allow is left out and named in one log line.
 *
 * Refused to all: exec, new processes, ptrace, bpf, io_uring, mounts, keys, userfaultfd, modules
 * (EPERM), memory that is executable and new, opening files outside `paths` (EACCES); calls that
 * nobody here needs answer ENOSYS. */
#ifndef NET_SANDBOX_H
#define NET_SANDBOX_H
#include <stdbool.h>
struct sandbox_path {
	const char *path; /* absolute; NULL ends the list */
	bool write;       /* and what lies below may be made, changed and removed */
};
struct sandbox {
	const struct sandbox_path *paths; /* NULL: no files at all */
	const char *const *sockets;       /* NULL-terminated: Unix sockets that it connects to;
					   * hamletd binds them into the jail. NULL: none */
	bool connect_inet;                /* may open TCP and UDP sockets, and bind them */
	bool threads;                     /* may start threads (clone) */
};
void sandbox_enter(const struct sandbox *s);
#endif
