/* fault: the one seam under all file I/O of the store (SQLite by a VFS shim, segments and
 * backups by fault_check), where tests make calls fail. Off unless HAMLET_FAULT is in the
 * environment. A specification is a list of KIND[@WHERE]:N[+], separated by commas:
 *   KIND   write fsync open truncate  that call fails with EIO
 *          full                       a write fails with ENOSPC
 *          torn                       a write stores half of its bytes, then fails with EIO
 *          kill                       the process kills itself before that write or fsync
 *   WHERE  wal db shm seg             only calls on such files
 *   N      which call, counted from 1;  N+ that one and all after it
 * "on" enables the seam without a fault; "off" forgets the faults. */
#ifndef STORED_FAULT_H
#define STORED_FAULT_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum fault_call { FAULT_WRITE, FAULT_SYNC, FAULT_OPEN, FAULT_TRUNCATE };
enum fault_file { FAULT_DB, FAULT_WAL, FAULT_SHM, FAULT_SEG, FAULT_FILES };
#define FAULT_TORN (-1)

/* Reads HAMLET_FAULT; before the first database is opened. False: it is malformed. */
bool fault_init(void);
/* Sets new faults and counts from 1 again. False: malformed, or the seam is not enabled. */
bool fault_set(const char *spec);
bool fault_enabled(void);
/* 0: go on; else the errno of the failure, or FAULT_TORN. Any thread. */
int fault_check(enum fault_call call, enum fault_file file);
/* Name of the SQLite VFS to open with: NULL without the seam. */
const char *fault_vfs(void);

/* Writing all bytes of the vector (which is changed), fdatasync, open through the seam. -1 with
 * errno. */
struct iovec;
int fault_pwritev(int fd, enum fault_file file, struct iovec *iov, int n, off_t at);
int fault_fdatasync(int fd, enum fault_file file);
int fault_openat(int dir, enum fault_file file, const char *name, int flags, mode_t mode);
#endif
