/* folder: making folders with those above them. */
#ifndef BASE_FOLDER_H
#define BASE_FOLDER_H
#include <sys/types.h>

/* Makes `path` (absolute) with `mode`, and those above it that are missing with `above`; the modes
 * are not subject to the umask. What is there stays as it is. 0, or an errno: ENOTDIR when
 * something else has the name. */
int folder_make(const char *path, mode_t above, mode_t mode);

#endif
