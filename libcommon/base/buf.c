#include "libcommon/base/buf.h"
#include <stdio.h>
#include <stdlib.h>
#include "libcommon/base/mem.h"

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

char *buf_reserve(struct buf *b, size_t n)
{
	if (b->failed || n > SIZE_MAX / 4 || (b->max && n > b->max - b->len)) {
		b->failed = true;
		return NULL;
	}
	size_t need = b->len + n + 1; /* one more for buf_cstr's NUL */
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap : 64;
		while (cap < need)
			cap *= 2;
		b->p = mem_realloc(b->p, cap);
		b->cap = cap;
	}
	return b->p + b->len;
}

bool buf_add(struct buf *b, const void *p, size_t n)
{
	char *at = buf_reserve(b, n);
	if (!at)
		return false;
	if (n)
		memcpy(at, p, n);
	b->len += n;
	return true;
}

bool buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

bool buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

bool buf_add_slice(struct buf *b, struct slice s)
{
	return buf_add(b, s.p, s.len);
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	bool ok = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return ok;
}

bool buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *at = n < 0 ? NULL : buf_reserve(b, (size_t)n);
	if (at) {
		vsnprintf(at, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	return at != NULL;
}

void buf_drop(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
}

struct slice buf_slice(const struct buf *b)
{
	return (struct slice){b->p ? b->p : "", b->len};
}

const char *buf_cstr(struct buf *b)
{
	if (!b->p)
		return "";
	b->p[b->len] = 0; /* buf_reserve always keeps room */
	return b->p;
}
