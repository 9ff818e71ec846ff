/* The queue with very many messages: what a claim costs, whether a flood delays others, what a
 * page of the list and a change of everything cost, and to deliver all of it. Prints
 * "name<TAB>value<TAB>unit" lines. stored_queue [MESSAGES [FOLDER]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "stored/body.h"
#include "stored/mail.h"
#include "stored/sql.h"

enum { BATCH = 1000, CLAIM = 64 };
static struct base *dir;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, db_why(dir->db));
	exit(1);
}

static void commit(enum ipc_err e)
{
	must(e == ERR_OK && bodies_sync(dir) && db_commit(dir->db) == DB_DONE, "commit");
}

static void figure(const char *name, double v, const char *unit)
{
	printf("%s\t%.3f\t%s\n", name, v, unit);
	fflush(stdout);
}

static double ms_since(uint64_t ns)
{
	return (double)(clock_ns() - ns) / 1e6;
}

/* Half of all: one sender to one domain. The rest but 1000: one sender to as many domains as he has
 * messages, up to 100,000. 1000 others to one domain each. */
static void add(uint64_t i, uint64_t n)
{
	char id[32], addr[64];
	uint64_t account = i < n / 2 ? 1 : i < n - 1000 ? 2 : 3 + i % 1000;
	snprintf(id, sizeof(id), "m%llu", (unsigned long long)i);
	snprintf(addr, sizeof(addr), "x@d%llu.example",
		 (unsigned long long)(account == 1 ? 0 : i % 100000));
	struct queue_to to = {.addr = slice_of(addr), .outside = true, .orcpt = SLICE("")};
	struct queue_add q = {.id = slice_of(id),
			      .sid = SLICE("s"),
			      .sender = SLICE("me@a.test"),
			      .envid = SLICE(""),
			      .meta = SLICE("meta"),
			      .account = account,
			      .now_ms = 1000,
			      .body = {.bytes = SLICE("hello"), .fd = -1},
			      .size = 5,
			      .to = &to,
			      .n = 1};
	must(queue_add(dir, &q) == ERR_OK, "queue_add");
}

static void fill(uint64_t n)
{
	uint64_t start = clock_ns();
	for (uint64_t i = 0; i < n; i += BATCH) {
		db_begin(dir->db);
		for (uint64_t k = i; k < i + BATCH && k < n; k++)
			add(k, n);
		commit(ERR_OK);
		if (db_wal_bytes(dir->db) > (64u << 20))
			db_checkpoint(dir->db, true);
	}
	figure("queue-add", (double)n / ms_since(start) * 1000, "1/s");
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Claims until each of the 1000 others had its turn. */
static void claims(void)
{
	static double ms[1000];
	unsigned n = 0, others = 0;
	for (; n < 1000 && others < 1000; n++) {
		struct pool *pool = pool_new(0);
		struct queue_claim c = {.pool = pool,
					.worker = SLICE("w"),
					.now_ms = 2000 + n,
					.until_ms = 10000000,
					.max = CLAIM};
		c.item = pool_alloc(pool, (CLAIM + 1) * sizeof(*c.item));
		uint64_t start = clock_ns();
		db_begin(dir->db);
		commit(queue_claim(dir, &c));
		ms[n] = ms_since(start);
		db_start(dir->db, SQL_QUEUE_ITEM);
		for (uint32_t i = 0; i < c.n; i++) {
			db_start(dir->db, SQL_QUEUE_ITEM);
			db_u64(dir->db, c.item[i].item);
			if (db_step(dir->db) == DB_ROW)
				others += db_col_u64(dir->db, 13) > 2;
			db_reset(dir->db);
		}
		pool_free(&pool);
	}
	qsort(ms, n, sizeof(ms[0]), by_size);
	figure("claims-until-all-had-a-turn", n, "claims");
	figure("claim-of-64-median", ms[n / 2], "ms");
	figure("claim-of-64-longest", ms[n - 1], "ms");
}

static void change(enum queue_action action, const char *name)
{
	struct queue_change q = {.action = action, .now_ms = 3000};
	uint64_t start = clock_ns();
	double longest = 0;
	do {
		uint64_t slice = clock_ns();
		db_begin(dir->db);
		commit(queue_change(dir, &q));
		double ms = ms_since(slice);
		longest = ms > longest ? ms : longest;
		if (db_wal_bytes(dir->db) > (64u << 20))
			db_checkpoint(dir->db, true);
	} while (q.more);
	char line[64];
	snprintf(line, sizeof(line), "%s-all", name);
	figure(line, ms_since(start) / 1000, "s");
	snprintf(line, sizeof(line), "%s-longest-slice", name);
	figure(line, longest, "ms");
}

/* What was claimed is delivered, each message in a transaction of the batch as stored's are. */
static uint64_t deliver(const struct queue_claim *c)
{
	db_begin(dir->db);
	for (uint32_t i = 0; i < c->n; i++) {
		struct queue_outcome o = {.n = c->item[i].rcpts[0].rcpt,
					  .state = QUEUE_RELAYED,
					  .code = 250,
					  .status = SLICE("2.0.0"),
					  .host = SLICE("mx.example"),
					  .text = SLICE("OK")};
		must(queue_outcomes(dir, c->item[i].item, c->worker, &o, 1, c->now_ms) == ERR_OK,
		     "queue_outcomes");
	}
	commit(ERR_OK);
	return c->n;
}

/* Until nothing is due. Leases of before are over by then. */
static void drain(uint64_t all)
{
	uint64_t start = clock_ns(), n = 0;
	bool more;
	double longest = 0;
	do {
		struct pool *pool = pool_new(0);
		struct queue_claim c = {.pool = pool,
					.worker = SLICE("w"),
					.now_ms = 20000000,
					.until_ms = 30000000,
					.max = CLAIM};
		c.item = pool_alloc(pool, (CLAIM + 1) * sizeof(*c.item));
		uint64_t claim = clock_ns();
		db_begin(dir->db);
		commit(queue_claim(dir, &c));
		double ms = ms_since(claim);
		longest = ms > longest ? ms : longest;
		n += deliver(&c);
		more = c.n || c.next_due_ms <= c.now_ms; /* rows may only have been put right */
		pool_free(&pool);
		if (db_wal_bytes(dir->db) > (64u << 20))
			db_checkpoint(dir->db, true);
	} while (more);
	must(n == all, "not everything was claimed");
	figure("drain-all", ms_since(start) / 1000, "s");
	figure("drain", (double)n / ms_since(start) * 1000, "1/s");
	figure("drain-longest-claim", longest, "ms");
}

/* The peak of this process until now. */
static void memory(const char *name)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	figure(name, (double)u.ru_maxrss / 1024, "MiB peak RSS");
}

static void list(void)
{
	uint64_t start = clock_ns(), last = 0;
	unsigned n;
	double longest = 0;
	do {
		uint64_t page = clock_ns();
		n = 0;
		db_start(dir->db, SQL_QUEUE_LIST);
		db_u64(dir->db, last);
		db_u64(dir->db, 500);
		for (; db_step(dir->db) == DB_ROW; n++)
			last = db_col_u64(dir->db, 0);
		db_reset(dir->db);
		double ms = ms_since(page);
		longest = ms > longest ? ms : longest;
	} while (n);
	figure("list-all", ms_since(start) / 1000, "s");
	figure("list-longest-page", longest, "ms");
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	char path[200], cmd[256];
	const char *why = NULL;
	log_init("bench", LOG_TO_STDERR, LOG_LV_ERROR);
	clock_init();
	snprintf(path, sizeof(path), "%s/hamlet-bench-XXXXXX", argc > 2 ? argv[2] : "/tmp");
	if (n < 4000 || !mkdtemp(path))
		return 1;
	dir = base_open(path, 0, &why);
	if (!dir) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	fill(n);
	memory("memory-filled");
	claims();
	list();
	change(QUEUE_ACT_HOLD, "hold");
	change(QUEUE_ACT_RELEASE, "release");
	change(QUEUE_ACT_FLUSH, "flush");
	memory("memory-before-drain");
	drain(n);
	memory("memory");
	base_close(&dir);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", path);
	return system(cmd);
}
