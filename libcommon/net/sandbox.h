/* sandbox: what a daemon may still do after start-up: Landlock (file tree), seccomp (calls).
 * Call on the main thread before libuv starts any other. What the kernel or the user's rights
 * do not allow is left out and named in one log line. */
#ifndef NET_SANDBOX_H
#define NET_SANDBOX_H
#include <stdbool.h>
struct sandbox_path {
	const char *path; /* NULL ends the list */
	bool write;
};
struct sandbox {
	const struct sandbox_path *paths; /* NULL: no files at all */
	bool connect_inet;                /* may open internet sockets */
	bool threads;                     /* may start threads (clone) */
};
void sandbox_enter(const struct sandbox *s);
#endif
