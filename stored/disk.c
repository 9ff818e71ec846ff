/* Space taken beforehand. */
#include "stored/disk.h"
#include <fcntl.h>
#include <sys/statvfs.h>

bool disk_lay_out(int fd, uint64_t from, uint64_t bytes)
{
	struct statvfs v;
	if (fstatvfs(fd, &v) != 0 || (uint64_t)v.f_bavail * v.f_frsize < 16 * bytes)
		return false;
	return fallocate(fd, 0, (off_t)from, (off_t)bytes) == 0;
}
