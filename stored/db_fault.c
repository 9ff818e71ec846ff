/* The fault seam: a SQLite VFS over the default one that asks fault_check() before writes,
 * syncs, opens and truncations, and the same question for the store's own file calls. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "libcommon/base/log.h"
#include "libcommon/base/str.h"
#include "stored/fault.h"

enum { FAULTS_MAX = 8 };

enum kind { KIND_WRITE, KIND_SYNC, KIND_OPEN, KIND_TRUNCATE, KIND_FULL, KIND_TORN, KIND_KILL };
static const char *const kind_name[] = {"write", "fsync", "open", "truncate",
					"full",  "torn",  "kill"};
static const char *const file_name[FAULT_FILES] = {"db", "wal", "shm", "seg"};

struct fault {
	enum kind kind;
	int file; /* -1: any */
	uint64_t at, seen;
	bool onward; /* N+ */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fault fault[FAULTS_MAX];
static size_t faults;
static bool enabled;

/* --- which call fails -------------------------------------------------------------------- */

static int index_of(const char *const *names, size_t n, struct slice s)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eqs(s, names[i]))
			return (int)i;
	return -1;
}

static bool parse(struct slice s, struct fault *out)
{
	struct slice what = slice_cut(&s, ':');
	struct slice kind = slice_cut(&what, '@');
	out->onward = s.len && s.p[s.len - 1] == '+';
	s.len -= out->onward;
	int k = index_of(kind_name, sizeof(kind_name) / sizeof(kind_name[0]), kind);
	out->kind = (enum kind)k;
	out->file = what.len ? index_of(file_name, FAULT_FILES, what) : -1;
	out->seen = 0;
	return k >= 0 && (!what.len || out->file >= 0) && str_u64(s, &out->at) && out->at > 0;
}

bool fault_set(const char *spec)
{
	struct fault next[FAULTS_MAX];
	size_t n = 0;
	struct slice rest = slice_of(spec);
	if (!enabled)
		return false;
	if (slice_eqs(rest, "on") || slice_eqs(rest, "off"))
		rest.len = 0;
	while (rest.len) {
		struct slice one = slice_cut(&rest, ',');
		if (n == FAULTS_MAX || !parse(one, &next[n]))
			return false;
		n++;
	}
	pthread_mutex_lock(&lock);
	memcpy(fault, next, n * sizeof(next[0]));
	faults = n;
	pthread_mutex_unlock(&lock);
	return true;
}

bool fault_init(void)
{
	const char *spec = getenv("HAMLET_FAULT");
	enabled = spec && *spec;
	return !enabled || fault_set(spec);
}

bool fault_enabled(void)
{
	return enabled;
}

static bool concerns(const struct fault *f, enum fault_call call, enum fault_file file)
{
	if (f->file >= 0 && f->file != (int)file)
		return false;
	switch (f->kind) {
	case KIND_WRITE:
	case KIND_FULL:
	case KIND_TORN:
		return call == FAULT_WRITE;
	case KIND_SYNC:
		return call == FAULT_SYNC;
	case KIND_OPEN:
		return call == FAULT_OPEN;
	case KIND_TRUNCATE:
		return call == FAULT_TRUNCATE;
	case KIND_KILL:
		return call == FAULT_WRITE || call == FAULT_SYNC;
	}
	return false;
}

int fault_check(enum fault_call call, enum fault_file file)
{
	int hit = 0;
	if (!enabled)
		return 0;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < faults; i++) {
		struct fault *f = &fault[i];
		if (!concerns(f, call, file))
			continue;
		f->seen++;
		if (f->seen != f->at && !(f->onward && f->seen > f->at))
			continue;
		if (f->kind == KIND_KILL)
			raise(SIGKILL);
		hit = f->kind == KIND_FULL ? ENOSPC : f->kind == KIND_TORN ? FAULT_TORN : EIO;
		log_event(LOG_LV_WARN, NULL, "fault-injected", LS("kind", kind_name[f->kind]),
			  LS("file", file_name[file]), LU("call", f->seen));
	}
	pthread_mutex_unlock(&lock);
	return hit;
}

/* --- the store's own files --------------------------------------------------------------- */

/* Half of the bytes, as a machine that lost power would leave them. */
static void write_half(int fd, const struct iovec *iov, int n, off_t at)
{
	size_t left = 0;
	for (int i = 0; i < n; i++)
		left += iov[i].iov_len;
	left /= 2;
	for (int i = 0; i < n && left > 0; i++) {
		size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
		if (pwrite(fd, iov[i].iov_base, part, at) < 0)
			return;
		at += (off_t)part;
		left -= part;
	}
}

int fault_pwritev(int fd, enum fault_file file, struct iovec *iov, int n, off_t at)
{
	int hit = fault_check(FAULT_WRITE, file);
	if (hit == FAULT_TORN)
		write_half(fd, iov, n, at);
	if (hit) {
		errno = hit == ENOSPC ? ENOSPC : EIO;
		return -1;
	}
	while (n > 0) {
		ssize_t done = pwritev(fd, iov, n, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		at += done;
		while (n > 0 && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

int fault_fdatasync(int fd, enum fault_file file)
{
	int hit = fault_check(FAULT_SYNC, file);
	if (hit) {
		errno = EIO;
		return -1;
	}
	return fdatasync(fd);
}

int fault_openat(int dir, enum fault_file file, const char *name, int flags, mode_t mode)
{
	int hit = fault_check(FAULT_OPEN, file);
	if (hit) {
		errno = EIO;
		return -1;
	}
	return openat(dir, name, flags | O_CLOEXEC, mode);
}

/* --- SQLite's files ---------------------------------------------------------------------- */

struct shim_file {
	sqlite3_file base;
	enum fault_file kind;
	sqlite3_file *real; /* behind this struct */
};

static sqlite3_vfs *under;

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct shim_file *)f)->real;
}

static int shim_close(sqlite3_file *f)
{
	return real_of(f)->pMethods ? real_of(f)->pMethods->xClose(real_of(f)) : SQLITE_OK;
}

static int shim_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}

static int shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	const sqlite3_io_methods *m = real_of(f)->pMethods;
	int hit = fault_check(FAULT_WRITE, ((struct shim_file *)f)->kind);
	if (hit == ENOSPC)
		return SQLITE_FULL;
	if (hit == FAULT_TORN)
		m->xWrite(real_of(f), p, n / 2, at);
	if (hit)
		return SQLITE_IOERR_WRITE;
	return m->xWrite(real_of(f), p, n, at);
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	if (fault_check(FAULT_TRUNCATE, ((struct shim_file *)f)->kind))
		return SQLITE_IOERR_TRUNCATE;
	return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int shim_sync(sqlite3_file *f, int flags)
{
	if (fault_check(FAULT_SYNC, ((struct shim_file *)f)->kind))
		return SQLITE_IOERR_FSYNC;
	return real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int shim_lock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int shim_reserved(sqlite3_file *f, int *out)
{
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
	return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int shim_sector(sqlite3_file *f)
{
	return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int shim_traits(sqlite3_file *f)
{
	return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int shim_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **out)
{
	if (extend && fault_check(FAULT_WRITE, FAULT_SHM))
		return SQLITE_IOERR_SHMSIZE;
	return real_of(f)->pMethods->xShmMap(real_of(f), region, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return real_of(f)->pMethods->xShmLock(real_of(f), at, n, flags);
}

static void shim_shm_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int shim_shm_unmap(sqlite3_file *f, int del)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), del);
}

static const sqlite3_io_methods shim_methods = {
    .iVersion = 2, /* no xFetch: nothing of a database is mapped, so every read is a call */
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_traits,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct shim_file *s = (struct shim_file *)f;
	(void)v;
	s->base.pMethods = NULL;
	s->kind = flags & SQLITE_OPEN_WAL ? FAULT_WAL : FAULT_DB;
	s->real = (sqlite3_file *)(void *)(s + 1);
	if (fault_check(FAULT_OPEN, s->kind))
		return SQLITE_CANTOPEN;
	int rc = under->xOpen(under, name, s->real, flags, out);
	if (rc == SQLITE_OK)
		s->base.pMethods = &shim_methods;
	return rc;
}

static void register_shim(void)
{
	static sqlite3_vfs shim; /* a copy of the default, so that all else goes to it */
	under = sqlite3_vfs_find(NULL);
	if (!under)
		return;
	shim = *under;
	shim.pNext = NULL;
	shim.zName = "hamlet-fault";
	shim.szOsFile = (int)sizeof(struct shim_file) + under->szOsFile;
	shim.xOpen = shim_open;
	sqlite3_vfs_register(&shim, 0);
}

const char *fault_vfs(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	if (!enabled)
		return NULL;
	pthread_once(&once, register_shim);
	return "hamlet-fault";
}
