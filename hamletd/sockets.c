/* The listening sockets of one service. They outlive its processes: neither a crash nor a
 * replacement refuses a connection. */
#include "hamletd/hamletd.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "libcommon/base/folder.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/listen.h"

enum { BACKLOG = 1024 };

static const char *unix_path(const struct socket *k)
{
	return ((const struct sockaddr_un *)(const void *)&k->addr.sa)->sun_path;
}

static bool same_address(const struct socket *a, const struct socket *b)
{
	return a->proto == b->proto && a->addr.len == b->addr.len &&
	       (a->addr.text[0] == '*') == (b->addr.text[0] == '*') &&
	       memcmp(&a->addr.sa, &b->addr.sa, a->addr.len) == 0;
}

static void socket_make(struct sockets *s, const struct list_line *l, const struct sockets *old)
{
	struct socket *k = &s->item[s->n++];
	k->proto = l->proto;
	k->name = pool_strdup(s->pool, l->name);
	k->owner = l->owner ? pool_strdup(s->pool, l->owner) : NULL;
	k->addr = l->addr;
	k->addr.text = pool_strdup(s->pool, l->addr.text);
	k->fd = -1;
	k->udp = pool_alloc(s->pool, s->processes * sizeof(int));
	for (unsigned p = 0; p < s->processes; p++)
		k->udp[p] = -1;
	for (size_t i = 0; old && i < old->n; i++) {
		if (!same_address(k, &old->item[i]))
			continue;
		k->fd = old->item[i].fd;
		for (unsigned p = 0; p < s->processes && p < old->processes; p++)
			k->udp[p] = old->item[i].udp[p];
	}
}

struct sockets *sockets_new(const struct list_lines *lines, unsigned processes,
			    const struct sockets *old)
{
	struct pool *pool = pool_new(0);
	struct sockets *s = pool_alloc(pool, sizeof(*s));
	size_t paths = 0, connects = 0;
	s->pool = pool;
	s->processes = processes;
	s->item = pool_alloc(pool, (lines->n + 1) * sizeof(*s->item));
	s->paths = pool_alloc(pool, (lines->n + 1) * sizeof(*s->paths));
	s->connect = pool_alloc(pool, (lines->n + 1) * sizeof(*s->connect));
	for (size_t i = 0; i < lines->n; i++) {
		const struct list_line *l = &lines->line[i];
		if (l->kind == LINE_LISTEN)
			socket_make(s, l, old);
		else if (l->kind == LINE_PATH)
			s->paths[paths++] =
			    (struct jail_path){pool_strdup(pool, l->address), l->write, false};
		else
			s->connect[connects++] =
			    (struct jail_path){pool_strdup(pool, l->address), false, false};
	}
	return s;
}

/* A socket file is in the way: 0 when it was a dead one and is gone. */
static int unix_clear(const struct sockaddr_un *un)
{
	struct stat st;
	if (lstat(un->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : errno;
	if (!S_ISSOCK(st.st_mode))
		return EEXIST;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	int r = connect(fd, (const struct sockaddr *)un, sizeof(*un));
	int err = errno;
	close(fd);
	if (r == 0 || err == EAGAIN)
		return EADDRINUSE;
	if (err != ECONNREFUSED)
		return err;
	return unlink(un->sun_path) == 0 ? 0 : errno;
}

/* CAP_CHOWN: the role's user, and nobody else, may connect. The descriptor gets the same owner, so
 * that the server knows whom to expect in a jail where the file cannot be seen. */
static bool unix_own(int fd, const char *path, uid_t uid, gid_t gid)
{
	return !jail_can_ids() || (chown(path, uid, gid) == 0 && fchown(fd, uid, gid) == 0);
}

int sockets_unix(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	if (!str_fmt(un.sun_path, sizeof(un.sun_path), "%s", path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int err = unix_clear(&un), fd = -1;
	if (!err) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		mode_t old = umask(0177); /* nobody's before it has its owner */
		bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&un, sizeof(un)) == 0;
		err = errno;
		umask(old);
		if (ok && !unix_own(fd, path, uid, gid))
			ok = false, err = errno;
		if (ok && (chmod(path, mode) != 0 || listen(fd, BACKLOG) != 0))
			ok = false, err = errno;
		if (ok)
			return fd;
	}
	if (fd >= 0)
		close(fd);
	errno = err;
	return -1;
}

static bool for_all(const struct socket *k)
{
	return k->owner && strcmp(k->owner, LISTEN_ALL) == 0;
}

static int unix_bind(const struct socket *k, const struct hamlet_conf *c,
		     const struct conf_daemon *d)
{
	const char *path = unix_path(k), *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	str_fmt(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
	mode_t mode = geteuid() == 0 ? 0755 : 0700;
	int err = slash == path ? 0 : folder_make(folder, mode, mode);
	if (err) {
		errno = err;
		return -1;
	}
	if (for_all(k))
		return sockets_unix(path, d->uid, d->gid, 0666);
	if (!k->owner)
		return sockets_unix(path, d->uid, d->gid, 0660);
	return sockets_unix(path, conf_role_uid(c, k->owner), (gid_t)-1, 0600);
}

int sockets_bind(struct sockets *s, const struct hamlet_conf *c, const struct conf_daemon *d,
		 const struct socket **which)
{
	for (size_t i = 0; i < s->n; i++) {
		struct socket *k = &s->item[i];
		*which = k;
		if (k->proto == PROTO_UDP)
			continue;
		if (k->fd >= 0) {
			/* Kept; the user of the role may be another one now. */
			if (k->proto == PROTO_UNIX && k->owner && !for_all(k) &&
			    !unix_own(k->fd, unix_path(k), conf_role_uid(c, k->owner), (gid_t)-1))
				return errno;
			continue;
		}
		/* CAP_NET_BIND_SERVICE: ports below 1024 are bound here, for daemons that may not.
		 */
		k->fd = k->proto == PROTO_TCP ? listen_bind(&k->addr, BACKLOG) : unix_bind(k, c, d);
		if (k->fd < 0)
			return errno;
	}
	return 0;
}

static bool has_fd(const struct sockets *s, int fd)
{
	for (size_t i = 0; s && i < s->n; i++) {
		if (s->item[i].fd == fd)
			return true;
		for (unsigned p = 0; p < s->processes; p++)
			if (s->item[i].udp[p] == fd)
				return true;
	}
	return false;
}

static void drop_fd(int fd, const struct sockets *keep, const struct socket *k)
{
	if (fd < 0 || has_fd(keep, fd))
		return;
	if (k->proto == PROTO_UNIX)
		unlink(unix_path(k));
	close(fd);
}

void sockets_drop(struct sockets **ps, const struct sockets *keep)
{
	struct sockets *s = *ps;
	*ps = NULL;
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		drop_fd(s->item[i].fd, keep, &s->item[i]);
		for (unsigned p = 0; p < s->processes; p++)
			drop_fd(s->item[i].udp[p], keep, &s->item[i]);
	}
	struct pool *pool = s->pool;
	pool_free(&pool);
}

int sockets_udp_open(struct sockets *s, unsigned index)
{
	for (size_t i = 0; i < s->n; i++) {
		struct socket *k = &s->item[i];
		if (k->proto != PROTO_UDP || k->udp[index] >= 0)
			continue;
		k->udp[index] = listen_bind_udp(&k->addr);
		if (k->udp[index] < 0)
			return errno;
	}
	return 0;
}

static void forget_fd(struct sockets *s, int fd)
{
	for (size_t i = 0; s && i < s->n; i++)
		for (unsigned p = 0; p < s->processes; p++)
			if (s->item[i].udp[p] == fd)
				s->item[i].udp[p] = -1;
}

void sockets_udp_close(struct sockets *s, struct sockets *other, unsigned index)
{
	if (index >= s->processes)
		return;
	for (size_t i = 0; i < s->n; i++) {
		int fd = s->item[i].udp[index];
		if (fd < 0)
			continue;
		forget_fd(other, fd);
		close(fd);
		s->item[i].udp[index] = -1;
	}
}

void sockets_close_inet(struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct socket *k = &s->item[i];
		if (k->proto == PROTO_TCP && k->fd >= 0) {
			close(k->fd);
			k->fd = -1;
		}
	}
	for (unsigned p = 0; p < s->processes; p++)
		sockets_udp_close(s, NULL, p);
}
