/* buf: a growable byte buffer with a hard limit. */
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include "libcommon/base/str.h"

struct buf {
	char *p;     /* NULL until something is written */
	size_t len;  /* bytes used */
	size_t cap;  /* bytes allocated */
	size_t max;  /* hard limit, 0: none */
	bool failed; /* an append did not fit under max; nothing was written by it or after it */
};

/* All zero is an empty buffer without a limit. */
void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);  /* frees memory; the buffer is empty and usable again */
void buf_clear(struct buf *b); /* len = 0, failed = false, keeps memory */
/* Room for n more bytes; returns the place to write, NULL when over max. Add to len yourself. */
char *buf_reserve(struct buf *b, size_t n);
bool buf_add(struct buf *b, const void *p, size_t n);
bool buf_adds(struct buf *b, const char *s);
bool buf_addc(struct buf *b, char c);
bool buf_add_slice(struct buf *b, struct slice s);
bool buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *b, const char *fmt, va_list ap);
/* Drops n bytes from the front. */
void buf_drop(struct buf *b, size_t n);
struct slice buf_slice(const struct buf *b);
/* NUL-terminated contents (the NUL is not counted in len); valid until the next change. */
const char *buf_cstr(struct buf *b);

#endif
