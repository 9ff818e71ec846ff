#include "libcommon/ipc/store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include "libcommon/net/daemon.h"

const char *store_socket(struct pool *pool, enum role role)
{
	return pool_printf(pool, "%s/store/%s.sock", daemon_rundir(), role_name(role));
}

struct peer *store_client(enum role role, void (*on_up)(struct peer *p, void *arg), void *arg)
{
	struct pool *pool = pool_new(0);
	struct peer *p = peer_connect(store_socket(pool, role), role, on_up, arg);
	pool_free(&pool);
	return p;
}

int body_memfd(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || fd > 2)
		return fd;
	/* A daemon without standard streams: in a body 0 means no descriptor. */
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	close(fd);
	return high;
}

bool body_map(const struct body *b, struct slice *out)
{
	if (b->fd <= 0) {
		*out = b->bytes;
		return true;
	}
	/* What its sender could still change or cut would fault or lie under the reader. */
	if (!msg_fd_sealed(b->fd, b->size) || b->size > SIZE_MAX) {
		errno = EPERM;
		return false;
	}
	*out = (struct slice){"", 0};
	if (b->size == 0)
		return true;
	/* Private: a shared mapping of a sealed memfd is refused before Linux 6.7. */
	void *p = mmap(NULL, b->size, PROT_READ, MAP_PRIVATE, b->fd, 0);
	if (p == MAP_FAILED)
		return false;
	*out = (struct slice){p, b->size};
	return true;
}

void body_unmap(const struct body *b, struct slice *map)
{
	if (b->fd > 0 && map->len)
		munmap((void *)(uintptr_t)map->p, map->len);
	*map = (struct slice){"", 0};
}
