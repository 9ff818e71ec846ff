/* The LISTEN_FDS protocol of sd_listen_fds(3), or binding here (-d). An inherited socket is a
 * listener's by its name, or, when the supervisor gave none of our names, by its address. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "libcommon/base/folder.h"
#include "libcommon/base/log.h"
#include "libcommon/net/daemon_int.h"

enum { FIRST_FD = 3, FDS_MAX = 1024 };

struct inherited {
	int fd; /* -1: taken */
	const char *name;
};

static size_t inherited_fds(struct pool *pool, struct inherited **out)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	uint64_t want, n = 0;
	struct slice rest = slice_of(pool_strdup(pool, names ? names : ""));
	if (!pid || !count || !str_u64(slice_of(pid), &want) || want != (uint64_t)getpid() ||
	    !str_u64(slice_of(count), &n) || n > FDS_MAX)
		n = 0;
	*out = pool_alloc(pool, (n + 1) * sizeof(**out));
	for (uint64_t i = 0; i < n; i++) {
		struct slice name = slice_cut(&rest, ':');
		int fd = FIRST_FD + (int)i;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		(*out)[i] = (struct inherited){fd, pool_strndup(pool, name.p, name.len)};
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return (size_t)n;
}

static int take_name(struct inherited *in, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		int fd = in[i].fd;
		if (fd >= 0 && strcmp(in[i].name, name) == 0) {
			in[i].fd = -1;
			return fd;
		}
	}
	return -1;
}

static int take_address(struct inherited *in, size_t n, const struct listen_spec *spec)
{
	const struct conf_addr *addr = &spec->addr;
	for (size_t i = 0; i < n; i++) {
		struct sockaddr_storage sa = {0};
		socklen_t len = sizeof(sa);
		int fd = in[i].fd, type = 0;
		socklen_t type_len = sizeof(type);
		if (fd < 0 || getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
			continue;
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len);
		if ((type == SOCK_DGRAM) != spec->udp)
			continue;
		bool same = sa.ss_family == AF_UNIX
				? addr->sa.ss_family == AF_UNIX &&
				      strcmp(((struct sockaddr_un *)&sa)->sun_path,
					     ((const struct sockaddr_un *)&addr->sa)->sun_path) == 0
				: len == addr->len && memcmp(&sa, &addr->sa, len) == 0;
		if (same) {
			in[i].fd = -1;
			return fd;
		}
	}
	return -1;
}

static int bind_here(struct pool *pool, const struct conf_addr *addr, int backlog, bool all)
{
	const char *path = ((const struct sockaddr_un *)&addr->sa)->sun_path;
	const char *slash = addr->sa.ss_family == AF_UNIX ? strrchr(path, '/') : NULL;
	if (slash && slash > path) /* if it fails, so does the bind, with the same reason */
		folder_make(pool_strndup(pool, path, (size_t)(slash - path)), all ? 0755 : 0700,
			    all ? 0755 : 0700);
	int fd = listen_bind(addr, backlog);
	if (fd >= 0 && all && chmod(path, 0666) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int bind_spec(struct pool *pool, const struct listen_spec *spec)
{
	if (spec->udp)
		return listen_bind_udp(&spec->addr);
	return bind_here(pool, &spec->addr, spec->backlog,
			 spec->owner && strcmp(spec->owner, LISTEN_ALL) == 0);
}

static int bind_ctl(struct pool *pool, const char *instance, unsigned proc)
{
	struct conf_addr addr;
	const char *path = pool_printf(pool, "%s/ctl/%s.%u.sock", daemon_rundir(), instance, proc);
	int fd = listen_unix(pool, path, &addr) ? bind_here(pool, &addr, 0, false) : -1;
	if (fd < 0)
		log_event(LOG_LV_WARN, NULL, "no-control-socket", LS("path", path),
			  LS("reason", strerror(errno)));
	return fd;
}

static bool non_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

bool daemon_fds_take(struct pool *pool, const struct listen_spec *spec, size_t n, bool bind,
		     const char *instance, unsigned proc, struct daemon_fds *out)
{
	struct inherited *in;
	size_t have = inherited_fds(pool, &in);
	bool ok = true, binding = bind && have == 0;
	out->listener = pool_alloc(pool, (n + 1) * sizeof(int));
	out->ctl = binding ? bind_ctl(pool, instance, proc) : take_name(in, have, "ctl");
	out->limits = take_name(in, have, "limits");
	for (size_t i = 0; i < n; i++)
		out->listener[i] = take_name(in, have, spec[i].name);
	for (size_t i = 0; i < n; i++) {
		int *fd = &out->listener[i];
		errno = 0;
		if (*fd < 0)
			*fd =
			    binding ? bind_spec(pool, &spec[i]) : take_address(in, have, &spec[i]);
		if (*fd >= 0 && non_blocking(*fd))
			continue;
		ok = false;
		log_event(LOG_LV_ERROR, NULL, "listen-failed", LS("listener", spec[i].name),
			  LS("address", spec[i].addr.text),
			  LS("reason", errno ? strerror(errno)
					     : "no socket was passed for it (-d binds it here)"));
	}
	for (size_t i = 0; i < have; i++) {
		if (in[i].fd < 0)
			continue;
		log_event(LOG_LV_WARN, NULL, "unused-socket", LS("name", in[i].name));
		close(in[i].fd);
	}
	return ok;
}
