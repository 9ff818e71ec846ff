/* beside: small files of text in the state folder, IMAGE.what, that tell more of a zone. */
#ifndef DNSD_BESIDE_H
#define DNSD_BESIDE_H
#include "libcommon/base/buf.h"

/* True: the file is there, and not longer than max. text: to be freed in any case. */
bool beside_read(int folder, const char *image, const char *what, size_t max, struct buf *text);
/* Writes it where it is not so already (new file, rename); an empty text: it goes. False: errno. */
bool beside_write(int folder, const char *image, const char *what, struct slice text);
/* Opens the file of a lock, which is made when it is not there, and locks it; wait: until nobody
 * else has it. Who has the lock may remove the file: what is returned is the lock of the file that
 * is there. -1: errno tells. */
int beside_lock(int folder, const char *file, bool wait);
/* fn is called for each file of the folder. */
void beside_each(int folder, void (*fn)(void *arg, const char *file), void *arg);
#endif
