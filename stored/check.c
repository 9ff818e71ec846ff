/* The consistency check. */
#include "stored/check.h"
#include "stored/body.h"
#include "stored/sql.h"
#include "stored/zone.h"

enum { IDS = 256, FINDINGS_MAX = 1000 };

struct checking {
	struct base *b;
	check_fn *fn;
	void *arg;
	struct check_sums *sums;
	const char *name; /* of the database, without its folder */
};

static void found(void *arg, const char *finding)
{
	struct checking *c = arg;
	char line[500];
	if (++c->sums->findings > FINDINGS_MAX)
		return;
	str_fmt(line, sizeof(line), "%s: %s", c->name, finding);
	c->fn(c->arg, line);
}

static void engine_error(struct checking *c)
{
	found(c, db_why(c->b->db));
}

static void invariants(struct checking *c)
{
	const struct db_stmt_def *all = c->b->shard ? sql_shard : sql_dir;
	unsigned n = c->b->shard ? SQL_SHARD_COUNT : SQL_DIR_COUNT;
	struct db *d = c->b->db;
	for (unsigned i = 0; i < n; i++) {
		if (strncmp(all[i].name, "CHECK_", 6) != 0)
			continue;
		enum db_result r;
		db_start(d, i);
		while ((r = db_step(d)) == DB_ROW) {
			char text[400];
			str_fmt(text, sizeof(text), "%.*s", SLICE_FMT(db_col(d, 0)));
			found(c, text);
		}
		if (r != DB_DONE)
			engine_error(c);
	}
}

static void one_body(struct checking *c, struct pool *pool, uint64_t id)
{
	struct slice got;
	uint64_t size = 0;
	char text[100];
	enum ipc_err e = body_get(c->b, pool, id, 0, 0, &got, &size);
	c->sums->bodies++;
	c->sums->bytes += size;
	if (e == ERR_OK || e == ERR_NOTFOUND) /* removed meanwhile */
		return;
	str_fmt(text, sizeof(text), "body %llu (%llu bytes) is damaged", (unsigned long long)id,
		(unsigned long long)size);
	found(c, text);
}

static void every_body(struct checking *c)
{
	struct db *d = c->b->db;
	uint64_t id[IDS];
	uint64_t last = 0;
	size_t n;
	do {
		enum db_result r = DB_DONE;
		n = 0;
		db_start(d, SQL_BODY_EACH);
		db_u64(d, last);
		while (n < IDS && (r = db_step(d)) == DB_ROW)
			id[n++] = db_col_u64(d, 0);
		db_reset(d);
		if (r != DB_ROW && r != DB_DONE)
			engine_error(c);
		for (size_t i = 0; i < n; i++) {
			struct pool *pool = pool_new(0);
			one_body(c, pool, id[i]);
			pool_free(&pool);
			last = id[i];
		}
	} while (n == IDS);
}

void check_base(struct base *b, check_fn *fn, void *arg, struct check_sums *sums)
{
	const char *slash = strrchr(b->path, '/');
	struct checking c = {b, fn, arg, sums, slash ? slash + 1 : b->path};
	db_check(b->db, found, &c);
	invariants(&c);
	if (!b->shard)
		zone_verify(b, found, &c);
	/* While it is read no segment may go: a body found in a row is then in its file. */
	bodies_pin(b->bodies, 1);
	every_body(&c);
	bodies_pin(b->bodies, -1);
}
