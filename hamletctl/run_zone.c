/* Commands over the zones of dnsd. Each of its processes serves them for itself: all are asked. */
#include <string.h>
#include <sysexits.h>
#include "hamletctl/zone.h"

static struct slice value(const struct row_cell *cells, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eqs(cells[i].name, name))
			return cells[i].text;
	return (struct slice){"", 0};
}

int dnsd_sockets(struct pool *pool, const char *paths[], int max, const char **why)
{
	static const char *const words[] = {"status"};
	struct buf out = {0};
	struct row_cell *cells;
	int n = 0;
	if (!line_call(pool, line_hamletd(pool), words, 1, &out, why))
		return 0;
	size_t count = cells_of_lines(pool, buf_slice(&out), &cells);
	buf_free(&out);
	for (size_t i = 0, end; i < count && n < max; i = end) {
		for (end = i; end < count && cells[end].record == cells[i].record;)
			end++;
		struct slice program = value(cells + i, end - i, "program");
		struct slice ctl = value(cells + i, end - i, "ctl");
		const char *slash = memrchr(program.p, '/', program.len);
		if (slash)
			program = (struct slice){slash + 1,
						 program.len - (size_t)(slash + 1 - program.p)};
		if (slice_eqs(program, "dnsd") && ctl.len &&
		    slice_eqs(value(cells + i, end - i, "state"), "ready"))
			paths[n++] = pool_strndup(pool, ctl.p, ctl.len);
	}
	*why = "dnsd does not run";
	return n;
}

/* Likewise; -1 after a line on stderr. */
static int sockets(struct pool *pool, const char *paths[], int max)
{
	const char *why;
	int n = dnsd_sockets(pool, paths, max, &why);
	if (n == 0)
		complain(EX_UNAVAILABLE, "%s", why);
	return n ? n : -1;
}

enum { PROCESSES = 64 };

int run_zone_list(const struct cmd *c, int argc, const char *const *argv)
{
	const char *words[] = {"zone", "list", argc > 2 ? argv[2] : NULL};
	struct pool *pool = pool_new(0);
	struct buf out = {0};
	const char *paths[PROCESSES], *why;
	int status = EX_UNAVAILABLE;
	if (sockets(pool, paths, PROCESSES) < 0) {
		pool_free(&pool);
		return status;
	}
	if (line_call(pool, paths[0], words, argc > 2 ? 3 : 2, &out, &why)) {
		struct row_cell *cells;
		size_t n = cells_of_lines(pool, buf_slice(&out), &cells);
		print_cells(cells, (uint32_t)n, c->shape);
		status = 0;
	} else {
		complain(status, "%s", why);
	}
	buf_free(&out);
	pool_free(&pool);
	return status;
}

size_t zone_served(struct pool *pool, const char *zone, struct row_cell **cells)
{
	const char *paths[1], *why, *words[] = {"zone", "list", zone};
	struct buf out = {0};
	size_t n = 0;
	if (dnsd_sockets(pool, paths, 1, &why) && line_call(pool, paths[0], words, 3, &out, &why))
		n = cells_of_lines(pool, buf_slice(&out), cells);
	buf_free(&out);
	return n;
}

const char *zone_file(struct pool *pool, const char *zone)
{
	struct row_cell *cells = NULL;
	size_t n = zone_served(pool, zone, &cells);
	struct slice from = value(cells, n, "from");
	return from.len && *from.p == '/' ? pool_strndup(pool, from.p, from.len) : NULL;
}

/* The first process compiles; the others find its work done, and tell nothing new. */
int run_zone_reload(const struct cmd *c, int argc, const char *const *argv)
{
	struct pool *pool = pool_new(0);
	const char *paths[PROCESSES], *why, *words[] = {"zone", "reload", NULL};
	int n = sockets(pool, paths, PROCESSES), status = n < 0 ? EX_UNAVAILABLE : 0;
	(void)c;
	words[2] = argc > 2 ? argv[2] : NULL;
	for (int i = 0; i < n; i++) {
		struct buf out = {0};
		words[1] = i == 0 ? "reload" : "refresh";
		bool ok = line_call(pool, paths[i], words, words[2] ? 3 : 2, &out, &why);
		if (i == 0 && out.len)
			fwrite(out.p, 1, out.len, stdout);
		if (!ok && status == 0)
			status = complain(EX_DATAERR, "%s", why);
		buf_free(&out);
	}
	pool_free(&pool);
	return status;
}

/* One process asks; the others see in the store what came of it. */
int run_zone_refresh(const struct cmd *c, int argc, const char *const *argv)
{
	struct pool *pool = pool_new(0);
	struct buf out = {0};
	const char *paths[PROCESSES], *why, *words[] = {"zone", "transfer", argv[2], "force"};
	int status = EX_UNAVAILABLE;
	bool force = argc == 4 && strcmp(argv[3], "--force") == 0;
	if (argc == 4 && !force) {
		status = complain(EX_USAGE, "usage: hamletctl zone refresh %s", c->args);
	} else if (sockets(pool, paths, PROCESSES) > 0) {
		bool ok = line_call(pool, paths[0], words, force ? 4 : 3, &out, &why);
		if (out.len)
			fwrite(out.p, 1, out.len, stdout);
		status = ok ? 0 : complain(EX_TEMPFAIL, "%s", why);
	}
	buf_free(&out);
	pool_free(&pool);
	return status;
}

/* The one that leads does it, and tells whom. */
int run_zone_notify(const struct cmd *c, int argc, const char *const *argv)
{
	struct pool *pool = pool_new(0);
	struct buf out = {0};
	const char *paths[PROCESSES], *why = NULL, *words[] = {"zone", "notify", NULL};
	int n = sockets(pool, paths, PROCESSES), status = EX_UNAVAILABLE;
	bool ok = true;
	(void)c;
	words[2] = argc > 2 ? argv[2] : NULL;
	for (int i = 0; i < n && ok && !out.len; i++)
		ok = line_call(pool, paths[i], words, words[2] ? 3 : 2, &out, &why);
	if (out.len)
		fwrite(out.p, 1, out.len, stdout);
	if (!ok)
		status = complain(EX_DATAERR, "%s", why);
	else if (n > 0 && !out.len)
		status = complain(EX_TEMPFAIL, "no process of dnsd leads yet");
	else if (n > 0)
		status = 0;
	buf_free(&out);
	pool_free(&pool);
	return status;
}

/* zone dnssec NAME [--roll | --emergency | --ds-seen]: the first process does it, and tells. */
int run_zone_dnssec(const struct cmd *c, int argc, const char *const *argv)
{
	static const char *const flag[][2] = {
	    {"--roll", "roll"}, {"--emergency", "emergency"}, {"--ds-seen", "ds-seen"}};
	struct pool *pool = pool_new(0);
	struct buf out = {0};
	const char *paths[PROCESSES], *why, *zone = NULL, *what = NULL;
	int status = 0;
	for (int i = 2; i < argc; i++) {
		size_t k = 0;
		while (k < 3 && strcmp(argv[i], flag[k][0]) != 0)
			k++;
		if (k < 3 && !what)
			what = flag[k][1];
		else if (k == 3 && !zone && argv[i][0] != '-')
			zone = argv[i];
		else
			status = EX_USAGE;
	}
	if (status || !zone) {
		pool_free(&pool);
		return complain(EX_USAGE, "usage: zone dnssec %s", c->args);
	}
	int n = sockets(pool, paths, PROCESSES);
	const char *words[] = {"zone", "dnssec", zone, options.json ? "rows" : "text", what};
	const char *again[] = {"zone", "refresh", zone};
	if (n < 0)
		status = EX_UNAVAILABLE;
	else if (!line_call(pool, paths[0], words, what ? 5 : 4, &out, &why))
		status = complain(EX_DATAERR, "%s", why);
	if (options.json) {
		struct row_cell *cells;
		size_t count = cells_of_lines(pool, buf_slice(&out), &cells);
		print_cells(cells, (uint32_t)count, c->shape);
	} else {
		fwrite(out.p, 1, out.len, stdout);
	}
	for (int i = 1; i < n && what; i++) {
		buf_clear(&out);
		line_call(pool, paths[i], again, 3, &out, &why);
	}
	buf_free(&out);
	pool_free(&pool);
	return status;
}
