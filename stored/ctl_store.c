/* Commands about the whole store: backups, the check, its figures. They take their time, so they
 * run on libuv's pool with readers of their own, one at a time. */
#include "libcommon/base/log.h"
#include "libcommon/net/job.h"
#include "stored/backup.h"
#include "stored/ctl.h"
#include "stored/sql.h"

struct task {
	struct ctl *c;
	bool (*fn)(struct task *t); /* on the pool's thread; adds cells. False: with why */
	void (*after)(void);        /* on the loop's thread, when fn gave true */
	struct slice name;          /* of a backup */
	struct check_sums sums;
	const char *why;
	bool ok;
};

static bool running;

static void on_pool(void *arg)
{
	struct task *t = arg;
	t->ok = t->fn(t);
}

static void on_loop(void *arg, bool cancelled)
{
	struct task *t = arg;
	running = false;
	if (cancelled || !t->ok) {
		ctl_fail(t->c, cancelled ? ERR_TEMP : ERR_BAD, t->why ? t->why : "interrupted");
		return;
	}
	void (*after)(void) = t->after;
	ctl_done(t->c); /* frees the task */
	if (after)
		after();
}

static void begin(struct ctl *c, bool (*fn)(struct task *t), void (*after)(void))
{
	struct task *t = pool_alloc(c->pool, sizeof(*t));
	*t = (struct task){.c = c, .fn = fn, .after = after};
	if (c->n)
		t->name = c->arg[0];
	if (running) {
		ctl_fail(c, ERR_INUSE, "a backup, restore or check is running");
		return;
	}
	running = job_start(on_pool, on_loop, t);
	if (!running)
		ctl_fail(c, ERR_TEMP, "too much is going on");
}

/* --- backups ----------------------------------------------------------------------------- */

static void backup_cells(struct ctl *c, const struct backup_info *i)
{
	ctl_text(c, "name", slice_of(i->name));
	ctl_time(c, "created", i->created_ms);
	ctl_size(c, "size", i->bytes);
	ctl_number(c, "files", i->files);
	ctl_number(c, "shards", i->shards);
	ctl_next(c);
}

static bool create(struct task *t)
{
	struct backup_info info;
	if (!backup_create(t->c->pool, conf.state_dir, t->name, &info, &t->why))
		return false;
	log_event(LOG_LV_INFO, NULL, "backup-created", LS("name", info.name),
		  LU("bytes", info.bytes));
	backup_cells(t->c, &info);
	return true;
}

static bool list(struct task *t)
{
	size_t n;
	const struct backup_info *all = backup_list(t->c->pool, conf.state_dir, &n);
	for (size_t i = 0; i < n; i++)
		backup_cells(t->c, &all[i]);
	return true;
}

static void finding(void *arg, const char *text)
{
	ctl_text(arg, "finding", slice_of(text));
	ctl_next(arg);
}

static bool verify(struct task *t)
{
	return backup_verify(t->c->pool, conf.state_dir, t->name, finding, t->c, &t->sums, &t->why);
}

static bool restore(struct task *t)
{
	struct backup_info info;
	if (!backup_restore(t->c->pool, conf.state_dir, t->name, &info, &t->why))
		return false;
	log_event(LOG_LV_WARN, NULL, "backup-restored", LS("name", info.name));
	backup_cells(t->c, &info);
	return true;
}

static void ctl_create(struct ctl *c)
{
	begin(c, create, NULL);
}

static void ctl_list(struct ctl *c)
{
	begin(c, list, NULL);
}

static void ctl_verify(struct ctl *c)
{
	begin(c, verify, NULL);
}

static void ctl_restore(struct ctl *c)
{
	begin(c, restore, stored_restart);
}

/* --- the store itself -------------------------------------------------------------------- */

static bool check(struct task *t)
{
	for (unsigned i = 0; i <= work_shards(); i++) {
		struct base *b = work_reader(i, &t->why);
		if (!b) {
			t->why = pool_strdup(t->c->pool, t->why);
			return false;
		}
		check_base(b, finding, t->c, &t->sums);
		base_close(&b);
	}
	log_event(LOG_LV_INFO, NULL, "checked", LU("findings", t->sums.findings),
		  LU("bodies", t->sums.bodies), LU("bytes", t->sums.bytes));
	return true;
}

struct facts {
	uint64_t bodies, bytes, messages, deleted, wal;
};

static void add_facts(struct base *b, struct facts *f)
{
	db_start(b->db, SQL_BODY_SUMS);
	if (db_step(b->db) == DB_ROW) {
		f->bodies += db_col_u64(b->db, 0);
		f->bytes += db_col_u64(b->db, 1);
	}
	db_reset(b->db);
	if (!b->shard)
		return;
	f->messages += db_number(b->db, "SELECT COALESCE(SUM(messages), 0) FROM owners");
	f->deleted += db_number(b->db, "SELECT COUNT(*) FROM messages WHERE expunged = 1");
}

static bool status(struct task *t)
{
	struct facts f = {0};
	struct ctl *c = t->c;
	uint64_t domains = 0;
	uint64_t accounts = 0;
	uint64_t queued = 0;
	for (unsigned i = 0; i <= work_shards(); i++) {
		struct base *b = work_reader(i, &t->why);
		if (!b) {
			t->why = pool_strdup(c->pool, t->why);
			return false;
		}
		if (i == WORK_DIRECTORY) {
			domains = db_number(b->db, "SELECT COUNT(*) FROM domain");
			accounts = db_number(b->db, "SELECT COUNT(*) FROM account");
			queued = db_number(b->db, "SELECT COUNT(*) FROM queue_items"
						  " WHERE finished_ms = 0");
		}
		add_facts(b, &f);
		base_close(&b);
	}
	ctl_text(c, "state-dir", slice_of(conf.state_dir));
	ctl_number(c, "shards", work_shards());
	ctl_number(c, "domains", domains);
	ctl_number(c, "accounts", accounts);
	ctl_number(c, "messages", f.messages);
	ctl_number(c, "deleted-messages", f.deleted);
	ctl_number(c, "queued", queued);
	ctl_number(c, "bodies", f.bodies);
	ctl_size(c, "body-bytes", f.bytes);
	return true;
}

static void ctl_check(struct ctl *c)
{
	begin(c, check, NULL);
}

static void ctl_status(struct ctl *c)
{
	begin(c, status, NULL);
}

const struct ctl_cmd ctl_store_commands[] = {
    {.words = "backup create", .args = "NAME", .min = 1, .max = 1, .fn = ctl_create},
    {.words = "backup list", .args = "", .fn = ctl_list},
    {.words = "backup verify", .args = "NAME", .min = 1, .max = 1, .fn = ctl_verify},
    {.words = "backup restore", .args = "NAME", .min = 1, .max = 1, .fn = ctl_restore},
    {.words = "check", .args = "", .fn = ctl_check},
    {.words = "status", .args = "", .fn = ctl_status},
    {.words = NULL},
};
