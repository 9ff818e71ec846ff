/* The supervisor's parsers of what less trusted processes write: the first byte chooses one. */
#include <stdlib.h>
#include "hamletd/hamletd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Words that were written read back the same. */
static void words(struct pool *pool, struct slice text)
{
	struct conf_words w, again;
	struct buf b = {0};
	if (!conf_line(pool, text.p, text.len, &w))
		return;
	for (size_t i = 0; i < w.n; i++)
		lines_put(&b, "k", w.w[i]);
	if (!conf_line(pool, b.p, b.len, &again) || again.n != w.n)
		abort();
	for (size_t i = 0; i < w.n; i++)
		if (str_print(slice_of(w.w[i])) && strcmp(again.w[i] + 2, w.w[i]) != 0)
			abort();
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct list_lines lines;
	struct pool *pool = pool_new(0);
	struct slice text = {(const char *)data + 1, len - 1}, rest;
	const char *why;
	if (len == 0) {
		pool_free(&pool);
		return 0;
	}
	switch (data[0]) {
	case 'L':
		if (lines_list(pool, text, &lines, &why))
			for (size_t i = 0; i < lines.n; i++)
				if (lines.line[i].kind != LINE_LISTEN &&
				    lines.line[i].address[0] != '/')
					abort();
		break;
	case 'N':
		if (lines_notify(text).status.len > 200)
			abort();
		break;
	case 'G':
		if (lines_log(text, &rest) > 7 || rest.len > text.len)
			abort();
		break;
	default:
		words(pool, text);
	}
	pool_free(&pool);
	return 0;
}
