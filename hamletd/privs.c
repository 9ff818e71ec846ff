/* What a daemon's process may do: limits, user and groups, capabilities. */
#include <errno.h>
#include <grp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hamletd/privs.h"

bool privs_say(const char *what, const char *path)
{
	dprintf(STDERR_FILENO, "<3>hamletd[%d]: jail: %s %s: %s\n", (int)getpid(), what, path,
		strerror(errno));
	return false;
}

/* CAP_SYS_RESOURCE lets a limit rise over our own; without it we go as far as we may. */
static void limit_set(int what, uint64_t want)
{
	struct rlimit r;
	rlim_t n = (rlim_t)want;
	if (getrlimit((__rlimit_resource_t)what, &r) != 0)
		return;
	struct rlimit set = {n, n};
	if (setrlimit((__rlimit_resource_t)what, &set) == 0)
		return;
	set.rlim_cur = r.rlim_max == RLIM_INFINITY || n < r.rlim_max ? n : r.rlim_max;
	set.rlim_max = r.rlim_max;
	setrlimit((__rlimit_resource_t)what, &set);
}

static void limits_set(const struct conf_rlimits *l)
{
	limit_set(RLIMIT_CORE, l->core);
	if (l->nofile)
		limit_set(RLIMIT_NOFILE, l->nofile);
	if (l->memlock)
		limit_set(RLIMIT_MEMLOCK, l->memlock);
	if (l->memory)
		limit_set(RLIMIT_AS, l->memory);
}

bool privs_can_ids(void)
{
	cap_t caps = cap_get_proc();
	if (!caps)
		return false;
	cap_flag_value_t uid = CAP_CLEAR, gid = CAP_CLEAR;
	cap_get_flag(caps, CAP_SETUID, CAP_EFFECTIVE, &uid);
	cap_get_flag(caps, CAP_SETGID, CAP_EFFECTIVE, &gid);
	cap_free(caps);
	return uid == CAP_SET && gid == CAP_SET;
}

static bool caps_clear(void)
{
	cap_t none = cap_init();
	bool ok = none && cap_set_proc(none) == 0;
	cap_free(none);
	return ok;
}

bool privs_drop(const struct jail *j)
{
	umask(077);
	limits_set(j->rlimits);
	/* CAP_SETPCAP: the bounding set goes first, while we may still change it, so that not
	 * even a setuid file brings anything back. Without the capability there is no bounding set
	 * to fear: no_new_privs below says the same. */
	for (cap_value_t c = 0; cap_get_bound(c) >= 0; c++)
		cap_drop_bound(c);
	if (j->ids) {
		/* CAP_SETGID, CAP_SETUID: groups before the user, or we may not any more. */
		if (setgroups(0, NULL) != 0 || setresgid(j->gid, j->gid, j->gid) != 0)
			return privs_say("change the group for", j->binary);
		if (setresuid(j->uid, j->uid, j->uid) != 0)
			return privs_say("change the user for", j->binary);
		if (j->uid != 0 && setuid(0) == 0) {
			errno = EPERM;
			return privs_say("stay away from root in", j->binary);
		}
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* A change from root to another user has emptied them; a daemon that is to run as root
	 * gets none either. */
	if (!caps_clear())
		return privs_say("drop the capabilities of", j->binary);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return privs_say("restrict", j->binary);
	return true;
}
