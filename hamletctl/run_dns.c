/* Commands over the cache server. Each process of dnsd has a cache of its own: what is looked up is
 * asked of one, what is to be forgotten or counted of all. */
#include <string.h>
#include <sysexits.h>
#include "hamletctl/hamletctl.h"

enum { PROCESSES = 64, WORDS = 6 };

/* The words for dnsd; their number. 0: a mistake. */
static size_t words_of(int argc, const char *const *argv, bool rows, const char *words[WORDS])
{
	size_t n = 0;
	for (int i = 0; i < argc; i++) {
		bool below = !strcmp(argv[i], "--below");
		if (argv[i][0] == '-' && !(below && i == argc - 1 && !strcmp(argv[1], "flush")))
			return 0;
		words[n++] = below ? "below" : argv[i];
	}
	if (rows)
		words[n++] = "rows";
	return n;
}

static void show(const struct cmd *c, struct pool *pool, const struct buf *out, bool rows)
{
	struct row_cell *cells;
	if (rows) {
		size_t n = cells_of_lines(pool, buf_slice(out), &cells);
		print_cells(cells, (uint32_t)n, c->shape);
	} else if (out->len) {
		fwrite(out->p, 1, out->len, stdout);
	}
}

int run_dns(const struct cmd *c, int argc, const char *const *argv)
{
	struct pool *pool = pool_new(0);
	const char *paths[PROCESSES], *words[WORDS], *why;
	bool all = !strcmp(c->verb, "flush") || !strcmp(c->verb, "stats");
	bool rows = all || (options.json && c->shape == SHAPE_TABLE), done = false;
	size_t n = words_of(argc, argv, rows && !all, words);
	int processes = n ? dnsd_sockets(pool, paths, PROCESSES, &why) : 0;
	int status = n ? EX_UNAVAILABLE : EX_USAGE;
	if (!n)
		why = "usage: hamletctl dns flush NAME [TYPE | --below]; no other option";
	for (int i = 0; i < processes && (all || !done); i++) {
		struct buf out = {0};
		if (line_call(pool, paths[i], words, n, &out, &why))
			done = true;
		if (done)
			show(c, pool, &out, rows);
		buf_free(&out);
	}
	status = done ? 0 : complain(status, "%s", why);
	pool_free(&pool);
	return status;
}
