/* io: what write(2) leaves to its caller. */
#ifndef BASE_IO_H
#define BASE_IO_H
#include <stdbool.h>
#include "libcommon/base/str.h"

/* Writes all of it to a blocking descriptor, over interruptions and short writes. False: errno;
 * some of it may be written. */
bool io_write(int fd, struct slice s);
#endif
