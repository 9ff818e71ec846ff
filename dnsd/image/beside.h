/* beside: small files of text in the state folder, IMAGE.what, that tell more of a zone. */
#ifndef DNSD_BESIDE_H
#define DNSD_BESIDE_H
#include "libcommon/base/buf.h"

/* True: the file is there, and not longer than max. text: to be freed in any case. */
bool beside_read(int folder, const char *image, const char *what, size_t max, struct buf *text);
/* Writes it where it is not so already (new file, rename); an empty text: it goes. False: errno. */
bool beside_write(int folder, const char *image, const char *what, struct slice text);
#endif
