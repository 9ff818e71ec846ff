/* disk: space taken beforehand, so that writing needs no allocation. */
#ifndef STORED_DISK_H
#define STORED_DISK_H
#include <stdbool.h>
#include <stdint.h>

/* Lays the file out for `bytes` more from `from` on, which is its end. False when the file system
 * cannot, or has less than 16 times that free: others need it more. */
bool disk_lay_out(int fd, uint64_t from, uint64_t bytes);
#endif
