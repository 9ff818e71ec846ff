#include "libcommon/base/folder.h"
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include "libcommon/base/str.h"

int folder_make(const char *path, mode_t above, mode_t mode)
{
	char part[PATH_MAX];
	struct stat st;
	for (const char *s = strchr(path + 1, '/');; s = strchr(s + 1, '/')) {
		size_t len = s ? (size_t)(s - path) : strlen(path);
		if (!str_fmt(part, sizeof(part), "%.*s", (int)len, path))
			return ENAMETOOLONG;
		/* The mode is not subject to whatever umask we were started with. */
		if (mkdir(part, s ? above : mode) == 0)
			chmod(part, s ? above : mode);
		else if (errno != EEXIST)
			return errno;
		if (!s)
			break;
	}
	if (stat(path, &st) != 0)
		return errno;
	return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}
