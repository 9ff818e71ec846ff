/* The threads of the databases, the queues to them, and the way back to the loop. */
#include "stored/work.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"
#include "stored/batch.h"
#include "stored/body.h"

enum {
	QUEUE_MAX = 4096,     /* operations that may wait for one database's writer, readers */
	IDLE_MS = 200,        /* without work for that long: checkpoint, compact */
	WAL_PAST = 64 << 20,  /* bytes of WAL after which there is a checkpoint at work too */
	WAL_AGAIN = 16 << 20, /* bytes it grows before the next try, if readers hindered one */
	WAL_HUGE = 256 << 20, /* the file is cut down at the next rest (after a long reader) */
	CARE_BATCHES = 256,   /* segments are looked after at least that often */
	BUCKETS = 16,         /* of the histogram: up to 125 us, doubled */
	FIRST_BUCKET_US = 125,
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list ops;
	size_t n;
	uint64_t
	    due_ns; /* clock_ns(): the first that waits cannot wait longer; without any: never */
	bool stopping;
};

struct stats { /* under the writer queue's lock */
	uint64_t batches, ops, refused, max_ops, reads;
	uint64_t checkpoints, wal_bytes;
	uint64_t commit_ns, bucket[BUCKETS + 1];
};

struct lane { /* one database */
	struct base *writer;
	struct base **reader;
	struct queue writes, reads;
	pthread_t write_thread, *read_thread;
	bool write_started;
	unsigned readers, readers_started;
	bool stopped;        /* the writer's: the database failed */
	uint64_t wal_tried;  /* WAL bytes left over by the last checkpoint */
	unsigned since_care; /* batches */
	struct stats stats;
};

static struct {
	struct lane *lane;
	unsigned lanes;
	uv_async_t back; /* wakes the loop for what is in `done` */
	bool back_open;
	pthread_mutex_t lock;
	struct list done;
	bool failed; /* under lock: a writer stopped and the loop was not told yet */
	char why[400];
	void (*on_stop)(const char *why);
} work = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- operations -------------------------------------------------------------------------- */

struct op *op_new(size_t size)
{
	struct pool *pool = pool_new(0);
	struct op *op = pool_alloc(pool, size > sizeof(*op) ? size : sizeof(*op));
	op->pool = pool;
	list_init(&op->link);
	return op;
}

void op_free(struct op *op)
{
	struct pool *pool = op->pool; /* holds the op itself */
	pool_free(&pool);
}

enum ipc_err work_err(struct base *b, enum db_result r)
{
	switch (r) {
	case DB_ROW:
	case DB_DONE:
		return ERR_OK;
	case DB_CONFLICT:
		return ERR_EXISTS;
	case DB_FULL:
		return ERR_FULL;
	case DB_FAILED:
		log_event(LOG_LV_ERROR, NULL, "database-error", LS("database", b->path),
			  LS("error", db_why(b->db)));
		return ERR_TEMP;
	}
	return ERR_TEMP;
}

/* --- queues ------------------------------------------------------------------------------ */

static void queue_init(struct queue *q)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->wake, &attr);
	pthread_condattr_destroy(&attr);
	list_init(&q->ops);
	q->due_ns = UINT64_MAX;
}

static uint64_t due_ns(const struct op *op)
{
	return op->queued_ns + op->patience_ms * UINT64_C(1000000);
}

static bool queue_add(struct queue *q, struct op *op)
{
	op->queued_ns = clock_ns();
	uint64_t due = due_ns(op);
	pthread_mutex_lock(&q->lock);
	bool ok = q->n < QUEUE_MAX && !q->stopping;
	/* Who waits for the first that is due need not hear of one that can wait longer. */
	bool wake = ok && (due < q->due_ns || op->patience_ms == 0 || q->n + 1 == BATCH_MAX);
	if (ok) {
		list_add_tail(&q->ops, &op->link);
		q->n++;
		q->due_ns = due < q->due_ns ? due : q->due_ns;
	}
	pthread_mutex_unlock(&q->lock);
	if (wake)
		pthread_cond_signal(&q->wake);
	return ok;
}

/* False: the time is over. */
static bool wait_until(struct queue *q, uint64_t ns)
{
	struct timespec until = {.tv_sec = (time_t)(ns / 1000000000),
				 .tv_nsec = (long)(ns % 1000000000)};
	return pthread_cond_timedwait(&q->wake, &q->lock, &until) != ETIMEDOUT;
}

/* Until something cannot wait longer. False: nothing came up to idle_ns (0: for ever). */
static bool wait_for_work(struct queue *q, size_t max, uint64_t idle_ns)
{
	while (!q->stopping && q->n < max && (q->n == 0 || q->due_ns > clock_ns())) {
		if (q->n)
			wait_until(q, q->due_ns);
		else if (!idle_ns)
			pthread_cond_wait(&q->wake, &q->lock);
		else if (!wait_until(q, idle_ns) && q->n == 0)
			return false;
	}
	return true;
}

/* Takes up to `max` operations, waiting for the first. 0: none within `wait_ms` (0: for ever),
 * or the queue is stopping and empty. */
static size_t queue_take(struct queue *q, struct list *out, size_t max, unsigned wait_ms)
{
	uint64_t idle_ns = wait_ms ? clock_ns() + wait_ms * UINT64_C(1000000) : 0;
	size_t n = 0;
	pthread_mutex_lock(&q->lock);
	if (wait_for_work(q, max, idle_ns))
		for (struct list *l; n < max && (l = list_pop(&q->ops)); n++)
			list_add_tail(out, l);
	q->n -= n;
	q->due_ns = q->n ? 0 : UINT64_MAX; /* those that found no place have waited enough */
	pthread_mutex_unlock(&q->lock);
	return n;
}

static bool queue_stopping(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	bool stopping = q->stopping;
	pthread_mutex_unlock(&q->lock);
	return stopping;
}

static void queue_stop(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stopping = true;
	pthread_mutex_unlock(&q->lock);
	pthread_cond_broadcast(&q->wake);
}

/* --- back to the loop -------------------------------------------------------------------- */

static void give_back(struct list *ops)
{
	pthread_mutex_lock(&work.lock);
	for (struct list *l; (l = list_pop(ops));)
		list_add_tail(&work.done, l);
	pthread_mutex_unlock(&work.lock);
	uv_async_send(&work.back);
}

static void on_back(uv_async_t *h)
{
	(void)h;
	struct list ops;
	list_init(&ops);
	pthread_mutex_lock(&work.lock);
	for (struct list *l; (l = list_pop(&work.done));)
		list_add_tail(&ops, l);
	bool failed = work.failed;
	char why[sizeof(work.why)];
	memcpy(why, work.why, sizeof(why)); /* another writer may stop meanwhile */
	work.failed = false;
	pthread_mutex_unlock(&work.lock);
	for (struct list *l; (l = list_pop(&ops));) {
		struct op *op = list_entry(l, struct op, link);
		op->done(op);
	}
	if (failed && work.on_stop)
		work.on_stop(why);
}

/* --- writers ----------------------------------------------------------------------------- */

static void count(struct lane *ln, const struct batch_result *r, size_t taken)
{
	struct stats *s = &ln->stats;
	unsigned b = 0;
	for (uint64_t us = FIRST_BUCKET_US; b < BUCKETS && r->commit_ns > us * 1000; us *= 2)
		b++;
	pthread_mutex_lock(&ln->writes.lock);
	s->batches++;
	s->ops += r->ops;
	s->refused += taken - r->ops;
	s->commit_ns += r->commit_ns;
	s->bucket[b]++;
	if (taken > s->max_ops)
		s->max_ops = taken;
	s->wal_bytes = db_wal_bytes(ln->writer->db);
	pthread_mutex_unlock(&ln->writes.lock);
}

static void lane_stopped(struct lane *ln)
{
	ln->stopped = true;
	pthread_mutex_lock(&work.lock);
	if (!work.failed)
		str_fmt(work.why, sizeof(work.why), "%s: %s", ln->writer->path,
			db_why(ln->writer->db));
	work.failed = true;
	pthread_mutex_unlock(&work.lock);
	uv_async_send(&work.back);
}

static void checkpoint(struct lane *ln, bool truncate)
{
	struct db *d = ln->writer->db;
	enum db_result r = db_checkpoint(d, truncate);
	ln->wal_tried = db_wal_bytes(d);
	if (r == DB_FULL) {
		/* The WAL holds everything; it is tried again when it has grown. */
		log_event(LOG_LV_ERROR, NULL, "checkpoint-disk-full",
			  LS("database", ln->writer->path));
	} else if (r != DB_DONE) {
		log_event(LOG_LV_ERROR, NULL, "database-stopped", LS("database", ln->writer->path),
			  LS("error", db_why(d)));
		lane_stopped(ln);
	}
	pthread_mutex_lock(&ln->writes.lock);
	ln->stats.checkpoints++;
	ln->stats.wal_bytes = ln->wal_tried;
	pthread_mutex_unlock(&ln->writes.lock);
}

static void refuse(struct list *ops)
{
	list_each(l, ops) list_entry(l, struct op, link)->err = ERR_TEMP;
}

/* True: there may be more to do soon. */
static bool care(struct lane *ln)
{
	if (ln->stopped)
		return false;
	bool more = bodies_compact(ln->writer);
	if (db_state(ln->writer->db) == DB_FAILED) {
		lane_stopped(ln);
		return false;
	}
	return more;
}

static bool idle(struct lane *ln)
{
	if (care(ln))
		return true;
	if (ln->stopped)
		return false;
	uint64_t wal = db_wal_bytes(ln->writer->db);
	if (wal > ln->wal_tried)
		checkpoint(ln, wal > WAL_HUGE);
	return false;
}

static void *write_loop(void *arg)
{
	struct lane *ln = arg;
	struct list ops;
	unsigned wait = IDLE_MS;
	list_init(&ops);
	for (;;) {
		size_t n = queue_take(&ln->writes, &ops, BATCH_MAX, wait);
		if (n == 0) {
			if (queue_stopping(&ln->writes))
				return NULL;
			wait = idle(ln) ? 1 : 0;
			continue;
		}
		wait = IDLE_MS;
		if (ln->stopped) {
			refuse(&ops);
			give_back(&ops);
			continue;
		}
		struct batch_result r = batch_run(ln->writer, &ops);
		count(ln, &r, n);
		give_back(&ops);
		if (r.stopped)
			lane_stopped(ln);
		else if (db_wal_bytes(ln->writer->db) > WAL_PAST &&
			 db_wal_bytes(ln->writer->db) > ln->wal_tried + WAL_AGAIN)
			checkpoint(ln, false);
		if (++ln->since_care == CARE_BATCHES) { /* a busy store is never idle */
			ln->since_care = 0;
			care(ln);
		}
	}
}

/* --- readers ----------------------------------------------------------------------------- */

static void run_read(struct base *b, struct op *op)
{
	/* One snapshot for all that the operation reads. */
	if (db_begin(b->db) == DB_DONE) {
		op->err = op->run(b, op);
		if (db_state(b->db) != DB_DONE && op->err == ERR_OK)
			op->err = ERR_TEMP;
	} else {
		op->err = work_err(b, DB_FAILED);
	}
	db_rollback(b->db);
}

struct reader_arg {
	struct lane *lane;
	struct base *base;
};

static void *read_loop(void *arg)
{
	struct reader_arg *ra = arg;
	struct lane *ln = ra->lane;
	struct base *b = ra->base;
	struct list ops;
	free(ra);
	list_init(&ops);
	while (queue_take(&ln->reads, &ops, 1, 0) > 0) {
		run_read(b, list_entry(ops.next, struct op, link));
		give_back(&ops);
		pthread_mutex_lock(&ln->writes.lock);
		ln->stats.reads++;
		pthread_mutex_unlock(&ln->writes.lock);
	}
	return NULL;
}

/* --- start and stop ---------------------------------------------------------------------- */

static bool start_thread(pthread_t *t, void *(*fn)(void *), void *arg, const char **why)
{
	/* Signals are the loop's. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int e = pthread_create(t, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e)
		*why = strerror(e);
	return e == 0;
}

static bool lane_open(struct lane *ln, const char *state_dir, unsigned shard, unsigned readers,
		      const char **why)
{
	queue_init(&ln->writes);
	queue_init(&ln->reads);
	ln->writer = base_open(state_dir, shard, why);
	if (!ln->writer)
		return false;
	ln->reader = mem_alloc(readers * sizeof(struct base *));
	ln->read_thread = mem_alloc(readers * sizeof(pthread_t));
	for (; ln->readers < readers; ln->readers++) {
		ln->reader[ln->readers] = base_reader(ln->writer, why);
		if (!ln->reader[ln->readers])
			return false;
	}
	return true;
}

static bool lane_start(struct lane *ln, const char **why)
{
	ln->write_started = start_thread(&ln->write_thread, write_loop, ln, why);
	if (!ln->write_started)
		return false;
	for (; ln->readers_started < ln->readers; ln->readers_started++) {
		struct reader_arg *ra = mem_alloc(sizeof(*ra));
		*ra = (struct reader_arg){ln, ln->reader[ln->readers_started]};
		if (!start_thread(&ln->read_thread[ln->readers_started], read_loop, ra, why)) {
			free(ra);
			return false;
		}
	}
	return true;
}

static void lane_close(struct lane *ln)
{
	queue_stop(&ln->writes);
	queue_stop(&ln->reads);
	if (ln->write_started)
		pthread_join(ln->write_thread, NULL);
	for (unsigned i = 0; i < ln->readers_started; i++)
		pthread_join(ln->read_thread[i], NULL);
	for (unsigned i = 0; i < ln->readers; i++)
		base_close(&ln->reader[i]);
	base_close(&ln->writer);
	free(ln->reader);
	free(ln->read_thread);
	pthread_cond_destroy(&ln->writes.wake);
	pthread_cond_destroy(&ln->reads.wake);
	pthread_mutex_destroy(&ln->writes.lock);
	pthread_mutex_destroy(&ln->reads.lock);
}

void work_limits(uint64_t small_body, uint64_t segment_size)
{
	bodies_limits(small_body, segment_size);
}

void work_on_stop(void (*fn)(const char *why))
{
	work.on_stop = fn;
}

bool work_start(const char *state_dir, unsigned shards, unsigned readers, const char **why)
{
	list_init(&work.done);
	work.failed = false;
	work.lanes = shards + 1;
	work.lane = mem_alloc(work.lanes * sizeof(*work.lane));
	work.back_open = uv_async_init(loop_get(), &work.back, on_back) == 0;
	bool ok = work.back_open;
	for (unsigned i = 0; i < work.lanes; i++) /* all are opened, so that all can be closed */
		ok = lane_open(&work.lane[i], state_dir, i, readers, why) && ok;
	for (unsigned i = 0; ok && i < work.lanes; i++)
		ok = lane_start(&work.lane[i], why);
	if (!ok)
		work_stop();
	return ok;
}

void work_stop(void)
{
	for (unsigned i = 0; i < work.lanes; i++)
		lane_close(&work.lane[i]);
	work.lanes = 0;
	if (!work.back_open)
		return;
	on_back(&work.back);
	uv_close((uv_handle_t *)&work.back, NULL);
	work.back_open = false;
	free(work.lane);
	work.lane = NULL;
}

unsigned work_shards(void)
{
	return work.lanes ? work.lanes - 1 : 0;
}

struct base *work_reader(unsigned base, const char **why)
{
	*why = "no such database";
	return base < work.lanes ? base_reader(work.lane[base].writer, why) : NULL;
}

bool work_write(unsigned base, struct op *op)
{
	return base < work.lanes && queue_add(&work.lane[base].writes, op);
}

bool work_read(unsigned base, struct op *op)
{
	return base < work.lanes && queue_add(&work.lane[base].reads, op);
}

/* --- figures ----------------------------------------------------------------------------- */

static void lane_stats(struct buf *out, struct lane *ln, unsigned shard)
{
	char name[32] = "directory";
	if (shard)
		str_fmt(name, sizeof(name), "shard-%u", shard);
	pthread_mutex_lock(&ln->writes.lock);
	struct stats s = ln->stats;
	size_t writes = ln->writes.n;
	pthread_mutex_unlock(&ln->writes.lock);
	pthread_mutex_lock(&ln->reads.lock);
	size_t reads = ln->reads.n;
	pthread_mutex_unlock(&ln->reads.lock);
	const struct {
		const char *what;
		uint64_t v;
	} plain[] = {
	    {"batches_total", s.batches}, {"operations_total", s.ops},
	    {"refused_total", s.refused}, {"batch_operations_max", s.max_ops},
	    {"reads_total", s.reads},     {"checkpoints_total", s.checkpoints},
	    {"wal_bytes", s.wal_bytes},   {"writes_waiting", writes},
	    {"reads_waiting", reads},
	};
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		buf_printf(out, "stored_%s{db=\"%s\"} %llu\n", plain[i].what, name,
			   (unsigned long long)plain[i].v);
	uint64_t sum = 0;
	uint64_t us = FIRST_BUCKET_US;
	for (unsigned i = 0; i < BUCKETS; i++, us *= 2) {
		sum += s.bucket[i];
		buf_printf(out, "stored_commit_seconds_bucket{db=\"%s\",le=\"%g\"} %llu\n", name,
			   (double)us / 1e6, (unsigned long long)sum);
	}
	buf_printf(out, "stored_commit_seconds_bucket{db=\"%s\",le=\"+Inf\"} %llu\n", name,
		   (unsigned long long)s.batches);
	buf_printf(out, "stored_commit_seconds_sum{db=\"%s\"} %g\n", name,
		   (double)s.commit_ns / 1e9);
	buf_printf(out, "stored_commit_seconds_count{db=\"%s\"} %llu\n", name,
		   (unsigned long long)s.batches);
}

void work_stats(struct buf *out)
{
	for (unsigned i = 0; i < work.lanes; i++)
		lane_stats(out, &work.lane[i], i);
}
