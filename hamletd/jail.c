/* The file tree that a daemon sees: a private mount namespace whose root is a small read-only
 * tmpfs with only what the daemon needs bound into it. No shell, no /proc, no other daemon's
 * files. The sources are opened before the root is changed and mounted after it, so that no
 * symbolic link in a folder of the daemon's user leads a mount outside. */
#include "hamletd/hamletd.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "hamletd/privs.h"
#include "libcommon/base/folder.h"
#include "libcommon/base/log.h"

enum { BINDS_MAX = LINES_MAX + 64 };

struct bind {
	const char *path; /* the same outside and inside */
	int fd;           /* the cloned mount */
	bool dir;
};
struct tree {
	struct bind bind[BINDS_MAX];
	size_t n;
};

/* What every program needs to start: the loader, libraries, time zones, name service, the
 * system's certificate authorities. */
static const char *const BASE[] = {"/lib",
				   "/lib32",
				   "/lib64",
				   "/libx32",
				   "/usr/lib",
				   "/usr/lib32",
				   "/usr/lib64",
				   "/usr/libx32",
				   "/usr/local/lib",
				   "/usr/share",
				   "/etc/ld.so.cache",
				   "/etc/localtime",
				   "/etc/hosts",
				   "/etc/host.conf",
				   "/etc/resolv.conf",
				   "/etc/nsswitch.conf",
				   "/etc/gai.conf",
				   "/etc/services",
				   "/etc/ssl",
				   "/etc/ca-certificates",
				   "/etc/gnutls",
				   "/etc/mime.types",
				   NULL};
static const char *const DEVICES[] = {"/dev/null", "/dev/urandom", "/dev/log", NULL};

static bool can_tree, can_ids;

bool jail_can_tree(void)
{
	return can_tree;
}

bool jail_can_ids(void)
{
	return can_ids;
}

static int tree_open(const char *path)
{
	return (int)syscall(SYS_open_tree, AT_FDCWD, path,
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

static bool tree_attr(int fd, uint64_t set)
{
	struct mount_attr attr = {.attr_set = set};
	return syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
		       sizeof(attr)) == 0;
}

/* Clones what is at the path; a missing one is left out unless needed. */
static bool tree_add(struct tree *t, const char *path, uint64_t attr, bool need)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return need ? privs_say("needs", path) : true;
	if (t->n == BINDS_MAX) {
		errno = E2BIG;
		return privs_say("add", path);
	}
	struct bind *b = &t->bind[t->n];
	*b = (struct bind){path, tree_open(path), S_ISDIR(st.st_mode)};
	if (b->fd < 0)
		return privs_say("open", path);
	if (!tree_attr(b->fd, attr))
		return privs_say("restrict", path);
	t->n++;
	return true;
}

/* Parents before what is in them, or they would cover it. */
static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct bind *)a)->path, ((const struct bind *)b)->path);
}

static bool tree_collect(struct tree *t, const struct jail *j)
{
	uint64_t ro = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	for (size_t i = 0; BASE[i]; i++) {
		struct stat st;
		if (lstat(BASE[i], &st) == 0 && S_ISLNK(st.st_mode) &&
		    strchr(BASE[i] + 1, '/') == 0)
			continue; /* /lib -> usr/lib: made as a link again */
		if (!tree_add(t, BASE[i], ro, false))
			return false;
	}
	for (size_t i = 0; DEVICES[i]; i++) /* device nodes work without NODEV only */
		if (!tree_add(t, DEVICES[i], MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, false))
			return false;
	if (!tree_add(t, j->binary, ro, true))
		return false;
	if (j->conf_dir && strcmp(j->conf_dir, "/") != 0 &&
	    !tree_add(t, j->conf_dir, ro | MOUNT_ATTR_NOEXEC, true))
		return false;
	for (const struct jail_path *p = j->paths; p && p->path; p++) {
		uint64_t attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
		if (!tree_add(t, p->path, p->write ? attr : attr | MOUNT_ATTR_RDONLY, p->need))
			return false;
	}
	qsort(t->bind, t->n, sizeof(t->bind[0]), by_path);
	return true;
}

/* Folders down to the last '/', in the new root. */
static void parents(const char *path)
{
	char part[1024];
	for (const char *s = strchr(path + 1, '/'); s; s = strchr(s + 1, '/'))
		if (str_fmt(part, sizeof(part), "%.*s", (int)(s - path), path))
			mkdir(part, 0755);
}

static bool tree_mount(const struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct bind *b = &t->bind[i];
		parents(b->path);
		if (b->dir)
			mkdir(b->path, 0755);
		else
			close(open(b->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
		if (syscall(SYS_move_mount, b->fd, "", AT_FDCWD, b->path,
			    MOVE_MOUNT_F_EMPTY_PATH) != 0)
			return privs_say("mount", b->path);
		close(b->fd);
	}
	return true;
}

/* /lib -> usr/lib and the like, where the system has links. */
struct link {
	const char *path;
	char to[64];
};

static size_t links_read(struct link out[4])
{
	size_t n = 0;
	for (size_t i = 0; i < 4; i++) { /* the first four of BASE */
		ssize_t len = readlink(BASE[i], out[n].to, sizeof(out[n].to) - 1);
		if (len <= 0)
			continue;
		out[n].to[len] = 0;
		out[n++].path = BASE[i];
	}
	return n;
}

/* CAP_SYS_ADMIN: unshare, mounts and pivot_root are what the private tree is made of. */
static bool tree_enter(const struct jail *j)
{
	static struct tree t; /* in the child only */
	struct link links[4];
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return privs_say("make the namespace of", j->binary);
	if (!tree_collect(&t, j))
		return false;
	size_t n = links_read(links);
	if (mount("hamlet", j->root, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=0755,size=1m") != 0)
		return privs_say("mount", j->root);
	if (chdir(j->root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
	    umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		return privs_say("change the root to", j->root);
	for (size_t i = 0; i < n; i++)
		if (symlink(links[i].to, links[i].path) != 0)
			return privs_say("link", links[i].path);
	if (!tree_mount(&t))
		return false;
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof(attr)) != 0)
		return privs_say("close", "/");
	return true;
}

/* Makes a missing folder for the daemon, owned by its user. Only below folders of our own: in one
 * of the daemon's user a link may lead anywhere, and the daemon can make it itself. */
static bool own_folder_make(const char *path, uid_t uid, gid_t gid)
{
	char part[1024];
	int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct slice rest = slice_of(path + 1);
	bool ours = true;
	while (at >= 0 && rest.len) {
		struct slice s = slice_cut(&rest, '/');
		struct stat st;
		if (!s.len || !str_fmt(part, sizeof(part), "%.*s", SLICE_FMT(s)))
			continue;
		ours = ours && fstat(at, &st) == 0 && (st.st_uid == geteuid() || st.st_uid == 0);
		int next = openat(at, part, O_PATH | O_CLOEXEC);
		if (next < 0 && errno == ENOENT && ours &&
		    mkdirat(at, part, rest.len ? 0755 : 0700) == 0) {
			next = openat(at, part, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
			/* CAP_CHOWN: the daemon has to own the folder that it keeps its data in */
			if (!rest.len && next >= 0 && can_ids &&
			    fchownat(next, "", uid, gid, AT_EMPTY_PATH) != 0)
				ours = false;
		}
		int err = errno;
		close(at);
		at = next;
		errno = err;
	}
	if (at < 0)
		return ours ? privs_say("make", path) : true;
	close(at);
	return true;
}

bool jail_enter(const struct jail *j)
{
	for (const struct jail_path *p = j->paths; p && p->path; p++)
		if (p->write && !own_folder_make(p->path, j->uid, j->gid))
			return false;
	if (j->tree && !tree_enter(j))
		return false;
	return privs_drop(j);
}

/* Whether the kernel and our rights allow the tree is found by trying, in a child. */
static bool tree_try(const char *root)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		bool ok = unshare(CLONE_NEWNS) == 0 &&
			  mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
			  mount("hamlet", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=4k") == 0;
		int fd = ok ? tree_open("/dev/null") : -1;
		ok = ok && fd >= 0 && tree_attr(fd, MOUNT_ATTR_RDONLY);
		_exit(ok ? 0 : 1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

void jail_init(const char *root)
{
	can_ids = geteuid() == 0 && privs_can_ids();
	if (geteuid() == 0 && folder_make(root, 0700, 0700) == 0)
		can_tree = tree_try(root);
	if (can_tree && can_ids)
		return;
	log_event(LOG_LV_WARN, NULL, "unconfined",
		  LS("cannot", can_ids    ? "make file trees of their own for the daemons"
			       : can_tree ? "change the user of the daemons"
					  : "make file trees for the daemons, change their user"),
		  LS("why", geteuid() == 0 ? "the kernel or a container refuses it"
					   : "hamletd does not run as root"));
}
