/* trace: every log line that names an id, oldest first, over the log file and its rotated ones. */
#include "hamletctl/hamletctl.h"
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { ROTATED_MAX = 1000 };

static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* The id as a whole word, so that a short one does not match inside another. */
static bool names(const char *line, const char *id)
{
	size_t n = strlen(id);
	for (const char *at = strstr(line, id); at; at = strstr(at + 1, id))
		if ((at == line || !word_char(at[-1])) && !word_char(at[n]))
			return true;
	return false;
}

static size_t search(const char *path, const char *id)
{
	char *line = NULL;
	size_t cap = 0, found = 0;
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	while (getline(&line, &cap, f) > 0)
		if (names(line, id)) {
			fputs(line, stdout);
			found++;
		}
	free(line);
	fclose(f);
	return found;
}

int run_trace(const struct cmd *c, int argc, const char *const *argv)
{
	struct pool *pool = pool_new(0);
	struct buf out = {0};
	const char *why, *words[] = {"log"};
	(void)c;
	(void)argc;
	if (!line_call(pool, line_hamletd(pool), words, 1, &out, &why)) {
		int status = complain(EX_UNAVAILABLE, "%s", why);
		buf_free(&out);
		pool_free(&pool);
		return status;
	}
	struct slice rest = buf_slice(&out), first = slice_cut(&rest, '\n');
	const char *path = pool_strndup(pool, first.p, first.len);
	buf_free(&out);
	int status = 0;
	if (path[0] != '/') {
		status = complain(EX_UNAVAILABLE,
				  "the log goes to %s: search there (trace needs log file)", path);
	} else {
		size_t found = 0;
		int oldest = 0;
		while (oldest < ROTATED_MAX) {
			FILE *f = fopen(pool_printf(pool, "%s.%d", path, oldest + 1), "re");
			if (!f)
				break;
			fclose(f);
			oldest++;
		}
		for (int i = oldest; i > 0; i--)
			found += search(pool_printf(pool, "%s.%d", path, i), argv[1]);
		found += search(path, argv[1]);
		if (!found)
			status = complain(1, "%s: no line in %s names it", argv[1], path);
	}
	pool_free(&pool);
	return status;
}
