#include "libcommon/base/pool.h"
#include <stdarg.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libcommon/base/mem.h"

struct chunk {
	struct chunk *next;
	size_t size, used;
	alignas(16) char data[];
};

struct pool {
	struct chunk *head; /* newest; the first chunk is the last of the list */
	size_t total;
};

static struct chunk *chunk_new(struct pool *p, size_t size)
{
	struct chunk *c = malloc(sizeof(*c) + size);
	if (!c) /* says so and aborts */
		c = mem_alloc(sizeof(*c) + size);
	c->next = NULL;
	c->size = size;
	c->used = 0;
	p->total += sizeof(*c) + size;
	return c;
}

struct pool *pool_new(size_t first)
{
	struct pool *p = mem_alloc(sizeof(*p));
	p->total = sizeof(*p);
	p->head = chunk_new(p, first ? first : 1024);
	return p;
}

static void drop_chunks(struct pool *p, bool all)
{
	struct chunk *c = p->head;
	while (c && (all || c->next)) {
		struct chunk *next = c->next;
		p->total -= sizeof(*c) + c->size;
		free(c);
		c = next;
	}
	p->head = c;
}

void pool_clear(struct pool *p)
{
	drop_chunks(p, false);
	p->head->used = 0;
}

void pool_free(struct pool **p)
{
	if (!*p)
		return;
	drop_chunks(*p, true);
	free(*p);
	*p = NULL;
}

static void *take(struct pool *p, size_t n)
{
	size_t want = (n + 15) & ~(size_t)15;
	if (want < n)
		want = SIZE_MAX / 2; /* refused by malloc with a line */
	struct chunk *c = p->head;
	if (c->size - c->used < want) {
		/* Chunks double, so that a long list costs few of them. */
		size_t size = c->size * 2 > 65536 ? 65536 : c->size * 2;
		struct chunk *fresh = chunk_new(p, size < want ? want : size);
		fresh->next = c;
		p->head = c = fresh;
	}
	void *at = c->data + c->used;
	c->used += want;
	return at;
}

void *pool_alloc(struct pool *p, size_t n)
{
	void *at = take(p, n);
	return memset(at, 0, n);
}

void *pool_dup(struct pool *p, const void *src, size_t n)
{
	void *at = take(p, n);
	if (n)
		memcpy(at, src, n);
	return at;
}

char *pool_strndup(struct pool *p, const char *s, size_t n)
{
	char *at = take(p, n + 1);
	if (n)
		memcpy(at, s, n);
	at[n] = 0;
	return at;
}

char *pool_strdup(struct pool *p, const char *s)
{
	return pool_strndup(p, s, strlen(s));
}

char *pool_printf(struct pool *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	size_t len = n < 0 ? 0 : (size_t)n;
	char *at = take(p, len + 1);
	at[0] = 0;
	if (n > 0)
		vsnprintf(at, len + 1, fmt, again);
	va_end(again);
	return at;
}

void *pool_grow(struct pool *p, void *items, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return items;
	*cap = *cap ? 2 * *cap : 8;
	void *more = pool_alloc(p, *cap * size);
	if (n)
		memcpy(more, items, n * size);
	return more;
}

size_t pool_size(const struct pool *p)
{
	return p->total;
}
