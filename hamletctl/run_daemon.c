/* Commands over hamletd and the processes that it runs. */
#include "hamletctl/hamletctl.h"
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static int hamletd_call(struct pool *pool, int argc, const char *const *argv, struct buf *out)
{
	const char *why;
	if (line_call(pool, line_hamletd(pool), argv, (size_t)argc, out, &why))
		return 0;
	return complain(EX_UNAVAILABLE, "%s", why);
}

/* restart, stop, start, reload, shutdown: as typed, without the noun. */
int run_daemon(const struct cmd *c, int argc, const char *const *argv)
{
	struct pool *pool = pool_new(0);
	struct buf out = {0};
	(void)c;
	int status = hamletd_call(pool, argc - 1, argv + 1, &out);
	if (status == 0)
		fwrite(out.p ? out.p : "", 1, out.len, stdout);
	buf_free(&out);
	pool_free(&pool);
	return status;
}

static int process_list(struct pool *pool, struct buf *out)
{
	const char *words[] = {"status"};
	return hamletd_call(pool, 1, words, out);
}

int run_daemon_status(const struct cmd *c, int argc, const char *const *argv)
{
	struct pool *pool = pool_new(0);
	struct buf out = {0};
	(void)argc;
	(void)argv;
	int status = process_list(pool, &out);
	if (status == 0) {
		struct row_cell *cells;
		size_t n = cells_of_lines(pool, buf_slice(&out), &cells);
		print_cells(cells, (uint32_t)n, c->shape);
	}
	buf_free(&out);
	pool_free(&pool);
	return status;
}

int run_status(const struct cmd *c, int argc, const char *const *argv)
{
	static const struct cmd facts = {
	    .noun = "status", .service = ROLE_STORED, .shape = SHAPE_RECORD};
	int status = run_daemon_status(c, argc, argv);
	if (status == 0 && !options.json)
		putchar('\n');
	return status ? status : service_run(&facts, argc, argv);
}

/* One counter of one process. */
struct metric {
	struct slice name;   /* without labels */
	struct slice labels; /* without braces, may be empty */
	struct slice value;
	struct slice instance, index;
	size_t order;
};
struct metrics {
	struct pool *pool;
	struct metric *m;
	size_t n, cap;
	int status;
};

static struct slice pair_value(const struct row_cell *cells, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eqs(cells[i].name, name))
			return cells[i].text;
	return (struct slice){"", 0};
}

static void add_line(struct metrics *all, struct slice line, struct slice instance,
		     struct slice index)
{
	struct metric m = {.instance = instance, .index = index, .order = all->n};
	struct slice left = line;
	size_t space = line.len;
	while (space && line.p[space - 1] != ' ')
		space--;
	if (space < 2)
		return;
	m.value = (struct slice){line.p + space, line.len - space};
	left.len = space - 1;
	m.name = slice_cut(&left, '{');
	if (left.len && left.p[left.len - 1] == '}')
		m.labels = (struct slice){left.p, left.len - 1};
	all->m = pool_grow(all->pool, all->m, all->n, &all->cap, sizeof(*all->m));
	all->m[all->n++] = m;
}

static void ask_process(struct metrics *all, const struct row_cell *cells, size_t n)
{
	static const char *const words[] = {"stats"};
	struct slice path = pair_value(cells, n, "ctl");
	struct buf out = {0};
	const char *why;
	if (!path.len)
		return;
	const char *name = pool_strndup(all->pool, path.p, path.len);
	if (!line_call(all->pool, name, words, 1, &out, &why)) {
		all->status = complain(EX_UNAVAILABLE, "%s", why);
		return;
	}
	struct slice rest = {pool_strndup(all->pool, out.p ? out.p : "", out.len), out.len};
	buf_free(&out);
	while (rest.len)
		add_line(all, slice_cut(&rest, '\n'), pair_value(cells, n, "instance"),
			 pair_value(cells, n, "index"));
}

/* Counters of every running process, of one instance when `only` is given. */
static void gather(struct metrics *all, const char *only)
{
	struct buf out = {0};
	struct row_cell *cells;
	all->status = process_list(all->pool, &out);
	struct slice lines = {pool_strndup(all->pool, out.p ? out.p : "", out.len), out.len};
	buf_free(&out);
	size_t n = cells_of_lines(all->pool, lines, &cells);
	bool found = !only;
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i; end < n && cells[end].record == cells[i].record;)
			end++;
		struct slice instance = pair_value(cells + i, end - i, "instance");
		if (only && !slice_eqs(instance, only))
			continue;
		found = true;
		if (slice_eqs(pair_value(cells + i, end - i, "state"), "ready"))
			ask_process(all, cells + i, end - i);
	}
	if (!found && all->status == 0)
		all->status = complain(EX_USAGE, "%s: no such daemon", only);
}

int run_daemon_stats(const struct cmd *c, int argc, const char *const *argv)
{
	struct metrics all = {.pool = pool_new(0)};
	gather(&all, argc > 2 ? argv[2] : NULL);
	struct row_cell *cells = pool_alloc(all.pool, (all.n * 4 + 1) * sizeof(*cells));
	uint32_t n = 0;
	for (size_t i = 0; i < all.n; i++) {
		const struct metric *m = &all.m[i];
		struct slice name = m->name;
		if (m->labels.len)
			name = slice_of(pool_printf(all.pool, "%.*s{%.*s}", SLICE_FMT(m->name),
						    SLICE_FMT(m->labels)));
		const struct row_cell four[] = {
		    {(uint32_t)i, CELL_TEXT, SLICE("instance"), m->instance},
		    {(uint32_t)i, CELL_NUMBER, SLICE("process"), m->index},
		    {(uint32_t)i, CELL_TEXT, SLICE("name"), name},
		    {(uint32_t)i, CELL_NUMBER, SLICE("value"), m->value}};
		memcpy(cells + n, four, sizeof(four));
		n += 4;
	}
	print_cells(cells, n, c->shape);
	pool_free(&all.pool);
	return all.status;
}

/* The text format wants all lines of one metric together. */
static int by_name(const void *a, const void *b)
{
	const struct metric *x = a, *y = b;
	size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int r = memcmp(x->name.p, y->name.p, n);
	if (r == 0 && x->name.len != y->name.len)
		r = x->name.len < y->name.len ? -1 : 1;
	if (r == 0)
		r = x->order < y->order ? -1 : 1;
	return r;
}

int run_metrics(const struct cmd *c, int argc, const char *const *argv)
{
	struct metrics all = {.pool = pool_new(0)};
	(void)c;
	(void)argc;
	(void)argv;
	gather(&all, NULL);
	if (all.n)
		qsort(all.m, all.n, sizeof(*all.m), by_name);
	for (size_t i = 0; i < all.n; i++) {
		const struct metric *m = &all.m[i];
		printf("hamlet_%.*s{daemon=\"%.*s\",process=\"%.*s\"%s%.*s} %.*s\n",
		       SLICE_FMT(m->name), SLICE_FMT(m->instance), SLICE_FMT(m->index),
		       m->labels.len ? "," : "", SLICE_FMT(m->labels), SLICE_FMT(m->value));
	}
	pool_free(&all.pool);
	return all.status;
}
